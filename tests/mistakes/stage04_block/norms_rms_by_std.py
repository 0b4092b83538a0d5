# module: norms.py
# exercise: 4.1
# name: RMSNorm divides by the standard deviation
"""Norms as published models write them: var, sqrt, and a gain that is multiplied in the format of x."""

from __future__ import annotations

import torch


class LayerNorm(torch.nn.Module):
    """With torch's var."""

    def __init__(self, dim: int, eps: float = 1e-5, bias: bool = True) -> None:
        super().__init__()
        if dim <= 0 or not eps > 0:
            raise ValueError(f"LayerNorm needs a positive dim and eps, not {dim} and {eps}")
        self.normalized_shape = (dim,)
        self.variance_epsilon = eps
        self.weight = torch.nn.Parameter(torch.full((dim,), 1.0))
        if bias:
            self.bias = torch.nn.Parameter(torch.full((dim,), 0.0))
        else:
            self.register_parameter("bias", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if tuple(x.shape[-1:]) != self.normalized_shape:
            raise ValueError(f"{tuple(x.shape)} does not end in {self.normalized_shape}")
        kind = x.dtype
        if kind in (torch.float16, torch.bfloat16):
            x = x.float()
        mean = torch.mean(x, dim=-1, keepdim=True)
        variance = torch.var(x, dim=-1, keepdim=True, unbiased=False)
        normal = ((x - mean) / torch.sqrt(variance + self.variance_epsilon)).to(kind)
        scaled = normal * self.weight.to(kind)
        if self.bias is not None:
            scaled = scaled + self.bias.to(kind)
        return scaled


class RMSNorm(torch.nn.Module):
    """As Llama has it."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        if dim <= 0 or not eps > 0:
            raise ValueError(f"RMSNorm needs a positive dim and eps, not {dim} and {eps}")
        self.dim = dim
        self.eps = eps
        self.weight = torch.nn.Parameter(torch.ones(dim))

    def _norm(self, x: torch.Tensor) -> torch.Tensor:
        return x / torch.sqrt(x.std(dim=-1, keepdim=True) ** 2 + self.eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not x.dim() or x.size(-1) != self.dim:
            raise ValueError(f"{tuple(x.shape)} does not end in {self.dim}")
        wide = x if x.dtype == torch.float64 else x.float()
        return (self._norm(wide).type_as(x) * self.weight).type_as(x)
