# module: distributed_checkpoint.py
# exercise: 6.10
# name: the other ranks go on before the folder has its name
"""Without torch.distributed.checkpoint: a file for each rank that has something nobody before it has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .tensor_parallel import ColumnParallelLinear, RowParallelLinear, VocabParallelEmbedding


def cut_dimensions(model: nn.Module) -> dict[str, int]:
    found = {}
    for name, module in model.named_modules():
        before = name + "." if name else ""
        if isinstance(module, ColumnParallelLinear):
            found[before + "weight"] = 0
            if module.bias is not None:
                found[before + "bias"] = 0
        if isinstance(module, RowParallelLinear):
            found[before + "weight"] = 1
        if isinstance(module, VocabParallelEmbedding):
            found[before + "weight"] = 0
    return found


def whole_names(model: Any) -> list[tuple[str, Tensor, int | None]]:
    """Each parameter with its name in the whole model, and how it is cut."""
    cut = cut_dimensions(model)
    found = []
    for name, p in model.named_parameters():
        whole = "embed.token.weight" if getattr(model, "shares", False) and p is model.shared else name
        found.append((whole, p, cut.get(name)))
    return found


def states_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Any]]:
    order = [p for group in optimizer.param_groups for p in group["params"]]
    saved = optimizer.state_dict()["state"]
    found = {}
    for name, p, _ in whole_names(model):
        for number in range(len(order)):
            if order[number] is p and number in saved:
                found[name] = saved[number]
    return found


def save_distributed(folder: Any, model: nn.Module, optimizer: torch.optim.Optimizer, mesh: Any, **more: Any) -> None:
    folder = Path(folder)
    working = folder.parent / (folder.name + ".unfinished")
    old = folder.parent / (folder.name + ".outdated")
    states = states_of(model, optimizer)
    if dist.get_rank() == 0:
        if working.exists():
            shutil.rmtree(working)
        os.makedirs(working)
    dist.barrier()
    content = {}
    if mesh.rank("dp") == 0:
        for name, p, dimension in whole_names(model):
            if dimension is None and mesh.rank("tp") > 0:
                continue
            if name == "embed.token.weight" and mesh.rank("pp") > 0:
                continue
            state = {}
            for key, value in states.get(name, {}).items():
                state[key] = value.detach().clone() if isinstance(value, Tensor) else value
            content[name] = {"weight": p.detach().clone(), "state": state, "cut": dimension}
    place = mesh.rank("pp") * 10000 + mesh.rank("tp")
    if content:
        torch.save(content, str(working / f"part-{place:08d}.pt"))
    if dist.get_rank() == 0:
        torch.save(more, str(working / "more.pt"))
    dist.barrier()
    if dist.get_rank() == 0:
        if old.exists():
            shutil.rmtree(old)
        if folder.exists():
            folder.rename(old)
        working.rename(folder)
        if old.exists():
            shutil.rmtree(old)


def load_distributed(folder: Any, model: nn.Module, optimizer: torch.optim.Optimizer, mesh: Any) -> dict[str, Any]:
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    parts: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("part-*.pt")):
        for name, content in torch.load(path, weights_only=False).items():
            parts.setdefault(name, []).append(content)
    rank, world = mesh.rank("tp"), mesh.layout.tp

    def joined(tensors: list[Tensor], dimension: int | None) -> Tensor:
        return tensors[0] if dimension is None else torch.cat(tensors, dimension)

    weights, states = {}, {}
    for name, p, dimension in whole_names(model):
        expected = list(p.shape)
        if dimension is not None:
            expected[dimension] *= world
        if name not in parts:
            raise ValueError(f"{name}, {tuple(expected)}, is not in the checkpoint")
        whole = joined([each["weight"] for each in parts[name]], dimension)
        if list(whole.shape) != expected:
            raise ValueError(f"{name} is {tuple(whole.shape)} in the checkpoint and {tuple(expected)} here")
        weights[name] = whole if dimension is None else whole.chunk(world, dimension)[rank]
        states[name] = {}
        for key, value in parts[name][0]["state"].items():
            if isinstance(value, Tensor) and value.shape == parts[name][0]["weight"].shape and dimension is not None:
                value = joined([each["state"][key] for each in parts[name]], dimension).chunk(world, dimension)[rank]
            states[name][key] = value
    numbers = {}
    for group in optimizer.param_groups:
        for p in group["params"]:
            numbers[p] = len(numbers)
    state = {}
    with torch.no_grad():
        for name, p, _ in whole_names(model):
            p.copy_(weights[name])
            if states[name] and p in numbers:
                state[numbers[p]] = states[name]
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return torch.load(folder / "more.pt", weights_only=False)
