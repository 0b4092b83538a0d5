"""2.6 · ALiBi: the published slopes, and a bias that falls with the distance."""

import pytest

from bootcamp.grading import check, written

torch = pytest.importorskip("torch")

bias = written("stage02_embeddings.bias")


def slopes(heads):
    """The slopes of the graded code, after a look that they are a tensor."""
    got = bias.alibi_slopes(heads)
    check.true(isinstance(got, torch.Tensor), f"alibi_slopes({heads}) gives a tensor", got=got)
    return got


def falling(at_query, at_key, slope):
    """The bias, written out: for each head, each query, each key."""
    return torch.tensor([[[-each * abs(i - j) for j in at_key] for i in at_query] for each in slope])


EIGHT = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
SIX = [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]

# A GPU takes part where there is one.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


# -- the slopes


def test_eight_heads():
    """Eight heads have the slopes 1/2, 1/4, …, 1/256."""
    check.close(slopes(8), torch.tensor(EIGHT), "alibi_slopes(8)")


def test_sixteen_heads():
    """Sixteen heads have the slopes 2^(-1/2), 2^(-1), …, 2^(-8)."""
    check.close(slopes(16), torch.tensor([0.5 ** (h / 2) for h in range(1, 17)]), "alibi_slopes(16)")


def test_few_heads():
    """One, two and four heads end at 1/256 too."""
    for heads, expected in [(4, [1 / 4, 1 / 16, 1 / 64, 1 / 256]), (2, [1 / 16, 1 / 256]), (1, [1 / 256])]:
        check.close(slopes(heads), torch.tensor(expected), f"alibi_slopes({heads})")


def test_six_heads():
    """Six heads have the slopes of four, and then the first and the third of eight."""
    check.close(slopes(6), torch.tensor(SIX), "alibi_slopes(6)")


def test_twelve_heads():
    """Twelve heads have the slopes of eight, and then the first, third, fifth and seventh of sixteen."""
    expected = [*EIGHT, 0.5**0.5, 0.5**1.5, 0.5**2.5, 0.5**3.5]
    check.close(slopes(12), torch.tensor(expected), "alibi_slopes(12)")


def test_other_counts_of_heads():
    """Three, five, seven and twenty heads follow the same rule."""
    four = [1 / 4, 1 / 16, 1 / 64, 1 / 256]
    for heads, expected in [
        (3, [1 / 16, 1 / 256, 1 / 4]),
        (5, [*four, 1 / 2]),
        (7, [*four, 1 / 2, 1 / 8, 1 / 32]),
        (20, [0.5 ** (h / 2) for h in range(1, 17)] + [0.5 ** (h / 4) for h in (1, 3, 5, 7)]),
    ]:
        check.close(slopes(heads), torch.tensor(expected), f"alibi_slopes({heads})")


def test_a_slope_for_each_head():
    """There are as many slopes as heads, in float32, each between 0 and 1, and no two are the same."""
    for heads in range(1, 41):
        got = slopes(heads)
        check.equal(tuple(got.shape), (heads,), f"the shape of alibi_slopes({heads})")
        check.equal(str(got.dtype), "torch.float32", f"the number format of alibi_slopes({heads})")
        check.true(bool(((got > 0) & (got < 1)).all()), f"the slopes of {heads} heads are between 0 and 1", got=got)
        check.equal(len(set(got.tolist())), heads, f"how many different slopes alibi_slopes({heads}) has")


def test_no_head():
    """Less than one head is a ValueError."""
    check.close(slopes(1), torch.tensor([1 / 256]), "alibi_slopes(1)")
    for heads in (0, -1):
        check.raises(ValueError, bias.alibi_slopes, heads, naming=[heads])
        check.raises(ValueError, bias.AlibiBias, heads, naming=[heads])


# -- the bias


def test_behind_the_query():
    """A key d places behind the query gets -slope · d, and the query's own place gets 0."""
    got = bias.AlibiBias(8)(1, 4)
    why = "A bias that rose with the distance would make a head look away from what is near."
    check.close(got, falling([3], range(4), EIGHT), "AlibiBias(8)(1, 4)", why=why)


def test_ahead_of_the_query():
    """Keys ahead of the query lose as much as keys as far behind it."""
    got = bias.AlibiBias(8)(3, 3)
    expected = falling(range(3), range(3), EIGHT)
    check.close(got[:, 0], expected[:, 0], "the bias of the first of three queries, AlibiBias(8)(3, 3)[:, 0]")
    check.close(got, expected, "AlibiBias(8)(3, 3)")


def test_heads_queries_keys():
    """The bias is (H, T, S) in float32, each head with its own slope."""
    got = bias.AlibiBias(6)(4, 5, offset=2)
    check.equal(tuple(got.shape), (6, 4, 5), "the shape of AlibiBias(6)(4, 5, offset=2)")
    check.equal(str(got.dtype), "torch.float32", "its number format")
    check.close(got, falling(range(2, 6), range(5), SIX), "AlibiBias(6)(4, 5, offset=2)")


def test_the_last_query_meets_the_last_key():
    """Without an offset, the last query is at the place of the last key."""
    why = "In decoding, the keys of all earlier tokens are in the cache, and the queries are those of the last few."
    got = bias.AlibiBias(4)(2, 5)
    check.close(got, falling([3, 4], range(5), slopes(4).tolist()), "AlibiBias(4)(2, 5)", why=why)
    got = bias.AlibiBias(4)(5, 2)
    check.close(got, falling(range(-3, 2), range(2), slopes(4).tolist()), "AlibiBias(4)(5, 2)")


@pytest.mark.parametrize("offset", [0, 1, 5, -2])
def test_an_offset(offset):
    """With an offset, the first query is at that position; 0 is one like any other."""
    got = bias.AlibiBias(8)(2, 4, offset)
    check.close(got, falling([offset, offset + 1], range(4), EIGHT), f"AlibiBias(8)(2, 4, {offset})")


def test_token_by_token():
    """Query after query gives the rows that all queries at once give, whatever was asked before."""
    module = bias.AlibiBias(6)
    whole = module(7, 7)
    check.equal(tuple(whole.shape), (6, 7, 7), "the shape of AlibiBias(6)(7, 7)")
    for i in range(7):
        what = f"the last row of the bias of {i + 1} keys, up to where row {i} of the whole has come"
        check.close(module(1, i + 1)[:, 0], whole[:, i, : i + 1], what)
    check.equal(tuple(module(0, 3).shape), (6, 0, 3), "the shape of AlibiBias(6)(0, 3)")


def test_nothing_is_learned_or_saved():
    """There is no parameter, and no entry in the state_dict, before and after use."""
    module = bias.AlibiBias(4)
    module(2, 3)
    check.equal(len(list(module.parameters())), 0, "how many parameters there are")
    check.equal(list(module.state_dict()), [], "the names in the state_dict")


@pytest.mark.parametrize("device", DEVICES)
def test_the_device_of_the_module(device):
    """The bias is on the device that the module was moved to."""
    got = bias.AlibiBias(6).to(device)(2, 4, 1)
    check.equal(got.device.type, device, f"the device of the bias, for a module on {device!r}")
    check.close(got, falling([1, 2], range(4), SIX), f"AlibiBias(6).to({device!r})(2, 4, 1)")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_a_converted_module(dtype):
    """A module converted to another format, as a whole model may be, gives the same bias in float32."""
    got = bias.AlibiBias(12).to(dtype)(1, 2100)
    check.equal(str(got.dtype), "torch.float32", "the number format of the bias")
    expected = falling([2099], range(2100), slopes(12).tolist())
    why = "Where slopes or distances are buffers of floats, model.bfloat16() rounds them."
    check.close(got, expected, f"AlibiBias(12).to({dtype})(1, 2100)", why=why)
