"""What a run tells: a progress bar, and a line of JSON for whatever happens. (Given; nothing to write here.)

`metrics.jsonl` has lines of four kinds, each with the number of the step:

    {"kind": "step", "step": 1, "loss": …, "lr": …, "grad_norm": …, "tokens": …, "seconds": …}     seconds of that step
    {"kind": "evaluation", "step": 250, "loss": …, "bits_per_byte": …}
    {"kind": "samples", "step": 250, "texts": […]}
    {"kind": "end", "step": 1000, "stopped": false}
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .accumulate import StepResult
from .config import TrainConfig

METRICS = "metrics.jsonl"


class RunLog:
    """`with RunLog(folder, config, start) as log`: what a run says on its way, and whether it was asked to stop.

    A run that goes on from step `start` writes on behind what it had written up to there; lines of later steps, which
    are done anew, are dropped.

    Attributes:
        stop_asked: whether somebody pressed Ctrl-C, or asked the process to end. The first time the step is finished
            and saved; the second time it ends at once.
    """

    def __init__(self, folder: Path, config: TrainConfig, start: int, console: Console | None = None) -> None:
        self.folder, self.config, self.start = folder, config, start
        self.console = console or Console(highlight=False)
        self.stop_asked = False
        self._loss: float | None = None
        self._rate = 0.0
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> RunLog:
        path = self.folder / METRICS
        kept = [line for line in read_metrics(self.folder) if line["step"] <= self.start and line["kind"] != "end"]
        beside = path.with_name(f".{METRICS}.part")
        beside.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        os.replace(beside, path)
        self._file = open(path, "a", encoding="utf-8", newline="\n")
        self._bar.start()
        self._task = self._bar.add_task("", total=self.config.steps, completed=self.start, facts="")
        self._before = time.perf_counter()
        self._handlers: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._bar.stop()
        self._file.close()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.stop_asked:
            raise KeyboardInterrupt
        self.stop_asked = True
        self.console.print(
            "stopping behind this step; once more stops at once, and loses what came after the last checkpoint"
        )

    def step(self, step: int, result: StepResult, lr: float) -> None:
        """A step has been taken."""
        now = time.perf_counter()
        seconds, self._before = now - self._before, now
        self._loss = result.loss if self._loss is None else 0.95 * self._loss + 0.05 * result.loss
        self._rate = result.tokens / seconds if not self._rate else 0.9 * self._rate + 0.1 * result.tokens / seconds
        self._write(
            "step",
            step,
            loss=result.loss,
            lr=lr,
            grad_norm=result.grad_norm,
            tokens=result.tokens,
            seconds=round(seconds, 5),
        )
        facts = f"mean loss {self._loss:.3f}  lr {lr:.1e}  {self._rate:,.0f} tokens/s"
        self._bar.update(self._task, completed=step, facts=facts)
        if not self.console.is_terminal and (step % max(self.config.steps // 20, 1) == 0 or step == self.config.steps):
            self.console.print(f"step {step:,} of {self.config.steps:,}  {facts}", soft_wrap=True)

    def evaluation(self, step: int, loss: float, bits_per_byte: float) -> None:
        """The model has been looked at with the validation texts."""
        self._write("evaluation", step, loss=loss, bits_per_byte=bits_per_byte)
        self.console.print(
            f"step {step:,}: validation loss {loss:.4f}, {bits_per_byte:.4f} bits per byte", soft_wrap=True
        )

    def samples(self, step: int, texts: list[str]) -> None:
        """The model has written."""
        self._write("samples", step, texts=texts)
        self._before = time.perf_counter()  # what was done beside training is not part of the next step's time

    def end(self, step: int, stopped: bool) -> None:
        """The run is over, or has been stopped."""
        self._write("end", step, stopped=stopped)

    def _write(self, kind: str, step: int, **facts: Any) -> None:
        self._file.write(json.dumps({"kind": kind, "step": step} | facts, ensure_ascii=False) + "\n")
        self._file.flush()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Read what a run has written so far; a last line that is not whole is left out."""
    path = folder / METRICS
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
