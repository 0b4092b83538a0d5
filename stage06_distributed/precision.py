"""6.4, 6.5 · Number formats: half the bits where they are enough, all of them where they are not.

Micikevicius et al.: Mixed Precision Training (2018), sections 3.1 (masters) and 3.2 (loss scaling); Kalamkar et al.: A
Study of BFLOAT16 for Deep Learning Training (2019).

    format     bits    of them: exponent, fraction    largest    smallest normal    the next number after 1
    float32      32                 8        23        3.4e38            1.2e-38            1 + 1.2e-7
    bfloat16     16                 8         7        3.4e38            1.2e-38            1 + 0.0078
    float16      16                 5        10         65504             6.1e-5            1 + 0.00098
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import ProcessGroup

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Policy:
    """Says which numbers of a run are in which format.

    Args:
        compute: what matrices are multiplied in.
        weights: what the model keeps its weights in. In float32, the weights are their own masters, and matrices are
            made narrow on the way into a product (`region`). In a half format, the model has no other weights than
            those, and `MasterWeights` keep the float32 ones.

    Raises:
        ValueError: a format is none of `FORMATS`, or `weights` are neither float32 nor in the format of `compute`.

    >>> Policy.named("bf16")
    Policy(compute=torch.bfloat16, weights=torch.float32)
    """

    compute: torch.dtype = torch.float32
    weights: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if self.compute not in FORMATS.values() or self.weights not in (torch.float32, self.compute):
            raise ValueError(
                f"compute must be one of {', '.join(map(str, FORMATS.values()))}, and weights torch.float32 or the "
                f"same; got {self.compute} and {self.weights}"
            )

    @classmethod
    def named(cls, name: str) -> Policy:
        """Make one by name: "fp32"; "bf16", "fp16" with weights in float32; "bf16-pure", "fp16-pure" without. (Given.)

        Raises:
            ValueError: there is no such name.
        """
        compute = name.removesuffix("-pure")
        if compute not in FORMATS:
            raise ValueError(f"precision must be fp32, bf16, fp16, bf16-pure or fp16-pure; got {name!r}")
        return cls(FORMATS[compute], torch.float32 if compute == name else FORMATS[compute])

    @property
    def scales(self) -> bool:
        """Whether the loss has to be scaled: where the smallest numbers are not small enough for gradients.

        >>> Policy.named("fp16").scales, Policy.named("bf16").scales
        (True, False)
        """
        # TODO 6.4: float16 has fewer bits for the exponent than float32; bfloat16 has as many
        raise NotImplementedError(
            "6.4 Policy.scales: float16 has fewer bits for the exponent than float32; bfloat16 has as many; "
            "hint: python -m bootcamp hint 6.4"
        )

    def place(self, model: nn.Module) -> nn.Module:
        """Bring the floating-point weights and buffers of a model into the format of `weights`, in place; give it."""
        # TODO 6.4: the whole model to that format
        raise NotImplementedError("6.4 Policy.place: the whole model to that format; hint: python -m bootcamp hint 6.4")

    def region(self, device_type: str = "cpu") -> contextlib.AbstractContextManager[Any]:
        """Give the region that forward and the loss run in; backward runs outside of it.

        Where weights are wider than what is computed in, that is `torch.autocast`: products of matrices take their
        factors in the narrow format, what needs range or digits stays in float32. Else it changes nothing.
        """
        # TODO 6.4: torch.autocast, or contextlib.nullcontext
        raise NotImplementedError(
            "6.4 Policy.region: torch.autocast, or contextlib.nullcontext; hint: python -m bootcamp hint 6.4"
        )


def underflow(gradients: Iterable[Tensor], dtype: torch.dtype, scale: float = 1.0) -> float:
    """Say which part of the gradients that are not 0 become 0 in another format, multiplied by `scale` in float32.

    Returns:
        From 0 to 1; 0 if there are no gradients but zeros.

    >>> underflow([torch.tensor([1.0, 1e-6, 1e-9, 0.0])], torch.float16)  # 1e-9 of the three that are not 0
    0.3333333333333333
    """
    # TODO 6.4: count those that are not 0 before, and of them those that are after
    raise NotImplementedError(
        "6.4 underflow: count those that are not 0 before, and of them those that are after; "
        "hint: python -m bootcamp hint 6.4"
    )


class MasterWeights:
    """Steps float32 copies of weights that are kept in a half format, and rounds them into these.

    A step of AdamW changes a weight by about the learning rate. bfloat16 has no number between 1 and 1.0078, so a step
    of 0.001 from 1 leads back to 1, each time, for ever. In float32 a thousand such steps add up.

    In one step: backward; `take_gradients()`; what needs all digits of the gradients, such as clipping, with `masters`
    for parameters; `step()`. Where there is nothing in between, `step()` alone takes them too.

    Args:
        parameters: in any floating-point format, or groups of them, as optimizers take them.
        make: makes the optimizer of the masters, from what takes the place of `parameters`; such as
            `lambda groups: AdamW(groups, lr=1e-3)`.

    Attributes:
        optimizer: the optimizer; its groups hold the masters, and their options may be changed as usual.
        parameters: the parameters, in the order in which they came.
        masters: their float32 copies, in the same order.

    >>> p = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    >>> masters = MasterWeights([p], lambda groups: torch.optim.SGD(groups, lr=0.001))
    >>> for _ in range(10):
    ...     p.grad = torch.ones_like(p)
    ...     masters.step()
    >>> round(masters.masters[0].item(), 4), p.item()  # 10 steps of 0.001, which bfloat16 alone would have lost
    (0.99, 0.98828125)
    """

    parameters: list[nn.Parameter]
    masters: list[nn.Parameter]

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        make: Callable[[list[dict[str, Any]]], torch.optim.Optimizer],
    ) -> None:
        given: list[Any] = list(parameters)
        groups = given if given and isinstance(given[0], dict) else [{"params": given}]
        groups = [{**group, "params": list(group["params"])} for group in groups]
        # TODO 6.4: the parameters in order; a float32 copy of each; groups that hold the copies
        raise NotImplementedError(
            "6.4 MasterWeights.__init__: the parameters in order; a float32 copy of each; groups that hold the copies; "
            "hint: python -m bootcamp hint 6.4"
        )

    def take_gradients(self) -> None:
        """Give each master a float32 copy of its parameter's gradient; None if that has none."""
        # TODO 6.4: from each parameter to its master
        raise NotImplementedError(
            "6.4 MasterWeights.take_gradients: from each parameter to its master; hint: python -m bootcamp hint 6.4"
        )

    def step(self) -> None:
        """Step the masters, and round them into the parameters.

        If no master has a gradient yet, they take those of the parameters first; afterwards none has one. A parameter
        without a gradient stays, and so does its master. The gradients of the parameters stay as they are.
        """
        # TODO 6.4: gradients, if there are none yet; step; masters to the parameters; no gradient stays
        raise NotImplementedError(
            "6.4 MasterWeights.step: gradients, if there are none yet; step; masters to the parameters; no gradient "
            "stays; "
            "hint: python -m bootcamp hint 6.4"
        )

    def zero_grad(self) -> None:
        """Take the gradients of parameters and masters away: each `grad` is None. (Given.)"""
        for p in (*self.parameters, *self.masters):
            p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Give the masters and the state of the optimizer; what half formats hold of them is not enough to go on."""
        # TODO 6.4: the masters, and the state of the optimizer
        raise NotImplementedError(
            "6.4 MasterWeights.state_dict: the masters, and the state of the optimizer; "
            "hint: python -m bootcamp hint 6.4"
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave: masters, optimizer, and the parameters, rounded from the masters.

        Raises:
            ValueError: the masters are not as many as there are, or of other shapes (both are named).
        """
        here, there = ([tuple(m.shape) for m in each] for each in (self.masters, state["masters"]))
        if here != there:
            raise ValueError(f"the masters must have the shapes {here}; got {there}")
        # TODO 6.4: masters first; parameters are rounded from them; then the optimizer
        raise NotImplementedError(
            "6.4 MasterWeights.load_state_dict: masters first; parameters are rounded from them; then the optimizer; "
            "hint: python -m bootcamp hint 6.4"
        )


class LossScaler:
    """Multiplies the loss, so that gradients are not too small for float16, and finds out by how much.

        backward of scale · loss;    gradients / scale;    clip;    step, unless one is inf or nan

    The scale halves (`backoff`) at each step that had to be left out, and doubles (`growth`) after `interval` steps in
    a row that had not.

    In one step, in this order: `scale(loss).backward()`, for each of its batches; `unscale(parameters)`; clipping;
    `step(optimizer)`; `update()`. Divided in float16, small gradients would vanish after all. Weights in float16 have
    such gradients, so `MasterWeights.take_gradients()` comes first, and the parameters are its `masters`.

    Args:
        initial: the scale at the beginning.
        growth: what it is multiplied by after `interval` good steps.
        backoff: what it is multiplied by after a bad one.
        interval: how many good steps in a row it takes.
        group: whose ranks leave out a step together if one of them has to; None asks nobody.

    Attributes:
        factor: the scale as it is.
        good_steps: how many good steps there have been in a row since it last changed.

    Raises:
        ValueError: a number is out of range: initial and interval are positive, growth is more than 1, backoff between
            0 and 1 (all are named).
    """

    def __init__(
        self,
        initial: float = 65536.0,
        growth: float = 2.0,
        backoff: float = 0.5,
        interval: int = 2000,
        group: ProcessGroup | None = None,
    ) -> None:
        if not (0.0 < initial < math.inf and growth > 1.0 and 0.0 < backoff < 1.0 and interval >= 1):
            raise ValueError(
                "initial and interval must be positive, growth more than 1 and backoff between 0 and 1; got "
                f"{initial}, {interval}, {growth} and {backoff}"
            )
        self.factor, self.good_steps = initial, 0
        self.growth, self.backoff, self.interval, self.group = growth, backoff, interval, group
        self.finite: bool | None = None
        """Whether all gradients of this step are finite, on all ranks; None before `unscale`."""

    def scale(self, loss: Tensor) -> Tensor:
        """Give scale · loss, for backward."""
        # TODO 6.5: the product, which has a graph
        raise NotImplementedError(
            "6.5 LossScaler.scale: the product, which has a graph; hint: python -m bootcamp hint 6.5"
        )

    def unscale(self, parameters: Iterable[Tensor]) -> bool:
        """Divide the gradients of all parameters by the scale, in place, and see whether all are finite, on all ranks.

        Parameters without a gradient do not count.

        Returns:
            Whether they are; the same on all ranks of the group.

        Raises:
            RuntimeError: it has been called already since the last `update`.
        """
        if self.finite is not None:
            raise RuntimeError("unscale was called already in this step; update() ends a step")
        # TODO 6.5: divide, look; then ask the others: one that is not finite makes it so for all
        raise NotImplementedError(
            "6.5 LossScaler.unscale: divide, look; then ask the others: one that is not finite makes it so for all; "
            "hint: python -m bootcamp hint 6.5"
        )

    def step(self, optimizer: Any) -> bool:
        """Have the optimizer take its step if all gradients are finite, on all ranks; else leave it out on all.

        Args:
            optimizer: anything with a `step()`.

        Returns:
            Whether it was taken.

        Raises:
            RuntimeError: `unscale` was not called before.
        """
        if self.finite is None:
            raise RuntimeError("unscale(parameters) comes before step, so that the gradients are what they say")
        # TODO 6.5: if the gradients allow it
        raise NotImplementedError("6.5 LossScaler.step: if the gradients allow it; hint: python -m bootcamp hint 6.5")

    def update(self) -> None:
        """End the step, however many batches it had: change the scale if it is time to.

        Raises:
            RuntimeError: `unscale` was not called before.
        """
        if self.finite is None:
            raise RuntimeError("unscale(parameters) comes before update")
        # TODO 6.5: smaller at once; larger after `interval` good steps in a row
        raise NotImplementedError(
            "6.5 LossScaler.update: smaller at once; larger after `interval` good steps in a row; "
            "hint: python -m bootcamp hint 6.5"
        )

    def state_dict(self) -> dict[str, Any]:
        """Give the scale and how many good steps there have been."""
        # TODO 6.5: the two numbers that change
        raise NotImplementedError(
            "6.5 LossScaler.state_dict: the two numbers that change; hint: python -m bootcamp hint 6.5"
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        # TODO 6.5: the same two
        raise NotImplementedError("6.5 LossScaler.load_state_dict: the same two; hint: python -m bootcamp hint 6.5")
