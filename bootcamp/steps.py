"""The steps of a long command, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bootcamp.screen import console, say


class Steps:
    """The steps of a long command, each with its progress and the time that it took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.bars = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Steps:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Run a step; the function that it gives is told how much is done, and of how much."""
        start = time.perf_counter()
        task = self.bars.add_task(name, total=None)
        yield lambda done, total: self.bars.update(task, completed=done, total=total)
        taken = self.seconds[name] = time.perf_counter() - start
        self.bars.update(task, completed=1, total=1)
        if not console.is_terminal:
            say(f"{taken:6.1f} s  {name}")
