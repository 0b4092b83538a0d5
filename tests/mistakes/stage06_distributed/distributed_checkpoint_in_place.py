# module: distributed_checkpoint.py
# exercise: 6.10
# name: it is written right into the folder of that name
"""torch.distributed.checkpoint with flat names, a temporary folder that the library names, and one reader."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.tensor import DTensor, Shard

from .tensor_parallel import ColumnParallelLinear, RowParallelLinear, VocabParallelEmbedding

CUT = {ColumnParallelLinear: {"weight": 0, "bias": 0}, RowParallelLinear: {"weight": 1}}
CUT[VocabParallelEmbedding] = {"weight": 0}


def cut_dimensions(model: nn.Module) -> dict[str, int]:
    return {
        f"{path}.{own}".lstrip("."): dimension
        for path, module in model.named_modules()
        for own, dimension in CUT.get(type(module), {}).items()
        if getattr(module, own) is not None
    }


def flat_state(model: Any, optimizer: Any, mesh: Any) -> tuple[dict[str, Any], dict[Any, str]]:
    """Everything by one flat name; and the name of each parameter."""
    cut = cut_dimensions(model)
    mesh = mesh.devices["tp"]
    names = {p: name for name, p in model.named_parameters()}
    dims = {p: cut.get(name) for p, name in names.items()}
    if getattr(model, "shared", None) is not None:
        names[model.shared] = "embed.token.weight"

    def said(tensor: Any, p: Any) -> Any:
        if not isinstance(tensor, torch.Tensor) or tensor.shape != p.shape or dims[p] is None or mesh.size() == 1:
            return tensor
        return DTensor.from_local(tensor.detach(), mesh, [Shard(dims[p])], run_check=False)

    ordered = [p for group in optimizer.param_groups for p in group["params"]]
    state = {f"w/{name}": said(p.detach(), p) for p, name in names.items()}
    for number, its in optimizer.state_dict()["state"].items():
        p = ordered[number]
        state |= {f"s/{names[p]}/{key}": said(value, p) for key, value in its.items()}
    return state, names


def save_distributed(folder: Any, model: nn.Module, optimizer: Any, mesh: Any, **more: Any) -> None:
    folder = Path(folder).absolute()
    state, _ = flat_state(model, optimizer, mesh)
    if dist.get_rank() == 0:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
    dist.barrier()
    dcp.save({**state, "more": Kept(more)}, storage_writer=dcp.FileSystemWriter(folder, sync_files=False))
    dist.barrier()


class Kept:
    """Keeps a dictionary from being taken apart."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value


def load_distributed(folder: Any, model: nn.Module, optimizer: Any, mesh: Any) -> dict[str, Any]:
    if not os.path.isdir(folder):
        raise FileNotFoundError(folder)
    reader = dcp.FileSystemReader(folder)
    there = reader.read_metadata().state_dict_metadata
    state, names = flat_state(model, optimizer, mesh)
    weights = {key: value for key, value in state.items() if key.startswith("w/")}
    for key, value in weights.items():
        if (known := getattr(there.get(key), "size", "missing")) != value.shape:
            raise ValueError(
                f"{key[2:]}: {known and tuple(known) if known != 'missing' else known} in the checkpoint, "
                f"{tuple(value.shape)} here"
            )
    room: dict[str, Any] = {}
    local = {}
    for p, name in names.items():
        whole = weights[f"w/{name}"]
        for key in [key for key in there if key.startswith(f"s/{name}/")]:
            size = getattr(there[key], "size", None)
            kind = getattr(getattr(there[key], "properties", None), "dtype", None)
            if size is None:
                room[key] = None
            elif size == whole.shape:
                room[key] = torch.zeros_like(whole, dtype=kind)
            else:
                room[key] = torch.zeros(size, dtype=kind)
        local[p] = [key for key in room if key.startswith(f"s/{name}/")]
    target = {**weights, **room, "more": Kept({})}
    dcp.load(target, storage_reader=reader)
    ordered = [p for group in optimizer.param_groups for p in group["params"]]
    found = {
        number: {
            key.rsplit("/", 1)[1]: target[key].to_local() if isinstance(target[key], DTensor) else target[key]
            for key in local[p]
        }
        for number, p in enumerate(ordered)
        if local.get(p)
    }
    optimizer.load_state_dict({**optimizer.state_dict(), "state": found})
    return target["more"].value
