"""What people get wrong in 3.4 Heads (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

SPLIT = "return x.unflatten(-1, (heads, -1)).transpose(-3, -2)"
MERGE = "return x.transpose(-3, -2).flatten(-2)"

MISTAKES = [
    Mistake(
        "3.4",
        "the time is cut into heads, not the width",
        "A reshape to (…, H, T, D) runs through the numbers in their order: head 0 gets the first places whole. Cut C "
        "into (H, D) first, then exchange T and H.",
        "heads.py",
        ((SPLIT, "return x.reshape(*x.shape[:-2], heads, x.shape[-2], x.shape[-1] // heads)"),),
    ),
    Mistake(
        "3.4",
        "the heads stay behind the time",
        "(…, T, H, D) is half of the way: exchange T and H, so that each head has queries and keys (T, D) of its own.",
        "heads.py",
        ((SPLIT, "return x.unflatten(-1, (heads, -1))"),),
    ),
    Mistake(
        "3.4",
        "head h gets each H-th number, not a slice",
        "unflatten(-1, (heads, -1)) makes slices of the width; (-1, heads) deals the numbers out by turns.",
        "heads.py",
        ((SPLIT, "return x.unflatten(-1, (-1, heads)).movedim(-1, -3)"),),
    ),
    Mistake(
        "3.4",
        "the dimensions are counted from the front when the heads are split",
        "transpose(1, 2) is right for (B, T, H, D) only. Counted from the end, -3 and -2 are always T and H.",
        "heads.py",
        ((SPLIT, "return x.unflatten(-1, (heads, -1)).transpose(1, 2)"),),
    ),
    Mistake(
        "3.4",
        "the heads are merged without exchanging them with the time",
        "A reshape of (…, H, T, D) to (…, T, C) puts several places of one head side by side: tokens are scrambled.",
        "heads.py",
        ((MERGE, "return x.reshape(*x.shape[:-3], x.shape[-2], x.shape[-3] * x.shape[-1])"),),
    ),
    Mistake(
        "3.4",
        "the numbers of the heads are merged by turns",
        "Head 0 comes first with all its D numbers, then head 1: (…, T, H, D), then (…, T, C).",
        "heads.py",
        ((MERGE, "return x.movedim(-3, -1).flatten(-2)"),),
    ),
    Mistake(
        "3.4",
        "merge_heads asks for a view of what lies in another order",
        "After a transpose the numbers of a place do not lie side by side, and view cannot put them there. reshape and "
        "flatten copy where they have to; so does contiguous().",
        "heads.py",
        ((MERGE, "return x.transpose(-3, -2).view(*x.shape[:-3], x.shape[-2], x.shape[-3] * x.shape[-1])"),),
    ),
]
