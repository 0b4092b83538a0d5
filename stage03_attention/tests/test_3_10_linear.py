"""3.10 + · Linear attention: sums instead of scores, in parallel and one token after the other."""

import math
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from bootcamp.grading import check, written

linear = written("stage03_attention.linear")

# A GPU takes part where there is one.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
HALF = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)


def features(x):
    """φ(x) = elu(x) + 1."""
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())


def plain(q, k, v, causal=False):
    """The formula, in float64 and with the weights of all pairs."""
    weights = features(q.double()) @ features(k.double()).mT
    weights = weights.tril() if causal else weights
    return weights @ v.double() / weights.sum(-1, keepdim=True)


def draw(rng, *shape, dtype=torch.float64):
    """Random numbers from the normal distribution."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=dtype)


def inputs(rng, queries, keys=None, width=3, depth=5, lead=(2,), dtype=torch.float64) -> Any:
    """Random q, k and v; as many keys as queries if not said otherwise."""
    keys = queries if keys is None else keys
    return tuple(draw(rng, *lead, *each, dtype=dtype) for each in ((queries, width), (keys, width), (keys, depth)))


def holds(qkv, causal=False, why="", rtol=1e-9, atol=1e-9, **kwargs):
    """Hold what comes to the formula."""
    kwargs |= {"causal": True} if causal else {}
    got = check.unchanged(linear.linear_attention, *qkv, **kwargs)
    call = check.call_text(linear.linear_attention, qkv, kwargs)
    check.equal(str(getattr(got, "dtype", None)), str(qkv[0].dtype), f"the number format of {call}")
    check.with_call(
        lambda: check.close(got, plain(*qkv, causal=causal), "what it returns", why=why, rtol=rtol, atol=atol), call
    )


def steps(q, k, v):
    """What the state gives, token after token: (..., T, E)."""
    state = linear.LinearAttentionState()
    rows = [state.step(q[..., i, :], k[..., i, :], v[..., i, :]) for i in range(q.shape[-2])]
    for row in rows:
        check.equal(list(row.shape), [*v.shape[:-2], v.shape[-1]], "the shape of what a step gives")
    return torch.stack(rows, -2)


# -- all keys


def test_by_hand():
    """Weights are products of features: 1 · 1 + 3 · 0.5 and 1 · 4 + 3 · 1."""
    q = torch.tensor([[0.0, 2.0]])  # φ: 1, 3
    k = torch.tensor([[0.0, -math.log(2)], [3.0, 0.0]])  # φ: 1, 1/2 and 4, 1
    v = torch.tensor([[0.0, 19.0], [19.0, 38.0]])
    got = check.unchanged(linear.linear_attention, q, k, v)
    check.close(got, torch.tensor([[14.0, 33.0]]), "two values, weighed with 2.5 and 7")  # 7/9.5 · 19


@pytest.mark.parametrize("queries, keys", [(4, 4), (5, 9), (9, 5), (1, 6), (6, 1)])
def test_all_keys(rng, queries, keys):
    """Each query gets the mean of all values, however many queries and keys there are."""
    holds(inputs(rng, queries, keys))


def test_the_mean_of_equal_values(rng):
    """Weights add up to 1: where all values are the same, that one comes."""
    q, k, _ = inputs(rng, 6)
    v = torch.full((2, 6, 4), 3.25, dtype=torch.float64)
    for causal in (False, True):
        got = linear.linear_attention(q, k, v, causal=causal, chunk=4)
        check.close(got, v, f"means of values that are all 3.25, causal={causal}", why="Divide by the sum of weights.")


# -- causal


@pytest.mark.parametrize("chunk", [12, 50])
def test_causal_in_one_chunk(rng, chunk):
    """With `causal` query i sees the keys up to i, its own among them."""
    holds(inputs(rng, 12), causal=True, chunk=chunk)


@pytest.mark.parametrize("chunk", [1, 3, 4, 6])
def test_causal_in_chunks(rng, chunk):
    """A query sees its own chunk up to its place, and all of the chunks before."""
    holds(inputs(rng, 12), causal=True, chunk=chunk)


@pytest.mark.parametrize("chunk", [2, 5, 7, 12])
def test_chunks_that_do_not_divide(rng, chunk):
    """The length need not be a multiple of the chunk."""
    holds(inputs(rng, 13), causal=True, chunk=chunk)


def test_the_default_chunk(rng):
    """Without a chunk given, there are more tokens than one holds."""
    holds(inputs(rng, 150), causal=True)


def test_the_chunk_does_not_matter_without_causal(rng):
    """Without `causal` the chunk changes nothing."""
    for chunk in (1, 4, 1000):
        holds(inputs(rng, 5, 9), chunk=chunk)


def test_the_future_does_not_leak(rng):
    """A change of a token moves nothing before it, and what is behind it."""
    q, k, v = inputs(rng, 11)
    before = linear.linear_attention(q, k, v, causal=True, chunk=4)
    for place in (10, 5, 3):
        other_k, other_v = k.clone(), v.clone()
        other_k[..., place, :] += 1.0
        other_v[..., place, :] -= 2.0
        moved = (linear.linear_attention(q, other_k, other_v, causal=True, chunk=4) - before).abs().amax((0, 2)) > 1e-9
        expected = list(range(place, 11))
        what = f"the places that move when key and value {place} change, in chunks of 4"
        check.equal(moved.nonzero().flatten().tolist(), expected, what)


def test_nothing_to_read(rng):
    """A text of no token gives one of no token; without a key, a query gets zeros."""
    for causal in (False, True):
        got = linear.linear_attention(*inputs(rng, 0), causal=causal)
        check.equal(list(got.shape), [2, 0, 5], f"the shape of what comes for no token, causal={causal}")
    got = linear.linear_attention(*inputs(rng, 3, 0))
    check.close(got, torch.zeros(2, 3, 5), "what three queries get of no key", why="Their weights add up to 0.")


# -- one token after the other


def test_steps_by_hand():
    """With equal weights, each step gives the mean of the values so far."""
    state = linear.LinearAttentionState()
    for number, expected in ((0.0, 0.0), (3.0, 1.5), (6.0, 3.0), (-9.0, 0.0)):
        got = check.unchanged(state.step, torch.zeros(2), torch.zeros(2), torch.tensor([number, 1.0]))
        check.close(got, torch.tensor([expected, 1.0]), f"what the step with the value {number} gives")


@pytest.mark.parametrize("lead", [(), (2,), (4, 2)], ids=str)
def test_steps_equal_rows(rng, lead):
    """Token after token, the state gives the rows of the causal form."""
    qkv = inputs(rng, 9, lead=lead)
    check.close(steps(*qkv), plain(*qkv, causal=True), f"nine steps, with the leading dimensions {lead}", rtol=1e-9)


def test_states_know_nothing_of_each_other(rng):
    """Each state begins with nothing, whatever another one has read."""
    one, other = inputs(rng, 5), inputs(rng, 5)
    first, second = linear.LinearAttentionState(), linear.LinearAttentionState()
    rows = [], []
    for i in range(5):
        for state, (q, k, v), got in zip((first, second), (one, other), rows):
            got.append(state.step(q[:, i], k[:, i], v[:, i]))
    for what, got, qkv in zip(("the first", "the second"), rows, (one, other)):
        check.close(torch.stack(got, 1), plain(*qkv, causal=True), f"{what} of two states that take turns", rtol=1e-9)


def tensors_in(value, seen):
    """All tensors that can be reached from a value, and how many other things it holds."""
    if id(value) in seen:
        return []
    seen[id(value)] = value
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        inside = list(value.values())
    elif isinstance(value, (list, tuple, set, frozenset)) or type(value).__name__ == "deque":
        inside = list(value)
    else:
        inside = [getattr(value, name, None) for name in getattr(type(value), "__slots__", ()) if name != "__dict__"]
        inside += list(getattr(value, "__dict__", {}).values())
    return [tensor for each in inside for tensor in tensors_in(each, seen)]


def test_the_state_does_not_grow(rng):
    """However many tokens were read, the state holds about (D + 1) · E numbers."""
    q, k, v = inputs(rng, 60, None, 8, 6, ())
    state, sizes = linear.LinearAttentionState(), []
    for i in range(60):
        state.step(q[i], k[i], v[i])
        seen = {}
        storages = {each.untyped_storage().data_ptr(): elements(each) for each in tensors_in(state, seen)}
        sizes.append((sum(storages.values()), len(seen)))
    why = "Two sums are all that is needed of the past; keys and values, and lists of them, are not kept."
    check.true(
        sizes[-1][0] <= sizes[2][0],
        "60 tokens need no more room than 3",
        got=f"{sizes[2][0]} elements, then {sizes[-1][0]}",
        why=why,
    )
    check.true(
        sizes[-1][1] <= sizes[2][1] + 5, "60 tokens leave no more objects than 3", got=f"{sizes[2][1]}, {sizes[-1][1]}"
    )
    check.true(
        sizes[-1][0] <= 2 * 9 * 7, "the sums of D = 8 and E = 6 have about 54 numbers", got=f"{sizes[-1][0]}", why=why
    )


def test_a_step_costs_the_same(rng):
    """The hundredth step costs what the third does."""
    q, k, v = inputs(rng, 100, None, 8, 6, ())
    state, made = linear.LinearAttentionState(), []
    for i in range(100):
        with Cost() as cost:
            state.step(q[i], k[i], v[i])
        made.append(cost.made)
    check.true(made[-1] < 2 * made[2], "step 99 makes no more than step 2", got=f"{made[2]} elements, then {made[-1]}")


# -- number formats


def test_float32(rng):
    """In float32 what comes is exact up to rounding, in all forms."""
    qkv = inputs(rng, 70, None, 8, dtype=torch.float32)
    holds(qkv, rtol=1e-5, atol=2e-6)
    holds(qkv, causal=True, chunk=16, rtol=1e-5, atol=2e-6)
    check.close(steps(*qkv), plain(*qkv, causal=True), "70 steps in float32", rtol=1e-5, atol=2e-6)


def exact(got, expected, dtype, what):
    """Hold most numbers to the exact result, rounded once."""
    check.equal(str(got.dtype), str(dtype), f"the number format of {what}")
    check.equal(tuple(got.shape), tuple(expected.shape), f"the shape of {what}")
    share = (got == expected.to(dtype)).double().mean().item()
    why = "Where features, weights or sums are rounded to the format of q, each adds an error of its own."
    check.true(share > 0.95, f"95 of 100 numbers are exact: {what}", got=f"{share:.0%} of them", why=why)


@HALF
def test_half_formats(rng, dtype):
    """In half formats all is computed in float32, and rounded once."""
    qkv = inputs(rng, 60, 70, 8, dtype=dtype)
    exact(linear.linear_attention(*qkv), plain(*qkv), dtype, f"what comes in {dtype}")
    qkv = inputs(rng, 60, None, 8, dtype=dtype)
    got = linear.linear_attention(*qkv, causal=True, chunk=16)
    exact(got, plain(*qkv, causal=True), dtype, f"what comes in {dtype}, causal")


@HALF
def test_steps_in_half_formats(rng, dtype):
    """The state sums up in float32, whatever the format of its tokens."""
    qkv = inputs(rng, 60, None, 8, dtype=dtype)
    exact(steps(*qkv), plain(*qkv, causal=True), dtype, f"60 steps in {dtype}")


def test_a_long_text_in_bfloat16():
    """Token 600 counts as much as the first one, in bfloat16 too."""
    x = torch.zeros(600, 2, dtype=torch.bfloat16)
    v = torch.arange(600).ge(300)[:, None].to(torch.bfloat16) * 4.0
    why = "In bfloat16, 256 + 1 is 256: sums stand still after 256 tokens."
    check.close(steps(x, x, v)[-1], torch.tensor([2.0]), "the mean of 300 zeros and 300 fours", rtol=0.01, why=why)


def test_sums_beyond_float16():
    """Sums above 65,504, the largest number of float16, are sums like others."""
    x, v = torch.full((1, 40, 2), 60.0).half(), torch.full((1, 40, 3), 900.0).half()
    for causal in (False, True):
        got = linear.linear_attention(x, x, v, causal=causal, chunk=16)
        check.close(got, v, f"the mean of values that are all 900, causal={causal}")
    check.close(steps(x, x, v), v, "the mean of values that are all 900, in steps")


# -- small features


def small(shift, dtype=torch.float64) -> Any:
    """q, k and v whose features are far below 1, but not 0."""
    q = torch.tensor([[-20.0, -21.0], [-20.0, -22.0], [-21.5, -20.0]], dtype=dtype) + shift
    return q, q.flip(0), torch.tensor([[1.0, 5.0], [2.0, -6.0], [4.0, 7.0]], dtype=dtype)


def test_small_features():
    """Weights may be small: exp(-40) beside exp(-42) is much."""
    why = "A constant that is added to the divisor, against a division by zero, is larger than all weights here."
    for causal in (False, True):
        holds(small(0.0), causal, why=why)
        holds(small(0.0, torch.float32), causal, why=why, rtol=1e-5, atol=1e-5)
    check.close(steps(*small(0.0)), plain(*small(0.0), causal=True), "three steps with small features", why=why)


def test_features_of_zero(rng):
    """Where features are so small that they are 0, zeros come, no nan; gradients are finite."""
    q, k, v = inputs(rng, 6, dtype=torch.float32)
    why = "exp(-300) is 0 in float32: all weights are 0, and 0 / 0 is nan."
    for name, one, other in (("q", q - 300, k), ("k", q, k - 300), ("q and k", q - 300, k - 300)):
        for causal in (False, True):
            leaves = [each.clone().requires_grad_() for each in (one, other, v)]
            got = linear.linear_attention(*leaves, causal=causal, chunk=4)
            check.close(got, torch.zeros(2, 6, 5), f"what comes where {name} are near -300, causal={causal}", why=why)
            got.sum().backward()
            for letter, leaf in zip("qkv", leaves):
                finite = leaf.grad is not None and bool(leaf.grad.isfinite().all())
                check.true(finite, f"the gradient of {letter} is finite where {name} are near -300", why=why)
        check.close(steps(one, other, v), torch.zeros(2, 6, 5), f"six steps where {name} are near -300", why=why)


def test_one_query_without_weights(rng):
    """A query whose weights are 0 gets zeros, and the others what they always get."""
    q, k, v = inputs(rng, 6, dtype=torch.float32)
    q[:, 2] -= 300
    for causal in (False, True):
        expected = plain(q, k, v, causal)
        expected[:, 2] = 0.0
        got = linear.linear_attention(q, k, v, causal=causal, chunk=4)
        check.close(got, expected, f"what comes where q[:, 2] is near -300, causal={causal}", rtol=1e-4, atol=1e-5)


# -- gradients, shapes


@pytest.mark.parametrize("causal, chunk", [(False, 64), (True, 4), (True, 50)])
def test_gradients(rng, causal, chunk):
    """The gradients of q, k and v are those of the formula."""
    qkv, upstream = inputs(rng, 9), draw(rng, 2, 9, 5)
    found = []
    for function in (
        lambda *each: linear.linear_attention(*each, causal=causal, chunk=chunk),
        lambda *each: plain(*each, causal=causal),
    ):
        leaves = [each.clone().requires_grad_() for each in qkv]
        output = function(*leaves)
        check.true(output.requires_grad, "the result is connected with q, k and v, for training")
        (output * upstream).sum().backward()
        found.append([leaf.grad for leaf in leaves])
    for name, got, expected in zip("qkv", *found):
        check.true(got is not None, f"there is a gradient of {name}")
        check.close(got, expected, f"the gradient of {name}, causal={causal}, chunk={chunk}", rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("lead", [(), (1,), (4, 2)], ids=str)
def test_leading_dimensions(rng, lead):
    """There may be any number of leading dimensions, or none."""
    holds(inputs(rng, 5, 7, lead=lead))
    holds(inputs(rng, 7, lead=lead), causal=True, chunk=3)


def test_laid_out_in_any_way(rng):
    """Heads that were transposed are attended to like any others."""
    qkv = tuple(draw(rng, 2, 9, 3, each).transpose(1, 2) for each in (4, 4, 6))
    holds(qkv)
    holds(qkv, causal=True, chunk=4)


@pytest.mark.parametrize("device", DEVICES)
def test_on_any_device(rng, device):
    """What comes is on the device of q, in all forms."""
    qkv = [each.to(device) for each in inputs(rng, 9)]
    for causal in (False, True):
        got = linear.linear_attention(*qkv, causal=causal, chunk=4)
        check.equal(got.device.type, device, f"the device of the result, for q, k and v on {device!r}")
        check.close(got, plain(*qkv, causal=causal), f"q, k and v on {device!r}")
    check.close(steps(*qkv), plain(*qkv, causal=True), f"steps on {device!r}")


# -- what it costs


class Cost(TorchFunctionMode):
    """Counts the elements of what torch functions make, and of what autograd keeps of it."""

    def __init__(self):
        super().__init__()
        self.made = self.largest = 0
        self.saved = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") == "__get__":
            return result
        given = {each.untyped_storage().data_ptr() for each in args if isinstance(each, torch.Tensor)}
        for each in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(each, torch.Tensor) and each.untyped_storage().data_ptr() not in given:
                self.made += elements(each)
                self.largest = max(self.largest, elements(each))
        return result

    def keep(self, tensor):
        self.saved[tensor.untyped_storage().data_ptr()] = elements(tensor)
        return tensor


def elements(tensor):
    """How many elements the storage of a tensor has room for: views and expanded dimensions take none."""
    return tensor.untyped_storage().nbytes() // tensor.element_size()


def cost(rng, length, causal, width=4, depth=4, **options):
    """What linear attention over this many tokens makes, and keeps."""
    leaves = [each.requires_grad_() for each in inputs(rng, length, None, width, depth, (), torch.float32)]
    watch = Cost()
    with watch, torch.autograd.graph.saved_tensors_hooks(watch.keep, lambda kept: kept):
        output = linear.linear_attention(*leaves, causal=causal, **options)
    check.equal(list(output.shape), [length, depth], f"the shape of what comes for {length} tokens")
    return watch


@pytest.mark.parametrize("causal", [False, True], ids=["all keys", "causal"])
def test_work_grows_with_the_length(rng, causal):
    """Twice the tokens are twice the work and twice the memory, not four times."""
    short, long = (cost(rng, length, causal, chunk=16) for length in (256, 512))
    why = "φ(q) (φ(k)ᵀ v) needs no T × S weights: take the product of keys and values first."
    for what, one, other in (
        ("is made", short.made, long.made),
        ("is kept for the way back", sum(short.saved.values()), sum(long.saved.values())),
    ):
        claim = f"causal={causal}, for twice the tokens not three times as much {what}"
        check.true(other < 3 * one, claim, got=f"{one:,} elements, then {other:,}", why=why)


def test_a_sum_for_each_chunk(rng):
    """In the causal form there is a D × E sum for each chunk, not for each place."""
    largest = cost(rng, 256, True, 24, 20, chunk=32).largest
    why = "Within a chunk the weights of its pairs do: 32 numbers for each place, instead of 24 × 20."
    claim = "for 256 tokens, D = 24 and E = 20, no tensor has half of 256 × 24 × 20 elements"
    check.true(largest < 256 * 24 * 20 / 2, claim, got=f"one of {largest:,}", why=why)


def test_the_chunk_is_heeded(rng):
    """The weights of pairs are made for a chunk, not for more."""
    large, small_ = (cost(rng, 512, True, 2, 1, chunk=chunk) for chunk in (128, 8))
    claim = "for 512 tokens, chunks of 8 make less than a third of what chunks of 128 make"
    check.true(small_.made < large.made / 3, claim, got=f"{small_.made:,} and {large.made:,} elements")


# -- what is refused


def test_refused(rng):
    """Lengths that differ with `causal`, other leading dimensions, and a chunk below 1, are a ValueError."""
    q, k, v = inputs(rng, 5, 7)
    holds((q, k, v))
    check.raises(ValueError, linear.linear_attention, q, k, v, causal=True, naming=["(2, 5, 3)", "(2, 7, 3)"])
    check.raises(ValueError, linear.linear_attention, q, k[:1], v, naming=["(1, 7, 3)"])
    check.raises(ValueError, linear.linear_attention, q, k, v, chunk=0, naming=[0])
    check.raises(TypeError, linear.linear_attention, q, k.float(), v.float(), naming=["float32"])
    state = linear.LinearAttentionState()
    check.close(state.step(q[:, 0], k[:, 0], v[:, 0]), v[:, 0], "the first step, which gives its own value")
    check.raises(ValueError, state.step, q[:, 0], k[:, 0, :2], v[:, 0], naming=["(2, 3)", "(2, 2)"])
