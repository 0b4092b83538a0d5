"""3.7 · A cache of keys and values: what was read need not be computed again."""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """Keeps the keys and values of the tokens that one attention layer has read, for reading on.

    A new token's query looks at all keys so far; those do not change when the text goes on, so they are kept. Room is
    taken ahead, at least doubling what is kept each time it is full, so that reading N tokens one by one
    copies no more than a few times N rows, and not N² / 2. What is kept has no gradient: a cache is for writing, not
    for training.

    Letters: B batch, G key/value heads, S tokens so far, D width of a head.

    Attributes:
        length: S, how many tokens were read; 0 to begin with.

    >>> cache = KVCache()
    >>> keys, values = cache.append(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4))
    >>> keys, values = cache.append(torch.ones(1, 2, 1, 4), torch.ones(1, 2, 1, 4))
    >>> cache.length, keys.shape, keys[0, 0, :, 0].tolist()
    (4, torch.Size([1, 2, 4, 4]), [0.0, 0.0, 0.0, 1.0])
    """

    def __init__(self) -> None:
        self.length = 0
        self._format: tuple | None = None  # B, G, D, E and the number format of what is kept
        # BEGIN SOLUTION 3.7: no room yet
        self._keys = self._values = torch.empty(0)
        # END SOLUTION

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Take in the keys and values of T new tokens, and give those of all S tokens so far.

        Args:
            keys: (B, G, T, D); T may be 0, and then nothing is kept of it, its format neither.
            values: (B, G, T, E).

        Returns:
            (B, G, S, D) and (B, G, S, E), in the format and on the device of the first that came. They may be views
            into the cache: do not write into them.

        Raises:
            ValueError: they are not (B, G, T, D) and (B, G, T, E), or their B, G, D, E or number format is another than
                that of what is kept (both are named).
        """
        if keys.dim() != 4 or values.dim() != 4 or keys.shape[:3] != values.shape[:3]:
            raise ValueError(
                f"keys and values must be (B, G, T, D) and (B, G, T, E); got {tuple(keys.shape)}, {tuple(values.shape)}"
            )
        new = (*keys.shape[:2], keys.shape[3], values.shape[3], keys.dtype)
        if self.length and new != self._format:
            raise ValueError(f"the cache keeps (B, G, D, E, format) = {self._format}; got {new}")
        self._format = new
        # BEGIN SOLUTION 3.7: make room if there is not enough, write the new ones behind the old, give what is full
        if not self.length:
            self._keys, self._values = (x[:, :, :0].detach() for x in (keys, values))
        end = self.length + keys.shape[2]
        self._keys, self._values = (_with_room(x, self.length, end) for x in (self._keys, self._values))
        self._keys[:, :, self.length : end] = keys.detach()
        self._values[:, :, self.length : end] = values.detach()
        self.length = end
        return self._keys[:, :, :end], self._values[:, :, :end]  # (B, G, S, D), (B, G, S, E)
        # END SOLUTION


# BEGIN SOLUTION 3.7
def _with_room(kept: Tensor, length: int, needed: int) -> Tensor:
    """Give a tensor with room for `needed` tokens that begins with the `length` tokens of `kept`."""
    if needed <= kept.shape[2] and length:
        return kept
    room = kept.new_zeros(*kept.shape[:2], max(needed, 2 * kept.shape[2]), kept.shape[3])
    room[:, :, :length] = kept[:, :, :length]
    return room


# END SOLUTION
