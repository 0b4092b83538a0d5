"""6.11 · The engine: one training step, laid out over processes in any way, is the step of one process."""

import math
import random
from typing import Any

import pytest
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from bootcamp.grading import check, written
from bootcamp.grading.ranks import during, on_ranks, traffic

engines = written("stage06_distributed.engine")
meshes = written("stage06_distributed.mesh")
parallel = written("stage06_distributed.tensor_parallel")
pipeline = written("stage06_distributed.pipeline")
zero = written("stage06_distributed.zero")
stage04 = written("stage04_block")
config = written("stage04_block.config")
training = written("stage05_training")
batches = written("stage05_training.batch")
configs = written("stage05_training.config")

ONE = (1, 1, 1)  # layouts are (dp, tp, pp)
PAIRS = [(2, 1, 1), (1, 2, 1), (1, 1, 2)]
NONE = -100  # a target that does not count
RATES = [0.03, 0.02, 0.05, 0.02, 0.03]  # the learning rates of the steps; an engine begins with that of step 1
SHORT = 0.05  # what gradients are clipped to, where they are
OTHERWISE = {"micro_batches": 2, "schedule": "gpipe", "zero": True, "recompute": True, "bucket_mb": 0.001}
AS_ONE = "All ranks together do what one process does with the whole model and the whole batches."

_told = {}  # what ranks have told, or how they failed; of one version of the graded code


def called(layout):
    return "dp={}, tp={}, pp={}".format(*layout)


def ranks(layout, body, *args):
    """Run it on as many ranks as the layout has, once for all tests that ask about the same."""
    version = engines.Engine, engines.global_norm, pipeline.gpipe, zero.ShardedOptimizer, stage04.GPT, training.AdamW
    if _told.get("version") != version:
        _told.clear()
        _told["version"] = version
    key = repr((layout, body.__name__, args))
    if key not in _told:
        before = len(check.observed)
        try:
            _told[key] = on_ranks(math.prod(layout), body, layout, *args), None, check.observed[before:]
        except AssertionError as error:
            _told[key] = None, error, check.observed[before:]
    else:
        check.observed.extend(_told[key][2])
    results, error, _ = _told[key]
    if error:
        raise error
    return results


def mesh_of(layout):
    return meshes.make_mesh(meshes.Layout(*layout))


@pytest.fixture
def drawn(seed):
    """The seed of what all tests share, so that ranks that were started for one of them serve the others."""
    return random.Random(f"{seed} 6.11").randrange(1 << 20)


# -- the norm, by hand


class Whole(nn.Module):
    """One number, which is the same on all ranks."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))


class Table(nn.Module):
    """An embedding with a table of one number, (1, 1)."""

    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(1, 1)


def by_hand(rank, layout, how):
    """Gradients of 3, 4 and 12, each of them once or twice: 13 long."""
    place, mesh = rank if math.prod(layout) == 2 else 0, mesh_of(layout)
    group, last = mesh.group("tp"), place == layout[2] - 1
    half = parallel.ColumnParallelLinear(torch.ones(layout[1], 1), None, group)  # one number here
    other = Whole()
    if how == "in stages":  # 3 and the table in the first; 4 and a copy of the table in the second
        block, table = Whole(), Table() if not last else None
        head = nn.Linear(1, 1, bias=False) if last else None
        stage = pipeline.PipelineStage(table, {place: block}, None, head, 1)
        stage.shares = True
        block.weight.grad = torch.tensor([[3.0], [4.0]][place])
        stage.shared.grad = torch.tensor([[12.0]])
    else:
        more = Whole()
        stage = pipeline.PipelineStage(Whole(), {0: half, 1: other, 2: more}, None, nn.Linear(1, 1), 1)
        other.weight.grad = torch.tensor([12.0])
        half.weight.grad = torch.tensor([[[3.0], [4.0]][place if how == "cut" else 0]])
        more.weight.grad = None if how == "cut" else torch.tensor([4.0])
    return float(engines.global_norm(stage, mesh))


HAND = {
    "one": (ONE, "the gradients [[3]], [12] and [4]", "√(3² + 12² + 4²) = 13."),
    "cut": ((1, 2, 1), "[[3]] on rank 0 and [[4]] on rank 1 of a matrix that is cut, and [12] that both have", ""),
    "in stages": ((1, 1, 2), "[3] in stage 0, [4] in stage 1, and [[12]] of a table that both share", ""),
    "copies": ((2, 1, 1), "[[3]], [12] and [4], which both copies have", ""),
}
ONCE = "√(3² + 4² + 12²) = 13: what several ranks have alike counts once."


@pytest.mark.parametrize("how", HAND)
def test_norm_by_hand(how):
    """The norm is that of all gradients of the whole model, each counted once, on all ranks."""
    layout, gradients, why = HAND[how]
    for rank, got in enumerate(ranks(layout, by_hand, how)):
        check.close(got, 13.0, f"the norm on rank {rank} of {called(layout)}, of {gradients}", why=why or ONCE)


# -- as one process


def configured(drawn, max_norm=None, **more):
    model = {"vocab_size": 64, "context_length": 12, "d_model": 16, "n_layers": 2, "n_heads": 4, "d_ff": 20}
    model = config.GPTConfig(**{**model, "init_std": 0.1, **more})
    options = {"batch_size": 8, "max_lr": RATES[1], "weight_decay": 0.3, "beta1": 0.2, "beta2": 0.5}
    return configs.TrainConfig(model, steps=9, warmup=1, **options, max_norm=max_norm, seed=drawn)


def batches_of(drawn, step):
    """What a step is taken on: in step 0 two batches; in step 1 one row counts, in step 3 one and a bit."""
    generator = torch.Generator().manual_seed(drawn * 10 + step)
    made = []
    for rows, length in ((8, 7), (7, 6)) if step == 0 else ((8, 7),):
        ids = torch.randint(64, (rows, length), generator=generator)
        targets = torch.randint(64, (rows, length), generator=generator)
        for row in range(rows):
            counts = (length, 1, 0, length, 2, length, 1, length)
            counted = {1: length * (row == 3), 3: {3: length, 4: 1}.get(row, 0)}.get(step, counts[row])
            targets[row, counted:] = NONE
        mask = positions = None
        if rows == 7:
            mask = (torch.rand(rows, 1, length, length, generator=generator) < 0.7) | torch.eye(
                length, dtype=torch.bool
            )
            positions = torch.arange(length) + torch.randint(6, (rows, 1), generator=generator)
        made.append(batches.Batch(ids, targets, mask, positions))
    return made


def loss_of(model, given):
    """The mean over all targets that count in all batches."""
    losses = [
        nn.functional.cross_entropy(
            model(each.ids, mask=each.mask, positions=each.positions).flatten(0, 1),
            each.targets.flatten(),
            ignore_index=NONE,
            reduction="sum",
        )
        for each in given
    ]
    return torch.stack(losses).sum() / sum(int((each.targets != NONE).sum()) for each in given)


def alone(drawn, steps, max_norm=None, **more):
    """What one process sees in these steps, and in an evaluation after them, in plain torch."""
    setting = configured(drawn, max_norm, **more)
    torch.manual_seed(setting.seed)
    model = stage04.GPT(setting.model)
    groups = training.parameter_groups(model, setting.weight_decay)
    optimizer = training.AdamW(groups, lr=setting.max_lr, betas=(setting.beta1, setting.beta2))
    seen: dict[str, Any] = {"loss": [], "tokens": [], "norm": []}
    for step in steps:
        given = batches_of(drawn, step)
        for group in optimizer.param_groups:
            group["lr"] = RATES[step]
        loss = loss_of(model, given)
        optimizer.zero_grad()
        loss.backward()
        length = nn.utils.clip_grad_norm_(model.parameters(), math.inf if max_norm is None else max_norm)
        optimizer.step()
        seen["loss"].append(loss.item())
        seen["tokens"].append(sum(each.counted for each in given))
        seen["norm"].append(length.item())
    with torch.no_grad():
        seen["evaluation"] = loss_of(model, batches_of(drawn, 7)).item()
    return seen


def length_of(parameters):
    """How long the gradients of these are together, on this rank."""
    return math.sqrt(sum(float(p.grad.double().square().sum()) for p in parameters if p.grad is not None))


class Watched:
    """An engine, and what can be seen of it in its steps.

    Attributes:
        lengths: of the gradients that the optimizer was given here, step by step.
        sent: by step, how many numbers each message had that went to the copies.
        left: how many parameters had a gradient after each step.
        formats: of what the output layer gave.
        inside: how often an attention was called in each step.
        kept: of how many attentions what went in was still there at most when another part of the model worked.
    """

    def __init__(self, layout, setting, **how):
        self.mesh = mesh_of(layout)
        self.engine = engines.Engine(setting, engines.EngineConfig(**how), self.mesh)
        self.parameters = list(self.engine.stage.parameters())
        self.seen: dict[str, Any] = {"loss": [], "tokens": [], "norm": []}
        self.lengths, self.sent, self.left, self.formats, self.inside, self.kept = [], [], [], set(), [], 0
        self.alive: list[StorageWeakRef] = []
        self.engine.optimizer.register_step_pre_hook(lambda *_: self.lengths.append(length_of(self.parameters)))
        for module in self.engine.stage.modules():
            if isinstance(module, parallel.ParallelAttention):
                module.register_forward_pre_hook(self.enter, with_kwargs=True)
        if self.engine.stage.is_last:
            self.engine.stage.head.register_forward_hook(self.leave)

    def enter(self, module, args, kwargs):
        self.inside[-1] += 1
        x = args[0] if args else kwargs["x"]
        self.alive.append(StorageWeakRef(x.untyped_storage()))

    def leave(self, module, args, out):
        self.formats.add(str(out.dtype))
        self.kept = max(self.kept, sum(not each.expired() for each in self.alive))

    def step(self, given, lr):
        for group in self.engine.optimizer.param_groups if self.left else ():  # the first is that of the config
            group["lr"] = lr
        self.inside.append(0)
        with during(f"step {len(self.left)}"):
            result = self.engine.step(given)
        for name, value in zip(self.seen, (result.loss, result.tokens, result.grad_norm)):
            self.seen[name].append(value)
        group = self.mesh.group("dp").group_name
        messages = [each for each in traffic() if each.during == f"step {len(self.left)}" and each.group == group]
        numbers = [each for each in messages if each.kind != "recv" and each.bytes > each.count]  # not pickled objects
        self.sent.append([(each.kind, each.count) for each in numbers])
        self.left.append(sum(p.grad is not None for p in self.parameters))

    def told(self):
        optimizer, timeline = self.engine.optimizer, self.engine.timeline
        local = getattr(optimizer, "local", optimizer)
        tensors = [value for state in local.state.values() for value in state.values()]
        return {
            **self.seen,
            "lengths": self.lengths,
            "sent": self.sent,
            "left": self.left,
            "formats": sorted(self.formats),
            "weights": sorted({str(p.dtype) for p in self.parameters}),
            "inside": list(self.inside),
            "kept": self.kept,
            "numbers": sum(p.numel() for p in self.parameters),
            "state": sum(each.numel() for each in tensors if isinstance(each, torch.Tensor) and each.dim()),
            "scaler": self.engine.scaler is not None,
            "events": timeline and len(timeline.events),
            "alive": timeline and timeline.most_alive,
        }


def trained(rank, layout, drawn, steps, max_norm=None, how=None, more=None, evaluates=True):
    watched = Watched(layout, configured(drawn, max_norm, **(more or {})), **(how or {}))
    for step in steps:
        watched.step(batches_of(drawn, step), RATES[step])
    told = watched.told()
    if evaluates:
        evaluation = watched.engine.evaluate(batches_of(drawn, 7))
        told |= {"evaluation": evaluation.loss, "counted": evaluation.tokens}
    return told


def held(results, right, what, rtol=1e-4, steps=None):
    """Hold what each rank has seen to what one process has."""
    steps = steps or range(len(right["tokens"]))
    for rank, got in enumerate(results):
        place = f"on rank {rank} of {len(results)}, {what}"
        for number, step in enumerate(steps):
            for name in ("loss", "tokens", "norm"):
                title = f"the {name} of step {step} {place}"
                check.close(got[name][step], right[name][number], title, rtol=rtol, why=AS_ONE)
        if "evaluation" in got:
            title = f"the loss of an evaluation after {len(steps)} steps {place}"
            check.close(got["evaluation"], right["evaluation"], title, rtol=rtol, why=AS_ONE)


TWO = (1, 0)  # the second has two batches
PLAIN = {"norm": "rms", "bias": False, "position": "rope", "activation": "swiglu", "tie_weights": False}


@pytest.mark.parametrize("layout", [ONE, *PAIRS], ids=called)
def test_as_one_process(drawn, layout):
    """In each layout, loss, tokens and norm are those of one process, step by step."""
    held(ranks(layout, trained, drawn, TWO), alone(drawn, TWO), f"with {called(layout)}")


TOGETHER = {
    (2, 2, 1): ({}, PLAIN),
    (1, 2, 2): ({"micro_batches": 2, "recompute": True}, {}),
    (2, 1, 2): (OTHERWISE, {}),
}


def together(layout, drawn):
    """What ranks see in two steps, in layouts of two kinds at once."""
    return ranks(layout, trained, drawn, TWO, None, *TOGETHER[layout], False)


@pytest.mark.parametrize("layout", TOGETHER, ids=called)
def test_two_kinds_at_once(drawn, layout):
    """That is so too in two ways at once, and with micro-batches, another schedule, zero and recompute."""
    how, more = TOGETHER[layout]
    held(together(layout, drawn), alone(drawn, TWO, **more), f"with {called(layout)} {how or ''}")


# -- rows


def pieces(rank, layout):
    """Of 7 rows, which are in the pieces of this rank; whether all that a batch has went with them."""
    setting = configured(1)
    engine = engines.Engine(setting, engines.EngineConfig(micro_batches=3), mesh_of(layout))
    ids = torch.arange(7)[:, None].expand(7, 4)
    mask = torch.arange(7)[:, None, None, None].expand(7, 1, 4, 4) % 2 == 0
    found, together = [], []
    for piece in engine.rows_of(batches.Batch(ids, ids + 10, mask, ids + 20)):
        rows = piece.ids[:, 0]
        found.append(rows.tolist())
        others = (piece.targets, ids[rows] + 10), (piece.positions, ids[rows] + 20), (piece.mask, mask[rows])
        together.append(all(got is not None and torch.equal(got, right) for got, right in others))
    plain = engine.rows_of(batches.Batch(ids, ids + 10))
    return found, together, [each.mask is None and each.positions is None for each in plain]


def test_rows():
    """Each row of a batch is read by one copy, in one of its micro-batches, of which none is empty."""
    results = ranks((2, 1, 1), pieces)
    for rank, (found, together, plain) in enumerate(results):
        what = f"the rows of rank {rank} of {called((2, 1, 1))}, in micro-batches"
        check.equal(
            len(found), 3, f"how many micro-batches rank {rank} has, with micro_batches=3", why=f"It has {found}."
        )
        check.true(all(found), f"no micro-batch of rank {rank} is empty, of a batch of 7 rows", got=found)
        check.true(all(together), f"targets, mask and positions go with {what}", got=together)
        check.true(all(plain), f"without mask and positions, {what} have none either", got=plain)
    rows = sorted(row for found, _, _ in results for piece in found for row in piece)
    check.equal(rows, list(range(7)), "the rows that both copies read, of a batch of 7", why="Each row once.")


def uncut(rank, layout):
    setting = configured(1, n_layers=1)
    check.raises(ValueError, engines.Engine, setting, engines.EngineConfig(), mesh_of(layout))


def test_cannot_be_cut():
    """A model that cannot be cut in this way is a ValueError."""
    ranks((1, 1, 2), uncut)


# -- clipping


@pytest.mark.parametrize("layout", [ONE, *PAIRS[1:]], ids=called)
def test_clipping(drawn, layout):
    """All ranks shorten their gradients by the same factor: that which makes those of the whole model max_norm long."""
    right = alone(drawn, (1,))
    results = ranks(layout, trained, drawn, (1,), SHORT, {}, {}, False)
    for rank, (got, before) in enumerate(zip(results, ranks(layout, trained, drawn, TWO))):
        title = f"by which rank {rank} of {called(layout)} multiplies its gradients, clipped to {SHORT}"
        factor = got["lengths"][0] / before["lengths"][0]
        why = f"The norm of the whole model is {right['norm'][0]:.5g}, and {SHORT} divided by that is the factor."
        check.close(factor, SHORT / right["norm"][0], f"the factor {title}", rtol=1e-4, why=why)
    held(results, right, f"with {called(layout)}, clipped to {SHORT}")


def test_what_is_short_stays(drawn):
    """Gradients that are not longer than max_norm stay as they are; and with max_norm=None, however long they are."""
    longer = ranks(ONE, trained, drawn, (1,), 1000.0, {}, {}, False)
    for max_norm, (got,) in ((None, ranks(ONE, trained, drawn, TWO)), (1000.0, longer)):
        title = f"how long the gradients are that the optimizer gets, with max_norm={max_norm}"
        check.close(got["lengths"][0], alone(drawn, (1,))["norm"][0], title, rtol=1e-4)


# -- what is asked for, and seen


@pytest.mark.parametrize("layout", [ONE, *PAIRS], ids=called)
def test_gradients_are_cleared(drawn, layout):
    """After a step, no parameter has a gradient."""
    for rank, got in enumerate(ranks(layout, trained, drawn, TWO)):
        why = "The next backward would add to what is there."
        check.equal(got["left"], [0, 0], f"how many parameters of rank {rank} have a gradient after a step", why=why)


def test_averaged_once(drawn):
    """However many batches and micro-batches a step has, the copies average their gradients once."""
    for layout, results, count, most in (
        ((2, 1, 1), ranks((2, 1, 1), trained, drawn, TWO), "two batches", 1.5),
        ((2, 1, 2), together((2, 1, 2), drawn), "four micro-batches, with zero", 2.0),
    ):
        for rank, got in enumerate(results):
            sent = sum(count for _, count in got["sent"][1])
            what = f"rank {rank} of {called(layout)} sends its copy at most {most} times its gradients, of {count}"
            why = "All backward passes but the last run within no_sync: gradients add up here, and travel once."
            got = f"{sent} numbers, where there are {got['numbers']} gradients"
            check.true(sent <= most * results[rank]["numbers"], what, got=got, why=why)


def test_buckets(drawn):
    """`bucket_mb` says how many gradients travel together."""
    for rank, got in enumerate(together((2, 1, 2), drawn)):
        largest = max(count for kind, count in got["sent"][0] if kind == "all_reduce")
        what = f"with buckets of 0.001 MiB, no message of rank {rank} has half of the {got['numbers']} gradients"
        check.true(largest < got["numbers"] / 2, what, got=largest)


def test_schedules(drawn):
    """The pipeline goes by the schedule that is asked for, and `timeline` tells of the last step."""
    plain, other = ranks((1, 1, 2), trained, drawn, TWO), together((2, 1, 2), drawn)[:2]
    why = "1F1B keeps P - r at most on rank r; GPipe keeps all."
    alive = [got["alive"] for got in plain]
    check.equal(alive, [2, 1], "how many of 2 batches are alive on ranks 0 and 1, with 1f1b", why=why)
    alive = [got["alive"] for got in other]
    check.equal(alive, [4, 4], "how many of 4 micro-batches are alive on ranks 0 and 1, with gpipe", why=why)
    for got, events, there in ((plain, 4, "2 batches"), (other, 8, "2 micro-batches of each of 2 batches")):
        title = f"how many events the timelines of ranks 0 and 1 have after a step with {there}"
        check.equal([each["events"] for each in got], [events] * 2, title, why="Each goes forward and backward once.")


def test_zero(drawn):
    """With zero, the copies share the state of the optimizer out among them; without, each has all of it."""
    for layout, results, copies in (
        ((2, 1, 1), ranks((2, 1, 1), trained, drawn, TWO), 1),
        ((2, 1, 2), together((2, 1, 2), drawn), 2),
    ):
        for rank, got in enumerate(results):
            right, zeroes = 2 * got["numbers"] / copies, copies > 1
            what = f"rank {rank} of {called(layout)} has about {right:.0f} numbers of state, with zero={zeroes}"
            why = f"AdamW has two for each of the {got['numbers']} weights here; there are two copies of each."
            check.true(abs(got["state"] - right) <= 8, what, got=got["state"], why=why)


def test_recompute(drawn):
    """With recompute, the inside of each block is computed twice, and not kept in between."""
    (got,) = ranks(ONE, trained, drawn, (1,), None, {"recompute": True}, {}, False)
    check.equal(got["inside"], [4], "how often an attention works in a step of one batch, with 2 blocks")
    why = "What goes into the attention is made within the block. Backward makes it again."
    check.equal(got["kept"], 0, "of how many blocks that is kept when the output layer has worked", why=why)
    held([got], alone(drawn, (1,)), "with recompute")


def test_no_recompute(drawn):
    """Without recompute, nothing is computed twice."""
    (got,) = ranks(ONE, trained, drawn, TWO)
    check.equal(got["inside"], [2, 4], "how often an attention works in steps of one batch and of two, with 2 blocks")


# -- few bits


def test_bf16(drawn):
    """With bf16, matrices are multiplied in bfloat16; weights stay in float32, and the result is close to fp32."""
    results = ranks((1, 1, 2), trained, drawn, (1,), None, {"precision": "bf16"}, {}, False)
    held(results, alone(drawn, (1,)), "in bf16", rtol=0.03)
    check.equal(results[1]["formats"], ["torch.bfloat16"], "the format that the output layer gives, in bf16")
    for rank, got in enumerate(results):
        check.equal(got["weights"], ["torch.float32"], f"the format of the weights on rank {rank}, in bf16")
        check.equal(got["scaler"], False, f"whether rank {rank} has a scaler, in bf16")


def spoiled(parameters, rank, layout):
    """Have one of this rank's parameters get an infinite gradient, if it is the last rank; give what ends that."""
    p = max(parameters, key=lambda p: p.numel())
    return p.register_hook(lambda g: g * math.inf if rank == math.prod(layout) - 1 else g).remove


def overflowing(rank, layout, drawn):
    """Three steps in fp16, in the second of which the last rank alone has an infinite gradient."""
    watched = Watched(layout, configured(drawn, SHORT), precision="fp16")
    scaler, factors = watched.engine.scaler, []
    check.true(scaler is not None, "with fp16, the engine has a scaler", got=scaler)
    watched.step(batches_of(drawn, 1), RATES[1])
    factors.append(scaler.factor)
    before = [p.detach().clone() for p in watched.parameters]
    end = spoiled(watched.engine.stage.blocks.parameters(), rank, layout)
    watched.step(batches_of(drawn, 3), RATES[3])
    end()
    stayed = all(map(torch.equal, before, watched.parameters))
    factors.append(scaler.factor)
    watched.step(batches_of(drawn, 4), RATES[4])
    factors.append(scaler.factor)
    return {**watched.told(), "factors": [factor / factors[0] for factor in factors], "stayed": stayed}


FP16 = [ONE, *PAIRS[1:]]


@pytest.mark.parametrize("layout", FP16, ids=called)
def test_fp16(drawn, layout):
    """With fp16, loss and norm are close to fp32; gradients are divided by the scale before they are clipped."""
    results = ranks(layout, overflowing, drawn)
    held(results, alone(drawn, (1,), SHORT), f"with {called(layout)}, in fp16", rtol=0.03)
    plain = ranks(layout, trained, drawn, (1,), SHORT, {}, {}, False)
    for rank, got in enumerate(results):
        title = f"how long the gradients are that the optimizer of rank {rank} gets, clipped to {SHORT}, in fp16"
        check.close(got["lengths"][0], plain[rank]["lengths"][0], title, rtol=0.03)
        check.equal(got["weights"], ["torch.float32"], f"the format of the weights on rank {rank}, in fp16")
    check.equal(results[-1]["formats"], ["torch.float16"], "the format that the output layer gives, in fp16")


@pytest.mark.parametrize("layout", FP16, ids=called)
def test_overflow(drawn, layout):
    """If one rank has an infinite gradient in fp16, no rank takes the step; all halve the scale, and go on."""
    results = ranks(layout, overflowing, drawn)
    place = f"of {called(layout)}"
    for rank, got in enumerate(results):
        why = "Ranks that step and ranks that do not no longer have parts of one model. All ranks ask all."
        check.true(
            got["stayed"], f"the weights of rank {rank} {place} stay where rank {len(results) - 1} overflows", why=why
        )
        title = (
            f"the scale on rank {rank} {place} after the steps, as a part of that after the first; the second overflows"
        )
        check.close(got["factors"], [1.0, 0.5, 0.5], title)
        norm = got["norm"][1]
        check.true(not math.isfinite(norm), f"the norm on rank {rank} {place} is inf or nan there", got=norm)
        check.equal(got["left"], [0, 0, 0], f"how many parameters of rank {rank} have a gradient after a step")
    right = alone(drawn, (1, 4), SHORT)
    held(results, right, f"{place}, in fp16, the second of which was left out", rtol=0.03, steps=(0, 2))


# -- steps that cannot be taken


def refused(rank, layout, drawn, how, precision):
    """A step that cannot be taken, and then one that can."""
    watched = Watched(layout, configured(drawn, 1.0), precision=precision)
    step, optimizer = watched.engine.step, watched.engine.optimizer
    before = [p.detach().clone() for p in watched.parameters]
    given = batches_of(drawn, 2)
    watched.inside.append(0)
    if how == "targets":
        given = [each._replace(targets=torch.full_like(each.targets, NONE)) for each in given]
        check.raises(ValueError, step, given)
    elif how == "norm":
        end = spoiled(watched.engine.stage.blocks.parameters(), rank, layout)
        check.raises(FloatingPointError, step, given)
        end()
    else:
        p = max(watched.engine.stage.blocks.parameters(), key=lambda p: p.numel())
        kept = p.detach().clone()
        with torch.no_grad():
            p.fill_(math.nan if rank == math.prod(layout) - 1 else 0.0)
        here = p.detach().clone()
        check.raises(FloatingPointError, step, given)
        check.true(torch.equal(p.isnan(), here.isnan()), f"the weights of rank {rank} stay where the loss is nan")
        with torch.no_grad():
            p.copy_(kept)
    same = all(map(torch.equal, before, watched.parameters))
    check.true(same, f"the weights of rank {rank} stay after such a step")
    left = sum(p.grad is not None for p in watched.parameters)
    check.equal(left, 0, f"how many parameters of rank {rank} have a gradient after that")
    check.equal(len(optimizer.state), 0, f"of how many parameters of rank {rank} the optimizer has a state after that")
    watched.step(batches_of(drawn, 3), RATES[3])
    return watched.told()


REFUSED = {
    "targets": [(ONE, "fp32")],
    "norm": [((1, 2, 1), "fp32"), ((1, 1, 2), "fp32")],
    "loss": [((2, 1, 1), "fp32"), (ONE, "fp16")],
}


def refuses(drawn, how):
    for layout, precision in REFUSED[how]:
        what = f"of {called(layout)}, in {precision}, after one that could not be taken"
        rtol = 1e-4 if precision == "fp32" else 0.03
        held(ranks(layout, refused, drawn, how, precision), alone(drawn, (3,), 1.0), what, rtol)


def test_no_targets(drawn):
    """Where no target counts, that is a ValueError on all ranks, and nothing has changed."""
    refuses(drawn, "targets")


def test_infinite_norm(drawn):
    """Without a scaler, an infinite norm, from whichever rank, is a FloatingPointError on all; nothing has changed."""
    refuses(drawn, "norm")


def test_nan_loss(drawn):
    """A loss that is nan is a FloatingPointError on all ranks, with a scaler or without; nothing has changed."""
    refuses(drawn, "loss")
