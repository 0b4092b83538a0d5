"""6.12 · The plan: what a run takes of memory, traffic and time, before anything is rented.

Korthikanti et al.: Reducing Activation Recomputation in Large Transformer Models (2022), section 4; Narayanan et al.:
Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM (2021), section 3.
Letters: B rows of a micro-batch on one rank, T time, C width, H heads, F width inside feed-forward, L layers, V
vocabulary; dp, tp, pp as in `Layout`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

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
        near: bytes a second that one process can send to those it shares matrices with (tp).
        far: bytes a second that it can send to others (dp, pp).
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
            matrices, and how many it sends to other stages; 0 where there is nobody to send them to.
        gather: how many numbers it sends to copies that need what it has stepped, if they share the optimizer's state.
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
    gather: int
    flops: float
    bubble: float
    seconds: float

    @property
    def memory(self) -> int:
        """All bytes together."""
        return self.weights + self.gradients + self.optimizer + self.buffers + self.activations


def parameters_of(config: GPTConfig, layout: Layout, stage: int = 0) -> tuple[int, int]:
    """Say how many numbers, and how many tensors, the parameters of a rank of a stage have.

    Cut by tp: the token table, the output, queries, keys, values and what puts heads together, and feed-forward, with
    their biases, but for the biases of what comes out of attention and feed-forward; these, norms and positions are
    whole. Each of these is a tensor of its own: queries, keys and values are three, as 6.6 cuts them, with tp = 1 too.
    "t5" has 32 · H numbers.
    Blocks are shared out as `split_stages` does it, which gives the last stage a copy of a shared table; positions are
    on the first stage, the norm before the output (with placement "pre") and the output on the last.

    >>> config = GPTConfig(vocab_size=100, context_length=8, d_model=4, n_layers=2, n_heads=2, bias=False)
    >>> parameters_of(config, Layout())[0] - parameters_of(config, Layout(tp=2))[0]  # half of 400 and 2 · 192
    392
    """
    # TODO 6.12: count the parts of a block, cut and whole; times its blocks; the ends of the model
    raise NotImplementedError(
        "6.12 parameters_of: count the parts of a block, cut and whole; times its blocks; the ends of the model; "
        "hint: python -m bootcamp hint 6.12"
    )


def activations_of(config: GPTConfig, layout: Layout, rows: int, length: int, recompute: bool = False) -> float:
    """Say how many bytes of one micro-batch a block keeps between its forward and its backward, in float32.

        4 · B·T · (6 C + (4 C + k F + H T) / tp + 2),   k from `SAVED_INSIDE`;     4 · B·T·C with recomputation

    What is cut are queries, keys, values, heads, the inside of feed-forward, and attention's weights, (B, H, T, T).
    There is no dropout; it would keep what it multiplies with, too.

    Args:
        rows, length: B and T.
        recompute: whether only what goes into the block is kept.
    """
    # TODO 6.12: the formula
    raise NotImplementedError("6.12 activations_of: the formula; hint: python -m bootcamp hint 6.12")


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

    Letters: N numbers in n tensors that the rank has (`parameters_of`); M micro-batches of B rows; l blocks of its own;
    [first] and [last] are 1 on that stage, else 0.

    Memory, in bytes. Weights and gradients are 4 N each; the two numbers that AdamW keeps for each weight, 8 N, or with
    zero 8 ⌈N / dp⌉; buffers, 4 for each number of dp (below). Activations: l blocks keep `activations_of` each, for
    min(pp - stage, M) micro-batches; norm, output and loss on the last stage keep 4 · B·T · (3 C + 2 V / tp). With
    recomputation, one block at a time is made again: then its whole inside is there, and what norm, output and loss
    have kept is gone. Of these two, inside and end, the larger is added to what the blocks keep.

    Messages, in numbers; 0 where a dimension has one process alone:
        dp        N + n + 2                             gradients, which of them there are; targets that count; the loss
        gather    (dp - 1) · ⌈N / dp⌉                   with zero: the ring of `all_gather`
        tp        M · (4 l + [first] + [last]) · B·T·C  two sums in a block, each way; of the table, and of the output
                  + M · 3 B·T [last] + 1                what the loss exchanges; the norm
        pp        M · B·T·C for each neighbour          forward to the next stage, gradients to the one before
                  + C V / tp                            a shared table, between the first and the last stage
    With recomputation, a block's two sums are taken again: 6 l.

    Time. Operations are those of forward (`forward_flops`, of all rows), three times, or four with recomputation, and
    all processes have equal parts. A number has 4 bytes; of x bytes summed up among W, a ring sends 2 (W - 1) / W · x.

        seconds = (computing + sums of tp) / (1 - bubble) + what is left of sums of dp + (gather + pp) / far

    Sums of dp travel while the last micro-batch goes backward, computing · 2/3 / M (with recomputation 3/4), and only
    what takes longer than that is left of them.

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
    # TODO 6.12: parameters; memory; what is given to each kind of message; operations; time
    raise NotImplementedError(
        "6.12 estimate: parameters; memory; what is given to each kind of message; operations; time; "
        "hint: python -m bootcamp hint 6.12"
    )


# -- the lesson's plan (given): python3 -m stage06_distributed.plan

MODEL = GPTConfig(
    vocab_size=32000,
    context_length=4096,
    d_model=4096,
    n_layers=32,
    n_heads=32,
    d_ff=11008,
    position="rope",
    norm="rms",
    activation="swiglu",
    bias=False,
    tie_weights=False,
)
GPU = Hardware(flops=400e12, memory=80e9, near=300e9, far=40e9)  # assumed, as are all numbers down to here:
ROWS, TOKENS = 1024, 1e12  # of a batch; of the whole run
HOURS_OF_ONE = 50_000.0  # that a GPU, with its part of a host and of the network, runs until something fails
DISK, RESTART = 10e9, 600.0  # bytes a second that all processes together write; seconds until a run goes on
CANDIDATES = (  # with micro-batches of one row
    (Layout(dp=1024), False, False),
    (Layout(dp=1024), True, True),
    (Layout(dp=512, tp=2), True, True),
    (Layout(dp=256, tp=4), False, False),
    (Layout(dp=256, pp=4), True, True),
    (Layout(dp=128, tp=8), False, False),
    (Layout(dp=128, tp=8), True, False),
    (Layout(dp=32, tp=8, pp=4), True, False),
)


def worst(layout: Layout, zero: bool, recompute: bool) -> Estimate:
    """The estimate for the stage that needs the most memory, with the time of the slowest."""
    pieces = ROWS // layout.dp
    length = MODEL.context_length
    every = [estimate(MODEL, layout, GPU, ROWS, length, pieces, stage, zero, recompute) for stage in range(layout.pp)]
    return replace(max(every, key=lambda each: each.memory), seconds=max(each.seconds for each in every))


def main() -> None:
    """Print what each candidate takes."""
    whole = parameters_of(MODEL, Layout())[0]
    steps = TOKENS / (ROWS * MODEL.context_length)
    tokens = ROWS * MODEL.context_length / 1e6
    print(f"{whole / 1e9:.2f} billion weights, {steps:,.0f} steps of {tokens:.2f} million tokens")
    print(
        "layout          zero again  weights  grads  optim  buffers  activ    all GB  fits"
        "  bubble  step s  useful  days"
    )
    for layout, zero, recompute in CANDIDATES:
        its = worst(layout, zero, recompute)
        name = "·".join(f"{key}{size}" for key, size in vars(layout).items() if size > 1)
        useful = its.flops * (3 / 4 if recompute else 1) / GPU.flops / its.seconds
        parts = [its.weights, its.gradients, its.optimizer, its.buffers, its.activations, its.memory]
        print(
            f"{name:15} {'yes' if zero else '-':4} {'yes' if recompute else '-':5}"
            + "".join(f"{part / 1e9:{width}.1f}" for part, width in zip(parts, (9, 7, 7, 9, 7, 10)))
            + f"  {'yes' if its.memory <= GPU.memory else 'no':4}{its.bubble:8.1%}{its.seconds:8.2f}"
            f"{useful:8.0%}{steps * its.seconds / 86400:6.1f}"
        )
    between = HOURS_OF_ONE * 3600 / CANDIDATES[0][0].world
    saving = 12 * whole / DISK
    every = math.sqrt(2 * saving * between)
    lost = saving / every + (every / 2 + RESTART) / between
    print(f"a failure every {between / 3600:.1f} hours; a checkpoint of {12 * whole / 1e9:.1f} GB takes {saving:.1f} s")
    print(f"save every {every / 60:.0f} minutes; saving, work done again and restarts take {lost:.1%} of the time")


if __name__ == "__main__":
    main()
