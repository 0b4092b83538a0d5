"""6.6 · Tensor parallelism: a part of each matrix on each rank, and together they compute what one process would."""

import copy
import gc
import math
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy, embedding, gelu, linear

from bootcamp.grading import check, written
from bootcamp.grading.ranks import during, on_ranks, traffic

tp = written("stage06_distributed.tensor_parallel")
stage03 = written("stage03_attention")
stage02 = written("stage02_embeddings")
stage04 = written("stage04_block")
config = written("stage04_block.config")

NONE = -100  # a target that does not count
ACTIVATIONS = ["relu", "gelu", "gelu_tanh", "silu", "swiglu"]
WHOLE = "All ranks together do what one process does with the whole matrices."


def ranks(world, body, *args):
    """Run it on ranks that need not import the graded code each for itself."""
    assert tp.copy_to_ranks and stage04.GPT
    return on_ranks(world, body, *args)


def draw(seed, *shape, dtype=torch.float64):
    """Random numbers from N(0, 1), the same on all ranks for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def part(whole, dim=-1, group=None):
    """This rank's share of a tensor: of equal parts, the one whose number is the rank."""
    return whole.chunk(dist.get_world_size(group), dim)[dist.get_rank(group)]


def given(what):
    """How many numbers this rank has handed to process groups while that went on."""
    return sum(each.count for each in traffic() if each.during == what and each.kind != "recv")


def randomised(module, seed, std=0.4):
    """Draw all parameters anew, biases and gains too; the same on all ranks."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) * std)
    return module


def step(module, lr=0.1):
    """One step of plain gradient descent."""
    with torch.no_grad():
        for p in module.parameters():
            if p.grad is not None:
                p -= lr * p.grad


def behaviour(module, x, upstream, call=None):
    """What a layer gives, the gradient of what went in, and what it gives after a step of gradient descent."""
    call = call or module
    x = x.clone().requires_grad_()
    out = call(x)
    (out * upstream).sum().backward()
    step(module)
    with torch.no_grad():
        return [out.detach(), x.grad, call(x.detach() + 1.0)]


def same(results, names, why=WHOLE):
    """Hold what each rank has got to what one process gets: results by rank, each [(case, got, expected)]."""
    for rank, cases in enumerate(results):
        for case, got, expected in cases:
            for name, one, other in zip(names, got, expected):
                check.close(one, other, f"{name} on rank {rank} of {len(results)}{case and f' ({case})'}", why=why)


LAYER = ["what comes out", "the gradient of x", "what comes out after a step of gradient descent"]

# -- the two functions, by hand


def copy_by_hand(rank):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = tp.copy_to_ranks(x)
    (y * torch.tensor([[10.0, 20.0], [3.0, 4.0]])[rank]).sum().backward()
    return y.detach(), x.grad


def test_copy_by_hand():
    """Each rank uses x for a part of the work: the gradient of x is the sum of what these parts give."""
    for rank, (y, grad) in enumerate(ranks(2, copy_by_hand)):
        check.close(y, [1.0, 2.0], f"copy_to_ranks([1, 2]) on rank {rank}")
        why = "The work of both ranks hangs on x, so both gradients count, on both ranks: x goes on being the same."
        what = f"the gradient of x on rank {rank}, if rank 0 has [10, 20] and rank 1 has [3, 4]"
        check.close(grad, [13.0, 24.0], what, why=why)


def sum_by_hand(rank):
    x = torch.tensor([[1.0, 2.0], [10.0, 20.0]][rank], requires_grad=True)
    y = tp.sum_over_ranks(x)
    (y * torch.tensor([3.0, 5.0])).sum().backward()
    return y.detach(), x.grad, x.detach()


def test_sum_by_hand():
    """The sum of what all ranks have is on all of them; what they had stays as it was."""
    for rank, (y, _, x) in enumerate(ranks(2, sum_by_hand)):
        check.close(y, [11.0, 22.0], f"what rank {rank} gets of [1, 2] on rank 0 and [10, 20] on rank 1")
        check.close(x, [[1.0, 2.0], [10.0, 20.0]][rank], f"x itself on rank {rank} after sum_over_ranks(x)")


def test_gradient_of_the_sum_by_hand():
    """Backward, each term of the sum gets the gradient of the sum, as it is."""
    why = "What comes after the sum is computed on all ranks, but it is one thing: it counts once."
    for rank, (_, grad, _) in enumerate(ranks(2, sum_by_hand)):
        check.close(grad, [3.0, 5.0], f"the gradient of x on rank {rank}, if that of the sum is [3, 5]", why=why)


def beside(rank):
    x = torch.tensor([1.0], requires_grad=True)
    y = tp.copy_to_ranks(x)
    (x + y).sum().backward()
    later = torch.tensor([1.0], requires_grad=True)
    (tp.sum_over_ranks(later) + later).sum().backward()
    return x.grad, later.grad


def test_gradient_is_not_written_over():
    """In x + copy_to_ranks(x), both terms are given the same gradient, which must not become a sum beneath them."""
    why = "torch hands one tensor to both terms. An all-reduce in place changes it for the other too: sum up a copy."
    for rank, (grad, later) in enumerate(ranks(2, beside)):
        check.close(
            grad, [3.0], f"the gradient of x in x + copy_to_ranks(x) on rank {rank}: 1, and 1 from each", why=why
        )
        check.close(later, [2.0], f"the gradient of x in sum_over_ranks(x) + x on rank {rank}")


def any_shape(rank, seed):
    world, found = dist.get_world_size(), []
    for case, shape, how in (
        ("without dimensions", (), lambda x: x),
        ("(2, 3), transposed", (2, 3), lambda x: x.T),
        ("every second column of (3, 4)", (3, 4), lambda x: x[:, ::2]),
        ("expanded", (2, 1), lambda x: x.expand(2, 3)),
        ("empty", (0, 3), lambda x: x),
    ):
        mine = [draw(seed + each, *shape).requires_grad_() for each in range(world)]
        total = tp.sum_over_ranks(how(mine[rank]))
        x = draw(seed, *shape).requires_grad_()
        y = tp.copy_to_ranks(how(x))
        # an expanded gradient first, then one that lies as y does not
        upstream = draw(seed + 99, *y.T.shape).T if y.dim() == 2 else torch.tensor(2.0, dtype=y.dtype)
        (y.sum() + rank * (y * upstream).sum()).backward()
        both = torch.ones_like(upstream) * world + upstream * sum(range(world))
        (grad,) = torch.autograd.grad(how(z := draw(seed, *shape).requires_grad_()), z, both)
        found.append((case, [total.detach(), x.grad], [sum(how(each.detach()) for each in mine), grad]))
    return found


def test_any_shape(rng):
    """Both take tensors of any shape, laid out however they are."""
    same(ranks(3, any_shape, rng.randrange(1 << 32)), ["sum_over_ranks", "the gradient of copy_to_ranks"])


# -- linear layers


def columns_by_hand(rank):
    layer = tp.ColumnParallelLinear(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([10.0, 20.0]))
    return layer(torch.tensor([1.0, 1.0])).detach()


def test_columns_by_hand():
    """Two numbers come out of a layer: each rank makes one of them."""
    first, second = ranks(2, columns_by_hand)
    check.close(first, [13.0], "what rank 0 makes of [1, 1] with the weight [[1, 2], [3, 4]] and the bias [10, 20]")
    check.close(second, [27.0], "what rank 1 makes of it")


def rows_by_hand(rank):
    layer = tp.RowParallelLinear(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([10.0, 20.0]))
    return layer(torch.tensor([[1.0], [5.0]])[rank]).detach()


def test_rows_by_hand():
    """Two numbers go into a layer, one on each rank: what both contribute is summed up, and the bias is added once."""
    why = (
        "1 · 1 + 2 · 5 + 10 and 3 · 1 + 4 · 5 + 20: of the products each rank has one, but the bias is no sum of parts."
    )
    for rank, got in enumerate(ranks(2, rows_by_hand)):
        what = f"what rank {rank} gets of [1] on rank 0 and [5] on rank 1, weight [[1, 2], [3, 4]], bias [10, 20]"
        check.close(got, [21.0, 43.0], what, why=why)


def linear_layers(rank, kind, seed):
    """[(case, what a parallel layer does, what that part of the whole layer does)]"""
    found = []
    world = dist.get_world_size()
    n, m = (2 * world, 5) if kind == "column" else (5, 2 * world)
    for biased in (True, False):
        its = [draw(seed, 3, 4, m), draw(seed + 1, n, m)] + [draw(seed + 2, n)] * biased  # x, weight, bias
        upstream = draw(seed + 3, 3, 4, n)
        whole = [each.clone().requires_grad_() for each in its]
        out = linear(*whole)
        (out * upstream).sum().backward()
        grads: Any = [each.grad for each in whole]
        if kind == "column":
            layer = tp.ColumnParallelLinear(*its[1:])
            mine, upstream = its[0].requires_grad_(), part(upstream)
            expected = [part(out), grads[0], part(grads[1], 0), *map(part, grads[2:])]
        else:
            layer = tp.RowParallelLinear(*its[1:])
            mine = part(its[0]).clone().requires_grad_()
            expected = [out, part(grads[0]), part(grads[1]), *grads[2:]]
        got = layer(mine)
        (got * upstream).sum().backward()
        values = [got.detach(), mine.grad, layer.weight.grad] + ([layer.bias.grad] if biased else [])
        found.append(("with bias" if biased else "without bias", values, [each.detach() for each in expected]))
        check.true((layer.bias is None) != biased, "the layer has a bias if it was given one, else None")
    return found


LINEAR = ["what comes out", "the gradient of x", "the gradient of the weight", "the gradient of the bias"]


@pytest.mark.parametrize("kind", ["column", "row"])
def test_linear_layers(rng, kind):
    """Outputs and gradients are this rank's part of those of the whole layer, with and without bias."""
    same(ranks(3, linear_layers, kind, rng.randrange(1 << 32)), LINEAR)


def held_by_layers(rank, seed):
    found = []
    for make, bias in ((tp.ColumnParallelLinear, 12), (tp.RowParallelLinear, 12)):
        whole, its = draw(seed, 12, 8), draw(seed, bias)
        layer = make(whole, its)
        before = whole.clone()
        with torch.no_grad():
            layer.weight += 1.0
            layer.bias += 1.0
        shapes = [tuple(each.shape) for each in (layer.weight, layer.bias)]
        size = layer.weight.untyped_storage().nbytes() // 8
        found.append((make.__name__, shapes, size, sum(p.numel() for p in layer.parameters()), whole.equal(before)))
    return found


def test_layers_hold_a_part(rng):
    """A layer holds its part of the weight, as a copy: nothing of the whole stays in memory with it."""
    shapes = {"ColumnParallelLinear": ([(6, 8), (6,)], 54), "RowParallelLinear": ([(12, 4), (12,)], 60)}
    for rank, layers in enumerate(ranks(2, held_by_layers, rng.randrange(1 << 32))):
        for name, its, size, numbers, untouched in layers:
            expected, count = shapes[name]
            of = f"of {name} on rank {rank} of 2, of a layer from 8 to 12"
            check.equal(its, expected, f"the shapes of weight and bias {of}")
            check.equal(numbers, count, f"how many numbers the parameters have {of}")
            check.equal(size, 48, f"how many numbers stay in memory for the weight {of}", why="A view keeps the whole.")
            check.true(untouched, f"the whole weight stays as it was when the parameters {of} change")


def parts(rank, seed):
    plain, gated = (tp.ParallelFeedForward(stage04.FeedForward(4, 8, activation)) for activation in ("gelu", "swiglu"))
    attend = tp.ParallelAttention(attention_of("none", 4, 2, 8, seed))
    columns = [plain.up, gated.up, gated.gate, attend.query, attend.key, attend.value]
    rows = [plain.down, gated.down, attend.out]
    kinds = [[type(each).__name__ for each in layers] for layers in (columns, rows)]
    return kinds, plain.gate is None, [tuple(each.weight.shape) for each in columns + rows]


def test_parts(rng):
    """Feed-forward and attention are made of column-parallel and row-parallel layers, by the names of the docstring."""
    shapes = [(4, 4), (4, 4), (4, 4), (4, 8), (2, 8), (2, 8), (4, 4), (4, 4), (8, 4)]
    for rank, (kinds, none, found) in enumerate(ranks(2, parts, rng.randrange(1 << 32))):
        expected = [["ColumnParallelLinear"] * 6, ["RowParallelLinear"] * 3]
        check.equal(kinds, expected, "up, up, gate, query, key, value; and down, down, out")
        check.true(none, "gate is None without a gate")
        check.equal(found, shapes, f"the shapes of their weights on rank {rank} of 2: of 4 to 8 to 4, and of 8 to 8")


def in_between(rank, seed):
    """A column-parallel layer, something number by number, a row-parallel layer."""
    up, down = draw(seed, 6, 4), draw(seed + 1, 4, 6)
    first, second = tp.ColumnParallelLinear(up), tp.RowParallelLinear(down, draw(seed + 2, 4))
    x = draw(seed + 3, 2, 5, 4).requires_grad_()
    with during("forward"):
        out = second(gelu(first(x)))
    with during("backward"):
        (out * draw(seed + 4, 2, 5, 4)).sum().backward()
    whole = linear(gelu(linear(x.detach(), up)), down, draw(seed + 2, 4))
    return out.detach(), whole, given("forward"), given("backward")


def test_columns_then_rows(rng):
    """One behind the other, they need one sum of what comes out forward, and one of x's gradient backward."""
    for rank, (out, whole, forward, backward) in enumerate(ranks(2, in_between, rng.randrange(1 << 32))):
        check.close(out, whole, f"row(gelu(column(x))) on rank {rank} of 2", why=WHOLE)
        check.equal(forward, 40, f"how many numbers rank {rank} hands over forward; x and the result have 40")
        check.equal(backward, 40, f"how many numbers rank {rank} hands over backward; x and the result have 40")


# -- feed-forward


def feed_forwards(rank, activations, biases, seed):
    found = []
    for activation in activations:
        for bias in biases:
            whole = randomised(stage04.FeedForward(5, 12, activation, bias).double(), seed)
            mine = tp.ParallelFeedForward(whole)
            x, upstream = draw(seed + 1, 2, 3, 5), draw(seed + 2, 2, 3, 5)
            case = f"{activation}, {'with' if bias else 'without'} biases"
            found.append((case, behaviour(mine, x, upstream), behaviour(whole, x, upstream)))
    return found


def test_feed_forward(rng):
    """A feed-forward layer of two matrices gives what the whole one does, and so do all its gradients."""
    same(ranks(2, feed_forwards, ["relu", "gelu", "gelu_tanh", "silu"], [True, False], rng.randrange(1 << 32)), LAYER)


def test_feed_forward_with_a_gate(rng):
    """A feed-forward layer with a gate gives what the whole one does, and so do all its gradients."""
    same(ranks(3, feed_forwards, ["swiglu"], [True, False], rng.randrange(1 << 32)), LAYER)


def cost_of_feed_forward(rank, seed):
    found = {}
    for activation in ("gelu", "swiglu"):
        mine = tp.ParallelFeedForward(randomised(stage04.FeedForward(6, 8, activation), seed))
        x = draw(seed, 2, 5, 6, dtype=torch.float32).requires_grad_()
        with during(f"{activation} forward"):
            out = mine(x)
        with during(f"{activation} backward"):
            out.square().sum().backward()
        numbers = sum(p.numel() for p in mine.parameters())
        found[activation] = given(f"{activation} forward"), given(f"{activation} backward"), numbers
    return found


def test_feed_forward_costs(rng):
    """One all-reduce forward and one backward, of as many numbers as x has; and a part of the weights on each rank."""
    why = (
        "Up and gate read the same x: it is copied to the ranks once for both, so that its gradient is summed up once."
    )
    for rank, found in enumerate(ranks(2, cost_of_feed_forward, rng.randrange(1 << 32))):
        for activation, numbers in ("gelu", 4 * 7 + 6 * 4 + 6), ("swiglu", 2 * 4 * 7 + 6 * 4 + 6):
            forward, backward, held = found[activation]
            with_ = f"with {activation}, rank {rank} hands over 60 numbers"
            check.true(60 <= forward < 120, f"{with_} forward, as many as x has", got=forward)
            check.true(60 <= backward < 120, f"{with_} backward, as many as x has", got=backward, why=why)
            what = f"how many numbers the parameters on rank {rank} have, of a layer from 6 to 8 to 6 with {activation}"
            check.equal(held, numbers, what)


def dropping(rank, seed):
    whole = randomised(stage04.FeedForward(6, 8, dropout=0.25), seed)
    mine, x = tp.ParallelFeedForward(whole), draw(seed, 4, 10, 6, dtype=torch.float32)
    torch.manual_seed(seed)  # the same on all ranks
    dropped = mine(x).detach()
    return dropped, mine.eval()(x).detach(), whole.eval()(x).detach()


def test_feed_forward_drops(rng):
    """Dropout comes last, once, and in training only."""
    results = ranks(2, dropping, rng.randrange(1 << 32))
    for rank, (dropped, plain, whole) in enumerate(results):
        check.close(plain, whole, f"what comes out in eval on rank {rank}")
        stays = dropped != 0
        check.close(dropped, stays * whole / 0.75, f"what dropout of 1/4 leaves in training on rank {rank}, times 4/3")
        share = 1 - stays.double().mean().item()
        check.true(0.1 < share < 0.4, "dropout of 1/4 zeroes about a quarter", got=share)
        check.close(dropped, results[0][0], f"what rank {rank} drops, if all ranks were given the same seed")


# -- attention


def attention_of(position, heads, groups, width, seed, **options):
    kinds = {
        "rope": lambda: stage02.RotaryEmbedding(width // heads),
        "alibi": lambda: stage02.AlibiBias(heads),
        "t5": lambda: stage02.T5RelativeBias(heads, bidirectional=False, buckets=4, max_distance=8),
        "none": lambda: None,
    }
    options = {"causal": True, **options}
    whole = stage03.MultiHeadAttention(width, heads, groups, position=kinds[position](), **options)
    return randomised(whole.double(), seed, 0.6)


def attentions(rank, cases, seed):
    found = []
    for position, heads, groups, width, bias, causal in cases:
        whole = attention_of(position, heads, groups, width, seed, bias=bias, causal=causal)
        mine = tp.ParallelAttention(copy.deepcopy(whole))
        x, upstream = draw(seed + 1, 2, 5, width), draw(seed + 2, 2, 5, width)
        case = f"position {position}, {heads} heads, {groups} of keys and values, causal={causal}, bias={bias}"
        got, expected = behaviour(mine, x, upstream), behaviour(whole, x, upstream)
        if position == "t5":
            got.append(mine.distance_bias.weight.grad)
            expected.append(whole.distance_bias.weight.grad)
        found.append((case, got, expected))
    return found


@pytest.mark.parametrize(
    "world, cases",
    [
        (2, [("none", 2, 2, 6, False, False), ("none", 4, 4, 12, True, True), ("rope", 4, 4, 16, False, True)]),
        (2, [("rope", 4, 2, 8, True, True), ("none", 6, 2, 12, False, True)]),
        (4, [("alibi", 8, 4, 16, True, True), ("alibi", 4, 4, 12, False, False)]),
        (3, [("t5", 3, 3, 9, True, True), ("t5", 6, 3, 12, False, False)]),
    ],
    ids=["heads", "grouped heads", "alibi", "t5"],
)
def test_attention(rng, world, cases):
    """Each rank has its heads: together they give what the whole attention does, and so do all gradients."""
    results = ranks(world, attentions, cases, rng.randrange(1 << 32))
    same(results, [*LAYER, "the gradient of the distance bias, of all heads"])


def masked(rank, seed):
    found = []
    numbers = torch.Generator().manual_seed(seed)
    positions = torch.tensor([[0, 2, 3, 7, 11], [1, 2, 6, 7, 30]])
    for case, shape in (("for all heads", (2, 1, 5, 5)), ("for each head", (2, 4, 5, 5)), ("for all", (5, 5))):
        mask = (torch.rand(shape, generator=numbers) < 0.5) | torch.eye(5, dtype=torch.bool)
        for groups in (4, 2):
            whole = attention_of("rope", 4, groups, 8, seed)
            mine = tp.ParallelAttention(copy.deepcopy(whole))
            x = draw(seed + 1, 2, 5, 8)
            got = [mine(x, mask=mask, positions=positions).detach(), mine(x, positions=positions[1]).detach()]
            its = [whole(x, mask=mask, positions=positions).detach(), whole(x, positions=positions[1]).detach()]
            found.append((f"a mask {case}, {groups} heads of keys", got, its))
    return found


def test_masks_and_positions(rng):
    """Masks and positions do what they do in one process."""
    same(ranks(2, masked, rng.randrange(1 << 32)), ["what comes out with a mask", "what comes out without"])


def cost_of_attention(rank, seed):
    found = []
    for position in ("rope", "t5"):
        whole = attention_of(position, 4, 2, 8, seed)
        learned = position == "t5" and whole.distance_bias.weight.numel()
        mine = tp.ParallelAttention(whole)
        x = draw(seed, 2, 5, 8).requires_grad_()
        with during(f"{position} forward"):
            out = mine(x)
        with during(f"{position} backward"):
            out.square().sum().backward()
        numbers = sum(p.numel() for p in mine.parameters()) - learned
        found.append((given(f"{position} forward"), given(f"{position} backward"), numbers))
    return found


def test_attention_costs(rng):
    """One all-reduce each way, of as many numbers as x has, and a learned bias' own; a part of the weights each."""
    for rank, found in enumerate(ranks(2, cost_of_attention, rng.randrange(1 << 32))):
        for (forward, backward, held), bias, more in zip(
            found, (0, 100), ("", ", and at most 4 · 5 · 5 for T5's bias")
        ):
            check.true(80 <= forward < 160, f"rank {rank} hands over 80 numbers forward, as many as x has", got=forward)
            claim = f"rank {rank} hands over 80 numbers backward, as many as x has{more}"
            check.true(80 <= backward < 160 + bias, claim, got=backward)
            # 4 query heads of width 2, 2 of keys and 2 of values, with biases; and out
            check.equal(held, (16 * 9 + 8 * 8) // 2 + 8, f"how many numbers the parameters have on rank {rank} of 2")


def attention_drops(rank, seed):
    whole = attention_of("none", 4, 4, 8, seed, dropout=0.5)
    mine, x = tp.ParallelAttention(whole), draw(seed, 2, 6, 8)
    torch.manual_seed(seed)
    dropped = mine(x).detach()
    first = tp.ParallelAttention(attention_of("none", 4, 4, 8, seed, dropout=0.0))(x).detach()
    return dropped, mine.eval()(x).detach(), whole.eval()(x).detach(), first


def test_attention_drops_in_training(rng):
    """Weights of attention are dropped in training, and not in eval."""
    results = ranks(2, attention_drops, rng.randrange(1 << 32))
    for rank, (dropped, plain, whole, none) in enumerate(results):
        check.close(plain, whole, f"what comes out in eval on rank {rank}, with dropout=0.5")
        check.close(none, whole, f"what comes out in training on rank {rank}, with dropout=0")
        moved = bool(((dropped - whole).abs() > 1e-3).any())
        check.true(moved, f"on rank {rank}, dropout=0.5 changes what comes out in training")
        check.close(dropped, results[0][0], f"what comes out in training on rank {rank}, that is on all ranks")


def refused(rank, seed):
    fine = tp.ParallelAttention(attention_of("none", 4, 4, 8, seed))
    x = draw(seed, 2, 5, 8)
    misplaced: list[Any] = [{"context": x}, {"cache": stage03.KVCache()}, {"return_weights": True}]
    for option in misplaced:
        check.raises(ValueError, fine, x, **option)
    check.raises(ValueError, tp.ParallelAttention, attention_of("none", 3, 3, 6, seed), naming=[3])
    check.raises(ValueError, tp.ParallelAttention, attention_of("none", 4, 1, 8, seed), naming=[4, 1])
    check.raises(ValueError, tp.ParallelFeedForward, stage04.FeedForward(4, 7))
    check.raises(ValueError, tp.ColumnParallelLinear, draw(seed, 5, 4), draw(seed, 5))
    check.raises(ValueError, tp.RowParallelLinear, draw(seed, 4, 5))
    check.raises(ValueError, tp.VocabParallelEmbedding, draw(seed, 7, 4))
    for options in ({"vocab_size": 25}, {"d_ff": 13}, {"n_heads": 1}):
        check.raises(ValueError, tp.tensor_parallel, whole_model(seed, **options))
    return fine(x).shape


def test_what_cannot_be_shared_out(rng):
    """Heads, widths or a vocabulary that are no multiples of the number of ranks are a ValueError."""
    for shape in ranks(2, refused, rng.randrange(1 << 32)):
        check.equal(tuple(shape), (2, 5, 8), "the shape of what comes out of what can be")


# -- vocabulary


def tables(rank, seed):
    found = []
    world = dist.get_world_size()
    for shape in ((), (4,), (2, 3), (1, 2, 5)):
        full = draw(seed, 4 * world, 3)
        ids = torch.randint(4 * world, shape, generator=torch.Generator().manual_seed(seed))
        upstream = draw(seed + 1, *shape, 3)
        table, whole = tp.VocabParallelEmbedding(full), full.clone().requires_grad_()
        got = table(ids)
        (got * upstream).sum().backward()
        (embedding(ids, whole) * upstream).sum().backward()
        grads = [table.weight.grad, part(whole.grad, 0)]
        found.append((f"ids {shape}", [got.detach(), grads[0]], [embedding(ids, full), grads[1]]))
    return found


def test_embedding(rng):
    """All ranks get the vectors of all ids; the gradient of a vector goes to the rank that has it."""
    same(ranks(3, tables, rng.randrange(1 << 32)), ["the vectors", "the gradient of this rank's vectors"])


def borders(rank):
    full = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])
    with during("forward"):
        got = tp.VocabParallelEmbedding(full)(torch.arange(6))
    table = tp.VocabParallelEmbedding(full)
    single = tp.VocabParallelEmbedding(full[:2])(torch.tensor([1, 0, 1]))
    return got.detach(), table.weight.detach(), given("forward"), single.detach()


def test_embedding_at_the_borders():
    """The first and the last id of each part are on one rank, and on no other."""
    for rank, (got, weight, forward, single) in enumerate(ranks(2, borders)):
        check.close(weight, [[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]][rank], f"the weight on rank {rank}")
        why = "Ids that are elsewhere give zeros here, and the sum over ranks is the vector."
        check.close(
            got.flatten(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], f"the vectors of the ids 0 to 5 on rank {rank}", why=why
        )
        check.true(6 <= forward < 12, f"rank {rank} hands over as many numbers as come out, 6", got=forward)
        check.close(single.flatten(), [2.0, 1.0, 2.0], f"the vectors of 1, 0, 1 on rank {rank}, of one id on each rank")


def odd_ids(rank):
    full = torch.arange(512.0)[:, None]
    table = tp.VocabParallelEmbedding(full)
    check.raises(IndexError, table, torch.tensor([3, 512]), naming=[512])
    check.raises(IndexError, table, torch.tensor([-1, 3]), naming=[-1])
    check.raises(TypeError, table, torch.tensor([1.0]))
    formats = (torch.uint8, torch.int16, torch.int32, torch.int64)
    return [table(torch.tensor([3, 127, 1], dtype=each)).flatten().tolist() for each in formats]


def test_ids_of_any_format():
    """Integers of any format are ids; what is none of the V ids of all ranks is an error."""
    for rank, found in enumerate(ranks(2, odd_ids)):
        for got in found:
            check.close(got, [3.0, 127.0, 1.0], f"what rank {rank} finds for the ids 3, 127, 1 in a table 0, 1, 2, …")


# -- loss


def loss_by_hand(rank):
    logits, two = torch.tensor([1.0, 2.0, 3.0, 4.0]).log(), torch.tensor([1.0, 3.0]).log()
    found = [tp.vocab_parallel_cross_entropy(part(logits), torch.tensor(target)).item() for target in range(4)]
    return found, [tp.vocab_parallel_cross_entropy(part(two), torch.tensor(target)).item() for target in range(2)]


def test_loss_by_hand():
    """Of the odds 1 : 2 : 3 : 4, rank 0 knows the first two: all ranks find -ln 0.1, -ln 0.2, -ln 0.3 and -ln 0.4."""
    expected = [-math.log(share) for share in (0.1, 0.2, 0.3, 0.4)]
    for rank, (got, two) in enumerate(ranks(2, loss_by_hand)):
        check.close(got, expected, f"the loss of the targets 0, 1, 2 and 3 on rank {rank}")
        its = [math.log(4), math.log(4 / 3)]
        check.close(two, its, f"the loss of the targets 0 and 1 on rank {rank}, of the odds 1 : 3, one on each rank")


def losses(rank, seed):
    found = []
    v = 4 * dist.get_world_size()
    numbers = torch.Generator().manual_seed(seed)
    every = torch.arange(v)
    some = torch.randint(v, (3, 5), generator=numbers).masked_fill(torch.rand(3, 5, generator=numbers) < 0.4, NONE)
    some[1, 2], some[0, 0] = 0, NONE
    for case, targets, scale, shift in (
        ("every target once", every, 1.0, 0.0),
        ("every target once, as int32", every.int(), 1.0, 0.0),
        ("some targets do not count", some, 2.0, 0.0),
        ("one place", torch.tensor(v - 1), 1.0, 0.0),
        ("logits around 5000", every, 3.0, 5000.0),
        ("logits around -5000", every, 3.0, -5000.0),
        ("logits from -3000 to 3000", every.view(2, -1), 1000.0, 0.0),
    ):
        logits = draw(seed, *targets.shape, v) * scale + shift
        whole, mine = logits.clone().requires_grad_(), part(logits).clone().requires_grad_()
        expected = cross_entropy(whole.reshape(-1, v), targets.reshape(-1).long(), ignore_index=NONE)
        got = tp.vocab_parallel_cross_entropy(mine, targets)
        (expected * 3).backward()
        (got * 3).backward()
        check.equal(tuple(got.shape), (), "the shape of the loss")
        check.close(mine, part(logits), "the logits after the call", rtol=0, atol=0)
        found.append((case, [got.item(), mine.grad], [expected.item(), part(whole.grad)]))
    return found


def test_loss(rng):
    """The loss, and the gradients of this rank's logits, are those of all logits in one process."""
    same(ranks(3, losses, rng.randrange(1 << 32)), ["the loss", "the gradient of the logits"])


def one_rank_far_above(rank):
    logits = torch.tensor([[-400.0, -401.0, 500.0, 501.0]])
    return tp.vocab_parallel_cross_entropy(part(logits), torch.tensor([1])).item()


def test_largest_logit_of_all_ranks():
    """The largest logit that is taken off is that of all ranks: else the sums of exponentials do not go together."""
    why = "A sum of exp(logit - max) can be added to one of another rank if both took off the same max."
    for rank, got in enumerate(ranks(2, one_rank_far_above)):
        expected = 902 + math.log1p(math.exp(-1))
        check.close(got, expected, f"the loss of -401 beside -400, 500 and 501 on rank {rank}", why=why)


def impossible(rank):
    """Each rank has tokens that cannot be, the first one and others; the targets are possible."""
    whole = torch.tensor([[-math.inf, 1.0, -math.inf, 2.0], [-math.inf, 3.0, 1.0, -math.inf]], requires_grad=True)
    mine = part(whole.detach()).clone().requires_grad_()
    got = tp.vocab_parallel_cross_entropy(mine, torch.tensor([3, 2]))
    got.backward()
    expected = cross_entropy(whole, torch.tensor([3, 2]))
    expected.backward()
    return [("", [got.item(), mine.grad], [expected.item(), part(whole.grad)])]


def test_tokens_that_cannot_be():
    """Logits of -inf, for tokens that cannot be, leave loss and gradients finite."""
    same(
        ranks(2, impossible), ["the loss", "the gradient of the logits"], why="0 · inf is nan: choose, do not multiply."
    )


def nothing_counts(rank):
    logits = draw(5, 2, 3, 4).requires_grad_()
    got = tp.vocab_parallel_cross_entropy(logits, torch.full((2, 3), NONE))
    got.backward()
    return got.item(), logits.grad


def test_no_target_counts():
    """If no target counts, the loss is 0, and so are the gradients."""
    for rank, (got, grad) in enumerate(ranks(2, nothing_counts)):
        check.close(got, 0.0, f"the loss of no targets on rank {rank}")
        check.close(grad, torch.zeros(2, 3, 4), "the gradient of the logits then")


def cost_of_loss(rank, seed):
    logits = draw(seed, 3, 5, 40).requires_grad_()
    targets = torch.randint(80, (3, 5), generator=torch.Generator().manual_seed(seed))
    with during("loss"):
        tp.vocab_parallel_cross_entropy(logits, targets).backward()
    return given("loss")


def test_loss_exchanges_three_numbers(rng):
    """For each place, three numbers go from rank to rank, forward and backward together; never the logits."""
    for rank, numbers in enumerate(ranks(2, cost_of_loss, rng.randrange(1 << 32))):
        claim = f"rank {rank} hands over at most 3 numbers for each of 15 places with 80 logits"
        check.true(numbers <= 45, claim, got=numbers)


def half_losses(rank, seed):
    found = []
    targets = torch.arange(0, 16, 2).view(2, 4)
    for dtype in (torch.bfloat16, torch.float16):
        logits = (draw(seed, 2, 4, 16) * 8 + 100).to(dtype)
        mine = part(logits).clone().requires_grad_()
        got = tp.vocab_parallel_cross_entropy(mine, targets)
        got.backward()
        found.append(
            (
                str(dtype),
                got.item(),
                str(got.dtype),
                str(getattr(mine.grad, "dtype", None)),
                cross_entropy(logits.float().view(-1, 16), targets.view(-1)).item(),
            )
        )
    return found


def test_loss_of_half_formats(rng):
    """The loss of logits in half formats is computed in float32; the gradient is in their own."""
    for rank, found in enumerate(ranks(2, half_losses, rng.randrange(1 << 32))):
        for name, got, dtype, grad, expected in found:
            check.close(got, expected, f"the loss of logits in {name} on rank {rank}", rtol=1e-5)
            check.equal([dtype, grad], ["torch.float32", name], "the formats of the loss and of the gradient")


def bad_targets(rank):
    logits = draw(1, 3, 4)
    check.raises(
        ValueError, tp.vocab_parallel_cross_entropy, logits, torch.zeros(4, dtype=torch.long), naming=[(3,), (4,)]
    )
    check.raises(IndexError, tp.vocab_parallel_cross_entropy, logits, torch.tensor([1, 8, 2]), naming=[8])
    check.raises(IndexError, tp.vocab_parallel_cross_entropy, logits, torch.tensor([-1, 7, 2]), naming=[-1])
    return tp.vocab_parallel_cross_entropy(torch.zeros(3, 4), torch.tensor([0, 7, 2])).item()


def test_targets_out_of_range():
    """Targets are ids of the whole vocabulary; others are errors, and so are shapes that do not fit."""
    for got in ranks(2, bad_targets):
        check.close(got, math.log(8), "the loss of 8 equal logits")


# -- the whole model


def whole_model(seed, **options):
    sizes = {"vocab_size": 24, "context_length": 9, "d_model": 16, "n_layers": 2, "n_heads": 4, "d_ff": 12}
    return randomised(stage04.GPT(config.GPTConfig(**{**sizes, **options})).double(), seed)


def all_ids(seed):
    numbers = torch.Generator().manual_seed(seed)
    ids, targets = (torch.randint(24, (3, 7), generator=numbers) for _ in range(2))
    targets[0, 2] = targets[2, 6] = NONE
    ids[1, :4] = torch.tensor([0, 11, 12, 23])  # the borders of the parts
    return ids, targets


def trained(model, ids, targets, loss_of, lr=0.05):
    """Logits, loss, gradients of the norms and of the table, and the logits after a step of gradient descent."""
    logits = model(ids)
    loss = loss_of(logits, targets)
    loss.backward()
    norms = [p.grad for block in model.blocks for norm in (block.norm1, block.norm2) for p in norm.parameters()]
    position = list(model.embed.position.parameters()) if model.embed.position is not None else []
    table = model.embed.token.weight.grad
    step(model, lr)
    with torch.no_grad():
        after = model(ids.flip(0))
    return [logits.detach(), loss.item(), torch.cat(norms), *[p.grad for p in position], table], after


def in_one(logits, targets):
    return cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=NONE)


def models(rank, cases, seed, groups=()):
    """Each case in one process, and on the ranks of a group: all ranks, or that of `groups` which has this one."""
    made = [dist.new_group(its) for its in groups]
    group = next((each for each, its in zip(made, groups) if rank in its), None)
    seed += next((7 * i for i, its in enumerate(groups) if rank in its), 0)  # each group has a model of its own
    found = []
    for options in cases:
        whole = whole_model(seed, **options)
        mine = tp.tensor_parallel(copy.deepcopy(whole), group)
        ids, targets = all_ids(seed + 1)
        its, its_after = trained(whole, ids, targets, in_one)
        got, after = trained(mine, ids, targets, lambda *each: tp.vocab_parallel_cross_entropy(*each, group))
        expected = [part(its[0], group=group), *its[1:-1], part(its[-1], 0, group), part(its_after, group=group)]
        found.append((", ".join(f"{k}={v!r}" for k, v in options.items()), [*got, after], expected))
    if groups:
        names = {each.group for each in traffic()}
        check.equal(len(names), 1, "how many groups a rank communicates in")
    return found


def names_of(learned):
    extra = ["the gradient of the learned positions"] if learned else []
    names = ["this rank's part of the logits", "the loss", "the gradients of the norms", *extra]
    return [
        *names,
        "the gradient of this rank's part of the table",
        "this rank's logits after a step of gradient descent",
    ]


@pytest.mark.parametrize(
    "world, options",
    [
        (2, {"position": "rope", "n_kv_heads": 2, "activation": "swiglu", "norm": "rms", "bias": False}),
        (2, {"position": "t5", "tie_weights": False}),
        (2, {"position": "learned", "activation": "silu", "tie_weights": False, "bias": False}),
        (3, {"position": "sinusoidal", "n_heads": 3, "d_model": 18, "activation": "gelu_tanh"}),
        (4, {"position": "alibi", "placement": "post", "activation": "relu"}),
        (1, {"position": "t5", "activation": "swiglu", "n_kv_heads": 2}),
    ],
    ids=lambda each: each.get("position") if isinstance(each, dict) else f"{each} ranks",
)
def test_model(rng, world, options):
    """A whole model on many ranks gives the logits and the loss of one process, and learns the same from them."""
    same(ranks(world, models, [options], rng.randrange(1 << 32)), names_of(options["position"] == "learned"))


def test_groups(rng):
    """With a group, its ranks share the model, and others have nothing to do with it."""
    cases = [{"position": "t5", "activation": "swiglu"}, {"position": "rope", "n_kv_heads": 2}]
    why = "Pass the group on to whatever communicates, or asks for a rank or for how many there are."
    same(ranks(4, models, cases, rng.randrange(1 << 32), [[3, 1], [0, 2]]), names_of(False), why=why)


def cost_of_model(rank, seed):
    model = tp.tensor_parallel(whole_model(seed, activation="swiglu", n_layers=3))
    ids, targets = all_ids(seed)
    with during("forward"):
        logits = model(ids)
    loss = tp.vocab_parallel_cross_entropy(logits, targets)
    with during("backward"):
        loss.backward()
    return given("forward"), given("backward")


def test_all_reduces_of_a_model(rng):
    """Two all-reduces in each block each way, one for the token table forward, one for the output layer backward."""
    size, count = 3 * 7 * 16, 2 * 3 + 1
    for rank, (forward, backward) in enumerate(ranks(2, cost_of_model, rng.randrange(1 << 32))):
        for way, got in (("forward", forward), ("backward", backward)):
            claim = f"rank {rank} hands over {count} · {size} numbers {way}, in a model of three blocks"
            check.true(count * size <= got < (count + 1) * size, claim, got=got)


def held(rank, options, seed):
    gc.freeze()  # what is there already is not looked at again
    model = whole_model(seed, **options)
    count, buffers = sum(p.numel() for p in model.parameters()), sum(b.numel() for b in model.buffers())
    modules = [model.embed.position, model.norm, model.blocks[0].attention.distance_bias]
    modules += [norm for block in model.blocks for norm in (block.norm1, block.norm2)]
    shared = sum(p.numel() for module in modules if module is not None for p in module.parameters())
    shared += sum(
        2 * model.config.d_model for _ in model.blocks if model.config.bias
    )  # of attention's out, and of down
    expected = shared + (count - shared) // dist.get_world_size()
    back = tp.tensor_parallel(model)
    tied = back.head.weight is back.embed.token.weight
    got = sum(p.numel() for p in model.parameters())
    del modules
    gc.collect()
    alive = {}
    for each in gc.get_objects():
        if issubclass(type(each), torch.Tensor):
            storage = each.untyped_storage()
            alive[storage.data_ptr()] = storage.nbytes() // 8
    return back is model, tied, got, expected, sum(alive.values()) - buffers


@pytest.mark.parametrize(
    "world, options",
    [
        (2, {"position": "learned", "activation": "swiglu"}),
        (4, {"position": "t5", "tie_weights": False, "bias": False}),
    ],
    ids=["tied", "not tied"],
)
def test_nothing_whole_is_kept(rng, world, options):
    """Of all that is cut, a rank keeps its part alone: in the parameters, and in memory."""
    for rank, (itself, tied, got, expected, alive) in enumerate(ranks(world, held, options, rng.randrange(1 << 32))):
        check.true(itself, "tensor_parallel(model) gives the model itself, changed in place")
        tie = options.get("tie_weights", True)
        claim = (
            "the output layer's weight is that of the token table" if tie else "the weights that were not tied are not"
        )
        check.true(tied == tie, claim)
        of = f"on rank {rank} of {world}"
        check.equal(
            got, expected, f"how many numbers the parameters {of} have: all of what is shared, a part of the rest"
        )
        why = "A view of the whole weight, or a module that is still held, keeps all of it."
        check.true(alive <= 1.1 * expected, f"about {expected} numbers stay in memory {of}", got=alive, why=why)


def modes(rank, seed):
    models = [whole_model(seed, dropout=0.3, activation="swiglu") for _ in range(2)]
    reading, learning = tp.tensor_parallel(copy.deepcopy(models[0]).eval()), tp.tensor_parallel(models[1])
    ids, _ = all_ids(seed)
    torch.manual_seed(seed)  # the same on all ranks
    stream = learning.embed(ids)
    for block in learning.blocks:
        stream = block(stream)
    modes = {each.training for each in reading.modules()}, {each.training for each in learning.modules()}
    return (
        [sorted(each) for each in modes],
        reading(ids).detach(),
        part(models[0].eval()(ids)).detach(),
        stream.detach(),
    )


def test_mode_stays(rng):
    """A model in eval mode stays in it, and drops nothing; one in training stays in that."""
    results = ranks(2, modes, rng.randrange(1 << 32))
    for rank, (modes_, got, expected, stream) in enumerate(results):
        check.equal(modes_, [[False], [True]], "`training` of all modules, of a model in eval and of one in training")
        check.close(got, expected, f"the logits of a model in eval mode, with dropout=0.3, on rank {rank}")
        check.close(stream, results[0][3], f"what all ranks share, with dropout and the same seed, on rank {rank}")


def in_half(rank, seed):
    whole = whole_model(seed, position="t5", activation="swiglu", init_std=0.1)
    whole = randomised(whole, seed, 0.15)
    ids, targets = all_ids(seed)
    mine = tp.tensor_parallel(copy.deepcopy(whole).bfloat16())
    got = mine(ids)
    loss = tp.vocab_parallel_cross_entropy(got, targets)
    loss.backward()
    formats = {str(p.grad.dtype) for p in mine.parameters() if p.grad is not None}
    expected = whole(ids)
    return str(got.dtype), loss.item(), in_one(expected, targets).item(), got.detach(), part(expected).detach(), formats


def test_model_in_a_half_format(rng):
    """A model in bfloat16 stays in it, gradients too, and gives nearly what it gives in full."""
    for rank, (dtype, loss, whole, got, expected, grads) in enumerate(ranks(2, in_half, rng.randrange(1 << 32))):
        check.equal([dtype, *grads], ["torch.bfloat16"] * 2, "the formats of the logits and of the gradients")
        check.close(loss, whole, f"the loss on rank {rank}", rtol=0.02)
        check.close(got, expected, f"the logits on rank {rank}", rtol=0.05, atol=0.1)
