"""3.3 · Scaled dot-product attention: each query gathers values, most from the keys that fit it best."""

import math
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from bootcamp.grading import check, written

module = written("stage03_attention.attention")

INF = math.inf
HALVES = [torch.bfloat16, torch.float16]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
B, H, T, S, D, E = 2, 3, 4, 5, 6, 7  # texts, heads, queries, keys, width of queries and keys, width of values
SHAPES = [(T, S), (S,), (1, S), (T, 1), (H, 1, 1), (H, T, S), (B, 1, 1, S), (B, 1, T, S), (B, H, T, S)]
NOTHING = "Where a whole row is -inf, softmax gives 0 / 0, which is nan: such a row needs care before and after it."

HIDDEN = "nan that is replaced by 0 on the way there comes back on the way back: nan · 0 is nan. Let none arise."


def numbers(rng, *shape, dtype=torch.float32):
    """Random numbers, most of them between -2 and 2."""
    count = torch.Size(shape).numel()
    return torch.tensor([rng.gauss(0, 1) for _ in range(count)], dtype=torch.float64).reshape(shape).to(dtype)


def inputs(rng, *lead, dtype=torch.float32) -> Any:
    """Queries (…, T, D), keys (…, S, D) and values (…, S, E)."""
    return (numbers(rng, *lead, *size, dtype=dtype) for size in ((T, D), (S, D), (S, E)))


def some(rng, *shape):
    """A random mask that allows the first key, so that no query is left without any."""
    mask = torch.tensor([rng.random() < 0.5 for _ in range(torch.Size(shape).numel())]).reshape(shape)
    mask[..., 0] = True
    return mask


def causal(queries, keys):
    """The mask of 3.2, by hand."""
    return torch.tensor([[j <= keys - queries + i for j in range(keys)] for i in range(queries)])


def exact(q, k, v, mask=None, bias=None):
    """Output and weights by the formula, in float64."""
    scores = q.double() @ k.double().transpose(-1, -2) / math.sqrt(q.shape[-1])
    if bias is not None:
        scores = scores + bias.double()
    allowed = scores.detach() > -INF
    if mask is not None:
        allowed = allowed & mask
    floor = torch.zeros((), dtype=torch.float64, device=q.device)
    top = torch.where(allowed, scores.detach(), -INF).amax(-1, keepdim=True)
    top = torch.where(top > -INF, top, floor)
    exp = torch.where(allowed, (torch.where(allowed, scores, floor) - top).clamp(max=0.0).exp(), floor)
    total = exp.sum(-1, keepdim=True)
    weights = exp / torch.where(total > 0, total, 1.0)
    return weights @ v.double(), weights


def holds(q, k, v, expected=None, why="", rtol=1e-4, atol=1e-5, **kwargs):
    """Hold what comes to what it should be: the formula, if nothing else is said, in the format of q."""
    if expected is None:
        expected = exact(q, k, v, **kwargs)[0].detach()
    got = check.unchanged(module.attention, q, k, v, **kwargs)

    def probe():
        check.true(isinstance(got, torch.Tensor), "what comes is a tensor", got=got)
        check.close(got, expected, "what it returns", rtol=rtol, atol=atol, why=why)
        check.equal(str(got.dtype), str(q.dtype), "the format of what it returns")

    check.with_call(probe, check.call_text(module.attention, (q, k, v), kwargs))


def with_weights(q, k, v, **kwargs):
    """The output and the weights that come, after a look that there are two tensors of the right shapes."""
    got = check.unchanged(module.attention, q, k, v, return_weights=True, **kwargs)
    pair = isinstance(got, (tuple, list)) and len(got) == 2 and all(isinstance(each, torch.Tensor) for each in got)
    check.true(pair, "with return_weights, a pair of tensors comes", got=got)
    output, weights = got
    check.equal(tuple(output.shape), (*q.shape[:-1], v.shape[-1]), "the shape of the output")
    check.equal(tuple(weights.shape), (*q.shape[:-1], k.shape[-2]), "the shape of the weights")
    return output, weights


# -- the formula


def test_by_hand():
    """A score that is larger by ln 3 has three times the weight: 1/4 of one value and 3/4 of the other come."""
    q = torch.tensor([[2 * math.log(3), 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])  # D = 4, so √D = 2
    k = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    v = torch.tensor([[8.0, 0.0, 4.0], [0.0, 80.0, 4.0]])
    why = "q · k is 0 and 2 ln 3; divided by √D = 2, it is 0 and ln 3. The second query has two scores of 0."
    holds(q, k, v, torch.tensor([[2.0, 60.0, 4.0], [4.0, 40.0, 4.0]]), why=why)


def test_a_mask_by_hand():
    """True lets a query attend, and False keeps it away: the weights are shared out among the others."""
    q, k = torch.zeros(3, 2), torch.zeros(4, 2)
    mask = torch.tensor([[True, True, False, False], [False, False, False, True], [True, True, True, True]])
    expected = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.25, 0.25, 0.25, 0.25]])
    holds(q, k, torch.eye(4), expected, mask=mask)


def test_a_bias_by_hand():
    """The bias is added to the scores after their division: ln 3 makes a weight three times as large."""
    q, k = torch.zeros(2, 16), torch.zeros(2, 16)
    bias = torch.tensor([[0.0, math.log(3)], [math.log(4), 0.0]])
    holds(q, k, torch.eye(2), torch.tensor([[0.25, 0.75], [0.8, 0.2]]), bias=bias)


def test_the_weights_of_a_query_add_up_to_1(rng):
    """The weights of each query add up to 1, over the keys."""
    q, k, _ = inputs(rng, H)
    got = check.unchanged(module.attention, q, k, torch.ones(H, S, 2))
    why = "With values of 1, what comes is the sum of the weights. The softmax goes along the keys, the last dimension."
    check.close(got, torch.ones(H, T, 2), "the output for values of 1", why=why)


def test_values_that_show_the_weights(rng):
    """With the identity for values, what comes is the weights."""
    q, k, _ = inputs(rng, B, H)
    weights = exact(q, k, torch.zeros(S, E))[1]
    holds(q, k, torch.eye(S).expand(B, H, S, S), weights)


@pytest.mark.parametrize("width", [1, 2, 16, 50])
def test_scores_are_divided_by_the_root_of_the_width(rng, width):
    """The scores are divided by √D, where D is the width of queries and keys."""
    q, k, v = numbers(rng, T, width), numbers(rng, S, width), numbers(rng, S, E)
    why = "A sum of D products grows like √D. Without the division, the weights of wide heads are all or nothing."
    holds(q, k, v, why=why)


@pytest.mark.parametrize("lead", [(), (B,), (B, H), (2, 1, 3)], ids=str)
def test_any_number_of_leading_dimensions(rng, lead):
    """Before the last two dimensions there may be any others: each of them has an attention of its own."""
    holds(*inputs(rng, *lead))


def test_leading_dimensions_broadcast(rng):
    """Leading dimensions of q, k and v broadcast: two texts may share keys, and several heads one value."""
    q, k, v = numbers(rng, B, H, T, D), numbers(rng, H, S, D), numbers(rng, B, 1, S, E)
    holds(q, k, v)
    holds(q, k[:1], v, mask=some(rng, B, 1, 1, S), bias=numbers(rng, H, T, S))
    holds(numbers(rng, 2, 3, 2, T, D), numbers(rng, 2, 3, 1, S, D), numbers(rng, 2, 3, 1, S, E))


def test_as_torchs_own(rng):
    """What comes is what torch's own scaled_dot_product_attention gives, with a mask and without."""
    q, k, v = inputs(rng, B, H)
    own = torch.nn.functional.scaled_dot_product_attention
    holds(q, k, v, own(q, k, v))
    mask, bias = some(rng, B, 1, T, S), numbers(rng, H, T, S)
    holds(q, k, v, own(q, k, v, attn_mask=mask), mask=mask)
    holds(q, k, v, own(q, k, v, attn_mask=bias), bias=bias)


def test_one_query_and_no_query(rng):
    """A single query or a single key is fine, and so is no query, or no text."""
    q, k, v = inputs(rng, B, H)
    holds(q[:, :, :1], k, v)
    holds(q, k[:, :, :1], v[:, :, :1])
    holds(q[:, :, :0], k, v)
    holds(q[:0], k[:0], v[:0])


def test_any_order_in_memory(rng):
    """Queries, keys and values that were transposed or sliced are taken as they come."""
    q, k, v = numbers(rng, B, T, H, D), numbers(rng, B, S, H, 2 * D), numbers(rng, E, S, H, B)
    holds(q.transpose(1, 2), k.transpose(1, 2)[..., ::2], v.permute(3, 2, 1, 0))


# -- who may attend to whom


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_masks_of_any_shape(rng, shape):
    """A mask broadcasts to the scores (B, H, T, S)."""
    q, k, v = inputs(rng, B, H)
    mask = some(rng, *shape) if shape[-1] > 1 else torch.ones(shape).bool()
    holds(q, k, v, mask=mask)


def test_a_mask_that_allows_everything(rng):
    """A mask that is True everywhere changes nothing."""
    q, k, v = inputs(rng, B, H)
    holds(
        q, k, v, mask=torch.ones(T, S).bool(), why="0 · inf is nan: put -inf where the mask is False, and only there."
    )


def test_the_last_token_moves_nothing_earlier(rng):
    """With a causal mask, another last key and value change the last query's output, and no earlier one."""
    q, k, v = numbers(rng, B, H, T, D), numbers(rng, B, H, T, D), numbers(rng, B, H, T, E)
    mask = causal(T, T)
    before = check.unchanged(module.attention, q, k, v, mask=mask)
    check.equal(tuple(before.shape), (B, H, T, E), "the shape of what comes")
    k[:, :, -1], v[:, :, -1] = numbers(rng, B, H, D), 100.0
    after = module.attention(q, k, v, mask=mask)
    why = "What lies ahead leaks into the past: a model that trains so looks at the very token it should predict."
    check.close(
        after[:, :, :-1], before[:, :, :-1], "the outputs before the last, after the last token changed", why=why
    )
    moved = (after[:, :, -1] - before[:, :, -1]).abs().amin()
    check.true(bool(moved > 0.01), "the output of the last query changes with the last value")


def test_the_last_query_reaches_the_first_token(rng):
    """With a causal mask, the last output depends on the first key and the first value."""
    q, k, v = (numbers(rng, H, T, D).requires_grad_() for _ in range(3))
    got = module.attention(q, k, v, mask=causal(T, T))
    check.true(isinstance(got, torch.Tensor), "what comes is a tensor", got=got)
    (got[:, -1] * numbers(rng, H, D)).sum().backward()
    for name, each in (("key", k), ("value", v)):
        reached = each.grad is not None and bool((each.grad[:, 0].abs().sum(-1) > 1e-6).all())
        check.true(reached, f"the gradient of the last output by the first {name} does not vanish, in any head")


def test_more_keys_than_queries(rng):
    """Queries and keys need not be as many: two new tokens attend to five, as with a cache."""
    q, k, v = numbers(rng, B, H, 2, D), numbers(rng, B, H, S, D), numbers(rng, B, H, S, E)
    holds(q, k, v, mask=causal(2, S))


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
def test_masked_keys_have_no_weight_beside_very_low_scores(dtype):
    """However low the scores of the allowed keys are, those that are masked have no weight."""
    q = torch.zeros(2, 16, dtype=dtype)
    k = torch.zeros(4, 16, dtype=dtype)
    q[:, 0], k[:2, 0] = 1024.0, -1024.0  # scores of -262,144, and 0 for the last two keys, which are masked
    mask = torch.tensor([[True, True, False, False], [True, False, False, False]])
    expected = torch.tensor([[0.5, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    why = "-10,000 is no low score beside -262,144. Fill in -inf, or the smallest number that float32 has."
    holds(q, k, torch.eye(4, dtype=dtype), expected, mask=mask, why=why)


# -- bias


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_biases_of_any_shape(rng, shape):
    """A bias broadcasts to the scores (B, H, T, S)."""
    holds(*inputs(rng, B, H), bias=numbers(rng, *shape))


def test_a_bias_and_a_mask(rng):
    """With a bias and a mask, both count."""
    for bias, mask in [((H, T, S), (B, 1, 1, S)), ((T, S), (T, S)), ((B, H, T, S), (S,))]:
        holds(*inputs(rng, B, H), bias=numbers(rng, *bias), mask=some(rng, *mask))


def test_minus_infinity_in_the_bias(rng):
    """An entry of -inf in the bias keeps a query from a key, as a mask does."""
    bias = numbers(rng, H, T, S).masked_fill(~some(rng, H, T, S), -INF)
    holds(*inputs(rng, B, H), bias=bias)
    holds(*inputs(rng, B, H), bias=bias, mask=some(rng, B, 1, T, S))


def test_a_bias_in_another_format(rng):
    """The bias may have another floating point format than q, and the output has that of q."""
    for dtype, other in [
        (torch.float32, torch.bfloat16),
        (torch.float32, torch.float64),
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.bfloat16),
        (torch.float64, torch.float32),
    ]:
        loose = 0.01 if dtype in HALVES else 1e-5
        bias = numbers(rng, H, T, S, dtype=other)
        holds(*inputs(rng, B, H, dtype=dtype), bias=bias, rtol=loose, atol=loose)


# -- a query that may attend to nothing


def kept(rng, how, dtype=torch.float32) -> dict[str, Any]:
    """A mask or a bias, or both, that keep some of the queries of (B, H) from all keys."""
    mask, bias = some(rng, B, H, T, S), numbers(rng, B, H, T, S, dtype=dtype)
    if how == "mask":
        mask[0, :, 1], mask[1, 2, :] = False, False
        return {"mask": mask}
    if how == "bias":
        bias[0, :, 1], bias[1, 2, :] = -INF, -INF
        return {"bias": bias}
    mask[0, :, 1], mask[1, 2, :] = False, False
    mask[0, :, 1, 2:], bias[0, :, 1, 2:] = True, -INF  # what the mask allows, the bias forbids
    mask[1, 2, :, :1], bias[1, 2, :, :1] = True, -INF
    return {"mask": mask, "bias": bias}


HOW = ["mask", "bias", "mask and bias"]


@pytest.mark.varied
@pytest.mark.parametrize("how", HOW)
def test_nothing_to_attend_to(rng, how):
    """A query that may attend to nothing gets zeros, and the others what they always get."""
    holds(*inputs(rng, B, H), why=NOTHING, **kept(rng, how))


@pytest.mark.varied
@pytest.mark.parametrize("how", HOW)
def test_nothing_to_attend_to_has_no_weights(rng, how):
    """The weights of a query that may attend to nothing are 0."""
    q, k, v = inputs(rng, B, H)
    limits = kept(rng, how)
    output, weights = with_weights(q, k, v, **limits)
    check.close(weights, exact(q, k, v, **limits)[1], "the weights", atol=1e-5, why=NOTHING)
    check.close(output, exact(q, k, v, **limits)[0], "the output", rtol=1e-4, atol=1e-5, why=NOTHING)


@pytest.mark.varied
def test_more_queries_than_keys(rng):
    """With more queries than keys, a causal mask leaves the first queries with nothing: they get zeros."""
    q, k, v = numbers(rng, B, H, 5, D), numbers(rng, B, H, 3, D), numbers(rng, B, H, 3, E)
    holds(q, k, v, mask=causal(5, 3), why=NOTHING)


NOBODY: dict[str, dict[str, Any]] = {
    "mask": {"mask": torch.zeros(T, S).bool()},
    "bias": {"bias": torch.full((S,), -INF)},
}


@pytest.mark.parametrize("how", NOBODY)
def test_nobody_may_attend_to_anything(rng, how):
    """If nobody may attend to anything, all is zeros."""
    holds(*inputs(rng, H), expected=torch.zeros(H, T, E), why=NOTHING, **NOBODY[how])


@pytest.mark.varied
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("how", HOW)
def test_nothing_to_attend_to_in_half_formats(rng, how, dtype):
    """In half formats too, a query that may attend to nothing gets zeros."""
    holds(*inputs(rng, B, H, dtype=dtype), rtol=0.01, atol=0.01, why=NOTHING, **kept(rng, how, dtype))


# -- gradients


def gradients(rng, function, q, k, v, bias, upstream, **kwargs):
    """The gradients of q, k, v and the bias that come through `function`."""
    leaves = [each.detach().clone().requires_grad_() for each in (q, k, v, *([] if bias is None else [bias]))]
    if bias is not None:
        kwargs["bias"] = leaves[3]
    got = function(*leaves[:3], **kwargs)
    check.true(isinstance(got, torch.Tensor) and got.requires_grad, "the output is connected with q, k and v", got=got)
    (got * upstream).sum().backward()
    return [each.grad for each in leaves]


def right_gradients(rng, q, k, v, bias=None, why="", rtol=1e-4, atol=2e-5, **kwargs):
    """Hold the gradients to those of the formula, in the formats of what they belong to."""
    upstream = numbers(rng, *q.shape[:-1], v.shape[-1], dtype=q.dtype)
    got = gradients(rng, module.attention, q, k, v, bias, upstream, **kwargs)
    expected = gradients(rng, lambda *args, **kw: exact(*args, **kw)[0], q, k, v, bias, upstream, **kwargs)
    for name, one, other in zip(("q", "k", "v", "bias"), got, expected):
        check.true(one is not None, f"a gradient comes back to {name}")
        check.close(one, other, f"the gradient of {name}", rtol=rtol, atol=atol, why=why)
        check.equal(str(one.dtype), str(other.dtype), f"the format of the gradient of {name}")


def test_gradients(rng):
    """The gradients of q, k and v are those of the formula."""
    right_gradients(rng, *inputs(rng, B, H))


def test_gradients_with_a_mask_and_a_bias(rng):
    """With a mask and a bias the gradients are those of the formula; the bias, which may be learned, has one too."""
    right_gradients(rng, *inputs(rng, B, H), bias=numbers(rng, H, T, S), mask=some(rng, B, 1, T, S))
    right_gradients(rng, *inputs(rng, B, H), bias=numbers(rng, 1, S))


def test_gradients_beside_minus_infinity(rng):
    """Where the bias is -inf for some keys, all gradients are finite, and that of such an entry is 0."""
    bias = numbers(rng, H, T, S).masked_fill(~some(rng, H, T, S), -INF)
    right_gradients(rng, *inputs(rng, B, H), bias=bias)


@pytest.mark.varied
@pytest.mark.parametrize("how", HOW)
def test_gradients_where_there_is_nothing_to_attend_to(rng, how):
    """A query that may attend to nothing leaves all gradients finite: its own is 0, and so is its row of the bias."""
    right_gradients(rng, *inputs(rng, B, H), why=HIDDEN, **kept(rng, how))


@pytest.mark.parametrize("how", NOBODY)
def test_gradients_where_nobody_may_attend_to_anything(rng, how):
    """If nobody may attend to anything, all gradients are 0."""
    q, k, v = inputs(rng, H)
    holds(q, k, v, expected=torch.zeros(H, T, E), why=NOTHING, **NOBODY[how])
    right_gradients(rng, q, k, v, why=HIDDEN, **NOBODY[how])


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_gradients_in_half_formats(rng, dtype):
    """In half formats the gradients are those of the formula, in the format of what they belong to."""
    q, k, v = inputs(rng, B, H, dtype=dtype)
    limits: dict[str, Any] = {"mask": some(rng, T, S), "bias": numbers(rng, H, T, S)}
    right_gradients(rng, q, k, v, rtol=0.02, atol=0.02, **limits)


# -- number formats


@pytest.mark.varied
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("sign", [1, -1])
def test_large_scores_in_half_formats(dtype, sign):
    """Scores that a half format cannot hold, or not exactly, are computed in float32."""
    q = torch.zeros(1, 16, dtype=dtype)
    k = torch.zeros(4, 16, dtype=dtype)
    q[:, 0], q[:, 1] = 1024.0, 1.0
    k[:, 0], k[:, 1] = 1024.0 * sign, torch.tensor([0.0, 4.0, 8.0, 12.0], dtype=dtype)
    expected = torch.softmax(torch.arange(4.0), 0)[None]  # scores of ±262,144 + 0, 1, 2, 3
    why = "float16 ends at 65,504, and bfloat16 has three digits. Convert q and k to float32 before the product."
    holds(q, k, torch.eye(4, dtype=dtype), expected, rtol=0.01, atol=1e-3, why=why)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_formats_are_rounded_once(rng, dtype):
    """In half formats scores, weights and sums are computed in float32: the output is rounded once, at the end."""
    q, k, v = (numbers(rng, H, *size, dtype=dtype) for size in ((9, 16), (40, 16), (40, 24)))
    expected = exact(q, k, v)
    output, weights = with_weights(q, k, v)
    for name, got, right in (("output", output, expected[0]), ("weights", weights, expected[1])):
        check.equal(str(got.dtype), str(dtype), f"the format of the {name}")
        share = (got == right.to(dtype)).double().mean().item()
        why = "Weights that are rounded before they multiply the values add errors of their own. Convert at the end."
        claim = f"95 of 100 numbers of the {name} are the exact ones, rounded to {dtype}"
        check.true(share > 0.95, claim, got=f"{share:.0%} of them", why=why)


@pytest.mark.parametrize("sign", [1, -1])
def test_large_scores(sign):
    """Large scores of either sign do not overflow: what counts is how far they are from one another."""
    q, k = torch.zeros(1, 4), torch.zeros(3, 4)
    q[:, 0], q[:, 1], k[:, 0], k[:, 1] = 1000.0, 1.0, 1000.0 * sign, torch.tensor([0.0, 2.0, 4.0])
    holds(q, k, torch.eye(3), torch.softmax(torch.arange(3.0), 0)[None])


def test_float64_is_kept(rng):
    """With q, k and v in float64, all is computed in float64."""
    q, k, v = inputs(rng, B, H, dtype=torch.float64)
    bias = numbers(rng, H, T, S, dtype=torch.float64)
    holds(q, k, v, bias=bias, mask=some(rng, T, S), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("device", DEVICES)
def test_on_any_device(rng, device):
    """What comes is on the device of q, k and v."""
    q, k, v = (each.to(device) for each in inputs(rng, B, H))
    limits: dict[str, Any] = {name: each.to(device) for name, each in kept(rng, "mask and bias").items()}
    got = module.attention(q, k, v, **limits)
    check.close(got, exact(q, k, v, **limits)[0], f"the output on {device}", rtol=1e-4, atol=1e-5)
    check.equal(got.device.type, device, "the device of what comes")


# -- the weights


def test_the_weights_come_too(rng):
    """With return_weights, the output comes and the weights (…, T, S) it was made with."""
    q, k, v = inputs(rng, B, H)
    for kwargs in ({}, {"mask": some(rng, T, S)}, {"bias": numbers(rng, H, T, S)}):
        output, weights = with_weights(q, k, v, **kwargs)
        expected = exact(q, k, v, **kwargs)
        check.close(weights, expected[1], "the weights", rtol=1e-4, atol=1e-5)
        check.close(output, expected[0], "the output", rtol=1e-4, atol=1e-5)
        check.equal(str(weights.dtype), "torch.float32", "the format of the weights")


def test_no_weights_unless_asked_for(rng):
    """Without return_weights the output comes alone."""
    q, k, v = inputs(rng, B, H)
    holds(q, k, v)
    got = module.attention(q, k, v, None, None, 0.0, False)
    check.close(got, exact(q, k, v)[0], "the output, all arguments given by place", rtol=1e-4, atol=1e-5)


# -- dropout


def dropped(dropout, keys=50, queries=20, mask=None):
    """The weights that are left of equal ones, from values that show them; (2, 3, queries, keys)."""
    q, k = torch.zeros(2, 3, queries, 4), torch.zeros(2, 3, keys, 4)
    got = module.attention(q, k, torch.eye(keys).expand(2, 3, keys, keys), mask=mask, dropout=dropout)
    check.equal(tuple(got.shape), (2, 3, queries, keys), "the shape of the output")
    return got


@pytest.mark.parametrize("dropout", [0.25, 0.75])
def test_dropout_zeroes_a_share_of_the_weights(dropout):
    """Dropout sets a share of the weights to zero, at random."""
    share = (dropped(dropout) == 0).double().mean().item()
    claim = f"with dropout={dropout} about {dropout:.0%} of the weights are zero"
    check.true(abs(share - dropout) < 0.03, claim, got=f"{share:.1%} of them")


@pytest.mark.parametrize("dropout", [0.25, 0.75])
def test_dropout_divides_the_others(dropout):
    """The weights that are left are divided by 1 - dropout, so that their sum stays 1 on average."""
    found = sorted({round(number, 4) for number in dropped(dropout).flatten().tolist()})
    check.close(
        found, [0.0, 1 / 50 / (1 - dropout)], f"the weights there are of 1/50, with dropout={dropout}", atol=1e-3
    )


def test_dropout_is_on_the_weights(rng):
    """It is weights that are dropped: a value is taken whole or not at all."""
    q, k = torch.zeros(H, 30, 4), torch.zeros(H, 20, 4)
    v = torch.cat([torch.eye(20), torch.eye(20)], -1).expand(H, 20, 40)  # each value shows its weight twice
    got = module.attention(q, k, v, dropout=0.75)
    check.equal(tuple(got.shape), (H, 30, 40), "the shape of the output")
    same = torch.allclose(got[..., :20], got[..., 20:], atol=1e-5)
    why = "If numbers of the output are dropped, the two differ: dropout belongs between the softmax and the values."
    check.true(same, "two equal numbers of a value are equal in the output, with dropout=0.75", why=why)


def test_dropout_draws_for_each_weight():
    """Each text, each head, each query and each key draws for itself, and each call anew."""
    zero = dropped(0.5) == 0
    pairs = [
        ("texts", zero[0], zero[1]),
        ("heads", zero[:, 0], zero[:, 1]),
        ("queries", zero[:, :, 0], zero[:, :, 1]),
        ("keys", zero[..., 0], zero[..., 1]),
        ("calls", zero, dropped(0.5) == 0),
    ]
    for name, one, other in pairs:
        check.true(not bool((one == other).all()), f"two {name} do not drop the same weights, with dropout=0.5")


def test_dropout_keeps_the_mask():
    """A key that is masked has no weight with dropout either."""
    mask = torch.arange(50) % 5 != 0
    got = dropped(0.5, mask=mask)
    check.true(bool((got[..., ~mask] == 0).all()), "the weights of masked keys are zero")
    found = sorted({round(number, 4) for number in got[..., mask].flatten().tolist()})
    check.close(found, [0.0, 2 / 40], "the weights there are of 1/40, with dropout=0.5", atol=1e-3)


def test_the_weights_that_come_are_dropped(rng):
    """With return_weights, the weights that come are those after the dropout: times the values they give the output."""
    q, k, v = inputs(rng, B, H)
    output, weights = with_weights(q, k, v, dropout=0.5)
    same = torch.allclose(output, weights @ v, atol=1e-5)
    check.true(same, "the weights that come, times the values, give the output that comes")


@pytest.mark.varied
def test_gradients_through_dropout(rng):
    """What was dropped has no part in the gradients, and what was kept is divided by 1 - dropout there too."""
    q, k, v = (each.requires_grad_() for each in inputs(rng, B, H))
    upstream = numbers(rng, B, H, T, E)
    output, left = with_weights(q, k, v, dropout=0.5)
    (output * upstream).sum().backward()
    got = [q.grad, k.grad, v.grad]
    q, k, v = (each.detach().double().requires_grad_() for each in (q, k, v))
    weights = exact(q, k, v)[1]
    ((weights * (left.detach() != 0) * 2) @ v * upstream).sum().backward()
    for name, one, other in zip("qkv", got, (q.grad, k.grad, v.grad)):
        check.true(one is not None, f"a gradient comes back to {name}")
        check.close(one, other, f"the gradient of {name}, with dropout=0.5", rtol=1e-4, atol=2e-5)


def test_no_dropout_unless_asked_for(rng):
    """Without dropout, and with dropout=0, two calls give the same, and nothing is dropped."""
    q, k, v = inputs(rng, B, H)
    for _ in range(2):
        holds(q, k, v)
        holds(q, k, v, exact(q, k, v)[0], dropout=0.0)


# -- how


class Calls(TorchFunctionMode):
    """Notes which functions of torch are called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.append(str(getattr(func, "__name__", func)))
        return func(*args, **(kwargs or {}))


def test_torchs_own_is_not_called(rng):
    """The output is made with matrix products and softmax; torch's own attention is not called."""
    q, k, v = inputs(rng, B, H)
    with Calls() as calls:
        got = module.attention(q, k, v)
        module.attention(q, k, v, mask=some(rng, T, S))
    check.close(got, exact(q, k, v)[0], "the output", rtol=1e-4, atol=1e-5)
    taken = [name for name in calls.names if "attention" in name]
    why = "What torch has ready made is what this exercise looks inside of."
    check.true(not taken, "no attention of torch's is called", got=", ".join(taken), why=why)


def test_what_does_not_fit_is_refused(rng):
    """Formats that differ are a TypeError; shapes that do not fit and a dropout outside [0, 1) are a ValueError."""
    q, k, v = inputs(rng, B, H)
    holds(q, k, v)
    check.raises(TypeError, module.attention, q, k.double(), v, naming=["float64"])
    check.raises(TypeError, module.attention, q, k, v, mask=torch.ones(T, S), naming=["mask"])
    check.raises(TypeError, module.attention, q, k, v, bias=torch.ones(T, S).int(), naming=["bias"])
    check.raises(ValueError, module.attention, q, k[..., 1:], v, naming=[tuple(k[..., 1:].shape)])
    check.raises(ValueError, module.attention, q, k, v[:, :, 1:], naming=[tuple(v[:, :, 1:].shape)])
    check.raises(ValueError, module.attention, q, k, v, mask=torch.ones(S, T).bool(), naming=[(S, T)])
    check.raises(ValueError, module.attention, q, k, v, bias=torch.ones(S, T), naming=[(S, T)])
    for dropout in (1.0, -0.1):
        check.raises(ValueError, module.attention, q, k, v, dropout=dropout, naming=[dropout])
