"""The command line, as learners use it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from bootcamp.course import ROOT, stages

WORDS, UTF8, BPE = (f"stage01_tokenizer/{name}.py" for name in ("words", "utf8", "bpe"))


def test_board_on_a_first_run(copy):
    text = copy().run()
    assert "Welcome" in text and "1.1" in text and "1.9" in text
    assert "0 of 100 points" in text
    assert text.rstrip().splitlines()[-1].strip().endswith("-m bootcamp grade 1.1")


def test_two_exercises_written(copy):
    """Who writes 1.1 and 1.2 only sees those complete, 1.3 next, and the rest untouched."""
    course = copy()
    course.run("solve", "1.1")
    course.run("solve", "1.2")
    report = course.file("report.json")
    course.run("grade", "1", "--json", str(report), code=1)
    exercises = json.loads(report.read_text(encoding="utf-8"))["stages"][0]["exercises"]
    assert [each["status"] for each in exercises] == ["complete"] * 2 + ["todo"] * 7
    for each in exercises[2:]:
        assert {test["outcome"] for test in each["tests"]} == {"todo"}
        assert each["tests"][0]["failure"]["message"].startswith(each["number"])
    board = course.run()
    assert "20 of 100 points" in board
    assert board.rstrip().splitlines()[-1].strip().endswith("-m bootcamp grade 1.3")


def test_grade_exit_codes(copy):
    course = copy()
    course.run("grade", "1.1", code=1)
    course.run("solve", "1.1")
    course.run("grade", "1.1", code=0)
    assert "there is no exercise '1.77'" in course.run("grade", "1.77", code=2)
    assert "there is no stage '9'" in course.run("grade", "9", code=2)
    assert "give the folder" in course.run("grade", "--code", "nowhere", code=2)
    course.run("grade", "--no-such-option", code=2)


def test_a_wrong_one_is_named_and_shown(copy):
    course = copy()
    course.run("solve", "1.4")
    course.edit(BPE, "key=lambda pair: (counts[pair], pair)", "key=counts.get")
    text = " ".join(course.run("grade", "1.4", code=1, width=200).split())
    assert "looks like of pairs that are equally frequent" in text and "expected" in text and "got" in text
    assert text.count("the claim") == 1 and "3 more of its" in text
    every = course.run("grade", "1.4", "--verbose", code=1, width=200)
    assert every.count("the claim") == 4 and "more of its" not in every
    assert "hint 1.4" in text


def test_pytest_gets_its_options():
    """What follows `test` is handed on to pytest."""
    words = [sys.executable, "-m", "bootcamp", "--as-is", "test", "-k", "test_gaps", "-q", "tests/test_splice.py"]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert "5 deselected" in run.stdout, run.stdout + run.stderr


def test_json_and_junit(copy):
    course = copy()
    course.run("solve", "1.1")
    course.run("grade", "1.1", "1.2", "--json", "a/report.json", "--junit", "a/report.xml", code=1)
    report = json.loads(course.file("a/report.json").read_text(encoding="utf-8"))
    assert report["schema"] == 1 and report["earned"] == 8 and report["points"] == 20
    suite = ElementTree.parse(course.file("a/report.xml")).getroot()[0]
    cases = suite.findall("testcase")
    assert len(cases) == int(suite.get("tests", 0))
    assert len(suite.findall("testcase/failure")) == int(suite.get("failures", 0)) > 0


def test_hints_come_one_at_a_time_and_begin_again_when_told(copy):
    course = copy()
    seen = [course.run("hint", "1.4") for _ in range(3)]
    assert [f"Hint {count} of" in text for count, text in enumerate(seen, 1)] == [True] * 3
    assert len({text.split("Hint ")[1][6:] for text in seen}) == 3
    while "no more hints" not in (text := course.run("hint", "1.4")):
        assert "Hint" in text
    assert "diff 1.4" in text
    assert "Hint 1 of" in course.run("hint", "1.4", "--again")
    assert "Hint 2 of" in course.run("hint", "1.4")
    assert "Hint 1 of" in course.run("hint"), "without a number: the next exercise"


def test_solve_and_reset_keep_what_was_there(copy):
    course = copy()
    mine = course.file(BPE).read_text(encoding="utf-8") + "\n\n# my own notes\n"
    course.file(BPE).write_text(mine, encoding="utf-8")
    text = course.run("solve", "1.4")
    kept = course.file(text.split("kept in ")[1].split()[0]) / BPE
    assert kept.read_text(encoding="utf-8") == mine
    solved = course.file(BPE).read_text(encoding="utf-8")
    assert "# my own notes" in solved and '"1.4 ' not in solved and '"1.5 encode_bytes' in solved
    assert "nothing to change" in course.run("solve", "1.4")
    course.run("grade", "1.4")
    course.run("reset", "1.4")
    assert course.file(BPE).read_text(encoding="utf-8") == mine
    backups = list(course.file(".bootcamp/backups").iterdir())
    assert len(backups) == 2


def parts(source: str) -> set[str]:
    """The functions, constants and imported names of a module, in whatever order they stand."""
    kinds = (ast.FunctionDef, ast.Assign, ast.AnnAssign, ast.alias)
    return {ast.dump(node) for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)}


@pytest.mark.parametrize("stage", stages(), ids=lambda stage: stage.name)
def test_solving_each_exercise_alone_gives_the_reference(copy, stage):
    """Helpers and imports that only the solution has come along; a reset brings the holes back, and takes no helper."""
    course = copy()
    reference = sorted(stage.reference.glob("*.py"))
    untouched = {path.name: course.file(f"{stage.name}/{path.name}").read_text("utf-8") for path in reference}
    for exercise in stage.exercises:
        course.run("solve", exercise.number)
    for path in reference:
        made = course.file(f"{stage.name}/{path.name}").read_text("utf-8")
        assert parts(made) == parts(path.read_text("utf-8")), path.name
    for exercise in stage.exercises:
        course.run("reset", exercise.number)
    for name, text in untouched.items():
        assert parts(text) <= parts(course.file(f"{stage.name}/{name}").read_text("utf-8")), name


def test_a_file_that_is_no_python(copy):
    course = copy()
    course.file(BPE).write_text("def count_pairs(:\n", encoding="utf-8")
    assert "line 1" in course.run("solve", "1.4", code=2)
    assert course.file(BPE).read_text(encoding="utf-8") == "def count_pairs(:\n"
    text = course.run("reset", "1.4", "--file")
    assert '"1.4 count_pairs' in course.file(BPE).read_text(encoding="utf-8")
    assert (course.file(text.split("kept in ")[1].split()[0]) / BPE).read_text() == "def count_pairs(:\n"


@pytest.mark.parametrize("width", [60, 140])
def test_diff(copy, width):
    course = copy()
    course.run("solve", "1.4")
    assert "the same" in course.run("diff", "1.4", width=width)
    course.edit(BPE, "    merged, i = [], 0\n", "    merged, i = [], 1\n")
    text = course.run("diff", "1.4", width=width)
    assert "merged, i = [], 1" in text and "merged, i = [], 0" in text
    course.run("reset", "1.4")
    assert "NotImplementedError" in course.run("diff", "1.4", width=width)


def test_without_solutions(copy):
    """An instructor's copy without the reference still grades, with its own code beneath and without names."""
    course = copy()
    for number in ("1.1", "1.3", "1.4"):
        course.run("solve", number)
    import shutil

    shutil.rmtree(course.file("solutions"))
    course.run("grade", "1.1", "1.4", code=0)
    course.edit(BPE, "key=lambda pair: (counts[pair], pair)", "key=counts.get")
    text = course.run("grade", "1.4", code=1)
    assert "looks like" not in text
    for words in (("diff", "1.4"), ("solve", "1.4"), ("reset", "1.4")):
        assert "no solutions/" in course.run(*words, code=2)


def test_plain_pytest(copy):
    import subprocess
    import sys

    course = copy()
    command = [sys.executable, "-m", "pytest", "stage01_tokenizer", "-q"]
    untouched = subprocess.run(command, cwd=course.root, capture_output=True, encoding="utf-8")
    assert untouched.returncode == 1
    assert " passed" not in untouched.stdout and " failed" not in untouched.stdout
    for number in range(1, 10):
        assert f"1.{number} " in untouched.stdout
    assert "1.5 encode_bytes" in untouched.stdout
    reference = subprocess.run([*command, "--solutions"], cwd=course.root, capture_output=True, encoding="utf-8")
    assert reference.returncode == 0, reference.stdout
    assert "complete, 18 points" in reference.stdout
    course.run("solve", "1.1")
    one = subprocess.run([*command, "-k", "1_1"], cwd=course.root, capture_output=True, encoding="utf-8")
    assert one.returncode == 0 and "complete, 8 points" in one.stdout
    part = subprocess.run([*command, "-k", "1_1 and decode"], cwd=course.root, capture_output=True, encoding="utf-8")
    assert part.returncode == 0 and "complete" not in part.stdout
    debug = subprocess.run(
        [*command, "-k", "1_1", "--in-process"], cwd=course.root, capture_output=True, encoding="utf-8"
    )
    assert debug.returncode == 0
