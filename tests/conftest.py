"""What the tests of the course share: copies of it in which a learner's work can be played."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bootcamp import course

LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".venv",
    ".bootcamp",
    "__pycache__",
    ".*_cache",
    "out",
    ".hypothesis",
    "benchmarks",
    "tests",
    "*.ipynb",
    "*.svg",
)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share the tests out to processes file by file, and those of mistakes exercise by exercise."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        given = callspec.params if callspec else {}
        exercise = given["mistake"].exercise if "mistake" in given else ""
        if item.path.stem == "test_mistakes" and "path" in given:
            exercise = given["path"].read_text(encoding="utf-8").split("# exercise: ", 1)[1].split("\n", 1)[0]
        stage = given["stage"].name if "stage" in given and not exercise else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {exercise or stage}"))


class Copy:
    """A copy of the course in a folder of its own, with untouched skeletons."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *words: str, code: int | None = 0, width: int = 100, env: dict[str, str] | None = None) -> str:
        """Run `python -m bootcamp …` in it, hold it to its exit code, and give what it printed."""
        env = os.environ | {"COLUMNS": str(width), "NO_COLOR": "1", "PYTHONUTF8": "1"} | (env or {})
        run = subprocess.run(
            [sys.executable, "-m", "bootcamp", "--as-is", *words],
            cwd=self.root,
            env=env,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        assert code is None or run.returncode == code, f"exit code {run.returncode}\n{run.stdout}\n{run.stderr}"
        return run.stdout + run.stderr

    def file(self, name: str) -> Path:
        return self.root / name

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands in a file once."""
        path = self.file(name)
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Callable[..., Copy]:
    """Make a copy of the course; `stage` keeps its graders, the others lose theirs."""

    def make(solutions: bool = True) -> Copy:
        from bootcamp.commands.maintain import all_skeletons

        root = tmp_path / "course"
        root.mkdir()
        for name in ("bootcamp", "solutions", *(stage.name for stage in course.stages())):
            shutil.copytree(course.ROOT / name, root / name, ignore=LEFT_OUT)
        for stage in course.stages():
            shutil.copytree(stage.folder / "tests", root / stage.name / "tests", ignore=LEFT_OUT)
        for name in ("conftest.py", "pyproject.toml", "requirements.txt", "requirements-dev.txt"):
            shutil.copy(course.ROOT / name, root / name)
        for path, text in all_skeletons().items():
            (root / path.relative_to(course.ROOT)).write_text(text, encoding="utf-8")
        if not solutions:
            shutil.rmtree(root / "solutions")
        return Copy(root)

    return make
