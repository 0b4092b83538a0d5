"""What the whole course is built for: the demo's model learns the stories nearly as well as they can be learned."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from thorough import THOROUGH

from bootcamp import course


@pytest.mark.skipif(not THOROUGH, reason="trains for minutes: runs with BOOTCAMP_THOROUGH=1")
def test_the_demo_reaches_the_floor_and_tells_stories_that_hold_together(tmp_path: Path):
    """Within 10 % of the entropy, and of 100 stories at least 90 keep the hero's name and pronoun."""
    run = subprocess.run(
        [sys.executable, "-m", "bootcamp", "--as-is", "demo", "--no-open", "--out", str(tmp_path / "out")],
        cwd=course.ROOT,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=1800,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    above = re.search(r"([\d.]+)% above the floor", run.stdout)
    kept = re.search(r"of 100 stories, (\d+) keep the hero's name and pronoun", run.stdout)
    assert above and float(above[1]) <= 10.0, run.stdout
    assert kept and int(kept[1]) >= 90, run.stdout
    assert "Do its stories hold together?" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
