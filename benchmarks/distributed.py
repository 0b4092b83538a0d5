"""What stage 06 costs beside torch's own ways to do the same, on two processes: time, memory, and what is sent.

    python -m benchmarks.distributed [--repeats N] [--processes N] [--size small|medium] [NAME …]

Both train the same GPT on the same batches in turns, in the same processes, one thread each, over gloo; their losses
have to be the same. Memory is measured in runs of one of them alone.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.gpt import SIZES
from benchmarks.measure import console, in_process, table
from bootcamp import stages

Step = Callable[[Any, Any], Any]  # takes ids and targets of the whole batch, gives the loss
Made = tuple[Step, Any, Any]  # a step, the module and the optimizer, to count what they hold
MICRO_BATCHES = 4


def stepped(loss: Any, optimizer: Any) -> Any:
    """Backward, and what comes behind it; give the loss."""
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach()


def plain(model: Any, optimizer: Any, rank: int, world: int) -> Made:
    """A training step of a model that takes this rank's rows."""
    from stage05_training import cross_entropy

    def step(ids: Any, targets: Any) -> Any:
        logits = model(ids[rank::world])
        return stepped(cross_entropy(logits.flatten(0, 1), targets[rank::world].flatten()), optimizer)

    return step, model, optimizer


def adamw(parameters: Any) -> Any:
    import torch

    return torch.optim.AdamW(parameters, lr=1e-3)


def data_parallel(model: Any, rank: int, world: int) -> Made:
    from stage06_distributed.data_parallel import DataParallel

    return plain(DataParallel(model), adamw(model.parameters()), rank, world)


def torch_data_parallel(model: Any, rank: int, world: int) -> Made:
    from torch.nn.parallel import DistributedDataParallel

    return plain(DistributedDataParallel(model), adamw(model.parameters()), rank, world)


def sharded_optimizer(model: Any, rank: int, world: int) -> Made:
    from stage06_distributed.data_parallel import DataParallel
    from stage06_distributed.zero import ShardedOptimizer

    return plain(DataParallel(model), ShardedOptimizer(model.parameters(), adamw), rank, world)


def torch_sharded_optimizer(model: Any, rank: int, world: int) -> Made:
    import torch
    from torch.distributed.optim import ZeroRedundancyOptimizer
    from torch.nn.parallel import DistributedDataParallel

    optimizer = ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW, lr=1e-3)
    return plain(DistributedDataParallel(model), optimizer, rank, world)


def fully_sharded(model: Any, rank: int, world: int) -> Made:
    from stage06_distributed.fully_sharded import FullyShardedModule

    sharded = FullyShardedModule(model, model.blocks)
    return plain(sharded, adamw(sharded.parameters()), rank, world)


def torch_fully_sharded(model: Any, rank: int, world: int) -> Made:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (world,))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return plain(model, adamw(model.parameters()), rank, world)


def tensor_parallel(model: Any, rank: int, world: int) -> Made:
    import torch.distributed as dist

    from stage06_distributed.tensor_parallel import tensor_parallel, vocab_parallel_cross_entropy

    cut = tensor_parallel(model, dist.group.WORLD)
    optimizer = adamw(cut.parameters())

    def step(ids: Any, targets: Any) -> Any:
        return stepped(vocab_parallel_cross_entropy(cut(ids), targets, dist.group.WORLD), optimizer)

    return step, cut, optimizer


def torch_tensor_parallel(model: Any, rank: int, world: int) -> Made:
    import torch
    from torch.distributed.tensor.parallel import loss_parallel

    from stage06_distributed.mesh import Layout, make_mesh
    from stage06_distributed.torch_engine import cut_matrices, whole

    cut_matrices(model, make_mesh(Layout(tp=world)))
    optimizer = adamw(model.parameters())

    def step(ids: Any, targets: Any) -> Any:
        with loss_parallel():
            loss = torch.nn.functional.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
            return whole(stepped(loss, optimizer))

    return step, model, optimizer


def pipeline(model: Any, rank: int, world: int) -> Made:
    import torch

    from stage05_training import cross_entropy
    from stage05_training.batch import Batch
    from stage06_distributed.pipeline import one_f_one_b, split_stages

    stage = split_stages(model, world)[rank]
    optimizer = adamw(stage.parameters())

    def loss_of(logits: Any, batch: Any) -> Any:
        return cross_entropy(logits.flatten(0, 1), batch.targets.flatten()) / MICRO_BATCHES

    def step(ids: Any, targets: Any) -> Any:
        pieces = [Batch(*each) for each in zip(ids.chunk(MICRO_BATCHES), targets.chunk(MICRO_BATCHES))]
        loss = one_f_one_b(stage, pieces, loss_of).loss
        optimizer.step()
        optimizer.zero_grad()
        return torch.tensor(loss)

    return step, stage, optimizer


def torch_pipeline(model: Any, rank: int, world: int) -> Made:
    import torch
    import torch.distributed as dist
    from torch.distributed import pipelining

    from stage05_training import cross_entropy
    from stage06_distributed.pipeline import split_stages

    stage = split_stages(model, world)[rank]
    optimizer = adamw(stage.parameters())

    def loss_of(logits: Any, targets: Any) -> Any:
        return cross_entropy(logits.flatten(0, 1), targets.flatten())

    place = pipelining.PipelineStage(stage, rank, world, torch.device("cpu"))
    schedule = pipelining.Schedule1F1B(place, MICRO_BATCHES, loss_fn=loss_of)

    def step(ids: Any, targets: Any) -> Any:
        losses: list[Any] = []
        last = rank == world - 1
        schedule.step(*((ids,) if rank == 0 else ()), **({"target": targets, "losses": losses} if last else {}))
        optimizer.step()
        optimizer.zero_grad()
        loss = torch.stack(losses).mean() if last else torch.zeros(())
        dist.broadcast(loss, src=world - 1)
        return loss

    return step, stage, optimizer


CONTESTS: dict[str, tuple[str, dict[str, Callable[[Any, int, int], Made]]]] = {
    "data": ("6.3", {"DataParallel": data_parallel, "DistributedDataParallel": torch_data_parallel}),
    "optimizer": (
        "6.8",
        {"ShardedOptimizer": sharded_optimizer, "ZeroRedundancyOptimizer": torch_sharded_optimizer},
    ),
    "tensor": ("6.6", {"tensor_parallel": tensor_parallel, "parallelize_module": torch_tensor_parallel}),
    "pipeline": ("6.7", {"one_f_one_b": pipeline, "Schedule1F1B": torch_pipeline}),
    "sharded": ("6.13", {"FullyShardedModule": fully_sharded, "fully_shard": torch_fully_sharded}),
}
MEANS = ("data", "optimizer", "sharded")  # whose ranks have a loss each, of their rows


def contest(names: list[str], what: str, size: str, processes: int, repeats: int) -> dict[str, Any]:
    """Let these take steps in turns; give what the first rank saw of each: seconds, losses, bytes held, bytes sent."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch:
        queue = context.SimpleQueue()
        arguments = (processes, str(Path(scratch) / "store"), names, what, size, repeats, queue)
        workers = [context.Process(target=work, args=(rank, *arguments)) for rank in range(processes)]
        for worker in workers:
            worker.start()
        while queue.empty():
            if any(worker.exitcode for worker in workers):
                raise SystemExit(f"{what}: a process has died")
            time.sleep(0.05)
        found = queue.get()
        for worker in workers:
            worker.join()
    return found


def work(rank: int, world: int, store: str, names: list[str], what: str, size: str, repeats: int, queue: Any) -> None:
    """What a process does."""
    stages.use_reference()
    import torch
    import torch.distributed as dist

    from stage04_block import GPT
    from stage04_block.config import GPTConfig

    torch.set_num_threads(1)
    dist.init_process_group("gloo", Path(store).as_uri(), rank=rank, world_size=world)
    width, layers, heads, vocabulary, batch, length = SIZES[size]
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocabulary, length, d_model=width, n_layers=layers, n_heads=heads, tie_weights=False))
    made = {name: CONTESTS[what][1][name](copy.deepcopy(model), rank, world) for name in names}
    del model
    batches = [tuple(torch.randint(vocabulary, (batch, length)) for _ in range(2)) for _ in range(repeats + 2)]
    found: dict[str, Any] = {name: {"seconds": [], "losses": []} for name in names}
    for ids, targets in batches:
        for name, (step, _, _) in made.items():
            dist.barrier()
            begin = time.perf_counter()
            loss = step(ids, targets)
            found[name]["seconds"].append(time.perf_counter() - begin)
            if what in MEANS:
                dist.all_reduce(loss)
                loss /= world
            found[name]["losses"].append(loss.item())
    for name, (_, module, optimizer) in made.items():
        found[name]["seconds"] = found[name]["seconds"][2:]  # after warming up
        found[name]["weights"], found[name]["state"] = held(module, optimizer)
    if rank == 0:
        queue.put(found)
    dist.barrier()
    dist.destroy_process_group()


def held(module: Any, optimizer: Any) -> tuple[int, int]:
    """The bytes that a process keeps between steps: of the weights, and of the optimizer's state."""
    import torch

    while hasattr(optimizer, "optim"):  # ZeroRedundancyOptimizer has the one that steps inside
        optimizer = optimizer.optim
    optimizer = getattr(optimizer, "local", optimizer)
    state = [each for table in optimizer.state.values() for each in table.values() if isinstance(each, torch.Tensor)]

    def size(tensors: list[Any]) -> int:
        own = [each.to_local() if hasattr(each, "to_local") else each for each in tensors]
        return sum(each.numel() * each.element_size() for each in own)

    return size(list(module.parameters())), size(state)


def main() -> None:
    parser = argparse.ArgumentParser(description="Stage 06 beside torch's own ways to do the same.")
    parser.add_argument("names", nargs="*", choices=[[], *CONTESTS], help="all if none is given")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--size", choices=SIZES, default="small")
    arguments = parser.parse_args()
    rows = []
    for what in arguments.names or CONTESTS:
        number, contenders = CONTESTS[what]
        names = list(contenders)
        with console.status(f"{number} {what}"):
            rest = (arguments.size, arguments.processes)
            found = contest(names, what, *rest, arguments.repeats)
            peaks = [in_process(contest, ([name], what, *rest, 5))[1] for name in names]
        ours, theirs = (found[name] for name in names)
        parted = max(abs(a - b) for a, b in zip(ours["losses"], theirs["losses"]))
        assert parted < 1e-3, f"the losses part by {parted}"
        times = statistics.median(a / b for a, b in zip(ours["seconds"], theirs["seconds"]))
        for name, peak in zip(names, peaks):
            each = found[name]
            median = statistics.median(each["seconds"]) * 1e3
            rows.append(
                (
                    f"{number} {name}",
                    f"{median:,.0f} ms",
                    f"{times:.2f}" if name == names[0] else "1.00",
                    f"{each['weights'] / 2**20:.1f} MiB",
                    f"{each['state'] / 2**20:.1f} MiB",
                    f"{peak / 2**20:,.0f} MiB" if peak else "unknown",
                    f"{parted:.0e}" if name == names[0] else "",
                )
            )
    columns = ["", "a step", "to torch's", "weights", "state", "peak, all processes", "losses part by"]
    title = (
        f"{arguments.size} GPT, {arguments.processes} processes with one thread each, medians of {arguments.repeats}"
    )
    table(title, columns, rows)


if __name__ == "__main__":
    main()
