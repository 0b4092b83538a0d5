"""4.1 · Norms: each token's vector is brought to the same size, and stretched by what was learned."""

import math
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from bootcamp.grading import check, written

module = written("stage04_block.norms")

KINDS = ["LayerNorm", "RMSNorm"]
HALVES = [torch.bfloat16, torch.float16]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
B, T, C = 2, 3, 5  # texts, tokens, width
WIDE = "In a half format large squares are inf, small ones are 0, and sums lose digits. Convert x to float32 first."


def numbers(rng, *shape, dtype=torch.float32):
    """Random numbers, most of them between -2 and 2."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=torch.float64)
    return drawn.to(dtype)


def plain(kind, *args, **kwargs) -> Any:
    """A norm as it is made."""
    return getattr(module, kind)(*args, **kwargs)


def made(rng, kind, width=C, dtype=torch.float32, **options) -> Any:
    """A norm with a random gain, and a random shift if it has one."""
    norm = plain(kind, width, **options).to(dtype)
    with torch.no_grad():
        norm.weight.copy_(numbers(rng, width))
        if kind == "LayerNorm" and norm.bias is not None:
            norm.bias.copy_(numbers(rng, width))
    return norm


def exact(kind, x, weight=None, bias=None, eps=1e-5):
    """The formula, in float64."""
    y = x.double()
    if kind == "LayerNorm":
        y = y - y.sum(-1, keepdim=True) / x.shape[-1]
    y = y / (y.pow(2).sum(-1, keepdim=True) / x.shape[-1] + eps).sqrt()
    y = y if weight is None else y * weight.double()
    return y if bias is None else y + bias.double()


def expected_of(kind, norm, x, **options):
    """What a norm should give for x, with the gain and the shift that it has."""
    bias = norm.bias if kind == "LayerNorm" else None
    return exact(kind, x, norm.weight, bias, **options).detach()


def holds(norm, x, expected, why="", rtol=1e-5, atol=1e-5):
    """Hold what comes to what it should be, in the format of x, and x to what it was."""
    got = check.unchanged(norm, x)

    def probe():
        check.true(isinstance(got, torch.Tensor), "what comes is a tensor", got=got)
        check.close(got, expected, "what it returns", rtol=rtol, atol=atol, why=why)
        check.equal(str(got.dtype), str(x.dtype), "the format of what it returns")

    check.with_call(probe, check.call_text(norm, (x,), {}))


# -- by hand


def test_layer_norm_by_hand():
    """The mean is taken away, and what is left is divided by its root mean square."""
    x = torch.tensor([1.0, 0.0, 0.0, 0.0])
    root = math.sqrt(3)
    why = "Less the mean of 1/4: 3/4, -1/4, -1/4, -1/4. The squares add up to 12/16; divided by 4 they are 3/16."
    holds(plain("LayerNorm", 4, eps=1e-12), x, torch.tensor([root, -1 / root, -1 / root, -1 / root]), why=why)


def test_rms_norm_by_hand():
    """The numbers are divided by the root of their mean square; their mean stays in."""
    x = torch.tensor([1.0, 7.0, 7.0, 1.0])
    why = "The squares are 1, 49, 49, 1, on average 25, whose root is 5."
    holds(plain("RMSNorm", 4, eps=1e-12), x, torch.tensor([0.2, 1.4, 1.4, 0.2]), why=why)


def test_each_token_by_itself():
    """Each token, of each text, has a mean and a size of its own."""
    x = torch.tensor([[[1.0, 3.0], [50.0, 10.0]], [[-7.0, -7.5], [0.0, 600.0]]])
    expected = torch.tensor([[[-1.0, 1.0], [1.0, -1.0]], [[1.0, -1.0], [-1.0, 1.0]]])
    holds(plain("LayerNorm", 2, eps=1e-12), x, expected)
    x = torch.tensor([[[1.0, 7.0], [70.0, -10.0]], [[-0.1, 0.7], [0.0, 0.0]]])
    expected = torch.tensor([[[0.2, 1.4], [1.4, -0.2]], [[-0.2, 1.4], [0.0, 0.0]]])
    holds(plain("RMSNorm", 2, eps=1e-12), x, expected)


def test_the_gain_and_the_shift_by_hand():
    """Each number is multiplied by its own gain, and then its own shift is added."""
    x, gain = torch.tensor([1.0, 3.0, 1.0, 3.0]), torch.tensor([1.0, 2.0, 0.0, -10.0])
    norm = plain("LayerNorm", 4, eps=1e-12)
    with torch.no_grad():
        norm.weight.copy_(gain)
        norm.bias.copy_(torch.tensor([0.5, 0.0, 7.0, 1.0]))
    holds(norm, x, torch.tensor([-0.5, 2.0, 7.0, -9.0]), why="Without gain and shift: -1, 1, -1, 1.")
    norm = plain("RMSNorm", 4, eps=1e-12)
    with torch.no_grad():
        norm.weight.copy_(gain)
    x = torch.tensor([2.0, 2.0, -2.0, 2.0])
    holds(norm, x, torch.tensor([1.0, 2.0, 0.0, -10.0]), why="Without the gain: 1, 1, -1, 1.")


@pytest.mark.parametrize("kind", KINDS)
def test_eps_is_within_the_root(kind):
    """eps is added to the variance or the mean square, before the root is taken."""
    x = torch.tensor([[1.0, -1.0, 1.0, -1.0], [11.0, -11.0, -11.0, 11.0]])
    expected = torch.tensor([[0.5, -0.5, 0.5, -0.5], [1.0, -1.0, -1.0, 1.0]]) * torch.tensor([[1.0], [11 / 124**0.5]])
    why = "With eps=3, squares of 1 give a divisor of √(1 + 3) = 2; √1 + 3 would be 4."
    holds(plain(kind, 4, eps=3.0), x, expected, why=why)


@pytest.mark.parametrize("kind", KINDS)
def test_eps_unless_another_is_given(kind):
    """If none is given, eps is 1e-5."""
    x = torch.tensor([1.0, -1.0, 1.0, -1.0]) * math.sqrt(1e-5)
    expected = torch.tensor([1.0, -1.0, 1.0, -1.0]) / math.sqrt(2)
    holds(plain(kind, 4), x, expected, why="Squares of 1e-5 and an eps of 1e-5: the divisor is √2e-5.")


# -- what is learned


def test_what_layer_norm_learns():
    """LayerNorm learns a gain of ones and a shift of zeros, both (C,), or the gain alone; and nothing else."""
    for options, numbers_learned in (({}, 2 * C), ({"bias": True}, 2 * C), ({"bias": False}, C)):
        norm = plain("LayerNorm", C, **options)
        check.true(isinstance(norm.weight, torch.nn.Parameter), "weight is a Parameter", got=norm.weight)
        check.equal(norm.weight.detach(), torch.ones(C), "the gain at the start")
        if options.get("bias", True):
            check.true(isinstance(norm.bias, torch.nn.Parameter), "bias is a Parameter", got=norm.bias)
            check.equal(norm.bias.detach(), torch.zeros(C), "the shift at the start")
        else:
            check.equal(norm.bias, None, "the attribute bias, with bias=False")
        total = sum(each.numel() for each in norm.parameters())
        check.equal(total, numbers_learned, f"how many numbers are learned, with {options or 'no options'}")


def test_what_rms_norm_learns():
    """RMSNorm learns a gain of ones, (C,), and nothing else."""
    norm = plain("RMSNorm", C)
    check.true(isinstance(norm.weight, torch.nn.Parameter), "weight is a Parameter", got=norm.weight)
    check.equal(norm.weight.detach(), torch.ones(C), "the gain at the start")
    check.equal(sum(each.numel() for each in norm.parameters()), C, "how many numbers are learned")


# -- the formula


@pytest.mark.parametrize("shape", [(C,), (T, C), (B, T, C), (2, 1, 3, 4, C)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_the_formula(rng, kind, shape):
    """With a random gain and shift, what comes is what the formula says; any dimensions may stand before C."""
    norm, x = made(rng, kind), numbers(rng, *shape) * 3 + 1
    holds(norm, x, expected_of(kind, norm, x))


@pytest.mark.parametrize("kind", KINDS)
def test_any_eps(rng, kind):
    """eps is what was given, whichever it is, by place or by name."""
    for eps in (0.5, 1e-2, 1e-8):
        x = numbers(rng, T, C) * math.sqrt(eps)
        for norm in (plain(kind, C, eps), plain(kind, dim=C, eps=eps)):
            holds(norm, x, exact(kind, x, eps=eps), rtol=1e-4)


def test_without_a_shift(rng):
    """With bias=False, LayerNorm multiplies by the gain and adds nothing."""
    x = numbers(rng, B, T, C) + 2
    for norm in (made(rng, "LayerNorm", bias=False), plain("LayerNorm", C, 1e-5, False)):
        holds(norm, x, expected_of("LayerNorm", norm, x))


def test_what_an_offset_does(rng):
    """An offset on all numbers of a token is nothing to LayerNorm; RMSNorm keeps it in."""
    norm, x = made(rng, "LayerNorm"), numbers(rng, T, C)
    holds(norm, x + 4, expected_of("LayerNorm", norm, x), atol=1e-4)
    norm = made(rng, "RMSNorm")
    holds(norm, x + 4, expected_of("RMSNorm", norm, x + 4), why="The root of the mean square is no standard deviation.")


def test_a_large_mean():
    """Small differences around a large mean are normalised like any others."""
    x = torch.tensor([4096.25, 4095.75, 4096.25, 4095.75])
    why = "The squares are near 2²⁴, where float32 has steps of 2: the mean is taken away first, then squared."
    holds(plain("LayerNorm", 4, eps=1e-12), x, torch.tensor([1.0, -1.0, 1.0, -1.0]), rtol=1e-3, why=why)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_numbers(rng, kind):
    """Numbers that are all equal, or all 0, give no nan: LayerNorm gives its shift."""
    norm = made(rng, kind)
    x = torch.tensor([0.0, 2.0, -64.0])[:, None].expand(3, C).contiguous()
    holds(norm, x, expected_of(kind, norm, x))


@pytest.mark.parametrize("kind", KINDS)
def test_a_width_of_one(rng, kind):
    """A token of one number is its own mean, and its own size."""
    norm, x = made(rng, kind, width=1), numbers(rng, B, T, 1) + 3
    holds(norm, x, expected_of(kind, norm, x))


@pytest.mark.parametrize("kind", KINDS)
def test_any_order_in_memory(rng, kind):
    """A transposed, a sliced and an expanded x are taken as they come."""
    norm, x = made(rng, kind), numbers(rng, 4, C, T)
    for each in (x.transpose(1, 2), x.mT[::2, :, :], numbers(rng, 7, 2 * C)[:, ::2], numbers(rng, C).expand(B, C)):
        holds(norm, each, expected_of(kind, norm, each))


@pytest.mark.parametrize("kind", KINDS)
def test_no_tokens(rng, kind):
    """Where there is no token, none comes, in the same shape."""
    norm, x = made(rng, kind), numbers(rng, T, C)
    holds(norm, x, expected_of(kind, norm, x))
    for shape in ((0, C), (B, 0, C)):
        got = norm(torch.zeros(shape))
        check.equal(tuple(got.shape), shape, f"the shape of what comes for x {shape}")


# -- number formats


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_a_half_format_cannot_square(kind):
    """300 in float16 is normalised, though its square is more than float16 can hold."""
    x = torch.tensor([300.0, -300.0, -300.0, 300.0], dtype=torch.float16)
    holds(plain(kind, 4).half(), x, torch.tensor([1.0, -1.0, -1.0, 1.0]), rtol=2e-3, why=WIDE)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_statistics_of_half_formats(rng, kind, dtype):
    """For half formats, mean, squares, root and quotient are in float32: only the result is rounded."""
    x = (numbers(rng, 12, 50) + 1).to(dtype)
    got = plain(kind, 50).to(dtype)(x)
    check.equal(str(got.dtype), str(dtype), "the format of what it returns")
    right = exact(kind, x).to(dtype)
    check.equal(tuple(got.shape), tuple(right.shape), "the shape of what it returns")
    share = (got == right).double().mean().item()
    claim = f"95 of 100 numbers are the exact ones, rounded to {dtype} (the gain is 1)"
    check.true(share > 0.95, claim, got=f"{share:.0%} of them", why=WIDE)


@pytest.mark.varied
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_gain_and_shift_in_half_formats(rng, kind, dtype):
    """In half formats too, the gain and the shift are used."""
    x = numbers(rng, B, T, C, dtype=dtype)
    for norm in (made(rng, kind, dtype=dtype), made(rng, kind)):
        holds(norm, x, expected_of(kind, norm, x), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_half_format_beside_a_wide_gain(rng, kind, dtype):
    """What comes has the format of x, also where gain and shift are in float32."""
    norm, x = made(rng, kind), numbers(rng, T, C, dtype=dtype)
    got = norm(x)
    check.equal(str(got.dtype), str(dtype), f"the format of what comes for x in {dtype}")
    check.equal(tuple(got.shape), (T, C), "the shape of what comes")


@pytest.mark.parametrize("kind", KINDS)
def test_float64_is_kept(rng, kind):
    """With x in float64, all is computed in float64."""
    norm, x = made(rng, kind, dtype=torch.float64), numbers(rng, B, T, C, dtype=torch.float64)
    why = "float32 is for half formats; a wider one is kept: torch.promote_types(x.dtype, torch.float32)."
    holds(norm, x, expected_of(kind, norm, x), rtol=1e-12, atol=1e-13, why=why)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_on_any_device(rng, kind, device):
    """What comes is on the device of x."""
    norm, x = made(rng, kind), numbers(rng, T, C)
    expected = expected_of(kind, norm, x)
    got = norm.to(device)(x.to(device))
    check.close(got, expected, f"what comes on {device}", rtol=1e-4, atol=1e-5)
    check.equal(got.device.type, device, "the device of what comes")


# -- gradients


def gradients(kind, norm, x, upstream, by_formula=False, eps=1e-5) -> dict[str, Any]:
    """The gradients of x, of the gain and of the shift, through the graded code or the formula."""
    leaves = {"x": x.detach().clone().requires_grad_()}
    if by_formula:
        for name in ("weight", "bias"):
            given = getattr(norm, name, None)
            leaves |= {} if given is None else {name: given.detach().double().requires_grad_()}
        got = exact(kind, leaves["x"], leaves["weight"], leaves.get("bias"), eps)
    else:
        norm.zero_grad(set_to_none=True)
        names = ["weight", "bias"] if getattr(norm, "bias", None) is not None else ["weight"]
        leaves |= {name: getattr(norm, name) for name in names}
        got = norm(leaves["x"])
        check.true(got.requires_grad, "what comes is connected with x, for training")
    (got * upstream).sum().backward()
    return {name: leaf.grad for name, leaf in leaves.items()}


def right_gradients(kind, norm, x, upstream, rtol=1e-4, atol=1e-5, why="", eps=1e-5):
    """Hold the gradients to those of the formula in float64."""
    right = gradients(kind, norm, x, upstream, by_formula=True, eps=eps)
    for name, got in gradients(kind, norm, x, upstream).items():
        check.true(got is not None, f"a gradient comes back to {name}")
        scale = right[name].abs().max().item()  # sums of large numbers are as exact as these are large
        check.close(got, right[name], f"the gradient of {name}", rtol=rtol, atol=atol * max(1.0, scale), why=why)


@pytest.mark.parametrize("shape", [(C,), (B, T, C)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients(rng, kind, shape):
    """The gradients of x, of the gain and of the shift are those of the formula."""
    why = "Mean and size depend on x too: neither may be detached or computed under no_grad."
    right_gradients(kind, made(rng, kind), numbers(rng, *shape) + 1, numbers(rng, *shape), why=why)


def test_gradients_without_a_shift(rng):
    """Without a shift, the gradients of x and of the gain are those of the formula."""
    norm = made(rng, "LayerNorm", bias=False)
    right_gradients("LayerNorm", norm, numbers(rng, T, C) + 1, numbers(rng, T, C))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_equal_numbers(rng, kind):
    """Where all numbers of a token are equal, or 0, the gradients are finite and those of the formula."""
    x = torch.tensor([0.0, 2.0, -1.0])[:, None].expand(3, C).contiguous()
    why = "The root has no slope at 0: eps has to be in it before it is taken."
    right_gradients(kind, made(rng, kind, eps=0.01), x, numbers(rng, 3, C), why=why, eps=0.01)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_in_half_formats(rng, kind, dtype):
    """In half formats the gradients come in the format of what they belong to."""
    norm, x = made(rng, kind, dtype=dtype), numbers(rng, T, C, dtype=dtype)
    for name, got in gradients(kind, norm, x, numbers(rng, T, C, dtype=dtype)).items():
        check.true(got is not None, f"a gradient comes back to {name}")
        check.equal(str(got.dtype), str(dtype), f"the format of the gradient of {name}")


# -- how


class Calls(TorchFunctionMode):
    """Notes which functions of torch are called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.append(str(getattr(func, "__name__", func)))
        return func(*args, **(kwargs or {}))


READY = ("layer_norm", "rms_norm", "group_norm", "batch_norm", "instance_norm")


@pytest.mark.parametrize("kind", KINDS)
def test_torchs_own_is_not_called(rng, kind):
    """Means and roots are taken in the graded code; torch's own norms are not called."""
    norm, x = made(rng, kind), numbers(rng, T, C)
    with Calls() as calls:
        got = norm(x)
        norm(x.bfloat16())
    check.close(got, expected_of(kind, norm, x), "what comes", rtol=1e-4, atol=1e-5)
    taken = [name for name in calls.names if any(ready in name for ready in READY)]
    why = "What torch has ready made is what this exercise looks inside of."
    check.true(not taken, "no norm of torch's is called", got=", ".join(taken), why=why)


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_fit_is_refused(rng, kind):
    """An x of another width, a width of 0 and an eps of 0 are a ValueError."""
    norm, x = made(rng, kind), numbers(rng, T, C)
    holds(norm, x, expected_of(kind, norm, x))
    check.raises(ValueError, norm, numbers(rng, C, T), naming=[(C, T)])
    check.raises(ValueError, norm, torch.tensor(1.0), naming=["()"])
    for dim, eps in ((0, 1e-5), (4, 0.0), (4, -1e-5)):
        check.raises(ValueError, getattr(module, kind), dim, eps, naming=[dim, eps])
