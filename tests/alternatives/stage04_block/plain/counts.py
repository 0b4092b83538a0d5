"""Every matrix of the model in a list: rows, columns, and whether there is a bias."""

from __future__ import annotations

from .config import GPTConfig


def matrices_of_a_block(config: GPTConfig) -> list[tuple[int, int]]:
    c, f = config.d_model, config.ff_width
    kv = config.kv_heads * (config.d_model // config.n_heads)
    found = [(c, c), (kv, c), (kv, c), (c, c), (f, c), (c, f)]
    if config.activation == "swiglu":
        found.append((f, c))
    return found


def parameter_count(config: GPTConfig) -> int:
    total = config.vocab_size * config.d_model
    if not config.tie_weights:
        total += config.vocab_size * config.d_model
    if config.position == "learned":
        total += config.context_length * config.d_model
    if config.position == "t5":
        total += 32 * config.n_heads
    norms = 2 * config.n_layers
    if config.placement == "pre":
        norms += 1
    total += norms * config.d_model
    if config.norm == "layer" and config.bias:
        total += norms * config.d_model
    for _ in range(config.n_layers):
        for rows, columns in matrices_of_a_block(config):
            total += rows * columns
            if config.bias:
                total += rows
    return total


def forward_flops(config: GPTConfig, length: int, batch: int = 1) -> int:
    if batch < 0:
        raise ValueError(f"batch is negative: {batch}")
    if length < 0:
        raise ValueError(f"length is negative: {length}")
    total = 0
    for _ in range(config.n_layers):
        for rows, columns in matrices_of_a_block(config):
            total += 2 * rows * columns * length
        for _ in range(config.n_heads):
            total += 2 * length * length * config.head_dim  # scores
            total += 2 * length * length * config.head_dim  # values
    total += 2 * config.vocab_size * config.d_model * length
    return total * batch
