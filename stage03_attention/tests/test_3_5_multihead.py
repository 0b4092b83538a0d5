"""3.5 · Multi-head attention: the projections, the heads, masks, positions."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest

from bootcamp.grading import check, written

torch = pytest.importorskip("torch")

multihead = written("stage03_attention.multihead")
rotary = written("stage02_embeddings.rotary")
bias_of = written("stage02_embeddings.bias")

B, T, S = 2, 5, 7  # sequences, queries, keys
H, D = 3, 4  # heads, the width of one
C = H * D
NAMES = ("query", "key", "value", "out", "query_bias", "key_bias", "value_bias", "out_bias")


def draw(rng, *shape, dtype=torch.float64):
    """Random numbers from N(0, 1)."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=dtype)


def drawn(rng, heads=H, groups=None, width=D, bias=True):
    """Random projections."""
    groups = groups or heads
    rows = {"query": heads * width, "key": groups * width, "value": groups * width, "out": heads * width}
    weights = {name: draw(rng, number, heads * width) / math.sqrt(2 * width) for name, number in rows.items()}
    biases = {f"{name}_bias": draw(rng, number) for name, number in rows.items()}
    return multihead.Projections(**weights, **(biases if bias else {}))


def made(rng, bias=True, heads=H, groups=None, width=D, **options) -> Any:
    """A module in float64 with random projections of ours, and these."""
    attend = multihead.MultiHeadAttention(heads * width, heads, groups, bias=bias, **options).double()
    weights = drawn(rng, heads, groups, width, bias)
    attend.load_projections(weights)
    return attend, weights


def in_format(p, dtype):
    """The same projections in another number format."""
    return multihead.Projections(*(getattr(p, name).to(dtype) for name in NAMES))


def formula(p, x, context=None, heads=H, mask=None, bias=None, turn=None, causal=False):
    """The formula with softmax of torch: what comes out, and the weights."""
    source = x if context is None else context

    def project(tokens, name):
        made = tokens @ getattr(p, name).T
        extra = getattr(p, f"{name}_bias")
        return made if extra is None else made + extra

    q = project(x, "query").unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, H, T, D)
    k = project(source, "key").unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, H, S, D)
    v = project(source, "value").unflatten(-1, (heads, -1)).transpose(1, 2)
    if turn is not None:
        q, k = turn(q), turn(k)
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # (B, H, T, S)
    if bias is not None:
        scores = scores + bias
    if causal:
        later = torch.arange(scores.shape[-1]) > torch.arange(scores.shape[-2])[:, None]
        scores = scores.masked_fill(later, -torch.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(-1).nan_to_num(0.0)  # nothing to attend to: zeros
    return project((weights @ v).transpose(1, 2).flatten(2), "out"), weights


def output(attend, *args, **kwargs):
    """What comes from a call, held to be one tensor, after a look that the arguments are left alone."""
    got = check.unchanged(attend, *args, **kwargs)
    check.true(isinstance(got, torch.Tensor), "without return_weights, one tensor comes back", got=got)
    return got


def both(attend, *args, **kwargs):
    """The output and the weights, held to be two tensors."""
    got = check.unchanged(attend, *args, **kwargs, return_weights=True)
    pair = isinstance(got, tuple) and len(got) == 2
    check.true(pair, "with return_weights, the output and the weights come back", got=got)
    return got


def scheme(name, heads=H, width=D) -> Any:
    """One of the relative positions of stage 02."""
    if name in ("interleaved", "half"):
        return rotary.RotaryEmbedding(width, layout=name)
    if name == "alibi":
        return bias_of.AlibiBias(heads)
    return bias_of.T5RelativeBias(heads, bidirectional=name == "t5, both ways", buckets=8, max_distance=16)


def in_order(position, queries, keys):
    """What a position adds to the scores, in numbers large enough to be seen."""
    return position(queries, keys).detach().double()


def large(position, rng):
    """Give T5's table numbers large enough to be seen."""
    if hasattr(position, "weight"):
        with torch.no_grad():
            position.weight.copy_(draw(rng, *position.weight.shape))
    return position


# -- as torch's own module does


def torchs(rng, heads, bias):
    """Torch's module with random weights, and the same as projections."""
    width = heads * D
    theirs = torch.nn.MultiheadAttention(width, heads, bias=bias, batch_first=True, dtype=torch.float64)
    p = drawn(rng, heads, bias=bias)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([p.query, p.key, p.value]))
        theirs.out_proj.weight.copy_(p.out)
        if bias:
            theirs.in_proj_bias.copy_(torch.cat([p.query_bias, p.key_bias, p.value_bias]))
            theirs.out_proj.bias.copy_(p.out_bias)
    mine = multihead.MultiHeadAttention(width, heads, bias=bias).double()
    mine.load_projections(p)
    return mine, theirs


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no biases"])
def test_self_attention_as_torch_does(rng, heads, bias):
    """With its weights, the module gives what torch.nn.MultiheadAttention gives."""
    mine, theirs = torchs(rng, heads, bias)
    x = draw(rng, B, T, heads * D)
    expected = theirs(x, x, x, need_weights=False)[0]
    check.close(output(mine, x), expected, f"the output for x {tuple(x.shape)} and {heads} heads")


@pytest.mark.parametrize("queries, keys, bias", [(5, 7, True), (5, 3, False), (1, 4, True), (4, 1, True)])
def test_cross_attention_as_torch_does(rng, queries, keys, bias):
    """With a context, keys and values come from there; it may be longer or shorter than x."""
    mine, theirs = torchs(rng, H, bias)
    x, context = draw(rng, B, queries, C), draw(rng, B, keys, C)
    expected = theirs(x, context, context, need_weights=False)[0]
    check.close(output(mine, x, context), expected, f"the output for {queries} queries and {keys} keys")


def test_the_weights(rng):
    """With return_weights, the weights (B, H, T, S) of each head come too, and the output is the same."""
    mine, theirs = torchs(rng, H, True)
    x, context = draw(rng, B, T, C), draw(rng, B, S, C)
    expected, weights = theirs(x, context, context, average_attn_weights=False)
    got = both(mine, x, context)
    check.close(got[1], weights, "the weights")
    check.close(got[0], expected, "the output that comes with the weights")


def test_the_default_format(rng):
    """A module as it is made takes and gives float32."""
    attend = multihead.MultiHeadAttention(C, H)
    p = drawn(rng)
    attend.load_projections(in_format(p, torch.float32))
    x = draw(rng, B, T, C)
    got = output(attend, x.float())
    check.equal(str(got.dtype), "torch.float32", "the format of what comes")
    check.close(got, formula(p, x)[0], "the output in float32", rtol=1e-4, atol=1e-4)


# -- the projections


@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no biases"])
@pytest.mark.parametrize("heads, groups", [(3, None), (6, 2), (4, 1)])
def test_what_is_learned(heads, groups, bias):
    """There are four projections, with a bias each or none, and nothing else is learned."""
    width = heads * D
    attend = multihead.MultiHeadAttention(width, heads, groups, bias=bias)
    rows = width + 2 * (groups or heads) * D + width
    expected = rows * width + (rows if bias else 0)
    got = sum(each.numel() for each in attend.parameters() if each.requires_grad)
    why = "Queries have H heads, keys and values G each, all of the width D = C / H; one more projection goes out."
    what = f"how many numbers are learned with d_model={width}, n_heads={heads}, n_kv_heads={groups}, bias={bias}"
    check.equal(got, expected, what, why=why)


def test_positions_that_learn_are_learned():
    """T5's table is one of the module's parameters; a rotary position adds none."""
    own = 4 * C * C + 4 * C
    for name, more in [("t5, both ways", 8 * H), ("interleaved", 0), ("alibi", 0)]:
        attend = multihead.MultiHeadAttention(C, H, position=scheme(name))
        got = sum(each.numel() for each in attend.parameters())
        check.equal(got, own + more, f"how many numbers are learned with the position {name!r}")


@pytest.mark.parametrize("heads, groups", [(3, None), (6, 2)])
def test_projections_are_what_was_loaded(rng, heads, groups):
    """What load_projections wrote, projections gives: each weight in its place, without gradient."""
    attend, p = made(rng, heads=heads, groups=groups)
    got = attend.projections()
    for name in NAMES:
        its = getattr(got, name)
        check.true(isinstance(its, torch.Tensor), f"projections().{name} is a tensor", got=its)
        check.close(its, getattr(p, name), f"projections().{name} after load_projections", rtol=0, atol=0)
        check.true(not its.requires_grad, f"projections().{name} has no gradient")


@pytest.mark.varied
def test_the_projections_are_those_it_uses(rng):
    """A new module's output follows from its own projections."""
    attend = multihead.MultiHeadAttention(C, H).double()
    x = draw(rng, B, T, C)
    p = attend.projections()
    for name, shape in zip(NAMES, [(C, C)] * 4 + [(C,)] * 4):
        check.equal(tuple(getattr(p, name).shape), shape, f"the shape of projections().{name}")
    check.close(output(attend, x), formula(p, x)[0], "the output, beside the formula with projections()")


@pytest.mark.parametrize("groups", [None, 2], ids=["G = H", "G = 2"])
def test_no_biases(rng, groups):
    """Without biases, those of the projections are None."""
    attend, p = made(rng, bias=False, heads=4, groups=groups)
    got = attend.projections()
    for name in NAMES[4:]:
        check.equal(getattr(got, name), None, f"projections().{name} with bias=False")
    for name in NAMES[:4]:
        check.close(getattr(got, name), getattr(p, name), f"projections().{name} with bias=False", rtol=0, atol=0)


def test_loaded_without_biases(rng):
    """Projections without biases make those of the module zeros."""
    attend, _ = made(rng)
    p = drawn(rng, bias=False)
    attend.load_projections(p)
    got = attend.projections()
    for name in NAMES[4:]:
        zeros = torch.zeros(C, dtype=torch.float64)
        check.close(getattr(got, name), zeros, f"projections().{name} after loading none", rtol=0, atol=0)
    x = draw(rng, B, T, C)
    check.close(output(attend, x), formula(p, x)[0], "the output after loading projections without biases")


def test_loaded_in_place(rng):
    """Loading writes into the parameters that are there: an optimizer goes on to see them, and they still learn."""
    attend = multihead.MultiHeadAttention(C, H).double()
    before = list(attend.parameters())
    attend.load_projections(drawn(rng))
    after = list(attend.parameters())
    same = len(before) == len(after) and all(one is other for one, other in zip(before, after))
    check.true(same, "the parameters are the same objects before and after load_projections")
    output(attend, draw(rng, B, T, C)).square().sum().backward()
    got = [each.grad is not None for each in before]
    check.equal(got, [True] * len(before), "which of the parameters get a gradient afterwards")


def test_what_was_loaded_is_copied(rng):
    """The module keeps numbers of its own: who changes theirs later does not change it."""
    attend, p = made(rng)
    kept = {name: getattr(p, name).clone() for name in NAMES}
    for name in NAMES:
        getattr(p, name).zero_()
    got = attend.projections()
    for name in NAMES:
        check.close(getattr(got, name), kept[name], f"projections().{name} after the loaded tensor was emptied")


def test_wrong_shapes_write_nothing(rng):
    """A tensor of another shape is a ValueError that names both shapes, and then nothing is written."""
    attend, p = made(rng, heads=4, groups=2)
    wide = 4 * D
    for name, shape in [("out", (wide, 2)), ("key", (wide, wide)), ("value_bias", (wide,)), ("out_bias", (2,))]:
        wrong = replace(drawn(rng, 4, 2), **{name: draw(rng, *shape)})
        expected = tuple(getattr(p, name).shape)
        check.raises(ValueError, attend.load_projections, wrong, naming=[name, shape, expected])
        got = attend.projections()
        for field in fields(p):
            what = f"projections().{field.name}, after {name} had a wrong shape"
            check.close(getattr(got, field.name), getattr(p, field.name), what, rtol=0, atol=0)
    bare, p = made(rng, bias=False)
    check.raises(ValueError, bare.load_projections, drawn(rng), naming=["query_bias"])
    check.close(bare.projections().out, p.out, "projections().out, after biases came for none", rtol=0, atol=0)


# -- masks

MASKS = [(S,), (T, S), (T, 1), (1, S), (H, 1, S), (1, T, S), (H, T, S), (B, 1, 1, S), (B, 1, T, S), (1, H, T, S)]


@pytest.mark.parametrize("shape", [*MASKS, (B, H, T, S), (B, H, T, 1)], ids=str)
def test_masks(rng, shape):
    """A mask of any shape that broadcasts to (B, H, T, S) says where a query may attend."""
    attend, p = made(rng)
    x, context = draw(rng, B, T, C), draw(rng, B, S, C)
    mask = draw(rng, *shape) > -0.3
    mask.view(-1)[0], mask.view(-1)[-1] = True, False
    why = "True means that the query may attend to the key."
    expected, weights = formula(p, x, context, mask=mask)
    got = both(attend, x, context, mask=mask)
    check.close(got[0], expected, f"the output with a mask {shape}", why=why)
    check.close(got[1], weights, f"the weights with a mask {shape}", why=why)


def test_nothing_to_attend_to(rng):
    """A query that may attend to nothing finds zeros: what comes out is the last bias, and no nan."""
    attend, p = made(rng)
    x = draw(rng, B, T, C)
    mask = torch.ones(B, 1, T, T, dtype=torch.bool)
    mask[1, :, 2] = False
    got = output(attend, x, mask=mask)
    check.close(got[1, 2], p.out_bias, "the output of a query without keys")
    check.close(got, formula(p, x, mask=mask)[0], "the output of all queries")


def test_causal(rng):
    """With causal=True, a query attends up to its own place."""
    attend, p = made(rng, causal=True)
    x = draw(rng, B, T, C)
    expected, weights = formula(p, x, causal=True)
    got = both(attend, x)
    check.close(got[1], weights, "the weights with causal=True")
    check.close(got[0], expected, "the output with causal=True")


def test_not_causal(rng):
    """Without causal=True, a query attends to what comes later too."""
    attend, p = made(rng)
    x = draw(rng, B, T, C)
    check.close(both(attend, x)[1], formula(p, x)[1], "the weights of a module that is not causal")


def test_nothing_comes_from_later(rng):
    """With causal=True, another last token changes the last output only; and the last output sees the first token."""
    attend, _ = made(rng, causal=True)
    x = draw(rng, B, T, C)
    other = x.clone()
    other[:, -1] += 1.0
    before, after = output(attend, x), output(attend, other)
    check.close(after[:, :-1], before[:, :-1], "all outputs but the last, after the last token changed", atol=1e-9)
    x = x.requires_grad_()
    attend(x)[:, -1].sum().backward()
    seen = x.grad.abs().sum(-1) > 1e-9
    check.true(bool(seen.all()), "the last output depends on each token", got=seen.tolist())


def test_causal_and_a_mask(rng):
    """A mask comes on top of causal: a query attends where both let it."""
    attend, p = made(rng, causal=True)
    x = draw(rng, B, T, C)
    for shape in [(T,), (T, T), (B, 1, 1, T), (B, H, T, T)]:
        mask = draw(rng, *shape) > -0.5
        mask[..., 0] = True
        mask[..., 2] = False
        expected, weights = formula(p, x, mask=mask, causal=True)
        got = both(attend, x, mask=mask)
        check.close(got[1], weights, f"the weights of a causal module with a mask {shape}")
        check.close(got[0], expected, f"the output of a causal module with a mask {shape}")


# -- positions


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "not causal"])
@pytest.mark.parametrize("layout", ["interleaved", "half"])
def test_rotary(rng, layout, causal):
    """A rotary position turns queries and keys, from position 0 on, and not the values."""
    position = scheme(layout)
    attend, p = made(rng, position=position, causal=causal)
    x = draw(rng, B, T, C)
    expected, weights = formula(p, x, turn=position, causal=causal)
    got = both(attend, x)
    check.close(got[1], weights, f"the weights with rotary positions, layout {layout!r}")
    check.close(got[0], expected, f"the output with rotary positions, layout {layout!r}")


@pytest.mark.parametrize("layout", ["interleaved", "half"])
def test_positions_of_ones_own(rng, layout):
    """Positions (T,) say where the tokens of all sequences stand, (B, T) where those of each stand."""
    position = scheme(layout)
    attend, p = made(rng, position=position)
    x = draw(rng, B, T, C)
    for at in ([4, 0, 1, 9, 2], [[0, 0, 0, 1, 2], [30, 2, 1, 7, 8]]):
        where = torch.tensor(at)
        expected, _ = formula(p, x, turn=lambda each, where=where: position(each, where))
        check.close(output(attend, x, positions=where), expected, f"the output with positions={at}")


def test_only_distances_count(rng):
    """All tokens 100 positions further on give the same output: the values are not turned."""
    attend, _ = made(rng, position=scheme("interleaved"), causal=True)
    x = draw(rng, B, T, C)
    here = output(attend, x)
    there = output(attend, x, positions=torch.arange(T) + 100)
    why = "Turned queries and keys see their distance only; a turned value would tell where it stands."
    check.close(there, here, "the output with positions 100, 101, …, beside that with 0, 1, …", why=why)


def test_positions_count(rng):
    """With a position, the order of the tokens counts."""
    for name in ("interleaved", "half", "alibi", "t5, both ways"):
        attend, _ = made(rng, position=large(scheme(name), rng))
        x = draw(rng, 1, T, C)
        order, back = [2, 0, 1, 4, 3], [1, 2, 0, 4, 3]
        there = output(attend, x[:, order])[:, back]
        differs = bool(((output(attend, x) - there).abs() > 1e-3).any())
        check.true(differs, f"tokens in another order give another output, with the position {name!r}")


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "not causal"])
@pytest.mark.parametrize("name", ["alibi", "t5, both ways", "t5, one way"])
def test_a_relative_bias(rng, name, causal):
    """What a relative bias gives is added to the scores of each head."""
    position = large(scheme(name), rng)
    attend, p = made(rng, position=position, causal=causal)
    x = draw(rng, B, T, C)
    expected, weights = formula(p, x, bias=in_order(position, T, T), causal=causal)
    got = both(attend, x)
    check.close(got[1], weights, f"the weights with the position {name!r}")
    check.close(got[0], expected, f"the output with the position {name!r}")


def test_positions_and_a_mask(rng):
    """A mask and a position go together."""
    mask = torch.tensor([[True, True, False, True, True], [False, True, True, True, False]])[:, None, None]
    x = draw(rng, B, T, C)
    for name in ("alibi", "half"):
        position = scheme(name)
        attend, p = made(rng, position=position)
        how: dict = {"turn": position} if name == "half" else {"bias": in_order(position, T, T)}
        expected, _ = formula(p, x, mask=mask, **how)
        check.close(output(attend, x, mask=mask), expected, f"the output with a mask and the position {name!r}")


def test_the_table_of_t5_learns(rng):
    """The gradient comes back to T5's table."""
    position = large(scheme("t5, both ways"), rng).double()
    attend, p = made(rng, position=position)
    x, upstream = draw(rng, B, T, C), draw(rng, B, T, C)
    (formula(p, x, bias=position(T, T))[0] * upstream).sum().backward()
    expected = position.weight.grad.clone()
    position.weight.grad = None
    (output(attend, x) * upstream).sum().backward()
    got = position.weight.grad
    check.true(got is not None, "the table of the T5RelativeBias gets a gradient")
    check.close(got, expected, "the gradient of the table")


# -- dropout


def weights_as_values(p, **options):
    """A module whose output is the weights (B, T, H, 2, S), twice beside one another, all of them 1 / S."""
    keys, heads = 5, 3
    width = 2 * keys
    eye = torch.eye(keys).repeat(2, 1)  # (2·S, S): key j is told by the numbers j and S + j of each head
    value = torch.zeros(heads, width, heads * width)
    value[:, :, :keys] = eye
    zeros = torch.zeros(heads * width, heads * width)
    projections = multihead.Projections(zeros, zeros, value.flatten(0, 1), torch.eye(heads * width))
    attend = multihead.MultiHeadAttention(heads * width, heads, dropout=p, **options)
    attend.load_projections(projections)
    context = torch.zeros(10, keys, heads * width)
    context[:, :, :keys] = torch.eye(keys)

    def look(queries=60):
        got = attend(torch.ones(10, queries, heads * width), context)
        check.equal(list(got.shape), [10, queries, heads * width], "the shape of what comes")
        return got.detach().unflatten(-1, (heads, 2, keys))

    return attend, look


def test_dropout_zeroes_weights():
    """In training, dropout zeroes a share of the weights, and divides the others by 1 - p."""
    attend, look = weights_as_values(0.25)
    attend.train()
    got = look()
    found = sorted(round(number, 3) for number in got.unique().tolist())
    why = "All weights are 1/5: each is either zeroed, or divided by 0.75."
    check.equal(found, [0.0, 0.267], "the different weights with dropout=0.25", why=why)
    same = bool((got[..., 0, :] == got[..., 1, :]).all())
    why = "A key that a query drops is gone with all of its value; dropout elsewhere zeroes single numbers."
    check.true(same, "two numbers of a value that are the same stay the same in the sum", why=why)
    alone = bool((got[:, :1] == got).all())
    check.true(not alone, "each query drops keys of its own")
    share = float((got[..., 0, :] == 0).double().mean())
    check.true(abs(share - 0.25) < 0.03, "a quarter of the weights is zeroed", got=f"{share:.3f}")


def test_no_dropout_in_eval():
    """After eval() nothing is zeroed, and after train() again it is."""
    attend, look = weights_as_values(0.5)
    attend.eval()
    expected = torch.full((10, 8, 3, 2, 5), 0.2)
    got = look(8)
    check.true(not bool((got == 0).any()), "after eval(), no weight is zeroed", why="Dropout belongs to training.")
    check.close(got, expected, "the weights after eval()")
    attend.train()
    check.true(bool((look(8) == 0).any()), "after train(), weights are zeroed")


def test_no_dropout_at_0():
    """Without dropout, training and eval are the same."""
    attend, look = weights_as_values(0.0)
    attend.train()
    check.close(look(8), torch.full((10, 8, 3, 2, 5), 0.2), "the weights in training with dropout=0")


# -- gradients


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "not causal"])
def test_the_gradient_of_x(rng, causal):
    """The gradient comes back to x through queries, keys and values."""
    attend, p = made(rng, causal=causal, position=scheme("half"))
    x, upstream = draw(rng, B, T, C).requires_grad_(), draw(rng, B, T, C)
    (formula(p, x, turn=attend.rotary, causal=causal)[0] * upstream).sum().backward()
    expected, x.grad = x.grad, None
    (attend(x) * upstream).sum().backward()
    check.true(x.grad is not None, "x gets a gradient")
    check.close(x.grad, expected, "the gradient of x")


def test_the_gradient_of_the_context(rng):
    """The gradient comes back to x through the queries, and to the context through keys and values."""
    attend, p = made(rng)
    x, context = draw(rng, B, T, C).requires_grad_(), draw(rng, B, S, C).requires_grad_()
    upstream = draw(rng, B, T, C)
    (formula(p, x, context)[0] * upstream).sum().backward()
    expected = [x.grad, context.grad]
    x.grad = context.grad = None
    (attend(x, context) * upstream).sum().backward()
    for name, each, wanted in zip(("x", "the context"), (x, context), expected):
        check.true(each.grad is not None, f"{name} gets a gradient")
        check.close(each.grad, wanted, f"the gradient of {name}")


def test_the_parameters_learn(rng):
    """A step against the gradient makes the loss smaller by what the gradient promises."""
    attend, _ = made(rng)
    x, upstream = draw(rng, B, T, C), draw(rng, B, T, C)
    loss = (output(attend, x) * upstream).sum()
    loss.backward()
    gradients = [each.grad for each in attend.parameters()]
    check.true(all(each is not None for each in gradients), "each parameter gets a gradient")
    promised = sum(each.square().sum().item() for each in gradients)
    step = 1e-6
    with torch.no_grad():
        for each in attend.parameters():
            each -= step * each.grad
        after = (attend(x) * upstream).sum()
    check.close(
        (loss.item() - after.item()) / step / promised, 1.0, "the change of the loss, by the promised", rtol=1e-2
    )


# -- formats and places


@pytest.mark.varied
@pytest.mark.parametrize("name", ["none", "half", "alibi", "t5, both ways"])
def test_half_precision(rng, name):
    """A module converted to bfloat16 takes and gives bfloat16, with each position."""
    position = None if name == "none" else large(scheme(name), rng)
    attend = multihead.MultiHeadAttention(C, H, position=position, causal=True).bfloat16()
    p = in_format(drawn(rng), torch.bfloat16)
    attend.load_projections(p)
    p = in_format(p, torch.float64)
    x = draw(rng, B, T, C).bfloat16()
    how: dict = {}
    if position is not None:
        how = {"turn": position} if name == "half" else {"bias": in_order(position, T, T)}
    expected, _ = formula(p, x.double(), causal=True, **how)
    got = output(attend, x)
    check.equal(str(got.dtype), "torch.bfloat16", f"the format of what comes, with the position {name!r}")
    check.close(got, expected, f"the output in bfloat16, with the position {name!r}", rtol=0.05, atol=0.15)


def test_on_any_device(rng):
    """On the device of its parameters, the module makes what it needs there."""
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for name in ("half", "alibi", "t5, both ways"):
            position = large(scheme(name), rng)
            attend, p = made(rng, position=position, causal=True)
            x = draw(rng, B, T, C)
            how: dict = {"turn": position} if name == "half" else {"bias": in_order(position, T, T)}
            expected, _ = formula(p, x, causal=True, **how)
            got = attend.to(device)(x.to(device))
            check.equal(got.device.type, device, f"the device of what comes, with {name!r}")
            check.close(got, expected, f"the output on {device!r}, with {name!r}")


def test_input_laid_out_in_any_way(rng):
    """An x or a context that was transposed, or that is a part of something larger, is read like any other."""
    attend, p = made(rng)
    x, context = draw(rng, T, B, C).transpose(0, 1), draw(rng, B, S, C + 3)[..., 1:-2]
    check.close(attend(x, context), formula(p, x, context)[0], "the output for tensors that are views")
    check.close(attend(x), formula(p, x)[0], "the output for an x that is a view")


# -- what is refused


@pytest.mark.parametrize(
    "options, numbers",
    [
        ({"d_model": 10, "n_heads": 3}, [10, 3]),
        ({"d_model": 12, "n_heads": 0}, [0]),
        ({"d_model": 12, "n_heads": 4, "n_kv_heads": 3}, [4, 3]),
        ({"d_model": 12, "n_heads": 3, "dropout": 1.0}, [1.0]),
    ],
    ids=["width", "no head", "key heads", "dropout"],
)
def test_options_that_make_no_sense(rng, options, numbers):
    """Numbers that do not go together are a ValueError that names them."""
    made(rng)
    check.raises(ValueError, multihead.MultiHeadAttention, **options, naming=numbers)


def test_a_position_that_does_not_fit(rng):
    """A position of another width or number of heads is a ValueError, what is none a TypeError."""
    made(rng)
    for position, number in [(scheme("half", width=6), 6), (scheme("alibi", heads=5), 5), (scheme("t5", heads=2), 2)]:
        check.raises(ValueError, multihead.MultiHeadAttention, C, H, position=position, naming=[number])
    check.raises(TypeError, multihead.MultiHeadAttention, C, H, position=torch.nn.Linear(D, D))


def test_input_that_does_not_fit(rng):
    """An x or a context that is not (B, T, C), or a context together with a position, is a ValueError."""
    attend, _ = made(rng)
    check.equal(tuple(output(attend, torch.ones(B, T, C).double()).shape), (B, T, C), "the shape of the output")
    for shape in [(T, C), (B, T, C + 1), (B, H, T, C)]:
        check.raises(ValueError, attend, draw(rng, *shape), naming=[shape])
    x = draw(rng, B, T, C)
    for shape in [(S, C), (B, S, C - 1), (B + 1, S, C)]:
        check.raises(ValueError, attend, x, draw(rng, *shape), naming=[shape])
    for name in ("half", "alibi", "t5, one way"):
        attend, _ = made(rng, position=scheme(name))
        check.raises(ValueError, attend, x, draw(rng, B, S, C))
    check.raises(ValueError, attend, x, mask=torch.ones(T, T + 1, dtype=torch.bool), naming=[(T, T + 1)])
