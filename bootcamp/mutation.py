"""Mutation testing: do the graders notice when the reference is changed a little?

A mutant that no test notices has *survived*: either a behaviour has no probe, or the change changes nothing. Survivors
of the second kind are recorded, each with its reason, in `tests/survivors/`.
"""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.progress import Progress

from bootcamp import course
from bootcamp.commands.grade import chosen
from bootcamp.grading.grader import Grader
from bootcamp.mutants import Mutant, mutants
from bootcamp.screen import console, say

SURVIVORS = course.ROOT / "tests" / "survivors"
SECONDS = 4.0  # what one test of a mutant may take, unless the reference itself takes a good part of that


def survivors_of(
    stage: course.Stage, todo: Sequence[Mutant], workers: int = 2, each: Callable[[], object] = lambda: None
) -> list[Mutant]:
    """Grade each mutant in its own exercise; give those that pass."""
    waiting: queue.Queue[Mutant] = queue.Queue()
    for mutant in todo:
        waiting.put(mutant)
    survived: list[Mutant] = []

    def work() -> None:
        with Grader(stage, stage.reference, upstream="solutions", name_mistakes=False) as grader:
            limits: dict[str, float] = {}
            while True:
                try:
                    mutant = waiting.get_nowait()
                except queue.Empty:
                    return
                exercise = stage.exercise(mutant.exercise)
                if exercise.number not in limits:
                    slowest = max(test.seconds for test in grader.exercise(exercise.number).tests)
                    limits[exercise.number] = min(exercise.seconds, max(SECONDS, 5 * slowest))
                if _survives(grader, mutant, exercise, limits[exercise.number]):
                    survived.append(mutant)
                each()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(survived, key=lambda mutant: (mutant.file, mutant.line, mutant.after))


def _survives(grader: Grader, mutant: Mutant, exercise: course.Exercise, seconds: float) -> bool:
    with tempfile.TemporaryDirectory(prefix="bootcamp-") as scratch:
        folder = Path(scratch) / grader.stage.name
        shutil.copytree(grader.stage.reference, folder, ignore=shutil.ignore_patterns("__pycache__", "mistakes"))
        (folder / mutant.file).write_text(mutant.source, encoding="utf-8")
        tests = grader.on_other_code(folder, exercise, seconds, stop=True)
    return all(test.outcome == "passed" for test in tests)


def explained(stage: course.Stage) -> dict[tuple[str, str, str], str]:
    """The recorded survivors of a stage, with their reasons."""
    path = SURVIVORS / f"{stage.name}.toml"
    if not path.is_file():
        return {}
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return {(entry["file"], entry["before"], entry["after"]): entry["why"] for entry in table.get("survivor", [])}


def run(words: Sequence[str], every: int) -> int:
    """Run the mutants of what was asked; 0 if each survivor has its reason recorded."""
    unexplained = 0
    for stage, numbers in chosen(words):
        todo = mutants(stage, numbers)[::every]
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task(f"{len(todo)} mutants of {stage.name}", total=len(todo))
            survived = survivors_of(stage, todo, each=lambda p=progress, t=task: p.advance(t))
        reasons = explained(stage)
        fresh = [mutant for mutant in survived if mutant.key not in reasons]
        counts = f"{len(todo)} mutants, {len(survived)} survived, {len(survived) - len(fresh)} of them explained"
        say(f"{stage.name}: {counts}")
        for mutant in fresh:
            console.print(f"\n[[survivor]] # {mutant.exercise}, line {mutant.line}", markup=False)
            for name in ("file", "before", "after"):
                console.print(f"{name} = {getattr(mutant, name)!r}", markup=False, soft_wrap=True)
        gone = {mutant.key for mutant in todo} & reasons.keys() - {mutant.key for mutant in survived}
        for key in sorted(gone):
            say(f"recorded as a survivor, but noticed now: {key}")
        unexplained += len(fresh) + len(gone)
    return 1 if unexplained else 0
