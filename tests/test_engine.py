"""The engines of stage 06 in every layout of 1, 2 and 4 processes: the losses are those of one process."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest
import torch
from layouts import layouts_of
from thorough import THOROUGH

from bootcamp import stages
from bootcamp.grading.ranks import on_ranks

stages.use_reference()

from stage04_block.config import GPTConfig  # noqa: E402 - after the stages were chosen
from stage05_training.batch import Batch  # noqa: E402
from stage05_training.config import TrainConfig  # noqa: E402
from stage06_distributed.engine import Engine, EngineConfig  # noqa: E402
from stage06_distributed.mesh import Layout, make_mesh  # noqa: E402
from stage06_distributed.torch_engine import TorchEngine  # noqa: E402

SIZES: dict[str, Any] = {"vocab_size": 24, "context_length": 16, "d_model": 24, "n_layers": 4, "n_heads": 4, "d_ff": 20}
MODEL = GPTConfig(**SIZES, position="alibi", norm="rms", activation="swiglu", bias=False)
CONFIG = TrainConfig(MODEL, steps=100, warmup=1, batch_size=8)
LAYOUTS = [layout for world in (1, 2, 4) for layout in layouts_of(world)]
KINDS = {"fp32": 1e-4, "bf16": 2e-2}  # how far the losses may part from those of one process in float32, relatively
CASES = [
    (which, layout, precision)
    for which in ("scratch", "torch")
    for layout in LAYOUTS
    for precision in KINDS
    if THOROUGH or (precision == "fp32" if which == "scratch" else math.prod(layout) == 2)  # each takes a second
]
Run = tuple[list[tuple[float, float, int]], float]  # loss, norm and tokens of each step; loss of an evaluation


def options_of(layout: tuple[int, int, int], precision: str) -> dict[str, Any]:
    """In bf16 with the optimizer sharded, or blocks computed again, besides."""
    dp, _, pp = layout
    more = {"zero": dp == 2, "recompute": dp == 1} if precision != "fp32" else {}
    return {"precision": precision, "micro_batches": pp} | more


def batch(seed: int, masked: int) -> Batch:
    ids = torch.randint(24, (8, 9), generator=torch.Generator().manual_seed(seed))
    targets = ids[:, 1:].clone()
    targets[:masked, 4:] = -100  # rows count unequally
    return Batch(ids[:, :-1].contiguous(), targets)


def trained(rank: int, which: str, layout: tuple[int, int, int], options: dict[str, Any]) -> Run:
    kind = Engine if which == "scratch" else TorchEngine
    engine = kind(CONFIG, EngineConfig(**options), make_mesh(Layout(*layout)))
    steps = [engine.step([batch(2 * step, 3), batch(2 * step + 1, 4)]) for step in range(4)]
    return [(step.loss, step.grad_norm, step.tokens) for step in steps], engine.evaluate([batch(9, 1)]).loss


@cache
def run(which: str, layout: tuple[int, int, int], precision: str) -> Run:
    """What all ranks say alike."""
    first, *others = on_ranks(math.prod(layout), trained, which, layout, options_of(layout, precision), seconds=120.0)
    assert all(each == first for each in others), "the ranks do not agree"
    return first


@pytest.mark.parametrize("which, layout, precision", CASES, ids=str)
def test_losses_are_those_of_one_process(which: str, layout: tuple[int, int, int], precision: str):
    steps, evaluation = run(which, layout, precision)
    expected, other = run("scratch", (1, 1, 1), "fp32")
    near = KINDS[precision]
    assert [step[2] for step in steps] == [step[2] for step in expected]
    assert [step[0] for step in steps] == pytest.approx([step[0] for step in expected], rel=near)
    assert [step[1] for step in steps] == pytest.approx([step[1] for step in expected], rel=10 * near)
    assert evaluation == pytest.approx(other, rel=near)
