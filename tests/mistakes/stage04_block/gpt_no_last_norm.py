# module: gpt.py
# exercise: 4.6
# name: the norm before the output is missing
"""A model whose weights are filled module by module, and made narrower afterwards where they write into the stream."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from stage02_embeddings import AlibiBias, InputEmbedding, RotaryEmbedding, T5RelativeBias
from stage03_attention import KVCache
from stage03_attention.multihead import Projections

from .block import TransformerBlock, make_norm
from .config import GPTConfig


def relative_position(config: GPTConfig) -> nn.Module | None:
    if config.position == "alibi":
        return AlibiBias(config.n_heads)
    if config.position == "rope":
        return RotaryEmbedding(config.head_dim)
    if config.position == "t5":
        return T5RelativeBias(config.n_heads, bidirectional=False)
    return None


class GPT(nn.Module):
    def __init__(self, config: GPTConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        kept = torch.get_rng_state()
        shared = relative_position(config)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        blocks = []
        for _ in range(config.n_layers):
            blocks.append(TransformerBlock(config, position=shared))
        self.blocks = nn.ModuleList(blocks)
        self.norm = None
        if config.placement == "pre":
            self.norm = make_norm(config)
        self.embed = InputEmbedding(
            vocab_size=config.vocab_size,
            dim=config.d_model,
            position=config.position if config.position in ("learned", "sinusoidal") else "none",
            max_length=config.context_length,
            dropout=config.dropout,
        )
        if config.tie_weights:
            self.head.weight = self.embed.token.weight
        with torch.no_grad():
            self.start(generator, shared)
        if generator is not None:
            torch.set_rng_state(kept)

    def start(self, generator: torch.Generator | None, shared: nn.Module | None) -> None:
        """Fill all matrices, then take what writes into the stream down."""
        std, layers = self.config.init_std, self.config.n_layers
        filled: set[int] = set()

        def fill(weight: Tensor) -> Tensor:
            if id(weight) not in filled:
                nn.init.normal_(weight, mean=0.0, std=std, generator=generator)
                filled.add(id(weight))
            return weight

        for module in self.modules():
            if isinstance(module, nn.Linear):
                fill(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        fill(self.embed.token.weight).mul_(self.config.table_std / std)
        if self.config.position == "learned":
            fill(self.embed.position.weight)
        if self.config.position == "t5":
            fill(shared.weight)
        less = 1.0 / math.sqrt(2.0 * layers) if self.config.placement == "pre" else 1.0
        for block in self.blocks:
            old = block.attention.projections()
            new = [fill(torch.empty_like(each)) for each in (old.query, old.key, old.value, old.out)]
            filled.clear()  # an address may come again
            block.attention.load_projections(Projections(new[0], new[1], new[2], new[3] * less))
            block.feed_forward.down.weight.mul_(less)

    def new_cache(self) -> list[KVCache]:
        return [KVCache() for _ in self.blocks]

    def forward(
        self,
        ids: Tensor,
        cache: list[KVCache] | None = None,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        return_weights: bool = False,
    ):
        if ids.ndim != 2:
            raise ValueError(f"ids have two axes, batch and time; these are {tuple(ids.shape)}")
        if cache is not None and len(cache) != len(self.blocks):
            raise ValueError(f"there are {len(self.blocks)} layers, and caches for {len(cache)}")
        past = 0 if cache is None else cache[0].length
        length = ids.size(1)
        if past + length > self.config.context_length:
            raise ValueError(f"{past + length} tokens are more than the {self.config.context_length} of the context")
        if positions is None:
            positions = torch.arange(length, device=ids.device) + past
        stream = self.embed(ids, positions=positions)
        all_weights = []
        for i in range(len(self.blocks)):
            own = None if cache is None else cache[i]
            if return_weights:
                stream, weights = self.blocks[i](stream, mask=mask, positions=positions, cache=own, return_weights=True)
                all_weights.append(weights)
            else:
                stream = self.blocks[i](stream, mask=mask, positions=positions, cache=own)
        logits = self.head(stream)
        if return_weights:
            return logits, all_weights
        return logits
