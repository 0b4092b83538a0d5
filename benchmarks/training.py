"""What the hand-written parts of a training step cost: loss, clipping and AdamW of stage 05 beside torch's own.

    python -m benchmarks.training [--repeats N] [--threads N]

The same GPT, weights and batches, in turns, in one process; the losses have to be the same. And: reading batches with
workers and without, and what padding, buckets and packing waste in places and in time.
"""

from __future__ import annotations

import argparse
import copy
import random
from typing import Any

from benchmarks.gpt import SIZES
from benchmarks.measure import Times, alternate, clock, console, ratio, table
from bootcamp import stages


def steps(size: str, repeats: int) -> tuple[dict[str, Times], dict[str, Times]]:
    """Time whole steps, and then loss, clipping and AdamW alone, with ours and with torch's."""
    import torch
    from torch import nn

    from stage04_block import GPT
    from stage04_block.config import GPTConfig
    from stage05_training import AdamW, clip_gradients, cross_entropy

    width, layers, heads, vocabulary, batch, length = SIZES[size]
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=vocabulary, context_length=length, d_model=width, n_layers=layers, n_heads=heads))
    models = {"ours": model, "torch": copy.deepcopy(model)}
    optimizers: dict[str, Any] = {
        "ours": AdamW(models["ours"].parameters(), lr=3e-4),
        "torch": torch.optim.AdamW(models["torch"].parameters(), lr=3e-4),
    }
    losses: dict[str, Any] = {"ours": cross_entropy, "torch": nn.functional.cross_entropy}
    clips: dict[str, Any] = {"ours": clip_gradients, "torch": nn.utils.clip_grad_norm_}
    ids, targets = (torch.randint(vocabulary, (batch, length)) for _ in range(2))
    seen: dict[str, list[float]] = {"ours": [], "torch": []}

    def step(name: str) -> None:
        logits = models[name](ids)
        loss = losses[name](logits.flatten(0, 1), targets.flatten())
        loss.backward()
        clips[name](models[name].parameters(), 1.0)
        optimizers[name].step()
        optimizers[name].zero_grad()
        seen[name].append(loss.item())

    fixed = torch.randn(batch * length, vocabulary, requires_grad=True)
    grads = [torch.randn_like(p) for p in model.parameters()]

    def parts(name: str) -> None:
        losses[name](fixed, targets.flatten()).backward()
        fixed.grad = None
        for p, grad in zip(models[name].parameters(), grads):
            p.grad = grad
        clips[name](models[name].parameters(), 1e9)
        optimizers[name].step()
        optimizers[name].zero_grad()

    for name in models:
        step(name)
    whole = alternate({name: lambda name=name: clock(lambda: step(name)) for name in models}, repeats, size)
    for one, other in zip(seen["ours"], seen["torch"]):
        assert abs(one - other) < 1e-3, f"the losses part: {one} and {other}"
    alone = alternate(
        {name: lambda name=name: clock(lambda: parts(name)) for name in models}, repeats, f"{size}, parts"
    )
    return whole, alone


def reading(repeats: int) -> dict[str, Times]:
    """Time 200 batches of windows, read here and by workers."""
    import torch

    from stage05_training import Loader, WindowDataset

    dataset = WindowDataset(torch.randint(2048, (2_000_000,)), 256)

    def read(workers: int) -> None:
        loader = Loader(dataset, 16, workers=workers)
        for _ in range(200):
            next(loader)

    ways = {"no workers": 0, "1 worker": 1, "2 workers": 2}
    return alternate({name: lambda n=n: clock(lambda: read(n)) for name, n in ways.items()}, repeats, "reading")


def collating(repeats: int) -> tuple[dict[str, Times], dict[str, float]]:
    """Time a forward and backward pass over 128 texts of uneven length, padded, in buckets and packed."""
    import torch

    from stage04_block import GPT
    from stage04_block.config import GPTConfig
    from stage05_training import bucket_by_length, cross_entropy, pack, pad_batch

    draw = random.Random(0)
    texts = [[draw.randrange(500) for _ in range(draw.randrange(16, 200))] for _ in range(128)]
    model = GPT(GPTConfig(vocab_size=500, context_length=256, d_model=128, n_layers=2, n_heads=4, position="rope"))
    buckets = bucket_by_length([len(text) for text in texts], 16, torch.Generator().manual_seed(0))
    packed = pack(texts, 256)
    rows = [slice(start, start + 8) for start in range(0, len(packed.ids), 8)]
    ways = {
        "padded": [pad_batch(texts[start : start + 16]) for start in range(0, 128, 16)],
        "buckets": [pad_batch([texts[index] for index in bucket]) for bucket in buckets],
        "packed": [packed.rows(part) for part in rows],
    }

    def train(batches: list[Any]) -> None:
        for batch in batches:
            cross_entropy(model(batch.ids, mask=batch.mask, positions=batch.positions), batch.targets).backward()

    waste = {
        name: 1 - sum(batch.counted for batch in batches) / sum(batch.targets.numel() for batch in batches)
        for name, batches in ways.items()
    }
    times = {name: lambda batches=batches: clock(lambda: train(batches)) for name, batches in ways.items()}
    return alternate(times, repeats, "collating"), waste


def main() -> None:
    parser = argparse.ArgumentParser(description="The parts of a training step beside torch's own.")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    stages.use_reference()
    import torch

    torch.set_num_threads(arguments.threads)
    rows = []
    for size, (width, layers, _, vocabulary, batch, length) in SIZES.items():
        for what, times in zip(("whole step", "loss, clipping, AdamW"), steps(size, arguments.repeats)):
            rows.append(
                (
                    f"C {width}, L {layers}, V {vocabulary:,}, {batch} × {length}: {what}",
                    *(f"{1e3 * times[name].median:,.1f} ms" for name in ("ours", "torch")),
                    f"{ratio(times['ours'], times['torch']):.2f}",
                )
            )
    table(f"Ours beside torch's, {arguments.threads} threads", ["", "ours", "torch", "ours / torch"], rows)
    times = reading(max(arguments.repeats // 5, 1))
    for name, each in times.items():
        console.print(f"200 batches of 16 × 256 with {name}: {each.median:.2f} s")
    times, waste = collating(max(arguments.repeats // 3, 1))
    for name, each in times.items():
        console.print(f"128 texts {name}: {waste[name]:.0%} wasted, {each.median:.2f} s forward and backward")


if __name__ == "__main__":
    main()
