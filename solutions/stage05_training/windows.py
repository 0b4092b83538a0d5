"""5.2 · Windows: stretches of T tokens, and the same one token later.

Letters: N tokens, B windows of T tokens.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from .batch import Batch


class Tokens(Sized, Protocol):
    """N tokens of which stretches can be had: a `TokenFile`, or a tensor (N,)."""

    def __getitem__(self, key: slice, /) -> Tensor: ...


class WindowDataset(Dataset[Batch]):
    """All windows of T tokens that begin at a multiple of `stride`, as a dataset for `torch.utils.data`.

    Window i is a `Batch` of one row less: ids (T,), tokens i · stride to i · stride + T - 1; and targets (T,), each the
    token one later; both in int64. Only what is asked for is read from `tokens`.

    Args:
        tokens: a `TokenFile`, or integers (N,).
        length: T.
        stride: how far the next window begins behind this one; None means T, so that each token is a target once at
            most, and all but the first and the last few are.

    Raises:
        ValueError: `length` or `stride` is not positive, or there are not T + 1 tokens (both numbers are named).

    >>> ids, targets, *_ = WindowDataset(torch.arange(100), length=4)[2]
    >>> ids.tolist(), targets.tolist()
    ([8, 9, 10, 11], [9, 10, 11, 12])
    """

    def __init__(self, tokens: Tokens, length: int, stride: int | None = None) -> None:
        stride = length if stride is None else stride
        if length < 1 or stride < 1:
            raise ValueError(f"length and stride must be positive; got {length} and {stride}")
        _check_enough(tokens, length)
        self.tokens, self.length, self.stride = tokens, length, stride

    def __len__(self) -> int:
        """How many windows there are, all of them whole, targets included."""
        # BEGIN SOLUTION 5.2: the last window needs a target for its last token
        return (len(self.tokens) - self.length - 1) // self.stride + 1
        # END SOLUTION

    def __getitem__(self, index: int) -> Batch:
        """Give window `index`, from 0 to before the length.

        Raises:
            IndexError: there is no such window.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"window {index} is out of range: there are {len(self)}")
        # BEGIN SOLUTION 5.2: T + 1 tokens: all but the last, and all but the first
        start = index * self.stride
        window = self.tokens[start : start + self.length + 1].long()  # (T + 1,)
        return Batch(window[:-1], window[1:])
        # END SOLUTION


def random_batch(tokens: Tokens, batch_size: int, length: int, generator: torch.Generator | None = None) -> Batch:
    """Draw B windows whose starts are independent and equally likely, among all that have a target for each token.

    Only these windows are read from `tokens`.

    Args:
        tokens: a `TokenFile`, or integers (N,).
        batch_size: B.
        length: T.
        generator: where the starts are drawn from; None means torch's own.

    Returns:
        ids and targets (B, T), int64.

    Raises:
        ValueError: `batch_size` or `length` is not positive, or there are not T + 1 tokens (both numbers are named).

    >>> batch = random_batch(torch.arange(100), batch_size=3, length=5)
    >>> (batch.targets - batch.ids).unique().tolist()
    [1]
    """
    if batch_size < 1 or length < 1:
        raise ValueError(f"batch_size and length must be positive; got {batch_size} and {length}")
    _check_enough(tokens, length)
    # BEGIN SOLUTION 5.2: draw the starts, 0 to N - T - 1, and cut T + 1 tokens at each
    starts = torch.randint(len(tokens) - length, (batch_size,), generator=generator)
    windows = torch.stack([tokens[start : start + length + 1].long() for start in starts.tolist()])  # (B, T + 1)
    return Batch(windows[:, :-1], windows[:, 1:])
    # END SOLUTION


def _check_enough(tokens: Any, length: int) -> None:
    if len(tokens) < length + 1:
        raise ValueError(f"a window of {length} and its targets need {length + 1} tokens; got {len(tokens)}")
