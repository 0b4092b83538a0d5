"""6.7 · Pipeline parallelism: each process has some of the layers, and batches flow through them in small pieces."""

import contextlib
import math
import time
from collections import namedtuple
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.functional import cross_entropy

from bootcamp.grading import check, written
from bootcamp.grading.ranks import on_ranks, traffic

pipeline = written("stage06_distributed.pipeline")
stage04 = written("stage04_block")
config = written("stage04_block.config")
training = written("stage05_training.batch")

NONE = -100  # a target that does not count
SCHEDULES = ["gpipe", "one_f_one_b"]
WHOLE = "All stages together do what one process does with the whole model."


_told = {}  # what ranks have told, or how they failed; of one version of the graded code


def ranks(world, body, *args):
    """Run it on ranks, once for all tests that ask about the same."""
    version = pipeline.gpipe, pipeline.one_f_one_b, stage04.GPT, training.Batch
    if _told.get("version") != version:
        _told.clear()
        _told["version"] = version
    key = world, body, args
    if key not in _told:
        before = len(check.observed)
        try:
            _told[key] = on_ranks(world, body, *args), None, check.observed[before:]
        except AssertionError as error:
            _told[key] = None, error, check.observed[before:]
    else:
        check.observed.extend(_told[key][2])
    results, error, _ = _told[key]
    if error:
        raise error
    return results


# -- parts that are small enough to be followed by hand


class Ids(nn.Module):
    """An embedding: the vector of an id is that number, as often as the stream is wide."""

    def __init__(self, width=1):
        super().__init__()
        self.width = width

    def forward(self, ids, positions=None, offset=0):
        return ids[..., None].expand(*ids.shape, self.width).float()


class Times(nn.Module):
    """A block, a norm or an output that multiplies by a number."""

    def __init__(self, factor):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(float(factor)))

    def forward(self, x, mask=None, positions=None, cache=None, return_weights=False):
        return x * self.weight


class Plus(Times):
    """One that adds it."""

    def forward(self, x, mask=None, positions=None, cache=None, return_weights=False):
        return x + self.weight


class Watched(Times):
    """A block that notes when it works, for which micro-batch (the one of n + 2 tokens is n), and what of it is left.

    Attributes:
        log: [(kind, micro-batch, begin, end)], as it happens.
        where: for each of them, whether that was in the region for forward, and in the one without synchronisation.
        alive: of how many micro-batches there was at most something that backward needs.
        outs: of how many there was at most what came out.
    """

    def __init__(self, factor, pause=0.0):
        super().__init__(factor)
        self.second = nn.Parameter(torch.tensor(1.0))
        self.pause, self.log, self.where, self.inside = pause, [], [], set()
        self.inner, self.outer, self.alive, self.outs = {}, {}, 0, 0

    def note(self, kind, number):
        begin = time.perf_counter()
        time.sleep(self.pause)
        self.log.append((kind, number, begin, time.perf_counter()))
        self.where.append(("region" in self.inside, "no_sync" in self.inside))

    def forward(self, x, mask=None, positions=None, cache=None, return_weights=False):
        number = x.shape[1] - 2
        self.note("forward", number)
        inner = x * self.weight  # which the next line keeps for backward
        out = inner * self.second
        for each, refs in ((inner, self.inner), (out, self.outer)):
            refs[number] = StorageWeakRef(each.untyped_storage())
        self.alive = max(self.alive, sum(not each.expired() for each in self.inner.values()))
        self.outs = max(self.outs, sum(not each.expired() for each in self.outer.values()))
        if out.requires_grad:
            out.register_hook(lambda _: self.note("backward", number))
        return out

    @contextlib.contextmanager
    def within(self, name):
        self.inside.add(name)
        try:
            yield
        finally:
            self.inside.discard(name)

    @property
    def order(self):
        return [each[:2] for each in self.log]


def toy(group=None, width=1, pause=0.0):
    """This rank's stage of a model that multiplies by 2 on the first rank, by 3 on the second, and so on."""
    rank, world = dist.get_rank(group), dist.get_world_size(group)
    block = Watched(rank + 2, pause)
    first, last = rank == 0, rank == world - 1
    embed, head = Ids(width) if first else None, nn.Identity() if last else None
    return pipeline.PipelineStage(embed, {rank: block}, None, head, width), block


def pieces(count, rows=1):
    """Micro-batches of 2, 3, 4, … tokens; all ids are 1 in the first, 2 in the second, and so on."""
    ids = [torch.full((rows, n + 2), n + 1) for n in range(count)]
    return [training.Batch(each, each) for each in ids]


def sum_of(out, batch):
    """A loss: all logits, added up."""
    return out.sum()


def text(events):
    """Write [("forward", 0), ("backward", 0)] as "F0 B0"."""
    return " ".join(f"{kind[:1].upper()}{number}" for kind, number in events)


# -- stages


def test_stage_by_hand():
    """A stage passes x through the parts that it has: embedding, blocks in their order, norm, output."""
    first = pipeline.PipelineStage(Ids(), {0: Times(2), 1: Plus(1)}, None, None, 1)
    got = first(torch.tensor([[3, 4]]))
    check.close(got, [[[7.0], [9.0]]], "what a first stage makes of the ids [[3, 4]]: twice each, and 1 added")
    last = pipeline.PipelineStage(None, {2: Times(3)}, Plus(1), Times(10), 1)
    got = last(torch.tensor([[[7.0], [9.0]]]))
    check.close(got, [[[220.0], [280.0]]], "what a last stage makes of it: three times, then 1 added, then ten times")
    middle = pipeline.PipelineStage(None, {5: Times(3), 6: Plus(2)}, None, None, 1)
    check.close(middle(torch.tensor([[[7.0]]])), [[[23.0]]], "what a stage between makes of [[[7]]]: 3 · 7 + 2")


def whole_model(seed, **options):
    """A small GPT with all parameters drawn anew, biases and gains too."""
    options = {"vocab_size": 13, "context_length": 12, "d_model": 8, "n_layers": 5, "n_heads": 2, **options}
    model = stage04.GPT(config.GPTConfig(**options)).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) * 0.4)
    return model


def texts(seed, count):
    """Micro-batches of different sizes; some targets do not count; with masks and positions, with one, with none."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(high, *shape):
        return torch.randint(high, shape, generator=generator)

    found = []
    for number in range(count):
        rows, length = 1 + number % 3, 4 + (3 * number) % 5
        ids, targets = drawn(13, rows, length), drawn(13, rows, length)
        targets = targets.masked_fill(drawn(5, rows, length) < 1 + number % 3, NONE)
        targets[0, 0] = 1
        mask = (drawn(3, rows, 1, length, length) > 0) | torch.eye(length, dtype=torch.bool)
        positions = (torch.arange(length) + drawn(4, rows, 1)) % 7
        cases = [(mask, positions), (None, positions[0]), (mask[:1], None), (None, None)]
        found.append(training.Batch(ids, targets, *cases[number % 4]))
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"position": "learned"},
        {"position": "rope", "norm": "rms", "tie_weights": False},
        {"position": "alibi", "placement": "post", "activation": "swiglu"},
        {"position": "sinusoidal", "bias": False},
    ],
    ids=lambda options: options["position"],
)
def test_stages_in_a_row(rng, options):
    """One behind the other, the stages of a model give its logits; each gets the mask and the positions."""
    seed = rng.randrange(1 << 32)
    model = whole_model(seed, **options)
    batches = texts(seed, 4)
    with torch.no_grad():
        expected = [model(each.ids, mask=each.mask, positions=each.positions) for each in batches]
        stages = pipeline.split_stages(model, 3)
        for batch, logits in zip(reversed(batches), reversed(expected)):
            x = batch.ids
            for stage in stages:
                x = stage(x, batch.mask, batch.positions)
            given = [name for name in ("mask", "positions") if getattr(batch, name) is not None]
            check.close(x, logits, f"the logits of three stages in a row, given {' and '.join(given) or 'ids alone'}")


def blocks_of(stage):
    """The numbers of the blocks that a stage has, by the names of its parameters."""
    names = [name.split(".") for name, _ in stage.named_parameters()]
    return sorted({int(name[1]) for name in names if name[0] == "blocks"})


@pytest.mark.parametrize(
    "layers, expected",
    [
        (4, [[0, 1], [2, 3]]),
        (5, [[0, 1], [2], [3], [4]]),
        (5, [[0, 1], [2, 3], [4]]),
        (7, [[0, 1, 2], [3, 4], [5, 6]]),
        (3, [[0], [1], [2]]),
        (11, [list(range(11))]),
        (11, [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else f"in {len(value)}",
)
def test_blocks_are_shared_out(rng, layers, expected):
    """Each stage gets as many blocks, in their order; the first ones get one more if it does not come out even."""
    stages = pipeline.split_stages(whole_model(rng.randrange(1 << 32), n_layers=layers), len(expected))
    got = [blocks_of(stage) for stage in stages]
    check.equal(
        got, expected, f"the numbers of the blocks of each stage, of {layers} blocks and {len(expected)} stages"
    )


def test_ends(rng):
    """The first stage has the embedding; the last one has the norm before the output, and the output."""
    for placement, end in (("pre", {"head", "norm"}), ("post", {"head"})):
        model = whole_model(rng.randrange(1 << 32), placement=placement, tie_weights=False)
        stages = pipeline.split_stages(model, 3)
        got = [{name.split(".")[0] for name, _ in stage.named_parameters()} for stage in stages]
        expected = [{"blocks", "embed"}, {"blocks"}, {"blocks"} | end]
        check.equal(got, expected, f'what the parameters of three stages belong to, with placement="{placement}"')
        flags = [(stage.is_first, stage.is_last) for stage in stages]
        check.equal(flags, [(True, False), (False, False), (False, True)], "is_first and is_last of three stages")
        check.equal([stage.d_model for stage in stages], [8, 8, 8], "d_model of three stages, of a model 8 wide")


@pytest.mark.parametrize("tied", [False, True], ids=["not tied", "tied"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_parameters_are_the_models(rng, count, tied):
    """The stages have the parameters of the model, under their names there; a tied output has a copy of the table."""
    model = whole_model(rng.randrange(1 << 32), tie_weights=tied)
    whole = dict(model.named_parameters())
    table = model.embed.token.weight
    stages = pipeline.split_stages(model, count)
    parts = [pair for stage in stages for pair in stage.named_parameters()]
    copied = tied and count > 1
    names = sorted([*whole, *(["head.weight"] if copied else [])])
    check.equal(sorted(name for name, _ in parts), names, f"the names of the parameters of {count} stages together")
    others = [name for name, p in parts if p is not (table if name == "embed.token.weight" else whole.get(name))]
    expected = ["head.weight"] if copied else []
    check.equal(others, expected, "the names of those parameters that are not the model's own")
    shares = [tied and count > 1 and number in (0, count - 1) for number in range(count)]
    why = "A table that two stages have needs the gradients of both. One stage alone uses one table twice."
    check.equal([stage.shares for stage in stages], shares, f"`shares` of {count} stages", why=why)
    check.equal([stage.shared is None for stage in stages], [not each for each in shares], "where `shared` is None")


def test_copy_of_the_table(rng):
    """The output's copy is a parameter of its own with the same numbers, and `shared` gives the two."""
    model = whole_model(rng.randrange(1 << 32))
    before = model.embed.token.weight.detach().clone()
    first, *_, last = pipeline.split_stages(model, 3)
    mine, theirs = first.shared, last.shared
    check.true(isinstance(theirs, nn.Parameter) and theirs.requires_grad, "the copy is a parameter that learns")
    check.close(theirs, before, "the copy", rtol=0, atol=0)
    found = [dict(first.named_parameters())["embed.token.weight"] is mine]
    found.append(dict(last.named_parameters())["head.weight"] is theirs)
    check.equal(found, [True, True], "`shared` is the table of the first stage, and the output's weight of the last")
    with torch.no_grad():
        theirs += 1.0
    check.close(mine, before, "the table, after a change of the copy", rtol=0, atol=0)


def test_models_that_cannot_be_cut(rng):
    """A stage without a block is a ValueError that names both numbers; so are parted blocks that share a table."""
    seed = rng.randrange(1 << 32)
    check.raises(ValueError, pipeline.split_stages, whole_model(seed, n_layers=3), 4, naming=[3, 4])
    check.raises(ValueError, pipeline.split_stages, whole_model(seed, n_layers=3), 0, naming=[3, 0])
    check.raises(ValueError, pipeline.split_stages, whole_model(seed, position="t5"), 2)
    model = whole_model(seed, position="t5")
    ids = torch.arange(6).reshape(1, 6)
    expected = model(ids).detach()
    (stage,) = pipeline.split_stages(model, 1)
    check.close(stage(ids), expected, 'the logits of a single stage, with position="t5"')


# -- a batch in pieces, by hand

COUNTS = (1, 2, 3, 4, 6)  # of micro-batches
Seen = namedtuple("Seen", "loss grad order events most_alive block losses sent")


def watched(rank, how):
    """What a rank does with 1, 2, 3, 4 and 6 micro-batches."""
    found = {}
    for count in COUNTS:
        stage, block = toy(width=8)
        losses, before = [], len(traffic())

        def loss_of(out, batch, block=block, losses=losses):
            losses.append((tuple(out.shape), tuple(batch.ids.shape), "region" in block.inside))
            return out.sum() / 8

        def no_sync(block=block):
            return block.within("no_sync")

        def region(block=block):
            return block.within("region")

        run = getattr(pipeline, how)(stage, pieces(count, 4), loss_of, None, no_sync, region)
        events = [(each.kind, each.batch) for each in run.events]
        sent = sum(each.count for each in traffic()[before:] if each.kind != "recv")
        block.inner, block.outer = {}, {}  # which no other process could read
        grad = block.weight.grad
        found[count] = Seen(run.loss, grad, block.order, events, run.most_alive, block, losses, sent)
    return found


def each_of(how, world):
    """(rank, number of micro-batches, what was seen, where that was in words), of all"""
    for rank, found in enumerate(ranks(world, watched, how)):
        for count, seen in found.items():
            yield rank, count, seen, f"rank {rank} of {world}, {count} micro-batch{'es' if count > 1 else ''}"


def by_hand(rank, how):
    stage, block = toy()
    run = getattr(pipeline, how)(stage, pieces(2), sum_of)
    return run.loss, block.weight.grad, text(block.order)


@pytest.mark.parametrize("how", SCHEDULES)
def test_by_hand(how):
    """Two stages multiply by 2 and by 3; the loss of [1, 1] and [2, 2, 2] is the sum of what comes out: 6 · 8."""
    for rank, (loss, grad, _) in enumerate(ranks(2, by_hand, how)):
        check.close(loss, 48.0, f"the loss that rank {rank} is told")
        why = "Each number that goes in is multiplied by both weights; all micro-batches add to the gradient."
        check.close(grad, [24.0, 16.0][rank], f"the gradient of the weight {rank + 2} on rank {rank}", why=why)


def test_order_by_hand():
    """Of two micro-batches, gpipe passes both forward and then both backward; the last rank of 1F1B goes by turns."""
    for rank, (*_, got) in enumerate(ranks(2, by_hand, "gpipe")):
        check.true(got in ("F0 F1 B1 B0", "F0 F1 B0 B1"), f"gpipe has rank {rank} do F0 F1, then B1 B0", got=got)
    got = [order for *_, order in ranks(2, by_hand, "one_f_one_b")]
    why = "The gradient of a micro-batch can go back as soon as the last stage has its loss."
    check.equal(got, ["F0 F1 B0 B1", "F0 B0 F1 B1"], "what ranks 0 and 1 do in 1F1B", why=why)


def turns(world, rank, count):
    """What the docstring of one_f_one_b says, as text."""
    ahead = min(world - 1 - rank, count)
    steps = [f"F{n}" for n in range(ahead)]
    for n in range(ahead, count):
        steps += [f"F{n}", f"B{n - ahead}"]
    return " ".join(steps + [f"B{n}" for n in range(count - ahead, count)])


@pytest.mark.parametrize("world", [1, 4])
def test_order_of_gpipe(world):
    """All micro-batches go forward, then all backward, each once."""
    for _, count, seen, of in each_of("gpipe", world):
        kinds, numbers = [kind for kind, _ in seen.order], [number for _, number in seen.order]
        check.equal(kinds, ["forward"] * count + ["backward"] * count, f"what comes when ({of})")
        both = [sorted(numbers[:count]), sorted(numbers[count:])]
        check.equal(both, [list(range(count))] * 2, f"which go forward, and which backward ({of})")


@pytest.mark.parametrize("world", [1, 4])
def test_order_of_one_f_one_b(world):
    """Rank r goes P - 1 - r micro-batches ahead, then one forward and one backward by turns, then what is left."""
    for rank, count, seen, of in each_of("one_f_one_b", world):
        check.equal(text(seen.order), turns(world, rank, count), f"what is done ({of})")


@pytest.mark.parametrize("how", SCHEDULES)
def test_events(how):
    """`events` tells what has happened, in that order."""
    for _, _, seen, of in each_of(how, 4):
        check.equal(text(seen.events), text(seen.order), f"`events` ({of})")


def alive_in(how, world, rank, count):
    """How many micro-batches are at most between their forward and their backward."""
    return count if how == "gpipe" else min(world - rank, count)


@pytest.mark.parametrize("how", SCHEDULES)
def test_what_is_kept(how):
    """gpipe keeps what forward has made for all micro-batches; 1F1B for P - r at most, however many there are."""
    for rank, count, seen, of in each_of(how, 4):
        expected = alive_in(how, 4, rank, count)
        what = f"of how many there is at most in memory what backward needs ({of})"
        check.equal(seen.block.alive, expected, what)
        why = "What a stage has given away is in memory as long as there is a name for it."
        claim = f"of {expected} micro-batches, what came out of the stage stays in memory ({of})"
        check.true(seen.block.outs <= expected + 1, claim, got=seen.block.outs, why=why)


@pytest.mark.parametrize("how", SCHEDULES)
def test_most_alive(how):
    """`most_alive` is how many micro-batches were at most between their forward and their backward."""
    for rank, count, seen, of in each_of(how, 4):
        check.equal(seen.most_alive, alive_in(how, 4, rank, count), f"most_alive ({of})")


# -- as one process


def weighed(batches):
    """What a micro-batch adds to the mean over all targets that count."""
    total = sum(each.counted for each in batches)

    def loss_of(logits, batch):
        return cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum") / total

    return loss_of


def in_pieces(rank, how, counts, options, seed):
    """For each number of micro-batches, what they add up to: the loss, and the gradients by name."""
    found = []
    for count in counts:
        batches = texts(seed + count, count)
        stage = pipeline.split_stages(whole_model(seed, **dict(options)), dist.get_world_size())[rank]
        run = getattr(pipeline, how)(stage, batches, weighed(batches))
        found.append((run.loss, {name: p.grad for name, p in stage.named_parameters()}))
    return found


def in_one(count, options, seed):
    """The same of one process that has the whole model."""
    model, batches = whole_model(seed, **dict(options)), texts(seed + count, count)
    loss_of, loss = weighed(batches), 0.0
    for each in batches:
        part = loss_of(model(each.ids, mask=each.mask, positions=each.positions), each)
        part.backward()
        loss += part.item()
    grads = {name: p.grad for name, p in model.named_parameters()}
    return loss, {"head.weight": grads["embed.token.weight"], **grads}


MODELS = {  # by the number of stages: numbers of micro-batches, and what the model is like
    1: ((3,), ()),
    2: ((1, 5), (("position", "rope"), ("tie_weights", False))),
    3: ((2, 6), (("norm", "rms"),)),
    4: ((3, 4), (("position", "alibi"), ("placement", "post"))),
}


@pytest.mark.parametrize("world", MODELS)
@pytest.mark.parametrize("how", SCHEDULES)
def test_as_one_process(seed, how, world):
    """Loss and gradients are those of one process, for micro-batches of any sizes, with masks and positions."""
    counts, options = MODELS[world]
    results = ranks(world, in_pieces, how, counts, options, seed)
    for index, count in enumerate(counts):
        expected, whole = in_one(count, options, seed)
        for rank, runs in enumerate(results):
            loss, grads = runs[index]
            of = f"on rank {rank} of {world}, with {count} micro-batch{'es' if count > 1 else ''}"
            check.true(isinstance(loss, float), f"`loss` is a float {of}", got=loss)
            check.close(loss, expected, f"the loss {of}", why=WHOLE)
            check.true(all(g is not None for g in grads.values()), f"each parameter has a gradient {of}")
            for name, grad in sorted(grads.items()):
                check.close(grad, whole[name], f"the gradient of {name} {of}", why=WHOLE)


@pytest.mark.parametrize("how", SCHEDULES)
def test_table_of_two_stages(seed, how):
    """The first and the last stage get the same gradient for their table, to the bit: the sum of both."""
    counts, options = MODELS[3]
    results = ranks(3, in_pieces, how, counts, options, seed)
    first, last = results[0][0][1]["embed.token.weight"], results[2][0][1]["head.weight"]
    expected = in_one(counts[0], options, seed)[1]["embed.token.weight"]
    why = "What is one parameter in one process has one gradient: that of the input and that of the output together."
    check.close(first, expected, "the gradient of the table on the first rank", why=why)
    check.true(first.equal(last), "the copies have the same gradient, so that they stay the same", why=why)


# -- what is called where


@pytest.mark.parametrize("how", SCHEDULES)
def test_loss_of(how):
    """The last rank computes what each micro-batch adds to the loss, from its logits and itself; no other rank does."""
    for rank, count, seen, of in each_of(how, 4):
        expected = [((4, n + 2, 8), (4, n + 2)) for n in range(count)] if rank == 3 else []
        got = sorted(each[:2] for each in seen.losses)
        check.equal(got, expected, f"the shapes of the logits and of the ids that loss_of gets ({of})")
        total = 120.0 * 4 * sum((n + 1) * (n + 2) for n in range(count))
        check.close(seen.loss, total, f"the loss, which all ranks are told ({of})")


def where(seen, kind, which):
    """Of each forward, or backward, whether it was in a region."""
    return [inside[which] for (its, _), inside in zip(seen.order, seen.block.where) if its == kind]


@pytest.mark.parametrize("how", SCHEDULES)
def test_region(how):
    """Forward and the loss run in `region`; backward does not."""
    for _, count, seen, of in each_of(how, 4):
        check.equal(where(seen, "forward", 0), [True] * count, f"whether each forward was in `region` ({of})")
        check.equal(where(seen, "backward", 0), [False] * count, f"whether each backward was in `region` ({of})")
        check.true(all(inside for *_, inside in seen.losses), f"each loss is computed in `region` ({of})")


@pytest.mark.parametrize("how", SCHEDULES)
def test_no_sync(how):
    """Each backward but the last, of all that this rank does, runs in `no_sync`."""
    why = "Copies of a stage are to add up their gradients once, when the last micro-batch has gone back."
    for _, count, seen, of in each_of(how, 4):
        expected = [True] * (count - 1) + [False]
        got = where(seen, "backward", 1)
        check.equal(got, expected, f"whether each backward was in `no_sync`, in order ({of})", why=why)


@pytest.mark.parametrize("how", SCHEDULES)
def test_messages(how):
    """A stage gives each micro-batch to the next one once, and each gradient to the one before once; nothing else."""
    for rank, count, seen, of in each_of(how, 4):
        size = sum(4 * (n + 2) * 8 for n in range(count))  # B·T·C, of all of them
        needed = size * (2 if rank in (1, 2) else 1)
        claim = f"{needed} numbers are handed over, and a few besides ({of})"
        check.true(needed <= seen.sent <= needed + 16 * count, claim, got=seen.sent)


def in_groups(rank, how):
    groups = [dist.new_group([0, 2]), dist.new_group([1, 3])]
    group = groups[rank % 2]
    stage, block = toy(group)
    run = getattr(pipeline, how)(stage, pieces(2 + rank % 2), sum_of, group)
    return run.loss, block.weight.grad, run.most_alive


@pytest.mark.parametrize("how", SCHEDULES)
def test_groups(how):
    """The ranks of a group are a pipeline; those of another group are another one."""
    for rank, (loss, grad, _) in enumerate(ranks(4, in_groups, how)):
        total = [8.0, 20.0][rank % 2]
        of = f"on rank {rank}, of the groups [0, 2] and [1, 3]"
        check.close(loss, 6 * total, f"the loss {of}")
        check.close(grad, total * [3.0, 2.0][rank // 2], f"the gradient {of}")


def odd(rank, how):
    run = getattr(pipeline, how)
    stage, _ = toy()
    loss = run(stage, pieces(1), sum_of).loss
    check.raises(ValueError, run, stage, [], sum_of)
    other = pipeline.PipelineStage(
        Ids() if rank else None, {0: Times(2)}, None, None if rank else nn.Identity(), 1
    )  # the last on the first rank, the first on the last
    check.raises(ValueError, run, other, pieces(1), sum_of)
    return loss


@pytest.mark.parametrize("how", SCHEDULES)
def test_errors(how):
    """No batch at all, or a stage that does not stand where the rank does, is a ValueError."""
    for rank, loss in enumerate(ranks(2, odd, how)):
        check.close(loss, 12.0, f"the loss of [1, 1] on rank {rank}, of the weights 2 and 3")


# -- how long it waits


def rounds(orders):
    """How many rounds it takes to do all this, each thing as soon as it can be done, and one a round on each rank."""
    ends, done, last = {}, [0] * len(orders), len(orders) - 1
    moved = True
    while moved:
        moved = False
        for rank, order in enumerate(orders):
            while done[rank] < len(order):
                kind, number = order[done[rank]]
                if kind == "forward":
                    before = ("forward", number, rank - 1) if rank else None
                else:
                    before = ("backward", number, rank + 1) if rank < last else ("forward", number, rank)
                if before and before not in ends:
                    break
                own = ends[(*order[done[rank] - 1], rank)] if done[rank] else 0
                ends[kind, number, rank] = 1 + max(own, ends[before] if before else 0)
                done[rank] += 1
                moved = True
    return max(ends.values()) if done == [len(order) for order in orders] else math.inf


@pytest.mark.parametrize("how", SCHEDULES)
def test_rounds(how):
    """Of M + P - 1 rounds forward, and as many backward, each process works M."""
    results = ranks(4, watched, how)
    for count in COUNTS:
        got = rounds([found[count].order for found in results])
        what = (
            f"how many rounds four stages take for {count} micro-batch{'es' if count > 1 else ''}, forward and backward"
        )
        check.equal(got, 2 * (count + 3), what, why="Each does what it can do next as soon as it has what it needs.")


class Meeting(Watched):
    """A block that waits in some of its work until another stage has begun with something else."""

    def __init__(self, factor, begun, waits):
        super().__init__(factor)
        self.begun, self.waits, self.alone = begun, waits, []  # begun: a folder that all ranks see

    def note(self, kind, number):
        super().note(kind, number)
        (self.begun / f"{self.weight.item():.0f} {len(self.log)}").touch()
        if other := self.waits.get(len(self.log)):
            until = time.perf_counter() + PATIENCE
            while not (self.begun / other).exists() and time.perf_counter() < until and not self.alone:
                time.sleep(0.001)
            if not (self.begun / other).exists():
                self.alone.append(text(self.order[-1:]))


PATIENCE = 5.0  # seconds; who does not wait for this one comes at once


def meeting(rank, how, folder):
    # By turns: the second stage, in its first forward, until the first one has begun its second; and in its first
    # backward, until the last one, whose first backward is done, has begun what it does next.
    first_backward = 4 if how == "gpipe" else 3
    after = 5 if how == "gpipe" else 3
    waits = {1: "2 2", first_backward: f"4 {after}"} if rank == 1 else {}
    block = Meeting(rank + 2, Path(folder), waits)
    embed, head = Ids() if rank == 0 else None, nn.Identity() if rank == 2 else None
    stage = pipeline.PipelineStage(embed, {rank: block}, None, head, 1)
    run = getattr(pipeline, how)(stage, pieces(3), sum_of)
    return block.alone, run.loss


@pytest.mark.parametrize("how", SCHEDULES)
def test_at_the_same_time(how, tmp_path):
    """While a stage works, the one before goes on to the next micro-batch forward, and the one behind backward."""
    results = ranks(3, meeting, how, str(tmp_path))
    why = "No stage waits for what it does not need: who has sent something goes on with the next."
    claim = "in its first forward, and in its first backward, the second of three stages is not the only one that works"
    check.true(not results[1][0], claim, got=f"{results[1][0]}: there, the others had not gone on", why=why)
    check.close(results[1][1], 24.0 * (2 + 6 + 12), "the loss")


PAUSE = 0.01  # seconds that a block of these takes forward, and backward


def timed(rank, how):
    stage, block = toy(pause=PAUSE)
    dist.barrier()
    run = getattr(pipeline, how)(stage, pieces(3), sum_of)
    return block.log, [(each.begin, each.end) for each in run.events]


@pytest.mark.parametrize("how", SCHEDULES)
def test_times_of_events(how):
    """An event lasts from the beginning to the end of the work, by a clock that all share; waiting is no part of it."""
    results = ranks(3, timed, how)
    for rank, (log, events) in enumerate(results):
        works = zip(log, events)
        inside = all(begin <= start and stop <= end for (*_, start, stop), (begin, end) in works)
        check.true(inside, f"what rank {rank} does lies within its events")
        behind = all(before[1] <= after[0] for before, after in zip(events, events[1:]))
        check.true(behind, f"the events of rank {rank} follow each other")
    done = [{each[:2]: each[3] for each in log} for log, _ in results]  # when the work was done
    begun = [{each[:2]: event[0] for each, event in zip(log, events)} for log, events in results]
    for number in range(3):
        for one, other in ((0, 1), (1, 2)):
            claim = f"forward of {number} begins on rank {other} when rank {one} has done it"
            check.true(begun[other]["forward", number] >= done[one]["forward", number], claim)
            claim = f"backward of {number} begins on rank {one} when rank {other} has done it"
            check.true(begun[one]["backward", number] >= done[other]["backward", number], claim)


def test_bubble_by_hand():
    """Four stages and four micro-batches: of 7 rounds, each stage waits 3."""
    check.close(pipeline.bubble(4, 4), 3 / 7, "bubble(4, 4)")
    check.close(pipeline.bubble(4, 12), 0.2, "bubble(4, 12)", why="3 rounds of 15.")
    check.close(pipeline.bubble(stages=1, micro_batches=3), 0.0, "bubble(stages=1, micro_batches=3)")


def test_bubble():
    """Of a table with a line for each stage and a column for each round, the bubble is the part that is empty."""
    for stages in range(1, 7):
        for count in range(1, 9):
            used = {(stage, stage + number) for stage in range(stages) for number in range(count)}
            width = 1 + max(column for _, column in used)
            expected = 1 - len(used) / (stages * width)
            check.close(pipeline.bubble(stages, count), expected, f"bubble({stages}, {count})")
