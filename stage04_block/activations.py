"""4.2 · Activations: what bends a line, number by number.

Hendrycks and Gimpel: Gaussian Error Linear Units (2016), sections 2 and 3, where SiLU has its name from too.

Each takes numbers of any shape, which it does not change, and gives as many in the same format. They are written with
comparisons, erf, tanh, exp or sigmoid; torch's own relu, gelu and silu are not called.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def relu(x: Tensor) -> Tensor:
    """Keep what is positive: max(x, 0). At 0 the gradient is 0; nan stays nan.

    >>> relu(torch.tensor([-2.0, 0.0, 3.0])).tolist()
    [0.0, 0.0, 3.0]
    """
    # TODO 4.2: the larger of x and 0, with a gradient of 0 at 0
    raise NotImplementedError(
        "4.2 relu: the larger of x and 0, with a gradient of 0 at 0; hint: python -m bootcamp hint 4.2"
    )


def gelu(x: Tensor, approximate: Literal["none", "tanh"] = "none") -> Tensor:
    """Multiply x by the share of a normal distribution that lies below it, Φ(x).

        "none":  x · Φ(x) = x · (1 + erf(x / √2)) / 2
        "tanh":  x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2

    The second is an approximation, off by up to 5e-4, from when erf was slow; GPT-2 was trained with it. Half formats
    are computed in float32 and rounded once.

    Raises:
        ValueError: `approximate` is neither.

    >>> [round(y, 4) for y in gelu(torch.tensor([-1.0, 0.0, 1.0])).tolist()]
    [-0.1587, 0.0, 0.8413]
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate must be 'none' or 'tanh'; got {approximate!r}")
    # TODO 4.2: the two formulas, in a wide format
    raise NotImplementedError("4.2 gelu: the two formulas, in a wide format; hint: python -m bootcamp hint 4.2")


def silu(x: Tensor) -> Tensor:
    """Multiply x by its sigmoid: x / (1 + e^(−x)), also called swish; without overflow on either side.

    Half formats are computed in float32 and rounded once.

    >>> [round(y, 4) for y in silu(torch.tensor([-1.0, 0.0, 1.0])).tolist()]
    [-0.2689, 0.0, 0.7311]
    """
    # TODO 4.2: e^(−x) overflows where x is very negative; torch.sigmoid does not
    raise NotImplementedError(
        "4.2 silu: e^(−x) overflows where x is very negative; torch.sigmoid does not; hint: python -m bootcamp hint 4.2"
    )
