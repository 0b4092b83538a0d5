"""AdamW line by line: new tensors for everything, and copied into the parameter at the end."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay."""

    def __init__(self, params: Any, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01) -> None:
        for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ValueError(f"{name}={value} is negative")
        beta1, beta2 = betas
        if not (0 <= beta1 < 1) or not (0 <= beta2 < 1):
            raise ValueError(f"betas={betas} are not both from 0 to less than 1")
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    def step(self, closure: Any = None) -> Any:
        """One parameter after the other."""
        loss = closure() if closure is not None else None
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    self.one(p, group)
        return loss

    def one(self, p: torch.Tensor, group: dict[str, Any]) -> None:
        g: Any = p.grad
        state = self.state[p]
        if "step" not in state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros(p.shape, dtype=p.dtype, device=p.device)
            state["exp_avg_sq"] = torch.zeros(p.shape, dtype=p.dtype, device=p.device)
        lr = group["lr"]
        beta1, beta2 = group["betas"]
        state["step"] = state["step"] + 1
        state["exp_avg"] = beta1 * state["exp_avg"] + (1 - beta1) * g
        state["exp_avg_sq"] = beta2 * state["exp_avg_sq"] + (1 - beta2) * g**2
        m_hat = state["exp_avg"] / (1 - beta1 ** state["step"].item())
        v_hat = state["exp_avg_sq"] / (1 - beta2 ** state["step"].item())
        decayed = p - lr * group["weight_decay"] * p
        p.copy_(decayed - lr * m_hat / (torch.sqrt(v_hat) + group["eps"]))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """A loop, and two lists."""
    if weight_decay != weight_decay or weight_decay < 0:
        raise ValueError(f"weight_decay={weight_decay} is negative")
    decay, no_decay = [], []
    for _, p in model.named_parameters():
        if not p.requires_grad:
            continue
        if len(p.shape) > 1:
            decay.append(p)
        else:
            no_decay.append(p)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": no_decay, "weight_decay": 0}]
