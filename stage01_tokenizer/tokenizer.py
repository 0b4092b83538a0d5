"""1.6 · The tokenizer: text to ids and back, in a stream, and on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from operator import index
from pathlib import Path
from typing import Any

import regex

from .bpe import Pair, encode_bytes
from .encode_fast import encoder_of
from .pretokenize import BLOCK, GPT2_PATTERN, pretokenize, split_special, stretches

FORMAT = "byte-level BPE tokenizer, version 1"  # how a saved tokenizer begins
LONG = 4000  # characters from which on numpy is faster than a loop
StrPath = str | os.PathLike[str]


class Tokenizer:
    """Turns text into token ids, and ids into text.

    Special tokens that stand in a text become their one id. The text between them is cut into pre-tokens, and
    each of these into tokens by the merges.

    Attributes:
        vocab: the bytes of each id, those of the special tokens included.
        merges: the pairs that are merged, in the order of their ranks.
        special_ids: the id of each special token.
        pattern: what a pre-token is.

    >>> from .bpe import train_bpe
    >>> tokenizer = Tokenizer(*train_bpe("low low low lower", 259), ["<|end|>"])
    >>> tokenizer.encode("lower<|end|>")
    [257, 101, 114, 259]
    >>> tokenizer.decode([257, 101, 114, 259])
    'lower<|end|>'
    """

    vocab: dict[int, bytes]
    merges: list[Pair]
    special_ids: dict[str, int]
    pattern: str

    def __init__(
        self,
        vocab: Mapping[int, bytes],
        merges: Sequence[Pair],
        special_tokens: Sequence[str] = (),
        pattern: str = GPT2_PATTERN,
    ) -> None:
        """Take a vocabulary and merges, as `train_bpe` gives them.

        A special token that is not in the vocabulary is added to it, with the id above the highest. Where several ids
        have the same bytes, a special token has the highest of them, and ordinary text gets the lowest.

        Raises:
            ValueError: a special token is empty or stands twice, a byte is not in the vocabulary, a merge takes or
                makes a token that is not in it, an id is below 0, or `pattern` is no regular expression.
        """
        _check(vocab, merges, special_tokens, pattern)
        # TODO 1.6: what each direction looks up: id to bytes; bytes to id, pair to rank, special to id
        raise NotImplementedError(
            "1.6 Tokenizer.__init__: what each direction looks up: id to bytes; bytes to id, pair to rank, special to "
            "id; "
            "hint: python -m bootcamp hint 1.6"
        )

    @property
    def vocab_size(self) -> int:
        """How many rows a table needs to have one for each id."""
        # TODO 1.6: ids start at 0, and may have gaps
        raise NotImplementedError(
            "1.6 Tokenizer.vocab_size: ids start at 0, and may have gaps; hint: python -m bootcamp hint 1.6"
        )

    def encode(self, text: str) -> list[int]:
        """Give the ids of the tokens that spell `text`."""
        # TODO 1.6: special tokens first, then pre-tokens, then the merges within each of these
        raise NotImplementedError(
            "1.6 Tokenizer.encode: special tokens first, then pre-tokens, then the merges within each of these; "
            "hint: python -m bootcamp hint 1.6"
        )

    def encode_iterable(self, chunks: Iterable[str]) -> Iterator[int]:
        """Give the ids of a text that comes in chunks, while it comes; they are those of the joined text.

        A chunk may end anywhere. The memory needed grows with the longest pre-token, not with the text. (Which
        patterns this holds for is said at `stretches`.)

        >>> from .bpe import train_bpe
        >>> tokenizer = Tokenizer(*train_bpe("low low low lower", 259), ["<|end|>"])
        >>> list(tokenizer.encode_iterable(["l", "ower<|e", "nd|>"]))
        [257, 101, 114, 259]
        """
        # TODO 1.6: encode each stretch by itself
        raise NotImplementedError(
            "1.6 Tokenizer.encode_iterable: encode each stretch by itself; hint: python -m bootcamp hint 1.6"
        )

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text that `ids` spell; bytes that are not UTF-8 become U+FFFD.

        Raises:
            ValueError: an id is not in the vocabulary; it is named.
        """
        # TODO 1.6: a character may be spread over several tokens: join their bytes, then decode
        raise NotImplementedError(
            "1.6 Tokenizer.decode: a character may be spread over several tokens: join their bytes, then decode; "
            "hint: python -m bootcamp hint 1.6"
        )

    def save(self, path: StrPath) -> None:
        """Write all that makes this tokenizer to a JSON file that a person can read; or leave `path` as it was.

        All ids are kept, those with the same bytes too. Bytes are written as in GPT-2's files, each as one character
        that can be seen: the space as Ġ.
        """
        # TODO 1.6: write another file beside it, and put that in its place when it is complete
        raise NotImplementedError(
            "1.6 Tokenizer.save: write another file beside it, and put that in its place when it is complete; "
            "hint: python -m bootcamp hint 1.6"
        )

    @classmethod
    def load(cls, path: StrPath) -> Tokenizer:
        """Read what `save` wrote.

        Raises:
            OSError: the file cannot be opened.
            ValueError: the file is damaged, or no saved tokenizer; which file, and what is wrong with it.
        """
        # TODO 1.6: read the file, look at what it holds, and build the tokenizer
        raise NotImplementedError(
            "1.6 Tokenizer.load: read the file, look at what it holds, and build the tokenizer; "
            "hint: python -m bootcamp hint 1.6"
        )

    @classmethod
    def from_gpt2(cls, vocab_json: StrPath, merges_txt: StrPath) -> Tokenizer:
        """Read the two files in which GPT-2's tokenizer was published.

        Args:
            vocab_json: a JSON table from token to id (`vocab.json`, first called `encoder.json`).
            merges_txt: a line with the version, then a merge a line (`merges.txt`, first called `vocab.bpe`).

        Raises:
            OSError: a file cannot be opened.
            ValueError: a file is not what it should be; which, and what is wrong with it.
        """
        # TODO 1.6: write the bytes as GPT-2 does, and turn that around; only the first line is no merge
        raise NotImplementedError(
            "1.6 Tokenizer.from_gpt2: write the bytes as GPT-2 does, and turn that around; only the first line is no "
            "merge; "
            "hint: python -m bootcamp hint 1.6"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a worker process make its own tables rather than be sent them."""
        return type(self), (self.vocab, self.merges, list(self.special_ids), self.pattern)


def _check(vocab: Mapping[int, bytes], merges: Sequence[Pair], special_tokens: Sequence[str], pattern: str) -> None:
    """Refuse what no tokenizer can be made of."""
    if isinstance(special_tokens, str):
        raise TypeError(f"special_tokens must be several texts, such as [text]; got the text {special_tokens!r}")
    given = list(special_tokens)
    if not all(isinstance(token, str) and token for token in given) or len(set(given)) < len(given):
        raise ValueError(f"special tokens must be different texts, none of them empty; got {given}")
    if strange := [id for id in vocab if not isinstance(id, int) or id < 0]:
        raise ValueError(f"ids must be whole numbers from 0 on; got {strange[0]!r}")
    tokens = set(vocab.values())
    if missing := [byte for byte in range(256) if bytes([byte]) not in tokens]:
        raise ValueError(f"the vocabulary must hold each single byte; {bytes(missing[:1])!r} is missing")
    for left, right in merges:
        for token in (left, right, left + right):
            if token not in tokens:
                raise ValueError(f"the merge of {left!r} and {right!r} needs {token!r}, which is not in the vocabulary")
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"the pattern {pattern!r} is no regular expression: {error}") from None
