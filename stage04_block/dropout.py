"""4.3 · Dropout: in training, numbers are set to zero at random, so that nothing relies on one of them.

Srivastava et al.: Dropout: A Simple Way to Prevent Neural Networks from Overfitting (2014).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Sets each number to zero with the probability p, and divides what stays by 1 − p; in training only.

    Each number is drawn for by itself, and anew in each call. The division keeps the mean: E[y] = x. In eval, and with
    p = 0, x comes back as it is.

    Args:
        p: the share of zeros, from 0 to 1; with 1 all is zero, and so is the gradient of x.
        generator: where the random numbers come from, on the device of x; None means torch's own, which is left
            alone otherwise.

    Raises:
        ValueError: p is not from 0 to 1.

    >>> drop = Dropout(0.5, generator=torch.Generator().manual_seed(0))
    >>> sorted(set(drop(torch.ones(100)).tolist()))
    [0.0, 2.0]
    >>> drop.eval()(torch.ones(2)).tolist()
    [1.0, 1.0]
    """

    def __init__(self, p: float = 0.1, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"p must be from 0 to 1; got {p}")
        self.p, self.generator = p, generator

    def forward(self, x: Tensor) -> Tensor:
        """Drop numbers of x, of any shape, in its format; x itself is not changed."""
        # TODO 4.3: nothing to do in eval or with p = 0; else draw who is dropped, and divide the others
        raise NotImplementedError(
            "4.3 Dropout.forward: nothing to do in eval or with p = 0; else draw who is dropped, and divide the "
            "others; "
            "hint: python -m bootcamp hint 4.3"
        )

    def extra_repr(self) -> str:
        return f"p={self.p}"
