"""4.4 · Feed-forward: each token's vector by itself is made wide, bent, and made narrow again."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from bootcamp.grading import check, written

module = written("stage04_block.feed_forward")

HALVES = [torch.bfloat16, torch.float16]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
B, T, C, F = 2, 3, 5, 7  # texts, tokens, width of the model, width inside
BENT = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
}
NAMES = [*BENT, "swiglu"]
GATED = "The gate goes through silu, and what `up` gives is multiplied by it: down(silu(gate(x)) · up(x))."


def numbers(rng, *shape, dtype=torch.float32):
    """Random numbers, most of them between -2 and 2."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=torch.float64)
    return drawn.to(dtype)


def layers(ff):
    """The linear layers there should be, by name."""
    names = ("up", "down") if ff.gate is None else ("up", "gate", "down")
    return {name: getattr(ff, name) for name in names}


def fill(ff, **weights):
    """Give the layers these weights, and biases of 0 where none is named."""
    with torch.no_grad():
        for name, layer in layers(ff).items():
            layer.weight.copy_(torch.tensor(weights[name]))
            if layer.bias is not None:
                layer.bias.copy_(torch.tensor(weights.get(f"{name}_bias", 0.0)))
    return ff


def made(rng, activation, d_model=C, d_ff: int | None = F, dtype=torch.float32, **options) -> Any:
    """A layer with random weights and biases of ours, large enough to be seen."""
    ff = module.FeedForward(d_model, d_ff, activation, **options).to(dtype)
    with torch.no_grad():
        for layer in layers(ff).values():
            layer.weight.copy_(numbers(rng, *layer.weight.shape) / math.sqrt(layer.weight.shape[1]))
            if layer.bias is not None:
                layer.bias.copy_(numbers(rng, *layer.bias.shape))
    return ff


def parameters(ff, dtype=torch.float64):
    """Copies of all weights and biases, by name."""
    found = {}
    for name, layer in layers(ff).items():
        found[name] = layer.weight.detach().to(dtype).clone().requires_grad_()
        if layer.bias is not None:
            found[f"{name}_bias"] = layer.bias.detach().to(dtype).clone().requires_grad_()
    return found


def formula(activation, x, p):
    """What should come of x, in float64."""

    def through(name, x):
        y = x @ p[name].T
        return y + p[f"{name}_bias"] if f"{name}_bias" in p else y

    if activation == "swiglu":
        return through("down", functional.silu(through("gate", x)) * through("up", x))
    return through("down", BENT[activation](through("up", x)))


def holds(ff, activation, x, expected=None, why="", rtol=1e-4, atol=1e-5):
    """Hold what comes to the formula, in the format of x, and x to what it was."""
    if expected is None:
        expected = formula(activation, x.double(), parameters(ff)).detach()
    got = check.unchanged(ff, x)

    def probe():
        check.true(isinstance(got, torch.Tensor), "what comes is a tensor", got=got)
        check.close(got, expected, f'what it returns, with "{activation}"', rtol=rtol, atol=atol, why=why)
        check.equal(str(got.dtype), str(x.dtype), "the format of what it returns")

    check.with_call(probe, check.call_text(ff, (x,), {}))


# -- by hand


def test_two_layers_by_hand():
    """x is made wide, bent, and made narrow again."""
    ff = module.FeedForward(2, 3, "relu")
    fill(
        ff,
        up=[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
        up_bias=[0.0, 0.5, -1.0],
        down=[[1.0, 10.0, 100.0], [0.0, 0.0, -1.0]],
        down_bias=[0.25, 0.5],
    )
    x = torch.tensor([[1.0, 2.0], [-1.0, 1.0], [0.0, -3.0]])
    why = "Wide: (1, 2.5, 2), (-1, 1.5, -1), (0, -2.5, -4). relu makes the negative ones 0; then `down`."
    holds(ff, "relu", x, torch.tensor([[226.25, -1.5], [15.25, 0.5], [0.25, 0.5]]), why=why)


def test_swiglu_by_hand():
    """One wide layer goes through silu and is the gate for the other."""
    ff = fill(module.FeedForward(1, 2, "swiglu"), up=[[2.0], [5.0]], gate=[[math.log(3)], [0.0]], down=[[1.0, 1.0]])
    x = torch.tensor([[1.0], [-1.0]])
    three = math.log(3)
    expected = torch.tensor([[three * 3 / 4 * 2], [-three / 4 * -2]])
    holds(ff, "swiglu", x, expected, why=f"silu(ln 3) is 3/4 ln 3, and silu(0) is 0. {GATED}")


def test_hidden_width_by_hand():
    """The inside is 4 C wide; with "swiglu" 8/3 C, rounded up to a multiple of 8."""
    why = "8/3 · 12 is 32, a multiple of 8; 8/3 · 100 is 266.7, and the next one is 272."
    for width, activation, expected in (
        (12, "gelu", 48),
        (100, "relu", 400),
        (12, "swiglu", 32),
        (100, "swiglu", 272),
        (768, "swiglu", 2048),
        (1, "swiglu", 8),
    ):
        check.returns(expected, module.hidden_width, width, activation, why=why)


# -- how wide


@pytest.mark.parametrize("activation", BENT)
def test_four_times_as_wide(activation):
    """Without a gate the inside is 4 C wide, for any C."""
    for width in (1, 2, 3, 7, 10, 768, 4097):
        check.returns(4 * width, module.hidden_width, width, activation)


def test_the_width_with_a_gate():
    """With a gate, the inside is the smallest multiple of 8 that is not below 8/3 C, for any C."""
    for width in [*range(1, 200), 4096, 5120, 8190, 8191, 12288, 16384]:
        got = module.hidden_width(width, "swiglu")
        check.equal(type(got).__name__, "int", f"the type of hidden_width({width}, 'swiglu')")
        right = next(8 * n for n in range(width // 3, width) if 24 * n >= 8 * width) if width > 1 else 8
        check.equal(got, right, f"hidden_width({width}, 'swiglu')")


@pytest.mark.parametrize("activation", NAMES)
def test_the_width_inside(activation):
    """The inside is d_ff wide, or as hidden_width says if none is given."""
    for d_ff, right in ((F, F), (1, 1), (None, 16 if activation == "swiglu" else 20)):
        ff = module.FeedForward(C, d_ff, activation)
        for name, layer in layers(ff).items():
            shape = (C, right) if name == "down" else (right, C)
            check.equal(tuple(layer.weight.shape), shape, f"the shape of {name}.weight, with C={C} and d_ff={d_ff}")


# -- the layers


@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no biases"])
@pytest.mark.parametrize("activation", NAMES)
def test_the_layers(activation, bias):
    """up, gate and down are torch.nn.Linear, gate with "swiglu" only, with biases or without; no more is learned."""
    ff = module.FeedForward(C, F, activation, bias)
    if activation != "swiglu":
        check.equal(ff.gate, None, f'the attribute gate, with "{activation}"')
    names = ("up", "gate", "down") if activation == "swiglu" else ("up", "down")
    total = 0
    for name in names:
        layer = getattr(ff, name)
        check.true(isinstance(layer, nn.Linear), f"{name} is a torch.nn.Linear", got=type(layer).__name__)
        sizes = (layer.in_features, layer.out_features)
        check.equal(sizes, (F, C) if name == "down" else (C, F), f"in_features and out_features of {name}")
        check.equal(layer.bias is not None, bias, f"whether {name} has a bias, with bias={bias}")
        total += C * F + ((C if name == "down" else F) if bias else 0)
    check.equal(sum(each.numel() for each in ff.parameters()), total, "how many numbers are learned")


def test_what_it_is_unless_said():
    """Unless something else is said: gelu, biases, no dropout, and 4 C wide."""
    ff = module.FeedForward(C)
    check.equal(tuple(ff.up.weight.shape), (4 * C, C), "the shape of up.weight")
    check.true(ff.up.bias is not None and ff.down.bias is not None, "there are biases")
    check.equal(ff.gate, None, "the attribute gate")
    with torch.no_grad():
        for layer, shift in ((ff.up, 0.5), (ff.down, -0.5)):
            layer.weight.fill_(0.2)
            layer.bias.fill_(shift)
    x = torch.tensor([-2.0, 1.0, 0.5, -1.0, 0.0])
    check.true(ff.training, "a module is in training at the start")
    holds(ff, "gelu", x)


# -- the formula


@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no biases"])
@pytest.mark.parametrize("activation", NAMES)
def test_the_formula(rng, activation, bias):
    """With random weights, what comes is what the formula says."""
    holds(made(rng, activation, bias=bias), activation, 2 * numbers(rng, B, T, C))


@pytest.mark.parametrize("activation", NAMES)
def test_the_formula_where_the_inside_is_narrow(rng, activation):
    """The inside may be narrower than the model, and as wide as hidden_width says."""
    holds(made(rng, activation, 8, 2), activation, numbers(rng, B, T, 8))
    holds(made(rng, activation, 3, None), activation, numbers(rng, B, T, 3))


@pytest.mark.parametrize("form", ["gelu", "gelu_tanh"])
def test_which_gelu(form):
    """ "gelu" is the exact one, and "gelu_tanh" the approximation."""
    ff = fill(module.FeedForward(1, 1, form), up=[[1.0]], down=[[1000.0]])
    holds(
        ff, form, torch.tensor([[2.0], [-2.5]]), rtol=1e-5, why="At 2 the exact gelu is 1.954500, the other 1.954598."
    )


@pytest.mark.parametrize("activation", NAMES)
def test_each_token_by_itself(rng, activation):
    """What a token becomes does not depend on the others, however many there are."""
    ff, x = made(rng, activation), numbers(rng, 2, 3, 4, C)
    holds(ff, activation, x)
    holds(ff, activation, x[1, 2, 3])
    holds(ff, activation, x[0, :, 1])
    for shape in ((0, C), (B, 0, C)):
        got = ff(torch.zeros(shape))
        check.equal(tuple(got.shape), shape, f"the shape of what comes for x {shape}")


@pytest.mark.parametrize("activation", NAMES)
def test_any_order_in_memory(rng, activation):
    """A transposed, a sliced and an expanded x are taken as they come."""
    ff, x = made(rng, activation), numbers(rng, 4, C, T)
    for each in (x.transpose(1, 2), x.mT[::2, :, :], numbers(rng, 7, 2 * C)[:, ::2], numbers(rng, C).expand(B, C)):
        holds(ff, activation, each)


@pytest.mark.parametrize("activation", NAMES)
def test_float64_is_kept(rng, activation):
    """With weights and x in float64, all is computed in float64."""
    ff = made(rng, activation, dtype=torch.float64)
    holds(ff, activation, numbers(rng, B, T, C, dtype=torch.float64), rtol=1e-11, atol=1e-12)


@pytest.mark.varied
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("activation", NAMES)
def test_half_formats(rng, activation, dtype):
    """With weights and x in a half format, what comes is in that format."""
    ff = made(rng, activation, dtype=dtype)
    holds(ff, activation, numbers(rng, B, T, C, dtype=dtype), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("device", DEVICES)
def test_on_any_device(rng, device):
    """What comes is on the device of x."""
    ff, x = made(rng, "swiglu"), numbers(rng, T, C)
    expected = formula("swiglu", x.double(), parameters(ff))
    got = ff.to(device)(x.to(device))
    check.close(got, expected, f"what comes on {device}", rtol=1e-4, atol=1e-4)
    check.equal(got.device.type, device, "the device of what comes")


# -- gradients


@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no biases"])
@pytest.mark.parametrize("activation", NAMES)
def test_gradients(rng, activation, bias):
    """The gradients of x, and of all weights and biases, are those of the formula."""
    ff, x, upstream = made(rng, activation, bias=bias), numbers(rng, B, T, C), numbers(rng, B, T, C)
    mine = x.clone().requires_grad_()
    got = ff(mine)
    check.true(got.requires_grad, "what comes is connected with x, for training")
    (got * upstream).sum().backward()
    p, x = parameters(ff), x.double().requires_grad_()
    (formula(activation, x, p) * upstream).sum().backward()
    found: dict[str, Any] = {"x": mine.grad}
    for name, layer in layers(ff).items():
        found[name] = layer.weight.grad
        if bias:
            found[f"{name}_bias"] = layer.bias.grad
    for name, right in {"x": x, **p}.items():
        check.true(found[name] is not None, f"a gradient comes back to {name}")
        check.close(found[name], right.grad, f"the gradient of {name}", rtol=1e-4, atol=1e-4)


# -- dropout


@pytest.mark.parametrize("activation", NAMES)
def test_dropout_comes_last(rng, activation):
    """In training, it is numbers of the result that are dropped; the others are divided by 1 - dropout."""
    ff, x = made(rng, activation, dropout=0.75).eval(), numbers(rng, 40, C)
    holds(ff, activation, x)
    whole = ff(x)
    torch.manual_seed(rng.randrange(1 << 32))
    got = ff.train()(x)
    check.equal(tuple(got.shape), (40, C), "the shape of what comes in training")
    why = "Dropped inside, a number is missing in each sum of `down`; it has to go behind `down`, biases and all."
    right = torch.isclose(got, whole * 4, rtol=1e-4, atol=1e-4) | (got == 0)
    check.true(bool(right.all()), "with dropout=0.75 each number is 0, or 4 times that of eval", why=why)
    share = (got == 0).double().mean().item()
    check.true(0.5 < share < 0.95, "with dropout=0.75 about 75% of the result is 0", got=f"{share:.0%}", why=why)


def test_dropout_in_training_only(rng):
    """In eval nothing is dropped, and with dropout=0 nothing in training either."""
    x = numbers(rng, 40, C)
    holds(made(rng, "gelu", dropout=0.5).eval(), "gelu", x)
    holds(made(rng, "swiglu", dropout=0.0).train(), "swiglu", x)
    ff = module.FeedForward(C, F, "silu", True, 0.5).train()
    check.true(bool((ff(x) == 0).any()), "with dropout=0.5, numbers are dropped in training")


def test_what_does_not_fit_is_refused(rng):
    """An unknown activation and sizes that are not positive are a ValueError."""
    holds(made(rng, "silu"), "silu", numbers(rng, T, C))
    check.raises(ValueError, module.FeedForward, C, F, "mish", naming=["mish", *NAMES])
    for d_model, d_ff in ((0, F), (C, 0), (C, -1)):
        check.raises(ValueError, module.FeedForward, d_model, d_ff, naming=[d_model, d_ff])
