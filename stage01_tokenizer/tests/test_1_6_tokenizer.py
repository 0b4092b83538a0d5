"""1.6 · The tokenizer: text to ids and back, whole or as a stream, and kept in files."""

import json
import tracemalloc
from itertools import chain, repeat

import pytest

from bootcamp.grading import check, written

tokenizer = written("stage01_tokenizer.tokenizer")

END = "<|end|>"


def pairs(*texts):
    """Merges, each written as "l o"; an underscore stands for a space."""
    return [tuple(part.replace("_", " ").encode() for part in text.split(" ")) for text in texts]


def numbered(merges=(), specials=()):
    """A vocabulary as training gives it: the 256 bytes, the merges from 256 on, then the special tokens."""
    tokens = [bytes([byte]) for byte in range(256)]
    tokens += [left + right for left, right in merges]
    return dict(enumerate(tokens + [special.encode() for special in specials]))


def made(merges=(), specials=(), **more):
    """A tokenizer with such a vocabulary."""
    return tokenizer.Tokenizer(numbered(merges, specials), list(merges), specials, **more)


def about(merges=(), specials=()):
    """Says which tokenizer it was, for the one who reads a failure."""
    said = [f"the merge {left + right!r} has id {256 + i}" for i, (left, right) in enumerate(merges)]
    said += [f"the special token {special!r} has id {256 + len(merges) + i}" for i, special in enumerate(specials)]
    return ("Each byte is its own id; " if said else "Each byte is its own id.") + ", ".join(said) + "." * bool(said)


# -- encode


def test_bytes_without_merges():
    """With no merge, each byte of the text in UTF-8 is a token."""
    check.returns([104, 195, 169], made().encode, "hé", why=about())
    check.returns([], made().encode, "")


def test_merges_are_made():
    """Within a pre-token all merges are made that there are."""
    merges = pairs("l o", "lo w")
    check.returns([257], made(merges).encode, "low", why=about(merges))
    check.returns([115, 257, 256], made(merges).encode, "slowlo", why=about(merges))


def test_first_learned_merge_first():
    """The merge that was learned first is made first, wherever it stands and however short it is."""
    merges = pairs("b c", "a b", "ab c")
    check.returns([97, 256], made(merges).encode, "abc", why=about(merges))


def test_ids_come_from_the_vocabulary():
    """A token's id is the one that the vocabulary gives it, in whatever order the vocabulary is."""
    merges = pairs("a b", "ab c")
    vocab = {257 - id: token for id, token in numbered(merges).items()}  # abc 0, ab 1, byte 255 is 2, byte 254 is 3, …
    why = "Here the vocabulary is {0: b'abc', 1: b'ab', 2: b'\\xff', …, 257: b'\\x00'}."
    check.returns([0, 160, 1], tokenizer.Tokenizer(vocab, merges).encode, "abcaab", why=why)
    check.returns("abcaab", tokenizer.Tokenizer(vocab, merges).decode, [0, 160, 1], why=why)


def test_merges_stay_within_pre_tokens():
    """The text is cut into pre-tokens first, and no merge crosses from one into the next."""
    merges = pairs("a _", "_ b")
    check.returns([97, 257], made(merges).encode, "a b", why=about(merges))


def test_pattern_decides():
    """The pre-tokens are those of the pattern that the tokenizer was made with."""
    merges = pairs("a _", "_ b")
    why = about(merges) + r" The pattern is \S+\s*, so the pre-tokens are 'a ' and 'b'."
    check.returns([256, 98], made(merges, pattern=r"\S+\s*").encode, "a b", why=why)


def test_pattern_with_gaps():
    """What the pattern leaves out between two matches is encoded too."""
    check.returns([97, 45, 98], made(pattern=r"[a-z]").encode, "a-b", why=about() + " The pattern is [a-z].")


# -- decode


def test_decode():
    """The tokens of the ids, joined, are the text."""
    merges = pairs("l o", "lo w")
    check.returns("slow lo", made(merges).decode, [115, 257, 32, 256], why=about(merges))
    check.returns("", made(merges).decode, [])


def test_decode_joins_before_it_decodes():
    """A character that is spread over several tokens comes back whole."""
    merges = [(b"\xf0", b"\x9f")]
    why = "The four bytes of 😀 are three tokens here. Join the bytes of all tokens, then decode them once."
    check.returns("a😀b", made(merges).decode, [97, 256, 0x98, 0x80, 98], why=why)


def test_decode_what_is_no_text():
    """Ids whose bytes are not UTF-8 give U+FFFD, never an exception."""
    why = "A model may write any ids. bytes.decode has an argument `errors` for this."
    check.returns("a\ufffdb", made().decode, [97, 0xFF, 98], why=why)
    check.returns("\ufffd", made().decode, [0xE2, 0x82], why=why)


def test_decode_refuses_other_ids():
    """An id that is not in the vocabulary is refused, and named."""
    check.returns("b", made().decode, [98])
    check.raises((IndexError, KeyError, ValueError), made().decode, [97, 256], naming=[256])
    check.raises((IndexError, KeyError, ValueError), made().decode, [-1], naming=[-1])


# -- there and back

NASTY = [
    "  a\n\n b ",
    "\t\r\n x\r\r\n",
    "It's we'll I'VE 'tis '' ' s",
    "naïve café ﬁ Å",
    "e\u0301 \u200d\u200b\u00a0\u3000\ufeff\u2028x\x85",
    "日本語 한국어 ไทย עברית 12½Ⅻ",
    "😀👩‍👩‍👧 🇩🇪 \U0010ffff\U00020000",
    "\x00\x01 \x7f\x80\xff",
    "a" * 70 + " " * 30 + "1" * 20 + "!?" * 9,
    "<|end|> <|end <||>",
]


def test_round_trip():
    """decode gives back what encode was given, to the last space."""
    one = made(pairs("a a", "_ a", "a b", "_ _", "aa aa") + [(b"\xc3", b"\xa9"), (b"\xf0", b"\x9f")])
    for text in NASTY:
        check.equal(one.decode(one.encode(text)), text, f"decode(encode({text!r}))")


@pytest.mark.varied
def test_round_trip_of_any_text(rng):
    """Any text comes back, of any characters that Unicode has."""

    def character():
        top = rng.choice([0x7F, 0x7FF, 0xFFFF, 0x10FFFF])
        code = rng.randint(0, top)
        return chr(code) if not 0xD800 <= code <= 0xDFFF else " "

    one = made(pairs("_ a", "a _", "a a"), [END, "\n"])

    def probe(text):
        check.equal(one.decode(one.encode(text)), text, f"decode(encode({text!r}))")

    texts = ["".join(rng.choice([character(), rng.choice(" a'\n\t"), END]) for _ in range(size)) for size in range(40)]
    check.for_all(texts, probe)


# -- special tokens


def test_special_token_is_one_id():
    """A special token in the text is its one id, between the ids of what stands around it."""
    check.returns([97, 256, 98, 256], made([], [END]).encode, f"a{END}b{END}", why=about([], [END]))
    check.returns([256, 256], made([], [END]).encode, END + END, why=about([], [END]))


def test_special_tokens_separate():
    """No pre-token reaches over a special token: the texts around it are encoded apart."""
    merges = pairs("a b", "_ _")
    check.returns([97, 258, 98], made(merges, [END]).encode, f"a{END}b", why=about(merges, [END]))
    why = about(merges, [END]) + " 'a  ' alone has the pre-tokens 'a' and '  '; before a letter they would be 'a', ' '."
    check.returns([97, 257, 258, 98], made(merges, [END]).encode, f"a  {END}b", why=why)


def test_longest_special_token():
    """Where one special token begins with another one, the longer one is taken where it stands."""
    specials = ["<|a|>", "<|a|><|a|>"]
    for order in (specials, specials[::-1]):
        ids = {special: 256 + place for place, special in enumerate(order)}
        expected = [ids["<|a|><|a|>"], ids["<|a|>"], 120, ids["<|a|>"]]
        check.returns(expected, made([], order).encode, "<|a|><|a|><|a|>x<|a|>", why=about([], order))


ODD = [" ", "\n\n", "a b", "ü", "🙂", ".*", "[x]", "a|b", "\\d", '"', "'", "^", "$", "{}", "(", "#", "\t\r\n", "\x00"]


def test_special_tokens_of_any_text():
    """A special token may be any text: spaces, line ends, quotes, signs that mean something in a pattern."""
    for special in ODD:
        text = f"x{special}yd{special}"
        check.returns([120, 256, 121, 100, 256], made([], [special]).encode, text, why=about([], [special]))
        check.returns(text, made([], [special]).decode, [120, 256, 121, 100, 256], why=about([], [special]))


def test_special_tokens_without_an_id():
    """A special token that the vocabulary does not have gets the next id, one after the other."""
    merges = pairs("a b")
    one = tokenizer.Tokenizer(numbered(merges), merges, ["<b>", "<a>"])
    why = about(merges) + " So <b> gets id 257, and <a> gets 258."
    check.returns([256, 257, 97, 258], one.encode, "ab<b>a<a>", why=why)
    check.returns("<a><b>", one.decode, [258, 257], why=why)
    check.equal(one.special_ids, {"<b>": 257, "<a>": 258}, "special_ids", why=why)
    check.equal(one.vocab_size, 259, "vocab_size", why=why)


def test_special_token_that_is_a_token_too():
    """A special token spelled like an ordinary token is still its own id."""
    merges = pairs("a b")
    why = "The vocabulary has b'ab' twice, as training gives it: 256 is the merge, 257 the special token 'ab'."
    check.returns([120, 257, 98], made(merges, ["ab"]).encode, "xabb", why=why)
    check.equal(made(merges, ["ab"]).special_ids, {"ab": 257}, "special_ids", why=why)
    why = "The vocabulary has b'\\n' twice, as training gives it: 10 is the byte, 256 the special token."
    check.returns([97, 256, 98], made([], ["\n"]).encode, "a\nb", why=why)


def test_special_ids_and_vocab_size():
    """special_ids says the id of each special token, and vocab_size how many ids there are."""
    merges, specials = pairs("a b", "ab c"), ["<b>", "<a>"]
    check.equal(dict(made(merges, specials).special_ids), {"<b>": 258, "<a>": 259}, "special_ids")
    check.equal(made(merges, specials).vocab_size, 260, "vocab_size")
    check.equal(made().vocab_size, 256, "vocab_size")
    check.equal(dict(made().special_ids), {}, "special_ids")


def test_only_its_own_special_tokens():
    """A text that only looks like a special token is a text like any other."""
    check.returns(list(END.encode()), made().encode, END, why="This tokenizer has no special token.")
    check.returns(list(b"<|end<|END|>"), made([], [END]).encode, "<|end<|END|>", why=about([], [END]))


def test_takes_what_it_is_given_and_leaves_it():
    """Making a tokenizer changes neither the vocabulary nor the merges that it is made from."""
    one = check.unchanged(tokenizer.Tokenizer, numbered(pairs("a b")), pairs("a b"), [END])
    check.returns([256, 257], one.encode, f"ab{END}")


# -- streams


def streamed(one, chunks):
    """The ids of a stream of chunks."""
    return list(one.encode_iterable(iter(chunks)))


def sensitive(letters, specials=()):
    """A tokenizer in which any cut at a wrong place shows: each two of the letters merge."""
    merges = [(one.encode(), other.encode()) for one in letters for other in letters]
    return made(merges, specials)


# text, the letters that merge, special tokens
STREAMS = [
    ("ab ab", "ab ", []),
    ("It'll we've l's", "Itlwevs' ", []),
    ("a'll'", "al'", []),
    ("a   b    c  ", "abc ", []),
    ("a \n b\n\n  \nc", "abc \n", []),
    ("12a1 1-- -a", "12a- ", []),
    ("é日😀 é日😀", "a ", []),
    (f"a  {END}b {END}{END}a", "ab ", [END]),
    ("a<|x|><|x|><|x|>b<|x", "ab<|", ["<|x|>", "<|x|><|x|>"]),
    ("xabcxabxaabcd", "abcdx", ["ab", "abcd"]),
    ("a'<s>ll'<s>s", "als'", ["<s>"]),
    ("ab\n\nab \n\nb", "ab \n", ["\n\n"]),
]


@pytest.mark.parametrize("text, letters, specials", STREAMS, ids=[repr(text) for text, _, _ in STREAMS])
def test_stream_of_two_chunks(text, letters, specials):
    """A stream has the same ids as the whole text, wherever the text is cut in two."""
    one = sensitive(letters, specials)
    whole = one.encode(text)
    for cut in range(len(text) + 1):
        chunks = [text[:cut], text[cut:]]
        check.equal(streamed(one, chunks), whole, f"the ids of the stream {chunks} (expected: those of the whole text)")


@pytest.mark.parametrize("text, letters, specials", STREAMS, ids=[repr(text) for text, _, _ in STREAMS])
def test_stream_of_characters(text, letters, specials):
    """A stream has the same ids as the whole text, if it comes character by character, with nothing between some."""
    one = sensitive(letters, specials)
    chunks = [*chain.from_iterable(zip(text, repeat("")))]
    check.equal(streamed(one, text), one.encode(text), f"the ids of the stream {[*text]}")
    check.equal(streamed(one, chunks), one.encode(text), f"the ids of the stream {chunks}")


def test_stream_of_nothing():
    """A stream without a chunk, or of empty ones, has no ids."""
    check.equal(streamed(made(), []), [], "the ids of the stream []")
    check.equal(streamed(made(), ["", ""]), [], "the ids of the stream ['', '']")


@pytest.mark.varied
def test_stream_cut_anywhere(rng):
    """On random texts, cut at random places, a stream has the same ids as the whole."""
    specials = ["<s>", "<s><s>", "a<s>", "\n"]
    one = sensitive("abls' <", specials)

    def probe(chunks):
        check.equal(streamed(one, chunks), one.encode("".join(chunks)), f"the ids of the stream {chunks}")

    def chunk(length):
        return "".join(rng.choice(["a", "b", "l", "s", "'", " ", " ", "<", "<s>", "\n"]) for _ in range(length))

    check.for_all([[chunk(rng.randint(0, 4)) for _ in range(size)] for size in range(2, 40)], probe)


class Source:
    """An endless stream of lines that knows how much of it was read, and ends in an error past a limit."""

    def __init__(self, line, limit):
        self.line, self.limit, self.read = line, limit, 0

    def __iter__(self):
        while self.read < self.limit:
            self.read += len(self.line)
            yield self.line
        raise check.Mismatch(
            f"not so: the first ids come before the stream has given {self.limit:,} characters",
            why="encode_iterable has to give out the ids of what it has read, and then read on (`yield`).",
        )


def test_stream_is_lazy():
    """A stream gives ids while its source still has more: it can be longer than memory, or without an end."""
    source = Source("to be or not to be\n", 1 << 20)
    ids = iter(made(pairs("_ b")).encode_iterable(source))
    check.equal([next(ids) for _ in range(5)], [*b"to", 256, *b"e "], "the first five ids of an endless stream")


def test_stream_keeps_nothing():
    """What a stream takes in memory does not grow with its length."""
    special = "<|" + "long " * 80 + "|>"  # much text in few ids
    line, one = f"to be {special}\n", made(pairs("_ b"), [special])
    for _ in one.encode_iterable(repeat(line, 50)):  # what is kept once for all
        pass
    tracemalloc.start()
    for _ in one.encode_iterable(repeat(line, 8_000)):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    claim = f"a stream of 8,000 chunks of {len(line)} characters takes less than 1,000,000 bytes on its way"
    check.true(peak < 1_000_000, claim, got=f"{peak:,} bytes")
