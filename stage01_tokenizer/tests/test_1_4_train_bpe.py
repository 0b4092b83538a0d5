"""1.4 · Training: count pairs, merge the most frequent one, again and again."""

from itertools import pairwise

import pytest

from bootcamp.grading import check, written

bpe = written("stage01_tokenizer.bpe")

END = "<|end|>"


def spelled(text):
    """A word as the tokens of its single bytes."""
    return tuple(bytes([byte]) for byte in text.encode())


# -- count_pairs


def test_counts_each_pair_of_neighbours():
    """Each two neighbours count, as often as the word does."""
    words = {spelled("abc"): 3, spelled("bcd"): 2}
    check.returns({(b"a", b"b"): 3, (b"b", b"c"): 5, (b"c", b"d"): 2}, bpe.count_pairs, words)


def test_counts_a_pair_twice_in_one_word():
    """A pair that stands twice in a word counts twice."""
    check.returns({(b"a", b"b"): 8, (b"b", b"a"): 4}, bpe.count_pairs, {spelled("abab"): 4})


def test_counts_overlapping_repeats():
    """In aaa the pair (a, a) stands at two places, though only one of them can be merged."""
    expected = {(b"b", b"a"): 5, (b"a", b"a"): 10, (b"a", b"c"): 5}
    check.returns(expected, bpe.count_pairs, {spelled("baaac"): 5})
    check.returns({(b"a", b"a"): 2}, bpe.count_pairs, {spelled("aaa"): 1})
    check.returns({(b"a", b"a"): 3}, bpe.count_pairs, {spelled("aaaa"): 1})


def test_counts_merged_tokens():
    """Tokens of several bytes are counted as they are, not cut up again."""
    check.returns({(b"lo", b"w"): 1, (b"w", b"er"): 1}, bpe.count_pairs, {(b"lo", b"w", b"er"): 1})


def test_counts_nothing_in_short_words():
    """A word of one token has no pair, and neither has no word."""
    check.returns({}, bpe.count_pairs, {(b"a",): 7})
    check.returns({}, bpe.count_pairs, {})


# -- merge_pair


def test_merges_every_occurrence():
    """Each occurrence of the pair becomes one token, also at the start and at the end."""
    check.returns((b"ab", b"c", b"ab"), bpe.merge_pair, spelled("abcab"), (b"a", b"b"))
    check.returns((b"ab",), bpe.merge_pair, spelled("ab"), (b"a", b"b"))
    got = bpe.merge_pair(spelled("ab"), (b"a", b"b"))
    check.true(isinstance(got, tuple), "merge_pair gives a tuple, which can be a key of a dictionary", got=got)
    check.returns((b"a", b"ab", b"b"), bpe.merge_pair, spelled("aabb"), (b"a", b"b"))
    check.returns((b" a", b" a", b" "), bpe.merge_pair, spelled(" a a "), (b" ", b"a"))


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_merges_repeats_from_the_left(count):
    """In a run of one letter the pairs are taken from the left: aaaaa becomes aa aa a."""
    merged = (b"aa",) * (count // 2) + (b"a",) * (count % 2)
    check.returns(merged, bpe.merge_pair, spelled("a" * count), (b"a", b"a"))


def test_merges_only_whole_tokens():
    """Only the two tokens themselves are joined, not others that spell the same bytes."""
    check.returns((b"a", b"bc", b"abc"), bpe.merge_pair, (b"a", b"bc", b"ab", b"c"), (b"ab", b"c"))
    word = (b"xab", b"c", b"ab", b"cx", b"ab c")
    check.returns(word, bpe.merge_pair, word, (b"ab", b"c"), why="xab is another token than ab, and cx another than c.")


def test_merges_nothing_that_is_not_there():
    """A word without the pair comes back as it was."""
    for word in (spelled("ba"), (b"a",), ()):
        check.returns(word, bpe.merge_pair, word, (b"a", b"b"))


# -- train_bpe


def merges_of(text, count, specials=()):
    """The first merges learned from a text."""
    return bpe.train_bpe(text, 256 + len(specials) + count, specials)[1]


def test_learns_the_most_frequent_pair_again_and_again():
    """The most frequent pair is merged, then the counts are taken anew."""
    check.equal(
        merges_of("abcdabceabcfab", 2),
        [(b"a", b"b"), (b"ab", b"c")],
        "the merges of train_bpe('abcdabceabcfab', 258)",
        why="(a, b) stands there four times. With ab as one token, (ab, c) stands there three times.",
    )


def test_merges_stay_within_pre_tokens():
    """No merge joins the end of one word with the space or the word behind it."""
    merges = merges_of("ab cd ab cd ab cd", 4)
    crossing = [pair for pair in merges if b" " in (pair[0] + pair[1])[1:]]
    check.equal(crossing, [], "the merges with a space anywhere but at the front, for 'ab cd ab cd ab cd'")
    check.equal(len(merges), 4, "how many merges 'ab cd ab cd ab cd' has", why="ab, ' c', ' cd', ' ab' in some order.")


def test_numbers_of_the_vocabulary():
    """Ids 0 to 255 are the bytes, then come the merges in order, then the special tokens as given."""
    vocab, merges = bpe.train_bpe("ababab ababab", 261, ["<b>", "<a>"])
    of = "of train_bpe('ababab ababab', 261, ['<b>', '<a>'])"
    check.equal([vocab.get(id) for id in range(256)], [bytes([id]) for id in range(256)], f"tokens 0 to 255 {of}")
    check.equal([vocab.get(id) for id in range(256, 259)], [b"ab", b"abab", b"ababab"], f"tokens 256 to 258 {of}")
    check.equal([vocab.get(id) for id in (259, 260)], [b"<b>", b"<a>"], f"tokens 259 and 260 {of}")
    check.equal(sorted(vocab), list(range(261)), f"the ids in the vocabulary {of}")
    check.equal(len(merges), 3, f"how many are the merges {of}")


def test_stops_when_no_pair_is_left():
    """With no pair left to merge, training ends with a smaller vocabulary, without a gap in the ids."""
    vocab, merges = bpe.train_bpe("ab\nab\nxy", 1000, [END])
    of = f"of train_bpe('ab\\nab\\nxy', 1000, ['{END}'])"
    check.equal(merges, [(b"a", b"b"), (b"x", b"y")], f"the merges {of}")
    check.equal(vocab.get(258), END.encode(), f"token 258 {of}, behind the only merges")
    check.equal(len(vocab), 259, f"the size of the vocabulary {of}")


def test_no_room_for_merges():
    """A vocabulary of the bytes and the special tokens alone is allowed, and one below is refused."""
    vocab, merges = bpe.train_bpe("abab", 257, [END])
    check.equal(
        (len(vocab), merges),
        (257, []),
        f"the size of the vocabulary and the merges of train_bpe('abab', 257, ['{END}'])",
    )
    check.raises(ValueError, bpe.train_bpe, "abab", 256, [END], naming=[257, 256])


def test_special_tokens_that_cannot_be():
    """A special token that is empty or stands twice is refused; one that is listed need not come in the text."""
    check.equal(merges_of("ab", 1, [END]), [(b"a", b"b")], f"the merges of train_bpe('ab', 258, ['{END}'])")
    check.raises(ValueError, bpe.train_bpe, "ab", 300, [END, ""])
    check.raises(ValueError, bpe.train_bpe, "ab", 300, [END, "<a>", END])


def test_bytes_not_characters():
    """A character of several bytes is several tokens at first, and merged like any others."""
    check.equal(merges_of("éé", 1), [(b"\xc3", b"\xa9")], "the first merge of train_bpe('éé', 257)")


def test_special_tokens_are_not_learned_from():
    """No pair within a special token counts, and none across it."""
    _, merges = bpe.train_bpe(f"ab{END}ab{END}{END}ab", 300, [END])
    check.equal(merges, [(b"a", b"b")], f"the merges of train_bpe('ab{END}ab{END}{END}ab', 300, ['{END}'])")


def test_special_tokens_separate():
    """The texts before and behind a special token are pre-tokenised apart."""
    check.equal(merges_of(f"a{END}b", 9, [END]), [], f"the merges of train_bpe('a{END}b', 266, ['{END}'])")
    got = merges_of(f"a {END} b", 9, [END])
    check.equal(got, [(b" ", b"b")], f"the merges of train_bpe('a {END} b', 266, ['{END}'])")


@pytest.mark.parametrize("text", ["", "a", "a\n", END])
def test_texts_without_a_pair(text):
    """A text in which no two tokens stand side by side gives the bytes and the special tokens."""
    vocab, merges = bpe.train_bpe(text, 300, [END])
    check.equal(merges, [], f"the merges of train_bpe({text!r}, 300, ['{END}'])")
    check.equal(vocab.get(256), END.encode(), f"token 256 of train_bpe({text!r}, 300, ['{END}'])")
    check.equal(len(vocab), 257, f"the size of the vocabulary of train_bpe({text!r}, 300, ['{END}'])")


def test_a_tie_goes_to_the_greatest_pair():
    """Of equally frequent pairs the lexicographically greatest pair of byte strings is merged."""
    text = "low " * 5 + "lower " * 2 + "widest " * 3 + "newest " * 6
    check.equal(
        merges_of(text, 1),
        [(b"s", b"t")],
        "the first merge of train_bpe('low low low low low lower …', 257)",
        why="(e, s) and (s, t) both stand there nine times, and s comes after e.",
    )


def test_a_tie_is_decided_by_bytes():
    """Ties compare the bytes of the tokens, not their ids and not their lengths."""
    # (y, z) and (t, u) come four times each and are merged first; then (yz, q) and (tu, p) tie at three.
    text = END.join(["yzq"] * 3 + ["yz"] + ["tup"] * 3 + ["tu"])
    check.equal(
        merges_of(text, 4, [END]),
        [(b"y", b"z"), (b"t", b"u"), (b"yz", b"q"), (b"tu", b"p")],
        f"the merges of train_bpe('yzq{END}yzq{END}…', 261, ['{END}'])",
        why="yz comes after tu in the order of bytes, whichever was learned first.",
    )
    # (a, b) comes four times and is merged first; then (ab, c) and (x, y) tie at three.
    text = END.join(["abc"] * 3 + ["ab"] + ["xy"] * 3)
    check.equal(
        merges_of(text, 2, [END]),
        [(b"a", b"b"), (b"x", b"y")],
        f"the merges of train_bpe('abc{END}abc{END}…', 259, ['{END}'])",
        why="x comes after ab in the order of bytes, although it is shorter and was there before.",
    )


def test_a_tie_compares_the_first_tokens_first():
    """Of two pairs, the one with the greater first token is the greater, whatever they spell."""
    # (x, c) and (y, b) come five times each, (a, b) four times; then (ab, a) and (a, z) tie at three.
    text = END.join(["xc"] * 5 + ["yb"] * 5 + ["az"] * 3 + ["aba"] * 3 + ["ab"])
    check.equal(
        merges_of(text, 5, [END]),
        [(b"y", b"b"), (b"x", b"c"), (b"a", b"b"), (b"ab", b"a"), (b"a", b"z")],
        f"the merges of train_bpe('xc{END}xc{END}…', 262, ['{END}'])",
        why="y comes after x, and ab after a. The second tokens decide only if the first ones are the same.",
    )


@pytest.mark.varied
def test_random_texts(rng):
    """On random texts every merge is the one that a count by hand asks for, with ties decided by bytes."""
    for size in (4, 12, 40):
        text = "".join(rng.choice("aabé, ") for _ in range(size))
        _, merges = bpe.train_bpe(text, 256 + 12)
        for done, pair in enumerate(merges):
            best = _best_pairs(text, merges[:done])[0]
            check.equal(pair, best, f"merge {done} of train_bpe({text!r}, 268), after {merges[:done]}")
        check.equal(_best_pairs(text, merges)[:1] if len(merges) < 12 else [], [], f"the pairs left in {text!r}")


def _best_pairs(text, merges):
    """All pairs left after some merges, the one to merge next first. Counted place by place, on texts of a, b, é,
    comma and space: there a pre-token is a run of letters or commas with the space before it, or other spaces."""
    import re

    counts = {}
    for word in re.findall(r" ?[abé]+| ?,+| +(?![^ ])| +", text):
        tokens = [bytes([byte]) for byte in word.encode()]
        for left, right in merges:
            place = 0
            while place < len(tokens) - 1:
                if (tokens[place], tokens[place + 1]) == (left, right):
                    tokens[place : place + 2] = [left + right]
                place += 1
        for pair in pairwise(tokens):
            counts[pair] = counts.get(pair, 0) + 1
    return sorted(counts, key=lambda pair: (counts[pair], pair), reverse=True)
