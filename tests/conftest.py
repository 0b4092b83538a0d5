"""What the tests of the course share: copies of it in which a learner's work can be played."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


LONG = (
    "test_static",
    "test_destination",
    "test_pictures",
    "test_checkpoints",
    "test_mistakes",
    "test_mutation",
    "test_graders",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no process waits for another at the end."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests out file by file, where they name an exercise or a stage by that, so that grading is shared."""
    from xdist.scheduler import LoadScopeScheduling

    class ByExercise(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            about = re.search(r"\[(\d\.\d+|stage\d\d_[a-z]+)\b", test)
            return f"{file} {about[1] if about else ''}"

    config.option.loadscopereorder = False  # the order above is the right one
    return ByExercise(config, log)


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
