# module: tokenizer.py
# exercise: 1.6
# name: the file is written in place
from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import regex

from .bpe import Pair, encode_bytes
from .pretokenize import GPT2_PATTERN, pretokenize, split_special, stretches

FORMAT = "byte-level BPE tokenizer, version 1"
LONG = 4000
StrPath = str | os.PathLike[str]


def make_signs() -> dict[int, str]:
    signs = {}
    for first, last in ("!~", "¡¬", "®ÿ"):
        for number in range(ord(first), ord(last) + 1):
            signs[number] = chr(number)
    free = 256
    for byte in range(256):
        if byte not in signs:
            signs[byte] = chr(free)
            free += 1
    return signs


SIGN_OF = make_signs()
BYTE_OF = {sign: byte for byte, sign in SIGN_OF.items()}


def write_bytes(token: bytes) -> str:
    return "".join(SIGN_OF[byte] for byte in token)


def read_bytes(text: str) -> bytes:
    return bytes(BYTE_OF[sign] for sign in text)


class Tokenizer:
    def __init__(
        self,
        vocab: Mapping[int, bytes],
        merges: Sequence[Pair],
        special_tokens: Sequence[str] = (),
        pattern: str = GPT2_PATTERN,
    ) -> None:
        _check(vocab, merges, special_tokens, pattern)
        self.vocab = dict(vocab)
        self.merges = [(left, right) for left, right in merges]
        self.pattern = pattern
        self.special_ids: dict[str, int] = {}
        for special in special_tokens:
            data = special.encode("utf-8")
            same = [id for id, token in self.vocab.items() if token == data]
            if not same:
                same = [max(self.vocab) + 1]
                self.vocab[same[0]] = data
            self.special_ids[special] = max(same)
        self.ids: dict[bytes, int] = {}
        for id in sorted(self.vocab, reverse=True):
            self.ids[self.vocab[id]] = id
        self.ranks: dict[Pair, int] = {}
        for pair in self.merges:
            self.ranks.setdefault(pair, len(self.ranks))

    @property
    def vocab_size(self) -> int:
        return max(self.vocab) + 1

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for part in split_special(text, self.special_ids):
            if part in self.special_ids:
                ids.append(self.special_ids[part])
                continue
            for piece in pretokenize(part, self.pattern):
                for token in encode_bytes(piece.encode("utf-8"), self.ranks):
                    ids.append(self.ids[token])
        return ids

    def encode_iterable(self, chunks: Iterable[str]) -> Iterator[int]:
        for stretch in stretches(chunks, self.special_ids, self.pattern):
            yield from self.encode(stretch)

    def decode(self, ids: Iterable[int]) -> str:
        data = b""
        for id in ids:
            if id not in self.vocab:
                raise ValueError(f"the id {id} is not in the vocabulary")
            data += self.vocab[id]
        return data.decode("utf-8", errors="replace")

    def save(self, path: StrPath) -> None:
        content = {
            "format": FORMAT,
            "pattern": self.pattern,
            "special_tokens": list(self.special_ids),
            "vocab": [[id, write_bytes(token)] for id, token in self.vocab.items()],
            "merges": [[write_bytes(left), write_bytes(right)] for left, right in self.merges],
        }
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False)

    @classmethod
    def load(cls, path: StrPath) -> Tokenizer:
        data = Path(path).read_bytes()
        try:
            content = json.loads(data.decode("utf-8"))
            if content["format"] != FORMAT:
                raise ValueError("another format")
            vocab = {id: read_bytes(text) for id, text in content["vocab"]}
            if len(vocab) < len(content["vocab"]):
                raise ValueError("an id stands twice")
            merges = [(read_bytes(left), read_bytes(right)) for left, right in content["merges"]]
            return cls(vocab, merges, content["special_tokens"], content["pattern"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is no saved tokenizer: {error!r}") from error

    @classmethod
    def from_gpt2(cls, vocab_json: StrPath, merges_txt: StrPath) -> Tokenizer:
        vocab = {}
        try:
            for text, id in json.loads(Path(vocab_json).read_bytes()).items():
                special = text == "<|endoftext|>"
                vocab[id] = text.encode() if special else read_bytes(text)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{vocab_json} is no vocabulary: {error!r}") from error
        merges = []
        try:
            lines = Path(merges_txt).read_bytes().decode("utf-8").split("\n")
            for line in lines[1:]:
                if line.strip():
                    left, right = line.strip().split(" ")
                    merges.append((read_bytes(left), read_bytes(right)))
        except (ValueError, KeyError) as error:
            raise ValueError(f"{merges_txt} has a line that is no merge: {error!r}") from error
        try:
            return cls(vocab, merges, ["<|endoftext|>"])
        except (ValueError, TypeError) as error:
            raise ValueError(f"{vocab_json} and {merges_txt} do not fit: {error}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.vocab, self.merges, list(self.special_ids), self.pattern)


def _check(vocab: Mapping[int, bytes], merges: Sequence[Pair], special_tokens: Sequence[str], pattern: str) -> None:
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
