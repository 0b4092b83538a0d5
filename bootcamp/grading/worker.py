"""The process that graded code runs in: `python -m bootcamp.grading.worker`.

It collects the graders of one stage with pytest, then runs what it is asked to and reports each test as it ends, as
lines of JSON over its standard input and output. It may be killed at any moment; whoever started it knows from the
last line which test was running, and from the trace file which line.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import linecache
import os
import random
import re
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import pytest
from _pytest.runner import runtestprotocol

from bootcamp import course, stages
from bootcamp.grading import check
from bootcamp.grading.results import Failure
from bootcamp.grading.written import Missing

OUTPUT_LIMIT = 1_000_000  # characters that one test may print
DEADLOCKS = 3  # after so many tests in which ranks waited for each other, each for seconds, the others are not run
MEMORY_LIMIT = 4 << 30  # bytes that one test may take on top of what the process has
HOLE = re.compile(r"^\d+\.\d+ ")  # how the message of a skeleton's NotImplementedError begins
FORMATS = (
    "Tensors of different number formats met in a product: bring all to one format, where they are made or with .to(…)."
)
EXPLAINED = {  # errors that say too little to those who see them for the first time
    r"bad escape \p": r"The pattern language of `re` is smaller; the package `regex` knows \p.",
    "to have the same dtype": FORMATS,
    "expected scalar type": FORMATS,
    "pickle local object": "What a process is to run has to be a function at the level of a module.",
    "get local object": "What a process is to run has to be a function at the level of a module.",
}
GRADER_FILE = re.compile(r"test_(\d+)_(\d+)_\w+\.py")


def exercise_of(file: str) -> str:
    """Say which exercise a grader's file is about: test_1_4_bpe.py is about 1.4; '' for other files."""
    match = GRADER_FILE.fullmatch(Path(file).name)
    return f"{match[1]}.{match[2]}" if match else ""


def claim_of(function: Any) -> str:
    """What a test holds the code to: the first paragraph of its docstring."""
    text = (function.__doc__ or function.__name__.removeprefix("test_").replace("_", " ")).strip()
    return " ".join(text.split("\n\n")[0].split())


# -- what went wrong ---------------------------------------------------------------------------------------------


class OutputFlood(BaseException):
    """The code under test printed too much. Not an `Exception`, so that no `except Exception` swallows it."""


class Output(io.TextIOBase):
    """Takes what the code under test prints, up to a limit."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.size += len(text)
        if self.size > OUTPUT_LIMIT:
            raise OutputFlood(f"printed more than {OUTPUT_LIMIT:,} characters")
        self.parts.append(text)
        return len(text)

    def text(self) -> str:
        whole = "".join(self.parts).strip()
        return whole if len(whole) <= 2000 else whole[:1000] + "\n…\n" + whole[-900:]


def source_line(file: str, number: int, function: str = "") -> str:
    """Show a line of the learner's as it is named in a report."""
    code = linecache.getline(file, number).strip()
    inside = f" in {function}" if function and function != "<module>" else ""
    return f"{Path(file).name}:{number}{inside}" + (f": {code}" if code else "")


def explain(error: BaseException, folder: str) -> Failure:
    """Say in words why a test did not pass; `folder` is where the graded code lies."""
    graded = [frame for frame in traceback.extract_tb(error.__traceback__) if _within(frame.filename, folder)]
    line = source_line(graded[-1].filename, graded[-1].lineno or 0, graded[-1].name) if graded else ""
    text = str(error)
    if isinstance(failure := getattr(error, "failure", None), Failure):  # said already, in a rank (see ranks.py)
        return failure
    if isinstance(error, check.Mismatch):
        return Failure("wrong", error.message, **error.facts)
    if isinstance(error, Missing):
        return Failure("missing", text, why="`python -m bootcamp reset` with the exercise's number puts it back.")
    if isinstance(error, NotImplementedError) and HOLE.match(text):
        return Failure("todo", text.split("; hint:")[0], line=line)
    if isinstance(error, SyntaxError) and error.filename and _within(error.filename, folder):
        line = source_line(error.filename, error.lineno or 0)
        return Failure("error", f"Python cannot read the file: {error.msg}", line=line)
    if isinstance(error, SystemExit):
        return Failure("exit", f"the code ended the program with exit code {error.code}", line=line)
    if isinstance(error, OutputFlood):
        return Failure("output", f"the code {error}", line=line)
    if isinstance(error, MemoryError):
        return Failure("memory", f"the code took more than {MEMORY_LIMIT >> 30} GiB of memory", line=line)
    last = text.strip().splitlines()[-1:] or [""]
    said = f"{type(error).__name__}: {last[0][:500]}" if last[0] else type(error).__name__
    if graded:
        why = next((why for part, why in EXPLAINED.items() if part in said), "")
        return Failure("error", f"the code raised {said}", call=getattr(error, "call", ""), line=line, why=why)
    frames = traceback.extract_tb(error.__traceback__)
    used = next((frame.line for frame in reversed(frames) if exercise_of(frame.filename)), "")
    return Failure("error", f"what came back cannot be used: {said}", call=used or "")


def _within(file: str, folder: str) -> bool:
    return os.path.abspath(file).startswith(os.path.abspath(folder) + os.sep)


# -- running -----------------------------------------------------------------------------------------------------


class Worker:
    """The pytest plugin that turns a pytest session into a server of single tests."""

    def __init__(self, commands: TextIO, reports: TextIO, trace: str) -> None:
        self.commands, self.reports = commands, reports
        self.trace = open(trace, "w", encoding="utf-8")
        self.seed = 0
        self.error: BaseException | None = None
        faulthandler.enable(self.trace)
        _trace_exit(self.trace)

    def send(self, **event: Any) -> None:
        self.reports.write(json.dumps(event) + "\n")
        self.reports.flush()

    @pytest.hookimpl
    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.send(event="broken", text=str(report.longrepr))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Iterator[None]:
        if call.excinfo is not None and self.error is None:
            self.error = call.excinfo.value
        item.repr_failure = _no_words  # pytest's own account of a failure, which nobody reads, takes 50 ms each
        return (yield)

    @pytest.hookimpl
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items if exercise_of(item.nodeid.split("::")[0])}
        self.send(
            event="ready",
            tests=[
                {
                    "nodeid": nodeid,
                    "exercise": exercise_of(nodeid.split("::")[0]),
                    "claim": claim_of(item.function),  # type: ignore[attr-defined]
                    "varied": item.get_closest_marker("varied") is not None,
                }
                for nodeid, item in items.items()
            ],
        )
        for line in self.commands:
            command = json.loads(line)
            self.seed = command["seed"]
            stages.use({name: stages.Source(**source) for name, source in command["layout"].items()})
            linecache.checkcache()
            folder = command["layout"][command["stage"]]["folder"]
            deadlocks = 0
            for nodeid in command["tests"]:
                self.send(event="start", nodeid=nodeid)
                result = self.run(items[nodeid], folder, command["seconds"])
                self.send(event="end", nodeid=nodeid, **result)
                deadlocks += bool(result["failure"] and result["failure"]["kind"] == "deadlock")
                if (result["failure"] and command["stop"]) or deadlocks == DEADLOCKS:
                    break
            self.send(event="done")
        return True

    def run(self, item: Any, folder: str, seconds: float) -> dict[str, Any]:
        """Run one test under a watchdog that writes the trace when its time is up."""
        check.observed.clear()
        self.error = None
        output = Output()
        self.trace.seek(0)
        self.trace.truncate()
        faulthandler.dump_traceback_later(seconds, file=self.trace)
        start = time.perf_counter()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), _bounded_memory():
            try:
                _seed_everything(self.seed)
                results = runtestprotocol(item, log=False, nextitem=None)
                passed = all(result.passed for result in results)
            except BaseException as error:  # what pytest lets through: KeyboardInterrupt, pytest.exit
                self.error, passed = error, False
        taken = time.perf_counter() - start
        faulthandler.cancel_dump_traceback_later()
        failure = None
        if not passed:
            failure = explain(self.error or RuntimeError("the test was skipped"), folder)
            if failure.kind not in ("todo", "output"):
                failure.output = output.text()
        observed = list(check.observed)
        if failure and failure.kind != "wrong":
            observed.append([failure.kind, type(self.error).__name__])
        return {"seconds": taken, "failure": failure and asdict(failure), "observed": observed}


def _no_words(excinfo: Any, style: Any = None) -> str:
    return ""


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    """Let the process take only so much more memory, where the platform can count it."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        yield
        return
    old = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + MEMORY_LIMIT
    if old[1] != resource.RLIM_INFINITY:
        limit = min(limit, old[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, old)


def _trace_exit(trace: TextIO) -> None:
    """Have `os._exit` say which line called it, in this process; its children end as they please."""
    really, here = os._exit, os.getpid()

    def exit_with_trace(status: int) -> Any:
        if os.getpid() == here:
            faulthandler.dump_traceback(trace)
        really(status)

    os._exit = exit_with_trace


def main(stage: str, scratch: str) -> None:
    """Collect the graders of `stage` and serve; all files go into the folder `scratch`."""
    commands = os.fdopen(os.dup(0), encoding="utf-8")
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    worker = Worker(commands, reports, os.path.join(scratch, "trace"))
    off = ("terminal", "cacheprovider", "faulthandler", "threadexception", "unraisableexception", "junitxml")
    options = [part for name in off for part in ("-p", f"no:{name}")]
    options += ["--capture=no", "-W", "ignore", "--basetemp", os.path.join(scratch, "tmp")]
    options += ["--rootdir", str(course.ROOT), "-c", str(course.ROOT / "pyproject.toml")]
    code = pytest.main([*options, str(course.stage_named(stage).folder / "tests")], plugins=[worker])
    worker.send(event="ended", code=int(code))
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
