"""Counting in parallel by hand: one process and one pipe a chunk, and streams that never hold more than a block."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import BinaryIO, cast

from .pretokenize import GPT2_PATTERN, pretokenize_stream

BLOCK = 1 << 18  # bytes that are read at a time
SEARCH_BLOCK = 1 << 13  # and while looking for the end of a document, which is mostly near


def chunk_boundaries(file: BinaryIO, chunks: int, split_token: bytes) -> list[int]:
    """Give the places in `file` where its chunks begin and end; each inner one is right behind a `split_token`."""
    if chunks < 1:
        raise ValueError(f"chunks must be at least 1; got {chunks}")
    if not split_token:
        raise ValueError("split_token must not be empty")
    size = file.seek(0, os.SEEK_END)
    places = [0]
    for number in range(1, chunks):
        target = size * number // chunks
        if target <= places[-1]:
            continue  # a long document reaches over this one
        # A document that ends right at the target is as good as one can get, so its token is looked at too.
        found = _find_behind(file, max(places[-1], target - len(split_token)), size, split_token)
        if found is None or found >= size:
            break
        places.append(found)
    if size:
        places.append(size)
    return places


def _find_behind(file: BinaryIO, start: int, size: int, token: bytes) -> int | None:
    """Give the place behind the first `token` that begins at `start` or later, reading block by block."""
    file.seek(start)
    window, window_start = b"", start
    while window_start + len(window) < size:
        block = file.read(SEARCH_BLOCK)
        if not block:
            break
        window += block
        place = window.find(token)
        if place >= 0:
            return window_start + place + len(token)
        keep = min(len(window), len(token) - 1)
        window_start += len(window) - keep
        window = window[len(window) - keep :]
    return None


Tell = Callable[[int], None]  # is told how many more bytes are done


def count_pretokens(
    path: str | os.PathLike[str],
    special_tokens: Sequence[str] = (),
    workers: int = 1,
    pattern: str = GPT2_PATTERN,
    progress: Callable[[int], None] | None = None,
) -> Counter[str]:
    """Count the pre-tokens of a file; the counts are the same for any number of workers."""
    if workers < 1:
        raise ValueError(f"workers must be at least 1; got {workers}")
    specials = list(special_tokens)
    if "" in specials:
        raise ValueError("a special token must not be empty")
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done)

    places = _cut(path, specials, workers)
    if len(places) <= 2:
        return _count_span(path, 0, places[-1], specials, pattern, tell)
    return _count_in_processes(path, places, specials, pattern, tell)


def _cut(path: str | os.PathLike[str], specials: Sequence[str], workers: int) -> list[int]:
    """Find chunks that can be counted apart, as many as there are workers or fewer."""
    with open(path, "rb") as file:
        places = [0, file.seek(0, os.SEEK_END)]
        for token in specials if workers > 1 else ():
            if _always_special(token, specials):
                found = chunk_boundaries(file, workers, token.encode("utf-8"))
                if len(found) > len(places):
                    places = found
    return places


def _always_special(token: str, specials: Sequence[str]) -> bool:
    """Say whether `token` is a special token wherever it stands, because no other one can reach into it."""
    for other in specials:
        if other != token and token in other:
            return False
        if any(other.endswith(token[:size]) for size in range(1, min(len(token), len(other) + 1))):
            return False
    return True


def _count_span(
    path: str | os.PathLike[str], start: int, end: int, specials: Sequence[str], pattern: str, tell: Tell
) -> Counter[str]:
    """Count the pre-tokens from byte `start` up to byte `end`, reading block by block."""
    counts: dict[str, int] = {}
    apart = set(specials)
    for pieces in pretokenize_stream(_texts(path, start, end, tell), apart, pattern):
        for piece in pieces:
            if piece not in apart:
                counts[piece] = counts.get(piece, 0) + 1
    return Counter(counts)


def _texts(path: str | os.PathLike[str], start: int, end: int, tell: Tell) -> Iterator[str]:
    """Read a file from byte `start` up to byte `end`, block by block; what is not UTF-8 is a ValueError."""
    begun = b""  # the bytes of a character that goes on in the next block
    with open(path, "rb") as file:
        file.seek(start)
        while start < end and (block := file.read(min(BLOCK, end - start))):
            data, first = begun + block, start - len(begun)
            start += len(block)
            try:
                text, begun = data.decode("utf-8"), b""
            except UnicodeDecodeError as error:
                whole = error.start
                if len(data) - whole > 3 or error.end < len(data) or error.reason != "unexpected end of data":
                    raise _not_utf8(path, first + whole) from None
                text, begun = data[:whole].decode("utf-8"), data[whole:]
            yield text
            tell(len(block))
    if begun:
        raise _not_utf8(path, start - len(begun))


def _not_utf8(path: str | os.PathLike[str], place: int) -> ValueError:
    return ValueError(f"{os.fspath(path)} must be a text in UTF-8; what stands at byte {place} is not")


def _count_in_processes(
    path: str | os.PathLike[str], places: Sequence[int], specials: Sequence[str], pattern: str, tell: Tell
) -> Counter[str]:
    """Let one process count each chunk, listen to all of them, and add up what they send."""
    running: dict[Connection, BaseProcess] = {}
    total: Counter[str] = Counter()
    try:
        for start, end in zip(places, places[1:]):
            receive, send = multiprocessing.Pipe(duplex=False)
            process = multiprocessing.Process(
                target=_work, args=(send, os.fspath(path), start, end, specials, pattern), daemon=True
            )
            running[receive] = process
            process.start()
            send.close()  # the child has its own end; once that closes, there is nothing to wait for
        listening = set(running)
        while listening:
            for ready in wait(list(listening)):
                told = _heard(receive := cast(Connection, ready), running[receive])
                if isinstance(told, int):
                    tell(told)
                    continue
                listening.remove(receive)
                for piece, count in told.items():
                    total[piece] += count
    finally:
        for receive, process in running.items():
            receive.close()
            if process.pid is not None:
                if sys.exc_info()[0] is not None:
                    process.terminate()
                process.join()
    return total


def _heard(receive: Connection, process: BaseProcess) -> int | dict[str, int]:
    """Give what a process has sent: more bytes done, or all its counts. Its error is raised."""
    try:
        told = receive.recv()
    except (EOFError, OSError):
        process.join()
        raise RuntimeError(f"a process that counted has died, with exit code {process.exitcode}") from None
    if isinstance(told, BaseException):
        raise told
    return told


def _work(send: Connection, path: str, start: int, end: int, specials: Sequence[str], pattern: str) -> None:
    try:
        send.send(dict(_count_span(path, start, end, specials, pattern, send.send)))
    except Exception as error:
        send.send(error)
    finally:
        send.close()
