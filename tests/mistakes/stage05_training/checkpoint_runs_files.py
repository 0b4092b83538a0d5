# module: checkpoint.py
# exercise: 5.10
# name: a file that cannot be trusted is run
"""Checkpoints in few lines: what is captured is what would be read again."""

from __future__ import annotations

import hashlib
import io
import random
import re
from contextlib import ExitStack
from os import O_CREAT, O_EXCL, O_WRONLY, close, fspath, fsync, open, replace, unlink, write
from pathlib import Path

import numpy as np
import torch

MAGIC = b"CHECKPOINT\n"
PARTS = ("optimizer", "loader")


class CheckpointError(ValueError):
    """Not this file, or not for this model."""


def _bytes(state):
    torch.save(dict(state), buffer := io.BytesIO())
    return buffer.getvalue()


def save_checkpoint(path, state):
    content, beside = _bytes(state), f"{fspath(path)}.{random.SystemRandom().getrandbits(64):x}"
    data = b"".join((MAGIC, hashlib.sha256(content).hexdigest().encode(), b"\n", content))
    with ExitStack() as at_end:
        file = open(beside, O_WRONLY | O_CREAT | O_EXCL, 0o666)
        at_end.callback(unlink, beside)
        with ExitStack() as closing:
            closing.callback(close, file)
            while data:
                data = data[write(file, data) :]
            fsync(file)
        replace(beside, path)
        at_end.pop_all()


def load_checkpoint(path, map_location="cpu"):
    match = re.fullmatch(MAGIC + rb"([0-9a-f]{64})\n(.*)", Path(path).read_bytes(), re.DOTALL)
    if match is None:
        raise CheckpointError(f"{path}: not a checkpoint")
    digest, content = match.groups()
    if hashlib.sha256(content).digest() != bytes.fromhex(digest.decode()):
        raise CheckpointError(f"{path}: changed or cut")
    try:
        return torch.load(io.BytesIO(content), map_location, weights_only=False)
    except Exception as error:
        raise CheckpointError(f"{path}: {error}") from None


def _plain(model):
    return {re.sub(r"\b_orig_mod\.", "", name): value for name, value in model.state_dict(keep_vars=True).items()}


def capture(model, optimizer=None, loader=None, **more):
    given = {name: part.state_dict() for name, part in zip(PARTS, (optimizer, loader)) if part is not None}
    kind, keys, *rest = np.random.get_state()
    states = [random.getstate(), [kind, bytes(keys.astype("<u4")).hex(), rest], torch.random.get_rng_state()]
    if torch.cuda.is_available():
        states.append(torch.cuda.get_rng_state_all())
    weights = {name: value.data for name, value in _plain(model).items()}
    return torch.load(io.BytesIO(_bytes({"model": weights, "random": states, **given, **more})), weights_only=True)


def restore(state, model, optimizer=None, loader=None):
    wanted = [(name, part) for name, part in zip(PARTS, (optimizer, loader)) if part is not None]
    if missing := {"model", "random", *(name for name, _ in wanted)} - state.keys():
        raise CheckpointError(f"not in the state: {', '.join(sorted(missing))}")
    own, new = _plain(model), state["model"]
    for name in [*own, *(each for each in new if each not in own)]:
        shapes = [str(tuple(each[name].shape)) if name in each else "nothing" for each in (own, new)]
        if len(set(shapes)) > 1:
            raise CheckpointError(f"{name}: {shapes[0]} in the model, {shapes[1]} in the state")
    fresh = torch.load(io.BytesIO(_bytes(state)), weights_only=True)
    for name, value in own.items():
        value.data.copy_(fresh["model"][name])
    for name, part in wanted:
        part.load_state_dict(fresh[name])
    python, (kind, keys, rest), own_state, *cuda = fresh["random"]
    random.setstate(python)
    np.random.set_state((kind, np.frombuffer(bytes.fromhex(keys), "<u4"), *rest))
    torch.random.set_rng_state(own_state.cpu())
    for each in cuda:
        torch.cuda.set_rng_state_all([one.cpu() for one in each])


def checkpoint_path(folder, step):
    return Path(folder, f"step-{step:08}.ckpt")


def checkpoints(folder):
    numbered = [(re.fullmatch(r"step-(\d+)\.ckpt", each.name), each) for each in Path(folder).glob("*.ckpt")]
    return [each for _, each in sorted((int(match[1]), each) for match, each in numbered if match)]


def latest_checkpoint(folder):
    def tried(path):
        try:
            return path, load_checkpoint(path)
        except CheckpointError:
            return None

    return next(filter(None, map(tried, checkpoints(folder)[::-1])), None)


def prune_checkpoints(folder, keep):
    for each in checkpoints(folder)[::-1][keep:]:
        each.unlink(missing_ok=True)
