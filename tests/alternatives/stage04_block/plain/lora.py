"""LoRA with the sums written out."""

import torch
from torch import nn


class LoRALinear(nn.Module):
    """A linear layer and two thin ones."""

    def __init__(self, base, rank, alpha=16.0, generator=None):
        super().__init__()
        smaller = min(base.in_features, base.out_features)
        if rank < 1 or rank > smaller:
            raise ValueError(f"the rank is {rank}, and must lie between 1 and {smaller}")
        self.base = base
        for parameter in base.parameters():
            parameter.requires_grad = False
        self.factor = alpha / rank
        noise = torch.randn(rank, base.in_features, generator=generator) / rank**0.5
        self.register_parameter("lora_a", nn.Parameter(noise.to(base.weight)))
        self.register_parameter("lora_b", nn.Parameter(base.weight.new_zeros(base.out_features, rank)))

    def forward(self, x):
        """Two ways."""
        thin = torch.einsum("...c,rc,fr->...f", x, self.lora_a, self.lora_b)
        return self.base(x) + self.factor * thin

    @property
    def weight(self):
        """The sum."""
        return self.base.weight + self.factor * torch.einsum("fr,rc->fc", self.lora_b, self.lora_a)

    @property
    def bias(self):
        """Of the layer."""
        return self.base.bias


def linear_layers(model, targets=None):
    """By their names."""
    found = {}
    for name, part in model.named_modules():
        if isinstance(part, nn.Linear) and name != "":
            found[name] = part
    if targets is None:
        for name, part in list(found.items()):
            users = 0
            for other in model.modules():
                users += sum(each is part.weight for each in other.parameters(recurse=False))
            if users > 1:
                del found[name]
        return found
    for target in targets:
        if not any(name.split(".")[-1] == target for name in found):
            known = sorted({name.split(".")[-1] for name in found})
            raise ValueError(f"no linear layer is called {target!r}; there are {known}")
    return {name: part for name, part in found.items() if name.split(".")[-1] in targets}


def replace_layer(model, name, layer):
    """Walk to the parent."""
    *way, last = name.split(".")
    for step in way:
        model = getattr(model, step)
    setattr(model, last, layer)


def add_lora(model, rank, alpha=16.0, targets=None, generator=None):
    """Look first, then change."""
    for part in model.modules():
        if isinstance(part, LoRALinear):
            raise ValueError("there are adapters already")
    layers = linear_layers(model, targets)
    if len(layers) == 0:
        raise ValueError("there is no layer to put adapters beside")
    for name, part in layers.items():
        if rank < 1 or rank > min(part.weight.shape):
            raise ValueError(f"{name}: the rank is {rank}, and must lie between 1 and {min(part.weight.shape)}")
    wrapped = {}
    for name, part in layers.items():
        wrapped[name] = LoRALinear(part, rank, alpha, generator)
    for parameter in model.parameters():
        parameter.requires_grad = False
    for name, part in wrapped.items():
        replace_layer(model, name, part)
    return model


def merge_lora(model):
    """Add, and put back."""
    found = [(name, part) for name, part in model.named_modules() if isinstance(part, LoRALinear)]
    for name, part in found:
        part.base.weight.data += part.factor * (part.lora_b.data @ part.lora_a.data)
        replace_layer(model, name, part.base)
    for parameter in model.parameters():
        parameter.requires_grad = True
    return model


def lora_state_dict(model):
    """Two tensors for each adapter."""
    kept = {}
    for name, part in model.named_modules():
        if isinstance(part, LoRALinear):
            kept[name + ".lora_a"] = part.lora_a.data.clone()
            kept[name + ".lora_b"] = part.lora_b.data.clone()
    return kept


def load_lora_state_dict(model, adapters):
    """Compare all, then write all."""
    own = lora_state_dict(model)
    for name in sorted(set(own) | set(adapters)):
        expected = tuple(own[name].shape) if name in own else "nothing"
        found = tuple(adapters[name].shape) if name in adapters else "nothing"
        if expected != found:
            raise ValueError(f"{name} should be {expected}, and is {found}")
    for name, part in model.named_modules():
        if isinstance(part, LoRALinear):
            part.lora_a.data[:] = adapters[name + ".lora_a"]
            part.lora_b.data[:] = adapters[name + ".lora_b"]
