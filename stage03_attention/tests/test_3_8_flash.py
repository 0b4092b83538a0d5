"""3.8 · Attention without the T×S matrix: exact, forward and backward, in tiles."""

import gc
import math
import weakref
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from bootcamp.grading import check, written

flash = written("stage03_attention.flash")

# A GPU takes part where there is one.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
# What goes wrong in a half format goes wrong in other last digits from one author to the next.
FORMATS = [
    torch.float32,
    pytest.param(torch.bfloat16, marks=pytest.mark.varied),
    pytest.param(torch.float16, marks=pytest.mark.varied),
]
CAUSAL = pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])


def plain(q, k, v, causal=False):
    """The formula, in float64 and with the whole matrix; who sees nothing gets zeros."""
    q, k, v = q.double(), k.double(), v.double()
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    ahead = k.shape[-2] - q.shape[-2]
    sees = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device)
    sees = sees.tril(ahead) if causal else sees
    top = scores.masked_fill(~sees, -1e300).amax(-1, keepdim=True).detach() if k.shape[-2] else 0.0
    shares = (scores - top).masked_fill(~sees, -1e300).exp() * sees
    total = shares.sum(-1, keepdim=True)
    return (shares / total.masked_fill(total == 0, 1.0)) @ v


def draw(rng, *shape, dtype=torch.float64):
    """Random numbers from the normal distribution."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=dtype)


def inputs(rng, queries, keys, width=3, depth=5, lead=(2,), dtype=torch.float64) -> Any:
    """Random q, k and v."""
    return tuple(draw(rng, *lead, *each, dtype=dtype) for each in ((queries, width), (keys, width), (keys, depth)))


def holds(qkv, causal=False, why="", rtol=1e-9, atol=1e-9, **kwargs):
    """Hold what comes forward to the formula."""
    kwargs |= {"causal": True} if causal else {}
    got = check.unchanged(flash.flash_attention, *qkv, **kwargs)
    call = check.call_text(flash.flash_attention, qkv, kwargs)
    check.true(isinstance(got, torch.Tensor), "what comes back is a tensor", got=got)
    check.equal(str(got.dtype), str(qkv[0].dtype), f"the number format of {call}")
    check.with_call(
        lambda: check.close(got, plain(*qkv, causal=causal), "what it returns", why=why, rtol=rtol, atol=atol), call
    )


def gradients(function, qkv, upstream, *args, **kwargs) -> Any:
    """The gradients of q, k and v, for an upstream gradient."""
    leaves = [each.detach().clone().requires_grad_() for each in qkv]
    output = function(*leaves, *args, **kwargs)
    check.true(output.requires_grad, "the result is connected with q, k and v, for training")
    (output * upstream).sum().backward()
    return [leaf.grad for leaf in leaves]


def holds_back(qkv, upstream, causal=False, why="", rtol=1e-8, atol=1e-8, **kwargs):
    """Hold what comes backward to the gradients of the formula, which torch works out."""
    expected = gradients(plain, [each.double() for each in qkv], upstream.double(), causal)
    got = gradients(flash.flash_attention, qkv, upstream, causal=causal, **kwargs)
    options = "".join(f", {key}={value}" for key, value in ({"causal": True} if causal else {} | kwargs).items())
    for name, one, other in zip("qkv", got, expected):
        what = f"the gradient of {name}, with q {tuple(qkv[0].shape)} and k {tuple(qkv[1].shape)}{options}"
        check.true(one is not None, f"there is {what}")
        check.close(one, other, what, why=why, rtol=rtol, atol=atol)


# -- what comes forward


def test_by_hand():
    """With scores ln 1, ln 2 and ln 5 the weights are 1/8, 2/8 and 5/8."""
    q = torch.tensor([[2.0, 0.0, 0.0, 0.0]])
    k = torch.tensor([[math.log(each), 1.0, -3.0, 2.0] for each in (1, 2, 5)])  # q · k / √4
    v = torch.tensor([[8.0, 0.0], [0.0, 8.0], [16.0, 24.0]])
    got = check.unchanged(flash.flash_attention, q, k, v)
    why = "The products of q and k are 2 ln 1, 2 ln 2 and 2 ln 5, and √D is 2."
    check.close(got, torch.tensor([[11.0, 17.0]]), "three keys in one tile", why=why)


def test_one_tile(rng):
    """Where one tile holds all, it is plain attention."""
    holds(inputs(rng, 4, 6), block=6)
    holds(inputs(rng, 4, 6), block=1000)


@pytest.mark.parametrize("block", [3, 2])
def test_tiles(rng, block):
    """Several tiles give what one gives."""
    why = "What was summed up against an old maximum has to be put right once a higher one is known."
    holds(inputs(rng, 6, 12), block=block, why=why)


@pytest.mark.parametrize("block", [1, 4, 5, 9])
def test_lengths_that_no_block_divides(rng, block):
    """T and S need not be multiples of the block, which may be 1, or as large as T and not as S."""
    holds(inputs(rng, 9, 13), block=block, why="The last tile of a row, and of a column, may be smaller.")


def test_the_default_block(rng):
    """Without a block given, there are more keys than one tile holds, too."""
    holds(inputs(rng, 3, 600, lead=()))
    holds(inputs(rng, 300, 7, lead=()))


@pytest.mark.parametrize("block", [1, 3, 4, 50])
def test_causal(rng, block):
    """With `causal`, query i sees the keys up to i."""
    holds(inputs(rng, 10, 10), causal=True, block=block)


@pytest.mark.parametrize("block", [1, 3, 4, 50])
def test_causal_with_more_keys(rng, block):
    """With `causal` and more keys than queries, the last query stands at the last key."""
    why = "The first S - T keys were read earlier: query i sees the keys j ≤ S - T + i."
    holds(inputs(rng, 5, 12), causal=True, block=block, why=why)
    holds(inputs(rng, 1, 7), causal=True, block=block, why=why)


@pytest.mark.parametrize("block", [1, 3, 4, 50])
def test_queries_that_see_nothing(rng, block):
    """With `causal` and more queries than keys, the first T - S queries see nothing, and get zeros."""
    why = "Their sum of exponentials is 0: it must not be divided by."
    holds(inputs(rng, 11, 6), causal=True, block=block, why=why)


def test_nothing_to_see(rng):
    """Without a key each query gets zeros; without a query nothing comes."""
    for causal in (False, True):
        holds(inputs(rng, 3, 0), causal=causal, block=2)
        holds(inputs(rng, 0, 3), causal=causal, block=2)


@pytest.mark.parametrize("lead", [(), (1,), (4, 2), (2, 1, 3)], ids=str)
def test_leading_dimensions(rng, lead):
    """There may be any number of leading dimensions, say B and H, or none."""
    holds(inputs(rng, 5, 7, lead=lead), block=3)
    holds(inputs(rng, 5, 7, lead=lead), causal=True, block=3)


def test_laid_out_in_any_way(rng):
    """Heads that were transposed, and keys that are expanded, are attended to like any others."""
    q, k, v = draw(rng, 2, 5, 3, 4).transpose(1, 2), draw(rng, 2, 1, 7, 4), draw(rng, 2, 6, 1, 7).permute(0, 2, 3, 1)
    holds((q, k.expand(2, 3, 7, 4), v.expand(2, 3, 7, 6)), block=3)


# -- large and small scores


def stepped(rng, scores, depth=5) -> Any:
    """q of two queries and k, v with these scores for the first, and these in the other order for the second."""
    scores = torch.tensor(scores, dtype=torch.float64)
    q = torch.tensor([[2.0, 0.0, 1.0, 0.0], [0.0, 2.0, 0.0, 1.0]], dtype=torch.float64)  # √D = 2
    k = torch.stack([scores, scores.flip(0), torch.zeros_like(scores), torch.zeros_like(scores)], -1)
    return q, k, draw(rng, len(scores), depth)


def test_scores_that_rise(rng):
    """Scores that rise from tile to tile: what came before them shrinks."""
    holds(stepped(rng, [0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 4.0]), block=1)


def test_huge_scores(rng):
    """Scores in the thousands overflow in no exponential."""
    why = "exp(710) is inf, in float64 too. Subtract the largest score so far before exp."
    holds(stepped(rng, [2000.0, 2001.0, 2000.5, 2001.5, 2000.25]), block=2, why=why)


def test_huge_scores_of_any_sign(rng):
    """Scores that jump by thousands from tile to tile, up and down, leave the largest ones."""
    why = "The maximum must never fall: where it does, what is summed up so far is multiplied by exp of thousands."
    holds(stepped(rng, [-3000.0, 3000.0, 3000.5, -2500.0, 2900.0, 3000.25, 10.0, -4000.0]), block=2, why=why)


def test_very_negative_scores(rng):
    """Where all scores are below -1000, the weights are what their differences say."""
    why = "The maximum starts below any score, not at 0: otherwise all exponentials are 0."
    holds(stepped(rng, [-2000.0, -2001.0, -2000.5, -2001.5, -2000.25]), block=2, why=why)


# -- number formats


@CAUSAL
def test_float32(rng, causal):
    """In float32 the result is exact up to rounding."""
    holds(inputs(rng, 33, 70, 8, dtype=torch.float32), causal=causal, block=16, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_formats(rng, dtype):
    """In half formats all is computed in float32, and rounded once."""
    qkv = inputs(rng, 33, 70, 8, dtype=dtype)
    got = flash.flash_attention(*qkv, block=16)
    check.equal(str(got.dtype), str(dtype), "the number format of the result")
    expected = plain(*qkv)
    check.equal(tuple(got.shape), tuple(expected.shape), "the shape of the result")
    share = (got == expected.to(dtype)).double().mean().item()
    why = "Where scores, weights or sums are rounded to the format of q, each tile adds an error of its own."
    claim = f"95 of 100 numbers are the exact result, rounded to {dtype}"
    check.true(share > 0.95, claim, got=f"{share:.0%} of them", why=why)


def test_scores_beyond_float16():
    """Scores above 65,504, the largest number of float16, are scores like others."""
    q = torch.tensor([[256.0, 0.0, 0.0, 256.0]], dtype=torch.float16)
    k = torch.tensor([[512.0, 9.0, 9.0, 512.0], [512.0, 3.0, 3.0, 512.0], [511.0, 2.0, 2.0, 500.0]]).half()
    v = torch.tensor([[1.0], [4.0], [700.0]], dtype=torch.float16)
    got = flash.flash_attention(q, k, v, block=2)
    why = "The first two scores are 131,072 both; in float16 that is inf, and inf - inf is nan."
    check.close(got, torch.tensor([[2.5]]), "the mean of the two values with the largest score", rtol=0.02, why=why)


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_gradients_in_each_format(rng, dtype):
    """Gradients come in the format of q, k and v, and are exact up to its rounding."""
    qkv, upstream = inputs(rng, 33, 50, 8, dtype=dtype), draw(rng, 2, 33, 5, dtype=dtype)
    for name, grad in zip("qkv", gradients(flash.flash_attention, qkv, upstream, block=16)):
        check.equal(str(getattr(grad, "dtype", None)), str(dtype), f"the number format of the gradient of {name}")
    step = {torch.float32: 2e-6, torch.bfloat16: 2e-2, torch.float16: 3e-3}[dtype]
    for causal in (False, True):
        holds_back(qkv, upstream, causal, rtol=step, atol=step, block=16)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_gradients_in_half_formats(rng, dtype):
    """In half formats gradients are computed and summed up in float32, and rounded once."""
    qkv, upstream = inputs(rng, 60, 70, 8, dtype=dtype), draw(rng, 2, 60, 5, dtype=dtype)
    expected = gradients(plain, [each.double() for each in qkv], upstream.double())
    why = "Where sums, or what is kept for the way back, are in the format of q, each tile adds an error of its own."
    for name, got, other in zip("qkv", gradients(flash.flash_attention, qkv, upstream, block=4), expected):
        check.equal(tuple(got.shape), tuple(other.shape), f"the shape of the gradient of {name}")
        share = (got == other.to(dtype)).double().mean().item()  # the result, too, may be kept rounded
        claim = f"70 of 100 numbers in the gradient of {name} are the exact ones, rounded to {dtype}"
        check.true(share > 0.7, claim, got=f"{share:.0%} of them", why=why)


# -- what comes backward


def test_gradients_of_one_tile(rng):
    """The gradients of q, k and v, where one tile holds all."""
    why = "With P the weights and dP the gradient that reaches them: P ∘ (dP - Σ_j P ∘ dP) is that of the scores."
    holds_back(inputs(rng, 4, 6), draw(rng, 2, 4, 5), block=8, why=why)


@pytest.mark.parametrize("block", [1, 4, 5])
def test_gradients_of_tiles(rng, block):
    """The gradients of q, k and v add up what all tiles give, for lengths that no block divides."""
    holds_back(inputs(rng, 9, 13), draw(rng, 2, 9, 5), block=block)


@pytest.mark.parametrize("queries, keys", [(10, 10), (4, 11)])
def test_gradients_with_causal(rng, queries, keys):
    """With `causal`, a gradient reaches the keys that a query sees, and no others."""
    for block in (1, 3, 50):
        holds_back(inputs(rng, queries, keys), draw(rng, 2, queries, 5), causal=True, block=block)


def test_gradients_of_queries_that_see_nothing(rng):
    """Queries that see nothing have gradients of zero, and spoil no other: all stay finite."""
    for block in (1, 3, 50):
        holds_back(inputs(rng, 11, 6), draw(rng, 2, 11, 5), causal=True, block=block)
    holds_back(inputs(rng, 3, 0), draw(rng, 2, 3, 5), block=2)


def test_gradients_with_huge_scores(rng):
    """With scores in the thousands, of either sign, the gradients are finite and right."""
    for scores in ([2000.0, 2001.0, 2000.5, -900.0, 2000.25], [-2000.0, -2001.0, -2000.5, -2900.0, -2000.25]):
        holds_back(stepped(rng, scores), draw(rng, 2, 5), block=2)


@pytest.mark.parametrize("lead", [(), (4, 2)], ids=str)
def test_gradients_with_leading_dimensions(rng, lead):
    """Each leading dimension has gradients of its own."""
    holds_back(inputs(rng, 5, 7, lead=lead), draw(rng, *lead, 5, 5), block=3)


def test_upstream_gradients_in_any_layout(rng):
    """The gradient that comes from above may be expanded or transposed."""
    qkv = inputs(rng, 6, 7)
    leaves = [each.clone().requires_grad_() for each in qkv]
    flash.flash_attention(*leaves, block=3).sum().backward()
    expected = gradients(plain, qkv, torch.ones(2, 6, 5))
    for name, leaf, other in zip("qkv", leaves, expected):
        check.close(leaf.grad, other, f"the gradient of {name}, of the sum of all", rtol=1e-8, atol=1e-8)
    upstream = draw(rng, 5, 6, 2)
    leaves = [each.clone().requires_grad_() for each in qkv]
    (flash.flash_attention(*leaves, block=3).permute(2, 1, 0) * upstream).sum().backward()
    expected = gradients(plain, qkv, upstream.permute(2, 1, 0))
    for name, leaf, other in zip("qkv", leaves, expected):
        check.close(leaf.grad, other, f"the gradient of {name}, through a transposition", rtol=1e-8, atol=1e-8)


def test_some_learn(rng):
    """Only q, only k, or only v may ask for a gradient."""
    qkv, upstream = inputs(rng, 5, 7), draw(rng, 2, 5, 5)
    expected = gradients(plain, qkv, upstream)
    for i, name in enumerate("qkv"):
        given = [each.clone().requires_grad_(i == j) for j, each in enumerate(qkv)]
        (flash.flash_attention(*given, block=3) * upstream).sum().backward()
        check.close(given[i].grad, expected[i], f"the gradient of {name}, which alone learns", rtol=1e-8, atol=1e-8)


def test_one_tensor_for_all(rng):
    """Where queries, keys and values are one tensor, its gradient is the sum of three."""
    x, upstream = draw(rng, 2, 7, 4), draw(rng, 2, 7, 4)
    leaf = x.clone().requires_grad_()
    (flash.flash_attention(leaf, leaf, leaf, causal=True, block=3) * upstream).sum().backward()
    expected = sum(gradients(plain, (x, x, x), upstream, True))
    check.close(leaf.grad, expected, "the gradient of x, which is q, k and v", rtol=1e-8, atol=1e-8)


def test_two_layers(rng):
    """Two calls, one on what the other gave, have gradients of their own; so has a second way back."""
    q, k, v = inputs(rng, 5, 7, 4, 4)

    def twice(attend, **options):
        leaves = [each.clone().requires_grad_() for each in (q, k, v)]
        one = attend(*leaves, **options)
        two = attend(one.to(q.dtype), leaves[1].flip(-2), 0.5 * leaves[2], **options)
        loss = (two * one).sum()
        loss.backward(retain_graph=True)
        loss.backward()
        return [leaf.grad for leaf in leaves]

    for name, got, expected in zip("qkv", twice(flash.flash_attention, block=3), twice(plain)):
        what = f"the gradient of {name}, through two calls and twice"
        check.close(got, expected, what, rtol=1e-8, atol=1e-8)


def test_without_gradients(rng):
    """Where nothing learns, or under no_grad, the result is not connected with anything."""
    q, k, v = inputs(rng, 5, 7)
    check.equal(flash.flash_attention(q, k, v).requires_grad, False, "whether the result asks for a gradient")
    with torch.no_grad():
        got = flash.flash_attention(q.requires_grad_(), k, v, block=3)
    check.equal(got.requires_grad, False, "whether the result asks for a gradient, under no_grad")
    check.close(got, plain(q, k, v).detach(), "the result under no_grad")


@pytest.mark.parametrize("device", DEVICES)
def test_on_any_device(rng, device):
    """What comes is on the device of q, forward and backward."""
    qkv = [each.to(device) for each in inputs(rng, 9, 13)]
    for causal in (False, True):
        got = flash.flash_attention(*qkv, causal=causal, block=4)
        check.equal(got.device.type, device, f"the device of the result, for q, k and v on {device!r}")
        check.close(got, plain(*qkv, causal=causal), f"q, k and v on {device!r}")
        holds_back(qkv, draw(rng, 2, 9, 5).to(device), causal, block=4)


# -- what is made on the way


class Watch(TorchFunctionMode):
    """Looks at each tensor that a torch function makes, on the way forward and on the way back."""

    def __init__(self):
        super().__init__()
        self.largest = 0  # the most elements that one storage had
        self.products = 0  # how many elements matrix products made
        self.numbers = 0  # how many elements all functions gave, as floating point numbers
        self.names = set()
        self.made = []  # weak references to all tensors
        self.saved = {}  # elements of what autograd keeps, by storage

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", str(func))
        self.names.add(name)
        for each in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(each, torch.Tensor):
                self.largest = max(self.largest, elements(each))
                self.made.append(weakref.ref(each))
                if each.is_floating_point() and name != "__get__":
                    self.numbers += each.numel()
                    if any(word in name for word in ("matmul", "mm", "einsum", "tensordot", "inner", "linear")):
                        self.products += each.numel()
        return result

    def forward(self, qkv, **kwargs):
        """Attend, and note what autograd is given to keep."""

        def keep(tensor):
            self.saved[tensor.untyped_storage().data_ptr()] = elements(tensor)
            return tensor

        leaves = [each.clone().requires_grad_() for each in qkv]
        with self, torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept):
            return flash.flash_attention(*leaves, **kwargs)

    def backward(self, output, upstream):
        """Go back. backward() would leave the mode for as long as it runs; what it calls does not."""
        check.true(output.requires_grad, "the result is connected with q, k and v, for training")
        engine = torch.autograd.Variable._execution_engine
        with self:
            engine.run_backward((output,), (upstream,), False, False, (), allow_unreachable=True, accumulate_grad=True)

    def kept(self, output):
        """How many elements are there still, of all that was made, and of what autograd keeps."""
        gc.collect()
        alive = [tensor for tensor in (reference() for reference in self.made) if tensor is not None]
        storages = {each.untyped_storage().data_ptr(): elements(each) for each in alive} | self.saved
        storages.pop(output.untyped_storage().data_ptr(), None)
        return sum(storages.values())


def elements(tensor):
    """How many elements the storage of a tensor has room for: views and expanded dimensions take none."""
    return tensor.untyped_storage().nbytes() // tensor.element_size()


T, S = 330, 390
WHOLE = "A tensor of 330 × 390 elements is what this attention is there to avoid."


def test_no_whole_matrix_forward(rng):
    """On the way forward no tensor of T × S elements is made."""
    watch = Watch()
    watch.forward(inputs(rng, T, S, lead=(), dtype=torch.float32), block=64)
    claim = f"for {T} queries and {S} keys no tensor has half of {T} × {S} = {T * S:,} elements"
    check.true(watch.largest < T * S / 2, claim, got=f"one of {watch.largest:,}", why=WHOLE)


def test_no_whole_matrix_backward(rng):
    """On the way back no tensor of T × S elements is made either."""
    output = Watch().forward(inputs(rng, T, S, lead=(), dtype=torch.float32), block=64)
    watch = Watch()
    watch.backward(output, draw(rng, T, 5, dtype=torch.float32))
    claim = f"for {T} queries and {S} keys no tensor has half of {T} × {S} = {T * S:,} elements, on the way back"
    check.true(watch.largest < T * S / 2, claim, got=f"one of {watch.largest:,}", why=WHOLE)


def test_nothing_whole_with_causal(rng):
    """With `causal` no tensor of T × S elements is made, not for the mask either."""
    watch = Watch()
    output = watch.forward(inputs(rng, T, S, lead=(), dtype=torch.float32), causal=True, block=64)
    watch.backward(output, draw(rng, T, 5, dtype=torch.float32))
    claim = f"causal, for {T} queries and {S} keys, no tensor has half of {T} × {S} = {T * S:,} elements"
    why = "A mask is as large as the scores: make that of a tile, for the tiles that need one."
    check.true(watch.largest < T * S / 2, claim, got=f"one of {watch.largest:,}", why=why)


@pytest.mark.parametrize("lead, queries, keys, block", [((), T, S, 48), ((3,), 130, 150, 8)])
def test_tile_by_tile(rng, lead, queries, keys, block):
    """No tensor is larger than a tile of block × block for each leading dimension, or than what was given."""
    qkv, heads = inputs(rng, queries, keys, 2, 1, lead=lead, dtype=torch.float32), math.prod(lead)
    watch = Watch()
    output = watch.forward(qkv, block=block)
    watch.backward(output, draw(rng, *lead, queries, 1, dtype=torch.float32))
    limit = 3 * heads * block * block + sum(each.numel() for each in qkv)
    claim = f"for {queries} queries, {keys} keys and blocks of {block} no tensor has more than {limit:,} elements"
    why = "Scores of a block of queries with all keys are more than a tile: take the keys in blocks as well."
    check.true(watch.largest <= limit, claim, got=f"one of {watch.largest:,}", why=why)


@CAUSAL
def test_no_matrix_is_kept(rng, causal):
    """Between the passes no scores or weights are kept, in pieces neither."""
    watch = Watch()
    output = watch.forward(inputs(rng, T, S, lead=(), dtype=torch.float32), causal=causal, block=32)
    check.true(output.requires_grad, "the result is connected with q, k and v, for training")
    kept = watch.kept(output)
    claim = f"for {T} queries and {S} keys less than a fifth of {T} × {S} = {T * S:,} elements is kept for the way back"
    why = "Keep q, k, v, the result and one number a query, and compute the weights again. torch keeps every tile that "
    why += "it has seen, where the way back is left to it."
    check.true(kept < T * S / 5, claim, got=f"{kept:,} elements", why=why)


def work(watch):
    """The elements that products made; of all functions, where there is no product."""
    return watch.products or watch.numbers


def test_hidden_tiles_are_skipped_forward(rng):
    """With `causal`, the tiles that are hidden wholly are not computed on the way forward."""
    watches = [Watch(), Watch()]
    for watch, causal in zip(watches, (False, True)):
        watch.forward(inputs(rng, 256, 256, lead=(), dtype=torch.float32), causal=causal, block=32)
    share = work(watches[1]) / work(watches[0])
    why = "With 8 × 8 tiles, 36 of 64 are at the diagonal or below it."
    check.true(share < 0.65, "causal, little more than half of the work is done", got=f"{share:.0%} of it", why=why)


def test_hidden_tiles_are_skipped_backward(rng):
    """With `causal`, the tiles that are hidden wholly are not computed on the way back."""
    watches = [Watch(), Watch()]
    for watch, causal in zip(watches, (False, True)):
        qkv = inputs(rng, 256, 256, lead=(), dtype=torch.float32)
        output = Watch().forward(qkv, causal=causal, block=32)
        watch.backward(output, draw(rng, 256, 5, dtype=torch.float32))
    if work(watches[0]):
        share = work(watches[1]) / work(watches[0])
        why = "With 8 × 8 tiles, 36 of 64 are at the diagonal or below it."
        claim = "causal, little more than half of the work is done on the way back"
        check.true(share < 0.65, claim, got=f"{share:.0%} of it", why=why)


def test_written_by_oneself(rng):
    """torch's own attention is not called."""
    watch = Watch()
    output = watch.forward(inputs(rng, 6, 7), block=3)
    watch.backward(output, draw(rng, 2, 6, 5))
    called = sorted(name for name in watch.names if "attention" in name)
    check.equal(called, [], "which of torch's attentions are called")


# -- what is refused


def test_refused(rng):
    """Other leading dimensions, formats that differ, and a block of less than 1 are errors that say so."""
    q, k, v = inputs(rng, 4, 6)
    holds((q, k, v), block=1)
    check.raises(ValueError, flash.flash_attention, q, k[:1], v, naming=["(2, 4, 3)", "(1, 6, 3)"])
    check.raises(ValueError, flash.flash_attention, q, k, v[:, :5], naming=["(2, 6, 3)", "(2, 5, 5)"])
    check.raises(TypeError, flash.flash_attention, q, k.float(), v.float(), naming=["float64", "float32"])
    for block in (0, -3):
        check.raises(ValueError, flash.flash_attention, q, k, v, block=block, naming=[block])
