"""1.7, differently: the text as linked numpy arrays; a merge rewrites all its places in one go, and a lazy heap ranks."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, filterfalse

import numpy as np

from .bpe import Pair, build_vocab, room_for_merges
from .pretokenize import pretokenize, split_special

SEPARATOR = 255  # no text in UTF-8 has this byte
REVERSED = {byte: chr(255 - byte) for byte in range(256)}
Array = np.ndarray


def train_bpe_fast(
    source: str | Mapping[str, int], vocab_size: int, special_tokens: Sequence[str] = ()
) -> tuple[dict[int, bytes], list[Pair]]:
    """Learn what `train_bpe` learns, from a text or from its pre-tokens with their counts."""
    room = room_for_merges(vocab_size, special_tokens)
    words = count_words(source, special_tokens) if isinstance(source, str) else source
    tokens = [bytes([byte]) for byte in range(256)]
    line = Line(words)
    counts: dict[int, int] = {}
    ranking: list[tuple[int, str, str, int]] = []
    merges: list[Pair] = []

    def rank(pair: int) -> None:
        left, right = (tokens[id].decode("latin-1").translate(REVERSED) + "\u0100" for id in divmod(pair, 1 << 32))
        heapq.heappush(ranking, (-counts[pair], left, right, pair))

    def note(changes: Iterator[tuple[int, int]]) -> None:
        for pair, change in changes:
            known = counts.get(pair, 0)
            counts[pair] = known + change
            if change > 0:
                rank(pair)

    note(line.all_pairs())
    while len(merges) < room and ranking:
        count, _, _, pair = heapq.heappop(ranking)
        if -count != counts[pair]:  # it has become rarer since it was ranked
            if counts[pair]:
                rank(pair)
            continue
        left, right = divmod(pair, 1 << 32)
        merges.append((tokens[left], tokens[right]))
        tokens.append(tokens[left] + tokens[right])
        note(line.merge(pair, len(tokens) - 1))
    return build_vocab(merges, special_tokens), merges


def count_words(text: str, special_tokens: Sequence[str]) -> Counter[str]:
    """Count the pre-tokens of `text` between its special tokens."""
    plain = filterfalse(set(special_tokens).__contains__, split_special(text, special_tokens))
    return Counter(chain.from_iterable(map(pretokenize, plain)))
