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
    # TODO 4.6: table, positions, L blocks of two norms, four projections and two or three layers; norm; head
    raise NotImplementedError(
        "4.6 parameter_count: table, positions, L blocks of two norms, four projections and two or three layers; norm; "
        "head; "
        "hint: python -m bootcamp hint 4.6"
    )


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
    # TODO 4.6: for each token twice the entries of all matrices; for each pair and layer 4 C
    raise NotImplementedError(
        "4.6 forward_flops: for each token twice the entries of all matrices; for each pair and layer 4 C; "
        "hint: python -m bootcamp hint 4.6"
    )
