# module: plan.py
# exercise: 6.12
# name: zero is counted as if weights and gradients were shared out too
"""All 16 bytes a number are divided where zero shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stage04_block import forward_flops
from stage04_block.config import GPTConfig

from .mesh import Layout
from .pipeline import bubble

SAVED_INSIDE = {"relu": 1.25, "gelu": 2.0, "gelu_tanh": 2.0, "silu": 3.0, "swiglu": 5.0}


@dataclass(frozen=True)
class Hardware:
    flops: float
    memory: float
    near: float
    far: float


@dataclass(frozen=True)
class Estimate:
    parameters: int
    weights: int
    gradients: int
    optimizer: int
    buffers: int
    activations: int
    dp: int
    tp: int
    pp: int
    gather: int
    flops: float
    bubble: float
    seconds: float

    @property
    def memory(self) -> int:
        return sum((self.weights, self.gradients, self.optimizer, self.buffers, self.activations))


def parameters_of(config: GPTConfig, layout: Layout, stage: int = 0) -> tuple[int, int]:
    tp, (first, last) = layout.tp, (not stage, stage == layout.pp - 1)
    c, f, v = config.d_model, config.ff_width, config.vocab_size
    kv = c * config.kv_heads // config.n_heads
    per_norm = 1 + (config.norm == "layer" and config.bias)
    ups = 1 + (config.activation == "swiglu")
    norm = [(c, 1)] * per_norm
    rows = [c, kv, kv, *[f] * ups]
    block = norm * 2 + [(n * c, tp) for n in rows] + [(c * c, tp), (f * c, tp)]
    block += [(n, tp) for n in rows] * config.bias + [(c, 1)] * 2 * config.bias
    ends = [(v * c, tp)] * first + [(v * c, tp)] * (last and not (first and config.tie_weights))
    ends += norm * (last and config.placement == "pre")
    ends += [(config.context_length * c, 1)] * (first and config.position == "learned")
    ends += [(32 * config.n_heads, 1)] * (first and config.position == "t5")
    parts = block * len(range(stage, config.n_layers, layout.pp)) + ends
    return sum(size // by for size, by in parts), len(parts)


def activations_of(config: GPTConfig, layout: Layout, rows: int, length: int, recompute: bool = False) -> float:
    c = config.d_model
    cut = 4 * c + SAVED_INSIDE[config.activation] * config.ff_width + config.n_heads * length
    return 4.0 * rows * length * (c if recompute else 6 * c + 2 + cut / layout.tp)


def estimate(
    config: GPTConfig,
    layout: Layout,
    hardware: Hardware,
    rows: int,
    length: int,
    micro_batches: int = 1,
    stage: int = 0,
    zero: bool = False,
    recompute: bool = False,
) -> Estimate:
    d, t, p, m = layout.dp, layout.tp, layout.pp, micro_batches
    if rows % (d * m):
        raise ValueError(f"{rows} is no multiple of {d} · {m}")
    b = rows // (d * m)
    blocks = len(range(stage, config.n_layers, p))
    ends = [stage == 0, stage == p - 1]
    n, tensors = parameters_of(config, layout, stage)
    kept, inside = (activations_of(config, layout, b, length, how) for how in (recompute, False))
    loss = 4 * b * length * (3 * config.d_model + 2 * config.vocab_size / t) * ends[1]
    x, table = b * length * config.d_model, config.vocab_size * config.d_model // t
    own = math.ceil(n / d) if zero else n
    sent = {
        "dp": (d > 1) * (n + tensors + 2),
        "tp": (t > 1) * (m * (x * ((4 + 2 * recompute) * blocks + sum(ends)) + 3 * b * length * ends[1]) + 1),
        "pp": (p > 1) * (m * x * (2 - sum(ends)) + table * (config.tie_weights and any(ends))),
        "gather": zero * (d - 1) * own,
    }
    forward = forward_flops(config, length, rows) / layout.world
    flops = forward * (3 + recompute)
    idle = bubble(p, m)
    near, far = (8 * sent[name] * (1 - 1 / w) for name, w in (("tp", t), ("dp", d)))
    seconds = (flops / hardware.flops + near / hardware.near) / (1 - idle)
    seconds += max(0, far / hardware.far - (flops - forward) / hardware.flops / m)
    seconds += 4 * (sent["pp"] + sent["gather"]) / hardware.far
    bytes_of = {"weights": 4 * own, "gradients": 4 * own, "optimizer": 8 * own, "buffers": 4 * sent["dp"]}
    kept = min(p - stage, m) * blocks * kept + max(loss, inside * recompute)
    return Estimate(n, **bytes_of, activations=round(kept), **sent, flops=flops, bubble=idle, seconds=seconds)
