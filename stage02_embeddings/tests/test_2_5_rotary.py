"""2.5 · Rotary positions: pairs that turn, in both published layouts."""

from math import cos, sin

import pytest

from bootcamp.grading import check, written

torch = pytest.importorskip("torch")

rotary = written("stage02_embeddings.rotary")

BOTH = ("interleaved", "half")
# A GPU takes part where there is one.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def pairs(width, layout):
    """Which numbers of a head are turned together."""
    half = width // 2
    return [(2 * i, 2 * i + 1) if layout == "interleaved" else (i, half + i) for i in range(half)]


def turn(x, positions, layout, base=10000.0):
    """The formula of the paper in float64, pair by pair; `positions` has a dimension for each of x but the last."""
    x, positions = x.double(), positions.double()
    result = torch.empty_like(x)
    for i, (a, b) in enumerate(pairs(x.shape[-1], layout)):
        angle = positions * base ** (-2 * i / x.shape[-1])
        result[..., a] = x[..., a] * angle.cos() - x[..., b] * angle.sin()
        result[..., b] = x[..., a] * angle.sin() + x[..., b] * angle.cos()
    return result


def draw(rng, *shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=dtype)


def turned(x, positions=None, layout="interleaved", **options):
    """What the graded code makes of x, after a look that x and the positions are left alone."""
    module = rotary.RotaryEmbedding(x.shape[-1], layout=layout, **options)
    got = check.unchanged(module, x) if positions is None else check.unchanged(module, x, positions)
    check.true(isinstance(got, torch.Tensor), "what comes back is a tensor", got=got)
    return got


# -- what is turned, and by which angle


def test_one_pair():
    """A pair (a, b) at position p becomes (a cos p - b sin p, a sin p + b cos p)."""
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])
    expected = [
        [1, 0],
        [cos(1), sin(1)],
        [-sin(2), cos(2)],
        [2 * cos(3) + sin(3), 2 * sin(3) - cos(3)],
    ]
    check.close(turned(x), torch.tensor(expected), f"the pairs {x.tolist()} at positions 0, 1, 2 and 3")


def test_each_pair_turns_slower():
    """Pair i turns by p / base^(2i/D): with D = 4, by p and by p/100."""
    x = torch.tensor([[1.0, 0.0, 1.0, 0.0]]).repeat(3, 1)
    expected = [[cos(p), sin(p), cos(p / 100), sin(p / 100)] for p in range(3)]
    why = "The numbers 0 and 1 are a pair, which turns by p; 2 and 3 are one, which turns by p / 10000^(2/4) = p/100."
    check.close(turned(x), torch.tensor(expected), "[1, 0, 1, 0] at positions 0, 1 and 2", why=why)


def test_the_base():
    """Another base turns the slow pairs at another speed, and the first at the same one."""
    x = torch.tensor([[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]]).repeat(4, 1)
    expected = [[cos(p), sin(p), cos(p / 4), sin(p / 4), cos(p / 16), sin(p / 16)] for p in range(4)]
    check.close(turned(x, base=64.0), torch.tensor(expected), "[1, 0, 1, 0, 1, 0] at 0, 1, 2, 3, base 64")


def test_the_half_layout():
    """In the layout "half", number i and number D/2 + i are a pair."""
    x = torch.tensor([[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]]).repeat(4, 1)
    expected = [[cos(p), cos(p / 4), cos(p / 16), sin(p), sin(p / 4), sin(p / 16)] for p in range(4)]
    got = turned(x, layout="half", base=64.0)
    check.close(got, torch.tensor(expected), '[1, 1, 1, 0, 0, 0] at 0, 1, 2, 3, base 64, layout "half"')


@pytest.mark.parametrize("layout", BOTH)
def test_random_heads(rng, layout):
    """Each number of each head is what the formula says."""
    x = draw(rng, 2, 3, 5, 8)
    expected = turn(x, torch.arange(5), layout)
    check.close(turned(x, layout=layout), expected, f"x of shape (2, 3, 5, 8), layout {layout!r}", atol=1e-5)


@pytest.mark.parametrize("layout", BOTH)
def test_the_first_position_is_zero(rng, layout):
    """Positions count from 0, and at 0 nothing is turned."""
    x = draw(rng, 3, 6)
    check.close(turned(x, layout=layout)[0], x[0], f"the first row of x, layout {layout!r}")


# -- what it is for


@pytest.mark.parametrize("layout", BOTH)
def test_lengths_are_kept(rng, layout):
    """Turning changes the length of no pair, and so of no head."""
    x = draw(rng, 3, 7, 6, dtype=torch.float64)
    got = turned(x, torch.arange(7) * 11, layout=layout)
    check.equal(tuple(got.shape), tuple(x.shape), "the shape of the result")
    for a, b in pairs(6, layout):
        what = f"the length of the pair of numbers {a} and {b}, layout {layout!r}"
        check.close(torch.hypot(got[..., a], got[..., b]), torch.hypot(x[..., a], x[..., b]), what)


@pytest.mark.parametrize("layout", BOTH)
def test_only_the_distance_counts(rng, layout):
    """The product of a turned query and a turned key is the same wherever they stand, at the same distance."""
    query, key = draw(rng, 4, 8, dtype=torch.float64), draw(rng, 6, 8, dtype=torch.float64)

    def scores(shift):
        at_query, at_key = torch.tensor([3, 0, 9, 4]) + shift, torch.tensor([0, 1, 5, 2, 8, 3]) + shift
        return turned(query, at_query, layout=layout) @ turned(key, at_key, layout=layout).T

    here = scores(0)
    for shift in (1, 100, 2000):
        what = f"the products of queries and keys, all of them {shift} positions further on, layout {layout!r}"
        check.close(scores(shift), here, what, rtol=1e-6, atol=1e-8)
    distances = torch.tensor([3, 0, 9, 4])[:, None] - torch.tensor([0, 1, 5, 2, 8, 3])
    product = (query[0] * key[0]).sum()  # at distance 3, and not at 0, another product
    why = "If it were the same at every distance, attention could not tell positions apart."
    check.true(abs(here[0, 0] - product) > 1e-3, f"the product at distance {int(distances[0, 0])} differs", why=why)


# -- positions


def test_positions_of_ones_own():
    """Positions may be any whole numbers, in any order, and the same one twice."""
    x = torch.tensor([[1.0, 0.0]]).repeat(5, 1)
    at = [7, 0, 2, 2, 300]
    expected = torch.tensor([[cos(p), sin(p)] for p in at])
    why = "In decoding, one new token comes at position 300, say, and all before it are in the cache."
    check.close(turned(x, torch.tensor(at)), expected, f"[1, 0] at positions {at}", atol=1e-4, why=why)
    one = turned(x[:1], torch.tensor([6]))
    check.close(one, torch.tensor([[cos(6), sin(6)]]), "[1, 0] alone, at position 6", why=why)


@pytest.mark.parametrize("layout", BOTH)
def test_positions_for_each_sequence(rng, layout):
    """Positions (B, T) give each sequence its own, and all the heads of a sequence share them."""
    at = torch.tensor([[0, 0, 0, 1, 2], [0, 1, 2, 3, 4], [9, 8, 7, 30, 5]])
    x = draw(rng, 3, 2, 5, 6)  # (B, H, T, D)
    expected = turn(x, at[:, None], layout)
    check.close(turned(x, at, layout=layout), expected, f"x (B, H, T, D) = (3, 2, 5, 6), layout {layout!r}", atol=1e-5)
    x = draw(rng, 3, 5, 6)  # (B, T, D)
    check.close(turned(x, at, layout=layout), turn(x, at, layout), f"x (3, 5, 6), layout {layout!r}", atol=1e-5)


def test_as_many_heads_as_sequences(rng):
    """A row of positions belongs to a sequence, not to a head, with B = H as well."""
    at = torch.tensor([[0, 0, 0, 1, 2], [0, 1, 2, 3, 4], [9, 8, 7, 30, 5]])
    x = draw(rng, 3, 3, 5, 4)  # (B, H, T, D)
    why = "Positions (B, T) need a dimension of 1 for the heads: without it, they go with the heads."
    check.close(turned(x, at), turn(x, at[:, None], "interleaved"), "x (3, 3, 5, 4)", atol=1e-5, why=why)


def test_positions_go_with_t(rng):
    """Positions (T,) go with the last dimension but one of x, for x of two, three or four dimensions."""
    at = torch.tensor([4, 1, 9, 2, 2], dtype=torch.int32)
    for shape in [(5, 4), (3, 5, 4), (5, 5, 4), (2, 3, 5, 4), (5, 5, 5, 4)]:
        x = draw(rng, *shape)
        check.close(turned(x, at), turn(x, at, "interleaved"), f"x {shape}", atol=1e-5)


def test_far_positions():
    """There is no last position: a hundred thousand is turned like any other."""
    x = torch.tensor([[1.0, 0.0, 1.0, 0.0]], dtype=torch.float64)
    expected = torch.tensor([[cos(100_000), sin(100_000), cos(1000), sin(1000)]], dtype=torch.float64)
    check.close(turned(x, torch.tensor([100_000])), expected, "[1, 0, 1, 0] at position 100,000")


def test_nothing_to_turn():
    """A sequence of no token is turned into one of no token."""
    for shape in [(0, 4), (2, 3, 0, 4)]:
        check.equal(tuple(turned(torch.zeros(shape)).shape), shape, f"the shape of what comes for x {shape}")


def test_wrong_positions_are_refused(rng):
    """Positions of another shape are a ValueError that names both shapes."""
    module, x = rotary.RotaryEmbedding(4), draw(rng, 2, 3, 5, 4)
    check.equal(tuple(module(x, torch.zeros(2, 5).long()).shape), (2, 3, 5, 4), "the shape, with positions (2, 5)")
    for shape in [(4,), (3, 5), (5, 2), (1, 5), (), (2, 3, 5)]:
        check.raises(ValueError, module, x, torch.zeros(shape).long(), naming=[shape, (2, 3, 5, 4)])


# -- number formats

HALVES = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)


@HALVES
def test_a_position_that_half_precision_does_not_know(dtype):
    """Angles are computed in float32 or better, whatever the format of x: position 257 is not 256."""
    at = {torch.bfloat16: 257, torch.float16: 2049}[dtype]
    why = f"In {dtype}, {at} is {at - 1}. Take positions and angles in float32, and convert the result."
    for layout in BOTH:
        got = turned(torch.tensor([[1.0, 0.0]], dtype=dtype), torch.tensor([at]), layout)
        check.equal(str(got.dtype), str(dtype), "the number format of the result")
        what = f"[1, 0] in {dtype} at position {at}, layout {layout!r}"
        check.close(got, torch.tensor([[cos(at), sin(at)]]), what, rtol=0, atol=0.004, why=why)


@HALVES
def test_sines_that_half_precision_does_not_know(dtype):
    """Sines, cosines and products are computed in float32 or better, whatever the format of x."""
    x = torch.tensor([[sin(1), cos(1)]]).mul({torch.bfloat16: 64, torch.float16: 512}[dtype]).to(dtype)
    a, b = x[0].tolist()
    expected = torch.tensor([a * cos(1) - b * sin(1)])
    why = f"It is the small difference of two large numbers. A sine that was rounded to {dtype} spoils it."
    for layout in BOTH:
        got = turned(x, torch.tensor([1]), layout)
        check.equal(tuple(got.shape), (1, 2), "the shape of the result")
        what = f"the first number of {x.tolist()} in {dtype} at position 1, layout {layout!r}"
        check.close(got[:, 0], expected, what, rtol=0.01, why=why)


@HALVES
def test_the_speeds_of_a_converted_module(dtype):
    """A module converted to another format, as a whole model may be, turns each pair at the same speed as before."""
    x, at = torch.tensor([[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]]), torch.tensor([999])
    expected = torch.tensor([[number for i in range(3) for number in (cos(999 / 7**i), sin(999 / 7**i))]])
    why = "Where frequencies or tables are buffers, model.bfloat16() rounds them."
    for layout, order in (("interleaved", [0, 1, 2, 3, 4, 5]), ("half", [0, 2, 4, 1, 3, 5])):
        module = rotary.RotaryEmbedding(6, base=343.0, layout=layout)
        check.close(module(x[:, order], at), expected[:, order], f"{x.tolist()} at position 999", atol=1e-3)
        got = module.to(dtype)(x[:, order], at)
        check.equal(str(got.dtype), "torch.float32", "the number format of the result, which is that of x")
        what = f"x in float32 at position 999, the module in {dtype}, layout {layout!r}"
        check.close(got, expected[:, order], what, atol=1e-3, why=why)


@pytest.mark.varied
@HALVES
def test_positions_are_exact_in_half_precision(rng, dtype):
    """In half precision, near and far positions are turned alike by the angles of the formula."""
    at = torch.tensor([1, 255, 257, 999, 2049])
    x = draw(rng, 5, 8).to(dtype)
    got = turned(x, at)
    check.equal(str(got.dtype), str(dtype), "the number format of the result")
    why = f"{dtype} has too few digits to tell these positions apart. Take the angle in float32, convert the result."
    expected = turn(x, at, "interleaved")
    check.close(got, expected, f"x in {dtype} at positions {at.tolist()}", rtol=0.01, atol=0.01, why=why)


@pytest.mark.varied
@HALVES
def test_a_converted_module(rng, dtype):
    """A converted module turns by the same angles, whatever the format of x."""
    at, x = torch.tensor([1, 255, 257, 999, 2049]), draw(rng, 5, 8)
    module = rotary.RotaryEmbedding(8).to(dtype)
    for kind in (dtype, torch.float32):
        got = module(x.to(kind), at)
        check.equal(str(got.dtype), str(kind), "the number format of the result, which is that of x")
        why = "Where frequencies or tables are buffers, model.bfloat16() rounds them."
        expected = turn(x.to(kind), at, "interleaved")
        check.close(got, expected, f"x in {kind}, the module in {dtype}", rtol=0.01, atol=0.01, why=why)


@pytest.mark.varied
def test_products_are_exact_in_half_precision(rng):
    """The result is rounded once, at the end: sines, cosines and products were not."""
    x = draw(rng, 2, 3, 9, 32).bfloat16()
    got = turned(x)
    check.equal(str(got.dtype), "torch.bfloat16", "the number format of the result")
    expected = turn(x, torch.arange(9), "interleaved").bfloat16()
    check.equal(tuple(got.shape), tuple(expected.shape), "the shape of the result")
    share = (got == expected).double().mean().item()
    why = "Where sines are rounded to the format of x before the products, each step adds an error of its own."
    claim = "95 of 100 numbers are the exact result, rounded to bfloat16"
    check.true(share > 0.95, claim, got=f"{share:.0%} of them", why=why)


def test_float64_is_kept(rng):
    """With x in float64, all is computed in float64."""
    at, x = torch.tensor([3, 1000, 70_001]), draw(rng, 3, 8, dtype=torch.float64)
    got = turned(x, at)
    check.equal(str(got.dtype), "torch.float64", "the number format of the result")
    expected = turn(x, at, "interleaved")
    check.close(got, expected, f"x in float64 at positions {at.tolist()}", rtol=1e-8, atol=1e-8)


# -- as a part of a model


@pytest.mark.parametrize("layout", BOTH)
def test_gradients_are_turned_back(rng, layout):
    """The gradient that comes back through a turn is turned the other way."""
    x, slope = draw(rng, 3, 5, 6, dtype=torch.float64).requires_grad_(), draw(rng, 3, 5, 6, dtype=torch.float64)
    module = rotary.RotaryEmbedding(6, layout=layout)
    result = module(x)
    check.true(result.requires_grad, "the result is connected with x, for training")
    (result * slope).sum().backward()
    expected = turn(slope, -torch.arange(5), layout)
    check.close(x.grad, expected, f"the gradient of x, layout {layout!r}", rtol=1e-6, atol=1e-8)


def test_no_parameter_and_nothing_to_save():
    """There is no parameter, and no entry in the state_dict, before and after use."""
    module = rotary.RotaryEmbedding(4)
    module(torch.ones(3, 4))
    check.equal(len(list(module.parameters())), 0, "how many parameters there are")
    why = "What can be computed from the arguments would only make checkpoints of other lengths not fit."
    check.equal(list(module.state_dict()), [], "the names in the state_dict", why=why)


@pytest.mark.parametrize("device", DEVICES)
def test_the_device_of_x(rng, device):
    """What comes is on the device of x, with positions of one's own or without."""
    x, at = draw(rng, 5, 6), torch.tensor([4, 1, 9, 2, 2])
    module = rotary.RotaryEmbedding(6)
    for positions in (None, at.to(device)):
        got = module(x.to(device), positions)
        check.equal(got.device.type, device, f"the device of the result, for x on {device!r}")
        expected = turn(x, torch.arange(5) if positions is None else at, "interleaved")
        check.close(got, expected, f"x on {device!r}", rtol=1e-4, atol=1e-4)


def test_heads_laid_out_in_any_way(rng):
    """What was transposed, as heads are, is turned like anything else."""
    x = draw(rng, 2, 5, 3, 4).transpose(1, 2)  # (B, T, H, D) -> (B, H, T, D)
    for layout in BOTH:
        expected = turn(x, torch.arange(5), layout)
        check.close(turned(x, layout=layout), expected, f"x transposed, layout {layout!r}", atol=1e-5)


def test_bad_sizes_are_refused():
    """An odd width, an unknown layout, or x of another width is a ValueError that names it."""
    module = rotary.RotaryEmbedding(4)
    check.equal(tuple(module(torch.ones(3, 4)).shape), (3, 4), "the shape of what comes for x (3, 4)")
    for width in (5, 0, -2):
        check.raises(ValueError, rotary.RotaryEmbedding, width, naming=[width])
    check.raises(ValueError, rotary.RotaryEmbedding, 4, layout="rows", naming=["rows"])
    check.raises(ValueError, module, torch.ones(3, 6), naming=["(3, 6)", 4])
    check.raises(ValueError, module, torch.ones(4), naming=["(4,)"])


# -- from one layout to the other


def test_rows_in_the_half_layout():
    """Within each head, the first of each pair come first, then the second of each."""
    rows = torch.arange(12)  # two heads of width 6
    expected = torch.tensor([0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11])
    check.returns(expected, rotary.interleaved_to_half, rows, heads=2)


def test_rows_in_the_interleaved_layout():
    """Within each head, a row of the first half and one of the second come by turns."""
    rows = torch.arange(12)  # two heads of width 6
    expected = torch.tensor([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11])
    check.returns(expected, rotary.half_to_interleaved, rows, heads=2)


def test_rows_of_a_weight(rng):
    """Whole rows of a weight (H·D, C) change places, and the same rows as those of a bias."""
    weight = draw(rng, 24, 5)  # three heads of width 8
    to_half = [8 * head + 2 * i + second for head in range(3) for second in (0, 1) for i in range(4)]
    back = [8 * head + i + 4 * second for head in range(3) for i in range(4) for second in (0, 1)]
    for kind in (weight, weight[:, 0], weight.T.contiguous().T):
        check.returns(kind[to_half], rotary.interleaved_to_half, kind, 3)
        check.returns(kind[back], rotary.half_to_interleaved, kind, 3)


@pytest.mark.parametrize("heads, width", [(1, 2), (3, 8), (2, 10)])
def test_there_and_back(rng, heads, width):
    """Each of the two undoes what the other did."""
    weight = draw(rng, heads * width, 3)
    there = rotary.interleaved_to_half(weight, heads)
    check.close(rotary.half_to_interleaved(there, heads), weight, "half_to_interleaved(interleaved_to_half(weight))")
    there = rotary.half_to_interleaved(weight, heads)
    check.close(rotary.interleaved_to_half(there, heads), weight, "interleaved_to_half(half_to_interleaved(weight))")


def test_the_same_scores_in_both_layouts(rng):
    """A query and a key projection, both reordered, give the same scores in the other layout."""
    x, at = draw(rng, 2, 5, 7, dtype=torch.float64), torch.tensor([3, 0, 11, 4, 5])
    weights = [draw(rng, 18, 7, dtype=torch.float64) for _ in range(2)]  # (H·D, C), three heads of width 6

    def scores(layout, query, key):
        heads = [(x @ weight.T).unflatten(-1, (3, 6)).transpose(1, 2) for weight in (query, key)]  # (B, H, T, D)
        query, key = (turn(each, at, layout) for each in heads)
        return query @ key.transpose(-1, -2)  # (B, H, T, T)

    for function, before, after in [
        (rotary.interleaved_to_half, "interleaved", "half"),
        (rotary.half_to_interleaved, "half", "interleaved"),
    ]:
        reordered = [check.unchanged(function, weight, 3) for weight in weights]
        for each in reordered:
            check.equal(tuple(each.shape), (18, 7), f"the shape of what {function.__name__} gives")
        what = f"the scores in the layout {after!r}, with weights reordered by {function.__name__}"
        check.close(scores(after, *reordered), scores(before, *weights), what, rtol=1e-8, atol=1e-10)


def test_rows_that_do_not_fit_are_refused():
    """Rows that are no whole heads of even width are a ValueError."""
    for function in (rotary.interleaved_to_half, rotary.half_to_interleaved):
        check.equal(tuple(function(torch.zeros(12, 5), 3).shape), (12, 5), "the shape of what comes for (12, 5)")
        for heads in (4, 5, 0):
            check.raises(ValueError, function, torch.zeros(12, 5), heads, naming=["(12, 5)"])
