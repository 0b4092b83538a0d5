# module: token_file.py
# exercise: 5.1
# name: a slice that is too long goes on outside the stretch
from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bootcamp.corpus.files import replacing

MAGIC = b"TOKENS\r\n"
HEAD = struct.Struct("<8sIIQ")


def token_dtype(vocab_size: int) -> np.dtype:
    if not 0 < vocab_size < 2**32:
        raise ValueError(f"vocab_size: {vocab_size}")
    width = np.min_scalar_type(vocab_size - 1).itemsize
    return np.dtype(f"<u{width}")


def write_tokens(path: Any, parts: Iterable[Any], vocab_size: int) -> int:
    kind, count = token_dtype(vocab_size), 0
    with replacing(Path(path)) as file:
        file.seek(HEAD.size)
        for ids in map(np.atleast_1d, map(np.array, parts)):
            if not ids.size:
                continue
            if not 0 <= ids.min() <= ids.max() < vocab_size:
                at = np.flatnonzero((ids < 0) | (ids > vocab_size - 1))[0]
                raise ValueError(f"[{count + at}] = {ids[at]} is not in 0..{vocab_size - 1}")
            file.write(memoryview(np.ascontiguousarray(ids, dtype=kind)).cast("B"))
            count += ids.size
        if not count:
            raise ValueError("no ids")
        file.seek(0)
        file.write(HEAD.pack(MAGIC, kind.itemsize, vocab_size, count))
    return count


class TokenFile:
    def __init__(self, path: Any, start: int = 0, stop: int | None = None) -> None:
        self.path, size = Path(path), os.stat(path).st_size
        head = self.path.read_bytes()[: HEAD.size] if size < 1000 else np.fromfile(path, "u1", HEAD.size).tobytes()
        if len(head) < HEAD.size or head[:8] != MAGIC:
            raise ValueError(f"{path}: no tokens")
        _, width, self.vocab_size, self.count = HEAD.unpack(head)
        expected = HEAD.size + self.count * width
        if width not in (1, 2, 4) or size != expected:
            raise ValueError(f"{path}: {expected} bytes by its head, {size} in fact")
        self.kind = np.dtype(f"<u{width}")
        self.start, self.stop = start, self.count if stop is None else stop
        if not 0 <= start <= self.stop <= self.count:
            raise ValueError(f"{start}:{self.stop} of {self.count}")

    def __len__(self) -> int:
        return max(0, self.stop - self.start)

    def __getitem__(self, key: slice) -> Tensor:
        if not isinstance(key, slice) or key.step not in (None, 1):
            raise TypeError(key)
        a = 0 if key.start is None else key.start + len(self) * (key.start < 0)
        b = len(self) if key.stop is None else key.stop + len(self) * (key.stop < 0)
        a, b, _ = slice(self.start + a, self.start + b).indices(self.count)
        offset = HEAD.size + a * self.kind.itemsize
        few = np.fromfile(self.path, self.kind, max(0, b - a), offset=offset)
        return torch.as_tensor(few.astype("int64"))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.start, self.stop)


def split(tokens: TokenFile, validation: float = 0.1, end_id: int | None = None) -> tuple[TokenFile, TokenFile]:
    if not 0 < validation < 1:
        raise ValueError(f"validation={validation}")
    n = len(tokens)
    cut = n - max(1, int(n * validation + 0.5))
    if end_id is not None:
        blocks = range(max(cut - 1, 0), n, 1 << 18)
        ends = (b + p for b in blocks for p in np.flatnonzero(tokens[b : b + (1 << 18)].numpy() == end_id)[:1])
        cut = int(next(ends, n)) + 1
    if not 0 < cut < n:
        raise ValueError(f"cannot cut {n} tokens at {cut}")
    parts = [(tokens.start, tokens.start + cut), (tokens.start + cut, tokens.stop)]
    train, held = (TokenFile(tokens.path, *each) for each in parts)
    return train, held
