"""2.2 · Where the numbers start: drawn, frozen, or read from a file of pre-trained vectors."""

import math
import tracemalloc
import weakref

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from bootcamp.grading import check, written

initialise = written("stage02_embeddings.initialise")


def generator(seed):
    """Random numbers of our own, so that torch's are left alone."""
    return torch.Generator().manual_seed(seed)


# -- normal_


def drawn(std, seed, shape=(300, 400)):
    """A weight after normal_, as float64."""
    weight = torch.full(shape, 7.0)
    initialise.normal_(weight, std, generator(seed))
    return weight.double()


def digit(number):
    """A number to one digit, and at most two places behind the point, which random draws leave as it is."""
    return float(f"{round(float(number), 2) + 0:.1g}") + 0.0


@pytest.mark.parametrize("std", [0.02, 0.7, 3.0])
def test_spread(std, seed):
    """The draws have the mean 0 and the standard deviation std."""
    numbers = drawn(std, seed)
    count = numbers.numel()
    what = f"of 120,000 draws by normal_(weight, {std})"
    why = "The argument is the standard deviation; its square is the variance."
    check.equal(digit(numbers.std()), std, f"the standard deviation, to one digit, {what}", why=why)
    # The mean of n draws is off by std/√n, their standard deviation by std/√(2n): six of those are allowed.
    atol = 6 * std / math.sqrt(2 * count)
    check.close(float(numbers.std()), std, f"the standard deviation {what}", rtol=0, atol=atol)
    check.close(float(numbers.mean()), 0.0, f"the mean {what}", rtol=0, atol=6 * std / math.sqrt(count))


@pytest.mark.varied
def test_bell(seed):
    """Of normal draws, 68% lie within one standard deviation, 95% within two, and a few beyond three."""
    numbers = drawn(1.5, seed).abs() / 1.5
    for reach, share in [(1, 0.6827), (2, 0.9545), (3, 0.9973)]:
        got = float((numbers < reach).double().mean())
        atol = 6 * math.sqrt(share * (1 - share) / numbers.numel())
        check.close(got, share, f"the share of draws within {reach} standard deviations", rtol=0, atol=atol)


def test_in_place(seed):
    """The weight itself is filled, so all that share its numbers see them, and it is what comes back."""
    wide = torch.full((5, 8), 7.0)
    weight = wide[:, ::2]  # every other column
    got = initialise.normal_(weight, 0.1, generator(seed))
    check.true(got is weight, "normal_ gives back the tensor that it was given", got=got)
    check.equal((wide[:, ::2] != 7).all().item(), True, "whether the tensor behind a view was filled through it")
    check.equal(wide[:, 1::2], torch.full((5, 4), 7.0), "the numbers beside the view")


def test_fills_a_parameter(seed):
    """A parameter is filled without a trace: it is a leaf as before, and still trained."""
    weight = nn.Parameter(torch.full((3, 5), 7.0))
    got = initialise.normal_(weight, 0.1, generator(seed))
    check.true(isinstance(got, nn.Parameter), "the parameter is given back, not another tensor", got=type(got).__name__)
    check.equal(bool((weight.abs() < 1).all()), True, "whether all its numbers are new")
    check.equal((weight.is_leaf, weight.requires_grad), (True, True), "weight.is_leaf and weight.requires_grad")
    (weight * 2).sum().backward()
    check.close(weight.grad, torch.full((3, 5), 2.0), "the gradient of 2 · weight after that")


def test_draws_come_from_the_generator(seed):
    """The same state of the generator gives the same numbers, another others; torch's own state stays as it is."""
    before = torch.get_rng_state()
    one, same, other = (drawn(1.0, each, (4, 7)) for each in (seed, seed, seed + 1))
    check.equal(torch.equal(one, same), True, "whether two generators in the same state give the same numbers")
    check.equal(torch.equal(one, other), False, "whether generators in different states give the same numbers")
    untouched = torch.equal(before, torch.get_rng_state())
    check.equal(untouched, True, "whether torch's own random numbers are left alone where a generator is given")


def test_draws_come_from_torch_otherwise(seed):
    """Without a generator, torch.manual_seed decides."""
    made = []
    with torch.random.fork_rng(devices=[]):
        for each in (seed, seed, seed + 1):
            torch.manual_seed(each)
            made.append(initialise.normal_(torch.zeros(4, 7), 1.0).clone())
    check.equal(torch.equal(made[0], made[1]), True, "whether the same seed gives the same numbers")
    check.equal(torch.equal(made[0], made[2]), False, "whether another seed gives the same numbers")


def test_no_spread(seed):
    """With std 0 all numbers are 0; a negative std is a ValueError that says it."""
    check.equal(initialise.normal_(torch.ones(2, 3), 0.0, generator(seed)), torch.zeros(2, 3), "what std 0 gives")
    check.raises(ValueError, initialise.normal_, torch.ones(2, 3), -0.5, naming=["-0.5"])


# -- freeze


def network():
    """Modules in modules: an embedding, a norm and two linear maps, with different numbers."""
    return nn.Sequential(nn.Embedding(7, 3), nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 5)), nn.Linear(5, 2))


def trained(module):
    """The names of the parameters that training would change."""
    return [name for name, parameter in module.named_parameters() if parameter.requires_grad]


def test_freezes_all_parameters():
    """All parameters are frozen, those of the modules inside too, biases too; the module comes back."""
    module = network()
    got = initialise.freeze(module)
    check.true(got is module, "freeze gives the module back", got=got)
    check.equal(trained(module), [], "the parameters that are still trained after freeze(module)")


def test_freezes_nothing_else():
    """What lies outside the module stays as it is, and gets its gradient through it."""
    module = network()
    initialise.freeze(module[1])
    expected = ["0.weight", "2.weight", "2.bias"]
    check.equal(trained(module), expected, "the parameters that are still trained after freeze(module[1])")
    module(torch.tensor([1, 4, 1])).square().sum().backward()
    with_gradient = [name for name, each in module.named_parameters() if each.grad is not None]
    check.equal(with_gradient, expected, "the parameters that get a gradient")


def test_thaws():
    """With frozen=False all parameters are trained again, however often they were frozen."""
    module = network()
    everything = trained(module)
    got = initialise.freeze(initialise.freeze(initialise.freeze(module)), frozen=False)
    check.true(got is module, "freeze gives the module back", got=got)
    check.equal(trained(module), everything, "the parameters that are trained after freeze(module, frozen=False)")


# -- load_pretrained

ANIMALS = {"the": 0, "cat": 1, "dog": 2}


@pytest.fixture
def read(tmp_path):
    """Reads lines (texts, or bytes) that are written to a file; says what they were if the reading fails."""

    def reading(lines, vocab=ANIMALS, dim=2, *args, **kwargs):
        path = tmp_path / "vectors.txt"
        path.write_bytes(data_of(lines))
        try:
            return initialise.load_pretrained(path, vocab, dim, *args, **kwargs)
        except Exception as error:
            error.__dict__.setdefault("call", f"load_pretrained(path, {check.show(vocab)}, {dim}), {told(lines)}")
            raise

    reading.__qualname__ = "load_pretrained"  # of a file with these lines
    return reading


def data_of(lines):
    """The lines as bytes; each ends in a line end, unless they are one text."""
    if isinstance(lines, str):
        return lines.encode()
    return b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)


def told(lines):
    """What stands in the file, for a message."""
    return f"a file with {check.show(lines)}"


def holds(report, rows, lines, why=""):
    """Hold the rows of a report to those that are expected, by id."""
    check.equal(report.weight.dtype, torch.float32, "report.weight.dtype")
    found = [i for i, there in enumerate(report.found.tolist()) if there]
    check.equal(found, sorted(rows), f"the ids that are found in {told(lines)}", why=why)
    for i, row in rows.items():
        check.close(report.weight[i], torch.tensor(row), f"report.weight[{i}], from {told(lines)}", why=why)


def test_each_row_at_its_id(read):
    """Each vector stands at the id of its word, in whatever order the file has them; other words are passed over."""
    lines = ["dog 0.5 -1.5", "bird 9 9", "the 0.125 0.25", "cat 2 1e-3", "Cat 9 9"]
    report = read(lines)
    holds(report, {0: [0.125, 0.25], 1: [2.0, 0.001], 2: [0.5, -1.5]}, lines)
    check.equal(tuple(report.weight.shape), (3, 2), "the shape of report.weight")
    check.equal(report.found, torch.tensor([True, True, True]), "report.found")
    check.equal(report.malformed, [], "report.malformed")


def test_what_is_missing(read):
    """The report says the share of the vocabulary that was found, and names the rest in the order of the ids."""
    vocab = {"zebra": 0, "cat": 3, "ape": 2, "the": 4, "dog": 1}
    lines = ["the 0.5 0.25", "bird 9 9", "dog 1 -1", "wolf 9 9"]
    report = read(lines, vocab)
    holds(report, {1: [1.0, -1.0], 4: [0.5, 0.25]}, lines)
    check.equal(report.missing, ["zebra", "ape", "cat"], "report.missing")
    why = "Coverage is the share of the vocabulary: 2 of 5 words. How many words the file has does not matter."
    check.close(float(report.coverage), 0.4, "report.coverage", why=why)
    check.equal(tuple(report.weight.shape), (5, 2), "the shape of report.weight")


def test_other_scripts(read):
    """The file is UTF-8, whatever the system prefers."""
    lines = ["日本 0.5 0.25", "été 1 2"]
    holds(read(lines, {"été": 0, "日本": 1}), {0: [1.0, 2.0], 1: [0.5, 0.25]}, lines)


@pytest.mark.parametrize("end", ["\r\n", " \n", " \r\n"], ids=["as on Windows", "a space", "both"])
def test_line_ends(read, end):
    """What ends a line is no field: carriage returns and the space that word2vec writes are taken off."""
    text = end.join(["dog 0.5 0.25", "the 1 2", "cat 3 4"])  # none behind the last line
    report = read(text)
    holds(report, {0: [1.0, 2.0], 1: [3.0, 4.0], 2: [0.5, 0.25]}, text)
    check.equal(report.malformed, [], "report.malformed")


def test_tokens_with_spaces(read):
    """The last `dim` fields are the numbers; the token before them may hold spaces."""
    lines = ["New York 0.5 0.25", "San Jose 9 9", ". . . 1 2", "York 3 4", "42 9 9", "new 5 6"]
    vocab = {"York": 0, "New York": 1, ". . .": 2, "New": 3}
    report = read(lines, vocab)
    holds(report, {0: [3.0, 4.0], 1: [0.5, 0.25], 2: [1.0, 2.0]}, lines)
    check.equal(report.malformed, [], "report.malformed")


def test_tokens_with_spaces_that_are_none(read):
    """Only the space separates fields: a no-break space or another separator of Unicode is part of a token."""
    vocab = {"10\u00a0km": 0, "a\u2028b": 1, "\u3000": 2, "c\x85": 3}
    lines = [f"{word} {i} 0.5" for word, i in vocab.items()]
    why = "str.split() and str.splitlines() cut at all of them; str.rsplit(' ', …) and the lines of a file do not."
    report = read(lines, vocab)
    holds(report, {i: [float(i), 0.5] for i in range(4)}, lines, why=why)


def test_tokens_that_are_numbers(read):
    """A token may be a number, in the first line too, and may end in one if it is a word of the vocabulary."""
    lines = ["7 0.5 0.25", "route 66 1 2", "the 3 4", "1.5 5 6"]
    report = read(lines, {"7": 0, "the": 1, "route 66": 2, "1.5": 3})
    holds(report, {0: [0.5, 0.25], 1: [3.0, 4.0], 2: [1.0, 2.0], 3: [5.0, 6.0]}, lines)
    check.equal(report.malformed, [], "report.malformed")


def test_kinds_of_paths(tmp_path):
    """The path may be text, or a Path."""
    path = tmp_path / "vectors.txt"
    path.write_text("the 0.5 0.25\n", encoding="utf-8")
    for kind in (str(path), path):
        holds(initialise.load_pretrained(kind, ANIMALS, 2), {0: [0.5, 0.25]}, f"a {type(kind).__name__}")


# -- the header


def test_header(read):
    """A first line of two whole numbers is a header: it is no vector, and nothing is wrong with it."""
    lines = ["3 2", "the 0.5 0.25", "cat 1 2", "dog 3 4"]
    report = read(lines)
    holds(report, {0: [0.5, 0.25], 1: [1.0, 2.0], 2: [3.0, 4.0]}, lines)
    check.equal(report.malformed, [], "report.malformed")


def test_header_of_another_width(read):
    """A header that says another width is a ValueError that names both."""
    holds(read(["1 2", "the 0.5 0.25"]), {0: [0.5, 0.25]}, "1 2")
    lines = ["1 2300", "the" + " 0.5" * 737, "cat" + " 0.5" * 2300]
    check.raises(ValueError, read, lines, ANIMALS, 737, naming=[2300, 737])


def test_header_only_in_the_first_line(read):
    """Further down, a line of two whole numbers is a line that is too short; the header counts as line 1."""
    lines = ["4 2", "the 0.5 0.25", "4 2", "cat 1 2"]
    report = read(lines)
    holds(report, {0: [0.5, 0.25], 1: [1.0, 2.0]}, lines)
    check.equal(numbers_of(report), [3], "the lines in report.malformed")


# -- doubled words, and lines that are no vector


def numbers_of(report):
    """The numbers of the malformed lines; each has to say what is wrong."""
    for entry in report.malformed:
        said = len(entry) == 2 and isinstance(entry[1], str) and entry[1].strip()
        check.true(bool(said), "each entry of report.malformed is (number of the line, what is wrong)", got=entry)
    return [entry[0] for entry in report.malformed]


def test_first_of_doubled_words(read):
    """Of several lines for a word the first counts, and the others are counted, for words of the vocabulary."""
    lines = ["the 0.5 0.25", "bird 1 1", "cat 1 2", "the 7 7", "bird 2 2", "the 8 8", "cat 9 9"]
    report = read(lines)
    holds(report, {0: [0.5, 0.25], 1: [1.0, 2.0]}, lines, why="The first line for a word counts.")
    check.equal(report.duplicates, 3, "report.duplicates", why="'the' comes twice more, 'cat' once more.")
    check.equal(read(["the 1 2", "dog 1 2"]).duplicates, 0, "report.duplicates of a file in which no word is doubled")


BAD = {
    "too short": "cat 0.5",
    "only a token": "cat",
    "empty": "",
    "no number": "cat 0.5 zero",
    "no number inside": "cat x 0.5",
    "nan": "cat nan 0.5",
    "infinite": "cat 0.5 -inf",
    "too large for float32": "cat 1e39 0.5",
    "not UTF-8": b"cat\xff 0.5 0.25",
    "not UTF-8 in a number": b"cat 0.5 \xff",
    "too wide": "cat 0.5 0.25 0.125",
}


BAD_ALONE = ["cat", "cat 0.5", "cat 0.5 0.25 0.125"]


@pytest.mark.parametrize("kind", BAD)
def test_malformed(read, kind):
    """A line that is no token with `dim` finite numbers in UTF-8 is named by its number and skipped."""
    lines = ["dog 3 4", BAD[kind], "the 0.5 0.25"]
    report = read(lines)
    holds(report, {0: [0.5, 0.25], 2: [3.0, 4.0]}, lines)
    check.equal(numbers_of(report), [2], f"the lines in report.malformed, for {told(lines)}")
    check.equal(report.missing, ["cat"], "report.missing")


def test_every_malformed_line_is_named(read):
    """All malformed lines are named, from line 1 on, words that are not asked for too; the rest is read."""
    lines = ["bird 0.5", "the 0.5 0.25", "wolf 1 x", "", "cat inf 1", "dog 1 2", "fox nan 1"]
    report = read(lines)
    holds(report, {0: [0.5, 0.25], 2: [1.0, 2.0]}, lines)
    check.equal(numbers_of(report), [1, 3, 4, 5, 7], f"the lines in report.malformed, for {told(lines)}")


def test_first_that_is_well_formed(read):
    """A malformed line for a word is none: a later one that is right counts, and neither is a duplicate."""
    lines = ["cat 0.5", "cat nan 1", "cat 1 2", "the 3 4", "the inf 4", "the 3 4 5"]
    report = read(lines)
    holds(report, {0: [3.0, 4.0], 1: [1.0, 2.0]}, lines)
    check.equal(report.duplicates, 0, "report.duplicates")
    check.equal(numbers_of(report), [1, 2, 5, 6], f"the lines in report.malformed, for {told(lines)}")


@pytest.mark.parametrize("width", [736, 738], ids=["narrower", "wider"])
def test_file_of_another_width(read, width):
    """A file without a header whose vectors have another width is a ValueError that names what was asked for."""
    holds(read(["the 0.5 0.25"]), {0: [0.5, 0.25]}, "the 0.5 0.25")
    lines = [word + " 0.5" * width for word in ("the", "cat", "bird")]
    why = "With another width every line fails. Random rows instead, without a word, would cost somebody days."
    check.raises(ValueError, read, lines, ANIMALS, 737, naming=[737], why=why)


@pytest.mark.parametrize("line", BAD_ALONE)
def test_a_single_line_that_is_malformed(read, line):
    """One malformed line and nothing else is a ValueError too."""
    holds(read(["the 0.5 0.25"]), {0: [0.5, 0.25]}, "the 0.5 0.25")
    check.raises(ValueError, read, [line], ANIMALS, 2)


@pytest.mark.parametrize("lines", [[], ["0 2"], ["bird 5 6", "wolf 7 8"]], ids=["empty", "a header", "other words"])
def test_nothing_found(read, lines, seed):
    """An empty file, or one with other words only, is no error: nothing is found, and all is drawn."""
    report = read(lines, ANIMALS, 2, generator(seed))
    check.equal(float(report.coverage), 0.0, f"report.coverage, for {told(lines)}")
    check.equal(report.missing, ["the", "cat", "dog"], "report.missing")
    check.equal(tuple(report.weight.shape), (3, 2), "the shape of report.weight")


# -- the rows without a vector

# To one digit, no random draw changes these, nor what comes if all columns are taken together, or empty rows as well.
KNOWN, UNKNOWN, WIDTH = 1500, 6000, 4
CENTRES, SPREADS = [5.0, 1.0, 0.5, 10.0], [0.3, 0.7, 0.1, 0.0]


@pytest.fixture
def partly_known(read, rng, seed):
    """The rows of a vocabulary that are in a file, one word in five, and those that were drawn."""
    vocab = {f"w{i}": i for i in range(KNOWN + UNKNOWN)}
    known = sorted(rng.sample(range(KNOWN + UNKNOWN), KNOWN))
    rows = torch.tensor([[rng.gauss(0, 1) for _ in range(WIDTH)] for _ in known], dtype=torch.float64)
    rows = (rows - rows.mean(0)) / rows.std(0)  # of the centres and spreads that are asked for, and not only nearly
    rows = torch.tensor(CENTRES) + torch.tensor(SPREADS) * rows
    lines = [f"w{i} " + " ".join(map(str, row)) for i, row in zip(known, rows.tolist())]
    lines += [f"other{i} " + " ".join(["1000"] * WIDTH) for i in range(200)]
    weight = read(lines, vocab, WIDTH, generator(seed)).weight.double()
    check.equal(tuple(weight.shape), (len(vocab), WIDTH), "the shape of report.weight")
    rest = sorted({*vocab.values()} - {*known})
    return rows, weight[rest]


def test_drawn_rows_have_the_mean_of_the_others(partly_known):
    """The rows without a vector have, column by column, the mean of those that have one."""
    known, unknown = partly_known
    what = f"the mean of each column over {UNKNOWN} rows without a vector"
    why = f"Over the {KNOWN} rows that were found it is that. Other words in the file, and empty rows, do not count."
    check.equal([digit(mean) for mean in unknown.mean(0)], CENTRES, f"{what}, to one digit", why=why)
    off = (unknown.mean(0) - known.mean(0)).abs() / (6 * known.std(0) / math.sqrt(UNKNOWN) + 1e-5)
    check.equal((off < 1).all().item(), True, f"whether {what} is that of the rows that were found", why=why)


def test_drawn_rows_have_the_spread_of_the_others(partly_known):
    """The rows without a vector have, column by column, the standard deviation of those that have one."""
    known, unknown = partly_known
    what = f"the standard deviation of each column over {UNKNOWN} rows without a vector"
    why = f"Over the {KNOWN} rows that were found it is that."
    check.equal([digit(std) for std in unknown.std(0)], SPREADS, f"{what}, to one digit", why=why)
    allowed = known.std(0) * (6 / math.sqrt(2 * UNKNOWN) + 1 / KNOWN) + 1e-5
    off = (unknown.std(0) - known.std(0)).abs() / allowed
    check.equal((off < 1).all().item(), True, f"whether {what} is that of the rows that were found", why=why)


@pytest.mark.varied
def test_drawn_rows_are_drawn_one_by_one(partly_known):
    """Each row is a draw of its own, and so is each column of it."""
    _, unknown = partly_known
    check.equal(len(unknown[:, 0].unique()) > UNKNOWN * 0.9, True, "whether the rows differ from one another")
    scaled = (unknown - unknown.mean(0)) / unknown.std(0).clamp(min=1e-9)
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        together = float((scaled[:, i] * scaled[:, j]).mean())
        what = f"the correlation of the columns {i} and {j} over {UNKNOWN} rows without a vector"
        check.close(together, 0.0, what, rtol=0, atol=6 / math.sqrt(UNKNOWN))


@pytest.mark.parametrize("lines", [[], ["w7 30 40 50"]], ids=["no row", "one row"])
def test_too_few_to_tell(read, seed, lines):
    """One vector has no spread: with fewer than two, rows are drawn from N(0, 0.02²)."""
    vocab = {f"w{i}": i for i in range(2000)}
    weight = read(lines, vocab, 3, generator(seed)).weight.double()
    weight = torch.cat([weight[:7], weight[8:]])
    what = f"of the rows without a vector where {len(lines)} have one"
    check.equal(digit(weight.std()), 0.02, f"the standard deviation, to one digit, {what}")
    check.close(float(weight.std()), 0.02, f"the standard deviation {what}", rtol=0, atol=6 * 0.02 / math.sqrt(11994))
    check.close(float(weight.mean()), 0.0, f"the mean {what}", rtol=0, atol=6 * 0.02 / math.sqrt(5997))


def test_two_are_enough(read, seed):
    """Two vectors have a mean and a spread: where they agree, so do all rows that are drawn."""
    lines = ["the 0.5 -2", "cat 0.5 -2"]
    report = read(lines, {"the": 0, "dog": 1, "cat": 2, "fox": 3}, 2, generator(seed))
    same = bool(torch.allclose(report.weight, torch.tensor([[0.5, -2.0]] * 4), atol=1e-5))
    claim = f"all four rows are [0.5, -2.0] where {told(lines)} was read for four words"
    check.true(same, claim, got=report.weight, why="The standard deviation of each column is 0 over the two rows.")


def test_rows_come_from_the_generator(read, seed):
    """The same state of the generator gives the same rows, another others; torch's own state stays as it is."""
    lines = ["the 0.5 0.25", "cat 1 2"]
    vocab = ANIMALS | {"fox": 3, "hen": 4}
    before = torch.get_rng_state()
    one, same, other = (read(lines, vocab, 2, generator(each)).weight[2:] for each in (seed, seed, seed + 1))
    check.equal(torch.equal(one, same), True, "whether two generators in the same state give the same rows")
    check.equal(torch.equal(one, other), False, "whether generators in different states give the same rows")
    untouched = torch.equal(before, torch.get_rng_state())
    check.equal(untouched, True, "whether torch's own random numbers are left alone where a generator is given")


# -- large files, and what is refused


class Held(TorchFunctionMode):
    """Counts the bytes of the tensors that are there at the same time, which tracemalloc does not see."""

    def __init__(self):
        super().__init__()
        self.sizes, self.now, self.most = {}, 0, 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        # A view has no numbers of its own, and what is changed in place has been counted.
        if isinstance(result, torch.Tensor) and result._base is None and id(result) not in self.sizes:
            self.sizes[id(result)] = result.numel() * result.element_size()
            self.now += self.sizes[id(result)]
            self.most = max(self.most, self.now)
            weakref.finalize(result, self.let_go, id(result))
        return result

    def let_go(self, tensor):
        self.now -= self.sizes.pop(tensor)


def test_bounded_memory(tmp_path, rng):
    """A large file is read line by line; only the rows of the vocabulary are kept."""
    row = " ".join(f"{rng.random():.3f}" for _ in range(200))
    path = tmp_path / "vectors.txt"
    path.write_text(f"w3 {row}\n", encoding="utf-8")
    initialise.load_pretrained(path, {"w3": 0}, 200)  # what is imported and made once is not counted
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"w{i} {row}\n" for i in range(800))
    size = path.stat().st_size
    tracemalloc.start()
    try:
        with Held() as held:
            report = initialise.load_pretrained(path, {"w3": 0, "w790": 1}, 200)
        peak = tracemalloc.get_traced_memory()[1] + held.most
    finally:
        tracemalloc.stop()
    check.equal(report.found.tolist(), [True, True], "report.found")
    check.true(
        peak < size / 2,
        f"reading two words from a file of {size:,} bytes takes less than half of that",
        got=f"{peak:,} bytes",
        why="Published files have gigabytes: go line by line through the open file, and keep what is asked for.",
    )


@pytest.mark.parametrize(
    "vocab",
    [{"the": 1, "cat": 2}, {"the": 0, "cat": 2}, {"the": 0, "cat": 0}, {}],
    ids=["from 1", "gap", "twice", "none"],
)
def test_ids_with_gaps(read, vocab):
    """Ids that are not 0 to V - 1 are a ValueError."""
    holds(read(["the 0.5 0.25"]), {0: [0.5, 0.25]}, "the 0.5 0.25")
    check.raises(ValueError, read, ["the 0.5 0.25", "cat 1 2"], vocab, 2)


@pytest.mark.parametrize("dim", [0, -3])
def test_no_width(read, dim):
    """A width below 1 is a ValueError that names it."""
    holds(read(["the 0.5 0.25"]), {0: [0.5, 0.25]}, "the 0.5 0.25")
    check.raises(ValueError, read, ["the 0.5 0.25"], ANIMALS, dim, naming=[dim])


def test_missing_file(read, tmp_path):
    """A file that is not there is an OSError that names it, as open gives it."""
    holds(read(["the 0.5 0.25"]), {0: [0.5, 0.25]}, "the 0.5 0.25")
    check.raises(OSError, initialise.load_pretrained, tmp_path / "absent.txt", ANIMALS, 2, naming=["absent.txt"])
