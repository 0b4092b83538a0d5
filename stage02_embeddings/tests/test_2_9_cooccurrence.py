"""2.9 + · Embeddings from counts: neighbours counted, weighed, compressed and written."""

import contextlib
import math
import os
import struct

import numpy as np
import pytest
import torch
from torch import nn

from bootcamp.grading import check, written

cooccurrence = written("stage02_embeddings.cooccurrence")
initialise = written("stage02_embeddings.initialise")


# -- cooccurrence


def counted(expected, ids, *args, why=""):
    """Hold counts to a table, given as rows."""
    got = check.unchanged(cooccurrence.cooccurrence, ids, *args)
    call = check.call_text(cooccurrence.cooccurrence, (ids, *args), {})
    check.equal(getattr(got, "dtype", None), torch.float64, f"the dtype of {call}")
    check.equal(got, torch.tensor(expected, dtype=torch.float64), call, why=why)


def test_neighbours():
    """With a window of 1, each two neighbours count once from each side."""
    counted([[0, 1, 0], [1, 0, 2], [0, 2, 0]], [0, 1, 2, 1], 1)
    counted([[0, 0, 1], [0, 0, 0], [1, 0, 0]], [2, 0], 1)


def test_window():
    """A window of two reaches two places far in both directions, no further, and all of it has weight 1."""
    why = "0 and 2 stand two places apart, 0 and 3 three."
    counted([[0, 1, 1, 0], [1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 0]], [0, 1, 2, 3], 2, why=why)


def test_wider_windows():
    """A window of three reaches three places far, one of four reaches four, and one of five five."""
    why = "0 and 3 stand three places apart."
    counted([[0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]], [0, 1, 2, 3], 3, why=why)
    why = "The first place and the last are five apart."
    counted([[0, 4, 0], [4, 12, 4], [0, 4, 0]], [0, 1, 1, 1, 1, 2], 4, why=why)
    counted([[0, 4, 1], [4, 12, 4], [1, 4, 0]], [0, 1, 1, 1, 1, 2], 5, why=why)


def test_window_wider_than_the_document():
    """A window that reaches beyond both ends counts what there is."""
    counted([[0, 1, 1], [1, 0, 1], [1, 1, 0]], [0, 1, 2], 9)
    counted([[0, 1], [1, 0]], [1, 0], 1000)


def test_an_id_beside_itself():
    """Two places with the same id count from both sides, as two places with different ids do."""
    counted([[2]], [0, 0], 1, why="The first 0 has one 0 near it, and so has the second: 1 + 1.")
    counted([[6]], [0, 0, 0], 2)
    counted([[0, 2, 1], [2, 2, 1], [1, 1, 0]], [1, 0, 1, 2], 2, why="The two 1s are two places apart.")


def test_no_place_is_near_itself():
    """One place alone has nothing near it."""
    counted([[0, 0], [0, 0]], [1], 3)


def test_documents():
    """Several documents are counted each for itself: the end of one is not near the start of the next."""
    why = "2 ends the first document, 0 begins the second."
    counted([[0, 1, 0], [1, 0, 1], [0, 1, 0]], [[1, 2], [0, 1]], 2, why=why)
    counted([[0, 2], [2, 0]], [[0, 1], [], [1], [1, 0], []], 1)


def test_size_of_the_vocabulary():
    """vocab_size makes room for ids that do not come; without it the largest id that comes is the last."""
    counted([[0, 1, 0], [1, 0, 0], [0, 0, 0]], [1, 0], 1, 3)
    got = cooccurrence.cooccurrence([[4, 2], [0, 1]], 1)
    check.equal(list(got.shape), [5, 5], "the shape of cooccurrence([[4, 2], [0, 1]], 1)")


@pytest.mark.parametrize(
    "ids",
    [
        (0, 1, 2, 1),
        torch.tensor([0, 1, 2, 1]),
        [torch.tensor([0, 1, 2, 1])],
        ((0, 1, 2, 1),),
        torch.tensor([[0, 1, 2, 1]]),
    ],
    ids=["a tuple", "a tensor", "a list of tensors", "a tuple of tuples", "a tensor of documents"],
)
def test_kinds_of_sequences(ids):
    """Ids may stand in lists, tuples or tensors."""
    counted([[0, 1, 0], [1, 0, 2], [0, 2, 0]], ids, 1)


def test_counts_pair_by_pair(rng):
    """For random documents, the counts are those that looking at each pair of places gives."""

    def probe(document):
        size, window = 6, 1 + len(document) % 5
        expected = torch.zeros(size, size, dtype=torch.float64)
        for i, one in enumerate(document):
            for j, other in enumerate(document):
                expected[one, other] += 0 < abs(i - j) <= window
        got = cooccurrence.cooccurrence(document, window, size)
        check.equal(got, expected, f"cooccurrence({check.show(document)}, {window}, {size})")

    check.for_all([[rng.randrange(6) for _ in range(length)] for length in (2, 3, 5, 8, 21, 40)], probe)


@pytest.mark.parametrize(
    "naming, args",
    [
        ([0], ([1, 2], 0)),
        ([7, 3], ([0, 7], 1, 4)),  # a vocabulary of 4 has ids up to 3
        ([-1], ([0, -1], 1)),
        (["vocab_size"], ([], 1)),
    ],
    ids=["no window", "too large", "negative", "no id"],
)
def test_refused(naming, args):
    """A window below 1, an id outside the vocabulary, or no id and no size are a ValueError that says what is wrong."""
    counted([[0, 1], [1, 0]], [0, 1], 1)
    check.raises(ValueError, cooccurrence.cooccurrence, *args, naming=naming)


# -- ppmi_svd


def vectors_of(counts, dim):
    """The vectors that the graded code makes of counts, held to their shape and number format."""
    counts = torch.as_tensor(counts, dtype=torch.float64)
    got = check.unchanged(cooccurrence.ppmi_svd, counts, dim)
    check.equal(list(getattr(got, "shape", ())), [len(counts), dim], "the shape of what ppmi_svd returns")
    check.equal(got.dtype, torch.float64, "the dtype of what ppmi_svd returns")
    return got


def random_counts(rng, size=9):
    """Symmetric counts with gaps, rare and frequent words, and the singular values of their PPMI."""
    while True:
        weights = [2.0 ** rng.uniform(0, 3) for _ in range(size)]
        upper = [[rng.choice([0, 1, 2, 5]) * one * other for other in weights] for one in weights]
        counts = np.round(np.triu(np.array(upper)))
        counts = counts + np.triu(counts, 1).T
        if (counts.sum(0) == 0).any():
            continue
        u, s, _ = np.linalg.svd(ppmi_of(counts))
        gaps = s[:-1] - s[1:]
        tops = np.sort(np.abs(u), axis=0)
        if gaps.min() > 0.01 and (tops[-1] - tops[-2]).min() > 0.01:  # no two axes, and no two signs, are as good
            return counts, u, s


def ppmi_of(counts):
    """Positive pointwise mutual information, entry by entry."""
    total, size = counts.sum(), len(counts)
    table = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            if counts[i, j] > 0:
                chance = counts[i].sum() / total * (counts[j].sum() / total)
                table[i, j] = max(0.0, math.log(counts[i, j] / total / chance))
    return table


def test_by_hand():
    """Three words, one of which is only ever near itself."""
    # Of 10 counts, the last word has 2: ln(0.2 / (0.2 · 0.2)) = ln 5. The others: ln(0.4 / (0.4 · 0.4)) = ln 2.5.
    counts = [[0.0, 4.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 2.0]]
    expected = torch.tensor([[0.0], [0.0], [math.sqrt(math.log(5))]], dtype=torch.float64)
    why = "PPMI is ln 5 at the last word, and ln 2.5 between the other two; √ of the singular value ln 5."
    check.close(vectors_of(counts, 1), expected, f"ppmi_svd({counts}, 1)", why=why)


def test_less_than_chance_is_zero():
    """Words that meet less often than by chance are as if they never met."""
    # Of 20 counts each word has 10: 9 with itself, ln(0.45 / 0.25), and 1 with the other, ln(0.05 / 0.25) < 0.
    counts = [[9.0, 1.0], [1.0, 9.0]]
    got = vectors_of(counts, 2)
    expected = torch.eye(2, dtype=torch.float64) * math.log(1.8)
    why = "The rows have PPMI as their products: ln 1.8 on the diagonal, and 0, not ln 0.2, beside it."
    check.close(got @ got.T, expected, f"W Wᵀ, with W = ppmi_svd({counts}, 2)", why=why)


def test_length_of_columns(rng):
    """Column k has the length √s_k, with the singular values from large to small."""
    counts, _, s = random_counts(rng)
    got = vectors_of(counts, 9)
    why = "U has columns of length 1. Times √S, not S, and not 1."
    check.close(got.square().sum(0), torch.tensor(s), f"the squared lengths of the columns of 9 by 9 {counts}", why=why)


def test_columns(rng):
    """Each column is a singular vector of PPMI, for random counts."""
    for dim in (1, 4, 9):
        counts, u, s = random_counts(rng)
        expected = torch.tensor(np.abs(u[:, :dim] * np.sqrt(s[:dim])))
        what = f"the magnitudes of ppmi_svd({check.show(counts.tolist())}, {dim})"
        check.close(vectors_of(counts, dim).abs(), expected, what)


def test_signs(rng):
    """In each column the entry that is largest in magnitude is positive, and the others have their signs to it."""
    for _ in range(4):
        counts, u, s = random_counts(rng)
        got = vectors_of(counts, 7)
        signs = [bool(column[column.abs().argmax()] > 0) for column in got.T]
        what = "whether the entry that is largest in magnitude is positive, column by column"
        check.equal(signs, [True] * 7, what)
        expected = u[:, :7] * np.sqrt(s[:7])
        expected = expected * np.sign(expected[np.abs(expected).argmax(0), np.arange(7)])
        check.close(got, torch.tensor(expected), f"ppmi_svd({check.show(counts.tolist())}, 7)")


def test_narrower_is_a_part(rng):
    """Fewer columns are the first of more columns."""
    counts, *_ = random_counts(rng)
    check.close(vectors_of(counts, 3), vectors_of(counts, 6)[:, :3], "3 columns, beside the first 3 of 6")


def test_amount_of_text(rng):
    """Twice as much of the same text gives the same vectors."""
    counts, *_ = random_counts(rng)
    check.close(vectors_of(counts * 2, 4), vectors_of(counts, 4), "the vectors of doubled counts")


def test_words_that_never_come(rng):
    """A word without a neighbour has the vector zero, wherever it stands, and the others are as without it."""
    some, *_ = random_counts(rng, 5)
    counts, places = np.zeros((7, 7)), np.array([0, 2, 3, 4, 5])
    counts[np.ix_(places, places)] = some
    got = vectors_of(counts, 3)
    why = "0 / 0 is nan, and one nan spoils the whole SVD: take the logarithm only where there is a count."
    what = "the vectors where the second and the last of seven words never come"
    check.close(got[[1, 6]], torch.zeros(2, 3), f"{what}: theirs", why=why)
    check.close(got[places], vectors_of(some, 3), f"{what}: the others'", why=why)


def test_nothing_counted():
    """Without any count all vectors are zero."""
    why = "The sum of no counts is 0; what is divided by it is not a number."
    check.close(vectors_of(torch.zeros(4, 4), 2), torch.zeros(4, 2), "ppmi_svd(torch.zeros(4, 4), 2)", why=why)


def test_fewer_directions_than_columns():
    """Columns for which there is nothing left are zero."""
    counts = torch.zeros(4, 4, dtype=torch.float64)
    counts[0, 0], counts[1, 1] = 1.0, 3.0
    expected = torch.zeros(4, 3)
    expected[0, 0], expected[1, 1] = math.sqrt(math.log(4)), math.sqrt(math.log(4 / 3))
    check.close(vectors_of(counts, 3), expected, "3 columns where PPMI has 2 numbers, at [0, 0] and [1, 1]")


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_counts_of_another_format(dtype, rng):
    """Whatever format the counts have, the vectors are float64."""
    some, *_ = random_counts(rng, 5)
    got = cooccurrence.ppmi_svd(torch.tensor(some).to(dtype), 2)
    check.equal(got.dtype, torch.float64, f"the dtype of the vectors of counts in {dtype}")
    check.close(got, vectors_of(some, 2), f"the vectors of counts in {dtype}, beside those of the same in float64")


def test_same_company_same_vector():
    """Two words that stand in the same places have the same vector."""
    # The counts, with a window of 2, of 2 0 3 | 2 1 3 | 4 5 4 | 2 0 3 | 2 1 3 | 4 5 5: 0 and 1 are said in the same
    # way, between 2 and 3; 4 and 5 are others.
    counts = torch.zeros(6, 6)
    for pair, times in {(0, 2): 2, (0, 3): 2, (1, 2): 2, (1, 3): 2, (2, 3): 4, (4, 5): 4, (4, 4): 2, (5, 5): 2}.items():
        counts[pair] = counts[pair[::-1]] = times
    got = vectors_of(counts, 3)
    check.close(got[0], got[1], "the vector of id 0, beside that of id 1, which has the same neighbours as often")
    check.equal(bool(torch.allclose(got[0], got[4], atol=1e-3)), False, "whether id 4, with others, has it too")


@pytest.mark.parametrize(
    "counts, dim, naming",
    [
        (torch.ones(3, 3), 4, [4, 3]),
        (torch.ones(3, 3), 0, [0]),
        (torch.ones(3, 2), 1, [(3, 2)]),
        (-torch.eye(3), 1, []),
    ],
    ids=["wider than V", "no width", "not square", "negative"],
)
def test_counts_refused(counts, dim, naming):
    """Counts that are not square or negative, and a width that is not 1 to V, are a ValueError."""
    vectors_of(torch.eye(3), 3)
    check.raises(ValueError, cooccurrence.ppmi_svd, counts, dim, naming=naming)


# -- write_vectors


def test_written_lines(tmp_path):
    """A header with V and C, then a word and its numbers a line, in the order of the ids."""
    path = tmp_path / "vectors.txt"
    vectors = torch.tensor([[0.5, -2.0], [1.0, 0.25], [3.0, -0.125]])
    check.unchanged(cooccurrence.write_vectors, path, {"dog": 2, "été": 0, "cat": 1}, vectors)
    check.true(path.is_file(), "write_vectors leaves a file at path", got=sorted(os.listdir(tmp_path)))
    data = path.read_bytes()
    check.equal(data.endswith(b"\n") and b"\r" not in data, True, "whether each line ends in \\n, and in that only")
    lines = [line.split(" ") for line in data.decode("utf-8").removesuffix("\n").split("\n")]
    check.equal(lines[0], ["3", "2"], "the fields of the first line, the header")
    check.equal([line[0] for line in lines[1:]], ["été", "cat", "dog"], "the words of the lines behind it")
    numbers = [[float(number) for number in line[1:]] for line in lines[1:]]
    check.equal(numbers, vectors.tolist(), "the numbers of the lines behind it")


NINE_DIGITS = "Nine digits tell any two numbers of float32 apart; six, which is what a format gives unasked, do not."


def test_many_digits(tmp_path):
    """Numbers of float32 with many digits, of any size, are read back as they were."""
    numbers = [0.5, 1 / 3, 1 + 2**-23, 123456.79, 12345678.0, 1e-7, 1.5e-30, -3.4028235e38, 2.0**-149]
    path = tmp_path / "vectors.txt"
    vectors = torch.tensor(numbers)[:, None]
    cooccurrence.write_vectors(path, {f"w{i}": i for i in range(9)}, vectors)
    fields = [line.split(" ")[-1] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    check.equal(len(fields), 9, "how many lines a file of nine vectors has, behind the header")
    back = torch.tensor([float(field) for field in fields])
    off = [f"{number:.9g}" for number, same in zip(numbers, (back == vectors[:, 0]).tolist()) if not same]
    check.equal(off, [], "the numbers that come back as others", why=NINE_DIGITS)


@pytest.mark.varied
def test_numbers_come_back_to_the_bit(tmp_path, rng):
    """What is read back as float32 is what was written, for numbers of any size."""
    odd = [1 / 3, -2 / 3e7, 16777217 / 3, 1e-30, -3.4e38, 1.1754944e-38, 1e-45, 0.1]
    odd += [struct.unpack("<f", struct.pack("<I", rng.randrange(0x7F000000)))[0] for _ in range(40)]
    vectors = torch.tensor(odd).reshape(12, 4)
    path = tmp_path / "vectors.txt"
    cooccurrence.write_vectors(path, {f"w{i}": i for i in range(12)}, vectors)
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    got = torch.tensor([[float(number) for number in line.split(" ")[1:]] for line in lines])
    check.equal(got, vectors, "the numbers, read back as float32", why=NINE_DIGITS)


@pytest.mark.parametrize("kind", ["float64", "bfloat16", "a parameter"])
def test_kinds_of_vectors(tmp_path, kind):
    """Vectors of another format, and parameters, can be written."""
    vectors = torch.tensor([[0.5, -2.0, 1.5], [1.0, 0.25, -0.75]])
    made = nn.Parameter(vectors) if kind == "a parameter" else vectors.to(getattr(torch, kind))
    path = str(tmp_path / "vectors.txt")
    cooccurrence.write_vectors(path, {"a": 0, "b": 1}, made)
    with open(path, encoding="utf-8") as file:
        got = [[float(number) for number in line.split(" ")[1:]] for line in file.read().splitlines()[1:]]
    check.equal(got, vectors.tolist(), f"the numbers of vectors that are {kind}")


def test_read_by_load_pretrained(tmp_path):
    """load_pretrained reads what was written, tokens with spaces in them as well."""
    words = {"New York": 1, "7": 0, "日本": 2}
    vectors = torch.tensor([[0.5, -2.0, 1.5], [1.0, 0.25, -0.75], [-1.0, 2.0, 0.0]])
    cooccurrence.write_vectors(tmp_path / "vectors.txt", words, vectors)
    report = initialise.load_pretrained(tmp_path / "vectors.txt", words, 3)
    check.equal(report.missing, [], "the words that load_pretrained does not find in the file")
    check.equal(report.weight, vectors, "the vectors that load_pretrained reads from the file")


@contextlib.contextmanager
def full_disk():
    """Let no file grow beyond 100 bytes, where the platform can see to that; says whether it does."""
    try:
        import resource
    except ImportError:
        yield False
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield True
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_whole_or_not_at_all(tmp_path):
    """If the disk is full halfway, the file that was there before is still there, and whole."""
    path = tmp_path / "vectors.txt"
    words = {f"w{i}": i for i in range(50)}
    cooccurrence.write_vectors(path, words, torch.ones(50, 3))
    before = path.read_bytes()
    with full_disk() as limited:
        if limited:
            check.raises(OSError, cooccurrence.write_vectors, path, words, torch.full((50, 3), 7.0))
    check.true(
        path.is_file() and path.read_bytes() == before,
        "after writing that failed, the file is as it was before",
        got=f"{path.stat().st_size} bytes of {len(before)}" if path.is_file() else "no file",
        why="Write a file beside it, and put that in its place once it is complete: os.replace does it in one step.",
    )


def alone(folder, name, when):
    """Hold a folder to one file. What else may lie there has a name that each author chooses."""
    files = sorted(os.listdir(folder))
    check.true(files == [name], f"after {when}, {name} is the only file in the folder", got=files)


def test_nothing_is_left_behind(tmp_path):
    """Whether writing succeeds or fails, the folder holds no other file afterwards."""
    words = {f"w{i}": i for i in range(50)}
    cooccurrence.write_vectors(tmp_path / "vectors.txt", words, torch.ones(50, 3))
    alone(tmp_path, "vectors.txt", "writing vectors.txt")
    with full_disk() as limited:
        if limited:
            check.raises(OSError, cooccurrence.write_vectors, tmp_path / "more.txt", words, torch.ones(50, 3))
    alone(tmp_path, "vectors.txt", "writing another failed")


def test_replaces_what_was_there(tmp_path):
    """A file that was there is replaced, not added to."""
    path = tmp_path / "vectors.txt"
    path.write_text("old text\n" * 100, encoding="utf-8")
    cooccurrence.write_vectors(path, {"a": 0}, torch.tensor([[0.5, 2.0]]))
    lines = path.read_text(encoding="utf-8").splitlines()
    check.equal([len(lines), lines[0]], [2, "1 2"], "how many lines the file has, and the first of them")


@pytest.mark.parametrize(
    "words, vectors, naming",
    [
        ({"a": 0, "b": 1}, torch.ones(3, 5), [2, (3, 5)]),
        ({"a": 0, "b": 1}, torch.ones(2), [2, (2,)]),
        ({"a": 0, "b": 2}, torch.ones(2, 2), []),
        ({"a": 0, "b\n": 1}, torch.ones(2, 2), [repr("b\n")]),
        ({"a": 0, "b": 1}, torch.tensor([[1.0, 2.0], [math.nan, 1.0]]), []),
        ({"a": 0, "b": 1}, torch.tensor([[1.0, 2.0], [-math.inf, 1.0]]), []),
    ],
    ids=["too many rows", "no rows", "ids with a gap", "a line end in a word", "nan", "infinite"],
)
def test_vectors_refused(tmp_path, words, vectors, naming):
    """What could not be read back is a ValueError, and leaves no file."""
    cooccurrence.write_vectors(tmp_path / "good.txt", {"a": 0, "b": 1}, torch.ones(2, 2))
    check.raises(ValueError, cooccurrence.write_vectors, tmp_path / "bad.txt", words, vectors, naming=naming)
    alone(tmp_path, "good.txt", "what is refused")
