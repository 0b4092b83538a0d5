# module: precision.py
# exercise: 6.4
# name: the masters are rounded together with the parameters
"""What is in the model is taken to be the truth."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Policy:
    """Formats of products and of weights."""

    compute: torch.dtype = torch.float32
    weights: torch.dtype = torch.float32

    def __post_init__(self):
        if not (self.compute in FORMATS.values() and self.weights in {torch.float32, self.compute}):
            raise ValueError(f"{self.compute}, {self.weights}")

    @classmethod
    def named(cls, name):
        found = {**{key: (each, torch.float32) for key, each in FORMATS.items()}}
        found |= {f"{key}-pure": (each, each) for key, each in FORMATS.items()}
        if name not in found:
            raise ValueError(f"{name!r} is none of {', '.join(found)}")
        return cls(*found[name])

    scales = property(lambda self: {torch.float16: True}.get(self.compute, False))

    def place(self, model):
        return model._apply(lambda tensor: tensor.to(self.weights) if tensor.is_floating_point() else tensor)

    def region(self, device_type="cpu"):
        narrow = self.compute != torch.float32 and self.weights == torch.float32
        return torch.autocast(device_type, self.compute) if narrow else nullcontext()


def underflow(gradients, dtype, scale=1.0):
    """One vector of all that is not 0."""
    flat = [g.flatten().float() for g in gradients]
    there = torch.cat([torch.zeros(0), *flat])
    there = there[there.abs() > 0]
    return ((there * scale).to(dtype) == 0).double().mean().nan_to_num(0.0).item()


class MasterWeights:
    """One list of masters, cut into groups."""

    def __init__(self, parameters, make):
        given = list(parameters)
        groups = [dict(each) for each in given] if given and isinstance(given[0], dict) else [{"params": given}]
        for group in groups:
            group["params"] = list(group["params"])
        self.parameters = [p for group in groups for p in group["params"]]
        self.masters = [torch.nn.Parameter(p.detach().clone().float()) for p in self.parameters]
        left = iter(self.masters)
        self.optimizer = make([{**group, "params": [next(left) for _ in group["params"]]} for group in groups])

    def _pairs(self):
        return zip(self.parameters, self.masters)

    def take_gradients(self):
        for p, m in self._pairs():
            m.grad = p.grad if p.grad is None else p.grad.clone().float()

    def step(self):
        for p, m in self._pairs():
            if m.grad is None and p.grad is not None and all(each.grad is None for each in self.masters):
                self.take_gradients()
        self.optimizer.step()
        torch._foreach_copy_([p.data for p in self.parameters], [m.data for m in self.masters])
        for p, m in self._pairs():
            m.grad = None
            m.data = p.data.float()

    def zero_grad(self):
        for each in self.parameters + self.masters:
            each.grad = None

    def state_dict(self):
        return {"masters": [m.data for m in self.masters], "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        shapes = [[tuple(each.shape) for each in these] for these in (self.masters, state["masters"])]
        if shapes[0] != shapes[1]:
            raise ValueError(f"expected {shapes[0]}, given {shapes[1]}")
        self.optimizer.load_state_dict(state["optimizer"])
        for these in (self.masters, self.parameters):
            torch._foreach_copy_([each.data for each in these], state["masters"])


class LossScaler:
    """The answers of all ranks are gathered, and each looks at all of them."""

    def __init__(self, initial=65536.0, growth=2.0, backoff=0.5, interval=2000, group=None):
        if not (0 < initial < math.inf and growth > 1 and 0 < backoff < 1 and interval >= 1):
            raise ValueError(f"{initial}, {growth}, {backoff}, {interval}")
        self.factor, self.good_steps, self.finite = initial, 0, None
        self.options = growth, backoff, interval, group

    def scale(self, loss):
        return self.factor * loss

    def unscale(self, parameters):
        if self.finite is not None:
            raise RuntimeError("unscale comes once in a step")
        grads = [p.grad for p in parameters if p.grad is not None]
        device = grads[0].device if grads else torch.device("cpu")
        found = torch.zeros(1, device=device)
        for grad in grads:
            here = torch.zeros(1, device=grad.device)
            ours = torch.tensor([1.0 / self.factor], device=grad.device)
            torch._amp_foreach_non_finite_check_and_unscale_([grad], here, ours)
            found = torch.maximum(found, here.to(device))
        if group := self.options[3]:
            all_found = [torch.empty_like(found) for _ in range(dist.get_world_size(group))]
            dist.all_gather(all_found, found, group)
            found = torch.cat(all_found).amax()
        self.finite = found.item() == 0
        return self.finite

    def step(self, optimizer):
        if self.finite is None:
            raise RuntimeError("first unscale")
        return self.finite and (optimizer.step(), True)[1]

    def update(self):
        if self.finite is None:
            raise RuntimeError("first unscale")
        growth, backoff, interval, _ = self.options
        self.good_steps = (self.good_steps + 1) % interval if self.finite else 0
        self.factor *= backoff if not self.finite else growth if self.good_steps == 0 else 1.0
        self.finite = None

    def state_dict(self):
        return {key: self.__dict__[key] for key in ("factor", "good_steps")}

    def load_state_dict(self, state):
        self.__dict__.update(state)
