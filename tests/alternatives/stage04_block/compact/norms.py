"""Norms that go back by formulas of their own; all tokens are the rows of one table."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _Normed(torch.autograd.Function):
    """Rows, brought to the mean square 1 (up to eps); with `centre`, the mean is taken away first."""

    @staticmethod
    def forward(ctx, rows: Tensor, eps: float, centre: bool) -> Tensor:  # type: ignore[override]
        if centre:
            rows = rows - torch.einsum("nc->n", rows)[:, None] / rows.shape[1]
        size = (torch.einsum("nc,nc->n", rows, rows) / rows.shape[1] + eps) ** -0.5
        normed = rows * size[:, None]
        ctx.save_for_backward(normed, size)
        ctx.centre = centre
        return normed

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        normed, size = ctx.saved_tensors
        along = torch.einsum("nc,nc->n", grad, normed)[:, None] / grad.shape[1]
        back = (grad - normed * along) * size[:, None]
        if ctx.centre:
            back = back - back.mean(1, keepdim=True)
        return back, None, None


class _Norm(nn.Module):
    centre: bool

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        if not (dim > 0 and eps > 0):
            raise ValueError(f"positive numbers are needed for dim and eps; these are {dim}, {eps}")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias: nn.Parameter | None = None

    def forward(self, x: Tensor) -> Tensor:
        width = self.weight.numel()
        if x.ndim == 0 or x.shape[-1] != width:
            raise ValueError(f"tokens of width {width} are needed; these are {tuple(x.shape)}")
        rows = x.reshape(-1, width)
        if rows.element_size() < 4:
            rows = rows.to(torch.float32)
        normed = _Normed.apply(rows, self.eps, self.centre)
        assert isinstance(normed, Tensor)
        made = torch.einsum("nc,c->nc", normed, self.weight.to(rows.dtype))
        if self.bias is not None:
            made = torch.add(made, self.bias)
        return made.reshape(x.shape).to(x.dtype)


class LayerNorm(_Norm):
    """Moved and scaled."""

    centre = True

    def __init__(self, dim: int, eps: float = 1e-5, bias: bool = True) -> None:
        super().__init__(dim, eps)
        if bias:
            self.bias = nn.Parameter(torch.zeros(dim))


class RMSNorm(_Norm):
    """Scaled."""

    centre = False
