"""5.4 · The loader: batches without end, in an order that can be told from a seed, and gone on with anywhere.

Letters: B items of a batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from .batch import Batch


def stack(items: Sequence[Batch]) -> Batch:
    """Make one batch of items that all have ids and targets (T,): (B, T) each. (Given.)"""
    return Batch(torch.stack([each.ids for each in items]), torch.stack([each.targets for each in items]))


class Loader:
    """Hands out batches of a dataset, epoch after epoch, without end.

    In each epoch each item comes once, in an order of its own that follows from the seed and the number of the epoch
    alone: nothing is drawn from the generators of Python, NumPy and torch that others draw from. What is left over when
    an epoch has too few items for a batch is left out. Worker processes, if any, read ahead; which batches come, and in
    which order, does not depend on them.

    Args:
        dataset: has a length, and items by index.
        batch_size: B.
        seed: what the order follows from.
        shuffle: whether there is an order at all; without, items come as they lie.
        workers: how many processes read; 0 reads here, when a batch is asked for.
        prefetch: how many batches each worker reads ahead.
        collate: makes a batch of B items.

    Raises:
        ValueError: a number is out of range, or the dataset has less than B items (both numbers are named).

    >>> loader = Loader(list(range(6)), batch_size=2, shuffle=False, collate=list)
    >>> [next(loader) for _ in range(4)]
    [[0, 1], [2, 3], [4, 5], [0, 1]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = True,
        workers: int = 0,
        prefetch: int = 2,
        collate: Callable[[list[Any]], Any] = stack,
    ) -> None:
        if batch_size < 1 or workers < 0 or prefetch < 1:
            raise ValueError(
                f"batch_size and prefetch must be positive, workers not negative; got {batch_size}, {prefetch}, "
                f"{workers}"
            )
        if len(dataset) < batch_size:
            raise ValueError(f"a batch of {batch_size} items needs as many in the dataset; got {len(dataset)}")
        self.dataset: Dataset[Any] = dataset
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.workers, self.prefetch, self.collate = workers, prefetch, collate
        self.epoch = 0
        """The epoch of the next batch, from 0."""
        self.batch = 0
        """Its number in that epoch, from 0."""
        self._source: Iterator[Any] | None = None

    @property
    def batches(self) -> int:
        """How many batches an epoch has."""
        # BEGIN SOLUTION 5.4: only whole ones count
        return len(self.dataset) // self.batch_size  # type: ignore[arg-type] - it has a length
        # END SOLUTION

    def order(self, epoch: int) -> list[int]:
        """Give the indices of all items, in the order in which they come in an epoch.

        Shuffled, each order is as likely as any other.
        """
        # BEGIN SOLUTION 5.4: a permutation from a generator of its own, seeded with both numbers
        count = len(self.dataset)  # type: ignore[arg-type] - it has a length
        if not self.shuffle:
            return list(range(count))
        return np.random.default_rng((self.seed, epoch)).permutation(count).tolist()
        # END SOLUTION

    def __iter__(self) -> Loader:
        return self

    def __next__(self) -> Any:
        """Give the next batch."""
        if self._source is None:
            self._source = self._read()
        batch = next(self._source)
        # BEGIN SOLUTION 5.4: count what was handed out, over the end of the epoch
        self.batch += 1
        if self.batch == self.batches:
            self.epoch, self.batch = self.epoch + 1, 0
        # END SOLUTION
        return batch

    def _read(self) -> Iterator[Any]:
        """Read from where we are, here or with workers. (Given.)"""
        loader = DataLoader(
            self.dataset,
            # A copy, since this object would hold itself by way of its source, and its workers would outlive their use.
            batch_sampler=_Indices(copy.copy(self)),  # type: ignore[arg-type] - any iterable of lists of indices does
            num_workers=self.workers,
            prefetch_factor=self.prefetch if self.workers else None,
            collate_fn=self.collate,
            generator=torch.Generator().manual_seed(self.seed),  # else it draws a number from the one of all others
        )
        return iter(loader)

    def indices(self) -> Iterator[list[int]]:
        """Give the indices of each batch to come, without end, from the place where the loader is now.

        Workers are told of batches long before these are handed out: whoever asks for indices moves nothing.
        """
        # BEGIN SOLUTION 5.4: the rest of this epoch, then all of the next, and so on
        epoch, batch = self.epoch, self.batch
        while True:
            order = self.order(epoch)
            for start in range(batch * self.batch_size, self.batches * self.batch_size, self.batch_size):
                yield order[start : start + self.batch_size]
            epoch, batch = epoch + 1, 0
        # END SOLUTION

    def state_dict(self) -> dict[str, int]:
        """Say where the loader is: behind the last batch that was handed out.

        Whole numbers by their names, B as "batch_size" among them, which `load_state_dict` looks at.
        """
        # BEGIN SOLUTION 5.4: what does it take to go on? not what workers have read ahead
        return {"seed": self.seed, "epoch": self.epoch, "batch": self.batch, "batch_size": self.batch_size}
        # END SOLUTION

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where another loader of the same dataset was: the next batch is the one that would have come there.

        The seed becomes that of the state.

        Raises:
            ValueError: the state is one of batches of another size (both are named).
        """
        if state["batch_size"] != self.batch_size:
            raise ValueError(
                f"the state is of batches of {state['batch_size']}, and this loader makes batches of {self.batch_size}"
            )
        # BEGIN SOLUTION 5.4: take the place over; what was read ahead from the old one is of no use
        self.seed, self.epoch, self.batch = state["seed"], state["epoch"], state["batch"]
        self._source = None
        # END SOLUTION


class _Indices:
    """What DataLoader takes: gives the loader's indices anew whenever it is gone through."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[list[int]]:
        return self.loader.indices()
