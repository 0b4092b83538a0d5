"""Both in a line or two, in units of the width."""

from __future__ import annotations


def _entries(c):
    """The entries of a block's matrices, and the rows, which are its biases."""
    kv, f, gates = c.d_model * c.kv_heads // c.n_heads, c.ff_width, 1 + (c.activation == "swiglu")
    return c.d_model * (2 * c.d_model + 2 * kv + f + f * gates), 3 * c.d_model + 2 * kv + f * gates


def parameter_count(config):
    c = config
    entries, rows = _entries(c)
    vectors = (1 + (c.norm == "layer" and c.bias)) * (2 * c.n_layers + (c.placement == "pre"))
    tables = c.vocab_size * (2 - c.tie_weights) + c.context_length * (c.position == "learned")
    return (
        c.n_layers * (entries + rows * c.bias) + c.d_model * (vectors + tables) + 32 * c.n_heads * (c.position == "t5")
    )


def forward_flops(config, length, batch=1):
    if min(length, batch) < 0:
        raise ValueError(f"length {length} and batch {batch} must be 0 or more")
    per_layer = 2 * _entries(config)[0] + 4 * length * config.d_model
    return batch * length * (config.n_layers * per_layer + 2 * config.d_model * config.vocab_size)
