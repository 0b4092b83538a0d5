"""The registry, the lessons, the graders and the hints agree."""

from __future__ import annotations

import re

import pytest

from bootcamp import course, lesson
from bootcamp.grading.worker import exercise_of

STAGES = pytest.mark.parametrize("stage", course.stages(), ids=lambda stage: stage.name)


@STAGES
def test_the_core_is_worth_100_points(stage: course.Stage):
    assert sum(exercise.points for exercise in stage.core) == 100


@STAGES
def test_numbers_count_up(stage: course.Stage):
    expected = [f"{stage.number}.{count}" for count in range(1, len(stage.exercises) + 1)]
    assert [exercise.number for exercise in stage.exercises] == expected


@STAGES
def test_needs_come_before(stage: course.Stage):
    for exercise in stage.exercises:
        for number in exercise.needs:
            needed = stage.exercise(number)
            assert stage.exercises.index(needed) < stage.exercises.index(exercise)
            assert exercise.advanced or not needed.advanced


@STAGES
def test_each_exercise_has_one_file_of_graders(stage: course.Stage):
    files = [path.name for path in (stage.folder / "tests").glob("*.py")]
    assert sorted(map(exercise_of, files)) == sorted(exercise.number for exercise in stage.exercises)


@STAGES
def test_hints(stage: course.Stage):
    for exercise in stage.exercises:
        assert 3 <= len(exercise.hints) <= 5, exercise.number
        assert all(len(hint) > 40 for hint in exercise.hints), exercise.number


@STAGES
def test_the_lesson_has_a_section_for_each_exercise(stage: course.Stage):
    text = (stage.folder / "README.md").read_text(encoding="utf-8")
    headings = lesson.headings(text)
    for exercise in stage.exercises:
        assert f"{exercise.number} {exercise.title}" + (" +" if exercise.advanced else "") in headings
        assert "#" in lesson.section_link(stage, exercise)


def test_links_and_pictures_are_there():
    """Every relative link in every Markdown file leads to a file, and to a heading where it names one."""
    for path in [*course.ROOT.glob("*.md"), *course.ROOT.glob("stage*/*.md")]:
        text = path.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if link.startswith(("http:", "https:")):
                continue
            file, _, anchor = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), f"{path.name} links to {link}"
            if anchor:
                anchors = [lesson.anchor(each) for each in lesson.headings(target.read_text(encoding="utf-8"))]
                assert anchor in anchors, f"{path.name} links to {link}"


def test_the_project_speaks_of_itself_alone():
    """No path of the machine it was made on, and no word on how graders could be found out."""
    for path in course.ROOT.rglob("*"):
        if path.suffix in (".py", ".md", ".toml", ".ipynb", ".yml", ".svg", ".txt") and not any(
            part.startswith(".") and part != ".github" for part in path.relative_to(course.ROOT).parts
        ):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"/(root|home|Users)/[a-z]", text), path
