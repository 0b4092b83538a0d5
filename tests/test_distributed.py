"""Stage 06 beside torch's own way to do the same, and whatever else of it needs several processes."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bootcamp import stages
from bootcamp.grading.ranks import during, on_ranks, traffic

stages.use_reference()

from stage04_block import GPT, FeedForward  # noqa: E402 - after the stages were chosen
from stage04_block.config import GPTConfig  # noqa: E402
from stage05_training.batch import Batch  # noqa: E402
from stage06_distributed.fully_sharded import FullyShardedModule  # noqa: E402
from stage06_distributed.pipeline import gpipe, one_f_one_b, split_stages  # noqa: E402
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


# -- pipelines

SCHEDULES = {"gpipe": (gpipe, "ScheduleGPipe"), "1f1b": (one_f_one_b, "Schedule1F1B")}
Passed = tuple[float | None, dict[str, Tensor], str]  # loss, gradients, and f or b for each forward and backward


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def through_both_pipelines(rank: int, how: str, count: int) -> tuple[Passed, Passed]:
    """A batch in `count` pieces, through our stages and through torch's."""
    from torch.distributed import pipelining

    world, (ours, torchs) = dist.get_world_size(), SCHEDULES[how]
    generator = torch.Generator().manual_seed(7)
    config = GPTConfig(vocab_size=19, context_length=8, d_model=8, n_layers=5, n_heads=2, tie_weights=False)
    ids, targets = (torch.randint(19, (2 * count, 6), generator=generator) for _ in range(2))
    stage, same = (split_stages(GPT(config, torch.Generator().manual_seed(3)), world)[rank] for _ in range(2))

    pieces = [Batch(*each) for each in zip(ids.chunk(count), targets.chunk(count))]
    run = ours(stage, pieces, lambda out, batch: cross_entropy(out.mT, batch.targets) / count)
    mine = run.loss, gradients(stage), "".join(each.kind[0] for each in run.events)

    order: list[str] = []
    block = next(iter(same.blocks.values()))
    block.register_forward_hook(lambda *_: order.append("f"))
    block.register_full_backward_hook(lambda *_: order.append("b"))
    place = pipelining.PipelineStage(same, rank, world, torch.device("cpu"))
    losses: list[Tensor] = []
    schedule = getattr(pipelining, torchs)(place, count, loss_fn=lambda out, target: cross_entropy(out.mT, target))
    last = {"target": targets, "losses": losses} if rank == world - 1 else {}
    schedule.step(*((ids,) if rank == 0 else ()), **last)
    loss = sum(each.item() for each in losses) / count if losses else None
    del order[: -2 * count]  # torch passes a first one through to see the shapes
    return mine, (loss, gradients(same), "".join(order))


@pytest.mark.parametrize("world, how, count", [(2, "gpipe", 3), (3, "gpipe", 4), (2, "1f1b", 5), (3, "1f1b", 4)])
def test_pipelines_give_the_loss_the_gradients_and_the_order_of_torchs(world: int, how: str, count: int):
    found = on_ranks(world, through_both_pipelines, how, count, seconds=60.0)
    for (loss, grads, order), (its_loss, its_grads, its_order) in found:
        assert its_loss is None or loss == pytest.approx(its_loss, abs=1e-6)
        assert grads and grads.keys() == its_grads.keys()
        for name, grad in grads.items():
            torch.testing.assert_close(grad, its_grads[name], rtol=1e-5, atol=1e-7, msg=name)
        assert order == its_order


# -- 6.13: step by step the same losses and the same weights

STEPS = 5


def small_gpt(seed: int) -> GPT:
    config = GPTConfig(vocab_size=23, context_length=8, d_model=12, n_layers=3, n_heads=3)
    return GPT(config, torch.Generator().manual_seed(seed))


def ours(rank: int, world: int) -> tuple[nn.Module, Callable[[], dict[str, Tensor]]]:
    model = small_gpt(rank)
    sharded = FullyShardedModule(model, model.blocks)
    return sharded, sharded.full_state_dict


def theirs(rank: int, world: int) -> tuple[nn.Module, Callable[[], dict[str, Tensor]]]:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model = small_gpt(0)  # `fully_shard` sends no weights about: all ranks have to have the same
    mesh = init_device_mesh("cpu", (world,))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)

    def whole() -> dict[str, Tensor]:
        return {name: each.full_tensor().detach() for name, each in model.state_dict().items()}

    return model, whole


def trained(rank: int, world: int) -> list[tuple[list[float], dict[str, Tensor]]]:
    """The losses of some steps, and the weights behind them, of our way and torch's."""
    found = []
    for make in (ours, theirs):
        model, whole = make(rank, world)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, eps=1e-4)
        generator, losses = torch.Generator().manual_seed(7), []
        for _ in range(STEPS):
            ids = torch.randint(23, (6, 9), generator=generator).chunk(world)[rank]
            loss = cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total = loss.detach().clone()
            dist.all_reduce(total)
            losses.append(total.item() / world)
        found.append((losses, {name: each.clone() for name, each in whole().items()}))
    return found


@pytest.mark.parametrize("world", [1, 2, 3])
def test_losses_and_weights_are_those_of_fully_shard(world: int):
    for (losses, state), (right, its) in on_ranks(world, trained, world, seconds=60):
        torch.testing.assert_close(losses, right, rtol=1e-5, atol=1e-6)
        assert list(state) == list(its)
        for name in its:
            torch.testing.assert_close(state[name], its[name], rtol=1e-4, atol=1e-5)
