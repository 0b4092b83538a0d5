"""6.10 · Checkpoints of many processes: each writes what it has, and any other number of them can go on.

Written and read by `torch.distributed.checkpoint`, which needs to know of each tensor which part of which whole it is.
"""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor, Shard

from .mesh import Mesh
from .pipeline import PipelineStage
from .tensor_parallel import ColumnParallelLinear, RowParallelLinear, VocabParallelEmbedding

StrPath = str | os.PathLike[str]


def cut_dimensions(model: nn.Module) -> dict[str, int]:
    """Say which parameters are parts of larger ones, and along which dimension they were cut.

    Args:
        model: what `tensor_parallel` gave, or a part of it.

    Returns:
        By the name of the parameter: 0 for the weights and biases of column-parallel layers and for token tables, 1 for
        the weights of row-parallel layers. What is not there is whole.
    """
    # TODO 6.10: go through the modules with their names; a module's own parameters
    raise NotImplementedError(
        "6.10 cut_dimensions: go through the modules with their names; a module's own parameters; "
        "hint: python -m bootcamp hint 6.10"
    )


def save_distributed(
    folder: StrPath, model: nn.Module, optimizer: torch.optim.Optimizer, mesh: Mesh, **more: Any
) -> None:
    """Write a checkpoint, all ranks together, each its part; when it returns, the folder is whole.

    Until everybody has written, the folder has another name: a run that is killed on the way leaves no folder of this
    name, or the one that was there before. That one is deleted last, when the new one has its name; what a killed run
    has left is cleared away.

    What many ranks have alike is written once, and no weights travel to other ranks.

    Args:
        folder: what is there already is replaced.
        model: this rank's part; its parameters have the names that they have in the whole model.
        optimizer: of these parameters; what `state_dict()` gives of each is as large as the parameter here.
        mesh: who takes part.
        more: what else is to be kept, the same on all ranks; such as step=500.
    """
    folder = Path(folder)
    beside, before = folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.old")
    state = {**described(model, optimizer, mesh), "more": pickle.dumps(more)}  # one piece, whatever it holds
    # TODO 6.10: one rank removes what was left; all save; one changes the names and deletes; all wait for it
    raise NotImplementedError(
        "6.10 save_distributed: one rank removes what was left; all save; one changes the names and deletes; all wait "
        "for it; "
        "hint: python -m bootcamp hint 6.10"
    )


def load_distributed(folder: StrPath, model: nn.Module, optimizer: torch.optim.Optimizer, mesh: Mesh) -> dict[str, Any]:
    """Go on from a checkpoint that any number of processes in any layout has written, each rank with its part.

    Options of the optimizer's groups, such as lr, are not in it, and stay.

    Args:
        folder: what `save_distributed` wrote.
        model, optimizer: are written over.
        mesh: who takes part now.

    Returns:
        What `more` was.

    Raises:
        ValueError: it is of another model: a parameter is missing, or has another shape (it and the shapes are named).
            Nothing is changed then.
        FileNotFoundError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no checkpoint {folder}")
    there = FileSystemReader(folder).read_metadata().state_dict_metadata
    state = described(model, optimizer, mesh)
    # TODO 6.10: hold shapes to those there; room for the optimizer's state and for `more`; load
    raise NotImplementedError(
        "6.10 load_distributed: hold shapes to those there; room for the optimizer's state and for `more`; load; "
        "hint: python -m bootcamp hint 6.10"
    )


# -- given: how parts are described --------------------------------------------------------------------------------


def as_part(local: Tensor, dimension: int | None, mesh: Mesh) -> Tensor:
    """Say of a tensor that it is a part of a larger one, cut along a dimension; None: it is whole. (Given.)"""
    if dimension is None or mesh.layout.tp == 1:
        return local.detach()
    return DTensor.from_local(local.detach(), mesh.devices["tp"], [Shard(dimension)], run_check=False)


def names_of(model: nn.Module) -> dict[nn.Parameter, str]:
    """The name of each parameter; of a table that input and output share, that of the input, on any stage. (Given.)"""
    names = {p: name for name, p in model.named_parameters()}
    if isinstance(model, PipelineStage) and model.shared is not None:
        names[model.shared] = "embed.token.weight"
    return names


def cut_by_name(model: nn.Module) -> dict[str, int]:
    """`cut_dimensions`, by the names that `names_of` gives. (Given.)"""
    cut, names = cut_dimensions(model), names_of(model)
    return {names[p]: cut[name] for name, p in model.named_parameters() if name in cut}


def described(model: nn.Module, optimizer: torch.optim.Optimizer, mesh: Mesh) -> dict[str, Any]:
    """Everything that a checkpoint holds of a model and its optimizer, by name, as parts of wholes. (Given.)"""
    names, cut = names_of(model), cut_by_name(model)
    saved = optimizer.state_dict()["state"]
    order = [p for group in optimizer.param_groups for p in group["params"]]
    states = {
        names[p]: {
            key: as_part(value, cut.get(names[p]), mesh)
            if isinstance(value, Tensor) and value.shape == p.shape
            else value
            for key, value in saved[number].items()
        }
        for number, p in enumerate(order)
        if number in saved
    }
    return {"model": {name: as_part(p, cut.get(name), mesh) for p, name in names.items()}, "optimizer": states}


def room_for_optimizer(there: dict[str, Any], model: nn.Module, mesh: Mesh) -> dict[str, dict[str, Any]]:
    """Room for the state that a checkpoint has of this model's parameters, for `load` to write into. (Given.)"""
    cut, room = cut_by_name(model), {}
    for p, name in names_of(model).items():
        whole = as_part(p, cut.get(name), mesh).shape
        keys = {key.removeprefix(f"optimizer.{name}."): key for key in there if key.startswith(f"optimizer.{name}.")}
        if keys:
            room[name] = {}
        for short, key in keys.items():
            saved = there[key]
            if not isinstance(saved, TensorStorageMetadata):
                room[name][short] = None
            elif saved.size == whole:
                like = torch.zeros_like(p, dtype=saved.properties.dtype)
                room[name][short] = as_part(like, cut.get(name), mesh)
            else:
                room[name][short] = torch.zeros(saved.size, dtype=saved.properties.dtype)
    return room


def write_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, states: dict[str, dict[str, Any]]) -> None:
    """Hand the state of each parameter, by name, to the optimizer. (Given.)"""
    names = names_of(model)
    order = [p for group in optimizer.param_groups for p in group["params"]]
    state = {
        number: {
            key: value.to_local() if isinstance(value, DTensor) and not isinstance(p, DTensor) else value
            for key, value in states[names[p]].items()
        }
        for number, p in enumerate(order)
        if names[p] in states
    }
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
