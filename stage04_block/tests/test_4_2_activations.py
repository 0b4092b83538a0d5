"""4.2 · Activations: what bends a line, number by number."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from bootcamp.grading import check, written

module = written("stage04_block.activations")

INF, NAN = math.inf, math.nan
HALVES = [torch.bfloat16, torch.float16]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
# Each with torch's own, which says in float64 what is right.
RIGHT = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "gelu, tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
}
NAMES = list(RIGHT)
SMOOTH = NAMES[1:]
FORMS = 'Φ(x) is (1 + erf(x / √2)) / 2; "tanh" asks for the approximation, "none" for none.'


def numbers(rng, *shape, dtype=torch.float32):
    """Random numbers, most of them between -2 and 2."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=torch.float64)
    return drawn.to(dtype)


def call(name, x) -> Any:
    """What the graded code gives for x."""
    function = getattr(module, name.removesuffix(", tanh"))
    return check.unchanged(function, x, **options(name))


def options(name) -> dict[str, str]:
    return {"approximate": "tanh"} if name.endswith("tanh") else {}


def holds(name, x, expected=None, why="", rtol=1e-5, atol=1e-6):
    """Hold what comes to what it should be, in the format of x, and x to what it was."""
    expected = RIGHT[name](x.detach().double()) if expected is None else expected
    got = call(name, x)

    def probe():
        check.true(isinstance(got, torch.Tensor), "what comes is a tensor", got=got)
        check.close(got, expected, "what it returns", rtol=rtol, atol=atol, why=why)
        check.equal(str(got.dtype), str(x.dtype), "the format of what it returns")

    function = getattr(module, name.removesuffix(", tanh"))
    check.with_call(probe, check.call_text(function, (x,), options(name)))


# -- by hand


def test_relu_by_hand():
    """relu keeps positive numbers, and gives 0 for the others."""
    holds("relu", torch.tensor([[-2.0, 0.0, 3.0], [0.5, -0.5, 1.0]]), torch.tensor([[0.0, 0.0, 3.0], [0.5, 0.0, 1.0]]))


def test_gelu_by_hand():
    """gelu multiplies x by the share of a normal distribution that lies below x."""
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    below = [0.02275013, 0.15865525, 0.5, 0.84134475, 0.97724987]  # any table of the normal distribution
    expected = torch.tensor([number * share for number, share in zip(x.tolist(), below)])
    holds("gelu", x, expected, why=FORMS)


def test_the_approximation_by_hand():
    """With "tanh", gelu gives what the approximation gives: at 2 it is 1.954598, where the exact one is 1.954500."""
    inner = math.sqrt(2 / math.pi) * (2 + 0.044715 * 8)
    x, expected = torch.tensor([2.0, -2.0, 0.0]), [1 + math.tanh(inner), -(1 - math.tanh(inner)), 0.0]
    holds("gelu, tanh", x, torch.tensor(expected), why=FORMS)


def test_silu_by_hand():
    """silu multiplies x by its sigmoid, 1 / (1 + e^-x)."""
    three = math.log(3)
    x = torch.tensor([-three, 0.0, three])
    holds(
        "silu", x, torch.tensor([-three / 4, 0.0, three * 3 / 4]), why="The sigmoids of -ln 3, 0, ln 3: 1/4, 1/2, 3/4."
    )


# -- values


@pytest.mark.parametrize("name", NAMES)
def test_many_numbers(name):
    """From -10 to 10, each number comes out as it should."""
    holds(name, torch.linspace(-10, 10, 401))


def test_exact_and_approximate():
    """The exact form is meant if nothing is said; the other differs from it by up to 5e-4, around ±2.3."""
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    exact = functional.gelu(x)
    for kwargs in ({}, {"approximate": "none"}):
        check.close(module.gelu(x, **kwargs), exact, "the exact gelu", rtol=1e-6, atol=1e-6, why=FORMS)
    got = module.gelu(x, "tanh")
    check.close(got, functional.gelu(x, approximate="tanh"), "gelu(x, 'tanh')", rtol=1e-6, atol=1e-6, why=FORMS)
    apart = (got - exact).abs().max().item()
    check.true(4e-4 < apart < 5e-4, "the two forms are up to 4.7e-4 apart", got=apart)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (2, 3, 1, 4), (0,), (3, 0, 2)], ids=str)
def test_any_shape(rng, name, shape):
    """x may have any shape, also that of a single number, or hold none."""
    holds(name, torch.tensor([-1.5, 1.5]))
    holds(name, numbers(rng, *shape))


@pytest.mark.parametrize("name", NAMES)
def test_any_order_in_memory(rng, name):
    """A transposed, a sliced and an expanded x are taken as they come, and none is changed."""
    x = numbers(rng, 4, 3, 5)
    for each in (x.transpose(0, 2), x[:, ::2, 1:], numbers(rng, 3, 1).expand(3, 4)):
        holds(name, each)


# -- numbers of any size


@pytest.mark.parametrize("name", NAMES)
def test_large_numbers(name):
    """Large numbers come out as they are if they are positive, and as 0 if they are negative."""
    x = torch.tensor([100.0, 1000.0, 30_000.0, -100.0, -1000.0, -30_000.0])
    expected = torch.tensor([100.0, 1000.0, 30_000.0, 0.0, 0.0, 0.0])
    for dtype in (torch.float32, torch.float64, torch.float16):
        holds(name, x.to(dtype), expected, rtol=1e-3, why="exp(89) is more than float32 can hold.")


def test_relu_of_infinity():
    """relu of inf is inf, and of -inf 0."""
    holds("relu", torch.tensor([INF, -INF]), torch.tensor([0.0, 0.0]) + torch.tensor([INF, 0.0]))


def test_relu_of_nan():
    """relu of nan is nan: what went wrong before is not hidden."""
    got = module.relu(torch.tensor([NAN, -1.0, 2.0]))
    check.equal(tuple(got.shape), (3,), "the shape of what comes")
    is_nan = got[0].isnan().item()
    check.true(is_nan, "relu(nan) is nan", got=got, why="A comparison with nan is False: x > 0 lets it fall to 0.")
    check.equal(got[1:].tolist(), [0.0, 2.0], "relu of the numbers beside nan")


# -- number formats


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_half_formats_are_rounded_once(rng, name, dtype):
    """Half formats are computed in float32: what comes is the exact number, rounded at the end."""
    x = numbers(rng, 1000, dtype=dtype)
    got = call(name, x)
    check.equal(str(got.dtype), str(dtype), "the format of what it returns")
    right = RIGHT[name](x.double()).to(dtype)
    check.equal(tuple(got.shape), tuple(right.shape), "the shape of what it returns")
    share = (got == right).double().mean().item()
    why = "Each step in a half format rounds once more. Convert x first, the result last."
    claim = f"95 of 100 numbers are the exact ones, rounded to {dtype}"
    check.true(share > 0.95, claim, got=f"{share:.0%} of them", why=why)


@pytest.mark.parametrize("name", NAMES)
def test_float64_is_kept(rng, name):
    """With x in float64, all is computed in float64."""
    why = "float32 is for half formats; a wider one is kept: torch.promote_types(x.dtype, torch.float32)."
    holds(name, numbers(rng, 5, 7, dtype=torch.float64), rtol=1e-12, atol=1e-14, why=why)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_on_any_device(rng, name, device):
    """What comes is on the device of x."""
    x = numbers(rng, 3, 4)
    got = call(name, x.to(device))
    check.close(got, RIGHT[name](x.double()), f"what comes on {device}", rtol=1e-4, atol=1e-5)
    check.equal(got.device.type, device, "the device of what comes")


# -- gradients


def slope(name, x, upstream) -> Any:
    """The gradient of x that comes through the graded code."""
    x = x.detach().clone().requires_grad_()
    got = getattr(module, name.removesuffix(", tanh"))(x, **options(name))
    check.true(isinstance(got, torch.Tensor) and got.requires_grad, "what comes is connected with x, for training")
    (got * upstream).sum().backward()
    check.true(x.grad is not None, "a gradient comes back to x")
    return x.grad


def right_slope(name, x, upstream):
    """The gradient as torch has it, in float64."""
    x = x.detach().double().requires_grad_()
    (RIGHT[name](x) * upstream.double()).sum().backward()
    assert x.grad is not None
    return x.grad


def test_the_gradient_of_relu_at_0():
    """The gradient of relu is 1 where x is positive, and 0 where it is negative or exactly 0."""
    x = torch.tensor([-1.0, 0.0, -0.0, 1.0, 1e-30])
    got = slope("relu", x, torch.tensor([3.0, 3.0, 3.0, 3.0, 3.0]))
    why = "At 0 any number from 0 to 1 would do; 0 is what is used everywhere, so that what is off stays off."
    check.close(got, [0.0, 0.0, 0.0, 3.0, 3.0], "the gradient of x = [-1, 0, -0.0, 1, 1e-30], times 3", why=why)


@pytest.mark.parametrize("name", NAMES)
def test_gradients(rng, name):
    """The gradients are those of the function."""
    for x in (torch.linspace(-6, 6, 97) + 0.01, numbers(rng, 3, 4, 5)):
        upstream = numbers(rng, *x.shape)
        got = slope(name, x, upstream)
        check.close(got, right_slope(name, x, upstream), f"the gradient of x {tuple(x.shape)}", rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_at_0(name):
    """At 0 a smooth activation has the gradient 1/2."""
    got = slope(name, torch.zeros(3), torch.tensor([1.0, -2.0, 4.0]))
    check.close(got, [0.5, -1.0, 2.0], "the gradient of x = [0, 0, 0], times [1, -2, 4]")


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_large_numbers(name):
    """Where x is large, the gradient is 1; where it is very negative it is 0, and not nan."""
    x = torch.tensor([100.0, 1000.0, 30_000.0, -100.0, -1000.0, -30_000.0])
    why = "inf on the way there may come out as 0; on the way back it becomes inf · 0, which is nan. Let no inf arise."
    for dtype in (torch.float32, torch.float64, torch.float16):
        got = slope(name, x.to(dtype), torch.ones((), dtype=dtype))
        expected = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
        check.close(got, expected, f"the gradient of x = {x.tolist()} in {dtype}", rtol=1e-3, why=why)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_gradients_in_half_formats(rng, name, dtype):
    """In half formats the gradient is that of the function, in the format of x."""
    x, upstream = numbers(rng, 5, 7, dtype=dtype), numbers(rng, 5, 7, dtype=dtype)
    got = slope(name, x, upstream)
    check.equal(str(got.dtype), str(dtype), "the format of the gradient")
    check.close(got, right_slope(name, x, upstream), f"the gradient of x in {dtype}", rtol=0.02, atol=0.01)


# -- how


class Calls(TorchFunctionMode):
    """Notes which functions of torch are called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.append(str(getattr(func, "__name__", func)))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", NAMES)
def test_torchs_own_is_not_called(rng, name):
    """The activations are written with comparisons, erf, tanh, exp or sigmoid; torch's own are not called."""
    x = numbers(rng, 3, 5)
    function = getattr(module, name.removesuffix(", tanh"))
    with Calls() as calls:
        got = function(x, **options(name))
        function(x.bfloat16(), **options(name))
    check.close(got, RIGHT[name](x.double()), "what it returns")
    taken = [each for each in calls.names if any(ready in each for ready in ("relu", "gelu", "silu"))]
    why = "What torch has ready made is what this exercise looks inside of."
    check.true(not taken, "no activation of torch's is called", got=", ".join(taken), why=why)


def test_an_unknown_form_is_refused(rng):
    """An `approximate` that is neither "none" nor "tanh" is a ValueError."""
    x = numbers(rng, 3)
    holds("gelu", x)
    for unknown in ("erf", "Tanh", ""):
        check.raises(ValueError, module.gelu, x, unknown, naming=[repr(unknown)])
