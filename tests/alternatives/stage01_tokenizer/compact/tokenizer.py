"""1.6, differently: ids out of a pipeline of iterators, a dataclass as the form of the file, checks by set algebra."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import chain, count, filterfalse
from operator import index
from pathlib import Path
from typing import Any

import regex

from .bpe import Pair, encode_bytes
from .pretokenize import GPT2_PATTERN, pretokenize, pretokenize_stream, split_special

BYTES = frozenset(bytes([byte]) for byte in range(256))
END_OF_TEXT = "<|endoftext|>"  # the one special token of GPT-2
SHORT = 64  # characters of the longest pre-token whose ids are remembered

# How GPT-2 writes bytes as characters: what Latin-1 can print as it is, all else from U+0100 on.
_PRINTED = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_HIDDEN = filterfalse(set(_PRINTED).__contains__, range(256))
WRITTEN = str.maketrans(dict(zip(_PRINTED, _PRINTED)) | dict(zip(_HIDDEN, count(0x100))))
READ = {character: byte for byte, character in WRITTEN.items()}
CHARACTERS = frozenset(map(chr, READ))


def write_token(token: bytes) -> str:
    """Write bytes as GPT-2 does, a character each."""
    return token.decode("latin-1").translate(WRITTEN)


def read_token(text: str) -> bytes:
    """Read what `write_token` wrote; a character that stands for no byte is a `ValueError`."""
    if not CHARACTERS.issuperset(text):
        raise ValueError(f"{min(set(text) - CHARACTERS)!r} in the token {text!r} stands for no byte")
    return text.translate(READ).encode("latin-1")


def read_merge(line: str) -> Pair:
    left, right = map(read_token, line.split(" "))
    return left, right


class Tokenizer:
    """Turns text into ids, and ids into text."""

    def __init__(
        self,
        vocab: Mapping[int, bytes],
        merges: Sequence[Pair],
        special_tokens: Sequence[str] = (),
        pattern: str = GPT2_PATTERN,
    ) -> None:
        self.vocab = {index(id): bytes(vocab[id]) for id in sorted(vocab)}
        self.merges = [(left, right) for left, right in merges]
        self.pattern = pattern
        self._check(special_tokens)
        highest = {token: id for id, token in self.vocab.items()}
        free = count(max(self.vocab) + 1)
        spelled = {token: token.encode("utf-8") for token in special_tokens}
        self.special_ids = {
            token: highest[spelling] if spelling in highest else next(free) for token, spelling in spelled.items()
        }
        self.vocab.update((id, spelled[token]) for token, id in self.special_ids.items())
        self._id_of = {token: id for id, token in reversed(self.vocab.items())}
        self._ranks = {pair: rank for rank, pair in reversed(list(enumerate(self.merges)))}
        self._ids_of_short = lru_cache(1 << 15)(self._ids_of_word)

    def _check(self, special_tokens: Sequence[str]) -> None:
        tokens = set(self.vocab.values())
        merged = set(chain.from_iterable((left, right, left + right) for left, right in self.merges))
        if "" in special_tokens or len(set(special_tokens)) < len(special_tokens):
            raise ValueError(f"special tokens must be different and not empty; got {list(special_tokens)}")
        if missing := (BYTES | merged) - tokens:
            raise ValueError(
                f"vocab must hold the 256 bytes and all that the merges take and make; not {min(missing)!r}"
            )
        if negative := [id for id in self.vocab if id < 0]:
            raise ValueError(f"an id must not be below 0; got {negative[0]}")
        try:
            regex.compile(self.pattern)
        except (regex.error, TypeError) as error:
            raise ValueError(f"pattern must be a regular expression; got {self.pattern!r}: {error}") from None

    @property
    def vocab_size(self) -> int:
        """One more than the highest id."""
        return max(self.vocab) + 1

    def encode(self, text: str) -> list[int]:
        """Give the ids of the tokens that spell `text`."""
        parts = split_special(text, self.special_ids)
        pieces = ([part] if part in self.special_ids else pretokenize(part, self.pattern) for part in parts)
        return list(self._ids(pieces))

    def encode_iterable(self, chunks: Iterable[str]) -> Iterator[int]:
        """Give the ids of a text that comes in chunks, while it comes."""
        return self._ids(pretokenize_stream(chunks, self.special_ids, self.pattern))

    def _ids(self, pieces: Iterable[Iterable[str]]) -> Iterator[int]:
        return chain.from_iterable(map(self._ids_of_piece, chain.from_iterable(pieces)))

    def _ids_of_piece(self, piece: str) -> Iterable[int]:
        """A piece that is spelled like a special token is one: no other piece can hold it."""
        if piece in self.special_ids:
            return (self.special_ids[piece],)
        return self._ids_of_short(piece) if len(piece) <= SHORT else self._ids_of_word(piece)

    def _ids_of_word(self, word: str) -> tuple[int, ...]:
        return tuple(map(self._id_of.__getitem__, encode_bytes(word.encode("utf-8"), self._ranks)))

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text that `ids` spell; bytes that are not UTF-8 become U+FFFD."""
        try:
            return b"".join(map(self.vocab.__getitem__, map(index, ids))).decode("utf-8", "replace")
        except KeyError as error:
            raise ValueError(f"ids must be in the vocabulary, below {self.vocab_size}; got {error.args[0]}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file that a person can read, or leave `path` as it was."""
        saved = Saved(
            self.pattern,
            list(self.special_ids),
            {str(id): write_token(token) for id, token in self.vocab.items()},
            [f"{write_token(left)} {write_token(right)}" for left, right in self.merges],
        )
        with replacing(Path(path)) as beside:
            text = json.dumps(asdict(saved), ensure_ascii=False, indent=1)
            beside.write_text(text + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Read what `save` wrote."""
        with naming(path, "a saved tokenizer"):
            saved = Saved(**read_json(path))
            vocab = {int(id): read_token(token) for id, token in saved.vocab.items()}
            return cls(vocab, list(map(read_merge, saved.merges)), saved.special_tokens, saved.pattern)

    @classmethod
    def from_gpt2(cls, vocab_json: str | os.PathLike[str], merges_txt: str | os.PathLike[str]) -> Tokenizer:
        """Read the two files in which GPT-2's tokenizer was published."""
        with naming(vocab_json, "GPT-2's vocab.json"):
            ids: dict[str, int] = read_json(vocab_json)
            vocab = {index(id): read_token(token) for token, id in ids.items()}
            if len(vocab) < len(ids):
                raise ValueError("two tokens have the same id")
            if BYTES - set(vocab.values()):
                raise ValueError("it does not have all 256 bytes")
        with naming(merges_txt, "GPT-2's merges.txt"):
            lines = Path(merges_txt).read_text(encoding="utf-8").splitlines()
            merges = list(map(read_merge, filter(None, lines[lines[:1] != [] and lines[0].startswith("#version") :])))
            return cls(vocab, merges, [END_OF_TEXT] if END_OF_TEXT in ids else [])

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[Any, ...]]:
        return type(self), (self.vocab, self.merges, list(self.special_ids), self.pattern)


@dataclass(frozen=True)
class Saved:
    """What is in a file, in the order in which it stands there."""

    pattern: str
    special_tokens: list[str]
    vocab: dict[str, str]
    merges: list[str]

    def __post_init__(self) -> None:
        texts = [self.pattern, *self.special_tokens, *self.merges, *self.vocab.values()]
        kinds = isinstance(self.vocab, dict) and isinstance(self.merges, list) and isinstance(self.special_tokens, list)
        if not kinds or not all(isinstance(text, str) for text in texts):
            raise ValueError("a part of it is of the wrong kind")


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    content = json.loads(Path(path).read_bytes().decode("utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"it should hold an object, and holds a {type(content).__name__}")
    return content


@contextmanager
def naming(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Say of any error in what a file holds which file it is."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)} is damaged, or is not {kind}: {error}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend a path beside `path` to write to; the file there takes the place of `path` only once it is whole."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
