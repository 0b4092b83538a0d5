"""Checkpoints, step by step, with a temporary file of the library's making and lists of numbers."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import random
import tempfile
from pathlib import Path

import numpy as np
import torch

MAGIC = b"CHECKPOINT\n"


class CheckpointError(ValueError):
    """No checkpoint, or a damaged one, or one that does not fit."""


def save_checkpoint(path, state):
    buffer = io.BytesIO()
    torch.save({key: value for key, value in state.items()}, buffer)
    content = buffer.getvalue()
    digest = hashlib.new("sha256", content).hexdigest()
    folder = os.path.dirname(os.path.abspath(path))
    handle, name = tempfile.mkstemp(dir=folder, suffix=".new")
    try:
        file = os.fdopen(handle, "wb", buffering=0)
        try:
            for part in (MAGIC, digest.encode("ascii"), b"\n", content):
                rest = memoryview(part)
                while rest:
                    rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        finally:
            file.close()
        os.rename(name, path)
    except BaseException:
        os.remove(name)
        raise


def load_checkpoint(path, map_location="cpu"):
    with open(path, "rb") as file:
        first = file.readline(100)
        if first != MAGIC:
            raise CheckpointError(f"no checkpoint: {path}")
        second = file.readline(100)
        content = file.read()
    if second != hashlib.sha256(content).hexdigest().encode("ascii") + b"\n":
        raise CheckpointError(f"damaged: {path}")
    try:
        return torch.load(io.BytesIO(content), map_location=map_location, weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"not only data: {path} ({type(error).__name__})") from error


def plain_name(name):
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def copied(value):
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [copied(each) for each in value]
    if isinstance(value, tuple):
        return tuple(copied(each) for each in value)
    return value


def capture(model, optimizer=None, loader=None, **more):
    weights = {}
    for name, value in model.state_dict().items():
        weights[plain_name(name)] = value.detach().clone()
    numpy_state = np.random.get_state(legacy=False)
    states = {
        "python": list(random.getstate()[1]),
        "version": random.getstate()[0],
        "normal": random.getstate()[2],
        "numpy": {
            "bit_generator": numpy_state["bit_generator"],
            "state": {"key": numpy_state["state"]["key"].tolist(), "pos": int(numpy_state["state"]["pos"])},
            "has_gauss": int(numpy_state["has_gauss"]),
            "gauss": float(numpy_state["gauss"]),
        },
        "torch": torch.default_generator.get_state(),
        "cuda": [torch.cuda.get_rng_state(i) for i in range(torch.cuda.device_count())],
    }
    found = copied(more)
    found["model"] = weights
    found["optimizer"] = None if optimizer is None else copied(optimizer.state_dict())
    found["loader"] = None if loader is None else copied(loader.state_dict())
    found["random"] = states
    if optimizer is None:
        del found["optimizer"]
    if loader is None:
        del found["loader"]
    return found


def restore(state, model, optimizer=None, loader=None):
    for name, part in (("model", model), ("optimizer", optimizer), ("loader", loader), ("random", True)):
        if part is not None and state.get(name) is None:
            raise CheckpointError(f"there is no {name} in the checkpoint")
    weights = dict(state["model"])
    ready = {}
    for own, value in model.state_dict().items():
        name = plain_name(own)
        if name not in weights:
            raise CheckpointError(f"{name} {list(value.shape)} is not in the checkpoint")
        new = weights.pop(name)
        if new.shape != value.shape:
            raise CheckpointError(f"{name} is {list(new.shape)}, and {list(value.shape)} in the model")
        ready[own] = new
    for name, value in weights.items():
        raise CheckpointError(f"{name} {list(value.shape)} is not in the model")
    model.load_state_dict(ready)
    if optimizer is not None:
        optimizer.load_state_dict(copied(state["optimizer"]))
    if loader is not None:
        loader.load_state_dict(copied(state["loader"]))
    states = state["random"]
    random.setstate((states["version"], tuple(states["python"]), states["normal"]))
    numpy_state = dict(states["numpy"])
    key = np.array(numpy_state["state"]["key"], dtype=np.uint32)
    np.random.set_state({**numpy_state, "state": {"key": key, "pos": numpy_state["state"]["pos"]}})
    torch.default_generator.set_state(states["torch"].cpu())
    for i, each in enumerate(states["cuda"]):
        torch.cuda.set_rng_state(each.cpu(), i)


def checkpoint_path(folder, step):
    return Path(folder) / f"step-{step:08d}.ckpt"


def checkpoints(folder):
    found = []
    for path in Path(folder).glob("step-*.ckpt"):
        number = path.name[len("step-") : -len(".ckpt")]
        if number.isdecimal():
            found.append((int(number), path))
    return [path for _, path in sorted(found)]


def latest_checkpoint(folder):
    paths = checkpoints(folder)
    while paths:
        path = paths.pop()
        try:
            state = load_checkpoint(path)
        except CheckpointError:
            continue
        return path, state
    return None


def prune_checkpoints(folder, keep):
    paths = checkpoints(folder)
    for path in paths[: max(len(paths) - keep, 0)]:
        path.unlink(missing_ok=True)
