"""5.3 · Collating: texts of different lengths in one batch, and what must not come of it."""

from collections import Counter
from typing import Any

import pytest

from bootcamp.grading import check, written

torch = pytest.importorskip("torch")

module = written("stage05_training.collate")

IGNORE = -100


def made(function, *args, **kwargs):
    """A batch, held to have integers in int64 for ids and targets, of one shape (B, T); what was given is unchanged."""
    batch = check.unchanged(function, *args, **kwargs)
    tensors: list[Any] = [getattr(batch, name, None) for name in ("ids", "targets")]
    check.true(all(isinstance(each, torch.Tensor) for each in tensors), "ids and targets are tensors", got=batch)
    check.equal([str(each.dtype) for each in tensors], ["torch.int64"] * 2, "the formats of ids and targets")
    check.equal([each.dim() for each in tensors], [2, 2], "how many dimensions ids and targets have")
    return batch


def generator(rng):
    """A generator with a random seed."""
    return torch.Generator().manual_seed(rng.randrange(1 << 32))


def numbers(rng, *lengths):
    """Texts of these lengths, in which no id comes twice."""
    ids = iter(rng.sample(range(1, 5000), sum(lengths)))
    return [[next(ids) for _ in range(length)] for length in lengths]


def far(counts, cells, total):
    """How far counts are from equal ones: about the number of cells, if only chance is at work (chi-squared)."""
    expected = total / cells
    return sum(each * each for each in counts.values()) / expected - total


# -- padding


def test_a_short_text_is_filled_up():
    """[5, 6, 7, 8] makes three places, [9, 1] one: the other two are filled up, and their targets do not count."""
    batch = made(module.pad_batch, [[5, 6, 7, 8], [9, 1]], 3)
    check.equal(batch.ids.tolist(), [[5, 6, 7], [9, 3, 3]], "ids, filled up with 3")
    why = "Nothing is to be learnt where nothing stands: -100 says so to the loss."
    check.equal(batch.targets.tolist(), [[6, 7, 8], [1, -100, -100]], "targets", why=why)


def test_the_end_of_a_text_counts():
    """A text may hold what others are filled up with: its end-of-text is still to be predicted."""
    batch = made(module.pad_batch, [[5, 0, 6, 0], [0, 0], [7, 8, 0]], 0)
    why = "A model that never has the end of a text as a target never learns to stop."
    expected = [[0, 6, 0], [0, -100, -100], [8, 0, -100]]
    check.equal(batch.targets.tolist(), expected, "targets of [5, 0, 6, 0], [0, 0] and [7, 8, 0], pad_id=0", why=why)
    check.equal(batch.ids.tolist(), [[5, 0, 6], [0, 0, 0], [7, 8, 0]], "their ids")


def test_filled_up_with_0():
    """If no pad_id is given, it is 0."""
    batch = made(module.pad_batch, [[8, 9], [4, 5, 6]])
    check.equal(batch.ids.tolist(), [[8, 0], [4, 5]], "ids of [8, 9] and [4, 5, 6]")


def test_equal_texts_need_nothing():
    """Texts of one length fill the rows; a single one does too, and so do texts of two ids."""
    batch = made(module.pad_batch, [[1, 2, 3], [4, 5, 6]], 9)
    check.equal([batch.ids.tolist(), batch.targets.tolist()], [[[1, 2], [4, 5]], [[2, 3], [5, 6]]], "ids and targets")
    batch = made(module.pad_batch, [(7, 8), (8, 7)], 9)
    check.equal([batch.ids.tolist(), batch.targets.tolist()], [[[7], [8]], [[8], [7]]], "of (7, 8) and (8, 7)")
    batch = made(module.pad_batch, [[4, 3, 2, 1]], 9)
    check.equal([batch.ids.tolist(), batch.targets.tolist()], [[[4, 3, 2]], [[3, 2, 1]]], "of [4, 3, 2, 1] alone")


def test_padding_needs_no_mask():
    """A padded batch has neither a mask nor positions."""
    batch = made(module.pad_batch, [[1, 2, 3], [4, 5]])
    check.equal([batch.mask, batch.positions], [None, None], "mask and positions")


def test_texts_that_cannot_be_padded():
    """No text at all, or one of less than two ids, is a ValueError that says which."""
    check.equal(made(module.pad_batch, [[1, 2]]).ids.tolist(), [[1]], "ids of [1, 2]")
    check.raises(ValueError, module.pad_batch, [])
    check.raises(ValueError, module.pad_batch, [[5, 6], [5, 6, 7], [6], [5, 6]], naming=[2])
    check.raises(ValueError, module.pad_batch, [[5, 6]] * 7 + [[]], naming=[7])


@pytest.mark.varied
def test_random_texts_padded(rng):
    """Of random texts, each stands at the left of its row, with targets one later."""
    for rows in (2, 5, 9):
        texts = numbers(rng, *(rng.randint(2, 12) for _ in range(rows)))
        batch = made(module.pad_batch, texts, 77)
        width = max(map(len, texts)) - 1
        ids = [text[:-1] + [77] * (width + 1 - len(text)) for text in texts]
        targets = [text[1:] + [IGNORE] * (width + 1 - len(text)) for text in texts]
        check.equal(batch.ids.tolist(), ids, f"ids of {texts}")
        check.equal(batch.targets.tolist(), targets, f"targets of {texts}")


# -- buckets


def buckets(lengths, *args):
    """What bucket_by_length gives, held to be lists of integers; the lengths are what they were."""
    given = list(lengths)
    got = module.bucket_by_length(given, *args)
    check.true(given == lengths, "bucket_by_length leaves the lengths as they are", got=given)
    right = isinstance(got, (list, tuple)) and all(isinstance(each, (list, tuple)) for each in got)
    check.true(right, "batches come as a list of lists", got=got)
    return [[int(index) for index in batch] for batch in got]


def test_like_with_like():
    """Of texts of 9, 2, 8 and 3 ids, the two long ones make a batch, and the two short ones."""
    seen = {tuple(sorted(tuple(sorted(batch)) for batch in buckets([9, 2, 8, 3], 2))) for _ in range(30)}
    claim = "the batches are texts 0 and 2, and texts 1 and 3, whenever they are asked for"
    check.true(seen == {((0, 2), (1, 3))}, claim, got=sorted(seen))


@pytest.mark.parametrize("count, size", [(12, 3), (11, 4), (9, 2), (5, 7), (6, 1), (8, 8), (1, 1)])
def test_each_text_once(rng, count, size):
    """Each text is in one batch, once; all batches but one at most have the size that was asked for."""
    lengths = [rng.randint(2, 6) for _ in range(count)]
    got = buckets(lengths, size)
    told = f"{count} texts in batches of {size}"
    check.equal(sorted(index for batch in got for index in batch), [*range(count)], f"all indices, of {told}")
    expected = sorted([size] * (count // size) + [count % size] * (count % size > 0))
    check.equal(sorted(map(len, got)), expected, f"the sizes of the batches, sorted, of {told}")


def test_no_batch_reaches_into_another(rng):
    """The batches follow one another in length: none holds a text shorter than one of a batch before it."""
    for count, size in [(7, 2), (13, 4), (30, 5)]:
        lengths = [rng.randint(2, 20) for _ in range(count)]
        held = sorted(sorted(lengths[index] for index in batch) for batch in buckets(lengths, size, generator(rng)))
        claim = f"of batches of {size} of {count} texts, none holds lengths between those of another"
        check.true([each for batch in held for each in batch] == sorted(lengths), claim, got=held)


def test_equal_lengths_mix(rng):
    """Texts of the same length come together by chance: each two of them equally often."""
    source = generator(rng)
    partners = Counter()
    for _ in range(600):
        own = next((each for each in buckets([5, 5, 5, 5], 2, source) if 0 in each), [])
        partners[sum(own)] += 1
    claim = "of four texts of one length, each of the other three shares a batch with the first about 200 times in 600"
    check.true(far(partners, 3, 600) < 35, claim, got=f"{sorted(partners.items())}")


def test_equal_lengths_mix_over_the_cut(rng):
    """Which of the texts of one length go with a shorter one is left to chance too."""
    source = generator(rng)
    with_the_short = Counter()
    for _ in range(600):
        with_the_short[sum(next((each for each in buckets([7, 7, 3, 7], 2, source) if 2 in each), [])) - 2] += 1
    claim = "beside the one short text of [7, 7, 3, 7], each of the others comes about 200 times in 600"
    check.true(far(with_the_short, 3, 600) < 35, claim, got=f"{sorted(with_the_short.items())}")


def test_batches_in_any_order(rng):
    """The batches come in random order, not the short ones first."""
    source = generator(rng)
    orders = Counter(tuple(batch[0] // 2 for batch in buckets([2, 2, 5, 5, 8, 8], 2, source)) for _ in range(1200))
    why = "A model that meets all short texts first and all long ones last swings from one to the other."
    claim = "three batches come in each of their 6 orders about 200 times in 1,200"
    check.true(far(orders, 6, 1200) < 45, claim, got=f"{sorted(orders.items())}", why=why)


def test_the_generator_decides(rng):
    """The same generator gives the same batches, torch's own is left alone then, and those after are others."""
    seed, lengths = rng.randrange(1 << 32), [5] * 20 + [6] * 20
    before = torch.get_rng_state()
    one, other = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    first, second = (buckets(lengths, 3, one) for _ in range(2))
    torch.rand(5)
    again = [buckets(lengths, 3, other) for _ in range(2)]
    check.true(again == [first, second], "two generators with the same seed give the same batches, twice")
    check.true(first != second, "the batches of the next call are others")
    torch.set_rng_state(before)
    buckets(lengths, 3, one)
    left = bool(torch.equal(torch.get_rng_state(), before))
    check.true(left, "with a generator of one's own, torch's is where it was")


def test_torchs_own_generator():
    """Without a generator, torch's own is drawn from, which torch.manual_seed sets."""
    got = []
    for _ in range(2):
        torch.manual_seed(12)
        got += [buckets([5] * 20 + [6] * 20, 3) for _ in range(2)]
    check.true(got[:2] == got[2:], "after the same torch.manual_seed, the same batches come")
    check.true(got[0] != got[1], "the batches of the next call are others")


def test_batches_of_nothing():
    """A batch_size below 1 is a ValueError; no texts make no batches."""
    check.equal(buckets([], 3), [], "the batches of no texts")
    for size in (0, -2):
        check.raises(ValueError, module.bucket_by_length, [4, 5], size, naming=[size])


# -- packing


def layout(sizes, length):
    """First-fit decreasing by hand: of each row, which pieces (of so many places) lie in it, in their order."""
    rows = []
    for piece in sorted(range(len(sizes)), key=lambda piece: -sizes[piece]):
        for row in rows:
            if sum(sizes[each] for each in row) + sizes[piece] <= length:
                row.append(piece)
                break
        else:
            rows.append([piece])
    return rows


def packed(texts, length, pad_id):
    """What pack should give, worked out place by place: ids, targets, positions, and whose each place is."""
    pieces = [
        (text[start : min(start + length, len(text) - 1)], text[start + 1 : start + length + 1])
        for text in texts
        for start in range(0, len(text) - 1, length)
    ]
    table = [[], [], [], []]
    for row in layout([len(ids) for ids, _ in pieces], length):
        places = [(*pair, n, piece) for piece in row for n, pair in enumerate(zip(*pieces[piece]))]
        places += [(pad_id, IGNORE, n, -1) for n in range(length - len(places))]
        for column, values in zip(table, zip(*places)):
            column.append([*values])
    return table


def whole(texts, length, pad_id=0):
    """The batch that pack makes, held to have all that belongs to it."""
    batch = made(module.pack, texts, length, pad_id)
    for name, kind, dims in [("positions", "torch.int64", 2), ("mask", "torch.bool", 4)]:
        each: Any = getattr(batch, name, None)
        check.true(isinstance(each, torch.Tensor), f"the batch has {name}", got=each)
        check.equal([str(each.dtype), each.dim()], [kind, dims], f"format and number of dimensions of the {name}")
    return batch


def sees(batch, owners, what):
    """Hold the mask to letting each place see what belongs to its own piece; what comes later may be hidden or not."""
    owner = torch.tensor(owners)
    own = (owner[:, :, None] == owner[:, None, :])[:, None]
    check.equal(list(batch.mask.shape), list(own.shape), f"the shape of the mask of {what}")
    why = "From the ids of another text, a place would learn to predict what it will never have before it."
    crossing = batch.mask & ~own
    where = f"where a place sees another piece: [row, 0, query, key], {what}"
    check.equal(crossing.nonzero().tolist(), [], where, why=why)
    blind = own.tril() & ~batch.mask
    check.equal(blind.nonzero().tolist(), [], f"where a place does not see its own piece up to itself, {what}")


def test_two_texts_in_a_row():
    """[1, 2, 3] and [4, 5, 6, 7] make two and three places: one row of five."""
    batch = whole([[1, 2, 3], [4, 5, 6, 7]], 5)
    check.equal(batch.ids.tolist(), [[4, 5, 6, 1, 2]], "ids")
    why = "Behind the last id of a text, no text goes on: the first of the next one is no target."
    check.equal(batch.targets.tolist(), [[5, 6, 7, 2, 3]], "targets", why=why)


def test_positions_begin_anew():
    """In each text, the positions count from 0."""
    batch = whole([[1, 2, 3], [4, 5, 6, 7]], 5)
    check.equal(batch.positions.tolist(), [[0, 1, 2, 0, 1]], "positions of two texts in a row of 5")


def test_nothing_passes_from_text_to_text():
    """The mask lets a place see its own text, and no other in the row."""
    batch = whole([[1, 2, 3], [4, 5, 6, 7]], 5)
    sees(batch, [[0, 0, 0, 1, 1]], "[1, 2, 3] and [4, 5, 6, 7] in a row of 5")


def test_what_is_left_over():
    """Places behind the last text hold pad_id, count for nothing, and see each other alone."""
    batch = whole([[1, 2, 3, 4], [5, 6, 7]], 4, 9)
    check.equal(batch.ids.tolist(), [[1, 2, 3, 9], [5, 6, 9, 9]], "ids, pad_id=9")
    check.equal(batch.targets.tolist(), [[2, 3, 4, -100], [6, 7, -100, -100]], "targets")


def test_what_is_left_over_is_like_a_text():
    """Places behind the last text see each other, so that no row of weights is empty, and count from 0."""
    batch = whole([[1, 2, 3, 4], [5, 6, 7]], 4, 9)
    sees(batch, [[0, 0, 0, 1], [0, 0, 1, 1]], "[1, 2, 3, 4] and [5, 6, 7] in rows of 4")
    check.equal(batch.positions.tolist(), [[0, 1, 2, 0], [0, 1, 0, 1]], "positions")


def test_left_over_with_0():
    """If no pad_id is given, it is 0."""
    batch = made(module.pack, [[1, 2], [3, 4, 5]], 4)
    check.equal(batch.ids.tolist(), [[3, 4, 1, 0]], "ids")


def test_the_end_counts():
    """A text may hold pad_id itself, and its end is a target."""
    batch = whole([[0, 5, 0], [0, 0], [6, 0, 7, 0]], 7, 0)
    check.equal(batch.ids.tolist(), [[6, 0, 7, 0, 5, 0, 0]], "ids of [0, 5, 0], [0, 0], [6, 0, 7, 0]")
    check.equal(batch.targets.tolist(), [[0, 7, 0, 5, 0, 0, -100]], "targets of [0, 5, 0], [0, 0], [6, 0, 7, 0]")


@pytest.mark.parametrize(
    "places, length, rows",
    [
        ([3, 5, 4, 2], 7, [[1, 3], [2, 0]]),  # the longest first
        ([6, 5, 2, 1], 8, [[0, 2], [1, 3]]),
        ([5, 7, 3, 3, 1], 8, [[1, 4], [0, 2], [3]]),  # a row that was left behind still has room
        ([4, 4, 4, 4], 8, [[0, 1], [2, 3]]),  # of equal ones the first
        ([2, 6, 6, 2, 2], 8, [[1, 0], [2, 3], [4]]),
        ([7, 5, 3, 2], 10, [[0, 2], [1, 3]]),  # into the first row with room, not the fullest
        ([7, 5, 5, 1], 11, [[0, 3], [1, 2]]),
        ([5, 6, 2, 2], 8, [[1, 2], [0, 3]]),  # nor the emptiest
        ([1, 1, 1], 2, [[0, 1], [2]]),
    ],
    ids=str,
)
def test_first_fit_decreasing(places, length, rows):
    """The longest goes first, of equal ones the first; each into the first row that has room for it."""
    texts = [[100 * number + place for place in range(size + 1)] for number, size in enumerate(places, 1)]
    batch = made(module.pack, texts, length)
    got = [[*dict.fromkeys(id // 100 - 1 for id in row if id)] for row in batch.ids.tolist()]
    what = f"which texts lie in each row, in their order, of texts that take {places} places, with T = {length}"
    check.equal(got, rows, what)


def test_a_long_text_is_cut():
    """Eleven ids make ten places: with T = 4 two pieces of four and a rest of two, and no target is lost."""
    batch = whole([[*range(20, 31)]], 4)
    expected = [[20, 21, 22, 23], [24, 25, 26, 27], [28, 29, 0, 0]]
    check.equal(batch.ids.tolist(), expected, "ids of 20, 21, …, 30 with T = 4")
    why = "The last place of a piece still has the target that it had: the id that the next piece begins with."
    expected = [[21, 22, 23, 24], [25, 26, 27, 28], [29, 30, -100, -100]]
    check.equal(batch.targets.tolist(), expected, "targets of 20, 21, …, 30 with T = 4", why=why)
    check.equal(batch.positions.tolist(), [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 0, 1]], "positions")


@pytest.mark.parametrize("length, rows", [(3, [[0, 1, 2], [3, 4, 5]]), (6, [[0, 1, 2, 3, 4, 5]])])
def test_a_text_that_fits_exactly(length, rows):
    """A text that fills its rows to the last place leaves no rest."""
    batch = whole([[*range(7)]], length, 50)
    check.equal(batch.ids.tolist(), rows, f"ids of 0, 1, …, 6 with T = {length}")
    check.equal(batch.targets.tolist(), [[id + 1 for id in row] for row in rows], "targets")


def test_the_rest_finds_a_place():
    """Pieces of a long text are like texts: its rest goes beside another text that has room."""
    texts = [[91, 92, 93], [*range(10, 20)], [80, 81, 82, 83, 84, 85]]
    batch = whole(texts, 6)
    told = f"of {texts} with T = 6"
    expected = [[10, 11, 12, 13, 14, 15], [80, 81, 82, 83, 84, 0], [16, 17, 18, 91, 92, 0]]
    check.equal(batch.ids.tolist(), expected, f"ids {told}")
    expected = [[11, 12, 13, 14, 15, 16], [81, 82, 83, 84, 85, -100], [17, 18, 19, 92, 93, -100]]
    check.equal(batch.targets.tolist(), expected, f"targets {told}")
    sees(batch, [[0] * 6, [0] * 5 + [1], [0] * 3 + [1] * 2 + [2]], told)


def test_one_place_a_row():
    """With T = 1, each id but the last of its text makes a row."""
    batch = whole([[1, 2, 3, 4], [5, 6, 7, 8, 9, 10, 11]], 1)
    check.equal(batch.ids.tolist(), [[1], [2], [3], [5], [6], [7], [8], [9], [10]], "ids with T = 1")
    check.equal(batch.targets.tolist(), [[2], [3], [4], [6], [7], [8], [9], [10], [11]], "targets with T = 1")
    check.equal(batch.positions.tolist(), [[0]] * 9, "positions with T = 1")


def test_texts_that_cannot_be_packed():
    """No text, one of less than two ids (which one is said), or T below 1 is a ValueError."""
    check.equal(made(module.pack, [[1, 2]], 1).ids.tolist(), [[1]], "ids of [1, 2] with T = 1")
    check.raises(ValueError, module.pack, [], 4)
    check.raises(ValueError, module.pack, [[5, 6], [5, 6, 7], [6], [5, 6]], 4, naming=[2])
    for length in (0, -3):
        check.raises(ValueError, module.pack, [[5, 6]], length, naming=[length])


def test_a_model_sees_each_text_alone(rng):
    """Attention over a packed row, with its mask and positions, gives each text what it gets alone."""
    texts = numbers(rng, 4, 6, 3, 5, 2, 9)
    batch = whole(texts, 8, 0)
    alone = {text[0]: answers(torch.tensor([text[:-1]]), torch.arange(len(text) - 1)[None], None)[0] for text in texts}
    got = answers(batch.ids, batch.positions, batch.mask)
    check.true(bool(got.isfinite().all()), "attention gives numbers in all places", why="A row of nothing gives nan.")
    for row, ids in enumerate(batch.ids.tolist()):
        for text in texts:
            if text[0] in ids:
                start = ids.index(text[0])
                what = f"what attention gives to {text[:-1]} in a row of {ids}"
                check.close(got[row, start : start + len(text) - 1], alone[text[0]], what)


def answers(ids, positions, mask):
    """Causal attention of one head, whose keys turn with their positions and whose values are the ids."""
    causal = torch.ones(ids.shape[1], ids.shape[1]).tril().bool()
    allowed = causal[None] if mask is None else causal & mask[:, 0]
    scores = torch.sin(0.7 * positions[:, :, None] * positions[:, None, :] + 0.3 * ids[:, None, :].double())
    weights = scores.masked_fill(~allowed, -torch.inf).softmax(-1)
    return (weights @ ids[:, :, None].double())[..., 0] + positions


@pytest.mark.varied
def test_random_texts_packed(rng):
    """Random texts lie where first-fit decreasing puts them, and see what they should."""
    for count in (2, 5, 9, 14):
        length = rng.randint(3, 11)
        texts = numbers(rng, *(rng.randint(2, 16) for _ in range(count)))
        ids, targets, positions, owners = packed(texts, length, 5001)
        batch = whole(texts, length, 5001)
        told = f"of {texts} with T = {length}"
        check.equal(batch.ids.tolist(), ids, f"ids {told}")
        check.equal(batch.targets.tolist(), targets, f"targets {told}")
        check.equal(batch.positions.tolist(), positions, f"positions {told}")
        sees(batch, owners, told)
