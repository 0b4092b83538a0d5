"""2.4 · Learned positions: a row for each place, and an end."""

from typing import Any

import pytest
import torch
from torch import nn

from bootcamp.grading import check, written

absolute = written("stage02_embeddings.absolute")


def numbers(rng, *shape):
    """Random numbers from -1 to 1."""
    count = torch.Size(shape).numel()
    return torch.tensor([rng.uniform(-1, 1) for _ in range(count)]).reshape(shape)


def table_of(position, *shape) -> Any:
    """The table of a module, held to be a Parameter of this shape."""
    weight: Any = getattr(position, "weight", None)
    check.true(isinstance(weight, nn.Parameter), "weight is a Parameter", got=type(weight).__name__)
    check.equal(list(weight.shape), list(shape), "the shape of weight")
    return weight


def with_rows(rows):
    """A module in whose table these rows were written."""
    position = absolute.LearnedPosition(*rows.shape)
    with torch.no_grad():
        table_of(position, *rows.shape).copy_(rows)
    return position


def test_the_table_is_a_parameter():
    """The table is the Parameter `weight`, of the shape (max_length, dim), and nothing else is learned."""
    position = absolute.LearnedPosition(7, 4)
    check.equal(str(table_of(position, 7, 4).dtype), "torch.float32", "the number format of weight")
    learned = sum(each.numel() for each in position.parameters() if each.requires_grad)
    check.equal(learned, 28, "how many numbers LearnedPosition(7, 4) learns")


def test_the_table_is_drawn_small():
    """The numbers of the table are drawn from the normal distribution of the mean 0 and standard deviation 0.02."""
    drawn = table_of(absolute.LearnedPosition(600, 50), 600, 50).detach()
    spread = float(drawn.std())
    check.equal(float(f"{spread:.1g}"), 0.02, "the standard deviation of weight, to one digit")
    check.true(abs(spread / 0.02 - 1) < 0.03, "the standard deviation of weight is 0.02", got=f"{spread:.5f}")
    check.true(abs(float(drawn.mean())) < 6e-4, "the mean of weight is 0", got=f"{float(drawn.mean()):.5f}")
    for times, share in ((1, 0.6827), (2, 0.9545)):
        within = float((drawn.abs() < times * spread).double().mean())
        claim = f"{share:.1%} of the numbers lie within {times} standard deviations"
        check.true(abs(within - share) < 0.015, claim, got=f"{within:.1%}")
    check.true(len(drawn.unique()) > 25_000, "each number is drawn for itself", got=f"{len(drawn.unique())} differ")


def test_gives_the_rows():
    """Each position gives its row of the table, the first row being that of position 0."""
    rows = torch.tensor([[0.0, 0.5, 1.0], [10.0, 10.5, 11.0], [20.0, 20.5, 21.0], [30.0, 30.5, 31.0]])
    expected = [[0.0, 0.5, 1.0], [10.0, 10.5, 11.0], [20.0, 20.5, 21.0]]
    check.returns(torch.tensor(expected), with_rows(rows), torch.tensor([0, 1, 2]))


def test_an_offset(rng):
    """Two tokens that come after five others get the rows 5 and 6, not 0 and 1."""
    rows = numbers(rng, 9, 3)
    check.returns(rows[5:7], with_rows(rows), torch.tensor([5, 6]))
    check.returns(rows[4:5], with_rows(rows), torch.tensor([4]), why="Decoding asks for one position at a time.")


def test_up_to_the_last_position(rng):
    """The last position is max_length - 1, and has its row."""
    rows = numbers(rng, 6, 4)
    check.returns(rows, with_rows(rows), torch.arange(6))


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 5), (), (2, 0)], ids=str)
def test_any_shape(rng, shape):
    """Positions of any shape and in any order get one axis more, of the width."""
    rows = numbers(rng, 8, 4)
    positions = [rng.randrange(8) for _ in range(torch.Size(shape).numel())]
    expected = torch.stack([rows[0], *(rows[each] for each in positions)])[1:].reshape(*shape, 4)
    check.returns(expected, with_rows(rows), torch.tensor(positions, dtype=torch.long).reshape(shape))


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "uint16", "int32"])
def test_integers_of_any_format(rng, name):
    """Positions may be integers of any format."""
    rows = numbers(rng, 7, 4)
    positions = [1, 0, 6, 1, 1, 0, 5]
    why = "An index of 8 bits is taken for a mask (true, false, …) by torch: turn the positions into int64 first."
    got = with_rows(rows)(torch.tensor(positions, dtype=getattr(torch, name)))
    check.equal(got, rows[positions], f"the vectors of {positions} as {name}", why=why)


def test_gradients_add_up():
    """A position that stands in several sequences gets the sum of their gradients."""
    position = with_rows(torch.zeros(4, 2))
    upstream = torch.tensor([[[1.0, 2], [10, 20]], [[100, 200], [1000, 2000]]])
    (position(torch.tensor([[1, 2], [2, 3]])) * upstream).sum().backward()
    got = position.weight.grad
    check.true(got is not None, "a gradient comes back to weight")
    expected = torch.tensor([[0.0, 0], [1, 2], [110, 220], [1000, 2000]])
    check.equal(got.to_dense(), expected, "the gradient of weight for the positions [[1, 2], [2, 3]]")


def test_follows_the_format_of_the_module(rng):
    """After half() or double() the vectors have that format too."""
    rows = numbers(rng, 7, 4)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        got = with_rows(rows).to(dtype)(torch.tensor([3, 6]))
        check.equal(str(got.dtype), str(dtype), f"the format of what comes after .to({dtype})")
        check.equal(got, rows.to(dtype)[[3, 6]], f"the rows 3 and 6 after .to({dtype})")


def test_past_the_end(rng):
    """A position past the end is an IndexError that names it and max_length."""
    position = with_rows(numbers(rng, 37, 2))
    why = "A model knows nothing of places that it never saw. Say so; no other row will do."
    check.equal(list(position(torch.tensor([36])).shape), [1, 2], "the shape of what position 36 of 37 gives")
    check.raises(IndexError, position, torch.tensor([36, 37]), naming=[37], why=why)
    check.raises(IndexError, position, torch.tensor([[3, 952], [0, 1]]), naming=[952, 37], why=why)


def test_before_the_start(rng):
    """A negative position does not count from the end: it is an IndexError that names it."""
    position = with_rows(numbers(rng, 37, 2))
    check.equal(list(position(torch.tensor([0])).shape), [1, 2], "the shape of what position 0 gives")
    check.raises(IndexError, position, torch.tensor([3, -1]), naming=[-1, 37])


def test_positions_that_are_no_integers(rng):
    """Numbers with a point, and true or false, are a TypeError that names their format."""
    position = with_rows(numbers(rng, 5, 2))
    check.equal(list(position(torch.tensor([0, 1])).shape), [2, 2], "the shape of what two positions give")
    for positions in (torch.tensor([1.0, 0.0]), torch.tensor([True, False, True, False, True])):
        check.raises(TypeError, position, positions, naming=[positions.dtype])


@pytest.mark.parametrize("args, wrong", [((0, 3), 0), ((5, 0), 0), ((-2, 3), -2)], ids=str)
def test_sizes_that_make_no_sense(args, wrong):
    """No position, or no width, is a ValueError that names it."""
    table_of(absolute.LearnedPosition(5, 3), 5, 3)
    check.raises(ValueError, absolute.LearnedPosition, *args, naming=[wrong])
