"""The mutation run: how mutants are made, a part of them graded, and the record of those that survive."""

from __future__ import annotations

import pytest
from thorough import rarer

from bootcamp import course, skeleton
from bootcamp.mutants import _of_region, mutants
from bootcamp.mutation import explained, survivors_of

STAGES = pytest.mark.parametrize("stage", course.stages(), ids=lambda stage: stage.name)
EVERY = 600  # how many mutants one is taken of here; `python -m bootcamp mutate` takes all

SOURCE = '''\
def bounded(value, low):
    """Give low at least."""
    # BEGIN SOLUTION 1.1: compare
    if value < low and not low == 0:
        value = low + 1
    return value
    # END SOLUTION
'''


def changes() -> set[tuple[str, str]]:
    (region,) = skeleton.regions(SOURCE, ["1.1"])
    return {(mutant.before, mutant.after) for mutant in _of_region(SOURCE, region, "module.py")}


@pytest.mark.parametrize(
    "before, after",
    [
        ("if value < low and (not low == 0):", "if value <= low and (not low == 0):"),
        ("if value < low and (not low == 0):", "if value < low or not low == 0:"),
        ("if value < low and (not low == 0):", "if value < low and (not low != 0):"),
        ("if value < low and (not low == 0):", "if value < low and (not low == 1):"),
        ("if value < low and (not low == 0):", "if True:"),
        ("if value < low and (not low == 0):", "(dropped)"),
        ("value = low + 1", "value = low - 1"),
        ("value = low + 1", "value = low + 2"),
        ("value = low + 1", "(dropped)"),
        ("return value", "return None"),
    ],
)
def test_changes(before: str, after: str):
    assert any(one[0] == before and one[1].startswith(after.removesuffix(" None")) for one in changes())


def test_mutants_are_python_and_differ():
    (region,) = skeleton.regions(SOURCE, ["1.1"])
    for mutant in _of_region(SOURCE, region, "module.py"):
        compile(mutant.source, "module.py", "exec")
        assert '"""Give low at least."""' in mutant.source


@STAGES
def test_of_a_part_each_survivor_is_explained(stage: course.Stage):
    todo = mutants(stage, [exercise.number for exercise in stage.exercises])[:: rarer(stage, EVERY)]
    reasons = explained(stage)
    unexplained = [mutant.key for mutant in survivors_of(stage, todo) if mutant.key not in reasons]
    assert not unexplained


@STAGES
def test_each_reason_is_of_a_mutant_that_there_is(stage: course.Stage):
    known = {mutant.key for mutant in mutants(stage, [exercise.number for exercise in stage.exercises])}
    reasons = explained(stage)
    assert reasons
    for key, why in reasons.items():
        assert key in known, key
        assert len(why) > 15, (key, why)
