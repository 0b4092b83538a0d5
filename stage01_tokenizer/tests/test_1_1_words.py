"""1.1 · Words."""

import random

import pytest

from bootcamp.grading import check, written

words = written("stage01_tokenizer.words")


@pytest.mark.parametrize(
    "texts, expected",
    [
        (["a a b"], ["<unk>", "a", "b"]),
        (["b a", "b c"], ["<unk>", "b", "a", "c"]),
    ],
)
def test_most_frequent_first(texts, expected):
    """The most frequent word gets id 1; equally frequent words stand in alphabetical order."""
    tokenizer = words.WordTokenizer.train(texts, vocab_size=10)
    got = [tokenizer.decode([id]) for id in range(len(expected))]
    check.equal(got, expected, f"the words of ids 0 to {len(expected) - 1} after train({texts})")


def test_splits_at_any_white_space():
    """Words end at spaces, tabs and line ends, however many."""
    tokenizer = words.WordTokenizer.train(["a  b\n\tc\n"], vocab_size=10)
    check.returns([1, 2, 3], tokenizer.encode, " a b\tc ")


def test_refuses(rng: random.Random):
    """A vocabulary without room for <unk> is refused."""
    words.WordTokenizer.train(["a"], 2)
    check.raises(ValueError, words.WordTokenizer.train, ["a"], 0, naming=[0])
