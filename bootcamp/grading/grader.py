"""Runs the graders of one stage on some code, and makes of it what the learner reads."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bootcamp import course, stages
from bootcamp.grading import mistakes
from bootcamp.grading.process import Process, last_line_within
from bootcamp.grading.results import ExerciseResult, Failure, Report, TestResult

DEFAULT_SEED = 1
GRACE = 2.0  # seconds between the watchdog's trace and the end of a test that overruns
BUSY = 6  # how many times longer a test may take that waits for a processor which others use
START_LIMIT = 300.0  # seconds that a worker may take to import and collect


class GraderBroken(course.CourseError):
    """The graders themselves cannot run; not the fault of what is graded."""


class Grader:
    """Grades the exercises of one stage, in a worker process that is started again whenever it dies.

    Use it as a context manager, so that no process and no file is left behind:

        with Grader(course.stage_named("1")) as grader:
            result = grader.exercise("1.4")
    """

    def __init__(
        self,
        stage: course.Stage,
        folder: Path | None = None,
        upstream: str = "auto",
        seed: int = DEFAULT_SEED,
        name_mistakes: bool = True,
        patience: float = 1.0,
    ) -> None:
        """Prepare to grade the code in `folder` (the learner's if not given).

        Args:
            stage: whose graders to run.
            folder: where the graded modules lie.
            upstream: where earlier stages come from (see `stages.layout_for`).
            seed: where the graders' inputs are drawn from.
            name_mistakes: compare failures with the known mistakes.
            patience: what all time limits are multiplied by.
        """
        self.stage, self.seed, self.patience = stage, seed, patience
        self.folder = folder or stage.folder
        self.layout = stages.layout_for(stage, self.folder, upstream)
        self.name_mistakes = name_mistakes
        self.results: dict[str, ExerciseResult] = {}
        self._scratch = Path(tempfile.mkdtemp(prefix="bootcamp-"))
        self._process: Process | None = None
        self._tests: list[dict[str, Any]] = []
        self._signatures: dict[mistakes.Mistake, dict[str, TestResult]] = {}

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._process:
            self._process.end()
            self._process = None
        shutil.rmtree(self._scratch, ignore_errors=True)

    # -- what callers ask for

    def exercise(self, number: str, only: Sequence[str] | None = None) -> ExerciseResult:
        """Grade one exercise, or the tests `only` of it.

        Exercises that it needs and that are not complete are taken from the reference, so that a mistake in one
        costs the points of that one alone.
        """
        if only is None and number in self.results:
            return self.results[number]
        exercise = self.stage.exercise(number)
        beneath = self._incomplete_needs(exercise) if self.stage.reference.is_dir() else []
        nodeids = [test["nodeid"] for test in self.tests() if test["exercise"] == number]
        if only is not None:
            nodeids = [nodeid for nodeid in nodeids if nodeid in only]
        tests = self._run(nodeids, exercise, self._layout_with(exercise, beneath))
        result = ExerciseResult(number, exercise.title, exercise.points, exercise.advanced, tests, beneath)
        if self.name_mistakes and result.status == "wrong":
            signatures = self.signatures(exercise, next(test for test in tests if test.outcome == "failed"))
            if known := mistakes.recognise(tests, signatures):
                result.mistake, result.mistake_hint = known.name, known.hint
                result.mistake_tests = [test.nodeid for test in signatures[known] if test.outcome == "failed"]
        if only is None:
            self.results[number] = result
        return result

    def report(self, numbers: Sequence[str], each: Callable[[ExerciseResult], None] | None = None) -> Report:
        """Grade these exercises in order; `each` is called as soon as one is graded."""
        start = time.perf_counter()
        results = []
        for number in numbers:
            results.append(self.exercise(number))
            if each:
                each(results[-1])
        before = {name: source.why for name, source in self.layout.items() if name < self.stage.name}
        code = "yours" if self.folder == self.stage.folder else str(self.folder)
        if self.folder == self.stage.reference:
            code = "the reference"
        taken = time.perf_counter() - start
        return Report(self.stage.name, self.stage.title, code, before, self.seed, results, taken)

    def tests(self) -> list[dict[str, Any]]:
        """All tests of the stage: node id, exercise, claim."""
        if not self._tests:
            self._start()
        return self._tests

    def forget(self) -> None:
        """Take nothing that was graded before for granted; the code has changed."""
        self.results.clear()

    def signatures(
        self, exercise: course.Exercise, like: TestResult | None = None
    ) -> dict[mistakes.Mistake, list[TestResult]]:
        """What each known mistake of the exercise does in its tests.

        Args:
            exercise: whose mistakes.
            like: take only those that do the same in this test, which takes one test for each of the others.
        """
        found = {}
        for mistake in mistakes.of_exercise(self.stage, exercise.number):
            known = self._signatures.setdefault(mistake, {})
            nodeids = [test["nodeid"] for test in self.tests() if test["exercise"] == exercise.number]
            try:
                with mistake.applied(self.stage) as folder:
                    for some in ([like.nodeid] if like else [], nodeids):
                        if missing := [nodeid for nodeid in some if nodeid not in known]:
                            tests = self.on_other_code(folder, exercise, only=missing)
                            known.update((test.nodeid, test) for test in tests)
                        if like and not mistakes.same(like, known[like.nodeid]):
                            break
                    else:
                        found[mistake] = [known[nodeid] for nodeid in nodeids]
            except mistakes.NoSuchLine:  # the reference was changed: for the course's tests, not for a learner
                continue
        return found

    def on_other_code(
        self,
        folder: Path,
        exercise: course.Exercise,
        seconds: float = 0.0,
        stop: bool = False,
        only: Sequence[str] | None = None,
    ) -> list[TestResult]:
        """Run the tests of an exercise on the code in another folder.

        Args:
            folder: where its modules lie.
            exercise: whose tests to run.
            seconds: the time limit of a test; the exercise's own if not given.
            stop: end with the first test that does not pass.
            only: the tests to run; all if not given.
        """
        nodeids = [test["nodeid"] for test in self.tests() if test["exercise"] == exercise.number]
        nodeids = [nodeid for nodeid in nodeids if only is None or nodeid in only]
        layout = self.layout | {self.stage.name: stages.Source(str(folder))}
        return self._run(nodeids, exercise, layout, seconds, stop)

    # -- how it is done

    def _incomplete_needs(self, exercise: course.Exercise) -> list[str]:
        """The exercises beneath this one that are not complete, those beneath them included."""
        needs = sorted(self.stage.beneath(exercise.number))
        return [number for number in needs if self.exercise(number).status != "complete"]

    def _layout_with(self, exercise: course.Exercise, beneath: Sequence[str]) -> stages.Layout:
        """The layout in which the reference stands in for some exercises, and for all that these need.

        The classes of one author would not know those of another.
        """

        def names(one: course.Exercise) -> set[str]:
            return {".".join(function.split(".")[:2]) for function in one.functions}

        numbers = set(beneath).union(*map(self.stage.beneath, beneath))
        taken = {name for number in numbers for name in names(self.stage.exercise(number))} - names(exercise)
        own = self.layout[self.stage.name]
        return self.layout | {self.stage.name: stages.Source(own.folder, own.why, tuple(sorted(taken)))}

    def _start(self) -> Process:
        scratch = Path(tempfile.mkdtemp(dir=self._scratch))
        process = Process(self.stage.name, scratch)
        self._process = process
        broken = ""
        while True:
            try:
                event = process.next_event(START_LIMIT)
            except TimeoutError:
                raise GraderBroken(f"the graders of {self.stage.name} did not start in {START_LIMIT:.0f} s") from None
            if event is None:
                code = process.process.wait()
                said = (scratch / "stderr").read_text(encoding="utf-8", errors="replace").strip()[-2000:]
                raise GraderBroken(f"the graders of {self.stage.name} did not start (exit code {code}).\n{said}")
            if event["event"] == "broken":
                broken += event["text"] + "\n"
            elif event["event"] == "ended":
                raise GraderBroken(f"the graders of {self.stage.name} cannot be collected.\n{broken}".strip())
            elif event["event"] == "ready":
                if broken:
                    raise GraderBroken(f"the graders of {self.stage.name} cannot be collected.\n{broken}".strip())
                self._tests = event["tests"]
                return process

    def _run(
        self,
        nodeids: Sequence[str],
        exercise: course.Exercise,
        layout: stages.Layout,
        seconds: float = 0.0,
        stop: bool = False,
    ) -> list[TestResult]:
        """Run tests one after the other; what overruns, dies or waits for ever too often ends the exercise."""
        about = {test["nodeid"]: test for test in self.tests()}
        results = [
            TestResult(nodeid, about[nodeid]["claim"], "not run", varied=about[nodeid]["varied"]) for nodeid in nodeids
        ]
        if not nodeids:
            return results
        process = self._process or self._start()
        seconds = (seconds or exercise.seconds) * self.patience
        process.send(
            {
                "stage": self.stage.name,
                "tests": list(nodeids),
                "layout": {name: asdict(source) for name, source in layout.items()},
                "seed": self.seed,
                "seconds": seconds,
                "stop": stop,
            }
        )
        by_id = {result.nodeid: result for result in results}
        running: TestResult | None = None
        begun, before = time.monotonic(), process.processor_time()[0]
        folder = layout[self.stage.name].folder
        while True:
            try:
                event = process.next_event(seconds + GRACE)
            except TimeoutError:
                used, starving = process.processor_time()
                if starving and used - before < seconds and time.monotonic() - begun < BUSY * seconds:
                    continue
                self._lose(
                    running or results[0],
                    "timeout",
                    folder,
                    f"stopped after {seconds:.0f} s: an endless loop, or far too many steps",
                )
                return results
            if event is None:
                self._lose(running or results[0], "crash", folder)
                return results
            if event["event"] == "done":
                return results
            if event["event"] == "start":
                running = by_id[event["nodeid"]]
                begun, before = time.monotonic(), process.processor_time()[0]
            elif event["event"] == "end" and running:
                running.seconds, running.observed = event["seconds"], event["observed"]
                running.failure = Failure(**event["failure"]) if event["failure"] else None
                kind = running.failure.kind if running.failure else ""
                running.outcome = {"": "passed", "todo": "todo"}.get(kind, "failed")  # type: ignore[assignment]

    def _lose(self, test: TestResult, kind: str, folder: str, message: str = "") -> None:
        """Note what became of a test whose worker had to be, or was, ended."""
        process, self._process = self._process, None
        assert process
        if kind == "crash":
            try:
                process.process.wait(timeout=GRACE)
            except subprocess.TimeoutExpired:
                pass
        code = process.end()
        trace = (process.scratch / "trace").read_text(encoding="utf-8", errors="replace")
        line = last_line_within(trace, folder)
        if kind == "crash" and code >= 0:
            kind, message = "exit", f"the code ended the process with exit code {code}"
        elif kind == "crash":
            message = f"the interpreter crashed ({signal.Signals(-code).name})"
        test.outcome = "failed"
        test.failure = Failure(kind, message, line=line)
        test.observed = [kind]
        shutil.rmtree(process.scratch, ignore_errors=True)
