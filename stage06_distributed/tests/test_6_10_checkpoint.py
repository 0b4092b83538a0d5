"""6.10 · Checkpoints of many processes: written by all of them together, and gone on from in any other layout."""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint
import torch.distributed.tensor
from torch import nn

from bootcamp.grading import check, written
from bootcamp.grading.ranks import RankFailed, during, on_ranks, traffic

with contextlib.suppress(ImportError):
    import fsspec as _  # so that not each rank, when it saves, has to import it for itself

ckpt = written("stage06_distributed.distributed_checkpoint")
meshes = written("stage06_distributed.mesh")
tp = written("stage06_distributed.tensor_parallel")
pipeline = written("stage06_distributed.pipeline")
stage04 = written("stage04_block")
config = written("stage04_block.config")

ONE = (1, 1, 1)  # one process; layouts are (dp, tp, pp)
UNUSED = "norm.bias"  # has no gradient, and so no state
OPTIMIZERS: dict[str, Any] = {
    "AdamW": lambda params, lr=0.05: torch.optim.AdamW(params, lr=lr),
    "SGD": lambda params, lr=0.05: torch.optim.SGD(params, lr=lr, momentum=0.9),
}


def ranks(layout, body, *args):
    """Run it on as many ranks as the layout has, which need not import the graded code each for itself."""
    assert ckpt.save_distributed and meshes.make_mesh and tp.ColumnParallelLinear and pipeline.PipelineStage
    assert stage04.GPT
    return on_ranks(layout[0] * layout[1] * layout[2], body, layout, *args)


def mesh_of(layout):
    dp, tp, pp = layout
    return meshes.make_mesh(meshes.Layout(dp=dp, tp=tp, pp=pp))


# -- a model whose parts, and whose whole, the grader knows


class Sizes:
    """V tokens, width C, F inside, L blocks; whether input and output share their table."""

    def __init__(self, V=8, C=3, F=4, L=2, tied=True):  # noqa: N803
        self.V, self.C, self.F, self.L, self.tied = V, C, F, L, tied

    def shapes(self):
        """By name: the shape of a whole parameter, and along which dimension it is cut."""
        found: dict[str, Any] = {"embed.token.weight": ((self.V, self.C), 0)}
        for i in range(self.L):
            found[f"blocks.{i}.up.weight"] = ((self.F, self.C), 0)
            found[f"blocks.{i}.up.bias"] = ((self.F,), 0)
            found[f"blocks.{i}.down.weight"] = ((self.C, self.F), 1)
            found[f"blocks.{i}.down.bias"] = ((self.C,), None)
            found[f"blocks.{i}.gain"] = ((self.C,), None)
        found["norm.weight"] = found["norm.bias"] = ((self.C,), None)
        if not self.tied:
            found["head.weight"] = ((self.V, self.C), 0)
        return found

    def draw(self, seed, dtype=torch.float32):
        """Whole tensors, by name."""
        generator = torch.Generator().manual_seed(seed)
        return {name: torch.randn(shape, generator=generator).to(dtype) for name, (shape, _) in self.shapes().items()}


class Embed(nn.Module):
    def __init__(self, table, group):
        super().__init__()
        self.token = tp.VocabParallelEmbedding(table, group)


class Block(nn.Module):
    def __init__(self, number, whole, group):
        super().__init__()
        prefix = f"blocks.{number}."
        self.up = tp.ColumnParallelLinear(whole[prefix + "up.weight"], whole[prefix + "up.bias"], group)
        self.down = tp.RowParallelLinear(whole[prefix + "down.weight"], whole[prefix + "down.bias"], group)
        self.gain = nn.Parameter(whole[prefix + "gain"].clone())


def stage_of(sizes, whole, mesh):
    """This rank's part of the model with these weights."""
    group, rank, count = mesh.group("tp"), mesh.rank("pp"), mesh.layout.pp
    first, last = rank == 0, rank == count - 1
    norm = nn.LayerNorm(sizes.C, dtype=whole["norm.weight"].dtype)
    norm.load_state_dict({"weight": whole["norm.weight"], "bias": whole["norm.bias"]})
    table = whole["embed.token.weight"]
    head = tp.ColumnParallelLinear(table if sizes.tied else whole["head.weight"], None, group)
    embed = Embed(table, group)
    blocks = {i: Block(i, whole, group) for i in range(sizes.L) if i * count // sizes.L == rank}
    stage = pipeline.PipelineStage(
        embed if first else None, blocks, norm if last else None, head if last else None, sizes.C
    )
    if sizes.tied and count == 1:
        head.weight = embed.token.weight
    stage.shares = sizes.tied and count > 1 and (first or last)
    return stage


def named(sizes, stage):
    """The parameters of a stage by their names in the whole model."""
    other = {"head.weight": "embed.token.weight"} if sizes.tied else {}
    return {other.get(name, name): p for name, p in stage.named_parameters()}


def part(sizes, name, whole, mesh):
    """What this rank has of a whole tensor."""
    cut = sizes.shapes()[name][1]
    return whole if cut is None else whole.chunk(mesh.layout.tp, cut)[mesh.rank("tp")]


def steps(params, optimizer, sizes, seed, first, count, mesh=None):
    """Some steps with gradients that are drawn whole, and of which each rank takes its part."""
    for step in range(first, first + count):
        for name, gradient in sizes.draw(seed + 1 + step, next(iter(params.values())).dtype).items():
            if name in params and name != UNUSED:
                params[name].grad = part(sizes, name, gradient, mesh).clone() if mesh else gradient
        optimizer.step()


def never_stopped(sizes, seed, kind="AdamW", count=4, dtype=torch.float32):
    """The whole weights after these steps in one process, by torch's optimizer."""
    params = {name: nn.Parameter(value) for name, value in sizes.draw(seed, dtype).items()}
    steps(params, OPTIMIZERS[kind](params.values()), sizes, seed, 0, count)
    return {name: p.detach() for name, p in params.items()}


def saved(rank, layout, folder, sizes, seed, kind="AdamW", dtype=torch.float32, more=None):
    """Two steps, and a checkpoint."""
    mesh = mesh_of(layout)
    stage = stage_of(sizes, sizes.draw(seed, dtype), mesh)
    params = named(sizes, stage)
    optimizer = OPTIMIZERS[kind](stage.parameters())
    steps(params, optimizer, sizes, seed, 0, 2, mesh)
    with during("save"):
        ckpt.save_distributed(folder, stage, optimizer, mesh, **({"step": 2} if more is None else more))
    there = os.path.isdir(folder) and bool(os.listdir(folder))
    return there, sum(each.bytes for each in traffic() if each.during == "save" and each.kind != "recv")


def gone_on(rank, layout, folder, sizes, seed, kind="AdamW", dtype=torch.float32, count=2):
    """A model with other weights, and with AdamW another past, goes on from a checkpoint. Gives parts, and of what."""
    mesh = mesh_of(layout)
    stage = stage_of(sizes, sizes.draw(seed + 77, dtype), mesh)
    params = named(sizes, stage)
    optimizer = OPTIMIZERS[kind](stage.parameters())
    steps(params, optimizer, sizes, seed, 9, 1 if kind == "AdamW" else 0, mesh)
    with during("load"):
        more = ckpt.load_distributed(folder, stage, optimizer, mesh)
    heard = sum(each.bytes for each in traffic() if each.during == "load" and each.kind != "recv")
    for p in params.values():
        p.grad = None
    steps(params, optimizer, sizes, seed, 2, count, mesh)
    where = f"on rank {rank}, which is {mesh.rank('tp')} of tp={layout[1]} and {mesh.rank('pp')} of pp={layout[2]}"
    return {name: p.detach().clone() for name, p in params.items()}, [mesh.rank("tp"), layout[1]], where, more, heard


def hold(results, sizes, expected, what, **options):
    """Hold the parts of all ranks to those of the whole tensors that are expected."""
    for got, (rank, world), where, *_ in results:
        for name, its in got.items():
            cut = sizes.shapes()[name][1]
            right = expected[name] if cut is None else expected[name].chunk(world, cut)[rank]
            check.close(its, right, f"{name} {where}, {what}", **options)


def files(folder):
    """The files of a folder, by what they are on the disk, with their sizes; whatever they are called."""
    return {each.stat().st_ino: each.stat().st_size for each in sorted(Path(folder).rglob("*")) if each.is_file()}


# -- by hand


def layers(rank, layout):
    """A column-parallel layer, a row-parallel one, a table and a norm, and a model in a model."""
    model: Any = nn.Module()
    model.up = tp.ColumnParallelLinear(torch.ones(4, 2), torch.ones(4))
    model.down = tp.RowParallelLinear(torch.ones(2, 4), torch.ones(2))
    model.plain = nn.Linear(2, 2)
    model.inner = nn.ModuleDict({"table": tp.VocabParallelEmbedding(torch.ones(6, 2)), "norm": nn.LayerNorm(2)})
    model.inner["out"] = tp.ColumnParallelLinear(torch.ones(4, 2))
    names = [name for name, _ in model.named_parameters()]
    found = ckpt.cut_dimensions(model)
    return {name: found.get(name) for name in names}, sorted(set(found) - set(names))


def test_cut_dimensions_by_hand():
    """Which parameters are parts: column-parallel ones and tables along 0, row-parallel weights along 1."""
    expected = {
        "up.weight": 0,
        "up.bias": 0,
        "down.weight": 1,
        "down.bias": None,
        "plain.weight": None,
        "plain.bias": None,
        "inner.table.weight": 0,
        "inner.norm.weight": None,
        "inner.norm.bias": None,
        "inner.out.weight": 0,
    }
    why = "A row-parallel layer adds its bias after the sum: each rank has all of it. Norms and plain layers are whole."
    (got, others) = ranks((1, 2, 1), layers)[0]
    for name, dimension in expected.items():
        check.equal(got[name], dimension, f"along which dimension {name} is cut (None: not at all)", why=why)
    check.equal(others, [], "what else is said to be cut")


class Pair(nn.Module):
    """Two layers, with weights that can be seen."""

    def __init__(self, scale, group):
        super().__init__()
        self.up = tp.ColumnParallelLinear(scale * torch.tensor([[1.0], [2.0]]), scale * torch.tensor([3.0, 4.0]), group)
        self.down = tp.RowParallelLinear(scale * torch.tensor([[5.0, 6.0]]), scale * torch.tensor([7.0]), group)


def pair_saved(rank, layout, folder):
    mesh = mesh_of(layout)
    model = Pair(1.0, mesh.group("tp"))
    ckpt.save_distributed(folder, model, OPTIMIZERS["SGD"](model.parameters()), mesh, step=5, name="a run")
    return [p.tolist() for p in model.parameters()]


def pair_loaded(rank, layout, folder):
    mesh = mesh_of(layout)
    model = Pair(0.0, mesh.group("tp"))
    optimizer = OPTIMIZERS["SGD"](model.parameters(), lr=0.25)
    more = ckpt.load_distributed(folder, model, optimizer, mesh)
    return {name: p.tolist() for name, p in model.named_parameters()}, more, optimizer.param_groups[0]["lr"]


def test_by_hand(tmp_path):
    """What two ranks have saved in parts, one process has whole."""
    parts = ranks((1, 2, 1), pair_saved, tmp_path / "step-5")
    check.equal(parts[1], [[[2.0]], [4.0], [[6.0]], [7.0]], "what rank 1 had when it was saved, and still has after it")
    ((got, more, rate),) = ranks(ONE, pair_loaded, str(tmp_path / "step-5"))
    why = "Column-parallel weights and biases are put together along 0, row-parallel weights along 1."
    check.equal(got["up.weight"], [[1.0], [2.0]], "up.weight, of which the ranks had [[1]] and [[2]]", why=why)
    check.equal(got["up.bias"], [3.0, 4.0], "up.bias, of which the ranks had [3] and [4]", why=why)
    check.equal(got["down.weight"], [[5.0, 6.0]], "down.weight, of which the ranks had [[5]] and [[6]]", why=why)
    check.equal(got["down.bias"], [7.0], "down.bias, which was [7] on both ranks")
    check.equal(more, {"step": 5, "name": "a run"}, "what comes back of step=5, name='a run'")
    check.equal(rate, 0.25, "the lr that the optimizer was made with, after loading")


# -- from one layout to another


@pytest.mark.parametrize(
    "before, after, kind, dtype, tied",
    [
        ((1, 2, 1), ONE, "AdamW", torch.float32, True),
        ((1, 1, 2), (1, 2, 1), "AdamW", torch.float64, True),
        ((2, 2, 1), (1, 1, 2), "SGD", torch.float32, True),
        (ONE, (1, 2, 2), "AdamW", torch.float32, False),
    ],
    ids=str,
)
def test_goes_on(rng, tmp_path, before, after, kind, dtype, tied):
    """Saved in one layout and gone on from in another, a run ends as the one that was never stopped."""
    sizes, seed = Sizes(tied=tied), rng.randrange(1 << 30)
    ranks(before, saved, tmp_path / "run", sizes, seed, kind, dtype)
    results = ranks(after, gone_on, tmp_path / "run", sizes, seed, kind, dtype)
    what = f"saved after 2 steps of {kind} with (dp, tp, pp) = {before}, and 2 more after loading"
    exact = {"rtol": 1e-9, "atol": 1e-9} if dtype == torch.float64 else {}
    hold(results, sizes, never_stopped(sizes, seed, kind, dtype=dtype), what, **exact)
    check.equal([more for *_, more, _ in results], [{"step": 2}] * len(results), "what was kept beside, on each rank")


def test_weights_as_they_were(rng, tmp_path):
    """After loading, the weights are those that were saved, to the bit."""
    sizes, seed = Sizes(), rng.randrange(1 << 30)
    ranks((1, 1, 2), saved, tmp_path / "run", sizes, seed)
    results = ranks((2, 1, 1), gone_on, tmp_path / "run", sizes, seed, "AdamW", torch.float32, 0)
    hold(results, sizes, never_stopped(sizes, seed, count=2), "saved with pp=2, loaded with dp=2", rtol=0, atol=0)


LONG = "a" * 3000
MORE: dict[str, Any] = {
    "step": 3,
    "loss": 2.5,
    "nothing": None,
    "names": ["a", "b"],
    "loader": {"epoch": 1, "position": [4, {"of": 9}], "empty": {}, 7: "by number"},
    "text": LONG,
}


def test_more(rng, tmp_path):
    """What else is kept comes back as it was, nested or not, on all ranks."""
    sizes, seed = Sizes(L=1), rng.randrange(1 << 30)
    table = torch.arange(6.0).view(2, 3)
    ranks(ONE, saved, tmp_path / "run", sizes, seed, "SGD", torch.float32, {**MORE, "table": table})
    for *_, more, _ in ranks((1, 2, 1), gone_on, tmp_path / "run", sizes, seed, "SGD"):
        check.equal(sorted(more), sorted([*MORE, "table"]), "the names of what was kept beside")
        for name, value in MORE.items():
            check.equal(more[name], value, f"what was kept as {name}")
        check.close(more["table"], table, "a tensor that was kept", rtol=0, atol=0)
    ranks(ONE, saved, tmp_path / "run", sizes, seed, "SGD", torch.float32, {})
    ((*_, more, _),) = ranks(ONE, gone_on, tmp_path / "run", sizes, seed, "SGD")
    check.equal(more, {}, "what comes back where nothing was kept beside")


def gpt(group, seed=None):
    """A small GPT as `tensor_parallel` makes it; with the seed, of weights that are not those that it begins with."""
    torch.manual_seed(5)
    whole = stage04.GPT(
        config.GPTConfig(
            vocab_size=12, context_length=8, d_model=8, n_layers=2, n_heads=2, d_ff=12, activation="swiglu"
        )
    )
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p in whole.parameters():
                p.copy_(torch.randn(p.shape, generator=generator) / 3)
    ids = torch.arange(8)[None] % 12
    with torch.no_grad():
        right = whole(ids)
        model = tp.tensor_parallel(whole, group)
        return model, right, lambda: model(ids)


def gpt_saved(rank, layout, folder, seed):
    mesh = mesh_of(layout)
    model, right, _ = gpt(mesh.group("tp"), seed)
    ckpt.save_distributed(folder, model, OPTIMIZERS["SGD"](model.parameters()), mesh)
    return right


def gpt_loaded(rank, layout, folder):
    mesh = mesh_of(layout)
    model, _, logits = gpt(mesh.group("tp"))
    ckpt.load_distributed(folder, model, OPTIMIZERS["SGD"](model.parameters()), mesh)
    with torch.no_grad():
        return logits()


def test_gpt(rng, tmp_path):
    """A GPT that two ranks have in parts gives the same logits when one process has loaded it."""
    right = ranks((1, 2, 1), gpt_saved, tmp_path / "run", rng.randrange(1 << 30))[0]
    (got,) = ranks(ONE, gpt_loaded, tmp_path / "run")
    check.close(got, right, "the logits in one process of a GPT that was saved with tp=2", rtol=1e-4, atol=1e-5)


# -- how it is written


BIG = Sizes(V=128, C=64, F=256, L=2)


def test_size(tmp_path):
    """What several ranks have is on the disk once, and each rank writes its part: no weights travel."""
    results = ranks((2, 2, 1), saved, tmp_path / "run", BIG, 3)
    numbers = sum(value.numel() for value in BIG.draw(0).values())
    needed, found = 3 * 4 * numbers, sum(files(tmp_path / "run").values())
    why = "Each number has two of the optimizer's beside it, at 4 bytes. dp=2 ranks have the same; tp=2 have halves."
    claim = f"what 4 ranks wrote of {numbers:,} numbers and their state has about {needed // 1000:,} KB"
    check.true(needed <= found <= 1.35 * needed, claim, got=f"{found // 1000:,} KB", why=why)
    for rank, (_, sent) in enumerate(results):
        claim = f"rank {rank} sends little while it saves: it writes its part itself"
        check.true(sent < needed // 8, claim, got=f"{sent // 1000:,} KB of messages")
    for rank, (*_, heard) in enumerate(ranks((1, 2, 1), gone_on, tmp_path / "run", BIG, 3)):
        claim = f"rank {rank} sends little while it loads: it reads its part itself"
        check.true(heard < needed // 8, claim, got=f"{heard // 1000:,} KB of messages")


def test_replaces(rng, tmp_path):
    """What was there before is gone: other files, other weights; and nothing is left beside the folder."""
    sizes, seed = Sizes(L=1), rng.randrange(1 << 30)
    ranks((1, 1, 1), saved, tmp_path / "alone" / "run", sizes, seed)
    alone = [sorted(files(tmp_path / "alone" / "run").values()), len(files(tmp_path / "alone"))]
    ranks((1, 2, 1), saved, tmp_path / "both" / "run", sizes, seed + 1)
    (tmp_path / "both" / "run" / "another file").write_text("a" * 100_000, encoding="utf-8")
    ranks((1, 1, 1), saved, tmp_path / "both" / "run", sizes, seed)
    check.equal(sorted(os.listdir(tmp_path / "both")), ["run"], "what there is in the folder around it after it")
    why = "The folder is written anew under another name, and gets its name at the end; the old one goes away whole."
    got = sorted(files(tmp_path / "both" / "run").values())
    close = len(got) == len(alone[0]) and all(abs(one - other) < 2000 for one, other in zip(got, alone[0]))
    check.true(close, f"it has files of about these sizes, as one where none was before: {alone[0]}", got=got, why=why)
    results = ranks(ONE, gone_on, tmp_path / "both" / "run", sizes, seed)
    hold(results, sizes, never_stopped(sizes, seed), "saved where another checkpoint had been")


def slow(rank, layout, folder, sizes):
    """Save, with a file system that takes its time to rename, and look at once."""
    mesh = mesh_of(layout)
    stage = stage_of(sizes, sizes.draw(1), mesh)

    def hold_up(event, args):
        if event == "os.rename" and os.path.basename(os.fspath(args[1])) == "run":
            time.sleep(0.3)

    sys.addaudithook(hold_up)  # it is gone with this process
    ckpt.save_distributed(folder, stage, OPTIMIZERS["SGD"](stage.parameters()), mesh, step=1)
    return os.path.isdir(folder)


def test_is_whole_when_it_returns(tmp_path):
    """On no rank `save_distributed` returns before the folder has its name."""
    for rank, there in enumerate(ranks((1, 2, 1), slow, tmp_path / "run", Sizes(L=1))):
        why = "One rank gives the folder its name. The others have to wait until it has done so."
        check.true(there, f"the folder is there when save_distributed returns on rank {rank}", why=why)


def killed(rank, layout, folder, sizes, moment, mark):
    """Save, and die: rank 1 where it begins to write, rank 0 where it writes one more file, or whoever renames."""
    mesh = mesh_of(layout)
    stage = stage_of(sizes, sizes.draw(123), mesh)
    around, seen = os.path.dirname(os.path.abspath(folder)), []

    def die():
        seen[:] = ["died"]
        Path(mark).mkdir(exist_ok=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def watch(event, args):
        if event == "open" and isinstance(args[0], str | os.PathLike):
            writes = isinstance(args[1], str) and set(args[1]) & set("wax+")
            if writes and os.path.abspath(args[0]).startswith(around):
                seen.append("open")
        if event == "os.rename" and os.path.abspath(args[1]) == os.path.abspath(folder):
            seen.append("rename")
        ends = {"first file": rank == 1 and "open" in seen, "last file": rank == 0 and seen.count("open") > 1}
        if ends.get(moment, "rename" in seen) and "died" not in seen:
            die()

    def save_of_torch(*args, **kwargs):  # into a path, it opens the file where Python does not see it
        if moment == "first file" and rank == 1:
            die()
        return really(*args, **kwargs)

    really, torch.save = torch.save, save_of_torch
    sys.addaudithook(watch)
    ckpt.save_distributed(folder, stage, OPTIMIZERS["SGD"](stage.parameters()), mesh, step=99)


def dies(folder, sizes, moment):
    """Say whether the run was killed; it is not if it never came there."""
    mark = folder.parent.with_name("killed")  # what the others say then, whose connection is gone, does not matter
    try:
        ranks((1, 2, 1), killed, folder, sizes, moment, mark)
    except RankFailed:
        if not mark.exists():
            raise
    return mark.exists()


def test_killed_where_none_was(tmp_path):
    """A run that is killed while it saves leaves no folder of this name."""
    run = tmp_path / "runs" / "run"
    if dies(run, Sizes(L=1), "last file"):
        why = "Write into a folder with another name, and rename it when all have written."
        there = sorted(os.listdir(run)) if run.is_dir() else []
        claim = "there is no folder of the checkpoint's name after a kill where rank 0 writes its last file"
        check.true(not run.exists(), claim, got=there, why=why)


@pytest.mark.parametrize("moment", ["first file", "name"])
def test_killed_where_one_was(rng, tmp_path, moment):
    """The checkpoint that was there before is whole then; and the next save clears away what was half done."""
    sizes, seed, run = Sizes(L=1), rng.randrange(1 << 30), tmp_path / "runs" / "run"
    ranks((1, 2, 1), saved, run, sizes, seed)
    before = files(run)
    if not dies(run, sizes, moment):
        return
    where = f"after a kill at the {moment if moment == 'first file' else 'renaming'} of the next"
    lost = sorted(set(before) - set(files(run.parent)))
    why = "Delete the old folder last, when the new one has its name."
    check.true(not lost, f"all files of the old checkpoint are there {where}", got=f"{len(lost)} are lost", why=why)
    if moment == "first file":
        results = ranks(ONE, gone_on, run, sizes, seed)
        hold(results, sizes, never_stopped(sizes, seed), f"from the old checkpoint, {where}")
    else:
        here = files(run) if run.exists() else before
        check.true(here == before, f"the folder of this name is the old one, or there is none {where}")
    for folder in (run, tmp_path / "other" / "run"):
        ranks(ONE, saved, folder, sizes, seed + 1)
    check.equal(os.listdir(run.parent), ["run"], f"what there is in the folder around it, saved again {where}")
    alone = len(files(tmp_path / "other"))
    what = f"how many files it has, saved again by one process {where}, which where nobody was killed writes {alone}"
    check.equal(len(files(run)), alone, what)


# -- what cannot be


def other_models(rank, layout, folder, seed):
    """What comes of loading into models that are not the one that was saved."""
    mesh = mesh_of(layout)
    for sizes, name, shapes in (
        (Sizes(L=2, F=8), "blocks.0.up.weight", [(8, 3), (4, 3)]),
        (Sizes(L=3), "blocks.2.", []),
        (Sizes(L=2, V=12, tied=False), "weight", [(12, 3)]),
    ):
        stage = stage_of(sizes, sizes.draw(seed), mesh)
        params = named(sizes, stage)
        optimizer = OPTIMIZERS["AdamW"](stage.parameters())
        steps(params, optimizer, sizes, seed, 0, 1, mesh)
        before = {name: p.detach().clone() for name, p in params.items()}
        state = [value.clone() for its in optimizer.state.values() for value in its.values()]
        check.raises(ValueError, ckpt.load_distributed, folder, stage, optimizer, mesh, naming=[name, *shapes])
        for name, p in params.items():
            check.close(p, before[name], f"{name} after it was refused to load another model", rtol=0, atol=0)
        now = [value for its in optimizer.state.values() for value in its.values()]
        same = len(now) == len(state) and all(map(torch.equal, now, state))
        check.true(same, "the optimizer's state is what it was after it was refused to load another model")
    with contextlib.suppress(NotImplementedError):
        missing = Path(folder).with_name("missing")
        check.raises(FileNotFoundError, ckpt.load_distributed, missing, stage, optimizer, mesh, naming=["missing"])


def test_another_model(rng, tmp_path):
    """A checkpoint of another model is a ValueError that names what is missing or has other shapes."""
    sizes, seed = Sizes(L=2), rng.randrange(1 << 30)
    ranks((1, 2, 1), saved, tmp_path / "run", sizes, seed)
    ranks((1, 2, 1), other_models, tmp_path / "run", seed)
