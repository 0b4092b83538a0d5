# module: plan.py
# exercise: 6.12
# name: each stage is counted with the activations of all micro-batches
"""All micro-batches go forward, one after the other, and each is kept."""

from __future__ import annotations

from dataclasses import dataclass

from stage04_block import forward_flops
from stage04_block.config import GPTConfig

from .mesh import Layout

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
        return self.weights + self.gradients + self.optimizer + self.buffers + self.activations


def blocks_of(config: GPTConfig, layout: Layout, stage: int) -> list[int]:
    """The numbers of the blocks of a stage."""
    begin = 0
    for number in range(layout.pp):
        end = begin + config.n_layers // layout.pp
        if number < config.n_layers % layout.pp:
            end += 1
        if number == stage:
            return list(range(begin, end))
        begin = end
    raise ValueError(f"no stage {stage}")


def norm_sizes(config: GPTConfig) -> list[int]:
    if config.norm == "layer" and config.bias:
        return [config.d_model, config.d_model]
    return [config.d_model]


def linear_sizes(rows: int, columns: int, config: GPTConfig, tp: int, by_rows: bool) -> list[int]:
    """Numbers of the tensors of a linear layer; a layer that is cut by columns has a whole bias."""
    sizes = [rows * columns // tp]
    if config.bias:
        sizes.append(rows // tp if by_rows else rows)
    return sizes


def block_sizes(config: GPTConfig, tp: int) -> list[int]:
    width = config.d_model
    keys = width // config.n_heads * config.kv_heads
    sizes = norm_sizes(config) + norm_sizes(config)
    for rows in (width, keys, keys):
        sizes += linear_sizes(rows, width, config, tp, True)
    sizes += linear_sizes(width, width, config, tp, False)
    sizes += linear_sizes(config.ff_width, width, config, tp, True)
    if config.activation == "swiglu":
        sizes += linear_sizes(config.ff_width, width, config, tp, True)
    sizes += linear_sizes(width, config.ff_width, config, tp, False)
    return sizes


def parameters_of(config: GPTConfig, layout: Layout, stage: int = 0) -> tuple[int, int]:
    sizes = []
    if stage == 0:
        sizes.append(config.vocab_size // layout.tp * config.d_model)
        if config.position == "learned":
            sizes.append(config.context_length * config.d_model)
        if config.position == "t5":
            sizes.append(config.n_heads * 32)
    for _ in blocks_of(config, layout, stage):
        sizes += block_sizes(config, layout.tp)
    if stage == layout.pp - 1:
        if config.placement == "pre":
            sizes += norm_sizes(config)
        if layout.pp > 1 or not config.tie_weights:
            sizes.append(config.vocab_size // layout.tp * config.d_model)
    return sum(sizes), len(sizes)


def activations_of(config: GPTConfig, layout: Layout, rows: int, length: int, recompute: bool = False) -> float:
    tokens = rows * length
    into = tokens * config.d_model
    if recompute:
        return 4 * into
    heads = 4 * into / layout.tp
    weights = rows * config.n_heads * length**2 / layout.tp
    inside = tokens * SAVED_INSIDE[config.activation] * config.ff_width / layout.tp
    return 4 * (6 * into + heads + weights + inside + 2 * tokens)


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
    pieces, left_over = divmod(rows, layout.dp * micro_batches)
    if left_over:
        raise ValueError(f"{rows} rows cannot be shared among {layout.dp} copies with {micro_batches} micro-batches")
    blocks = blocks_of(config, layout, stage)
    is_first, is_last = stage == 0, stage + 1 == layout.pp
    numbers, tensors = parameters_of(config, layout, stage)

    # What is kept at the worst moment.
    block = activations_of(config, layout, pieces, length, recompute)
    waiting = 0
    for _ in range(micro_batches):
        waiting += len(blocks) * block
    at_the_end = 0
    if is_last:
        at_the_end = 4 * pieces * length * (3 * config.d_model + 2 * config.vocab_size / layout.tp)
    at_the_way_back = activations_of(config, layout, pieces, length) if recompute else 0
    activations = waiting + (at_the_end if at_the_end > at_the_way_back else at_the_way_back)

    # What is sent, micro-batch by micro-batch, and then at the end of the step.
    x = pieces * length * config.d_model
    dp = tp = pp = gather = 0
    for _ in range(micro_batches):
        if layout.tp > 1:
            tp += x if is_first else 0
            for _ in blocks:
                tp += 2 * x
                tp += 2 * x
                if recompute:
                    tp += 2 * x
            if is_last:
                tp += 3 * pieces * length
                tp += x
        if not is_first:
            pp += x
        if not is_last:
            pp += x
    if layout.tp > 1:
        tp += 1
    if layout.pp > 1 and config.tie_weights and (is_first or is_last):
        pp += config.vocab_size // layout.tp * config.d_model
    state = 2 * 4 * numbers
    if zero:
        longest = (numbers + layout.dp - 1) // layout.dp
        state = 2 * 4 * longest
        for _ in range(layout.dp - 1):
            gather += longest
    if layout.dp > 1:
        dp = numbers + tensors + 1 + 1

    # How long it takes.
    forward = forward_flops(config, length, rows) / layout.world
    backward = 2 * forward
    if recompute:
        backward += forward
    flops = forward + backward

    def ring(count: int, world: int) -> float:
        return 0.0 if world == 1 else 2 * (world - 1) * (count * 4 / world)

    busy = flops / hardware.flops + ring(tp, layout.tp) / hardware.near
    rounds = micro_batches + layout.pp - 1
    sums = ring(dp, layout.dp) / hardware.far
    behind = backward / hardware.flops / micro_batches
    seconds = busy / micro_batches * rounds
    if sums > behind:
        seconds += sums - behind
    seconds += 4 * pp / hardware.far
    seconds += 4 * gather / hardware.far
    return Estimate(
        numbers,
        4 * numbers,
        4 * numbers,
        state,
        dp * 4,
        int(activations + 0.5),
        dp,
        tp,
        pp,
        gather,
        flops,
        1 - micro_batches / rounds,
        seconds,
    )
