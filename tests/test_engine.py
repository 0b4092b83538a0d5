"""The engines of stage 06 in every layout of 1, 2 and 4 processes: the losses are those of one process."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping

import pytest
from layouts import layouts_of
from thorough import THOROUGH

from bootcamp import course

CODE = """
import json
import sys
from bootcamp import stages
stages.use_reference()
import torch
from bootcamp.grading.ranks import on_ranks
from stage04_block.config import GPTConfig
from stage05_training.batch import Batch
from stage05_training.config import TrainConfig
from stage06_distributed.engine import Engine, EngineConfig
from stage06_distributed.mesh import Layout, make_mesh
from stage06_distributed.torch_engine import TorchEngine

SHAPE = dict(vocab_size=24, context_length=16, d_model=24, n_layers=4, n_heads=4, d_ff=20)
MODEL = GPTConfig(**SHAPE, position="alibi", norm="rms", activation="swiglu", bias=False)
CONFIG = TrainConfig(MODEL, steps=100, warmup=1, batch_size=8)


def batch(seed, masked):
    ids = torch.randint(24, (8, 9), generator=torch.Generator().manual_seed(seed))
    targets = ids[:, 1:].clone()
    targets[:masked, 4:] = -100  # rows count unequally
    return Batch(ids[:, :-1].contiguous(), targets)


def body(rank, which, layout, options):
    kind = Engine if which == "scratch" else TorchEngine
    engine = kind(CONFIG, EngineConfig(**options), make_mesh(Layout(*layout)))
    steps = [engine.step([batch(2 * step, 3), batch(2 * step + 1, 4)]) for step in range(4)]
    return [(step.loss, step.grad_norm, step.tokens) for step in steps], engine.evaluate([batch(9, 1)]).loss


for which, layout, options in json.loads(sys.argv[1]):
    found = on_ranks(layout[0] * layout[1] * layout[2], body, which, layout, options, seconds=120.0)
    assert all(each == found[0] for each in found), "the ranks do not agree"
    print(json.dumps(found[0]), flush=True)
"""

LAYOUTS = [layout for world in (1, 2, 4) for layout in layouts_of(world)]


def options_of(layout: tuple[int, int, int], precision: str) -> Mapping[str, object]:
    dp, _, pp = layout
    more = {"zero": dp == 2, "recompute": dp == 1} if precision != "fp32" else {}
    return {"precision": precision, "micro_batches": pp} | more


KINDS = {"fp32": 1e-4, "bf16": 2e-2}  # how far the losses may part from those of one process in float32, relatively
CASES = [
    (which, layout, precision)
    for which in ("scratch", "torch")
    for layout in LAYOUTS
    for precision in KINDS
    if THOROUGH or (precision == "fp32" if which == "scratch" else math.prod(layout) == 2)  # each takes a second
]
Run = tuple[list[tuple[float, float, int]], float]  # loss, norm and tokens of each step; loss of an evaluation


@pytest.fixture(scope="module")
def runs() -> dict[tuple[str, tuple[int, int, int], str], Run]:
    """All of them, from one process that imports torch once."""
    words = json.dumps([(which, layout, options_of(layout, precision)) for which, layout, precision in CASES])
    command = [sys.executable, "-c", CODE, words]
    done = subprocess.run(command, cwd=course.ROOT, capture_output=True, encoding="utf-8", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(zip(CASES, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("which, layout, precision", CASES, ids=str)
def test_losses_are_those_of_one_process(runs, which: str, layout: tuple[int, int, int], precision: str):
    """In bf16 with the optimizer sharded, or blocks computed again, besides."""
    steps, evaluation = runs[which, layout, precision]
    expected, other = runs["scratch", (1, 1, 1), "fp32"]
    near = KINDS[precision]
    assert [step[2] for step in steps] == [step[2] for step in expected]
    assert [step[0] for step in steps] == pytest.approx([step[0] for step in expected], rel=near)
    assert [step[1] for step in steps] == pytest.approx([step[1] for step in expected], rel=10 * near)
    assert evaluation == pytest.approx(other, rel=near)
