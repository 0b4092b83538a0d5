# module: sharding.py
# exercise: 6.2
# name: seed and epoch are added up, so seeds share their orders
"""NumPy's permutation, from the sum of seed and epoch."""

from __future__ import annotations

import numpy as np
import torch


class ShardedSampler(torch.utils.data.Sampler):
    """Counts through the order, and gives what falls on this rank."""

    def __init__(self, length, rank, world_size, seed=0, shuffle=True, drop_last=False):
        if hasattr(length, "__len__"):
            length = len(length)
        for name, number, right in (
            ("length", length, length >= 0),
            ("world_size", world_size, world_size >= 1),
            ("rank", rank, 0 <= rank < max(world_size, 1)),
        ):
            if not right:
                raise ValueError(f"{name} may not be {number}")
        self.n, self.r, self.w = length, rank, world_size
        self.options = seed, shuffle, drop_last
        self.epoch = 0

    def set_epoch(self, epoch):
        """Take it down."""
        self.epoch = epoch

    def __iter__(self):
        seed, shuffle, drop_last = self.options
        order = np.random.default_rng(seed + self.epoch).permutation(self.n) if shuffle else np.arange(self.n)
        end = self.n - self.n % self.w if drop_last else self.n
        for place in range(end):
            if place % self.w == self.r:
                yield int(order[place])

    def __len__(self):
        if self.options[2]:
            return (self.n - self.n % self.w) // self.w
        return len([place for place in range(self.n) if place % self.w == self.r])
