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
        # TODO 6.8: pieces of parameters, views of them, of this rank's chunk of each group; the optimizer
        raise NotImplementedError(
            "6.8 ShardedOptimizer.__init__: pieces of parameters, views of them, of this rank's chunk of each group; "
            "the optimizer; "
            "hint: python -m bootcamp hint 6.8"
        )
        options = [{key: value for key, value in each.items() if key != "params"} for each in self.local.param_groups]
        super().__init__([{**more, **each} for each, more in zip(groups, options)], self.local.defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override] - as in stage 05, nobody gives a closure
        """Step this rank's part with its part of the gradients, and give all ranks the weights that come of it.

        A parameter without a gradient stays. One message for each group and round, as `all_gather` does it. What is
        kept of a gradient, `p.grad` keeps: who sets that to None has its memory back.
        """
        # TODO 6.8: options as they are now; pieces of gradients; step; gather each group; write it back
        raise NotImplementedError(
            "6.8 ShardedOptimizer.step: options as they are now; pieces of gradients; step; gather each group; write "
            "it back; "
            "hint: python -m bootcamp hint 6.8"
        )

    def state_dict(self) -> dict[str, Any]:  # type: ignore[override] - as that of any optimizer
        """Give the state as an optimizer on one process has it: whole, on all ranks, so that any number can go on.

        All ranks have to call it. The tensors lie on the CPU. Of each group, those of one name are put together at a
        time, so that no rank needs room for more.
        """
        # TODO 6.8: of each group: who has what; then tensors as long as their pieces, put together
        raise NotImplementedError(
            "6.8 ShardedOptimizer.state_dict: of each group: who has what; then tensors as long as their pieces, put "
            "together; "
            "hint: python -m bootcamp hint 6.8"
        )

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
        # TODO 6.8: the options; of tensors shaped like the parameter, but for steps, this rank's piece
        raise NotImplementedError(
            "6.8 ShardedOptimizer.load_state_dict: the options; of tensors shaped like the parameter, but for steps, "
            "this rank's piece; "
            "hint: python -m bootcamp hint 6.8"
        )
