"""5.8 · Clipping: all gradients, as one long vector, are shortened to a length if they are longer."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from bootcamp.grading import check, written

clip = written("stage05_training.clip")

HALVES = [torch.bfloat16, torch.float16]
# A GPU takes part where there is one.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
SHAPES = [(3,), (2, 4), (), (5, 1, 2), (7,)]


def draw(rng, *shape, dtype=torch.float64):
    """Random numbers from N(0, 1)."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=torch.float64).to(
        dtype
    )


def parameters(*gradients, dtype=None):
    """Parameters of ones with these gradients; None: without one, [(shape)]: of numbers."""
    made = []
    for gradient in gradients:
        its = None if gradient is None else torch.as_tensor(gradient, dtype=dtype)
        made.append(nn.Parameter(torch.ones(3) if its is None else torch.ones_like(its)))
        made[-1].grad = its
    return made


def clipped(given, max_norm):
    """The gradients that a call leaves."""
    clip.clip_gradients(given, max_norm)
    return [p.grad for p in given]


def norm_of(given, max_norm):
    """What a call gives, held to be a tensor without dimensions."""
    got = clip.clip_gradients(given, max_norm)
    is_one = isinstance(got, torch.Tensor) and got.dim() == 0
    check.true(is_one, "what comes back is a tensor without dimensions", got=got)
    return got


def length(gradients):
    """The length of all of them as one vector."""
    return math.sqrt(math.fsum(number * number for g in gradients for number in g.double().flatten().tolist()))


# -- by hand


def test_by_hand():
    """Tensors of the lengths 3 and 4 are 5 long together: to become 2.5, each number is halved."""
    first, second = clipped(parameters([3.0], [[0.0, -4.0]]), 2.5)
    why = "√(3² + 4²) = 5, and 2.5 / 5 = 1/2, for both: the direction in which all parameters go stays."
    check.close(first, [1.5], "the gradient [3] after clipping to 2.5", why=why)
    check.close(second, [[0.0, -2.0]], "the gradient [[0, -4]] after clipping to 2.5", why=why)


def test_the_norm_by_hand():
    """What comes back is the length of all gradients before: 5 for 3 and 4."""
    check.close(norm_of(parameters([3.0], [[0.0, -4.0]]), 2.5), 5.0, "the norm of [3] and [[0, -4]], clipped to 2.5")


def test_what_is_short_stays():
    """Gradients that are not longer than max_norm stay as they are."""
    for max_norm in (5.5, 80.0):
        first, second = clipped(parameters([3.0], [[0.0, -4.0]]), max_norm)
        check.close(first, [3.0], f"the gradient [3], with max_norm={max_norm}", rtol=0, atol=0)
        check.close(second, [[0.0, -4.0]], f"the gradient [[0, -4]], with max_norm={max_norm}", rtol=0, atol=0)


def test_the_norm_of_what_is_short():
    """The norm comes back too if nothing is clipped."""
    check.close(norm_of(parameters([3.0], [[0.0, -4.0]]), 80.0), 5.0, "the norm of [3] and [[0, -4]], max_norm=80")


def test_a_single_tensor():
    """A single gradient is clipped like several."""
    given = parameters([3.0, 0.0, -4.0])
    check.close(norm_of(given, 1.0), 5.0, "the norm of [3, 0, -4], clipped to 1")
    check.close(given[0].grad, [0.6, 0.0, -0.8], "the gradient then")


def test_exactly_as_long():
    """Gradients that are exactly max_norm long stay."""
    first, second = clipped(parameters([6.0], [8.0]), 10.0)
    check.close([first.item(), second.item()], [6.0, 8.0], "the gradients [6] and [8], with max_norm=10")


# -- any gradients


@pytest.mark.parametrize("max_norm", [0.01, 1.0, 4])
def test_all_by_the_same_factor(rng, max_norm):
    """Tensors of any shape and size are multiplied by the same number, and are max_norm long then."""
    drawn = [draw(rng, *shape) * scale for shape, scale in zip(SHAPES, (4.0, 0.1, 3.0, 1.0, 0.01))]
    drawn[0][0] = 7.0  # longer than all that it is clipped to
    factor = max_norm / length(drawn)
    got = clipped(parameters(*(g.clone() for g in drawn)), max_norm)
    for before, after in zip(drawn, got):
        check.close(after, before * factor, f"a gradient {tuple(before.shape)} after clipping to {max_norm}")
    check.close(length(got), max_norm, "how long all gradients are together then")


@pytest.mark.parametrize("max_norm", [0.01, 1.0, 1000.0])
def test_the_norm_of_any(rng, max_norm):
    """The norm is the root of the sum of all squares, before they are clipped."""
    drawn = [draw(rng, *shape) for shape in SHAPES]
    expected = length(drawn)
    check.close(norm_of(parameters(*drawn), max_norm), expected, f"the norm of five tensors, with max_norm={max_norm}")


def test_as_they_lie(rng):
    """A gradient that is transposed, or a part of a larger tensor, is clipped where it is; the rest is not touched."""
    whole, turned = draw(rng, 6, 4), draw(rng, 3, 2).T
    whole[1, 1] = 5.0
    before = whole.clone(), turned.clone()
    inside, other = nn.Parameter(torch.ones(3, 2).double()), nn.Parameter(torch.ones(2, 3).double())
    inside.grad, other.grad = whole[1:4, 1:3], turned
    expected = before[0].clone()
    factor = 2.0 / length([before[0][1:4, 1:3], before[1]])
    expected[1:4, 1:3] *= factor
    clip.clip_gradients([inside, other], 2.0)
    check.close(whole, expected, "the tensor that a gradient is a part of")
    check.close(turned, before[1] * factor, "a gradient that is transposed")


def test_in_place():
    """The gradients are multiplied in place: who holds one sees it clipped."""
    given = parameters([6.0, 0.0], [0.0, 0.0, 8.0])
    held = [p.grad for p in given]
    clip.clip_gradients(given, 5.0)
    why = "p.grad = p.grad * factor makes a new tensor. g.mul_(factor) changes the one that is there."
    check.close(held[0], [3.0, 0.0], "the tensor that was p.grad before the call", why=why)
    check.close(held[1], [0.0, 0.0, 4.0], "the tensor that was the gradient of the other", why=why)
    check.true(all(p.grad is its for p, its in zip(given, held)), "p.grad is the tensor that it was", why=why)


def test_parameters_stay():
    """The parameters themselves are not changed, only their gradients."""
    given = parameters([6.0, 0.0], [0.0, 0.0, 8.0])
    got = clipped(given, 5.0)
    check.close(got[0], [3.0, 0.0], "the gradient [6, 0], which is 10 long with [0, 0, 8], clipped to 5")
    for p in given:
        check.close(p, torch.ones_like(p), "a parameter after the call", rtol=0, atol=0)


def test_those_without_a_gradient():
    """Parameters without a gradient do not count, and get none."""
    given = parameters(None, [6.0], None, [8.0], None)
    got = clipped(given, 5.0)
    check.equal([g is None for g in got], [True, False, True, False, True], "which parameters have no gradient then")
    check.close([got[1].item(), got[3].item()], [3.0, 4.0], "the gradients [6] and [8] after clipping to 5")


def test_given_one_by_one():
    """The parameters may be a generator, as model.parameters() is."""
    given = parameters([6.0], None, [8.0])
    check.close(norm_of((p for p in given), 5.0), 10.0, "the norm of [6] and [8] that come from a generator")
    check.close([given[0].grad.item(), given[2].grad.item()], [3.0, 4.0], "the gradients then")


@pytest.mark.parametrize("given", [[], [None], [None, None]], ids=str)
def test_no_gradient_at_all(given):
    """Without any gradient, the norm is 0."""
    check.close(norm_of(parameters(*given), 1.0), 0.0, "the norm of no gradients")


def test_gradients_of_zero():
    """Gradients of 0 stay 0, and so is their norm."""
    given = parameters([0.0, 0.0], [0.0])
    check.close(norm_of(given, 1.0), 0.0, "the norm of zeros")
    check.close(given[0].grad, [0.0, 0.0], "gradients of zeros after clipping")


def test_infinity_only_measures(rng):
    """With max_norm=math.inf, the norm comes back and nothing changes, however long it is."""
    given = parameters([3.0e9], [-4.0e9])
    check.close(norm_of(given, math.inf), 5e9, "the norm of [3e9] and [-4e9], with max_norm=inf")
    got = [p.grad.item() for p in given]
    check.close(got, [3.0e9, -4.0e9], "the gradients then", rtol=0, atol=0)


# -- no finite number


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan], ids=str)
def test_no_finite_number(odd):
    """If the norm is infinite or nan, nothing is changed."""
    first, second = clipped(parameters([6.0, 0.5], [odd, 8.0]), 5.0)
    why = "max_norm / inf is 0, and inf · 0 is nan. Whoever calls sees the norm, and takes no step."
    check.close(first, [6.0, 0.5], f"the gradient [6, 0.5] beside [{odd}, 8]", rtol=0, atol=0, why=why)
    check.close(second[1], 8.0, f"the number beside {odd}", rtol=0, atol=0, why=why)
    check.equal(str(second[0].item()), str(odd), f"the number that was {odd}", why=why)


@pytest.mark.parametrize("odd", [math.inf, math.nan], ids=str)
def test_the_norm_is_no_finite_number(odd):
    """Such a norm comes back as it is."""
    got = norm_of(parameters([6.0, 0.5], [odd, 8.0]), 5.0)
    check.equal(str(got.item()), str(odd), f"the norm of [6, 0.5] and [{odd}, 8]")


def test_only_measuring_what_is_infinite():
    """That is so with max_norm=math.inf too."""
    given = parameters([6.0], [math.inf, 8.0])
    check.equal(str(norm_of(given, math.inf).item()), "inf", "the norm of [6] and [inf, 8], with max_norm=inf")
    check.close(given[0].grad, [6.0], "the gradient [6] then", rtol=0, atol=0)
    check.close(given[1].grad[1], 8.0, "the number beside inf then", rtol=0, atol=0)


# -- formats and devices


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_the_norm_of_half_formats(dtype):
    """The norm of gradients in half formats is computed in float32, and has its digits and its range."""
    got = norm_of(parameters([300.0, 0.0], [1.0, 400.0, 3.0], dtype=dtype), math.inf)
    check.true(got.dtype in (torch.float32, torch.float64), "the norm is in float32 at least", got=got.dtype)
    why = "300² is more than float16 can hold, and 500.01 has more digits than bfloat16."
    check.close(got, math.sqrt(250010), f"the norm of gradients in {dtype}", rtol=1e-6, why=why)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_formats(dtype):
    """Gradients in half formats are clipped, and keep their format."""
    got = clipped(parameters([600.0, 0.0], [0.0, -800.0, 10.0], dtype=dtype), 500.0)
    for its, expected in zip(got, ([300.0, 0.0], [0.0, -400.0, 5.0])):
        check.equal(str(its.dtype), str(dtype), "the format of a gradient")
        check.close(its, expected, f"a gradient in {dtype} after clipping to 500", rtol=0.01)


def test_formats_side_by_side(rng):
    """Gradients of different formats are one vector all the same, and each keeps its format."""
    formats = [torch.bfloat16, torch.float32, torch.float64, torch.float16]
    drawn = [draw(rng, *shape, dtype=dtype) for shape, dtype in zip(SHAPES, formats)]
    drawn[1][0, 0] = 6.0
    expected = length(drawn)
    given = [nn.Parameter(torch.ones_like(g)) for g in drawn]
    for p, g in zip(given, drawn):
        p.grad = g.clone()
    check.close(norm_of(given, 1.5), expected, "the norm of bfloat16, float32, float64 and float16 together")
    for p, g in zip(given, drawn):
        got: Any = p.grad
        check.equal(str(got.dtype), str(g.dtype), "the format of a gradient after clipping")
        check.close(got, g.double() * 1.5 / expected, f"a gradient in {g.dtype} after clipping", rtol=0.01)


@pytest.mark.parametrize("device", DEVICES)
def test_any_device(rng, device):
    """Gradients are clipped on the device where they are."""
    given = parameters(*(torch.tensor(g, device=device) for g in ([3.0], [[0.0, -4.0]])))
    check.close(norm_of(given, 2.5), 5.0, f"the norm of [3] and [[0, -4]] on {device}")
    check.close(given[1].grad, [[0.0, -2.0]], f"the gradient [[0, -4]] on {device} after clipping to 2.5")
    check.equal(given[1].grad.device.type, device, "the device of a gradient")


@pytest.mark.parametrize("max_norm", [0.0, -2.5, math.nan], ids=str)
def test_a_length_that_is_none(max_norm):
    """A max_norm that is not positive is a ValueError that names it; the gradients stay."""
    given = parameters([6.0], [8.0])
    check.raises(ValueError, clip.clip_gradients, given, max_norm, naming=[max_norm])
    check.close(norm_of(given, 5.0), 10.0, "the norm of [6] and [8] after that")
