# module: plots.py
# exercise: 3.11
# name: nothing is left empty
"""The grid with pcolormesh, and all its cells."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor


def attention_grid(
    weights: Tensor,
    tokens: Sequence[str],
    queries: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    columns: int = 4,
) -> Figure:
    """Draw a mesh for each head."""
    if weights.ndim == 2:
        weights = weights.unsqueeze(0)
    if weights.ndim != 3 or weights.numel() == 0:
        raise ValueError(f"the shape {tuple(weights.shape)} is not (H, T, S)")
    numbers = np.array(weights.detach().cpu().double().tolist())
    heads, n_rows, n_columns = numbers.shape
    if len(tokens) != n_columns:
        raise ValueError(f"{len(tokens)} tokens for {n_columns} columns")
    if queries is None:
        if n_rows > n_columns:
            raise ValueError(f"{n_rows} queries, {n_columns} tokens")
        queries = tokens[n_columns - n_rows :]
    if len(queries) != n_rows:
        raise ValueError(f"{len(queries)} queries for {n_rows} rows")
    if titles is None:
        titles = ["head " + str(i) for i in range(heads)]
    if len(titles) != heads:
        raise ValueError(f"{len(titles)} titles for {heads} heads")
    if not (numbers.min() >= 0 and numbers.max() <= 1.001):
        raise ValueError("weights lie between 0 and 1")
    if columns <= 0:
        raise ValueError(f"{columns} columns")

    empty = np.zeros((n_rows, n_columns), dtype=bool)
    for i in range(n_rows):
        for j in range(n_columns - 1, -1, -1):
            if numbers[:, i, j].any():
                break
            empty[i, j] = False

    across = min(heads, columns)
    down = math.ceil(heads / across)
    figure = Figure(figsize=(1.5 + across * (2.0 + 0.3 * n_columns), down * (2.2 + 0.3 * n_rows)))
    figure.set_layout_engine("constrained")
    scale = Normalize(0, 1)
    names = [_readable(token) for token in tokens]
    panels = []
    for i in range(heads):
        panel = figure.add_subplot(down, across, i + 1)
        panel.set_facecolor("lightgrey")
        mesh = np.ma.masked_array(numbers[i], mask=empty)
        panel.pcolormesh(mesh, norm=scale, cmap="viridis")
        panel.invert_yaxis()
        panel.set_xticks(np.arange(n_columns) + 0.5)
        panel.set_xticklabels(names, rotation=45, ha="right")
        panel.set_yticks(np.arange(n_rows) + 0.5)
        panel.set_yticklabels([_readable(query) for query in queries])
        panel.set_title("\n".join(textwrap.wrap(titles[i], 18 + 2 * n_columns)), loc="left", fontsize=9)
        panels.append(panel)
    figure.supylabel("queries")
    figure.supxlabel("keys")
    bar = figure.colorbar(ScalarMappable(scale, "viridis"), ax=panels)
    bar.ax.set_title("share", fontsize=9)
    return figure


def _readable(token: str) -> str:
    """A token with quotation marks around it, as Python writes it."""
    text = repr(token).replace("$", r"\$")
    return text if len(text) <= 20 else text[:18] + "…'"
