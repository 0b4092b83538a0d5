"""Empty boxes in the graph, and a second run that fills those that somebody still has."""

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
        self.random = torch.get_rng_state()
        self.cuda = {a.device: torch.cuda.get_rng_state(a.device) for a in args if torch.is_tensor(a) and a.is_cuda}
        self.autocast = {
            kind: (torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in ("cpu", "cuda")
        }

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

        now = torch.get_rng_state(), {device: torch.cuda.get_rng_state(device) for device in self.cuda}
        cpu, cuda = self.autocast["cpu"], self.autocast["cuda"]
        try:
            torch.set_rng_state(self.random)
            for device, state in self.cuda.items():
                torch.cuda.set_rng_state(state, device)
            with (
                torch.autocast("cpu", enabled=cpu[0], dtype=cpu[1]),
                torch.autocast("cuda", enabled=cuda[0], dtype=cuda[1]),
                torch.set_grad_enabled(True),
                saved_tensors_hooks(into, lambda each: each),
            ):
                self.function(*self.args)
        finally:
            torch.set_rng_state(now[0])
            for device, state in now[1].items():
                torch.cuda.set_rng_state(state, device)


def checkpoint(function, *args):
    """Run with boxes in place of tensors."""
    run = Run(function, args)
    with saved_tensors_hooks(run.forget, run.remember):
        result = function(*args)
    return result
