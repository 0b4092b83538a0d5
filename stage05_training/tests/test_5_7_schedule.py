"""5.7 · The learning rate: up in a line, down in half a cosine."""

import math

import pytest

from bootcamp.grading import check, written

schedule = written("stage05_training.schedule")


def rates(steps, *args, **kwargs):
    """The learning rates of some steps."""
    return [check.unchanged(schedule.warmup_cosine, step, *args, **kwargs) for step in steps]


def by_formula(step, max_lr, warmup, total, min_lr):
    """What the docstring says, by cases."""
    if step < warmup:
        return (step + 1) * (max_lr / warmup)
    if step > total:
        return min_lr
    turn = math.pi * (step - warmup) / (total - warmup)
    high = math.cos(turn / 2) ** 2  # (1 + cos(2x)) / 2 is cos(x)²
    return high * max_lr + (1 - high) * min_lr


# -- by hand: warmup 4, and from 8 to 2 in 6 steps


def test_the_warmup_by_hand():
    """The rate climbs in equal steps: the first step has the first of them, and step warmup - 1 has max_lr."""
    why = "A first step with the rate 0 would be a step for nothing."
    check.close(rates(range(4), 8.0, 4, 10, 2.0), [2.0, 4.0, 6.0, 8.0], "the learning rates of steps 0 to 3", why=why)


def test_the_way_down_by_hand():
    """From step warmup to step total, the rate falls from max_lr to min_lr as half a cosine does."""
    root = math.sqrt(3) / 2
    expected = [8.0, 5 + 3 * root, 6.5, 5.0, 3.5, 5 - 3 * root, 2.0]
    why = "cos goes from 1 at the angle 0 to -1 at π: through 0.866, 0.5, 0, -0.5, -0.866 at the sixths of the way."
    check.close(rates(range(4, 11), 8.0, 4, 10, 2.0), expected, "the learning rates of steps 4 to 10", why=why)


def test_beyond_the_end_by_hand():
    """Beyond step total the rate stays min_lr."""
    why = "A cosine that goes on would rise again."
    check.close(rates([11, 12, 16, 1000], 8.0, 4, 10, 2.0), [2.0] * 4, "the rates of steps 11, 12, 16, 1000", why=why)


# -- edges


def test_no_warmup():
    """With warmup=0, step 0 has max_lr, and the way down begins there."""
    check.close(rates(range(6), 8.0, 0, 4, 4.0), [8.0, 6 + math.sqrt(2), 6, 6 - math.sqrt(2), 4, 4], "steps 0 to 5")


def test_a_warmup_of_one_step():
    """With warmup=1, steps 0 and 1 have max_lr."""
    check.close(rates(range(5), 6.0, 1, 3, 2.0), [6.0, 6.0, 4.0, 2.0, 2.0], "the learning rates of steps 0 to 4")


def test_down_in_one_step():
    """With total = warmup + 1, the step after the highest rate has the lowest."""
    check.close(rates(range(6), 9.0, 3, 4, 1.0), [3.0, 6.0, 9.0, 9.0, 1.0, 1.0], "the learning rates of steps 0 to 5")


def test_down_to_zero():
    """If nothing is said, the lowest rate is 0."""
    check.close(rates(range(2, 8), 8.0, 2, 6), [8.0, 4 + math.sqrt(8), 4, 4 - math.sqrt(8), 0, 0], "steps 2 to 7")


def test_nothing_to_fall():
    """With min_lr = max_lr, the rate stays where it is after the warmup."""
    check.close(rates(range(7), 6.0, 2, 5, 6.0), [3.0, *[6.0] * 6], "the learning rates of steps 0 to 6")


def test_a_number_comes():
    """The rate is a plain number in the warmup, on the way down, and beyond."""
    for step in (0, 1, 2, 3, 4, 5, 9):
        got = schedule.warmup_cosine(step, 3, 2, 5, 1)
        check.true(isinstance(got, (int, float)), f"what comes for step {step} is a number", got=got)


# -- every step


@pytest.mark.varied  # of a list as long as this, only a sum of its digits is kept
def test_a_long_run():
    """Each of 2,000 steps has the rate that the formula says."""
    got = rates(range(2000), 30.0, 170, 1800, 3.0)
    expected = [by_formula(step, 30.0, 170, 1800, 3.0) for step in range(2000)]
    check.close(got, expected, "the learning rates of steps 0 to 1999", rtol=1e-9)


def test_any_numbers(rng):
    """So it is for any numbers, up to a few steps beyond the end."""
    for _ in range(40):
        warmup = rng.randrange(12)
        total = warmup + rng.randrange(1, 20)
        max_lr = rng.uniform(1.0, 9.0)
        min_lr = rng.choice([0.0, rng.uniform(0.0, max_lr)])
        args = (max_lr, warmup, total, min_lr)
        expected = [by_formula(step, *args) for step in range(total + 5)]
        check.close(rates(range(total + 5), *args), expected, f"warmup_cosine(step, {', '.join(map(str, args))})")


def test_by_name():
    """All arguments can be given by name."""
    got = schedule.warmup_cosine(min_lr=2.0, total=10, warmup=4, max_lr=8.0, step=6)
    check.close(got, 6.5, "warmup_cosine(step=6, max_lr=8.0, warmup=4, total=10, min_lr=2.0)")


@pytest.mark.parametrize(
    "args, naming",
    [
        ((-1, 1.0, 2, 6, 0.5), [-1]),
        ((3, 1.0, -2, 6, 0.5), [-2]),
        ((3, 1.0, 6, 6, 0.5), [6]),
        ((3, 1.0, 7, 6, 0.5), [7, 6]),
        ((3, 1.0, 2, 6, 1.5), [1.5, 1.0]),
        ((3, 1.0, 2, 6, -0.5), [-0.5]),
        ((3, -1.0, 2, 6), [-1.0]),
        ((3, 1.0, 2, 6, math.nan), ["nan"]),
    ],
    ids=str,
)
def test_what_is_refused(args, naming):
    """A negative number, a total that is not more than the warmup, and min_lr above max_lr are a ValueError."""
    check.close(schedule.warmup_cosine(2, 1.0, 2, 6, 0.5), 1.0, "warmup_cosine(2, 1.0, 2, 6, 0.5)")
    check.raises(ValueError, schedule.warmup_cosine, *args, naming=naming)
