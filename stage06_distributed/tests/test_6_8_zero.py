"""6.8 · Sharding the state: each rank steps its part of the numbers, and all of them have what came of it."""

import copy
import gc
import weakref
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from bootcamp.grading import check, written
from bootcamp.grading.ranks import during, on_ranks, traffic

zero = written("stage06_distributed.zero")

# Three groups, by the shapes of their parameters: 23, 5 and 2 numbers.
SHAPES = [[(4,), (3, 4), (), (2, 1, 3)], [(2,), (3,)], [(2, 1)]]
OPTIONS = [{"weight_decay": 0.1}, {"lr": 0.03, "weight_decay": 0.0}, {"weight_decay": 0.3}]
MAKERS: dict[str, Any] = {
    "AdamW": lambda groups: torch.optim.AdamW(groups, lr=0.02, betas=(0.8, 0.95)),
    "SGD": lambda groups: torch.optim.SGD(groups, lr=0.02, momentum=0.9),
}
SCHEDULES = [lambda step: 1 / (step + 1), lambda step: 0.5**step, lambda step: 1.0 + step]
AS_ONE = "All ranks together do what one optimizer does that has all the state."


def ranks(world, body, *args):
    """Run it on ranks that need not import the graded code each for itself."""
    assert zero.ShardedOptimizer
    return on_ranks(world, body, *args)


def sharded(params, make=MAKERS["AdamW"], **options):
    return zero.ShardedOptimizer(params, make, **options)


def draw(seed, *shape):
    """Random numbers from N(0, 1), the same on all ranks for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def drawn_groups(seed, dtype=torch.float32):
    """The three groups, with options of their own; the same on all ranks."""
    return [
        {"params": [nn.Parameter(draw(seed + 10 * i + j, *shape).to(dtype)) for j, shape in enumerate(its)], **more}
        for i, (its, more) in enumerate(zip(SHAPES, OPTIONS))
    ]


def flat(groups):
    return [p for group in groups for p in group["params"]]


def numbers(params):
    """All numbers of these, one behind the other."""
    return torch.cat([p.detach().flatten() for p in params]) if params else torch.zeros(0)


def give_gradients(params, seed, absent=()):
    """Draw gradients, the same on all ranks; some parameters have none."""
    for number, p in enumerate(params):
        p.grad = None if number in absent else draw(seed + number, *p.shape).to(p.dtype)


def steps(optimizer, params, seed, count, absent=(), first=0):
    """Some steps with gradients that are drawn; without any for the parameters of these numbers."""
    for step in range(first, first + count):
        give_gradients(params, seed + 100 * step, absent)
        optimizer.step()


def values(params):
    return [p.detach().clone() for p in params]


def held(optimizer):
    """How many numbers there are in the state of the local optimizer; counts of steps are not counted."""
    named = [each for state in optimizer.local.state.values() for each in state.items()]
    return sum(value.numel() for name, value in named if isinstance(value, torch.Tensor) and name != "step")


def share(count, rank, world):
    """How many of these numbers a rank has: ⌈count / world⌉ for each, until there are none left."""
    size = -(-count // world)
    return max(0, min(size, count - rank * size))


def same(results, expected, what, **options):
    """Hold what each rank has to what is expected, tensor by tensor."""
    for rank, got in enumerate(results):
        for number, (its, right) in enumerate(zip(got, expected)):
            title = f"parameter {number}, {tuple(right.shape)}, on rank {rank} of {len(results)}, {what}"
            check.close(its, right, title, why=AS_ONE, **options)


# -- by hand


def by_hand(rank):
    a, b = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([[3.0, 4.0, 5.0]]))
    optimizer = sharded([a, b], lambda groups: torch.optim.SGD(groups, lr=0.5))
    pieces = [numbers(group["params"]).tolist() for group in optimizer.local.param_groups]
    a.grad, b.grad = torch.tensor([2.0, 2.0]), torch.tensor([[2.0, 4.0, 6.0]])
    optimizer.step()
    return pieces, a.tolist(), b.tolist()


def test_pieces_by_hand():
    """Five numbers in two parameters, for two ranks: the first has three of them, wherever a parameter ends."""
    why = "[1, 2] and [[3, 4, 5]], one behind the other, are cut behind ⌈5 / 2⌉ = 3 numbers."
    for rank, (pieces, _, _) in enumerate(ranks(2, by_hand)):
        what = f"what the local optimizer of rank {rank} steps, of [1, 2] and [[3, 4, 5]]"
        check.equal(pieces, [[[1.0, 2.0, 3.0], [4.0, 5.0]][rank]], what, why=why)


def test_step_by_hand():
    """Each rank steps its part; then all ranks have all of the new weights."""
    for rank, (_, a, b) in enumerate(ranks(2, by_hand)):
        check.close(a, [0.0, 1.0], f"[1, 2] on rank {rank} after a step of SGD, lr 0.5, with gradients of 2")
        why = "Rank 0 has stepped the 3, rank 1 the 4 and the 5. They tell each other what came of it."
        check.close(b, [[2.0, 2.0, 2.0]], f"[[3, 4, 5]] on rank {rank}, with the gradient [[2, 4, 6]]", why=why)


# -- as one optimizer


def stepped(rank, seed, kind, dtype, count):
    groups = drawn_groups(seed, dtype)
    optimizer = sharded(groups, MAKERS[kind])
    steps(optimizer, flat(groups), seed, count)
    own = [
        [each is p for each, p in zip(group["params"], given["params"])]
        for group, given in zip(optimizer.param_groups, groups)
    ]
    return values(flat(groups)), all(map(all, own)), [len(each) for each in own]


@pytest.mark.parametrize(
    "world, kind, dtype",
    [(2, "AdamW", torch.float32), (1, "SGD", torch.float32), (3, "SGD", torch.bfloat16), (4, "AdamW", torch.float64)],
    ids=str,
)
def test_as_one_optimizer(rng, world, kind, dtype):
    """After some steps, the weights are those of the optimizer that is not sharded, on all ranks."""
    seed = rng.randrange(1 << 30)
    groups = drawn_groups(seed, dtype)
    steps(MAKERS[kind](groups), flat(groups), seed, 3)
    results = ranks(world, stepped, seed, kind, dtype, 3)
    rtol = 0.01 if dtype == torch.bfloat16 else 1e-5
    same([got for got, _, _ in results], flat(groups), f"after 3 steps of {kind}", rtol=rtol)
    check.equal(results[0][2], [4, 2, 1], "how many parameters there are in each of `param_groups`")
    check.true(results[0][1], "`param_groups` have the parameters that were given")


def single(rank, seed):
    params = [nn.Parameter(draw(seed, 3, 2)), nn.Parameter(draw(seed + 1, 5))]
    first = copy.deepcopy(params)
    optimizer = sharded((p for p in params), MAKERS["SGD"])
    steps(optimizer, params, seed, 2)
    steps(MAKERS["SGD"](first), first, seed, 2)
    empty = [{"params": [nn.Parameter(torch.ones(2))]}, {"params": []}]
    optimizer = sharded(empty, MAKERS["SGD"])
    steps(optimizer, empty[0]["params"], seed, 1)
    state = optimizer.state_dict()
    return values(params), values(first), [group["params"] for group in state["param_groups"]]


def test_parameters_without_groups(rng):
    """Parameters may be given without groups, one by one; and a group may have none."""
    results = ranks(2, single, rng.randrange(1 << 30))
    same([got for got, _, _ in results], results[0][1], "where they came from a generator")
    check.equal(results[1][2], [[0], []], "the numbers of parameters in the state of a group of one and one of none")


def changed_by_hand(optimizer, params, seed):
    steps(optimizer, params, seed, 1)
    optimizer.param_groups[0]["lr"] = 0.5
    steps(optimizer, params, seed, 1, first=1)
    optimizer.param_groups[1]["weight_decay"] = 0.7
    optimizer.param_groups[2].update(lr=0.0, weight_decay=0.0)
    steps(optimizer, params, seed, 1, first=2)
    return values(params)


def options_changed(rank, seed):
    groups = drawn_groups(seed)
    return changed_by_hand(sharded(groups), flat(groups), seed)


def test_options_changed(rng):
    """What is changed in `param_groups`, such as lr, counts in the next step."""
    seed = rng.randrange(1 << 30)
    groups = drawn_groups(seed)
    expected = changed_by_hand(MAKERS["AdamW"](groups), flat(groups), seed)
    same(ranks(2, options_changed, seed), expected, "after lr and weight_decay of the groups were changed")


def with_schedule(optimizer, params, seed):
    schedule, rates = LambdaLR(optimizer, SCHEDULES), []
    for step in range(3):
        rates.append([group["lr"] for group in optimizer.param_groups])
        steps(optimizer, params, seed, 1, first=step)
        schedule.step()
    return values(params), rates


def scheduled(rank, seed):
    groups = drawn_groups(seed)
    return with_schedule(sharded(groups, MAKERS["SGD"]), flat(groups), seed)


def test_schedule(rng):
    """A scheduler of torch.optim.lr_scheduler may have it, and each group gets the rates that it should."""
    seed = rng.randrange(1 << 30)
    groups = drawn_groups(seed)
    expected, rates = with_schedule(MAKERS["SGD"](groups), flat(groups), seed)
    results = ranks(2, scheduled, seed)
    check.close(results[0][1], rates, "the rates of the three groups, in three steps")
    same([got for got, _ in results], expected, "after 3 steps of SGD with a schedule for each group")


def some_without(rank, seed):
    groups = drawn_groups(seed)
    params, optimizer = flat(groups), sharded(groups)
    steps(optimizer, params, seed, 1, absent=[0, 5])
    after_one = values(params)
    steps(optimizer, params, seed, 2, absent=[0, 3, 6], first=1)
    return values(params), after_one, held(optimizer)


def test_without_gradient(rng):
    """A parameter without a gradient stays as it is: it does not decay, nor go on with what it had before."""
    seed = rng.randrange(1 << 30)
    groups = drawn_groups(seed)
    first = values(flat(groups))
    optimizer = MAKERS["AdamW"](groups)
    steps(optimizer, flat(groups), seed, 1, absent=[0, 5])
    after_one = values(flat(groups))
    steps(optimizer, flat(groups), seed, 2, absent=[0, 3, 6], first=1)
    results = ranks(2, some_without, seed)
    for rank, (_, got, _) in enumerate(results):
        what = f"parameter 0 on rank {rank}, which had no gradient, after a step of AdamW with weight_decay=0.1"
        check.close(got[0], first[0], what, rtol=0, atol=0)
    same([got for _, got, _ in results], after_one, "after a step in which 0 and 5 had no gradient")
    same([got for got, _, _ in results], flat(groups), "after two more, in which 0, 3 and 6 had none")
    # The 4 numbers of parameter 0, which rank 0 has, never had a gradient, and so have no state.
    check.equal(
        [count for _, _, count in results],
        [2 * (8 + 3 + 1), 2 * (11 + 2 + 1)],
        "how many numbers the state of each rank has",
    )


def as_they_lie(optimizer, params, seed):
    """Gradients that are transposed, or expanded; weights that are written over between steps."""
    found = []
    for step in range(3):
        params[0].grad = draw(seed + step, 4, 3).T
        params[1].grad = draw(seed + step, 1).expand(4)
        before = [params[0].grad, params[0].grad.clone()]
        optimizer.step()
        found.append(params[0].grad is before[0] and torch.equal(*before))
        with torch.no_grad():
            params[0].copy_(draw(seed + step + 7, 3, 4))
            params[1].mul_(2.0)
    return values(params), found


def lying_anyhow(rank, seed):
    params = [nn.Parameter(draw(seed, 3, 4)), nn.Parameter(draw(seed + 1, 4))]
    one = copy.deepcopy(params)
    got, found = as_they_lie(sharded(params), params, seed)
    return got, found, as_they_lie(MAKERS["AdamW"](one), one, seed)[0]


def test_as_they_lie(rng):
    """Gradients may be transposed, and stay; weights may be written over between steps, and count then."""
    results = ranks(2, lying_anyhow, rng.randrange(1 << 30))
    same([got for got, _, _ in results], results[0][2], "after steps between which the weights were written over")
    for rank, (_, found, _) in enumerate(results):
        check.equal(found, [True] * 3, f"whether the gradients on rank {rank} are what they were, step by step")


def freed(rank):
    p = nn.Parameter(draw(1, 50))
    optimizer = sharded([p], MAKERS["SGD"])
    (p * p).sum().backward()
    gradient = weakref.ref(p.grad)
    optimizer.step()
    optimizer.zero_grad()
    if gradient() is not None:
        gc.collect()
    return p.grad is None, gradient() is None


def test_gradients_are_let_go():
    """After a step and `zero_grad`, nothing has the gradients any more."""
    for rank, (none, gone) in enumerate(ranks(2, freed)):
        check.true(none, f"zero_grad() sets p.grad to None on rank {rank}")
        why = "A piece of a gradient is a view of it. As long as the local optimizer has it, its memory is not free."
        check.true(gone, f"the gradient is gone on rank {rank} then", why=why)


# -- what each rank has, and says


def counted(rank, kind):
    groups = drawn_groups(1)
    optimizer = sharded(groups, MAKERS[kind])
    steps(optimizer, flat(groups), 1, 2)
    return [numbers(group["params"]).numel() for group in optimizer.local.param_groups], held(optimizer)


@pytest.mark.parametrize("world, kind", [(2, "AdamW"), (4, "SGD")])
def test_share(world, kind):
    """The state of a rank is that of its share of each group: W ranks together have each number once."""
    for rank, (stepped, state) in enumerate(ranks(world, counted, kind)):
        shares = [share(count, rank, world) for count in (23, 5, 2)]
        what = f"how many of the 23, 5 and 2 numbers of the groups rank {rank} of {world} steps"
        check.equal(stepped, shares, what)
        each, why = (2, "two for each number") if kind == "AdamW" else (1, "one for each number")
        what = f"how many numbers there are in local.state on rank {rank} of {world} after two steps of {kind}"
        check.equal(state, each * sum(shares), what, why=f"{kind} keeps {why} that it steps.")


def talkative(rank):
    groups = [{"params": [nn.Parameter(draw(n, n)) for n in sizes]} for sizes in ((50, 31, 20), (40, 10))]
    optimizer = sharded(groups)
    give_gradients(flat(groups), 3)
    with during("step"):
        optimizer.step()
    return [(each.kind, each.count) for each in traffic() if each.during == "step" and each.kind != "recv"]


def test_messages():
    """For each group and round one message, of one share: not one for each parameter, and not all numbers."""
    for rank, messages in enumerate(ranks(3, talkative)):
        what = f"rank {rank} sends at most 2 messages for each of the two groups"
        check.true(len(messages) <= 4, what, got=messages, why="One all-gather for each group, of 3 ranks: 2 rounds.")
        what = f"a message of rank {rank} has at most 34 of the 101 numbers of the first group"
        check.true(all(count <= 34 for _, count in messages), what, got=messages)
        total = sum(count for _, count in messages)
        what = f"rank {rank} sends at most 2 · (34 + 17) numbers: two thirds of all"
        check.true(total <= 2 * (34 + 17), what, got=messages, why="Two thirds of the new weights are not its own.")


def in_groups(rank, seed):
    groups = [dist.new_group([0, 2]), dist.new_group([1, 3])]
    params = [nn.Parameter(draw(seed + rank % 2, 3)), nn.Parameter(draw(seed + 5 + rank % 2, 2, 2))]
    one = copy.deepcopy(params)
    optimizer = sharded(params, group=groups[rank % 2])
    steps(optimizer, params, seed + rank % 2, 2)
    state = optimizer.state_dict()["state"]
    steps(plain := MAKERS["AdamW"](one), one, seed + rank % 2, 2)
    right = plain.state_dict()["state"]
    first = [[each[number]["exp_avg"] for number in sorted(each)] for each in (state, right)]
    return values(params), values(one), held(optimizer), *first


def test_group(rng):
    """With a group, only its ranks share the state; others may have other weights."""
    results = ranks(4, in_groups, rng.randrange(1 << 30))
    for rank, (got, right, count, state, expected) in enumerate(results):
        what = f"how many numbers there are in local.state on rank {rank}, of 7, in a group of two ranks"
        check.equal(count, 2 * [4, 3][rank // 2], what)
        for number in (0, 1):
            where = f"of parameter {number} on rank {rank}, where the groups are ranks 0, 2 and ranks 1, 3"
            check.close(got[number], right[number], f"the weights {where}")
            check.close(state[number], expected[number], f'"exp_avg" {where}')


# -- saving, and going on


def saved(rank, seed, kind):
    groups = drawn_groups(seed)
    optimizer = sharded(groups, MAKERS[kind])
    steps(optimizer, flat(groups), seed, 2, absent=[5])
    optimizer.param_groups[1]["lr"] = 0.125
    return values(flat(groups)), optimizer.state_dict(), held(optimizer)


def saved_by_one(seed, kind):
    """The weights and the state that an optimizer has that is not sharded."""
    groups = drawn_groups(seed)
    optimizer = MAKERS[kind](groups)
    steps(optimizer, flat(groups), seed, 2, absent=[5])
    optimizer.param_groups[1]["lr"] = 0.125
    return values(flat(groups)), optimizer.state_dict()


@pytest.mark.parametrize("world, kind", [(2, "AdamW"), (4, "SGD")])
def test_state_dict(rng, world, kind):
    """It is what the optimizer that is not sharded would give: whole, by the same numbers, on all ranks."""
    seed = rng.randrange(1 << 30)
    _, right = saved_by_one(seed, kind)
    for rank, (_, got, count) in enumerate(ranks(world, saved, seed, kind)):
        where = f"on rank {rank} of {world}"
        check.equal(sorted(got["state"]), sorted(right["state"]), f"the numbers of parameters with a state {where}")
        for number, its in right["state"].items():
            check.equal(sorted(got["state"][number]), sorted(its), f"what the state of parameter {number} has {where}")
            for name, value in its.items():
                check.close(got["state"][number][name], value, f"{name!r} of parameter {number} {where}")
        check.equal(got["param_groups"], right["param_groups"], f'"param_groups" {where}')
        tensors = [each for its in got["state"].values() for each in its.values() if isinstance(each, torch.Tensor)]
        check.true(all(each.device.type == "cpu" for each in tensors), f"its tensors lie on the CPU {where}")
        if world == 2:  # parameter 5 is without state: of the group of 5 numbers, only the first two have one
            expected = 2 * [12 + 2 + 1, 11 + 0 + 1][rank]
            check.equal(count, expected, f"how many numbers there are in local.state {where} after that")


def gone_on(rank, seed, kind, weights, state):
    groups = drawn_groups(seed)
    params, optimizer = flat(groups), sharded(groups, MAKERS[kind])
    steps(optimizer, params, seed, 1)  # what is to be gone after loading
    with torch.no_grad():
        for p, value in zip(params, weights):
            p.copy_(value)
    before = copy.deepcopy(state)
    optimizer.load_state_dict(state)
    give_gradients(params, seed, absent=range(7))
    own = [held(optimizer), optimizer.param_groups[1]["lr"]]
    steps(optimizer, params, seed, 2, absent=[0, 5], first=2)
    kept = [
        torch.equal(value, before["state"][number][name])
        for number, its in state["state"].items()
        for name, value in its.items()
        if isinstance(value, torch.Tensor)
    ]
    return values(params), own, all(kept)


def expected_after(seed, kind):
    groups = drawn_groups(seed)
    optimizer = MAKERS[kind](groups)
    weights, state = saved_by_one(seed, kind)
    with torch.no_grad():
        for p, value in zip(flat(groups), weights):
            p.copy_(value)
    optimizer.load_state_dict(state)
    steps(optimizer, flat(groups), seed, 2, absent=[0, 5], first=2)
    return values(flat(groups))


@pytest.mark.parametrize("world, kind", [(2, "AdamW"), (3, "SGD")])
def test_go_on_from_one(rng, world, kind):
    """An optimizer that is sharded goes on from the state of one that is not, and each rank keeps its share of it."""
    seed = rng.randrange(1 << 30)
    weights, state = saved_by_one(seed, kind)
    results = ranks(world, gone_on, seed, kind, weights, state)
    check.equal([own[1] for _, own, _ in results], [0.125] * world, "the lr of the second group, on each rank")
    same([got for got, _, _ in results], expected_after(seed, kind), "two steps after loading")
    each = 2 if kind == "AdamW" else 1
    total = sum(own[0] for _, own, _ in results)
    why = "Parameter 5, of 3 numbers, had no state when it was saved; what it had before loading is gone."
    check.equal(total, each * 27, "how many numbers there are in local.state of all ranks after loading", why=why)
    most = max(own[0] for _, own, _ in results)
    limit = each * sum(share(count, 0, world) for count in (23, 5, 2))
    check.true(most <= limit, f"no rank has more than its share of the state, {limit} numbers", got=most)
    check.true(results[0][2], "the state that was loaded is not changed by the steps that follow")


def test_one_goes_on(rng):
    """An optimizer that is not sharded goes on from the state of one that was, through a file."""
    seed = rng.randrange(1 << 30)
    weights, state, _ = ranks(3, saved, seed, "AdamW")[1]
    groups = drawn_groups(seed)
    with torch.no_grad():
        for p, value in zip(flat(groups), weights):
            p.copy_(value)
    optimizer = MAKERS["AdamW"](groups)
    optimizer.load_state_dict(state)
    steps(optimizer, flat(groups), seed, 2, absent=[0, 5], first=2)
    same([values(flat(groups))], expected_after(seed, "AdamW"), "two steps after loading")


@pytest.mark.parametrize("before, after", [(2, 3), (4, 1)])
def test_another_number_of_ranks(rng, before, after):
    """Any number of ranks goes on from the state that another number has saved."""
    seed = rng.randrange(1 << 30)
    weights, state, _ = ranks(before, saved, seed, "AdamW")[-1]
    results = ranks(after, gone_on, seed, "AdamW", weights, state)
    what = f"two steps after loading what {before} ranks had"
    same([got for got, _, _ in results], expected_after(seed, "AdamW"), what)


def large(rank):
    params = [nn.Parameter(draw(n, n)) for n in (9000, 7000, 4000)]
    optimizer = sharded(params)
    steps(optimizer, params, 1, 1)
    with during("state"):
        optimizer.state_dict()
    return [(each.kind, each.bytes) for each in traffic() if each.during == "state" and each.kind != "recv"]


def test_state_in_portions():
    """For `state_dict`, the tensors of one name are put together at a time: no message has two of a rank's."""
    for rank, messages in enumerate(ranks(2, large)):
        what = f"no message of rank {rank} has more than its half of one of the two tensors, 40 000 bytes"
        check.true(all(count <= 42000 for _, count in messages), what, got=messages)


class Summing(torch.optim.Optimizer):
    """Adds up the gradients, in more digits than the parameters have."""

    def __init__(self, params):
        super().__init__(params, {"lr": 1.0})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for p in flat(self.param_groups):
            self.state[p] = {"sum": self.state[p].get("sum", 0.0) + p.grad.double() / 3, "name": "a sum"}


def wide(rank):
    p = nn.Parameter(torch.ones(1, 2))
    optimizer = sharded([p], Summing)
    p.grad = torch.tensor([[1.0, 2.0]])
    optimizer.step()
    return optimizer.state_dict()["state"][0]


def test_state_of_another_format():
    """A state may be in another format than the parameters, and keeps it; also where there are more ranks than numbers.

    What is no tensor is kept too.
    """
    for rank, state in enumerate(ranks(3, wide)):
        check.equal(sorted(state), ["name", "sum"], f"what the state has on rank {rank}")
        check.equal(state["name"], "a sum", f"a text in the state on rank {rank}")
        check.equal(str(state["sum"].dtype), "torch.float64", f"the format of a float64 state on rank {rank}")
        what = f"a third of the gradient [[1, 2]], in float64, on rank {rank}"
        check.close(state["sum"], [[1 / 3, 2 / 3]], what, rtol=1e-14, atol=0)


# -- what cannot be


def refused(rank):
    gaps = nn.Parameter(torch.ones(3, 4).T)
    check.raises(ValueError, zero.ShardedOptimizer, [gaps], MAKERS["SGD"], naming=[(4, 3)])
    mixed = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2).bfloat16())]
    check.raises(ValueError, zero.ShardedOptimizer, mixed, MAKERS["SGD"], naming=["bfloat16"])
    groups = drawn_groups(1)
    optimizer = sharded(groups)
    steps(optimizer, flat(groups), 1, 1)
    other = [{"params": [nn.Parameter(torch.ones(2)) for _ in range(count)]} for count in (4, 2, 2)]
    state = MAKERS["AdamW"](other).state_dict()
    check.raises(ValueError, optimizer.load_state_dict, state, naming=[[4, 2, 1], [4, 2, 2]])
    turned = [{"params": [nn.Parameter(draw(1, *shape[::-1])) for shape in its]} for its in SHAPES]
    plain = MAKERS["AdamW"](turned)
    steps(plain, flat(turned), 1, 1)
    check.raises(ValueError, optimizer.load_state_dict, plain.state_dict(), naming=[(4, 3), (3, 4)])
    return held(optimizer)


def test_refused():
    """Parameters with gaps or of several formats, and the state of other parameters, are ValueErrors."""
    check.equal(ranks(2, refused), [2 * (12 + 3 + 1), 2 * (11 + 2 + 1)], "the numbers in local.state after all that")
