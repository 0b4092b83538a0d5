"""6.8 · Sharding the state: processes that have the same weights need not all have the same optimizer.

Rajbhandari et al.: ZeRO: Memory Optimizations Toward Training Trillion Parameter Models (2020), section 5.
Letters: W processes of a group; N numbers in the parameters of a group of the optimizer.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from .collectives import all_gather, chunk_sizes

Groups = list[dict[str, Any]]


class ShardedOptimizer(torch.optim.Optimizer):
    """An optimizer of which each process has the state of its part of the numbers, and takes the step for these alone.

    The parameters of a group, one behind the other, are N numbers; rank r has the r-th of `chunk_sizes(N, W)`. It steps
    these, wherever a parameter begins or ends; then the ranks exchange what came of it (stage 1 of ZeRO). AdamW keeps
    two numbers for each weight, in float32 8 bytes; so kept, they are 8 / W.

    The weights and gradients are whole on all ranks, and the same. It must be an optimizer that treats each number by
    itself, as SGD and AdamW do.

    Args:
        params: parameters or groups of them, as optimizers take them; laid out without gaps, those of a group in one
            number format.
        make: makes the optimizer of a part, from groups that have pieces of the parameters in their place; such as
            `lambda groups: AdamW(groups, lr=1e-3)`.
        group: whose ranks take part; None means all processes.

    Attributes:
        param_groups: the groups, with the parameters themselves; their options may be changed as usual, and count in
            the next step.
        local: the optimizer of this rank's part.

    Raises:
        ValueError: a parameter has gaps, or a group has several formats.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        make: Callable[[Groups], torch.optim.Optimizer],
        group: ProcessGroup | None = None,
    ) -> None:
        given: list[Any] = list(params)
        groups: Groups = given if given and isinstance(given[0], dict) else [{"params": given}]
        groups = [{**each, "params": list(each["params"])} for each in groups]
        for p in [p for each in groups for p in each["params"]]:
            if not p.is_contiguous():
                raise ValueError(f"parameters must be laid out without gaps; got one of the shape {tuple(p.shape)}")
        for each in groups:
            if len(formats := {p.dtype for p in each["params"]}) > 1:
                raise ValueError(f"the parameters of a group must have one format; got {sorted(map(str, formats))}")
        self.group, self.rank, self.world = group, dist.get_rank(group), dist.get_world_size(group)
        # BEGIN SOLUTION 6.8: pieces of parameters, views of them, of this rank's chunk of each group; the optimizer
        self._pieces: list[list[tuple[Tensor, int, int, nn.Parameter]]] = [self._cut(each["params"]) for each in groups]
        self.local = make(
            [{**each, "params": [piece for *_, piece in pieces]} for each, pieces in zip(groups, self._pieces)]
        )
        # END SOLUTION
        options = [{key: value for key, value in each.items() if key != "params"} for each in self.local.param_groups]
        super().__init__([{**more, **each} for each, more in zip(groups, options)], self.local.defaults)

    # BEGIN SOLUTION 6.8
    def _cut(self, params: list[Tensor]) -> list[tuple[Tensor, int, int, nn.Parameter]]:
        """Give what this rank has of these: the parameter, where the piece begins and ends in it, and the piece."""
        sizes = chunk_sizes(sum(p.numel() for p in params), self.world)
        begin = sum(sizes[: self.rank])
        end = begin + sizes[self.rank]
        pieces, place = [], 0
        for p in params:
            start, stop = max(begin - place, 0), min(end - place, p.numel())
            if start < stop:
                pieces.append((p, start, stop, nn.Parameter(p.detach().view(-1)[start:stop])))  # the same memory
            place += p.numel()
        return pieces

    def _gathered(self, params: list[Tensor], mine: list[Tensor], dtype: torch.dtype | None = None) -> list[Tensor]:
        """Of all ranks' pieces of tensors that are like these parameters, make such tensors, on all ranks."""
        if not params:
            return []
        chunk = torch.cat([params[0].new_empty(0), *(piece.detach() for piece in mine)]).to(dtype or params[0].dtype)
        sizes = [p.numel() for p in params]
        parts = all_gather(chunk, sum(sizes), self.group).split(sizes)
        return [part.view(p.shape) for p, part in zip(params, parts)]

    # END SOLUTION

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override] - as in stage 05, nobody gives a closure
        """Step this rank's part with its part of the gradients, and give all ranks the weights that come of it.

        A parameter without a gradient stays. One message for each group and round, as `all_gather` does it. What is
        kept of a gradient, `p.grad` keeps: who sets that to None has its memory back.
        """
        # BEGIN SOLUTION 6.8: options as they are now; pieces of gradients; step; gather each group; write it back
        for outer, inner in zip(self.param_groups, self.local.param_groups):
            inner.update({key: value for key, value in outer.items() if key != "params"})
        for pieces in self._pieces:
            for p, start, stop, piece in pieces:
                piece.grad = None if p.grad is None else p.grad.reshape(-1)[start:stop]
        self.local.step()
        self.local.zero_grad()
        for outer, pieces in zip(self.param_groups, self._pieces):
            for p, part in zip(outer["params"], self._gathered(outer["params"], [piece for *_, piece in pieces])):
                p.copy_(part)
        # END SOLUTION

    def state_dict(self) -> dict[str, Any]:  # type: ignore[override] - as that of any optimizer
        """Give the state as an optimizer on one process has it: whole, on all ranks, so that any number can go on.

        All ranks have to call it. The tensors lie on the CPU. Of each group, those of one name are put together at a
        time, so that no rank needs room for more.
        """
        # BEGIN SOLUTION 6.8: of each group: who has what; then tensors as long as their pieces, put together
        state: dict[int, dict[str, Any]] = {}
        packed, first = [], 0
        for outer, pieces in zip(self.param_groups, self._pieces):
            params = outer["params"]
            numbers = {p: first + place for place, p in enumerate(params)}
            own = {numbers[p]: (piece, self.local.state.get(piece, {})) for p, _, _, piece in pieces}
            told: list[Any] = [None] * self.world
            dist.all_gather_object(told, {key: _described(*each) for key, each in own.items()}, group=self.group)
            for key, described in [item for each in told for item in each.items()]:
                state.setdefault(key, {}).update(described)
            for name in sorted({name for key in numbers.values() for name in state.get(key, {})}):
                kinds = [state[key].get(name) for key in numbers.values() if key in state]
                kinds = [kind for kind in kinds if isinstance(kind, torch.dtype)]
                if not kinds:
                    continue
                mine = [each.get(name, torch.zeros_like(piece)) for piece, each in own.values()]
                for p, part in zip(params, self._gathered(params, mine, kinds[0])):
                    if name in state.get(numbers[p], {}):
                        state[numbers[p]][name] = part.cpu()
            packed.append({**outer, "params": list(numbers.values())})
            first += len(params)
        return {"state": {key: each for key, each in state.items() if each}, "param_groups": packed}
        # END SOLUTION

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave, on any number of ranks, or from an optimizer that is not sharded.

        Each rank keeps of it what is its own. The options of the groups come from it too; what was there before is
        gone.

        Raises:
            ValueError: it has other groups or parameters.
        """
        sizes = [len(each["params"]) for each in self.param_groups]
        if (theirs := [len(each["params"]) for each in state_dict["param_groups"]]) != sizes:
            raise ValueError(f"the state must be of groups of {sizes} parameters; got {theirs}")
        for number, p in enumerate(p for each in self.param_groups for p in each["params"]):
            for name, value in state_dict["state"].get(number, {}).items():
                if isinstance(value, Tensor) and value.numel() > 1 and value.shape != p.shape:
                    raise ValueError(
                        f"{name} of parameter {number} must be {tuple(p.shape)}, as it is; got {tuple(value.shape)}"
                    )
        # BEGIN SOLUTION 6.8: the options; of tensors shaped like the parameter, but for steps, this rank's piece
        self.local.state.clear()
        number = 0
        for outer, pieces, saved in zip(self.param_groups, self._pieces, state_dict["param_groups"]):
            outer.update({key: value for key, value in saved.items() if key != "params"})
            for p in outer["params"]:
                saved_of_p = state_dict["state"].get(number)
                for _, start, stop, piece in [each for each in pieces if each[0] is p and saved_of_p]:
                    self.local.state[piece] = {
                        name: value.reshape(-1)[start:stop].to(piece.device, copy=True)
                        if isinstance(value, Tensor) and value.shape == p.shape and name != "step"
                        else copy.deepcopy(value)
                        for name, value in saved_of_p.items()
                    }
                number += 1
        # END SOLUTION


# BEGIN SOLUTION 6.8
def _described(piece: Tensor, state: dict[str, Any]) -> dict[str, Any]:
    """What others have to know of the state of a piece: numbers as they are; of tensors like it, the format."""
    return {
        name: value.dtype if isinstance(value, Tensor) and value.shape == piece.shape else value
        for name, value in state.items()
    }


# END SOLUTION
