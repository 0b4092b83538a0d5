"""5.10 · Checkpoints: all that a run is, on disk, so that it can be stopped at any moment and go on as if it had not.

A file is a line that says what it is, `MAGIC`; a line with the SHA-256 of all that follows, 64 digits from 0 to f; and
then what `torch.save` writes.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

MAGIC = b"CHECKPOINT\n"
StrPath = str | os.PathLike[str]


class Stateful(Protocol):
    """What has a state that can be had and put back: modules, optimizers, loaders."""

    def state_dict(self) -> Any: ...
    def load_state_dict(self, state: Any, /) -> Any: ...


class CheckpointError(ValueError):
    """A file is no checkpoint, or damaged, or does not fit."""


def save_checkpoint(path: StrPath, state: Mapping[str, Any]) -> None:
    """Write a checkpoint so that at any moment either the old file is there, or the new one, each whole.

    The new one is written under another name in the same folder, forced onto the disk, and then takes the name in one
    step. If that goes wrong (the disk is full, say) nothing of it is left, and the old one is untouched.

    Args:
        path: the file; its folder is there.
        state: tensors, numbers, texts, None, and lists, tuples and dictionaries of them.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(path)
    # TODO 5.10: the bytes of torch.save and their digest; into a file beside; flush, fsync, replace
    raise NotImplementedError(
        "5.10 save_checkpoint: the bytes of torch.save and their digest; into a file beside; flush, fsync, replace; "
        "hint: python -m bootcamp hint 5.10"
    )


def load_checkpoint(path: StrPath, map_location: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint that `save_checkpoint` wrote.

    Nothing in the file is run: it holds data, and whatever else it might hold is refused, since to unpickle a file is
    to run what its writer put there.

    Args:
        path: the file.
        map_location: the device that tensors go to.

    Raises:
        CheckpointError: it is no checkpoint, it is cut short or changed, or it holds more than data (which of them, and
            the path, are named).
        FileNotFoundError: it is not there.
    """
    path = Path(path)
    # TODO 5.10: look at the first line, compare the digest, and load weights only
    raise NotImplementedError(
        "5.10 load_checkpoint: look at the first line, compare the digest, and load weights only; "
        "hint: python -m bootcamp hint 5.10"
    )


def capture(
    model: nn.Module, optimizer: Stateful | None = None, loader: Stateful | None = None, **more: Any
) -> dict[str, Any]:
    """Put together all that decides how a run goes on.

    Args:
        model: its weights and buffers. `torch.compile` puts "_orig_mod." into the names of a module that it compiles,
            be it the model or a part of it; they are kept under the names that they have without.
        optimizer, loader: their states, if given.
        more: what else is to be kept, such as step=500; with names other than those below.

    Returns:
        {"model": …, "optimizer": …, "loader": …, "random": …} and `more`, for `save_checkpoint`. "random" holds the
        states of the generators of Python, NumPy and torch, and of torch's on all CUDA devices, as what a checkpoint
        may hold: tensors, numbers, text, and lists of them, no NumPy array. All are copies: what the run does next does
        not change them.
    """
    # TODO 5.10: the states; names without _orig_mod; random.getstate(), np.random, torch; a deep copy
    raise NotImplementedError(
        "5.10 capture: the states; names without _orig_mod; random.getstate(), np.random, torch; a deep copy; "
        "hint: python -m bootcamp hint 5.10"
    )


def restore(
    state: Mapping[str, Any], model: nn.Module, optimizer: Stateful | None = None, loader: Stateful | None = None
) -> None:
    """Put back what `capture` gave: a run that goes on from here goes on as the one that was captured.

    The parameters are written into, and stay the objects that they are. The state stays as it is, whatever the run does
    next: it can be put back again.

    Args:
        state: from `capture`, or from a file.
        model: has the same parameters; compiled or not, as a whole or in parts.
        optimizer, loader: get their states, if given.

    Raises:
        CheckpointError: names or shapes of weights do not fit the model (the first that does not, in the order of the
            model, is named with its shapes in both, or with the one that there is), or a part that is to be restored
            is not in the state (it is named). Then nothing is changed.
    """
    # TODO 5.10: compare names and shapes before anything is written; then each part, the random states last
    raise NotImplementedError(
        "5.10 restore: compare names and shapes before anything is written; then each part, the random states last; "
        "hint: python -m bootcamp hint 5.10"
    )


def checkpoint_path(folder: StrPath, step: int) -> Path:
    """Where the checkpoint of a step lies. (Given.)"""
    return Path(folder) / f"step-{step:08d}.ckpt"


def checkpoints(folder: StrPath) -> list[Path]:
    """The checkpoints in a folder, from the oldest to the newest by the numbers of their steps. (Given.)"""
    steps = {path: path.stem.removeprefix("step-") for path in Path(folder).glob("step-*.ckpt")}
    return sorted((path for path in steps if steps[path].isdecimal()), key=lambda path: int(steps[path]))


def latest_checkpoint(folder: StrPath) -> tuple[Path, dict[str, Any]] | None:
    """Find the newest checkpoint that is whole, by the number of its step, and read it.

    Damaged ones are passed over. None if there is none, or no such folder.
    """
    # TODO 5.10: from the newest to the oldest; the first that can be read
    raise NotImplementedError(
        "5.10 latest_checkpoint: from the newest to the oldest; the first that can be read; "
        "hint: python -m bootcamp hint 5.10"
    )


def prune_checkpoints(folder: StrPath, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, by the number of their step. (Given.)"""
    for path in checkpoints(folder)[:-keep]:
        path.unlink(missing_ok=True)
