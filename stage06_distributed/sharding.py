"""6.2 · Sharding data: each process reads a part of it, and together they read all.

Letters: N items, W processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized

import torch
from torch.utils.data import Sampler


class ShardedSampler(Sampler[int]):
    """Gives one rank its share of the indices 0 to N - 1, in an order of the epoch's own.

    All ranks draw the same order, from the seed and the number of the epoch alone, and rank r takes every W-th of it,
    beginning with the r-th. So no index comes twice, none is forgotten, and the first W·B indices of the order are the
    first B of all ranks: W ranks with batches of B read what one would with batches of W·B. Orders are random, and
    those of one seed are not those of another: epoch 1 of seed 5 is not epoch 0 of seed 6.

    If N is no multiple of W, the first N mod W ranks have one index more; with `drop_last`, what is left over at the
    end of the order is left out, and all have the same number.

    Args:
        length: N, or data that has a length.
        rank: which share, from 0.
        world_size: W.
        seed: what the order follows from; the same on all ranks.
        shuffle: whether there is an order at all; without, indices come as they are.
        drop_last: whether all ranks get the same number of indices, at the cost of some.

    Attributes:
        epoch: which order is given next; `set_epoch` changes it.

    Raises:
        ValueError: a number is out of range (it is named).

    >>> [list(ShardedSampler(7, rank, 3, shuffle=False)) for rank in range(3)]
    [[0, 3, 6], [1, 4], [2, 5]]
    """

    def __init__(
        self,
        length: int | Sized,
        rank: int,
        world_size: int,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
    ) -> None:
        length = len(length) if isinstance(length, Sized) else length
        if length < 0 or world_size < 1 or not 0 <= rank < world_size:
            raise ValueError(
                f"length must not be negative, and rank from 0 to less than world_size; got {length}, {rank} and "
                f"{world_size}"
            )
        self.length, self.rank, self.world_size = length, rank, world_size
        self.seed, self.shuffle, self.drop_last = seed, shuffle, drop_last
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; without a call, it is the same one again. (Given.)"""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Give the rank's indices in the epoch's order. Nothing is drawn from torch's own generator."""
        # TODO 6.2: one order for all ranks; every W-th of it, from the rank's own place; cut if asked
        raise NotImplementedError(
            "6.2 ShardedSampler.__iter__: one order for all ranks; every W-th of it, from the rank's own place; cut if "
            "asked; "
            "hint: python -m bootcamp hint 6.2"
        )

    def __len__(self) -> int:
        """How many indices come."""
        # TODO 6.2: rounded down for all; or one more for the first ranks
        raise NotImplementedError(
            "6.2 ShardedSampler.__len__: rounded down for all; or one more for the first ranks; "
            "hint: python -m bootcamp hint 6.2"
        )
