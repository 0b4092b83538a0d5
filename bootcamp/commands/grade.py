"""`grade`: runs the graders and says what came of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.text import Text

from bootcamp import course, progress
from bootcamp.grading.grader import Grader
from bootcamp.grading.results import ExerciseResult, Report, as_json, as_junit
from bootcamp.lesson import section_link
from bootcamp.screen import command, console, failure_panel, mark, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="*", metavar="STAGE|EXERCISE", help="such as 1 or 1.4; all if not given")
    parser.add_argument("--solutions", action="store_true", help="grade the reference, not your code")
    parser.add_argument("--code", metavar="DIR", type=Path, help="grade the stage folders that lie in DIR")
    parser.add_argument(
        "--upstream", choices=["auto", "mine", "solutions"], default="auto", help="where earlier stages come from"
    )
    parser.add_argument("--seed", type=int, default=1, help="where the graders' inputs are drawn from")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every test that fails, not only the first")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results as JSON")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write the results as JUnit XML")


def grade(arguments: argparse.Namespace) -> int:
    """Grade what was asked; 0 if all of it is complete, else 1."""
    reports = []
    for stage, numbers in chosen(arguments.what):
        folder = (arguments.code or (course.SOLUTIONS if arguments.solutions else course.ROOT)).resolve() / stage.name
        if not folder.is_dir():
            raise course.CourseError(
                f"there is no {stage.name} in {folder.parent}; give the folder that holds the stages"
            )
        with Grader(stage, folder, arguments.upstream, arguments.seed) as grader:
            reports.append(show_report(grader, numbers, arguments.verbose))
            if folder == stage.folder:
                progress.record(stage, grader.results.values())
    if arguments.json:
        progress.write_text(arguments.json, as_json(reports))
    if arguments.junit:
        progress.write_text(arguments.junit, as_junit(reports))
    done = all(report.complete for report in reports)
    if not (arguments.solutions or arguments.code):
        suggest(reports)
    return 0 if done else 1


def chosen(words: Sequence[str]) -> list[tuple[course.Stage, list[str]]]:
    """Say which exercises are meant by "1", "1.4" or nothing at all, by stage, in order."""
    wanted: dict[str, set[str]] = {}
    for word in words or [str(stage.number) for stage in course.stages()]:
        if "." in word:
            stage, exercise = course.exercise_numbered(word)
            wanted.setdefault(stage.name, set()).add(exercise.number)
        else:
            stage = course.stage_named(word)
            wanted.setdefault(stage.name, set()).update(each.number for each in stage.exercises)
    return [
        (stage, [each.number for each in stage.exercises if each.number in wanted[stage.name]])
        for stage in course.stages()
        if stage.name in wanted
    ]


def show_report(grader: Grader, numbers: Sequence[str], verbose: bool = False) -> Report:
    """Grade and print, each exercise as soon as it is done."""
    stage = grader.stage
    say(f"[bold]Stage {stage.number:02} · {escape(stage.title)}[/]  [dim]{whose(grader)}, seed {grader.seed}[/]")
    for name, source in grader.layout.items():
        if name < stage.name:
            say(f"[dim]{name}: {escape(source.why)}[/]")
    remaining = list(numbers)

    def each(result: ExerciseResult) -> None:
        remaining.pop(0)
        console.print(row(result))
        spinner.update(text=waiting())

    def waiting() -> str:
        return f"grading {remaining[0]}" if remaining else ""

    spinner = Spinner("dots", text=waiting())
    with Live(spinner, console=console, transient=True, auto_refresh=console.is_terminal):
        report = grader.report(numbers, each)
    for result in report.exercises:
        if result.status == "wrong":
            failure_panel(result, section_link(stage, stage.exercise(result.number)), verbose)
    return report


def whose(grader: Grader) -> str:
    if grader.folder == grader.stage.folder:
        return "your code"
    return "the reference" if grader.folder == grader.stage.reference else str(grader.folder)


def row(result: ExerciseResult) -> Text:
    """One line on an exercise."""
    passed = sum(test.outcome == "passed" for test in result.tests)
    line = Text.assemble("  ", mark(result.status), f" {result.number:5}{result.title:32.32} ")
    if result.status == "complete":
        return line.append(f"{result.points:3} points", style="green")
    first = result.first_failure
    if result.status == "todo" and first and first.failure:
        line.append(f"to write: {', '.join(result.to_write)}", style="dim")
        line.append(f" ({first.failure.line.partition(':')[0]})" if first.failure.line else "", style="dim")
        return line.append(f"; {passed} of {len(result.tests)} tests pass already" if passed else "", style="dim")
    return line.append(f"{passed} of {len(result.tests)} tests pass", style="red")


def suggest(reports: Sequence[Report]) -> None:
    """Say what to do next."""
    from bootcamp.commands.board import next_exercise

    say()
    wrong = [each for report in reports for each in report.exercises if each.status == "wrong"]
    if wrong:
        return
    upcoming = next_exercise(start=reports[-1].exercises[-1].number)
    if upcoming:
        stage, exercise = upcoming
        say(f"Next: [bold]{exercise.number} {escape(exercise.title)}[/] ({section_link(stage, exercise)})")
        say(f"  [bold cyan]{command(f'grade {exercise.number}')}[/]")
    else:
        say("All core exercises are complete.")
