"""2.7 · T5's relative buckets: near distances one by one, far ones by their logarithm."""

from itertools import pairwise

import pytest

from bootcamp.grading import check, written

torch = pytest.importorskip("torch")

bias = written("stage02_embeddings.bias")

# A GPU takes part where there is one.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

# Where each bucket begins with 32 buckets and a max_distance of 128: as in T5's encoder (16 buckets for a direction, of
# which 8 hold one distance each; 8 · 2^(k/2) rounded up) and in its decoder (16 of 32; 16 · 2^(3k/16) rounded up).
ENCODER = [*range(8), 8, 12, 16, 23, 32, 46, 64, 91]
DECODER = [*range(16), 16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]


def bucket_of(far, begins):
    """In which bucket a distance is, when bucket b begins at begins[b]."""
    return sum(begin <= far for begin in begins) - 1


def begins(count, max_distance):
    """Where each of `count` buckets begins, in whole numbers: (d/e)^(n-e) against (max_distance/e)^k."""
    exact = count // 2
    shared = count - exact
    first = list(range(exact))
    for k in range(shared):
        d = exact
        while d**shared * exact**k < max_distance**k * exact**shared:
            d += 1
        first.append(d)
    return first


def buckets(distances, *args, **kwargs):
    """What relative_bucket gives for some distances, as a list."""
    got = check.unchanged(bias.relative_bucket, torch.tensor(distances), *args, **kwargs)
    check.true(isinstance(got, torch.Tensor), "relative_bucket gives a tensor", got=got)
    return got.tolist()


def call(distances, **options):
    return f"relative_bucket({check.show(distances)}{''.join(f', {key}={value}' for key, value in options.items())})"


# -- relative_bucket


def test_near_keys_behind():
    """The query's own place and each of the seven places behind it have a bucket of their own."""
    near = [0, -1, -2, -3, -4, -5, -6, -7]
    check.equal(buckets(near), [0, 1, 2, 3, 4, 5, 6, 7], call(near))


def test_near_keys_ahead():
    """Keys ahead of the query are in the upper half of the buckets."""
    near = [0, 1, 2, 3, 4, 5, 6, 7]
    why = "distance = position of the key - position of the query: what is ahead is above 0."
    check.equal(buckets(near), [0, 17, 18, 19, 20, 21, 22, 23], call(near), why=why)


def test_each_bucket_begins_where_it_was_published():
    """Beyond, the buckets of a direction begin at distances 8, 12, 16, 23, 32, 46, 64 and 91."""
    for begin in ENCODER[8:]:
        distances = [-begin, -begin + 1]
        right = [bucket_of(begin, ENCODER), bucket_of(begin - 1, ENCODER)]
        check.equal(buckets(distances), right, call(distances))


def test_one_direction():
    """In one direction, 16 distances have a bucket of their own, and 16 buckets share the others."""
    near = [-d for d in range(16)]
    check.equal(buckets(near, bidirectional=False), list(range(16)), call(near, bidirectional=False))
    for begin in DECODER[16:]:
        distances = [-begin, -begin + 1]
        right = [bucket_of(begin, DECODER), bucket_of(begin - 1, DECODER)]
        check.equal(buckets(distances, bidirectional=False), right, call(distances, bidirectional=False))


def test_one_direction_ahead():
    """In one direction, all keys ahead of the query are in bucket 0."""
    ahead = [0, 1, 2, 8, 16, 200, 100_000]
    why = "A decoder masks them: they need a number that is a bucket, and no bucket of their own."
    check.equal(buckets(ahead, bidirectional=False), [0] * 7, call(ahead, bidirectional=False), why=why)


def test_far_keys():
    """From max_distance on, all are in the last bucket of their direction, however far."""
    far = [-127, -128, -129, -181, -182, -10_000, -1_000_000]
    check.equal(buckets(far), [15] * 7, call(far))
    ahead = [-distance for distance in far]
    check.equal(buckets(ahead), [31] * 7, call(ahead))
    check.equal(buckets(far, bidirectional=False), [31] * 7, call(far, bidirectional=False))


def test_all_distances():
    """Each distance up to 300, both ways, is in the bucket that the formula gives."""
    both = list(range(-300, 301))
    expected = [bucket_of(abs(d), ENCODER) + (16 if d > 0 else 0) for d in both]
    check.equal(buckets(both), expected, "the buckets of the distances -300 to 300")
    expected = [bucket_of(max(-d, 0), DECODER) for d in both]
    check.equal(buckets(both, bidirectional=False), expected, "the same, bidirectional=False")


@pytest.mark.parametrize("count, max_distance", [(16, 128), (8, 40), (5, 50), (6, 24), (2, 9), (64, 1000)])
def test_other_counts_of_buckets(count, max_distance):
    """Other numbers of buckets, odd ones too in one direction, and other max_distances follow the same formula."""
    first = begins(count, max_distance)
    both = list(range(-max_distance - 30, max_distance + 31))
    options = {"bidirectional": False, "buckets": count, "max_distance": max_distance}
    expected = [bucket_of(max(-d, 0), first) for d in both]
    check.equal(buckets(both, **options), expected, f"the buckets of the distances {both[0]} to {both[-1]}, {options}")
    options = {"bidirectional": True, "buckets": 2 * count, "max_distance": max_distance}
    expected = [bucket_of(abs(d), first) + (count if d > 0 else 0) for d in both]
    check.equal(buckets(both, **options), expected, f"the buckets of the distances {both[0]} to {both[-1]}, {options}")


def test_any_shape():
    """Distances of any shape give int64 buckets of that shape."""
    for shape in [(), (0,), (7,), (2, 3), (2, 1, 3)]:
        for dtype in (torch.int64, torch.int32, torch.int16, torch.int8):
            got = bias.relative_bucket(torch.full(shape, -3, dtype=dtype))
            what = f"what relative_bucket gives for distances of shape {shape} in {dtype}, all of them -3"
            check.close(got, torch.full(shape, 3), what)
            check.equal(str(got.dtype), "torch.int64", f"the number format of {what}")


def test_bad_arguments_are_refused():
    """Distances that are no whole numbers are a TypeError; buckets that cannot be shared out are a ValueError."""
    check.equal(buckets([-1, 1]), [1, 17], call([-1, 1]))
    ones = torch.ones(3)
    for wrong in (ones, ones.bool(), ones.half()):
        check.raises(TypeError, bias.relative_bucket, wrong, naming=[wrong.dtype])
    ones = ones.long()
    check.raises(ValueError, bias.relative_bucket, ones, True, 31, naming=[31])
    check.raises(ValueError, bias.relative_bucket, ones, True, 2, naming=[2])
    check.raises(ValueError, bias.relative_bucket, ones, False, 1, naming=[1])
    check.raises(ValueError, bias.relative_bucket, ones, False, 32, 16, naming=[16])
    check.raises(ValueError, bias.T5RelativeBias, 2, True, 31, naming=[31])
    check.raises(ValueError, bias.T5RelativeBias, 0, True, naming=[0])


# -- T5RelativeBias


def module_with(heads, *args, **kwargs):
    """A T5RelativeBias in which the weight of bucket b and head h is b + 1000 (h + 1), to be seen in what comes."""
    module = bias.T5RelativeBias(heads, *args, **kwargs)
    count = kwargs.get("buckets", 32)
    check.equal(tuple(module.weight.shape), (count, heads), "the shape of the weight")
    with torch.no_grad():
        module.weight.copy_(torch.arange(count)[:, None] + 1000 * torch.arange(1, heads + 1))
    return module


def seen(table, heads):
    """What such a module gives where `table` says the buckets."""
    return torch.tensor(table) + 1000 * torch.arange(1, heads + 1)[:, None, None]


def test_both_directions_in_a_table():
    """At [h, i, j] stands the weight of head h for the bucket of key j seen from query i."""
    table = [[0, 17, 18, 19, 20], [1, 0, 17, 18, 19], [2, 1, 0, 17, 18], [3, 2, 1, 0, 17]]
    got = module_with(3, True)(4, 5, 0)
    check.close(got, seen(table, 3), "a bias of 3 heads, 4 queries, 5 keys, the first query at 0, bidirectional")


def test_one_direction_in_a_table():
    """In one direction, keys ahead of the query take bucket 0, and the others that of their distance."""
    table = [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [2, 1, 0, 0, 0], [3, 2, 1, 0, 0]]
    got = module_with(3, False)(4, 5, 0)
    check.close(got, seen(table, 3), "a bias of 3 heads, 4 queries, 5 keys, the first query at 0, one direction")


def test_the_last_query_meets_the_last_key():
    """Without an offset, the last query is at the place of the last key."""
    why = "In decoding, the keys of all earlier tokens are in the cache, and the queries are those of the last few."
    got = module_with(3, False)(2, 5)
    check.close(got, seen([[3, 2, 1, 0, 0], [4, 3, 2, 1, 0]], 3), "a bias of 2 queries, 5 keys, no offset", why=why)
    got = module_with(3, True)(4, 2)
    table = [[18, 19], [17, 18], [0, 17], [1, 0]]
    check.close(got, seen(table, 3), "a bias of 4 queries, 2 keys, no offset")


@pytest.mark.parametrize("offset", [0, 1, 5, -2])
def test_an_offset(offset):
    """With an offset, the first query is at that position; 0 is one like any other."""
    got = module_with(3, False)(2, 4, offset)
    table = [[max(at - key, 0) for key in range(4)] for at in (offset, offset + 1)]
    check.close(got, seen(table, 3), f"a bias of 2 queries, 4 keys, offset {offset}, one direction")


def test_token_by_token():
    """Query after query gives the rows that all queries at once give, whatever was asked before."""
    module = module_with(2, True)
    whole = module(7, 7)
    check.equal(tuple(whole.shape), (2, 7, 7), "the shape of a bias of 2 heads, 7 queries, 7 keys")
    for i in range(7):
        what = f"the last row of the bias of {i + 1} keys, up to where row {i} of the whole has come"
        check.close(module(1, i + 1)[:, 0], whole[:, i, : i + 1], what)


def test_buckets_of_the_module():
    """The module's own number of buckets and its max_distance count."""
    table = [[bucket_of(abs(key - 30), [0, 1, 2, 4]) + (4 if key > 30 else 0) for key in range(61)]]
    got = module_with(2, True, buckets=8, max_distance=8)(1, 61, 30)
    check.close(got, seen(table, 2), "a bias of one query at 30 and 61 keys, buckets=8, max_distance=8")
    table = [[bucket_of(40 - key, begins(6, 24)) for key in range(41)]]
    got = module_with(2, False, buckets=6, max_distance=24)(1, 41)
    check.close(got, seen(table, 2), "a bias of one query and 41 keys, one direction, buckets=6, max_distance=24")


def test_what_is_learned():
    """The one parameter is the weight; what a bucket gets as its gradient is the sum over all that took it."""
    module = module_with(2, False)
    check.equal([tuple(each.shape) for each in module.parameters()], [(32, 2)], "the shapes of the parameters")
    check.equal(len(module.state_dict()), 1, "how many entries the state_dict has")
    result = module(3, 4, 0)
    check.true(result.requires_grad, "the bias is connected with the weight, for training")
    (result * torch.tensor([1.0, 10.0])[:, None, None]).sum().backward()
    expected = torch.zeros(32, 2)
    expected[:3, 0] = torch.tensor([9.0, 2.0, 1.0])  # of 12 pairs, 9 at the query's place or ahead
    expected[:, 1] = 10 * expected[:, 0]
    check.close(module.weight.grad, expected, "the gradient of the weight")


def test_where_the_weight_starts(seed):
    """The weight is drawn from a normal distribution of standard deviation 0.02, and gives the bias as it is."""
    torch.manual_seed(seed)
    module = bias.T5RelativeBias(50, False, buckets=64)
    weight = module.weight.detach()
    check.close(weight.std(), torch.tensor(0.02), "the standard deviation of 64 · 50 weights", rtol=0.15)
    check.close(weight.mean(), torch.tensor(0.0), "the mean of 64 · 50 weights", atol=0.002)
    check.close(module(1, 4)[:, 0], weight[:4].T.flip(1), "the bias of one query and the four keys up to its place")


@pytest.mark.parametrize("device", DEVICES)
def test_the_device_of_the_module(device):
    """The bias is on the device that the module was moved to."""
    got = module_with(3, False).to(device)(2, 5)
    check.equal(got.device.type, device, f"the device of the bias, for a module on {device!r}")
    check.close(got, seen([[3, 2, 1, 0, 0], [4, 3, 2, 1, 0]], 3), f"a bias of 2 queries, 5 keys on {device!r}")


def test_a_converted_module():
    """A module in another number format gives its bias in that format, and tells far positions apart as before."""
    module = bias.T5RelativeBias(2, False).bfloat16()
    with torch.no_grad():
        module.weight.copy_(torch.arange(32)[:, None].expand(32, 2))
    got = module(2, 303, 301)
    check.equal(str(got.dtype), "torch.bfloat16", "the number format of the bias")
    table = [[bucket_of(max(at - key, 0), DECODER) for key in range(303)] for at in (301, 302)]
    check.close(got, torch.tensor(table).expand(2, 2, 303), "a bias of queries at 301 and 302 and 303 keys")


def test_a_further_key_is_in_no_lower_bucket():
    """The further behind a key is, the higher its bucket, or the same."""
    check.true(begins(16, 128) == ENCODER and begins(32, 128) == DECODER, "both ways to say the buckets agree")
    got = buckets([-d for d in range(2000)], bidirectional=False)
    check.true(all(0 <= one <= other <= 31 for one, other in pairwise(got)), "the buckets rise with the distance")
