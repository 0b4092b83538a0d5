"""AdamW over whole lists of tensors at once; the decay and both divisions are in the numbers that they are given."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import nn


class AdamW(torch.optim.Optimizer):
    """All parameters that are equally old, at once."""

    def __init__(
        self,
        params: Any,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        options: dict[str, Any] = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        wrong = [f"{key}={value}" for key, value in options.items() if key != "betas" and not value >= 0]
        wrong += [f"betas={betas}"] * (not all(0 <= beta < 1 for beta in betas))
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")
        super().__init__(params, options)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Sort the parameters by their number of steps; then a few calls for each lot."""
        loss = None
        if closure:
            loss = torch.enable_grad()(closure)()
        for group in self.param_groups:
            lots = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    if not (state := self.state[p]):
                        state.update(step=torch.tensor(0.0), exp_avg=p * 0, exp_avg_sq=p * 0)
                    lots[int(state["step"]), p.dtype, p.device].append(p)
            for (past, *_), lot in lots.items():
                self._lot(lot, past + 1, group)
        return loss

    def _lot(self, lot: list[Any], t: int, group: dict[str, Any]) -> None:
        (beta1, beta2), lr = group["betas"], group["lr"]
        grads = [p.grad for p in lot]
        states = [self.state[p] for p in lot]
        means, squares = [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]
        for state in states:
            state["step"] = torch.full_like(state["step"], t)
        torch._foreach_mul_(means, beta1)
        torch._foreach_add_(means, grads, alpha=1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, grads, grads, 1 - beta2)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, group["eps"] * (1 - beta2**t) ** 0.5)
        torch._foreach_mul_(lot, 1 - lr * group["weight_decay"])
        torch._foreach_addcdiv_(lot, means, roots, -lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """By a dictionary of dimensions."""
    if not weight_decay >= 0.0:
        raise ValueError(f"no decay can be {weight_decay}")
    sorted_: dict[bool, dict[nn.Parameter, None]] = {True: {}, False: {}}
    for part in model.modules():
        for p in part._parameters.values():
            if p is not None and p.requires_grad:
                sorted_[p.ndim > 1][p] = None
    return [{"params": [*sorted_[many]], "weight_decay": weight_decay * many} for many in (True, False)]
