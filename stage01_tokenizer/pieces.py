"""GPT-2's pre-tokens at the speed of numpy. This file is given: for those who have written 1.3, and have much text.

Two observations make it fast.

Whether a pre-token begins at a character depends on the kinds of this character and of its two neighbours only: letter,
digit, sign, space, other white space. One array of kinds, compared with itself one place further, gives all the
beginnings at once, without a regular expression.

And a text is made of few pieces, each of which comes again and again. Most are shorter than 16 bytes, so that two
64-bit integers hold one exactly. `PieceNumbers` looks them up in a table, thousands at a time, and makes a Python
string of the first of a kind only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import numpy as np
import regex

LETTER, DIGIT, SIGN, EDGE, SPACE, WHITE = range(6)  # an edge is no text: a special token, or the end
PATTERNS = {LETTER: r"\p{L}+", DIGIT: r"\p{N}+", WHITE: r"\s+"}


@cache
def _kinds(count: int) -> np.ndarray:
    """Give the kind of each of the first `count` characters of Unicode, as `regex` sees them."""
    kinds = np.full(count, SIGN, dtype=np.uint8)
    characters = np.arange(count, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    for kind, pattern in PATTERNS.items():
        for run in regex.finditer(pattern, characters):
            kinds[run.start() : run.end()] = kind
    kinds[ord(" ")] = SPACE
    return kinds


def gpt2_cuts(text: str, specials: Sequence[tuple[int, int]] = ()) -> np.ndarray:
    """Give the places in `text` where GPT-2's pattern cuts it: where pieces begin, and where the last one ends.

    Args:
        text: what to cut.
        specials: where special tokens begin and end; each is one piece, and the text around them is cut apart.

    >>> gpt2_cuts("It's  so.").tolist()
    [0, 2, 4, 5, 8, 9]
    """
    padded = text + "\0\0\0"
    if text.isascii():
        codes = np.frombuffer(padded.encode("ascii"), dtype=np.uint8)
        kinds = _kinds(128)[codes]
    else:
        codes = np.frombuffer(padded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        kinds = _kinds(0x110000)[codes]
    kinds[len(text) :] = EDGE
    for begin, end in specials:
        kinds[begin:end] = EDGE

    begins = np.ones(len(kinds), dtype=bool)
    before, here, after = kinds[:-2], kinds[1:-1], kinds[2:]
    begins[1:-1] = np.where(
        here < SPACE,
        (here != before) & (before != SPACE),  # a run of one kind, to which a space before it belongs
        (before < SPACE) | (after < EDGE),  # white space: its first character, and its last one before text
    )
    for begin, _ in specials:
        begins[begin] = True
    begins[len(text)] = True

    # The contractions: an apostrophe that begins a piece, and the letters behind it.
    quote = np.flatnonzero(begins & (codes == ord("'")) & (kinds == SIGN))
    if len(quote):
        first, second = (np.where(kinds[quote + k] == LETTER, codes[quote + k], 0) for k in (1, 2))
        s, d, m, t, ll, v, r = (first == letter for letter in b"sdmtlvr")
        short, long = s | d | m | t, ll & (second == ord("l")) | (v | r) & (second == ord("e"))
        begins[quote[short | long] + 1] = False
        begins[quote[short] + 2] = True
        begins[quote[long] + 3] = True
    return np.flatnonzero(begins[: len(text) + 1])


def gpt2_pieces(text: str) -> list[str]:
    """Give the pieces as strings. For texts of less than some thousand characters this is the fastest way.

    >>> gpt2_pieces("It's  so.")
    ['It', "'s", ' ', ' so', '.']
    """
    if text.isascii() or not regex.search(r"[\p{L}\p{N}]", "".join(re.findall("[\U00010000-\U0010ffff]+", text))):
        return _gpt2_for_re().findall(text)
    cuts = gpt2_cuts(text).tolist()
    return [text[i:j] for i, j in zip(cuts, cuts[1:])]


@cache
def _gpt2_for_re() -> re.Pattern[str]:
    r"""Write GPT-2's pattern for Python's own engine, which takes less than half the time of `regex`.

    `re` does not know \p{L}, so the letters, digits and spaces are spelled out, up to U+FFFF: with those beyond it
    would be slow. And each optional space is two alternatives, so that the first character says which can fit.
    """
    plane = "".join(map(chr, range(0x10000)))
    letter, digit, space = (
        "".join(f"{run[0]}-{run[-1]}" for run in regex.findall(pattern, plane)) for pattern in PATTERNS.values()
    )
    sign = f"^{letter}{digit}{space}"
    return re.compile(
        rf"[{letter}]+| [{letter}]+|'(?:[sdmt]|ll|ve|re)|[{sign}]+| [{sign}]+|[{digit}]+| [{digit}]+"
        rf"|[{space}]+(?![^{space}])|[{space}]"
    )


MASKS = np.array([256**size - 1 for size in range(9)], dtype=np.uint64)  # the first bytes of eight


GROUP = 1 << 15  # characters; arrays for many more would not fit into the processor's cache


class PieceNumbers(dict[str, int]):
    """Numbers the pieces of texts, in the order in which they first come up.

    >>> numbers = PieceNumbers()
    >>> numbers.of("a b, b b").tolist()
    [0, 1, 2, 1, 1]
    >>> numbers.pieces
    ['a', ' b', ',']
    """

    BITS = 19  # the table has 2**19 places; a piece that finds its place taken is looked up as a string

    def __init__(self, special_tokens: Iterable[str] = ()) -> None:
        self.specials = sorted(special_tokens, key=len, reverse=True)
        self.special = re.compile("|".join(map(re.escape, self.specials)) or "(?!)")  # (?!) is found nowhere
        self.forget()

    def forget(self) -> None:
        """Start again from 0."""
        self.clear()
        self.pieces: list[str] = []
        self.low, self.high = (np.zeros(1 << self.BITS, dtype=np.uint64) for _ in range(2))
        self.number = np.zeros(1 << self.BITS, dtype=np.int64)

    def __missing__(self, piece: str) -> int:
        self.pieces.append(piece)
        self[piece] = number = len(self.pieces) - 1
        return number

    def of(self, text: str) -> np.ndarray:
        """Give the number of each piece of `text`; a special token is one piece."""
        return self._numbers(text, gpt2_cuts(text, [match.span() for match in self.special.finditer(text)]))

    def of_each(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Give the numbers of the pieces of all texts, each cut by itself; and where those of each text end.

        >>> PieceNumbers().of_each(["a b", "a"])
        (array([0, 1, 0]), array([2, 3]))
        """
        numbers, counts = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for few in self._groups(texts):
            if len(few) == 1:
                numbers.append(self.of(few[0]))
                counts.append(np.array([len(numbers[-1])]))
                continue
            # Short texts at once, with a zero behind each that is cut out like a special token, and then left out.
            joined = "\0".join([*few, ""])
            behind = np.cumsum([len(text) + 1 for text in few]) - 1
            spans = [match.span() for match in self.special.finditer(joined)]
            cuts = gpt2_cuts(joined, sorted([*spans, *((place, place + 1) for place in behind.tolist())]))
            zeros = np.searchsorted(cuts, behind)
            numbers.append(np.delete(self._numbers(joined, cuts), zeros))
            counts.append(np.diff(zeros, prepend=-1) - 1)
        return np.concatenate(numbers), np.cumsum(np.concatenate(counts))

    def _groups(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """Gather short texts, since each call of numpy costs time; a long one stays alone."""
        group: list[str] = []
        size = 0
        alone = any("\0" in special for special in self.specials)  # one could reach from one text into the next
        for text in texts:
            if group and (alone or size + len(text) > GROUP):
                yield group
                group, size = [], 0
            group.append(text)
            size += len(text)
        if group:
            yield group

    def _numbers(self, text: str, cuts: np.ndarray) -> np.ndarray:
        data = np.frombuffer(text.encode("utf-8") + bytes(16), dtype=np.uint8)
        # From characters to bytes: those begin a character that are not 10xxxxxx, as a signed number below -64.
        at = cuts if text.isascii() else np.flatnonzero(data.view(np.int8) >= -64)[cuts]
        size = np.diff(at)
        # Up to 15 bytes are two integers: one of the first 8, one of the next 7 and of how many there are.
        eight = np.ndarray(len(data) - 7, dtype="<u8", buffer=data, strides=(1,))  # the 8 bytes from each byte on
        low = eight[at[:-1]] & MASKS[np.minimum(size, 8)]
        high = eight[at[:-1] + 8] & MASKS[np.clip(size - 8, 0, 7)] | size.astype(np.uint64) << np.uint64(56)
        mixed = low * np.uint64(0x9E3779B97F4A7C15) ^ high * np.uint64(0xC2B2AE3D27D4EB4F)
        place = mixed >> np.uint64(64 - self.BITS)
        numbers = self.number[place]
        # What the table does not hold is looked up as a string, and given its place there if that is free.
        rest = np.flatnonzero((self.low[place] != low) | (self.high[place] != high) | (size > 15))
        numbers[rest] = [self[text[i:j]] for i, j in zip(cuts[rest].tolist(), cuts[rest + 1].tolist())]
        new = rest[(self.high[place[rest]] == 0) & (size[rest] < 16)]
        self.low[place[new]], self.high[place[new]], self.number[place[new]] = low[new], high[new], numbers[new]
        return numbers
