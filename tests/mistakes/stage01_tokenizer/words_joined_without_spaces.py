# module: words.py
# exercise: 1.1
# name:
from __future__ import annotations

from collections import Counter
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
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text.split())
        del counts[UNKNOWN]
        pairs = sorted((-count, word) for word, count in counts.items())
        return cls([UNKNOWN] + [word for _, word in pairs[: vocab_size - 1]])

    def encode(self, text: str) -> list[int]:
        return [self.ids.get(word, self.ids[UNKNOWN]) for word in text.split()]

    def decode(self, ids: Iterable[int]) -> str:
        text = ""
        for id in ids:
            if id < 0 or id >= len(self.words):
                raise IndexError(f"there is no word {id}")
            text += self.words[id]
        return text
