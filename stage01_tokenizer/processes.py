"""Given, for 1.8: how several processes share work, and how each reads its part of a file."""

from __future__ import annotations

import codecs
import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import Value
from typing import Any

StrPath = str | os.PathLike[str]
Tell = Callable[[int], None]  # is told of so many more bytes that they are done
BLOCK = 1 << 16  # bytes that are read at a time


def read_text(path: StrPath, begin: int, end: int, tell: Tell = lambda count: None) -> Iterator[str]:
    """Read a part of a file block by block, and break no character.

    Raises:
        ValueError: it is not UTF-8; which file, and at which byte.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open(path, "rb") as file:
        file.seek(begin)
        while begin < end and (data := file.read(min(BLOCK, end - begin))):
            begin += len(data)
            try:
                text = decoder.decode(data, final=begin == end)
            except UnicodeDecodeError as error:
                place = begin - len(error.object) + error.start
                raise ValueError(f"{path} is not UTF-8: {error.reason} at byte {place}") from None
            yield text
            tell(len(data))


def in_processes(
    function: Callable[..., Any],
    given: tuple[Any, ...],
    jobs: Iterable[tuple[Any, ...]],
    workers: int,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Any]:
    """Give `function(*given, *job, tell)` for each job, in the order of the jobs, worked out by several processes.

    Each process gets `given` once. Only a few jobs more than there are processes are under way at a time. `progress`
    is called with the sum of what all calls of `tell` were told. An error in a process is raised here.

    Raises:
        RuntimeError: a process died.
    """
    if workers <= 1:
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            if progress:
                progress(done)

        yield from (function(*given, *job, tell) for job in jobs)
        return

    told = Value("q", 0)

    def result(future: Future[Any]) -> Any:
        while not wait([future], timeout=0.1).done:
            if progress:
                progress(told.value)
        if error := future.exception():
            raise error from None
        if progress:
            progress(told.value)
        return future.result()

    pool = ProcessPoolExecutor(workers, initializer=_begin_process, initargs=(told, given))
    under_way: deque[Future[Any]] = deque()
    try:
        for job in jobs:
            under_way.append(pool.submit(_run, pickle.dumps((function, job))))
            if len(under_way) > 2 * workers:
                yield result(under_way.popleft())
        while under_way:
            yield result(under_way.popleft())
    except BrokenProcessPool:
        raise RuntimeError(
            f"one of {workers} processes died; perhaps memory ran out, or a script that starts processes does not "
            'do so under `if __name__ == "__main__":`'
        ) from None
    finally:
        for future in under_way:
            future.cancel()
        pool.shutdown()


_told: Any = None
_given: tuple[Any, ...] = ()


def _begin_process(told: Any, given: tuple[Any, ...]) -> None:
    global _told, _given
    _told, _given = told, given


def _run(sent: bytes) -> Any:
    """Do a job. It comes pickled: a pool that cannot pickle one itself may wait for it for ever (CPython 3.11)."""
    function, job = pickle.loads(sent)
    return function(*_given, *job, _tell)


def _tell(count: int) -> None:
    with _told.get_lock():
        _told.value += count
