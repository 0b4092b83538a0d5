"""1.1, differently: one chained Counter, `heapq.nsmallest` in place of a sort, and a dataclass that checks itself."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, filterfalse, repeat
from operator import index

UNKNOWN = "<unk>"


@dataclass(eq=False)
class WordTokenizer:
    """Gives each of the most frequent words an id, and every other word that of `<unk>`."""

    words: Sequence[str]
    ids: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.words = list(self.words)
        self.ids = dict(zip(self.words, count()))
        if self.words[:1] != [UNKNOWN] or len(self.ids) < len(self.words):
            raise ValueError(f"words must start with {UNKNOWN!r} and hold each word once")

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> WordTokenizer:
        """Keep the `vocab_size - 1` most frequent words, equals in the order of `sorted`."""
        if vocab_size < 1:
            raise ValueError(f"vocab_size must be at least 1, for {UNKNOWN!r}; got {vocab_size}")
        if isinstance(texts, str):
            raise TypeError("texts must be several texts, such as [text]; got one string")
        seen = Counter(chain.from_iterable(map(str.split, texts)))
        seen.pop(UNKNOWN, None)
        best = heapq.nsmallest(vocab_size - 1, ((-number, word) for word, number in seen.items()))
        return cls([UNKNOWN, *(word for _, word in best)])

    def encode(self, text: str) -> list[int]:
        """Give the id of each word of `text`, 0 for one without an id."""
        return list(map(self.ids.get, text.split(), repeat(0)))

    def decode(self, ids: Iterable[int]) -> str:
        """Join the words of `ids` by spaces; an id without a word is an `IndexError`."""
        numbers = list(map(index, ids))
        for stranger in filterfalse(range(len(self.words)).__contains__, numbers):
            raise IndexError(f"ids must be from 0 to {len(self.words) - 1}; got {stranger}")
        return " ".join(map(self.words.__getitem__, numbers))
