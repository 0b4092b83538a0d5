"""`hint`, `diff`, `solve` and `reset`: help for one exercise, none of which loses a line that was written."""

from __future__ import annotations

import argparse
import difflib
import subprocess
import time
from pathlib import Path

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bootcamp import course, progress, skeleton, splice
from bootcamp.lesson import section_link
from bootcamp.screen import command, console, say

# -- hint --------------------------------------------------------------------------------------------------------


def add_hint_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exercise", nargs="?", help="such as 1.4; the next one if not given")
    parser.add_argument("--again", action="store_true", help="start with the first hint again")


def hint(arguments: argparse.Namespace) -> int:
    """Give one more hint at each call."""
    from bootcamp.commands.board import next_exercise

    if arguments.exercise:
        stage, exercise = course.exercise_numbered(arguments.exercise)
    else:
        upcoming = next_exercise()
        if upcoming is None:
            raise course.CourseError("all core exercises are complete; name the one that you want a hint for")
        stage, exercise = upcoming
    table = progress.read()
    given = 0 if arguments.again else table["hints"].get(exercise.number, 0)
    say(f"[bold]{exercise.number} {escape(exercise.title)}[/]  [dim]{section_link(stage, exercise)}[/]")
    entry = table["exercises"].get(exercise.number, {})
    if entry.get("mistake") and entry["code"] == progress.fingerprint(stage, exercise):
        say(f"When it was graded, it looked like: [bold magenta]{escape(entry['mistake'])}[/]")
    if given == len(exercise.hints):
        say("There are no more hints.")
        if stage.reference.is_dir():
            say(f"To see the reference beside yours: {command(f'diff {exercise.number}')}")
        say(f"To begin with the first again: {command(f'hint {exercise.number} --again')}")
        return 0
    say(f"Hint {given + 1} of {len(exercise.hints)}: {escape(exercise.hints[given])}")
    table["hints"][exercise.number] = given + 1
    progress.write(table)
    return 0


# -- diff --------------------------------------------------------------------------------------------------------


def add_diff_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exercise", help="such as 1.4")


def diff(arguments: argparse.Namespace) -> int:
    """Show the reference beside what the learner wrote, function by function."""
    stage, exercise = course.exercise_numbered(arguments.exercise)
    for module in exercise.modules:
        reference = skeleton.without_markers(_reference(stage, module))
        path = stage.folder / f"{module}.py"
        mine = path.read_text(encoding="utf-8") if path.is_file() else ""
        try:
            splice.pieces(mine)
            names = [*splice.helpers_of(stage, exercise, module), *splice.names_of(exercise, module)]
            pairs = [(name, splice.text_of(mine, name), splice.text_of(reference, name)) for name in names]
        except SyntaxError:  # no functions can be found in it: show it whole
            pairs = [(f"{module}.py", mine, reference)]
        for name, left, right in pairs:
            if not name.startswith("import "):
                _side_by_side(f"{module}.py", name, left, right)
    return 0


def _side_by_side(file: str, name: str, left: str, right: str) -> None:
    say()
    if left == right:
        say(f"[bold]{file}[/] {escape(name)}: the same")
        return
    one, other = left.splitlines(), right.splitlines()
    if console.width < 100:
        say(f"[bold]{file}[/] {escape(name)}: yours −, the reference +")
        for line in list(difflib.unified_diff(one, other, lineterm="", n=100))[3:]:
            style = {"-": "red", "+": "green"}.get(line[:1], "")
            console.print(Text(line, style=style), soft_wrap=True)
        return
    table = Table(title=f"{file} {escape(name)}", title_justify="left", title_style="bold", box=None, padding=(0, 1))
    table.add_column("yours", ratio=1, overflow="fold")
    table.add_column("the reference", ratio=1, overflow="fold")
    for kind, i, j, k, m in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        for row in range(max(j - i, m - k)):
            mine = one[i + row] if i + row < j else ""
            theirs = other[k + row] if k + row < m else ""
            same = kind == "equal"
            table.add_row(Text(mine, style="dim" if same else "red"), Text(theirs, style="dim" if same else "green"))
    console.print(table)


# -- solve and reset ---------------------------------------------------------------------------------------------


def add_solve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exercise", help="such as 1.4")
    parser.add_argument("--file", action="store_true", help="the whole file, not only the functions of the exercise")


add_reset_arguments = add_solve_arguments


def solve(arguments: argparse.Namespace) -> int:
    """Put the reference of one exercise in place, and keep what was there."""
    stage, exercise = course.exercise_numbered(arguments.exercise)
    texts = {module: skeleton.without_markers(_reference(stage, module)) for module in exercise.modules}
    helpers = {module: splice.helpers_of(stage, exercise, module) for module in exercise.modules}
    return _put(stage, exercise, texts, helpers, arguments.file, "solve")


def reset(arguments: argparse.Namespace) -> int:
    """Put the skeleton of one exercise back, and keep what was there."""
    stage, exercise = course.exercise_numbered(arguments.exercise)
    texts = {module: _skeleton(stage, module) for module in exercise.modules}
    return _put(stage, exercise, texts, {}, arguments.file, "reset")


def _put(
    stage: course.Stage,
    exercise: course.Exercise,
    texts: dict[str, str],
    helpers: dict[str, list[str]],
    whole: bool,
    action: str,
) -> int:
    changed: dict[Path, str] = {}
    for module, origin in texts.items():
        path = stage.folder / f"{module}.py"
        if whole:
            after = origin
        else:
            before = path.read_text(encoding="utf-8") if path.is_file() else _skeleton(stage, module)
            names = splice.names_of(exercise, module)
            after = splice.put(before, origin, names, path.name, helpers.get(module, ()))
        if not path.is_file() or path.read_text(encoding="utf-8") != after:
            changed[path] = after
    if not changed:
        say(f"{exercise.number}: nothing to change, it is so already")
        return 0
    kept = keep([path for path in changed if path.is_file()], f"{action}-{exercise.number}")
    for path, text in changed.items():
        progress.write_text(path, text)
        what = "the whole file" if whole else ", ".join(splice.names_of(exercise, path.stem))
        source = "the reference" if action == "solve" else "the skeleton"
        say(f"{path.relative_to(course.ROOT).as_posix()}: {what} from {source}")
    if kept:
        say(f"What was there is kept in {kept.relative_to(course.ROOT).as_posix()}/")
    return 0


def keep(paths: list[Path], name: str) -> Path | None:
    """Copy files to a backup of their own before they change; give its folder."""
    if not paths:
        return None
    base = progress.FOLDER / "backups" / f"{time.strftime('%Y-%m-%d-%H%M%S')}-{name}"
    folder, count = base, 1
    while folder.exists():
        count += 1
        folder = base.with_name(f"{base.name}-{count}")
    for path in paths:
        copy = folder / path.relative_to(course.ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return folder


def _reference(stage: course.Stage, module: str) -> str:
    path = stage.reference / f"{module}.py"
    if not path.is_file():
        raise course.CourseError("this copy of the course has no solutions/, so there is no reference to show")
    return path.read_text(encoding="utf-8")


def _skeleton(stage: course.Stage, module: str) -> str:
    """The skeleton of a module: made from the solution, or from the stage's checkpoint where there is none."""
    if stage.reference.is_dir():
        numbers = [each.number for each in stage.exercises]
        return skeleton.make(_reference(stage, module), numbers, f"{module}.py")
    place = f"stage{stage.number:02}-start:{stage.name}/{module}.py"
    run = subprocess.run(["git", "show", place], cwd=course.ROOT, capture_output=True, encoding="utf-8")
    if run.returncode:
        raise course.CourseError(
            "this copy of the course has no solutions/ to make the skeleton from, and git does not know the tag "
            f"stage{stage.number:02}-start; `git fetch --tags` may bring it"
        )
    return run.stdout
