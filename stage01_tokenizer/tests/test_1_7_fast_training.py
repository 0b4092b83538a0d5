"""1.7 · Training, a hundred times faster: the same merges as 1.4, by touching only what a merge changes."""

import sys
from itertools import pairwise

import pytest

from bootcamp.grading import check, written

bpe_fast = written("stage01_tokenizer.bpe_fast")

END = "<|end|>"


def trained(source, vocab_size, specials=()):
    """The vocabulary and the merges learned from a text or from counts."""
    got = check.unchanged(bpe_fast.train_bpe_fast, source, vocab_size, specials)
    if not (isinstance(got, (tuple, list)) and len(got) == 2):
        call = check.call_text(bpe_fast.train_bpe_fast, (source, vocab_size, specials), {})
        check.with_call(lambda: check.equal(got, ("the vocabulary", "the merges"), "what it returns"), call)
    return got


def merges_of(source, count, specials=()):
    """The first merges learned from a text or from counts."""
    return trained(source, 256 + len(specials) + count, specials)[1]


def test_learns_from_text():
    """The most frequent pair within a pre-token is merged, then the counts are taken anew."""
    text = "yxa,yxa,yx"
    expected = [(b"y", b"x"), (b"yx", b"a")]
    check.equal(merges_of(text, 2), expected, f"the merges of train_bpe_fast({text!r}, 258)")


def test_learns_from_counts():
    """Counts of pre-tokens teach the same as the text that they were counted in."""
    counts = {"yxa": 2, ",": 2, "yx": 1}
    expected = [(b"y", b"x"), (b"yx", b"a")]
    check.equal(merges_of(counts, 2), expected, f"the merges of train_bpe_fast({counts}, 258)")


def test_pre_tokens_of_the_counts_are_not_cut():
    """The words that counts are given for are pre-tokens already, whatever they hold."""
    counts = {"a b": 3, "a ": 1}
    why = "Whoever counted may have cut the text by another pattern; 'a b' is one pre-token here."
    expected = [(b"a", b" "), (b"a ", b"b")]
    check.equal(merges_of(counts, 2), expected, f"the merges of train_bpe_fast({counts}, 258)", why=why)


def test_counts_weigh():
    """A pre-token counts as often as the counts say, not once."""
    counts = {"ab": 1, "cd": 5, "ef": 3}
    expected = [(b"c", b"d"), (b"e", b"f"), (b"a", b"b")]
    check.equal(merges_of(counts, 3), expected, f"the merges of train_bpe_fast({counts}, 259)")


def test_merges_stay_within_pre_tokens():
    """No merge joins the end of one word with the space or the word behind it."""
    text = "ab cd ab cd ab cd"
    crossing = [pair for pair in merges_of(text, 20) if b" " in (pair[0] + pair[1])[1:]]
    check.equal(crossing, [], f"the merges with a space anywhere but at the front, for {text!r}")


def test_a_tie_goes_to_the_greatest_pair():
    """Of equally frequent pairs the lexicographically greatest pair of byte strings is merged."""
    counts = {"ab": 3, "zy": 3, "ac": 3, "za": 3}
    expected = [(b"z", b"y"), (b"z", b"a"), (b"a", b"c"), (b"a", b"b")]
    check.equal(merges_of(counts, 4), expected, f"the merges of train_bpe_fast({counts}, 260)")


def test_a_tie_is_decided_by_bytes():
    """Ties compare the bytes of the tokens, not their ids."""
    counts = {"zyq": 3, "zy": 1, "utp": 3, "ut": 1}
    expected = [(b"z", b"y"), (b"u", b"t"), (b"zy", b"q")]
    why = "Then (zy, q) and (ut, p) tie. zy comes after ut in the order of bytes, though ut was learned later."
    check.equal(merges_of(counts, 3), expected, f"the merges of train_bpe_fast({counts}, 259)", why=why)


def test_a_tie_of_tokens_that_begin_alike():
    """In a tie, a token comes after one that it begins with: b'ba' is greater than b'b'."""
    counts = {"ba": 9, "bay": 2, "bx": 2}
    expected = [(b"b", b"a"), (b"ba", b"y"), (b"b", b"x")]
    why = "(ba, y) and (b, x) tie, and b'ba' > b'b'."
    check.equal(merges_of(counts, 3), expected, f"the merges of train_bpe_fast({counts}, 259)", why=why)
    counts = {"aa": 20, "baa": 2, "ba": 9, "baz": 2}
    expected = [(b"a", b"a"), (b"b", b"a"), (b"ba", b"z"), (b"b", b"aa")]
    why = "(ba, z) and (b, aa) tie, and b'ba' > b'b'."
    check.equal(merges_of(counts, 4), expected, f"the merges of train_bpe_fast({counts}, 260)", why=why)
    counts = {"xa": 5, "xab": 2, "xz": 2}
    expected = [(b"x", b"a"), (b"xa", b"b"), (b"x", b"z")]
    why = "(xa, b) and (x, z) tie. What they spell would put xz first, but xa > x."
    check.equal(merges_of(counts, 3), expected, f"the merges of train_bpe_fast({counts}, 259)", why=why)


def test_counts_fall_when_a_merge_takes_their_places():
    """A merge lowers the counts of the pairs that it takes a token from."""
    counts = {"abc": 4, "ab": 3, "bc": 2, "de": 3}
    why = "(a, b) comes seven times and (b, c) six times, but four of those six are gone once ab is merged."
    expected = [(b"a", b"b"), (b"ab", b"c"), (b"d", b"e"), (b"b", b"c")]
    check.equal(merges_of(counts, 4), expected, f"the merges of train_bpe_fast({counts}, 260)", why=why)


def test_both_neighbours_of_a_merge():
    """A merge makes a new pair on its left and a new pair on its right."""
    counts = {"xbc": 3, "bcy": 2}
    expected = [(b"b", b"c"), (b"x", b"bc"), (b"bc", b"y")]
    check.equal(merges_of(counts, 3), expected, f"the merges of train_bpe_fast({counts}, 259)")


def test_repeats_are_merged_from_the_left():
    """In a run of one letter the pairs are merged from the left: aaa becomes aa a."""
    counts, expected = {"aaa": 1}, [(b"a", b"a"), (b"aa", b"a")]
    check.equal(merges_of(counts, 9), expected, f"the merges of train_bpe_fast({counts}, 265)")


def test_repeats_are_counted_where_they_overlap():
    """In a run of one letter the pairs overlap, and all of them count: (a, a) stands at two places in aaa."""
    counts = {"aaa": 3, "xy": 5}
    expected = [(b"a", b"a"), (b"x", b"y"), (b"aa", b"a")]
    check.equal(merges_of(counts, 3), expected, f"the merges of train_bpe_fast({counts}, 259)")


def test_repeats_become_repeats():
    """A merge in a run of one letter leaves a run of pairs: aaaa becomes aa aa, where (aa, aa) comes once."""
    counts = {"aaaa": 2, "xy": 3}
    expected = [(b"a", b"a"), (b"x", b"y"), (b"aa", b"aa")]
    check.equal(merges_of(counts, 9), expected, f"the merges of train_bpe_fast({counts}, 265)")
    counts = {"aaaaaa": 2, "xy": 5}
    expected = [(b"a", b"a"), (b"x", b"y"), (b"aa", b"aa"), (b"aaaa", b"aa")]
    check.equal(merges_of(counts, 9), expected, f"the merges of train_bpe_fast({counts}, 265)")


def test_bytes_not_characters():
    """A character of several bytes is several tokens at first, and merged like any others."""
    check.equal(merges_of("éé", 1), [(b"\xc3", b"\xa9")], "the first merge of train_bpe_fast('éé', 257)")


def test_any_byte():
    """Every byte is a token like others, also those that no text in a book has."""
    counts = {"\x00\x00": 3, "\x01\x00": 2, "\x7f\x01": 1}
    expected = [(b"\x00", b"\x00"), (b"\x01", b"\x00"), (b"\x7f", b"\x01")]
    check.equal(merges_of(counts, 9), expected, f"the merges of train_bpe_fast({counts}, 265)")


def test_special_tokens_are_not_learned_from():
    """No pair within a special token counts, and none across it."""
    text = f"ab{END}ab{END}{END}ab"
    check.equal(merges_of(text, 9, [END]), [(b"a", b"b")], f"the merges of train_bpe_fast({text!r}, 266, ['{END}'])")


def test_special_tokens_separate():
    """The texts before and behind a special token are pre-tokenised apart."""
    text = f"a {END} b"
    check.equal(merges_of(text, 9, [END]), [(b" ", b"b")], f"the merges of train_bpe_fast({text!r}, 266, ['{END}'])")


def test_numbers_of_the_vocabulary():
    """Ids 0 to 255 are the bytes, then come the merges in order, then the special tokens as given."""
    vocab, merges = trained({"ab": 3, "cd": 2, "ef": 1}, 260, ["<b>", "<a>"])
    check.equal([vocab.get(id) for id in range(256)], [bytes([id]) for id in range(256)], "the tokens of ids 0 to 255")
    check.equal([vocab.get(id) for id in (256, 257)], [b"ab", b"cd"], "the tokens of ids 256 and 257")
    check.equal([vocab.get(id) for id in (258, 259)], [b"<b>", b"<a>"], "the tokens of ids 258 and 259")
    check.equal(sorted(vocab), list(range(260)), "the ids of the vocabulary")
    check.equal(merges, [(b"a", b"b"), (b"c", b"d")], "the merges")


def test_stops_when_no_pair_is_left():
    """With no pair left to merge, training ends with a smaller vocabulary, without a gap in the ids."""
    for source in ("ab", {"ab": 7, "a": 9}):
        vocab, merges = trained(source, 1000, [END])
        check.equal(merges, [(b"a", b"b")], f"the merges of train_bpe_fast({source!r}, 1000, ['{END}'])")
        check.equal(vocab.get(257), END.encode(), "the token of id 257, behind the only merge")
        check.equal(len(vocab), 258, "the size of the vocabulary")


@pytest.mark.parametrize("source", ["", {}, "a", {"a": 3}], ids=repr)
def test_sources_without_a_pair(source):
    """Nothing to merge gives the bytes and the special tokens alone."""
    vocab, merges = trained(source, 300, [END])
    call = f"train_bpe_fast({source!r}, 300, ['{END}'])"
    check.equal((len(vocab), merges), (257, []), f"the size of the vocabulary and the merges of {call}")


def test_counts_are_at_least_one():
    """A pre-token that is counted less than once is an error that names it."""
    check.equal(merges_of({"ab": 1}, 1), [(b"a", b"b")], "the merges of train_bpe_fast({'ab': 1}, 257)")
    for count in (0, -2):
        check.raises(ValueError, bpe_fast.train_bpe_fast, {"ab": 3, "cd": count}, 258, naming=["cd"])


def test_no_room_for_merges():
    """A vocabulary of the bytes and the special tokens alone is allowed, and one below is refused."""
    vocab, merges = trained({"ab": 2}, 257, [END])
    call = f"train_bpe_fast({{'ab': 2}}, 257, ['{END}'])"
    check.equal((len(vocab), merges), (257, []), f"the size of the vocabulary and the merges of {call}")
    check.raises(ValueError, bpe_fast.train_bpe_fast, {"ab": 2}, 256, [END], naming=[257, 256])


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
@pytest.mark.parametrize("letters", ["a", "ab", "abcd", "aé😀", "\x00\x01\x7f"], ids=ascii)
def test_random_words(letters, rng):
    """On random words with many ties and repeats, every merge is the one that counting all pairs anew gives."""
    for size in range(1, 60, 2):
        longest = rng.choice([3, 8, 25])
        words = ("".join(rng.choice(letters) for _ in range(rng.randint(1, longest))) for _ in range(size // 4 + 1))
        counts = {word: rng.choice([1, 1, 2, 3, 50]) for word in words}
        limit = rng.choice([3, 200])
        expected, got = by_hand(counts, limit), merges_of(counts, limit)
        check.equal(got, expected, f"the merges of train_bpe_fast({counts}, {256 + limit})")


@pytest.mark.varied
def test_many_random_words(rng):
    """Where a pair stands at hundreds of places, every merge is the one that counting all pairs anew gives, too."""
    words = ("".join(rng.choice("aab") for _ in range(rng.randint(3, 20))) for _ in range(300))
    counts = {word: rng.choice([1, 1, 2, 5]) for word in words}
    check.equal(merges_of(counts, 120), by_hand(counts, 120), "the merges of train_bpe_fast({…300 words…}, 376)")


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


def bystanders(rng, size):
    """Rare words of letters from é to ࢸ, in hundreds of pairs that the first merges leave alone."""
    return {"".join(chr(rng.randrange(0xE9, 0x800)) for _ in range(3)): 1 for _ in range(size)}


def touches_only_what_changes(rng, as_text=False):
    """Watch how much more work the same merges are beside more words that they leave alone."""
    often = 40 if as_text else 20_000
    busy = {"".join(rng.choice("abcd") for _ in range(5)): often + place for place in range(12)}
    lines = {}
    for size in (100, 1000):
        words = busy | bystanders(rng, size)
        source = " ".join(word for word, count in words.items() for _ in range(count)) if as_text else words
        one, many = (lines_run(merges_of, source, count) for count in (1, 21))
        lines[size] = many - one
    check.true(
        lines[1000] < 2 * lines[100] + 2000,
        "20 more merges among 12 words run about as many lines of Python, however many other words there are",
        got=f"{lines[100]:,} lines beside 100 other words, {lines[1000]:,} lines beside 1,000 other words",
        why="Keep an index of where each pair stands, change only the counts of the pairs around a merge, and let a "
        "queue (heapq) say which pair is next, so that no merge looks at all words or at all pairs.",
    )


def test_touches_only_what_changes(rng):
    """What a merge costs does not grow with the words that it leaves as they are."""
    touches_only_what_changes(rng)


def test_touches_only_what_changes_in_a_text(rng):
    """The same holds for a text as for counts."""
    touches_only_what_changes(rng, as_text=True)


@pytest.mark.varied
def test_many_words_in_time(rng):
    """100,000 different words are learned from within seconds; counting them anew for each merge takes minutes."""
    touches_only_what_changes(rng)  # else there is no need to wait for what follows
    small = {"".join(rng.choice("ab") for _ in range(rng.randint(2, 9))): rng.randint(1, 3) for _ in range(30)}
    check.equal(merges_of(small, 60), by_hand(small, 60), f"the merges of train_bpe_fast({small}, 316)")
    busy = {}
    while len(busy) < 300:
        busy["".join(rng.choice("abcdefgh") for _ in range(rng.randint(2, 9)))] = 10**6 + 1000 * len(busy)
    counts = busy | {f" {number}": 1 for number in rng.sample(range(10**7), 100_000)}
    expected = by_hand(busy, 600)  # the other words' pairs are too rare to come before these
    got = merges_of(counts, len(expected))
    check.equal(got, expected, f"the merges of train_bpe_fast({{…100,300 words…}}, {256 + len(expected)})")
