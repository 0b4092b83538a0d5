# module: gpt.py
# exercise: 4.6
# name: all layers are one and the same block
"""A model whose numbers are all drawn at once, and cut into weights."""

from __future__ import annotations

import torch
from torch import nn

from stage02_embeddings import AlibiBias, InputEmbedding, RotaryEmbedding, T5RelativeBias
from stage03_attention import KVCache
from stage03_attention.multihead import Projections

from .block import TransformerBlock, make_norm
from .config import GPTConfig


def relative_position(config: GPTConfig):
    makers = {
        "rope": lambda: RotaryEmbedding(config.head_dim),
        "alibi": lambda: AlibiBias(config.n_heads),
        "t5": lambda: T5RelativeBias(config.n_heads, False),
    }
    return makers.get(config.position, lambda: None)()


class GPT(nn.Module):
    def __init__(self, config: GPTConfig, generator=None) -> None:
        super().__init__()
        self.config = c = config
        with torch.random.fork_rng(devices=[], enabled=generator is not None):
            position = relative_position(c)
            at_input = c.position if c.position in ("learned", "sinusoidal") else "none"
            self.embed = InputEmbedding(c.vocab_size, c.d_model, at_input, c.context_length, c.dropout)
            self.blocks = nn.ModuleList([TransformerBlock(c, position)] * c.n_layers)
            self.norm = make_norm(c) if c.placement == "pre" else None
            self.head = nn.Linear(c.d_model, c.vocab_size, bias=False)
            if c.tie_weights:
                self.embed.token.weight = self.head.weight
            self._begin(generator, position)

    @torch.no_grad()
    def _begin(self, generator, position) -> None:
        attentions = [block.attention for block in self.blocks]
        layers = [block.feed_forward for block in self.blocks]
        olds = [attention.projections() for attention in attentions]
        names = ("query", "key", "value", "out")
        news = [{name: torch.empty(getattr(old, name).shape) for name in names} for old in olds]
        narrow = [new["out"] for new in news] + [layer.down.weight for layer in layers]
        wide = [new[name] for new in news for name in names[:3]] + [layer.up.weight for layer in layers]
        wide += [layer.gate.weight for layer in layers if layer.gate is not None] + [self.embed.token.weight]
        wide += [] if self.config.tie_weights else [self.head.weight]
        wide += [position.weight] if self.config.position == "t5" else []
        wide += [self.embed.position.weight] if self.config.position == "learned" else []
        numbers = torch.randn(sum(each.numel() for each in wide + narrow), generator=generator) * self.config.init_std
        less = (2 * self.config.n_layers) ** -0.5 if self.config.placement == "pre" else 1.0
        place = 0
        for each in wide + narrow:
            each.copy_(numbers[place : place + each.numel()].view_as(each))
            place += each.numel()
        self.embed.token.weight *= self.config.table_std / self.config.init_std
        for each in narrow:
            each *= less
        for attention, new in zip(attentions, news):
            attention.load_projections(Projections(**new))
        for layer in layers:
            for part in filter(None, (layer.up, layer.gate, layer.down)):
                if part.bias is not None:
                    part.bias[:] = 0

    def new_cache(self):
        return [KVCache() for _ in range(self.config.n_layers)]

    def forward(self, ids, cache=None, mask=None, positions=None, return_weights=False):
        if ids.dim() != 2 or (cache is not None and len(cache) != self.config.n_layers):
            shape = tuple(ids.shape) if cache is None else (tuple(ids.shape), len(cache), self.config.n_layers)
            raise ValueError(f"ids must be (B, T) and the cache of all layers, not {shape}")
        start = cache[0].length if cache is not None else 0
        end = start + ids.shape[1]
        if end > self.config.context_length:
            raise ValueError(f"{end} > {self.config.context_length}: the text is longer than the context")
        where = torch.arange(start, end, device=ids.device) if positions is None else positions
        x, weights = self.embed(ids, where), []
        for i, block in enumerate(self.blocks):
            x, w = block(x, mask, where, cache and cache[i], True)
            weights += [w]
        logits = nn.functional.linear(self.norm(x) if self.norm is not None else x, self.head.weight)
        return (logits, weights) if return_weights else logits
