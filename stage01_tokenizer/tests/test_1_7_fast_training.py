"""1.7 · Training, a hundred times faster: the same merges as 1.4, by touching only what a merge changes."""

import sys
from itertools import pairwise

import pytest

from bootcamp.grading import check, written

bpe_fast = written("stage01_tokenizer.bpe_fast")

END = "<|end|>"


def merges_of(source, count, specials=()):
    """The first merges learned from a text or from counts."""
    return bpe_fast.train_bpe_fast(source, 256 + len(specials) + count, specials)[1]


def test_learns_from_text():
    """The most frequent pair within a pre-token is merged, then the counts are taken anew."""
    expected = [(b"o", b"w"), (b"l", b"ow"), (b" ", b"low"), (b"n", b"e"), (b"ne", b"w")]
    text = "low low low lower lower new newest"
    check.equal(merges_of(text, 3), expected[:3], f"the merges of train_bpe_fast({text!r}, 259)")


def test_learns_from_counts():
    """Counts of pre-tokens teach the same as the text that they were counted in."""
    counts = {"low": 1, " low": 2, " lower": 2}
    expected = [(b"o", b"w"), (b"l", b"ow"), (b" ", b"low")]
    check.equal(merges_of("low low low lower lower", 3), expected, "the merges of a text")
    got = check.unchanged(bpe_fast.train_bpe_fast, counts, 259)[1]
    check.equal(got, expected, f"the merges of train_bpe_fast({counts}, 259)")


def test_counts_weigh():
    """A pre-token counts as often as the counts say, not once."""
    counts = {"ab": 5, "bc": 2, "xbc": 2}
    why = "(a, b) comes five times, (b, c) four times, (x, bc) twice."
    expected = [(b"a", b"b"), (b"b", b"c"), (b"x", b"bc")]
    check.equal(merges_of(counts, 9), expected, f"the merges of train_bpe_fast({counts}, 265)", why=why)


def test_a_tie_goes_to_the_greatest_pair():
    """Of equally frequent pairs the lexicographically greatest pair of byte strings is merged."""
    counts = {"ab": 3, "zy": 3, "ac": 3, "za": 3}
    expected = [(b"z", b"y"), (b"z", b"a"), (b"a", b"c"), (b"a", b"b")]
    check.equal(merges_of(counts, 4), expected, f"the merges of train_bpe_fast({counts}, 260)")


def test_a_tie_is_decided_by_bytes():
    """Ties compare the bytes of the tokens, not their ids and not their lengths."""
    counts = {"yzq": 3, "yz": 1, "tup": 3, "tu": 1}
    expected = [(b"y", b"z"), (b"t", b"u"), (b"yz", b"q"), (b"tu", b"p")]
    why = "yz comes after tu in the order of bytes, whichever was learned first."
    check.equal(merges_of(counts, 4), expected, f"the merges of train_bpe_fast({counts}, 260)", why=why)
    counts = {"ax": 2, "bx": 2, "abx": 3, "ab": 9}
    expected = [(b"a", b"b"), (b"ab", b"x"), (b"b", b"x"), (b"a", b"x")]
    check.equal(merges_of(counts, 4), expected, f"the merges of train_bpe_fast({counts}, 260)")
    counts = {"ab": 9, "aby": 2, "ax": 2}
    expected = [(b"a", b"b"), (b"ab", b"y"), (b"a", b"x")]
    why = "(ab, y) and (a, x) tie, and b'ab' > b'a': of two tokens that begin alike the longer one is the greater."
    check.equal(merges_of(counts, 3), expected, f"the merges of train_bpe_fast({counts}, 259)", why=why)


def test_counts_fall_when_a_merge_takes_their_places():
    """A merge lowers the counts of the pairs that it takes a token from."""
    counts = {"abc": 4, "bc": 2, "ab": 3, "de": 3}
    why = "(a, b) comes seven times and (b, c) six times, but four of those six are gone once ab is merged."
    expected = [(b"a", b"b"), (b"ab", b"c"), (b"d", b"e"), (b"b", b"c")]
    check.equal(merges_of(counts, 4), expected, f"the merges of train_bpe_fast({counts}, 260)", why=why)


def test_repeats():
    """In a run of one letter the pairs overlap when they are counted, and are merged from the left."""
    for word, expected in [
        ("aaa", [(b"a", b"a"), (b"aa", b"a")]),
        ("aaaaa", [(b"a", b"a"), (b"aa", b"aa"), (b"aaaa", b"a")]),
        ("aaaaaaa", [(b"a", b"a"), (b"aa", b"aa"), (b"aaaa", b"aa"), (b"aaaaaa", b"a")]),
    ]:
        check.equal(merges_of({word: 1}, 9), expected, f"the merges of train_bpe_fast({{{word!r}: 1}}, 265)")
    why = "(a, a) stands at two places in aaa, so six in all against five of (x, y)."
    counts = {"aaa": 3, "xy": 5}
    expected = [(b"a", b"a"), (b"x", b"y"), (b"aa", b"a")]
    check.equal(merges_of(counts, 3), expected, f"the merges of train_bpe_fast({counts}, 259)", why=why)
    why = "After (a, a) is merged, aaaa is aa aa: the pair (aa, aa) comes once in it, and (a, aa) not at all."
    counts = {"aaaa": 2, "xy": 3, "baaaa": 2, "yb": 3}
    expected = [(b"a", b"a"), (b"aa", b"aa"), (b"y", b"b"), (b"x", b"y"), (b"b", b"aaaa")]
    check.equal(merges_of(counts, 9), expected, f"the merges of train_bpe_fast({counts}, 265)", why=why)


def test_bytes_not_characters():
    """A character of several bytes is several tokens at first, and merged like any others."""
    expected = [(b"\xc3", b"\xa9"), (b"\xc3\xa9", b"\xc3\xa9")]
    check.equal(merges_of("éé", 9), expected, "the merges of train_bpe_fast('éé', 265)")


def test_special_tokens_are_not_learned_from():
    """No pair within a special token counts, and none across it; it parts the texts on its sides."""
    text = f"ab{END}ab{END}{END}ab"
    check.equal(merges_of(text, 9, [END]), [(b"a", b"b")], f"the merges of train_bpe_fast({text!r}, 266, ['{END}'])")
    text = f"a {END} b"
    check.equal(merges_of(text, 9, [END]), [(b" ", b"b")], f"the merges of train_bpe_fast({text!r}, 266, ['{END}'])")


def test_numbers_of_the_vocabulary():
    """Ids 0 to 255 are the bytes, then come the merges in order, then the special tokens as given."""
    vocab, merges = bpe_fast.train_bpe_fast("ababab", 261, ["<b>", "<a>"])
    check.equal([vocab.get(id) for id in range(256)], [bytes([id]) for id in range(256)], "the tokens of ids 0 to 255")
    check.equal([vocab.get(id) for id in range(256, 259)], [b"ab", b"abab", b"ababab"], "the tokens of ids 256 to 258")
    check.equal([vocab.get(id) for id in (259, 260)], [b"<b>", b"<a>"], "the tokens of ids 259 and 260")
    check.equal(sorted(vocab), list(range(261)), "the ids of the vocabulary")
    check.equal(len(merges), 3, "how many merges there are")


def test_stops_when_no_pair_is_left():
    """With no pair left to merge, training ends with a smaller vocabulary, without a gap in the ids."""
    for source in ("ab", {"ab": 7, "a": 9}):
        vocab, merges = bpe_fast.train_bpe_fast(source, 1000, [END])
        check.equal(merges, [(b"a", b"b")], f"the merges of train_bpe_fast({source!r}, 1000, ['{END}'])")
        check.equal(vocab.get(257), END.encode(), "the token of id 257, behind the only merge")
        check.equal(len(vocab), 258, "the size of the vocabulary")


@pytest.mark.parametrize("source", ["", {}, "a", {"a": 3}, END], ids=repr)
def test_sources_without_a_pair(source):
    """Nothing to merge gives the bytes and the special tokens alone."""
    vocab, merges = bpe_fast.train_bpe_fast(source, 300, [END])
    check.equal((len(vocab), merges), (257, []), f"the size and the merges of train_bpe_fast({source!r}, 300, ['{END}'])")


def test_no_room_for_merges():
    """A vocabulary of the bytes and the special tokens alone is allowed, and one below is refused."""
    vocab, merges = bpe_fast.train_bpe_fast("abab", 257, [END])
    check.equal((len(vocab), merges), (257, []), f"the size and the merges of train_bpe_fast('abab', 257, ['{END}'])")
    check.raises(ValueError, bpe_fast.train_bpe_fast, "abab", 256, [END], naming=[257, 256])


# -- against counting all anew


def by_hand(counts, limit):
    """The merges of some counts of pre-tokens, each time with all pairs counted anew."""
    words = [[[bytes([byte]) for byte in word.encode()], count] for word, count in counts.items()]
    merges = []
    while len(merges) < limit:
        found = {}
        for tokens, count in words:
            for pair in pairwise(tokens):
                found[pair] = found.get(pair, 0) + count
        if not found:
            break
        left, right = max(found, key=lambda pair: (found[pair], pair))
        merges.append((left, right))
        for tokens, _ in words:
            place = 0
            while place < len(tokens) - 1:
                if tokens[place] == left and tokens[place + 1] == right:
                    tokens[place : place + 2] = [left + right]
                place += 1
    return merges


@pytest.mark.varied
@pytest.mark.parametrize("letters", ["a", "ab", "abcd", "aé😀"])
def test_random_words(letters, rng):
    """On random words with many ties and repeats, every merge is the one that counting all pairs anew gives."""
    for size in range(1, 60):
        longest = rng.choice([3, 8, 25])
        words = ("".join(rng.choice(letters) for _ in range(rng.randint(1, longest))) for _ in range(size // 4 + 1))
        counts = {word: rng.choice([1, 1, 2, 3, 50]) for word in words}
        limit = rng.choice([3, 200])
        expected, got = by_hand(counts, limit), merges_of(counts, limit)
        check.equal(got, expected, f"the merges of train_bpe_fast({counts}, {256 + limit})")


@pytest.mark.varied
def test_random_text(rng):
    """On random text, the merges are those of its pre-tokens."""
    for size in (10, 100, 1000):
        words = ["".join(rng.choice("aabc") for _ in range(rng.randint(1, 6))) for _ in range(size)]
        counts = {}
        for place, word in enumerate(words):
            word = " " + word if place else word
            counts[word] = counts.get(word, 0) + 1
        text, expected = " ".join(words), by_hand(counts, 60)
        check.equal(merges_of(text, 60), expected, f"the merges of train_bpe_fast({text[:60]!r}…, 316)")


# -- how much is touched


def lines_run(function, *args):
    """How many lines of Python a call runs, calls and returns included."""
    count = 0

    def tracer(frame, event, arg):
        nonlocal count
        count += 1
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        function(*args)
    finally:
        sys.settrace(before)
    return count


def bystanders(size):
    """Rare words with signs of their own, which the first merges leave alone."""
    return {f"{place:05}": 1 for place in range(size)}


def touches_only_what_changes(rng):
    """Watch how much more work the same merges are beside more words that they leave alone."""
    busy = {"".join(rng.choice("abcd") for _ in range(5)): 20_000 + place for place in range(12)}
    further = {}
    for size in (250, 1000):
        one, many = (lines_run(merges_of, busy | bystanders(size), count) for count in (1, 25))
        further[size] = many - one
    check.true(
        further[1000] < 2 * further[250] + 2000,
        "24 more merges among 12 words run about as many lines of Python, however many other words there are",
        got=f"{further[250]:,} lines beside 250 other words, {further[1000]:,} lines beside 1,000",
        why="Find the words of a pair in an index (pair → where it stands), and change only the counts of their pairs.",
    )


def test_touches_only_what_changes(rng):
    """What a merge costs does not grow with the words that it leaves as they are."""
    touches_only_what_changes(rng)


def test_many_words_in_time(rng):
    """100,000 different words are learned from within seconds; counting them anew for each merge takes minutes."""
    touches_only_what_changes(rng)  # else there is no need to wait for what follows
    busy = {}
    while len(busy) < 300:
        busy["".join(rng.choice("abcdefgh") for _ in range(rng.randint(2, 9)))] = 10**6 + 1000 * len(busy)
    counts = busy | {f" {number}": 1 for number in rng.sample(range(10**7), 100_000)}
    expected = by_hand(busy, 600)  # the other words' pairs are too rare to come before these
    got = merges_of(counts, len(expected))
    check.equal(got, expected, f"the merges of train_bpe_fast({{…100,300 words…}}, {256 + len(expected)})")
