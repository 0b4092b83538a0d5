# module: bpe_fast.py
# exercise: 1.7
# name: a pair that has become rarer is merged as if it were as frequent as before
from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from .bpe import Pair, build_vocab, room_for_merges
from .pretokenize import pretokenize, split_special


class Greatest:
    """Orders entries so that heapq gives the most frequent first, and of these the greatest pair."""

    def __init__(self, count: int, pair: Pair) -> None:
        self.rank = (count, pair)

    def __lt__(self, other: Greatest) -> bool:
        return other.rank < self.rank


class Trainer:
    def __init__(self) -> None:
        self.words: list[tuple[bytes, ...]] = []
        self.frequency: list[int] = []
        self.counts: dict[Pair, int] = {}
        self.places: dict[Pair, dict[int, None]] = {}
        self.heap: list[Greatest] = []

    def add(self, piece: str, count: int) -> None:
        if count < 1:
            raise ValueError(f"the count of {piece!r} is {count}")
        data = piece.encode("utf-8")
        self.words.append(tuple(data[i : i + 1] for i in range(len(data))))
        self.frequency.append(count)
        self.note(len(self.words) - 1, 1)

    def note(self, n: int, sign: int) -> None:
        word = self.words[n]
        for i in range(1, len(word)):
            pair = (word[i - 1], word[i])
            self.counts[pair] = self.counts.get(pair, 0) + sign * self.frequency[n]
            heapq.heappush(self.heap, Greatest(self.counts[pair], pair))
            if sign > 0:
                self.places.setdefault(pair, {})[n] = None

    def best(self) -> Pair | None:
        while self.heap:
            _, pair = heapq.heappop(self.heap).rank
            if self.counts[pair] > 0:
                return pair
        return None

    def merge(self, pair: Pair) -> None:
        for n in self.places.pop(pair):
            self.note(n, -1)
            tokens: list[bytes] = []
            last = False  # whether the token before was merged just now
            for token in self.words[n]:
                if tokens and not last and (tokens[-1], token) == pair:
                    tokens[-1] += token
                    last = True
                else:
                    tokens.append(token)
                    last = False
            self.words[n] = tuple(tokens)
            self.note(n, 1)


def train_bpe_fast(
    source: str | Mapping[str, int], vocab_size: int, special_tokens: Sequence[str] = ()
) -> tuple[dict[int, bytes], list[Pair]]:
    room = room_for_merges(vocab_size, special_tokens)
    if isinstance(source, str):
        counts: dict[str, int] = {}
        for part in split_special(source, special_tokens):
            if part not in special_tokens:
                for piece in pretokenize(part):
                    counts[piece] = counts.get(piece, 0) + 1
        source = counts
    trainer = Trainer()
    for piece, count in source.items():
        trainer.add(piece, count)
    merges: list[Pair] = []
    while len(merges) < room:
        pair = trainer.best()
        if pair is None:
            break
        trainer.merge(pair)
        merges.append(pair)
    return build_vocab(merges, special_tokens), merges
