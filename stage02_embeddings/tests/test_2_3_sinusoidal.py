"""2.3 · Sinusoidal positions: a clock with a hand for each pair of columns."""

import math

import pytest
import torch
from torch.overrides import TorchFunctionMode

from bootcamp.grading import check, written

absolute = written("stage02_embeddings.absolute")

FAR = 99_999


def row(position, dim, base=10000.0):
    """The vector of one position, straight from the formula."""
    angles = [position / base ** ((column - column % 2) / dim) for column in range(dim)]
    return [math.cos(angle) if column % 2 else math.sin(angle) for column, angle in enumerate(angles)]


def rows(positions, dim, base=10000.0):
    """The vectors of some positions, in float64."""
    return torch.tensor([row(position, dim, base) for position in positions], dtype=torch.float64).reshape(-1, dim)


def table_is(expected, *args, why=""):
    """Hold a table to what it should be."""
    got = check.unchanged(absolute.sinusoidal_table, *args)
    check.close(got, expected, check.call_text(absolute.sinusoidal_table, args, {}), why=why)


# -- sinusoidal_table


def test_four_columns_by_hand():
    """For a width of 4 the columns are sin p, cos p, sin p/100, cos p/100."""
    expected = [[math.sin(p), math.cos(p), math.sin(p / 100), math.cos(p / 100)] for p in range(3)]
    table_is(torch.tensor(expected), 3, 4)


def test_starts_at_position_0():
    """The first row is that of position 0: all sines are 0, all cosines 1."""
    table_is(torch.tensor([[0.0, 1, 0, 1, 0, 1]]), 1, 6)


@pytest.mark.parametrize("length, dim", [(5, 2), (4, 6), (9, 8), (7, 32)])
def test_even_widths(length, dim):
    """A sine stands in each even column and its cosine beside it, both of the angle p / 10000^(2i / dim)."""
    table_is(rows(range(length), dim), length, dim)


@pytest.mark.parametrize("length, dim", [(4, 1), (5, 3), (3, 7), (6, 15)])
def test_odd_widths(length, dim):
    """An odd width ends with a sine; the exponent is 2i / dim all the same."""
    table_is(rows(range(length), dim), length, dim)


def test_another_base(rng):
    """The base may be another number than 10000."""
    for base in (2.0, 500.0, float(rng.randrange(20_000, 90_000))):
        table_is(rows(range(5), 6, base), 5, 6, base)


def test_far_positions_are_exact():
    """The numbers of a far position are as exact as those of a near one."""
    got = absolute.sinusoidal_table(FAR + 1, 5)
    why = "float32 keeps seven digits: of the angle 99,999 it leaves two behind the point. Compute angles in float64."
    what = f"row {FAR:,} of sinusoidal_table({FAR + 1}, 5)"
    check.equal(list(got.shape), [FAR + 1, 5], f"the shape of sinusoidal_table({FAR + 1}, 5)")
    check.close(got[FAR], rows([FAR], 5)[0], what, why=why)


def test_the_table_is_float32():
    """The table comes in float32, and takes no gradient."""
    for dim in (4, 5):
        got = absolute.sinusoidal_table(3, dim)
        check.equal(str(got.dtype), "torch.float32", f"the format of sinusoidal_table(3, {dim})")
        check.equal(got.requires_grad, False, f"sinusoidal_table(3, {dim}).requires_grad")


def test_no_rows():
    """A length of 0 gives no row, of the full width."""
    for dim in (4, 5):
        check.equal(list(absolute.sinusoidal_table(0, dim).shape), [0, dim], f"the shape of sinusoidal_table(0, {dim})")


@pytest.mark.parametrize(
    "args, wrong", [((-1, 4), -1), ((3, 0), 0), ((3, -2), -2), ((3, 4, 0.0), 0.0), ((3, 4, -10.0), -10.0)], ids=str
)
def test_sizes_that_make_no_sense(args, wrong):
    """A negative length, no width, or a base that is not positive, are a ValueError that names it."""
    table_is(rows([0], 4), 1, 4)
    check.raises(ValueError, absolute.sinusoidal_table, *args, naming=[wrong])


# -- SinusoidalPosition


def module_gives(module, positions, what, dtype=torch.float32, **tolerance):
    """Hold what a module of width 5 gives for some positions to the formula, and to a number format."""
    got = check.unchanged(module, torch.tensor(positions))
    check.equal(str(got.dtype), str(dtype), f"the format of {what}")
    check.close(got, rows(positions, 5), what, **tolerance)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 3, 4), ()], ids=str)
def test_any_shape(rng, shape):
    """Positions of any shape and in any order get one axis more, of the width."""
    positions = torch.tensor([rng.randrange(60) for _ in range(torch.Size(shape).numel())]).reshape(shape)
    module = absolute.SinusoidalPosition(6)
    expected = rows(positions.flatten().tolist(), 6).reshape(*shape, 6)
    check.close(check.unchanged(module, positions), expected, f"the vectors of the positions {positions.tolist()}")


def test_no_positions():
    """No position gives no vector, of the full width."""
    got = absolute.SinusoidalPosition(5)(torch.zeros(2, 0, dtype=torch.long))
    check.equal(list(got.shape), [2, 0, 5], "the shape of what no positions give")


def test_base_of_the_module():
    """The module keeps to its base."""
    got = absolute.SinusoidalPosition(6, 50.0)(torch.tensor([3, 8]))
    check.close(got, rows([3, 8], 6, 50.0), "SinusoidalPosition(6, base=50.0) at the positions 3 and 8")


def test_however_far():
    """No position is too far, in whatever order they come."""
    module = absolute.SinusoidalPosition(5)
    for positions in ([2, 0], [1], [70, 3], [5], [6000], [4], [6001, 6000, 0], [FAR]):
        module_gives(module, positions, f"the vectors of {positions}, after others")


def test_one_by_one():
    """Positions that come one at a time, as in decoding, get the vectors that they get together."""
    module = absolute.SinusoidalPosition(4)
    for position in range(40):
        got = module(torch.tensor([position]))
        check.close(got, rows([position], 4), f"the vector of position {position}, those before having come one by one")


class Work(TorchFunctionMode):
    """Counts the numbers that functions of torch give."""

    numbers = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numbers += result.numel()
        return result


def test_no_table_for_each_call():
    """Two hundred positions that come one by one do not cost two hundred tables."""
    module = absolute.SinusoidalPosition(4)
    table = 3200 * 4
    with Work() as work:
        got = [module(torch.tensor([position])) for position in range(3000, 3200)]
    check.close(got[-1], rows([3199], 4), "the vector of position 3,199, after those of 3,000 to 3,198")
    check.true(
        work.numbers < 60 * table,
        "the positions 3,000 to 3,199, one by one, cost less than 60 tables of 3,200 rows",
        got=f"as many numbers are made as {work.numbers // table} tables have",
        why="Keep the table between calls, and make it longer than is asked for: the next position comes soon.",
    )


def test_nothing_is_learned_and_nothing_is_saved():
    """The module has no parameter and no entry in its state_dict, used or not."""
    module = absolute.SinusoidalPosition(4)
    for when in ("before it is used", "after it was used"):
        names = [name for name, _ in module.named_parameters()]
        check.equal(names, [], f"the parameters {when}")
        why = "register_buffer(..., persistent=False) keeps a tensor out of the state_dict."
        check.equal(sorted(module.state_dict()), [], f"the entries of state_dict() {when}", why=why)
        check.equal(module(torch.tensor([3])).requires_grad, False, "requires_grad of a vector")


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "uint16", "int32"])
def test_integers_of_any_format(name):
    """Positions may be integers of any format."""
    positions = [1, 0, 6, 1, 1, 0, 127]
    why = "An index of 8 bits is taken for a mask (true, false, …) by torch: turn the positions into int64 first."
    got = absolute.SinusoidalPosition(5)(torch.tensor(positions, dtype=getattr(torch, name)))
    check.close(got, rows(positions, 5), f"the vectors of {positions} as {name}", why=why)


FORMATS = [(torch.float16, 5e-4), (torch.bfloat16, 4e-3), (torch.float64, 1e-6)]  # half of the last digit, near 1


@pytest.mark.parametrize("dtype, atol", FORMATS, ids=["float16", "bfloat16", "float64"])
def test_follows_the_format_of_the_module(dtype, atol):
    """After to() or half() the vectors come in that format, exact to its last digit, however far the position."""
    why = "Compute in float64 and round at the end: bfloat16 knows no 301, and float16 no number past 65,504."
    for first in ([], [2000]):
        module = absolute.SinusoidalPosition(5)
        if first:
            module(torch.tensor(first))
        module = module.half() if dtype == torch.float16 else module.to(dtype)
        for positions in ([7, 301], [3001, 0], [70_001]):
            what = f"the vectors of {positions} after .to({dtype})" + (", once used" if first else "")
            module_gives(module, positions, what, dtype, atol=atol, rtol=0, why=why)


def test_back_from_half():
    """After half() and float() the vectors are the float32 ones again."""
    module = absolute.SinusoidalPosition(5)
    module_gives(module, [3, 11], "the vectors of [3, 11] at first")
    module_gives(module.half(), [3, 11], "the vectors of [3, 11] after half()", torch.float16, atol=5e-4, rtol=0)
    why = "What was rounded to half keeps its three digits when it is made float32 again: compute it anew."
    module_gives(module.float(), [3, 11], "the vectors of [3, 11] after half() and float()", why=why)


def test_follows_the_device_of_the_module():
    """The vectors come on the module's device."""
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        module = absolute.SinusoidalPosition(5).to(device)
        for positions in ([3, 1], [4000]):
            got = module(torch.tensor(positions, device=device))
            check.equal(got.device.type, device, f"the device of what comes after .to({device!r})")
            check.close(got, rows(positions, 5), f"the vectors of {positions}")


def test_what_comes_is_the_callers():
    """Who writes into what came does not change what comes next."""
    module = absolute.SinusoidalPosition(5)
    for positions in ([0, 1, 2], [2], [0, 1, 2]):
        module(torch.tensor(positions)).fill_(7.0)
        module_gives(module, positions, f"the vectors of {positions}, after those that came before were overwritten")


def test_positions_that_are_none():
    """A negative position is an IndexError that names it; what is no integer is a TypeError."""
    module = absolute.SinusoidalPosition(5)
    module_gives(module, [0], "the vector of position 0")
    check.raises(IndexError, module, torch.tensor([3, -2]), naming=[-2])
    for positions in (torch.tensor([1.0, 0.0]), torch.tensor([True, False])):
        check.raises(TypeError, module, positions, naming=[positions.dtype])


@pytest.mark.parametrize("args, wrong", [((0,), 0), ((-3,), -3), ((4, 0.0), 0.0), ((4, -1.0), -1.0)], ids=str)
def test_modules_that_make_no_sense(args, wrong):
    """No width, or a base that is not positive, are a ValueError that names it."""
    module_gives(absolute.SinusoidalPosition(5), [1], "the vector of position 1")
    check.raises(ValueError, absolute.SinusoidalPosition, *args, naming=[wrong])
