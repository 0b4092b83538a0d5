"""2.8 · The input of a model: token, position, dropout."""

import math
from typing import Any

import pytest
import torch

from bootcamp.grading import check, written

module = written("stage02_embeddings.input")

V, C, L = 11, 6, 9  # ids, width, learned positions


def numbers(rng, *shape):
    """Random numbers from -1 to 1."""
    count = torch.Size(shape).numel()
    return torch.tensor([rng.uniform(-1, 1) for _ in range(count)]).reshape(shape)


def made(rng, position="none", tokens=None, places=None, **options) -> Any:
    """An input embedding with rows of ours in its tables, the rows of the tokens, and those of the positions."""
    embed = module.InputEmbedding(V, C, position, L if position == "learned" else None, **options)
    tokens = numbers(rng, V, C) if tokens is None else tokens
    with torch.no_grad():
        weight_of(embed, "token", (V, C)).copy_(tokens)
        if position == "learned":
            places = numbers(rng, L, C) if places is None else places
            weight_of(embed, "position", (L, C)).copy_(places)
    if position == "sinusoidal":
        places = torch.tensor([[wave(p, column) for column in range(C)] for p in range(60)])
    return embed, tokens, places


def wave(p, column):
    """One number of a sinusoidal position."""
    angle = p / 10000.0 ** ((column - column % 2) / C)
    return math.cos(angle) if column % 2 else math.sin(angle)


def weight_of(embed, name, shape) -> Any:
    """The table of one part, held to be there in this shape."""
    weight: Any = getattr(getattr(embed, name, None), "weight", None)
    check.true(isinstance(weight, torch.nn.Parameter), f"{name}.weight is a Parameter", got=type(weight).__name__)
    check.equal(list(weight.shape), list(shape), f"the shape of {name}.weight")
    return weight


def ids_of(rng, *shape):
    """Random ids."""
    return torch.tensor([rng.randrange(V) for _ in range(torch.Size(shape).numel())]).reshape(shape)


def holds(embed, expected, ids, why="", **kwargs):
    """Hold what comes to what it should be."""
    got = check.unchanged(embed, ids, **kwargs)
    check.with_call(
        lambda: check.close(got, expected, "what it returns", why=why), check.call_text(embed, (ids,), kwargs)
    )


# -- the parts


@pytest.mark.parametrize("position, count", [("none", V * C), ("sinusoidal", V * C), ("learned", (V + L) * C)])
def test_what_is_learned(position, count):
    """The table of the tokens is learned, and that of the positions if they are learned ones; nothing else is."""
    embed = module.InputEmbedding(V, C, position, max_length=L)
    weight_of(embed, "token", (V, C))
    if position == "learned":
        weight_of(embed, "position", (L, C))
    check.equal(embed.position is None, position == "none", f"position is None for the scheme {position!r}")
    check.equal(sum(each.numel() for each in embed.parameters()), count, f"how many numbers {position!r} learns")


# -- token + position


def test_tokens_alone(rng):
    """Without positions, what comes is the tokens' vectors."""
    embed, tokens, _ = made(rng)
    ids = ids_of(rng, 2, 5)
    holds(embed, tokens[ids], ids)


def test_no_positions_by_default(rng):
    """Who says nothing gets no positions, no dropout, no scaling."""
    embed = module.InputEmbedding(V, C)
    tokens = weight_of(embed, "token", (V, C)).detach()
    ids = ids_of(rng, 2, 5)
    holds(embed, tokens[ids], ids)


def test_learned_positions_by_hand():
    """Two tokens at the places 0 and 1: row of the token plus row of the place."""
    tokens = torch.arange(V).mul(10.0)[:, None].expand(V, C)  # token 3 is all 30
    places = torch.arange(L).mul(0.5)[:, None].expand(L, C)  # place 1 is all 0.5
    embed, _, _ = made(None, "learned", tokens, places)
    expected = torch.tensor([[30.0, 70.5, 31.0], [100.0, 0.5, 11.0]])[..., None].expand(2, 3, C)
    holds(embed, expected, torch.tensor([[3, 7, 3], [10, 0, 1]]))


@pytest.mark.parametrize("position", ["learned", "sinusoidal"])
def test_tokens_and_positions(rng, position):
    """The vector of each place is added to the tokens that stand there, in each sequence of the batch."""
    embed, tokens, places = made(rng, position)
    ids = ids_of(rng, 3, 5)
    holds(embed, tokens[ids] + places[:5], ids)


def test_one_token(rng):
    """A batch of one token, and sequences of no token, are fine."""
    embed, tokens, places = made(rng, "learned")
    holds(embed, (tokens[4] + places[0])[None, None], torch.tensor([[4]]))
    holds(embed, torch.zeros(2, 0, C), torch.zeros(2, 0, dtype=torch.long))


# -- offset and positions


@pytest.mark.parametrize("position", ["learned", "sinusoidal"])
def test_an_offset(rng, position):
    """With the offset 4 the first token stands at place 4."""
    embed, tokens, places = made(rng, position)
    ids = ids_of(rng, 2, 5)
    why = "With a cache only the new tokens come; the offset says how many were read before."
    holds(embed, tokens[ids] + places[4:9], ids, offset=4, why=why)


@pytest.mark.parametrize("position", ["learned", "sinusoidal"])
def test_in_two_parts(rng, position):
    """The first tokens and then the rest with an offset give what all at once give."""
    embed, tokens, places = made(rng, position)
    ids = ids_of(rng, 2, 7)
    whole = tokens[ids] + places[:7]
    holds(embed, whole[:, :5], ids[:, :5], offset=0)
    holds(embed, whole[:, 5:], ids[:, 5:], offset=5)


@pytest.mark.parametrize("position", ["learned", "sinusoidal"])
def test_positions_for_all(rng, position):
    """Positions (T,) say where the tokens of all sequences stand."""
    embed, tokens, places = made(rng, position)
    ids = ids_of(rng, 2, 4)
    where = torch.tensor([6, 0, 3, 3])
    holds(embed, tokens[ids] + places[where], ids, positions=where)


@pytest.mark.parametrize("position", ["learned", "sinusoidal"])
def test_positions_for_each(rng, position):
    """Positions (B, T) say it for each sequence: the second begins with three tokens of padding."""
    embed, tokens, places = made(rng, position)
    ids = ids_of(rng, 2, 5)
    where = torch.tensor([[0, 1, 2, 3, 4], [0, 0, 0, 0, 1]])
    holds(embed, tokens[ids] + places[where], ids, positions=where)


def test_positions_win_over_the_offset(rng):
    """Where positions are given, the offset is not looked at."""
    embed, tokens, places = made(rng, "learned")
    ids = ids_of(rng, 2, 3)
    where = torch.tensor([2, 5, 1])
    holds(embed, tokens[ids] + places[where], ids, positions=where, offset=3)
    holds(embed, tokens[ids] + places[where], ids, positions=where, offset=3000)


def test_tokens_alone_have_no_place(rng):
    """Without a scheme, offset and positions change nothing."""
    embed, tokens, _ = made(rng)
    ids = ids_of(rng, 2, 3)
    holds(embed, tokens[ids], ids, offset=1000)
    holds(embed, tokens[ids], ids, positions=torch.tensor([5, 6, 4]))


# -- scale


@pytest.mark.parametrize("position", ["none", "learned", "sinusoidal"])
def test_scaled_by_the_root_of_the_width(rng, position):
    """With `scale` the tokens are multiplied by √C, and the positions are not."""
    embed, tokens, places = made(rng, position, scale=True)
    ids = ids_of(rng, 2, 5)
    expected = math.sqrt(C) * tokens[ids] + (0 if places is None else places[:5])
    why = "The waves have numbers near 1: they would drown a token's small numbers, which is why those grow."
    holds(embed, expected, ids, why=why)


# -- dropout


def test_dropout_zeroes_a_share_of_the_sum(rng):
    """In training, dropout zeroes a share of the numbers of the sum, and divides the others by 1 - p."""
    tokens, places = torch.full((V, C), 2.0), torch.full((L, C), 1.0)
    embed, _, _ = made(rng, "learned", tokens, places, dropout=0.25)
    got = embed.train()(ids_of(rng, 500, 8))
    check.equal(list(got.shape), [500, 8, C], "the shape of what comes")
    found = sorted(round(number, 3) for number in got.detach().unique().tolist())
    why = (
        "A number of the sum is either zero or (2 + 1) / 0.75: dropout comes last, after token and position are added."
    )
    check.equal(found, [0.0, 4.0], "the numbers that come for tokens of 2, positions of 1 and dropout=0.25", why=why)
    share = float((got == 0).double().mean())
    check.true(abs(share - 0.25) < 0.02, "a quarter of the numbers is zeroed", got=f"{share:.3f}")


def test_no_dropout_in_eval(rng):
    """After eval() nothing is zeroed, and after train() again it is."""
    embed, tokens, places = made(rng, "learned", dropout=0.5)
    ids = ids_of(rng, 5, 8)
    holds(embed.eval(), tokens[ids] + places[:8], ids, why="Dropout belongs to training; eval() switches it off.")
    check.true(bool((embed.train()(ids) == 0).any()), "after train() dropout is there")


def test_no_dropout_at_0(rng):
    """With dropout=0 training and eval give the same."""
    embed, tokens, places = made(rng, "learned", dropout=0.0)
    ids = ids_of(rng, 5, 8)
    holds(embed.train(), tokens[ids] + places[:8], ids)


# -- the rest of TokenEmbedding


def test_padding(rng):
    """The padding's vector is zeros, before the position is added."""
    for position in ("none", "learned"):
        embed, tokens, places = made(rng, position, padding_idx=2)
        ids = torch.tensor([[2, 5, 2, 2], [1, 2, 2, 10]])
        expected = torch.where((ids == 2)[..., None], torch.zeros(()), tokens[ids])
        holds(embed, expected + (0 if places is None else places[:4]), ids)


def test_gradients(rng):
    """Both tables get their gradients: of each token, and of each place over all sequences."""
    embed, _, _ = made(rng, "learned", scale=True)
    embed(torch.tensor([[1, 3, 1], [3, 1, 0]]), offset=2).sum().backward()
    for name, counts in (("token", [1, 3, 0, 2, 0, 0, 0, 0, 0, 0, 0]), ("position", [0, 0, 2, 2, 2, 0, 0, 0, 0])):
        got = getattr(embed, name).weight.grad
        check.true(got is not None, f"a gradient comes back to {name}.weight")
        factor = math.sqrt(C) if name == "token" else 1.0
        expected = factor * torch.tensor(counts, dtype=torch.float32)[:, None].expand(-1, C)
        check.close(got.to_dense(), expected, f"the gradient of {name}.weight")


@pytest.mark.parametrize("position", ["none", "learned", "sinusoidal"])
def test_half_precision(rng, position):
    """After half() what comes is float16, whatever the scheme."""
    embed, tokens, places = made(rng, position, scale=True)
    ids = ids_of(rng, 2, 5)
    got = embed.half()(ids)
    check.equal(str(got.dtype), "torch.float16", f"the format of what comes after half(), with {position!r}")
    expected = math.sqrt(C) * tokens[ids] + (0 if places is None else places[:5])
    check.close(got, expected, f"what comes after half(), with {position!r}", rtol=3e-3, atol=3e-3)


@pytest.mark.parametrize("position", ["none", "learned", "sinusoidal"])
def test_on_any_device(rng, position):
    """On the device of its parameters, the module makes what it needs there."""
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        embed, tokens, places = made(rng, position)
        ids = ids_of(rng, 2, 5)
        got = embed.to(device)(ids.to(device), offset=2)
        check.equal(got.device.type, device, f"the device of what comes, with {position!r} on {device}")
        check.close(got, tokens[ids] + (0 if places is None else places[2:7]), f"what comes, with {position!r}")


# -- what is refused


def test_past_the_last_learned_position(rng):
    """Past the last learned position an IndexError names the position; the last one is fine."""
    embed, tokens, places = made(rng, "learned")
    ids = ids_of(rng, 2, 4)
    holds(embed, tokens[ids] + places[5:9], ids, offset=5)
    check.raises(IndexError, embed, ids, offset=6, naming=[9])
    check.raises(IndexError, embed, ids, positions=torch.tensor([0, 1, 2, 40]), naming=[40])


def test_ids_that_are_none(rng):
    """An id that is not from 0 to V - 1 is an IndexError, and a number with a point a TypeError."""
    embed, tokens, _ = made(rng)
    holds(embed, tokens[None, :3], torch.tensor([[0, 1, 2]]))
    check.raises(IndexError, embed, torch.tensor([[0, 1, 11]]), naming=[11])
    check.raises(TypeError, embed, torch.tensor([[0.0, 1.0]]))


@pytest.mark.parametrize(
    "options, wrong",
    [
        ({"position": "learned"}, "max_length"),
        ({"position": "rotary"}, "rotary"),
        ({"dropout": 1.0}, 1.0),
        ({"dropout": -0.1}, -0.1),
    ],
    ids=["learned without max_length", "an unknown scheme", "dropout of all", "negative dropout"],
)
def test_options_that_make_no_sense(options, wrong):
    """Learned positions without max_length, an unknown scheme, or a dropout outside [0, 1), are a ValueError."""
    weight_of(module.InputEmbedding(V, C, "learned", L), "token", (V, C))
    check.raises(ValueError, module.InputEmbedding, V, C, **options, naming=[wrong])


def test_shapes_that_do_not_fit(rng):
    """Ids that are not (B, T), positions that fit neither (T,) nor (B, T), or a negative offset, are a ValueError."""
    embed, tokens, places = made(rng, "learned")
    ids = ids_of(rng, 2, 3)
    holds(embed, tokens[ids] + places[:3], ids)
    check.raises(ValueError, embed, ids[0], naming=[(3,)])
    check.raises(ValueError, embed, ids[None], naming=[(1, 2, 3)])
    check.raises(ValueError, embed, ids, positions=torch.tensor([0, 1]), naming=[(2,), (2, 3)])
    check.raises(ValueError, embed, ids, positions=torch.tensor([[0, 1, 2]]), naming=[(1, 3), (2, 3)])
    check.raises(ValueError, embed, ids, positions=torch.tensor(0), naming=["()", (2, 3)])
    check.raises(ValueError, embed, ids, offset=-1, naming=[-1])
