"""1.1 · A tokenizer of words: the oldest idea, and why it is not enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

UNKNOWN = "<unk>"


class WordTokenizer:
    """Gives each of the most frequent words an id, and every other word the id of `<unk>`.

    Words are what `str.split()` finds between white space. Id 0 is `<unk>`.

    >>> tokenizer = WordTokenizer.train(["the cat sat", "the dog sat"], vocab_size=4)
    >>> tokenizer.words
    ['<unk>', 'sat', 'the', 'cat']
    >>> tokenizer.encode("the dog  sat")
    [2, 0, 1]
    >>> tokenizer.decode([2, 0, 1])
    'the <unk> sat'
    """

    def __init__(self, words: Sequence[str]) -> None:
        """Take the words in the order of their ids; the first has to be `<unk>`."""
        if not words or words[0] != UNKNOWN or len(set(words)) != len(words):
            raise ValueError(f"words must start with {UNKNOWN!r} and hold each word once")
        self.words = list(words)
        self.ids = {word: id for id, word in enumerate(words)}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> WordTokenizer:
        """Keep the `vocab_size - 1` most frequent words of `texts`, after `<unk>`.

        The most frequent word comes first; words that are equally frequent stand in the order
        of `sorted`. A literal `<unk>` in the text is not counted: it is the unknown word, and
        has its place. With fewer words than asked for, the vocabulary is smaller.

        Args:
            texts: the texts to learn from.
            vocab_size: how many ids there may be, `<unk>` included.

        Raises:
            ValueError: `vocab_size` is below 1.
            TypeError: `texts` is one string; it would be read letter by letter.
        """
        if vocab_size < 1:
            raise ValueError(f"vocab_size must be at least 1, for {UNKNOWN!r}; got {vocab_size}")
        if isinstance(texts, str):
            raise TypeError("texts must be several texts, such as [text]; got one string")
        # TODO 1.1: count the words, order them, and keep the first vocab_size - 1
        raise NotImplementedError(
            "1.1 WordTokenizer.train: count the words, order them, and keep the first vocab_size - 1; "
            "hint: python -m bootcamp hint 1.1"
        )

    def encode(self, text: str) -> list[int]:
        """Give the id of each word of `text`; 0 for a word that is not in the vocabulary."""
        # TODO 1.1: look up each word of the text
        raise NotImplementedError(
            "1.1 WordTokenizer.encode: look up each word of the text; hint: python -m bootcamp hint 1.1"
        )

    def decode(self, ids: Iterable[int]) -> str:
        """Join the words of `ids` by single spaces.

        Raises:
            IndexError: an id is negative or not below the size of the vocabulary; it is named.
        """
        # TODO 1.1: refuse an id that has no word, and join the others
        raise NotImplementedError(
            "1.1 WordTokenizer.decode: refuse an id that has no word, and join the others; "
            "hint: python -m bootcamp hint 1.1"
        )
