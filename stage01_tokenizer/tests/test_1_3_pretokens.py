"""1.3 · Pre-tokens: cutting a text into pieces, and losing nothing of it."""

from itertools import groupby

import pytest
import regex

from bootcamp.grading import check, written

pretokenize = written("stage01_tokenizer.pretokenize")

# As it was published with GPT-2. The course's own spelling of it is shorter, and matches the same.
PUBLISHED = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

# -- pretokenize, with the pattern of GPT-2


def test_a_word_takes_the_space_before_it():
    """A word takes the one space before it along; signs do so too."""
    check.returns(["low", " lower", " lowest"], pretokenize.pretokenize, "low lower lowest")
    check.returns([" low", ",", " lower", "!", " ..."], pretokenize.pretokenize, " low, lower! ...")
    check.returns(["_", "id", "_", " (", "x", ")"], pretokenize.pretokenize, "_id_ (x)")


def joins(text, pieces, call):
    """Hold `pieces` to the promise: texts that are not empty, and together `text`."""
    kind = isinstance(pieces, (list, tuple)) and all(isinstance(piece, str) for piece in pieces)
    check.equal("".join(pieces) if kind else pieces, text, f"{call}, joined")
    check.true("" not in pieces, f"no piece of {call} is empty", got=pieces)


def test_white_space_is_kept():
    """White space at both ends and in runs is all there when the pieces are joined again."""
    for text in ("  a\n\n b ", "\n", " ", "\r\n\ta \u00a0 b\r\n", "\u2003\u2003a"):
        joins(text, pretokenize.pretokenize(text), f"pretokenize({text!r})")


def test_contractions():
    """The endings 's, 't, 're, 've, 'm, 'll and 'd are pieces of their own, in small letters only."""
    text = "I'll we've you're he's I'm she'd can't"
    pieces = ["I", "'ll", " we", "'ve", " you", "'re", " he", "'s", " I", "'m", " she", "'d", " can", "'t"]
    check.returns(pieces, pretokenize.pretokenize, text)
    check.returns(["IT", "'", "S", " don", "’", "t"], pretokenize.pretokenize, "IT'S don’t")
    check.returns(["'t", "is", " '", "tis"], pretokenize.pretokenize, "'tis 'tis")


def test_runs_of_white_space():
    """Of several spaces before a word, the last goes to the word; at the end of the text they stay together."""
    why = "\\s+(?!\\S) matches white space up to the last of it that stands before a word."
    check.returns(["a", "  ", " b"], pretokenize.pretokenize, "a   b", why=why)
    check.returns(["a", "   "], pretokenize.pretokenize, "a   ", why=why)
    check.returns(["a", "\n", " b"], pretokenize.pretokenize, "a\n b", why=why)
    check.returns(["a", " ", "\n", "b"], pretokenize.pretokenize, "a \nb", why=why)
    check.returns(["a", "\n", "\n", "b"], pretokenize.pretokenize, "a\n\nb", why=why)
    check.returns(["\t", "\t", "a", "\u3000", "b"], pretokenize.pretokenize, "\t\ta\u3000b", why=why)


def test_digits():
    """Digits, in any script, are pieces apart from letters."""
    check.returns(["abc", "123", " 45"], pretokenize.pretokenize, "abc123 45")
    check.returns(["3", ".", "14", " x", "²", " Ⅷ", " ٣٤"], pretokenize.pretokenize, "3.14 x² Ⅷ ٣٤")
    check.returns(["19½", "m", "²", "!"], pretokenize.pretokenize, "19½m²!")


def test_other_scripts():
    """Letters are those of all scripts."""
    check.returns(["Привет", ",", " мир", "!"], pretokenize.pretokenize, "Привет, мир!")
    check.returns(["你好", "，", "世界", "😀😀", " naïve"], pretokenize.pretokenize, "你好，世界😀😀 naïve")


def test_combining_marks():
    """An accent or a vowel sign that is a character of its own is no letter, and cuts the word."""
    check.returns(["re", "\u0301", "sume"], pretokenize.pretokenize, "re\u0301sume")
    check.returns(["नमस", "्", "त", "े"], pretokenize.pretokenize, "नमस्ते")


def test_without_any_text():
    """An empty text has no piece."""
    check.returns([], pretokenize.pretokenize, "")


@pytest.mark.varied
def test_random_texts(rng):
    """Any text is cut as the published pattern of GPT-2 cuts it."""

    def probe(text):
        check.returns(regex.findall(PUBLISHED, text), pretokenize.pretokenize, text)

    mixed = [*"  \n\t'''.,aBé中ß19²_-😀\u0301", "'s", "'ll", "'LL", "n't", "  ", " a", "\u00a0", "\x00", "\u200d"]
    check.for_all(["".join(rng.choices(mixed, k=size)) for size in (*range(1, 30), 200)], probe)
    points = [rng.randrange(plane << 16, (plane + 1) << 16) for plane in range(17) for _ in range(12)]
    check.for_all(["".join(chr(point) for point in points if not 0xD800 <= point < 0xE000)], probe)


# -- pretokenize, with another pattern


def test_another_pattern():
    """The pattern that is given decides, not that of GPT-2."""
    check.returns(["low", " ", "lower,"], pretokenize.pretokenize, "low lower,", pattern=r"\S+|\s+")
    check.returns(["low lower", "\n", "low"], pretokenize.pretokenize, "low lower\nlow", pattern=r".+|\n")
    check.returns(["don", "'t"], pretokenize.pretokenize, "don't", pattern=PUBLISHED)


def test_gaps_between_matches():
    """What lies between two matches is a piece."""
    why = "A pattern need not match everything. What it leaves out is text all the same."
    check.returns(["a", "-", "b"], pretokenize.pretokenize, "a-b", pattern=r"[a-z]", why=why)
    check.returns(["a", "1 2", "b", ", ", "c"], pretokenize.pretokenize, "a1 2b, c", pattern=r"[a-z]", why=why)


def test_gaps_at_both_ends():
    """What lies before the first match and behind the last one is a piece too."""
    check.returns(["--", "a"], pretokenize.pretokenize, "--a", pattern=r"[a-z]")
    check.returns(["a", "--"], pretokenize.pretokenize, "a--", pattern=r"[a-z]")


def test_a_pattern_that_matches_nothing():
    """Where nothing matches, the whole text is one piece."""
    check.returns(["a, b"], pretokenize.pretokenize, "a, b", pattern=r"\d")
    check.returns([], pretokenize.pretokenize, "", pattern=r"\d")


def test_a_pattern_with_groups():
    """The pieces are whole matches, also where the pattern has groups of its own."""
    why = "What a group has matched is a part of the match, or nothing at all; the piece is match.group()."
    check.returns(["ab", "cc", "ab"], pretokenize.pretokenize, "abccab", pattern=r"(a)(b)|(c+)", why=why)
    check.returns(["aa", "b", "ccc"], pretokenize.pretokenize, "aabccc", pattern=r"(.)\1*", why=why)
    check.returns(
        ["x=1", ";", "y=2"], pretokenize.pretokenize, "x=1;y=2", pattern=r"(?P<name>\w)=(?P<value>\d)", why=why
    )


def test_matches_of_no_length():
    """A match of no length cuts the text and is no piece itself."""
    check.returns(["one", "Two", "Three"], pretokenize.pretokenize, "oneTwoThree", pattern=r"(?=[A-Z])")
    check.returns(["a", "xx", "b"], pretokenize.pretokenize, "axxb", pattern=r"x*")


@pytest.mark.parametrize(
    "pattern", [r"", r"\b", r"(?i)AB", r"(?=(b))|a", r"(a)|(b)", r"a*?", r"^|$", r".", r"\s*", r"(?s:.)(?:b|$)"]
)
def test_any_pattern_loses_nothing(pattern):
    """Whatever the pattern, the pieces joined are the text, and none of them is empty."""
    for text in ("", "a", "b", "ab", "aab bAB\n", " -ab"):
        pieces = pretokenize.pretokenize(text, pattern=pattern)
        joins(text, pieces, f"pretokenize({text!r}, pattern={pattern!r})")


@pytest.mark.varied
def test_random_texts_and_a_pattern_with_gaps(rng):
    """On random texts, runs of letters are cut from runs of other characters."""

    def probe(text):
        runs = ["".join(run) for _, run in groupby(text, key=lambda char: char in "ab")]
        check.returns(runs, pretokenize.pretokenize, text, pattern=r"[ab]+")

    check.for_all(["".join(rng.choices("ab -\n", k=size)) for size in range(1, 40)], probe)


# -- split_special


def test_special_tokens_are_pieces():
    """Each special token of the text is a piece, and so is what lies between two of them."""
    check.returns(["one", "<|end|>", "two"], pretokenize.split_special, "one<|end|>two", ["<|end|>"])
    pieces = ["a", "<s>", "b", "<t>", "c", "<s>", "d"]
    check.returns(pieces, pretokenize.split_special, "a<s>b<t>c<s>d", ["<s>", "<t>"])


def test_the_rest_is_not_cut():
    """What lies between special tokens is one piece, however many words it has."""
    check.returns(
        ["It's two words", "<s>", "3 more. "], pretokenize.split_special, "It's two words<s>3 more. ", ["<s>"]
    )


def test_at_both_ends_and_side_by_side():
    """Special tokens at the ends and side by side leave no empty piece."""
    check.returns(["<s>", "a", "<s>"], pretokenize.split_special, "<s>a<s>", ["<s>"])
    check.returns(["<s>", "<t>", "<s>", "<s>"], pretokenize.split_special, "<s><t><s><s>", ["<s>", "<t>"])
    check.returns(["<s>"], pretokenize.split_special, "<s>", ["<s>"])


def test_no_special_token_in_the_text():
    """A text without a special token is one piece; half a token is none."""
    check.returns(["abc"], pretokenize.split_special, "abc", ["<|end|>"])
    check.returns(["<|end| >|<|END|>"], pretokenize.split_special, "<|end| >|<|END|>", ["<|end|>"])
    check.returns([], pretokenize.split_special, "", ["<|end|>"])


def test_without_special_tokens():
    """With no special tokens at all, the text is one piece."""
    check.returns(["a<s>b"], pretokenize.split_special, "a<s>b", [])
    check.returns([], pretokenize.split_special, "", [])


@pytest.mark.parametrize(
    "specials", [["<|x|>", "<|x|><|x|>"], ["<|x|><|x|>", "<|x|>"]], ids=["short first", "long first"]
)
def test_the_longest_where_several_start(specials):
    """Where two special tokens start at one place the longer is taken, whichever is listed first."""
    check.returns(["a", "<|x|><|x|>", "b", "<|x|>"], pretokenize.split_special, "a<|x|><|x|>b<|x|>", specials)
    check.returns(["<|x|><|x|>", "<|x|>"], pretokenize.split_special, "<|x|><|x|><|x|>", specials)


def test_the_longest_is_not_the_last_in_the_alphabet():
    """Length decides between special tokens that start at one place, not the order of their letters."""
    specials = ["<a", "<az", "<ab>", "<"]
    check.returns(["<ab>", "<az", "<a", "b", "<", "z"], pretokenize.split_special, "<ab><az<ab<z", specials)


@pytest.mark.parametrize(
    "token", ["a.c", "a|b", "[ab]", "(a)", "a*", "a+?", r"\w", "^", "$", "a{2}", "\\", "#a b", "\n"]
)
def test_special_tokens_are_no_patterns(token):
    """A sign that means something in a pattern means only itself in a special token."""
    why = "The token is text. Where it becomes part of a pattern, each sign in it has to be escaped."
    check.returns(["abc aab", token, "w"], pretokenize.split_special, f"abc aab{token}w", [token], why=why)


def test_white_space_around_special_tokens_is_kept():
    """White space before, behind and between special tokens is text like any other."""
    text = " a <s>\n<s> <s>b\t\n"
    check.returns([" a ", "<s>", "\n", "<s>", " ", "<s>", "b\t\n"], pretokenize.split_special, text, ["<s>"])


def test_special_tokens_from_any_iterable():
    """The special tokens may be a list, a tuple, a set, or come from a generator, which can be read only once."""
    for kind in (list, tuple, set, frozenset, dict.fromkeys):
        check.returns(["a", "<s>", "b", "<t>"], pretokenize.split_special, "a<s>b<t>", kind(["<s>", "<t>"]))
    generator = (token for token in ["<s>", "<t>"])
    got = pretokenize.split_special("a<s>b<t>", generator)
    check.equal(got, ["a", "<s>", "b", "<t>"], "split_special('a<s>b<t>', (token for token in ['<s>', '<t>']))")
    got = pretokenize.split_special("a<s>b", (token for token in ()))
    check.equal(got, ["a<s>b"], "split_special('a<s>b', (token for token in ()))")


def test_an_empty_special_token_is_refused():
    """An empty special token, which would stand everywhere, is a ValueError."""
    check.returns(["a", "<s>"], pretokenize.split_special, "a<s>", ["<s>"])
    check.raises(ValueError, pretokenize.split_special, "a<s>", ["<s>", ""])


def test_special_tokens_that_overlap():
    """Of special tokens that overlap, the one that starts first is taken, however long the others are."""
    why = "Read from the left: the first place where a special token starts decides."
    check.returns(["ab", "cd"], pretokenize.split_special, "abcd", ["ab", "bcd"], why=why)
    check.returns(["x", "<s>", "<x"], pretokenize.split_special, "x<s><x", ["<s>", "><x"], why=why)


@pytest.mark.varied
def test_random_special_tokens(rng):
    """In random texts, the longest special token is taken at each place, and nothing is lost."""
    tokens = ["<|e", "<|end|>", "<|end|>.", "<|endoftext|>", "<|.*", "<|\n|>", ">a", "> b<|e"]
    for size in range(1, 25):
        specials = rng.sample(tokens, rng.randint(1, len(tokens)))
        text = "".join(rng.choices([*tokens, "a", " b", "|>", ".", "<", "nd"], k=size))
        check.returns(scanned(text, specials), pretokenize.split_special, text, specials)


def scanned(text, specials):
    """The pieces of `text`, found character by character."""
    pieces, rest = [], ""
    place = 0
    while place < len(text):
        here = max((token for token in specials if text.startswith(token, place)), key=len, default="")
        if here:
            pieces += [rest, here]
            rest = ""
        else:
            rest += text[place]
        place += len(here) or 1
    return [piece for piece in [*pieces, rest] if piece]
