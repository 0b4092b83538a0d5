"""What a learner has reached, kept between runs in `.bootcamp/progress.json` (which git ignores)."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bootcamp import course, splice
from bootcamp.grading.results import ExerciseResult

FOLDER = course.ROOT / ".bootcamp"
FILE = FOLDER / "progress.json"


def read() -> dict[str, Any]:
    """Give what is known: {"exercises": {number: {...}}, "hints": {number: count}}."""
    try:
        table = json.loads(FILE.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        table = {}
    return {"exercises": {}, "hints": {}} | table


def write(table: dict[str, Any]) -> None:
    """Keep `table`, whole or not at all."""
    write_text(FILE, json.dumps(table, indent=1, ensure_ascii=False))


def write_text(path: Path, text: str) -> None:
    """Write a file so that a crash on the way leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8", newline="\n")
    os.replace(beside, path)


def fingerprint(stage: course.Stage, exercise: course.Exercise) -> str:
    """A number that changes when the code of an exercise, or of those it needs, changes.

    The functions of other exercises in the same files may change without it.
    """
    mine = [exercise, *(stage.exercise(number) for number in exercise.needs)]
    others = [each for each in stage.exercises if each not in mine]
    content = hashlib.sha256()
    for module in sorted({module for each in mine for module in each.modules}):
        path = stage.folder / f"{module}.py"
        source = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        names = [name for each in others for name in splice.names_of(each, module)]
        content.update(splice.without(source, names).encode("utf-8"))
    return content.hexdigest()[:16]


def holes(stage: course.Stage, exercise: course.Exercise) -> int:
    """Count the places of an exercise that are still as the skeleton left them; a missing file is one."""
    hole = re.compile(rf'raise NotImplementedError\(\s*"{re.escape(exercise.number)} ')
    files = [stage.folder / f"{module}.py" for module in exercise.modules]
    return sum(len(hole.findall(file.read_text("utf-8", "replace"))) if file.is_file() else 1 for file in files)


def record(stage: course.Stage, results: Iterable[ExerciseResult]) -> None:
    """Keep what grading the learner's code gave."""
    table = read()
    for result in results:
        table["exercises"][result.number] = {
            "status": result.status,
            "code": fingerprint(stage, stage.exercise(result.number)),
            "when": int(time.time()),
            "passed": sum(test.outcome == "passed" for test in result.tests),
            "tests": len(result.tests),
            "mistake": result.mistake,
        }
    write(table)


def standing(stage: course.Stage) -> tuple[bool, str]:
    """Say whether the learner's code of a stage is complete in its core, and in words how it stands."""
    known = read()["exercises"]
    graded = [known[exercise.number] for exercise in stage.core if exercise.number in known]
    complete = [entry for entry in graded if entry["status"] == "complete"]
    if len(complete) == len(stage.core):
        if all(known[exercise.number]["code"] == fingerprint(stage, exercise) for exercise in stage.core):
            return True, "complete"
        return False, f"changed since it was graded; python -m bootcamp grade {stage.number}"
    if not graded:
        return False, "not graded yet"
    return False, f"at {len(complete)} of {len(stage.core)} exercises"
