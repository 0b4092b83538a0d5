"""2.1 · Token embeddings: a row for each id."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from bootcamp.grading import check, written

token = written("stage02_embeddings.tokens")


def numbers(rng, *shape):
    """Random numbers from -1 to 1."""
    count = torch.Size(shape).numel()
    return torch.tensor([rng.uniform(-1, 1) for _ in range(count)]).reshape(shape)


def table_of(embedding, *shape) -> Any:
    """The table of an embedding, held to be a Parameter of this shape."""
    weight: Any = getattr(embedding, "weight", None)
    check.true(isinstance(weight, nn.Parameter), "weight is a Parameter", got=type(weight).__name__)
    check.equal(list(weight.shape), list(shape), "the shape of weight")
    return weight


def with_rows(rows, padding_idx=None):
    """An embedding in whose table these rows were written."""
    embedding = token.TokenEmbedding(*rows.shape, padding_idx)
    with torch.no_grad():
        table_of(embedding, *rows.shape).copy_(rows)
    return embedding


# -- the table


def test_the_table_is_a_parameter():
    """The table is the Parameter `weight`, of the shape (V, C), and nothing else is learned."""
    embedding = token.TokenEmbedding(7, 4)
    weight = table_of(embedding, 7, 4)
    check.equal(str(weight.dtype), "torch.float32", "the number format of weight")
    learned = sum(each.numel() for each in embedding.parameters() if each.requires_grad)
    check.equal(learned, 28, "how many numbers TokenEmbedding(7, 4) learns")


def test_the_table_is_drawn_small():
    """The numbers of the table have the mean 0 and the standard deviation 0.02."""
    numbers = table_of(token.TokenEmbedding(600, 50), 600, 50).detach()
    why = "With numbers near 1 the first loss would be far above ln V, and training begins by unlearning them."
    spread = float(numbers.std())
    check.equal(float(f"{spread:.1g}"), 0.02, "the standard deviation of weight, to one digit", why=why)
    check.true(abs(spread / 0.02 - 1) < 0.03, "the standard deviation of weight is 0.02", got=f"{spread:.5f}")
    mean = float(numbers.mean())
    check.true(abs(mean) < 6e-4, "the mean of weight is 0", got=f"{mean:.5f}")


def test_the_table_is_drawn_from_the_normal_distribution():
    """About 68.3% of the numbers lie within one standard deviation of 0, and 95.4% within two; each is its own."""
    numbers = table_of(token.TokenEmbedding(600, 50), 600, 50).detach()
    for times, share in ((1, 0.6827), (2, 0.9545)):
        within = float((numbers.abs() < times * numbers.std()).double().mean())
        claim = f"{share:.1%} of the numbers lie within {times} standard deviations"
        check.true(abs(within - share) < 0.015, claim, got=f"{within:.1%}")
    check.true(len(numbers.unique()) > 25_000, "each number is drawn for itself", got=f"{len(numbers.unique())} differ")


# -- looking up


def test_gives_the_rows():
    """Each id gives its row of the table."""
    rows = torch.tensor([[0.0, 0.5, 1.0], [10.0, 10.5, 11.0], [20.0, 20.5, 21.0], [30.0, 30.5, 31.0]])
    expected = [[20.0, 20.5, 21.0], [0.0, 0.5, 1.0], [30.0, 30.5, 31.0], [20.0, 20.5, 21.0], [10.0, 10.5, 11.0]]
    check.returns(torch.tensor(expected), with_rows(rows), torch.tensor([2, 0, 3, 2, 1]))


@pytest.mark.parametrize("shape", [(6,), (2, 5), (2, 3, 5), ()], ids=str)
def test_any_shape(rng, shape):
    """Ids of any shape get one axis more, of the width C, and are what the product of one-hot vectors gives."""
    rows = numbers(rng, 7, 4)
    ids = torch.tensor([rng.randrange(7) for _ in range(torch.Size(shape).numel())]).reshape(shape)
    one_hot = (ids.unsqueeze(-1) == torch.arange(7)).float()  # (..., V)
    check.returns(one_hot @ rows, with_rows(rows), ids)


def test_no_ids(rng):
    """No id gives no vector, of the width C all the same."""
    for padding_idx in (None, 3):
        embedding = with_rows(numbers(rng, 7, 4), padding_idx)
        check.returns(torch.zeros(0, 4), embedding, torch.zeros(0, dtype=torch.long))
        check.returns(torch.zeros(2, 0, 4), embedding, torch.zeros(2, 0, dtype=torch.long))


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "uint16", "int32"])
def test_integers_of_any_format(rng, name):
    """Ids may be integers of any format; they give what int64 gives."""
    rows = numbers(rng, 7, 4)
    ids = torch.tensor([1, 0, 6, 1, 1, 0, 5])
    why = "An index of 8 bits is taken for a mask (true, false, …) by torch: turn the ids into int64 first."
    for padding_idx in (None, 5):
        got = with_rows(rows, padding_idx)(ids.to(getattr(torch, name)))
        expected = rows[ids].clone()
        expected[6] *= padding_idx is None
        check.equal(
            got, expected, f"the vectors of [1, 0, 6, 1, 1, 0, 5] as {name}, padding_idx={padding_idx}", why=why
        )


def test_ids_that_do_not_lie_in_a_row(rng):
    """Ids that are a part of a larger table, or turned, are read in their own order."""
    rows = numbers(rng, 7, 4)
    large = torch.arange(12).reshape(3, 4) % 7
    check.returns(rows[large.T.contiguous()], with_rows(rows), large.T)
    check.returns(rows[large[:, ::2].contiguous()], with_rows(rows), large[:, ::2])


def test_follows_the_format_of_the_module(rng):
    """After half() or double() the vectors have that format too."""
    rows = numbers(rng, 7, 4)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        for padding_idx in (None, 0):
            got = with_rows(rows, padding_idx).to(dtype)(torch.tensor([3, 6]))
            check.equal(str(got.dtype), str(dtype), f"the format of what comes after .to({dtype})")
            check.equal(got, rows.to(dtype)[[3, 6]], f"the rows 3 and 6 after .to({dtype})")


class Sizes(TorchFunctionMode):
    """Notes the size of the largest tensor that any function of torch gives."""

    largest = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.largest = max(self.largest, result.numel())
        return result


def test_no_multiplication():
    """No one-hot vectors are made: what a function of torch gives is never T × V numbers."""
    embedding = token.TokenEmbedding(20_000, 3, padding_idx=4)
    with torch.no_grad(), Sizes() as sizes:
        got = embedding(torch.arange(0, 6400, 100))  # 64 ids
    check.equal(list(got.shape), [64, 3], "the shape of what 64 ids give")
    check.true(
        sizes.largest < 64 * 20_000 // 2,
        "64 ids of a vocabulary of 20,000 are looked up without their one-hot vectors",
        got=f"the largest tensor on the way has {sizes.largest:,} numbers",
        why="A one-hot vector has V numbers, all zeros but one. Taking the row costs C.",
    )


# -- gradients


def gradient(embedding, ids, upstream):
    """The gradient of the table, where `upstream` is that of the vectors."""
    check.true(embedding.weight.requires_grad, "the table is learned")
    (embedding(ids) * upstream).sum().backward()  # backward(upstream) would import sympy, which takes seconds
    got = embedding.weight.grad
    check.true(got is not None, "a gradient comes back to weight")
    return got.to_dense()


def test_gradients_of_a_repeated_id_add_up(rng):
    """An id that stands three times gets the sum of three gradients; a row that no id took gets zeros."""
    ids = torch.tensor([[1, 3, 1], [1, 0, 3]])
    upstream = torch.tensor([[[1.0, 2], [10, 20], [100, 200]], [[1000, 2000], [7, 8], [0.5, 0.25]]])
    expected = torch.tensor([[7.0, 8], [1101, 2202], [0, 0], [10.5, 20.25], [0, 0]])
    got = gradient(with_rows(numbers(rng, 5, 2)), ids, upstream)
    check.equal(got, expected, "the gradient of weight for the ids [[1, 3, 1], [1, 0, 3]]")


def test_learns(rng):
    """A step along the gradient changes the rows that were used, and only these."""
    rows = numbers(rng, 6, 3)
    embedding = with_rows(rows)
    (embedding(torch.tensor([2, 5])) * torch.tensor([[1.0], [4.0]])).sum().backward()
    check.true(embedding.weight.grad is not None, "a gradient comes back to weight")
    with torch.no_grad():
        embedding.weight -= 0.5 * embedding.weight.grad.to_dense()
    expected = rows - 0.5 * torch.tensor([0.0, 0, 1, 0, 0, 4])[:, None]
    check.close(embedding(torch.arange(6)), expected, "all vectors after weight -= 0.5 · gradient")


# -- padding


@pytest.mark.parametrize("padding_idx", [4, 0])
def test_the_padding_row_starts_as_zeros(padding_idx):
    """The row of the padding begins as zeros, and no other row does."""
    weight = table_of(token.TokenEmbedding(6, 3, padding_idx), 6, 3).detach()
    zeros = [i for i, row in enumerate(weight.tolist()) if not any(row)]
    check.equal(zeros, [padding_idx], f"the rows of zeros in the table of TokenEmbedding(6, 3, {padding_idx})")


@pytest.mark.parametrize("padding_idx", [4, 0])
def test_padding_gives_zeros(rng, padding_idx):
    """For the padding zeros come out, also if something else was written into its row (a loaded table)."""
    rows = numbers(rng, 6, 3)
    ids = torch.tensor([[4, 0, 2, 4], [0, 5, 4, 4]])
    expected = torch.where((ids == padding_idx)[..., None], torch.zeros(()), rows[ids])
    check.returns(expected, with_rows(rows, padding_idx), ids)


@pytest.mark.parametrize("padding_idx", [2, 0])
def test_padding_gets_no_gradient(rng, padding_idx):
    """The row of the padding gets no gradient; the other rows get theirs."""
    ids = torch.tensor([2, 0, 1, 2, 0])
    upstream = torch.tensor([[1.0, 2], [10, 20], [100, 200], [1000, 2000], [7, 8]])
    expected = torch.tensor([[17.0, 28], [100, 200], [1001, 2002], [0, 0]])
    expected[padding_idx] = 0
    got = gradient(with_rows(numbers(rng, 4, 2), padding_idx), ids, upstream)
    check.equal(got, expected, f"the gradient of weight for the ids [2, 0, 1, 2, 0] with padding_idx={padding_idx}")


def test_padding_with_broken_numbers(rng):
    """Whatever stands in the row of the padding, nan or infinite: zeros come out."""
    rows = numbers(rng, 5, 3)
    rows[1] = torch.tensor([float("nan"), float("inf"), float("-inf")])
    why = "nan times 0 is nan: put zeros there instead of multiplying."
    got = with_rows(rows, 1)(torch.tensor([1, 3]))
    check.equal(got, torch.stack([torch.zeros(3), rows[3]]), "the vectors of the padding and of id 3", why=why)


def test_without_padding_no_row_is_special(rng):
    """Without padding_idx each row is looked up, starts at random and gets its gradient."""
    weight = table_of(token.TokenEmbedding(6, 3), 6, 3).detach()
    check.true(bool(weight.any(dim=1).all()), "no row of the table starts as zeros", got=weight)
    rows = numbers(rng, 6, 3)
    check.returns(rows, with_rows(rows), torch.arange(6))
    got = gradient(with_rows(rows), torch.arange(6), torch.ones(6, 3))
    check.equal(got, torch.ones(6, 3), "the gradient of weight, each id once")


# -- what is refused


def test_ids_out_of_range(rng):
    """An id that no row belongs to is an IndexError that names it and V; a negative id does not count from the end."""
    for padding_idx in (None, 2):
        embedding = with_rows(numbers(rng, 37, 2), padding_idx)
        check.equal(list(embedding(torch.tensor([36, 0])).shape), [2, 2], "the shape of what the ids 36 and 0 give")
        check.raises(IndexError, embedding, torch.tensor([[3, 37], [0, 1]]), naming=[37])
        check.raises(IndexError, embedding, torch.tensor([[3, 952], [0, 1]]), naming=[952, 37])
        check.raises(IndexError, embedding, torch.tensor([3, -1]), naming=[-1, 37])


def test_ids_that_are_no_integers(rng):
    """Numbers with a point, and true or false, are a TypeError that names their format."""
    embedding = with_rows(numbers(rng, 5, 2))
    check.equal(list(embedding(torch.tensor([1, 0, 1])).shape), [3, 2], "the shape of what three ids give")
    for ids in (torch.tensor([1.0, 0.0]), torch.tensor([True, False, True, False, True])):
        check.raises(TypeError, embedding, ids, naming=[ids.dtype])


@pytest.mark.parametrize("args, wrong", [((0, 3), 0), ((5, -7), -7), ((5, 3, 5), 5), ((5, 3, -1), -1)], ids=str)
def test_sizes_that_make_no_sense(args, wrong):
    """No id, no width, or a padding_idx that is no id, are a ValueError that names it."""
    table_of(token.TokenEmbedding(5, 3, 4), 5, 3)
    check.raises(ValueError, token.TokenEmbedding, *args, naming=[wrong])
