"""What people get wrong in 3.2 Masks (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

CAUSAL = "return key <= query[:, None]"
PADDING = 'return key < length if side == "right" else key >= keys - length'
AND = "combined = mask if combined is None else combined & mask"

MISTAKES = [
    Mistake(
        "3.2",
        "a query may attend to the key behind its own place",
        "Query i and key S - T + i are the same token, and with j ≤ S - T + i it is the last one allowed.",
        "masks.py",
        ((CAUSAL, "return key <= query[:, None] + 1"),),
    ),
    Mistake(
        "3.2",
        "a query may not attend to its own place",
        "j ≤ S - T + i, not j < S - T + i: a token knows itself. Otherwise the first one has nothing to attend to.",
        "masks.py",
        ((CAUSAL, "return key < query[:, None]"),),
    ),
    Mistake(
        "3.2",
        "the first query stands at the first key, whatever T and S are",
        "Align the last query with the last key: query i is at place S - T + i. torch.tril takes S - T as a diagonal.",
        "masks.py",
        (("+ (keys - queries)  # (T,)", "# (T,)"),),
    ),
    Mistake(
        "3.2",
        "the causal mask says who may not attend",
        "True means: may attend. torch.triu(…, diagonal=1) marks what lies ahead; here it has to be False.",
        "masks.py",
        ((CAUSAL, "return key > query[:, None]"),),
    ),
    Mistake(
        "3.2",
        "the padding mask marks the padding",
        "True means: may attend. It belongs to the real tokens, and False to the padding.",
        "masks.py",
        ((PADDING, 'return key >= length if side == "right" else key < keys - length'),),
    ),
    Mistake(
        "3.2",
        "the sides of the padding are swapped",
        "`side` says where the padding is: on the right of real tokens, which come first, or on the left of them.",
        "masks.py",
        ((PADDING, PADDING.replace('"right"', '"left"')),),
    ),
    Mistake(
        "3.2",
        "with padding on the left, the first tokens are real all the same",
        "Whoever pads on the left has the real tokens at the end: key j is real if j ≥ S - length.",
        "masks.py",
        ((PADDING, "return key < length"),),
    ),
    Mistake(
        "3.2",
        "with padding on the left, as many tokens are taken for padding as are real",
        "A text of length n has n real tokens at the end, so S - n come before them: key j is real if j ≥ S - n, not j ≥ n.",
        "masks.py",
        ((PADDING, 'return key < length if side == "right" else key >= length'),),
    ),
    Mistake(
        "3.2",
        "the padding mask has the shape (B, S)",
        "Beside scores (B, H, T, S), a mask (B, S) is taken for (T, S). Two dimensions of 1 in between make it "
        "(B, 1, 1, S): lengths[:, None, None, None].",
        "masks.py",
        ((PADDING, 'return (key < length if side == "right" else key >= keys - length)[:, 0, 0]'),),
    ),
    Mistake(
        "3.2",
        "lengths of 8 bits are computed with as they are",
        "S - length has no room in 8 bits if S is 300. Convert with lengths.long() first.",
        "masks.py",
        (("length = lengths.long()[", "length = lengths["),),
    ),
    Mistake(
        "3.2",
        "one mask that lets a query attend is enough",
        "All of them have to: & (and), not | (or).",
        "masks.py",
        ((AND, AND.replace("&", "|")),),
    ),
]
