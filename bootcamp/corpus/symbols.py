"""What the sentences of a grammar are made of: texts, words and rules."""

from __future__ import annotations

from collections.abc import Sequence


class Slot:
    """A place for a word in one of its forms: what stands there for each entry of the word."""

    def __init__(self, word: str, texts: Sequence[str]) -> None:
        self.word = word
        self.texts = tuple(texts)
        self.meanings: dict[str, int] = {}  # the entries that a text can stand for, as the bits of a number
        for number, text in enumerate(texts):
            self.meanings[text] = self.meanings.get(text, 0) | 1 << number


class Rule:
    """A place for one of several options, each a sequence of texts, words and further rules."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.options: list[tuple[Item, ...]] = []


Item = str | Slot | Rule
