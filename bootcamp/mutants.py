"""Mutants: the reference, changed a little in one place. Only what a learner writes is changed."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bootcamp import course, skeleton

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Add,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}


@dataclass(frozen=True)
class Mutant:
    """One change in one place."""

    exercise: str
    file: str
    line: int
    before: str  # the changed statement, as Python's own unparser writes it
    after: str
    make: Callable[[], str] = field(repr=False, compare=False)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.file, self.before, self.after

    @property
    def source(self) -> str:
        """The whole module, changed; made when it is asked for, since that takes a while."""
        return self.make()


def mutants(stage: course.Stage, numbers: Sequence[str]) -> list[Mutant]:
    """All mutants of the given exercises."""
    found: list[Mutant] = []
    known = [exercise.number for exercise in stage.exercises]
    for path in sorted(stage.reference.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        for region in skeleton.regions(source, known, path.name):
            if region.number in numbers:
                found += _of_region(source, region, path.name)
    return list({mutant.key: mutant for mutant in found if mutant.before != mutant.after}.values())


def _of_region(source: str, region: skeleton.Region, file: str) -> Iterator[Mutant]:
    tree = ast.parse(source)
    for statement in ast.walk(tree):
        if not isinstance(statement, ast.stmt) or not region.first < statement.lineno < region.last:
            continue
        for changed, line in _changes(statement):
            before, after = _head(statement), _head(changed) if changed else "(dropped)"
            yield Mutant(region.number, file, line, before, after, partial(_changed, tree, statement, changed))


def _changed(tree: ast.Module, old: ast.stmt, new: ast.stmt | None) -> str:
    """The module with one statement in the place of another."""
    whole = _Replace(old, new).visit(copy.deepcopy(tree))
    return ast.unparse(ast.fix_missing_locations(whole))


class _Replace(ast.NodeTransformer):
    """Puts one statement in the place of another, or `pass`; found by its position."""

    def __init__(self, old: ast.stmt, new: ast.stmt | None) -> None:
        self.place, self.new = _place(old), new

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.stmt) and _place(node) == self.place:
            return self.new or ast.Pass()
        return self.generic_visit(node)


def _place(node: ast.stmt) -> tuple[type, int, int]:
    return type(node), node.lineno, node.col_offset


def _head(node: ast.stmt) -> str:
    """A statement without the blocks in it."""
    text = ast.unparse(node)
    return text.split("\n")[0] if hasattr(node, "body") else text


def _changes(statement: ast.stmt) -> Iterator[tuple[ast.stmt | None, int]]:
    """Each changed version of one statement, blocks within it left alone, with the line of the change."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
        return
    droppable = (ast.Expr, ast.AugAssign, ast.Assign, ast.Delete, ast.Raise, ast.Break, ast.Continue, ast.If)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return  # a docstring
    if isinstance(statement, droppable):
        yield None, statement.lineno
    nodes = list(_own_nodes(statement))
    for index, node in enumerate(nodes):
        for change in _ways(node):
            changed = copy.deepcopy(statement)
            change(list(_own_nodes(changed))[index])
            yield changed, getattr(node, "lineno", statement.lineno)


def _own_nodes(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a statement without the statements within it."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop(0)
        yield node
        if isinstance(node, (ast.JoinedStr, ast.Raise)):  # the words of a message are not behaviour
            continue
        waiting += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]


def _ways(node: ast.AST) -> Iterator[Callable[[Any], Any]]:
    """The ways to change one node in place, as functions that do it to a copy."""
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            if other := COMPARISONS.get(type(operator)):
                yield lambda copy, i=i, other=other: copy.ops.__setitem__(i, other())
    elif isinstance(node, (ast.BinOp, ast.AugAssign)):
        if operation := OPERATORS.get(type(node.op)):
            yield lambda copy: setattr(copy, "op", operation())
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield lambda copy: setattr(copy, "op", other())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        new = ast.UAdd if isinstance(node.op, ast.USub) else None
        yield lambda copy: setattr(copy, "op", new() if new else ast.Not())
        if new is None:
            yield lambda copy: setattr(copy, "operand", ast.Constant(False))
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        for value in (True, False) if not isinstance(node, ast.While) else (False,):
            yield lambda copy, value=value: setattr(copy, "test", ast.Constant(value))
    elif isinstance(node, ast.Slice):
        for name in ("lower", "upper"):
            if getattr(node, name) is not None:
                yield lambda copy, name=name: setattr(copy, name, None)
    elif isinstance(node, ast.Call):
        for i in range(len(node.keywords)):
            yield lambda copy, i=i: copy.keywords.pop(i)
    elif isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool):
            yield lambda copy: setattr(copy, "value", not value)
        elif isinstance(value, (int, float)):
            yield lambda copy: setattr(copy, "value", value + 1)
            yield lambda copy: setattr(copy, "value", value - 1)
        elif isinstance(value, (str, bytes)) and value:
            yield lambda copy: setattr(copy, "value", value[:0])
    elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
        yield lambda copy: setattr(copy, "value", None)
