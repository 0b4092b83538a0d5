"""The command line: what there is to type, and what each word calls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bootcamp.course import CourseError


def parser() -> argparse.ArgumentParser:
    """Declare every command."""
    from bootcamp.commands import checkpoints, demo, grade, learn, maintain, train

    top = argparse.ArgumentParser(
        prog="python -m bootcamp",
        description="Build a large language model from scratch. Without a command: the board.",
    )
    top.add_argument("--as-is", action="store_true", help="use the active environment as it is, and install nothing")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, module, run, about: str) -> None:
        sub = commands.add_parser(name, help=about, description=about)
        getattr(module, f"add_{name}_arguments", getattr(module, "add_arguments", lambda _: None))(sub)
        sub.set_defaults(run=run)

    command("grade", grade, grade.grade, "grade what you wrote")
    command("hint", learn, learn.hint, "the next hint for an exercise")
    command("diff", learn, learn.diff, "the reference beside yours")
    command("solve", learn, learn.solve, "put the reference in place of yours, which is kept")
    command("reset", learn, learn.reset, "put the skeleton back in place of yours, which is kept")
    command("train", train, train.train, "train a language model with what you wrote")
    command("demo", demo, demo.demo, "the destination, built with the reference, as one page to look at")
    command("checkpoints", checkpoints, checkpoints.checkpoints, "make the git tags that walk through the course")
    command("test", maintain, maintain.test, "the course's own tests")
    command("bench", maintain, maintain.bench, "the benchmarks")
    command("skeletons", maintain, maintain.skeletons, "for maintainers: make the skeletons from the solutions")
    command("figures", maintain, maintain.figures, "for maintainers: draw the lessons' figures")
    command("notebooks", maintain, maintain.notebooks, "for maintainers: run the notebooks anew")
    command("mutate", maintain, maintain.mutate, "for maintainers: what the graders let through")
    return top


def main(words: Sequence[str]) -> int:
    """Run one command.

    Returns:
        0 if all that was asked is complete, 1 if something is not yet, 2 if the call or the environment was wrong.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    words, handed_on = list(words), []
    if "test" in words[:2] and words[-1] not in ("-h", "--help"):  # what follows is pytest's, options too
        place = words.index("test") + 1
        words, handed_on = words[:place], words[place:]
    arguments = parser().parse_args(words)
    if handed_on:
        arguments.rest = handed_on
    from bootcamp.screen import problem

    try:
        if not arguments.command:
            from bootcamp.commands.board import board

            return board()
        return arguments.run(arguments)
    except CourseError as error:
        problem(str(error))
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        problem(f"{error.filename}: {(error.strerror or type(error).__name__).lower()}")
        return 2
    except KeyboardInterrupt:
        problem("stopped")
        return 130
