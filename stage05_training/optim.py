"""5.6 · AdamW: each parameter gets a step of its own size.

Kingma and Ba: Adam: A Method for Stochastic Optimization (2015), algorithm 1; Loshchilov and Hutter: Decoupled Weight
Decay Regularization (2019), algorithm 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay. In each step, for each parameter p with a gradient g:

        p = p - lr · weight_decay · p                          the decay, beside all that follows
        m = β1 · m + (1 - β1) · g                              a running mean of the gradients
        v = β2 · v + (1 - β2) · g²                             and of their squares
        p = p - lr · (m / (1 - β1ᵗ)) / (√(v / (1 - β2ᵗ)) + eps)

    m and v begin at 0, and are divided by what that makes them too small by. t counts the steps in which p had a
    gradient: 1 in the first of them.

    Args:
        params: parameters, or dictionaries of "params" and options of their own (groups).
        lr: the learning rate. A group's may be changed between steps, and counts from the next.
        betas: β1 and β2.
        eps: keeps the root away from zero.
        weight_decay: what share of a parameter, times lr, is taken away in each step.

    The state of a parameter is that of `torch.optim.AdamW`: "step", a number in a tensor; "exp_avg", which is m; and
    "exp_avg_sq", which is v. So either can load what the other saved.

    Raises:
        ValueError: an option is out of range (it is named).

    >>> p = nn.Parameter(torch.tensor([1.0, -2.0]))
    >>> (p**2).sum().backward()
    >>> AdamW([p], lr=0.1, weight_decay=0.0).step()  # the first step is lr against the sign, whatever the gradient
    >>> [round(number, 4) for number in p.tolist()]
    [0.9, -1.9]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        if not (lr >= 0.0 and eps >= 0.0 and weight_decay >= 0.0):
            raise ValueError(f"lr, eps and weight_decay must not be negative; got {lr}, {eps} and {weight_decay}")
        if not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"betas must be from 0 to less than 1; got {betas}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step with the gradients that are there, and leave these as they are.

        A parameter changes in place. Those without a gradient stay, and so does their state.

        Args:
            closure: makes the gradients, and gives the loss; is called first, with gradients tracked.

        Returns:
            What the closure gives, if there is one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            # TODO 5.6: the state of new parameters; then the four lines, in place
            raise NotImplementedError(
                "5.6 AdamW.step: the state of new parameters; then the four lines, in place; "
                "hint: python -m bootcamp hint 5.6"
            )
        return loss


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Sort the parameters of a model that are trained into two groups: matrices and tables decay, the rest does not.

    What has two dimensions or more decays. Gains and shifts of norms, and biases, have one: to shrink them would be to
    say that a gain of 0 is the simplest.

    Returns:
        Two groups for an optimizer, the decaying one first: {"params": [...], "weight_decay": ...}. Each parameter
        that is trained is in one of them, once, a shared one too; those of a group are in the order of
        `model.parameters()`, since a saved state goes by the order.

    Raises:
        ValueError: `weight_decay` is negative.

    >>> [len(group["params"]) for group in parameter_groups(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)), 0.1)]
    [1, 3]
    """
    if not weight_decay >= 0.0:
        raise ValueError(f"weight_decay must not be negative; got {weight_decay}")
    # TODO 5.6: by the number of dimensions; what is frozen in neither
    raise NotImplementedError(
        "5.6 parameter_groups: by the number of dimensions; what is frozen in neither; "
        "hint: python -m bootcamp hint 5.6"
    )
