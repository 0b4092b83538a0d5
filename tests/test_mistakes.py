"""Every named mistake is caught in its own exercise, and called by its own name; no other is."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from thorough import THOROUGH, part, rarer

from bootcamp import course
from bootcamp.grading import mistakes
from bootcamp.grading.grader import Grader
from bootcamp.grading.results import TestResult

MISTAKES = [(stage, mistake) for stage in course.stages() for mistake in mistakes.of_stage(stage)]
SOME_OF_EACH = [
    (stage, mistake)
    for stage in course.stages()
    for exercise in part(stage.exercises, rarer(stage, 2))  # all of one exercise have to be run to name one of them
    for mistake in mistakes.of_exercise(stage, exercise.number)
]
ids = [f"{mistake.exercise} {mistake.name}" for _, mistake in SOME_OF_EACH]
# Mistakes as somebody else would write them: tests/mistakes/STAGE/NAME.py begins with the lines
# "# module: bpe.py", "# exercise: 1.4" and "# name: …", and holds a version of that module.
ELSEWHERE = [
    path
    for stage in course.stages()
    for path in part(sorted((course.ROOT / "tests" / "mistakes" / stage.name).glob("*.py")), rarer(stage, 4))
]


def head_of(path: Path) -> dict[str, str]:
    """What the first three lines of such a file say."""
    lines = path.read_text(encoding="utf-8").splitlines()[:3]
    return {key: value.strip() for key, value in (line[2:].split(":", 1) for line in lines)}


@pytest.fixture(scope="session")
def graders() -> Iterator[dict[str, Grader]]:
    made = {stage.name: Grader(stage, stage.reference, upstream="solutions") for stage in course.stages()}
    yield made
    for grader in made.values():
        grader.close()


@pytest.fixture(scope="session")
def submitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Grader]]:
    """Graders of a copy of each stage's reference, as if somebody had submitted it."""
    made = {}
    for stage in course.stages():
        folder = tmp_path_factory.mktemp("submitted") / stage.name
        shutil.copytree(stage.reference, folder, ignore=shutil.ignore_patterns("__pycache__", "mistakes"))
        made[stage.name] = Grader(stage, folder, upstream="solutions", name_mistakes=False)
    yield made
    for grader in made.values():
        grader.close()


@pytest.fixture(scope="session")
def first_shown(graders) -> Callable[[course.Stage, mistakes.Mistake], TestResult | None]:
    """Give the first test that a mistake fails; what comes after it is not run."""

    @cache
    def run(stage: course.Stage, mistake: mistakes.Mistake) -> TestResult | None:
        with mistake.applied(stage) as folder:
            results = graders[stage.name].on_other_code(folder, stage.exercise(mistake.exercise), stop=True)
        return next((test for test in results if test.outcome == "failed"), None)

    return run


@pytest.mark.parametrize("stage, mistake", SOME_OF_EACH, ids=ids)
def test_is_caught_and_called_by_its_own_name(graders, first_shown, stage: course.Stage, mistake: mistakes.Mistake):
    """Only mistakes that show first in the same test, and in the same way, can be taken for each other.

    One that shows earlier would do so in this mistake's results too; one that shows later does not explain the first.
    """
    mine = first_shown(stage, mistake)
    assert mine and mine.failure, "no test fails"
    others = [(other, first_shown(stage, other)) for other in mistakes.of_exercise(stage, mistake.exercise)]
    alike = [other for other, first in others if first and first.nodeid == mine.nodeid and mistakes.same(mine, first)]
    if alike == [mistake] and mine.failure.kind == "wrong" and not mine.varied:
        return
    known = graders[stage.name].signatures(stage.exercise(mistake.exercise), mine)
    found = mistakes.recognise(known[mistake], known)
    assert found == mistake, f"is taken for: {found and found.name}"


def touched(stage: course.Stage, mistake: mistakes.Mistake) -> set[str]:
    """The other exercises that a mistake could reach: those that need its own, and those written in its file."""
    file, own = Path(mistake.file).stem, mistake.exercise
    return {each.number for each in stage.exercises if own in stage.beneath(each.number) or file in each.modules} - {
        own
    }


def some_of_each() -> list[tuple[course.Stage, mistakes.Mistake]]:
    """One mistake of each stage that touches other exercises, but of the last, where it takes a minute; or all."""
    if THOROUGH:
        return MISTAKES
    some = []
    for stage in course.stages()[:-1]:
        found = mistakes.of_exercise(stage, stage.exercises[1].number)
        middle = found[len(found) // 2 :][:1]  # none where no mistake is known: that is for another test to tell
        some.extend((stage, mistake) for mistake in middle if touched(stage, mistake))
    return some


SOME = some_of_each()


@pytest.mark.parametrize("stage, mistake", SOME, ids=[f"{mistake.exercise} {mistake.name}" for _, mistake in SOME])
def test_costs_its_own_exercise_only(submitted, stage: course.Stage, mistake: mistakes.Mistake):
    """Graded as a submission: what needs the exercise is graded on the reference beneath, and passes."""
    grader, others = submitted[stage.name], touched(stage, mistake)
    path = grader.folder / mistake.file
    right = path.read_text(encoding="utf-8")
    path.write_text(mistake.edited(right), encoding="utf-8")
    known = {number: grader.results[number] for number in grader.results.keys() - {mistake.exercise, *others}}
    grader.results = dict(known)
    try:
        assert grader.exercise(mistake.exercise).status == "wrong"
        for number in others:
            result = grader.exercise(number)
            assert result.status == "complete", f"{number}: {result.first_failure}"
    finally:
        path.write_text(right, encoding="utf-8")
        grader.results = known


@pytest.mark.parametrize("path", ELSEWHERE, ids=[f"{head_of(path)['exercise']} {path.stem}" for path in ELSEWHERE])
def test_is_recognised_in_other_hands(graders, path: Path, tmp_path: Path):
    stage = course.stage_named(path.parent.name)
    head = head_of(path)
    folder = tmp_path / stage.name
    shutil.copytree(stage.reference, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(path, folder / head["module"])
    exercise = stage.exercise(head["exercise"])
    results = graders[stage.name].on_other_code(folder, exercise)
    first = next(test for test in results if test.outcome == "failed")
    found = mistakes.recognise(results, graders[stage.name].signatures(exercise, first))
    assert (found.name if found else "") == head["name"], [test for test in results if test.outcome == "failed"]


def test_there_are_enough():
    for stage in course.stages():
        assert len(mistakes.of_stage(stage)) >= 20
        for exercise in stage.exercises:
            assert mistakes.of_exercise(stage, exercise.number), f"{exercise.number} has no named mistake"


def test_names_are_unique_and_hints_do_not_repeat_them():
    for stage in course.stages():
        names = [(mistake.exercise, mistake.name) for mistake in mistakes.of_stage(stage)]
        assert len(set(names)) == len(names)
        assert all(mistake.hint.endswith(".") and mistake.hint != mistake.name for mistake in mistakes.of_stage(stage))


# -- when a name is given, and when not


def result(nodeid: str, observed: list, kind: str = "wrong", varied: bool = False) -> TestResult:
    from bootcamp.grading.results import Failure

    return TestResult(nodeid, "claim", "failed", failure=Failure(kind, ""), observed=observed, varied=varied)


def passed(nodeid: str) -> TestResult:
    return TestResult(nodeid, "claim", "passed")


def left(nodeid: str) -> TestResult:
    return TestResult(nodeid, "claim", "not run")


ONE, OTHER = (mistakes.Mistake("1.1", name, "hint.", "words.py", ()) for name in ("one", "other"))


@pytest.mark.parametrize(
    "mine, known, name",
    [
        ([result("a", [1, 2])], {ONE: [result("a", [1, 2])]}, "one"),
        ([result("a", [1, 3])], {ONE: [result("a", [1, 2])]}, None),  # another wrong value
        ([result("a", [1]), result("b", [2])], {ONE: [result("a", [1]), passed("b")]}, "one"),  # and something else
        (  # something else comes first
            [result("a", [1]), result("b", [2])],
            {ONE: [passed("a"), result("b", [2])]},
            None,
        ),
        (  # of two that explain a part each, the one that explains what comes first
            [result("a", [1]), result("b", [2])],
            {ONE: [result("a", [1]), passed("b")], OTHER: [passed("a"), result("b", [2])]},
            "one",
        ),
        ([result("a", [1]), passed("b")], {ONE: [result("a", [1]), result("b", [2])]}, None),  # less than the mistake
        ([result("a", [1])], {ONE: [result("a", [1])], OTHER: [result("a", [1])]}, None),  # cannot be told apart
        (  # the larger of two, one of which is a part of the other
            [result("a", [1]), result("b", [2])],
            {ONE: [result("a", [1]), result("b", [2])], OTHER: [result("a", [1])]},
            "one",
        ),
        ([result("a", [1.0001])], {ONE: [result("a", [1.0])]}, "one"),  # rounding
        ([result("a", [1], varied=True)], {ONE: [result("a", [2], varied=True)]}, None),  # no value to go by
        (
            [result("a", [1]), result("b", [5], varied=True)],
            {ONE: [result("a", [1]), result("b", [6], varied=True)]},
            "one",
        ),
        ([result("a", [["error", "E"]], "error")], {ONE: [result("a", [["error", "E"]], "error")]}, "one"),
        (  # an error alone is no evidence if more is wrong than the mistake explains
            [result("a", [["error", "E"]], "error"), result("b", [1])],
            {ONE: [result("a", [["error", "E"]], "error"), passed("b")]},
            None,
        ),
        (  # what was not run, on either side, says nothing
            [result("a", [["deadlock", "E"]], "deadlock"), result("b", [["deadlock", "E"]], "deadlock"), left("c")],
            {ONE: [result("a", [["deadlock", "E"]], "deadlock"), left("b"), result("c", [1])]},
            "one",
        ),
        ([result("a", ["timeout"], "timeout")], {ONE: [result("a", ["timeout"], "timeout")]}, None),
        ([passed("a")], {ONE: [passed("a")]}, None),
    ],
)
def test_recognise(mine, known, name):
    found = mistakes.recognise(mine, known)
    assert (found.name if found else None) == name


def test_what_is_shown_first_is_what_the_name_explains():
    from bootcamp.grading.results import ExerciseResult

    tests = [passed("a"), result("b", [1]), result("c", [2])]
    for explained, first in ((["c"], "c"), (["b", "c"], "b"), ([], "b")):
        shown = ExerciseResult("1.1", "title", 1, False, tests, mistake_tests=explained).first_failure
        assert shown and shown.nodeid == first
    assert ExerciseResult("1.1", "title", 1, False, [passed("a")]).first_failure is None


def test_an_edit_that_does_not_fit_is_an_error():
    mistake = mistakes.Mistake("1.1", "name", "hint.", "words.py", (("not there", "x"),))
    with pytest.raises(ValueError, match="0 times"):
        mistake.edited("some text")
