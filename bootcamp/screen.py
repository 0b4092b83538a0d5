"""What the command line prints: one console, one set of marks, one way to lay out a failure."""

from __future__ import annotations

import shutil
import sys

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bootcamp.grading.results import ExerciseResult, Failure, TestResult

console = Console(highlight=False)

MARKS = {
    "complete": ("✓", "green"),
    "wrong": ("✗", "red"),
    "todo": ("·", "dim"),
    "changed": ("~", "yellow"),
    "next": ("→", "bold cyan"),
}
PLAIN = str.maketrans({"✓": "+", "✗": "x", "·": ".", "→": ">", "…": "...", "×": "x", "−": "-"})
STYLES = {"expected": "green", "got": "red", "line": "yellow", "why": "default"}


def command(words: str) -> str:
    """Write one of the course's commands as it can be typed here."""
    python = "python" if sys.platform == "win32" or shutil.which("python") else "python3"
    return f"{python} -m bootcamp {words}".rstrip()


def mark(status: str) -> Text:
    """The one-character sign of a status, in its colour."""
    sign, style = MARKS[status]
    return Text(sign if _can_print(sign) else sign.translate(PLAIN), style=style)


def _can_print(sign: str) -> bool:
    try:
        sign.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def say(markup: str = "", style: str | None = None) -> None:
    """Print a paragraph, wrapped at the width of the terminal."""
    console.print(markup, style=style)


def problem(text: str) -> None:
    """Print what went wrong, to standard error."""
    Console(stderr=True, highlight=False).print(Text(text, style="red"), soft_wrap=True)


def failure_panel(result: ExerciseResult, lesson: str, verbose: bool = False) -> None:
    """Print the first failure of an exercise, or all: what was asked, what came, what it may be, where to go on."""
    failures = [test for test in result.tests if test.outcome == "failed"]
    if not failures:
        return
    say()
    say(f"[bold]{result.number} {escape(result.title)}[/]")
    body = Table.grid(padding=(0, 2))
    body.add_column(style="dim", no_wrap=True)
    body.add_column(overflow="fold")
    for test in failures if verbose else filter(None, [result.first_failure]):
        if body.row_count:
            body.add_row("", "")
        _add_failure(body, test)
    if result.mistake:
        body.add_row("looks like", Text(result.mistake, style="bold magenta"))
        body.add_row("", Text(result.mistake_hint))
    besides = []
    if len(failures) > 1 and not verbose:
        more = command(f"grade {result.number} --verbose")
        besides.append(f"{len(failures) - 1} more of its {len(result.tests)} tests fail (all of them: {more})")
    if waiting := [each for each in result.tests if each.outcome == "todo"]:
        besides.append(f"{len(waiting)} wait for what is still to write: {', '.join(result.to_write)}")
    if besides:
        body.add_row("besides", escape("; ".join(besides)))
    if result.beneath:
        listed = ", ".join(result.beneath)
        body.add_row("beneath", f"the reference stood in for {listed}, not complete yet, and what that needs")
    body.add_row("to go on", f"{command(f'hint {result.number}')}   {lesson}")
    console.print(Padding(body, (0, 0, 0, 2)))


def _add_failure(body: Table, test: TestResult) -> None:
    failure = test.failure
    assert failure
    if not failure.message.startswith("Python cannot read"):
        body.add_row("the claim", escape(test.claim))
    body.add_row("the finding", Text(failure.message, style="bold"))
    for label, text in _rows(failure):
        if label in ("call", "expected", "got", "differs", "line"):
            text = _folded(text, console.width - 16)
        body.add_row(label, Text(text, style=STYLES.get(label, "default")))


def _folded(text: str, width: int) -> str:
    """Break code and values at the width, behind a comma and its space if there is one: no other space is swallowed.

    >>> print(_folded("[0.25, 0.5, 0.125, 'as  it is']", 20))
    [0.25, 0.5, 0.125,
    'as  it is']
    """
    width = max(width, 20)
    lines = []
    for line in text.split("\n"):
        while len(line) > width:
            comma = line.rfind(", ", width // 2, width + 1)
            cut = width if comma < 0 else comma + 1
            lines.append(line[:cut])
            line = line[cut if comma < 0 else cut + 1 :]
        lines.append(line)
    return "\n".join(lines)


def _rows(failure: Failure) -> list[tuple[str, str]]:
    return [(label, text if _can_print(text) else text.translate(PLAIN)) for label, text in failure.rows()]
