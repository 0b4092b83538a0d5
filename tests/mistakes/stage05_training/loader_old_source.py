# module: loader.py
# exercise: 5.4
# name: what was read ahead comes, in spite of the new place
"""The loader, with iterators of the standard library."""

from __future__ import annotations

import random
from itertools import count, islice, repeat
from weakref import proxy

import torch
from torch.utils.data import DataLoader

from .batch import Batch


def stack(items):
    return Batch(*(torch.stack(each) for each in list(zip(*items))[:2]))


class Loader:
    """Keeps its place as a pair."""

    def __init__(self, dataset, batch_size, seed=0, shuffle=True, workers=0, prefetch=2, collate=stack):
        if min(batch_size, workers + 1, prefetch) < 1 or batch_size > len(dataset):
            raise ValueError(f"out of range: {batch_size} of {len(dataset)} items, {workers} workers, {prefetch} ahead")
        self.dataset, self.batch_size, self.seed, self.shuffle = dataset, batch_size, seed, shuffle
        self.options = dict(num_workers=workers, collate_fn=collate, prefetch_factor=prefetch if workers else None)
        self.place, self.running = (0, 0), None

    batches = property(lambda self: int(len(self.dataset) / self.batch_size))
    epoch = property(lambda self: self.place[0])
    batch = property(lambda self: self.place[1])

    def order(self, epoch):
        indices = list(range(len(self.dataset)))
        if self.shuffle:
            random.Random(f"{self.seed} {epoch}").shuffle(indices)
        return indices

    def indices(self):
        first, skipped = self.place
        every = (zip(*[iter(self.order(epoch))] * self.batch_size) for epoch in count(first))
        return (list(each) for each in islice((each for epoch in every for each in epoch), skipped, None))

    def __iter__(self):
        yield from (next(self) for _ in repeat(None))

    def __next__(self):
        if self.running is None:
            source = _Source(proxy(self))
            self.running = iter(
                DataLoader(self.dataset, batch_sampler=source, generator=torch.Generator(), **self.options)
            )
        found = next(self.running)
        carry, batch = divmod(self.place[1] + 1, self.batches)
        self.place = (self.place[0] + carry, batch)
        return found

    def state_dict(self):
        return dict(zip(("batch", "epoch", "seed", "batch_size"), (*self.place[::-1], self.seed, self.batch_size)))

    def load_state_dict(self, state):
        if (theirs := state["batch_size"]) != self.batch_size:
            raise ValueError(f"{theirs} items a batch there, {self.batch_size} here")
        self.place, self.seed = (state["epoch"], state["batch"]), state["seed"]


class _Source:
    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        return Loader.indices(self.loader)
