"""What a model writes while it learns. (Given; nothing to write here.)"""

from __future__ import annotations

import torch

from stage01_tokenizer import Tokenizer
from stage04_block import GPT
from stage04_block.generate import generate

from .config import TrainConfig


def write_samples(
    model: GPT, tokenizer: Tokenizer, config: TrainConfig, end_id: int, temperature: float = 0.8
) -> list[str]:
    """Write on from each prompt, up to the end of the document or of the context. Other draws are not disturbed."""
    starts = [[end_id, *tokenizer.encode(prompt)] for prompt in config.prompts]
    room = config.model.context_length - max(map(len, starts))
    generators = [torch.Generator(next(model.parameters()).device).manual_seed(config.seed) for _ in starts]
    texts = generate(model, starts, max(room, 1), temperature, stop_ids=[end_id], generator=generators)
    return [tokenizer.decode([id for id in text if id != end_id]) for text in texts]
