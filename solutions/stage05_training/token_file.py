"""5.1 · A token file: all tokens of a corpus on disk, of which only what is asked for is read.

A file is a head of 24 bytes and then the ids, each in 1, 2 or 4 bytes, least byte first:

    8 bytes  TOKENS\\r\\n   what this is; a program that "repairs" line ends on the way spoils it, and it shows
    4 bytes  how many bytes an id takes
    4 bytes  the size of the vocabulary
    8 bytes  how many ids there are
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bootcamp.corpus.files import replacing

MAGIC = b"TOKENS\r\n"
HEAD = struct.Struct("<8sIIQ")
StrPath = str | os.PathLike[str]


def token_dtype(vocab_size: int) -> np.dtype:
    """The smallest of uint8, uint16 and uint32 (least byte first) that holds every id from 0 to `vocab_size` - 1.

    Raises:
        ValueError: `vocab_size` is not from 1 to 2³² - 1, the largest that the head of a file holds.

    >>> [token_dtype(size).itemsize for size in (256, 257, 65536, 65537)]
    [1, 2, 2, 4]
    """
    if not 1 <= vocab_size < 1 << 32:
        raise ValueError(f"vocab_size must be from 1 to 2**32 - 1; got {vocab_size}")
    # BEGIN SOLUTION 5.1: how many bytes does the largest id take?
    return np.dtype("u1" if vocab_size <= 1 << 8 else "<u2" if vocab_size <= 1 << 16 else "<u4")
    # END SOLUTION


def write_tokens(path: StrPath, parts: Iterable[Sequence[int] | np.ndarray], vocab_size: int) -> int:
    """Write ids to a file, part by part, so that memory never holds more than one part.

    The file takes its name when it is complete: whatever goes wrong, what stood there before still does.

    Args:
        path: the file.
        parts: lists or arrays of ids, such as `encode_file` of stage 01 gives.
        vocab_size: V; ids are from 0 to V - 1.

    Returns:
        How many ids were written.

    Raises:
        ValueError: an id is out of range (the id, its place among all of them, from 0, and V - 1 are named), or there
            are no ids at all.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     count = write_tokens(f"{folder}/few.tokens", [[3, 1, 4], [1, 5]], vocab_size=300)
    ...     print(count, TokenFile(f"{folder}/few.tokens")[1:4].tolist())
    5 [1, 4, 1]
    """
    kind = token_dtype(vocab_size)
    with replacing(Path(path)) as file:  # has another name until the block ends well
        file.write(HEAD.pack(MAGIC, kind.itemsize, vocab_size, 0))
        count = 0
        # BEGIN SOLUTION 5.1: part by part: check the range before the type is made smaller; write; count
        for part in parts:
            ids = np.asarray(part)
            wrong = (ids < 0) | (ids >= vocab_size)
            if wrong.any():
                at = int(wrong.argmax())
                raise ValueError(f"id {ids[at]}, number {count + at}, is out of range: from 0 to {vocab_size - 1}")
            file.write(ids.astype(kind).tobytes())
            count += len(ids)
        # END SOLUTION
        if not count:
            raise ValueError("there are no ids to write; got nothing in any part")
        file.seek(0)
        file.write(HEAD.pack(MAGIC, kind.itemsize, vocab_size, count))
    return count


class TokenFile:
    """The tokens in a file, or a stretch of them. They stay on disk: what is indexed is read, and nothing else.
    The file is opened for reading only.

    Args:
        path: a file that `write_tokens` wrote.
        start, stop: which of its tokens: from `start` to before `stop`; None means to the end.

    Attributes:
        path, start, stop: as above, `stop` filled in.
        vocab_size: V.

    Raises:
        ValueError: the file is no token file, or shorter or longer than its head says (both sizes are named), or the
            stretch does not lie in it.
        FileNotFoundError: it is not there.
    """

    def __init__(self, path: StrPath, start: int = 0, stop: int | None = None) -> None:
        self.path = Path(path)
        size = self.path.stat().st_size
        with open(self.path, "rb") as file:
            head = file.read(HEAD.size)
        if len(head) < HEAD.size or head[:8] != MAGIC:
            raise ValueError(f"{self.path} is no token file: it does not begin as write_tokens begins one")
        _, width, self.vocab_size, count = HEAD.unpack(head)
        if width not in (1, 2, 4) or size != HEAD.size + count * width:
            raise ValueError(
                f"{self.path} is damaged: {count} tokens of {width} bytes make {HEAD.size + count * width} bytes with "
                f"the head, and it has {size}; write it anew"
            )
        self.start, self.stop = start, count if stop is None else stop
        if not 0 <= self.start <= self.stop <= count:
            raise ValueError(f"a stretch must lie from 0 to {count}; got {self.start} to {self.stop}")
        # BEGIN SOLUTION 5.1: map the ids behind the head into memory, read-only
        self._ids = np.memmap(self.path, dtype=f"<u{width}", mode="r", offset=HEAD.size, shape=(count,))
        # END SOLUTION

    def __len__(self) -> int:
        """How many tokens the stretch has."""
        # BEGIN SOLUTION 5.1: of the stretch, not of the file
        return self.stop - self.start
        # END SOLUTION

    def __getitem__(self, key: slice) -> Tensor:
        """Give tokens `a` to before `b` of the stretch, `tokens[a:b]`, as integers (b - a,) in int64.

        Python's rules for slices hold (negative numbers count from the end of the stretch, too large ones stop there);
        there is no step.

        Raises:
            TypeError: the key is no slice, or has a step.
        """
        if not isinstance(key, slice) or key.step not in (None, 1):
            raise TypeError(f"tokens are read as tokens[a:b]; got [{key!r}]")
        # BEGIN SOLUTION 5.1: read that much, and no more, into a tensor of its own
        begin, end, _ = key.indices(len(self))
        ids = self._ids[self.start + begin : self.start + max(begin, end)]
        return torch.from_numpy(ids.astype(np.int64))
        # END SOLUTION

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process by name: it opens the file itself. (Given.)"""
        return type(self), (self.path, self.start, self.stop)


def split(tokens: TokenFile, validation: float = 0.1, end_id: int | None = None) -> tuple[TokenFile, TokenFile]:
    """Cut a file in two: what comes first is for training, the end for validation. No token is in both.

    Args:
        tokens: all of them.
        validation: the share of the validation part, more than 0 and less than 1. Of n tokens it gets the nearest whole
            number to n · validation, but one at least.
        end_id: the id that ends a document. If given, a cut that is not just behind one already moves on to just
            behind the next one, so that no document lies in both parts. What is read on the way is a stretch at a time.

    Raises:
        ValueError: the share is out of range, or there is nothing left for one of the parts.
    """
    if not 0.0 < validation < 1.0:
        raise ValueError(f"validation must be more than 0 and less than 1; got {validation}")
    # BEGIN SOLUTION 5.1: where is the cut? with end_id, look from there on, a stretch at a time
    cut = len(tokens) - max(1, round(len(tokens) * validation))
    while end_id is not None and 0 < cut < len(tokens) and tokens[cut - 1 : cut] != end_id:
        found = (tokens[cut : cut + 65536] == end_id).nonzero()
        cut += int(found[0]) + 1 if len(found) else 65536
    # END SOLUTION
    if not 0 < cut < len(tokens):
        raise ValueError(
            f"{len(tokens)} tokens do not make a part for training and one for validation; take more text, or another "
            f"share than {validation}"
        )
    middle = tokens.start + cut
    return TokenFile(tokens.path, tokens.start, middle), TokenFile(tokens.path, middle, tokens.stop)
