"""The pytest plugin: `pytest stage01_tokenizer` grades as `python -m bootcamp grade 1` does.

Graders run in a worker process (see `grader.py`), and pytest reports what came of them: -k, -x, --junit-xml
and the rest work as ever. With --pdb, --trace or --in-process they run in pytest's own process, for debugging.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bootcamp import course, progress, stages
from bootcamp.grading.grader import DEFAULT_SEED, Grader
from bootcamp.grading.results import ExerciseResult, TestResult
from bootcamp.grading.worker import exercise_of


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bootcamp", "the course")
    group.addoption("--solutions", action="store_true", help="grade the reference, not your code")
    group.addoption("--code", metavar="DIR", help="grade the stage folders that lie in DIR, not your code")
    group.addoption(
        "--upstream",
        choices=["auto", "mine", "solutions"],
        default="auto",
        help="earlier stages: yours, the reference, or yours where complete (auto, the default)",
    )
    group.addoption("--seed", type=int, default=DEFAULT_SEED, help="where the graders' inputs are drawn from")
    group.addoption("--in-process", action="store_true", help="no worker process: for debuggers")


def stage_of(path: Path) -> course.Stage | None:
    """Say whose grader a file is; None for other tests."""
    for stage in course.stages():
        if path.parent == stage.folder / "tests" and exercise_of(path.name):
            return stage
    return None


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run."""
    worker: Any = request.config.pluginmanager.get_plugin("bootcamp-worker")
    option: Any = request.config.option
    return worker.seed if worker else option.seed


@pytest.fixture
def rng(request: pytest.FixtureRequest, seed: int) -> random.Random:
    """Random numbers of this test: the same in each run with the same seed, others in every other test."""
    return random.Random(f"{seed} {request.node.name}")


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.has_plugin("bootcamp-worker"):
        return
    if config.getoption("in_process") or config.getoption("usepdb") or config.getoption("trace"):
        config.pluginmanager.register(_InProcess(config), "bootcamp-in-process")
    else:
        config.pluginmanager.register(_Isolated(config), "bootcamp-isolated")


class _Choice:
    """Whose code is graded, as the options say."""

    def __init__(self, config: pytest.Config) -> None:
        option: Any = config.option
        self.upstream: str = option.upstream
        self.seed: int = option.seed
        self.root = Path(option.code or (course.SOLUTIONS if option.solutions else course.ROOT))

    def folder(self, stage: course.Stage) -> Path:
        folder = self.root.resolve() / stage.name
        if not folder.is_dir():
            raise pytest.UsageError(f"there is no {stage.name} in {self.root}")
        return folder


class _InProcess:
    """Runs graders where pytest runs, on the chosen code."""

    def __init__(self, config: pytest.Config) -> None:
        self.choice = _Choice(config)
        self.stage: course.Stage | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        stage = stage_of(item.path)
        if stage and stage != self.stage:
            stages.use(stages.layout_for(stage, self.choice.folder(stage), self.choice.upstream))
            self.stage = stage


class _Isolated:
    """Runs graders in worker processes, an exercise at a time, and hands pytest the results."""

    def __init__(self, config: pytest.Config) -> None:
        self.choice = _Choice(config)
        self.graders: dict[str, Grader] = {}
        self.tests: dict[str, TestResult] = {}
        self.exercises: dict[str, tuple[ExerciseResult, bool]] = {}  # by number; whether all its tests were asked for

    def grader(self, stage: course.Stage) -> Grader:
        if stage.name not in self.graders:
            choice = self.choice
            self.graders[stage.name] = Grader(stage, choice.folder(stage), choice.upstream, choice.seed)
        return self.graders[stage.name]

    @pytest.hookimpl
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Note which tests of each exercise are asked for, before the first of them runs."""
        self.asked: dict[tuple[str, str], list[str]] = {}
        for item in session.items:
            if stage := stage_of(item.path):
                self.asked.setdefault((stage.name, exercise_of(item.path.name)), []).append(item.nodeid)

    @pytest.hookimpl
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        stage = stage_of(item.path)
        if not stage:
            return None
        if item.nodeid not in self.tests:
            self._grade(stage, exercise_of(item.path.name))
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in _reports(item, self.tests[item.nodeid], self.exercises[exercise_of(item.path.name)][0]):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _grade(self, stage: course.Stage, number: str) -> None:
        grader, asked = self.grader(stage), self.asked[stage.name, number]
        whole = len(asked) == sum(test["exercise"] == number for test in grader.tests())
        result = grader.exercise(number, None if whole else asked)
        self.exercises[number] = result, whole
        self.tests |= {test.nodeid: test for test in result.tests}

    @pytest.hookimpl
    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        return [f"graded code: {self.choice.root}", f"seed: {self.choice.seed}; another: --seed N"]

    @pytest.hookimpl
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        return getattr(report, "waits", None)

    @pytest.hookimpl
    def pytest_sessionfinish(self) -> None:
        for grader in self.graders.values():
            if grader.folder == grader.stage.folder:
                progress.record(grader.stage, grader.results.values())
            grader.close()

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.exercises:
            return
        terminalreporter.section("exercises")
        for name, grader in self.graders.items():
            for before, source in grader.layout.items():
                if before < name:
                    terminalreporter.line(f"{before}: {source.why}")
        for number, (result, whole) in sorted(self.exercises.items(), key=lambda each: _order(each[0])):
            passed = sum(test.outcome == "passed" for test in result.tests)
            line = f"{number:5}{result.title:34} {passed:3} of {len(result.tests)} tests  "
            first = result.first_failure
            if result.status == "complete":
                line += f"complete, {result.points} points" if whole else "passed"
            elif first and first.failure:
                line += first.failure.message if result.status == "todo" else "not yet right"
                line += (
                    f" ({first.failure.line.split(':')[0]})" if result.status == "todo" and first.failure.line else ""
                )
            if result.mistake:
                line += f": {result.mistake}"
            terminalreporter.line(line.rstrip())


def _order(number: str) -> tuple[int, ...]:
    return tuple(map(int, number.split(".")))


def _reports(item: pytest.Item, test: TestResult, exercise: ExerciseResult) -> Iterator[pytest.TestReport]:
    """Say to pytest what became of a test, as the three phases that it expects."""
    waits = {"todo": ("todo", "t", "TODO"), "not run": ("not run", "-", "NOT RUN")}.get(test.outcome)
    for when in ("setup", "call", "teardown"):
        outcome: Any = "passed" if when != "call" or test.outcome == "passed" else "failed"
        yield pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords=dict.fromkeys(item.keywords, 1),
            outcome=outcome,
            longrepr=failure_text(test, exercise) if outcome == "failed" else None,
            when=when,  # type: ignore[arg-type]
            duration=test.seconds if when == "call" else 0.0,
            waits=waits if when == "call" else None,
        )


def failure_text(test: TestResult, exercise: ExerciseResult) -> str:
    """Lay a failure out as plain text."""
    if not test.failure:
        return "not run: the exercise was stopped before"
    lines = [test.claim, "", test.failure.message]
    for label, text in test.failure.rows():
        lines += [f"  {label:9} {line}" if i == 0 else f"  {'':9} {line}" for i, line in enumerate(text.split("\n"))]
    if test.nodeid in exercise.mistake_tests:
        lines += ["", f"This looks like a known mistake: {exercise.mistake}.", exercise.mistake_hint]
    lines += ["", f"hint: python -m bootcamp hint {exercise.number}"]
    return "\n".join(lines)
