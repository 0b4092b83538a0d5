"""Puts the functions of one exercise into a file, and leaves everything else in it as it is."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from bootcamp import skeleton
from bootcamp.course import CourseError, Exercise, Stage


@dataclass(frozen=True)
class Piece:
    """A definition, or another statement at the level of a module, with the lines it takes."""

    first: int
    last: int
    parent_last: int  # the last line of the class it stands in; 0 at the level of the module


def pieces(source: str) -> dict[str, Piece]:
    """Where each function, class and module-level name of a source stands, by its qualified name."""
    found: dict[str, Piece] = {}

    def walk(body: Sequence[ast.stmt], prefix: str, parent_last: int) -> None:
        for node in body:
            names: list[str] = []
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names = [node.target.id]
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [f"import {ast.unparse(node)}"]
            for name in names:
                found[prefix + name] = Piece(skeleton.start_of(node), skeleton.end_of(node), parent_last)
            if isinstance(node, ast.ClassDef):
                walk(node.body, f"{prefix}{node.name}.", skeleton.end_of(node))

    walk(ast.parse(source).body, "", 0)
    return found


def text_of(source: str, name: str) -> str:
    """The lines of one definition; '' if the source has none of that name."""
    piece = pieces(source).get(name)
    return "\n".join(source.splitlines()[piece.first - 1 : piece.last]) if piece else ""


def without(source: str, names: Sequence[str]) -> str:
    """Leave definitions out of a source; a source that is no Python is given as it is."""
    try:
        there = pieces(source)
    except SyntaxError:
        return source
    gone = {line for name in names if name in there for line in range(there[name].first, there[name].last + 1)}
    return "\n".join(line for number, line in enumerate(source.splitlines(), start=1) if number not in gone)


def names_of(exercise: Exercise, module: str) -> list[str]:
    """The functions of an exercise that stand in one module, by their qualified names there."""
    return [rest for each, _, rest in (function.partition(".") for function in exercise.functions) if each == module]


def helpers_of(stage: Stage, exercise: Exercise, module: str) -> list[str]:
    """What else the reference needs for an exercise in one module: marked helpers, constants and imports."""
    source = (stage.reference / f"{module}.py").read_text(encoding="utf-8")
    regions = skeleton.regions(source, [each.number for each in stage.exercises], f"{module}.py")
    mine = [region for region in regions if region.number == exercise.number and not region.function]
    return [
        name
        for name, piece in pieces(source).items()
        if any(region.first < piece.first and piece.last < region.last for region in mine)
    ]


def put(target: str, origin: str, names: Sequence[str], file: str, helpers: Sequence[str] = ()) -> str:
    """Replace definitions in `target` by those of `origin`; add the ones that it does not have.

    Args:
        target: the text that is changed.
        origin: the text that the definitions are taken from.
        names: the qualified names of the functions to put in place.
        file: how to call the target in an error.
        helpers: what else they need, put before the first of them if it is not there.

    Raises:
        CourseError: the target is no Python, so that nothing in it can be found.
    """
    taken = {*helpers, *names}  # what stands in a class that is put as a whole comes along with it
    for name in [each for each in [*helpers, *names] if not taken.intersection(_parents(each))]:
        try:
            there = pieces(target)
        except SyntaxError as error:
            raise CourseError(
                f"{file} is not Python: {error.msg}, line {error.lineno}. Mend that line, or put the whole file back "
                "with --file; yours is kept."
            ) from None
        lines, text = target.splitlines(), text_of(origin, name).splitlines()
        if name in there:
            lines[there[name].first - 1 : there[name].last] = text
        elif name.startswith("import "):
            imports = [piece.last for each, piece in there.items() if each.startswith("import ")]
            after = max(imports, default=0)
            lines[after:after] = text
        elif "." not in name and name in helpers and any(each in there for each in names if "." not in each):
            before = min(there[each].first for each in names if each in there and "." not in each) - 1
            lines[before:before] = [*text, "", ""]
        elif "." in name and (parent := there.get(name.rpartition(".")[0])):
            lines[parent.last : parent.last] = ["", *text]
        else:
            lines += ["", "", *text]
        target = "\n".join(lines) + "\n"
    return target


def _parents(name: str) -> list[str]:
    """The qualified names of what a definition stands in."""
    parts = name.split(".") if not name.startswith("import ") else []
    return [".".join(parts[:end]) for end in range(1, len(parts))]
