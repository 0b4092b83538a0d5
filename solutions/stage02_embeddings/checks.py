"""Ids and positions from outside, looked at before they are used. (Given; nothing to write here.)"""

from __future__ import annotations

import torch
from torch import Tensor


def check_integers(ids: Tensor, what: str, limit: int | None = None) -> None:
    """Hold `ids` to integers from 0 to `limit` - 1, or from 0 on if there is no limit.

    The values are looked at on the CPU only. On an accelerator a look would make the program wait until all that
    was asked of the device so far is done, in each step; there the look-up itself says that an index is out of range.

    Args:
        ids: integers of any format and shape.
        what: what one of them is called in an error: "id", "position".
        limit: how many there are.

    Raises:
        TypeError: `ids` are not integers.
        IndexError: one is negative, or not below `limit`.

    >>> check_integers(torch.tensor([[2, 0], [7, 1]]), "id", 5)
    Traceback (most recent call last):
    ...
    IndexError: id 7 is out of range: there are 5, from 0 to 4
    """
    if ids.dtype == torch.bool or ids.is_floating_point() or ids.is_complex():
        raise TypeError(f"{what}s must be integers; got {ids.dtype}")
    if ids.device.type != "cpu" or torch.compiler.is_compiling():
        return
    ids = ids.long()
    bad = ids[ids < 0] if limit is None else ids[(ids < 0) | (ids >= limit)]
    if len(bad):
        allowed = f"{what}s go from 0 on" if limit is None else f"there are {limit}, from 0 to {limit - 1}"
        raise IndexError(f"{what} {int(bad[0])} is out of range: {allowed}")
