"""What a model is trained with, step by step: a batch. (Given; nothing to write here.)"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

IGNORE = -100
"""A target that does not count: there is nothing to predict in its place. (The number that torch's own loss takes.)"""


class Batch(NamedTuple):
    """B rows of T tokens, and what is to be predicted at each.

    `model(batch.ids, mask=batch.mask, positions=batch.positions)` gives the logits for `batch.targets`.

    >>> batch = Batch(torch.tensor([[3, 1, 4]]), torch.tensor([[1, 4, IGNORE]]))
    >>> batch.counted, round(batch.waste, 2)
    (2, 0.33)
    """

    ids: Tensor  # integers (B, T)
    targets: Tensor  # integers (B, T): the token after each, or IGNORE
    mask: Tensor | None = None  # bool, broadcasts to (B, H, T, T): who may see whom, beside what causality says
    positions: Tensor | None = None  # integers (B, T): where each token stands in its document; None: 0, 1, …

    @property
    def counted(self) -> int:
        """How many targets count."""
        return int((self.targets != IGNORE).sum())

    @property
    def waste(self) -> float:
        """The share of the places that are computed for nothing, from 0 to 1."""
        return 1.0 - self.counted / max(self.targets.numel(), 1)

    def rows(self, part: slice) -> Batch:
        """Some of the rows."""
        mask = self.mask
        if mask is not None and mask.dim() == 4 and len(mask) == len(self.ids):  # else it is the same for all rows
            mask = mask[part]
        positions = None if self.positions is None else self.positions[part]
        return Batch(self.ids[part], self.targets[part], mask, positions)

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        moved: Any = (None if each is None else each.to(device, non_blocking=True) for each in self)
        return Batch(*moved)
