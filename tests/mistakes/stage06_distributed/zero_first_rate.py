# module: zero.py
# exercise: 6.8
# name: a changed lr does not reach the local optimizer
"""Copies of the pieces, filled before each step; torch's own all_gather, of shares filled up to one length."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Piece:
    """What a rank has of a parameter."""

    def __init__(self, p: Tensor, number: int, start: int, stop: int, place: int) -> None:
        self.p, self.number, self.start, self.stop = p, number, start, stop
        self.place = place  # in this rank's share of the group
        self.own = nn.Parameter(torch.empty(stop - start, dtype=p.dtype, device=p.device))
        self.fill()

    def fill(self) -> None:
        with torch.no_grad():
            self.own.copy_(self.p.detach().flatten()[self.start : self.stop])


class ShardedOptimizer(torch.optim.Optimizer):
    def __init__(self, params: Any, make: Any, group: Any = None) -> None:
        self.process_group = group
        self.rank = dist.get_rank(group)
        self.world = dist.get_world_size(group)
        params = list(params)
        if len(params) > 0 and isinstance(params[0], dict):
            groups = []
            for each in params:
                one = dict(each)
                one["params"] = list(each["params"])
                groups.append(one)
        else:
            groups = [{"params": params}]
        self.pieces: list[list[Piece]] = []
        self.shares: list[int] = []
        inner = []
        number = 0
        for one in groups:
            formats = set()
            total = 0
            for p in one["params"]:
                if not p.is_contiguous():
                    raise ValueError(f"gaps in a parameter {tuple(p.shape)}")
                formats.add(p.dtype)
                total += p.numel()
            if len(formats) > 1:
                raise ValueError(f"several formats in a group: {formats}")
            share = (total + self.world - 1) // self.world
            self.shares.append(share)
            pieces = []
            first = share * self.rank
            before = 0
            for p in one["params"]:
                start = max(0, first - before)
                stop = min(p.numel(), first + share - before)
                if stop > start:
                    pieces.append(Piece(p, number, start, stop, before + start - first))
                before += p.numel()
                number += 1
            self.pieces.append(pieces)
            local_group = dict(one)
            local_group["params"] = [piece.own for piece in pieces]
            inner.append(local_group)
        self.local = make(inner)
        for one, made in zip(groups, self.local.param_groups):
            for key in made:
                if key not in one:
                    one[key] = made[key]
        super().__init__(groups, self.local.defaults)

    def everywhere(self, index: int, mine: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
        """One tensor for each parameter of a group, of pieces that ranks have in the order of their pieces."""
        params = self.param_groups[index]["params"]
        if len(params) == 0:
            return []
        share = torch.zeros(self.shares[index], dtype=dtype, device=params[0].device)
        for piece, its in zip(self.pieces[index], mine):
            share[piece.place : piece.place + its.numel()] = its.detach()
        shares = []
        for _ in range(self.world):
            shares.append(torch.zeros_like(share))
        dist.all_gather(shares, share, group=self.process_group)
        row = torch.cat(shares)
        found = []
        place = 0
        for p in params:
            found.append(row[place : place + p.numel()].reshape(p.shape).clone())
            place += p.numel()
        return found

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for index in range(len(self.param_groups)):
            for piece in self.pieces[index]:
                piece.fill()
                if piece.p.grad is not None:
                    piece.own.grad = piece.p.grad.flatten()[piece.start : piece.stop].clone()
                else:
                    piece.own.grad = None
        self.local.step()
        for index, one in enumerate(self.param_groups):
            if one["params"]:
                own = [piece.own for piece in self.pieces[index]]
                for p, new in zip(one["params"], self.everywhere(index, own, one["params"][0].dtype)):
                    p.copy_(new)
        for pieces in self.pieces:
            for piece in pieces:
                piece.own.grad = None

    def state_dict(self) -> dict[str, Any]:  # type: ignore[override]
        mine: dict[int, dict[str, Any]] = {}
        for pieces in self.pieces:
            for piece in pieces:
                for name, value in self.local.state.get(piece.own, {}).items():
                    like = isinstance(value, Tensor) and value.dim() > 0
                    mine.setdefault(piece.number, {})[name] = ("like", value.dtype) if like else ("single", value)
        told: list[Any] = [None for _ in range(self.world)]
        dist.all_gather_object(told, mine, group=self.process_group)
        known: dict[int, dict[str, Any]] = {}
        for each in told:
            for number, its in each.items():
                known.setdefault(number, {}).update(its)
        state: dict[int, dict[str, Any]] = {number: {} for number in sorted(known)}
        for number, its in known.items():
            for name, (kind, value) in its.items():
                if kind == "single":
                    state[number][name] = value
        packed = []
        number = 0
        for index, one in enumerate(self.param_groups):
            places = list(range(number, number + len(one["params"])))
            number += len(places)
            found: dict[str, torch.dtype] = {}
            for place in places:
                for name, (kind, value) in known.get(place, {}).items():
                    if kind == "like":
                        found[name] = value
            for name in sorted(found):
                tensors = []
                for piece in self.pieces[index]:
                    value = self.local.state.get(piece.own, {}).get(name)
                    tensors.append(torch.zeros_like(piece.own) if value is None else value)
                for place, whole in zip(places, self.everywhere(index, tensors, found[name])):
                    if name in known.get(place, {}):
                        state[place][name] = whole.cpu()
            packed.append({**{key: one[key] for key in one if key != "params"}, "params": places})
        return {"state": state, "param_groups": packed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        ours = [len(one["params"]) for one in self.param_groups]
        theirs = [len(one["params"]) for one in state_dict["param_groups"]]
        if ours != theirs:
            raise ValueError(f"groups of {theirs} parameters do not fit groups of {ours}")
        params = [p for one in self.param_groups for p in one["params"]]
        for number, its in state_dict["state"].items():
            for name, value in its.items():
                if isinstance(value, Tensor) and value.numel() != 1 and value.shape != params[number].shape:
                    raise ValueError(f"{name} is {tuple(value.shape)}, the parameter {tuple(params[number].shape)}")
        for one, saved in zip(self.param_groups, state_dict["param_groups"]):
            for key in saved:
                if key != "params":
                    one[key] = saved[key]
        for pieces in self.pieces:
            for piece in pieces:
                self.local.state.pop(piece.own, None)
                its = state_dict["state"].get(piece.number)
                if its is None:
                    continue
                fresh = {}
                for name, value in its.items():
                    if name != "step" and isinstance(value, Tensor) and value.shape == piece.p.shape:
                        fresh[name] = value.flatten()[piece.start : piece.stop].clone().to(piece.own.device)
                    else:
                        fresh[name] = copy.deepcopy(value)
                self.local.state[piece.own] = fresh
