"""The graders: the reference passes, skeletons do not, other correct versions do, under any seed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from thorough import THOROUGH, part

from bootcamp import course
from bootcamp.commands.maintain import all_skeletons
from bootcamp.grading.grader import Grader
from bootcamp.grading.results import ExerciseResult

STAGES = course.stages()
ALTERNATIVES = sorted((course.ROOT / "tests" / "alternatives").glob("*/*"))
# One seed beside the first, which other tests use, since each stage takes seconds; in thorough tests ten.
SEEDS = range(2, 12 if THOROUGH else 3)


def grade_all(stage: course.Stage, folder: Path, seed: int = 1) -> dict[str, ExerciseResult]:
    with Grader(stage, folder, upstream="solutions", seed=seed, name_mistakes=False) as grader:
        return {exercise.number: grader.exercise(exercise.number) for exercise in stage.exercises}


def why(results: dict[str, ExerciseResult]) -> str:
    """What did not pass, in words."""
    bad = [(result.number, result.first_failure) for result in results.values() if result.status != "complete"]
    return "\n".join(
        f"{number}: {test.nodeid}: {test.failure}" if test else f"{number} has no test" for number, test in bad
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stage", STAGES if THOROUGH else STAGES[-1:], ids=lambda stage: stage.name)
def test_the_reference_passes_under_any_seed(stage: course.Stage, seed: int):
    results = grade_all(stage, stage.reference, seed)
    assert not why(results), why(results)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_nothing_passes_on_the_skeleton(stage: course.Stage, tmp_path: Path):
    """Each test of each exercise waits for a hole of that exercise."""
    folder = tmp_path / stage.name
    folder.mkdir()
    for path, text in all_skeletons().items():
        if path.parent == stage.folder:
            (folder / path.name).write_text(text, encoding="utf-8")
    for number, result in grade_all(stage, folder).items():
        assert result.status == "todo" and result.tests, number
        for test in result.tests:
            assert test.outcome == "todo", f"{test.nodeid} {test.outcome}: {test.failure}"
            assert test.failure and test.failure.message.startswith(f"{number} "), test.failure
            assert test.failure.line, "the place of the TODO is named"


@pytest.mark.parametrize("folder", part(ALTERNATIVES, 3), ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_other_correct_versions_pass(folder: Path, tmp_path: Path):
    stage = course.stage_named(folder.parent.name)
    code = tmp_path / stage.name
    shutil.copytree(stage.reference, code, ignore=shutil.ignore_patterns("__pycache__", "mistakes"))
    shutil.copytree(folder, code, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for seed in (1, *SEEDS) if THOROUGH else (1,):
        results = grade_all(stage, code, seed)
        assert not why(results), why(results)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_each_module_of_an_exercise_has_two_alternatives(stage: course.Stage):
    folders = [folder for folder in ALTERNATIVES if folder.parent.name == stage.name]
    for exercise in stage.exercises:
        for module in exercise.modules:
            versions = [folder for folder in folders if (folder / f"{module}.py").is_file()]
            assert len(versions) >= 2, f"{exercise.number}: {module}.py has {len(versions)} alternatives"


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_graders_never_touch_the_reference(stage: course.Stage):
    for path in (stage.folder / "tests").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "solutions" not in text, path
        assert f"from {stage.name}" not in text and f"import {stage.name}" not in text, f"{path} imports graded code"
