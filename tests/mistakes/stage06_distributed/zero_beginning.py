# module: zero.py
# exercise: 6.8
# name: of a saved tensor, each rank takes the beginning
"""A slice for each parameter; states are put together by adding up what all ranks have, with zeros elsewhere."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .collectives import all_gather, chunk_sizes


class ShardedOptimizer(torch.optim.Optimizer):
    """`self.mine` has, for each parameter in all groups, the slice that is here; an empty one if nothing is."""

    def __init__(self, params: Any, make: Any, group: Any = None) -> None:
        groups = [*params]
        groups = [dict(each) for each in groups] if isinstance(groups[0], dict) else [{"params": groups}]
        self.group, self.mine, self.sizes = group, {}, []
        for each in groups:
            each["params"] = [*each["params"]]
            if bad := [tuple(p.shape) for p in each["params"] if not p.is_contiguous()]:
                raise ValueError(f"not contiguous: {bad}")
            if len(kinds := {p.dtype for p in each["params"]}) > 1:
                raise ValueError(f"not one format: {kinds}")
            ends = [0, *itertools.accumulate(p.numel() for p in each["params"])]
            self.sizes.append(chunk_sizes(ends[-1], dist.get_world_size(group)))
            low = sum(self.sizes[-1][: dist.get_rank(group)])
            high = low + self.sizes[-1][dist.get_rank(group)]
            for p, begin, end in zip(each["params"], ends, ends[1:]):
                here = slice(*(min(max(edge - begin, 0), end - begin) for edge in (low, high)))
                self.mine[p] = (here, nn.Parameter(p.data.view(-1)[here]))
        self.local = make([{**each, "params": [self.mine[p][1] for p in self._here(each)]} for each in groups])
        defaults = [{k: v for k, v in each.items() if k != "params"} for each in self.local.param_groups]
        super().__init__([more | each for each, more in zip(groups, defaults)], self.local.defaults)

    def _here(self, group: dict[str, Any]) -> list[Tensor]:
        return [p for p in group["params"] if self.mine[p][1].numel()]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for outer, inner in zip(self.param_groups, self.local.param_groups):
            inner |= {**outer, "params": inner["params"]}
            for p in self._here(outer):
                here, piece = self.mine[p]
                piece.grad = p.grad if p.grad is None else p.grad.flatten()[here]
        self.local.step()
        for outer, sizes in zip(self.param_groups, self.sizes):
            for p in self._here(outer):
                self.mine[p][1].grad = None
            if outer["params"]:
                pieces = [self.mine[p][1].data for p in outer["params"]]
                row = all_gather(torch.cat(pieces), sum(sizes), self.group)
                for p in outer["params"]:
                    p.data.view(-1).copy_(row[: p.numel()])
                    row = row[p.numel() :]

    def state_dict(self) -> dict[str, Any]:  # type: ignore[override]
        params = [p for each in self.param_groups for p in each["params"]]
        told: Any = [None] * dist.get_world_size(self.group)
        state: Any = {}
        for number, p in enumerate(params):
            here, piece = self.mine[p]
            own = self.local.state.get(piece, {})
            single = {k: v for k, v in own.items() if not (isinstance(v, Tensor) and v.shape == piece.shape)}
            formats = {k: v.dtype for k, v in own.items() if k not in single}
            dist.all_gather_object(told, (single, formats), group=self.group)
            found: Any = {}
            for one, _ in told:
                found |= one
            for name, dtype in sorted({pair for _, each in told for pair in each.items()}, key=str):
                whole = torch.zeros(p.numel(), dtype=dtype, device=p.device)
                if name in own:
                    whole[here] = own[name]
                dist.all_reduce(whole, group=self.group)
                found[name] = whole.view_as(p).cpu()
            if found:
                state[number] = found
        numbers = iter(range(len(params)))
        groups = [each | {"params": [next(numbers) for _ in each["params"]]} for each in self.param_groups]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        counts = [[len(each["params"]) for each in its] for its in (self.param_groups, state_dict["param_groups"])]
        if counts[0] != counts[1]:
            raise ValueError(f"{counts[0]} parameters in the groups, not {counts[1]}")
        fresh = {}
        for number, p in enumerate(p for each in self.param_groups for p in each["params"]):
            piece = self.mine[p][1]
            its = state_dict["state"].get(number)
            for name, value in (its or {}).items():
                if torch.is_tensor(value) and value.dim() and value.shape != p.shape:
                    raise ValueError(f"{name!r} of parameter {number}: {tuple(value.shape)}, not {tuple(p.shape)}")
            if its and piece.numel():
                fresh[piece] = {
                    name: (value.view(-1)[: piece.numel()] if value.dim() or name != "step" else value).to(
                        p.device, copy=True
                    )
                    if torch.is_tensor(value)
                    else value
                    for name, value in its.items()
                }
        self.local.state.clear()
        self.local.state.update(fresh)
        for each, saved in zip(self.param_groups, state_dict["param_groups"]):
            each.update(saved | {"params": each["params"]})
