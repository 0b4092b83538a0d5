"""4.8 · Published weights: GPT-2 as it lies in files, read into your model, and written back.

Radford et al.: Language Models are Unsupervised Multitask Learners (2019); the layout is that of its published code.
Letters: C width, L layers, V vocabulary, N context length.

    name in the file                    shape        what it is here
    wte.weight                          (V, C)       embed.token, and the head
    wpe.weight                          (N, C)       embed.position
    h.0.ln_1.weight, .bias              (C,)         blocks[0].norm1
    h.0.attn.c_attn.weight, .bias       (C, 3C)      query, key, value of blocks[0].attention, side by side, transposed
    h.0.attn.c_proj.weight, .bias       (C, C)       its out, transposed
    h.0.ln_2.weight, .bias              (C,)         blocks[0].norm2
    h.0.mlp.c_fc.weight, .bias          (C, 4C)      blocks[0].feed_forward.up, transposed
    h.0.mlp.c_proj.weight, .bias        (4C, C)      its down, transposed
    ln_f.weight, .bias                  (C,)         norm

Names may begin with "transformer."; "lm_head.weight" and the masks "h.0.attn.bias" and "h.0.attn.masked_bias" say
nothing new and may be there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from stage03_attention.multihead import Projections

from .config import GPTConfig
from .gpt import GPT

IGNORED = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)|lm_head\.weight")


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read tensors by their names from a `.safetensors` file, or from a file that `torch.save` made. (Given.)

    Of a torch file nothing is run: tensors only.

    Raises:
        OSError: there is no such file.
        ValueError: it is neither, or damaged.
    """
    path = Path(path)
    with open(path, "rb"):  # a file that is not there says so by itself
        pass
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"{path} is no file of weights, or damaged: {first[0][:200]}") from None
    if not isinstance(weights, Mapping) or not all(isinstance(each, Tensor) for each in weights.values()):
        raise ValueError(f"{path} must hold tensors by their names; got {type(weights).__name__}")
    return dict(weights)


def gpt2_shapes(config: GPTConfig) -> dict[str, tuple[int, ...]]:
    """Give each name that a file has to have, and its shape. (Given.)"""
    width, inside = config.d_model, config.ff_width
    shapes: dict[str, tuple[int, ...]] = {
        "wte.weight": (config.vocab_size, width),
        "wpe.weight": (config.context_length, width),
    }
    for layer in range(config.n_layers):
        for name, shape in {
            "ln_1": (width,),
            "attn.c_attn": (width, 3 * width),
            "attn.c_proj": (width, width),
            "ln_2": (width,),
            "mlp.c_fc": (width, inside),
            "mlp.c_proj": (inside, width),
        }.items():
            shapes[f"h.{layer}.{name}.weight"] = shape
            shapes[f"h.{layer}.{name}.bias"] = shape[-1:]
    return shapes | {"ln_f.weight": (width,), "ln_f.bias": (width,)}


def gpt2_config(weights: Mapping[str, Tensor], n_heads: int | None = None) -> GPTConfig:
    """Tell from the shapes what the model is like: all but the number of heads, which leaves no trace. (Given.)

    Args:
        weights: by their names in the file, without "transformer.".
        n_heads: H; None means heads of width 64, as all published sizes have.

    Raises:
        ValueError: the tables are not there or not (rows, C), there is no layer, or C and the heads do not go together.
    """
    for name in ("wte.weight", "wpe.weight"):
        if name not in weights or weights[name].dim() != 2:
            found = tuple(weights[name].shape) if name in weights else "nothing"
            raise ValueError(f"{name}: expected a table (rows, C), found {found}")
    layers = {int(match[1]) for name in weights if (match := re.match(r"h\.(\d+)\.", name))}
    if layers != set(range(len(layers))) or not layers:
        raise ValueError(f"expected layers h.0, h.1, … without a gap, found {sorted(layers) or 'none'}")
    inside = weights.get("h.0.mlp.c_fc.weight")
    width = weights["wte.weight"].shape[1]
    if n_heads is None and width % 64:
        raise ValueError(f"C = {width} is no multiple of 64, so it must be said how many heads there are: give n_heads")
    return GPTConfig(
        vocab_size=len(weights["wte.weight"]),
        context_length=len(weights["wpe.weight"]),
        d_model=width,
        n_layers=len(layers),
        n_heads=n_heads or width // 64,
        d_ff=None if inside is None or inside.dim() != 2 else inside.shape[1],
        activation="gelu_tanh",
    )


def load_gpt2(weights: Mapping[str, Tensor] | str | os.PathLike[str], n_heads: int | None = None) -> GPT:
    """Make a `GPT` that gives the logits that GPT-2 gives with these weights.

    Args:
        weights: tensors by their published names (the table above), or a file of them.
        n_heads: H; None means C / 64.

    Returns:
        The model, in eval. Its weights are copies in the format of the file's, and all can be trained.

    Raises:
        OSError, ValueError: as `read_weights`, `gpt2_config`; or a tensor is missing, unknown or of another shape (the
            tensor is named, with the shape that was expected and the one that was found).
    """
    given = weights if isinstance(weights, Mapping) else read_weights(weights)
    named = {name.removeprefix("transformer."): tensor for name, tensor in given.items()}
    named = {name: tensor for name, tensor in named.items() if not IGNORED.fullmatch(name)}
    config = gpt2_config(named, n_heads)
    _check_shapes(named, gpt2_shapes(config))
    # TODO 4.8: make a GPT; copy each tensor into its place: linear weights transposed, q, k and v taken apart
    raise NotImplementedError(
        "4.8 load_gpt2: make a GPT; copy each tensor into its place: linear weights transposed, q, k and v taken "
        "apart; "
        "hint: python -m bootcamp hint 4.8"
    )


def _check_shapes(weights: Mapping[str, Tensor], expected: dict[str, tuple[int, ...]]) -> None:
    """Hold the tensors to their names and shapes."""
    for name, shape in expected.items():
        if name not in weights:
            raise ValueError(f"{name}: expected the shape {shape}, found nothing")
        if tuple(weights[name].shape) != shape:
            raise ValueError(f"{name}: expected the shape {shape}, found {tuple(weights[name].shape)}")
    if unknown := [name for name in weights if name not in expected]:
        raise ValueError(f"{unknown[0]}: GPT-2 has no tensor of this name")


def export_gpt2(model: GPT) -> dict[str, Tensor]:
    """Give the weights of a model by their published names: what `load_gpt2` takes.

    Returns:
        Contiguous tensors of their own, without gradients; `safetensors.torch.save_file` writes them.

    Raises:
        ValueError: the model is not what GPT-2 is (the field of its configuration is named).
    """
    _check_kind(model.config)
    # TODO 4.8: load_gpt2 backwards
    raise NotImplementedError("4.8 export_gpt2: load_gpt2 backwards; hint: python -m bootcamp hint 4.8")


def _check_kind(config: GPTConfig) -> None:
    """Hold a configuration to what GPT-2 is."""
    wanted = {
        "position": "learned",
        "norm": "layer",
        "placement": "pre",
        "activation": "gelu_tanh",
        "bias": True,
        "tie_weights": True,
        "kv_heads": config.n_heads,
        "norm_eps": 1e-5,
    }
    for name, value in wanted.items():
        if getattr(config, name) != value:
            raise ValueError(f"GPT-2 has {name} = {value!r}; this model has {getattr(config, name)!r}")
