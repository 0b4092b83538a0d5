"""3.7 · A cache of keys and values: reading on, piece by piece, gives what reading all at once gives."""

import math
from typing import Any

import pytest

from bootcamp.grading import check, written

torch = pytest.importorskip("torch")

cache_of = written("stage03_attention.cache")
multihead = written("stage03_attention.multihead")
rotary = written("stage02_embeddings.rotary")
bias_of = written("stage02_embeddings.bias")

B, G, D, E = 2, 3, 4, 5  # sequences, key/value heads, the width of a key, and of a value
POSITIONS = ["none", "interleaved", "half", "alibi", "t5"]
# A GPU takes part where there is one.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def draw(rng, *shape, dtype=torch.float64):
    """Random numbers from N(0, 1)."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=dtype)


def appended(cache, keys, values):
    """What comes from an append, held to be two tensors, after a look that what was given is left alone."""
    got = check.unchanged(cache.append, keys, values)
    pair = isinstance(got, tuple) and len(got) == 2 and all(isinstance(each, torch.Tensor) for each in got)
    check.true(pair, "append gives two tensors, keys and values", got=got)
    return got


def pieces(total, *lengths):
    """Where the pieces of these lengths begin and end."""
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    assert ends[-1] == total
    return [(end - length, end) for end, length in zip(ends, lengths)]


# -- the cache alone


def test_nothing_is_read_yet():
    """A new cache has read nothing."""
    check.equal(cache_of.KVCache().length, 0, "the length of a new cache")


def test_the_first_tokens(rng):
    """The first tokens come back as they were given, and are counted."""
    cache = cache_of.KVCache()
    keys, values = draw(rng, B, G, 6, D), draw(rng, B, G, 6, E)
    got = appended(cache, keys, values)
    check.close(got[0], keys, "the keys that come back", rtol=0, atol=0)
    check.close(got[1], values, "the values that come back", rtol=0, atol=0)
    check.equal(cache.length, 6, "the length, after 6 tokens")


@pytest.mark.parametrize("lengths", [(1,) * 11, (3, 1, 2, 1, 4), (1, 7, 3), (8, 1, 1, 1), (2, 2, 7)], ids=str)
def test_all_tokens_so_far(rng, lengths):
    """Each append gives the keys and values of all tokens so far, in the order they came in."""
    cache = cache_of.KVCache()
    keys, values = draw(rng, B, G, 11, D), draw(rng, B, G, 11, E)
    for start, end in pieces(11, *lengths):
        got = appended(cache, keys[:, :, start:end], values[:, :, start:end])
        check.close(got[0], keys[:, :, :end], f"the keys after tokens {start} to {end - 1} came in", rtol=0, atol=0)
        check.close(got[1], values[:, :, :end], f"the values after tokens {start} to {end - 1}", rtol=0, atol=0)
        check.equal(cache.length, end, f"the length after {end} tokens")


def test_values_of_the_width_of_keys(rng):
    """Keys and values of the same width stay apart."""
    cache = cache_of.KVCache()
    keys, values = draw(rng, B, G, 5, D), draw(rng, B, G, 5, D)
    for start, end in pieces(5, 2, 1, 2):
        got = appended(cache, keys[:, :, start:end], values[:, :, start:end])
        check.close(got[0], keys[:, :, :end], f"the keys after {end} tokens", rtol=0, atol=0)
        check.close(got[1], values[:, :, :end], f"the values after {end} tokens", rtol=0, atol=0)


def test_what_came_back_stays(rng):
    """What an append gave is not changed by those after it."""
    cache = cache_of.KVCache()
    keys, values = draw(rng, 1, 1, 20, 3), draw(rng, 1, 1, 20, 2)
    given = [appended(cache, keys[:, :, i : i + 1], values[:, :, i : i + 1]) for i in range(20)]
    for i, got in enumerate(given):
        check.close(got[0], keys[:, :, : i + 1], f"the keys that append {i + 1} gave, after append 20", rtol=0, atol=0)
        check.close(got[1], values[:, :, : i + 1], f"the values that append {i + 1} gave", rtol=0, atol=0)


def test_each_cache_has_its_own(rng):
    """Two caches, as two layers have, do not know of each other."""
    one, other = cache_of.KVCache(), cache_of.KVCache()
    keys, values = draw(rng, B, G, 4, D), draw(rng, B, G, 4, E)
    appended(one, keys, values)
    got = appended(other, keys[:1, :, :1] + 1, values[:1, :, :1] + 1)
    check.equal([one.length, other.length], [4, 1], "the lengths of two caches")
    check.close(got[0], keys[:1, :, :1] + 1, "the keys of the second cache", rtol=0, atol=0)
    got = appended(one, keys, values)
    check.close(got[0], torch.cat([keys, keys], 2), "the keys of the first cache", rtol=0, atol=0)


@pytest.mark.parametrize("first", [1, 5])
def test_the_room_doubles(rng, first):
    """Room is taken ahead, twice as much each time: most appends move nothing that is kept."""
    count = 300
    cache = cache_of.KVCache()
    keys, values = torch.ones(1, 1, first, 2), torch.ones(1, 1, first, 3)
    given = [cache.append(keys, values)]
    for _ in range(count):
        given.append(cache.append(keys[:, :, :1], values[:, :, :1]))
    check.equal(tuple(given[-1][0].shape), (1, 1, first + count, 2), "the shape of the keys at the end")
    why = "Copying all that is kept for each token costs N² / 2 rows for N tokens; doubling the room, 2 N at most."
    for name, each in zip(("keys", "values"), zip(*given)):
        places = [tensor.untyped_storage().data_ptr() for tensor in each]
        moves = sum(one != other for one, other in zip(places, places[1:]))
        check.true(moves < count - 10, f"not each of {count} tokens moves the {name} to another place", why=why)
        claim = f"while {count} tokens come one by one, the {name} move to another place at most 10 times"
        check.true(moves <= 10, claim, got=f"{moves} times", why=why)


def test_what_is_kept_has_no_gradient(rng):
    """What is kept is cut off from what it was computed from."""
    cache = cache_of.KVCache()
    weight = draw(rng, D, D).requires_grad_()
    for length in (3, 1, 1, 6):
        keys = draw(rng, B, G, length, D) @ weight
        got = cache.append(keys, keys.tanh())
        for name, each in zip(("keys", "values"), got):
            why = "A cache is for writing. With its history, it would keep everything that led to it, for each token."
            check.true(not each.requires_grad, f"the {name} that come back need no gradient", why=why)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_formats_and_devices(rng, dtype, device):
    """What comes back has the format, and is on the device, of what came."""
    cache = cache_of.KVCache()
    keys, values = draw(rng, B, G, 6, D).to(device, dtype), draw(rng, B, G, 6, E).to(device, dtype)
    for start, end in pieces(6, 3, 1, 2):
        got = appended(cache, keys[:, :, start:end], values[:, :, start:end])
        for name, each, expected in zip(("keys", "values"), got, (keys, values)):
            check.equal(str(each.dtype), str(dtype), f"the format of the {name}")
            check.equal(each.device.type, device, f"the device of the {name}")
            check.close(each, expected[:, :, :end], f"the {name} after {end} tokens", rtol=0, atol=0)


def test_heads_laid_out_in_any_way(rng):
    """Heads that were split, and so transposed, are kept like any other."""
    cache = cache_of.KVCache()
    keys, values = draw(rng, B, 7, G, D).transpose(1, 2), draw(rng, B, 7, G, E).transpose(1, 2)
    for start, end in pieces(7, 4, 1, 2):
        got = appended(cache, keys[:, :, start:end], values[:, :, start:end])
        check.close(got[0], keys[:, :, :end], f"the keys after {end} tokens", rtol=0, atol=0)
        check.close(got[1], values[:, :, :end], f"the values after {end} tokens", rtol=0, atol=0)


def test_what_does_not_fit(rng):
    """Other sequences, heads, widths or formats than those that are kept are a ValueError; what is kept stays."""
    cache = cache_of.KVCache()
    keys, values = draw(rng, B, G, 3, D), draw(rng, B, G, 3, E)
    appended(cache, keys, values)
    wrong = [
        (draw(rng, B + 5, G, 1, D), draw(rng, B + 5, G, 1, E), B + 5, B),
        (draw(rng, B, 8, 1, D), draw(rng, B, 8, 1, E), 8, G),
        (draw(rng, B, G, 1, 9), draw(rng, B, G, 1, E), 9, D),
        (draw(rng, B, G, 1, D), draw(rng, B, G, 1, 1), 1, E),
        (draw(rng, B, G, 1, D).bfloat16(), draw(rng, B, G, 1, E).bfloat16(), "bfloat16", "float64"),
        (draw(rng, B, G, 2, D), draw(rng, B, G, 7, E), (B, G, 2, D), (B, G, 7, E)),
        (draw(rng, G, 1, D), draw(rng, G, 1, E), (G, 1, D), (G, 1, E)),
    ]
    for one, other, *named in wrong:
        check.raises(ValueError, cache.append, one, other, naming=named)
    check.equal(cache.length, 3, "the length, after all these were refused")
    got = appended(cache, keys, values)
    check.close(got[0], torch.cat([keys, keys], 2), "the keys, after all these were refused", rtol=0, atol=0)


# -- in the module


def position_of(name, heads) -> Any:
    """One of the positions of stage 02, with numbers large enough to be seen."""
    if name in ("interleaved", "half"):
        return rotary.RotaryEmbedding(D, layout=name)
    if name == "none":
        return None
    if name == "alibi":
        return bias_of.AlibiBias(heads)
    position = bias_of.T5RelativeBias(heads, bidirectional=False, buckets=8, max_distance=16)
    with torch.no_grad():
        position.weight.copy_(torch.arange(8 * heads).reshape(8, heads).sin())
    return position


def made(rng, heads=3, groups=None, position="none", causal=True, **options) -> Any:
    """A module with random weights."""
    size, few = heads * D, (groups or heads) * D
    rows = {"query": size, "key": few, "value": few, "out": size}
    weights = {name: draw(rng, number, size) / math.sqrt(2 * D) for name, number in rows.items()}
    biases = {f"{name}_bias": draw(rng, number) for name, number in rows.items()}
    place = position_of(position, heads)
    attend = multihead.MultiHeadAttention(size, heads, groups, position=place, causal=causal, **options).double()
    attend.load_projections(multihead.Projections(**weights, **biases))
    return attend


def read(attend, x, *lengths, against, what, **kwargs):
    """Read x in pieces, and hold what comes to what came from all at once."""
    cache = cache_of.KVCache()
    for start, end in pieces(x.shape[1], *lengths):
        options = {key: value(start, end) for key, value in kwargs.items()}
        with torch.no_grad():
            got = attend(x[:, start:end], cache=cache, **options)
        place = f"token {start}" if end == start + 1 else f"tokens {start} to {end - 1}"
        check.close(got, against[:, start:end], f"the output of {place}, {what}")
        check.equal(cache.length, end, f"the length of the cache after {end} tokens")
    return cache


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("heads, groups", [(3, None), (6, 2), (4, 1)])
def test_token_by_token(rng, heads, groups, position):
    """Reading token by token gives at each step what reading all at once gives."""
    attend = made(rng, heads, groups, position)
    x = draw(rng, B, 9, heads * D)
    what = f"read one by one, with {heads} heads, n_kv_heads={groups} and the position {position!r}"
    read(attend, x, *[1] * 9, against=attend(x).detach(), what=what)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("lengths", [(4, 1, 1, 1, 1, 1), (3, 2, 4), (1, 8), (9,)], ids=str)
def test_in_pieces(rng, lengths, position):
    """Reading in pieces of any size gives what reading all at once gives."""
    attend = made(rng, position=position)
    x = draw(rng, B, 9, 3 * D)
    what = f"read in pieces of {', '.join(map(str, lengths))} tokens, with the position {position!r}"
    read(attend, x, *lengths, against=attend(x).detach(), what=what)


def test_in_random_pieces(rng):
    """So it is for shared heads, and pieces of random sizes."""
    for position in POSITIONS:
        attend = made(rng, 6, 2, position)
        x = draw(rng, 1, 14, 6 * D)
        cuts = sorted(rng.sample(range(1, 14), 4))
        lengths = [end - start for start, end in zip([0, *cuts], [*cuts, 14])]
        what = f"read in pieces of {', '.join(map(str, lengths))} tokens, with the position {position!r}"
        read(attend, x, *lengths, against=attend(x).detach(), what=what)


def test_a_new_token_sees_all_before_it(rng):
    """The weights of a new token are over all tokens so far: a row of the full matrix."""
    attend = made(rng, 6, 2, "alibi")
    x = draw(rng, B, 6, 6 * D)
    full = attend(x, return_weights=True)[1].detach()
    cache = cache_of.KVCache()
    for start, end in pieces(6, 2, 1, 1, 2):
        _, weights = attend(x[:, start:end], cache=cache, return_weights=True)
        what = f"the weights of the tokens {start} to {end - 1}, over {end} keys"
        check.close(weights, full[:, :, start:end, :end], what)


def test_a_module_that_is_not_causal(rng):
    """Without causal=True, a piece sees all of itself and all before; one by one, that is causal."""
    attend, causal = made(rng, causal=False), made(rng)
    causal.load_projections(attend.projections())
    x = draw(rng, B, 7, 3 * D)
    read(attend, x, *[1] * 7, against=causal(x).detach(), what="read one by one, by a module that is not causal")
    what = "read in pieces of 4 and 3, by a module that is not causal"
    full = torch.cat([attend(x[:, :4]), attend(x)[:, 4:]], dim=1).detach()
    read(attend, x, 4, 3, against=full, what=what)


@pytest.mark.parametrize("layout", ["interleaved", "half"])
def test_positions_of_ones_own(rng, layout):
    """Positions (T,) or (B, T) may come with a cache: each piece brings its own."""
    attend = made(rng, position=layout)
    x = draw(rng, B, 8, 3 * D)
    for at in ([3, 4, 9, 10, 11, 40, 41, 42], [[0, 0, 0, 1, 2, 3, 4, 5], [7, 8, 9, 20, 21, 22, 50, 51]]):
        where = torch.tensor(at)
        full = attend(x, positions=where).detach()
        what = f"in pieces of 3, 1, 4, with positions from {at}"
        read(attend, x, 3, 1, 4, against=full, what=what, positions=lambda start, end, w=where: w[..., start:end])


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("lengths", [(4, 1, 1, 1), (3, 2, 2)], ids=str)
def test_texts_of_unequal_length(rng, lengths, position):
    """Texts of unequal length, filled up on the left, are read on as each of them would be alone."""
    attend = made(rng, 6, 2, position)
    real = torch.tensor([lengths[0] - 2, lengths[0], lengths[0] - 1])  # tokens of the first piece that are no padding
    x = draw(rng, 3, 7, 6 * D)
    padding = lengths[0] - real  # (B,): what fills up each text
    cache = cache_of.KVCache()
    alone = [attend(x[row : row + 1, left:]).detach()[0] for row, left in enumerate(padding.tolist())]
    for start, end in pieces(7, *lengths):
        mask = torch.arange(end) >= padding[:, None, None, None]  # (B, 1, 1, S): all keys so far but the padding
        with torch.no_grad():
            got = attend(x[:, start:end], mask=mask, cache=cache)
        for row, left in enumerate(padding.tolist()):
            here = max(start, left)
            what = f"the output of text {row} at the places {here} to {end - 1}, with the position {position!r}"
            why = "Its first places are padding, which the mask keeps out: the text alone, without them, gives this."
            check.close(got[row, here - start :], alone[row][here - left : end - left], what, why=why)
        check.true(bool(got.isfinite().all()), f"nothing is nan or infinite at the places {start} to {end - 1}")


def test_a_mask_for_all_keys(rng):
    """A mask that comes with a cache is over all keys so far, and on top of causal."""
    attend = made(rng, position="half")
    x = draw(rng, B, 8, 3 * D)
    mask = draw(rng, B, 1, 8, 8) > -0.5
    mask[..., 0] = True
    full = attend(x, mask=mask).detach()
    what = "in pieces of 3, 1, 2, 2, with rows of one mask"
    read(attend, x, 3, 1, 2, 2, against=full, what=what, mask=lambda start, end: mask[:, :, start:end, :end])


@pytest.mark.parametrize("heads, groups", [(6, 2), (4, 1), (3, None)])
def test_the_cache_keeps_few_heads(rng, heads, groups):
    """What is kept has the G heads of keys and values, and not the H of the queries."""
    attend = made(rng, heads, groups, "interleaved")
    cache = cache_of.KVCache()
    attend(draw(rng, B, 5, heads * D), cache=cache)
    its = groups or heads
    got = appended(cache, draw(rng, B, its, 1, D), draw(rng, B, its, 1, D))
    for name, each in zip(("keys", "values"), got):
        check.equal(
            tuple(each.shape), (B, its, 6, D), f"the shape of the {name} with {heads} heads, n_kv_heads={groups}"
        )


def test_the_kept_values_are_those_of_the_module(rng):
    """What is kept are the values that the module computes, and keys that are turned where they stand."""
    attend = made(rng, position="half")
    p = attend.projections()
    x = draw(rng, B, 5, 3 * D)
    cache = cache_of.KVCache()
    for start, end in pieces(5, 3, 1, 1):
        attend(x[:, start:end], cache=cache)
    nothing = torch.zeros(B, 3, 1, D, dtype=torch.float64)
    keys, values = appended(cache, nothing, nothing)
    expected = (x @ p.value.T + p.value_bias).unflatten(-1, (3, D)).transpose(1, 2)
    check.close(values[:, :, :5], expected, "the values in the cache")
    expected = attend.rotary((x @ p.key.T + p.key_bias).unflatten(-1, (3, D)).transpose(1, 2))
    check.close(keys[:, :, :5], expected, "the keys in the cache")


def test_the_gradient_ends_at_the_cache(rng):
    """With gradients on, reading on works as well; none of them goes back to what was read before."""
    attend = made(rng, position="alibi")
    first, second = draw(rng, B, 4, 3 * D).requires_grad_(), draw(rng, B, 2, 3 * D).requires_grad_()
    cache = cache_of.KVCache()
    attend(first, cache=cache)
    attend(second, cache=cache).sum().backward()
    check.true(first.grad is None, "what was read before gets no gradient")
    check.true(second.grad is not None, "the queries of what is read now get one")


@pytest.mark.varied
def test_half_precision(rng):
    """In bfloat16, reading token by token gives what reading all at once gives, up to rounding."""
    attend = made(rng, 6, 2, "half").bfloat16()
    x = draw(rng, B, 6, 6 * D).bfloat16()
    full, cache = attend(x).detach(), cache_of.KVCache()
    for i in range(6):
        got = attend(x[:, i : i + 1], cache=cache)
        check.equal(str(got.dtype), "torch.bfloat16", "the format of what comes")
        check.close(got, full[:, i : i + 1], f"the output of token {i}, in bfloat16", rtol=0.03, atol=0.03)


def test_a_context_has_no_cache(rng):
    """A cache together with a context is a ValueError."""
    attend = made(rng)
    x = draw(rng, B, 3, 3 * D)
    read(attend, x, 2, 1, against=attend(x).detach(), what="read in pieces of 2 and 1")
    check.raises(ValueError, attend, x, draw(rng, B, 4, 3 * D), cache=cache_of.KVCache())
