"""What people get wrong in 3.9 Sparse attention (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

SPARSE = "length = q.shape[-2]\n    window, global_tokens = min("
WHOLE = """\
length = q.shape[-2]
    place = torch.arange(length, device=q.device)
    behind = place[:, None] - place
    sees = (behind >= 0) & ((behind < window) | (place < global_tokens))
    if length:
        return attention(q, k, v, sees)  # type: ignore[return-value]
    window, global_tokens = min("""

MISTAKES = [
    Mistake(
        "3.9",
        "the window reaches one key too far",
        "W keys with one's own among them: i - j goes from 0 to W - 1. With a window of 1, each place sees itself.",
        "sparse.py",
        (("(query - near < window)", "(query - near <= window)"),),
    ),
    Mistake(
        "3.9",
        "one's own place is not in the window",
        "j ≤ i: a query sees its own key, and with a window of 1 nothing else.",
        "sparse.py",
        (
            (
                "sees_near = (near <= query) & (query - near < window)",
                "sees_near = (near < query) & (query - near <= window)",
            ),
        ),
    ),
    Mistake(
        "3.9",
        "a query sees the keys of its own block only",
        "The window of a block's first query lies in the block before. Give each block the keys of both.",
        "sparse.py",
        (("(near >= global_tokens)  #", "(near >= global_tokens) & (near // window == query // window)  #"),),
    ),
    Mistake(
        "3.9",
        "a key that is global and in the window counts twice",
        "Where the global keys stand beside the window's, mask them in one of the two places.",
        "sparse.py",
        (
            (" & (near >= global_tokens)  # global ones are not seen twice", ""),
            ("(near <= query) &", "(near >= 0) & (near <= query) &"),
        ),
    ),
    Mistake(
        "3.9",
        "a global key is seen by the queries before it",
        "Global keys are seen by all that stand behind them: j ≤ i holds for them too.",
        "sparse.py",
        (("[shared <= query, sees_near]", "[(shared <= query) | (shared >= 0), sees_near]"),),
    ),
    Mistake(
        "3.9",
        "all scores are computed, and masked afterwards",
        "That is right, and costs T². Cut the queries into blocks of W, and give each only the keys that it can see.",
        "sparse.py",
        ((SPARSE, WHOLE),),
    ),
]
