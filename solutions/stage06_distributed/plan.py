"""6.12 · The plan: what a run takes of memory, traffic and time, before anything is rented.

Korthikanti et al.: Reducing Activation Recomputation in Large Transformer Models (2022), section 4; Narayanan et al.:
Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM (2021), section 3.
Letters: B rows of a micro-batch on one rank, T time, C width, H heads, F width inside feed-forward, L layers, V
vocabulary; dp, tp, pp as in `Layout`.
"""

from __future__ import annotations

from dataclasses import dataclass

from stage04_block import forward_flops
from stage04_block.config import GPTConfig

from .mesh import Layout
from .pipeline import bubble

SAVED_INSIDE = {"relu": 1.25, "gelu": 2.0, "gelu_tanh": 2.0, "silu": 3.0, "swiglu": 5.0}
"""How many times F numbers of four bytes the reference's feed-forward keeps for backward, for each token."""
SAVED_WHOLE, SAVED_CUT = 6, 4
"""How many times C numbers a block keeps for each token: in stream and norms; in queries, keys, values and heads."""


@dataclass(frozen=True)
class Hardware:
    """What processes run on.

    Args:
        flops: operations a second that one process gets out of its device, in the format that it computes in.
        memory: bytes of one device.
        near: bytes a second between processes that share matrices (tp).
        far: bytes a second between others (dp, pp).
    """

    flops: float
    memory: float
    near: float
    far: float


@dataclass(frozen=True)
class Estimate:
    """What one rank takes for a step; memory in bytes.

    Attributes:
        parameters: how many numbers of the model it has.
        weights, gradients, optimizer: bytes of these, in float32.
        buffers: bytes in which gradients travel between copies of the model.
        activations: bytes that forward keeps for backward, at most at one time.
        dp, tp, pp: how many numbers it gives to all-reduces among copies, to all-reduces among those that share
            matrices, and how many it sends to neighbouring stages.
        flops: operations.
        bubble: which part of the time it waits for other stages.
        seconds: how long the step takes.
    """

    parameters: int
    weights: int
    gradients: int
    optimizer: int
    buffers: int
    activations: int
    dp: int
    tp: int
    pp: int
    flops: float
    bubble: float
    seconds: float

    @property
    def memory(self) -> int:
        """All bytes together."""
        return self.weights + self.gradients + self.optimizer + self.buffers + self.activations


def parameters_of(config: GPTConfig, layout: Layout, stage: int = 0) -> tuple[int, int]:
    """Say how many numbers and how many tensors a rank of a stage has of the model.

    Cut by tp: the token table, the output, queries, keys, values and what puts heads together, and feed-forward, with
    their biases, but for the biases of what comes out of attention and feed-forward; these, norms and positions are
    whole. Blocks are shared out as `split_stages` does it, which gives the last stage a copy of a shared table.

    >>> config = GPTConfig(vocab_size=100, context_length=8, d_model=4, n_layers=2, n_heads=2, bias=False)
    >>> parameters_of(config, Layout())[0] - parameters_of(config, Layout(tp=2))[0]  # half of 400 and 2 · 192
    392
    """
    # BEGIN SOLUTION 6.12: count the parts of a block, cut and whole; times its blocks; the ends of the model
    width, inside, bias = config.d_model, config.ff_width, int(config.bias)
    kv_width = config.kv_heads * config.head_dim
    norm_tensors = 2 if config.norm == "layer" and config.bias else 1
    gates = 2 if config.activation == "swiglu" else 1
    cut = 2 * width * width + 2 * width * kv_width + (gates + 1) * width * inside
    cut += bias * (width + 2 * kv_width + gates * inside)
    whole = 2 * norm_tensors * width + bias * 2 * width
    tensors = 2 * norm_tensors + 4 + gates + 1 + bias * (4 + gates + 1)
    blocks = config.n_layers // layout.pp + (stage < config.n_layers % layout.pp)
    numbers, count = blocks * (cut // layout.tp + whole), blocks * tensors
    first, last = stage == 0, stage == layout.pp - 1
    table = config.vocab_size * width // layout.tp
    if first:
        learned = config.position == "learned"
        numbers += table + learned * config.context_length * width
        count += 1 + learned
    if last and config.placement == "pre":
        numbers += norm_tensors * width
        count += norm_tensors
    if last and not (first and config.tie_weights):
        numbers += table
        count += 1
    return numbers, count
    # END SOLUTION


def activations_of(config: GPTConfig, layout: Layout, rows: int, length: int, recompute: bool = False) -> float:
    """Say how many bytes of one micro-batch a block keeps between its forward and its backward, in float32.

        4 · B·T · (6 C + (4 C + k F + H T) / tp + 2),   k from `SAVED_INSIDE`;     4 · B·T·C with recomputation

    What is cut are queries, keys, values, heads, the inside of feed-forward, and attention's weights, (B, H, T, T).

    Args:
        rows, length: B and T.
        recompute: whether only what goes into the block is kept.
    """
    # BEGIN SOLUTION 6.12: the formula
    if recompute:
        return 4.0 * rows * length * config.d_model
    cut = SAVED_CUT * config.d_model + SAVED_INSIDE[config.activation] * config.ff_width + config.n_heads * length
    return 4.0 * rows * length * (SAVED_WHOLE * config.d_model + cut / layout.tp + 2)
    # END SOLUTION


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
    """Say what a step of `Engine` takes of a rank, with the schedule 1F1B and AdamW, in float32.

    Args:
        config: the model.
        layout: how processes share the work.
        hardware: what they run on.
        rows: of the whole batch; dp · micro_batches divides it.
        length: T, how many tokens a row has.
        micro_batches: how many pieces each copy of the model cuts its rows into.
        stage: whose rank.
        zero: whether copies share the optimizer's state.
        recompute: whether blocks are computed again on the way back.

    Raises:
        ValueError: the rows cannot be shared out so (all numbers are named).
    """
    if rows % (layout.dp * micro_batches):
        raise ValueError(f"rows must be a multiple of dp · micro_batches; got {rows}, {layout.dp} and {micro_batches}")
    piece = rows // layout.dp // micro_batches
    first, last = stage == 0, stage == layout.pp - 1
    blocks = config.n_layers // layout.pp + (stage < config.n_layers % layout.pp)
    # BEGIN SOLUTION 6.12: parameters; memory; what is given to each kind of message; operations; time
    numbers, tensors = parameters_of(config, layout, stage)
    alive = min(layout.pp - stage, micro_batches)
    one = activations_of(config, layout, piece, length, recompute)
    ends = 4.0 * piece * length * (config.vocab_size // layout.tp + 3 * config.d_model if last else 0)
    inside = activations_of(config, layout, piece, length) - one if recompute else 0.0
    stream = piece * length * config.d_model  # numbers between two layers
    dp = numbers + tensors + 2  # which gradients are there; how many targets; the loss
    passed = (6 if recompute else 4) * blocks + first + last  # of the stream: two sums a block each way; the two ends
    tp = micro_batches * (passed * stream + 3 * piece * length * last) + 1  # what the loss needs; the norm
    table = config.vocab_size * config.d_model // layout.tp if config.tie_weights and (first or last) else 0
    pp = micro_batches * stream * ((not last) + (not first)) + table
    dp, tp, pp = (number if size > 1 else 0 for number, size in ((dp, layout.dp), (tp, layout.tp), (pp, layout.pp)))
    passes = 4 if recompute else 3
    flops = passes * forward_flops(config, length, rows) / layout.world
    waiting = bubble(layout.pp, micro_batches)
    compute = flops / hardware.flops
    near = 4 * tp * 2 * (layout.tp - 1) / layout.tp / hardware.near
    far = 4 * dp * 2 * (layout.dp - 1) / layout.dp / hardware.far
    hidden = compute * 2 / passes  # gradients travel while backward goes on
    seconds = (compute + near) / (1 - waiting) + max(far - hidden, 0.0) + 4 * pp / hardware.far
    return Estimate(
        parameters=numbers,
        weights=4 * numbers,
        gradients=4 * numbers,
        optimizer=8 * -(-numbers // layout.dp) if zero else 8 * numbers,
        buffers=4 * dp,
        activations=round(alive * (blocks * one + ends) + inside),
        dp=dp,
        tp=tp,
        pp=pp,
        flops=flops,
        bubble=waiting,
        seconds=seconds,
    )
    # END SOLUTION
