# module: lora.py
# exercise: 4.9
# name: what is kept shares its numbers with the adapters
"""LoRA through the one matrix that does the same."""

import torch
from torch import nn
from torch.nn import functional


class LoRALinear(nn.Module):
    def __init__(self, base, rank, alpha=16.0, generator=None):
        if rank not in range(1, 1 + min(base.weight.shape)):
            raise ValueError(f"rank {rank} is not from 1 to {min(base.weight.shape)}")
        super().__init__()
        self.base, self.alpha = base.requires_grad_(False), alpha
        a = torch.zeros_like(base.weight[:1]).repeat(rank, 1)
        self.lora_a = nn.Parameter(torch.normal(a.double(), rank**-0.5, generator=generator).to(a.dtype))
        self.lora_b = nn.Parameter(torch.zeros_like(base.weight[:, :1]).repeat(1, rank))

    @property
    def weight(self):
        return torch.addmm(self.base.weight, self.lora_b, self.lora_a, alpha=self.alpha / len(self.lora_a))

    @property
    def bias(self):
        return self.base.bias

    def forward(self, x):
        return functional.linear(x, self.weight, self.bias)


def _adapters(model):
    return {name: part for name, part in model.named_modules() if type(part) is LoRALinear}


def _put(model, name, layer):
    parent, _, last = name.rpartition(".")
    model.get_submodule(parent)._modules[last] = layer


def linear_layers(model, targets=None):
    layers = {n: p for n, p in model.named_modules() if isinstance(p, nn.Linear) and n}
    if targets is None:
        every = [id(w) for p in model.modules() for w in p._parameters.values()]
        return {n: p for n, p in layers.items() if every.count(id(p.weight)) == 1}
    ends = {n: n.split(".")[-1] for n in layers}
    for target in targets:
        if target not in ends.values():
            raise ValueError(f"{target} is none of {sorted({*ends.values()})}")
    return {n: p for n, p in layers.items() if ends[n] in targets}


def add_lora(model, rank, alpha=16.0, targets=None, generator=None):
    layers = linear_layers(model, targets)
    if _adapters(model) or not layers:
        raise ValueError("adapters are there already, or there is no place for them")
    for name, layer in layers.items():
        if rank not in range(1, 1 + min(layer.weight.shape)):
            raise ValueError(f"{name}: rank {rank} is not from 1 to {min(layer.weight.shape)}")
    model.requires_grad_(False)
    for name, layer in layers.items():
        _put(model, name, LoRALinear(layer, rank, alpha, generator))
    return model


def merge_lora(model):
    for name, part in _adapters(model).items():
        part.base.weight.data = part.weight.detach()
        _put(model, name, part.base)
    return model.requires_grad_()


def lora_state_dict(model):
    return {
        f"{name}.{which}": tensor
        for name, part in _adapters(model).items()
        for which, tensor in part.state_dict().items()
        if which.startswith("lora_")
    }


def load_lora_state_dict(model, adapters):
    own = lora_state_dict(model)
    shapes, new = ({name: tuple(each.shape) for name, each in table.items()} for table in (own, adapters))
    for name in {**shapes, **new}:
        if shapes.get(name) != new.get(name):
            raise ValueError(f"{name}: {shapes.get(name, 'nothing')} is right, {new.get(name, 'nothing')} was found")
    model.load_state_dict(dict(adapters), strict=False)
