"""GPT-2's pre-tokens at the speed of numpy: given, for those who have written 1.3 and have gigabytes to cut.

Two observations make it fast.

Whether a pre-token begins at a character depends on the *kinds* of this character and its two neighbours only (letter,
digit, sign, space, other white space). So one array of kinds, compared with itself one place further, gives all
beginnings at once, without a regular expression.

And a text is made of few pieces, each of which comes again and again. Most are shorter than 16 bytes, so that two
64-bit integers hold one exactly. `PieceNumbers` looks those up in a table, thousands at a time, and makes no
Python string but for the first of a kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import regex

LETTER, DIGIT, SIGN, EDGE, SPACE, WHITE = range(6)  # an edge is no text: a special token, or the end


@cache
def _kinds(count: int) -> np.ndarray:
    """Give the kind of each of the first `count` characters of Unicode, as `regex` sees them."""
    kinds = np.full(count, SIGN, dtype=np.uint8)
    characters = "".join(map(chr, range(count)))
    for kind, pattern in ((LETTER, r"\p{L}+"), (DIGIT, r"\p{N}+"), (WHITE, r"\s+")):
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
        short = np.isin(first, [*b"sdmt"])
        long = (first == ord("l")) & (second == ord("l")) | np.isin(first, [*b"vr"]) & (second == ord("e"))
        begins[quote[short | long] + 1] = False
        begins[quote[short] + 2] = True
        begins[quote[long] + 3] = True
    return np.flatnonzero(begins[: len(text) + 1])


class PieceNumbers(dict[str, int]):
    """Numbers pieces of text in the order in which they first come up.

    >>> numbers = PieceNumbers()
    >>> numbers.of("a b, b b").tolist()
    [0, 1, 2, 1, 1]
    >>> numbers.pieces
    ['a', ' b', ',']
    """

    BITS = 19  # the table has 2**19 places; a piece that finds its place taken is looked up as a string
    MASKS = np.array([256**size - 1 for size in range(9)], dtype=np.uint64)

    def __init__(self, special_tokens: Iterable[str] = ()) -> None:
        self.pieces: list[str] = []
        longest_first = sorted(special_tokens, key=len, reverse=True)
        self.special = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")  # (?!) is nowhere
        self.low, self.high = (np.zeros(1 << self.BITS, dtype=np.uint64) for _ in range(2))
        self.number = np.zeros(1 << self.BITS, dtype=np.int64)

    def __missing__(self, piece: str) -> int:
        self.pieces.append(piece)
        self[piece] = len(self.pieces) - 1
        return len(self.pieces) - 1

    def of(self, text: str) -> np.ndarray:
        """Give the number of each piece of `text`, special tokens whole."""
        cuts = gpt2_cuts(text, [match.span() for match in self.special.finditer(text)])
        data = np.frombuffer(text.encode("utf-8") + bytes(16), dtype=np.uint8)
        # From characters to bytes: each byte begins a character, but for 10xxxxxx, which as a signed one is below -64.
        at = cuts if text.isascii() else np.flatnonzero(data.view(np.int8) >= -64)[cuts]
        size = np.diff(at)
        # A piece of at most 15 bytes is two integers: its first 8 bytes; the next 7, and how many bytes there are.
        eight = np.ndarray(len(data) - 7, dtype="<u8", buffer=data, strides=(1,))  # the 8 bytes from each byte on
        low = eight[at[:-1]] & self.MASKS[np.minimum(size, 8)]
        high = eight[at[:-1] + 8] & self.MASKS[np.clip(size - 8, 0, 7)] | size.astype(np.uint64) << np.uint64(56)
        mixed = low * np.uint64(0x9E3779B97F4A7C15) ^ high * np.uint64(0xC2B2AE3D27D4EB4F)
        place = mixed >> np.uint64(64 - self.BITS)
        numbers = self.number[place]
        # What the table does not hold is looked up as a string, and given its place there if that is free.
        rest = np.flatnonzero((self.low[place] != low) | (self.high[place] != high) | (size > 15))
        numbers[rest] = [self[text[i:j]] for i, j in zip(cuts[rest].tolist(), cuts[rest + 1].tolist())]
        new = rest[(self.high[place[rest]] == 0) & (size[rest] < 16)]
        self.low[place[new]], self.high[place[new]], self.number[place[new]] = low[new], high[new], numbers[new]
        return numbers
