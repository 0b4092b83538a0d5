"""Measures what some figures of this lesson show: python3 stage06_distributed/figures/measure.py (some minutes)."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bootcamp import stages

stages.use_reference()

from bootcamp.corpus import SEPARATOR, story  # noqa: E402 - which code this is had to be said before
from bootcamp.grading.ranks import on_ranks  # noqa: E402
from stage01_tokenizer import Tokenizer, train_bpe_fast  # noqa: E402
from stage04_block import GPT  # noqa: E402
from stage04_block.config import GPTConfig  # noqa: E402
from stage05_training import AdamW, clip_gradients, cross_entropy, parameter_groups, random_batch  # noqa: E402
from stage05_training.batch import Batch  # noqa: E402
from stage06_distributed import DataParallel, LossScaler, Policy, ShardedOptimizer, checkpoint, underflow  # noqa: E402
from stage06_distributed.pipeline import PipelineStage, gpipe, one_f_one_b  # noqa: E402

HERE = Path(__file__).resolve().parent


def learn(ids: Tensor, config: GPTConfig, steps: int, policy: Policy, scaler: LossScaler | None) -> dict[str, Any]:
    """Train a small GPT, and give what became of its gradients and of the scale."""
    model, generator = GPT(config, torch.Generator().manual_seed(0)), torch.Generator().manual_seed(0)
    optimizer = AdamW(parameter_groups(model, 0.1), lr=3e-3, betas=(0.9, 0.95))
    parameters, scales, lost, losses = list(model.parameters()), [], [], []
    for _ in range(steps):
        batch = random_batch(ids, 8, 64, generator)
        if scaler:
            model.zero_grad()
            cross_entropy(model(batch.ids), batch.targets).backward()  # in float32, to see what float16 will lose
            lost.append(underflow([p.grad for p in parameters if p.grad is not None], torch.float16, scaler.factor))
            scales.append(scaler.factor)
        model.zero_grad()
        with policy.region():
            loss = cross_entropy(model(batch.ids).float(), batch.targets)
        (scaler.scale(loss) if scaler else loss).backward()
        losses.append(loss.item())
        if scaler:
            scaler.unscale(parameters)
            clip_gradients(parameters, 1.0)
            scaler.step(optimizer)
            scaler.update()
        else:
            clip_gradients(parameters, 1.0)
            optimizer.step()
    model.zero_grad()
    batch = random_batch(ids, 8, 64, generator)
    cross_entropy(model(batch.ids), batch.targets).backward()
    grads = [p.grad for p in parameters if p.grad is not None]
    powers = Counter(math.floor(power) for g in grads for power in g[g != 0].abs().log2().tolist())
    by_name = {name: underflow([p.grad], torch.float16) for name, p in model.named_parameters() if p.grad is not None}
    return {
        "losses": losses,
        "scales": scales,
        "lost": lost,
        "powers": dict(sorted(powers.items())),
        "float16": {power: underflow(grads, torch.float16, 2.0**power) for power in range(-16, 21, 4)},
        "hundredth": underflow(grads, torch.float16, 0.01),
        "bfloat16": underflow(grads, torch.bfloat16),
        "most by name": sorted(by_name.items(), key=lambda each: -each[1])[:6],
    }


def buckets(rank: int, bucket_mb: float) -> list[dict[str, Any]]:
    """Ten times a backward of eight layers: when each was done, when each message left, and when it came."""
    torch.manual_seed(0)
    layers = [nn.Linear(1024, 1024, bias=False) for _ in range(8)]
    model = DataParallel(nn.Sequential(*layers), bucket_mb=bucket_mb)
    x = torch.randn(640, 1024)
    done: list[float] = []
    messages: list[list[float]] = []
    for each in layers:
        each.weight.register_post_accumulate_grad_hook(lambda _: done.append(time.perf_counter()))
    send: Any = dist.all_reduce

    def watched(tensor: Tensor, **options: Any) -> Any:
        message = [time.perf_counter(), math.nan, tensor.numel()]
        messages.append(message)
        work = send(tensor, **options)
        work.get_future().add_done_callback(lambda _: message.__setitem__(1, time.perf_counter()))
        return work

    dist.all_reduce = watched
    passes = []
    for _ in range(10):
        model.zero_grad()
        loss = model(x).square().mean()
        dist.barrier()
        done.clear()
        messages.clear()
        begin = time.perf_counter()
        loss.backward()
        end = time.perf_counter()
        passes.append({"begin": begin, "done": list(done), "messages": list(messages), "end": end})
    return passes


def quickest(ranks: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Give the pass that took least time: on a machine that does other things too, it is the least disturbed."""
    return list(min(zip(*ranks), key=lambda each: max(run["end"] - run["begin"] for run in each)))


class Sleep(torch.autograd.Function):
    """Takes its time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, seconds: float) -> Tensor:  # type: ignore[override]
        ctx.seconds = seconds
        time.sleep(seconds)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        time.sleep(2 * ctx.seconds)
        return grad, None


class Slow(nn.Module):
    """A block that does nothing, and takes its time over it."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.gain, self.seconds = nn.Parameter(torch.ones(())), seconds

    def forward(self, x: Tensor, *_: Any) -> Tensor:
        return Sleep.apply(x * self.gain, self.seconds)  # type: ignore[return-value]


def pipeline(rank: int, how: str, count: int, seconds: float = 0.03) -> dict[str, Any]:
    """A batch in `count` pieces through stages that take as long as each other."""
    world = dist.get_world_size()
    embed = nn.Embedding(5, 4) if rank == 0 else None
    if embed:
        embed.forward = lambda ids, positions: embed.weight[ids]  # type: ignore[method-assign]
    head = nn.Linear(4, 5) if rank == world - 1 else None
    stage = PipelineStage(embed, {rank: Slow(seconds)}, None, head, 4)
    ids = torch.zeros(1, 3, dtype=torch.int64)
    batches = [Batch(ids, ids) for _ in range(count)]
    run: Any = None
    for _ in range(2):  # the second one counts
        dist.barrier()
        run = {"gpipe": gpipe, "1f1b": one_f_one_b}[how](stage, batches, lambda logits, batch: logits.mean())
    return {"events": [list(event) for event in run.events], "most": run.most_alive}


def sharded(rank: int) -> dict[str, int]:
    """How many bytes of weights, gradients and the optimizer's state a rank has."""
    model = GPT(GPTConfig(512, 64, 64, 4, 4), torch.Generator().manual_seed(0))
    optimizer = ShardedOptimizer(model.parameters(), lambda groups: AdamW(groups, lr=1e-3))
    ids = torch.zeros(1, 8, dtype=torch.int64)
    cross_entropy(model(ids), ids).backward()
    optimizer.step()
    kept = [each for state in optimizer.local.state.values() for each in state.values()]
    return {
        "numbers": sum(p.numel() for p in model.parameters()),
        "state": sum(4 * each.numel() for each in kept if isinstance(each, Tensor) and each.numel() > 1),
    }


def memory(recompute: bool) -> list[list[float]]:
    """What torch has allocated over the time of a forward and a backward of six blocks: seconds, bytes."""
    config = GPTConfig(512, 64, 64, 6, 4)
    model = GPT(config, torch.Generator().manual_seed(0))
    ids = torch.randint(512, (16, 64), generator=torch.Generator().manual_seed(1))
    if recompute:
        for block in model.blocks:
            block.forward = lambda *args, forward=block.forward: checkpoint(forward, *args)  # type: ignore[assignment]

    def run() -> None:
        x = model.embed(ids, torch.arange(64))
        for block in model.blocks:
            x = block(x)
        x.square().mean().backward()

    run()  # gradients are there from now on
    with torch.profiler.profile(profile_memory=True) as profile:
        run()
    profiler: Any = profile.profiler
    events = [each for each in profiler.kineto_results.events() if each.name() == "[memory]"]
    most: dict[int, int] = {}  # in each fifth of a millisecond
    now, first = 0, min(each.start_ns() for each in events)
    for each in sorted(events, key=lambda each: each.start_ns()):
        now += each.nbytes()
        place = (each.start_ns() - first) // 200_000
        most[place] = max(most.get(place, now), now)
    return [[place / 5000, size] for place, size in most.items()] + [[(max(most) + 1) / 5000, now]]


def main(*which: str) -> None:
    torch.set_num_threads(1)
    path = HERE / "measured.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    measures: dict[str, Any] = {
        "buckets": lambda: {str(mb): quickest(on_ranks(2, buckets, mb, seconds=200)) for mb in (1000.0, 4.0)},
        "pipeline": lambda: {how: on_ranks(4, pipeline, how, 8, seconds=200) for how in ("gpipe", "1f1b")},
        "sharded": lambda: {str(world): on_ranks(world, sharded, seconds=200) for world in (1, 2, 4)},
        "memory": lambda: [memory(False), memory(True)],
        "learning": learning,
    }
    for name in which or measures:
        print(name, flush=True)
        found[name] = measures[name]()
        path.write_text(json.dumps(rounded(found), indent=None, separators=(", ", ": ")) + "\n", encoding="utf-8")


def learning() -> dict[str, Any]:
    texts = [SEPARATOR + story(0, number) for number in range(2000)]
    tokenizer = Tokenizer(*train_bpe_fast("".join(texts[:500]), 500, [SEPARATOR]), [SEPARATOR])
    ids: Any = torch.tensor([id for text in texts for id in tokenizer.encode(text)])
    config = GPTConfig(tokenizer.vocab_size, 64, 64, 4, 4)
    scaler = LossScaler(initial=2.0**20, interval=25)
    return {
        "plain": learn(ids, config, 300, Policy(), None),
        "float16": learn(ids, config, 300, Policy.named("fp16"), scaler),
    }


def rounded(value: Any) -> Any:
    """Numbers with as many digits as a figure needs."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return round(value, 6) if isinstance(value, float) else value


if __name__ == "__main__":
    main(*sys.argv[1:])
