"""3.2 · Masks: who may attend to whom."""

import pytest
import torch
from torch.overrides import TorchFunctionMode

from bootcamp.grading import check, written

module = written("stage03_attention.masks")

INTEGERS = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def holds(expected, function, *args, why="", **kwargs):
    """Hold a mask to be bool, and to what it should be; `expected` holds 1 where a query may attend."""
    expected = torch.as_tensor(expected).int()
    got = check.unchanged(function, *args, **kwargs)

    def probe():
        check.true(isinstance(got, torch.Tensor), "what comes is a tensor", got=got)
        check.equal(str(got.dtype), "torch.bool", "the format of the mask")
        check.equal(got.int(), expected, "the mask (1 means: may attend)", why=why)

    check.with_call(probe, check.call_text(function, args, kwargs))


def some(rng, *shape):
    """A random mask."""
    return torch.tensor([rng.random() < 0.6 for _ in range(torch.Size(shape).numel())]).reshape(shape)


# -- causal


def test_three_tokens():
    """Among three tokens, each may attend to itself and to those before it."""
    expected = [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    holds(expected, module.causal_mask, 3, why="True means: may attend. Who predicts the next token must not see it.")


def test_more_keys_than_queries():
    """The last query stands at the last key: two queries behind three keys read before may attend to those too."""
    why = "With a cache (3.7), the queries are new tokens, and the keys are those of all tokens so far."
    holds([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]], module.causal_mask, 2, 5, why=why)
    holds([[1, 1, 1, 1]], module.causal_mask, 1, 4, why=why)


def test_more_queries_than_keys():
    """With five queries and three keys, the first two queries stand before all keys, and may attend to nothing."""
    expected = [[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]
    holds(expected, module.causal_mask, 5, 3)


def test_any_numbers():
    """Query i may attend to the keys j ≤ S - T + i, for all T and S, zero too."""
    for queries in range(6):
        for keys in range(6):
            expected = [[int(j <= keys - queries + i) for j in range(keys)] for i in range(queries)]
            expected = torch.tensor(expected, dtype=torch.int).reshape(queries, keys)
            holds(expected, module.causal_mask, queries, keys)


def test_as_many_keys_as_queries():
    """Without a number of keys there are as many as queries; a number of 0 is a number."""
    for queries in (1, 4, 0):
        expected = [[int(j <= i) for j in range(queries)] for i in range(queries)]
        holds(torch.tensor(expected).reshape(queries, queries), module.causal_mask, queries, None)
    holds(torch.zeros(3, 0), module.causal_mask, 3, 0)


def test_row_by_row():
    """Queries that come one at a time, or two, have the rows that they have together."""
    whole = module.causal_mask(7)
    check.equal(tuple(whole.shape), (7, 7), "the shape of causal_mask(7)")
    for step in (1, 2, 3):
        for end in range(step, 8):
            holds(whole[end - step : end, :end].int(), module.causal_mask, step, end)


class Elsewhere(TorchFunctionMode):
    """Plays a device of the name "meta", whose tensors lie on the CPU in truth, and do not mix with others."""

    def __init__(self):
        super().__init__()
        self.there = []

    def holds(self, tensor):
        return any(each is tensor for each in self.there)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        flat = [
            each for one in (*args, *kwargs.values()) for each in (one if isinstance(one, (list, tuple)) else [one])
        ]
        given = [each for each in flat if isinstance(each, torch.Tensor)]
        if func == torch.Tensor.device.__get__:  # type: ignore[attr-defined]
            return torch.device("meta" if self.holds(args[0]) else "cpu")
        devices = [str(each) for each in (*args, *kwargs.values()) if isinstance(each, (str, torch.device))]
        there = [self.holds(each) for each in given]
        if not devices and any(there) and any(each.dim() and not here for each, here in zip(given, there)):
            raise RuntimeError("Expected all tensors to be on the same device, but found one on the CPU")
        args = [
            ("cpu" if str(each) == "meta" else each) if isinstance(each, (str, torch.device)) else each for each in args
        ]
        if str(kwargs.get("device")) == "meta":
            kwargs["device"] = "cpu"
        result = func(*args, **kwargs)
        if "meta" in devices or (any(there) and not devices):
            self.there += result if isinstance(result, (list, tuple)) else [result]
        return result


def test_on_any_device():
    """The mask is made on the device that is asked for, and so is all that it is made of."""
    with Elsewhere() as elsewhere:
        got = module.causal_mask(2, 3, device="meta")
    check.equal(got.int(), torch.tensor([[1, 1, 0], [1, 1, 1]], dtype=torch.int), 'causal_mask(2, 3, device="meta")')
    check.true(elsewhere.holds(got), 'causal_mask(2, 3, device="meta") is on that device')
    for device in DEVICES:
        check.equal(module.causal_mask(2, 3, device=device).device.type, device, f"the device, if it is {device!r}")


def test_negative_numbers_are_refused():
    """A negative number of queries or of keys is a ValueError."""
    holds([[1, 0], [1, 1]], module.causal_mask, 2)
    check.raises(ValueError, module.causal_mask, -1, naming=[-1])
    check.raises(ValueError, module.causal_mask, 2, -3, naming=[2, -3])


# -- padding


def test_padding_on_the_right():
    """Of texts of 3, 1 and 4 tokens among 4 places, the first ones are real."""
    expected = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]])[:, None, None]
    holds(expected, module.padding_mask, torch.tensor([3, 1, 4]), 4)
    holds(expected, module.padding_mask, torch.tensor([3, 1, 4]), 4, side="right")


def test_padding_on_the_left():
    """With the padding on the left, the last places are real."""
    expected = torch.tensor([[0, 1, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1]])[:, None, None]
    holds(expected, module.padding_mask, torch.tensor([3, 1, 4]), 4, side="left")
    holds(expected, module.padding_mask, torch.tensor([3, 1, 4]), 4, "left")


@pytest.mark.parametrize("side", ["right", "left"])
def test_texts_without_a_token(side):
    """A text of no token lets nobody attend to anything; no text, and no key, are fine too."""
    full = torch.tensor([[0, 0, 0], [1, 1, 1]])[:, None, None]
    holds(full, module.padding_mask, torch.tensor([0, 3]), 3, side=side)
    holds(torch.zeros(0, 1, 1, 3), module.padding_mask, torch.zeros(0, dtype=torch.long), 3, side=side)
    holds(torch.zeros(2, 1, 1, 0), module.padding_mask, torch.tensor([0, 0]), 0, side=side)


def test_padding_goes_with_the_scores(rng):
    """The mask (B, 1, 1, S) broadcasts to scores (B, H, T, S): all heads and queries of a text share it."""
    lengths = torch.tensor([2, 5, 1, 3])
    mask = module.padding_mask(lengths, 5)
    check.equal(tuple(mask.shape), (4, 1, 1, 5), "the shape of padding_mask(lengths, 5) for four texts")
    spread = mask.expand(4, 4, 4, 5).int()  # as many texts, heads and queries
    counts = lengths[:, None, None].expand(4, 4, 4)
    check.equal(spread.sum(-1), counts, "to how many keys each query of each head of each text may attend")


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("side", ["right", "left"])
def test_lengths_of_any_integers(dtype, side):
    """Lengths may be integers of any format, with more keys than 8 bits can count."""
    lengths, keys = [5, 0, 100, 127], 300
    rows = [[int(j < n if side == "right" else j >= keys - n) for j in range(keys)] for n in lengths]
    why = "In 8 bits, 300 is another number. Convert the lengths with .long() before anything is computed."
    expected = torch.tensor(rows)[:, None, None]
    holds(expected, module.padding_mask, torch.tensor(lengths, dtype=dtype), keys, side=side, why=why)


def test_padding_where_the_lengths_are():
    """The mask is on the device of the lengths, and so is all that it is made of."""
    expected = torch.tensor([[[[1, 0, 0]]], [[[1, 1, 0]]]], dtype=torch.int)
    with Elsewhere() as elsewhere:
        lengths = torch.tensor([1, 2], device="meta")
        got = module.padding_mask(lengths, 3)
    check.equal(got.int(), expected, "the mask of lengths 1 and 2 among 3 keys, on another device")
    check.true(elsewhere.holds(got), "the mask is on the device of the lengths")
    for device in DEVICES:
        got = module.padding_mask(torch.tensor([1, 2], device=device), 3)
        check.equal(got.device.type, device, f"the device of the mask, for lengths on {device}")
        check.equal(got.int().cpu(), expected, "the mask")


def test_lengths_that_make_no_sense():
    """Lengths that are no integers are a TypeError; of another shape, or out of range, or another side, ValueErrors."""
    holds([[[[1, 0]]]], module.padding_mask, torch.tensor([1]), 2)
    for wrong in (torch.tensor([1.0]), torch.tensor([True])):
        check.raises(TypeError, module.padding_mask, wrong, 2, naming=[wrong.dtype])
    for wrong in (torch.tensor([[1, 2]]), torch.tensor(1), torch.tensor([1, 3]), torch.tensor([-1])):
        check.raises(ValueError, module.padding_mask, wrong, 2)
    check.raises(ValueError, module.padding_mask, torch.tensor([1]), 2, side="both", naming=["both"])


# -- combined


def test_both_have_to_let_it():
    """A query may attend where all masks let it: one and the other."""
    one, other = torch.tensor([[True, True, False, False]]), torch.tensor([[True, False, True, False]])
    holds([[1, 0, 0, 0]], module.combine, one, other)


def test_many_masks(rng):
    """Any number of masks goes, one or four, in any order."""
    masks = [some(rng, 3, 4) | (torch.arange(12).reshape(3, 4) % 4 != i) for i in range(4)]
    for count in (1, 2, 3, 4):
        expected = torch.stack([each.int() for each in masks[:count]]).amin(0)
        holds(expected, module.combine, *masks[:count])
        holds(expected, module.combine, *masks[:count][::-1])


def test_broadcast(rng):
    """Masks of different shapes broadcast: (T, S) and (B, 1, 1, S) give (B, 1, T, S)."""
    causal, padding, heads = some(rng, 4, 5), some(rng, 2, 1, 1, 5), some(rng, 3, 1, 1)
    expected = (causal.int() * padding.int()).reshape(2, 1, 4, 5)
    holds(expected, module.combine, causal, padding)
    holds(expected, module.combine, padding, causal)
    holds(expected * heads.int(), module.combine, causal, heads, padding)
    holds(
        causal.int() * torch.tensor([[0], [1], [1], [0]]),
        module.combine,
        causal,
        torch.tensor([[0], [1], [1], [0]]) > 0,
    )


def test_none_allows_everything(rng):
    """None among masks changes nothing."""
    one, other = some(rng, 3, 4), some(rng, 2, 1, 4)
    both = one.int() * other.int()
    for masks in [(one, None, other), (None, one, other), (one, other, None), (None, None, one, None, other)]:
        holds(both, module.combine, *masks)
    holds(one.int(), module.combine, None, one)
    holds(one.int(), module.combine, one, None)


def test_of_nothing_comes_none():
    """Of nothing but None, or of nothing at all, None comes."""
    for masks in [(None,), (None, None, None), ()]:
        check.returns(None, module.combine, *masks)


def test_a_mask_that_allows_nothing():
    """A mask that allows nothing is a mask: it is not taken for none, and one that holds no number neither."""
    holds([[0]], module.combine, torch.tensor([[False]]))
    holds([[0]], module.combine, torch.tensor([[False]]), torch.tensor([[True]]))
    holds(torch.zeros(0, 3), module.combine, torch.zeros(0, 3).bool(), torch.ones(3).bool())


def test_masks_that_make_no_sense():
    """A mask that is not bool is a TypeError; masks that do not broadcast are a ValueError that names all shapes."""
    one = torch.ones(3, 4).bool()
    holds(one.int(), module.combine, one, one)
    for dtype in (torch.float32, torch.int64, torch.uint8):
        check.raises(TypeError, module.combine, one, one.to(dtype), naming=[dtype])
    shapes = [(3, 4), (2, 1, 4), (3, 5)]
    masks = [torch.ones(shape).bool() for shape in shapes]
    check.raises(ValueError, module.combine, *masks, naming=shapes)
