"""3.1 · Softmax: scores become shares."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from bootcamp.grading import check, written

module = written("stage03_attention.softmax")

INF = math.inf
HALVES = [torch.bfloat16, torch.float16]


def numbers(rng, *shape, dtype=torch.float32):
    """Random numbers, most of them between -2 and 2."""
    count = torch.Size(shape).numel()
    return torch.tensor([rng.gauss(0, 1) for _ in range(count)], dtype=dtype).reshape(shape)


def shares(x, dim=-1):
    """What should come: torch's own softmax, in float64."""
    return torch.softmax(x.detach().double(), dim)


def holds(expected, x, *args, why="", rtol=1e-5, atol=1e-6, **kwargs):
    """Hold what comes to what it should be, in the format of x."""
    got = check.unchanged(module.softmax, x, *args, **kwargs)

    def probe():
        check.close(got, expected, "what it returns", why=why, rtol=rtol, atol=atol)
        check.equal(str(got.dtype), str(x.dtype), "the format of what it returns")

    check.with_call(probe, check.call_text(module.softmax, (x, *args), kwargs))


# -- shares


def test_by_hand():
    """Numbers that differ by ln 3 get shares of one to three."""
    x = torch.tensor([0.0, math.log(3), math.log(4)])
    holds(torch.tensor([1 / 8, 3 / 8, 4 / 8]), x, why="exp(0), exp(ln 3), exp(ln 4) are 1, 3, 4; they add up to 8.")


def test_one_slice_after_the_other():
    """Each row shares out by itself, and the last dimension is the one that is meant if none is named."""
    x = torch.tensor([[0.0, math.log(3), 0.0], [math.log(2), math.log(5), 0.0]])
    holds(torch.tensor([[1 / 5, 3 / 5, 1 / 5], [2 / 8, 5 / 8, 1 / 8]]), x)


@pytest.mark.parametrize("dim", [0, 1, 2, 3, -1, -2, -3, -4])
def test_any_dimension(rng, dim):
    """The numbers along `dim` share out among themselves, whichever it is, counted from either end."""
    x = numbers(rng, 2, 3, 5, 4)
    holds(shares(x, dim), x, dim)


def test_any_number_of_dimensions(rng):
    """x may have one dimension or many, and a slice may be a single number, whose share is 1."""
    for shape, dim in [((7,), 0), ((3, 1), 1), ((1, 3), 0), ((1,), -1), ((2, 3, 2, 2, 3), 1)]:
        x = numbers(rng, *shape)
        holds(shares(x, dim), x, dim=dim)


def test_nothing_to_share_out(rng):
    """Where x holds no number, none comes, in the same shape."""
    x = numbers(rng, 2, 3)
    holds(shares(x), x)
    for shape in [(0,), (2, 0), (0, 3)]:
        check.equal(tuple(module.softmax(torch.zeros(shape)).shape), shape, f"the shape of what comes for x {shape}")


def test_any_order_in_memory(rng):
    """A transposed, an expanded and a sliced x are taken as they come."""
    x = numbers(rng, 4, 3, 5)
    for each in (x.transpose(0, 2), x[:, ::2], numbers(rng, 3, 1).expand(3, 4)):
        holds(shares(each, 1), each, 1)


# -- numbers of any size


def test_large_numbers():
    """Numbers of a thousand or a million, of either sign, do not overflow."""
    x = torch.tensor([1000.0, 1000.0, 999.0])
    expected = shares(torch.tensor([1.0, 1.0, 0.0]))
    why = "exp(89) is more than float32 can hold. softmax(x) = softmax(x - c) for any c: which c keeps exp small?"
    holds(expected, x, why=why)
    holds(expected, x - 1_001_000.0, why=why)
    holds(expected, x + 1_000_000.0, why=why)


def test_each_slice_has_a_size_of_its_own():
    """A slice of small numbers beside one of large ones gets its shares too."""
    x = torch.tensor([[0.0, math.log(3)], [500.0, 500.0], [-500.0, -500.0 + math.log(4)]])
    why = "Take away the largest number of each slice: what is far below the largest of all becomes 0 otherwise."
    holds(torch.tensor([[0.25, 0.75], [0.5, 0.5], [0.2, 0.8]]), x, rtol=1e-4, why=why)
    holds(torch.tensor([[0.25, 0.75], [0.5, 0.5], [0.2, 0.8]]).T, x.T.contiguous(), 0, rtol=1e-4, why=why)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALVES], ids=str)
def test_the_largest_numbers_there_are(dtype):
    """The largest and the smallest finite number of a format are numbers like others."""
    top = torch.finfo(dtype).max
    x = torch.tensor([[top, top, -top], [-top, -top, -top], [top, 0.0, -top]], dtype=dtype)
    third = 1 / 3
    expected = torch.tensor([[0.5, 0.5, 0.0], [third, third, third], [1.0, 0.0, 0.0]])
    holds(expected, x, rtol=1e-5 if dtype in (torch.float32, torch.float64) else 4e-3)


def test_minus_infinity():
    """A number of -inf gets the share 0, and the others share out as if it were not there."""
    x = torch.tensor([[-INF, 0.0, math.log(3)], [5.0, -INF, -INF], [-1.0, -INF, -1.0]])
    holds(torch.tensor([[0.0, 0.25, 0.75], [1.0, 0.0, 0.0], [0.5, 0.0, 0.5]]), x)


# -- number formats


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_formats_are_rounded_once(rng, dtype):
    """Half formats are computed in float32: the shares are the exact ones, rounded at the end."""
    x = (3 * numbers(rng, 6, 200)).to(dtype)
    got = module.softmax(x)
    check.equal(str(got.dtype), str(dtype), "the format of what it returns")
    expected = shares(x).to(dtype)
    check.equal(tuple(got.shape), tuple(expected.shape), "the shape of what it returns")
    share = (got == expected).double().mean().item()
    why = "Differences, exp, sum and division each round once more in a half format. Convert x first, the result last."
    claim = f"95 of 100 shares are the exact ones, rounded to {dtype}"
    check.true(share > 0.95, claim, got=f"{share:.0%} of them", why=why)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_a_sum_of_many(dtype):
    """Shares of many numbers are right in half formats, where a sum of ones comes no further than 256 or 2,048."""
    x = torch.zeros(2, 5000, dtype=dtype)
    why = f"{dtype} has too few digits for a sum of 5,000 numbers; float32 has enough."
    holds(torch.full((2, 5000), 1 / 5000), x, rtol=0.01, atol=0.0, why=why)


def test_float64_is_kept(rng):
    """With x in float64, all is computed in float64."""
    x = numbers(rng, 4, 6, dtype=torch.float64)
    holds(shares(x, 0), x, 0, rtol=1e-12, atol=1e-14, why="float32 is for half formats; a wider one is kept.")


# -- gradients


def slope(x, dim, upstream, dtype=torch.float64):
    """The gradient by the formula: share · (upstream - Σ share · upstream)."""
    share = shares(x, dim)
    upstream = upstream.double()
    return (share * (upstream - (share * upstream).sum(dim, keepdim=True))).to(dtype)


def gradient(x, dim, upstream) -> Any:
    """The gradient of x that comes through the graded code."""
    x = x.clone().requires_grad_()
    result = module.softmax(x, dim)
    check.true(result.requires_grad, "what comes is connected with x, for training")
    (result * upstream).sum().backward()
    check.true(x.grad is not None, "a gradient comes back to x")
    return x.grad


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_gradients(rng, dim):
    """The gradient of x is share · (g - Σ share · g), where g is the gradient of the shares."""
    x, upstream = numbers(rng, 3, 4, 5), numbers(rng, 3, 4, 5)
    got = gradient(x, dim, upstream)
    check.close(got, slope(x, dim, upstream), f"the gradient of x (3, 4, 5), dim {dim}", atol=1e-5)


def test_gradients_of_equals(rng):
    """Where several numbers are the largest, they have gradients like any others."""
    x, upstream = torch.tensor([[2.0, 2.0, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0]]), numbers(rng, 2, 4)
    got = gradient(x, 1, upstream)
    check.close(got, slope(x, 1, upstream), f"the gradient of x = {x.tolist()}", atol=1e-5)


def test_gradients_at_minus_infinity(rng):
    """A number of -inf has the gradient 0, and the gradients of the others are as if it were not there."""
    x = torch.tensor([[-INF, 0.0, 1.0, -INF], [-INF, -INF, 3.0, 3.5], [2.0, -INF, -INF, -INF]])
    upstream = numbers(rng, 3, 4)
    got = gradient(x, -1, upstream)
    check.close(got, slope(x, -1, upstream), f"the gradient of x = {x.tolist()}", atol=1e-5)


def test_gradients_of_large_numbers(rng):
    """Gradients of large numbers are finite, and those that small numbers at the same distances have."""
    x, upstream = torch.tensor([[0.0, 1.0, 3.0], [0.0, 0.0, -2.0]]), numbers(rng, 2, 3)
    expected = slope(x, 1, upstream)
    for size in (1000.0, -100_000.0):
        check.close(gradient(x + size, 1, upstream), expected, f"the gradient of x around {size:,}", atol=1e-5)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_gradients_in_half_formats(rng, dtype):
    """A half format has gradients in that format."""
    x, upstream = numbers(rng, 3, 5).to(dtype), numbers(rng, 3, 5).to(dtype)
    got = gradient(x, 0, upstream)
    check.equal(str(got.dtype), str(dtype), "the format of the gradient")
    check.close(got, slope(x, 0, upstream), f"the gradient of x in {dtype}", rtol=0.02, atol=4e-3)


# -- how


class Calls(TorchFunctionMode):
    """Notes which functions of torch are called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.append(str(getattr(func, "__name__", func)))
        return func(*args, **(kwargs or {}))


def test_torchs_own_is_not_called(rng):
    """The shares are made with exp, sum and maximum; torch's own softmax is not called."""
    x = numbers(rng, 3, 5)
    with Calls() as calls:
        got = [module.softmax(each, dim) for each, dim in itertools.product((x, x.bfloat16()), (0, 1))]
    check.close(got[0], shares(x, 0), "softmax(x, 0)")
    taken = [name for name in calls.names if "softm" in name]
    why = "What torch has ready made is what this exercise looks inside of."
    check.true(not taken, "no softmax of torch's is called", got=", ".join(taken), why=why)


def test_what_is_refused(rng):
    """Integers are a TypeError, and a dimension that x has not an IndexError."""
    x = numbers(rng, 2, 3)
    holds(shares(x), x)
    check.raises(TypeError, module.softmax, torch.tensor([1, 2]), naming=["int64"])
    for dim in (2, -3):
        check.raises(IndexError, module.softmax, x, dim, naming=[dim])
