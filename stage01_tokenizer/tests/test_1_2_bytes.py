"""1.2 · Bytes: UTF-8 there and back, of whole texts and of a stream."""

from functools import cache
from itertools import pairwise, product

import pytest

from bootcamp.grading import check, written

utf8 = written("stage01_tokenizer.utf8")

BAD = "\ufffd"  # what stands for bytes that are no UTF-8

# The first and the last character of each row of table 3-7 in The Unicode Standard, with their bytes.
EDGES = {
    "\x00": [0x00],
    "\x7f": [0x7F],
    "\x80": [0xC2, 0x80],
    "\u07ff": [0xDF, 0xBF],
    "\u0800": [0xE0, 0xA0, 0x80],
    "\u0fff": [0xE0, 0xBF, 0xBF],
    "\u1000": [0xE1, 0x80, 0x80],
    "\ucfff": [0xEC, 0xBF, 0xBF],
    "\ud000": [0xED, 0x80, 0x80],
    "\ud7ff": [0xED, 0x9F, 0xBF],
    "\ue000": [0xEE, 0x80, 0x80],
    "\uffff": [0xEF, 0xBF, 0xBF],
    "\U00010000": [0xF0, 0x90, 0x80, 0x80],
    "\U0003ffff": [0xF0, 0xBF, 0xBF, 0xBF],
    "\U00040000": [0xF1, 0x80, 0x80, 0x80],
    "\U000fffff": [0xF3, 0xBF, 0xBF, 0xBF],
    "\U00100000": [0xF4, 0x80, 0x80, 0x80],
    "\U0010ffff": [0xF4, 0x8F, 0xBF, 0xBF],
}

# What is no character, because a shorter form is there, because it is half of a surrogate pair, because it lies past
# U+10FFFF, or because UTF-8 has no such byte: each byte of it is one U+FFFD (table 3-7 has none of them).
NEVER = """
    C0 80, C1 BF, E0 80 80, E0 9F BF, F0 80 80 80, F0 8F BF BF, ED A0 80, ED BF BF, ED A0 BD ED B8 80, F4 90 80 80,
    F5 80 80 80, F8 88 80 80 80, FF, FE, 80, BF
"""
NEVER = [bytes.fromhex(each) for each in NEVER.split(",")]

# The Unicode Standard, tables 3-8 to 3-11: forms that are too long, surrogates, bytes that UTF-8 does not have,
# characters that are cut short. One U+FFFD stands for the longest part that a character could begin with.
PUBLISHED = {
    bytes.fromhex("C0 AF E0 80 BF F0 81 82 41"): BAD * 8 + "A",
    bytes.fromhex("ED A0 80 ED BF BF ED AF 41"): BAD * 8 + "A",
    bytes.fromhex("F4 91 92 93 FF 41 80 BF 42"): BAD * 5 + "A" + BAD * 2 + "B",
    bytes.fromhex("E1 80 E2 F0 91 92 F1 BF 41"): BAD * 4 + "A",
}


def characters(rng, count):
    """Some characters from each of the 17 planes of Unicode."""
    points = [rng.randrange(plane << 16, (plane + 1) << 16) for plane in range(17) for _ in range(count)]
    return [chr(point) for point in points if not 0xD800 <= point < 0xE000]


def broken(rng, size):
    """Characters, pieces of characters and stray bytes, one behind the other."""
    parts = []
    for _ in range(size):
        character = rng.choice("aé€😀" + "".join(EDGES)).encode()
        piece = character[: rng.randint(1, len(character))]
        parts.append(rng.choice([character, piece, bytes([rng.randrange(0x80, 0x100)])]))
    return b"".join(parts)


# -- text_to_byte_ids


def test_text_to_bytes():
    """A character is one to four bytes of UTF-8, and each byte is an id."""
    check.returns([104, 195, 169], utf8.text_to_byte_ids, "hé")
    check.returns([226, 130, 172, 240, 159, 152, 128], utf8.text_to_byte_ids, "€😀")
    check.returns([], utf8.text_to_byte_ids, "")


def test_edges_to_bytes():
    """Characters at the edges of each length have the bytes that the Unicode Standard gives."""
    for character, ids in EDGES.items():
        check.returns(ids, utf8.text_to_byte_ids, character)


def test_nothing_is_added_or_tidied_up():
    """Line ends, byte order marks and accents that stand apart are kept as they are."""
    why = "Each byte counts: what is changed here cannot come back when the ids are decoded."
    check.returns([13, 10, 0, 9], utf8.text_to_byte_ids, "\r\n\x00\t", why=why)
    check.returns([0xEF, 0xBB, 0xBF, 97], utf8.text_to_byte_ids, "\ufeffa", why=why)
    check.returns([101, 0xCC, 0x81], utf8.text_to_byte_ids, "e\u0301", why=why)
    check.returns([0xEF, 0xAC, 0x81, 32], utf8.text_to_byte_ids, "\ufb01 ", why=why)


def test_half_a_surrogate_pair_is_refused():
    """Half of a surrogate pair is no character: it is a ValueError, not a byte of something else."""
    check.returns([97], utf8.text_to_byte_ids, "a")
    for text in ("\ud800", "a\udfff", "\udc80b"):
        check.raises(
            ValueError,
            utf8.text_to_byte_ids,
            text,
            why="UTF-8 has no bytes for it, and what stood in its place could not be read back.",
        )


@pytest.mark.varied
def test_characters_of_all_planes_to_bytes(rng):
    """Characters from anywhere in Unicode become their bytes in UTF-8."""
    for text in [*characters(rng, 3), "".join(characters(rng, 40))]:
        check.returns(list(text.encode("utf-8")), utf8.text_to_byte_ids, text)


# -- byte_ids_to_text


def test_bytes_to_text():
    """The bytes of a character, put together, are that character."""
    check.returns("hé", utf8.byte_ids_to_text, [104, 195, 169])
    check.returns("€😀", utf8.byte_ids_to_text, [226, 130, 172, 240, 159, 152, 128])
    check.returns("", utf8.byte_ids_to_text, [])


def test_edges_to_text():
    """Characters at the edges of each length are read as the Unicode Standard gives them."""
    for character, ids in EDGES.items():
        check.returns(character, utf8.byte_ids_to_text, ids)


def test_nothing_is_taken_away():
    """Line ends, byte order marks and zeros come back as they were."""
    check.returns("\r\n\x00\t", utf8.byte_ids_to_text, [13, 10, 0, 9])
    check.returns("\ufeffa", utf8.byte_ids_to_text, [0xEF, 0xBB, 0xBF, 97])
    check.returns("e\u0301 ", utf8.byte_ids_to_text, [101, 0xCC, 0x81, 32])


def test_ids_from_a_generator():
    """The ids may be any iterable: a generator, a tuple, bytes."""
    check.equal(
        utf8.byte_ids_to_text(id for id in (104, 195, 169)), "hé", "byte_ids_to_text(id for id in (104, 195, 169))"
    )
    check.returns("hé", utf8.byte_ids_to_text, (104, 195, 169))
    check.returns("hé", utf8.byte_ids_to_text, b"h\xc3\xa9")


def test_a_missing_byte():
    """A character that lacks its last bytes is one U+FFFD; what stands around it is kept."""
    why = "A model may write any ids. What is no text is shown as U+FFFD; it must not vanish, and not stop the program."
    check.returns("h" + BAD, utf8.byte_ids_to_text, [104, 195], why=why)
    why = "Bytes that could have become one character, had it not broken off, are one U+FFFD."
    check.returns("a" + BAD + "b", utf8.byte_ids_to_text, [97, 0xE2, 0x82, 98], why=why)
    check.returns(BAD + "é", utf8.byte_ids_to_text, [0xF0, 0x9F, 0x98, 0xC3, 0xA9], why=why)


def test_bytes_that_are_no_utf_8():
    """Bytes that are no UTF-8 become U+FFFD, as many as bytes.decode gives, and never an exception."""
    for data in NEVER:
        check.returns(BAD * len(data), utf8.byte_ids_to_text, list(data))
    for data, text in PUBLISHED.items():
        check.returns(text, utf8.byte_ids_to_text, list(data))


def test_ids_that_are_no_bytes_are_refused():
    """An id that is not from 0 to 255 is a ValueError."""
    check.returns("\x00", utf8.byte_ids_to_text, [0])
    for ids in ([256], [97, -1], [1000, 97]):
        check.raises(ValueError, utf8.byte_ids_to_text, ids, why="No byte has that number; it stems from an error.")


@pytest.mark.varied
def test_random_bytes_to_text(rng):
    """Any bytes decode to what bytes.decode(errors="replace") makes of them."""

    def probe(data):
        check.returns(data.decode("utf-8", errors="replace"), utf8.byte_ids_to_text, list(data))

    check.for_all([broken(rng, size) for size in range(1, 40)], probe)
    check.for_all(["".join(characters(rng, 5)).encode("utf-8")], probe)


# -- StreamDecoder


def fed(pieces):
    """What a new decoder gives for each piece, and at the end."""
    decoder = utf8.StreamDecoder()
    texts = [decoder.feed(piece) for piece in pieces] + [decoder.finish()]
    check.true(all(isinstance(text, str) for text in texts), "feed and finish always give a text", got=texts)
    return texts


def one_by_one(data):
    return [bytes([byte]) for byte in data]


def calls(pieces):
    """How to name what `fed` gives."""
    return f"what feed gives for {', '.join(map(repr, pieces))}, and finish at the end"


def test_feed_gives_what_is_complete():
    """What is complete comes back from the same call."""
    decoder = utf8.StreamDecoder()
    check.returns("low", decoder.feed, b"low")
    check.returns(" é€😀", decoder.feed, " é€😀".encode())
    check.returns("", decoder.feed, b"")


def test_each_character_at_its_last_byte():
    """A character comes with the byte that completes it: not before, and not later."""
    pieces = one_by_one("hé€😀!".encode())
    check.equal(fed(pieces), ["h", "", "é", "", "", "€", "", "", "", "😀", "!", ""], calls(pieces))


def test_characters_before_an_unfinished_one():
    """An unfinished character does not hold back those before it."""
    pieces = [b"ab\xc3", b"\xa9c\xf0\x9f", b"\x98", b"\x80\xe2\x82", b"\xac"]
    check.equal(fed(pieces), ["ab", "éc", "", "😀", "€", ""], calls(pieces))


def test_edges_in_a_stream():
    """Characters at the edges of each length are waited for to their last byte, and no longer."""
    for character, ids in EDGES.items():
        pieces = one_by_one(ids)
        check.equal(fed(pieces), [""] * (len(ids) - 1) + [character, ""], calls(pieces))


def test_every_way_to_cut_a_text():
    """Wherever the bytes of a text are cut, the pieces joined are the text."""
    data = "é€a😀".encode()
    for pieces in cuts(data):
        check.equal("".join(fed(pieces)), "é€a😀", f"{calls(pieces)}, joined")


def cuts(data):
    """Every way to cut `data` into pieces, those of few pieces first."""
    ways = sorted(product([False, True], repeat=len(data) - 1), key=sum)
    for way in ways:
        places = [0, *(i for i, cut in enumerate(way, start=1) if cut), len(data)]
        yield [data[start:end] for start, end in pairwise(places)]


def test_finish_gives_what_was_left_incomplete():
    """A character whose last bytes never come is one U+FFFD at the end."""
    for pieces in ([b"a\xc3"], [b"\xe2", b"\x82"], [b"\xf0\x9f", b"\x98"]):
        check.equal(fed(pieces)[-1], BAD, f"what finish gives after {', '.join(map(repr, pieces))}")


def test_finish_gives_nothing_else():
    """With no character left incomplete, there is nothing to give at the end."""
    for pieces in ([], [b"a"], [b"\xc3", b"\xa9"], [b"\xe2\x82\xac"]):
        check.equal(fed(pieces)[-1], "", f"what finish gives after {', '.join(map(repr, pieces)) or 'no bytes at all'}")


def test_finish_forgets():
    """What finish gave once, it does not give again."""
    decoder = utf8.StreamDecoder()
    texts = [decoder.feed(b"a\xe2\x82"), decoder.finish(), decoder.finish()]
    check.equal(texts, ["a", BAD, ""], "what feed(b'a\\xe2\\x82'), finish() and finish() again give")


def test_each_decoder_keeps_its_own_bytes():
    """Two decoders at work side by side know nothing of each other."""
    one, other = utf8.StreamDecoder(), utf8.StreamDecoder()
    texts = [one.feed(b"\xc3"), other.feed(b"\xe2\x82"), one.feed(b"\xa9"), other.feed(b"\xac")]
    check.equal(texts, ["", "", "é", "€"], "what two decoders give, fed by turns with the bytes of é and of €")


def test_a_broken_character_is_not_waited_for():
    """A character that breaks off does not hold back what comes behind it."""
    for pieces, text in (
        ([b"\xe2", b"a"], BAD + "a"),
        ([b"\xf0\x9f", b"\xc3\xa9"], BAD + "é"),
        ([b"\xff", b"a"], BAD + "a"),
        ([b"\xf0\x9f", b"\x7f"], BAD + "\x7f"),
        ([b"\xe2", b"\xe2\x82", b"\xac"], BAD + "€"),
    ):
        check.equal(
            "".join(fed(pieces)[:-1]),
            text,
            f"what feed gives for {', '.join(map(repr, pieces))}, joined",
            why="The next byte shows that the character was broken off. U+FFFD stands for it, and the stream goes on.",
        )


def test_every_way_to_cut_what_is_no_utf_8():
    """Wherever bytes that are no UTF-8 are cut, the pieces joined are what all of them at once give."""
    for data, text in [*((data, BAD * len(data)) for data in NEVER), *PUBLISHED.items()]:
        for pieces in cuts(data):
            check.equal("".join(fed(pieces)), text, f"{calls(pieces)}, joined")


def test_what_can_never_be_a_character_is_not_kept():
    """Bytes that no further byte can make a character come back as U+FFFD at once."""
    for data in (*NEVER, b"\xc0", b"\xc1", b"\xf5", b"\xff"):
        why = "No byte that may come makes a character of these; so there is nothing to wait for."
        check.equal(fed([data]), [BAD * len(data), ""], calls([data]), why=why)
    for pieces in ([b"\xe0", b"\x80"], [b"\xe0", b"\x9f"], [b"\xf0", b"\x8f"], [b"\xf4", b"\x90"]):
        why = "After this first byte not every second byte is allowed (The Unicode Standard, table 3-7)."
        check.equal(fed(pieces), ["", BAD * 2, ""], calls(pieces), why=why)


@pytest.mark.parametrize("byte", [0x80, 0xFF, 0xC0])
def test_bytes_do_not_pile_up(byte):
    """Bytes that can never become a character are not kept until the end."""
    pieces = [bytes([byte])] * 40
    before = "".join(fed(pieces)[:-1])
    check.true(
        len(before) >= 32,
        f"after 40 times the byte {byte:#x}, most of the 40 U+FFFD have come, before finish is called",
        got=before,
        why="A stream may be endless: what is kept has to stay small.",
    )


@pytest.mark.varied
def test_random_streams(rng):
    """In any stream of bytes, each character comes with its last byte, and nothing comes that is not certain."""

    def probe(data):
        texts = fed(one_by_one(data))
        whole = data.decode("utf-8", errors="replace")
        check.equal("".join(texts), whole, "what feed gives for the bytes one by one, and finish, joined")
        for end in range(1, len(data) + 1):
            so_far, possible = "".join(texts[:end]), certain(data[:end])
            # When U+FFFD comes is left open; it may be at once, or when the next character begins.
            for wrong, what in (
                (len(so_far) < len(possible.rstrip(BAD)), "each character comes with the byte that completes it"),
                (len(so_far) > len(possible), "nothing comes before it is certain"),
            ):
                check.true(not wrong, what, got=f"{so_far!r} after the bytes {data[:end]!r}, which spell {possible!r}")

    check.for_all([broken(rng, size) for size in (*range(1, 30), *range(1, 30))], probe)


def certain(data):
    """The text of `data` without a character that has only begun."""
    begun = max((n for n in (1, 2, 3) if len(data) >= n and data[-n:] in beginnings()), default=0)
    return data[: len(data) - begun].decode("utf-8", errors="replace")


@cache
def beginnings():
    """All that a character can begin with: its bytes without the last, the last two, the last three."""
    points = (point for point in range(0x80, 0x110000, 64) if not 0xD800 <= point < 0xE000)
    whole = [chr(point).encode("utf-8") for point in points]
    return {data[:n] for data in whole for n in range(1, len(data))}


@pytest.mark.varied
def test_random_pieces(rng):
    """A long text in pieces of any size comes out whole."""
    for most in (1, 5, 60):
        text = "".join(characters(rng, 6))
        data, pieces = text.encode("utf-8"), []
        while data:
            size = rng.randint(0, most)
            pieces.append(data[:size])
            data = data[size:]
        check.equal(
            "".join(fed(pieces)), text, f"a text of {len(text)} characters in pieces of up to {most} bytes, joined"
        )
