"""6.13 · Fully sharded: a process keeps its part of the weights, and has all of a block only while it works with it.

Rajbhandari et al.: ZeRO (2020), section 5.3, stage 3; Zhao et al.: PyTorch FSDP: Experiences on Scaling Fully Sharded
Data Parallel (2023), section 3.
Letters: W processes of a group; n numbers in the parameters of a unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import ProcessGroup
from torch.utils._pytree import tree_leaves

from .collectives import all_gather, chunk_sizes, reduce_scatter


def parameters_of_units(module: nn.Module, units: Iterable[nn.Module]) -> list[dict[nn.Parameter, list[str]]]:
    """Say which parameters each unit has, and last what the rest has; each parameter with all its names. (Given.)

    A parameter that has names in several of them, such as a table that input and output share, belongs to the rest.

    Raises:
        ValueError: a unit does not lie within the module, or lies within another one; or the parameters of a unit
            differ in format or device, or do not all require gradients.
    """
    units = list(units)
    for unit in units:
        if unit is module or not any(unit is inner for inner in module.modules()):
            raise ValueError(f"a unit must be a module within the model; got {type(unit).__name__}, which is not")
        if sum(inner is other for inner in unit.modules() for other in units) > 1:
            raise ValueError(f"no unit may lie within another, or be there twice; in a {type(unit).__name__} one does")
    beginnings = {
        f"{name}.": number
        for name, inner in module.named_modules(remove_duplicate=False)
        for number, unit in enumerate(units)
        if inner is unit
    }
    names: dict[nn.Parameter, list[str]] = {}
    homes: dict[nn.Parameter, set[int]] = {}
    for name, p in module.named_parameters(remove_duplicate=False):
        names.setdefault(p, []).append(name)
        home = next((number for start, number in beginnings.items() if name.startswith(start)), len(units))
        homes.setdefault(p, set()).add(home)
    found: list[dict[nn.Parameter, list[str]]] = [{} for _ in range(len(units) + 1)]
    for p, its in homes.items():
        found[its.pop() if len(its) == 1 else len(units)][p] = names[p]
    for parameters in found:
        if len(kinds := {(str(p.dtype), str(p.device), p.requires_grad) for p in parameters}) > 1:
            raise ValueError(
                f"parameters of a unit must be alike in format, device, requires_grad; got {sorted(kinds)}"
            )
    return found


class Unit:
    """The parameters of a unit, one behind the other: of these n numbers this rank's chunk, and at times all of them.

    Where the unit's modules had parameters, they have views of the whole while it is there, and else tensors of the
    same shapes on the device "meta", which have no numbers and take no memory.

    Args:
        model: the model that the names are of.
        module: the unit; for the rest, the model itself.
        parameters: those of the unit, with their names.
        group: whose ranks take part.

    Attributes:
        n, sizes, shapes: how many numbers there are in all, and those of each parameter.
        mine: which of the n numbers are this rank's.
        chunk: (chunk_sizes(n, W)[rank],), a parameter: these numbers.
        whole: (n,), what the views are of; None while they are on "meta".
        in_backward: whether backward is within the unit now.
    """

    def __init__(
        self,
        model: nn.Module,
        module: nn.Module,
        parameters: Mapping[nn.Parameter, list[str]],
        group: ProcessGroup | None,
    ) -> None:
        self.is_rest, self.group = module is model, group
        self.names, self.shapes = list(parameters.values()), [p.shape for p in parameters]
        self.sizes = [p.numel() for p in parameters]
        self.n, rank = sum(self.sizes), dist.get_rank(group)
        parts = chunk_sizes(self.n, dist.get_world_size(group))
        self.mine = slice(sum(parts[:rank]), sum(parts[: rank + 1]))
        self._places = [[(model.get_submodule(name.rpartition(".")[0]), name) for name in its] for its in self.names]
        self._empty = [torch.empty(p.shape, dtype=p.dtype, device="meta") for p in parameters]
        # BEGIN SOLUTION 6.13: all parameters in a row, as the first rank has them; a copy of this rank's numbers
        flat = torch.cat([p.detach().flatten() for p in parameters])  # (n,)
        dist.broadcast(flat, group=group, group_src=0)
        self.chunk = nn.Parameter(flat[self.mine].clone(), next(iter(parameters)).requires_grad)
        # END SOLUTION
        for place, name in [each for its in self._places for each in its]:
            place._parameters.pop(name.rpartition(".")[2], None)
        self.put(None)
        # BEGIN SOLUTION 6.13: have torch call us before and behind each forward of the unit
        module.register_forward_pre_hook(self.before_forward)
        module.register_forward_hook(self.behind_forward, always_call=True)  # also when forward raises
        # END SOLUTION

    def put(self, whole: Tensor | None) -> None:
        """Have the unit's modules use views of these n numbers, with gradients if they have; None: of none. (Given.)"""
        self.whole, self.in_backward = whole, False
        parts = self._empty if whole is None else whole.split(self.sizes)
        for its, shape, part in zip(self._places, self.shapes, parts):
            for place, name in its:
                setattr(place, name.rpartition(".")[2], part.view(shape))

    # BEGIN SOLUTION 6.13
    def before_forward(self, *_: Any) -> None:
        """Gather, unless a `checkpoint` runs forward again within backward, where all is there."""
        if not self.in_backward:
            self.put(_Gather.apply(self.chunk, self))

    def behind_forward(self, module: nn.Module, args: Any, out: Any) -> None:
        """Free; what is made of this output has to come through its gradient before it needs the weights again."""
        if self.in_backward or self.whole is None:
            return
        whole = self.whole.data  # the same memory, without the graph
        made = [each for each in tree_leaves(out) if isinstance(each, Tensor) and each.requires_grad]
        for each in made:
            each.register_hook(lambda _: self.before_backward(whole))
        if not made:
            self.put(None)  # no graph holds it
        elif not self.is_rest:
            self.free(whole)

    def before_backward(self, whole: Tensor) -> None:
        """Gather again, into the memory in which the graph looks for it."""
        if not whole.untyped_storage().size():
            whole.untyped_storage().resize_(self.n * whole.element_size())
            whole.copy_(all_gather(self.chunk, self.n, self.group))
        with torch.enable_grad():  # for a `checkpoint`, whose forward has to see what the first one saw
            self.put(whole.detach().requires_grad_(self.chunk.requires_grad))
        self.in_backward = True
        # At the end of backward at the latest it is freed, even if nobody wanted the gradients of these weights.
        torch.autograd.Variable._execution_engine.queue_callback(lambda: self.free(whole))

    def free(self, whole: Tensor) -> None:
        """Give back the memory, though the graph has views of it."""
        whole.untyped_storage().resize_(0)
        self.put(None)

    # END SOLUTION


# BEGIN SOLUTION 6.13
class _Gather(torch.autograd.Function):
    """The chunks of all ranks become the whole; backward, the wholes of all ranks become the chunks of their mean."""

    @staticmethod
    def forward(ctx: Any, chunk: Tensor, unit: Unit) -> Tensor:
        ctx.unit, ctx.whole = unit, all_gather(chunk, unit.n, unit.group)  # (n,)
        return ctx.whole.data  # the same memory; that it is written anew in backward, autograd need not know

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override] - it has one output
        ctx.unit.free(ctx.whole)  # all gradients are here: nobody needs the weights any more
        wide = grad.to(torch.promote_types(grad.dtype, torch.float32))
        mean = reduce_scatter(wide, ctx.unit.group) / dist.get_world_size(ctx.unit.group)
        return mean.to(grad.dtype), None


# END SOLUTION


class FullyShardedModule(nn.Module):
    """A model of which each of W processes keeps 1 / W: of its weights, their gradients, and so the optimizer's state.

    The parameters of a unit, one behind the other, are n numbers; rank r keeps the r-th of `chunk_sizes(n, W)`. What no
    unit has, or several have, is one more unit, the rest. These chunks, one for each unit, are all that `parameters()`
    gives, for any optimizer that treats each number by itself. A table that input and output share is in them once.

    Before a unit's forward its n numbers are gathered, with `all_gather`, as the chunks are then; behind it, even if it
    raises, they are freed. Before its backward they are gathered again, and freed behind it; its gradients are summed
    up with `reduce_scatter`, and of their mean over the ranks, each rank adds its chunk to `grad`. The rest stays from
    forward to the end of backward, if there is to be one. So a rank has all of one unit at a time, and of the rest; it
    sends three messages of 1 / W of a unit, for each unit and round, and two for the rest. Half formats are summed up
    in float32. A unit that requires no gradients is freed when all of backward has ended.

    It is called like the model in it, on all ranks as often. In each step the losses of all depend on the same units: a
    rank that has nothing to read gives a loss of 0 times its output. Several backwards add up. A parameter without a
    gradient counts as one of zeros, if its unit has any; a unit that nobody used keeps a `grad` of None.

    A unit is called as a module, and gives a tensor, or tuples, lists or dicts with tensors. There may be a
    `checkpoint` around or within it, and nothing more is sent for that. Without one, copies of the weights in 16 bits
    that autocast makes stay until backward.

    Args:
        module: the model, whole on each rank; its weights and buffers become those of the first rank. Its parameters
            are taken out of it.
        units: modules in it, such as its blocks, none within another.
        group: whose ranks take part; None means all processes.

    Attributes:
        module: the model.
        chunks: a `torch.nn.ParameterList`: this rank's chunk of each unit, in the order of `units`; last, of the rest.
            What has no parameters has no chunk.

    Raises:
        ValueError: as `parameters_of_units` does.
    """

    def __init__(self, module: nn.Module, units: Iterable[nn.Module], group: ProcessGroup | None = None) -> None:
        super().__init__()
        units = list(units)
        found = parameters_of_units(module, units)
        self.module, self.group = module, group
        self._shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        # BEGIN SOLUTION 6.13: the first rank's buffers; the units, and last the rest
        for buffer in module.buffers():
            content = buffer.contiguous()
            dist.broadcast(content, group=group, group_src=0)
            buffer.copy_(content)
        self._units = [Unit(module, unit, its, group) for unit, its in zip([*units, module], found) if its]
        self.chunks = nn.ParameterList(unit.chunk for unit in self._units)
        # END SOLUTION

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model."""
        return self.module(*args, **kwargs)

    @torch.no_grad()
    def full_state_dict(self) -> dict[str, Tensor]:
        """Give what `state_dict()` of the model on one process would: all weights and buffers, on all ranks.

        They lie on the CPU. All ranks have to call it. (`state_dict()` of this module gives the rank's own chunks, and
        the buffers.)
        """
        # BEGIN SOLUTION 6.13: what the model has without its weights; one unit after the other; in the model's order
        found = {name: tensor.cpu().clone() for name, tensor in self.module.state_dict().items()}
        for unit in self._units:
            parts = all_gather(unit.chunk, unit.n, self.group).cpu().split(unit.sizes)
            for names, shape, part in zip(unit.names, unit.shapes, parts):
                found.update(dict.fromkeys(names, part.view(shape).clone()))
        return {name: found[name] for name in self._shapes}
        # END SOLUTION

    @torch.no_grad()
    def load_full_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `full_state_dict` gave, on any number of ranks, or from the `state_dict()` of such a model.

        Raises:
            ValueError: a name is missing, or there is one too many, or a shape is another one; nothing is changed then.
        """
        for name in sorted(self._shapes.keys() | state.keys()):
            own, its = self._shapes.get(name), tuple(state[name].shape) if name in state else None
            if own != its:
                raise ValueError(f"{name} must be {own or 'absent'}, as in the model; got {its or 'none'}")
        # BEGIN SOLUTION 6.13: of each unit's tensors in a row, this rank's numbers; then the buffers
        for unit in self._units:
            flat = torch.cat([state[names[0]].flatten() for names in unit.names])
            unit.chunk.copy_(flat[unit.mine])
        self.module.load_state_dict({name: state[name] for name in self.module.state_dict()})
        # END SOLUTION
