"""1.9 + · What a larger vocabulary buys: bytes per token, on more than one kind of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from .bpe import build_vocab, room_for_merges
from .bpe_fast import train_bpe_fast
from .tokenizer import Tokenizer


def bytes_per_token(tokenizer: Tokenizer, text: str) -> float:
    """Say how many bytes of UTF-8 a token of `text` stands for on average: bytes / tokens.

    Raises:
        ValueError: the text is empty.

    >>> bytes_per_token(Tokenizer(*train_bpe_fast("low low low", 258)), "low low")
    2.3333333333333335
    """
    if not text:
        raise ValueError("an empty text has no tokens to take an average of")
    # TODO 1.9: count the bytes, not the characters
    raise NotImplementedError(
        "1.9 bytes_per_token: count the bytes, not the characters; hint: python -m bootcamp hint 1.9"
    )


def compression_curve(
    source: str | Mapping[str, int],
    texts: Mapping[str, str],
    vocab_sizes: Sequence[int],
    special_tokens: Sequence[str] = (),
) -> dict[str, dict[int, float]]:
    """Measure the bytes per token of some texts for vocabularies of several sizes, learned from one source.

    Training is greedy: a vocabulary of 1,000 tokens begins with all the merges of one of 500. So one training, for
    the largest size, has all the others in it, and no more than this one is made.

    Args:
        source: what to learn from: a text, or counts of pre-tokens.
        texts: what to measure, by name. Texts that were not learned from tell the most.
        vocab_sizes: the sizes; the bytes and the special tokens are counted in.
        special_tokens: texts that are one token each.

    Returns:
        For each name, the bytes per token by the size of the vocabulary, from the smallest size to the largest.
        Where the source has not as many merges as a size has room for, it is measured with those there are.

    Raises:
        ValueError: there is no size, one cannot hold the bytes and the special tokens, or a text is empty.

    >>> compression_curve("low low low", {"low": "low low"}, [256, 258])
    {'low': {256: 1.0, 258: 2.3333333333333335}}
    """
    if not vocab_sizes:
        raise ValueError("vocab_sizes must hold at least one size")
    # TODO 1.9: train once, and for each size make a tokenizer of as many merges as it has room for
    raise NotImplementedError(
        "1.9 compression_curve: train once, and for each size make a tokenizer of as many merges as it has room for; "
        "hint: python -m bootcamp hint 1.9"
    )


def plot_compression(curves: Mapping[str, Mapping[int, float]]) -> Figure:
    """Draw bytes per token against the size of the vocabulary, a line for each kind of text.

    Sizes are on a logarithmic axis: each doubling of the vocabulary doubles the tables that a model keeps for
    it, and buys less than the one before. The figure has a title, a label at each axis (the vocabulary, the bytes per
    token), and says which line is which text.

    Raises:
        ValueError: there is no curve, or one has no point.
    """
    if not curves or not all(curves.values()):
        raise ValueError("there must be at least one curve, and each must have at least one point")
    # TODO 1.9: one line with points a text; a title, both axes and a legend that say what is seen
    raise NotImplementedError(
        "1.9 plot_compression: one line with points a text; a title, both axes and a legend that say what is seen; "
        "hint: python -m bootcamp hint 1.9"
    )
