"""1.7, differently: words as linked numpy arrays, each merge one vectorised step; a heap of upside-down keys."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, filterfalse

import numpy as np

from .bpe import Pair, build_vocab, room_for_merges
from .pretokenize import pretokenize, split_special

GAP = 255  # stands between words: no text in UTF-8 has this byte
GONE = -1  # where a token was that is now part of the one before it
HALF = 1 << 32  # a pair of ids is one number, left * HALF + right

Array = np.ndarray


def train_bpe_fast(
    source: str | Mapping[str, int], vocab_size: int, special_tokens: Sequence[str] = ()
) -> tuple[dict[int, bytes], list[Pair]]:
    """Learn what `train_bpe` learns, from a text or from its pre-tokens with their counts."""
    room = room_for_merges(vocab_size, special_tokens)
    words = count_words(source, special_tokens) if isinstance(source, str) else source
    for word in filterfalse(lambda word: words[word] >= 1, words):
        raise ValueError(f"each pre-token must be counted at least once; got {words[word]!r} for {word!r}")
    line = Line(words)
    tokens = [bytes([byte]) for byte in range(256)]
    upside_down = list(map(_upside_down, tokens))
    merges: list[Pair] = []
    counts: Counter[int] = Counter()

    def ranked(pair: int) -> tuple[int, str, str, int]:
        left, right = divmod(pair, HALF)
        return -counts[pair], upside_down[left], upside_down[right], pair

    def note(changes: Iterable[tuple[int, int]]) -> Iterator[int]:
        """Count the changes, and name the pairs that are new: only those need a place in the ranking."""
        for pair, change in changes:
            if pair not in counts:
                yield pair
            counts[pair] += change

    ranking = list(map(ranked, list(note(line.pairs()))))
    heapq.heapify(ranking)
    while len(merges) < room and ranking:
        best = ranking[0]
        pair = best[-1]
        if not counts[pair]:
            heapq.heappop(ranking)
        elif -best[0] != counts[pair]:  # it has become rarer since it was ranked
            heapq.heapreplace(ranking, ranked(pair))
        else:
            left, right = divmod(pair, HALF)
            merges.append((tokens[left], tokens[right]))
            tokens.append(tokens[left] + tokens[right])
            upside_down.append(_upside_down(tokens[-1]))
            for new in list(note(line.merge(left, right, len(tokens) - 1))):
                heapq.heappush(ranking, ranked(new))
    return build_vocab(merges, special_tokens), merges


def count_words(text: str, special_tokens: Sequence[str]) -> Counter[str]:
    """Count the pre-tokens of `text` between its special tokens."""
    plain = filterfalse(set(special_tokens).__contains__, split_special(text, special_tokens))
    return Counter(chain.from_iterable(map(pretokenize, plain)))


def _upside_down(token: bytes) -> str:
    """Give a text that comes earlier the later the token comes: bytes inverted, and an end behind every byte."""
    return bytes(255 - byte for byte in token).decode("latin-1") + "\u0100"


class Line:
    """All words, one behind the other, each token at the place of its first byte and linked to its neighbours."""

    def __init__(self, words: Mapping[str, int]) -> None:
        spelled = [word.encode("utf-8") for word in words]
        separator = bytes([GAP])
        text = separator.join([b"", *spelled, b""])
        self.ids = np.frombuffer(text, dtype=np.uint8).astype(np.int64)
        self.next = np.arange(1, len(text) + 1)
        self.previous = np.arange(-1, len(text) - 1)
        lengths = [len(word) for word in spelled]
        total = sum(length * times for length, times in zip(lengths, words.values()))
        often = np.array(list(words.values()), dtype=np.int64 if total < 1 << 62 else object)
        self.weight = np.zeros(len(text), dtype=often.dtype)
        self.weight[self.ids != GAP] = np.repeat(often, lengths)
        self.places: dict[int, Array] = {}  # of each pair, where it stood when the younger of its tokens was made

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Give each pair of bytes with its count, and remember its places."""
        return self._appear(np.arange(len(self.ids)))

    def merge(self, left: int, right: int, new: int) -> Iterator[tuple[int, int]]:
        """Make `new` of each `left` and `right` side by side; give each pair that this changes, with the change."""
        first = self.places.pop(left * HALF + right)
        first = first[(self.ids[first] == left) & (self.ids[self.next[first]] == right)]
        if left == right:
            first = first[_every_other(first, self.next)]
        second = self.next[first]
        before = self._grouped(np.concatenate([self.previous[first], first, second]))
        yield from ((pair, -count) for pair, count, _ in before)
        self.next[first] = self.next[second]
        self.previous[self.next[second]] = first
        self.ids[first], self.ids[second] = new, GONE
        yield from self._appear(np.concatenate([self.previous[first], first]))

    def _appear(self, starts: Array) -> Iterator[tuple[int, int]]:
        for pair, count, places in self._grouped(starts):
            self.places[pair] = places
            yield pair, count

    def _grouped(self, starts: Array) -> Iterator[tuple[int, int, Array]]:
        """Give the pairs that start at some of these places, with their counts and their places in order."""
        starts = np.unique(starts)
        starts = starts[self.ids[starts] != GAP]
        starts = starts[self.ids[self.next[starts]] != GAP]
        pairs = self.ids[starts] * HALF + self.ids[self.next[starts]]
        order = np.argsort(pairs, kind="stable")
        pairs, starts = pairs[order], starts[order]
        edges = np.flatnonzero(np.diff(pairs, prepend=-1))
        counts = np.add.reduceat(self.weight[starts], edges) if edges.size else edges
        yield from zip(pairs[edges].tolist(), counts.tolist(), np.split(starts, edges[1:]))


def _every_other(places: Array, following: Array) -> Array:
    """Of places whose pairs overlap in a run, say which to merge from the left: the first, the third, and so on."""
    index = np.arange(len(places))
    runs_on = np.zeros(len(places), dtype=bool)
    runs_on[1:] = following[places[:-1]] == places[1:]
    run_start = np.maximum.accumulate(np.where(runs_on, 0, index))
    return (index - run_start) % 2 == 0
