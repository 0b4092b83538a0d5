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
        # BEGIN SOLUTION 1.1: count the words, order them, and keep the first vocab_size - 1
        counts = Counter(word for text in texts for word in text.split())
        counts.pop(UNKNOWN, None)
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        return cls([UNKNOWN, *ordered[: vocab_size - 1]])
        # END SOLUTION

    def encode(self, text: str) -> list[int]:
        """Give the id of each word of `text`; 0 for a word that is not in the vocabulary."""
        # BEGIN SOLUTION 1.1: look up each word of the text
        return [self.ids.get(word, 0) for word in text.split()]
        # END SOLUTION

    def decode(self, ids: Iterable[int]) -> str:
        """Join the words of `ids` by single spaces.

        Raises:
            IndexError: an id is negative or not below the size of the vocabulary; it is named.
        """
        # BEGIN SOLUTION 1.1: refuse an id that has no word, and join the others
        words = []
        for id in ids:
            if not 0 <= id < len(self.words):
                raise IndexError(f"id {id} is not in the vocabulary of {len(self.words)} words")
            words.append(self.words[id])
        return " ".join(words)
        # END SOLUTION
