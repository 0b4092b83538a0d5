# module: words.py
# exercise: 1.1
# name: words that are equally frequent are sorted backwards
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

UNKNOWN = "<unk>"


class WordTokenizer:
    def __init__(self, words: Sequence[str]) -> None:
        if not words or words[0] != UNKNOWN or len(set(words)) != len(words):
            raise ValueError(f"words must start with {UNKNOWN!r} and hold each word once")
        self.words = list(words)
        self.ids = {word: id for id, word in enumerate(words)}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> WordTokenizer:
        if vocab_size < 1:
            raise ValueError(f"vocab_size must be at least 1, for {UNKNOWN!r}; got {vocab_size}")
        if isinstance(texts, str):
            raise TypeError("texts must be several texts, such as [text]; got one string")
        counts: defaultdict[str, int] = defaultdict(int)
        for text in texts:
            for word in text.split():
                counts[word] += 1
        table = []
        for word in counts:
            if word == UNKNOWN:
                continue
            table.append((counts[word], word))
        table.sort()
        table.reverse()
        words = [UNKNOWN]
        while table and len(words) < vocab_size:
            words.append(table.pop(0)[1])
        return cls(words)

    def encode(self, text: str) -> list[int]:
        def look_up(word: str) -> int:
            try:
                return self.ids[word]
            except KeyError:
                return 0

        return list(map(look_up, text.split()))

    def decode(self, ids: Iterable[int]) -> str:
        ids = list(ids)
        for id in ids:
            if id not in range(len(self.words)):
                raise IndexError(f"{id} is not an id of this vocabulary")
        return " ".join(self.words[id] for id in ids)
