"""1.8, differently: `concurrent.futures` on a fork server, a pattern of bytes for the cuts, a stream for each chunk."""

from __future__ import annotations

import codecs
import multiprocessing.context
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain, pairwise
from typing import BinaryIO

from .pretokenize import GPT2_PATTERN, pretokenize_stream

LOOK = 1 << 12  # bytes that are read at a time to find a cut
BLOCK = 1 << 18  # bytes that are read at a time to count
SHARE = 1 << 24  # bytes of the largest chunk that one process takes at a time, if documents are shorter than that

Progress = Callable[[int], object]


def chunk_boundaries(file: BinaryIO, chunks: int, split_token: bytes) -> list[int]:
    """Find where to cut a file into chunks of about the same size, each of which ends where a document ends."""
    if chunks < 1:
        raise ValueError(f"chunks must be at least 1; got {chunks}")
    if not split_token:
        raise ValueError("split_token must not be empty")
    return _cuts(file, chunks, [split_token])


def _cuts(file: BinaryIO, chunks: int, tokens: Sequence[bytes]) -> list[int]:
    """Give the ends of the first of any of the tokens that ends at or behind each fair place."""
    size = file.seek(0, os.SEEK_END)
    pattern, longest = re.compile(b"|".join(map(re.escape, tokens))), max(map(len, tokens))
    cuts = [0]
    for place in (size * number // chunks for number in range(1, chunks)):
        if place > cuts[-1]:
            cuts.append(_end_of_next(file, max(cuts[-1], place - longest), pattern, longest, default=size))
    return sorted({*cuts, size})


def _end_of_next(file: BinaryIO, start: int, pattern: re.Pattern[bytes], longest: int, default: int) -> int:
    """Search a file from `start` on, with an overlap between the blocks in which a match may lie across."""
    file.seek(start)
    text = b""
    for block in iter(partial(file.read, LOOK), b""):
        text += block
        if match := pattern.search(text):
            return start + match.end()
        past = max(0, len(text) - longest + 1)
        start, text = start + past, text[past:]
    return default


def count_pretokens(
    path: str | os.PathLike[str],
    special_tokens: Sequence[str] = (),
    workers: int = 1,
    pattern: str = GPT2_PATTERN,
    progress: Progress | None = None,
) -> Counter[str]:
    """Count the pre-tokens of a text file between its special tokens, the same for any number of workers."""
    if workers < 1:
        raise ValueError(f"workers must be at least 1; got {workers}")
    if "" in special_tokens:
        raise ValueError("a special token must not be empty")
    report = progress or bool
    count = partial(_count_chunk, os.fspath(path), tuple(special_tokens), pattern)
    cuts = _fair_cuts(path, special_tokens, workers)
    if len(cuts) <= 2:
        return count(*cuts, report=report)
    counts: Counter[str] = Counter()
    pool = ProcessPoolExecutor(min(workers, len(cuts) - 1, 60), _start_method())
    try:
        for some, (_, end) in zip(pool.map(count, cuts, cuts[1:]), pairwise(cuts)):
            counts.update(some)
            report(end)
    finally:
        pool.shutdown(cancel_futures=True)
    return counts


def _start_method() -> multiprocessing.context.BaseContext:
    """A fork server has none of our threads and open files; where there is none, each process starts from scratch."""
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


def _fair_cuts(path: str | os.PathLike[str], special_tokens: Iterable[str], workers: int) -> list[int]:
    """Cut a file so that each process has several chunks to take, if there is a token to cut behind."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        tokens = [token.encode("utf-8") for token in _always_found(set(special_tokens))]
        return _cuts(file, max(4 * workers, size // SHARE), tokens) if workers > 1 and tokens else [0, size]


def _always_found(tokens: set[str]) -> Iterator[str]:
    """Give the tokens that are special wherever they are spelled: no other, found first, reaches into them."""
    for token in tokens:
        within = any(token in other for other in tokens - {token})
        shared = (min(len(token), len(other)) for other in tokens)
        reached = any(other.endswith(token[:size]) for other, most in zip(tokens, shared) for size in range(1, most))
        if not within and not reached:
            yield token


def _count_chunk(
    path: str, special_tokens: Sequence[str], pattern: str, start: int, end: int, report: Progress = bool
) -> Counter[str]:
    """Count the pre-tokens between two places of a file, of which no more than a block is there at a time."""
    blocks = _text_between(path, start, end, report)
    counts = Counter(chain.from_iterable(pretokenize_stream(blocks, special_tokens, pattern)))
    for token in special_tokens:
        counts.pop(token, None)
    return counts


def _text_between(path: str, start: int, end: int, report: Progress) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    with open(path, "rb") as file:
        file.seek(start)
        while True:
            data = file.read(min(BLOCK, end - start))
            held = len(decoder.getstate()[0])
            try:
                yield decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                place = start - held + error.start
                raise ValueError(f"{path} must be a text in UTF-8; byte {place} is not: {error.reason}") from None
            if not data:
                return
            start += len(data)
            report(start)
