"""4.5 · The transformer block: two sublayers beside a stream."""

import random
from typing import Any

import pytest
import torch

from bootcamp.grading import check, written

block_of = written("stage04_block.block")
config_of = written("stage04_block.config")
heads_of = written("stage03_attention.multihead")
caches = written("stage03_attention.cache")
rotary = written("stage02_embeddings.rotary")
bias_of = written("stage02_embeddings.bias")

B, T = 2, 5  # texts, tokens
H, G, D = 6, 3, 4  # query heads, key/value heads, the width of one
C, F = H * D, 14  # width of the stream, width inside
PLACEMENTS = ["pre", "post"]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

STREAM = "What is added to is the stream itself: x + attention(norm1(x)). The norm goes into the sublayer only."


def draw(rng, *shape, dtype=torch.float64) -> Any:
    """Random numbers from N(0, 1)."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=dtype)


def config(**options) -> Any:
    """A configuration of small sizes, no two of them equal."""
    sizes = {"vocab_size": 11, "context_length": 16, "d_model": C, "n_layers": 2, "n_heads": H, "n_kv_heads": G}
    return config_of.GPTConfig(**{**sizes, "d_ff": F, "position": "none", **options})


def fill(block, rng):
    """Fill all parameters of a block with random numbers, in an order that does not depend on how it is written."""
    p = block.attention.projections()
    names = ("query", "key", "value", "out", "query_bias", "key_bias", "value_bias", "out_bias")
    shapes = {name: getattr(p, name).shape for name in names if getattr(p, name) is not None}
    block.attention.load_projections(
        heads_of.Projections(**{name: draw(rng, *shape) * (0.5 ** (len(shape) - 1)) for name, shape in shapes.items()})
    )
    layers = block.feed_forward
    for module in (block.norm1, block.norm2, layers.up, layers.gate, layers.down):
        randomise(module, rng)


def randomise(module, rng):
    """Fill the weight and the bias of a layer, if they are there."""
    with torch.no_grad():
        for each in (getattr(module, "weight", None), getattr(module, "bias", None)):
            if each is not None:
                each.copy_(draw(rng, *each.shape) * (0.5 ** (each.dim() - 1)))


def made(rng, position=None, **options) -> Any:
    """A block in float64, in eval, all of whose parameters are random, gains and biases too."""
    block = block_of.TransformerBlock(config(**options), position).double().eval()
    fill(block, rng)
    return block


def silence(attention):
    """Let an attention give zeros, whatever it reads."""
    p = attention.projections()
    nothing = [torch.zeros_like(each) for each in (p.query, p.key, p.value, p.out)]
    attention.load_projections(heads_of.Projections(*nothing))


def constant(attention, number):
    """Let an attention give this number in all places."""
    p = attention.projections()
    zeros = {name: torch.zeros_like(getattr(p, name)) for name in ("query", "key", "value", "out")}
    biases = {f"{name}_bias": torch.zeros_like(getattr(p, f"{name}_bias")) for name in ("query", "key", "value")}
    out_bias = torch.full_like(p.out_bias, number)
    attention.load_projections(heads_of.Projections(**zeros, **biases, out_bias=out_bias))


def end_of(feed_forward, number=0.0):
    """Let a feed-forward layer give this number in all places."""
    with torch.no_grad():
        feed_forward.down.weight.zero_()
        if feed_forward.down.bias is not None:
            feed_forward.down.bias.fill_(number)


def formula(block, placement, x, **options):
    """The two lines of the docstring, from the block's own parts: what comes out, and the weights."""
    if placement == "pre":
        found, weights = block.attention(block.norm1(x), **options, return_weights=True)
        x = x + found
        return x + block.feed_forward(block.norm2(x)), weights
    found, weights = block.attention(x, **options, return_weights=True)
    x = block.norm1(x + found)
    return block.norm2(x + block.feed_forward(x)), weights


def output(block, *args, **kwargs):
    """What comes from a call, held to be one tensor, after a look that the arguments are left alone."""
    got = check.unchanged(block, *args, **kwargs)
    check.true(isinstance(got, torch.Tensor), "without return_weights, one tensor comes back", got=got)
    return got


def both(block, *args, **kwargs):
    """The stream and the weights, held to be two tensors."""
    got = check.unchanged(block, *args, **kwargs, return_weights=True)
    pair = isinstance(got, (tuple, list)) and len(got) == 2 and all(isinstance(each, torch.Tensor) for each in got)
    check.true(pair, "with return_weights, the stream and the weights come back", got=got)
    return got


def scheme(name, rng) -> Any:
    """One of the relative positions of stage 02; numbers of T5's table large enough to be seen."""
    if name == "rope":
        return rotary.RotaryEmbedding(D)
    if name == "alibi":
        return bias_of.AlibiBias(H)
    t5 = bias_of.T5RelativeBias(H, bidirectional=False)
    with torch.no_grad():
        t5.weight.copy_(draw(rng, *t5.weight.shape))
    return t5


# -- the two lines


def by_hand(placement) -> Any:
    """A block of width 2 whose attention gives each single token back, and whose layer gives 10 · max(x, 0)."""
    sizes = config(d_model=2, n_heads=1, n_kv_heads=None, d_ff=3, activation="relu", placement=placement)
    block = block_of.TransformerBlock(sizes).double().eval()
    eye, zero = torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    block.attention.load_projections(heads_of.Projections(eye, eye, eye, eye, zero, zero, zero, zero))
    with torch.no_grad():
        layer = block.feed_forward
        layer.up.weight.copy_(torch.eye(3, 2))
        layer.down.weight.copy_(10 * torch.eye(2, 3))
        layer.up.bias.zero_()
        layer.down.bias.zero_()
        for norm, gain, shift in ((block.norm1, 1.0, 0.0), (block.norm2, 2.0, 0.0)):
            norm.weight.fill_(gain)
            norm.bias.fill_(shift)
    return block


def test_pre_by_hand():
    """ "pre": the norm goes into the sublayer, and what that gives is added to the stream as it was."""
    block = by_hand("pre")
    x = torch.tensor([[[3.0, 1.0]]], dtype=torch.float64)
    why = (
        "norm1 makes (3, 1) to (1, -1), which attention gives back: the stream is (4, 0). norm2, with a gain of 2, "
        "makes (2, -2) of it, the layer (20, 0): the stream is (24, 0)."
    )
    check.close(
        output(block, x), [[[24.0, 0.0]]], "the stream behind the block for x = (3, 1)", rtol=1e-3, atol=1e-3, why=why
    )


def test_post_by_hand():
    """ "post": the sublayer reads the stream as it is, and the sum goes through the norm."""
    block = by_hand("post")
    x = torch.tensor([[[3.0, 1.0]]], dtype=torch.float64)
    why = (
        "Attention gives (3, 1) back: norm1 makes the sum (6, 2) to (1, -1). The layer makes (10, 0) of it, and norm2, "
        "with a gain of 2, makes the sum (11, -1) to (2, -2)."
    )
    check.close(
        output(block, x), [[[2.0, -2.0]]], "the stream behind the block for x = (3, 1)", rtol=1e-3, atol=1e-3, why=why
    )


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_zeroed_sublayers_change_nothing(rng, norm):
    """With "pre", sublayers that give zeros leave the stream as it is."""
    block = made(rng, norm=norm)
    x = draw(rng, B, T, C)
    silence(block.attention)
    end_of(block.feed_forward)
    check.close(output(block, x), x, "the stream behind a block whose sublayers give zeros", why=STREAM)


def test_each_sublayer_alone(rng):
    """With "pre", each sublayer adds to the stream what it makes of its own norm."""
    x = draw(rng, B, T, C)
    block = made(rng)
    end_of(block.feed_forward)
    expected = x + block.attention(block.norm1(x))
    check.close(output(block, x), expected, "x + attention(norm1(x)), with a feed-forward layer of zeros", why=STREAM)
    block = made(rng)
    silence(block.attention)
    expected = x + block.feed_forward(block.norm2(x))
    check.close(output(block, x), expected, "x + feed_forward(norm2(x)), with an attention of zeros", why=STREAM)


@pytest.mark.parametrize("activation", ["gelu", "swiglu"])
@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_formula(rng, placement, norm, activation):
    """What comes is what the two lines say, with the block's own norms, attention and feed-forward layer."""
    block = made(rng, placement=placement, norm=norm, activation=activation)
    x = draw(rng, B, T, C)
    expected, _ = formula(block, placement, x)
    check.close(output(block, x), expected, f'the stream behind a block with "{placement}" and norm={norm!r}')


def test_post_ends_in_a_norm(rng):
    """With "post", each token's vector comes out of norm2: without its gain and shift, of mean 0 and variance 1."""
    block = made(rng, placement="post")
    got = output(block, 5.0 * draw(rng, B, T, C))
    unit = (got - block.norm2.bias) / block.norm2.weight
    check.close(unit.mean(-1), torch.zeros(B, T), "the means, without gain and shift", atol=1e-6)
    check.close(unit.square().mean(-1), torch.ones(B, T), "the mean squares, without gain and shift", rtol=1e-3)


# -- the parts


def test_two_norms(rng):
    """There are two norms, each with a gain of its own."""
    block = made(rng)
    with torch.no_grad():
        block.norm1.weight.fill_(2.0)
        block.norm2.weight.fill_(3.0)
    got = [float(norm.weight[0].detach()) for norm in (block.norm1, block.norm2)]
    check.equal(got, [2.0, 3.0], "the gains after norm1's was set to 2 and norm2's to 3", why="They are two modules.")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"norm": "rms"},
        {"norm": "rms", "bias": False, "activation": "swiglu"},
        {"n_kv_heads": 1},
        {"n_kv_heads": None, "d_ff": None},
        {"d_ff": None, "activation": "swiglu"},
        {"placement": "post"},
    ],
    ids=str,
)
def test_what_is_learned(options):
    """Two norms, four projections, and two or three layers are learned; with biases or without, as is asked for."""
    block = block_of.TransformerBlock(config(**options))
    groups = options.get("n_kv_heads", G) or H
    swiglu = options.get("activation") == "swiglu"
    inside = options.get("d_ff", F) or (64 if swiglu else 96)
    bias = options.get("bias", True)
    norm = C if options.get("norm") == "rms" or not bias else 2 * C
    rows = [C, groups * D, groups * D, C]
    attention = sum(count * C + bias * count for count in rows)
    feed_forward = (1 + swiglu) * (inside * C + bias * inside) + C * inside + bias * C
    got = sum(each.numel() for each in block.parameters() if each.requires_grad)
    what = f"how many numbers are learned with d_model={C}, n_heads={H} and {options or 'nothing else'}"
    check.equal(got, 2 * norm + attention + feed_forward, what)


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "silu", "swiglu"])
def test_the_activation_that_is_asked_for(rng, activation):
    """The feed-forward layer has the configuration's activation."""
    block = made(rng, activation=activation)
    layer, x = block.feed_forward, draw(rng, T, C)
    theirs = torch.nn.functional
    bend = {
        "relu": theirs.relu,
        "gelu": theirs.gelu,
        "gelu_tanh": lambda each: theirs.gelu(each, approximate="tanh"),
        "silu": theirs.silu,
        "swiglu": lambda each: theirs.silu(layer.gate(x)) * each,
    }[activation]
    check.close(layer(x), layer.down(bend(layer.up(x))), f"what the feed-forward layer gives, with {activation!r}")


def test_the_eps_that_is_asked_for(rng):
    """Both norms have the configuration's norm_eps."""
    block = made(rng, norm_eps=0.25)
    x = draw(rng, B, T, C)
    for name, norm in (("norm1", block.norm1), ("norm2", block.norm2)):
        centred = x - x.mean(-1, keepdim=True)
        expected = centred / (centred.square().mean(-1, keepdim=True) + 0.25).sqrt() * norm.weight + norm.bias
        check.close(norm(x), expected, f"what {name} gives with norm_eps=0.25")


@pytest.mark.parametrize("name", ["rope", "alibi", "t5"])
def test_blocks_may_share_a_position(rng, name):
    """The position that is given is the one that attention uses, not a copy."""
    position = scheme(name, rng)
    for _ in range(2):
        block = block_of.TransformerBlock(config(), position)
        used = block.attention.rotary if name == "rope" else block.attention.distance_bias
        check.true(used is position, f"attention uses the position that was given, {name!r}", got=used)


def test_without_a_position(rng):
    """Without a position, attention uses none."""
    block = made(rng)
    check.true(block.attention.rotary is None, "there is no rotary position", got=block.attention.rotary)
    check.true(block.attention.distance_bias is None, "there is no bias", got=block.attention.distance_bias)


# -- what attention takes


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_nothing_comes_from_later(rng, placement):
    """Another last token changes the last place only; and the last place sees the first token."""
    block = made(rng, placement=placement)
    x = draw(rng, B, T, C)
    other = x.clone()
    other[:, -1] = draw(rng, B, C)
    before, after = output(block, x), output(block, other)
    check.close(after[:, :-1], before[:, :-1], "all places but the last, after the last token changed", atol=1e-9)
    x = x.requires_grad_()
    (block(x)[:, -1] * draw(rng, B, C)).sum().backward()
    check.true(x.grad is not None, "x gets a gradient")
    seen = x.grad.abs().sum(-1) > 1e-9
    check.true(bool(seen.all()), "the last place depends on each token", got=seen.tolist())


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_mask(rng, placement):
    """A mask is handed on to attention."""
    block = made(rng, placement=placement)
    x = draw(rng, B, T, C)
    for shape in [(T,), (T, T), (B, 1, 1, T), (B, H, T, T)]:
        mask = draw(rng, *shape) > 0.0
        mask[..., 0] = True
        mask[..., 2] = False
        expected, _ = formula(block, placement, x, mask=mask)
        check.close(output(block, x, mask=mask), expected, f"the stream with a mask {shape}")


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_positions(rng, placement):
    """Positions are handed on to attention, (T,) for all texts or (B, T) for each its own."""
    block = made(rng, scheme("rope", rng), placement=placement)
    x = draw(rng, B, T, C)
    for at in ([4, 5, 8, 9, 30], [[0, 0, 0, 1, 2], [3, 7, 8, 20, 21]]):
        where = torch.tensor(at)
        expected, _ = formula(block, placement, x, positions=where)
        check.close(output(block, x, positions=where), expected, f"the stream with positions={at}")


@pytest.mark.parametrize("name", ["alibi", "t5"])
def test_a_relative_bias(rng, name):
    """A relative bias works in attention: the order of the tokens counts."""
    block = made(rng, scheme(name, rng))
    x = draw(rng, 1, T, C)
    swapped = x[:, [1, 0, 2, 3, 4]]
    differs = bool(((output(block, x) - output(block, swapped))[:, -1].abs() > 1e-3).any())
    check.true(differs, f"another order of the first two tokens changes what comes for the last, with {name!r}")


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("name", ["rope", "alibi", "t5", "none"])
def test_a_cache(rng, name, placement):
    """Read piece by piece with a cache, the tokens give what they give all at once."""
    block = made(rng, None if name == "none" else scheme(name, rng), placement=placement)
    x = draw(rng, B, T, C)
    whole, cache, place = output(block, x), caches.KVCache(), 0
    for count in (2, 1, 2):
        piece = slice(place, place + count)
        place += count
        got = block(x[:, piece], cache=cache)
        check.equal(cache.length, place, f"the length of the cache after {place} tokens", why="Each is read once.")
        check.close(got, whole[:, piece], f"tokens {piece.start} to {place - 1}, with a cache, position {name!r}")


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_weights(rng, placement):
    """With return_weights, the weights of attention (B, H, T, S) come too, and the stream is the same."""
    block = made(rng, placement=placement)
    x = draw(rng, B, T, C)
    expected, weights = formula(block, placement, x)
    got = both(block, x)
    check.close(got[1], weights, "the weights")
    check.close(got[0], expected, "the stream that comes with the weights")
    cache = caches.KVCache()
    block(x[:, :3], cache=cache)
    got = block(x[:, 3:], cache=cache, return_weights=True)
    check.equal(tuple(got[1].shape), (B, H, 2, T), "the shape of the weights of two tokens behind three in a cache")
    check.close(got[1], weights[:, :, 3:], "the weights of two tokens behind three in a cache")


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_x_stays_as_it_is(rng, placement):
    """x is not changed, in training either."""
    block = made(rng, placement=placement, dropout=0.25).train()
    x = draw(rng, B, T, C)
    before = x.clone()
    got = output(block, x)
    check.equal(tuple(got.shape), (B, T, C), "the shape of what comes")
    check.true(bool((x == before).all()), "x is what it was")


# -- dropout


def found(numbers):
    """The different numbers that are there, if they are few."""
    different = sorted({round(number, 3) for number in numbers.detach().flatten().tolist()})
    return different if len(different) < 6 else "many different numbers"


def loud(rng, which) -> Any:
    """A block in training with a dropout of 1/2, one of whose sublayers gives 1 in all places, the other 0."""
    block = made(rng, dropout=0.5).train()
    constant(block.attention, 1.0 if which == "attention" else 0.0)
    end_of(block.feed_forward, 1.0 if which == "feed_forward" else 0.0)
    return block


@pytest.mark.parametrize("which", ["attention", "feed_forward"])
def test_dropout_behind_each_sublayer(rng, which):
    """In training, numbers of what a sublayer gives are zeroed, before they are added to the stream, and once."""
    block = loud(rng, which)
    got = block(torch.full((8, 10, C), 7.0, dtype=torch.float64))
    why = (
        f"{which} gives 1 everywhere. With dropout=0.5, half of that is zeroed and half is doubled: 7 + 0 or 7 + 2. "
        "The stream itself is not dropped."
    )
    check.equal(found(got), [7.0, 9.0], f"the different numbers behind a stream of 7 and {which} of 1", why=why)
    share = float((got == 7.0).double().mean())
    check.true(abs(share - 0.5) < 0.06, f"half of what {which} gives is zeroed", got=f"{share:.3f}")


def test_dropout_in_post(rng):
    """With "post", dropout comes before the sum too, and not behind the norm."""
    block = made(rng, dropout=0.5, placement="post").train()
    constant(block.attention, 1.0)
    end_of(block.feed_forward, 1.0)
    with torch.no_grad():
        for norm in (block.norm1, block.norm2):
            norm.weight.fill_(1.0)
            norm.bias.fill_(0.0)
    got = block(torch.full((8, 10, C), 7.0, dtype=torch.float64))
    off = float((got.square().mean(-1) - 1).abs().max())
    why = "norm2 comes last, so the mean square of each token's vector is 1."
    check.true(off < 1e-2, "what comes is normed, and not dropped behind that", got=f"{1 + off:.4g}", why=why)
    check.true(float(got.std()) > 0.5, "half of what a sublayer gives is zeroed, so that not all numbers are the same")


def test_dropout_of_the_weights(rng):
    """In training, weights of attention are zeroed too."""
    block = made(rng, dropout=0.5, n_kv_heads=None).train()
    eye, zero = torch.eye(C, dtype=torch.float64), torch.zeros(C, dtype=torch.float64)
    none = torch.zeros(C, C, dtype=torch.float64)
    block.attention.load_projections(heads_of.Projections(none, none, none, eye, zero, zero, zero + 1.0, zero))
    end_of(block.feed_forward)
    got = block(torch.full((500, 1, C), 7.0, dtype=torch.float64)) - 7.0  # one token each: its weight is 1
    share = float((got == 0.0).double().mean())
    why = "Half of the heads lose their only weight; of what the others give, dropout takes half again: 3/4 are zero."
    check.true(abs(share - 0.75) < 0.05, "of attention's numbers for single tokens, 3/4 are zeroed", got=share, why=why)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_no_dropout_in_eval(rng, placement):
    """After eval(), nothing is dropped; without dropout, training is the same as eval."""
    x = draw(rng, B, T, C)
    block = made(rng, dropout=0.75, placement=placement)
    expected, _ = formula(block, placement, x)
    check.close(output(block, x), expected, "the stream after eval()")
    check.close(output(block, x), expected, "the same, once more")
    block = made(rng, dropout=0.0, placement=placement).train()
    expected, _ = formula(block, placement, x)
    check.close(output(block, x), expected, "the stream in training with dropout=0")


# -- gradients and formats


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_gradients(rng, placement):
    """The gradient comes back to x and to each parameter."""
    block = made(rng, scheme("rope", rng), placement=placement)
    x, upstream = draw(rng, B, T, C).requires_grad_(), draw(rng, B, T, C)
    (formula(block, placement, x)[0] * upstream).sum().backward()
    expected, x.grad = x.grad, None
    wanted = {name: each.grad for name, each in block.named_parameters()}
    for each in block.parameters():
        each.grad = None
    (block(x) * upstream).sum().backward()
    check.true(x.grad is not None, "x gets a gradient")
    check.close(x.grad, expected, "the gradient of x")
    for name, each in block.named_parameters():
        check.true(each.grad is not None, f"{name} gets a gradient")
        check.close(each.grad, wanted[name], f"the gradient of {name}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_number_formats(rng, dtype):
    """A block in another number format takes and gives that format."""
    for placement in PLACEMENTS:
        block = made(rng, scheme("rope", rng), placement=placement).to(dtype)
        x = draw(rng, B, T, C).to(dtype)
        got = output(block, x)
        check.equal(str(got.dtype), str(dtype), "the format of what comes")
        expected, _ = formula(block.double(), placement, x.double())
        rtol, atol = (0.1, 0.5) if dtype == torch.bfloat16 else (1e-3, 1e-3)
        check.close(got, expected, f"the stream in {dtype}", rtol=rtol, atol=atol)


@pytest.mark.parametrize("length", [0, 1])
def test_few_tokens(rng, length):
    """One token, or none, goes through like any other number."""
    for placement in PLACEMENTS:
        block = made(rng, placement=placement)
        x = draw(rng, B, length, C)
        check.close(output(block, x), formula(block, placement, x)[0], f"the stream of {length} tokens")


def test_on_any_device():
    """On the device of its parameters, the block makes what it needs there."""
    rng = random.Random(0)
    for device in DEVICES:
        block = made(rng, scheme("rope", rng), dropout=0.5)
        x = draw(rng, B, T, C)
        expected, _ = formula(block, "pre", x)
        got = output(block.to(device), x.to(device))
        check.equal(got.device.type, device, "the device of what comes")
        check.close(got, expected, f"the stream on {device!r}")
        check.equal(block.train()(x.to(device)).device.type, device, "the device of what comes in training")
