"""Measures what the figure of 4.10 shows: python3 stage04_block/figures/study.py (a minute or two)."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bootcamp import stages

stages.use_reference()

from bootcamp.corpus import SEPARATOR, story  # noqa: E402 - which code this is had to be said before
from stage01_tokenizer import Tokenizer, train_bpe_fast  # noqa: E402
from stage04_block import GPT, gradient_norms, train_with_warmup  # noqa: E402
from stage04_block.config import GPTConfig  # noqa: E402

HERE = Path(__file__).resolve().parent
STEPS, RATE, WARMUP = 450, 1e-3, 200


def xavier(vocab_size: int, width: int, layers: int, placement: Any) -> GPT:
    """A model whose matrices are drawn as in the paper: variance 2 / (in + out), none made smaller with depth."""
    generator = torch.Generator().manual_seed(1)
    model = GPT(GPTConfig(vocab_size, 64, width, layers, 4, placement=placement), generator)

    def drawn(weight: Tensor) -> Tensor:
        return torch.randn(weight.shape, generator=generator) * math.sqrt(2 / sum(weight.shape))

    with torch.no_grad():
        for block in model.blocks:
            old = block.attention.projections()
            new = {name: drawn(getattr(old, name)) for name in ("query", "key", "value", "out")}
            block.attention.load_projections(replace(old, **new))
            for layer in (block.feed_forward.up, block.feed_forward.down):
                layer.weight.copy_(drawn(layer.weight))
    return model


def main() -> None:
    torch.set_num_threads(1)
    texts = [SEPARATOR + story(0, number) for number in range(2000)]
    tokenizer = Tokenizer(*train_bpe_fast("".join(texts[:500]), 400, [SEPARATOR]), [SEPARATOR])
    ids = torch.tensor([id for text in texts for id in tokenizer.encode(text)])

    def batches(count: int, size: int = 8, length: int = 48) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(0)
        for _ in range(count):
            starts = torch.randint(len(ids) - length - 1, (size,), generator=generator)
            yield torch.stack([ids[start : start + length + 1] for start in starts.tolist()])

    norms = {
        f"{placement}, {layers} layers": gradient_norms(
            xavier(tokenizer.vocab_size, 64, layers, placement), list(batches(4))
        )
        for placement in ("post", "pre")
        for layers in (4, 12, 24)
    }
    losses = {}
    for placement in ("post", "pre"):
        for warmup in (0, WARMUP):
            model = xavier(tokenizer.vocab_size, 48, 6, placement)
            optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98))
            found = train_with_warmup(model, batches(STEPS), optimizer, RATE, warmup)
            smooth = torch.tensor(found).unfold(0, 20, 1).mean(-1)  # means over 20 steps
            losses[f"{placement}, {f'warmup of {warmup}' if warmup else 'no warmup'}"] = smooth.tolist()
    rounded = [{name: [round(x, 4) for x in line] for name, line in each.items()} for each in (norms, losses)]
    text = json.dumps({"norms": rounded[0], "losses": rounded[1]}) + "\n"
    (HERE / "study.json").write_text(text, encoding="utf-8")
    for name, line in norms.items():
        print(f"{name:18} first {line[0]:.4f}, last {line[-1]:.4f}")
    for name, line in losses.items():
        print(f"{name:22} " + ", ".join(f"{line[step]:.2f} at {step + 20}" for step in (80, 230, 430)))


if __name__ == "__main__":
    main()
