"""Notebooks run from the top, and figures are drawn, on the code as it is now."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from thorough import THOROUGH, part

from bootcamp import course
from bootcamp.commands.maintain import run_notebook

STAGES = pytest.mark.parametrize("stage", course.stages(), ids=lambda stage: stage.name)


@pytest.mark.parametrize("stage", part(course.stages(), 2), ids=lambda stage: stage.name)
def test_the_notebook_runs(stage: course.Stage, tmp_path: Path):
    """Each cell gives what is kept with it, in kind; training is a quick look, unless BOOTCAMP_THOROUGH is set."""
    path = stage.folder / "explore.ipynb"
    kept = nbformat.read(path, as_version=4)
    if not THOROUGH:
        text = re.sub(r"= \d+(  # for a quick look: (\d+))", r"= \2\1", path.read_text(encoding="utf-8"))
        path = tmp_path / path.name
        path.write_text(text, encoding="utf-8")
    fresh = nbformat.reads(run_notebook(path, stage.folder), as_version=4)
    for cell, before in zip(fresh.cells, kept.cells, strict=True):
        if cell.cell_type == "code":
            kinds = [[output.output_type for output in each.outputs] for each in (cell, before)]
            assert kinds[0] == kinds[1], f"commit what `notebooks` makes of this cell:\n{cell.source}"


@STAGES
def test_figures_are_drawn(stage: course.Stage, tmp_path: Path):
    subprocess.run([sys.executable, stage.folder / "figures" / "draw.py", tmp_path], check=True, cwd=course.ROOT)
    drawn = sorted(path.name for path in tmp_path.glob("*.svg"))
    assert drawn == sorted(path.name for path in (stage.folder / "figures").glob("*.svg"))
    lesson = (stage.folder / "README.md").read_text(encoding="utf-8")
    for name in drawn:
        assert f"figures/{name}" in lesson, f"{name} is in no lesson"
