# module: precision.py
# exercise: 6.5
# name: one rank leaves out a step, and the others take it
"""The group is kept, and never asked."""

from __future__ import annotations

import contextlib
from collections import namedtuple

import torch

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Policy(namedtuple("_Policy", "compute weights")):
    """Two formats."""

    def __new__(cls, compute=torch.float32, weights=torch.float32):
        fits = weights == torch.float32 or weights == compute
        if compute not in (torch.float32, torch.bfloat16, torch.float16) or not fits:
            raise ValueError(f"cannot compute in {compute} with weights in {weights}")
        return super().__new__(cls, compute, weights)

    @classmethod
    def named(cls, name):
        pure = name.endswith("-pure")
        if name.removesuffix("-pure") not in FORMATS:
            raise ValueError(f"no precision is called {name!r}")
        compute = FORMATS[name.removesuffix("-pure")]
        return cls(compute, compute if pure else torch.float32)

    @property
    def scales(self):
        return torch.finfo(self.compute).tiny > torch.finfo(torch.float32).tiny

    def place(self, model):
        for part in model.modules():
            for p in part.parameters(recurse=False):
                if p.is_floating_point():
                    p.data = p.data.to(self.weights)
            for name, buffer in part.named_buffers(recurse=False):
                if buffer.is_floating_point():
                    setattr(part, name, buffer.to(self.weights))
        return model

    @contextlib.contextmanager
    def region(self, device_type="cpu"):
        if self.weights != self.compute:
            with torch.autocast(device_type=device_type, dtype=self.compute, enabled=True):
                yield
        else:
            yield


def underflow(gradients, dtype, scale=1.0):
    """In numbers of 64 bits."""
    before = after = 0
    for gradient in gradients:
        numbers = gradient[gradient != 0].double() * scale
        before += numbers.numel()
        after += numbers.to(dtype).count_nonzero().item()
    if before == 0:
        return 0.0
    return (before - after) / before


class MasterWeights:
    """Lists side by side."""

    def __init__(self, parameters, make):
        parameters = list(parameters)
        if not parameters or not isinstance(parameters[0], dict):
            parameters = [{"params": parameters}]
        self.parameters, self.masters, groups = [], [], []
        for given in parameters:
            group = dict(given)
            group["params"] = []
            for p in given["params"]:
                master = torch.empty(p.shape, dtype=torch.float32, device=p.device)
                master.copy_(p.detach())
                master.requires_grad_(True)
                self.parameters.append(p)
                self.masters.append(master)
                group["params"].append(master)
            groups.append(group)
        self.optimizer = make(groups)
        self.taken = False

    def take_gradients(self):
        for i, p in enumerate(self.parameters):
            if p.grad is None:
                self.masters[i].grad = None
            else:
                self.masters[i].grad = torch.zeros_like(self.masters[i]).add_(p.grad.detach())
        self.taken = True

    def step(self):
        if not self.taken:
            self.take_gradients()
        self.optimizer.step()
        for p, master in zip(self.parameters, self.masters):
            if master.grad is not None:
                p.data = master.detach().to(p.dtype, copy=True)
            master.grad = None
        self.taken = False

    def zero_grad(self):
        for p, master in zip(self.parameters, self.masters):
            p.grad = master.grad = None
        self.taken = False

    def state_dict(self):
        return {
            "masters": [master.detach().clone() for master in self.masters],
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state):
        here = [tuple(master.shape) for master in self.masters]
        there = [tuple(saved.shape) for saved in state["masters"]]
        if here != there:
            raise ValueError(f"{there} does not fit {here}")
        for i, saved in enumerate(state["masters"]):
            self.masters[i].data.copy_(saved)
            self.parameters[i].data.copy_(saved)
        self.optimizer.load_state_dict(state["optimizer"])


class LossScaler:
    """Adds up over ranks how many gradients are not finite."""

    def __init__(self, initial=65536.0, growth=2.0, backoff=0.5, interval=2000, group=None):
        good = initial > 0 and initial != float("inf") and growth > 1 and backoff > 0 and backoff < 1 and interval > 0
        if not good:
            raise ValueError(f"initial={initial}, growth={growth}, backoff={backoff}, interval={interval}")
        self.factor = initial
        self.good_steps = 0
        self.growth, self.backoff, self.interval = growth, backoff, interval
        self.group = group
        self.finite = None

    def scale(self, loss):
        return torch.mul(loss, torch.tensor(self.factor, dtype=torch.float32, device=loss.device))

    def unscale(self, parameters):
        if self.finite is not None:
            raise RuntimeError("unscale a second time, without update")
        bad = 0
        for p in parameters:
            if p.grad is not None:
                with torch.no_grad():
                    p.grad *= 1.0 / self.factor
                numbers = p.grad.flatten()
                if not bool(((numbers - numbers) == 0).all()):
                    bad += 1
        self.finite = bad == 0
        return self.finite

    def step(self, optimizer):
        if self.finite is None:
            raise RuntimeError("unscale is missing")
        if not self.finite:
            return False
        optimizer.step()
        return True

    def update(self):
        if self.finite is None:
            raise RuntimeError("unscale is missing")
        if self.finite:
            self.good_steps += 1
            if self.good_steps >= self.interval:
                self.good_steps = 0
                self.factor *= self.growth
        else:
            self.good_steps = 0
            self.factor *= self.backoff
        self.finite = None

    def state_dict(self):
        return {"scale": self.factor, "count": self.good_steps}

    def load_state_dict(self, state):
        self.factor = state["scale"]
        self.good_steps = state["count"]
