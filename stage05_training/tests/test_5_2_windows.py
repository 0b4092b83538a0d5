"""5.2 · Windows: T tokens, and the same one later; one after the other, or from anywhere."""

from collections import Counter

import pytest

from bootcamp.grading import check, written

torch = pytest.importorskip("torch")

module = written("stage05_training.windows")


class Watched:
    """Tokens 0, 1, 2, …, of which stretches can be had and nothing else; notes how many were read."""

    def __init__(self, count):
        self.count, self.read = count, []

    def __len__(self):
        return self.count

    def __getitem__(self, key):
        if not isinstance(key, slice) or key.step not in (None, 1):
            raise TypeError(f"tokens are read as tokens[a:b]; got [{key!r}]")
        got = torch.arange(self.count)[key]
        self.read.append(len(got))
        return got


def generator(rng):
    """A generator with a random seed."""
    return torch.Generator().manual_seed(rng.randrange(1 << 32))


def pair(batch, what):
    """ids and targets of a batch, as lists."""
    check.true(
        all(isinstance(getattr(batch, name, None), torch.Tensor) for name in ("ids", "targets")),
        f"{what} is a Batch, with tensors for ids and targets",
        got=batch,
    )
    return [batch.ids.tolist(), batch.targets.tolist()]


# -- all windows


def test_one_later():
    """Of the tokens 10, 11, …, 15, the first window of 3 is 10, 11, 12, and its targets are 11, 12, 13."""
    window = module.WindowDataset(torch.arange(10, 16), 3)[0]
    why = "The model gives a prediction at each place; the target there is the token that comes next."
    check.equal(pair(window, "a window"), [[10, 11, 12], [11, 12, 13]], "ids and targets of the window", why=why)


def test_windows_side_by_side():
    """Without a stride, windows lie side by side: each begins T tokens behind the one before."""
    windows = module.WindowDataset(torch.arange(50, 70), 4)
    for i in range(4):
        first = 50 + 4 * i
        expected = [[*range(first, first + 4)], [*range(first + 1, first + 5)]]
        check.equal(pair(windows[i], "a window"), expected, f"ids and targets of window {i}")


@pytest.mark.parametrize("stride", [1, 2, 3, 7])
def test_the_stride(stride):
    """With a stride, window i begins at token i · stride."""
    windows = module.WindowDataset(torch.arange(50, 70), 5, stride)
    for i in (0, 1, 2):
        first = 50 + stride * i
        expected = [[*range(first, first + 5)], [*range(first + 1, first + 6)]]
        check.equal(pair(windows[i], "a window"), expected, f"ids and targets of window {i}, with stride {stride}")


SIZES = [
    (4, 3, None),
    (6, 3, None),
    (7, 3, None),
    (9, 3, 3),
    (10, 3, 1),
    (12, 3, 2),
    (13, 3, 2),
    (8, 3, 9),
    (2, 1, None),
]
SIZES += [(5, 1, 1), (30, 4, 11), (32, 6, 5), (31, 6, 5), (101, 10, None), (100, 10, None)]


@pytest.mark.parametrize("count, length, stride", SIZES)
def test_how_many(count, length, stride):
    """A window counts if its last token has a target too."""
    windows = module.WindowDataset(torch.arange(count), length, stride)
    expected = sum(start + length < count for start in range(0, count, stride or length))
    what = f"how many windows of {length} there are in {count} tokens, with the stride {stride}"
    check.equal(len(windows), expected, what, why="Windows of T tokens take T + 1, since the last needs a target.")


@pytest.mark.parametrize("count, length, stride", SIZES)
def test_the_last_window(count, length, stride):
    """The last window is whole, and behind it comes an IndexError."""
    windows = module.WindowDataset(torch.arange(count), length, stride)
    last = len(windows) - 1
    first = last * (stride or length)
    expected = [[*range(first, first + length)], [*range(first + 1, first + length + 1)]]
    check.equal(pair(windows[last], "a window"), expected, f"ids and targets of the last of {last + 1} windows")
    check.raises(IndexError, windows.__getitem__, last + 1, naming=[last + 1])
    check.raises(IndexError, windows.__getitem__, -1, naming=[-1])


def test_going_through():
    """A loop over the windows comes to an end, and with the stride T each target comes once."""
    windows = module.WindowDataset(torch.arange(40), 6)
    targets = [target for window in windows for target in window.targets.tolist()]
    check.equal(targets, [*range(1, 37)], "the targets of all windows of 6, out of 40 tokens")


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "int64"])
def test_windows_in_int64(kind):
    """Windows come in int64, whatever format the tokens have."""
    window = module.WindowDataset(torch.arange(20, dtype=getattr(torch, kind)), 5)[2]
    check.equal(pair(window, "a window"), [[*range(10, 15)], [*range(11, 16)]], f"a window of tokens in {kind}")
    formats = [str(window.ids.dtype), str(window.targets.dtype)]
    check.equal(formats, ["torch.int64"] * 2, f"the formats of ids and targets, of tokens in {kind}")
    check.equal([window.mask, window.positions], [None, None], "mask and positions of a window")


def test_a_window_reads_a_window():
    """Nothing is read before a window is asked for, and then no more than it takes."""
    tokens = Watched(90)
    windows = module.WindowDataset(tokens, 7, 5)
    check.equal(len(windows), 17, "how many windows of 7, with stride 5, there are in 90 tokens")
    check.equal(sum(tokens.read), 0, "how many tokens were read before a window was asked for")
    check.equal(windows[3].ids.tolist(), [*range(15, 22)], "the ids of window 3")
    claim = "for a window of 7 tokens and their targets, 16 are read at most"
    check.true(sum(tokens.read) <= 16, claim, got=f"{sum(tokens.read)} of 90")


def test_what_windows_cannot_be():
    """Lengths and strides below 1, or less than T + 1 tokens, are a ValueError with the numbers."""
    check.equal(len(module.WindowDataset(torch.arange(6), 5, 1)), 1, "how many windows of 5 there are in 6 tokens")
    for count, length, stride, naming in [
        (6, 0, 2, [0, 2]),
        (6, -3, None, [-3]),
        (6, 2, 0, [2, 0]),
        (6, 2, -4, [-4]),
        (6, 6, None, [7, 6]),
        (4, 8, 1, [9, 4]),
    ]:
        check.raises(ValueError, module.WindowDataset, torch.arange(count), length, stride, naming=naming)


# -- windows from anywhere


def test_a_random_batch():
    """A batch of 60 windows of 4 has ids (60, 4), and at each place the target is one later."""
    batch = module.random_batch(torch.arange(11), 60, 4)
    ids, targets = pair(batch, "the batch")
    check.equal([list(batch.ids.shape), list(batch.targets.shape)], [[60, 4]] * 2, "the shapes of ids and targets")
    check.equal({b - a for row in ids for a, b in zip(row, row[1:])}, {1}, "how much later a token is than the last")
    later = {b - a for one, other in zip(ids, targets) for a, b in zip(one, other)}
    check.equal(later, {1}, "how many tokens later a target is than the id in its place", why="Tokens are 0, 1, 2, …")


@pytest.mark.parametrize("kind", ["uint8", "int16", "int64"])
def test_batches_in_int64(kind):
    """Batches come in int64, whatever format the tokens have."""
    batch = module.random_batch(torch.arange(9, dtype=getattr(torch, kind)), 50, 2)
    pair(batch, "the batch")
    formats = [str(batch.ids.dtype), str(batch.targets.dtype)]
    check.equal(formats, ["torch.int64"] * 2, f"the formats of ids and targets, of tokens in {kind}")
    check.equal([batch.mask, batch.positions], [None, None], "mask and positions of the batch")


def test_each_start_comes(rng):
    """Windows begin at each token that has T tokens behind it, the first and the last of these included."""
    for count, length in [(12, 5), (9, 7), (8, 7), (7, 1)]:
        batch = module.random_batch(torch.arange(count), 400, length, generator(rng))
        starts = sorted(set(batch.ids[:, 0].tolist()))
        what = f"where 400 windows of {length} begin, out of {count} tokens"
        check.equal(starts, [*range(count - length)], what, why="The last one ends just before the last token.")


def far(counts, cells, total):
    """How far counts are from equal ones: about the number of cells, if only chance is at work (chi-squared)."""
    expected = total / cells
    return sum(each * each for each in counts.values()) / expected - total


def test_equally_likely(rng):
    """All starts are equally likely."""
    for count, length in [(12, 5), (30, 23)]:
        batch = module.random_batch(torch.arange(count), 7000, length, generator(rng))
        counts = Counter(batch.ids[:, 0].tolist())
        claim = f"the starts of 7,000 windows of {length}, out of {count} tokens, are about 1,000 of each kind"
        check.true(far(counts, 7, 7000) < 45, claim, got=f"{sorted(counts.items())}")


def test_independent(rng):
    """Each start is drawn without regard to the others, in a batch and from one batch to the next."""
    source, tokens = generator(rng), torch.arange(8)
    batches = [module.random_batch(tokens, 2000, 4, source).ids[:, 0].tolist() for _ in range(2)]
    for what, one, other in [
        ("a window and the next one", batches[0], batches[0][1:]),
        ("a window and the next but one", batches[0], batches[0][2:]),
        ("windows in the same place of two batches", *batches),
    ]:
        counts = Counter(zip(one, other))
        why = "There are 4 starts, so 16 pairs, and each comes about 125 times if only chance is at work."
        claim = f"of {what}, all pairs of starts are equally likely"
        check.true(far(counts, 16, min(len(one), len(other))) < 80, claim, got=f"{sorted(counts.items())}", why=why)


def test_anywhere(rng):
    """The windows of a batch lie here and there: where one begins says nothing of the next."""
    ids = module.random_batch(torch.arange(5000), 30, 4, generator(rng)).ids
    starts = ids[:, 0].tolist()
    spread = {b - a for a, b in zip(starts, starts[1:])}
    why = "Windows that lie side by side are of one text, and a step on them follows that text alone."
    check.true(len(spread) > 20, "30 windows out of 5,000 tokens lie at uneven distances", got=starts, why=why)


def test_more_windows_than_starts():
    """A batch may have more windows than there are starts: the same one can come again."""
    batch = module.random_batch(torch.arange(70, 76), 55, 5)
    check.equal(
        pair(batch, "the batch"), [[[*range(70, 75)]] * 55, [[*range(71, 76)]] * 55], "the only window there is"
    )


def test_the_generator_decides(rng):
    """The same generator gives the same batches, torch's own is left alone then, and the next batch is another."""
    tokens = torch.arange(9)
    seed = rng.randrange(1 << 32)
    before = torch.get_rng_state()
    one, other = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    first, second = (module.random_batch(tokens, 50, 3, one).ids.tolist() for _ in range(2))
    torch.rand(5)
    again = [module.random_batch(tokens, 50, 3, other).ids.tolist() for _ in range(2)]
    check.true(again == [first, second], "two generators with the same seed give the same two batches")
    check.true(first != second, "the second batch from a generator is another than the first")
    torch.set_rng_state(before)
    module.random_batch(tokens, 50, 3, one)
    left = bool(torch.equal(torch.get_rng_state(), before))
    check.true(left, "with a generator of one's own, torch's is where it was")


def test_torchs_own_generator():
    """Without a generator, torch's own is drawn from, which torch.manual_seed sets."""
    tokens = torch.arange(9)
    got = []
    for _ in range(2):
        torch.manual_seed(12)
        got += [module.random_batch(tokens, 50, 3).ids.tolist() for _ in range(2)]
    check.true(got[:2] == got[2:], "after the same torch.manual_seed, the same two batches come")
    check.true(got[0] != got[1], "the second batch is another than the first")


def test_a_batch_reads_a_batch():
    """For a batch, no more tokens are read than it holds."""
    tokens = Watched(500)
    batch = module.random_batch(tokens, 4, 6)
    check.equal(list(batch.ids.shape), [4, 6], "the shape of ids")
    claim = "for 4 windows of 6 tokens and their targets, 56 are read at most"
    check.true(sum(tokens.read) <= 56, claim, got=f"{sum(tokens.read)} of 500")


def test_what_batches_cannot_be():
    """Numbers below 1, or less than T + 1 tokens, are a ValueError with the numbers."""
    tokens = torch.arange(6)
    check.equal(module.random_batch(tokens, 2, 5).ids.tolist(), [[*range(5)]] * 2, "the only window, twice")
    for rows, length, naming in [(0, 2, [0, 2]), (-3, 2, [-3]), (2, 0, [2, 0]), (2, 6, [7, 6]), (1, 9, [10, 6])]:
        check.raises(ValueError, module.random_batch, tokens, rows, length, naming=naming)
