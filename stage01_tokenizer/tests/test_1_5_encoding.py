"""1.5 · Encoding: the merge that was learned first is made first."""

import math
from collections.abc import Mapping
from itertools import pairwise
from string import ascii_letters

import pytest

from bootcamp.grading import check, written

bpe = written("stage01_tokenizer.bpe")


def ranks_of(*merges):
    """The ranks of merges, each written as its two tokens with | between them, the first learned first."""
    pairs = (merge.encode().split(b"|") for merge in merges)
    return {(left, right): rank for rank, (left, right) in enumerate(pairs)}


# -- one merge, or none


def test_rank_zero():
    """The merge of rank 0 is made like the others."""
    check.returns([b"ab"], bpe.encode_bytes, b"ab", ranks_of("a|b"))


def test_nothing_to_merge():
    """Where no pair has a rank, the tokens are the single bytes; (b, a) is another pair than (a, b)."""
    check.returns([b"b", b"a"], bpe.encode_bytes, b"ba", ranks_of("a|b"))
    check.returns([b"a", b"b"], bpe.encode_bytes, b"ab", {})


def test_short_words():
    """An empty word has no token, and a word of one byte has one."""
    check.returns([b"a"], bpe.encode_bytes, b"a", ranks_of("a|b"))
    check.returns([], bpe.encode_bytes, b"", ranks_of("a|b"))


def test_every_occurrence_is_merged():
    """A pair is merged wherever it stands, also at the start and at the end."""
    check.returns([b"ab", b"-", b"ab", b"ab"], bpe.encode_bytes, b"ab-abab", ranks_of("a|b"))


# -- which merge comes first


def test_the_first_learned_is_made_first():
    """The pair of lowest rank is merged first, although another one stands further left."""
    why = "(b, c) was learned before (a, b). Once bc is one token, there is no b left to be merged with a."
    check.returns([b"a", b"bc"], bpe.encode_bytes, b"abc", ranks_of("b|c", "a|b"), why=why)


def test_the_last_learned_is_made_last():
    """A pair of higher rank waits, although it stands further right."""
    check.returns([b"ab", b"c"], bpe.encode_bytes, b"abc", ranks_of("a|b", "b|c"))


def test_rank_not_length():
    """The order of learning decides, not which token is the longest."""
    why = "ab is made first, then cd. No c is left to make abc with, though abc is a token, and longer."
    check.returns([b"ab", b"cd"], bpe.encode_bytes, b"abcd", ranks_of("a|b", "c|d", "ab|c"), why=why)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7])
def test_repeats_from_the_left(count):
    """In a run of one letter the leftmost pair is merged first: aaaaa becomes aa aa a."""
    expected = [b"aa"] * (count // 2) + [b"a"] * (count % 2)
    check.returns(expected, bpe.encode_bytes, b"a" * count, ranks_of("a|a"))


# -- again and again


def test_merged_tokens_are_merged_again():
    """A token that a merge has made is merged with its neighbours on either side, for as long as a pair has a rank."""
    check.returns([b"lowest"], bpe.encode_bytes, b"lowest", ranks_of("s|t", "e|st", "w|est", "o|west", "l|owest"))
    check.returns([b"lower"], bpe.encode_bytes, b"lower", ranks_of("l|o", "lo|w", "low|e", "lowe|r"))
    check.returns([b"lower", b"low"], bpe.encode_bytes, b"lowerlow", ranks_of("o|w", "e|r", "l|ow", "low|er"))
    check.returns([b"abc", b"ab"], bpe.encode_bytes, b"abcab", ranks_of("b|c", "a|b", "a|bc"))


def test_repeats_of_merged_tokens():
    """What a run was merged to may be a run again."""
    check.returns([b"aaaa", b"aa", b"a"], bpe.encode_bytes, b"aaaaaaa", ranks_of("a|a", "aa|aa"))
    check.returns([b"aa", b"aaa"], bpe.encode_bytes, b"aaaaa", ranks_of("a|a", "aa|a"))
    check.returns([b"abab", b"ab", b"a"], bpe.encode_bytes, b"abababa", ranks_of("a|b", "ab|ab"))


def test_published_merges():
    """With the first twenty merges of GPT-2, words are cut as GPT-2 cuts them."""
    first = [" |t", " |a", "h|e", "i|n", "r|e", "o|n", " t|he", "e|r", " |s", "a|t"]
    then = [" |w", " |o", "e|n", " |c", "i|t", "i|s", "a|n", "o|r", "e|s", " |b"]
    ranks = ranks_of(*first, *then)
    check.returns([b" the", b"re"], bpe.encode_bytes, b" there", ranks)
    check.returns([b"an", b"o", b"t", b"he", b"r"], bpe.encode_bytes, b"another", ranks)
    check.returns([b" s", b"e", b"en"], bpe.encode_bytes, b" seen", ranks)


# -- words of all kinds


def test_any_bytes():
    """A word may hold any of the 256 bytes, whether they spell characters or not."""
    check.returns([bytes([byte]) for byte in range(256)], bpe.encode_bytes, bytes(range(256)), {})
    ranks = {(b"\xff", b"\xff"): 0, (b"\xc3", b"\xa9"): 1, (b"\x00", b"\xc3\xa9"): 2}
    check.returns([b"\x00\xc3\xa9", b"\xff\xff", b"\xc3"], bpe.encode_bytes, b"\x00\xc3\xa9\xff\xff\xc3", ranks)


def test_each_call_goes_by_its_own_ranks():
    """The same word gives other tokens with other ranks."""
    check.returns([b"ab", b"c"], bpe.encode_bytes, b"abc", ranks_of("a|b"))
    check.returns([b"a", b"bc"], bpe.encode_bytes, b"abc", ranks_of("b|c"))


def test_ranks_of_any_mapping():
    """The ranks may be any Mapping, not only a dict."""
    got = bpe.encode_bytes(b"abcab", Counted(ranks_of("b|c", "a|b", "a|bc"), 5))
    check.equal(got, [b"abc", b"ab"], "encode_bytes(b'abcab', ranks), where ranks is a Mapping that is no dict")


@pytest.mark.varied
def test_random_words(rng):
    """On random words and merges, the leftmost pair of the lowest rank is merged until no pair has a rank."""
    for size in (*range(2, 30), 100):
        ranks = random_ranks(rng, "ab" if size % 2 else "abcd", size)
        word = bytes(rng.choices(b"ab" if size % 2 else b"abcd", k=size))
        check.returns(merged_by_hand(word, ranks), bpe.encode_bytes, word, ranks)


def random_ranks(rng, letters, count):
    """Merges that training could have learned: each joins two tokens that were there before it to a new one."""
    tokens, ranks = [letter.encode() for letter in letters], {}
    known = set(tokens)
    while len(ranks) < count:
        left, right = (tokens[int(len(tokens) * rng.random() ** 2)] for _ in range(2))
        if left + right not in known:
            ranks[left, right] = len(ranks)
            tokens.append(left + right)
            known.add(left + right)
    return ranks


def merged_by_hand(word, ranks):
    """One merge after the other, with a look at all pairs before each: right, and slow."""
    tokens = [word[i : i + 1] for i in range(len(word))]
    while True:
        found = [(ranks[pair], place) for place, pair in enumerate(pairwise(tokens)) if pair in ranks]
        if not found:
            return tokens
        _, place = min(found)
        tokens[place : place + 2] = [tokens[place] + tokens[place + 1]]


# -- long words, and many ranks


class Counted(Mapping):
    """Ranks that count how often somebody looks into them, and give up when that is too often for a word."""

    def __init__(self, ranks, size):
        self.ranks, self.size, self.count = ranks, size, 0
        self.limit = int(2 * size * math.log2(size)) + 100

    def looked(self, why):
        self.count += 1
        if self.count > self.limit:
            check.true(
                False,
                f"for a word of n = {self.size:,} bytes, encode_bytes looks into ranks at most 2 n log2 n + 100 times",
                got=f"more than {self.limit:,} looks into ranks",
                why=why,
            )

    def __getitem__(self, pair):  # get() and `in` come here too
        self.looked("A merge makes two new pairs, one on each side, and changes no other: only these need a look.")
        return self.ranks[pair]

    def __iter__(self):
        for pair in self.ranks:
            self.looked("Going through all the ranks takes too long: look up the pairs that stand in the word.")
            yield pair

    def __len__(self):
        return len(self.ranks)


def holds(word, ranks, expected, what):
    """Hold the tokens of a long word to `expected`, and the looks into ranks to their limit."""
    got = bpe.encode_bytes(word, Counted(ranks, len(word)))
    check.true(isinstance(got, (list, tuple)), "encode_bytes gives a list", got=got)
    if list(got) != expected:
        first = next((i for i, (one, other) in enumerate(zip(got, expected)) if one != other), len(expected))
        check.equal(list(got[first : first + 8]), expected[first : first + 8], f"{what}, from token {first} on")
        check.equal(len(got), len(expected), f"how many are {what}")


@pytest.mark.parametrize(
    "word, ranks, tokens",
    [
        ("abc", ranks_of("b|c", "a|b"), "a|bc"),
        ("abc", ranks_of("a|b", "b|c"), "ab|c"),
        ("abcd", ranks_of("a|b", "c|d", "ab|c"), "ab|cd"),
        ("aaaaaaa", ranks_of("a|a", "aa|aa"), "aaaa|aa|a"),
        ("abababa", ranks_of("a|b", "ab|ab"), "abab|ab|a"),
        ("lowest", ranks_of("s|t", "e|st", "w|est", "o|west", "l|owest"), "lowest"),
        ("lower", ranks_of("l|o", "lo|w", "low|e", "lowe|r"), "lower"),
    ],
)
def test_the_same_in_a_long_word(word, ranks, tokens):
    """In the middle of a long word, and at its ends, the same merges are made as in a short one."""
    tokens = [token.encode() for token in tokens.split("|")]
    holds(
        word.encode() + b"-" * 300 + word.encode() + b"." + word.encode(),
        ranks,
        [*tokens, *[b"-"] * 300, *tokens, b".", *tokens],
        f"the tokens of '{word}', 300 times '-', '{word}.{word}'",
    )


def test_work_on_a_run():
    """In a long run of one letter, a merge does not make all pairs be looked up again."""
    holds(b"a" * 4100, ranks_of("b|a", "a|a"), [b"aa"] * 2050, "the tokens of 4,100 times the letter a")


def test_work_on_a_token_that_grows():
    """Where one token takes up one letter after the other, the rest of the word is not looked at each time."""
    word = b"<" + b"lower" * 200
    ranks = {(b"r", b"r"): 0} | {(word[:end], word[end : end + 1]): end for end in range(1, len(word))}
    holds(word, ranks, [word], "the tokens of b'<lowerlower…', which merge to one")


def test_work_on_many_pairs():
    """In a word with a thousand different pairs to merge, one merge does not make the others be looked up again."""
    pairs = [(bytes([left]), bytes([right])) for right in range(64, 96) for left in range(32)]
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    tokens = [left + right for left, right in sorted(pairs)]
    holds(b"".join(tokens), ranks, tokens, "the tokens of 1,024 different pairs, side by side")


def test_work_on_a_short_word():
    """A short word takes a few looks into the ranks, however many ranks there are."""
    ranks = ranks_of("o|w", "e|r", "l|ow", "low|er")
    ranks |= {(b"%d" % (rank % 100), b"%d" % rank): rank for rank in range(4, 20_000)}
    holds(b"lower", ranks, [b"lower"], "the tokens of b'lower', with 20,000 ranks")


@pytest.mark.varied
def test_a_very_long_word(rng):
    """A word of 200,000 bytes takes a moment, not minutes."""
    ranks = random_ranks(rng, ascii_letters, 300)
    tokens = {left + right for left, right in ranks}
    pairs = [(left.encode(), right.encode()) for left in ascii_letters for right in ascii_letters]
    for pair in rng.sample(pairs, 2000):
        if b"".join(pair) not in tokens:
            ranks[pair] = len(ranks)
    # Random parts of letters and digits; - stands between them, and neither it nor a digit is in any merge.
    parts = [bytes(rng.choices(ascii_letters.encode() + b"0123456789" * 3, k=length)) for length in range(1, 80)]
    tokens_of = [[*merged_by_hand(part, ranks), b"-"] for part in parts]
    for size in (50, 2_000, 20_000, 200_000):
        word, expected, left = [], [], size
        while left > 0:
            number = rng.randrange(min(left, len(parts)))
            word += [parts[number], b"-"]
            expected += tokens_of[number]
            left -= len(parts[number]) + 1
        what = f"the tokens of a random word of {size:,} bytes, with {len(ranks):,} ranks"
        holds(b"".join(word), ranks, expected, what)
