"""Fully sharded: in the graph, weights are replaced by where they lie, so that nothing keeps them."""

from contextlib import ExitStack

import torch
import torch.distributed as dist
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._pytree import tree_map_only

from .collectives import all_gather, broadcast, chunk_sizes, reduce_scatter


class Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, chunk, own):
        ctx.own = own
        return own.gather()

    @staticmethod
    def backward(ctx, grad):
        own = ctx.own
        own.show(None)
        wide = torch.float64 if grad.dtype == torch.float64 else torch.float32
        return reduce_scatter(grad.to(wide), own.group).div(dist.get_world_size(own.group)).to(grad), None


class Own:
    def __init__(self, model, unit, its, group):
        self.model, self.unit, self.its, self.group = model, unit, its, group  # its: {parameter: names}
        if len({(p.dtype, p.device, p.requires_grad) for p in its}) > 1:
            raise ValueError(f"several kinds of parameters: {sorted({str(p.dtype) for p in its})}")
        self.shapes = [p.shape for p in its]
        self.n = sum(p.numel() for p in its)
        self.now, self.back, self.region = None, False, ExitStack()

    def start(self):
        flat = broadcast(torch.cat([p.detach().reshape(-1) for p in self.its]), group=self.group)
        mine = flat.split(chunk_sizes(self.n, dist.get_world_size(self.group)))[dist.get_rank(self.group)]
        self.chunk = nn.Parameter(mine.clone(), next(iter(self.its)).requires_grad)
        self.names = [*self.its.values()]
        self.its = None
        self.show(None)
        self.unit.register_forward_pre_hook(self.before)
        self.unit.register_forward_hook(self.behind, always_call=True)
        return self.chunk

    def gather(self):
        return all_gather(self.chunk, self.n, self.group)

    def cut(self, flat):
        return [each.view(shape) for each, shape in zip(flat.split([s.numel() for s in self.shapes]), self.shapes)]

    def show(self, flat):
        self.now, self.back = flat, False
        for names, part in zip(self.names, self.cut(flat) if flat is not None else [None] * len(self.names)):
            for owner, _, name in (name.rpartition(".") for name in names):
                place = self.model.get_submodule(owner)
                place._parameters.pop(name, None)
                object.__setattr__(place, name, part)

    def again(self, grad=None):
        if not self.back:
            if self.now is None:
                with torch.enable_grad():
                    self.show(self.gather().requires_grad_(self.chunk.requires_grad))
            self.back = True
            torch.autograd.Variable._execution_engine.queue_callback(lambda: self.back and self.show(None))

    def before(self, *_):
        if self.back:
            return
        self.show(flat := Gather.apply(self.chunk, self))
        if self.unit is not self.model:
            here = flat.untyped_storage().data_ptr()

            def pack(x):
                if x.untyped_storage().data_ptr() != here:
                    return x
                return x.size(), x.stride(), x.storage_offset()

            def unpack(kept):
                if isinstance(kept, torch.Tensor):
                    return kept
                self.again()
                return self.now.detach().as_strided(*kept)

            self.region.enter_context(saved_tensors_hooks(pack, unpack))

    def behind(self, unit, args, out):
        if self.back:
            return
        self.region.close()
        found = []
        tree_map_only(torch.Tensor, lambda x: found.append(x) if x.requires_grad else None, out)
        for each in found:
            each.register_hook(self.again)
        if self.unit is not self.model or not found:
            self.show(None)


class FullyShardedModule(nn.Module):
    def __init__(self, module, units, group=None):
        super().__init__()
        units = [*units, module]
        within = {id(each): n for n, unit in enumerate(units[:-1]) for each in unit.modules()}
        count = sum(len([*unit.modules()]) for unit in units[:-1])
        if not within.keys() < {id(each) for each in module.modules()} or id(module) in within:
            raise ValueError(f"not all are units of the model: {[type(unit).__name__ for unit in units[:-1]]}")
        inner = [id(each) for unit in units[:-1] for each in unit.modules() if each is not unit]
        if {id(unit) for unit in units[:-1]} & {*inner} or len({id(unit) for unit in units}) < len(units):
            raise ValueError(f"{count} modules in units are not all different")
        places: dict = {}
        path = {id(unit): n for n, unit in enumerate(units[:-1])}
        owners = dict(module.named_modules(remove_duplicate=False))
        for name, p in module.named_parameters(remove_duplicate=False):
            above = [name[:at] for at in range(len(name)) if name[at] == "."]
            home = next((path[id(owners[each])] for each in above if id(owners[each]) in path), len(units) - 1)
            places.setdefault(p, ([], set()))[0].append(name)
            places[p][1].add(home)
        split = [
            {
                p: names
                for p, (names, homes) in places.items()
                if (min(homes) if len(homes) == 1 else len(units) - 1) == n
            }
            for n in range(len(units))
        ]
        self.module, self.group, self.order = module, group, module.state_dict()
        self.order = {name: each.shape for name, each in self.order.items()}
        self.own = [Own(module, unit, its, group) for unit, its in zip(units, split) if its]
        for own in self.own:
            own.names = [*own.its.values()]
        del places, split
        self.chunks = nn.ParameterList([own.start() for own in self.own])
        for each in module.buffers():
            broadcast(each, group=group)

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def full_state_dict(self):
        found = {name: each.clone() for name, each in self.module.state_dict().items()}
        for own in self.own:
            for names, part in zip(own.names, own.cut(own.gather())):
                found |= {name: part for name in names}
        return {name: found[name].cpu() for name in self.order}

    def load_full_state_dict(self, state):
        if wrong := {name: s for name, s in self.order.items() if name not in state or state[name].shape != s}:
            raise ValueError(
                f"needed: {wrong}; got: { ({name: [*map(tuple, [x.shape])] for name, x in state.items()}) }, "
                f"{ {name: tuple(s) for name, s in wrong.items()} }"
            )
        if more := state.keys() - self.order.keys():
            raise ValueError(f"too many: {more}")
        with torch.no_grad():
            for own in self.own:
                sizes = chunk_sizes(own.n, dist.get_world_size(self.group))
                flat = torch.cat([state[names[-1]].reshape(-1) for names in own.names])
                own.chunk.copy_(flat.split(sizes)[dist.get_rank(self.group)])
            for name, each in self.module.state_dict().items():
                each.copy_(state[name])
