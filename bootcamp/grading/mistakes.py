"""Mistakes with names: what people really get wrong, and how a learner's failure is recognised as one of them.

Beside the reference solution of a stage, `mistakes/` has a file for each exercise, whose `MISTAKES` lists them. Each is
an edit of the reference that makes it wrong in one plausible way; graded like a submission, it shows what such a
mistake does in each test. A learner's mistake is that one if all that it gets wrong, the learner's code gets wrong in
the same way.
"""

from __future__ import annotations

import contextlib
import runpy
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bootcamp.course import Stage
from bootcamp.grading.observe import alike
from bootcamp.grading.results import TestResult


class NoSuchLine(ValueError):
    """A mistake edits a line that the reference does not have, or has more than once."""


@dataclass(frozen=True)
class Mistake:
    """One way to get an exercise wrong.

    Args:
        exercise: the number of the exercise.
        name: what is wrong, in plain words, as it is told to a learner.
        hint: what to look at.
        file: the module of the reference that is edited.
        edits: (right, wrong) pairs; `right` stands in that file exactly once.
    """

    exercise: str
    name: str
    hint: str
    file: str
    edits: tuple[tuple[str, str], ...]

    def edited(self, source: str) -> str:
        """Make the mistake in the text of the reference."""
        for right, wrong in self.edits:
            if source.count(right) != 1:
                raise NoSuchLine(
                    f"mistake {self.exercise} {self.name!r}: {self.file} holds this {source.count(right)} times, "
                    f"not once: {right!r}"
                )
            source = source.replace(right, wrong)
        return source

    @contextlib.contextmanager
    def applied(self, stage: Stage) -> Iterator[Path]:
        """Give a folder with the reference of `stage` in which the mistake is made."""
        with tempfile.TemporaryDirectory(prefix="bootcamp-") as scratch:
            folder = Path(scratch) / stage.name
            shutil.copytree(stage.reference, folder, ignore=shutil.ignore_patterns("__pycache__", "mistakes"))
            path = folder / self.file
            path.write_text(self.edited(path.read_text(encoding="utf-8")), encoding="utf-8")
            yield folder


@cache
def of_stage(stage: Stage) -> tuple[Mistake, ...]:
    """The known mistakes of a stage; none where the copy of the course has no solutions."""
    files = (stage.reference / "mistakes" / f"{exercise.number.replace('.', '_')}.py" for exercise in stage.exercises)
    return tuple(mistake for path in files if path.is_file() for mistake in runpy.run_path(str(path))["MISTAKES"])


def of_exercise(stage: Stage, number: str) -> list[Mistake]:
    return [mistake for mistake in of_stage(stage) if mistake.exercise == number]


def recognise(tests: Sequence[TestResult], known: Mapping[Mistake, Sequence[TestResult]]) -> Mistake | None:
    """Find the one known mistake that explains these results; None if none does, or more than one.

    A wrong name is worse than none, so the evidence has to be a value that came out wrong in the same way. Where a
    mistake shows only as an error that is raised, the results must be wrong in its tests and in no other. The name is
    read beside the first test that fails, so that is one of those that the mistake explains.
    """
    mine = {test.nodeid: test for test in tests}
    ran_here = {test.nodeid for test in tests if test.outcome != "not run"}
    failed = [test.nodeid for test in tests if test.outcome == "failed"]
    explained: dict[Mistake, set[str]] = {}
    for mistake, signature in known.items():
        ran = {test.nodeid for test in signature if test.outcome != "not run"} & ran_here
        wrong = [test for test in signature if test.outcome == "failed" and test.nodeid in ran]
        names = {test.nodeid for test in wrong}
        if not names.issuperset(failed[:1]) or not all(same(mine[test.nodeid], test) for test in wrong):
            continue
        kinds = {test.failure.kind for test in wrong if test.failure and not test.varied}
        if "wrong" in kinds or (kinds & {"error", "deadlock"} and names == ran.intersection(failed)):
            explained[mistake] = names
    # A mistake that explains less than another one, and nothing besides, is a part of that other one.
    best = [one for one in explained if not any(explained[one] < explained[other] for other in explained)]
    return best[0] if len(best) == 1 else None


def same(mine: TestResult, known: TestResult) -> bool:
    """Say whether two runs of one test went wrong in the same way."""
    return mine.outcome == known.outcome == "failed" and (known.varied or alike(mine.observed, known.observed))
