"""3.4 · Heads: slices of the width, each with an attention of its own."""

import pytest
import torch

from bootcamp.grading import check, written

module = written("stage03_attention.heads")

T, C, H, D = 5, 12, 3, 4
LEADS = [(), (2,), (2, 3), (3, 1, 2)]


def tagged(*lead):
    """x (…, T, C), and its heads (…, H, T, D), slice by slice; each number is another one."""
    count = torch.Size((*lead, T, C)).numel()
    x = torch.arange(float(count)).reshape(*lead, T, C)
    heads = torch.stack([x[..., h * D : (h + 1) * D] for h in range(H)], dim=-3)
    return x, heads


def holds(expected, function, *args, why="", **kwargs):
    """Hold what comes to what it should be, number by number and in its format."""
    got = check.unchanged(function, *args, **kwargs)

    def probe():
        check.true(isinstance(got, torch.Tensor), "what comes is a tensor", got=got)
        check.equal(got, expected, "what it returns", why=why)
        check.equal(str(got.dtype), str(args[0].dtype), "the format of what it returns")

    check.with_call(probe, check.call_text(function, args, kwargs))


# -- split


def test_split_by_hand():
    """Three places of width 4 and two heads: head 0 gets the left half of each place, head 1 the right half."""
    x = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
    expected = [[[1, 2], [5, 6], [9, 10]], [[3, 4], [7, 8], [11, 12]]]
    why = "A head is a slice of the width, with all places in it; cut into (H, D) first, then exchange T and H."
    holds(torch.tensor(expected), module.split_heads, x, 2, why=why)


@pytest.mark.parametrize("lead", LEADS, ids=str)
def test_split(lead):
    """Head h gets the numbers h·D to (h + 1)·D - 1 of each place, whatever dimensions stand before T."""
    x, heads = tagged(*lead)
    holds(heads, module.split_heads, x, heads=H)


def test_every_number_of_heads():
    """Any number of heads that divides the width will do, one and the width itself too."""
    x, _ = tagged(2)
    for count in (1, 2, 4, 6, 12):
        slices = [x[..., h * C // count : (h + 1) * C // count] for h in range(count)]
        holds(torch.stack(slices, dim=-3), module.split_heads, x, count)


def test_a_place_stays_in_its_place():
    """Another number at one place changes the heads at that place, and at no other."""
    x, _ = tagged(2)
    before = module.split_heads(x, H)
    check.equal(tuple(before.shape), (2, H, T, D), "the shape of the heads of x (2, 5, 12)")
    before = before.clone()
    x = x.clone()
    x[:, 3] += 1000
    moved = (module.split_heads(x, H) != before).any(-1)  # (2, H, T)
    expected = torch.tensor([0, 0, 0, 1, 0]).expand(2, H, T)
    check.equal(moved.int(), expected.int(), "where the heads changed after place 3 of x did")


# -- merge


def test_merge_by_hand():
    """Two heads of three places: what they have of a place comes side by side, head 0 on the left."""
    x = torch.tensor([[[1, 2], [5, 6], [9, 10]], [[3, 4], [7, 8], [11, 12]]])
    expected = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
    why = "Exchange H and T back first, so that the heads of one place are neighbours; then join (H, D)."
    holds(expected, module.merge_heads, x, why=why)


@pytest.mark.parametrize("lead", LEADS, ids=str)
def test_merge(lead):
    """Merging undoes splitting: the heads of x, whatever dimensions stand before H, become x again."""
    x, heads = tagged(*lead)
    holds(x, module.merge_heads, heads.contiguous())


# -- any tensor


def test_any_order_in_memory():
    """An x that was transposed or sliced before has the same heads."""
    x, heads = tagged(2)
    whole = torch.stack([x, x + 1], -1)  # (2, T, C, 2): its slices do not lie side by side
    for each in (x.mT.contiguous().mT, whole[..., 0], x.transpose(0, 1).contiguous().transpose(0, 1)):
        holds(heads, module.split_heads, each, H)


def test_heads_in_any_order_in_memory():
    """Heads that were transposed or sliced before are merged all the same, as those of an attention may be."""
    x, heads = tagged(2)
    whole = torch.stack([heads, heads + 1], -1)
    for each in (heads.mT.contiguous().mT, whole[..., 0], heads.transpose(0, 1).contiguous().transpose(0, 1)):
        holds(x, module.merge_heads, each)
    spread = torch.arange(4.0)[:, None, None].expand(4, 2, 3)  # one number for a whole head
    holds(torch.arange(4.0).repeat_interleave(3).expand(2, 12), module.merge_heads, spread)


NOTHING = [((), 0), ((2,), 0), ((0,), 5)]


def test_nothing_to_split():
    """Where there is no place, or no text, the heads have none."""
    for lead, length in NOTHING:
        got = module.split_heads(torch.zeros(*lead, length, C), H)
        check.equal(tuple(got.shape), (*lead, H, length, D), f"the shape of the heads of x {(*lead, length, C)}")


def test_nothing_to_merge():
    """Where the heads have no place, or there is no text, x has none."""
    for lead, length in NOTHING:
        got = module.merge_heads(torch.zeros(*lead, H, length, D))
        check.equal(tuple(got.shape), (*lead, length, C), f"the shape merged, of heads {(*lead, H, length, D)}")


FORMATS = [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool]


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_split_in_any_format(dtype):
    """Numbers of any format are moved as they are."""
    x, heads = tagged(2)
    holds((heads % 3).to(dtype), module.split_heads, (x % 3).to(dtype), H)


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_merge_in_any_format(dtype):
    """Heads of any format are moved as they are."""
    x, heads = tagged(2)
    holds((x % 3).to(dtype), module.merge_heads, (heads % 3).to(dtype))


def test_gradients_of_split():
    """The gradient of each number comes back to where the number came from."""
    slope, slopes = tagged(2)
    x = torch.zeros(2, T, C, requires_grad=True)
    got = module.split_heads(x, H)
    check.equal(tuple(got.shape), tuple(slopes.shape), "the shape of the heads")
    (got * slopes).sum().backward()
    check.true(x.grad is not None, "a gradient comes back through split_heads")
    check.equal(x.grad, slope, "the gradient of x")


def test_gradients_of_merge():
    """The gradient of each number of the heads comes back to where the number came from."""
    slope, slopes = tagged(2)
    heads = torch.zeros(2, H, T, D, requires_grad=True)
    got = module.merge_heads(heads)
    check.equal(tuple(got.shape), tuple(slope.shape), "the shape of what is merged")
    (got * slope).sum().backward()
    check.true(heads.grad is not None, "a gradient comes back through merge_heads")
    check.equal(heads.grad, slopes, "the gradient of the heads")


# -- what is refused


def test_a_width_that_is_no_multiple():
    """A width that is no multiple of the number of heads, fewer than one head, or no width, is a ValueError."""
    x, heads = tagged()
    holds(heads, module.split_heads, x, H)
    for count in (5, 24, 0, -3):
        check.raises(ValueError, module.split_heads, x, count, naming=[count, (T, C)])
    check.raises(ValueError, module.split_heads, torch.zeros(C), H, naming=[(C,)])


def test_too_few_dimensions_to_merge():
    """What has not H, T and D is a ValueError."""
    x, heads = tagged()
    holds(x, module.merge_heads, heads)
    check.raises(ValueError, module.merge_heads, x, naming=[(T, C)])
