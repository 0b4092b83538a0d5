# module: words.py
# exercise: 1.1
# name: the vocabulary has one word too many
from __future__ import annotations

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
        how_often: dict[str, int] = {}
        for text in texts:
            for word in text.split():
                if word != UNKNOWN:
                    how_often[word] = how_often.get(word, 0) + 1
        words = sorted(how_often)
        words.sort(key=how_often.__getitem__, reverse=True)
        vocabulary = [UNKNOWN]
        for number, word in enumerate(words):
            if number < vocab_size:
                vocabulary.append(word)
        return cls(vocabulary)

    def encode(self, text: str) -> list[int]:
        ids = []
        for word in text.split():
            ids.append(self.ids[word] if word in self.ids else 0)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        words = []
        for id in ids:
            if id < 0 or id >= len(self.words):
                raise IndexError(f"no word has the id {id}")
            words.append(self.words[id])
        return " ".join(words)
