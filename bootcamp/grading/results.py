"""What grading gives: one schema, from which every output is made.

The schema is `Report` as JSON, `"schema": 1`. Fields are only added; a field that changes its meaning raises the
number.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Literal
from xml.etree import ElementTree

SCHEMA = 1

Outcome = Literal["passed", "failed", "todo", "not run"]
Status = Literal["complete", "wrong", "todo"]


@dataclass
class Failure:
    """Why a test did not pass, in parts that each output lays out in its own way."""

    kind: str  # wrong, error, todo, missing, timeout, deadlock, crash, exit, memory, output
    message: str  # one sentence
    call: str = ""  # what the grader called
    expected: str = ""
    got: str = ""
    differs: str = ""  # where expected and got first differ
    why: str = ""  # what is behind it
    line: str = ""  # the learner's own line: "bpe.py:42 in merge_pair: while i < len(word):"
    output: str = ""  # what the code printed

    def rows(self) -> list[tuple[str, str]]:
        """The parts that are there, each under its label, in the order to read them."""
        parts = ("call", "expected", "got", "differs", "line", "why", "output")
        return [(name, text) for name in parts if (text := getattr(self, name))]


@dataclass
class TestResult:
    """What one test of an exercise said."""

    __test__ = False  # not a test itself, whatever pytest makes of the name

    nodeid: str
    claim: str  # what the test holds the code to, in words
    outcome: Outcome
    seconds: float = 0.0
    failure: Failure | None = None
    observed: list = field(default_factory=list, repr=False)  # what the code did, for naming a mistake
    varied: bool = False  # what it does wrong varies from one author to the next: only that it fails counts


@dataclass
class ExerciseResult:
    """What became of one exercise."""

    number: str
    title: str
    points: int
    advanced: bool
    tests: list[TestResult]
    beneath: list[str] = field(default_factory=list)  # exercises that the reference stood in for
    mistake: str = ""  # the name of the known mistake that explains the failure
    mistake_hint: str = ""
    mistake_tests: list[str] = field(default_factory=list)  # the failed tests that it explains

    @property
    def status(self) -> Status:
        outcomes = {test.outcome for test in self.tests}
        return "complete" if outcomes == {"passed"} else "wrong" if "failed" in outcomes else "todo"

    @property
    def to_write(self) -> list[str]:
        """The functions that tests wait for, each once."""
        holes = [test.failure.message for test in self.tests if test.outcome == "todo" and test.failure]
        return list(dict.fromkeys(hole.partition(": ")[0].partition(" ")[2] for hole in holes))

    @property
    def earned(self) -> int:
        return self.points if self.status == "complete" else 0

    @property
    def first_failure(self) -> TestResult | None:
        """The test to look at first: one that the named mistake explains, or that failed, or waits for a TODO."""
        bad = [test for test in self.tests if test.failure]
        failed = [test for test in bad if test.outcome == "failed"]
        return next((test for test in failed if test.nodeid in self.mistake_tests), (*failed, *bad, None)[0])


@dataclass
class Report:
    """What one run of the graders of one stage gave."""

    stage: str
    title: str
    code: str  # whose code was graded
    upstream: dict[str, str]  # where each earlier stage came from, and why
    seed: int
    exercises: list[ExerciseResult]
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return all(exercise.status == "complete" for exercise in self.exercises)


def as_json(reports: list[Report]) -> str:
    """Write reports in the schema."""

    def exercise(result: ExerciseResult) -> dict:
        table = asdict(result) | {"status": result.status, "earned": result.earned}
        for test in table["tests"]:
            del test["observed"], test["varied"]
        return table

    stages = [asdict(report) | {"exercises": [exercise(each) for each in report.exercises]} for report in reports]
    core = [each for report in reports for each in report.exercises if not each.advanced]
    extra = [each for report in reports for each in report.exercises if each.advanced]
    return json.dumps(
        {
            "schema": SCHEMA,
            "earned": sum(each.earned for each in core),
            "points": sum(each.points for each in core),
            "extra_earned": sum(each.earned for each in extra),
            "stages": stages,
        },
        indent=1,
        ensure_ascii=False,
    )


def as_junit(reports: list[Report]) -> str:
    """Write reports as JUnit XML: a suite for each stage, a case for each test."""
    root = ElementTree.Element("testsuites")
    for report in reports:
        suite = ElementTree.SubElement(root, "testsuite", name=report.stage, time=f"{report.seconds:.3f}")
        tests = [(exercise, test) for exercise in report.exercises for test in exercise.tests]
        suite.set("tests", str(len(tests)))
        suite.set("failures", str(sum(test.outcome != "passed" for _, test in tests)))
        for exercise, test in tests:
            name = test.nodeid.rpartition("::")[2]
            case = ElementTree.SubElement(suite, "testcase", name=name, time=f"{test.seconds:.3f}")
            case.set("classname", f"{report.stage}.{exercise.number} {exercise.title}")
            if test.outcome == "not run":
                ElementTree.SubElement(case, "skipped", message="not run after what came before")
            elif test.failure:
                node = ElementTree.SubElement(case, "failure", message=test.failure.message, type=test.failure.kind)
                node.text = "\n".join(f"{label}: {text}" for label, text in test.failure.rows())
                if test.nodeid in exercise.mistake_tests:
                    node.text += f"\nlooks like: {exercise.mistake}"
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode", xml_declaration=False)
    legal = "".join(char for char in text if char in "\t\n" or (char >= " " and char not in "\ufffe\uffff"))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + legal + "\n"
