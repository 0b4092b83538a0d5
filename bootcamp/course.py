"""The course's stages and exercises, read from each stage's `exercises.toml`, their only declaration."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = ROOT / "solutions"


class CourseError(Exception):
    """What was asked cannot be done; the message says why, and what to do."""


@dataclass(frozen=True)
class Exercise:
    """What one line of a grade report is about."""

    number: str  # "1.4"
    title: str
    points: int
    functions: tuple[str, ...]  # "bpe.count_pairs", "tokenizer.Tokenizer.encode": module, then name
    hints: tuple[str, ...]  # from gentle to explicit
    needs: tuple[str, ...] = ()  # exercises of the same stage that this one is built on
    advanced: bool = False  # extra points; no later core exercise needs it
    seconds: float = 10.0  # the time limit of one of its tests

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that its functions stand in, each once."""
        return tuple(dict.fromkeys(function.split(".")[0] for function in self.functions))


@dataclass(frozen=True)
class Stage:
    """A folder of the course: a lesson, skeletons, and the graders of its exercises."""

    name: str  # "stage01_tokenizer"
    title: str
    about: str
    exercises: tuple[Exercise, ...]
    needs_torch: bool = False
    _by_number: dict[str, Exercise] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_number", {exercise.number: exercise for exercise in self.exercises})

    @property
    def number(self) -> int:
        return int(self.name[5:7])

    @property
    def folder(self) -> Path:
        return ROOT / self.name

    @property
    def reference(self) -> Path:
        """The folder of its reference solution, which may not be there."""
        return SOLUTIONS / self.name

    @property
    def core(self) -> tuple[Exercise, ...]:
        return tuple(exercise for exercise in self.exercises if not exercise.advanced)

    def exercise(self, number: str) -> Exercise:
        return self._by_number[number]

    def beneath(self, number: str) -> set[str]:
        """The exercises that one needs, and those that these need."""
        needs = self.exercise(number).needs
        return set(needs).union(*map(self.beneath, needs))

    def exports(self) -> dict[str, str]:
        """Where each name lives that `from stageNN_… import name` may ask for: {"Tokenizer": "tokenizer"}."""
        places = (function.split(".") for exercise in self.exercises for function in exercise.functions)
        return {place[1]: place[0] for place in places}


@cache
def stages() -> tuple[Stage, ...]:
    """All stages that stand in this copy of the course, in order."""
    return tuple(read_stage(path.parent) for path in sorted(ROOT.glob("stage[0-9][0-9]_*/exercises.toml")))


def read_stage(folder: Path) -> Stage:
    """Read the declaration of one stage; an unknown key is an error, not a silent default."""
    with open(folder / "exercises.toml", "rb") as file:
        table = tomllib.load(file)
    exercises = []
    for entry in table.pop("exercise"):
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
        }
        exercises.append(Exercise(**values))
    return Stage(name=folder.name, exercises=tuple(exercises), **table)


def stage_named(name: str) -> Stage:
    """Find a stage by its name ("stage01_tokenizer") or its number ("1", "01")."""
    for stage in stages():
        if name in (stage.name, str(stage.number), f"{stage.number:02}"):
            return stage
    raise CourseError(f"there is no stage {name!r}; the stages are {', '.join(stage.name for stage in stages())}")


def exercise_numbered(number: str) -> tuple[Stage, Exercise]:
    """Find an exercise by its number ("1.4"), with its stage."""
    for stage in stages():
        for exercise in stage.exercises:
            if exercise.number == number:
                return stage, exercise
    numbers = [exercise.number for stage in stages() for exercise in stage.exercises]
    raise CourseError(f"there is no exercise {number!r}; the exercises are {numbers[0]} to {numbers[-1]}")
