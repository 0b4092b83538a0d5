"""Words by hand: runs of characters from `groupby`, frequencies in buckets instead of one sort by two keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

UNKNOWN = "<unk>"


def _words_of(text: str) -> Iterator[str]:
    """Give the runs of characters between white space, one after the other."""
    for is_space, run in groupby(text, str.isspace):
        if not is_space:
            yield "".join(run)


class WordTokenizer:
    """Gives each of the most frequent words an id, and every other word the id of `<unk>`."""

    __slots__ = ("ids", "words")

    def __init__(self, words: Sequence[str]) -> None:
        """Take the words in the order of their ids; the first has to be `<unk>`."""
        self.words: list[str] = []
        self.ids: dict[str, int] = {}
        for word in words:
            if word in self.ids:
                raise ValueError(f"each word may stand once; {word!r} stands twice")
            self.ids[word] = len(self.words)
            self.words.append(word)
        if self.ids.get(UNKNOWN) != 0:
            raise ValueError(f"the first word must be {UNKNOWN!r}; got {self.words[:1]}")

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> WordTokenizer:
        """Keep the `vocab_size - 1` most frequent words of `texts`, after `<unk>`."""
        if vocab_size < 1:
            raise ValueError(f"vocab_size must be at least 1, for {UNKNOWN!r}; got {vocab_size}")
        if isinstance(texts, str):
            raise TypeError("texts must be several texts, such as [text]; got one string")
        frequency: dict[str, int] = {}
        for text in texts:
            for word in _words_of(text):
                frequency[word] = frequency.get(word, 0) + 1
        frequency.pop(UNKNOWN, None)

        bucket: dict[int, list[str]] = {}  # all words that come equally often
        for word, count in frequency.items():
            bucket.setdefault(count, []).append(word)
        kept = [UNKNOWN]
        for count in sorted(bucket, reverse=True):
            for word in sorted(bucket[count]):
                if len(kept) == vocab_size:
                    return cls(kept)
                kept.append(word)
        return cls(kept)

    def encode(self, text: str) -> list[int]:
        """Give the id of each word of `text`; 0 for a word that is not in the vocabulary."""
        found = []
        for word in _words_of(text):
            try:
                found.append(self.ids[word])
            except KeyError:
                found.append(0)
        return found

    def decode(self, ids: Iterable[int]) -> str:
        """Join the words of `ids` by single spaces; an id without a word is an IndexError."""
        text = ""
        for place, id in enumerate(ids):
            if id < 0 or id >= len(self.words):
                raise IndexError(f"no word has the id {id}; ids go from 0 to {len(self.words) - 1}")
            text += (" " if place else "") + self.words[id]
        return text
