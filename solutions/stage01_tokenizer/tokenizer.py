"""1.6 · The tokenizer: text to ids and back, in a stream, and on disk."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import index
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import regex

from .bpe import Pair, encode_bytes
from .pretokenize import BLOCK, GPT2_PATTERN, pretokenize, split_special, stretches
from .pretokenize_fast import PieceNumbers

FORMAT = "byte-level BPE tokenizer, version 1"  # how a saved tokenizer begins
StrPath = str | os.PathLike[str]


class Tokenizer:
    """Turns text into token ids, and ids into text.

    Special tokens that stand in a text become their one id. The text between them is cut into pre-tokens, and
    each of these into tokens by the merges.

    >>> from .bpe import train_bpe
    >>> tokenizer = Tokenizer(*train_bpe("low low low lower", 259), ["<|end|>"])
    >>> tokenizer.encode("lower<|end|>")
    [257, 101, 114, 259]
    >>> tokenizer.decode([257, 101, 114, 259])
    'lower<|end|>'
    """

    def __init__(
        self,
        vocab: Mapping[int, bytes],
        merges: Sequence[Pair],
        special_tokens: Sequence[str] = (),
        pattern: str = GPT2_PATTERN,
    ) -> None:
        """Take a vocabulary and merges, as `train_bpe` gives them.

        A special token that is not in the vocabulary is added to it, with the next free id. Where several ids
        have the same bytes, a special token has the highest of them, and ordinary text gets the lowest.

        Raises:
            ValueError: a special token is empty or stands twice, a byte is not in the vocabulary, a merge takes or
                makes a token that is not in it, an id is below 0, or `pattern` is no regular expression.
        """
        _check(vocab, merges, special_tokens, pattern)
        # BEGIN SOLUTION 1.6: what each direction looks up: id to bytes; bytes to id, pair to rank, special to id
        self.vocab = dict(sorted(vocab.items()))
        self.merges = [(left, right) for left, right in merges]
        self.pattern = pattern
        highest = {token: id for id, token in self.vocab.items()}
        self.special_ids: dict[str, int] = {}
        for special in special_tokens:
            token = special.encode("utf-8")
            self.special_ids[special] = highest.get(token, self.vocab_size)
            self.vocab[self.special_ids[special]] = token
        self._pieces = _PieceIds(self)
        # END SOLUTION

    @property
    def vocab_size(self) -> int:
        """How many rows a table needs to have one for each id."""
        # BEGIN SOLUTION 1.6: ids start at 0, and may have gaps
        return max(self.vocab) + 1
        # END SOLUTION

    def encode(self, text: str) -> list[int]:
        """Give the ids of the tokens that spell `text`."""
        # BEGIN SOLUTION 1.6: special tokens first, then pre-tokens, then the merges within each of these
        if len(text) > BLOCK and self.pattern == GPT2_PATTERN:
            return list(self.encode_iterable([text]))
        return self._pieces.encode(text)
        # END SOLUTION

    def encode_iterable(self, chunks: Iterable[str]) -> Iterator[int]:
        """Give the ids of a text that comes in chunks, while it comes; they are those of the joined text.

        A chunk may end anywhere. The memory needed grows with the longest pre-token, not with the text. (Which
        patterns this holds for is said at `stretches`.)

        >>> from .bpe import train_bpe
        >>> tokenizer = Tokenizer(*train_bpe("low low low lower", 259), ["<|end|>"])
        >>> list(tokenizer.encode_iterable(["l", "ower<|e", "nd|>"]))
        [257, 101, 114, 259]
        """
        # BEGIN SOLUTION 1.6: as encode, stretch by stretch
        return chain.from_iterable(map(self._pieces.encode, stretches(chunks, self.special_ids, self.pattern)))
        # END SOLUTION

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text that `ids` spell; bytes that are not UTF-8 become U+FFFD.

        Raises:
            ValueError: an id is not in the vocabulary; it is named.
        """
        # BEGIN SOLUTION 1.6: a character may be spread over several tokens: join their bytes, then decode
        try:
            spelled = b"".join(map(self.vocab.__getitem__, map(index, ids)))
        except KeyError as error:
            raise ValueError(f"id {error.args[0]} is not in the vocabulary of {len(self.vocab)} tokens") from None
        return spelled.decode("utf-8", errors="replace")
        # END SOLUTION

    def save(self, path: StrPath) -> None:
        """Write all that makes this tokenizer to a JSON file that a person can read; or leave `path` as it was.

        Bytes are written as in GPT-2's files, each as one character that can be seen: the space as Ġ.
        """
        # BEGIN SOLUTION 1.6: write another file beside it, and put that in its place when it is complete
        saved = {
            "format": FORMAT,
            "pattern": self.pattern,
            "special_tokens": list(self.special_ids),
            "merges": [f"{_show(left)} {_show(right)}" for left, right in self.merges],
            "vocab": {id: _show(token) for id, token in self.vocab.items()},
        }
        unfinished = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")
        try:
            with open(unfinished, "w", encoding="utf-8", newline="\n") as file:
                json.dump(saved, file, ensure_ascii=False, indent=1)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
        # END SOLUTION

    @classmethod
    def load(cls, path: StrPath) -> Tokenizer:
        """Read what `save` wrote.

        Raises:
            ValueError: the file is damaged, or no saved tokenizer; which file, and what is wrong with it.
        """
        # BEGIN SOLUTION 1.6: read the file, look at what it holds, and build the tokenizer
        try:
            saved = _read_json(path)
            if saved.get("format") != FORMAT:
                raise ValueError(f'it does not begin with "format": "{FORMAT}"')
            for name, kind in {"pattern": str, "special_tokens": list, "merges": list, "vocab": dict}.items():
                if not isinstance(saved.get(name), kind):
                    raise ValueError(f'its entry "{name}" is missing or damaged')
            vocab = {int(id): _bytes(token) for id, token in saved["vocab"].items()}
            return cls(vocab, [_pair(line) for line in saved["merges"]], saved["special_tokens"], saved["pattern"])
        except ValueError as error:
            raise ValueError(f"{path} is no saved tokenizer, or damaged: {error}") from None
        # END SOLUTION

    @classmethod
    def from_gpt2(cls, vocab_json: StrPath, merges_txt: StrPath) -> Tokenizer:
        """Read the two files in which GPT-2's tokenizer was published.

        Args:
            vocab_json: a JSON table from token to id (`vocab.json`, first called `encoder.json`).
            merges_txt: a line with the version, then a merge a line (`merges.txt`, first called `vocab.bpe`).

        Raises:
            ValueError: a file is not what it should be; which, and what is wrong with it.
        """
        # BEGIN SOLUTION 1.6: write the bytes as GPT-2 does, and turn that around; only the first line is no merge
        reading = vocab_json
        try:
            vocab = {id: _bytes(token) for token, id in _read_json(vocab_json).items()}
            reading = merges_txt
            lines = Path(merges_txt).read_text(encoding="utf-8").split("\n")
            merges = [_pair(line) for line in lines[lines[0].startswith("#version") :] if line]
            return cls(vocab, merges, ["<|endoftext|>"])
        except ValueError as error:
            raise ValueError(f"{reading} is not as GPT-2's was published: {error}") from None
        # END SOLUTION

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


# BEGIN SOLUTION 1.6
class _PieceIds(PieceNumbers):
    """The ids of each piece of text, worked out when it first comes up, and looked up from then on.

    That makes encoding fast: in a long text, ninety-nine pieces of a hundred came up before. For a short text
    a dictionary will do; in a long one `PieceNumbers` looks up thousands of pieces at a time.
    """

    MOST = 1 << 20  # characters in all the pieces that are kept; when there are more, all are forgotten

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer.special_ids)
        self.special_ids, self.pattern = tokenizer.special_ids, tokenizer.pattern
        self.lowest = {token: id for id, token in reversed(tokenizer.vocab.items())}
        self.ranks = {pair: rank for rank, pair in enumerate(tokenizer.merges)}
        self.one_at_a_time = Lock()
        self.forget()

    def forget(self) -> None:
        super().forget()
        self.size = 0
        self.spelled: list[tuple[int, ...]] = []  # the ids of the piece of each number
        self.flat, self.begin = array("I"), array("q", [0])  # the same for numpy: flat[begin[number]:begin[number + 1]]

    def __missing__(self, piece: str) -> int:
        if piece in self.special_ids:
            ids = (self.special_ids[piece],)
        else:
            ids = tuple([self.lowest[token] for token in encode_bytes(piece.encode("utf-8"), self.ranks)])
        self.spelled.append(ids)
        self.flat.extend(ids)
        self.begin.append(len(self.flat))
        self.size += len(piece)
        return super().__missing__(piece)

    def encode(self, text: str) -> list[int]:
        with self.one_at_a_time:
            if self.size > self.MOST:
                self.forget()
            return self._encode_long(text) if ... else self._encode_short(text)
# END SOLUTION
