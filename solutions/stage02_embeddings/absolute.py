"""2.3, 2.4 · Absolute positions: a vector for each place, computed or learned.

Vaswani et al.: Attention Is All You Need (2017), section 3.5; learned positions as in Gehring et al.: Convolutional
Sequence to Sequence Learning (2017) and GPT-2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .checks import check_integers


def sinusoidal_table(length: int, dim: int, base: float = 10000.0) -> Tensor:
    """Give the vectors of the positions 0 to length - 1: a float32 Tensor (length, dim).

        table[p, 2i]     = sin(p / base^(2i / dim))
        table[p, 2i + 1] = cos(p / base^(2i / dim))

    If `dim` is odd, the last column is a sine without its cosine. The angles are computed in float64: in float32 the
    angle of position 100,000 would be off by several thousandths.

    Raises:
        ValueError: `length` is negative, or `dim` or `base` is not positive.

    >>> sinusoidal_table(2, 4, base=100.0)  # sin(p), cos(p), sin(p / 10), cos(p / 10)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0998, 0.9950]])
    """
    if length < 0 or dim < 1 or base <= 0:
        raise ValueError(f"length must be 0 or more, dim and base positive; got {length}, {dim} and {base}")
    # BEGIN SOLUTION 2.3: the angle of each position at each even column; its sine there, its cosine one further
    positions = torch.arange(length)
    even = torch.arange(0, dim, 2, dtype=torch.float64)  # makes float64 of all that is computed with it
    angles = positions[:, None] / base ** (even / dim)  # (length, ⌈dim/2⌉)
    table = torch.empty(length, dim)
    table[:, 0::2] = angles.sin()
    table[:, 1::2] = angles[:, : dim // 2].cos()
    return table
    # END SOLUTION


class SinusoidalPosition(nn.Module):
    """Gives each position its row of `sinusoidal_table`, however far it is; nothing is learned, nothing is saved.

    The vectors come on the module's device and in its number format: float32 to begin with, float16 after
    `module.half()`, and so on. They are the values of the table, rounded once, whatever the format was before.

    Args:
        dim: the width of a vector.
        base: the wavelengths go from 2π to nearly 2π · base.

    Raises:
        ValueError: `dim` or `base` is not positive.

    >>> SinusoidalPosition(4)(torch.tensor([0, 700])).shape
    torch.Size([2, 4])
    """

    def __init__(self, dim: int, base: float = 10000.0) -> None:
        super().__init__()
        if dim < 1 or base <= 0:
            raise ValueError(f"dim and base must be positive; got {dim} and {base}")
        self.dim, self.base = dim, base
        # BEGIN SOLUTION 2.3: an empty buffer that is not saved but follows .to() and .half(); a table of no rows yet
        self.register_buffer("like", torch.empty(0), persistent=False)
        self.table = torch.empty(0, dim)  # no buffer: rounded to half, it would stay so; copies would differ in length
        # END SOLUTION

    def forward(self, positions: Tensor) -> Tensor:
        """Give the vectors of `positions`: integers of any format, (...) -> (..., dim).

        Positions that come one after another, as in decoding, do not cost a table each.

        Raises:
            TypeError: `positions` are not integers.
            IndexError: a position is negative.
        """
        check_integers(positions, "position")
        # BEGIN SOLUTION 2.3: if the table is too short, or not of the module's format, make it anew; take the rows
        like, positions = self.get_buffer("like"), positions.long()
        length = int(positions.max()) + 1 if positions.numel() else 0
        if length > len(self.table) or (self.table.dtype, self.table.device) != (like.dtype, like.device):
            length = 1 << (length - 1).bit_length()  # the next power of two: decoding one by one seldom comes here
            self.table = sinusoidal_table(length, self.dim, self.base).to(like)
        return nn.functional.embedding(positions, self.table)  # (..., dim)
        # END SOLUTION


class LearnedPosition(nn.Module):
    """Gives each position its row of a learned table: as many positions as it has rows, and no more.

    Args:
        max_length: how many positions there are.
        dim: the width of a vector.

    Attributes:
        weight: the table, a Parameter (max_length, dim), drawn from the normal distribution N(0, 0.02²).

    Raises:
        ValueError: `max_length` or `dim` is not positive.

    >>> position = LearnedPosition(8, 3)
    >>> cached = 5  # so many tokens have been read before: the next two are at positions 5 and 6
    >>> position(torch.arange(cached, cached + 2)).shape
    torch.Size([2, 3])
    """

    def __init__(self, max_length: int, dim: int) -> None:
        super().__init__()
        if max_length < 1 or dim < 1:
            raise ValueError(f"max_length and dim must be positive; got {max_length} and {dim}")
        self.max_length, self.dim = max_length, dim
        # BEGIN SOLUTION 2.4: draw the table, make it a Parameter
        self.weight = nn.Parameter(0.02 * torch.randn(max_length, dim))
        # END SOLUTION

    def forward(self, positions: Tensor) -> Tensor:
        """Look up the vectors of `positions`: integers of any format, (...) -> (..., dim).

        Raises:
            TypeError: `positions` are not integers; their format is named.
            IndexError: a position is negative, or not below `max_length`; both are named.
        """
        # BEGIN SOLUTION 2.4: hold the positions to 0 … max_length - 1 (check_integers), then take the rows
        check_integers(positions, "position", self.max_length)
        return nn.functional.embedding(positions.long(), self.weight)  # (..., dim)
        # END SOLUTION
