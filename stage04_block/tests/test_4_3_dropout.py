"""4.3 · Dropout: in training, numbers are set to zero at random, so that nothing relies on one of them."""

import math
from typing import Any

import pytest
import torch

from bootcamp.grading import check, written

module = written("stage04_block.dropout")

HALVES = [torch.bfloat16, torch.float16]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
COUNT = 10_000


def numbers(rng, *shape, dtype=torch.float32):
    """Random numbers, none of which is 0."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=torch.float64)
    return (drawn + drawn.sign()).to(dtype)


def source(rng, device="cpu"):
    """A generator of random numbers with a seed of ours."""
    return torch.Generator(device).manual_seed(rng.randrange(1 << 32))


def made(rng, *args, **kwargs) -> Any:
    """A dropout with a generator of its own, in training."""
    return module.Dropout(*args, generator=source(rng), **kwargs).train()


@pytest.fixture(autouse=True)
def torchs_own(rng):
    """Seed torch's own generator, so that each run of a test is the same."""
    torch.manual_seed(rng.randrange(1 << 32))


def values(y):
    """Which numbers there are."""
    check.true(isinstance(y, torch.Tensor), "what comes is a tensor", got=y)
    return sorted({round(number, 3) for number in y.double().flatten().tolist()})


# -- what stays, what goes


@pytest.mark.parametrize("p", [0.5, 0.25, 0.75])
def test_what_stays_is_divided(rng, p):
    """Of ones, some become 0, and the others 1 / (1 - p): the mean stays 1."""
    got = check.unchanged(made(rng, p), torch.ones(200))
    why = f"With p={p}, a share of {1 - p} stays; so that the mean is kept, each of them is divided by {1 - p}."
    check.close(values(got), [0.0, round(1 / (1 - p), 3)], f"the numbers there are of ones, with p={p}", why=why)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
def test_the_share_of_zeros(rng, p):
    """p is the share of numbers that become 0."""
    got = made(rng, p)(torch.ones(COUNT))
    check.equal(tuple(got.shape), (COUNT,), "the shape of what comes")
    share = (got == 0).double().mean().item()
    claim = f"with p={p} about {p:.0%} of {COUNT:,} numbers become 0"
    check.true(
        abs(share - p) < 0.03, claim, got=f"{share:.1%} of them", why="p is the share that goes, not that stays."
    )


def test_a_tenth_unless_another_p_is_given(rng):
    """If no p is given, it is 0.1."""
    got = made(rng)(torch.ones(COUNT))
    check.close(values(got), [0.0, round(1 / 0.9, 3)], "the numbers there are of ones")
    share = (got == 0).double().mean().item()
    check.true(abs(share - 0.1) < 0.03, "about 10% of the numbers become 0", got=f"{share:.1%} of them")


def test_each_number_is_kept_or_gone(rng):
    """Each number of x becomes 0, or itself divided by 1 - p."""
    x = numbers(rng, 3, 4, 50)
    got = check.unchanged(made(rng, 0.75), x)
    check.equal(tuple(got.shape), tuple(x.shape), "the shape of what comes")
    right = torch.isclose(got, x * 4) | (got == 0)
    check.true(bool(right.all()), "each number is 0 or four times that of x, with p=0.75")
    mixed = bool((got == 0).any()) and bool((got != 0).any())
    check.true(mixed, "some of 600 numbers become 0, and some stay, with p=0.75")


def test_the_mean_is_kept(rng):
    """On average over many draws, each number is what it was."""
    x = torch.tensor([1.0, -2.0, 5.0])
    got = made(rng, 0.3)(x.expand(COUNT, 3))
    check.equal(tuple(got.shape), (COUNT, 3), "the shape of what comes")
    off = ((got.double().mean(0) / x - 1).abs()).max().item()
    check.true(off < 0.05, "the mean of 10,000 draws is the number itself, up to 5%", got=f"off by {off:.1%}")


def test_each_number_by_itself(rng):
    """Each number is drawn for by itself: no two texts, tokens or places go together."""
    gone = made(rng, 0.5)(torch.ones(4, 20, 30)) == 0
    check.equal(tuple(gone.shape), (4, 20, 30), "the shape of what comes")
    pairs = {"texts": (gone[0], gone[1]), "tokens": (gone[:, 0], gone[:, 1]), "places": (gone[..., 0], gone[..., 1])}
    for name, (one, other) in pairs.items():
        same = bool((one == other).all())
        check.true(not same, f"two {name} do not lose the same numbers", why="Draw a number for each number of x.")


def test_each_call_anew(rng):
    """Each call draws anew."""
    drop, x = made(rng, 0.5), torch.ones(100)
    one, other = drop(x), drop(x)
    check.true(not torch.equal(one, other), "two calls do not give the same", why="A mask that is kept is no chance.")


# -- when nothing is dropped


def test_eval_changes_nothing(rng):
    """In eval x comes back as it is, and in training again numbers are dropped."""
    drop, x = made(rng, 0.5), numbers(rng, 4, 50)
    drop.eval()
    for _ in range(2):
        check.close(check.unchanged(drop, x), x, "what comes in eval", rtol=0, atol=0)
    drop.train()
    check.true(bool((drop(x) == 0).any()), "numbers are dropped once it is in training again")


def test_p_of_0_changes_nothing(rng):
    """With p=0, x comes back as it is, in training too."""
    check.true(bool((made(rng, 0.5)(torch.ones(50)) == 0).any()), "with p=0.5, numbers are dropped")
    x = numbers(rng, 4, 50)
    for p in (0.0, 0):
        check.close(check.unchanged(made(rng, p), x), x, "what comes with p=0", rtol=0, atol=0)


def test_p_of_1_drops_all(rng):
    """With p=1 all numbers become 0, and none nan; in eval x comes back as it is."""
    x = numbers(rng, 4, 50)
    for p in (1.0, 1):
        drop = made(rng, p)
        got = check.unchanged(drop, x)
        check.close(got, torch.zeros(4, 50), "what comes with p=1", rtol=0, atol=0, why="0 / 0 is nan, and 1 / 0 inf.")
        check.close(drop.eval()(x), x, "what comes with p=1 in eval", rtol=0, atol=0)


# -- where the random numbers come from


def test_its_own_generator(rng):
    """With a generator, all draws come from there: the same seed drops the same numbers, another seed others."""
    x = torch.ones(100)
    kept = []
    for seed in (1, 1, 2):
        drop = module.Dropout(0.5, torch.Generator().manual_seed(seed))
        kept.append(torch.cat([drop(x), drop(x)]))
        torch.rand(3)  # what others draw from torch's own does not matter
    check.true(torch.equal(kept[0], kept[1]), "two generators with the same seed drop the same numbers")
    check.true(not torch.equal(kept[0], kept[2]), "generators with other seeds drop other numbers")


def test_torchs_own_is_left_alone(rng):
    """With a generator, torch's own is neither used nor set."""
    drop, before = made(rng, 0.5), torch.get_rng_state()
    got = drop(torch.ones(100))
    check.close(values(got), [0.0, 2.0], "the numbers there are of ones, with p=0.5")
    same = torch.equal(before, torch.get_rng_state())
    check.true(same, "torch's own generator stands where it stood", why="torch.rand and bernoulli_ take a generator=.")


def test_torchs_own_without_a_generator():
    """Without a generator, torch's own is used: torch.manual_seed decides what is dropped."""
    drop, x = module.Dropout(0.5), torch.ones(100)
    kept = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        kept.append(drop(x))
    check.close(values(kept[0]), [0.0, 2.0], "the numbers there are of ones, with p=0.5")
    check.true(torch.equal(kept[0], kept[1]), "with the same torch.manual_seed, the same numbers are dropped")
    check.true(not torch.equal(kept[0], kept[2]), "with another torch.manual_seed, others are dropped")


# -- gradients


@pytest.mark.parametrize("p", [0.5, 0.75])
def test_gradients(rng, p):
    """What was dropped has the gradient 0, and what stayed is divided by 1 - p on the way back too."""
    drop, upstream = made(rng, p), numbers(rng, 3, 40)
    x: Any = numbers(rng, 3, 40).requires_grad_()
    got = drop(x)
    check.true(got.requires_grad, "what comes is connected with x, for training")
    (got * upstream).sum().backward()
    check.true(x.grad is not None, "a gradient comes back to x")
    expected = torch.where(got.detach() == 0, 0.0, upstream / (1 - p))
    right = torch.allclose(x.grad, expected, rtol=1e-4, atol=1e-6)  # other numbers are dropped by everybody
    check.true(right, f"the gradient is 0 where the number went, and 1 / {1 - p} of what came back elsewhere")


def test_gradients_where_nothing_or_everything_goes(rng):
    """In eval and with p=0 the gradient comes back as it is; with p=1 it is 0."""
    upstream = numbers(rng, 3, 5)
    for drop, factor, name in (
        (made(rng, 0.5).eval(), 1.0, "in eval"),
        (made(rng, 0.0), 1.0, "with p=0"),
        (made(rng, 1.0), 0.0, "with p=1"),
    ):
        x = numbers(rng, 3, 5).requires_grad_()
        got = drop(x)
        check.true(got.requires_grad, f"what comes {name} is connected with x")
        (got * upstream).sum().backward()
        check.true(x.grad is not None, f"a gradient comes back to x {name}")
        check.close(x.grad, upstream * factor, f"the gradient {name}")


# -- any x


@pytest.mark.parametrize("dtype", [torch.float64, *HALVES], ids=str)
def test_the_format_is_kept(rng, dtype):
    """What comes has the format of x, and so has the gradient."""
    x: Any = torch.ones(300, dtype=dtype, requires_grad=True)
    got = made(rng, 0.2)(x)
    check.equal(str(got.dtype), str(dtype), f"the format of what comes for x in {dtype}")
    right = torch.isclose(got.double(), torch.tensor(1.25).double(), rtol=0.01) | (got == 0)
    check.true(bool(right.all()), "each number of ones becomes 0 or 1.25, with p=0.2")
    got.sum().backward()
    check.true(x.grad is not None, "a gradient comes back to x")
    check.equal(str(x.grad.dtype), str(dtype), f"the format of the gradient for x in {dtype}")
    drop = made(rng, 0.2).eval()
    check.equal(str(drop(x).dtype), str(dtype), f"the format of what comes in eval for x in {dtype}")


def test_float64_is_kept(rng):
    """With x in float64, the division is made in float64."""
    x = numbers(rng, 200, dtype=torch.float64)
    got = made(rng, 0.3)(x)
    check.equal(tuple(got.shape), (200,), "the shape of what comes")
    right = torch.isclose(got, x / 0.7, rtol=1e-13) | (got == 0)
    check.true(bool(right.all()), "each number is 0 or that of x / 0.7, to all digits, with p=0.3")


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0, 3), (2, 3, 4, 5)], ids=str)
def test_any_shape(rng, shape):
    """x may have any shape, also that of a single number, or hold none."""
    x = torch.ones(shape)
    for drop in (made(rng, 0.5), made(rng, 1.0), module.Dropout(0.5)):
        got = drop(x)
        check.equal(tuple(got.shape), shape, f"the shape of what comes for x {shape}")


def test_any_order_in_memory(rng):
    """A transposed, a sliced and an expanded x are taken as they come, and none is changed."""
    x = numbers(rng, 8, 6, 20)
    for each in (x.transpose(0, 2), x[:, ::2, 1:], numbers(rng, 5, 1).expand(5, 40)):
        got = check.unchanged(made(rng, 0.5), each)
        check.equal(tuple(got.shape), tuple(each.shape), "the shape of what comes")
        right = torch.isclose(got, each * 2) | (got == 0)
        check.true(bool(right.all()), "each number is 0 or twice that of x, with p=0.5")


@pytest.mark.parametrize("device", DEVICES)
def test_on_any_device(rng, device):
    """The draws are made on the device of x, where its generator is."""
    x = torch.ones(100, device=device)
    for drop in (module.Dropout(0.5, source(rng, device)), module.Dropout(0.5)):
        got = drop(x)
        check.equal(got.device.type, device, "the device of what comes")
        check.close(values(got), [0.0, 2.0], f"the numbers there are of ones, on {device}")


def test_nothing_is_learned(rng):
    """There is nothing to learn, and a p outside 0 to 1 is a ValueError."""
    drop = made(rng, 0.5)
    check.close(values(drop(torch.ones(100))), [0.0, 2.0], "the numbers there are of ones, with p=0.5")
    check.equal(len(list(drop.parameters())), 0, "how many parameters there are")
    for p in (-0.1, 1.1, math.nan):
        check.raises(ValueError, module.Dropout, p, naming=[p])
