"""6.12 · The plan: what a run takes of memory, traffic and time, before anything is rented."""

import math

import pytest

from bootcamp.grading import check, written

plan = written("stage06_distributed.plan")
mesh = written("stage06_distributed.mesh")
block = written("stage04_block")
configs = written("stage04_block.config")

# 192 weights in a block's matrices, F = 16, two norms of 4; a table of 400, positions of 32, a norm of 4.
TINY = {"vocab_size": 100, "context_length": 8, "d_model": 4, "n_layers": 2, "n_heads": 2, "bias": False}
FAST = {"flops": 1e30, "memory": 1e9, "near": 1e30, "far": 1e30}
FORWARD = 14592  # operations of TINY for a row of 8: 8 · 2 · (2 · 192 + 400) + 8 · 8 · 2 · 4 · 4


def cut(dp=1, tp=1, pp=1):
    return mesh.Layout(dp, tp, pp)


def model(**changes):
    return configs.GPTConfig(**{**TINY, **changes})


def counted(config, layout, stage=0):
    """How many numbers and how many tensors, held to be two."""
    got = plan.parameters_of(config, layout, stage)
    check.true(isinstance(got, tuple | list) and len(got) == 2, "parameters_of gives two numbers", got=got)
    return list(got)


def estimated(config=None, layout=None, rows=2, length=8, hardware=None, **more):
    machine = plan.Hardware(**{**FAST, **(hardware or {})})
    got = plan.estimate(config or model(), layout or cut(), machine, rows, length, **more)
    check.true(got is not None, "estimate gives an Estimate", got=got, why="Nothing came back: is a `return` missing?")
    return got


def same(got, expected, what, why=""):
    check.close(got, expected, what, rtol=1e-9, atol=0, why=why)


def tensors(config, layout, stage):
    """The shapes of all that a rank of a stage has, one by one."""
    width, inside, keys, tp = config.d_model, config.ff_width, config.kv_heads * config.head_dim, layout.tp
    norm = [(width,), (width,)] if config.norm == "layer" and config.bias else [(width,)]
    layers = [
        *norm,
        *norm,
        (width // tp, width),
        (keys // tp, width),
        (keys // tp, width),
        (width, width // tp),
        (inside // tp, width),
        (width, inside // tp),
    ]
    if config.activation == "swiglu":
        layers += [(inside // tp, width)]
    if config.bias:
        layers += [(width // tp,), (keys // tp,), (keys // tp,), (width,), (inside // tp,), (width,)]
        if config.activation == "swiglu":
            layers += [(inside // tp,)]
    table = (config.vocab_size // tp, width)
    shapes = []
    for number in range(layout.pp):
        its = config.n_layers // layout.pp + (number < config.n_layers % layout.pp)
        shapes.append(layers * its)
    shapes[0].append(table)
    if config.position == "learned":
        shapes[0].append((config.context_length, width))
    if config.position == "t5":
        shapes[0].append((32, config.n_heads))
    if config.placement == "pre":
        shapes[-1] += norm
    if layout.pp > 1 or not config.tie_weights:
        shapes[-1].append(table)
    return shapes[stage]


def drawn(rng, **fixed):
    """A model of random sizes that four processes can cut, of random parts."""
    heads = rng.choice([4, 8])
    sizes = {
        "vocab_size": 4 * rng.randint(5, 40),
        "context_length": rng.randint(16, 40),
        "d_model": heads * 2 * rng.randint(1, 5),
        "n_layers": rng.randint(4, 9),
        "n_heads": heads,
        "n_kv_heads": rng.choice([None, 4]),
        "d_ff": 4 * rng.randint(5, 30),
        "position": rng.choice(["learned", "rope", "sinusoidal", "alibi", "none"]),
        "norm": rng.choice(["layer", "rms"]),
        "placement": rng.choice(["pre", "post"]),
        "activation": rng.choice(["relu", "gelu", "gelu_tanh", "silu", "swiglu"]),
        "bias": rng.random() < 0.5,
        "tie_weights": rng.random() < 0.5,
    }
    return configs.GPTConfig(**{**sizes, **fixed})


# -- parameters


def test_a_tiny_model_whole():
    """One process has all: a table of 100 · 4, 8 positions, two blocks of 192 + 2 · 4, and a norm of 4."""
    why = (
        "The output shares the table. Each block has 2 norms, 4 matrices of attention (queries, keys and values count "
        "as three, as tp cuts them) and 2 of feed-forward: 8 tensors."
    )
    same(counted(model(), cut()), [400 + 32 + 2 * (192 + 8) + 4, 2 + 2 * 8 + 1], "numbers, tensors", why)


def test_a_tiny_model_cut_by_tp():
    """With tp=2, a rank has half of each matrix, and all of norms and positions."""
    same(counted(model(), cut(tp=2)), [200 + 32 + 2 * (96 + 8) + 4, 19], "numbers, tensors with tp=2")


def test_a_tiny_model_cut_by_pp():
    """With pp=2, the first stage has table and positions, the last one the norm and a copy of the table."""
    got = [counted(model(), cut(pp=2), stage) for stage in (0, 1)]
    same(got, [[400 + 32 + 200, 10], [200 + 4 + 400, 10]], "numbers, tensors of the two stages")


def test_dp_cuts_nothing():
    """Copies of the model have all of it."""
    same(counted(model(), cut(dp=5)), [836, 19], "numbers, tensors with dp=5")


def test_biases():
    """With tp=2, biases of what is cut by rows are cut; those of what attention and feed-forward give are whole."""
    got = counted(model(bias=True, position="none"), cut(tp=2))
    why = "In a block: 3 · 4 of queries, keys and values and 16 inside are halved; 4 and 4 at the ends are not."
    same(got, [200 + 2 * (96 + 16 + 6 + 8 + 4 + 4) + 8, 1 + 2 * (4 + 6 + 6) + 2], "numbers, tensors with tp=2", why)


def test_uneven_stages():
    """Five blocks on three stages are 2, 2 and 1; in the middle there is nothing but blocks."""
    got = [counted(model(n_layers=5), cut(pp=3), stage) for stage in range(3)]
    same(got, [[832, 18], [400, 16], [604, 10]], "numbers, tensors of three stages")


@pytest.mark.parametrize(
    "changes, numbers, tensors, why",
    [
        ({"tie_weights": False}, 836 + 400, 20, "The output has a table of its own."),
        (
            {"n_kv_heads": 1},
            836 - 2 * 16,
            19,
            "Keys and values have G = 1 head of 2: matrices of 2 · 4, not 4 · 4.",
        ),
        (
            {"activation": "swiglu", "d_ff": 16},
            836 + 2 * 64,
            21,
            "The gate is one more matrix of 16 · 4 in a block.",
        ),
        ({"position": "rope"}, 836 - 32, 18, "rope turns queries and keys, and has no parameters."),
        (
            {"position": "t5"},
            836 - 32 + 64,
            19,
            "t5 has one table for all blocks: 32 distances for each of 2 heads.",
        ),
        ({"placement": "post"}, 836 - 4, 18, "With post, blocks end with a norm, and none follows the last one."),
        (
            {"bias": True},
            836 + 2 * 44 + 4,
            36,
            "Biases: 4 · 4, 16, 4 and norms' 2 · 4 in a block; 4 at the end.",
        ),
        ({"bias": True, "norm": "rms"}, 836 + 2 * 36, 31, "RMSNorm has no bias, whatever the others have."),
    ],
)
def test_one_switch_at_a_time(changes, numbers, tensors, why):
    """The tiny model, changed in one place."""
    what = ", ".join(f"{key}={value!r}" for key, value in changes.items())
    same(counted(model(**changes), cut()), [numbers, tensors], f"numbers, tensors with {what}", why)


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "t5", "rope"])
@pytest.mark.parametrize("activation, norm, bias", [("gelu", "layer", True), ("swiglu", "rms", True)])
@pytest.mark.parametrize("tied", [True, False])
def test_models_that_are_built(rng, position, activation, norm, bias, tied):
    """One process has as many numbers as `GPT(config)` has."""
    choice = {"position": position, "activation": activation, "norm": norm, "bias": bias, "tie_weights": tied}
    config = drawn(rng, **choice, context_length=16, d_model=16)
    built = sum(p.numel() for p in block.GPT(config).parameters())
    same(counted(config, cut())[0], built, f"the numbers in {config}")


@pytest.mark.varied
def test_parts_of_any_model(rng):
    """For any model, layout and stage, they are the numbers and tensors in a list of all parts."""
    for _ in range(60):
        config, layout = drawn(rng), cut(rng.choice([1, 3]), rng.choice([1, 2, 4]), rng.randint(1, 4))
        for stage in range(layout.pp):
            shapes = tensors(config, layout, stage)
            expected = [sum(map(math.prod, shapes)), len(shapes)]
            same(counted(config, layout, stage), expected, f"stage {stage} of {layout}, {config}")


# -- activations of a block


def test_activations_of_a_block():
    """One row of 8 tokens: for each, 6 · 4 whole, 4 · 4 + 2 · 16 + 2 · 8 that tp would cut, and 2; of four bytes."""
    got = plan.activations_of(model(), cut(), 1, 8)
    same(got, 4 * 8 * (24 + 64 + 2), "bytes of a block with C=4, F=16, H=2, B=1, T=8")


def test_activations_with_tp():
    """With tp=2, half of what is cut."""
    same(plan.activations_of(model(), cut(tp=2), 1, 8), 4 * 8 * (24 + 32 + 2), "bytes with tp=2")


def test_activations_recomputed():
    """With recomputation, a block keeps what goes into it, which all ranks have whole: 4 · B·T·C."""
    got = [plan.activations_of(model(), cut(tp=tp), 3, 5, recompute=True) for tp in (1, 2)]
    same(got, [4 * 3 * 5 * 4] * 2, "bytes for B=3, T=5 with recomputation, tp=1 and tp=2")


@pytest.mark.parametrize("activation, k", [("relu", 1.25), ("gelu", 2), ("gelu_tanh", 2), ("silu", 3), ("swiglu", 5)])
def test_activations_of_each_kind(activation, k):
    """What feed-forward keeps depends on its activation."""
    config = model(activation=activation, d_ff=20)
    got = plan.activations_of(config, cut(), 2, 7)
    same(got, 4 * 14 * (24 + 16 + k * 20 + 14 + 2), f"bytes with {activation}, F=20, B=2, T=7")


def test_activations_of_any_block(rng):
    """Rows count by themselves; tokens also by their square, for attention's weights."""
    for _ in range(20):
        config, tp, rows, length = drawn(rng), rng.choice([1, 2, 4]), rng.randint(1, 5), rng.randint(1, 99)
        got = plan.activations_of(config, cut(tp=tp), rows, length)
        inside = {"relu": 1.25, "silu": 3, "swiglu": 5}.get(config.activation, 2) * config.ff_width
        per_token = 6 * config.d_model + 2 + (4 * config.d_model + inside) / tp
        expected = 4 * rows * (length * per_token + length * length * config.n_heads / tp)
        same(got, expected, f"bytes with tp={tp}, B={rows}, T={length}, {config}")


# -- memory


def test_memory_of_weights():
    """Of each of 836 numbers: 4 bytes of weight, 4 of gradient, 8 of AdamW's."""
    got = estimated()
    same([got.parameters, got.weights, got.gradients, got.optimizer], [836, 3344, 3344, 6688], "what one process has")
    same(got.buffers, 0, "bytes of buffers, where no gradient travels")


def test_memory_of_the_part_that_is_here():
    """With tp=2 and pp=2, that of the rank's own part: 200 + 32 + 96 + 8 on the first stage, 4 for 32 on the last."""
    got = [estimated(layout=cut(tp=2, pp=2), stage=stage) for stage in (0, 1)]
    same([each.parameters for each in got], [336, 308], "numbers on stages 0 and 1")
    same([each.weights for each in got], [1344, 1232], "bytes of weights")
    same([each.gradients for each in got], [1344, 1232], "bytes of gradients")
    same([each.optimizer for each in got], [2688, 2464], "bytes of the optimizer")


def test_memory_with_zero():
    """With zero, each copy has the optimizer's state for its part, and weights and gradients whole."""
    got = [estimated(layout=cut(dp=dp), rows=6, zero=True) for dp in (1, 2, 3)]
    why = "Of 836 numbers among 3, the largest part has ⌈836 / 3⌉ = 279."
    same([each.optimizer for each in got], [6688, 8 * 418, 8 * 279], "bytes of the optimizer with dp = 1, 2, 3", why)
    same([each.weights for each in got], [3344] * 3, "bytes of weights with dp = 1, 2, 3 and zero")
    same([each.gradients for each in got], [3344] * 3, "bytes of gradients with dp = 1, 2, 3 and zero")


def test_memory_without_zero():
    """Without zero, each copy has all of the optimizer's state."""
    same(estimated(layout=cut(dp=2)).optimizer, 6688, "bytes of the optimizer with dp=2, without zero")


def test_buffers():
    """What travels between copies lies in buffers: 4 bytes for each number of it."""
    same(estimated(layout=cut(dp=2)).buffers, 4 * (836 + 19 + 2), "bytes of buffers with dp=2")


def test_activations_of_one_process():
    """Two rows: two blocks, and of norm, output and loss 3 · 4 + 2 · 100 numbers for each token."""
    same(estimated().activations, 2 * 5760 + 4 * 16 * 212, "bytes of activations")


def test_activations_of_micro_batches():
    """One process in two micro-batches keeps one of them at a time."""
    same(estimated(micro_batches=2).activations, 2 * 2880 + 4 * 8 * 212, "bytes of activations, rows=2 in 2 pieces")


def test_activations_of_copies():
    """Copies share the rows."""
    same(estimated(layout=cut(dp=2)).activations, 2 * 2880 + 4 * 8 * 212, "bytes of activations, rows=2, dp=2")


def test_activations_in_a_pipeline():
    """Stage s of 3 keeps 3 - s micro-batches; norm, output and loss are on the last stage, for one of them."""
    config = model(n_layers=5)
    got = [estimated(config, cut(pp=3), rows=4, micro_batches=4, stage=stage).activations for stage in range(3)]
    same(got, [3 * 2 * 2880, 2 * 2 * 2880, 2880 + 4 * 8 * 212], "bytes of activations of 2, 2 and 1 blocks")


def test_activations_of_few_micro_batches():
    """No stage keeps more micro-batches than there are."""
    got = [estimated(model(n_layers=3), cut(pp=3), micro_batches=2, stage=stage).activations for stage in range(2)]
    same(got, [2 * 2880, 2 * 2880], "bytes of activations of stages 0 and 1, two micro-batches, one block each")


def test_activations_with_tp_in_all():
    """With tp=2, what is cut in blocks and the logits are halved."""
    got = estimated(layout=cut(tp=2)).activations
    same(got, 2 * 2 * 1856 + 4 * 16 * (12 + 100), "bytes of activations with tp=2")


def test_activations_recomputed_in_all():
    """With recomputation: what goes into two blocks, and what norm, output and loss keep, if that is more."""
    why = "A block's inside, 5760, comes back when that of the end, 4 · 16 · 212, is gone: the larger counts."
    got = estimated(recompute=True).activations
    same(got, 2 * 256 + 4 * 16 * 212, "bytes of activations, vocabulary of 100", why)


def test_activations_recomputed_inside():
    """A block's inside is there while it is made again; if that is more than norm, output and loss, it counts."""
    why = "When the first block is made again, logits are gone: never are both there."
    got = estimated(model(vocab_size=10), recompute=True).activations
    same(got, 2 * 256 + 5760, "bytes of activations, vocabulary of 10", why)


def test_activations_recomputed_in_a_pipeline():
    """In a pipeline, what goes into blocks counts for each micro-batch that is kept, one block's inside once."""
    got = estimated(model(n_layers=4), cut(pp=2), rows=3, micro_batches=3, recompute=True).activations
    same(got, 2 * 2 * 128 + 2880, "bytes of activations of stage 0 of 2, two blocks")


def test_all_memory():
    """`memory` is the sum."""
    got = estimated(layout=cut(dp=2), zero=True)
    same(got.memory, 3344 + 3344 + 3344 + 3428 + 5760 + 6784, "bytes in all with dp=2 and zero")


# -- messages


def test_messages_of_dp():
    """Copies sum up 836 gradients, 19 flags which of them there are, how many targets count, and the loss."""
    got = [estimated(layout=cut(dp=dp), rows=6).dp for dp in (1, 2, 3)]
    same(got, [0, 857, 857], "numbers with dp = 1, 2, 3", "Once a step, however many rows there are.")


def test_messages_of_dp_once():
    """Micro-batches are summed up here first: the copies exchange once a step."""
    same(estimated(layout=cut(dp=2), rows=8, micro_batches=4).dp, 857, "numbers with dp=2 and 4 micro-batches")


def test_messages_of_zero():
    """With zero, a rank sends its part of the new weights on, and those of others, but one: (dp - 1) · ⌈N / dp⌉."""
    got = [estimated(layout=cut(dp=dp), rows=6, zero=True).gather for dp in (1, 2, 3)]
    same(got, [0, 418, 2 * 279], "numbers that go round with zero and dp = 1, 2, 3")
    same(estimated(layout=cut(dp=2)).gather, 0, "numbers that go round without zero")
    same(estimated(layout=cut(dp=2), zero=True).dp, 857, "gradients and the rest, with zero as without")


def test_messages_of_tp():
    """Two blocks with 4 sums of B·T·C = 64, one of table and output each; 3 · 16 for the loss, 1 for the norm."""
    got = [estimated(layout=cut(tp=tp)).tp for tp in (1, 2)]
    same(got, [0, (2 * 4 + 2) * 64 + 48 + 1], "numbers with tp = 1, 2")


def test_messages_of_tp_in_pieces():
    """In micro-batches the same in all, as each is smaller; the norm is summed once."""
    same(estimated(layout=cut(tp=2), rows=6, micro_batches=3).tp, 3 * 689 - 2, "numbers, 6 rows in 3 pieces")


def test_messages_of_tp_recomputed():
    """With recomputation, a block's two sums of forward are taken again; those of table, output and loss are not."""
    same(estimated(layout=cut(tp=2), recompute=True).tp, (2 * 6 + 2) * 64 + 48 + 1, "numbers with tp=2")


def test_messages_of_tp_by_stage():
    """The table is summed on the first stage, output and loss on the last; blocks where they are; norm everywhere."""
    got = [estimated(model(n_layers=5), cut(tp=2, pp=3), stage=stage).tp for stage in range(3)]
    same(got, [9 * 64 + 1, 8 * 64 + 1, 5 * 64 + 48 + 1], "numbers on stages of 2, 2 and 1 blocks")


def test_messages_of_pp():
    """A stage sends B·T·C a micro-batch to each neighbour: 8 · 4 for one row."""
    config = model(n_layers=3, tie_weights=False)
    got = [estimated(config, cut(pp=3), rows=5, micro_batches=5, stage=stage).pp for stage in range(3)]
    same(got, [160, 320, 160], "numbers on stages 0, 1 and 2, without a shared table")


def test_messages_of_pp_and_a_shared_table():
    """The first and the last stage also exchange the gradient of a table that they share, once a step, cut by tp."""
    config = model(n_layers=3)
    got = [estimated(config, cut(pp=3), rows=5, micro_batches=5, stage=stage).pp for stage in range(3)]
    same(got, [560, 320, 560], "numbers on stages 0, 1 and 2")
    same(estimated(layout=cut(tp=2, pp=2)).pp, 64 + 200, "numbers with tp=2, pp=2")


def test_messages_of_one_stage():
    """One stage has no neighbours, and its table is one."""
    same(estimated().pp, 0, "numbers with pp=1")


def test_messages_of_any_layout(rng):
    """For any model, layout and stage, they are what one meets walking through the step."""
    for _ in range(40):
        config, again = drawn(rng), rng.random() < 0.5
        layout = cut(rng.randint(1, 3), rng.choice([1, 2, 4]), rng.randint(1, 4))
        pieces, rows, length = rng.randint(1, 4), rng.randint(1, 3), rng.randint(1, 30)
        stage = rng.randrange(layout.pp)
        first, last = stage == 0, stage == layout.pp - 1
        stream = rows * length * config.d_model
        tp = pp = 0
        for _ in range(pieces):
            for _ in range(config.n_layers // layout.pp + (stage < config.n_layers % layout.pp)):
                tp += 2 * stream + 2 * stream + again * 2 * stream
            tp += first * stream + last * (stream + 3 * rows * length)
            pp += (not first) * stream + (not last) * stream
        if config.tie_weights and (first or last):
            pp += config.vocab_size * config.d_model // layout.tp
        shapes = tensors(config, layout, stage)
        expected = [
            (sum(map(math.prod, shapes)) + len(shapes) + 2) * (layout.dp > 1),
            (tp + 1) * (layout.tp > 1),
            pp * (layout.pp > 1),
        ]
        more = {"micro_batches": pieces, "stage": stage, "recompute": again}
        got = estimated(config, layout, rows * pieces * layout.dp, length, **more)
        what = f"dp, tp, pp of {layout}, B={rows}, T={length}, {more}, {config}"
        same([got.dp, got.tp, got.pp], expected, what)


# -- operations and time


def test_operations():
    """Three forwards' worth of operations, four with recomputation; shared among all processes."""
    got = [estimated().flops, estimated(recompute=True).flops]
    same(got, [6 * FORWARD, 8 * FORWARD], "operations of one process for two rows of 8", "Backward takes two forwards.")
    got = estimated(model(n_layers=2), cut(dp=3, tp=2, pp=2), rows=6).flops
    same(got, 18 * FORWARD / 12, "operations of each of 12 processes for six rows")


def test_waiting():
    """Of m + p - 1 rounds, p - 1 are waited: stages p, micro-batches m."""
    got = [estimated(layout=cut(pp=2), micro_batches=2).bubble, estimated(micro_batches=2).bubble]
    same(got, [1 / 3, 0], "the part of the time with pp=2 and pp=1, two micro-batches")


def test_time_of_one_process():
    """What one process computes takes operations / (operations a second); it waits for nobody."""
    got = estimated(micro_batches=2, hardware={"flops": FORWARD, "near": 1.0, "far": 1.0}).seconds
    why = "Nothing is summed up among copies. What is left of 0 s after a backward is 0 s, not less."
    same(got, 6.0, "seconds for two rows", why)


def test_time_of_a_pipeline():
    """Of the time 1/3 is waited, so 3 s of work take 4.5 s; and 464 numbers of 4 bytes are sent at 1000 a second."""
    got = estimated(layout=cut(pp=2), micro_batches=2, hardware={"flops": FORWARD, "far": 1000.0}).seconds
    same(got, 4.5 + 1.856, "seconds with pp=2, two micro-batches")


def test_time_of_tp():
    """Of 689 numbers, a ring of two sends 2 · 1/2 · 4 bytes each, over the near connection."""
    machine = {"flops": FORWARD, "near": 1000.0, "far": 1.0}
    same(estimated(layout=cut(tp=2), hardware=machine).seconds, 3 + 2.756, "seconds with tp=2")


def test_time_of_tp_among_four():
    """Of 689 numbers, a ring of four sends 2 · 3/4 · 4 bytes each: half more than a ring of two."""
    machine = {"flops": FORWARD, "near": 1000.0, "far": 1.0}
    got = estimated(model(n_heads=4), cut(tp=4), hardware=machine).seconds
    same(got, 1.5 + 1.5 * 2.756, "seconds with tp=4, where a ring sends 2 · 3/4")


def test_time_of_tp_in_a_pipeline():
    """While a stage computes and sums up, the others wait: both are divided by 1 - bubble."""
    machine = {"flops": FORWARD, "near": 1000.0}
    got = estimated(layout=cut(tp=2, pp=2), micro_batches=2, hardware=machine).seconds
    same(got, (1.5 + 4 * (2 * (5 * 32) + 1) / 1000) * 1.5, "seconds with tp=2, pp=2, on the first stage")


def test_time_of_dp():
    """857 numbers take 3.428 s; of those, the 2 s of 3 in which backward runs are not waited."""
    got = [estimated(layout=cut(dp=2), hardware={"flops": FORWARD, "far": far}).seconds for far in (1000.0, 2000.0)]
    why = "Sums of gradients travel during backward, two thirds of the computing."
    same(got, [3 + 1.428, 3.0], "seconds with dp=2 over 1000 and 2000 bytes a second", why)


def test_time_of_dp_among_four():
    """857 numbers take 1.5 · 3.428 = 5.142 s in a ring of four; 2 s of that are not waited."""
    got = estimated(layout=cut(dp=4), rows=4, hardware={"flops": FORWARD, "far": 1000.0}).seconds
    same(got, 3 + 1.5 * 3.428 - 2, "seconds with dp=4, where a ring sends 2 · 3/4")


def test_time_of_dp_behind_the_last_micro_batch():
    """Sums of dp set out in the backward of the last micro-batch: of 6 s in two pieces, 2 s are behind it."""
    got = estimated(layout=cut(dp=2), rows=4, micro_batches=2, hardware={"flops": FORWARD, "far": 1000.0}).seconds
    same(got, 6 + 1.428, "seconds with dp=2, four rows in two micro-batches")


def test_time_recomputed():
    """With recomputation, 4 s are computed for 3, and of these, three quarters on the way back."""
    got = estimated(layout=cut(dp=2), recompute=True, hardware={"flops": FORWARD, "far": 1000.0}).seconds
    same(got, 4 + 0.428, "seconds with dp=2 and recomputation")


def test_time_of_zero():
    """With zero, the new weights go round when all else is done: 418 numbers of 4 bytes more."""
    got = estimated(layout=cut(dp=2), zero=True, hardware={"flops": FORWARD, "far": 1000.0}).seconds
    same(got, 3 + 1.428 + 1.672, "seconds with dp=2 and zero")


def test_rows_that_cannot_be_shared():
    """Rows that dp · micro_batches does not divide are a ValueError with all three; others are estimated."""
    layout = cut(dp=3)
    check.raises(ValueError, estimated, None, layout, 8, naming=[8, 3, 1], micro_batches=1)
    check.raises(ValueError, estimated, None, layout, 9, naming=[9, 3, 2], micro_batches=2)
    same(estimated(layout=layout, rows=12, micro_batches=2).parameters, 836, "numbers where 12 rows are shared")
