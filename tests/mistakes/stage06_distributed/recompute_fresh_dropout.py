# module: recompute.py
# exercise: 6.9
# name: dropout is drawn anew in the second run
"""The second run is a run like any other."""

from __future__ import annotations

import weakref

import torch
from torch.autograd.graph import saved_tensors_hooks


class Box:
    """Stands for a tensor that was forgotten."""

    def __init__(self) -> None:
        self.tensor: torch.Tensor | None = None


class Run:
    """What is known of the first run of a function."""

    def __init__(self, function, args) -> None:
        self.function, self.args = function, args
        self.boxes: list[weakref.ref[Box]] = []

    def forget(self, tensor):
        box = Box()
        self.boxes.append(weakref.ref(box))
        return box

    def remember(self, box):
        if box.tensor is None:
            self.fill()
        tensor, box.tensor = box.tensor, None
        return tensor

    def fill(self):
        filled = iter(self.boxes)

        def into(tensor):
            box = next(filled)()
            if box is not None:
                box.tensor = tensor.detach()
            return None  # nobody goes backward through the second run

        with torch.enable_grad(), saved_tensors_hooks(into, lambda each: each):
            self.function(*self.args)


def checkpoint(function, *args):
    """Run with boxes in place of tensors."""
    run = Run(function, args)
    with saved_tensors_hooks(run.forget, run.remember):
        result = function(*args)
    return result
