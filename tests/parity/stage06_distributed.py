"""How far the reference of stage 06 is from torch's own, a line for each comparison (run by test_parity.py).

The processes are handed this function as text, as those of a notebook, so that it runs wherever they are started anew.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.utils.checkpoint
from torch import nn

from bootcamp.notebook import on_ranks
from stage06_distributed import LossScaler, checkpoint


def beside(rank: int) -> dict[str, float]:
    """What can only be compared in several processes, in one of two of them."""
    import copy

    import torch
    import torch.distributed as dist
    from torch.distributed import pipelining
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.optim import ZeroRedundancyOptimizer
    from torch.nn.functional import cross_entropy
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import DistributedSampler

    from stage04_block import GPT
    from stage04_block.config import GPTConfig
    from stage05_training.batch import Batch
    from stage06_distributed import (
        DataParallel,
        FullyShardedModule,
        ShardedOptimizer,
        ShardedSampler,
        all_reduce,
        gpipe,
        one_f_one_b,
        split_stages,
        vocab_parallel_cross_entropy,
    )
    from stage06_distributed.tensor_parallel import tensor_parallel

    def apart(ones: Any, others: Any) -> float:
        pairs = list(zip(ones, others, strict=True))
        return max(float((one.detach() - other.detach()).abs().max()) for one, other in pairs)

    def gpt(**changes: Any) -> GPT:
        config = GPTConfig(vocab_size=48, context_length=16, d_model=16, n_layers=4, n_heads=4, **changes)
        return GPT(config, torch.Generator().manual_seed(3))

    world, found = dist.get_world_size(), {}
    generator = torch.Generator().manual_seed(7)
    ids, targets = (torch.randint(48, (10, 12), generator=generator) for _ in range(2))
    mine = slice(5 * rank, 5 * rank + 5)

    x = torch.randn(10_001, generator=torch.Generator().manual_seed(rank))
    theirs = x.clone()
    dist.all_reduce(theirs)
    found["`all_reduce`, 10,001 numbers | `torch.distributed.all_reduce`"] = apart([all_reduce(x)], [theirs])

    samplers: list[Any] = [
        ShardedSampler(12, rank, world, shuffle=False),
        DistributedSampler(ids.new_empty(12), world, rank, shuffle=False),  # type: ignore[arg-type]
    ]
    orders = [list(each) for each in samplers]
    name = "`ShardedSampler`, no shuffling, 12 items | `torch.utils.data.DistributedSampler`"
    found[name] = float(orders[0] != orders[1])

    grads = []
    for wrap in (lambda model: DataParallel(model, bucket_mb=0.01), DistributedDataParallel):
        model = wrap(gpt())
        cross_entropy(model(ids[mine]).mT, targets[mine]).backward()
        grads.append([p.grad for p in model.parameters()])
    found["`DataParallel`, gradients | `DistributedDataParallel`"] = apart(*grads)

    weights = []
    for make in (
        lambda params: ShardedOptimizer(params, lambda groups: torch.optim.AdamW(groups, lr=1e-2)),
        lambda params: ZeroRedundancyOptimizer(params, torch.optim.AdamW, lr=1e-2),
    ):
        model = gpt()
        optimizer = make(model.parameters())
        for _ in range(5):
            optimizer.zero_grad()
            cross_entropy(model(ids).mT, targets).backward()
            optimizer.step()
        weights.append(list(model.parameters()))
    found["`ShardedOptimizer`, 5 steps | `ZeroRedundancyOptimizer`"] = apart(*weights)

    weights = []
    for run in (FullyShardedModule, fully_shard):
        model = gpt()
        if run is fully_shard:
            for unit in (*model.blocks, model):
                fully_shard(unit, mesh=init_device_mesh("cpu", (world,)))
        sharded: Any = FullyShardedModule(model, model.blocks) if run is FullyShardedModule else model
        optimizer = torch.optim.SGD(sharded.parameters(), lr=0.1, momentum=0.9)
        for _ in range(5):
            cross_entropy(sharded(ids[mine]).mT, targets[mine]).backward()
            optimizer.step()
            optimizer.zero_grad()
        if run is FullyShardedModule:
            state = sharded.full_state_dict()
        else:
            state = {name: p.full_tensor() for name, p in model.named_parameters()}  # type: ignore[operator]
        weights.append([state[name] for name, _ in gpt().named_parameters()])
    found["`FullyShardedModule`, 5 steps | `torch.distributed.fsdp.fully_shard`"] = apart(*weights)

    whole = gpt(tie_weights=False)
    parts: Any = tensor_parallel(copy.deepcopy(whole), dist.group.WORLD)
    loss = vocab_parallel_cross_entropy(parts(ids), targets, dist.group.WORLD)
    other = cross_entropy(whole(ids).mT, targets)
    loss.backward()
    other.backward()
    there = dict(whole.named_parameters())
    rows = {name: p.grad for name, p in parts.named_parameters() if "norm" in name}
    name = "`tensor_parallel` and its loss, with the gradients of norms | `GPT` and `cross_entropy`"
    found[name] = max(apart([loss], [other]), apart(rows.values(), [there[name].grad for name in rows]))

    schedules: list[Any] = [(gpipe, pipelining.ScheduleGPipe), (one_f_one_b, pipelining.Schedule1F1B)]
    for ours, torchs in schedules:
        grads = []
        for run in (ours, torchs):
            stage = split_stages(gpt(tie_weights=False), world)[rank]
            if run is ours:
                pieces = [Batch(*each) for each in zip(ids.chunk(5), targets.chunk(5))]
                run(stage, pieces, lambda out, batch: cross_entropy(out.mT, batch.targets) / 5)
            else:
                place = pipelining.PipelineStage(stage, rank, world, torch.device("cpu"))
                schedule = run(place, 5, loss_fn=lambda out, target: cross_entropy(out.mT, target))
                schedule.step(*((ids,) if rank == 0 else ()), **({"target": targets} if rank == world - 1 else {}))
            grads.append([p.grad for p in stage.parameters()])
        row = f"`{ours.__name__}`, 5 micro-batches, gradients | `torch.distributed.pipelining.{torchs.__name__}`"
        found[row] = apart(*grads)
    return found


def scales() -> float:
    """The scale over 60 steps, some of them with an infinite gradient."""
    p = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([p], lr=0.0)
    ours: Any
    theirs: Any
    ours, theirs = LossScaler(2.0**10, interval=4), torch.amp.GradScaler("cpu", 2.0**10, growth_interval=4)
    worst = 0.0
    for step in range(60):
        size = torch.inf if step % 7 == 6 or step == 12 else 1.0
        for scaler in (ours, theirs):
            p.grad = None
            scaler.scale((p * size).sum()).backward()
            if scaler is ours:
                scaler.unscale([p])
            scaler.step(optimizer)
            scaler.update()
        worst = max(worst, abs(ours.factor - theirs.get_scale()))
    return worst


def recomputed() -> float:
    """The gradients of a network with dropout."""
    layers = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Dropout(0.3), nn.Linear(32, 8))
    found = []
    for run in (checkpoint, lambda *args: torch.utils.checkpoint.checkpoint(*args, use_reentrant=False)):
        torch.manual_seed(5)
        layers.zero_grad()
        x = torch.linspace(-1, 1, 32).view(4, 8).requires_grad_()
        run(layers, x).square().sum().backward()
        found.append([x.grad, *(p.grad for p in layers.parameters())])
    return max(float((one - other).abs().max()) for one, other in zip(*found))


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    both = on_ranks(2, beside, seconds=200.0)
    for row in both[0]:
        print(f"{row} = {max(each[row] for each in both):.3g}")
    print(f"`LossScaler`, the scale over 60 steps | `torch.amp.GradScaler` = {scales():.3g}")
    print(f"`checkpoint`, gradients, with dropout | `torch.utils.checkpoint` = {recomputed():.3g}")


main()
