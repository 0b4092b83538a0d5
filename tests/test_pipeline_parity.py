"""The pipelines of stage 06 beside torch's own: the same loss, the same gradients, and the same order on each rank."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bootcamp import course

CODE = """
import sys
from bootcamp import stages
stages.use_reference()
import torch
import torch.distributed as dist
from torch.distributed import pipelining
from torch.nn.functional import cross_entropy
from bootcamp.grading.ranks import on_ranks
from stage04_block import GPT
from stage04_block.config import GPTConfig
from stage05_training.batch import Batch
from stage06_distributed.pipeline import gpipe, one_f_one_b, split_stages

SCHEDULES = {"gpipe": (gpipe, pipelining.ScheduleGPipe), "1f1b": (one_f_one_b, pipelining.Schedule1F1B)}


def body(rank, how, count):
    world = dist.get_world_size()
    ours, theirs = SCHEDULES[how]
    generator = torch.Generator().manual_seed(7)
    config = GPTConfig(vocab_size=19, context_length=8, d_model=8, n_layers=5, n_heads=2, tie_weights=False)
    ids, targets = (torch.randint(19, (2 * count, 6), generator=generator) for _ in range(2))
    found = []
    for mine in (True, False):
        stage = split_stages(GPT(config, torch.Generator().manual_seed(3)), world)[rank]
        order = []
        if mine:
            pieces = [Batch(*each) for each in zip(ids.chunk(count), targets.chunk(count))]
            run = ours(stage, pieces, lambda out, batch: cross_entropy(out.mT, batch.targets) / count)
            loss, order = run.loss, [each.kind[0] for each in run.events]
        else:
            block = next(iter(stage.blocks.values()))
            block.register_forward_hook(lambda *_: order.append("f"))
            block.register_full_backward_hook(lambda *_: order.append("b"))
            place = pipelining.PipelineStage(stage, rank, world, torch.device("cpu"))
            losses = []
            schedule = theirs(place, count, loss_fn=lambda out, target: cross_entropy(out.mT, target))
            given = (ids,) if rank == 0 else ()
            schedule.step(*given, **({"target": targets, "losses": losses} if rank == world - 1 else {}))
            loss = sum(each.item() for each in losses) / count if losses else None
            order = order[-2 * count :]  # torch passes a first one through to see the shapes
        found.append((loss, {name: p.grad for name, p in stage.named_parameters()}, "".join(order)))
    return found


world, how, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for (loss, grads, order), (their_loss, theirs, their_order) in on_ranks(world, body, how, count, seconds=60.0):
    assert their_loss is None or abs(loss - their_loss) < 1e-6, (loss, their_loss)
    assert grads.keys() == theirs.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(grad, theirs[name], rtol=1e-5, atol=1e-7, msg=name)
    assert order == their_order, (order, their_order)
"""


@pytest.mark.parametrize("world, how, count", [(2, "gpipe", 3), (3, "gpipe", 4), (2, "1f1b", 5), (3, "1f1b", 4)])
def test_beside_torch(world: int, how: str, count: int):
    """In a process of its own, since the stages resolve to the reference there."""
    command = [sys.executable, "-c", CODE, str(world), how, str(count)]
    done = subprocess.run(command, cwd=course.ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
