"""4.6 · GPT: an embedding, a stack of blocks, an output; how many numbers that is, and how much work."""

import math
import random
from typing import Any

import pytest
import torch

from bootcamp.grading import check, written

gpt = written("stage04_block.gpt")
counts = written("stage04_block.counts")
config_of = written("stage04_block.config")
heads_of = written("stage03_attention.multihead")

B, T = 2, 5  # texts, tokens
V, N = 23, 9  # tokens that there are, tokens that are read at most
H, G, D, L = 4, 2, 6, 3  # query heads, key/value heads, the width of one, layers
C, F = H * D, 14  # width of the stream, width inside
SCHEMES = ["none", "sinusoidal", "learned", "rope", "alibi", "t5"]
AT_INPUT = ("sinusoidal", "learned")
PLACEMENTS = ["pre", "post"]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def draw(rng, *shape, dtype=torch.float64) -> Any:
    """Random numbers from N(0, 1)."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=dtype)


def tokens(rng, *shape):
    """Random ids."""
    return torch.tensor([rng.randrange(V) for _ in range(math.prod(shape))], dtype=torch.long).reshape(shape)


def config(**options) -> Any:
    """A configuration of small sizes, no two of them equal."""
    sizes = {"vocab_size": V, "context_length": N, "d_model": C, "n_layers": L, "n_heads": H, "n_kv_heads": G}
    return config_of.GPTConfig(**{**sizes, "d_ff": F, **options})


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


def made(rng, **options) -> Any:
    """A model in float64, in eval, all of whose parameters are random, gains and biases too."""
    model = gpt.GPT(config(**options)).double().eval()
    randomise(model.embed.token, rng)
    randomise(model.embed.position, rng)
    for block in model.blocks:
        fill(block, rng)
        randomise(block.attention.distance_bias, rng)
    randomise(model.norm, rng)
    if not model.config.tie_weights:
        randomise(model.head, rng)
    return model


def seeded(rng) -> Any:
    """A generator with a seed of this test's."""
    return torch.Generator().manual_seed(rng.randrange(1 << 32))


def silence(block):
    """Let both sublayers of a block give zeros."""
    p = block.attention.projections()
    nothing = [torch.zeros_like(each) for each in (p.query, p.key, p.value, p.out)]
    block.attention.load_projections(heads_of.Projections(*nothing))
    with torch.no_grad():
        for each in (block.feed_forward.down.weight, block.feed_forward.down.bias):
            if each is not None:
                each.zero_()


def formula(model, ids, positions=None, mask=None):
    """The line of the docstring, from the model's own parts: the logits, and the weights of each block."""
    where = torch.arange(ids.shape[1]) if positions is None else positions
    x, weights = model.embed(ids, where), []
    for block in model.blocks:
        x, seen = block(x, mask=mask, positions=where, return_weights=True)
        weights.append(seen)
    if model.config.placement == "pre":
        x = model.norm(x)
    return x @ model.head.weight.T, weights


def logits(model, *args, **kwargs):
    """What comes from a call, held to be one tensor, after a look that the arguments are left alone."""
    got = check.unchanged(model, *args, **kwargs)
    check.true(isinstance(got, torch.Tensor), "without return_weights, one tensor comes back", got=got)
    return got


def both(model, *args, **kwargs):
    """The logits and the weights, held to be a tensor and a list of tensors, one for each block."""
    got = model(*args, **kwargs, return_weights=True)
    pair = isinstance(got, (tuple, list)) and len(got) == 2 and isinstance(got[0], torch.Tensor)
    check.true(pair, "with return_weights, the logits and the weights come back", got=got)
    many = isinstance(got[1], (tuple, list)) and len(got[1]) == model.config.n_layers
    check.true(many, "the weights are a list of one tensor for each block", got=got[1])
    return got


# -- the line


def test_by_hand():
    """A model whose blocks add nothing: the vectors of token and position, their norm, a score for each token."""
    sizes = config(vocab_size=3, context_length=4, d_model=2, n_layers=1, n_heads=1, n_kv_heads=None)
    model = gpt.GPT(sizes).double().eval()
    silence(model.blocks[0])
    with torch.no_grad():
        model.embed.token.weight.copy_(torch.tensor([[4.0, 1.0], [2.0, 5.0], [0.0, 3.0]]))
        model.embed.position.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))
    why = (
        "Token 0 at position 0 is (4, 1) + (1, 0) = (5, 1), which the norm makes (1, -1); token 1 at position 1 is "
        "(2, 5), and becomes (-1, 1). The output is tied: the score of a token is its row of the table times that."
    )
    expected = [[[3.0, -3.0, -3.0], [-3.0, 3.0, 3.0]]]
    check.close(logits(model, torch.tensor([[0, 1]])), expected, "the logits for [[0, 1]]", atol=1e-3, why=why)


@pytest.mark.parametrize("placement, norm", [("pre", "layer"), ("pre", "rms"), ("post", "layer")])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_formula(rng, scheme, placement, norm):
    """The logits are head(norm(x)), where x is what the embedding gives, passed through all blocks in turn."""
    model = made(rng, position=scheme, placement=placement, norm=norm, tie_weights=norm == "rms")
    ids = tokens(rng, B, T)
    what = f'the logits with position={scheme!r}, "{placement}" and norm={norm!r}'
    check.close(logits(model, ids), formula(model, ids)[0].detach(), what)


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_the_norm_before_the_output(rng, norm):
    """With "pre", what the output reads has been normed as a whole, by a norm of its own."""
    model = made(rng, norm=norm, tie_weights=False, vocab_size=C + 1)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.weight[:C].copy_(torch.eye(C))  # so that what the output reads comes out
    read = logits(model, tokens(rng, B, T))[..., :C]
    shift = model.norm.bias if norm == "layer" else 0.0
    unit = (read - shift) / model.norm.weight
    if norm == "layer":
        check.close(unit.mean(-1), torch.zeros(B, T), "the means of what the output reads", atol=1e-6)
    check.close(unit.square().mean(-1), torch.ones(B, T), "the mean squares of what the output reads", rtol=1e-3)


def test_no_norm_behind_post(rng):
    """With "post", there is no norm before the output, since each block ends in one."""
    model = made(rng, placement="post")
    check.true(model.norm is None, 'norm is None with placement "post"', got=model.norm)
    check.equal(tuple(logits(model, tokens(rng, B, T)).shape), (B, T, V), "the shape of the logits")


# -- the parts


@pytest.mark.parametrize("layers", [1, 3, 4])
def test_as_many_blocks_as_layers(layers):
    """There are L blocks, each with parameters of its own."""
    model = gpt.GPT(config(n_layers=layers))
    check.true(isinstance(model.blocks, torch.nn.ModuleList), "blocks are a ModuleList", got=type(model.blocks))
    check.equal(len(model.blocks), layers, f"how many blocks there are with n_layers={layers}")
    why = "A list that holds one block L times has the parameters of one."
    check.equal(len({id(each) for each in model.blocks}), layers, "how many of them are different modules", why=why)
    whole = sum(each.numel() for each in model.blocks.parameters())
    one = sum(each.numel() for each in model.blocks[0].parameters())
    check.equal(whole, layers * one, "how many parameters all blocks have", why=why)


def test_the_configuration_reaches_the_blocks(rng):
    """The blocks are what the configuration asks for."""
    ids = tokens(rng, B, T)
    for options in ({"placement": "post"}, {"activation": "swiglu"}, {"norm": "rms"}, {"bias": False}):
        model = made(rng, **options)
        expected = sum(each.numel() for each in made(rng).blocks.parameters())
        per_block = {
            "placement": 0,
            "activation": F * C + F,
            "norm": -2 * C,
            "bias": -(2 * C + 2 * G * D + C + F + C + C),
        }[next(iter(options))]
        got = sum(each.numel() for each in model.blocks.parameters())
        check.equal(got, expected + L * per_block, f"how many parameters the blocks have with {options}")
        check.equal(tuple(logits(model, ids).shape), (B, T, V), f"the shape of the logits with {options}")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_where_positions_come_in(rng, scheme):
    """ "sinusoidal" and "learned" are the embedding's; "rope", "alibi" and "t5" attention's, one for all blocks."""
    model = made(rng, position=scheme)
    there = model.embed.position is not None
    check.equal(there, scheme in AT_INPUT, f"whether the embedding has a position, with {scheme!r}")
    used = [block.attention.rotary or block.attention.distance_bias for block in model.blocks]
    names = [type(each).__name__ if each is not None else "none" for each in used]
    kind = {"rope": "RotaryEmbedding", "alibi": "AlibiBias", "t5": "T5RelativeBias"}.get(scheme, "none")
    check.equal(names, [kind] * L, f"the positions that the blocks use, with {scheme!r}")
    check.equal(len({id(each) for each in used}), 1, "how many different ones the blocks use", why="They share one.")
    check.equal(tuple(logits(model, tokens(rng, B, T)).shape), (B, T, V), "the shape of the logits")


@pytest.mark.parametrize("scheme", SCHEMES[1:])
def test_positions_count(rng, scheme):
    """Where a token stands matters, with each scheme."""
    model = made(rng, position=scheme, n_layers=1)
    ids = torch.tensor([[3, 8, 1, 20, 5]])
    other = ids[:, [2, 0, 1, 3, 4]]
    change = (logits(model, ids) - logits(model, other))[:, -1].abs().max()
    why = f"The first three tokens stand in another order, which {scheme!r} has to tell."
    check.true(float(change) > 1e-4, "the last logits change with the order of the tokens before", why=why)


def test_no_positions(rng):
    """With "none", one layer sees which tokens come before, and not in which order."""
    model = made(rng, position="none", n_layers=1)
    ids = torch.tensor([[3, 8, 1, 20, 5]])
    expected = logits(model, ids)[:, -1]
    got = logits(model, ids[:, [2, 0, 1, 3, 4]])[:, -1]
    check.close(got, expected, "the last logits, with the first three tokens in another order")


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_nothing_comes_from_later(rng, placement):
    """Another last token changes the last logits only; and the last logits depend on the first token."""
    model = made(rng, placement=placement, tie_weights=False)
    ids = torch.tensor([[3, 8, 1, 20, 5], [0, 4, 7, 2, 9]])
    other = ids.clone()
    other[:, -1] = torch.tensor([6, 11])
    before, after = logits(model, ids), logits(model, other)
    check.close(after[:, :-1], before[:, :-1], "all logits but the last, after the last token changed", atol=1e-9)
    (model(ids)[:, -1] * draw(rng, B, V)).sum().backward()
    table = model.embed.token.weight.grad
    check.true(table is not None, "the table of the tokens gets a gradient")
    seen = (table.abs().sum(-1) > 1e-9)[ids]
    check.true(bool(seen.all()), "the last logits depend on each token", got=seen.tolist())


# -- tied or not


def test_tied(rng):
    """With tie_weights, the head's weight and the table of the tokens are one parameter, and stay so in training."""
    model = made(rng, tie_weights=True)
    why = "A copy has the same numbers until the first step, and others after it."
    same = model.head.weight is model.embed.token.weight
    check.true(same, "head.weight is embed.token.weight", why=why)
    ids = tokens(rng, B, T)
    (logits(model, ids) * draw(rng, B, T, V)).sum().backward()
    with torch.no_grad():
        for each in model.parameters():
            each -= 0.1 * each.grad
    check.close(model.head.weight, model.embed.token.weight, "the head's weight after a step", rtol=0, atol=0, why=why)
    check.close(logits(model, ids), formula(model, ids)[0].detach(), "the logits after a step")


def test_not_tied(rng):
    """Without tie_weights, the head has weights of its own."""
    model = made(rng, tie_weights=False)
    apart = model.head.weight is not model.embed.token.weight
    check.true(apart, "head.weight is not embed.token.weight")
    with torch.no_grad():
        model.embed.token.weight.fill_(2.0)
        model.head.weight.fill_(3.0)
    got = [float(each.weight[0, 0].detach()) for each in (model.embed.token, model.head)]
    check.equal(got, [2.0, 3.0], "numbers of the table and of the head after they were set to 2 and 3")


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "not tied"])
def test_the_output_has_no_bias(tied):
    """The head is a linear layer from C to V without a bias."""
    head = gpt.GPT(config(tie_weights=tied)).head
    check.true(isinstance(head, torch.nn.Linear), "head is a torch.nn.Linear", got=type(head).__name__)
    check.equal(tuple(head.weight.shape), (V, C), "the shape of its weights")
    check.true(head.bias is None, "it has no bias", got=head.bias)


# -- how it starts


def drawn_widely(rng, **options) -> Any:
    """A model as it is made, wide enough that standard deviations can be told from its numbers."""
    sizes = {"d_model": 48, "n_heads": 3, "n_kv_heads": None, "d_ff": 80, "vocab_size": 90, "context_length": 32}
    return gpt.GPT(config(**{**sizes, **options}), seeded(rng))


def matrices(model):
    """Its matrices and tables by their names: those that are all alike, and those that write into the stream."""
    alike = {"embed.token.weight": model.embed.token.weight}
    if model.config.position == "learned":
        alike["embed.position.weight"] = model.embed.position.weight
    if not model.config.tie_weights:
        alike["head.weight"] = model.head.weight
    last = {}
    for i, block in enumerate(model.blocks):
        p, layers = block.attention.projections(), block.feed_forward
        for name in ("query", "key", "value"):
            alike[f"{name} of block {i}"] = getattr(p, name)
        alike[f"feed_forward.up of block {i}"] = layers.up.weight
        if layers.gate is not None:
            alike[f"feed_forward.gate of block {i}"] = layers.gate.weight
        last[f"out of block {i}"] = p.out
        last[f"feed_forward.down of block {i}"] = layers.down.weight
    return alike, last


def holds_std(weight, std, what, why=""):
    """Hold numbers to the standard deviation that they should be drawn with."""
    numbers = weight.detach().double()
    ratio = float(numbers.std() / std)
    steps = round(2 * math.log2(ratio)) if ratio > 0 else -99
    seen = f"{float(numbers.std()):.4g}, where {std:.4g} is expected"
    # In steps of √2, so that the same mistake looks the same whatever the draws.
    said = f"the standard deviation of {what}, as a multiple of {std:.4g}"
    check.equal(round(2 ** (steps / 2), 2), 1.0, said, why=why)
    near = 6 / math.sqrt(2 * numbers.numel())
    check.true(abs(ratio - 1) < near, f"the standard deviation of {what} is right", got=seen, why=why)
    off = abs(float(numbers.mean())) / std * math.sqrt(numbers.numel())
    check.true(off < 6, f"the mean of {what} is 0", got=f"{float(numbers.mean()):.4g}")
    if numbers.numel() > 1000:
        check.true(float(numbers.abs().max()) > 2.2 * std, f"{what} is drawn from a normal distribution", why=why)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tie_weights": False, "activation": "swiglu", "bias": False},
        {"position": "rope", "init_std": 0.1},
        {"placement": "post"},
    ],
    ids=str,
)
def test_what_weights_are_drawn_from(rng, options):
    """At the start, weights have the standard deviation init_std."""
    model = drawn_widely(rng, **options)
    std = options.get("init_std", 0.02)
    for name, weight in matrices(model)[0].items():
        holds_std(weight, std, name)


@pytest.mark.parametrize("layers", [2, 8])
def test_what_writes_into_the_stream(rng, layers):
    """With "pre", what writes into the stream has the standard deviation init_std / √(2L)."""
    model = drawn_widely(rng, n_layers=layers, activation="swiglu")
    why = f"{2 * layers} sums of equal width make the stream √{2 * layers} times as wide as one of them."
    for name, weight in matrices(model)[1].items():
        holds_std(weight, 0.02 / math.sqrt(2 * layers), f"{name}, L = {layers}", why)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "not tied"])
def test_the_table_may_be_wider(rng, tied):
    """With embedding_std, the token table has that standard deviation, and all else that of init_std."""
    model = drawn_widely(rng, embedding_std=0.3, init_std=0.05, position="learned", tie_weights=tied)
    for name, weight in matrices(model)[0].items():
        holds_std(weight, 0.3 if name == "embed.token.weight" else 0.05, name)


def test_what_writes_into_the_stream_in_post(rng):
    """With "post", what writes into the stream is drawn as all else: a norm comes behind each sum."""
    for name, weight in matrices(drawn_widely(rng, placement="post"))[1].items():
        holds_std(weight, 0.02, f'{name}, with "post"')


def test_the_table_of_t5_is_drawn_too(rng):
    """T5's table has the standard deviation init_std."""
    model = drawn_widely(rng, position="t5", init_std=0.1, n_heads=6)
    holds_std(model.blocks[0].attention.distance_bias.weight, 0.1, "the weight of the T5RelativeBias")


@pytest.mark.parametrize("activation", ["gelu", "swiglu"])
def test_biases_start_at_zero(rng, activation):
    """At the start all biases are 0, and all gains 1."""
    model = drawn_widely(rng, activation=activation)
    for i, block in enumerate(model.blocks):
        p, layers = block.attention.projections(), block.feed_forward
        zeros = {f"{name}_bias": getattr(p, f"{name}_bias") for name in ("query", "key", "value", "out")}
        zeros |= {"up.bias": layers.up.bias, "down.bias": layers.down.bias}
        zeros |= {"norm1.bias": block.norm1.bias, "norm2.bias": block.norm2.bias}
        if layers.gate is not None:
            zeros["gate.bias"] = layers.gate.bias
        for name, bias in zeros.items():
            check.true(not bool(bias.detach().any()), f"{name} of block {i} is 0 at the start")
        for name, norm in (("norm1", block.norm1), ("norm2", block.norm2)):
            check.close(norm.weight, torch.ones(48), f"the gain of {name} of block {i}")
    check.close(model.norm.weight, torch.ones(48), "the gain of the last norm")


def test_all_draws_are_their_own(rng):
    """No two matrices start with the same numbers."""
    model = drawn_widely(rng, tie_weights=False)
    alike, last = matrices(model)
    firsts: dict[float, str] = {}
    for name, weight in (alike | last).items():
        first = float((weight[0, 0] / weight.detach().std()).detach())
        other = next((known for number, known in firsts.items() if abs(number - first) < 1e-6), None)
        check.true(other is None, f"{name} starts with numbers of its own", got=f"those of {other}")
        firsts[first] = name


@pytest.mark.parametrize("scheme", ["learned", "t5"])
def test_a_generator(rng, scheme):
    """With a generator, the same seed gives the same weights, another one others, and torch's own draws go on as if
    nothing had been."""
    sizes, number = config(position=scheme, tie_weights=False), rng.randrange(1000)
    before = torch.get_rng_state()
    models = [gpt.GPT(sizes, torch.Generator().manual_seed(each)) for each in (number, number, number + 1)]
    untouched = bool((torch.get_rng_state() == before).all())
    check.true(untouched, "torch's own random numbers are where they were")
    for (name, one), two, three in zip(models[0].named_parameters(), *(each.parameters() for each in models[1:])):
        check.close(two, one, f"{name} of a second model with the same seed", rtol=0, atol=0)
        if one.dim() > 1:
            differs = bool((three != one).any())
            check.true(differs, f"{name} is another with another seed")


def test_without_a_generator(rng):
    """Without a generator, the weights come from torch's own: torch.manual_seed sets them, and two models differ."""
    before = torch.get_rng_state()
    number = rng.randrange(1000)
    torch.manual_seed(number)
    first, second = gpt.GPT(config()), gpt.GPT(config())
    torch.manual_seed(number)
    again = gpt.GPT(config())
    torch.set_rng_state(before)
    for (name, one), two, three in zip(first.named_parameters(), second.parameters(), again.parameters()):
        check.close(three, one, f"{name} after torch.manual_seed with the same number", rtol=0, atol=0)
        if one.dim() > 1:
            check.true(bool((two != one).any()), f"{name} of the next model is another")


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "not tied"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_first_loss(rng, placement, tied):
    """A new model knows nothing: its loss is near ln V, that of a guess among V tokens."""
    count, width = 211, 64
    sizes = config(
        vocab_size=count, context_length=80, d_model=width, d_ff=None, n_layers=2, placement=placement, tie_weights=tied
    )
    model = gpt.GPT(sizes, seeded(rng)).eval()
    ids = torch.tensor([[rng.randrange(count) for _ in range(80)] for _ in range(8)])
    found = logits(model, ids[:, :-1]).double().log_softmax(-1)
    loss = float(-found.gather(-1, ids[:, 1:, None]).mean())
    why = f"It is {loss:.4g}, and ln {count} is {math.log(count):.4g}. Far more means that the logits start too large."
    check.true(abs(loss / math.log(count) - 1) < 0.02, "the first loss is ln V, up to 2 %", got=f"{loss:.4g}", why=why)


# -- reading on


@pytest.mark.parametrize(
    "pieces, placement",
    [([1, 1, 1, 1, 1, 1, 1, 1, 1], "pre"), ([4, 1, 3, 1], "post"), ([9], "pre")],
    ids=["one by one", "in pieces, post", "in one"],
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_cache(rng, scheme, pieces, placement):
    """Read piece by piece with a cache, a text gives the logits that it gives all at once."""
    model = made(rng, position=scheme, placement=placement)
    ids = tokens(rng, B, N)
    whole, cache, place = logits(model, ids), model.new_cache(), 0
    for count in pieces:
        piece = slice(place, place + count)
        place += count
        got = model(ids[:, piece], cache)
        lengths = [each.length for each in cache]
        why = "Each block has a cache of its own, to which it appends what it reads, once."
        check.equal(lengths, [place] * L, f"the lengths of the caches after {place} tokens", why=why)
        what = f"the logits of tokens {piece.start} to {place - 1}, read with a cache, position {scheme!r}"
        check.close(got, whole[:, piece], what)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_positions_of_ones_own(rng, scheme):
    """Positions (T,) say where the tokens of all texts stand, (B, T) where those of each stand."""
    model = made(rng, position=scheme)
    ids = tokens(rng, B, T)
    for at in ([0, 2, 3, 7, 8], [[0, 1, 2, 4, 8], [0, 0, 3, 5, 6]]):
        where = torch.tensor(at)
        expected = formula(model, ids, where)[0].detach()
        check.close(logits(model, ids, positions=where), expected, f"the logits with positions={at}, {scheme!r}")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_padded_batch(rng, scheme):
    """Filled up on the left, with a mask and positions of its own, each text gives what it gives alone."""
    model = made(rng, position=scheme)
    lengths = [T, 3]
    ids = tokens(rng, B, T)
    place = torch.arange(T)
    first = torch.tensor([T - length for length in lengths])[:, None]
    there = place >= first  # (B, T)
    where = (place - first).clamp(min=0)
    got = logits(model, ids, mask=there[:, None, None], positions=where)
    for i, length in enumerate(lengths):
        alone = logits(model, ids[i : i + 1, T - length :])
        check.close(got[i : i + 1, T - length :], alone, f"the logits of text {i}, of {length} tokens and padding")


def test_a_mask(rng):
    """A mask goes to all blocks, on top of the causal one."""
    model = made(rng)
    ids = tokens(rng, B, T)
    for shape in [(T,), (T, T), (B, 1, 1, T), (B, H, T, T)]:
        mask = draw(rng, *shape) > 0.0
        mask[..., 0] = True
        mask[..., 2] = False
        expected = formula(model, ids, mask=mask)[0].detach()
        check.close(logits(model, ids, mask=mask), expected, f"the logits with a mask {shape}")


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_weights(rng, placement):
    """With return_weights, a list of the weights of each block (B, H, T, S) comes too, and the logits are the same."""
    model = made(rng, placement=placement)
    ids = tokens(rng, B, T)
    expected, weights = formula(model, ids)
    got = both(model, ids)
    for i in range(L):
        check.close(got[1][i], weights[i], f"the weights of block {i}")
    check.close(got[0], expected.detach(), "the logits that come with the weights")
    cache = model.new_cache()
    model(ids[:, :3], cache)
    got = both(model, ids[:, 3:], cache)
    for i in range(L):
        check.close(got[1][i], weights[i][:, :, 3:], f"the weights of block {i}, of two tokens behind three in a cache")


def test_more_than_the_context(rng):
    """More tokens than context_length are a ValueError that names both numbers, with a cache too."""
    model = made(rng, position="rope")
    check.equal(tuple(logits(model, tokens(rng, B, N)).shape), (B, N, V), "the shape of the logits of a full context")
    check.raises(ValueError, model, tokens(rng, B, N + 3), naming=[N, N + 3])
    cache = model.new_cache()
    model(tokens(rng, B, 7), cache)
    check.raises(ValueError, model, tokens(rng, B, 4), cache, naming=[N, 11])
    check.equal([each.length for each in cache], [7] * L, "the lengths of the caches after the error")


def test_input_that_does_not_fit(rng):
    """Ids that are not (B, T), or a cache of another number of layers, are a ValueError; other numbers no ids."""
    model = made(rng)
    check.equal(tuple(logits(model, tokens(rng, B, 1)).shape), (B, 1, V), "the shape of the logits of one token")
    check.raises(ValueError, model, tokens(rng, T), naming=[(T,)])
    check.raises(ValueError, model, tokens(rng, B, T, 1), naming=[(B, T, 1)])
    check.raises(ValueError, model, tokens(rng, B, T), model.new_cache()[:-1], naming=[L, L - 1])
    check.raises(TypeError, model, torch.zeros(B, T))
    check.raises(IndexError, model, torch.full((B, T), V))


# -- dropout, gradients, formats


def test_dropout(rng):
    """In training, the embedding, the attention weights and both sublayers of each block drop; in eval nothing does."""
    model = made(rng, dropout=0.5, placement="pre")
    ids = tokens(rng, B, N)
    expected = formula(model, ids)[0].detach()
    check.close(logits(model, ids), expected, "the logits after eval()")
    check.close(logits(model, ids), expected, "the same, once more")
    model.train()
    first, second = logits(model, ids), logits(model, ids)
    check.true(bool(((first - second).abs() > 1e-3).any()), "in training, two runs differ")
    share = float((model.embed(ids) == 0).double().mean())
    check.true(abs(share - 0.5) < 0.12, "in training, half of what the embedding gives is zeroed", got=share)
    for i, block in enumerate(model.blocks):
        x = draw(rng, B, T, C)
        apart = bool(((block(x) - block(x)).abs() > 1e-3).any())
        check.true(apart, f"in training, two runs of block {i} differ")


def test_no_dropout(rng):
    """With dropout=0, training is the same as eval."""
    model = made(rng).train()
    ids = tokens(rng, B, T)
    check.close(logits(model, ids), formula(model, ids)[0].detach(), "the logits in training with dropout=0")


@pytest.mark.parametrize("scheme, placement", [("learned", "pre"), ("t5", "pre"), ("rope", "post")])
def test_gradients(rng, placement, scheme):
    """The gradient comes back to each parameter."""
    model = made(rng, position=scheme, placement=placement)
    ids, upstream = tokens(rng, B, T), draw(rng, B, T, V)
    (formula(model, ids)[0] * upstream).sum().backward()
    wanted = {name: each.grad for name, each in model.named_parameters()}
    for each in model.parameters():
        each.grad = None
    (model(ids) * upstream).sum().backward()
    for name, each in model.named_parameters():
        check.true(each.grad is not None, f"{name} gets a gradient")
        check.close(each.grad, wanted[name], f"the gradient of {name}")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_half_precision(rng, scheme):
    """A model converted to bfloat16 gives bfloat16, near what it gives in float64."""
    model = made(rng, position=scheme).bfloat16()
    ids = tokens(rng, B, N)
    got = logits(model, ids)
    check.equal(str(got.dtype), "torch.bfloat16", f"the format of the logits, with {scheme!r}")
    check.true(bool(got.isfinite().all()), f"the logits are finite, with {scheme!r}")
    expected = formula(model.double(), ids)[0].detach()
    off = float((got.double() - expected).square().mean().sqrt() / expected.square().mean().sqrt())
    check.true(off < 0.1, f"the logits are those of float64, up to a few percent, with {scheme!r}", got=f"{off:.3f}")


def test_float32(rng):
    """A model as it is made gives float32, and takes ids of any integer format."""
    model = gpt.GPT(config(), seeded(rng)).eval()
    ids = tokens(rng, B, T)
    got = logits(model, ids)
    check.equal(str(got.dtype), "torch.float32", "the format of the logits")
    check.close(logits(model, ids.int()), got, "the logits for ids of 32 bits")


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (1, 1)], ids=str)
def test_few_tokens(rng, shape):
    """No text, texts without a token, or one token: there is a row of logits for each."""
    for scheme in SCHEMES:
        got = logits(made(rng, position=scheme), tokens(rng, *shape))
        check.equal(tuple(got.shape), (*shape, V), f"the shape of the logits for ids {shape}, with {scheme!r}")


def test_on_any_device():
    """On the device of its parameters, the model makes what it needs there, its caches too."""
    rng = random.Random(0)
    for device in DEVICES:
        for scheme in SCHEMES:
            model = made(rng, position=scheme)
            ids = tokens(rng, B, T)
            expected = formula(model, ids)[0].detach()
            model, cache = model.to(device), model.new_cache()
            got = logits(model, ids.to(device))
            check.equal(got.device.type, device, f"the device of the logits, with {scheme!r}")
            check.close(got, expected, f"the logits on {device!r}, with {scheme!r}")
            model(ids[:, :2].to(device), cache)
            check.close(model(ids[:, 2:].to(device), cache), expected[:, 2:], f"with a cache on {device!r}, {scheme!r}")


# -- counted


def test_count_by_hand():
    """A small model, counted by hand."""
    sizes = config(vocab_size=10, context_length=7, d_model=4, n_layers=3, n_heads=2, n_kv_heads=1, d_ff=5)
    why = (
        "Table 10·4, positions 7·4; in each of 3 blocks two norms of 2·4, queries and out 4·4 + 4 each, keys and "
        "values 2·4 + 2 each, up 5·4 + 5, down 4·5 + 4; the last norm 2·4. The output is tied."
    )
    block = 2 * 8 + 2 * 20 + 2 * 10 + 25 + 24
    check.returns(40 + 28 + 3 * block + 8, counts.parameter_count, sizes, why=why)


@pytest.mark.parametrize(
    "width, layers, heads, expected",
    [
        (768, 12, 12, 124_439_808),
        (1024, 24, 16, 354_823_168),
        (1280, 36, 20, 774_030_080),
        (1600, 48, 25, 1_557_611_200),
    ],
)
def test_published_counts(width, layers, heads, expected):
    """The four sizes of GPT-2 have the published numbers of parameters."""
    sizes = config_of.GPTConfig(
        vocab_size=50257, context_length=1024, d_model=width, n_layers=layers, n_heads=heads, activation="gelu_tanh"
    )
    check.returns(expected, counts.parameter_count, sizes)


@pytest.mark.parametrize(
    "options, change",
    [
        ({"tie_weights": False}, V * C),
        ({"position": "rope"}, -N * C),
        ({"position": "sinusoidal"}, -N * C),
        ({"position": "alibi"}, -N * C),
        ({"position": "none"}, -N * C),
        ({"position": "t5"}, -N * C + 32 * H),
        ({"norm": "rms"}, -(2 * L + 1) * C),
        ({"placement": "post"}, -2 * C),
        ({"n_kv_heads": None}, L * 2 * (H - G) * D * (C + 1)),
        ({"n_kv_heads": 1}, L * 2 * (1 - G) * D * (C + 1)),
        ({"activation": "swiglu"}, L * F * (C + 1)),
        ({"d_ff": None}, L * (4 * C - F) * (2 * C + 1)),
        ({"bias": False}, -(L * (2 * C + 2 * C + 2 * G * D + F + C) + C)),
        ({"dropout": 0.5}, 0),
    ],
    ids=str,
)
def test_what_each_option_counts(options, change):
    """Each option of the configuration changes the number of parameters by what it adds or takes away."""
    block = 2 * (2 * C) + 2 * C * (C + 1) + 2 * G * D * (C + 1) + F * (C + 1) + C * (F + 1)
    base = V * C + N * C + L * block + 2 * C
    check.returns(base + change, counts.parameter_count, config(**options))


@pytest.mark.varied
def test_count_of_any_model(rng):
    """The number is that of the parameters that GPT has, for any configuration."""
    for _ in range(25):
        groups, share, width = rng.choice([1, 2]), rng.choice([1, 2, 3]), 2 * rng.choice([1, 2, 3])
        sizes = config_of.GPTConfig(
            vocab_size=rng.randint(2, 30),
            context_length=rng.randint(1, 12),
            d_model=groups * share * width,
            n_layers=rng.randint(1, 3),
            n_heads=groups * share,
            n_kv_heads=groups,
            d_ff=rng.choice([None, 7]),
            position=rng.choice(SCHEMES),
            norm=rng.choice(["layer", "rms"]),
            placement=rng.choice(PLACEMENTS),
            activation=rng.choice(["gelu", "swiglu"]),
            bias=rng.random() < 0.5,
            tie_weights=rng.random() < 0.5,
        )
        there = sum(each.numel() for each in gpt.GPT(sizes).parameters())
        check.returns(there, counts.parameter_count, sizes, why="So many numbers do the parameters of the model hold.")


def test_flops_by_hand():
    """A small model's operations, counted by hand, for two tokens."""
    sizes = config(vocab_size=10, d_model=4, n_layers=3, n_heads=2, n_kv_heads=1, d_ff=5)
    why = (
        "Entries of matrices: in each of 3 blocks 4·4 twice, 2·4 twice, and 5·4 twice, which are 88; the output 10·4. "
        "Twice that for each of 2 tokens: 2·2·304. For each of 2·2 pairs and each block 2·4 for q·k and 2·4 for w·v: "
        "4·3·16."
    )
    check.returns(2 * 2 * (3 * 88 + 40) + 4 * 3 * 16, counts.forward_flops, sizes, 2, why=why)


@pytest.mark.parametrize(
    "options, matrices_of_a_block",
    [
        ({}, 2 * C * C + 2 * G * D * C + 2 * F * C),
        ({"n_kv_heads": 1}, 2 * C * C + 2 * D * C + 2 * F * C),
        ({"n_kv_heads": None}, 4 * C * C + 2 * F * C),
        ({"activation": "swiglu"}, 2 * C * C + 2 * G * D * C + 3 * F * C),
        ({"d_ff": None}, 2 * C * C + 2 * G * D * C + 8 * C * C),
        ({"tie_weights": False}, 2 * C * C + 2 * G * D * C + 2 * F * C),
        ({"position": "rope", "bias": False, "norm": "rms"}, 2 * C * C + 2 * G * D * C + 2 * F * C),
        ({"position": "t5", "placement": "post"}, 2 * C * C + 2 * G * D * C + 2 * F * C),
    ],
    ids=str,
)
def test_flops(options, matrices_of_a_block):
    """Two operations for each token and entry of a matrix, and 4 C for each pair of tokens and layer."""
    for length, batch in [(1, 1), (7, 1), (5, 3)]:
        expected = batch * (2 * length * (L * matrices_of_a_block + V * C) + 4 * C * L * length * length)
        check.returns(expected, counts.forward_flops, config(**options), length, batch)


def test_flops_of_nothing():
    """No token and no text take no operation; a negative number of them is a ValueError."""
    check.returns(0, counts.forward_flops, config(), 0)
    check.returns(0, counts.forward_flops, config(), 0, 3)
    check.returns(0, counts.forward_flops, config(), 5, 0)
    check.raises(ValueError, counts.forward_flops, config(), -1, naming=[-1])
    check.raises(ValueError, counts.forward_flops, config(), 5, -2, naming=[-2])


def test_numbers_are_whole():
    """Both give an int."""
    got = [type(counts.parameter_count(config())).__name__, type(counts.forward_flops(config(), 3)).__name__]
    check.equal(got, ["int", "int"], "the types of what parameter_count and forward_flops give")
