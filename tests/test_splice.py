"""Putting the functions of one exercise into a file."""

from __future__ import annotations

import ast

import pytest

from bootcamp import splice
from bootcamp.course import CourseError

ORIGIN = '''"""doc"""

import heapq


def one():
    return "theirs"


class Box:
    def __init__(self):
        self.x = 1

    @property
    def two(self):
        return "theirs"


def three():
    return "theirs"
'''


def test_only_the_named_functions_change():
    mine = ORIGIN.replace("theirs", "mine") + "\n\nX = 1  # my own\n"
    text = splice.put(mine, ORIGIN, ["Box.two"], "file.py")
    assert text == mine.replace('        return "mine"', '        return "theirs"')


def test_decorators_and_comments_around_stay_in_place():
    mine = ORIGIN.replace("    @property\n", "    # why it is a property\n    @property\n")
    text = splice.put(mine, ORIGIN, ["Box.two"], "file.py")
    assert text == mine


def test_what_was_deleted_comes_back():
    mine = (
        '"""doc"""\n\n\nclass Box:\n    def __init__(self):\n        self.x = 2\n\n\ndef three():\n    return "mine"\n'
    )
    text = splice.put(mine, ORIGIN, ["one", "Box.two"], "file.py")
    scope: dict = {}
    exec(compile(ast.parse(text), "file", "exec"), scope)
    assert scope["one"]() == "theirs" and scope["Box"]().two == "theirs" and scope["three"]() == "mine"
    assert scope["Box"]().x == 2


def test_helpers_and_imports_come_before_their_users():
    mine = '"""doc"""\n\n\ndef three():\n    return 3\n'
    text = splice.put(mine, ORIGIN, ["three"], "file.py", ["import import heapq", "one"])
    assert text.index("import heapq") < text.index("def one") < text.index("def three")
    again = splice.put(text, ORIGIN, ["three"], "file.py", ["import import heapq", "one"])
    assert again == text


def test_a_file_that_is_no_python_is_refused_by_line():
    with pytest.raises(CourseError, match="line 2"):
        splice.put("x = 1\ndef f(:\n", ORIGIN, ["one"], "file.py")
