"""4.1 · Normalisation: each token's vector is brought to the same size, and stretched by what was learned.

Ba, Kiros and Hinton: Layer Normalization (2016), equations 3 and 4; Zhang and Sennrich: Root Mean Square Layer
Normalization (2019), equation 4.
Letters: C width; (...) any dimensions before it, such as batch and time.

Written with means and roots; torch's own layer_norm and rms_norm are not called.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerNorm(nn.Module):
    """Takes the mean away, divides by the standard deviation, multiplies by a gain and adds a shift.

        y = (x − mean) / √(variance + eps) · weight + bias

    Mean and variance are those of the C numbers of one token. The variance is the mean of (x − mean)², the sum divided
    by C and not by C − 1. (The mean of x² less the mean squared is the same on paper only: where the mean is large, the
    difference of two large numbers has no digits left.)

    Args:
        dim: C.
        eps: keeps the root away from zero.
        bias: whether there is a shift.

    Attributes:
        weight: the gain, a Parameter (C,), ones at the start.
        bias: the shift, a Parameter (C,), zeros at the start; None without.

    Raises:
        ValueError: `dim` or `eps` is not positive.

    >>> LayerNorm(4, eps=1e-9)(torch.tensor([1.0, 3.0, 1.0, 3.0])).tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(self, dim: int, eps: float = 1e-5, bias: bool = True) -> None:
        super().__init__()
        if dim < 1 or not eps > 0.0:
            raise ValueError(f"dim and eps must be positive; got {dim} and {eps}")
        self.dim, self.eps = dim, eps
        # TODO 4.1: the gain self.weight; the shift self.bias, None if there is to be none
        raise NotImplementedError(
            "4.1 LayerNorm.__init__: the gain self.weight; the shift self.bias, None if there is to be none; "
            "hint: python -m bootcamp hint 4.1"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension: (..., C) -> (..., C), in the format of x, which is not changed.

        Mean, variance and quotient are computed in float32 at least, whatever the format of x.

        Raises:
            ValueError: the last dimension of x is not C.
        """
        _check_width(x, self.dim)
        # TODO 4.1: in a wide format take the mean away and divide; gain and shift; back to the format of x
        raise NotImplementedError(
            "4.1 LayerNorm.forward: in a wide format take the mean away and divide; gain and shift; back to the format "
            "of x; "
            "hint: python -m bootcamp hint 4.1"
        )

    def extra_repr(self) -> str:
        return f"dim={self.dim}, eps={self.eps}"


class RMSNorm(nn.Module):
    """Divides by the root of the mean square and multiplies by a gain; takes no mean away and adds nothing.

        y = x / √(mean of x² + eps) · weight

    Args:
        dim: C.
        eps: keeps the root away from zero.

    Attributes:
        weight: the gain, a Parameter (C,), ones at the start.

    Raises:
        ValueError: `dim` or `eps` is not positive.

    >>> RMSNorm(4, eps=1e-9)(torch.tensor([2.0, 2.0, -2.0, 2.0])).tolist()
    [1.0, 1.0, -1.0, 1.0]
    """

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        if dim < 1 or not eps > 0.0:
            raise ValueError(f"dim and eps must be positive; got {dim} and {eps}")
        self.dim, self.eps = dim, eps
        # TODO 4.1: the gain self.weight
        raise NotImplementedError("4.1 RMSNorm.__init__: the gain self.weight; hint: python -m bootcamp hint 4.1")

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension: (..., C) -> (..., C), in the format of x, which is not changed.

        Mean square and quotient are computed in float32 at least, whatever the format of x.

        Raises:
            ValueError: the last dimension of x is not C.
        """
        _check_width(x, self.dim)
        # TODO 4.1: in a wide format divide by the root of the mean square; gain; back to the format of x
        raise NotImplementedError(
            "4.1 RMSNorm.forward: in a wide format divide by the root of the mean square; gain; back to the format of "
            "x; "
            "hint: python -m bootcamp hint 4.1"
        )

    def extra_repr(self) -> str:
        return f"dim={self.dim}, eps={self.eps}"


def _check_width(x: Tensor, dim: int) -> None:
    if x.dim() < 1 or x.shape[-1] != dim:
        raise ValueError(f"x must be (..., {dim}); got the shape {tuple(x.shape)}")
