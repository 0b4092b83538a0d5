"""Times and memory, taken so that contenders can be compared."""

from __future__ import annotations

import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

console = Console()


@dataclass
class Times:
    """What the repetitions of one contender took."""

    seconds: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)  # bytes; empty where the system does not say

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def peak(self) -> str:
        return f"{max(self.peaks) / 2**20:,.0f} MiB" if self.peaks else "unknown"


def ratio(ours: Times, theirs: Times) -> float:
    """Give the median of the ratios of the repetitions, each of which ran both within a short time."""
    return statistics.median(a / b for a, b in zip(ours.seconds, theirs.seconds))


def alternate(contenders: dict[str, Callable[[], float]], repeats: int, what: str = "") -> dict[str, Times]:
    """Let the contenders run in turns, each `repeats` times; each gives the seconds that it took."""
    times = {name: Times() for name in contenders}
    with console.status("") as status:
        for repeat in range(repeats):
            for name, run in contenders.items():
                status.update(f"{what} round {repeat + 1} of {repeats}: {name}")
                times[name].seconds.append(run())
    return times


def alternate_processes(
    contenders: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]], repeats: int, what: str = ""
) -> tuple[dict[str, Times], dict[str, Any]]:
    """As `alternate`, with each run in a process of its own, whose memory is watched, its children's included.

    A contender is a function and its arguments; it gives the seconds that it took, and anything else.
    """
    times = {name: Times() for name in contenders}
    results: dict[str, Any] = {}
    with console.status("") as status:
        for repeat in range(repeats):
            for name, (function, arguments) in contenders.items():
                status.update(f"{what} round {repeat + 1} of {repeats}: {name}")
                (seconds, results[name]), peak = in_process(function, arguments)
                times[name].seconds.append(seconds)
                times[name].peaks += [peak] if peak else []
    return times, results


def in_process(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, int]:
    """Run a function in a fresh process; give its result, and the most memory that it and its children held."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_send_result, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, memory_of(process.pid or 0))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = ours.recv()
    except EOFError:
        raise SystemExit(f"{function.__name__} did not come to an end") from None
    finally:
        done.set()
        watcher.join()
        process.join()
    if isinstance(result, BaseException):
        raise result
    return result, peak


def _send_result(pipe: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        pipe.send(function(*arguments))
    except BaseException as error:
        pipe.send(error)
        raise


def memory_of(process: int) -> int:
    """Give the bytes that a process and its children have in memory; 0 where the system has no /proc.

    What a child shares with its parent counts half for each of two (the proportional set size).
    """
    total = 0
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            total += sum(map(memory_of, map(int, children.read_text(encoding="ascii").split())))
    except OSError:  # no such system, or the process has just ended
        pass
    return total


def clock(function: Callable[[], Any]) -> float:
    """Give the seconds that a call takes, the time to free its result not counted."""
    begin = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - begin
    del result
    return seconds


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table whose first column is text and whose others are numbers."""
    found = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        found.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        found.add_row(*row)
    console.print(found)
