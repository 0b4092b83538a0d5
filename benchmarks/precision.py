"""What few bits do to training: the story model in several number formats, with and without what makes them safe.

    python -m benchmarks.precision [--steps N] [NAME …]

The same weights, batches and rates as `python3 -m bootcamp demo`, on one process; what differs is where numbers are
narrow. What counts is the validation loss at the end, over that of float32.

A large run makes a step from thousands of batches, and each of them adds its part of the mean: gradients that are
thousands of times smaller. "1 of 2,048" has gradients of that size on the way back, and adds up 2,048 equal ones.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

from benchmarks.measure import console, table
from bootcamp import progress, stages
from bootcamp.commands import train
from bootcamp.corpus import open_corpus
from bootcamp.steps import Steps

WAYS = {  # the policy, with a scaled loss, with masters, as one of how many batches of a step
    "float32": ("fp32", False, True, 1),
    "bf16": ("bf16", False, True, 1),
    "bf16 weights, masters": ("bf16-pure", False, True, 1),
    "bf16 weights, no masters": ("bf16-pure", False, False, 1),
    "fp16, scaled": ("fp16", True, True, 1),
    "fp16, not scaled": ("fp16", False, True, 1),
    "fp16, scaled, 1 of 2,048": ("fp16", True, True, 2048),
    "fp16, not scaled, 1 of 2,048": ("fp16", False, True, 2048),
}


def learn(data: Any, config: Any, way: str) -> tuple[float, int, float]:
    """Train in one way; give the validation loss, how many steps were left out, and the seconds that it took."""
    import torch

    from stage04_block import GPT
    from stage05_training import AdamW, clip_gradients, cross_entropy, parameter_groups, warmup_cosine
    from stage06_distributed.precision import LossScaler, MasterWeights, Policy

    name, scaled, masters, part = WAYS[way]
    policy = Policy.named(name)
    torch.manual_seed(config.seed)
    model = policy.place(GPT(config.model))
    groups = parameter_groups(model, config.weight_decay)

    def make(groups: Any) -> Any:
        return AdamW(groups, lr=config.max_lr, betas=(config.beta1, config.beta2))

    kept = policy.weights != torch.float32 and masters
    optimizer: Any = MasterWeights(groups, make) if kept else make(groups)
    groups = (optimizer.optimizer if kept else optimizer).param_groups
    stepped = [p for group in groups for p in group["params"]]
    scaler = LossScaler() if scaled else None
    loader, left_out, begin = data.loader(config), 0, time.perf_counter()
    with console.status("") as status:
        for step in range(config.steps):
            for group in groups:
                group["lr"] = warmup_cosine(step, config.max_lr, config.warmup, config.steps, config.min_lr)
            batch = next(loader)
            with policy.region():
                logits = model(batch.ids, mask=batch.mask, positions=batch.positions)
                loss = cross_entropy(logits.float(), batch.targets)
            (scaler.scale(loss / part) if scaler else loss / part).backward()
            if kept:
                optimizer.take_gradients()
            finite = scaler.unscale(stepped) if scaler else True
            for p in stepped:
                if p.grad is not None:
                    p.grad *= part
            if finite:
                clip_gradients(stepped, config.max_norm)
            if scaler:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
            model.zero_grad()
            for p in stepped:
                p.grad = None
            left_out += not finite
            status.update(f"{way}: step {step + 1:,} of {config.steps:,}, loss {loss.item():.3f}")
    seconds = time.perf_counter() - begin
    nats = tokens = 0.0
    model.eval()
    with torch.no_grad(), policy.region():
        for batch in data.validation_batches(config):
            logits = model(batch.ids, mask=batch.mask, positions=batch.positions)
            nats += cross_entropy(logits.float(), batch.targets).item() * batch.counted
            tokens += batch.counted
    return nats / tokens, left_out, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="The story model in several number formats.")
    parser.add_argument("names", nargs="*", help=f"all if none is given: {'; '.join(WAYS)}")
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    stages.use_reference()
    import torch

    torch.set_num_threads(arguments.threads)
    with Steps() as steps:
        corpus = open_corpus("stories", progress.FOLDER / "corpora", 16_000_000, 0, lambda *_: None)
        data = train.prepared(corpus, 2048, 2, steps)
    options = train.defaults(steps=arguments.steps, warmup=min(50, arguments.steps // 10))
    config = train.configured(options, data.vocab_size)
    rows, first = [], math.nan
    for way in arguments.names or WAYS:
        loss, left_out, seconds = learn(data, config, way)
        first = loss if math.isnan(first) else first
        rows.append((way, f"{loss:.4f}", f"{loss / first - 1:+.2%}", f"{left_out}", f"{seconds:,.0f} s"))
        console.print(*rows[-1], sep="  ")
    table(f"{arguments.steps:,} steps", ["", "validation loss", "to the first", "steps left out", "time"], rows)


if __name__ == "__main__":
    main()
