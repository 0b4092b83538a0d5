"""Draws the figures of this lesson: python3 -m bootcamp figures 4."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bootcamp import drawing, stages
from bootcamp.drawing import INK, LINES, PALE, TOKENS, Strip

HERE = Path(__file__).resolve().parent
NORM, ATTEND, THINK = TOKENS[3], TOKENS[0], TOKENS[2]  # the colours of norms, attention, feed-forward


def arrow(strip: Strip, start: tuple[float, float], end: tuple[float, float], color: str = PALE) -> None:
    """Draw an arrow between two places of a strip, in characters and lines."""
    style = {"arrowstyle": "->", "color": color, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    strip.axes.annotate("", end, start, arrowprops=style)


def line(strip: Strip, places: list[tuple[float, float]], color: str = PALE, width: float = 1.4) -> None:
    """Draw a line through places of a strip."""
    strip.axes.plot(*zip(*places), color=color, linewidth=width, solid_capstyle="round", zorder=0.5)


def box(strip: Strip, x: float, y: float, width: float, words: str, color: str) -> None:
    """Draw a box with words in it; x is its middle."""
    strip.box(x - width / 2, y, width, color)
    strip.text(x, y, words, ha="center", fontsize=11)


def plus(strip: Strip, x: float, y: float) -> None:
    """Draw a sum in the stream, in the middle of line y."""
    strip.box(x - 1.4, y, 2.8, drawing.PAPER, INK)
    strip.text(x, y, "+", ha="center", weight="bold")


def stream() -> Strip:
    """Three tokens, each with a stream that blocks read from and add to."""
    strip = Strip(84, 17)
    words = ["the", "cat", "sat"]
    for place, word in enumerate(words):
        x = 20 + place * 22
        line(strip, [(x, 15.1), (x, 1.9)], LINES[0], 4)
        box(strip, x, 15.2, 9, word, TOKENS[5])
        for y in (9.4, 3.6):
            box(strip, x + 9, y + 2, 14, "feed-forward", THINK)
            arrow(strip, (x, y + 3.3), (x + 5, y + 2.95))
            arrow(strip, (x + 5, y + 2.05), (x + 0.4, y + 1.5))
            strip.box(x - 1.4, y + 3.6, 2.8, ATTEND)
    for y, name in ((9.4, "block 1"), (3.6, "block 2")):
        strip.box(14, y + 3.6, 56, ATTEND)
        strip.text(42, y + 3.6, "attention: from token to token", ha="center", fontsize=11)
        strip.text(0, y + 2.8, name, PALE)
    for place, after in enumerate(["cat", "sat", "down"]):
        box(strip, 20 + place * 22, 0.8, 12, f"{after}?", TOKENS[1])
    strip.text(0, 15.2, "embedding", PALE)
    strip.text(0, 0.8, "logits", PALE)
    return strip


def norms() -> Figure:
    """One vector as it comes, after LayerNorm, after RMSNorm."""
    from stage04_block import LayerNorm, RMSNorm

    x = torch.tensor([4.0, 5.5, 3.0, 6.5, 4.5, 3.5, 7.0, 4.0])
    gain = torch.tensor([1.0, 1.0, 1.0, 1.0, 2.0, 1.0, 0.2, 1.0])
    layer, rms = LayerNorm(8), RMSNorm(8)
    stretched = LayerNorm(8)
    with torch.no_grad():
        stretched.weight.copy_(gain)
    shown = [
        ("x", x),
        ("LayerNorm: mean 0, spread 1", layer(x)),
        ("then the gain, which is learned", stretched(x)),
        ("RMSNorm: the mean stays", rms(x)),
    ]
    figure = Figure(figsize=(11, 2.8), layout="constrained")
    for axes, (title, values) in zip(figure.subplots(1, 4), shown):
        axes.bar(range(8), values.detach(), color=[LINES[0] if value > 0 else LINES[1] for value in values])
        axes.axhline(values.mean().item(), color=INK, linewidth=1, linestyle="--")
        axes.set(title=title, ylim=(-2.6, 7.5) if title == "x" else (-2.6, 2.6), xticks=[])
        axes.title.set_fontsize(10)
        axes.axhline(0, color=PALE, linewidth=0.8)
    return figure


def activations() -> Figure:
    """The three activations, their derivatives, and how far the two gelus are apart."""
    from stage04_block import gelu, relu, silu

    x = torch.linspace(-5, 5, 1001, requires_grad=True)
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for name, function in (("relu", relu), ("gelu", gelu), ("silu", silu)):
        y = function(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
        left.plot(x.detach(), y.detach(), label=name)
        middle.plot(x.detach(), slope, label=name)
    left.set(title="the function", ylim=(-0.6, 3), xlim=(-4, 3))
    middle.set(title="its derivative", xlim=(-4, 4))
    wide = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    right.plot(wide, 1000 * (gelu(wide, "tanh") - gelu(wide)), color=LINES[3])
    right.set(title="gelu by tanh, minus gelu, × 1000")
    left.legend()
    return figure


def feed_forward() -> Strip:
    """Up, bend, down; and up, gate, product, down."""
    strip = Strip(92, 12)

    def bar(x: float, y: float, width: float, words: str, color: str) -> None:
        box(strip, x, y, width, words, color)

    x = 20
    strip.text(x, 0, "relu, gelu, silu", ha="center", weight="bold")
    bar(x, 10.6, 10, "x: C", TOKENS[5])
    arrow(strip, (x, 10.6), (x, 8.6))
    strip.text(x + 1.5, 9.1, "up", PALE)
    bar(x, 7.5, 40, "4 C", TOKENS[0])
    arrow(strip, (x, 7.5), (x, 5.5))
    strip.text(x + 1.5, 6.0, "bend, number by number", PALE)
    bar(x, 4.4, 40, "4 C", TOKENS[2])
    arrow(strip, (x, 4.4), (x, 2.4))
    strip.text(x + 1.5, 2.9, "down", PALE)
    bar(x, 1.3, 10, "C", TOKENS[5])

    x = 69
    strip.text(x, 0, "swiglu", ha="center", weight="bold")
    bar(x, 10.6, 10, "x: C", TOKENS[5])
    arrow(strip, (x - 2, 10.6), (x - 10, 8.6))
    arrow(strip, (x + 2, 10.6), (x + 10, 8.6))
    strip.text(x - 13, 9.1, "gate", PALE)
    strip.text(x + 9, 9.1, "up", PALE)
    bar(x - 11.5, 7.5, 20, "8/3 C", TOKENS[3])
    bar(x + 11.5, 7.5, 20, "8/3 C", TOKENS[0])
    arrow(strip, (x - 10, 7.5), (x - 2, 5.5))
    arrow(strip, (x + 10, 7.5), (x + 2, 5.5))
    strip.text(x - 15, 6.0, "silu", PALE)
    bar(x, 4.4, 20, "product", TOKENS[2])
    arrow(strip, (x, 4.4), (x, 2.4))
    strip.text(x + 1.5, 2.9, "down", PALE)
    bar(x, 1.3, 10, "C", TOKENS[5])
    return strip


def placement() -> Strip:
    """A pre-norm block and a post-norm block, and the way of the stream through each."""
    strip = Strip(88, 16.4)
    x, side = 16, 14
    strip.text(x + 6, 0, "pre", ha="center", weight="bold")
    line(strip, [(x, 15.6), (x, 1.6)], LINES[0], 4)
    for y, name, color in ((9.2, "attention", ATTEND), (2.2, "feed-forward", THINK)):
        line(strip, [(x, y + 5.6), (x + side, y + 5.6), (x + side, y + 0.5), (x + 1.4, y + 0.5)])
        box(strip, x + side, y + 3.7, 8, "norm", NORM)
        box(strip, x + side, y + 1.7, 15, name, color)
        plus(strip, x, y)
    strip.text(0, 15.2, "stream", LINES[0])

    x = 58
    strip.text(x + 6, 0, "post", ha="center", weight="bold")
    line(strip, [(x, 15.6), (x, 1.6)], LINES[0], 4)
    for y, name, color in ((9.2, "attention", ATTEND), (2.2, "feed-forward", THINK)):
        line(strip, [(x, y + 5.6), (x + side, y + 5.6), (x + side, y + 2.5), (x + 1.4, y + 2.5)])
        box(strip, x + side, y + 3.7, 15, name, color)
        plus(strip, x, y + 2)
        box(strip, x, y + 0.4, 8, "norm", NORM)
    return strip


def sampling() -> Figure:
    """The probabilities of a next token, and what temperature, top-k and top-p make of them."""
    from stage04_block import next_token_probabilities

    words = ["cat", "dog", "bird", "fox", "hen", "bear", "frog", "owl"]
    logits = torch.tensor([3.2, 2.6, 2.3, 1.6, 1.2, 0.6, 0.2, -0.4])
    cases: list[tuple[str, Tensor]] = [
        ("temperature 1", next_token_probabilities(logits)),
        ("temperature 0.5", next_token_probabilities(logits, temperature=0.5)),
        ("temperature 2", next_token_probabilities(logits, temperature=2.0)),
        ("top_k = 3", next_token_probabilities(logits, top_k=3)),
        ("top_p = 0.9", next_token_probabilities(logits, top_p=0.9)),
    ]
    figure = Figure(figsize=(11, 2.9), layout="constrained")
    panels = figure.subplots(1, 5, sharey=True)
    for axes, (title, probabilities) in zip(panels, cases):
        axes.barh(words[::-1], probabilities.flip(0), color=LINES[0] if "top" not in title else LINES[2])
        axes.set(title=title, xlim=(0, 0.75))
        axes.grid(axis="y", visible=False)
    return figure


def lora() -> Strip:
    """A frozen matrix, and the narrow way beside it."""
    strip = Strip(80, 11)
    box(strip, 40, 9.6, 24, "x: 768", TOKENS[5])
    arrow(strip, (34, 9.6), (24, 7.2))
    arrow(strip, (46, 9.6), (56, 8.0))
    strip.box(11, 4.2, 26, TOKENS[3].replace("#f0e6b8", "#eceff2"), height=4.6)
    strip.text(24, 3.9, "W, frozen", ha="center")
    strip.text(24, 4.8, "768 × 768 = 589,824", PALE, ha="center", fontsize=10)
    box(strip, 56, 7.0, 24, "A: 8 × 768 = 6,144", TOKENS[0])
    arrow(strip, (56, 7.0), (56, 6.0))
    box(strip, 56, 5.0, 5, "8", TOKENS[1])
    arrow(strip, (56, 5.0), (56, 4.0))
    box(strip, 56, 3.0, 24, "B: 768 × 8 = 6,144", TOKENS[0])
    arrow(strip, (24, 2.3), (38, 1.3))
    arrow(strip, (56, 3.0), (42, 1.3))
    strip.text(52, 1.7, "× alpha / r", PALE, fontsize=10)
    plus(strip, 40, 0.6)
    strip.text(44, 0.6, "y: 768")
    return strip


def study() -> Figure:
    """Gradients by depth at the start, and losses with and without warmup, as measured by study.py."""
    from stage04_block import plot_norm_study

    measured = json.loads((HERE / "study.json").read_text(encoding="utf-8"))
    return plot_norm_study(measured["norms"], measured["losses"])


FIGURES = [stream, norms, activations, feed_forward, placement, sampling, lora, study]


def main(folder: Path = HERE) -> None:
    stages.use_reference()
    drawing.styled()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for figure in FIGURES:
        drawn = figure()
        drawing.save(drawn.figure if isinstance(drawn, Strip) else drawn, folder / f"{figure.__name__}.svg")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
