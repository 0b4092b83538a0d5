"""1.6 · The tokenizer: text to ids and back, whole or as a stream, and kept in files."""

import contextlib
import json
import tracemalloc
from itertools import chain, repeat, zip_longest

import pytest
import regex

from bootcamp.grading import check, written

tokenizer = written("stage01_tokenizer.tokenizer")
pretokenize = written("stage01_tokenizer.pretokenize")

END = "<|end|>"
GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


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


def test_ids_are_the_callers():
    """Who changes a list that encode gave does not change what encode gives next."""
    one = made(pairs("l o"))
    for text in ("lo", "lo lo"):
        ids = one.encode(text)
        expected = list(ids)
        if isinstance(ids, list):
            ids.append(0)
        check.returns(expected, one.encode, text, why="The list that the call before gave was changed by the caller.")


def test_pattern_with_gaps():
    """What the pattern leaves out between two matches is encoded too."""
    check.returns([97, 45, 98], made(pattern=r"[a-z]").encode, "a-b", why=about() + " The pattern is [a-z].")


# -- decode


def test_decode():
    """The tokens of the ids, joined, are the text."""
    merges = pairs("l o", "lo w")
    check.returns("slow lo", made(merges).decode, [115, 257, 32, 256], why=about(merges))
    check.returns("", made(merges).decode, [])
    check.equal(made(merges).decode(iter([108, 111])), "lo", "decode of an iterator over 108 and 111")


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
    check.raises(ValueError, made().decode, [97, 256], naming=[256])
    why = "A list takes -1 for its last item without a word; an id that no token has must not decode."
    check.raises(ValueError, made().decode, [-1], naming=[-1], why=why)


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
    one = made([*pairs("a a", "_ a", "a b", "_ _", "aa aa"), (b"\xc3", b"\xa9"), (b"\xf0", b"\x9f")])
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


@pytest.mark.varied
def test_long_text(rng):
    """A long text is encoded as its parts are: it is only longer."""
    one = made(pairs("_ a", "a b", "_ _", "' l", "'l l", "s <", "> b", "\n \n"), ["<s>", "<s><s>"])
    parts = [" it'll", " a's", " ab-a", " 12a", " é日😀", " a  b\n\n  c", " b <s>b", " b<s><s><s> .", " a" * 9]
    ids = {part: one.encode(part) for part in parts}
    for size in (10, 300, 3000, 10_000):
        text = rng.choices(parts, k=size)
        got, expected = one.encode("".join(text)), [id for part in text for id in ids[part]]
        if got != expected:
            place = next((i for i, (mine, other) in enumerate(zip(got, expected)) if mine != other), len(expected))
            check.equal(
                got[place : place + 6],
                expected[place : place + 6],
                f"the ids of a text of {len(''.join(text)):,} characters, from id {place:,} on",
                why=f"The text there is {one.decode(expected[max(place - 4, 0) : place + 6])!r}.",
            )


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
    check.equal(made(merges, specials).vocab_size, 260, "vocab_size", why=about(merges, specials))
    check.equal(made().vocab_size, 256, "vocab_size", why=about())
    check.equal(dict(made().special_ids), {}, "special_ids", why=about())


def test_vocab_size_where_ids_have_gaps():
    """A table with a row for each id needs one row more than the highest id says, whichever ids are not used."""
    vocab = numbered() | {300: b"ab"}
    why = "The ids are 0 to 255 and 300."
    check.equal(tokenizer.Tokenizer(vocab, pairs("a b")).vocab_size, 301, "vocab_size", why=why)


def test_token_with_two_ids():
    """Where two ids have the same bytes, ordinary text gets the lower one."""
    merges = pairs("a b")
    twice = {256: b"ab", 257: b"cd", 258: b"ab"}
    why = "The vocabulary has b'ab' as 256 and as 258."
    for vocab in (numbered() | twice, {id: twice[id] for id in (258, 257, 256)} | numbered()):
        one = tokenizer.Tokenizer(vocab, merges)
        check.returns([256, 97], one.encode, "aba", why=why)
        check.returns("abab", one.decode, [258, 256], why=why)


def test_special_token_with_two_ids():
    """Where a special token has the bytes of several ids, it is the highest of them."""
    one = tokenizer.Tokenizer(numbered() | {256: b"a", 257: b"b"}, [], ["a"])
    why = "The vocabulary has b'a' as 97 and as 256, and 'a' is a special token."
    check.equal(dict(one.special_ids), {"a": 256}, "special_ids", why=why)
    check.returns([98, 256], one.encode, "ba", why=why)


def test_new_ids_are_above_all_others():
    """A special token that is not in the vocabulary gets the id above the highest, where ids have gaps too."""
    for vocab, id in (
        ({byte + 1: bytes([byte]) for byte in range(256)}, 257),
        (numbered() | {300: b"ab"}, 301),
    ):
        one = tokenizer.Tokenizer(vocab, [], [END])
        why = f"The highest id of the vocabulary is {id - 1}; {END!r} is not in it."
        check.equal(dict(one.special_ids), {END: id}, "special_ids", why=why)
        check.returns("\xff" + END, one.decode, [*one.encode("\xff"), id], why=why)


def test_only_its_own_special_tokens():
    """A text that only looks like a special token is a text like any other."""
    check.returns(list(END.encode()), made().encode, END, why="This tokenizer has no special token.")
    check.returns(list(b"<|end<|END|>"), made([], [END]).encode, "<|end<|END|>", why=about([], [END]))


def test_takes_what_it_is_given_and_leaves_it():
    """Making a tokenizer changes neither the vocabulary nor the merges that it is made from."""
    one = check.unchanged(tokenizer.Tokenizer, numbered(pairs("a b")), pairs("a b"), [END])
    check.returns([256, 257], one.encode, f"ab{END}")


# -- files


def reloaded(one, path):
    """A tokenizer as it comes back from a file."""
    one.save(path)
    return tokenizer.Tokenizer.load(path)


def test_loaded_as_it_was_saved(tmp_path):
    """A tokenizer that is saved and loaded gives the same ids and the same text."""
    merges, specials = pairs("l o", "lo w", "_ low"), [END]
    one = reloaded(made(merges, specials), tmp_path / "tokenizer.json")
    why = about(merges, specials)
    text, ids = f"low low{END}", [257, 258, 259]
    check.equal(one.encode(text), ids, f"the ids of {text!r} after save and load", why=why)
    check.equal(one.decode(ids), text, f"the text of {ids} after save and load", why=why)
    check.equal(one.vocab_size, 260, "vocab_size after save and load")
    check.equal(dict(one.special_ids), {END: 259}, "special_ids after save and load")


def test_saved_under_any_path(tmp_path):
    """The path may be a text or a Path, and what was in the file before is replaced."""
    path = tmp_path / "my tokenizer ü.json"
    made(pairs("a a", "aa aa")).save(path)
    one = reloaded(made(pairs("b b")), str(path))
    check.equal(one.encode("bbaa"), [256, 97, 97], "the ids of 'bbaa' after save and load", why=about(pairs("b b")))
    check.equal([file.name for file in tmp_path.iterdir()], [path.name], "the files in the folder after saving twice")


def test_pattern_is_saved(tmp_path):
    """The pattern is saved, so that the loaded tokenizer cuts text in the same places."""
    merges = pairs("a _", "_ b")
    one = reloaded(made(merges, pattern=r"\S+\s*"), tmp_path / "tokenizer.json")
    why = about(merges) + r" The pattern is \S+\s*, so the pre-tokens are 'a ' and 'b'."
    check.equal(one.encode("a b"), [256, 98], "the ids of 'a b' after save and load", why=why)
    check.equal(streamed(one, ["a b"]), [256, 98], "the ids of the stream ['a b'] after save and load", why=why)


def test_special_tokens_of_any_text_are_saved(tmp_path):
    """Special tokens with spaces, line ends, quotes or letters of any script come back from the file."""
    ids = {special: 256 + place for place, special in enumerate(ODD)}
    one = reloaded(made([], ODD), tmp_path / "tokenizer.json")
    check.equal(dict(one.special_ids), ids, "special_ids after save and load")
    for special, id in ids.items():
        check.equal(one.encode(f"x{special}y"), [120, id, 121], f"the ids of {f'x{special}y'!r} after save and load")


def test_special_tokens_without_an_id_are_saved(tmp_path):
    """A special token that was given the next id has it after loading too."""
    merges = pairs("a b")
    one = reloaded(tokenizer.Tokenizer(numbered(merges), merges, ["<b>", "ab", "<a>"]), tmp_path / "tokenizer.json")
    check.equal(dict(one.special_ids), {"<b>": 257, "ab": 256, "<a>": 258}, "special_ids after save and load")
    check.equal(one.encode("<a>xab"), [258, 120, 256], "the ids of '<a>xab' after save and load")


def test_tokens_of_any_bytes_are_saved(tmp_path):
    """Tokens that are half a character, white space or a quote come back from the file."""
    merges = [(b"\xf0", b"\x9f"), (b"\n", b"\n"), (b" ", b" "), (b'"', b"\\"), (b"\x00", b"\xff"), (b"\xc2", b"\xa0")]
    one = reloaded(made(merges), tmp_path / "tokenizer.json")
    text = '😀\n\n   "\\\u00a0'
    expected = [256, 0x98, 0x80, 257, 258, 32, 259, 261]
    check.equal(one.encode(text), expected, f"the ids of {text!r} after save and load", why=about(merges))
    text = "\x00\ufffd"
    check.equal(one.decode([260]), text, "the text of [260] after save and load", why=about(merges))
    got = [one.decode([id]) for id in range(256)]
    expected = [bytes([id]).decode(errors="replace") for id in range(256)]
    check.equal(got, expected, "the texts of the ids 0 to 255 after save and load")


def test_order_of_the_merges_is_saved(tmp_path):
    """The merges come back in the order in which they were learned."""
    merges = pairs("z z", "b c", "a b", "a a")
    one = reloaded(made(merges), tmp_path / "tokenizer.json")
    check.equal(one.encode("abcaab"), [97, 257, 97, 258], "the ids of 'abcaab' after save and load", why=about(merges))


def test_ids_are_saved(tmp_path):
    """Each token comes back with the id that it had, also where ids have gaps."""
    merges = pairs("a b", "ab c")
    vocab = {1000 - id: token for id, token in numbered(merges).items()}
    one = reloaded(tokenizer.Tokenizer(vocab, merges), tmp_path / "tokenizer.json")
    why = "Here the vocabulary is {1000: b'\\x00', 999: b'\\x01', …, 744: b'ab', 743: b'abc'}."
    check.equal(one.encode("abca"), [743, 903], "the ids of 'abca' after save and load", why=why)
    check.equal(one.decode([743, 903]), "abca", "the text of [743, 903] after save and load", why=why)


def test_tokens_with_the_same_bytes_are_saved(tmp_path):
    """Two ids with the same bytes are both in the file."""
    one = reloaded(tokenizer.Tokenizer(numbered() | {256: b"a", 257: b"a"}, []), tmp_path / "tokenizer.json")
    check.returns("aaa", one.decode, [97, 256, 257])
    check.equal(one.vocab_size, 258, "vocab_size")


def test_two_loaded_tokenizers(tmp_path):
    """Two tokenizers that were loaded have nothing to do with each other."""
    one = reloaded(made(pairs("a a"), ["<a>"]), tmp_path / "one.json")
    other = reloaded(made(pairs("b b"), ["<b>"]), tmp_path / "other.json")
    check.equal(one.encode("aabb<a>"), [256, 98, 98, 257], "the ids of 'aabb<a>' by the one loaded first")
    check.equal(other.encode("aabb<b>"), [97, 97, 256, 257], "the ids of 'aabb<b>' by the one loaded second")


def texts_within(value):
    """All the texts in what a JSON file holds."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from chain(value, *map(texts_within, value.values()))
    elif isinstance(value, list):
        yield from chain.from_iterable(map(texts_within, value))


def test_file_can_be_read(tmp_path):
    """The file is JSON that a person can read: tokens, special tokens and pattern are texts in it."""
    path = tmp_path / "tokenizer.json"
    pattern = r"\s?\S+|\s+"
    made(pairs("l o", "lo w"), ["<|Ende ü|>"], pattern=pattern).save(path)
    try:
        found = set(texts_within(json.loads(path.read_text(encoding="utf-8"))))
    except ValueError as error:
        raise check.Mismatch("not so: the file is JSON in UTF-8", got=f"{type(error).__name__}: {error}") from None
    check.true("<|Ende ü|>" in found, "the special token '<|Ende ü|>' is a text in the file", got=sorted(found))
    check.true(pattern in found, f"the pattern {pattern!r} is a text in the file", got=sorted(found))
    check.true(any("low" in text for text in found), "the token 'low' is a text in the file", got=sorted(found))


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


def test_saved_whole_or_not_at_all(tmp_path):
    """If the disk is full halfway through saving, the file that was there before is still there, and whole."""
    path = tmp_path / "tokenizer.json"
    one = made(pairs("l o"))
    one.save(path)
    before = path.read_bytes()
    with full_disk() as limited:
        if limited:
            check.raises(OSError, made(pairs("a b")).save, path)
    check.true(
        path.is_file() and path.read_bytes() == before,
        "after a save that failed, the file is as it was before",
        got=f"{path.stat().st_size} bytes of {len(before)}" if path.is_file() else "no file",
        why="Write a file beside it, and put that in its place once it is complete: os.replace does it in one step.",
    )
    check.equal(tokenizer.Tokenizer.load(path).encode("lo"), [256], "the ids of 'lo' after that")
    left = sorted(each.name for each in tmp_path.iterdir())
    check.equal(left, [path.name], "the files in the folder after a save that failed")


def test_missing_file(tmp_path):
    """A file that is not there is an OSError that names it, as open gives it."""
    made().save(tmp_path / "tokenizer.json")
    check.raises(OSError, tokenizer.Tokenizer.load, tmp_path / "missing.json", naming=["missing.json"])


def test_damaged_file(tmp_path):
    """A file that breaks off is a ValueError that names it, wherever it breaks off."""
    path = tmp_path / "tokenizer.json"
    made(pairs("l o", "lo w"), [END]).save(path)
    whole = path.read_bytes()
    for size in (0, 1, 10, len(whole) // 3, len(whole) // 2, len(whole) - 100, len(whole) - 3):
        path.write_bytes(whole[:size])
        why = f"The file has {len(whole)} bytes when it is whole, and {size} now."
        check.raises(ValueError, tokenizer.Tokenizer.load, path, naming=[path.name], why=why)


FOREIGN = [
    b"",
    b"\xff\xfe\x00",
    b"once upon a time",
    b"[]",
    b"3",
    b"null",
    b'"text"',
    b"{}",
    b'{"a": 1}',
    b'{"!": 0, "a": 1}',
    b'{"model": {"vocab": {"a": 0}, "merges": ["a a"]}}',
    b"[[[0, 1]], 2]",
]


def test_foreign_file(tmp_path):
    """A file that is no saved tokenizer is a ValueError that names it."""
    made().save(tmp_path / "tokenizer.json")
    path = tmp_path / "foreign.json"
    for content in FOREIGN:
        path.write_bytes(content)
        why = f"The file holds {content!r}."
        check.raises(ValueError, tokenizer.Tokenizer.load, path, naming=[path.name], why=why)


def test_file_with_other_values(tmp_path):
    """A file in which something else stands than was saved is a ValueError that names it."""
    path = tmp_path / "tokenizer.json"
    merges = pairs("a _", "_ b")
    made(merges, [END], pattern=r"\S+\s*").save(path)
    saved = json.loads(path.read_text(encoding="utf-8"))
    for key in saved if isinstance(saved, dict) else range(len(saved)):
        for value in (5, None, [5]):
            changed = saved.copy()
            changed[key] = value
            path.write_text(json.dumps(changed), encoding="utf-8")
            damage = f"{json.dumps(key)} was replaced by {json.dumps(value)}"
            try:
                one = tokenizer.Tokenizer.load(path)
            except ValueError as error:
                check.true(path.name in str(error), "the ValueError names the file", got=str(error))
            else:  # then it did not matter
                ids = one.encode(f"a b{END}")
                check.equal(ids, [256, 98, 258], f"the ids of 'a b{END}' by a file, not refused, where {damage}")


# -- the published files of GPT-2

# In the published vocabulary the bytes come in this order, and each is written as the sign behind it.
VISIBLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
ORDER = [*VISIBLE, *(byte for byte in range(256) if byte not in VISIBLE)]
SIGNS = [chr(byte) for byte in VISIBLE] + [chr(256 + place) for place in range(256 - len(VISIBLE))]
# The first merges as published; and two more that are published further behind.
MERGES = ["Ġ t", "Ġ a", "h e", "i n", "r e", "o n", "Ġt he", "e r", "Ġ s", "a t", "Ġ w", "Ġ o", "e n", "Ġ c", "i t"]
LATER = ["# #", "## ##"]


def published(tmp_path, merges=(*MERGES, *LATER), specials=("<|endoftext|>",)):
    """The beginning of the two published files."""
    tokens = [*SIGNS, *(merge.replace(" ", "") for merge in merges), *specials]
    vocab, lines = tmp_path / "vocab.json", tmp_path / "merges.txt"
    vocab.write_text(json.dumps({token: id for id, token in enumerate(tokens)}), encoding="utf-8")
    lines.write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8", newline="\n")
    return vocab, lines


def from_published(tmp_path, **more):
    return tokenizer.Tokenizer.from_gpt2(*published(tmp_path, **more))


def test_published_bytes(tmp_path):
    """GPT-2 numbers the bytes in an order of its own, and writes each as a sign that can be seen."""
    one = from_published(tmp_path, merges=[])
    why = "'!' to '~' stand for themselves and have the ids 0 to 93; the space is written Ġ and has 220."
    check.returns([0, 64, 93, 220, 198], one.encode, "!a~ \n", why=why)
    why = "As published, é is written Ã© and has the ids 127 and 102, 😀 is written ðŁĺĢ and has 172, 253, 246, 222."
    check.returns([127, 102, 172, 253, 246, 222], one.encode, "é😀", why=why)
    check.returns("é😀!a~ \n", one.decode, [127, 102, 172, 253, 246, 222, 0, 64, 93, 220, 198], why=why)


def test_every_published_byte(tmp_path):
    """Each of the 256 bytes has its published id."""
    one = from_published(tmp_path, merges=[])
    got = [one.decode([id]) for id in range(256)]
    check.equal(got, [bytes([byte]).decode(errors="replace") for byte in ORDER], "the texts of the ids 0 to 255")
    ids = {byte: id for id, byte in enumerate(ORDER)}
    text = "".join(map(chr, [*range(0x800), *range(0x10000, 0x110000, 0x9001)]))
    check.equal(one.encode(text), [ids[byte] for byte in text.encode()], "the ids of a text with all sorts of bytes")


def test_published_merges(tmp_path):
    """The lines of the second file are the merges, the first one first; their ids are those of the first file."""
    one = from_published(tmp_path)
    why = "As published, ' t' has id 256, ' a' 257, 'he' 258, 're' 260, ' the' 262, 'at' 265, and a line end 198."
    check.returns([262, 198, 83, 258, 260, 257, 83, 220, 71, 265], one.encode, " the\nthere at hat", why=why)


def test_published_merges_with_a_hash(tmp_path):
    """Only the first line of the second file is no merge: '# #' is one, and is published."""
    one = from_published(tmp_path)
    first = 256 + len(MERGES)
    check.returns([first + 1, first, 2], one.encode, "#######", why=f"'##' has id {first}, '####' {first + 1} here.")


def test_published_special_token(tmp_path):
    """<|endoftext|> is a special token, with the id that the first file gives it."""
    one = from_published(tmp_path)
    id = 256 + len(MERGES) + len(LATER)
    check.returns([64, id, 64], one.encode, "a<|endoftext|>a")
    check.equal(dict(one.special_ids), {"<|endoftext|>": id}, "special_ids")
    check.equal(one.vocab_size, id + 1, "vocab_size")


def test_published_tokenizer_is_saved(tmp_path):
    """A tokenizer from the published files can be saved and loaded like any other."""
    one = reloaded(from_published(tmp_path), tmp_path / "tokenizer.json")
    check.returns([262, 198, 64, 273], one.encode, " the\na<|endoftext|>")


def test_damaged_published_vocabulary(tmp_path):
    """A first file that is not as published is a ValueError that names it."""
    vocab, merges = published(tmp_path)
    tokenizer.Tokenizer.from_gpt2(vocab, merges)
    damaged = tmp_path / "damaged.json"
    for content in ("", "[]", '{"!": 0', '{" ": 0}', '{"☃": 0}', "#version: 0.2\nĠ t\n"):
        damaged.write_text(content, encoding="utf-8")
        why = f"The file holds {content!r}."
        check.raises(ValueError, tokenizer.Tokenizer.from_gpt2, damaged, merges, naming=["damaged.json"], why=why)


def test_incomplete_published_vocabulary(tmp_path):
    """A first file that has not each of the 256 bytes, with a number for an id, is a ValueError."""
    vocab, merges = published(tmp_path)
    tokenizer.Tokenizer.from_gpt2(vocab, merges)
    for content in ('{"!": 0}', '{"!": "x"}'):
        vocab.write_text(content, encoding="utf-8")
        why = f"The first file holds {content!r}."
        check.raises(ValueError, tokenizer.Tokenizer.from_gpt2, vocab, merges, why=why)


def test_published_files_without_merges(tmp_path):
    """A second file without a merge in it gives a tokenizer without merges."""
    vocab, merges = published(tmp_path, [])
    for content in ("#version: 0.2\n", ""):
        merges.write_text(content, encoding="utf-8")
        one = tokenizer.Tokenizer.from_gpt2(vocab, merges)
        check.equal(
            one.decode(one.encode("ab")), "ab", f"'ab', encoded and decoded, where merges.txt holds {content!r}"
        )
        check.equal(len(one.encode("ab")), 2, f"how many ids 'ab' has, where merges.txt holds {content!r}")


def test_damaged_published_merges(tmp_path):
    """A second file with a line that is no merge is a ValueError that names the file."""
    vocab, merges = published(tmp_path)
    tokenizer.Tokenizer.from_gpt2(vocab, merges)
    damaged = tmp_path / "damaged.txt"
    for line in ("Ġt", "Ġ t h", "☃ t", "{}"):
        damaged.write_text(f"#version: 0.2\nĠ t\n{line}\nĠ a\n", encoding="utf-8", newline="\n")
        why = f"The third line of the file is {line!r}."
        check.raises(ValueError, tokenizer.Tokenizer.from_gpt2, vocab, damaged, naming=["damaged.txt"], why=why)


# -- streams


def streamed(one, chunks):
    """The ids of a stream of chunks."""
    return list(one.encode_iterable(iter(chunks)))


def sensitive(letters, specials=(), **more):
    """A tokenizer in which any cut at a wrong place shows: each two of the letters merge."""
    merges = [(one.encode(), other.encode()) for one in letters for other in letters]
    return made(merges, specials, **more)


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


def same_as_whole(one, chunks, whole):
    check.equal(streamed(one, chunks), whole, f"the ids of the stream {chunks}, as in the whole text")


@pytest.mark.parametrize("special", [False, True], ids=["plain", "special"])
def test_stream_of_two_chunks(special):
    """A stream has the same ids as the whole text, wherever the text is cut in two."""
    for text, letters, specials in STREAMS:
        if bool(specials) == special:
            one = sensitive(letters, specials)
            whole = one.encode(text)
            for cut in range(len(text) + 1):
                same_as_whole(one, [text[:cut], text[cut:]], whole)


def test_stream_of_characters():
    """A stream has the same ids as the whole text, if it comes character by character, with nothing between some."""
    for text, letters, specials in STREAMS:
        one = sensitive(letters, specials)
        whole = one.encode(text)
        same_as_whole(one, [*text], whole)
        same_as_whole(one, [*chain.from_iterable(zip(text, repeat("")))], whole)


# The pattern of a later tokenizer, with digits in threes and line ends apart.
LATER_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)


def test_stream_with_another_pattern():
    """A stream has the same ids as the whole text with another pattern too."""
    streams = [*STREAMS, ("1234567 12345678", "1234 ", []), ("a \n \n- \r\n b", "ab- \r\n", [])]
    for pattern in (LATER_PATTERN, r"\S+\s*", r"[a-z]+"):
        for text, letters, specials in streams:
            one = sensitive(letters, specials, pattern=pattern)
            whole = one.encode(text)
            for chunks in ([*text], [text[: len(text) // 2], text[len(text) // 2 :]]):
                what = f"the ids of the stream {chunks}, as in the whole text"
                check.equal(streamed(one, chunks), whole, what, why=f"The pattern is {pattern}.")


def test_stream_of_nothing():
    """A stream without a chunk, or of empty ones, has no ids."""
    check.equal(streamed(made(), []), [], "the ids of the stream []")
    check.equal(streamed(made(), ["", ""]), [], "the ids of the stream ['', '']")


@pytest.mark.varied
def test_stream_cut_anywhere(rng):
    """On random texts, cut at random places, a stream has the same ids as the whole."""
    specials = ["<s>", "<s><s>", "a<s>"]
    one, other = sensitive("abls' <\n", specials), sensitive("abls' <", [*specials, "\n"])

    def probe(chunks):
        same_as_whole(one, chunks, one.encode("".join(chunks)))
        same_as_whole(other, chunks, other.encode("".join(chunks)))

    def chunk(length):
        return "".join(rng.choice(["a", "b", "l", "s", "'", " ", " ", "<", "<s>", "\n"]) for _ in range(length))

    check.for_all([[chunk(rng.randint(0, 4)) for _ in range(size)] for size in range(2, 40)], probe)


BUFFER = 1 << 16  # a place where a buffer may well end, and a stream be cut


def long_streams(rng):
    """Texts with something nasty around that place, each with the size of the chunks that it comes in."""
    for nasty in ("xa<s><s>b", "a'll's", "b   b", "b\n\n  \nb"):
        for cut in range(len(nasty) + 1):
            yield "b" * (300 - cut), nasty + " b" * 10, BUFFER
    atoms = ["a", "b", "ls", "'", "'ll", "'s", " ", " ", "  ", "\n", "<"]
    for place in range(20):
        special = ["<s>", "<s", "a<s>"] if place % 2 else []
        around = [rng.choice(atoms + special) for _ in range(400)]
        around.insert(rng.randint(200, 300), rng.choice(["", "b" * 300, " " * 300]))
        yield "".join(around[:300]), "".join(around[300:]), rng.choice([1 << 12, BUFFER, 2 * BUFFER])


@pytest.mark.varied
@pytest.mark.parametrize("pattern", ["published", "later"])
def test_long_stream(pattern, rng):
    """A stream that is longer than a buffer has the same ids as the whole text."""
    pad = "<|" + "pad" * 20 + "|>"
    more = {"pattern": LATER_PATTERN} if pattern == "later" else {}
    one = sensitive("abls' <\n", [pad, "<s>", "<s><s>", "a<s>"], **more)
    for before, behind, step in long_streams(rng):
        filled = pad * ((BUFFER - len(before)) // len(pad))
        text = filled + "x" * (BUFFER - len(before) - len(filled)) + before + behind
        chunks = [text[place : place + step] for place in range(0, len(text), step)]
        got, whole = streamed(one, chunks), one.encode(text)
        if got != whole:
            place = next((i for i, (mine, other) in enumerate(zip(got, whole)) if mine != other), len(whole))
            check.equal(
                got[place : place + 6],
                whole[place : place + 6],
                f"the ids of a stream of {len(text):,} characters in chunks of {step:,}, from id {place:,} on",
                why=f"The text there is {one.decode(whole[place - 4 : place + 6])!r}.",
            )


class Source:
    """An endless stream of lines that knows how much of it was read, and ends in an error past a limit."""

    def __init__(self, line, limit):
        self.line, self.limit, self.read = line, limit, 0

    def __iter__(self):
        while self.read < self.limit:
            self.read += len(self.line)
            yield self.line
        raise check.Mismatch(
            f"not so: something comes before the stream has given {self.limit:,} characters",
            why="Give out what is certain of what has been read, and then read on (`yield`).",
        )


def test_stream_is_lazy():
    """A stream gives ids while its source still has more: it can be longer than memory, or without an end."""
    source = Source("to be or not to be\n", 1 << 20)
    ids = iter(made(pairs("_ b")).encode_iterable(source))
    check.equal([next(ids) for _ in range(5)], [*b"to", 256, *b"e "], "the first five ids of an endless stream")


def test_stream_keeps_nothing():
    """What a stream takes in memory does not grow with its length."""
    special = "<|" + "long " * 400 + "|>"  # much text in few ids
    line, one = f"to be {special}\n", made(pairs("_ b"), [special])
    for _ in one.encode_iterable(repeat(line, 50)):  # what is kept once for all
        pass
    tracemalloc.start()
    for _ in one.encode_iterable(repeat(line, 1_000)):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    claim = f"a stream of 1,000 chunks of {len(line):,} characters takes less than 1,400,000 bytes on its way"
    check.true(peak < 1_400_000, claim, got=f"{peak:,} bytes")


# -- stretches


def cut_by_hand(text, specials, pattern=GPT2):
    """The pieces of a text that lies in memory: its special tokens, and the pre-tokens between them."""
    special = "|".join(map(regex.escape, sorted(specials, key=len, reverse=True)))
    parts = regex.split(f"({special})", text) if special else [text]
    pieces = []
    for part in parts:
        # What lies between two matches is a piece too: split gives it, and with a group the matches as well.
        pieces += [part] if part in specials else regex.split(f"({pattern})", part)
    return [piece for piece in pieces if piece]


def cut_in_two(size, text, specials, pattern=GPT2, step=1, between=" y" * 8):
    """Cut a text in two at each place, with so many characters before the cut, and hold the stretches to the whole."""
    for cut in range(0, len(text) + 1, step):
        end = between + text[:cut]
        before = (("x" * 999 + " ") * (size // 1000 + 1))[: max(size - len(end), 0)] + end
        found = list(pretokenize.stretches(iter([before, text[cut:]]), specials, pattern))
        pieces = [piece for part in found for piece in cut_by_hand(part, specials, pattern)]
        whole = cut_by_hand(before + text[cut:], specials, pattern)
        if pieces != whole:
            place = next(i for i, pair in enumerate(zip_longest(pieces, whole)) if pair[0] != pair[1])
            what = f"some pieces of the stretches of a text that ends {before[-20:]!r}, then {text[cut:]!r}"
            why = "Each stretch is cut by itself, as if it were the whole text."
            check.equal(pieces[place : place + 9], whole[place : place + 9], what, why=why)


SIZES = [0, 2 * BUFFER]  # of what stands before the cut


@pytest.mark.parametrize("size", SIZES)
def test_stretches_behind_much_text(size):
    """However much text came before, a stretch ends only where nothing that comes changes the pieces."""
    for text, _, specials in STREAMS:
        cut_in_two(size, text, specials)


@pytest.mark.parametrize("pattern", [LATER_PATTERN, r"\S+\s*", r"[a-z]+"], ids=["later", "words", "gaps"])
def test_stretches_with_another_pattern(pattern):
    """The same holds for the pieces of other patterns."""
    for text, _, specials in STREAMS[::2]:
        cut_in_two(2 * BUFFER, text, specials, pattern, step=2, between=" " + "(ab" * 200)


@pytest.mark.parametrize(
    "pattern", [GPT2, LATER_PATTERN, r"\S+\s*", r"[a-z]+"], ids=["GPT-2", "later", "words", "gaps"]
)
def test_stretches_come_while_the_text_comes(pattern):
    """The first stretch comes before the whole text has come, whatever the pattern."""
    first = next(iter(pretokenize.stretches(Source("to be or not to be\n", 1 << 20), [], pattern)))
    check.equal(first, ("to be or not to be\n" * len(first))[: len(first)], "the first stretch of an endless text")
    check.true(first != "", "the first stretch of an endless text is not empty")


@pytest.mark.parametrize("size", SIZES)
def test_stretches_around_a_long_special_token(size):
    """A special token is waited for to its end, even if it is longer than all that pre-tokens look at."""
    long = "<|" + "a long way " * 60 + "|>"
    cut_in_two(size, f"a  {long} b", [long, "<|"], step=41)


def test_stretches_with_a_pattern_that_looks_back():
    """Where a pattern looks at what stands before a piece, that stays in the same stretch."""
    pattern = r"(?<=a)b+|[ab]|[^ab]+"  # all b behind an a are one piece; each other b is one
    text = "abbb" * 40_000
    for place in range(70_000, 70_004):
        found = list(pretokenize.stretches(iter([text[:place], text[place:]]), [], pattern))
        check.equal("".join(found) == text, True, "whether the stretches of 40,000 times 'abbb', joined, are the text")
        pieces = [piece for part in found for piece in cut_by_hand(part, [], pattern)]
        what = f"how many pieces the stretches of 40,000 times 'abbb' have, by the pattern {pattern}"
        check.equal(len(pieces), 80_000, what, why="A stretch that begins with b is cut otherwise than the whole text.")


def test_stretches_of_one_long_piece():
    """Two million dashes in small chunks are cut a few times, not anew with each chunk."""
    found = list(pretokenize.stretches(repeat("-" * 200, 10_000)))
    check.equal(sum(map(len, found)), 2_000_000, "how many characters the stretches of 10,000 times 200 dashes have")
