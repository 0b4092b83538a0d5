"""A training step of the GPT of stage 04 beside that of `transformers`' GPT-2, and what the cache of 3.7 is worth.

    python -m benchmarks.gpt [--repeats N] [--threads N] [--new-tokens N]

Both models have the same shape and the same weights, and are trained with the same loss, clipping and AdamW from torch,
in turns, in one process. Their losses have to be the same.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.measure import Times, alternate, clock, console, ratio, table
from bootcamp import stages

SIZES = {  # width, layers, heads, vocabulary, texts, tokens of each
    "small": (256, 4, 4, 2048, 8, 128),
    "medium": (512, 6, 8, 8192, 4, 256),
}


def models(size: str) -> tuple[Any, Any]:
    """Make the two models of one size, with the same weights."""
    stages.use_reference()
    import transformers

    from stage04_block import load_gpt2

    width, layers, heads, vocabulary, _, length = SIZES[size]
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=vocabulary,
            n_positions=length,
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    )
    return load_gpt2(theirs.state_dict(), n_heads=heads), theirs


def steps(size: str, repeats: int) -> dict[str, Times]:
    """Time training steps of both, in turns."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    ours, theirs = models(size)
    _, _, _, vocabulary, batch, length = SIZES[size]
    ids, targets = (torch.randint(vocabulary, (batch, length)) for _ in range(2))
    optimizers = {id(model): torch.optim.AdamW(model.parameters(), lr=3e-4) for model in (ours, theirs)}
    losses: dict[int, list[float]] = {id(model): [] for model in (ours, theirs)}

    def step(model: nn.Module) -> None:
        model.train()
        result = model(ids)
        logits = result if isinstance(result, torch.Tensor) else result.logits
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        losses[id(model)].append(loss.item())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizers[id(model)].step()
        optimizers[id(model)].zero_grad()

    for model in (ours, theirs):
        step(model)
    times = alternate(
        {"ours": lambda: clock(lambda: step(ours)), "transformers": lambda: clock(lambda: step(theirs))}, repeats, size
    )
    for one, other in zip(losses[id(ours)], losses[id(theirs)]):
        assert abs(one - other) < 1e-3, f"the losses part: {one} and {other}"
    return times


def writing(new_tokens: int, repeats: int) -> dict[str, Times]:
    """Time the writing of so many tokens with the cache and without."""
    import torch

    from stage04_block import GPT
    from stage04_block.config import GPTConfig
    from stage04_block.generate import generate

    model = GPT(GPTConfig(vocab_size=2048, context_length=new_tokens + 16, d_model=256, n_layers=4, n_heads=4))
    prompt = torch.randint(2048, (1, 16))
    assert generate(model, prompt, 8, temperature=0.0) == generate(model, prompt, 8, temperature=0.0, use_cache=False)
    return alternate(
        {
            name: lambda cached=cached: clock(
                lambda: generate(model, prompt, new_tokens, temperature=0.0, use_cache=cached)
            )
            for name, cached in (("with the cache", True), ("without", False))
        },
        repeats,
        f"{new_tokens} tokens",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="The GPT of stage 04 beside transformers' GPT-2.")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--new-tokens", type=int, default=512)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    rows = []
    for size, (width, layers, _, vocabulary, batch, length) in SIZES.items():
        times = steps(size, arguments.repeats)
        for name, each in times.items():
            rate = f"{batch * length / each.median:,.0f}"
            rows.append(
                (
                    f"{size}: C {width}, L {layers}, V {vocabulary}, {batch} × {length}",
                    name,
                    rate,
                    f"{1 / ratio(each, times['transformers']):.2f}",
                )
            )
    table(f"Training steps, {arguments.threads} threads", ["model", "", "tokens / s", "of transformers'"], rows)
    times = writing(arguments.new_tokens, max(arguments.repeats // 5, 1))
    for name, each in times.items():
        console.print(f"{arguments.new_tokens} new tokens {name}: {each.median:.2f} s")
    console.print(f"the cache makes it {ratio(times['without'], times['with the cache']):.1f} times as fast")


if __name__ == "__main__":
    main()
