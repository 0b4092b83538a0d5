"""3.9 + · Sparse attention: a window of the last keys, and a few keys that all see."""

import math
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from bootcamp.grading import check, written

sparse = written("stage03_attention.sparse")

# A GPU takes part where there is one.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def plain(q, k, v, window, global_tokens=0):
    """Attention with the mask, in float64 and with the whole matrix."""
    q, k, v = q.double(), k.double(), v.double()
    i, j = torch.arange(q.shape[-2])[:, None], torch.arange(q.shape[-2])
    mask = (j <= i) & ((i - j < window) | (j < global_tokens))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    return scores.masked_fill(~mask.to(q.device), -math.inf).softmax(-1) @ v


def draw(rng, *shape, dtype=torch.float64):
    """Random numbers from the normal distribution."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=dtype)


def inputs(rng, length, width=3, depth=5, lead=(2,), dtype=torch.float64) -> Any:
    """Random q, k and v."""
    return tuple(draw(rng, *lead, length, each, dtype=dtype) for each in (width, width, depth))


def holds(qkv, *args, why="", rtol=1e-9, atol=1e-9):
    """Hold what comes to the formula."""
    got = check.unchanged(sparse.sliding_window_attention, *qkv, *args)
    call = check.call_text(sparse.sliding_window_attention, (*qkv, *args), {})
    check.equal(str(getattr(got, "dtype", None)), str(qkv[0].dtype), f"the number format of {call}")
    check.with_call(
        lambda: check.close(got, plain(*qkv, *args), "what it returns", why=why, rtol=rtol, atol=atol), call
    )


# -- the window


def test_by_hand():
    """With equal scores, each place gets the mean of the last two values, its own among them."""
    x, v = torch.zeros(5, 2), torch.tensor([[0.0], [2.0], [4.0], [8.0], [-2.0]])
    got = sparse.sliding_window_attention(x, x, v, 2)
    check.close(got, torch.tensor([[0.0], [1.0], [3.0], [6.0], [3.0]]), "the means of [0], [0, 2], [2, 4], …")


def test_a_window_of_one(rng):
    """With a window of 1 each place gets its own value."""
    q, k, v = inputs(rng, 7)
    why = "A query is always in its own window: i - j < W leaves j = i alone where W is 1."
    check.close(sparse.sliding_window_attention(q, k, v, 1), v, "what comes, which is v", why=why)


@pytest.mark.parametrize("window", [2, 3, 4, 6])
def test_windows_that_divide_the_length(rng, window):
    """Each place sees the last W keys, wherever it stands."""
    holds(inputs(rng, 12), window)


@pytest.mark.parametrize("window", [2, 3, 5, 8])
def test_lengths_that_are_no_multiple(rng, window):
    """The length need not be a multiple of the window."""
    holds(inputs(rng, 13), window)
    holds(inputs(rng, 11), window)


def test_wide_windows(rng):
    """A window of T or more is plain causal attention."""
    for window in (6, 7, 8, 1000):
        holds(inputs(rng, 7), window)


def test_short_texts(rng):
    """One token, or none, is a text too."""
    holds(inputs(rng, 1), 3, 2)
    holds(inputs(rng, 0), 3, 2)
    holds(inputs(rng, 2), 1, 1)


# -- tokens that all see


@pytest.mark.parametrize("global_tokens", [1, 2, 5])
def test_global_tokens(rng, global_tokens):
    """The first keys are seen by all queries behind them, however far."""
    holds(inputs(rng, 14), 3, global_tokens)
    holds(inputs(rng, 12), 4, global_tokens)


def test_seen_once():
    """A key that is global and in the window too counts once."""
    x, v = torch.zeros(4, 2), torch.tensor([[12.0], [0.0], [0.0], [0.0]])
    got = sparse.sliding_window_attention(x, x, v, 3, 2)
    why = "Place 1 sees keys 0 and 1, both global and both in its window: its weights are 1/2 and 1/2."
    check.close(got, torch.tensor([[12.0], [6.0], [4.0], [3.0]]), "means that count each key once", why=why)


def test_global_tokens_do_not_look_ahead(rng):
    """A global key is not seen by the queries before it."""
    q, k, v = inputs(rng, 9)
    before = sparse.sliding_window_attention(q, k, v, 2, 6)
    k[..., 5, :], v[..., 5, :] = 30.0, -7.0  # the last global key
    after = sparse.sliding_window_attention(q, k, v, 2, 6)
    why = "Global or not, a key that stands ahead of a query is the future: j ≤ i holds for all."
    check.close(after[..., :5, :], before[..., :5, :], "places 0 to 4, after key and value 5 have changed", why=why)


def test_all_are_global(rng):
    """As many global tokens as tokens, or more, is plain causal attention."""
    for global_tokens in (6, 7, 8, 1000):
        holds(inputs(rng, 7), 2, global_tokens)
    holds(inputs(rng, 7), 1000, 1000)


def test_the_last_token(rng):
    """A change of the last token moves nothing before it; a change of a key moves its window, and no more."""
    q, k, v = inputs(rng, 11)
    before = sparse.sliding_window_attention(q, k, v, 3, 1)
    for place, touched in ((10, [10]), (4, [4, 5, 6]), (0, list(range(11)))):
        other_k, other_v = k.clone(), v.clone()
        other_k[..., place, :] += 1.0
        other_v[..., place, :] -= 2.0
        moved = (sparse.sliding_window_attention(q, other_k, other_v, 3, 1) - before).abs().amax((0, 2)) > 1e-9
        what = f"the places that move when key and value {place} change, with a window of 3 and one global token"
        check.equal(moved.nonzero().flatten().tolist(), touched, what)


# -- shapes, formats, gradients


@pytest.mark.parametrize("lead", [(), (1,), (4, 2)], ids=str)
def test_leading_dimensions(rng, lead):
    """There may be any number of leading dimensions, or none."""
    holds(inputs(rng, 8, lead=lead), 3)
    holds(inputs(rng, 8, lead=lead), 3, 2)


def test_laid_out_in_any_way(rng):
    """Heads that were transposed are attended to like any others."""
    q, k, v = (draw(rng, 2, 9, 3, each).transpose(1, 2) for each in (4, 4, 6))
    holds((q, k, v), 4, 1)


def test_huge_scores(rng):
    """Scores in the thousands, up and down, overflow nowhere."""
    q, k, v = inputs(rng, 9, 4)
    holds((50 * q, 50 * k, v), 3, 1)


@pytest.mark.parametrize(
    "dtype, step",
    [
        (torch.float32, 2e-6),
        pytest.param(torch.bfloat16, 1e-2, marks=pytest.mark.varied),  # other last digits for other authors
        pytest.param(torch.float16, 2e-3, marks=pytest.mark.varied),
    ],
    ids=str,
)
def test_formats(rng, dtype, step):
    """What comes is in the format of q, and exact up to its rounding."""
    holds(inputs(rng, 21, dtype=dtype), 4, 2, rtol=step, atol=step)


@pytest.mark.parametrize("length, window, global_tokens", [(12, 4, 0), (13, 5, 2), (7, 9, 0), (6, 1, 1)])
def test_gradients(rng, length, window, global_tokens):
    """The gradients of q, k and v are those of masked attention, and finite."""
    qkv, upstream = inputs(rng, length), draw(rng, 2, length, 5)
    found = []
    for function in (sparse.sliding_window_attention, plain):
        leaves = [each.clone().requires_grad_() for each in qkv]
        output = function(*leaves, window=window, global_tokens=global_tokens)
        check.true(output.requires_grad, "the result is connected with q, k and v, for training")
        (output * upstream).sum().backward()
        found.append([leaf.grad for leaf in leaves])
    for name, got, expected in zip("qkv", *found):
        what = f"the gradient of {name}, for {length} tokens, a window of {window}, {global_tokens} global tokens"
        check.true(got is not None, f"there is {what}")
        check.close(got, expected, what, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("device", DEVICES)
def test_on_any_device(rng, device):
    """What comes is on the device of q."""
    qkv = [each.to(device) for each in inputs(rng, 9)]
    got = sparse.sliding_window_attention(*qkv, window=4, global_tokens=1)
    check.equal(got.device.type, device, f"the device of the result, for q, k and v on {device!r}")
    check.close(got, plain(*qkv, window=4, global_tokens=1), f"q, k and v on {device!r}")


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


def cost(rng, length, window, global_tokens=0):
    """What sparse attention over this many tokens makes, and keeps."""
    leaves = [each.requires_grad_() for each in inputs(rng, length, 4, 4, (), torch.float32)]
    watch = Cost()
    with watch, torch.autograd.graph.saved_tensors_hooks(watch.keep, lambda kept: kept):
        output = sparse.sliding_window_attention(*leaves, window=window, global_tokens=global_tokens)
    check.equal(list(output.shape), [length, 4], f"the shape of what comes for {length} tokens")
    return watch


@pytest.mark.parametrize("window, global_tokens", [(8, 0), (8, 3)], ids=["window", "window and global tokens"])
def test_work_grows_with_the_length(rng, window, global_tokens):
    """Twice the tokens are twice the work and twice the memory, not four times."""
    short, long = (cost(rng, length, window, global_tokens) for length in (256, 512))
    why = "T × T scores that are masked afterwards cost what all of them cost. Compute those that are seen."
    for what, one, other in (
        ("is made", short.made, long.made),
        ("is kept for the way back", sum(short.saved.values()), sum(long.saved.values())),
    ):
        claim = f"with a window of {window} and {global_tokens} global tokens, for twice the tokens not three times as"
        check.true(other < 3 * one, f"{claim} much {what}", got=f"{one:,} elements, then {other:,}", why=why)


def test_work_grows_with_the_window(rng):
    """Where neither the window nor the length is small, twice the window is no more than twice the work."""
    narrow, wide = (cost(rng, 512, window) for window in (16, 32))
    claim = "for 512 tokens, a window of 32 makes not three times what one of 16 does"
    check.true(wide.made < 3 * narrow.made, claim, got=f"{narrow.made:,} elements, then {wide.made:,}")


def test_no_whole_matrix(rng):
    """No tensor of T × T elements is made, not for a mask either."""
    for global_tokens in (0, 3):
        largest = cost(rng, 512, 6, global_tokens).largest
        claim = (
            f"for 512 tokens, a window of 6 and {global_tokens} global tokens no tensor has half of 512 × 512 elements"
        )
        check.true(largest < 512 * 512 / 2, claim, got=f"one of {largest:,}")


def test_a_window_without_end(rng):
    """A window, or a number of global tokens, in the millions costs no more than T does."""
    usual = cost(rng, 40, 40, 40)
    for window, global_tokens in ((10_000_000, 0), (4, 10_000_000)):
        made = cost(rng, 40, window, global_tokens).made
        claim = f"for 40 tokens, a window of {window:,} and {global_tokens:,} global tokens cost little"
        check.true(made < 10 * usual.made, claim, got=f"{made:,} elements")


# -- what is refused


def test_refused(rng):
    """Lengths that differ, a window of less than 1 and negative global tokens are a ValueError."""
    q, k, v = inputs(rng, 6)
    holds((q, k, v), 2)
    check.raises(ValueError, sparse.sliding_window_attention, q[:, :5], k, v, 2, naming=["(2, 5, 3)", "(2, 6, 3)"])
    check.raises(ValueError, sparse.sliding_window_attention, q, k, v, 0, naming=[0])
    check.raises(ValueError, sparse.sliding_window_attention, q, k, v, 2, -1, naming=[-1])
    check.raises(TypeError, sparse.sliding_window_attention, q, k.float(), v.float(), 2, naming=["float32"])
