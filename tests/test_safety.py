"""Whatever graded code does, it costs its own exercise only, and the learner is told what and where."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bootcamp import course
from bootcamp.grading import grader
from bootcamp.grading.process import Process

WORDS, UTF8 = "stage01_tokenizer/words.py", "stage01_tokenizer/utf8.py"
ENCODE = "        # TODO 1.1: look up each word of the text\n"


def graded(course_copy, *numbers: str, env: dict[str, str] | None = None) -> dict[str, dict]:
    """Grade, and give the exercises of the JSON report by number."""
    file = course_copy.file("report.json")
    course_copy.run("grade", *numbers, "--json", str(file), code=None, env=env)
    report = json.loads(file.read_text(encoding="utf-8"))
    return {each["number"]: each for stage in report["stages"] for each in stage["exercises"]}


def first_failure(exercise: dict) -> dict:
    return next(test["failure"] for test in exercise["tests"] if test["outcome"] == "failed")


@pytest.fixture
def written(copy):
    """A course in which 1.1 and 1.2 are solved."""
    course_copy = copy()
    course_copy.run("solve", "1.1")
    course_copy.run("solve", "1.2")
    return course_copy


@pytest.mark.parametrize(
    "line, kind, word",
    [
        ("import sys; sys.exit(0)", "exit", "exit code 0"),
        ("import os; os._exit(0)", "exit", "exit code 0"),
        ("raise KeyboardInterrupt", "error", "KeyboardInterrupt"),
        ("import ctypes; ctypes.string_at(0)", "crash", "crashed"),
        ("while True: print('x' * 1000)", "output", "printed more than"),
        ("import pytest; pytest.skip('no', allow_module_level=True)", "error", "Skipped"),
        ("import pytest; pytest.exit('no')", "error", "Exit"),
        ("def broken(:", "error", "Python cannot read the file"),
    ],
)
def test_at_import(written, line: str, kind: str, word: str):
    written.edit(WORDS, "from collections import Counter\n", f"from collections import Counter\n{line}\n")
    results = graded(written, "1.1", "1.2")
    assert results["1.1"]["status"] == "wrong" and results["1.1"]["earned"] == 0
    failure = first_failure(results["1.1"])
    assert failure["kind"] == kind and word in failure["message"], failure
    number = written.file(WORDS).read_text(encoding="utf-8").splitlines().index(line) + 1
    assert failure["line"].startswith(f"words.py:{number}") or (kind == "crash" and sys.platform == "win32")
    assert results["1.2"]["status"] == "complete"


def test_an_endless_loop_is_cut_off_and_its_line_named(written):
    toml = written.file("stage01_tokenizer/exercises.toml")
    toml.write_text(
        toml.read_text(encoding="utf-8").replace('number = "1.1"', 'number = "1.1"\nseconds = 1.0'), "utf-8"
    )
    written.edit(
        WORDS, "        return [self.ids.get", "        while True:\n            x = 1\n        return [self.ids.get"
    )
    results = graded(written, "1.1", "1.2")
    failure = first_failure(results["1.1"])
    assert failure["kind"] == "timeout" and "1 s" in failure["message"]
    assert failure["line"].startswith("words.py:") and "in encode" in failure["line"]
    outcomes = [test["outcome"] for test in results["1.1"]["tests"]]
    assert outcomes.count("failed") == 1 and "not run" in outcomes
    assert results["1.2"]["status"] == "complete"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux can bound the memory of a process")
def test_memory_without_bound(written):
    written.edit(WORDS, "        return [self.ids.get", "        return [0] * 2**40\n        return [self.ids.get")
    results = graded(written, "1.1", "1.2")
    assert first_failure(results["1.1"])["kind"] == "memory"
    assert "in encode" in first_failure(results["1.1"])["line"]
    assert results["1.2"]["status"] == "complete"


def test_endless_recursion(written):
    written.edit(
        WORDS, "        return [self.ids.get", "        return self.encode(text)\n        return [self.ids.get"
    )
    failure = first_failure(graded(written, "1.1")["1.1"])
    assert "RecursionError" in failure["message"] and "in encode" in failure["line"]


def test_a_file_or_a_function_that_is_gone(written):
    written.file(WORDS).unlink()
    assert "words.py is not there" in first_failure(graded(written, "1.1")["1.1"])["message"]
    written.edit(UTF8, "def text_to_byte_ids", "def text_to_bytes")
    assert "has no text_to_byte_ids" in first_failure(graded(written, "1.2")["1.2"])["message"]


def test_the_package_itself_may_be_broken(written):
    written.file("stage01_tokenizer/__init__.py").write_text("import os; os._exit(0)\n", encoding="utf-8")
    assert graded(written, "1.1")["1.1"]["status"] == "complete"


def test_what_the_code_prints_is_shown(written):
    written.edit(
        WORDS,
        "        return [self.ids.get",
        "        print('looking', text)\n        return 1\n        return [self.ids.get",
    )
    assert "looking" in first_failure(graded(written, "1.1")["1.1"])["output"]


def test_no_process_and_no_file_is_left(written, tmp_path: Path):
    written.edit(
        WORDS,
        "        return [self.ids.get",
        "        import subprocess, sys\n"
        "        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'])\n"
        "        open('child', 'w').write(str(child.pid))\n"
        "        return [self.ids.get",
    )
    scratch = tmp_path / "scratch"  # its own: in the common one, tests beside this one come and go
    scratch.mkdir()
    graded(written, "1.1", env=dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch)))
    assert not [each.name for each in scratch.iterdir()]
    if sys.platform != "win32":
        child = int(written.file("child").read_text())
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(child)], capture_output=True, text=True).stdout.strip()
        assert state[:1] in ("", "Z"), f"the child process still runs: {state}"


def test_changes_within_a_second_are_seen(written):
    """No stale bytecode: two versions of the same size, saved at the same time of the clock."""
    source = written.file(WORDS).read_text(encoding="utf-8")
    for word, status in (("id", "complete"), ("no", "wrong"), ("id", "complete")):
        text = source if word == "id" else source.replace("(-counts[word], word)", "(+counts[word], word)")
        written.file(WORDS).write_text(text, encoding="utf-8")
        os.utime(written.file(WORDS), (1_700_000_000, 1_700_000_000))
        assert graded(written, "1.1")["1.1"]["status"] == status


def test_who_waits_for_a_processor_is_not_taken_for_an_endless_loop(monkeypatch, tmp_path: Path):
    """On a busy machine the clock goes on while a test does not; then what it has computed counts."""
    stage = course.stage_named("1")
    folder = tmp_path / stage.name
    shutil.copytree(stage.reference, folder)
    words = folder / "words.py"
    first = "from __future__ import annotations\n"
    slow = words.read_text(encoding="utf-8").replace(first, f"{first}\nimport time\n\ntime.sleep(1.5)\n")
    words.write_text(slow, encoding="utf-8")
    monkeypatch.setattr(grader, "GRACE", 0.2)
    for starving, status in ((True, "complete"), (False, "wrong")):
        monkeypatch.setattr(Process, "processor_time", lambda self, starving=starving: (0.0, starving))
        with grader.Grader(stage, folder, "solutions", name_mistakes=False, patience=0.05) as grades:
            assert grades.exercise("1.1").status == status
