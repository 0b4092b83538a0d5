"""Stage 06 beside torch's own way to do the same, and whatever else of it needs several processes."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from bootcamp import stages
from bootcamp.grading.ranks import during, on_ranks, traffic

stages.use_reference()

from stage04_block import FeedForward  # noqa: E402 - after the stages were chosen
from stage06_distributed.tensor_parallel import ParallelFeedForward  # noqa: E402

# -- tensor parallelism


def beside_parallelize_module(rank: int, activation: str) -> tuple[dict[str, tuple[Tensor, Tensor]], list[int]]:
    """Our parts of a feed-forward layer, and torch's, by what they are; and how many numbers each way takes."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    world = dist.get_world_size()
    torch.manual_seed(0)
    whole = FeedForward(6, 12, activation)
    x, upstream = torch.randn(2, 5, 6), torch.randn(2, 5, 6)
    ours, theirs = ParallelFeedForward(whole), copy.deepcopy(whole)
    plan = {"up": ColwiseParallel(), "gate": ColwiseParallel(), "down": RowwiseParallel()}
    plan = {name: style for name, style in plan.items() if getattr(whole, name) is not None}
    parallelize_module(theirs, init_device_mesh("cpu", (world,)), plan)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    with during("forward"):
        one = ours(inputs[0])
    other = theirs(inputs[1])
    with during("backward"):
        (one * upstream).sum().backward()
    (other * upstream).sum().backward()
    found = {"output": (one.detach(), other.detach()), "gradient of x": (inputs[0].grad, inputs[1].grad)}
    for name in plan:
        for what in ("weight", "bias"):
            mine, its = getattr(getattr(ours, name), what), getattr(getattr(theirs, name), what)
            found[f"{name}.{what}"] = mine.detach(), its.to_local().detach()
            found[f"gradient of {name}.{what}"] = mine.grad, its.grad.to_local()
    sent = [sum(each.count for each in traffic() if each.during == way) for way in ("forward", "backward")]
    return found, sent


@pytest.mark.parametrize("world, activation", [(2, "gelu"), (3, "swiglu")])
def test_feed_forward_is_cut_as_parallelize_module_cuts_it(world: int, activation: str):
    for found, sent in on_ranks(world, beside_parallelize_module, activation):
        for what, (ours, theirs) in found.items():
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6, msg=lambda text, at=what: f"{at}: {text}")
        assert sent == [60, 60], "one all-reduce of 2 · 5 · 6 numbers each way"
