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
    # TODO 2.3: the angle of each position at each even column; its sine there, its cosine one further
    raise NotImplementedError(
        "2.3 sinusoidal_table: the angle of each position at each even column; its sine there, its cosine one further; "
        "hint: python -m bootcamp hint 2.3"
    )


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
        # TODO 2.3: an empty buffer that is not saved but follows .to() and .half(); a table of no rows yet
        raise NotImplementedError(
            "2.3 SinusoidalPosition.__init__: an empty buffer that is not saved but follows .to() and .half(); a table "
            "of no rows yet; "
            "hint: python -m bootcamp hint 2.3"
        )

    def forward(self, positions: Tensor) -> Tensor:
        """Give the vectors of `positions`: integers of any format, (...) -> (..., dim).

        Positions that come one after another, as in decoding, do not cost a table each.

        Raises:
            TypeError: `positions` are not integers.
            IndexError: a position is negative.
        """
        check_integers(positions, "position")
        # TODO 2.3: if the table is too short, or not of the module's format, make it anew; take the rows
        raise NotImplementedError(
            "2.3 SinusoidalPosition.forward: if the table is too short, or not of the module's format, make it anew; "
            "take the rows; "
            "hint: python -m bootcamp hint 2.3"
        )


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
        # TODO 2.4: draw the table, make it a Parameter
        raise NotImplementedError(
            "2.4 LearnedPosition.__init__: draw the table, make it a Parameter; hint: python -m bootcamp hint 2.4"
        )

    def forward(self, positions: Tensor) -> Tensor:
        """Look up the vectors of `positions`: integers of any format, (...) -> (..., dim).

        Raises:
            TypeError: `positions` are not integers; their format is named.
            IndexError: a position is negative, or not below `max_length`; both are named.
        """
        # TODO 2.4: hold the positions to 0 … max_length - 1 (check_integers), then take the rows
        raise NotImplementedError(
            "2.4 LearnedPosition.forward: hold the positions to 0 … max_length - 1 (check_integers), then take the "
            "rows; "
            "hint: python -m bootcamp hint 2.4"
        )
