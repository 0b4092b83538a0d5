"""A worker process, and what is known of it from outside."""

from __future__ import annotations

import json
import math
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from bootcamp import course, stages
from bootcamp.grading.worker import source_line


class Process:
    """A worker process, and the lines it writes."""

    def __init__(self, stage: str, scratch: Path) -> None:
        self.scratch = scratch
        self.errors = open(scratch / "stderr", "w+", encoding="utf-8", errors="replace")
        environment = {key: value for key, value in os.environ.items() if key != stages.VARIABLE}
        environment |= {"PYTHONUTF8": "1", "PYTHONPATH": str(course.ROOT)}
        environment.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")  # large pages: cheap forks (ranks.py)
        environment.setdefault("OMP_NUM_THREADS", "1")  # tensors are small here, and several graders may run at once
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bootcamp.grading.worker", stage, str(scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd=course.ROOT,
            env=environment,
            encoding="utf-8",
            start_new_session=True,  # so that what it starts can be ended with it
        )
        self.lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def send(self, command: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def next_event(self, seconds: float) -> dict[str, Any] | None:
        """Give the next event; None if the process ended; raise `TimeoutError` if nothing came."""
        try:
            return self.lines.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None

    def processor_time(self) -> tuple[float, bool]:
        """The seconds of processor that the process has had, and whether it wants more just now.

        Where the system does not tell, infinitely many, and no.
        """
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii", errors="replace")
            state, *fields = stat.rpartition(")")[2].split()
            return (int(fields[10]) + int(fields[11])) / os.sysconf("SC_CLK_TCK"), state in "RD"
        except (OSError, ValueError, AttributeError, IndexError):
            return math.inf, False

    def end(self) -> int:
        """End the process and all that it started; give its exit code."""
        if os.name == "posix":
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        elif self.process.poll() is None:
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(self.process.pid)], capture_output=True)
        code = self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream:
                try:
                    stream.close()
                except OSError:
                    pass
        return code


def last_line_within(trace: str, folder: str) -> str:
    """Find the innermost line of the graded code in what faulthandler wrote: innermost first in each thread."""
    root = os.path.abspath(folder) + os.sep
    for file, number, function in re.findall(r'File "(.+?)", line (\d+) in (.+)', trace):
        if os.path.abspath(file).startswith(root):
            return source_line(file, int(number), function.strip())
    return ""
