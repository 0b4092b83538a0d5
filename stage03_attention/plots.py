"""3.11 + · Looking at attention: which token looks at which, one panel a head."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor


def attention_grid(
    weights: Tensor,
    tokens: Sequence[str],
    queries: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    columns: int = 4,
) -> Figure:
    """Draw the weights of each head as a heat map: a row for each query, the first on top, a column for each key.

    Each panel has its title, and the tokens at its rows and columns, in words that can be read: white space is made
    visible, a $ starts no formula, long tokens may be cut, and no text covers another or leaves the figure. The rows
    are labelled "query", the columns "key". All panels share one scale, from 0 to 1, and one colour bar that says what
    the shades are. Where no query of any head attends (above the diagonal, with a causal mask) the panel is left empty,
    so that "may not look" and "does not look" can be told apart: an entry is empty, in a colour that the scale does not
    come near, if it is 0 in all heads and lies behind the last key that its query attends to.

    Args:
        weights: (H, T, S), or (T, S) for one head; each row adds up to 1 (or is all 0).
        tokens: the S texts of the keys.
        queries: the T texts of the queries; None means the last T of `tokens`.
        titles: a title for each head; None means "head 0", "head 1", …
        columns: how many panels stand in a row, at most.

    Returns:
        A matplotlib Figure that is not shown yet.

    Raises:
        ValueError: `weights` is not (H, T, S), the numbers of tokens, queries or titles do not fit (both are named), or
            a weight is not from 0 to 1.
    """
    weights = weights[None] if weights.dim() == 2 else weights
    if weights.dim() != 3 or not weights.numel():
        raise ValueError(f"weights must be (H, T, S), none of them 0; got the shape {tuple(weights.shape)}")
    heads, n_queries, n_keys = weights.shape
    if len(tokens) != n_keys:
        raise ValueError(f"there must be a token for each of the {n_keys} keys; got {len(tokens)}")
    if queries is None and n_queries > n_keys:
        raise ValueError(f"there are more queries ({n_queries}) than tokens ({n_keys}): say what the queries are")
    queries = list(tokens)[n_keys - n_queries :] if queries is None else queries
    if len(queries) != n_queries:
        raise ValueError(f"there must be a text for each of the {n_queries} queries; got {len(queries)}")
    titles = [f"head {head}" for head in range(heads)] if titles is None else titles
    if len(titles) != heads:
        raise ValueError(f"there must be a title for each of the {heads} heads; got {len(titles)}")
    if not bool(((weights >= 0) & (weights <= 1 + 1e-3)).all()):
        raise ValueError("weights must be from 0 to 1: what comes behind the softmax, not the scores")
    if columns < 1:
        raise ValueError(f"columns must be at least 1; got {columns}")
    # TODO 3.11: a grid of panels; imshow with one scale; the tokens at the axes; empty where nobody may look
    raise NotImplementedError(
        "3.11 attention_grid: a grid of panels; imshow with one scale; the tokens at the axes; empty where nobody may "
        "look; "
        "hint: python -m bootcamp hint 3.11"
    )
