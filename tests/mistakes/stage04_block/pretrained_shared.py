# module: pretrained.py
# exercise: 4.8
# name: what is exported are the model's own tensors, not copies
"""One table of places serves both ways."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from .config import GPTConfig
from .gpt import GPT

QKV = ("query", "key", "value")


def _read(path):
    path = Path(path)
    data = path.read_bytes()
    try:
        if path.suffix == ".safetensors":
            import safetensors.torch

            return safetensors.torch.load(data)
        return torch.load(path, weights_only=True)
    except Exception as error:
        raise ValueError(f"{path}: {type(error).__name__}") from None


def _places(model):
    """Yield a name, its parameter, and whether it is transposed; of all but attention."""
    yield "wte.weight", model.embed.token.weight, False
    yield "wpe.weight", model.embed.position.weight, False
    parts = {"ln_f": (model.norm, False)}
    for i, block in enumerate(model.blocks):
        parts |= {
            f"h.{i}.ln_1": (block.norm1, False),
            f"h.{i}.ln_2": (block.norm2, False),
            f"h.{i}.mlp.c_fc": (block.feed_forward.up, True),
            f"h.{i}.mlp.c_proj": (block.feed_forward.down, True),
        }
    for name, (part, turned) in parts.items():
        yield f"{name}.weight", part.weight, turned
        yield f"{name}.bias", part.bias, False


def export_gpt2(model):
    c = model.config
    for name, value in {
        "position": "learned",
        "norm": "layer",
        "placement": "pre",
        "activation": "gelu_tanh",
        "bias": True,
        "tie_weights": True,
        "kv_heads": c.n_heads,
        "norm_eps": 1e-5,
    }.items():
        if getattr(c, name) != value:
            raise ValueError(f"{name} = {getattr(c, name)!r}")
    found = {name: each.t() if turned else each for name, each, turned in _places(model)}
    for i, block in enumerate(model.blocks):
        p = block.attention.projections()
        found[f"h.{i}.attn.c_attn.weight"] = torch.vstack([getattr(p, name) for name in QKV]).t()
        found[f"h.{i}.attn.c_attn.bias"] = torch.hstack([getattr(p, f"{name}_bias") for name in QKV])
        found[f"h.{i}.attn.c_proj.weight"] = p.out.t()
        found[f"h.{i}.attn.c_proj.bias"] = p.out_bias
    with torch.no_grad():
        return {name: each.data for name, each in found.items()}


def load_gpt2(weights, n_heads=None):
    given = weights if isinstance(weights, Mapping) else _read(weights)
    w = {re.sub(r"^transformer\.", "", name): each.detach() for name, each in given.items()}
    w = {name: each for name, each in w.items() if not re.search(r"\.attn\.(masked_)?bias$|^lm_head.weight$", name)}
    for name in ("wte.weight", "wpe.weight"):
        if name not in w or w[name].ndim != 2:
            raise ValueError(f"{name}: not (rows, C) but {tuple(w[name].shape) if name in w else 'nothing'}")
    (rows, width), places = w["wte.weight"].shape, len(w["wpe.weight"])
    if not n_heads and width % 64:
        raise ValueError(f"{width} is not 64 times a number of heads")
    inside = w.get("h.0.mlp.c_fc.weight")
    depth = 1 + max((int(name.split(".")[1]) for name in w if name.startswith("h.")), default=0)
    config = GPTConfig(
        rows,
        places,
        width,
        depth,
        n_heads or width // 64,
        d_ff=None if inside is None else inside.shape[-1],
        activation="gelu_tanh",
    )
    model = GPT(config).to(w["wte.weight"])
    shapes = {name: tuple(each.shape) for name, each in export_gpt2(model).items()}
    for name in sorted({*shapes, *w}, key=lambda name: (name not in shapes, name)):
        found = tuple(w[name].shape) if name in w else "nothing"
        if found != shapes.get(name, "nothing"):
            raise ValueError(f"{name}: {shapes.get(name, 'nothing')} is right, found {found}")
    with torch.no_grad():
        for name, place, turned in _places(model):
            place.set_(w[name].t().clone() if turned else w[name].clone())
        for i, block in enumerate(model.blocks):
            big, bias = w[f"h.{i}.attn.c_attn.weight"], w[f"h.{i}.attn.c_attn.bias"]
            cut = big.unflatten(1, (3, width)).permute(1, 2, 0), bias.unflatten(0, (3, width))
            new = {name: part for name, part in zip(QKV, cut[0])}
            new |= {f"{name}_bias": part for name, part in zip(QKV, cut[1])}
            new |= {"out": w[f"h.{i}.attn.c_proj.weight"].t(), "out_bias": w[f"h.{i}.attn.c_proj.bias"]}
            block.attention.load_projections(replace(block.attention.projections(), **new))
    return model.eval()
