"""2.5 · Rotary positions: queries and keys are turned by an angle that grows with their position.

Su et al.: RoFormer: Enhanced Transformer with Rotary Position Embedding (2021), section 3.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LAYOUTS = ("interleaved", "half")


class RotaryEmbedding(nn.Module):
    """Turns the pairs of numbers of each query or key, pair i at position p by the angle p / base^(2i/D).

    A pair (a, b) becomes (a cos - b sin, a sin + b cos). The product of a turned query and a turned key then
    depends on how far apart they stand, and not on where. It has no parameter, and nothing to save.

    Args:
        head_dim: D, the width of a head; even.
        base: how slowly the slowest pair turns: D = 64 and base 10,000 give a full turn in some 47,000 positions.
        layout: which numbers are a pair. "interleaved": 2i and 2i + 1, as in the paper; "half": i and D/2 + i,
            as in the published weights of most models.

    Raises:
        ValueError: `head_dim` is odd or not positive, or `layout` is unknown.

    >>> rotary = RotaryEmbedding(head_dim=2)
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])  # (T, D) = (3, 2)
    >>> [[round(number, 3) for number in row] for row in rotary(x).tolist()]  # (cos p, sin p) for p = 0, 1, 2
    [[1.0, 0.0], [0.54, 0.841], [-0.416, 0.909]]
    """

    def __init__(self, head_dim: int, base: float = 10000.0, layout: str = "interleaved") -> None:
        super().__init__()
        if head_dim <= 0 or head_dim % 2:
            raise ValueError(f"head_dim must be even and positive, since numbers are turned in pairs; got {head_dim}")
        if layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(map(repr, LAYOUTS))}; got {layout!r}")
        self.head_dim, self.base, self.layout = head_dim, base, layout

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Turn `x` of shape (..., T, D), say (B, H, T, D); the result has its shape, format and device.

        Args:
            x: queries or keys. Whatever their format, angles, sines, cosines and products are computed in
                float32 at least (in float64 where x is), since a position of 257 cannot be told in bfloat16.
            positions: whole numbers of shape (T,), or (B, T) where B is the first dimension of x: then each sequence
                has its own, and all its heads share them. None means 0 to T - 1.

        Raises:
            ValueError: the last dimension of x is not D, or `positions` has another shape.
        """
        if x.dim() < 2 or x.shape[-1] != self.head_dim:
            raise ValueError(f"x must be of shape (..., T, {self.head_dim}); got {tuple(x.shape)}")
        if positions is None:
            positions = torch.arange(x.shape[-2], device=x.device)
        _check_positions(positions, x)
        # BEGIN SOLUTION 2.5: the angles, their sines and cosines, the pairs; turn them and put them back
        wide = torch.promote_types(x.dtype, torch.float32)
        exponents = torch.arange(0, self.head_dim, 2, device=x.device, dtype=wide) / self.head_dim  # 2i/D: (D/2,)
        angles = positions.to(x.device, wide)[..., None] * self.base**-exponents  # (T, D/2) or (B, T, D/2)
        if positions.dim() == 2:  # one row a sequence: dimensions of 1 for what stands between B and T
            angles = angles.view(len(x), *[1] * (x.dim() - 3), *angles.shape[1:])  # (B, 1, T, D/2)
        cos, sin = angles.cos(), angles.sin()

        if self.layout == "interleaved":
            a, b = x.to(wide).unflatten(-1, (-1, 2)).unbind(-1)  # each (..., T, D/2)
        else:
            a, b = x.to(wide).chunk(2, dim=-1)
        turned = a * cos - b * sin, a * sin + b * cos
        if self.layout == "interleaved":
            return torch.stack(turned, dim=-1).flatten(-2).to(x.dtype)  # (..., T, D/2, 2) -> (..., T, D)
        return torch.cat(turned, dim=-1).to(x.dtype)
        # END SOLUTION

    def extra_repr(self) -> str:
        return f"head_dim={self.head_dim}, base={self.base}, layout={self.layout!r}"


def _check_positions(positions: Tensor, x: Tensor) -> None:
    shapes = [(x.shape[-2],)] + [(x.shape[0], x.shape[-2])] * (x.dim() > 2)
    if tuple(positions.shape) not in shapes:
        raise ValueError(
            f"for x of shape {tuple(x.shape)}, positions must be of shape {' or '.join(map(str, shapes))}; "
            f"got {tuple(positions.shape)}"
        )


def interleaved_to_half(weight: Tensor, heads: int) -> Tensor:
    """Reorder a query or key projection so that layout "half" scores as layout "interleaved" did before.

    Args:
        weight: (H·D, C), the weight of the projection, head by head; or its bias, (H·D,).
        heads: H.

    Returns:
        The same rows in another order, which moves none from one head to another.

    Raises:
        ValueError: the rows cannot be shared out to `heads` heads of even width.

    >>> interleaved_to_half(torch.tensor([0, 1, 2, 3, 4, 5, 6, 7]), heads=2).tolist()
    [0, 2, 1, 3, 4, 6, 5, 7]
    """
    _check_rows(weight, heads)
    # BEGIN SOLUTION 2.5: within each head, first the even rows, then the odd ones
    pairs = weight.unflatten(0, (heads, -1, 2))  # (H, D/2, 2, C)
    return pairs.transpose(1, 2).flatten(0, 2)  # (H, 2, D/2, C) -> (H·D, C)
    # END SOLUTION


def half_to_interleaved(weight: Tensor, heads: int) -> Tensor:
    """Undo `interleaved_to_half`: reorder the rows so that layout "interleaved" scores as "half" did before.

    >>> half_to_interleaved(torch.tensor([0, 2, 1, 3, 4, 6, 5, 7]), heads=2).tolist()
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    _check_rows(weight, heads)
    # BEGIN SOLUTION 2.5: within each head, a row of the first half and one of the second by turns
    halves = weight.unflatten(0, (heads, 2, -1))  # (H, 2, D/2, C)
    return halves.transpose(1, 2).flatten(0, 2)  # (H, D/2, 2, C) -> (H·D, C)
    # END SOLUTION


def _check_rows(weight: Tensor, heads: int) -> None:
    if heads < 1 or weight.dim() < 1 or len(weight) % (2 * heads):
        raise ValueError(f"weight of shape {tuple(weight.shape)} does not hold {heads} heads of an even width each")
