"""Setting up: what is missing, and what is said when it cannot be had."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bootcamp import course, environment


def test_everything_is_pinned():
    for file in ("requirements.txt", "requirements-dev.txt"):
        assert all(version for version in environment.pins(file).values()), file
    assert environment.pins("requirements.txt").items() <= environment.pins("requirements-dev.txt").items()


def test_the_learner_installs_little():
    few = {"torch", "numpy", "regex", "matplotlib", "pytest", "rich", "safetensors"}
    assert set(environment.pins("requirements.txt")) == few


def test_nothing_is_missing_here():
    assert environment.missing("requirements-dev.txt") == []


def test_a_local_build_is_the_version_that_it_builds(monkeypatch):
    monkeypatch.setattr(environment.importlib.metadata, "version", lambda name: "2.13.0+cu130")
    monkeypatch.setattr(environment, "pins", lambda file: {"torch": "2.13.0"})
    assert environment.missing("requirements.txt") == []
    monkeypatch.setattr(environment, "pins", lambda file: {"torch": "2.14.0"})
    assert environment.missing("requirements.txt") == ["torch==2.14.0"]


@pytest.mark.parametrize(
    "said, remedy",
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("Failed to establish a new connection: [Errno -3] Temporary failure in name resolution", "cannot be reached"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no build for Python"),
        ("PermissionError: [Errno 13] Permission denied: '/course/.venv'", "cannot be written"),
        ("ERROR: something\nnobody has seen", "nobody has seen"),
        ("", "no reason"),
    ],
)
def test_each_failure_is_one_sentence_with_the_remedy(said: str, remedy: str):
    text = environment.explain(said, "pip could not install torch")
    assert remedy in text and text.startswith("pip could not install torch") and "\n" not in text


def test_old_versions_of_python_can_read_the_entry():
    """What runs before the version is checked has to be syntax that Python 3.6 knows."""
    source = (course.ROOT / "bootcamp" / "__main__.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    start = ast.parse(source).body[-2]
    assert isinstance(start, ast.FunctionDef) and not any(
        isinstance(node, ast.JoinedStr) for node in ast.walk(start.body[0])
    )
    ast.parse((course.ROOT / "bootcamp" / "__init__.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_an_old_version_is_refused(monkeypatch, capsys):
    import bootcamp.__main__ as entry

    monkeypatch.setattr(entry.sys, "version_info", (3, 8, 1))
    assert entry.start() == 2
    said = capsys.readouterr().err
    assert "3.11 or newer" in said and "3.8.1" in said


def bare(root: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the course with this Python's base interpreter, in which nothing is installed."""
    base = Path(sys.base_prefix) / ("python.exe" if os.name == "nt" else "bin/python3")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("VIRTUAL_ENV", "PYTHON"))}
    return subprocess.run(
        [str(base), "-S", "-m", "bootcamp", *words], cwd=root, env=clean | env, capture_output=True, encoding="utf-8"
    )


def test_no_network(copy):
    """Without an index to install from, one sentence says so, and the same command can be run again."""
    root = copy().root
    (root / "requirements.txt").write_text("no-such-package-anywhere==1.0\n", encoding="utf-8")
    env = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_EXTRA_INDEX_URL": "",
    }
    run = bare(root, "grade", "1.1", **env)
    assert run.returncode == 2, run.stdout + run.stderr
    last = run.stderr.strip().splitlines()[-1]
    assert "cannot be reached" in last or "no build" in last
    assert (root / ".venv").is_dir()


def test_a_file_where_the_environment_should_be(copy):
    root = copy().root
    (root / ".venv").write_text("in the way", encoding="utf-8")
    run = bare(root)
    assert run.returncode == 2 and "Traceback" not in run.stderr, run.stderr
    assert str(root / ".venv") in run.stderr
