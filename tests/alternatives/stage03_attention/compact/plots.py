"""The grid with a mosaic, matshow-like panels with tokens on top, and an axes of its own for the colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

SIGNS = str.maketrans({" ": "·", "\n": "¶", "\t": "»", "$": "\\$"})


def attention_grid(
    weights: Tensor,
    tokens: Sequence[str],
    queries: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    columns: int = 4,
) -> Figure:
    """Show each head as an image, the first query at the bottom of the array and the top of the panel."""
    weights = weights.detach().float().cpu().reshape((-1, *weights.shape[-2:]) if weights.ndim == 2 else weights.shape)
    if weights.ndim != 3 or 0 in weights.shape:
        raise ValueError(f"weights are {tuple(weights.shape)}")
    count, height, width = weights.shape
    queries = tokens[-height:] if queries is None and height <= width else queries or ()
    titles = [f"head {i}" for i in range(count)] if titles is None else titles
    for name, given, wanted in (("tokens", tokens, width), ("queries", queries, height), ("titles", titles, count)):
        if len(given) != wanted:
            raise ValueError(f"{len(given)} {name}, but {wanted} are needed")
    if columns < 1 or not bool(weights.ge(0).logical_and(weights.le(1.001)).all()):
        raise ValueError(f"columns is {columns}; weights are from {weights.min()} to {weights.max()}")

    some = weights.amax(0) > 0
    seen = some.flip(-1).cummax(-1).values.flip(-1)  # something here, or further on
    weights = torch.where(seen, weights, torch.nan).flip(-2)
    across = min(columns, count)
    down = (count + across - 1) // across
    figure = Figure(figsize=(across * max(3.0, 1.3 + 0.3 * width) + 1, down * (2.6 + 0.3 * height)), layout="tight")
    grid: Any = figure.add_gridspec(down, across + 1, width_ratios=[1.0] * across + [0.06])
    image = None
    for i, head in enumerate(weights):
        axes = figure.add_subplot(grid[i // across, i % across])
        axes.set_facecolor("white")
        image = axes.imshow(head.numpy(), clim=(0, 1), cmap="YlOrRd_r", origin="lower", aspect="auto")
        axes.set_xticks(np.arange(width), [_short(token) for token in tokens], rotation="vertical", fontsize=7)
        axes.set_yticks(np.arange(height), [_short(query) for query in reversed(queries)], fontsize=7)
        axes.set(xlabel="keys", ylabel="queries")
        axes.set_title(titles[i].replace(":", ":\n"), fontsize=8)
    assert image is not None
    figure.colorbar(image, cax=figure.add_subplot(grid[:, -1])).set_label("weight of the key")
    return figure


def _short(token: str) -> str:
    text = token.translate(SIGNS)
    return text if len(text) < 14 else f"{text[:10]}…"
