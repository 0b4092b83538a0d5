"""3.6 · Shared keys and values: which head reads which, and a module with fewer of them."""

import math
from dataclasses import replace
from typing import Any

import pytest

from bootcamp.grading import check, written

torch = pytest.importorskip("torch")

multihead = written("stage03_attention.multihead")
rotary = written("stage02_embeddings.rotary")
bias_of = written("stage02_embeddings.bias")

B, T, S = 2, 5, 7  # sequences, queries, keys
D, E = 4, 3  # the width of a key, and of a value
HEADS = [(6, 1), (6, 2), (6, 3), (6, 6), (4, 2), (1, 1)]  # H and G


def draw(rng, *shape, dtype=torch.float64):
    """Random numbers from N(0, 1)."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=dtype)


def drawn(rng, heads, groups, lead=(B,)):
    """Random queries, keys and values."""
    return draw(rng, *lead, heads, T, D), draw(rng, *lead, groups, S, D), draw(rng, *lead, groups, S, E)


def formula(q, k, v, mask=None, bias=None):
    """Attention where each query head has keys and values of its own: copies of those that it reads."""
    share = q.shape[-3] // k.shape[-3]
    k, v = k.repeat_interleave(share, dim=-3), v.repeat_interleave(share, dim=-3)
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(-1).nan_to_num(0.0)  # nothing to attend to: zeros
    return weights @ v, weights


def output(*args, **kwargs):
    """What comes from a call, held to be one tensor, after a look that the arguments are left alone."""
    got = check.unchanged(multihead.grouped_attention, *args, **kwargs)
    check.true(isinstance(got, torch.Tensor), "without return_weights, one tensor comes back", got=got)
    return got


def both(*args, **kwargs):
    """The output and the weights, held to be two tensors."""
    got = check.unchanged(multihead.grouped_attention, *args, **kwargs, return_weights=True)
    pair = isinstance(got, tuple) and len(got) == 2
    check.true(pair, "with return_weights, the output and the weights come back", got=got)
    return got


# -- who reads what


@pytest.mark.parametrize("heads, groups", [(4, 2), (6, 2), (6, 3), (6, 1), (3, 3)])
def test_whose_values(heads, groups):
    """Query head h gets the values of head h·G // H: neighbours share."""
    v = torch.arange(groups).double()[:, None, None].expand(groups, S, E)  # all values of head g are g
    got = output(torch.zeros(heads, T, D).double(), torch.zeros(groups, S, D).double(), v)
    check.equal(tuple(got.shape), (heads, T, E), "the shape of the output")
    expected = torch.tensor([h * groups // heads for h in range(heads)])
    check.close(got[:, 0, 0], expected, f"whose values {heads} query heads get of {groups} heads of them")


@pytest.mark.parametrize("heads, groups", [(4, 2), (6, 2), (6, 3), (6, 1), (3, 3)])
def test_whose_keys(heads, groups):
    """Query head h looks at the keys of head h·G // H."""
    q, k = torch.full((heads, T, D), 10.0), torch.full((groups, S, D), -10.0)
    for g in range(groups):
        k[g, g] = 10.0  # the queries look at key g of head g, and at no other
    _, weights = both(q, k, torch.ones(groups, S, E))
    check.equal(tuple(weights.shape), (heads, T, S), "the shape of the weights")
    expected = [h * groups // heads for h in range(heads)]
    check.equal(weights[:, 0].argmax(-1).tolist(), expected, f"whose keys {heads} query heads look at, of {groups}")


@pytest.mark.parametrize("heads, groups", HEADS)
def test_as_with_copies(rng, heads, groups):
    """The output is that of an attention in which each query head has a copy of the keys and values that it reads."""
    q, k, v = drawn(rng, heads, groups)
    expected, weights = formula(q, k, v)
    check.close(output(q, k, v), expected, f"the output of {heads} query heads and {groups} key/value heads")
    got = both(q, k, v)
    check.close(got[1], weights, f"the weights of {heads} query heads and {groups} key/value heads")
    check.close(got[0], expected, "the output that comes with the weights")


@pytest.mark.parametrize("lead", [(), (B,), (3, B), (2, 3, 1)], ids=str)
def test_any_leading_dimensions(rng, lead):
    """Before the heads there may be any number of dimensions."""
    q, k, v = drawn(rng, 6, 2, lead)
    got = both(q, k, v)
    check.close(got[0], formula(q, k, v)[0], f"the output for q {tuple(q.shape)}")
    check.close(got[1], formula(q, k, v)[1], f"the weights for q {tuple(q.shape)}")


def test_one_query(rng):
    """One query, as in decoding, is fine, and so is one key."""
    q, k, v = drawn(rng, 6, 2)
    check.close(output(q[:, :, :1], k, v), formula(q[:, :, :1], k, v)[0], "the output for one query")
    k, v = k[:, :, :1], v[:, :, :1]
    check.close(output(q, k, v), formula(q, k, v)[0], "the output for one key")


# -- masks and biases

H, G = 6, 2
SHAPES = [(S,), (T, S), (1, S), (T, 1), (1, T, S), (H, 1, S), (H, T, S), (B, 1, 1, S), (B, 1, T, S), (1, H, T, S)]


@pytest.mark.parametrize("shape", [*SHAPES, (B, H, 1, S), (B, H, T, S)], ids=str)
def test_masks(rng, shape):
    """A mask that broadcasts to (B, H, T, S), with a dimension for the query heads or without, holds for these."""
    q, k, v = drawn(rng, H, G)
    mask = draw(rng, *shape) > -0.3
    mask.view(-1)[0], mask.view(-1)[-1] = True, False
    expected, weights = formula(q, k, v, mask=mask)
    why = "A head dimension of a mask counts query heads: it has to be split up as that of the queries is."
    got = both(q, k, v, mask=mask)
    check.close(got[0], expected, f"the output with a mask {shape} for {H} query heads", why=why)
    check.close(got[1], weights, f"the weights with a mask {shape} for {H} query heads", why=why)


@pytest.mark.parametrize("shape", [*SHAPES, (B, H, 1, S), (B, H, T, S)], ids=str)
def test_biases(rng, shape):
    """A bias that broadcasts to (B, H, T, S) is added to the scores of its query heads."""
    q, k, v = drawn(rng, H, G)
    bias = 2 * draw(rng, *shape)
    got = both(q, k, v, bias=bias)
    expected, weights = formula(q, k, v, bias=bias)
    check.close(got[0], expected, f"the output with a bias {shape} for {H} query heads")
    check.close(got[1], weights, f"the weights with a bias {shape} for {H} query heads")


@pytest.mark.parametrize("heads, groups", [(6, 1), (6, 6), (4, 2)])
def test_a_mask_and_a_bias(rng, heads, groups):
    """A mask and a bias go together, for any number of heads, and for heads as many as sequences too."""
    q, k, v = drawn(rng, heads, groups, (heads,))
    mask, bias = draw(rng, heads, 1, 1, S) > 0, draw(rng, heads, T, S)
    mask[..., 0] = True
    expected, _ = formula(q, k, v, mask, bias)
    check.close(output(q, k, v, mask, bias), expected, f"the output with both, {heads} query heads, {groups} for keys")
    q, k, v = drawn(rng, heads, groups, ())
    bias = draw(rng, heads, T, S)
    check.close(output(q, k, v, bias=bias), formula(q, k, v, bias=bias)[0], "the output for q (H, T, D) with a bias")


def test_nothing_to_attend_to(rng):
    """A query that may attend to nothing gets zeros, in its own head only."""
    q, k, v = drawn(rng, H, G)
    mask = torch.ones(H, T, S, dtype=torch.bool)
    mask[4, 2] = False
    got = output(q, k, v, mask=mask)
    check.close(got[:, 4, 2], torch.zeros(B, E), "the output of query 2 of head 4, which may attend to nothing")
    check.close(got, formula(q, k, v, mask=mask)[0], "the output of all queries")


# -- what else attention does


def test_dropout():
    """Dropout zeroes a share of the weights, of each query head for itself, and divides the others."""
    q, k = torch.zeros(8, H, 40, D), torch.zeros(8, G, 5, D)
    v = torch.eye(5).repeat(1, 2).expand(8, G, 5, 10)  # the output is the weights, twice beside one another
    got = output(q, k, v, dropout=0.25)
    check.equal(tuple(got.shape), (8, H, 40, 10), "the shape of the output")
    found = sorted(round(number, 3) for number in got.unique().tolist())
    check.equal(found, [0.0, 0.267], "the different weights with dropout=0.25, where all are 1/5")
    check.true(bool((got[..., :5] == got[..., 5:]).all()), "a weight is dropped with all of its value")
    share = float((got == 0).double().mean())
    check.true(abs(share - 0.25) < 0.03, "a quarter of the weights is zeroed", got=f"{share:.3f}")
    check.true(bool((got[:, 0] != got[:, 1]).any()), "two query heads that share keys drop different ones")


@pytest.mark.parametrize("heads, groups", [(6, 1), (6, 2), (6, 6)])
def test_gradients(rng, heads, groups):
    """Keys and values that are shared get the gradients of all query heads that read them."""
    q, k, v = (each.requires_grad_() for each in drawn(rng, heads, groups))
    upstream = draw(rng, B, heads, T, E)
    (formula(q, k, v)[0] * upstream).sum().backward()
    expected = [q.grad, k.grad, v.grad]
    q.grad = k.grad = v.grad = None
    (multihead.grouped_attention(q, k, v) * upstream).sum().backward()
    for name, each, wanted in zip("qkv", (q, k, v), expected):
        check.true(each.grad is not None, f"{name} gets a gradient")
        check.close(each.grad, wanted, f"the gradient of {name}, with {heads} query heads and {groups} for keys")


@pytest.mark.varied
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_number_formats(rng, dtype):
    """What comes has the format of q."""
    q, k, v = (each.to(dtype) for each in drawn(rng, H, G))
    got = both(q, k, v)
    for name, each in zip(("output", "weights"), got):
        check.equal(str(each.dtype), str(dtype), f"the format of the {name}")
    expected, _ = formula(q.double(), k.double(), v.double())
    check.close(got[0], expected, f"the output in {dtype}", rtol=1e-5 if dtype == torch.float32 else 0.02, atol=0.02)


def test_heads_laid_out_in_any_way(rng):
    """Heads that were split, and so transposed, are read like any other."""
    q, k, v = drawn(rng, H, G)
    views = [each.transpose(1, 2).contiguous().transpose(1, 2) for each in (q, k, v)]
    check.close(output(*views), formula(q, k, v)[0], "the output for tensors that are views")


def test_heads_that_do_not_go_together(rng):
    """A number of query heads that is no multiple of that of keys is a ValueError that names both."""
    q, k, v = drawn(rng, 6, 2)
    check.equal(tuple(output(q, k, v).shape), (B, 6, T, E), "the shape of the output of 6 and 2 heads")
    for heads, groups in [(6, 4), (5, 2), (2, 4)]:
        check.raises(ValueError, multihead.grouped_attention, *drawn(rng, heads, groups), naming=[heads, groups])
    check.raises(ValueError, multihead.grouped_attention, q, k, v, mask=torch.ones(T, S + 1, dtype=torch.bool))
    check.raises(TypeError, multihead.grouped_attention, q, k, v, mask=torch.ones(T, S))
    check.raises(ValueError, multihead.grouped_attention, q, k, v, dropout=1.0)


# -- in the module


def modules(rng, heads, groups, width=D, **options) -> Any:
    """A module with G key/value heads, and one with H, of which those that are shared are repeated."""
    size, share = heads * width, heads // groups
    rows = {"query": size, "key": groups * width, "value": groups * width, "out": size}
    weights = {name: draw(rng, number, size) / math.sqrt(2 * width) for name, number in rows.items()}
    biases = {f"{name}_bias": draw(rng, number) for name, number in rows.items()}
    few = multihead.Projections(**weights, **biases)

    def repeated(rows):
        return rows.unflatten(0, (groups, width)).repeat_interleave(share, dim=0).flatten(0, 1)

    copies = {name: repeated(getattr(few, name)) for name in ("key", "value", "key_bias", "value_bias")}
    shared = multihead.MultiHeadAttention(size, heads, groups, **options).double()
    full = multihead.MultiHeadAttention(size, heads, **options).double()
    shared.load_projections(few)
    full.load_projections(replace(few, **copies))
    return shared, full


def position_of(name, heads) -> Any:
    """One of the positions of stage 02, with numbers large enough to be seen."""
    if name in ("interleaved", "half"):
        return rotary.RotaryEmbedding(D, layout=name)
    if name == "none":
        return None
    if name == "alibi":
        return bias_of.AlibiBias(heads)
    position = bias_of.T5RelativeBias(heads, bidirectional=True, buckets=8, max_distance=16)
    with torch.no_grad():
        position.weight.copy_(torch.arange(8 * heads).reshape(8, heads).sin())
    return position


@pytest.mark.parametrize("name", ["none", "interleaved", "half", "alibi", "t5"])
@pytest.mark.parametrize("heads, groups", [(6, 2), (4, 1)])
def test_a_module_with_shared_heads(rng, heads, groups, name):
    """MultiHeadAttention with n_kv_heads=G gives what one with G repeated key/value heads gives."""
    q, k, v = drawn(rng, heads, groups)
    check.close(output(q, k, v), formula(q, k, v)[0], "the output of grouped_attention")
    for causal in (False, True):
        shared, full = modules(rng, heads, groups, position=position_of(name, heads), causal=causal)
        x = draw(rng, B, T, heads * D)
        what = f"{heads} heads, n_kv_heads={groups}, causal={causal} and the position {name!r}"
        got = shared(x, return_weights=True)
        expected = full(x, return_weights=True)
        check.close(got[0], expected[0], f"the output of a module with {what}")
        check.close(got[1], expected[1], f"the weights of a module with {what}")


def test_a_module_with_masks(rng):
    """With a context and a mask for each head, a module with shared heads gives what one with repeated heads gives."""
    q, k, v = drawn(rng, H, G)
    check.close(output(q, k, v), formula(q, k, v)[0], "the output of grouped_attention")
    shared, full = modules(rng, H, G)
    x, context = draw(rng, B, T, H * D), draw(rng, B, S, H * D)
    for shape in [(B, 1, 1, S), (H, T, S), (T, S)]:
        mask = draw(rng, *shape) > -0.5
        got, expected = shared(x, context, mask=mask), full(x, context, mask=mask)
        check.close(got, expected, f"the output of a module with n_kv_heads={G} and a mask {shape}")
