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
        # BEGIN SOLUTION 1.6: what each direction looks up: id to bytes; bytes to id, pair to rank, special to id
        self.vocab = dict(sorted(vocab.items()))
        self.merges = [(left, right) for left, right in merges]
        self.pattern = pattern
        highest = {token: id for id, token in self.vocab.items()}
        self.special_ids = {}
        for special in special_tokens:
            token = special.encode("utf-8")
            self.special_ids[special] = highest.get(token, self.vocab_size)
            self.vocab[self.special_ids[special]] = token
        self._lowest = {token: id for id, token in reversed(self.vocab.items())}
        self._ranks = {pair: rank for rank, pair in reversed([*enumerate(self.merges)])}
        self._known_ids = _KnownIds(self._piece_ids)
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
        if len(text) > LONG and (encoder := encoder_of(self)) is not None:
            return encoder.encode([text])[0].tolist() if len(text) < BLOCK else list(self.encode_iterable([text]))
        ids: list[int] = []
        known_ids = self._known_ids
        for part in split_special(text, self.special_ids):
            for piece in [part] if part in self.special_ids else pretokenize(part, self.pattern):
                ids += known_ids[piece]
        return ids
        # END SOLUTION

    # BEGIN SOLUTION 1.6
    def _piece_ids(self, piece: str) -> tuple[int, ...]:
        """Give the ids of a special token, or of a pre-token."""
        if piece in self.special_ids:
            return (self.special_ids[piece],)
        return tuple([self._lowest[token] for token in encode_bytes(piece.encode("utf-8"), self._ranks)])

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
        # BEGIN SOLUTION 1.6: encode each stretch by itself
        parts = stretches(chunks, self.special_ids, self.pattern)
        if (encoder := encoder_of(self)) is not None:
            some = iter(lambda: encoder.encode([*islice(parts, 8)])[0].tolist(), [])  # until no more come
            return chain.from_iterable(some)
        return chain.from_iterable(map(self.encode, parts))
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

        All ids are kept, those with the same bytes too. Bytes are written as in GPT-2's files, each as one character
        that can be seen: the space as Ġ.
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
            OSError: the file cannot be opened.
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
            OSError: a file cannot be opened.
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
class _KnownIds(dict[str, tuple[int, ...]]):
    """The ids of the pieces that came up before. Of a hundred in a text ninety-nine did: that makes encoding fast."""

    def __init__(self, piece_ids: Callable[[str], tuple[int, ...]]) -> None:
        self.piece_ids = piece_ids

    def __missing__(self, piece: str) -> tuple[int, ...]:
        ids = self.piece_ids(piece)
        if len(piece) <= 64:  # what is kept must not grow with the text
            if len(self) == 1 << 16:
                self.clear()
            self[piece] = ids
        return ids


def _byte_characters() -> list[str]:
    """Give each byte a character that can be seen: its own in Latin-1 if it has one, else one from U+0100 on."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in visible]
    return [chr(byte if byte in visible else 256 + others.index(byte)) for byte in range(256)]


BYTE_CHARACTERS = _byte_characters()
CHARACTER_BYTES = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}


def _show(token: bytes) -> str:
    """Write a token as GPT-2's files do."""
    return "".join([BYTE_CHARACTERS[byte] for byte in token])


def _bytes(shown: Any) -> bytes:
    """Read a token that is written so."""
    try:
        return bytes([CHARACTER_BYTES[character] for character in shown])
    except (KeyError, TypeError):
        raise ValueError(f"{shown!r} is no token in GPT-2's way of writing bytes") from None


def _pair(line: Any) -> Pair:
    """Read a merge: two tokens with a space between them."""
    parts = str(line).split(" ")
    if len(parts) != 2:
        raise ValueError(f"{line!r} is no merge, which is two tokens with a space between them")
    return _bytes(parts[0]), _bytes(parts[1])


def _read_json(path: StrPath) -> dict[str, Any]:
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None
    if not isinstance(table, dict):
        raise ValueError("it holds no JSON table")
    return table


# END SOLUTION
