"""What tools say of the code: ruff, pyright, doctests."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bootcamp import course


def run(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], cwd=course.ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing():
    run("ruff", "check", ".")


def test_ruff_would_format_nothing_otherwise():
    run("ruff", "format", "--check", ".")


def test_pyright_finds_nothing():
    run("pyright", "--pythonpath", sys.executable)


@pytest.mark.parametrize("stage", course.stages(), ids=lambda stage: stage.name)
def test_examples_in_docstrings_of_a_stage(stage: course.Stage):
    """On the reference, module by module, imported as a learner imports it."""
    modules = [path.stem for path in sorted(stage.reference.glob("*.py")) if path.stem not in ("__init__", "mistakes")]
    code = (
        "import doctest, importlib, sys; from bootcamp import stages; stages.use_reference(); "
        "results = [doctest.testmod(importlib.import_module(name)) for name in sys.argv[1:]]; "
        "print(results); sys.exit(any(result.failed for result in results) or not sum(r.attempted for r in results))"
    )
    names = [f"{stage.name}.{module}" for module in modules]
    done = subprocess.run(
        [sys.executable, "-c", code, *names],
        cwd=course.ROOT,
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_examples_in_docstrings_of_the_machinery():
    files = [
        str(path.relative_to(course.ROOT))
        for path in sorted((course.ROOT / "bootcamp").rglob("*.py"))
        if ">>>" in path.read_text(encoding="utf-8")
    ]
    assert len(files) > 3
    run("pytest", "-q", "--doctest-modules", "-p", "no:cacheprovider", *files)
