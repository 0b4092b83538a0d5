"""The board: stages, exercises, points, what is next, and the one command to type."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bootcamp import course, progress
from bootcamp.lesson import section_link
from bootcamp.screen import command, console, mark, say


def standing_of(stage: course.Stage, exercise: course.Exercise, known: dict) -> tuple[str, str]:
    """Say how an exercise stands: complete, wrong, changed or todo; and a word on it."""
    entry = known.get(exercise.number)
    holes = progress.holes(stage, exercise)
    if entry and entry["code"] == progress.fingerprint(stage, exercise):
        if entry["status"] == "wrong":
            return "wrong", entry["mistake"] or f"{entry['passed']} of {entry['tests']} tests pass"
        if entry["status"] == "todo":
            return "todo", f"{holes} to write" if entry["passed"] else ""
        return entry["status"], ""
    if holes:
        return "todo", ""
    return "changed", "changed since it was graded" if entry else "not graded yet"


def next_exercise(start: str = "") -> tuple[course.Stage, course.Exercise] | None:
    """The first core exercise that is not complete, from the exercise `start` on if one is left there."""
    known = progress.read()["exercises"]
    core = [(stage, exercise) for stage in course.stages() for exercise in stage.core]
    first = next((i for i, (_, exercise) in enumerate(core) if exercise.number == start), 0)
    for stage, exercise in core[first:] + core[:first]:
        if standing_of(stage, exercise, known)[0] != "complete":
            return stage, exercise
    return None


def board() -> int:
    """Print the board."""
    known = progress.read()["exercises"]
    upcoming = next_exercise()
    if not known:
        say(
            "[bold]Welcome.[/] Here you build a large language model from scratch, exercise by exercise. Each stage is "
            "a folder: its README.md is the lesson, its modules have TODOs for you to write, and graders look at them."
        )
    for stage in course.stages():
        rows = [(exercise, *standing_of(stage, exercise, known)) for exercise in stage.exercises]
        earned = sum(exercise.points for exercise, status, _ in rows if status == "complete" and not exercise.advanced)
        extra = sum(exercise.points for exercise, status, _ in rows if status == "complete" and exercise.advanced)
        say()
        points = f"{earned} of {sum(each.points for each in stage.core)} points" + (
            f" and {extra} extra" if extra else ""
        )
        say(f"[bold]Stage {stage.number:02} · {escape(stage.title)}[/]: {escape(stage.about)}  [dim]{points}[/]")
        table = Table.grid(padding=(0, 2, 0, 0))
        for exercise, status, word in rows:
            is_next = upcoming is not None and exercise == upcoming[1]
            sign = mark("next") if is_next and status == "todo" else mark(status)
            title = Text(exercise.title + (" +" if exercise.advanced else ""), style="bold" if is_next else "")
            table.add_row(
                "", sign, exercise.number, title, Text(str(exercise.points), style="dim"), Text(word, style="dim")
            )
        console.print(table)
    say()
    if upcoming is None:
        say("All core exercises are complete. The exercises marked + go further.")
    else:
        stage, exercise = upcoming
        files = ", ".join(f"{stage.name}/{module}.py" for module in exercise.modules)
        say(f"Next: [bold]{exercise.number} {escape(exercise.title)}[/]")
        say(f"Read {section_link(stage, exercise)}, write {files}, then")
        say(f"  [bold cyan]{command(f'grade {exercise.number}')}[/]")
    return 0
