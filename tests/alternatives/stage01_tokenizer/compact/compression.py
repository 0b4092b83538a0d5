"""1.9, differently: each text is encoded once, with the largest vocabulary; then merge after merge is taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from .bpe import Pair, room_for_merges
from .bpe_fast import train_bpe_fast
from .tokenizer import Tokenizer


def bytes_per_token(tokenizer: Tokenizer, text: str) -> float:
    """Say how many bytes of UTF-8 a token of `text` stands for on average."""
    if not text:
        raise ValueError("the text must not be empty: it has no token to divide by")
    return len(text.encode("utf-8")) / len(tokenizer.encode(text))


def compression_curve(
    source: str | Mapping[str, int],
    texts: Mapping[str, str],
    vocab_sizes: Sequence[int],
    special_tokens: Sequence[str] = (),
) -> dict[str, dict[int, float]]:
    """Measure the bytes per token of some texts for vocabularies of several sizes, learned from one source."""
    sizes = sorted(set(vocab_sizes))
    if not sizes:
        raise ValueError("vocab_sizes must have at least one size; got none")
    rooms = [room_for_merges(size, special_tokens) for size in sizes]
    for name in (name for name, text in texts.items() if not text):
        raise ValueError(f"each text must have something to measure; {name!r} is empty")
    vocab, merges = train_bpe_fast(source, sizes[-1], special_tokens)
    tokenizer = Tokenizer(vocab, merges, special_tokens)
    curves = {}
    for name, text in texts.items():
        tokens = _tokens_by_merges(np.bincount(tokenizer.encode(text), minlength=len(vocab)), merges)
        length = len(text.encode("utf-8"))
        curves[name] = {size: length / tokens[min(room, len(merges))] for size, room in zip(sizes, rooms)}
    return curves


def _tokens_by_merges(counts: np.ndarray, merges: Sequence[Pair]) -> list[int]:
    """Say how many tokens a text has after the first 0, 1, 2, … merges, from how often each id comes after all.

    Training makes every token in one way only. To take its merge back turns each occurrence into its two parts.
    """
    id_of = {bytes([byte]): byte for byte in range(256)}
    id_of |= {left + right: id for id, (left, right) in enumerate(merges, start=256)}
    counts = counts.copy()
    totals = [int(counts.sum())]
    for id in range(255 + len(merges), 255, -1):
        for part in merges[id - 256]:
            counts[id_of[part]] += counts[id]
        totals.append(totals[-1] + int(counts[id]))
    return totals[::-1]


def plot_compression(curves: Mapping[str, Mapping[int, float]]) -> Figure:
    """Draw bytes per token against the size of the vocabulary, a line for each kind of text."""
    if not curves or not all(curves.values()):
        raise ValueError(f"curves must hold at least one, and each at least one point; got {dict(curves)}")
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot(
        xscale="log", xlabel="size of the vocabulary", ylabel="bytes per token", title="What a larger vocabulary buys"
    )
    for name, curve in curves.items():
        axes.plot(*zip(*sorted(curve.items())), marker="o", label=name)
    sizes = sorted({size for curve in curves.values() for size in curve})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=30)
    axes.set_xticks([], minor=True)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
