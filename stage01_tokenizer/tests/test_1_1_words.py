"""1.1 · Words: the most frequent ones get ids, the others are <unk>."""

from collections import Counter

import pytest

from bootcamp.grading import check, written

words = written("stage01_tokenizer.words")


def vocabulary(tokenizer, size):
    """The words of ids 0, 1, 2, …, as the tokenizer itself decodes them; fewer if it has fewer."""
    found = []
    for id in range(size):
        try:
            found.append(tokenizer.decode([id]))
        except IndexError:
            break
    return found


def test_decode():
    """Words are joined by single spaces; an unknown word comes back as <unk>."""
    tokenizer = words.WordTokenizer.train(["be be to"], vocab_size=4)
    check.returns("to be <unk>", tokenizer.decode, [2, 1, 0])
    check.returns("", tokenizer.decode, [])
    got = tokenizer.decode(id for id in (2, 1))
    check.equal(got, "to be", "decode(id for id in (2, 1)), where the ids come from a generator")


def test_most_frequent_first():
    """Id 0 is <unk>; then the most frequent word of all texts together comes first."""
    texts = ["b c", "a c a", "c"]
    tokenizer = words.WordTokenizer.train(texts, vocab_size=4)
    check.equal(vocabulary(tokenizer, 4), ["<unk>", "c", "a", "b"], f"the words of ids 0 to 3 after train({texts}, 4)")


def test_words_are_taken_as_they_are():
    """A capital or a comma makes another word; this is what a vocabulary of words breaks on."""
    tokenizer = words.WordTokenizer.train(["the the the end, end, The"], vocab_size=9)
    check.equal(
        vocabulary(tokenizer, 4),
        ["<unk>", "the", "end,", "The"],
        "the words of ids 0 to 3 after train(['the the the end, end, The'], 9)",
    )


def test_ties_in_order_of_the_words():
    """Words that are equally frequent stand in the order of sorted()."""
    tokenizer = words.WordTokenizer.train(["fig pear apple kiwi fig pear apple Zoe"], vocab_size=6)
    check.equal(
        vocabulary(tokenizer, 6),
        ["<unk>", "apple", "fig", "pear", "Zoe", "kiwi"],
        "the words of ids 0 to 5 after train(['fig pear apple kiwi fig pear apple Zoe'], 6)",
        why="apple, fig and pear come twice each, so the alphabet decides; in it, capitals come before small letters.",
    )


def test_unknown_words_are_id_0():
    """A word without an id is encoded as 0, and takes its place in the list like any other."""
    tokenizer = words.WordTokenizer.train(["a a b"], vocab_size=9)
    check.returns([1, 0, 2, 0], tokenizer.encode, "a x b y", why="After train(['a a b'], 9), a is 1 and b is 2.")


def test_vocab_size_counts_the_unknown_word():
    """A vocab_size of 3 has room for <unk> and two words."""
    tokenizer = words.WordTokenizer.train(["a a a b b c"], vocab_size=3)
    check.equal(tokenizer.encode("c"), [0], "the id of c after train(['a a a b b c'], 3), which leaves no room for c")
    check.equal(tokenizer.encode("b"), [2], "the id of b after train(['a a a b b c'], 3)")
    tokenizer = words.WordTokenizer.train(["a a b"], vocab_size=1)
    check.equal(tokenizer.encode("a b"), [0, 0], "the ids of 'a b' after train(['a a b'], vocab_size=1)")


def test_smaller_than_asked():
    """With fewer words than asked for, the vocabulary is smaller; without any, it is <unk> alone."""
    tokenizer = words.WordTokenizer.train(["a a b"], vocab_size=100)
    check.equal(tokenizer.encode("a b"), [1, 2], "the ids of 'a b' after train(['a a b'], vocab_size=100)")
    tokenizer = words.WordTokenizer.train([], vocab_size=5)
    check.equal(tokenizer.decode([0]), "<unk>", "the word of id 0 after training on no text at all")


def test_any_white_space_separates():
    """White space of any kind separates words, however much of it stands together."""
    tokenizer = words.WordTokenizer.train(["  a\ta\n\nb  \r\n"], vocab_size=9)
    given = "train(['  a\\ta\\n\\nb  \\r\\n'], 9)"
    check.equal(vocabulary(tokenizer, 4), ["<unk>", "a", "b"], f"the words of ids 0, 1, … after {given}")
    check.returns([1, 2, 1], tokenizer.encode, " a   b\n\ta ", why=f"After {given}, a is 1 and b is 2.")
    check.returns([], tokenizer.encode, "")
    check.returns([], tokenizer.encode, " \n ")
    check.returns([1, 2, 1], tokenizer.encode, "a\u3000b\u00a0a")


def test_texts_from_a_generator():
    """The texts may come from a generator, which can be read only once."""
    tokenizer = words.WordTokenizer.train((text for text in ["b a", "b"]), vocab_size=9)
    check.equal(vocabulary(tokenizer, 3), ["<unk>", "b", "a"], "the words of ids 0 to 2 after train((text for …), 9)")


def test_the_unknown_word_itself():
    """A literal <unk> in a text is the unknown word, and gets no id of its own."""
    tokenizer = words.WordTokenizer.train(["<unk> <unk> <unk> a"], vocab_size=9)
    check.equal(tokenizer.encode("<unk> a"), [0, 1], "the ids of '<unk> a' after training on '<unk> <unk> <unk> a'")


def test_decode_refuses_other_ids():
    """An id that is negative or too large is an IndexError that names it."""
    tokenizer = words.WordTokenizer.train(["a a b"], vocab_size=9)
    check.returns("b", tokenizer.decode, [2])
    why = "A list takes -1 for its last item without a word; an id that no word has must not decode."
    check.raises(IndexError, tokenizer.decode, [1, 77, 2], naming=[77], why=why)
    check.raises(
        IndexError, tokenizer.decode, [1, 3], naming=[3], why="There are three words: those of ids 0, 1 and 2."
    )
    check.raises(IndexError, tokenizer.decode, [-1], naming=[-1], why=why)


def test_train_refuses_what_it_cannot_do():
    """No room for <unk> is a ValueError, and one string instead of several texts is a TypeError."""
    check.equal(words.WordTokenizer.train(["a"], vocab_size=2).encode("a"), [1], "the id of a after train(['a'], 2)")
    check.raises(ValueError, words.WordTokenizer.train, ["a"], vocab_size=0)
    check.raises(TypeError, words.WordTokenizer.train, "a b", vocab_size=9, why="It would be read letter by letter.")


@pytest.mark.varied
def test_random_texts(rng):
    """On random texts, no word without an id is more frequent than one that has an id."""
    for size in (3, 10, 60):
        text = " ".join(rng.choice("abcdefgh") + rng.choice(["", "a", "b"]) for _ in range(size))
        counts: Counter[str] = Counter(text.split())
        room = rng.randint(2, 8)
        tokenizer = words.WordTokenizer.train([text], vocab_size=room)
        kept = min(room, len(counts) + 1)
        found = vocabulary(tokenizer, kept)[1:]
        check.equal(len(found), kept - 1, f"how many words have an id after train([{text!r}], {room}), <unk> aside")
        order = [(-counts[word], word) for word in found]
        check.equal(order, sorted(order), f"the words with their counts (negative) after training on {text!r}")
        left = [word for word in counts if word not in found]
        check.true(
            all((-counts[word], word) > order[-1] for word in left),
            f"the words without an id come after {found[-1]!r} in the order",
            got=left,
        )
        check.equal([tokenizer.encode(word)[0] for word in left], [0] * len(left), f"the ids of the words {left}")
