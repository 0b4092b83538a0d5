"""What 6.12 estimates beside what the engine of 6.11 then does, in real processes: numbers, messages and memory."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from thorough import THOROUGH

from bootcamp import course

CODE = """
import sys
import weakref
from bootcamp import stages
stages.use_reference()
import torch
from torch.autograd.graph import saved_tensors_hooks
from bootcamp.grading.ranks import on_ranks, traffic
from stage04_block.config import GPTConfig
from stage05_training.batch import Batch
from stage05_training.config import TrainConfig
from stage06_distributed import engine as engines, recompute as recomputing
from stage06_distributed.engine import Engine, EngineConfig
from stage06_distributed.mesh import Layout, make_mesh
from stage06_distributed.plan import Hardware, estimate

ROWS, LENGTH = 16, 24
SIZES = dict(vocab_size=128, context_length=32, d_model=48, n_heads=4)
MODELS = {
    "tied": GPTConfig(**SIZES, n_layers=4),
    "own": GPTConfig(**SIZES, n_layers=5, position="rope", norm="rms", activation="swiglu", bias=False,
                     tie_weights=False),
    "post": GPTConfig(**SIZES, n_layers=4, n_kv_heads=2, placement="post", activation="relu", position="sinusoidal"),
}
WAYS = {  # micro-batches, zero, recomputation
    "plain": (1, False, False), "pieces": (2, False, False), "zero": (2, True, False), "again": (4, True, True),
}


class Kept:
    # Which storages autograd has been given to keep, and how many bytes of them there are: now, and at most.

    def __init__(self, parameters):
        self.own = {p.untyped_storage().data_ptr() for p in parameters}
        self.known, self.now, self.most = {}, 0, 0

    def note(self, tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() in self.own or storage._cdata in self.known:
            return
        key, size = storage._cdata, storage.nbytes()
        self.known[key] = weakref.finalize(storage, self.gone, key, size)
        self.now += size
        self.most = max(self.most, self.now)

    def gone(self, key, size):
        self.known.pop(key, None)
        self.now -= size

    def pack(self, tensor):
        self.note(tensor)
        return tensor.detach()


def step(layout, config, micro_batches, zero, recompute):
    mesh = make_mesh(layout)
    how = EngineConfig(micro_batches=micro_batches, zero=zero, recompute=recompute)
    engine = Engine(TrainConfig(config, steps=100, warmup=1, batch_size=ROWS), how, mesh)
    stage = mesh.rank("pp")
    plan = estimate(config, layout, Hardware(1e9, 1e9, 1e9, 1e9), ROWS, LENGTH, micro_batches, stage, zero, recompute)
    ids = torch.randint(config.vocab_size, (ROWS, LENGTH + 1), generator=torch.Generator().manual_seed(1))
    parameters = list(engine.stage.parameters())
    kept = Kept(parameters)

    class Hooks(saved_tensors_hooks):  # those of 6.9, and what they keep is noted
        def __init__(self, pack, unpack):
            def noted(tensor):
                given = pack(tensor)
                if given is None:  # in the second forward: the tensor has been put away
                    kept.note(tensor)
                return given

            super().__init__(noted, unpack)

    def checkpoint(function, *args):
        for each in args:
            if isinstance(each, torch.Tensor):
                kept.note(each)
        return plainly(function, *args)

    for block in engine.stage.blocks.values():
        if recompute:
            plainly, inner = block.forward.func, block.forward.args
            block.forward = lambda *args, inner=inner: checkpoint(*inner, *args)
    really, recomputing.saved_tensors_hooks = recomputing.saved_tensors_hooks, Hooks
    gradients = []
    norm = engines.global_norm
    engines.global_norm = lambda *args: gradients.append(
        sum(p.grad.untyped_storage().nbytes() for p in parameters)) or norm(*args)
    before = len(traffic())
    try:
        with saved_tensors_hooks(kept.pack, lambda tensor: tensor):
            engine.step([Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())])
    finally:
        recomputing.saved_tensors_hooks, engines.global_norm = really, norm
    names = {mesh.group(name).group_name: name for name in ("dp", "tp", "pp")}
    sent = {}
    for message in traffic()[before:]:
        key = names[message.group], message.kind
        count, size = sent.get(key, (0, 0))
        sent[key] = count + message.count, size + message.bytes
    optimizer = engine.optimizer.local if zero else engine.optimizer
    state = [value for each in optimizer.state.values() for value in each.values() if isinstance(value, torch.Tensor)]
    return plan, {
        "parameters": sum(p.numel() for p in parameters),
        "weights": sum(p.untyped_storage().nbytes() for p in parameters),
        "gradients": gradients[0],
        "optimizer": sum(each.nbytes for each in state if each.dim()),
        "activations": kept.most,
        "dp": sent.get(("dp", "all_reduce"), (0, 0)),
        "gather": sent.get(("dp", "send"), (0, 0)),
        "tp": sent.get(("tp", "all_reduce"), (0, 0)),
        "pp": sent.get(("pp", "send"), (0, 0)),
    }


def body(rank, cases):
    return [step(Layout(*map(int, layout)), MODELS[model], *WAYS[way]) for layout, model, way in cases]


cases = [case.split("-") for case in sys.argv[2:]]
results = on_ranks(int(sys.argv[1]), body, cases, seconds=300.0)
for number, case in enumerate(cases):
    for rank, (plan, seen) in enumerate(each[number] for each in results):
        dp, tp, pp = map(int, case[0])
        for name in ("parameters", "weights", "gradients", "optimizer"):
            assert getattr(plan, name) == seen[name], (case, rank, name, getattr(plan, name), seen[name])
        off = plan.activations / seen["activations"] - 1
        assert abs(off) < 0.1, (case, rank, plan.activations, seen["activations"])
        # Of what copies sum up, two numbers have eight bytes: how many targets there are, and the loss.
        expected = {"dp": (plan.dp, 4 * plan.dp + 8), "tp": (plan.tp, 4 * plan.tp), "pp": (plan.pp, 4 * plan.pp),
                    "gather": (plan.gather, 4 * plan.gather)}
        for name, size in (("dp", dp), ("tp", tp), ("pp", pp), ("gather", dp)):
            if size > 1:
                assert seen[name] == expected[name], (case, rank, name, seen[name], expected[name])
            else:
                assert getattr(plan, name) == 0, (case, rank, name)
"""

LAYOUTS = {2: ["211", "121", "112"], 4: ["411", "141", "114", "221", "212", "122"]}  # dp, tp, pp
MODELS = ["tied", "own", "post"]
WAYS = ["pieces", "again", "plain", "zero"]


def cases_of(world: int) -> list[str]:
    """Each layout in two ways, with one model and another; all of them if all are asked for."""
    every = list(itertools.product(LAYOUTS[world], MODELS, WAYS))
    if not THOROUGH:
        some = [(number, layout, way) for number, layout in enumerate(LAYOUTS[world]) for way in range(2)]
        every = [(layout, MODELS[(number + way) % 3], WAYS[way + number % 2 * 2]) for number, layout, way in some]
    return ["-".join(case) for case in every if case[:2] != ("141", "post")]  # which has two heads for keys


@pytest.mark.parametrize("world", [2, 4])
def test_what_is_estimated_is_what_happens(world: int):
    """In a process of its own, since the stages resolve to the reference there."""
    command = [sys.executable, "-c", CODE, str(world), *cases_of(world)]
    done = subprocess.run(command, cwd=course.ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


PLANNED = """
import runpy
from bootcamp import stages
stages.use_reference()
runpy.run_module("stage06_distributed.plan", run_name="__main__")
"""


def test_the_lesson_shows_what_its_command_prints():
    """The table of the run on 1,024 GPUs, line by line."""
    done = subprocess.run([sys.executable, "-c", PLANNED], cwd=course.ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    lesson = (course.ROOT / "stage06_distributed" / "README.md").read_text(encoding="utf-8")
    for line in done.stdout.splitlines():
        assert f"    {line}\n" in lesson, line
