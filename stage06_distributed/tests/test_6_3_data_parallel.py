"""6.3 · Data parallelism: all ranks have the mean of their gradients, which travel while backward goes on."""

import contextlib
import copy
import os
import time
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from bootcamp.grading import check, written
from bootcamp.grading.ranks import on_ranks, traffic

data_parallel = written("stage06_distributed.data_parallel")

FEW = 10  # numbers that may travel beside a bucket: which of its gradients are there
MANY = 20  # what a bucket holds at least where they are counted
MIB = 2**20
WITH_GAPS = "This one is a view of every second row of a larger table: its numbers do not lie one behind the other."
PATIENCE = 4.0  # seconds that one rank holds the other one up at most


def wrapped(model, **options):
    return data_parallel.DataParallel(model, **options)


def draw(seed, *shape):
    """Random numbers from N(0, 1), the same on all ranks."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sent(*sizes):
    """How many numbers each bucket had that has left so far; one of such a size and a few more counts as that size."""
    counts = [each.count for each in traffic() if each.kind == "all_reduce" and each.count >= MANY]
    return [next((size for size in sizes if size <= count < size + FEW), count) for count in counts]


def gradients(model):
    """The gradients as they are now, by the names of the parameters."""
    return {name: None if p.grad is None else p.grad.tolist() for name, p in model.named_parameters()}


def mean_of(model, losses):
    """What one process has that computes the losses of all ranks: the mean of their gradients."""
    model = copy.deepcopy(model)
    names, parameters = zip(*((name, p) for name, p in model.named_parameters() if p.requires_grad))
    each = [torch.autograd.grad(loss(model), parameters, allow_unused=True) for loss in losses]
    found: dict[str, Any] = {name: None for name, _ in model.named_parameters()}
    for name, its in zip(names, zip(*each)):
        if any(g is not None for g in its):
            found[name] = (torch.stack([g for g in its if g is not None]).sum(0) / len(losses)).tolist()
    return found


def hold(got, expected, title, **options):
    """Hold gradients, by name, to those that are expected."""
    for name, right in expected.items():
        if right is None or got[name] is None:
            check.equal(got[name], right, f"the gradient of {name} {title}")
        else:
            check.close(got[name], right, f"the gradient of {name} {title}", **options)


def hold_all(results, expected, title, **options):
    """Hold those of all ranks to the same ones."""
    for rank, got in enumerate(results):
        hold(got, expected, f"on rank {rank} of {len(results)}, {title}", **options)


class Mark(torch.autograd.Function):
    """Lets its input through, and calls something when backward comes by."""

    @staticmethod
    def forward(ctx: Any, x: Any, call: Any) -> Any:
        ctx.call = call
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        ctx.call()
        return *grads, None


class Tower(nn.Module):
    """Layers of 60, 50, 40 and 30 numbers on top of each other; below each but the first, backward calls something."""

    SIZES = ((10, 6), (10, 5), (8, 5), (6, 5))

    def __init__(self, call=lambda: None, upside_down=False, deep=4):
        super().__init__()
        weights = [nn.Parameter(torch.randn(shape) / 5) for shape in self.SIZES[:deep]]
        self.upside_down, self.call = upside_down, call
        self.weights = nn.ParameterList(weights[::-1] if upside_down else weights)

    def forward(self, x):
        for number, weight in enumerate(reversed(self.weights) if self.upside_down else self.weights):
            x = functional.linear(
                Mark.apply(x, self.call) if number else x, functional.pad(weight, (0, x.shape[-1] - weight.shape[1]))
            )
        return x


class Parts(nn.Module):
    """Four layers of 42 numbers side by side; a call uses some of them, and adds up what they give."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(5, 7) for _ in range(4)])
        self.below = nn.Linear(3, 5)

    def forward(self, x, used):
        return torch.stack([torch.tanh(self.parts[i](self.below(x))) for i in used]).sum(0)


# -- by hand


def by_hand(rank):
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(2.0)
    wrapped(model)(torch.tensor([[1.0], [3.0]][rank])).sum().backward()
    return gradients(model)["weight"]


def test_by_hand():
    """Two ranks have gradients of 1 and 3. After backward both have their mean, 2."""
    why = "Each rank takes 1/2 of its own and 1/2 of the other's, as if one process had seen the whole batch."
    for rank, got in enumerate(on_ranks(2, by_hand)):
        check.close(got, [[2.0]], f"the gradient on rank {rank}, where the two have 1 and 3", why=why)


def made(rank, with_buffers):
    """The weights of a model as it is drawn here, and after it is made a copy."""
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2), nn.Linear(2, 1))
    model[2].weight.requires_grad_(False)
    model.register_parameter("single", nn.Parameter(torch.randn(())))
    model.register_parameter("halves", nn.Parameter(torch.randn(3).bfloat16()))
    model.register_parameter("turned", nn.Parameter(torch.randn(2, 3).T))
    model.register_parameter("apart", nn.Parameter(torch.randn(4, 5)[::2, 1:4]))
    if with_buffers:
        model.register_buffer("running", torch.randn(2, 2))
        model.register_buffer("count", torch.tensor(rank + 5))
        model.register_buffer("mask", torch.tensor([rank == 0, rank == 1]))
        model.register_buffer("unsaved", torch.randn(3), persistent=False)

    def state():
        return {name: tensor.tolist() for name, tensor in [*model.named_parameters(), *model.named_buffers()]}

    before = state()
    wrapped(model)
    return before, state()


def test_weights_of_the_first_rank():
    """When they are made, all get the weights of the first rank, in whatever format, trained or not."""
    results = on_ranks(3, made, False)
    for rank, (_, after) in enumerate(results):
        for name, right in results[0][0].items():
            check.close(
                after[name],
                right,
                f"{name} of rank {rank}, after each rank drew its own",
                rtol=0,
                atol=0,
                why=WITH_GAPS if name == "apart" else "",
            )


def test_buffers_of_the_first_rank():
    """The buffers of the first rank too, such as running averages, counts and masks."""
    results = on_ranks(2, made, True)
    names = ["running", "count", "mask", "unsaved"]
    first = results[0][0]
    for name in names:
        check.equal(results[0][1][name], first[name], f"the buffer {name!r} of the first rank itself")
        check.equal(results[1][1][name], first[name], f"the buffer {name!r} of rank 1, which the first rank has so")


class Odd(nn.Module):
    """A model that is called in an unusual way."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x, *rest, scale=1.0, **options):
        return {"out": x * self.weight * scale, "rest": (rest, options)}


def called(rank):
    model = Odd()
    weight = model.weight
    parallel = wrapped(model)
    out = parallel(torch.tensor([1.0, 2.0]), "a", 7, scale=3.0, other=None)
    ours = [parallel.module is model, model.weight is weight, [p is weight for p in parallel.parameters()] == [True]]
    for wrong in (0.0, -1.0, float("nan")):
        check.raises(ValueError, data_parallel.DataParallel, model, bucket_mb=wrong, naming=[wrong])
    return out["out"].tolist(), out["rest"], ours, parallel.syncs


def test_is_called_like_the_model():
    """It takes what the model takes and gives what the model gives; the parameters stay the model's own."""
    for out, rest, ours, syncs in on_ranks(2, called):
        check.close(out, [3.0, 6.0], "[1, 2] · 1 · 3, from a model called with scale=3")
        check.equal(rest, (("a", 7), {"other": None}), "the other arguments that came to the model")
        check.equal(ours, [True, True, True], "whether module and its parameter are the ones that were given")
        check.equal(syncs, True, "syncs, outside no_sync")


# -- the mean


def language_model(seed):
    """A small one in which a weight is used twice and one is frozen."""
    torch.manual_seed(seed)
    model: Any = nn.Module()
    model.embed, model.norm = nn.Embedding(11, 6), nn.LayerNorm(6)
    model.mix, model.frozen = nn.Linear(6, 6), nn.Linear(6, 6).requires_grad_(False)
    return model


def loss_of(model, ids):
    h = model.frozen(model.embed(ids[:, :-1]))
    logits = functional.linear(model.norm(h + torch.tanh(model.mix(h))), model.embed.weight)
    return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


class WithLoss(nn.Module):
    """Gives the loss of a language model."""

    def __init__(self, seed):
        super().__init__()
        self.model = language_model(seed)

    def forward(self, ids):
        return loss_of(self.model, ids)


def whole_batch(rank, seed, bucket_mb, world):
    model = WithLoss(seed)
    ids = torch.randint(11, (2 * world, 7), generator=torch.Generator().manual_seed(seed))
    expected = mean_of(model, [lambda model: model(ids)])
    parallel = wrapped(model, bucket_mb=bucket_mb)
    parallel(ids[2 * rank : 2 * rank + 2]).backward()
    return gradients(model), expected


@pytest.mark.parametrize("world, bucket_mb", [(1, 1.0), (2, 1.0), (3, 150 / MIB), (4, 1 / MIB)])
def test_as_one_process(rng, world, bucket_mb):
    """Each rank has the gradients of one process on the whole batch; what is frozen has none."""
    results = on_ranks(world, whole_batch, rng.randrange(1 << 30), bucket_mb, world)
    hold_all([got for got, _ in results], results[0][1], "where one process has seen all rows")


def formats(rank, world):
    model = nn.Module()
    given = {  # by name, the gradients of this rank: numbers that sums in a half format do not survive
        "large one": torch.full((2,), 40000.0, dtype=torch.float16),
        "tiny one": torch.full((2,), 2.0**-24, dtype=torch.float16),
        "digits of bfloat16": torch.tensor(
            [256.0 if i % world == rank else 1.0 for i in range(9)], dtype=torch.bfloat16
        ),
        "digits of float64": torch.full((3,), 1 + 2.0**-40, dtype=torch.float64),
        "plain one": torch.full((2, 2), float(rank)),
    }
    for name, gradient in given.items():
        model.register_parameter(name, nn.Parameter(torch.ones_like(gradient)))
    model.forward = lambda: sum((p * given[name]).double().sum() for name, p in model.named_parameters())
    wrapped(model)().backward()
    found: list[tuple[str, Any]] = [(name, p.grad) for name, p in model.named_parameters()]
    return {name: None if its is None else (str(its.dtype), its.double().tolist()) for name, its in found}


def test_formats():
    """A gradient keeps its format; the sum of half formats is taken in float32."""
    expected = {
        "large one": ("torch.float16", [40000.0] * 2, "120000, the sum, is more than float16 can hold."),
        "tiny one": ("torch.float16", [2.0**-24] * 2, "A third of it is less than float16 can hold."),
        "digits of bfloat16": ("torch.bfloat16", [86.0] * 9, "256 + 1 is 256 in bfloat16."),
        "digits of float64": ("torch.float64", [1 + 2.0**-40] * 3, "float32 does not have its digits."),
        "plain one": ("torch.float32", [[1.0, 1.0]] * 2, ""),
    }
    for rank, got in enumerate(on_ranks(3, formats, 3)):
        for name, (dtype, right, why) in expected.items():
            check.true(got[name] is not None, f"the parameter {name!r} has a gradient on rank {rank}")
            check.equal(got[name][0], dtype, f"the format of the gradient {name!r} on rank {rank}")
            title = f"the mean of three gradients ({name!r}) in {dtype}, on rank {rank}"
            check.close(
                got[name][1], right, title, rtol=1e-14 if name == "digits of float64" else 1e-6, atol=0, why=why
            )


def in_a_group(rank):
    """Ranks 1 and 2 of three are a group."""
    group = torch.distributed.new_group([1, 2])
    if rank == 0:
        return None
    model = nn.Linear(2, 1, bias=False)
    before = model.weight.tolist()
    wrapped(model, group=group)(torch.tensor([float(rank), 10.0])).sum().backward()
    targets = data_parallel.share_of(3 * rank, group=group)
    return before, model.weight.tolist(), gradients(model)["weight"], targets


def test_a_group_of_some():
    """With group=, its ranks agree among themselves: on the weights of its first rank, and on the mean."""
    _, *results = on_ranks(3, in_a_group)
    for rank, (_, weight, gradient, _) in enumerate(results, 1):
        check.close(weight, results[0][0], f"the weight of rank {rank}, where the group is ranks 1 and 2", atol=0)
        check.close(gradient, [[1.5, 10.0]], f"the mean of the gradients [1, 10] and [2, 10], on rank {rank}")
    for rank, (*_, share) in enumerate(results, 1):
        check.close(share, 2 * rank / 3, f"share_of({3 * rank}, group) on rank {rank}; the other has {9 - 3 * rank}")


# -- buckets


BUCKETS = {  # by their limit in bytes, what comes of layers of 60, 50, 40 and 30 numbers
    1: [30, 40, 50, 60],
    4 * 70: [70, 50, 60],
    4 * 119: [70, 110],
    4 * 180: [180],
}


def messages(rank, seed):
    found = {}
    for limit in BUCKETS:
        begin = len(sent())
        torch.manual_seed(seed)
        wrapped(Tower(), bucket_mb=limit / MIB)(draw(seed + rank, 2, 6)).sum().backward()
        found[limit] = sent(*BUCKETS[limit])[begin:]
    return found


def test_a_message_for_each_bucket(rng):
    """The gradients of a bucket travel in one message, and buckets go in their order, from the last layer down."""
    for rank, got in enumerate(on_ranks(2, messages, rng.randrange(1 << 30))):
        for limit, right in BUCKETS.items():
            title = f"how many numbers rank {rank} gave to each all_reduce, for layers of 60, 50, 40 and 30 numbers, "
            check.equal(got[limit], right, f"{title}with buckets of {limit} bytes")


def on_the_way(rank, seed, upside_down):
    """How many buckets have left when backward comes by, below each layer, and all that have left at last."""
    notes = []
    torch.manual_seed(seed)
    model = Tower(lambda: notes.append(len(sent())), upside_down)
    parallel = wrapped(model, bucket_mb=1 / MIB)
    for step in range(2):
        parallel(draw(seed + rank + step, 2, 6)).sum().backward()
    return notes[:3], [count - 4 for count in notes[3:]], sent(30, 40, 50, 60)


def test_buckets_leave_on_the_way(rng):
    """A bucket leaves as soon as backward has come through it, long before backward ends, in each step."""
    why = "What has to be sent at the end, everybody waits for. Send in a hook: register_post_accumulate_grad_hook."
    for rank, (first, second, _) in enumerate(on_ranks(2, on_the_way, rng.randrange(1 << 30), False)):
        for step, got in enumerate((first, second)):
            title = f"how many of 4 buckets had left rank {rank} when backward was below layer 4, 3 and 2, step {step}"
            check.equal(got, [1, 2, 3], title, why=why)


def test_buckets_leave_in_their_order(rng):
    """Buckets leave in their order even if backward comes to them in another one."""
    why = "Which one is ready first may differ from rank to rank: the n-th message has to be the n-th bucket on all."
    for rank, (_, _, counts) in enumerate(on_ranks(2, on_the_way, rng.randrange(1 << 30), True)):
        title = f"the sizes of the buckets in the order in which they left rank {rank}; those of 60 numbers are the "
        check.equal(
            counts, [60, 50, 40, 30] * 2, title + "last of the model, and the last that backward comes to", why=why
        )


def held_up(rank, folder):
    """Rank 1 sends nothing before rank 0 is through with one layer; say whether it had to wait in vain."""
    place = os.path.join(folder, "rank 0 was here")
    calls, seen = [], []

    def call():
        calls.append(rank)
        if rank == 0 and len(calls) == 2:
            open(place, "w").close()
        if rank == 1 and len(calls) == 1:
            until = time.monotonic() + PATIENCE
            while not os.path.exists(place) and time.monotonic() < until:
                time.sleep(0.002)
            seen.append(os.path.exists(place))

    torch.manual_seed(0)
    parallel = wrapped(Tower(call, deep=3), bucket_mb=1 / MIB)
    Mark.apply(parallel(torch.ones(1, 6)), call).sum().backward()
    return seen


def test_backward_goes_on(tmp_path):
    """While a bucket travels, backward goes on: it does not wait for the other ranks."""
    _, seen = on_ranks(2, held_up, str(tmp_path))
    why = "all_reduce returns when the sum has arrived; with async_op=True at once, and what it returns can wait later."
    check.equal(seen, [True], "whether rank 0 goes on to the next layer before rank 1 has sent anything", why=why)


def late(rank):
    if rank == 1:
        time.sleep(0.15)
    model = nn.Linear(3, 1)
    wrapped(model, bucket_mb=1 / MIB)(torch.full((1, 3), 1.0 + 2 * rank)).sum().backward()
    return gradients(model)


def test_all_have_arrived():
    """When backward returns the mean is there, even if another rank is late."""
    for rank, got in enumerate(on_ranks(2, late)):
        check.close(got["weight"], [[2.0] * 3], f"the gradient of rank {rank} as backward returns; rank 1 comes late")


# -- what is not used


def with_parts(rank, seed, used, bucket_mb, calls):
    """Gradients after some steps, each with other parts of the model, and those of one process."""
    torch.manual_seed(seed)
    model = Parts()
    parallel = wrapped(model, bucket_mb=bucket_mb)
    found = []
    for step in range(calls):
        xs = [draw(seed + 10 * step + other, 3, 3) for other in range(len(used[step]))]
        expected = mean_of(
            model, [lambda model, x=x, its=its: model(x, its).square().sum() for x, its in zip(xs, used[step])]
        )
        model.zero_grad()
        parallel(xs[rank], used[step][rank]).square().sum().backward()
        found.append((gradients(model), expected))
    return found


@pytest.mark.parametrize("bucket_mb", [1.0, 1 / MIB])
def test_ranks_use_different_parts(rng, bucket_mb):
    """What one rank does not use has a gradient of zeros there, and gets the mean: the same on all ranks."""
    used = [[[0, 1], [1, 3]], [[3], [0, 1, 2]]]
    results = on_ranks(2, with_parts, rng.randrange(1 << 30), used, bucket_mb, 2)
    for step, each in enumerate(used):
        expected = results[0][step][1]
        hold_all([got[step][0] for got in results], expected, f"in step {step}, where the ranks use the parts {each}")


def test_what_no_rank_uses(rng):
    """What no rank uses has no gradient, and may have one in the next step."""
    used = [[[0], [0]], [[0, 2], [2]], [[1], [3]]]
    results = on_ranks(2, with_parts, rng.randrange(1 << 30), used, 1.0, 3)
    for step, each in enumerate(used):
        expected = results[0][step][1]
        hold_all([got[step][0] for got in results], expected, f"in step {step}, where the ranks use the parts {each}")


# -- several batches


def accumulated(rank, seed, where):
    """Gradients and messages of two batches; `where` says for each forward and backward if it is within no_sync."""
    torch.manual_seed(seed)
    model = nn.Linear(5, 9)
    parallel = wrapped(model)
    xs = [[draw(seed + 3 * batch + other, 2, 5) for batch in range(2)] for other in range(2)]

    def loss(model, its):
        return torch.tanh(model(its)).sum()

    alone = mean_of(model, [lambda model: loss(model, xs[rank][0])])
    whole = mean_of(model, [lambda model, its=its: loss(model, its[0]) + loss(model, its[1]) for its in xs])
    begin, counts, found = len(traffic()), [], []
    for x, (forward, backward) in zip(xs[rank], where):
        with parallel.no_sync() if forward else contextlib.nullcontext():
            out = loss(parallel, x)
        with parallel.no_sync() if backward else contextlib.nullcontext():
            out.backward()
        counts.append(len(traffic()) - begin)
        found.append(gradients(model))
    return counts, found, alone, whole


def hold_accumulated(rng, where, what):
    results = on_ranks(2, accumulated, rng.randrange(1 << 30), where)
    for rank, (counts, _, _, _) in enumerate(results):
        check.equal(counts[0], 0, f"how many messages rank {rank} sends for the first of two batches, {what}")
    for rank, (_, found, alone, _) in enumerate(results):
        hold(found[0], alone, f"of rank {rank} alone, after the first of two batches, {what}")
    hold_all([found[1] for _, found, _, _ in results], results[0][3], f"after both of two batches, {what}")


def test_accumulation(rng):
    """Within no_sync nothing is sent, and gradients add up; the next backward ends with the mean of the sums."""
    hold_accumulated(rng, [(True, True), (False, False)], "the first within no_sync")


def test_where_backward_runs(rng):
    """What counts is where backward runs, wherever forward ran."""
    hold_accumulated(rng, [(False, True), (True, False)], "backward of the first and forward of the second in no_sync")


def used_before(rank):
    """Rank 0 uses the first weight in a batch within no_sync, and nobody in the last batch."""
    model = nn.ParameterList([torch.ones(2), torch.ones(3), torch.ones(4)])
    parallel = wrapped(model)
    regions = []
    try:
        with parallel.no_sync():
            with parallel.no_sync():
                regions.append(parallel.syncs)
            regions.append(parallel.syncs)
            if rank == 0:
                (2 * model[0]).sum().backward()
            raise KeyError
    except KeyError:
        regions.append(parallel.syncs)
    (6 * model[1 + rank]).sum().backward()
    return gradients(model), regions


def test_used_in_an_earlier_batch():
    """What was used within no_sync, on one rank only, is in the mean though the last backward does not come to it."""
    expected = {"0": [1.0] * 2, "1": [3.0] * 3, "2": [3.0] * 4}
    for rank, (got, regions) in enumerate(on_ranks(2, used_before)):
        check.equal(regions, [False, False, True], "syncs in an inner no_sync, behind it, and behind the outer one")
        hold(
            got, expected, f"on rank {rank}: rank 0 has 2 from a batch before, and 6 for one weight, rank 1 for another"
        )


class Story(nn.Module):
    """A model with all of it: a weight used twice, one frozen, one never used, and parts that some batches use."""

    def __init__(self, seed):
        super().__init__()
        self.model = language_model(seed)
        self.parts = nn.ModuleList([nn.Linear(6, 6, dtype=kind) for kind in (torch.float32, torch.float64) * 2])
        self.never = nn.ParameterList([torch.ones(3)])

    def forward(self, ids, used):
        model = self.model
        h = model.frozen(model.embed(ids[:, :-1]))
        for part in (self.parts[i] for i in used):
            h = h + checkpoint(torch.tanh, part(h.to(part.weight.dtype)), use_reentrant=False).float()
        h = h + checkpoint(model.mix, h, use_reentrant=False)
        logits = functional.linear(model.norm(h), model.embed.weight)
        return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def trained(rank, seed, parallel, batches):
    """Losses and gradients of some steps, of several batches each, whose ranks use parts as they are drawn."""
    optimizer = torch.optim.SGD([p for p in parallel.parameters() if p.requires_grad], lr=0.5, momentum=0.9)
    generator = torch.Generator().manual_seed(seed + 100 * rank)
    losses, found = [], []
    for _ in range(4):
        optimizer.zero_grad()
        for batch in range(batches):
            ids = torch.randint(11, (2 + rank, 5), generator=generator)
            used = torch.randperm(4, generator=generator)[: 1 + rank].tolist()
            with contextlib.nullcontext() if batch == batches - 1 else parallel.no_sync():
                loss = parallel(ids, used)
                loss.backward()
            losses.append(loss.item())
        found.append(gradients(parallel.module))
        optimizer.step()
    return losses, found


def beside_torch(rank, seed, batches):
    mine, theirs = Story(seed + rank), Story(seed + rank)
    torchs = nn.parallel.DistributedDataParallel(theirs, bucket_cap_mb=300 / MIB, find_unused_parameters=True)
    right = trained(rank, seed, torchs, batches)
    return trained(rank, seed, wrapped(mine, bucket_mb=300 / MIB), batches), right


@pytest.mark.parametrize("batches", [1, 3])
def test_as_torch_does(rng, batches):
    """Step by step, losses and gradients are those of torch's own DistributedDataParallel."""
    results = on_ranks(2, beside_torch, rng.randrange(1 << 30), batches)
    for rank, ((losses, found), (their_losses, theirs)) in enumerate(results):
        check.close(losses[0], their_losses[0], f"the first loss of rank {rank}, as torch's", rtol=1e-4)
        for step, (got, right) in enumerate(zip(found, theirs)):
            hold(got, right, f"on rank {rank} in step {step}, and with DistributedDataParallel", rtol=1e-4, atol=1e-5)
        check.close(losses, their_losses, f"the losses of rank {rank}, as torch's", rtol=1e-4)


# -- ranks with unequal numbers of targets


def share(rank, counts):
    got = data_parallel.share_of(counts[rank])
    check.true(isinstance(got, int | float), "a share is a plain number", got=got)
    return got


@pytest.mark.parametrize(
    "counts, expected",
    [((3, 1), (1.5, 0.5)), ((0, 4), (0.0, 2.0)), ((2, 5, 1), (0.75, 1.875, 0.375)), ((7,), (1.0,))],
    ids=str,
)
def test_share_of(counts, expected):
    """The share of a rank is its part of all targets, times W: with 3 and 1 targets, 3 · 2/4 and 1 · 2/4."""
    for rank, got in enumerate(on_ranks(len(counts), share, counts)):
        check.close(got, expected[rank], f"share_of({counts[rank]}) on rank {rank}, where the ranks have {counts}")


def test_share_of_many():
    """Large counts are added up exactly."""
    counts = (2**24 + 1, 2)
    for rank, got in enumerate(on_ranks(2, share, counts)):
        check.close(got, counts[rank] * 2 / (2**24 + 3), f"share_of({counts[rank]}), of {counts}", rtol=1e-10, atol=0)


def nothing(rank):
    check.equal(data_parallel.share_of(5), 1.0, "share_of(5) where both ranks have 5")
    check.raises(ValueError, data_parallel.share_of, 0)


def test_no_targets_at_all():
    """If no rank has a target, that is a ValueError, on all ranks."""
    on_ranks(2, nothing)


def weighed(rank, seed, counts):
    """Gradients of a step in which ranks have texts of unequal length, and those of one process on all."""
    model = language_model(seed)
    rows = [
        torch.randint(11, (1, count + 1), generator=torch.Generator().manual_seed(seed + i))
        for i, count in enumerate(counts)
    ]
    targets = sum(counts)
    expected = mean_of(
        model,
        [lambda model: sum(loss_of(model, ids) * count / targets for ids, count in zip(rows, counts) if count)],
    )
    model.forward = lambda ids: loss_of(model, ids) if ids.shape[1] > 1 else model.embed(ids).sum()
    parallel = wrapped(model)
    (parallel(rows[rank]) * data_parallel.share_of(counts[rank])).backward()
    return gradients(model), expected


@pytest.mark.parametrize("counts", [(3, 1), (0, 4)], ids=str)
def test_mean_over_all_targets(rng, counts):
    """With shares, the gradient is that of the mean over all targets, not over the means of ranks."""
    results = on_ranks(2, weighed, rng.randrange(1 << 30), counts)
    hold_all([got for got, _ in results], results[0][1], f"and of one process, where the ranks have {counts} targets")
