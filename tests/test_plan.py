"""What 6.12 estimates beside what the engine of 6.11 then does, in real processes: numbers, messages and memory."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from thorough import THOROUGH
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from bootcamp import course, stages
from bootcamp.grading.ranks import on_ranks, traffic

stages.use_reference()

from stage04_block.config import GPTConfig  # noqa: E402 - after the stages were chosen
from stage05_training.batch import Batch  # noqa: E402
from stage05_training.config import TrainConfig  # noqa: E402
from stage06_distributed import engine as engines  # noqa: E402
from stage06_distributed import plan as plans  # noqa: E402
from stage06_distributed import recompute as recomputing  # noqa: E402
from stage06_distributed.engine import Engine, EngineConfig  # noqa: E402
from stage06_distributed.mesh import Layout, make_mesh  # noqa: E402
from stage06_distributed.plan import Estimate, Hardware, estimate  # noqa: E402

ROWS, LENGTH = 16, 24
SIZES: dict[str, Any] = {"vocab_size": 128, "context_length": 32, "d_model": 48, "n_heads": 4}
ROTARY: dict[str, Any] = {"position": "rope", "norm": "rms", "activation": "swiglu", "bias": False}
POST: dict[str, Any] = {"n_kv_heads": 2, "placement": "post", "activation": "relu", "position": "sinusoidal"}
MODELS = {
    "tied": GPTConfig(**SIZES, n_layers=4),
    "own": GPTConfig(**SIZES, **ROTARY, n_layers=5, tie_weights=False),
    "post": GPTConfig(**SIZES, **POST, n_layers=4),
}
WAYS = {  # micro-batches, zero, recomputation
    "pieces": (2, False, False),
    "again": (4, True, True),
    "plain": (1, False, False),
    "zero": (2, True, False),
}
LAYOUTS = {  # dp, tp, pp
    2: [(2, 1, 1), (1, 2, 1), (1, 1, 2)],
    4: [(4, 1, 1), (1, 4, 1), (1, 1, 4), (2, 2, 1), (2, 1, 2), (1, 2, 2)],
}
Case = tuple[tuple[int, int, int], str, str]


class Kept:
    """Which storages autograd has been given to keep, and how many bytes of them there are: now, and at most."""

    def __init__(self, parameters: list[Tensor]) -> None:
        self.own = {p.untyped_storage().data_ptr() for p in parameters}
        self.known: dict[int, Any] = {}
        self.now = self.most = 0

    def note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if storage.data_ptr() in self.own or key in self.known:
            return
        self.known[key] = weakref.finalize(storage, self.gone, key, size)
        self.now += size
        self.most = max(self.most, self.now)

    def gone(self, key: int, size: int) -> None:
        self.known.pop(key, None)
        self.now -= size

    def pack(self, tensor: Tensor) -> Tensor:
        self.note(tensor)
        return tensor.detach()

    def hooks(self) -> type[saved_tensors_hooks]:
        """Those of 6.9, and what they keep is noted."""
        kept = self

        class Hooks(saved_tensors_hooks):
            def __init__(self, pack: Callable[[Tensor], Any], unpack: Callable[[Any], Tensor]) -> None:
                def noted(tensor: Tensor) -> Any:
                    given = pack(tensor)
                    if given is None:  # in the second forward: the tensor has been put away
                        kept.note(tensor)
                    return given

                super().__init__(noted, unpack)

        return Hooks

    def arguments_of(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, and the tensors that it is given are noted: those that `checkpoint` keeps."""

        def noted(*args: Any) -> Any:
            for each in args:
                if isinstance(each, Tensor):
                    self.note(each)
            return forward(*args)

        return noted


def step(rank: int, cases: list[Case]) -> list[tuple[Estimate, dict[str, Any]]]:
    """Take a step in each way; what was estimated for this rank, and what was seen."""
    return [one_step(Layout(*sizes), MODELS[model], *WAYS[way]) for sizes, model, way in cases]


def one_step(
    layout: Layout, config: GPTConfig, micro_batches: int, zero: bool, recompute: bool
) -> tuple[Estimate, dict[str, Any]]:
    mesh = make_mesh(layout)
    how = EngineConfig(micro_batches=micro_batches, zero=zero, recompute=recompute)
    engine: Any = Engine(TrainConfig(config, steps=100, warmup=1, batch_size=ROWS), how, mesh)
    stage = mesh.rank("pp")
    plan = estimate(config, layout, Hardware(1e9, 1e9, 1e9, 1e9), ROWS, LENGTH, micro_batches, stage, zero, recompute)
    ids = torch.randint(config.vocab_size, (ROWS, LENGTH + 1), generator=torch.Generator().manual_seed(1))
    parameters = list(engine.stage.parameters())
    kept, gradients, before = Kept(parameters), [], len(traffic())
    norm = engines.global_norm

    def measured(*args: Any) -> Any:  # it is called when all gradients are there
        gradients.append(sum(p.grad.untyped_storage().nbytes() for p in parameters))
        return norm(*args)

    with pytest.MonkeyPatch.context() as patch, saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        if recompute:
            for block in engine.stage.blocks.values():
                block.forward = kept.arguments_of(block.forward)
        patch.setattr(recomputing, "saved_tensors_hooks", kept.hooks())
        patch.setattr(engines, "global_norm", measured)
        engine.step([Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())])
    names: dict[str, str] = {mesh.group(name).group_name: name for name in ("dp", "tp", "pp")}
    sent: dict[tuple[str, str], tuple[int, int]] = {}
    for message in traffic()[before:]:
        key = names[message.group], message.kind
        count, size = sent.get(key, (0, 0))
        sent[key] = count + message.count, size + message.bytes
    optimizer = engine.optimizer.local if zero else engine.optimizer
    state = [value for each in optimizer.state.values() for value in each.values() if isinstance(value, Tensor)]
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


def cases_of(world: int) -> list[Case]:
    """Each layout in two ways, with one model and another; all of them if all are asked for."""
    models, ways = list(MODELS), list(WAYS)
    every = list(itertools.product(LAYOUTS[world], models, ways))
    if not THOROUGH:
        some = [(number, layout, way) for number, layout in enumerate(LAYOUTS[world]) for way in range(2)]
        every = [(layout, models[(number + way) % 3], ways[way + number % 2 * 2]) for number, layout, way in some]
    return [case for case in every if case[:2] != ((1, 4, 1), "post")]  # which has two heads for keys


@pytest.mark.parametrize("world", [2, 4])
def test_what_is_estimated_is_what_happens(world: int):
    cases = cases_of(world)
    for rank, steps in enumerate(on_ranks(world, step, cases, seconds=300.0)):
        for case, (plan, seen) in zip(cases, steps, strict=True):
            for name in ("parameters", "weights", "gradients", "optimizer"):
                assert getattr(plan, name) == seen[name], (case, rank, name)
            assert plan.activations == pytest.approx(seen["activations"], rel=0.1), (case, rank)
            # Of what copies sum up, two numbers have eight bytes: how many targets there are, and the loss.
            dp, tp, pp = case[0]
            for name, size, wide in (("dp", dp, 8), ("gather", dp, 0), ("tp", tp, 0), ("pp", pp, 0)):
                count = getattr(plan, name)
                assert size > 1 or count == 0, (case, rank, name)
                assert size == 1 or seen[name] == (count, 4 * count + wide), (case, rank, name)


def test_the_lesson_shows_what_its_command_prints(capsys: pytest.CaptureFixture[str]):
    """The table of the run on 1,024 GPUs, line by line."""
    plans.main()
    lesson = (course.ROOT / "stage06_distributed" / "README.md").read_text(encoding="utf-8")
    printed = capsys.readouterr().out.splitlines()
    assert printed
    for line in printed:
        assert f"    {line}\n" in lesson, line
