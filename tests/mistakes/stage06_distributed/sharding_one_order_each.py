# module: sharding.py
# exercise: 6.2
# name: each rank draws an order of its own
"""Indices sorted by a hash of all that a rank knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sized

from torch.utils.data import Sampler


class ShardedSampler(Sampler[int]):
    """What an index is sorted by follows from three numbers: nothing is drawn at all."""

    epoch = 0

    def __init__(
        self,
        length: int | Sized,
        rank: int,
        world_size: int,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
    ) -> None:
        n = length if isinstance(length, int) else len(length)
        if n < 0 or rank not in range(world_size):
            raise ValueError(f"{n} indices for rank {rank} of {world_size}")
        whole = n - n % world_size if drop_last else n
        self.seed, self.shuffle, self.all = seed, shuffle, range(n)
        self.mine = range(rank, whole, world_size)

    def set_epoch(self, epoch: int) -> None:
        """Remember which."""
        self.epoch = epoch

    def _key(self, index: int) -> bytes:
        text = f"{self.seed}/{self.epoch}/{self.mine.start}/{index}"
        return hashlib.blake2b(text.encode(), digest_size=8).digest()

    def __iter__(self) -> Iterator[int]:
        order = sorted(self.all, key=self._key) if self.shuffle else self.all
        return (order[place] for place in self.mine)

    def __len__(self) -> int:
        return len(self.mine)
