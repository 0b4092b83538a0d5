"""4.9 · LoRA: what is learned on top of a trained model is a product of two thin matrices beside each layer.

Hu et al.: LoRA: Low-Rank Adaptation of Large Language Models (2021), section 4.
Letters: C in and F out of a linear layer, r rank.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class LoRALinear(nn.Module):
    """A linear layer that is frozen, and beside it two thin ones that are trained.

        y = base(x) + (alpha / r) · B A x

    A is drawn at random and B is 0, so that at first y = base(x). The matrix B A has the rank r at most, and takes
    r · (C + F) numbers instead of C · F.

    Args:
        base: the layer; its parameters are frozen.
        rank: r.
        alpha: what the product is multiplied by, over r: with the same alpha another r needs no other learning rate.
        generator: where A is drawn from, on the device of the layer; None means torch's own.

    Attributes:
        base: the layer.
        lora_a: A, a Parameter (r, C), drawn from N(0, 1/r), in the format and on the device of the layer.
        lora_b: B, a Parameter (F, r), zeros, of the same kind.

    Raises:
        ValueError: the rank is not from 1 to the smaller of C and F.

    >>> layer = LoRALinear(nn.Linear(6, 4), rank=2)
    >>> [name for name, each in layer.named_parameters() if each.requires_grad]
    ['lora_a', 'lora_b']
    """

    def __init__(
        self, base: nn.Linear, rank: int, alpha: float = 16.0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if not 1 <= rank <= min(base.in_features, base.out_features):
            raise ValueError(
                f"rank must be from 1 to {min(base.in_features, base.out_features)} for a layer from "
                f"{base.in_features} to {base.out_features}; got {rank}"
            )
        self.base, self.rank, self.alpha = base.requires_grad_(False), rank, alpha
        # BEGIN SOLUTION 4.9: A drawn, B zeros, both in the format and on the device of the layer
        like = base.weight
        drawn = torch.empty(rank, base.in_features, dtype=like.dtype, device=like.device)
        self.lora_a = nn.Parameter(drawn.normal_(0.0, 1 / math.sqrt(rank), generator=generator))
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank, dtype=like.dtype, device=like.device))
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., F)."""
        # BEGIN SOLUTION 4.9: the frozen layer, and the way through the narrow place
        narrow = nn.functional.linear(x, self.lora_a)  # (..., r)
        return self.base(x) + nn.functional.linear(narrow, self.lora_b) * (self.alpha / self.rank)
        # END SOLUTION

    @property
    def weight(self) -> Tensor:
        """W + (alpha / r) · B A, (F, C): the one matrix that does the same; for code that asks a layer for its
        weight."""
        # BEGIN SOLUTION 4.9: the sum
        return self.base.weight + self.lora_b @ self.lora_a * (self.alpha / self.rank)
        # END SOLUTION

    @property
    def bias(self) -> Tensor | None:
        """The bias of the layer. (Given.)"""
        return self.base.bias

    def extra_repr(self) -> str:
        return f"rank={self.rank}, alpha={self.alpha}"


def linear_layers(model: nn.Module, targets: Sequence[str] | None = None) -> dict[str, nn.Linear]:
    """Give the linear layers of a model by their full names. (Given.)

    Args:
        model: any module.
        targets: last parts of names, such as ["up", "down"]; None means all, but for a layer that shares its weight
            with another part, as a tied output does.

    Raises:
        ValueError: a target is the name of no linear layer (it is named, with those that there are).
    """
    owners: dict[int, int] = {}
    for part in model.modules():
        for weight in part.parameters(recurse=False):
            owners[id(weight)] = owners.get(id(weight), 0) + 1
    layers = {name: part for name, part in model.named_modules() if isinstance(part, nn.Linear) and name}
    lasts = {name: name.rpartition(".")[2] for name in layers}
    if targets is None:
        return {name: layer for name, layer in layers.items() if owners[id(layer.weight)] == 1}
    if unknown := [target for target in targets if target not in lasts.values()]:
        known = ", ".join(sorted(set(lasts.values())))
        raise ValueError(f"there is no linear layer of the name {unknown[0]!r}; there are {known or 'none'}")
    return {name: layer for name, layer in layers.items() if lasts[name] in targets}


def replace_layer(model: nn.Module, name: str, layer: nn.Module) -> None:
    """Put a layer into the place of the one that has this full name. (Given.)"""
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)


def add_lora(
    model: nn.Module,
    rank: int,
    alpha: float = 16.0,
    targets: Sequence[str] | None = None,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Freeze a model, put a `LoRALinear` around each of its linear layers (see `linear_layers`), and give it back.

    Raises:
        ValueError: as `linear_layers` and `LoRALinear`; there is no layer; or the model has adapters already. Then
            nothing is changed.
    """
    layers = linear_layers(model, targets)
    if any(isinstance(part, LoRALinear) for part in model.modules()):
        raise ValueError("the model has adapters already; merge_lora first")
    if not layers:
        raise ValueError("the model has no linear layer of its own to put adapters beside")
    for name, layer in layers.items():
        if not 1 <= rank <= min(layer.weight.shape):
            raise ValueError(f"rank must be from 1 to {min(layer.weight.shape)} for {name}; got {rank}")
    # BEGIN SOLUTION 4.9: freeze all; then put the new layers into the places of the old ones
    model.requires_grad_(False)
    for name, layer in layers.items():
        replace_layer(model, name, LoRALinear(layer, rank, alpha, generator))
    return model
    # END SOLUTION


def merge_lora(model: nn.Module) -> nn.Module:
    """Add each product to the weight beside it, put the plain layers back, and give the model back.

    Outputs stay the same, up to rounding, and cost what they cost before there were adapters. The parameters are the
    objects that they were, with other numbers, and all are trained again: `requires_grad` is True.
    """
    # BEGIN SOLUTION 4.9: write the sum into the old layer, in place, and put it back
    for name, part in list(model.named_modules()):
        if isinstance(part, LoRALinear):
            with torch.no_grad():
                part.base.weight.copy_(part.weight)
            replace_layer(model, name, part.base)
    return model.requires_grad_(True)
    # END SOLUTION


def lora_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Give what the adapters have learned, and nothing else: copies of A and B by their full names.

    >>> model = add_lora(nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2)), rank=1)
    >>> {name: tuple(tensor.shape) for name, tensor in lora_state_dict(model).items()}
    {'0.lora_a': (1, 6), '0.lora_b': (4, 1), '1.lora_a': (1, 4), '1.lora_b': (2, 1)}
    """
    # BEGIN SOLUTION 4.9: of each LoRALinear its two
    return {
        f"{name}.{which}": getattr(part, which).detach().clone()
        for name, part in model.named_modules()
        if isinstance(part, LoRALinear)
        for which in ("lora_a", "lora_b")
    }
    # END SOLUTION


def load_lora_state_dict(model: nn.Module, adapters: Mapping[str, Tensor]) -> None:
    """Write adapters into a model that `add_lora` has prepared in the same way.

    Raises:
        ValueError: a tensor is missing, unknown or of another shape (it is named, with what was expected and what was
            found). Then nothing is written.
    """
    own = {name: each for name, each in model.named_parameters() if name.rpartition(".")[2] in ("lora_a", "lora_b")}
    for name in {**own, **adapters}:
        wanted = tuple(own[name].shape) if name in own else "nothing"
        found = tuple(adapters[name].shape) if name in adapters else "nothing"
        if wanted != found:
            raise ValueError(f"{name}: expected {wanted}, found {found}")
    # BEGIN SOLUTION 4.9: copy each into its place
    with torch.no_grad():
        for name, tensor in adapters.items():
            own[name].copy_(tensor)
    # END SOLUTION
