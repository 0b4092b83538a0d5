"""6.5 · Loss scaling: a factor that lifts small gradients into what float16 can hold, found on the way."""

import copy
import inspect
import math
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from bootcamp.grading import check, written
from bootcamp.grading.ranks import on_ranks, traffic

module = written("stage06_distributed.precision")

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
ODD = [math.inf, -math.inf, math.nan]

# Optimizers tell torch's compiler to leave this method alone. For that they import it when it is first used, which
# takes seconds. Nothing is compiled here.
_function = inspect.unwrap(torch.optim.Optimizer.add_param_group)
_function.__dict__.setdefault("__dynamo_disable", _function)


class Descent(torch.optim.Optimizer):
    """Steps of the gradient, with a learning rate of 1."""

    def __init__(self, params) -> None:
        super().__init__(params, {})
        self.steps = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        for p in self.param_groups[0]["params"]:
            if p.grad is not None:
                p -= p.grad


class Steps:
    """Not an optimizer, but it has a step()."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self) -> None:
        self.steps += 1


def parameter(values, grad: Any = None, dtype=torch.float32, device="cpu") -> Any:
    """A parameter with these numbers, and this gradient."""
    p = nn.Parameter(torch.tensor(values, dtype=dtype, device=device))
    p.grad = None if grad is None else torch.tensor(grad, dtype=dtype, device=device)
    return p


def unscaled(scaler, given) -> bool:
    """What unscale says of these parameters, held to be True or False."""
    got = scaler.unscale(given)
    check.true(isinstance(got, bool), "unscale says True or False", got=type(got).__name__)
    return got


def went(scaler, good):
    """Take whole steps, good and bad as told; give the scale after each."""
    factors = []
    for each in good:
        p = parameter([1.0], grad=[1.0 if each else math.inf])
        scaler.unscale([p])
        scaler.step(Steps())
        scaler.update()
        factors.append(float(scaler.factor))
    return factors


# -- by hand


def test_by_hand():
    """A gradient of 1e-9 is 0 in float16. Of 65536 times the loss it is 6.6e-5; divided in float32, 1e-9 again."""
    p = parameter([1.0])
    scaler = module.LossScaler()
    scaler.scale((p.half().float() * 1e-9).sum()).backward()  # what comes back through half() is rounded to float16
    check.close(p.grad, [6.5536e-5], "the gradient of the scaled loss, which came through float16", rtol=0.01, atol=0)
    check.equal(unscaled(scaler, [p]), True, "whether all gradients are finite")
    check.close(p.grad, [1e-9], "the gradient, divided by 65536", rtol=0.01, atol=0)


def test_scale():
    """scale gives scale · loss, which has a graph."""
    x = parameter([3.0, 5.0])
    loss = (x * x).sum()
    got = module.LossScaler(initial=8.0).scale(loss)
    check.close(got, 8.0 * 34.0, "8 times a loss of 34")
    got.backward()
    check.close(x.grad, [48.0, 80.0], "the gradient of it, at 3 and 5")
    check.close(loss, 34.0, "the loss itself after that")


def test_unscale():
    """unscale divides each gradient by the scale, in place."""
    given = [parameter([1.0, 1.0], grad=[24.0, -8.0]), parameter([[2.0]], grad=[[4.0]])]
    held = [p.grad for p in given]
    got = unscaled(module.LossScaler(initial=8.0), given)
    check.close(given[0].grad, [3.0, -1.0], "the gradient [24, -8] with a scale of 8")
    check.close(given[1].grad, [[0.5]], "the gradient [[4]] with a scale of 8")
    check.true(all(p.grad is its for p, its in zip(given, held)), "p.grad is the tensor that it was")
    check.equal(got, True, "whether all are finite")
    check.close(given[0], [1.0, 1.0], "the parameter itself")


def test_with_a_scale_of_any(rng):
    """A scale that is no power of two is divided by as well."""
    factor = rng.uniform(3.0, 5.0) * 100
    p = parameter([1.0, 2.0])
    scaler = module.LossScaler(initial=factor)
    scaler.scale((p * p).sum()).backward()
    check.close(p.grad, [2 * factor, 4 * factor], f"the gradient of the loss times {factor}")
    check.equal(unscaled(scaler, [p]), True, "whether all gradients are finite")
    check.close(p.grad, [2.0, 4.0], "the gradient after unscale")


def test_those_without_a_gradient():
    """Parameters without a gradient do not count, and get none; they may come one by one."""
    given = [parameter([1.0]), parameter([1.0], grad=[8.0]), parameter([1.0])]
    got = unscaled(module.LossScaler(initial=8.0), (p for p in given))
    check.equal(got, True, "whether all are finite")
    check.equal([p.grad is None for p in given], [True, False, True], "which parameters have no gradient then")
    check.close(given[1].grad, [1.0], "the gradient of the one that has one")


@pytest.mark.parametrize("size", [0, 2])
def test_nothing_to_divide(size):
    """Where there is no gradient, all are finite."""
    given = [parameter([1.0]) for _ in range(size)]
    check.equal(unscaled(module.LossScaler(), given), True, f"whether all gradients of {size} parameters are finite")


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize("where", [0, 1, 2])
def test_not_finite(where, odd):
    """A single number that is inf or nan, in whichever gradient, is found."""
    grads = [[8.0, 16.0], [8.0, -8.0, 8.0], [8.0]]
    grads[where][-1] = odd
    given = [parameter([1.0] * len(grad), grad=grad) for grad in grads]
    got = unscaled(module.LossScaler(initial=8.0), given)
    check.equal(got, False, f"whether all are finite, with {odd} in gradient {where} of 3")


def test_all_are_divided():
    """All gradients are divided, also those behind one that is not finite."""
    given = [parameter([1.0], grad=[math.inf]), parameter([1.0, 2.0], grad=[8.0, 16.0])]
    check.equal(unscaled(module.LossScaler(initial=8.0), given), False, "whether all are finite")
    check.close(given[1].grad, [1.0, 2.0], "the gradient [8, 16] behind an infinite one, with a scale of 8")


def test_large_is_not_infinite():
    """Gradients that are large, and add up to more than float32 can hold, are finite."""
    p = parameter([1.0, 1.0, 1.0], grad=[3e38, 3e38, -3e38])
    check.equal(unscaled(module.LossScaler(initial=2.0), [p]), True, "whether 3e38, 3e38 and -3e38 are finite")
    check.close(p.grad, [1.5e38, 1.5e38, -1.5e38], "the gradients, with a scale of 2")


# -- steps


def test_a_step():
    """If all gradients are finite, the optimizer takes one step, and step says so."""
    p = parameter([1.0], grad=[4.0])
    optimizer, scaler = Descent([p]), module.LossScaler(initial=8.0)
    scaler.unscale([p])
    check.equal(scaler.step(optimizer), True, "what step says")
    check.equal(optimizer.steps, 1, "how many steps the optimizer has taken")
    check.close(p, [0.5], "the parameter, 1, after a step of 4 / 8")


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_step_left_out(odd):
    """If a gradient is inf or nan, the optimizer takes no step, and step says so; all parameters stay."""
    given = [parameter([1.0], grad=[4.0]), parameter([1.0], grad=[odd])]
    optimizer, scaler = Descent(given), module.LossScaler(initial=8.0)
    scaler.unscale(given)
    check.equal(scaler.step(optimizer), False, f"what step says, with a gradient of {odd}")
    check.equal(optimizer.steps, 0, "how many steps the optimizer has taken")
    check.close([p.item() for p in given], [1.0, 1.0], "the parameters")


def test_anything_with_a_step():
    """Whatever has a step() may take the optimizer's place, such as MasterWeights."""
    for grad, expected in ((1.0, 1), (math.nan, 0)):
        thing, scaler = Steps(), module.LossScaler()
        scaler.unscale([parameter([1.0], grad=[grad])])
        check.equal(scaler.step(thing), bool(expected), f"what step says, with a gradient of {grad}")
        check.equal(thing.steps, expected, "how many steps it has taken")


def test_clipped_between():
    """Clipped after unscale and before step, gradients are as long as they are clipped to."""
    p = parameter([0.0, 0.0])
    optimizer, scaler = Descent([p]), module.LossScaler(initial=1024.0)
    scaler.scale((p * torch.tensor([3.0, -4.0])).sum()).backward()
    scaler.unscale([p])
    length = p.grad.norm().item()
    check.close(length, 5.0, "how long the gradient is after unscale", why="Clipping has to see what it really is.")
    p.grad.mul_(2.5 / length)
    scaler.step(optimizer)
    check.close(p, [-1.5, 2.0], "the parameters, 0, after a step of [3, -4] clipped to 2.5")


def test_several_batches():
    """The gradients of several batches add up, and are divided once; together they are one step."""
    p = parameter([1.0])
    optimizer, scaler = Descent([p]), module.LossScaler(initial=8.0, interval=2)
    factors = []
    for _ in range(2):
        p.grad = None
        for factor in (0.5, 0.25, 0.125):
            scaler.scale((p * factor).sum() / 4).backward()
        scaler.unscale([p])
        scaler.step(optimizer)
        scaler.update()
        factors.append(float(scaler.factor))
    check.close(p, [1.0 - 2 * 0.875 / 4], "the parameter after two steps of three batches each")
    check.close(factors, [8.0, 16.0], "the scale after each of the two steps, with interval=2")


# -- the scale


def test_it_halves():
    """After each step that was left out, the scale is half of what it was."""
    got = went(module.LossScaler(initial=1024.0), [False, False, True, False])
    check.close(got, [512.0, 256.0, 256.0, 128.0], "the scale after bad, bad, good, bad, from 1024")


def test_it_doubles():
    """After `interval` good steps the scale doubles, and the count begins anew."""
    got = went(module.LossScaler(initial=4.0, interval=3), [True] * 7)
    why = "3 good steps, then 3 more."
    check.close(got, [4.0, 4.0, 8.0, 8.0, 8.0, 16.0, 16.0], "the scale in 7 good steps, with interval=3", why=why)


def test_in_a_row():
    """Only good steps in a row count: a bad one begins the count anew."""
    good = [True, True, False, True, True, True, False, True, True, True]
    got = went(module.LossScaler(initial=64.0, interval=3), good)
    expected = [64.0, 64.0, 32.0, 32.0, 32.0, 64.0, 32.0, 32.0, 32.0, 64.0]
    check.close(got, expected, "the scale, with interval=3, where the third and the seventh step are bad")


def test_other_factors():
    """growth and backoff are what the scale is multiplied by."""
    scaler = module.LossScaler(initial=1000.0, growth=3.0, backoff=0.1, interval=1)
    got = went(scaler, [True, False, False, True])
    check.close(got, [3000.0, 300.0, 30.0, 90.0], "the scale after good, bad, bad, good, with growth=3, backoff=0.1")


def test_how_many_good_steps():
    """good_steps counts those in a row since the scale last changed."""
    scaler = module.LossScaler(interval=3)
    counts = []
    for good in (True, True, True, True, True, False, True):
        went(scaler, [good])
        counts.append(scaler.good_steps)
    check.equal(counts, [1, 2, 0, 1, 2, 0, 1], "good_steps after each step, with interval=3, the sixth of them bad")


def test_as_it_begins():
    """It begins with 65536, and grows after 2000 good steps."""
    scaler = module.LossScaler()
    check.close(scaler.scale(torch.ones(())), 65536.0, "1, scaled at the beginning")
    check.close(went(scaler, [True] * 2000)[-2:], [65536.0, 131072.0], "the scale after 1999 and 2000 good steps")


def test_no_change_before_update():
    """The scale changes with update only: until then it is the same for all batches of a step."""
    p = parameter([1.0], grad=[math.inf])
    scaler = module.LossScaler(initial=8.0)
    scaler.unscale([p])
    check.close(scaler.scale(torch.ones(())), 8.0, "1, scaled by 8 after unscale has found inf")
    scaler.step(Steps())
    check.close(scaler.scale(torch.ones(())), 8.0, "1, scaled after the step that was left out")
    scaler.update()
    check.close(scaler.scale(torch.ones(())), 4.0, "1, scaled after update")


def test_beside_torch(rng):
    """In a row of steps, good and bad by chance, scale and parameters are those of torch.amp.GradScaler."""
    ours, theirs = parameter([1.0, -2.0]), parameter([1.0, -2.0])
    scaler = module.LossScaler(initial=256.0, growth=2.0, backoff=0.5, interval=3)
    other = torch.amp.GradScaler("cpu", init_scale=256.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=3)
    mine, its = Descent([ours]), Descent([theirs])
    for i in range(30):
        factor = rng.choice([math.inf, math.nan, 0.5, 0.25, -0.5, 0.125, 0.25, -0.75])
        ours.grad = theirs.grad = None
        scaler.scale((ours * factor).sum()).backward()
        other.scale((theirs * factor).sum()).backward()
        scaler.unscale([ours])
        scaler.step(mine)
        other.step(its)
        scaler.update()
        other.update()
        check.close(scaler.factor, other.get_scale(), f"the scale after step {i + 1}, beside torch's")
        check.close(ours, theirs.detach(), f"the parameter after step {i + 1}, beside torch's")


# -- saving


def test_the_state():
    """Another scaler that loads the state goes on with its scale and its count."""
    scaler = module.LossScaler(initial=64.0, interval=4)
    went(scaler, [True, False, True, True, True])
    state = copy.deepcopy(scaler.state_dict())
    went(scaler, [True])
    again = module.LossScaler(initial=2.0, interval=4)
    again.load_state_dict(state)
    check.close([again.factor, again.good_steps], [32.0, 3], "the scale and good_steps after loading")
    check.close(again.scale(torch.ones(())), 32.0, "1, scaled after loading")
    check.close(went(again, [True, True]), [64.0, 64.0], "the scale in two more good steps, with interval=4")


def test_goes_on(rng):
    """Interrupted anywhere, the scale goes the same way as without."""
    good = [rng.random() < 0.75 for _ in range(30)]
    whole = went(module.LossScaler(initial=1024.0, interval=3), good)
    cut = rng.randrange(5, 25)
    first, second = module.LossScaler(initial=1024.0, interval=3), module.LossScaler(interval=3)
    before = went(first, good[:cut])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    check.close(before + went(second, good[cut:]), whole, f"the scale in 30 steps, saved and loaded after {cut}")


# -- what is refused


def test_in_this_order():
    """unscale twice in a step, step and update without unscale are RuntimeErrors; after update, all begins anew."""
    scaler, thing = module.LossScaler(initial=8.0), Steps()
    for _ in range(2):
        check.raises(RuntimeError, scaler.step, thing, naming=["unscale"])
        check.raises(RuntimeError, scaler.update, naming=["unscale"])
        p = parameter([1.0], grad=[8.0])
        check.equal(unscaled(scaler, [p]), True, "whether 8 is finite")
        check.raises(RuntimeError, scaler.unscale, [p], naming=["unscale"])
        check.close(p.grad, [1.0], "the gradient of 8, after unscale with a scale of 8 and one more try")
        scaler.step(thing)
        scaler.update()
    check.equal(thing.steps, 2, "how many steps were taken")


def test_numbers_out_of_range():
    """A number that is out of range is a ValueError that names all four."""
    for initial, interval, growth, backoff in (
        (0.0, 2000, 2.0, 0.5),
        (math.inf, 2000, 2.0, 0.5),
        (8.0, 0, 2.0, 0.5),
        (8.0, 2000, 1.0, 0.5),
        (8.0, 2000, 2.0, 1.0),
        (8.0, 2000, 2.0, 0.0),
    ):
        options = {"initial": initial, "growth": growth, "backoff": backoff, "interval": interval}
        check.raises(ValueError, module.LossScaler, naming=options.values(), **options)
    check.close(module.LossScaler(initial=0.25).scale(torch.ones(())), 0.25, "1, scaled by 0.25")


@pytest.mark.parametrize("device", DEVICES)
def test_any_device(device):
    """Gradients are divided, and found not to be finite, on the device where they are, also on several."""
    for odd in (8.0, math.inf):
        given = [parameter([1.0], grad=[16.0], device=device), parameter([1.0], grad=[odd])]
        scaler = module.LossScaler(initial=8.0)
        check.equal(unscaled(scaler, given), odd == 8.0, f"whether 16 on {device} and {odd} on the CPU are finite")
        check.close(given[0].grad, [2.0], f"the gradient of 16 on {device}, with a scale of 8")


# -- with other ranks


def rank_steps(rank, grads, interval=2):
    """Take steps with these gradients, one of each rank in each; give what unscale, step and update made of each."""
    scaler = module.LossScaler(initial=64.0, interval=interval, group=dist.group.WORLD)
    p = parameter([1.0])
    optimizer, seen = Descent([p]), []
    for each in grads:
        p.grad = None if each[rank] is None else torch.tensor([each[rank] * scaler.factor])
        finite, took = unscaled(scaler, [p]), scaler.step(optimizer)
        scaler.update()
        seen.append((finite, took, scaler.factor))
    return seen, optimizer.steps, p.item()


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("odd", [math.inf, math.nan], ids=str)
def test_all_leave_it_out(world, odd):
    """If one rank has a gradient that is not finite, all ranks leave the step out, and halve the scale."""
    why = "One that steps alone, or halves alone, has other weights than the rest from then on."
    grads = [[odd if rank == odd_one else 0.5 for rank in range(world)] for odd_one in range(world)]
    for rank, (seen, steps, p) in enumerate(on_ranks(world, rank_steps, grads)):
        for odd_one, each in enumerate(seen):
            what = f"what unscale and step say, and the scale, on rank {rank}, where rank {odd_one} has {odd}"
            check.equal(each, (False, False, 64.0 / 2 ** (odd_one + 1)), what, why=why)
        check.equal(steps, 0, f"how many steps the optimizer took on rank {rank} of {world}", why=why)
        check.close(p, 1.0, f"the parameter on rank {rank} of {world}", why=why)


def test_all_take_it():
    """If the gradients of all ranks are finite, all take the step; a rank without gradients is no reason not to."""
    results = on_ranks(2, rank_steps, [[0.5, 0.25], [None, 0.25], [0.25, None]])
    expected = [(True, True, 64.0), (True, True, 128.0), (True, True, 128.0)]
    for rank, (seen, steps, p) in enumerate(results):
        check.equal(seen, expected, f"what unscale and step say, and the scale, in three steps on rank {rank}")
        check.equal(steps, 3, f"how many steps the optimizer took on rank {rank}")
        check.close(p, [0.25, 0.5][rank], f"the parameter on rank {rank}")


def test_one_without_gradients():
    """A rank without gradients learns of another's that is not finite."""
    for rank, (seen, steps, _) in enumerate(on_ranks(2, rank_steps, [[None, math.inf], [math.nan, None]])):
        expected = [(False, False, 32.0), (False, False, 16.0)]
        check.equal(seen, expected, f"what unscale and step say, and the scale, in two steps on rank {rank}")
        check.equal(steps, 0, f"how many steps the optimizer took on rank {rank}")


def rank_of_a_group(rank):
    """Ranks 0 and 1 are a group, rank 2 is one for itself; and rank 0 has a gradient that is not finite."""
    pairs = [dist.new_group([0, 1]), dist.new_group([2])]
    scaler = module.LossScaler(initial=8.0, group=pairs[rank // 2])
    return unscaled(scaler, [parameter([1.0], grad=[math.inf if rank == 0 else 8.0])])


def test_the_group():
    """Only the ranks of the group are asked."""
    got = on_ranks(3, rank_of_a_group)
    check.equal(got, [False, False, True], "what unscale says, where rank 0 has inf, in a group with rank 1")


def rank_alone(rank):
    """Without a group."""
    scaler = module.LossScaler(initial=8.0)
    finite = unscaled(scaler, [parameter([1.0], grad=[math.inf if rank == 0 else 8.0])])
    took = scaler.step(Steps())
    scaler.update()
    return finite, took, scaler.factor, [each.kind for each in traffic()]


def test_without_a_group():
    """Without a group, nobody is asked, and nothing is sent."""
    got = on_ranks(2, rank_alone)
    expected = [(False, False, 4.0, []), (True, True, 8.0, [])]
    check.equal(got, expected, "unscale, step, scale and messages of each rank, where rank 0 has inf")


def test_one_rank():
    """A group of one rank is as none."""
    ((seen, steps, p),) = on_ranks(1, rank_steps, [[0.5], [math.inf]])
    check.equal(seen, [(True, True, 64.0), (False, False, 32.0)], "what unscale and step say, and the scale")
    check.close([steps, p], [1, 0.5], "how many steps there were, and the parameter")
