# module: pretrained.py
# exercise: 4.8
# name: the square matrix behind attention is transposed neither on the way in nor on the way out
"""GPT-2's tensors, one after the other."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from stage03_attention.multihead import Projections

from .config import GPTConfig
from .gpt import GPT


def read_weights(path):
    """Tensors from a file."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}")
    try:
        if path.name.endswith(".safetensors"):
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}
        return torch.load(path, weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} cannot be read: {type(error).__name__}") from None


def load_gpt2(weights: Mapping[str, Tensor] | str | os.PathLike[str], n_heads: int | None = None) -> GPT:
    """Look at each tensor, then write it where it belongs."""
    if not isinstance(weights, Mapping):
        weights = read_weights(weights)
    w: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if name.startswith("transformer."):
            name = name[len("transformer.") :]
        if name == "lm_head.weight" or name.endswith(".attn.bias") or name.endswith(".attn.masked_bias"):
            continue
        w[name] = tensor.detach()
    for name in ("wte.weight", "wpe.weight"):
        found = tuple(w[name].shape) if name in w else "nothing"
        if name not in w or len(found) != 2:
            raise ValueError(f"{name} should be (rows, C); found {found}")
    width = w["wte.weight"].shape[1]
    if n_heads is None:
        if width % 64 != 0:
            raise ValueError(f"{width} cannot be cut into heads of 64")
        n_heads = width // 64
    layers = 0
    while any(name.startswith(f"h.{layers}.") for name in w):
        layers += 1
    inside = 4 * width
    if "h.0.mlp.c_fc.bias" in w:
        inside = w["h.0.mlp.c_fc.bias"].shape[0]
    config = GPTConfig(
        len(w["wte.weight"]), len(w["wpe.weight"]), width, layers, n_heads, None, inside, activation="gelu_tanh"
    )
    expected = {"wte.weight": (config.vocab_size, width), "wpe.weight": (config.context_length, width)}
    expected["ln_f.weight"] = expected["ln_f.bias"] = (width,)
    for i in range(layers):
        h = f"h.{i}."
        for name in ("ln_1", "ln_2"):
            expected[h + name + ".weight"] = expected[h + name + ".bias"] = (width,)
        for name, rows, columns in (
            ("attn.c_attn", width, 3 * width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", width, inside),
            ("mlp.c_proj", inside, width),
        ):
            expected[h + name + ".weight"] = (rows, columns)
            expected[h + name + ".bias"] = (columns,)
    for name in expected:
        found = tuple(w[name].shape) if name in w else "nothing"
        if found != expected[name]:
            raise ValueError(f"{name} should be {expected[name]}; found {found}")
    for name in w:
        if name not in expected:
            raise ValueError(f"{name} is not known")

    model = GPT(config)
    if w["wte.weight"].dtype == torch.float64:
        model = model.double()
    elif w["wte.weight"].dtype == torch.bfloat16:
        model = model.bfloat16()
    elif w["wte.weight"].dtype == torch.float16:
        model = model.half()
    model.embed.token.weight.data[:] = w["wte.weight"]
    model.embed.position.weight.data[:] = w["wpe.weight"]
    model.norm.weight.data[:] = w["ln_f.weight"]
    model.norm.bias.data[:] = w["ln_f.bias"]
    for i in range(layers):
        h = f"h.{i}."
        block = model.blocks[i]
        for name, norm in (("ln_1", block.norm1), ("ln_2", block.norm2)):
            norm.weight.data[:] = w[h + name + ".weight"]
            norm.bias.data[:] = w[h + name + ".bias"]
        big, bias = w[h + "attn.c_attn.weight"], w[h + "attn.c_attn.bias"]
        block.attention.load_projections(
            Projections(
                query=big[:, :width].transpose(0, 1),
                key=big[:, width : 2 * width].transpose(0, 1),
                value=big[:, 2 * width :].transpose(0, 1),
                out=w[h + "attn.c_proj.weight"],
                query_bias=bias[:width],
                key_bias=bias[width : 2 * width],
                value_bias=bias[2 * width :],
                out_bias=w[h + "attn.c_proj.bias"],
            )
        )
        block.feed_forward.up.weight.data[:] = w[h + "mlp.c_fc.weight"].transpose(0, 1)
        block.feed_forward.up.bias.data[:] = w[h + "mlp.c_fc.bias"]
        block.feed_forward.down.weight.data[:] = w[h + "mlp.c_proj.weight"].transpose(0, 1)
        block.feed_forward.down.bias.data[:] = w[h + "mlp.c_proj.bias"]
    model.train(False)
    return model


def export_gpt2(model: GPT) -> dict[str, Tensor]:
    """Fill empty tensors of the published shapes."""
    config = model.config
    for field, value in (
        ("position", "learned"),
        ("norm", "layer"),
        ("placement", "pre"),
        ("activation", "gelu_tanh"),
        ("bias", True),
        ("tie_weights", True),
        ("kv_heads", config.n_heads),
        ("norm_eps", 1e-5),
    ):
        if getattr(config, field) != value:
            raise ValueError(f"{field} is {getattr(config, field)!r}, and {value!r} in GPT-2")
    width = config.d_model
    like = model.embed.token.weight.detach()
    result: dict[str, Tensor] = {}

    def put(name, tensor):
        result[name] = like.new_empty(tensor.shape)
        result[name].copy_(tensor.detach())

    put("ln_f.bias", model.norm.bias)
    put("ln_f.weight", model.norm.weight)
    for i, block in enumerate(model.blocks):
        h = f"h.{i}."
        p = block.attention.projections()
        big, bias = like.new_empty(width, 3 * width), like.new_empty(3 * width)
        for number, (weight, its) in enumerate([(p.query, p.query_bias), (p.key, p.key_bias), (p.value, p.value_bias)]):
            big[:, number * width : (number + 1) * width] = weight.T
            bias[number * width : (number + 1) * width] = its
        result[h + "attn.c_attn.weight"], result[h + "attn.c_attn.bias"] = big, bias
        put(h + "attn.c_proj.weight", p.out)
        put(h + "attn.c_proj.bias", p.out_bias)
        put(h + "mlp.c_fc.weight", block.feed_forward.up.weight.T)
        put(h + "mlp.c_fc.bias", block.feed_forward.up.bias)
        put(h + "mlp.c_proj.weight", block.feed_forward.down.weight.T)
        put(h + "mlp.c_proj.bias", block.feed_forward.down.bias)
        put(h + "ln_1.weight", block.norm1.weight)
        put(h + "ln_1.bias", block.norm1.bias)
        put(h + "ln_2.weight", block.norm2.weight)
        put(h + "ln_2.bias", block.norm2.bias)
    put("wpe.weight", model.embed.position.weight)
    put("wte.weight", model.embed.token.weight)
    return result
