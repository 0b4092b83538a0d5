"""Pictures for lessons, notebooks and reports: one palette, one style, text cut into coloured tokens."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

INK = "#1b1f24"
PALE = "#8b949e"
PAPER = "#ffffff"
ON_COLOUR = "#1b1f25"  # as INK, but on a page it does not take the colour of the text: boxes stay pale in the dark
# Paul Tol's bright scheme, which stays distinct for colour-blind readers.
LINES = ["#4477aa", "#ee6677", "#228833", "#aa3377", "#66ccee", "#ccbb44"]
TOKENS = ["#cfe0f3", "#f9d5da", "#cfe8d2", "#f0e6b8", "#e6cfe0", "#d3f0f7"]

CHARACTER = 0.602  # the width of a character of the fixed-width font, in units of the font size
FONTS = ["DejaVu Sans Mono", "DejaVu Sans"]

STYLE = {
    "svg.hashsalt": "bootcamp",  # the same picture gives the same file
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": PALE,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "axes.prop_cycle": cycler(color=LINES),
    "lines.linewidth": 2,
    "lines.markersize": 4,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
}


def styled() -> None:
    """Use the course's style in this process, without a screen."""
    matplotlib.use("Agg")
    matplotlib.rcParams.update(STYLE)  # type: ignore[call-overload, arg-type] - it takes any table of its names


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, the same bytes for the same picture."""
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight", pad_inches=0.15)


def inline(figure: Figure, label: str) -> str:
    """Give a figure as an SVG element for a page, in the colours of the page's text."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight", transparent=True
    )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"|(<svg[^>]*?) height="[^"]*"', r"\1\2", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def timeline(axes: Axes, ranks: Sequence[Sequence[Sequence[Any]]], colours: Mapping[str, str]) -> float:
    """Draw what processes were busy with, in milliseconds; give the part of the time that they waited.

    Args:
        axes: a row for each process.
        ranks: what each did: kind, number of the micro-batch (below 0 it is not written), begin and end in seconds.
        colours: of the kinds.
    """
    first = min(begin for events in ranks for _, _, begin, _ in events)
    last = max(end for events in ranks for _, _, _, end in events)
    busy = 0.0
    for rank, events in enumerate(ranks):
        for kind, number, begin, end in events:
            left, width = 1e3 * (begin - first), 1e3 * (end - begin)
            axes.barh(rank, width, 0.85, left, color=colours[kind], edgecolor=PAPER, linewidth=0.8)
            if number >= 0 and end - begin > (last - first) / 60:
                place = (left + width / 2, rank)
                axes.text(*place, str(number), ha="center", va="center", fontsize=8.5, color=ON_COLOUR)
            busy += end - begin
    axes.set_yticks(range(len(ranks)), [f"rank {rank}" for rank in range(len(ranks))])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    return 1 - busy / (last - first) / len(ranks)


def visible(piece: str) -> str:
    """Show what cannot be seen: a space as ␣, a line end as ↵, a tab as →."""
    return piece.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")


class Strip:
    """A drawing area measured in characters, on which texts stand cut into coloured boxes.

    The x axis counts characters from the left, the y axis lines from the top.
    """

    def __init__(self, columns: float, lines: float, size: float = 12) -> None:
        """Make room for so many characters and lines of a fixed-width font of `size` points."""
        self.size = size
        self.line = 1.75  # a line's height in units of the font size
        width, height = columns * CHARACTER * size / 72, lines * self.line * size / 72
        self.figure = Figure(figsize=(width, height), facecolor=PAPER)
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_xlim(0, columns)
        self.axes.set_ylim(lines, 0)
        self.axes.axis("off")

    def text(self, x: float, y: float, text: str, color: str = INK, **style: object) -> None:
        """Write at the middle of line `y`, beginning at character `x` unless `ha` says otherwise."""
        options: dict = {"fontsize": self.size, "family": FONTS, "va": "center_baseline", "color": color} | style
        self.axes.text(x, y + 0.5, text, **options)

    def box(self, x: float, y: float, width: float, color: str, edge: str = "none", height: float = 0.84) -> None:
        """Draw a box over `width` characters of line `y`."""
        pad = 0.08
        style = "round,pad=0,rounding_size=0.18"
        self.axes.add_patch(
            FancyBboxPatch(
                (x + pad, y + (1 - height) / 2),
                width - 2 * pad,
                height,
                boxstyle=style,
                facecolor=color,
                edgecolor=edge,
                linewidth=1.4,
                mutation_aspect=CHARACTER / self.line,
            )
        )

    def pieces(self, x: float, y: float, pieces: Sequence[str], gap: float = 0.0) -> float:
        """Draw pieces of text side by side, each in a box of its own colour; give where the next would begin."""
        for index, piece in enumerate(pieces):
            shown = visible(piece)
            width = len(shown)
            self.box(x, y, width, TOKENS[index % len(TOKENS)])
            self.text(x + width / 2, y, shown, ha="center")
            x += width + gap
        return x
