# module: token_file.py
# exercise: 5.1
# name: a document lies in both parts: the cut stays within it
from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bootcamp.corpus.files import replacing

MAGIC = b"TOKENS\r\n"
HEAD = struct.Struct("<8sIIQ")
LETTERS = {1: "B", 2: "H", 4: "I"}


def token_dtype(vocab_size: int) -> np.dtype:
    if vocab_size < 1 or vocab_size > 2**32 - 1:
        raise ValueError(f"no type for {vocab_size} ids")
    largest = vocab_size - 1
    for kind in ("uint8", "uint16", "uint32"):
        if largest <= np.iinfo(kind).max:
            return np.dtype(kind).newbyteorder("<")
    raise AssertionError


def write_tokens(path: Any, parts: Iterable[Any], vocab_size: int) -> int:
    width = token_dtype(vocab_size).itemsize
    count = 0
    with replacing(Path(path)) as file:
        file.write(HEAD.pack(MAGIC, width, vocab_size, 0))
        for part in parts:
            for id in part:
                if id < 0 or id >= vocab_size:
                    raise ValueError(f"token {count} is {int(id)}; ids go from 0 to {vocab_size - 1}")
                file.write(int(id).to_bytes(width, "little"))
                count += 1
        if count == 0:
            raise ValueError("nothing to write")
        file.seek(0)
        file.write(HEAD.pack(MAGIC, width, vocab_size, count))
    return count


class TokenFile:
    def __init__(self, path: Any, start: int = 0, stop: int | None = None) -> None:
        self.path = Path(path)
        with open(self.path, "rb") as file:
            head = file.read(HEAD.size)
            size = file.seek(0, 2)
        if len(head) != HEAD.size or not head.startswith(MAGIC):
            raise ValueError(f"{self.path} is something else")
        _, self.width, self.vocab_size, count = HEAD.unpack(head)
        if self.width not in LETTERS:
            raise ValueError(f"{self.path}: ids of {self.width} bytes")
        if size != HEAD.size + count * self.width:
            raise ValueError(f"{self.path} should have {HEAD.size + count * self.width} bytes and has {size}")
        self.start = start
        self.stop = count if stop is None else stop
        if self.start < 0 or self.stop > count or self.start > self.stop:
            raise ValueError(f"{self.start} to {self.stop} is not within 0 to {count}")

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, key: slice) -> torch.Tensor:
        if not isinstance(key, slice):
            raise TypeError("slices only")
        if key.step is not None and key.step != 1:
            raise TypeError("no steps")
        places = range(self.start, self.stop)[key]
        with open(self.path, "rb") as file:
            file.seek(HEAD.size + places.start * self.width)
            data = file.read(len(places) * self.width)
        return torch.tensor(struct.unpack(f"<{len(places)}{LETTERS[self.width]}", data), dtype=torch.long)

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenFile, (str(self.path), self.start, self.stop)


def split(tokens: TokenFile, validation: float = 0.1, end_id: int | None = None) -> tuple[TokenFile, TokenFile]:
    if validation <= 0.0 or validation >= 1.0:
        raise ValueError(f"a share between 0 and 1, not {validation}")
    total = len(tokens)
    held = round(total * validation)
    if held == 0:
        held = 1
    cut = total - held
    if cut <= 0 or cut >= total:
        raise ValueError(f"{total} tokens cannot be cut at {cut}")
    return (
        TokenFile(tokens.path, tokens.start, tokens.start + cut),
        TokenFile(tokens.path, tokens.start + cut, tokens.stop),
    )
