"""Skeletons: what is cut out, what is carried over, what is refused."""

from __future__ import annotations

import textwrap

import pytest

from bootcamp import course, skeleton
from bootcamp.commands.maintain import all_skeletons
from bootcamp.skeleton import MarkerError


def make(text: str) -> str:
    return skeleton.make(textwrap.dedent(text), ["1.1", "1.2"], "file.py")


def test_a_function_loses_its_marked_lines_and_keeps_the_rest():
    text = make('''
        def double(x: int) -> int:
            """Give 2x."""
            # x may be negative
            # BEGIN SOLUTION 1.1: add x to itself
            y = x + x
            return y
            # END SOLUTION
    ''')
    assert '"""Give 2x."""' in text and "# x may be negative" in text and "y =" not in text
    assert "# TODO 1.1: add x to itself" in text
    with pytest.raises(
        NotImplementedError, match=r"^1\.1 double: add x to itself; hint: python -m bootcamp hint 1\.1$"
    ):
        scope: dict = {}
        exec(text, scope)
        scope["double"](2)


def test_methods_and_nested_functions_are_named_in_full():
    text = make("""
        class Doubler:
            def double(self, x):
                # BEGIN SOLUTION 1.1: add
                return x + x
                # END SOLUTION

        def outer():
            def inner():
                # BEGIN SOLUTION 1.2: nothing
                return 1
                # END SOLUTION
            return inner()
    """)
    assert '"1.1 Doubler.double: add;' in text
    assert '"1.2 outer.inner: nothing;' in text


def test_a_region_in_a_block_is_indented_like_it():
    text = make("""
        def f(x):
            if x:
                # BEGIN SOLUTION 1.1: one
                return 1
                # END SOLUTION
            return 2
    """)
    assert "            # TODO" not in text and "        # TODO 1.1: one" in text
    assert "    return 2" in text


def test_helpers_and_imports_vanish():
    text = make("""
        import os
        # BEGIN SOLUTION 1.1
        import heapq
        # END SOLUTION


        # BEGIN SOLUTION 1.1
        def _helper():
            return heapq
        # END SOLUTION


        class A:
            x = 1

            # BEGIN SOLUTION 1.1
            def _more(self):
                return 1
            # END SOLUTION
    """)
    assert "heapq" not in text and "_helper" not in text and "_more" not in text
    assert "import os" in text and "x = 1" in text


def test_markers_in_strings_are_text():
    text = make('''
        TEXT = """
        # BEGIN SOLUTION 1.1: no marker
        """
    ''')
    assert "# BEGIN SOLUTION 1.1: no marker" in text


def test_long_tasks_are_wrapped():
    text = make(f"""
        def f():
            # BEGIN SOLUTION 1.1: {"very " * 12}long "task"
            return 1
            # END SOLUTION
    """)
    assert max(map(len, text.splitlines())) <= skeleton.WIDTH


@pytest.mark.parametrize(
    "text, problem",
    [
        ("# BEGIN SOLUTION 1.1: a\nx = 1\n", "without an END"),
        ("x = 1\n# END SOLUTION\n", "without a BEGIN"),
        ("# BEGIN SOLUTION 1.1\n# BEGIN SOLUTION 1.2\nx = 1\n# END SOLUTION\n# END SOLUTION\n", "inside the region"),
        ("# BEGIN SOLUTION\nx = 1\n# END SOLUTION\n", "needs the number"),
        ("# BEGIN SOLUTION 9.9: a\nx = 1\n# END SOLUTION\n", "9.9"),
        ("# BEGIN SOLUTION 1.1\n# END SOLUTION\n", "holds no statement"),
        ("# BEGIN SOLUTIONS 1.1\nx = 1\n# END SOLUTION\n", "not a marker"),
        ("def f():\n    # BEGIN SOLUTION 1.1\n    return 1\n    # END SOLUTION\n", "needs its task"),
        (
            "def f(x):\n    # BEGIN SOLUTION 1.1: a\n    if x:\n        y = 1\n        # END SOLUTION\n        z = 2\n",
            "cuts",
        ),
        (
            "def f(x):\n    if x:\n        # BEGIN SOLUTION 1.1: a\n        y = 1\n    z = 2\n    # END SOLUTION\n",
            "cuts",
        ),
        ("def f(x):\n        # BEGIN SOLUTION 1.1: a\n    return 1\n        # END SOLUTION\n", "indented"),
        ("x = 1  # BEGIN SOLUTION 1.1\ny = 2\n# END SOLUTION\n", "line of its own"),
        ("def f():\n    pass\n# BEGIN SOLUTION 1.1\ntry:\n    x = 1\n# END SOLUTION\nfinally:\n    y = 1\n", "cuts"),
    ],
)
def test_markers_that_are_wrong_are_named(text: str, problem: str):
    with pytest.raises(MarkerError, match=problem):
        skeleton.make(text, ["1.1", "1.2"], "file.py")


def test_without_markers_is_the_solution():
    text = "def f():\n    # BEGIN SOLUTION 1.1: one\n    return 1\n    # END SOLUTION\n"
    assert skeleton.without_markers(text) == "def f():\n    return 1\n"


def test_committed_skeletons_are_what_the_solutions_make():
    """In a learner's own checkout this fails as soon as an exercise is written: it is a test for maintainers."""
    for path, text in all_skeletons().items():
        place = path.relative_to(course.ROOT).as_posix()
        assert path.is_file() and path.read_text(encoding="utf-8") == text, (
            f"{place} is not what its solution makes; python3 -m bootcamp skeletons --write"
        )


def test_every_function_of_an_exercise_has_a_hole_and_every_hole_an_exercise():
    for stage in course.stages():
        numbers = [exercise.number for exercise in stage.exercises]
        declared = {(exercise.number, function) for exercise in stage.exercises for function in exercise.functions}
        holes = set()
        for path in stage.reference.glob("*.py"):
            for region in skeleton.regions(path.read_text(encoding="utf-8"), numbers, path.name):
                if region.function:
                    holes.add((region.number, f"{path.stem}.{region.function}"))
        for number, function in declared:
            inside = {hole for hole in holes if hole == (number, function) or hole[1].startswith(function + ".")}
            assert inside, f"{number} declares {function}, which has no hole"
            holes -= inside
        assert not holes, f"holes that no exercise declares: {sorted(holes)}"
