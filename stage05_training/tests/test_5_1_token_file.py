"""5.1 · A token file: small ids in few bytes, written part by part, and read where they are asked for."""

import contextlib
import pickle
import struct
import tracemalloc

import pytest

from bootcamp.grading import check, written

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
overrides = pytest.importorskip("torch.overrides")

module = written("stage05_training.token_file")

HEAD = 24  # bytes
FEW = [30, 10, 40, 10, 50, 90, 20, 60, 50]  # ids


def file_of(folder, ids, vocab_size=300, width=2, name="some.tokens"):
    """A token file that the grader writes itself, as the text of the module says; gives its path."""
    path = folder / name
    body = np.asarray(ids).astype(f"<u{width}").tobytes()
    path.write_bytes(struct.pack("<8sIIQ", b"TOKENS\r\n", width, vocab_size, len(ids)) + body)
    return path


def read(path, width=2):
    """The ids that stand in a file behind its head."""
    return np.frombuffer(path.read_bytes()[HEAD:], dtype=f"<u{width}").tolist()


def share(tokens, *args, **kwargs):
    """What split gives, as two places each: where the parts begin and end."""
    got = module.split(tokens, *args, **kwargs)
    pair = isinstance(got, (tuple, list)) and len(got) == 2
    check.true(pair, "split gives two files, one for training and one for validation", got=got)
    return [[part.start, part.stop] for part in got]


@contextlib.contextmanager
def most(found):
    """Note in `found` how many bytes were taken at most, and how many numbers the largest int64 tensor had."""

    class Watch(overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            got = func(*args, **(kwargs or {}))
            if isinstance(got, torch.Tensor) and got.dtype == torch.int64:
                found["bytes"] = max(found["bytes"], 8 * got.numel())
            return got

    found["bytes"] = 0
    tracemalloc.start()
    try:
        with Watch():
            yield
        found["bytes"] = max(found["bytes"], tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


# -- how many bytes an id takes


def test_as_few_bytes_as_will_do():
    """The largest id is one less than the size of the vocabulary: 256 ids go into one byte, 65,536 into two."""
    sizes = [1, 2, 255, 256, 257, 50257, 65535, 65536, 65537, 1 << 31, (1 << 31) + 1, (1 << 32) - 1]
    for size in sizes:
        width = 1 if size - 1 < 1 << 8 else 2 if size - 1 < 1 << 16 else 4
        got = module.token_dtype(size)
        check.true(isinstance(got, np.dtype), f"token_dtype({size}) is a numpy dtype", got=got)
        check.equal(got.itemsize, width, f"how many bytes the type of token_dtype({size}) takes")


def test_no_sign_and_least_byte_first():
    """The types have no sign, and the least byte comes first, on any machine."""
    got = [module.token_dtype(size).str for size in (100, 1000, 100_000)]
    check.equal(got, ["|u1", "<u2", "<u4"], "the types for 100, 1,000 and 100,000 ids, as numpy writes them")


def test_sizes_that_no_type_has():
    """A vocabulary of no ids, or of 2³² and more, is a ValueError."""
    check.equal(module.token_dtype(3).itemsize, 1, "how many bytes the type of token_dtype(3) takes")
    for size in (0, -4, 1 << 32):
        check.raises(ValueError, module.token_dtype, size, naming=[size])


# -- writing


def test_what_stands_in_the_file(tmp_path):
    """[[3, 1, 4], [1, 5]] of 300 ids makes a head of 24 bytes and five ids of two bytes each."""
    path = tmp_path / "few.tokens"
    check.returns(5, module.write_tokens, path, [[3, 1, 4], [1, 5]], 300)
    data = path.read_bytes()
    check.equal(data[HEAD:], b"\3\0\1\0\4\0\1\0\5\0", "the bytes behind the head")
    expected = (b"TOKENS\r\n", 2, 300, 5)
    check.equal(struct.unpack("<8sIIQ", data[:HEAD]), expected, "the head: what it is, bytes of an id, V, how many")


@pytest.mark.parametrize("vocab_size, width", [(256, 1), (65536, 2), ((1 << 32) - 1, 4)])
def test_the_largest_id(tmp_path, vocab_size, width):
    """Ids from 0 to the largest come into the file as they are."""
    ids = [vocab_size - 1, 0, vocab_size // 2, vocab_size - 2, 1]
    path = tmp_path / "edge.tokens"
    check.equal(module.write_tokens(path, [ids], vocab_size), 5, f"how many ids of {vocab_size} were written")
    check.equal(path.stat().st_size, HEAD + 5 * width, f"the size of a file with 5 ids of {vocab_size}, in bytes")
    check.equal(read(path, width), ids, f"the ids in the file, of a vocabulary of {vocab_size}")


def parts_of(kind):
    """The ids of `FEW` twice, in parts of some kind."""
    ids = FEW * 2
    if kind == "a generator":
        return (ids[i : i + 4] for i in range(0, len(ids), 4))
    if kind == "empty parts":
        return [[], ids[:7], [], [], ids[7:], []]
    if kind == "every other id of an array":
        return [np.repeat(np.array(ids), 2)[::2]]
    if kind == "one id a part":
        return [[id] for id in ids]
    return [np.array(ids[:5], dtype=kind), np.array(ids[5:], dtype=kind)]


KINDS = ["a generator", "empty parts", "one id a part", "every other id of an array", "u1", "u2", "<u4", "i8", ">i4"]


@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_any_kind(tmp_path, kind):
    """The parts may be lists or arrays of any integers, empty ones too, and come from a generator."""
    path = tmp_path / "parts.tokens"
    check.equal(module.write_tokens(path, parts_of(kind), 300), 18, f"how many ids were written, from {kind}")
    check.equal(read(path), FEW * 2, f"the ids in the file, from {kind}")


OUTSIDE = [
    (256, [[1, 2, 3], [4, 5, 256, 6]], 256, 5),
    (300, [[7] * 60, [65536 + 8]], 65544, 60),
    (300, [[0] * 20, [1], [0] * 20 + [-7, 9999]], -7, 41),
    (200, [[3] * 16, np.array([9, 250, 9], dtype="u1")], 250, 17),
    (70_000, [np.array([5] * 30 + [70_000] + [5] * 6)], 70_000, 30),
    (256, [[9] * 12, np.array([-250] * 3)], -250, 12),
    (300, [[0] * 18, [-1]], -1, 18),
]


@pytest.mark.parametrize("vocab_size, parts, id, place", OUTSIDE, ids=str)
def test_ids_out_of_range(tmp_path, vocab_size, parts, id, place):
    """An id that is negative or too large is a ValueError with the id and the largest that there is."""
    why = "A smaller type takes any number, and keeps its last bits: 256 in one byte is 0."
    path = tmp_path / "wrong.tokens"
    check.raises(ValueError, module.write_tokens, path, parts, vocab_size, naming=[id, vocab_size - 1], why=why)


def test_the_place_of_an_id_out_of_range(tmp_path):
    """The error says which of all ids it was, counted from 0 over all parts."""
    for vocab_size, parts, _, place in OUTSIDE:
        path = tmp_path / "wrong.tokens"
        check.raises(ValueError, module.write_tokens, path, parts, vocab_size, naming=[place])


def test_nothing_to_write(tmp_path):
    """No ids at all are a ValueError, in no part or in empty ones."""
    path = tmp_path / "none.tokens"
    for parts in ([], [[]], [[], np.array([], dtype="u4"), []]):
        check.raises(ValueError, module.write_tokens, path, parts, 40)
    check.equal(module.write_tokens(path, [[], [39]], 40), 1, "how many ids of [[], [39]] were written")


def test_what_stood_there_still_does(tmp_path):
    """If something goes wrong on the way, the file is what it was, and nothing else lies in the folder."""
    path = tmp_path / "kept.tokens"
    module.write_tokens(path, [FEW], 300)
    check.equal(read(path), FEW, "the ids in the file")
    before = path.read_bytes()

    def broken():
        yield [1, 2, 3]
        raise OSError("the text cannot be read on")

    check.raises(ValueError, module.write_tokens, path, [[1, 2], [3, 300]], 300)
    check.raises(OSError, module.write_tokens, path, broken(), 300)
    check.equal(path.read_bytes(), before, "the file, after two writes that went wrong")
    check.equal([each.name for each in tmp_path.iterdir()], ["kept.tokens"], "the files in the folder")
    module.write_tokens(path, [[8, 9]], 300)
    check.equal(read(path), [8, 9], "the ids in the file, after a write that went well")


def test_one_part_in_memory(tmp_path):
    """Memory never holds more than a part or two."""
    some = np.arange(1000)
    path = tmp_path / "long.tokens"
    module.write_tokens(path, [some], 80_000)
    found = {}
    with most(found):
        count = module.write_tokens(path, (some + 500 * i for i in range(150)), 80_000)
    check.equal(count, 150_000, "how many ids of 150 parts were written")
    claim = "while 150 parts of 1,000 ids come to a file of 600 KB, less than 300 KB is held in memory"
    check.true(found["bytes"] < 300_000, claim, got=f"{found['bytes']:,} bytes at most")


# -- reading


def test_a_few_tokens(tmp_path):
    """tokens[2:5] gives tokens 2, 3 and 4 of the file."""
    tokens = module.TokenFile(file_of(tmp_path, FEW))
    check.equal(len(tokens), 9, "how many tokens the file has")
    check.equal(tokens[2:5].tolist(), [40, 10, 50], f"tokens[2:5] of {FEW}")
    check.equal(tokens[:].tolist(), FEW, "tokens[:]")


@pytest.mark.parametrize("width, vocab_size", [(1, 256), (2, 65536), (4, (1 << 32) - 1)])
def test_integers_in_int64(tmp_path, width, vocab_size):
    """Whatever the file keeps them in, tokens come in int64."""
    ids = [3, vocab_size - 1, 0, vocab_size // 2, 77]
    tokens = module.TokenFile(file_of(tmp_path, ids, vocab_size, width))
    got = tokens[1:4]
    check.true(isinstance(got, torch.Tensor), "tokens[1:4] is a tensor", got=got)
    check.equal(str(got.dtype), "torch.int64", f"the format of tokens[1:4] from a file of {width} bytes an id")
    check.equal(got.tolist(), ids[1:4], f"tokens[1:4] of {ids}, from a file of {width} bytes an id")
    check.equal(tokens.vocab_size, vocab_size, "the size of the vocabulary")


def test_a_stretch(tmp_path):
    """Of a file from `start` to before `stop`, token 0 is the one at `start`, and there are stop - start."""
    path = file_of(tmp_path, FEW)
    for start, stop in [(2, 7), (0, 4), (8, 9), (5, None), (3, 3), (9, None)]:
        tokens = module.TokenFile(path, start, stop)
        what = f"of TokenFile(path, {start}, {stop}), where the file holds {FEW}"
        check.equal(len(tokens), len(FEW[start:stop]), f"the length {what}")
        check.equal(tokens[0 : len(FEW[start:stop])].tolist(), FEW[start:stop], f"all tokens {what}")
        named = [tokens.path, tokens.start, tokens.stop, tokens.vocab_size]
        check.equal(named, [path, start, len(FEW) if stop is None else stop, 300], f"path, start, stop, V {what}")


def sliced(folder, cases):
    """Hold slices [a:b] of whole files and of stretches to what the same slices of a list give."""
    path = file_of(folder, FEW)
    for start, stop in [(0, None), (3, 8)]:
        tokens, ids = module.TokenFile(path, start, stop), FEW[start:stop]
        for a, b in cases:
            got = tokens[a:b]
            what = f"tokens[{'' if a is None else a}:{'' if b is None else b}] of TokenFile(path, {start}, {stop})"
            check.equal(got.tolist(), ids[a:b], f"{what}, which holds {ids}")
            check.equal(str(got.dtype), "torch.int64", f"the format of {what}")


def test_slices_within(tmp_path):
    """Slices go from a to before b; what is left out means the beginning, or the end, of the stretch."""
    sliced(tmp_path, [(a, b) for a in range(6) for b in range(a + 1, 6)])
    sliced(tmp_path, [(None, None), (None, 3), (0, None), (2, None), (4, None)])


def test_slices_of_nothing(tmp_path):
    """A slice that ends where it begins, or before, has no tokens."""
    sliced(tmp_path, [(0, 0), (5, 5), (None, 0), (3, 3), (4, 1), (5, 0), (1, 0)])


def test_slices_from_the_end(tmp_path):
    """Negative numbers count from the end of the stretch."""
    sliced(tmp_path, [(-1, None), (-3, None), (None, -2), (1, -1), (-4, -1), (-5, 5), (-2, 5), (-1, -3), (-2, 1)])


def test_slices_that_are_too_long(tmp_path):
    """A slice that is too long stops at the end of the stretch, or begins with it: it never leaves it."""
    why = "Behind the stretch for training lies the one for validation."
    tokens = module.TokenFile(file_of(tmp_path, FEW, name="long.tokens"), 3, 8)
    check.equal(tokens[2:6].tolist(), FEW[5:8], f"tokens[2:6] of tokens 3 to 8 of {FEW}", why=why)
    cases = [(0, 10), (2, 11), (4, 1 << 40), (9, None), (9, 12), (1 << 40, None), (7, 6)]
    sliced(tmp_path, [*cases, (-10, None), (-11, 2), (-12, -10), (None, -12), (-100, 100)])


def test_only_slices(tmp_path):
    """What is no slice, or has a step, is a TypeError."""
    tokens = module.TokenFile(file_of(tmp_path, FEW))
    check.equal(tokens[3:6:1].tolist(), FEW[3:6], "tokens[3:6:1]")
    for key in (3, -1, slice(0, 8, 2), slice(None, None, -1), [1, 2]):
        check.raises(TypeError, tokens.__getitem__, key)


def test_what_came_is_ones_own(tmp_path):
    """What is done to the tokens that came is not done to the file."""
    path = file_of(tmp_path, FEW)
    tokens = module.TokenFile(path)
    before = path.read_bytes()
    got = tokens[1:6]
    got += 100
    check.equal(tokens[1:6].tolist(), FEW[1:6], "tokens[1:6], after 100 was added to what came the first time")
    check.equal(path.read_bytes(), before, "the file, after 100 was added to what came from it")


def test_opened_for_reading(tmp_path, monkeypatch):
    """The file is opened for reading only."""
    path = file_of(tmp_path, FEW)
    modes = []

    def watched(file, mode="r", *args, **kwargs):
        modes.append(mode)
        return really(file, mode, *args, **kwargs)

    really = open
    monkeypatch.setattr("builtins.open", watched)
    monkeypatch.setattr("io.open", watched)
    tokens = module.TokenFile(path)
    got = tokens[1:3].tolist()
    monkeypatch.undo()
    check.equal(got, FEW[1:3], "tokens[1:3]")
    writing = [mode for mode in modes if set(mode) & set("wax+")]
    check.equal(writing, [], "the modes in which the file was opened that let it be written")


def test_what_is_asked_for_is_read(tmp_path):
    """The tokens stay on disk: a slice of 10 takes no memory for two million."""
    count = 2_000_000
    ids = np.arange(count) % 251
    path = file_of(tmp_path, ids, 251, 1)
    list(module.TokenFile(path)[:3])
    found = {}
    with most(found):
        tokens = module.TokenFile(path, 7)
        got = [tokens[a : a + 10] for a in (0, 1_000_003, count - 17)]
    expected = [ids[7 + a : 17 + a].tolist() for a in (0, 1_000_003, count - 17)]
    check.equal([each.tolist() for each in got], expected, "three slices of 10 tokens")
    claim = "three slices of 10 tokens, out of a file of 2 MB, take less than 1 MB of memory"
    check.true(found["bytes"] < 1_000_000, claim, got=f"{found['bytes']:,} bytes at most")
    kept = max(each.untyped_storage().nbytes() for each in got)
    claim = "what came is a tensor of its own, and no view that keeps all the others in memory"
    check.true(kept < 1_000_000, claim, got=f"a view of {kept:,} bytes")


def test_it_travels_by_name(tmp_path):
    """To another process goes the name of the file, not what is in it."""
    path = file_of(tmp_path, FEW * 1000)
    tokens = module.TokenFile(path, 4, 8000)
    sent = pickle.dumps(tokens)
    check.true(len(sent) < 4000, "a pickled TokenFile of 16 KB of tokens is small", got=f"{len(sent):,} bytes")
    there = pickle.loads(sent)
    check.equal([there.start, there.stop, len(there)], [4, 8000, 7996], "start, stop and length, sent and received")
    check.equal(there[2:6].tolist(), FEW[6:9] + FEW[:1], "tokens[2:6], sent and received")


def test_files_that_are_refused(tmp_path):
    """A foreign file, one that is too short or too long, or a stretch that is not in it, is a ValueError."""
    path = file_of(tmp_path, FEW)
    check.equal(module.TokenFile(path)[:2].tolist(), FEW[:2], "tokens[:2] of a file that is whole")
    whole = path.read_bytes()
    other = tmp_path / "other.tokens"
    for data, naming in [
        (b"", []),
        (whole[:10], []),
        (b"Once upon a time there was a fox.", []),
        (whole.replace(b"\r\n", b"\n"), []),
        (whole[:-1], [42, 41]),
        (whole[:-6], [42, 36]),
        (whole + b"\0\0\0", [42, 45]),
        (whole[:8] + b"\3" + whole[9:], []),
    ]:
        other.write_bytes(data)
        check.raises(ValueError, module.TokenFile, other, naming=naming)
    for start, stop in [(-1, None), (0, 10), (10, None), (5, 4)]:
        check.raises(ValueError, module.TokenFile, path, start, stop)
    check.raises(FileNotFoundError, module.TokenFile, tmp_path / "nowhere.tokens")


@pytest.mark.varied
def test_written_and_read(rng, tmp_path):
    """Random ids, in random parts, come back from any stretch."""
    for case in range(20):
        vocab_size = rng.choice([2, 200, 256, 257, 5000, 65536, 65537, 1 << 20, (1 << 32) - 1])
        ids = [rng.randrange(vocab_size) for _ in range(rng.randint(1, 60))]
        cuts = sorted(rng.randint(0, len(ids)) for _ in range(rng.randint(0, 5)))
        parts = [ids[a:b] for a, b in zip([0, *cuts], [*cuts, len(ids)])]
        path = tmp_path / f"{case}.tokens"
        module.write_tokens(path, parts, vocab_size)
        start = rng.randint(0, len(ids))
        stop = rng.randint(start, len(ids))
        got = module.TokenFile(path, start, stop)[:].tolist()
        check.equal(got, ids[start:stop], f"tokens {start} to {stop} of {len(ids)}, of a vocabulary of {vocab_size}")


# -- two parts


def test_nothing_in_both(tmp_path):
    """Of ten tokens, with a share of 0.3, seven are for training and the last three for validation."""
    path = file_of(tmp_path, range(10, 20))
    tokens = module.TokenFile(path)
    check.equal(share(tokens, 0.3), [[0, 7], [7, 10]], "where training and validation begin and end")
    train, held = module.split(tokens, 0.3)
    got = [train[:].tolist(), held[:].tolist()]
    check.equal(got, [[*range(10, 17)], [17, 18, 19]], "the tokens for training, and for validation")
    check.equal(train[5:9].tolist(), [15, 16], "train[5:9], of seven tokens")


@pytest.mark.parametrize(
    "count, validation, number",
    [(100, 0.1, 10), (37, 0.1, 4), (33, 0.1, 3), (24, 0.9, 22), (19, 0.8, 15), (3, 0.1, 1), (2, 0.5, 1), (2, 0.01, 1)],
)
def test_how_many_for_validation(tmp_path, count, validation, number):
    """Validation gets the nearest whole number to its share, but one at least."""
    tokens = module.TokenFile(file_of(tmp_path, [*range(count)]))
    got = share(tokens, validation)
    what = f"where training and validation begin and end, of {count} tokens with a share of {validation}"
    check.equal(got, [[0, count - number], [count - number, count]], what)


def test_a_tenth_if_nothing_is_said(tmp_path):
    """A tenth is for validation if nothing is said."""
    tokens = module.TokenFile(file_of(tmp_path, [*range(60)]))
    check.equal(share(tokens), [[0, 54], [54, 60]], "where training and validation begin and end, of 60 tokens")


def test_part_of_a_stretch(tmp_path):
    """A stretch is cut within itself."""
    path = file_of(tmp_path, range(100))
    check.equal(share(module.TokenFile(path, 30, 70), 0.2), [[30, 62], [62, 70]], "tokens 30 to 70, cut with 0.2")
    train, _ = module.split(module.TokenFile(path, 11), 0.3)
    check.equal(share(train, 0.5), [[11, 42], [42, 73]], "the training part of tokens 11 to 100, cut in two itself")
    path = file_of(tmp_path, [4, 4, 4, 9, 4, 4, 4, 4, 9, 4, 4, 4, 9, 4])
    got = share(module.TokenFile(path, 2, 13), 0.5, 9)
    check.equal(got, [[2, 9], [9, 13]], "tokens 2 to 13, cut in half, then behind the next 9")


DOCUMENTS = [5, 6, 7, 0, 8, 9, 5, 5, 0, 6, 6, 0]


@pytest.mark.parametrize(
    "validation, cut",
    [(0.6, 9), (0.59, 9), (0.5, 9), (0.34, 9), (0.25, 9), (0.67, 4), (0.75, 4), (0.83, 4), (0.92, 4)],
)
def test_documents_stay_whole(tmp_path, validation, cut):
    """With end_id, a cut within a document moves on to just behind its end; one between two documents stays."""
    tokens = module.TokenFile(file_of(tmp_path, DOCUMENTS))
    what = f"where training and validation begin and end: {DOCUMENTS}, cut with {validation}, end_id=0"
    why = "A document of which one half was trained on is no test: the model has seen who it is about."
    check.equal(share(tokens, validation, end_id=0), [[0, cut], [cut, 12]], what, why=why)


def test_a_share_that_takes_all(tmp_path):
    """If the share leaves nothing for training, that is a ValueError, unless the cut moves on behind an end."""
    tokens = module.TokenFile(file_of(tmp_path, DOCUMENTS))
    try:
        got = share(tokens, 0.97, end_id=0)
    except ValueError:
        got = [[0, 4], [4, 12]]
    check.equal(got, [[0, 4], [4, 12]], f"where training and validation begin and end: {DOCUMENTS}, cut with 0.97")


def test_without_end_id(tmp_path):
    """Without end_id, no token is taken for an end."""
    tokens = module.TokenFile(file_of(tmp_path, DOCUMENTS))
    check.equal(share(tokens, 0.5), [[0, 6], [6, 12]], f"where the parts begin and end: {DOCUMENTS}, cut in half")


@pytest.mark.parametrize("behind", [1, 2, 65535, 65536, 65537, 131072, 131073])
def test_the_end_may_be_far(tmp_path, behind):
    """The end of the document is found, however far behind the cut it is."""
    ids = np.ones(300_000)
    ids[100_000 + behind - 1 :] = 3
    tokens = module.TokenFile(file_of(tmp_path, ids, 4, 1))
    got = share(tokens, 2 / 3, end_id=3)
    cut = 100_000 + behind
    check.equal(got, [[0, cut], [cut, 300_000]], f"where the parts begin and end, with the end {behind} behind the cut")


def test_looking_takes_little_memory(tmp_path):
    """On the way to the end, tokens are read a stretch at a time."""
    count = 4_000_000
    ids = np.ones(count)
    ids[450_000:] = 3
    tokens = module.TokenFile(file_of(tmp_path, ids, 4, 1))
    module.split(tokens, 0.5)
    found = {}
    with most(found):
        got = share(tokens, 0.9, end_id=3)
    check.equal(got, [[0, 450_001], [450_001, count]], "where the parts begin and end")
    claim = "the end is looked for in less than 16 MB of memory (all tokens behind the cut, in int64, take 29 MB)"
    check.true(found["bytes"] < 16_000_000, claim, got=f"{found['bytes']:,} bytes at most")


def test_nothing_left(tmp_path):
    """A share out of range, or nothing for one of the parts, is a ValueError."""
    path = file_of(tmp_path, DOCUMENTS)
    tokens = module.TokenFile(path)
    check.equal(share(tokens, 0.25), [[0, 9], [9, 12]], "where training and validation begin and end")
    for validation in (0.0, 1.0, -0.1, 1.5):
        check.raises(ValueError, module.split, tokens, validation, naming=[validation])
    for start, stop, validation, end in [
        (0, 1, 0.5, None),
        (0, 2, 0.9, None),
        (0, 0, 0.5, None),
        (0, 12, 0.1, 0),
        (0, 12, 0.5, 77),
        (4, 7, 0.4, 0),
    ]:
        check.raises(ValueError, module.split, module.TokenFile(path, start, stop), validation, end)
