"""4.6 · How many numbers a model has, and how much it computes: in closed form, before it is made.

Kaplan et al.: Scaling Laws for Neural Language Models (2020), section 2.1 and table 1.
Letters: T time, C width, H heads, G key/value heads, D width of a head, F width inside, L layers, V vocabulary.
"""

from __future__ import annotations

from .config import GPTConfig


def parameter_count(config: GPTConfig) -> int:
    """Say how many parameters `GPT(config)` has; a shared one counts once.

    >>> parameter_count(GPTConfig(vocab_size=50257, context_length=1024, d_model=768, n_layers=12, n_heads=12))
    124439808
    """
    # BEGIN SOLUTION 4.6: table, positions, L blocks of two norms, four projections and two or three layers; norm; head
    width, inside, bias = config.d_model, config.ff_width, int(config.bias)
    kv_width = config.kv_heads * config.head_dim  # G·D
    norm = width * (2 if config.norm == "layer" and config.bias else 1)
    attention = 2 * width * (width + bias) + 2 * kv_width * (width + bias)
    matrices = 2 if config.activation == "swiglu" else 1  # from C to F
    feed_forward = matrices * inside * (width + bias) + width * (inside + bias)
    positions = {"learned": config.context_length * width, "t5": 32 * config.n_heads}.get(config.position, 0)
    last_norm = norm if config.placement == "pre" else 0
    tables = config.vocab_size * width * (1 if config.tie_weights else 2)
    return tables + positions + config.n_layers * (2 * norm + attention + feed_forward) + last_norm
    # END SOLUTION


def forward_flops(config: GPTConfig, length: int, batch: int = 1) -> int:
    """Say how many floating point operations `GPT(config)` takes to read `batch` texts of `length` tokens.

    Only matrix products count, with two operations for each multiplication and its addition: linear layers, the
    products of queries with keys and of weights with values (with all T·T pairs, the hidden ones too), and the output
    layer. The backward pass takes twice as many again.

    Raises:
        ValueError: `length` or `batch` is negative.

    >>> config = GPTConfig(vocab_size=100, context_length=8, d_model=4, n_layers=1, n_heads=2)
    >>> forward_flops(config, length=1)  # 2 · (4·16 + 2·64 + 400) for the matrices, 2 · 2 · 4 for the one pair
    1200
    """
    if length < 0 or batch < 0:
        raise ValueError(f"length and batch must not be negative; got {length} and {batch}")
    # BEGIN SOLUTION 4.6: for each token twice the entries of all matrices; for each pair and layer 4 C
    width, inside = config.d_model, config.ff_width
    kv_width = config.kv_heads * config.head_dim
    matrices = 3 if config.activation == "swiglu" else 2
    block = 2 * width * width + 2 * width * kv_width + matrices * width * inside
    per_token = 2 * (config.n_layers * block + width * config.vocab_size)
    per_pair = 4 * width * config.n_layers
    return batch * (length * per_token + length * length * per_pair)
    # END SOLUTION
