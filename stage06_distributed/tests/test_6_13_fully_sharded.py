"""6.13 · Fully sharded: each rank keeps its part of the weights, and has all of a unit only while it works with it."""

import copy
import gc
from functools import partial
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from bootcamp.grading import check, written
from bootcamp.grading.ranks import during, on_ranks, traffic

fully_sharded = written("stage06_distributed.fully_sharded")
stage04 = written("stage04_block")
config = written("stage04_block.config")

AS_ONE = "All ranks together do what one process does that has the whole model and all of the batch."
L = 4  # blocks of a Stack
C, F = 24, 49  # what goes into one of its blocks, and the width within
BLOCK = 2 * C * F + C + F  # numbers in a block
REST = 6 * C + C + C * 3 + 3  # numbers in what is around the blocks


def ranks(world, body, *args):
    """Run it on ranks that need not import the graded code each for itself."""
    assert fully_sharded.FullyShardedModule and stage04.GPT
    return on_ranks(world, body, *args)


def sharded(model, units, **options):
    return fully_sharded.FullyShardedModule(model, units, **options)


def draw(seed, *shape):
    """Random numbers from N(0, 1), the same on all ranks for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def share(count, rank, world):
    """How many of these numbers a rank has: ⌈count / world⌉ for each, until there are none left."""
    size = -(-count // world)
    return max(0, min(size, count - rank * size))


class Block(nn.Module):
    """Adds something to what comes."""

    up: Any
    down: Any

    def __init__(self, d=C, hidden=F):
        super().__init__()
        self.up, self.down = nn.Linear(d, hidden), nn.Linear(hidden, d)

    def forward(self, x):
        return x + self.down(torch.tanh(self.up(x)))


class Stack(nn.Module):
    """Blocks, and something before and behind them."""

    blocks: Any

    def __init__(self, seed, d=C, hidden=F, count=L):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(6, d)
        self.blocks = nn.ModuleList(Block(d, hidden) for _ in range(count))
        self.last = nn.Linear(d, 3)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def small(seed):
    return Stack(seed, 4, 5, 2)


def same_state(got, right, where, **options):
    """Hold what `full_state_dict` gave to the `state_dict` of the model on one process."""
    check.equal(list(got), list(right), f"the names in full_state_dict() {where}")
    for name, its in right.items():
        check.close(got[name], its.detach(), f"{name} in full_state_dict() {where}", why=AS_ONE, **options)


# -- by hand


def by_hand(rank):
    line = nn.Linear(2, 1)
    with torch.no_grad():
        line.weight.copy_(torch.tensor([[1.0, 2.0]]) + 100 * rank)
        line.bias.fill_(3.0 + 100 * rank)
    model = sharded(nn.Sequential(line), [line])
    (chunk,) = model.parameters()
    before = chunk.tolist()
    out = model(torch.tensor([[[1.0, 1.0]], [[3.0, 5.0]]][rank]))
    out.sum().backward()
    gradient = None if chunk.grad is None else chunk.grad.tolist()
    torch.optim.SGD(model.parameters(), lr=0.5).step()
    return before, out.tolist(), gradient, {name: its.tolist() for name, its in model.full_state_dict().items()}


def test_by_hand():
    """A weight [1, 2] and a bias 3 are three numbers: rank 0 keeps and steps two of them, rank 1 one."""
    for rank, (chunk, out, gradient, state) in enumerate(ranks(2, by_hand)):
        what = f"what rank {rank} keeps of the weight [[1, 2]] and the bias [3]"
        check.equal(chunk, [[1.0, 2.0], [3.0]][rank], what, why="Three numbers in a row, cut behind ⌈3 / 2⌉ = 2.")
        what = f"what rank {rank} computes of {['[1, 1]', '[3, 5]'][rank]}: 1 · x + 2 · y + 3"
        check.close(out, [[[6.0]], [[16.0]]][rank], what, why="Before forward, all three numbers are gathered.")
        why = "The gradients are [1, 1, 1] on rank 0 and [3, 5, 1] on rank 1. Their mean, [2, 3, 1], is cut behind 2."
        check.close(gradient, [[2.0, 3.0], [1.0]][rank], f"the gradient of the chunk of rank {rank}", why=why)
        what = f"full_state_dict() on rank {rank} after a step of SGD with lr 0.5"
        check.close(state["0.weight"], [[0.0, 0.5]], f'"0.weight" in {what}')
        check.close(state["0.bias"], [2.5], f'"0.bias" in {what}')


# -- as one process


def gpt(seed, **options):
    sizes = config.GPTConfig(vocab_size=11, context_length=6, d_model=8, n_layers=2, n_heads=2, **options)
    return stage04.GPT(sizes, torch.Generator().manual_seed(seed))


TIED, T5 = "GPT with a tied table", "GPT whose blocks share T5's table"
MODELS = {
    TIED: partial(gpt),
    T5: partial(gpt, position="t5", tie_weights=False, norm="rms"),
}


def batch(seed, step):
    """Five texts, of which some targets do not count."""
    ids = torch.randint(11, (5, 7), generator=torch.Generator().manual_seed(seed + step))
    targets = ids[:, 1:].clone()
    targets[0, 2:] = -100
    return ids[:, :-1], targets


def summed(model, ids, targets):
    logits = model(ids)
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum")


OPTIMIZERS = {
    "AdamW": lambda params: torch.optim.AdamW(params, lr=0.01, eps=1e-3, weight_decay=0.1),
    "SGD": lambda params: torch.optim.SGD(params, lr=0.3, momentum=0.9),
}


def trained(rank, world, kind, seed, name):
    """Train on this rank's texts, of which the last rank has all that are left when each other has had one."""
    model = MODELS[kind](seed + rank)
    model = sharded(model, model.blocks)
    optimizer, found = OPTIMIZERS[name](model.parameters()), []
    bounds = [0, *range(1, world), 5]
    for step in range(3):
        ids, targets = (each[bounds[rank] : bounds[rank + 1]] for each in batch(seed, step))
        if world == 3 and rank == 1:  # it has nothing to read, and what it reads does not count
            targets = torch.full_like(targets, -100)
        counts = torch.tensor([(targets != -100).sum().item()])
        dist.all_reduce(counts)
        loss = summed(model, ids, targets) * (world / counts.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        total = loss.detach().clone()
        dist.all_reduce(total)
        found.append((total.item() / world, model.full_state_dict()))
    return found


@pytest.mark.parametrize("world, kind, name", [(2, TIED, "AdamW"), (3, T5, "SGD"), (1, TIED, "SGD")])
def test_as_one_process(rng, world, kind, name):
    """Losses and weights are step by step those of one process, though ranks have texts of unequal length."""
    seed = rng.randrange(1 << 30)
    model = MODELS[kind](seed)
    optimizer, expected = OPTIMIZERS[name](model.parameters()), []
    for step in range(3):
        ids, targets = batch(seed, step)
        if world == 3:
            targets[1] = -100
        loss = summed(model, ids, targets) / (targets != -100).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        expected.append((loss.item(), copy.deepcopy(model.state_dict())))
    for rank, found in enumerate(ranks(world, trained, world, kind, seed, name)):
        for step, ((loss, state), (right, its)) in enumerate(zip(found, expected)):
            check.close(loss, right, f"the loss of step {step} of {kind}, over all {world} ranks", why=AS_ONE)
            same_state(state, its, f"on rank {rank} of {world} after step {step} of {kind}, {name}", atol=1e-5)


# -- what each rank has


class Living(TorchDispatchMode):
    """Knows of all memory of tensors that was taken within it how much has not been given back."""

    def __init__(self):
        super().__init__()
        self.known = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for each in tree_leaves(out):
            if isinstance(each, torch.Tensor) and each.device.type == "cpu":
                storage = each.untyped_storage()
                self.known[storage._cdata] = StorageWeakRef(storage)
        return out

    def numbers(self):
        """How many numbers of four bytes live now."""
        found = {key: torch.UntypedStorage._new_with_weak_ptr(each.cdata) for key, each in self.known.items()}
        self.known = {key: each for key, each in self.known.items() if found[key] is not None}
        return sum(each.nbytes() // 4 for each in found.values() if each is not None)


def watched(rank):
    """How many numbers live, at each moment of a few steps."""
    found = {}
    with Living() as living:
        model = Stack(rank)
        blocks = list(model.blocks)
        model = sharded(model, blocks)
        gc.collect()
        found["made"] = living.numbers()
        moments = []

        def back(number, gradient):
            moments.append(("backward", number, living.numbers()))

        def within(number, module, args, out):
            moments.append(("forward", number, living.numbers()))
            if out.requires_grad:
                out.register_hook(partial(back, number))

        for number, block in enumerate(blocks):
            block.down.register_forward_hook(partial(within, number))
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        loss = torch.zeros(())
        for _ in range(2):
            moments.clear()
            loss = model(torch.ones(1, 6)).sum()
            found["forward"] = living.numbers()
            loss.backward()
            found["backward"] = living.numbers()
            optimizer.step()
            optimizer.zero_grad()
            found["step"] = living.numbers()
        del loss
        found["moments"] = list(moments)
        moments.clear()
        with torch.no_grad():
            out = model(torch.ones(1, 6))
        found["reading"], found["read"] = list(moments), living.numbers()
        del out
    sizes = [p.numel() for p in model.parameters()], [chunk.numel() for chunk in model.chunks]
    states = [sum(each.numel() for each in its.values() if each.dim()) for its in optimizer.state.values()]
    left = [tuple(p.shape) for p in model.module.parameters()]
    return found, sizes, states, left


def test_memory():
    """A rank holds 1 / W of weights, gradients and optimizer state, and all of one block and the rest at a time.

    What lives is asked of memory itself, within each block and between the steps.
    """
    world, some = 3, BLOCK // 2  # for activations and whatever else there is
    for rank, (found, sizes, states, left) in enumerate(ranks(world, watched)):
        own = [share(n, rank, world) for n in [BLOCK] * L + [REST]]
        where = f"on rank {rank} of {world}"
        each = f"{L} blocks of {BLOCK} numbers, and the rest of {REST}"
        check.equal(sizes[0], own, f"how many numbers each of parameters() has {where}: {each}")
        check.equal(sizes[1], own, f"how many numbers each of chunks has {where}: {each}")
        check.equal(states, [2 * n for n in own], f"how many numbers the state of AdamW has for each {where}")
        check.equal(left, [], f"the parameters that the model within still has {where}")
        mine = sum(own)
        why = f"{where}, of {L} blocks of {BLOCK} numbers and {REST} around them; {mine} of them are its own"

        def limit(what, got, most, where=where, why=why):
            check.true(
                got <= most + some, f"{what}, about {most} numbers live {where}", got=got, why=f"So it is {why}."
            )

        limit("when it is made", found["made"], mine)
        for kind, number, got in found["moments"]:
            # Before, there are the chunks and AdamW's state; in backward, gradients of the blocks behind.
            most = 3 * mine + BLOCK + REST
            if kind == "backward":
                most += REST + (L - 1 - number) * share(BLOCK, rank, world)
            limit(f"in {kind} within block {number}, with AdamW's state", got, most)
        limit("between forward and backward, with AdamW's state", found["forward"], 3 * mine + REST)
        limit("behind backward, with AdamW's state", found["backward"], 4 * mine)
        limit("behind a step, with AdamW's state", found["step"], 3 * mine)
        for _, number, got in found["reading"]:
            limit(f"without gradients within block {number}, with AdamW's state", got, 3 * mine + BLOCK + REST)
        check.true(
            found["read"] <= 3 * mine + REST // 2,
            f"behind a forward without gradients, nothing that was gathered lives {where}",
            got=found["read"] - 3 * mine,
            why="No backward is to come, so nobody will need the rest either.",
        )


class Around(nn.Module):
    """A Stack whose blocks are each called by a checkpoint."""

    def __init__(self, stack):
        super().__init__()
        self.stack, self.blocks = stack, stack.blocks

    def forward(self, x):
        x = self.stack.first(x)
        with set_checkpoint_early_stop(False):  # all of a block's forward runs again, to its end
            for block in self.blocks:
                x = checkpoint(block, x, use_reentrant=False)
        return self.stack.last(x)


def counted(rank, kinds):
    """How many numbers are in each message, in parts of a step; and the gradients. With checkpoints of these kinds."""
    results = []
    for kind in kinds:
        model = Stack(1)
        if kind == "within":
            for block in model.blocks:
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        model = Around(model) if kind == "around" else model
        model = sharded(model, list(model.blocks))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        start, gradient = 0, []
        for _ in range(2):
            optimizer.zero_grad()
            start = len(traffic())
            with during("forward"):
                loss = model(torch.ones(2, 6)).square().sum()
            with during("backward"):
                loss.backward()
            gradient = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
            with during("step"):
                optimizer.step()
        with during("reading"), torch.no_grad():
            model(torch.ones(2, 6))
        messages = [each for each in traffic()[start:] if each.kind != "recv"]
        parts = {when: [] for when in ("forward", "backward", "step", "reading")}
        for each in messages:
            parts[each.during].append(each.count)
        results.append(({when: sorted(its) for when, its in parts.items()}, gradient))
    return results


def test_messages():
    """For each block two all-gathers and one reduce-scatter, of its numbers, and for the rest one less."""
    world = 3
    for rank, ((found, _),) in enumerate(ranks(world, counted, [""])):
        shares, rest = ([share(n, each, world) for each in range(world)] for n in (BLOCK, REST))
        right = (rank + 1) % world

        def all_but(counts, place):
            return [n for each, n in enumerate(counts) if each != place]

        # A chunk goes round until it comes to the one before its owner; a sum, until it comes to its owner.
        gathers, scatters = all_but(shares, right), all_but(shares, rank)
        where = f"on rank {rank} of {world}: {L} blocks of {BLOCK} numbers, and {REST} around them"
        forward = sorted(L * gathers + all_but(rest, right))
        check.equal(found["forward"], forward, f"the sizes of messages in forward, {where}")
        backward = sorted(L * (gathers + scatters) + all_but(rest, rank))
        why = "Each block is gathered once more, and its gradients are cut apart. The rest is still there."
        check.equal(found["backward"], backward, f"the sizes of messages in backward, {where}", why=why)
        check.equal(found["step"], [], f"the sizes of messages in the step of the optimizer, {where}")
        what = f"the sizes of messages in a forward without gradients, {where}"
        check.equal(found["reading"], forward, what)


def test_checkpoint():
    """A checkpoint may be within blocks, or around them. The weights are there when they run again."""
    for rank, (plain, *others) in enumerate(ranks(2, counted, ["", "within", "around"])):
        for kind, (found, gradient) in zip(("within", "around"), others):
            where = f"on rank {rank} with a checkpoint {kind} each block"
            for number, (its, right) in enumerate(zip(gradient, plain[1])):
                check.close(its, right, f"the gradient of chunk {number} {where}", rtol=1e-4, atol=1e-4)
            why = "What a checkpoint runs again finds the weights that backward has gathered."
            for when in ("forward", "backward"):
                check.equal(found[when], plain[0][when], f"the sizes of messages in {when} {where}", why=why)


# -- gradients


def whole_gradients(model, sharded_model):
    """The gradients of the model's parameters, by name, as the chunks of all ranks have them; None where none has."""
    kept = [chunk.detach().clone() for chunk in sharded_model.chunks]
    missing = [chunk.grad is None for chunk in sharded_model.chunks]
    with torch.no_grad():
        for chunk in sharded_model.chunks:
            chunk.copy_(torch.full_like(chunk, torch.nan) if chunk.grad is None else chunk.grad)
        found = sharded_model.full_state_dict()
        for chunk, its in zip(sharded_model.chunks, kept):
            chunk.copy_(its)
    return {name: its.tolist() for name, its in found.items()}, missing


def expected_gradients(model):
    """Those of one process, by name."""
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in model.named_parameters()}


def hold(results, right, what, **options):
    for got in results:
        for name, its in right.items():
            check.close(got[name], its, f"the gradient of {name}, by the chunks of all ranks, {what}", **options)


def several(rank, seed):
    """Gradients of two backwards, of two forwards before one backward, and behind forwards that led nowhere."""
    found = []
    for way in ("backward, backward", "forward, forward", "astray"):
        model = small(seed)
        model = sharded(model, model.blocks)
        xs = [draw(seed + n, 4, 6)[2 * rank : 2 * rank + 2] for n in range(2)]
        if way == "backward, backward":
            for x in xs:
                model(x).square().mean().backward()
        elif way == "forward, forward":
            first = model(xs[0]).square()
            (first.mean() + model(xs[1]).square().mean()).backward()
        else:
            model(xs[0])
            loss = model(xs[0]).square().mean()
            with torch.no_grad():
                model(xs[1])
            loss.backward()
            model(xs[0])
            model(xs[1]).square().mean().backward()
        found.append(whole_gradients(model.module, model)[0])
    return found


def test_several_backwards(rng):
    """Backwards add up; forwards may come before others are through, or lead nowhere."""
    seed = rng.randrange(1 << 30)
    model = small(seed)
    for n in range(2):
        model(draw(seed + n, 4, 6)).square().mean().backward()
    right = expected_gradients(model)
    results = ranks(2, several, seed)
    hold([each[0] for each in results], right, "after two backwards", why="Gradients add up until zero_grad().")
    hold([each[1] for each in results], right, "after two forwards and one backward")
    hold([each[2] for each in results], right, "after other forwards that had no backward", why=AS_ONE)


class Lazy(nn.Module):
    """Not everything in it is used."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.used, self.part, self.unused = Block(6, 3), Block(6, 2), nn.Linear(5, 4)
        self.part.idle = nn.Linear(2, 3)

    def forward(self, x):
        return self.part(self.used(x))


def lazy(rank, seed):
    model = Lazy(seed)
    model = sharded(model, [model.unused, model.part])
    model(draw(seed, 4, 6)[2 * rank : 2 * rank + 2]).square().mean().backward()
    got, missing = whole_gradients(model.module, model)
    torch.optim.AdamW(model.parameters(), lr=0.1).step()
    return got, missing, model.full_state_dict()["unused.weight"]


def test_unused(rng):
    """What a unit does not use has a gradient of zeros; a unit that nobody uses has none, and stays as it is."""
    seed = rng.randrange(1 << 30)
    model = Lazy(seed)
    model(draw(seed, 4, 6)).square().mean().backward()
    right = expected_gradients(model)
    for rank, (got, missing, weight) in enumerate(ranks(2, lazy, seed)):
        check.equal(
            missing, [True, False, False], f"whether `grad` is None on rank {rank}, of a unit nobody used first"
        )
        hold([got], {name: its for name, its in right.items() if "unused" not in name}, "of a model with unused layers")
        what = f"the weight of a unit that nobody used on rank {rank}, after a step of AdamW"
        check.close(weight, model.unused.weight.detach(), what, rtol=0, atol=0)


class Twice(nn.Module):
    """A block that is called twice; another one that shares its bias, and a layer outside that shares a weight."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.block, self.other = Block(6, 3), Block(6, 3)
        self.out = nn.Linear(6, 3, bias=False)
        self.other.up.bias = self.block.up.bias
        self.out.weight = self.other.up.weight

    def forward(self, x):
        return self.out(self.other(self.block(self.block(x))))


def twice(rank, seed):
    model = Twice(seed + rank)
    model = sharded(model, [model.other, model.block])
    sizes = [p.numel() for p in model.parameters()]
    model(draw(seed, 4, 6)[2 * rank : 2 * rank + 2]).square().mean().backward()
    return whole_gradients(model.module, model)[0], sizes


def test_shared(rng):
    """A unit may be called twice. What several units have belongs to the rest, once."""
    seed = rng.randrange(1 << 30)
    model = Twice(seed)
    model(draw(seed, 4, 6)).square().mean().backward()
    results = ranks(2, twice, seed)
    # other: 18 + 6 of its down; block: 18 + 18 + 6; the rest: out's weight of 18, and the bias of 3 that both have
    what = "how many numbers each of parameters() has, where two units share a bias, and one a weight with the rest"
    check.equal([sizes for _, sizes in results], [[12, 21, 11], [12, 21, 10]], what)
    right = expected_gradients(model)
    right["out.weight"], right["other.up.bias"] = right["other.up.weight"], right["block.up.bias"]
    hold([got for got, _ in results], right, "of a model with a block called twice", why=AS_ONE)


class Wrapped(nn.Module):
    """Gives what a block gives, within something; of which part leads on, the one who calls it decides."""

    def __init__(self):
        super().__init__()
        self.block = Block(6, 3)

    def forward(self, x, kind):
        y = self.block(x)
        return {"tuple": (None, y), "dict": {"x": x, "more": [3, y.detach(), y * y, y]}, "two": (y * y, y)}[kind]


class Several(nn.Module):
    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(6, 6)
        self.parts = nn.ModuleList(Wrapped() for _ in range(3))

    def forward(self, x):
        x = self.first(x)
        x = self.parts[0](x, kind="tuple")[1]
        x = self.parts[1](x, kind="dict")["more"][3]
        return sum(self.parts[2](x, kind="two"))


def wrapped(rank, seed):
    model = Several(seed)
    for p in model.parts[1].parameters():
        p.requires_grad_(False)
    model = sharded(model, model.parts)
    model(draw(seed, 4, 6)[2 * rank : 2 * rank + 2]).square().mean().backward()
    needs = [chunk.requires_grad for chunk in model.chunks]
    empty = model.chunks[1].grad is None
    return whole_gradients(model.module, model)[0], needs, empty


def test_outputs(rng):
    """Units give tuples and dicts, too; and a unit may be one that requires no gradients."""
    seed = rng.randrange(1 << 30)
    model = Several(seed)
    model(draw(seed, 4, 6)).square().mean().backward()
    right = {name: its for name, its in expected_gradients(model).items() if "parts.1" not in name}
    for rank, (got, needs, empty) in enumerate(ranks(2, wrapped, seed)):
        hold([got], right, "of a model with units that give tuples and dicts")
        check.equal(needs, [True, False, True, True], f"whether each chunk requires a gradient on rank {rank}")
        check.true(empty, f"on rank {rank} the chunk of a unit that requires no gradients has none")


def narrow(rank, seed):
    line = nn.Linear(3, 2, bias=False).bfloat16()
    model = sharded(nn.Sequential(line), [line])
    upstream = [256.0, 1.0, 1.0][rank]
    (model(torch.ones(1, 3, dtype=torch.bfloat16)) * upstream).sum().backward()
    (chunk,) = model.parameters()
    half = [chunk.dtype == torch.bfloat16, chunk.grad.dtype == torch.bfloat16, chunk.grad.tolist()]
    model = small(seed)
    model = sharded(model, model.blocks)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(draw(seed, 6, 6)[2 * rank : 2 * rank + 2])
        loss = out.float().square().mean()
    loss.backward()
    formats = {str(each.dtype) for p in model.parameters() for each in (p, p.grad)}
    return half, str(out.dtype), formats, whole_gradients(model.module, model)[0]


def test_formats(rng):
    """Half formats are summed up in float32; within autocast, weights and gradients stay float32."""
    seed = rng.randrange(1 << 30)
    model = small(seed)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(draw(seed, 6, 6)).float().square().mean()
    loss.backward()
    right = expected_gradients(model)
    for rank, (half, out, formats, got) in enumerate(ranks(3, narrow, seed)):
        check.equal(half[:2], [True, True], f"whether chunk and gradient on rank {rank} are bfloat16, as the model")
        why = "In bfloat16, 256 + 1 + 1 is 256."
        what = f"the mean on rank {rank} of the gradients 256, 1 and 1, which are bfloat16: 258 / 3"
        check.close(half[2], [86.0, 86.0], what, rtol=0, atol=0, why=why)
        check.equal(out, "torch.bfloat16", f"the format of the output within autocast on rank {rank}")
        check.equal(sorted(formats), ["torch.float32"], f"the formats of chunks and gradients on rank {rank}")
        for name, its in right.items():
            scale = its.abs().max().item()
            what = f"the gradient of {name} on rank {rank}, within autocast"
            check.close(got[name], its, what, rtol=0.05, atol=0.05 * scale)


class Fails(nn.Module):
    """A layer that raises where numbers are large, and remembers which memory its weight had then."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(2, 2, bias=False)
        self.seen: list[Any] = []

    def forward(self, x):
        if x.sum() > 100:
            self.seen.append(StorageWeakRef(self.line.weight.untyped_storage()))
            raise ArithmeticError("too much")
        return self.line(x)


def changing(rank):
    fails = Fails()
    model = sharded(nn.Sequential(fails, nn.Linear(2, 1, bias=False)), [fails])
    found = []

    def put(value):
        with torch.no_grad():
            for p in model.parameters():
                p.fill_(value)

    x = torch.ones(1, 2, requires_grad=True)
    put(1.0)
    found.append(model(x).item())  # a forward that nobody goes back through
    put(2.0)
    found.append(model(x).item())
    try:
        model(x + 100)
    except ArithmeticError:
        found.append("too much")
    gc.collect()
    left = torch.UntypedStorage._new_with_weak_ptr(fails.seen[0].cdata)
    found.append(0 if left is None else left.nbytes())
    del left
    put(3.0)
    out = model(x)
    found.append(out.item())
    (gradient,) = torch.autograd.grad(out, x)  # not the weights'
    found.append(gradient.tolist())
    put(4.0)
    found.append(model(x).item())
    return found


def test_weights_as_they_are():
    """Each forward gathers the weights as they are: behind one that led nowhere, or raised, or another gradient."""
    for rank, found in enumerate(ranks(2, changing)):
        right = [4.0, 16.0, "too much", 0, 36.0, [[18.0, 18.0]], 64.0]
        what = (
            f"what comes on rank {rank} with all weights 1; with 2; where it raises; how many bytes of weights "
            "are left then; what comes with 3; the gradient of the input; and what comes with 4"
        )
        check.equal(found, right, what)


# -- groups and buffers, saving and loading


class Buffered(nn.Module):
    """Weights and buffers, of which some are transposed; one buffer is not in the state."""

    blocks: Any
    scale: torch.Tensor

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(2, 3)
        self.register_buffer("scale", torch.randn(3, 2).T)
        self.blocks = nn.ModuleList([Block(3, 2), Block(3, 2)])
        self.register_buffer("count", torch.tensor([seed]), persistent=False)
        self.last = nn.Linear(3, 3)
        self.last.weight = nn.Parameter(torch.randn(3, 3).T)
        self.blocks[0].register_buffer("mean", torch.randn(3))

    def forward(self, x):
        return self.last(self.blocks[1](self.blocks[0](self.first(x) * self.scale[0] + self.blocks[0].mean)))


def grouped(rank, seed):
    group = [dist.new_group([0, 2]), dist.new_group([1, 3])][rank % 2]
    model = Buffered(seed + rank)
    model = sharded(model, model.blocks, group=group)
    model(draw(seed + rank, 2, 2)).square().mean().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    state = model.full_state_dict()
    before = {name: its.clone() for name, its in state.items()}
    with torch.no_grad():
        for each in [*model.parameters(), *model.buffers()]:
            each.zero_()
    kept = all(torch.equal(its, before[name]) for name, its in state.items())
    return before, kept, [p.numel() for p in model.parameters()]


def test_group_and_buffers(rng):
    """With a group, its ranks alone share a model: weights and buffers of its first, laid out however they are."""
    seed = rng.randrange(1 << 30)
    results = ranks(4, grouped, seed)
    for rank, (state, kept, sizes) in enumerate(results):
        model = Buffered(seed + rank % 2)
        losses = [model(draw(seed + each, 2, 2)).square().mean() for each in (rank % 2, rank % 2 + 2)]
        torch.stack(losses).mean().backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()
        same_state(state, model.state_dict(), f"on rank {rank}, where the groups are ranks 0, 2 and ranks 1, 3")
        check.equal(sizes, [9, 9, 11] if rank < 2 else [8, 8, 10], f"how many numbers each chunk has on rank {rank}")
        check.true(kept, f"what full_state_dict() gave stays as it is on rank {rank}, when the weights change")


def loaded(rank, state, seed):
    model = Buffered(seed)
    model = sharded(model, model.blocks)
    for bad, names in [
        ({name: its for name, its in state.items() if name != "blocks.1.up.bias"}, ["blocks.1.up.bias"]),
        ({**state, "else": torch.ones(1)}, ["else"]),
        ({**state, "first.weight": torch.ones(2, 3)}, ["first.weight", (2, 3), (3, 2)]),
    ]:
        try:
            model.load_full_state_dict(bad)
        except ValueError as error:
            check.true(all(str(name) in str(error) for name in names), f"the error names {names}", got=str(error))
        else:
            check.true(False, f"load_full_state_dict raises a ValueError that names {names}")
    before = model.full_state_dict()
    right = Buffered(seed).state_dict()
    untouched = all(torch.equal(its, right[name]) for name, its in before.items())
    given = {name: its.clone() for name, its in state.items()}
    model.load_full_state_dict(given)
    after = model.full_state_dict()
    with torch.no_grad():
        for each in model.parameters():
            each.zero_()
    return untouched, after, all(torch.equal(given[name], its) for name, its in state.items())


@pytest.mark.parametrize("world", [3, 1])
def test_loading(rng, world):
    """It goes on from the state of a model on one process, on any number of ranks; what does not fit is refused."""
    seed = rng.randrange(1 << 30)
    state = Buffered(seed).state_dict()
    for rank, (untouched, after, kept) in enumerate(ranks(world, loaded, state, seed + 1)):
        check.true(untouched, f"nothing is changed on rank {rank} by a state that was refused")
        same_state(after, state, f"on rank {rank} of {world} after load_full_state_dict", rtol=0, atol=0)
        check.true(kept, f"the state that was loaded is not changed on rank {rank}")


def tied(rank):
    model = gpt(1)
    right = gpt(2).state_dict()
    model = sharded(model, model.blocks)
    model.load_full_state_dict(right)
    state = model.full_state_dict()
    return list(state) == list(right), all(torch.equal(its, right[name]) for name, its in state.items())


def test_load_tied():
    """A tied table has both of its names in the full state."""
    for rank, found in enumerate(ranks(2, tied)):
        check.equal(found, (True, True), f"whether names and tensors of a GPT come back on rank {rank}")


def refused(rank):
    model = small(1)
    make = fully_sharded.FullyShardedModule
    check.raises(ValueError, make, model, [Block(4, 5)], naming=["Block"])
    check.raises(ValueError, make, model, [model], naming=["Stack"])
    check.raises(ValueError, make, model, [model.blocks[0], model.blocks[0].up])
    check.raises(ValueError, make, model, [model.blocks[0], model.blocks[0]])
    model.blocks[0].up.bias.requires_grad_(False)
    check.raises(ValueError, make, model, model.blocks)
    model.blocks[0].up.bias.requires_grad_(True)
    model.blocks[1].down.double()
    check.raises(ValueError, make, model, model.blocks, naming=["float64"])
    model.blocks[1].down.float()
    return [p.numel() for p in make(model, list(model.blocks)[:1]).parameters()]


def test_refused():
    """Units from elsewhere or within one another, and units of several formats, are ValueErrors."""
    check.equal(ranks(2, refused)[0], [25, 46], "how many numbers the chunks of rank 0 have when all is mended")
