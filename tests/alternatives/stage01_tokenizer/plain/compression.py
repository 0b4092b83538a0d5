"""Compression by hand: each text is cut and counted once, and its different pieces are merged anew for each size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from .bpe import Pair, encode_bytes, room_for_merges
from .bpe_fast import train_bpe_fast
from .pretokenize import pretokenize, split_special
from .tokenizer import Tokenizer


def bytes_per_token(tokenizer: Tokenizer, text: str) -> float:
    """Say how many bytes of UTF-8 a token of `text` stands for on average; an empty text is a ValueError."""
    if not text:
        raise ValueError("text must not be empty: it has no tokens to share its bytes among")
    return len(text.encode("utf-8")) / len(tokenizer.encode(text))


class _Pieces:
    """What a text is made of: its bytes in all, its special tokens, how often each other piece comes."""

    __slots__ = ("bytes", "often", "specials")

    def __init__(self, text: str, special_tokens: Sequence[str]) -> None:
        self.bytes = len(text.encode("utf-8"))
        self.specials = 0
        self.often: dict[bytes, int] = {}
        for part in split_special(text, special_tokens):
            if part in special_tokens:
                self.specials += 1
                continue
            for piece in pretokenize(part):
                word = piece.encode("utf-8")
                self.often[word] = self.often.get(word, 0) + 1

    def tokens(self, ranks: Mapping[Pair, int]) -> int:
        """Count the tokens that the merges in `ranks` leave."""
        count = self.specials
        for word, times in self.often.items():
            count += times * len(encode_bytes(word, ranks))
        return count


def compression_curve(
    source: str | Mapping[str, int],
    texts: Mapping[str, str],
    vocab_sizes: Sequence[int],
    special_tokens: Sequence[str] = (),
) -> dict[str, dict[int, float]]:
    """Measure the bytes per token of some texts for vocabularies of several sizes, learned from one source."""
    room = {size: room_for_merges(size, special_tokens) for size in sorted(vocab_sizes)}
    if not room:
        raise ValueError("vocab_sizes must hold at least one size; got none")
    for name, text in texts.items():
        if not text:
            raise ValueError(f"the text {name!r} is empty; give one that has something to measure")
    _, merges = train_bpe_fast(source, max(room), special_tokens)

    pieces = {name: _Pieces(text, special_tokens) for name, text in texts.items()}
    curves: dict[str, dict[int, float]] = {name: {} for name in texts}
    ranks: dict[Pair, int] = {}
    learned = 0
    for size, merge_count in room.items():  # from the smallest; each begins with the merges of the one before
        while learned < min(merge_count, len(merges)):
            ranks.setdefault(merges[learned], learned)
            learned += 1
        for name, text in pieces.items():
            curves[name][size] = text.bytes / text.tokens(ranks)
    return curves


def plot_compression(curves: Mapping[str, Mapping[int, float]]) -> Figure:
    """Draw bytes per token against the size of the vocabulary, a line for each kind of text."""
    if not curves:
        raise ValueError("there is no curve to draw")
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log", base=2)
    for name, curve in curves.items():
        points = sorted(curve.items())
        if not points:
            raise ValueError(f"the curve {name!r} has no point")
        sizes, values = zip(*points)
        axes.plot(list(sizes), list(values), marker="s", linestyle="--", label=name)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("size of the vocabulary")
    axes.set_ylabel("bytes per token")
    axes.legend(title="text")
    figure.suptitle("Larger vocabularies make longer tokens")
    return figure
