"""The tables "Checked against other libraries" of the lessons: each figure in them is measured again here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bootcamp import course

MEASURES = Path(__file__).resolve().parent / "parity"
LOOSEST = 1e-2  # of bfloat16; a table that says more would say nothing


def table(stage: course.Stage) -> dict[str, float]:
    """Read the table of a lesson: what is compared, and the largest difference it admits."""
    lesson = (stage.folder / "README.md").read_text(encoding="utf-8")
    section = lesson.split("## Checked against other libraries", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (\S+) \|$", section, flags=re.M)
    return {f"{ours} | {theirs}": float(figure) for ours, theirs, figure in rows if figure[0].isdigit()}


@pytest.mark.parametrize("file", sorted(MEASURES.glob("stage*.py")), ids=lambda path: path.stem)
def test_each_figure(file: Path):
    """In a process of its own, since the stages resolve to the reference there."""
    code = "import runpy, sys; from bootcamp import stages; stages.use_reference(); runpy.run_path(sys.argv[1])"
    command = [sys.executable, "-c", code, str(file)]
    done = subprocess.run(command, cwd=course.ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    measured = {row: float(figure) for row, figure in re.findall(r"^(.+?) = (\S+)$", done.stdout, flags=re.M)}
    claimed = table(course.stage_named(file.stem))
    assert measured.keys() == claimed.keys()
    for row, figure in claimed.items():
        assert measured[row] <= figure <= LOOSEST, f"{row}: {measured[row]:.2g}, and the lesson says {figure:g} at most"
