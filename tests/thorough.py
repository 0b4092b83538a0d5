"""How much of the tests runs: all cases with BOOTCAMP_THOROUGH=1, else a part that fits into the time that CI has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

from bootcamp import course

THOROUGH = bool(os.environ.get("BOOTCAMP_THOROUGH"))
Case = TypeVar("Case")


def part(cases: Sequence[Case], every: int) -> list[Case]:
    """Of so many cases one, beginning with the first; all of them in thorough tests."""
    return list(cases if THOROUGH else cases[::every])


def rarer(stage: course.Stage, every: int) -> int:
    """How many cases of a stage one is taken of: fewer run where each starts many processes."""
    return 4 * every if stage.name == "stage06_distributed" else every
