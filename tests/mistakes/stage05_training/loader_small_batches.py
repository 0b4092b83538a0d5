# module: loader.py
# exercise: 5.4
# name: the last batch of an epoch has fewer items
"""The loader, with one number for its place and no DataLoader where nobody else reads."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader

from .batch import Batch


def stack(items):
    ids = [item.ids for item in items]
    targets = [item.targets for item in items]
    return Batch(torch.stack(ids), torch.stack(targets))


class Loader:
    """Counts the batches that were handed out; epoch and batch follow from that."""

    def __init__(self, dataset, batch_size, seed=0, shuffle=True, workers=0, prefetch=2, collate=stack):
        if batch_size < 1:
            raise ValueError(f"batch_size must be positive; got {batch_size}")
        if workers < 0:
            raise ValueError(f"workers must not be negative; got {workers}")
        if prefetch < 1:
            raise ValueError(f"prefetch must be positive; got {prefetch}")
        if batch_size > len(dataset):
            raise ValueError(f"there are {len(dataset)} items, which is less than a batch of {batch_size}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.workers = workers
        self.prefetch = prefetch
        self.collate = collate
        self.count = 0
        self.reader = None

    @property
    def batches(self):
        number = 0
        while number * self.batch_size < len(self.dataset):
            number += 1
        return number

    @property
    def epoch(self):
        return self.count // self.batches

    @property
    def batch(self):
        return self.count % self.batches

    def order(self, epoch):
        if self.shuffle:
            generator = torch.Generator()
            generator.manual_seed(self.seed * 1_000_003 + epoch)
            return torch.randperm(len(self.dataset), generator=generator).tolist()
        return [i for i in range(len(self.dataset))]

    def _indices_of(self, number):
        """The indices of any batch, by its number from the beginning of all."""
        epoch, batch = divmod(number, self.batches)
        order = self.order(epoch)
        return order[batch * self.batch_size :][: self.batch_size]

    def indices(self):
        number = self.count

        def all_of_them():
            at = number
            while True:
                yield self._indices_of(at)
                at += 1

        return all_of_them()

    def __iter__(self):
        return self

    def __next__(self):
        if self.workers == 0:
            batch = self.collate([self.dataset[i] for i in self._indices_of(self.count)])
        else:
            if self.reader is None:
                self.reader = self._start()
            batch = next(self.reader)
        self.count += 1
        return batch

    def _start(self):
        generator = torch.Generator()
        first = self.count
        loader = DataLoader(
            self.dataset,
            batch_sampler=_Sampler(Loader._indices_of, self._twin(), first),
            num_workers=self.workers,
            prefetch_factor=self.prefetch,
            collate_fn=self.collate,
            generator=generator,
        )
        return iter(loader)

    def _twin(self):
        return Loader(self.dataset, self.batch_size, self.seed, self.shuffle)

    def state_dict(self):
        return {"batch_size": self.batch_size, "handed_out": self.count, "seed": self.seed}

    def load_state_dict(self, state):
        if state["batch_size"] != self.batch_size:
            raise ValueError(f"batches of {state['batch_size']} were expected; this loader makes {self.batch_size}")
        self.count = state["handed_out"]
        self.seed = state["seed"]
        self.reader = None


class _Sampler:
    """The indices of all batches from one on."""

    def __init__(self, function, loader, first):
        self.function, self.loader, self.at = function, loader, first

    def __iter__(self):
        return self

    def __next__(self):
        found = self.function(self.loader, self.at)
        self.at += 1
        return found
