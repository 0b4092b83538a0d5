"""The tokenizer by hand: streams as two small machines in a row, a cache of two generations, files of plain lists."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import regex

from .bpe import Pair, encode_bytes
from .pretokenize import GPT2_PATTERN, pretokenize, pretokenize_stream, split_special


class Tokenizer:
    """Turns text into ids and back, by the merges of byte-level BPE."""

    __slots__ = ("_fresh", "_id_of", "_known", "_merges", "_ranks", "_stale", "_vocab", "pattern", "special_ids")

    def __init__(
        self,
        vocab: Mapping[int, bytes],
        merges: Sequence[Pair],
        special_tokens: Sequence[str] = (),
        pattern: str = GPT2_PATTERN,
    ) -> None:
        """Take what training gives; a special token that has no id yet gets the next one."""
        for id, token in vocab.items():
            if not hasattr(id, "__index__") or isinstance(id, bool) or id < 0 or not isinstance(token, bytes):
                raise ValueError(f"a vocabulary gives bytes to whole numbers from 0 on; got {id!r}: {token!r}")
        self._vocab = {int(id): token for id, token in sorted(vocab.items())}
        self._merges = [(bytes(left), bytes(right)) for left, right in merges]
        self.pattern = pattern
        self.special_ids: dict[str, int] = {}
        try:
            regex.compile(pattern)
        except regex.error as error:
            raise ValueError(f"pattern must be a regular expression; got {pattern!r}: {error}") from None

        self._id_of: dict[bytes, int] = {}  # the first id of each token
        last_of: dict[bytes, int] = {}  # the last one: training puts special tokens behind all others
        for id, token in self._vocab.items():
            self._id_of.setdefault(token, id)
            last_of[token] = id
        self._ranks: dict[Pair, int] = {}
        for left, right in self._merges:
            self._ranks.setdefault((left, right), len(self._ranks))
            for token in (left, right, left + right):
                if token not in self._id_of:
                    raise ValueError(f"a merge takes and makes tokens of the vocabulary; {token!r} is none of them")
        for special in special_tokens:
            if not special or special in self.special_ids:
                raise ValueError(f"special tokens must be different and not empty; got {list(special_tokens)}")
            token = special.encode("utf-8")
            if token not in last_of:
                last_of[token] = max(self._vocab, default=-1) + 1
                self._vocab[last_of[token]] = token
            self.special_ids[special] = last_of[token]
        missing = [byte for byte in range(256) if bytes((byte,)) not in self._id_of]
        if missing:
            raise ValueError(
                f"the vocabulary must hold all 256 bytes; {len(missing)} are missing, such as {missing[0]}"
            )

        self._fresh: dict[str, list[int]] = {}  # the ids of pre-tokens that came lately,
        self._stale: dict[str, list[int]] = {}  # and of those that came before them

    @property
    def vocab_size(self) -> int:
        """How many rows a table needs to have one for each id."""
        return max(self._vocab) + 1

    @property
    def vocab(self) -> dict[int, bytes]:
        """The bytes of each id."""
        return dict(self._vocab)

    @property
    def merges(self) -> list[Pair]:
        """The merges, in the order learned."""
        return list(self._merges)

    @property
    def special_tokens(self) -> list[str]:
        """The special tokens, as given."""
        return list(self.special_ids)

    # -- text to ids and back

    def encode(self, text: str) -> list[int]:
        """Give the ids of `text`; a special token in it is its one id."""
        ids: list[int] = []
        for part in split_special(text, self.special_ids):
            if part in self.special_ids:
                ids.append(self.special_ids[part])
            else:
                for piece in pretokenize(part, self.pattern):
                    ids += self._ids_of_piece(piece)
        return ids

    def encode_iterable(self, chunks: Iterable[str]) -> Iterator[int]:
        """Give the ids of a text that comes in chunks, cut anywhere: the same as those of the whole text."""
        for pieces in pretokenize_stream(chunks, self.special_ids, self.pattern):
            for piece in pieces:
                special = self.special_ids.get(piece)
                if special is None:
                    yield from self._ids_of_piece(piece)
                else:
                    yield special

    def _ids_of_piece(self, piece: str) -> list[int]:
        ids = self._fresh.get(piece)
        if ids is None:
            ids = self._stale.get(piece)
            if ids is None:
                ids = [self._id_of[token] for token in encode_bytes(piece.encode("utf-8"), self._ranks)]
            if len(piece) < 50:
                if len(self._fresh) >= 20_000:
                    self._fresh, self._stale = {}, self._fresh
                self._fresh[piece] = ids
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text that the ids spell; U+FFFD stands for what is not UTF-8."""
        joined = bytearray()
        for id in ids:
            token = self._vocab.get(id)
            if token is None:
                raise ValueError(f"no token has the id {id}; the highest id is {max(self._vocab)}")
            joined += token
        return joined.decode("utf-8", errors="replace")

    # -- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of this tokenizer as JSON text; the file is there as a whole, or as it was before."""
        target = Path(path)
        state = {
            "kind": "byte-level BPE tokenizer",
            "pattern": self.pattern,
            "special_tokens": list(self.special_ids),
            "merges": [[_readable(left), _readable(right)] for left, right in self._merges],
            "vocab": [[id, _readable(token)] for id, token in self._vocab.items()],
        }
        lines = ",\n".join(f"{json.dumps(key)}: {_lines(value)}" for key, value in state.items())
        draft = target.with_name(f".{target.name}.{os.getpid()}.{id(state):x}")
        try:
            with open(draft, "x", encoding="utf-8", newline="\n") as file:
                file.write(f"{{\n{lines}\n}}\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Read what `save` wrote; a file that is damaged is a ValueError that names it."""
        text = Path(path).read_bytes()
        try:
            state: Any = json.loads(text.decode("utf-8"))
            if not isinstance(state, dict):
                raise ValueError("it holds no JSON object")
            vocab: dict[int, bytes] = {}
            for id, token in state["vocab"]:
                if not isinstance(id, int) or id in vocab:
                    raise ValueError(f"{id!r} is no id, or stands twice")
                vocab[id] = _from_readable(token)
            merges = [(_from_readable(left), _from_readable(right)) for left, right in state["merges"]]
            specials, pattern = state["special_tokens"], state["pattern"]
            if not isinstance(specials, list) or not all(isinstance(each, str) for each in [*specials, pattern]):
                raise ValueError("the special tokens or the pattern are not text")
            return cls(vocab, merges, specials, pattern)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{path} is no file that Tokenizer.save wrote, or is damaged: {error!r}") from error

    @classmethod
    def from_gpt2(cls, vocab_json: str | os.PathLike[str], merges_txt: str | os.PathLike[str]) -> Tokenizer:
        """Read the two files that GPT-2 was published with."""
        end = "<|endoftext|>"
        try:
            listed: dict[str, int] = json.loads(Path(vocab_json).read_bytes().decode("utf-8"))
            vocab = {id: _from_readable(token) for token, id in listed.items()}
            if len(vocab) < len(listed):
                raise ValueError("an id stands twice")
            cls(vocab, [])  # says what is wrong with a vocabulary, if anything is
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{vocab_json} is no vocabulary of GPT-2: {error!r}") from error
        try:
            merges: list[Pair] = []
            for number, line in enumerate(Path(merges_txt).read_bytes().decode("utf-8").split("\n")):
                line = line.rstrip("\r")
                if line and not (number == 0 and line.startswith("#version")):
                    left, right = line.split(" ")
                    merges.append((_from_readable(left), _from_readable(right)))
        except (ValueError, KeyError) as error:
            raise ValueError(f"{merges_txt} is no list of GPT-2's merges: {error!r}") from error
        try:
            return cls(vocab, merges, [end] if end in listed else [])
        except ValueError as error:
            raise ValueError(f"{merges_txt} does not go with {vocab_json}: {error}") from error


def _readable(token: bytes) -> str:
    """Write a token as GPT-2's files do, one sign a byte."""
    return "".join(map(_SIGN_OF.__getitem__, token))


def _from_readable(written: Any) -> bytes:
    if not isinstance(written, str):
        raise ValueError(f"a token must be text; got {written!r}")
    return bytes([_BYTE_OF[sign] for sign in written])


def _lines(value: str | list[Any]) -> str:
    """Write a value as JSON, a list with one item a line."""
    if isinstance(value, str) or not value:
        return json.dumps(value, ensure_ascii=False)
    return "[\n" + ",\n".join(json.dumps(item, ensure_ascii=False) for item in value) + "\n]"


def _gpt2_alphabet() -> dict[str, int]:
    """Say which byte each sign in GPT-2's files stands for.

    Bytes that Latin-1 prints stand for themselves; the others are numbered from U+0100 on, in order.
    """
    byte_of: dict[str, int] = {}
    moved = 0x100
    for byte in range(256):
        if 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or 0xAE <= byte:
            byte_of[chr(byte)] = byte
        else:
            byte_of[chr(moved)] = byte
            moved += 1
    return byte_of


_BYTE_OF = _gpt2_alphabet()
_SIGN_OF = {byte: sign for sign, byte in _BYTE_OF.items()}
