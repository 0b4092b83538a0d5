"""Skeletons, made from solutions: what a learner has to write is cut out, all else is carried over.

A solution marks the lines that the learner writes:

    def softmax(x: Tensor, dim: int = -1) -> Tensor:
        \"\"\"...\"\"\"
        # BEGIN SOLUTION 3.1: shift by the maximum, exponentiate, divide by the sum
        ...
        # END SOLUTION

Within a function the marked statements become `raise NotImplementedError("3.1 softmax: …")` under a TODO. A marked
region at the level of a module or a class (helpers and imports that only the solution needs) is left out.
"""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BEGIN = re.compile(r"#\s*BEGIN SOLUTION\b\s*(?P<number>\d+\.\d+)?\s*(?::\s*(?P<task>.+))?$")
END = re.compile(r"#\s*END SOLUTION\s*$")
WIDTH = 120

Function = ast.FunctionDef | ast.AsyncFunctionDef


class MarkerError(ValueError):
    """The markers of a solution are not as they have to be; the message names the line."""


@dataclass(frozen=True)
class Region:
    """The lines from a BEGIN marker to its END marker, counted from 1, both included."""

    first: int
    last: int
    number: str
    task: str
    indent: str
    function: str  # the qualified name of the function it stands in; '' at the level of a module or class


def regions(source: str, numbers: Iterable[str], file: str = "solution") -> list[Region]:
    """Find the marked regions of a solution, and hold them to the rules.

    Args:
        source: the text of the solution.
        numbers: the exercises that may be named.
        file: how to call it in an error.

    Raises:
        MarkerError: a marker is unmatched, nested, without a number or with one of no exercise, or it
            cuts through a statement.
    """
    tree = ast.parse(source)
    found: list[Region] = []
    begin: tuple[int, re.Match[str], str] | None = None
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or "SOLUTION" not in token.string:
            continue
        line = token.start[0]
        if match := BEGIN.match(token.string):
            if begin:
                raise MarkerError(f"{file}:{line}: BEGIN SOLUTION inside the region that line {begin[0]} begins")
            if match["number"] not in set(numbers):
                raise MarkerError(
                    f"{file}:{line}: BEGIN SOLUTION needs the number of an exercise, not {match['number']}"
                )
            begin = line, match, token.line[: token.start[1]]
        elif END.match(token.string):
            if not begin:
                raise MarkerError(f"{file}:{line}: END SOLUTION without a BEGIN SOLUTION before it")
            found.append(_region(tree, begin, line, file))
            begin = None
        else:
            raise MarkerError(f"{file}:{line}: not a marker: {token.string}")
    if begin:
        raise MarkerError(f"{file}:{begin[0]}: BEGIN SOLUTION without an END SOLUTION")
    return found


def _region(tree: ast.Module, begin: tuple[int, re.Match[str], str], last: int, file: str) -> Region:
    first, match, indent = begin
    if indent.strip():
        raise MarkerError(f"{file}:{first}: BEGIN SOLUTION needs a line of its own")
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    last_code = max((end_of(node) for node in nodes if end_of(node) < last), default=0)
    for node in nodes:
        if start_of(node) < first < end_of(node) < last_code or first < start_of(node) < last <= end_of(node):
            raise MarkerError(f"{file}:{first}: the region to line {last} cuts through a statement")
    outermost = next((node for node in nodes if first < start_of(node) <= end_of(node) < last), None)
    if not outermost:
        raise MarkerError(f"{file}:{first}: the region to line {last} holds no statement")
    if outermost.col_offset != len(indent):
        raise MarkerError(f"{file}:{first}: the marker is not indented like the statements in it")
    function = ""
    for name, node in functions(tree):
        if node.lineno < first and last <= (node.end_lineno or 0) + 1 and len(indent) > node.col_offset:
            function = name
    if function and not match["task"]:
        raise MarkerError(
            f"{file}:{first}: a region in a function needs its task: # BEGIN SOLUTION {match['number']}: …"
        )
    return Region(first, last, match["number"], (match["task"] or "").strip(), indent, function)


def start_of(node: ast.stmt) -> int:
    """The first line of a statement, decorators included."""
    return min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])


def end_of(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """All functions and methods with their qualified names, from the outermost inwards."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name, node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.stmt):
            yield from functions(node, prefix)


def make(source: str, numbers: Iterable[str], file: str = "solution") -> str:
    """Make the skeleton of a solution.

    Raises:
        MarkerError: see `regions`.
    """
    lines = source.splitlines()
    for region in reversed(regions(source, numbers, file)):
        lines[region.first - 1 : region.last] = _hole(region) if region.function else []
    text = _closed_up(lines)
    try:
        compile(text, file, "exec")
    except SyntaxError as error:
        raise MarkerError(f"{file}: the skeleton would not be Python: {error.msg}, line {error.lineno}") from None
    return text


def _hole(region: Region) -> list[str]:
    """The lines that stand in a skeleton where the solution was."""
    indent = region.indent
    what = f"{region.number} {region.function}: {region.task}"
    hint = f"hint: python -m bootcamp hint {region.number}"
    todo = f"{indent}# TODO {region.number}: {region.task}"
    whole = f"{what}; {hint}"
    one = f"{indent}raise NotImplementedError({_quoted(whole)})"
    if len(one) <= WIDTH:
        return [todo, one]
    inner = indent + "    "
    width = WIDTH - len(inner) - 2 - what.count('"')  # quotes around, and one \\ before each within
    parts = [*(f"{part} " for part in textwrap.wrap(f"{what};", width - 1)), hint]
    return [
        todo,
        f"{indent}raise NotImplementedError(",
        *(f"{inner}{_quoted(part)}" for part in ([whole] if len(whole) <= width else parts)),
        f"{indent})",
    ]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def without_markers(source: str) -> str:
    """Give the text of a solution without its markers."""
    kept = [line for line in source.splitlines() if not BEGIN.match(line.strip()) and not END.match(line.strip())]
    return _closed_up(kept)


def _closed_up(lines: list[str]) -> str:
    """Join lines with at most two empty ones between them, and at most one within a class or a function."""
    text = re.sub(r"\n{3,}(?= )", "\n\n", "\n".join(lines))
    return re.sub(r"\n{4,}", "\n\n\n", text).rstrip() + "\n"
