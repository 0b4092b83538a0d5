"""6.13 beside torch's own `fully_shard`: step by step the same losses and the same weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from bootcamp import stages
from bootcamp.grading.ranks import on_ranks

stages.use_reference()

from stage04_block import GPT  # noqa: E402 - after the stages were chosen
from stage04_block.config import GPTConfig  # noqa: E402
from stage06_distributed.fully_sharded import FullyShardedModule  # noqa: E402

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
            loss = nn.functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
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
