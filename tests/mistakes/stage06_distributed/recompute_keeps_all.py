# module: recompute.py
# exercise: 6.9
# name: the tensors themselves are kept
"""Something that looks like it, and forgets nothing."""

import torch
from torch.autograd.graph import saved_tensors_hooks


class Kept:
    def __init__(self):
        self.tensors = []

    def pack(self, tensor):
        self.tensors.append(tensor.detach())
        return len(self.tensors) - 1

    def unpack(self, number):
        return self.tensors[number]


def checkpoint(function, *args):
    """A list in place of the graph."""
    if not torch.is_grad_enabled():
        return function(*args)
    kept = Kept()
    with saved_tensors_hooks(kept.pack, kept.unpack):
        return function(*args)
