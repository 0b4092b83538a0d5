"""Draws the figures of this lesson: python3 -m bootcamp figures 5."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bootcamp import drawing, stages
from bootcamp.drawing import INK, LINES, PALE, TOKENS, Strip

HERE = Path(__file__).resolve().parent


def arrow(strip: Strip, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
    """Draw an arrow between two places of a strip, in characters and lines."""
    style = {"arrowstyle": "->", "color": PALE, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    strip.axes.annotate("", end, start, arrowprops=style | {"connectionstyle": f"arc3,rad={bend}"})


def loop() -> Strip:
    """The loop of training, and what stands beside it."""
    strip = Strip(92, 9.4)
    stations = [
        (8, "tokens", "5.1", TOKENS[5]),
        (23, "batch", "5.2–5.4", TOKENS[0]),
        (38, "model", "stage 04", TOKENS[4]),
        (53, "loss", "5.5", TOKENS[1]),
        (68, "clip", "5.8", TOKENS[3]),
        (83, "AdamW", "5.6, 5.7", TOKENS[2]),
    ]
    for x, words, number, color in stations:
        strip.box(x - 5, 1.2, 10, color)
        strip.text(x, 1.2, words, ha="center")
        strip.text(x, 2.2, number, PALE, ha="center", fontsize=10)
    for (x, *_), (following, *_) in zip(stations, stations[1:]):
        arrow(strip, (x + 5.2, 1.7), (following - 5.2, 1.7))
    strip.text(60.5, 0.2, "gradients", PALE, ha="center", fontsize=10)
    arrow(strip, (83, 3.5), (38, 3.5), -0.16)
    strip.text(60.5, 4.6, "new weights, some thousand times", PALE, ha="center", fontsize=10)
    for x, words, what in (
        (16, "evaluation", "texts that it is not trained on"),
        (46, "samples", "what does it write by now?"),
        (76, "checkpoint", "to go on as if nothing had been"),
    ):
        strip.box(x - 7, 6.6, 14, drawing.PAPER, PALE)
        strip.text(x, 6.6, words, ha="center")
        strip.text(x, 7.8, what, PALE, ha="center", fontsize=10)
    return strip


def windows() -> Strip:
    """A window over a row of tokens, and its targets one place further on."""
    strip = Strip(64, 7.4)
    words = ["Once", "a", "shy", "girl", "named", "Ada", "had", "a", "kite"]
    place, places = 2.0, []
    for word in words:
        places.append((place, len(word) + 1.5))
        place += len(word) + 2
    for (x, width), word in zip(places, words):
        strip.box(x, 0.4, width, TOKENS[0])
        strip.text(x + width / 2, 0.4, word, ha="center")
    for row, (first, label, color) in enumerate(((2, "ids", TOKENS[2]), (3, "targets", TOKENS[1]))):
        y = 2.6 + 2.2 * row
        strip.text(places[2][0] - 1.2, y, label, PALE, ha="right")
        for offset in range(5):
            x, width = places[2 + offset]
            wide = max(width, len(words[first + offset]) + 1.2)
            strip.box(x, y, width, color)
            strip.text(x + width / 2, y, words[first + offset], ha="center", fontsize=12 if wide <= width else 9)
            if row:
                arrow(strip, (x + width / 2, 3.6), (x + width / 2, 4.75))
    strip.text(places[7][0], 3.7, "from what stands up to here,\nguess what comes", PALE, fontsize=10)
    return strip


def packing() -> Figure:
    """Texts of several lengths: padded, in buckets, packed; and the mask of a packed row."""
    from stage05_training import bucket_by_length, pack, pad_batch

    lengths = [9, 3, 6, 4, 12, 2, 7, 5]
    texts = [[1] * (length + 1) for length in lengths]
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    axes = figure.subplots(1, 4, width_ratios=[12, 12, 12, 9])
    padded = pad_batch(texts)
    batches = sorted(bucket_by_length(lengths, 4, torch.Generator().manual_seed(0)), key=lambda each: lengths[each[0]])
    packed = pack(texts, 12)

    def rows(ax, filled: list[list[int]], width: int, title: str) -> None:
        for y, row in enumerate(filled):
            x = 0
            for text in row:
                ax.barh(y, lengths[text], left=x, color=TOKENS[text % 6], edgecolor=INK, linewidth=0.8, height=0.8)
                x += lengths[text]
        ax.set(xlim=(0, width), ylim=(7.7, -0.7), title=title, xlabel="places", yticks=[])
        ax.grid(False)

    order = list(range(8))
    rows(axes[0], [[text] for text in order], 12, f"padded: {padded.waste:.0%} wasted")
    axes[0].fill_betweenx([-0.4, 7.4], 0, 12, color=PALE, alpha=0.15, zorder=0)
    places = sum(4 * max(lengths[text] for text in batch) for batch in batches)
    rows(axes[1], [[text] for batch in batches for text in batch], 12, f"buckets: {1 - sum(lengths) / places:.0%}")
    for number, batch in enumerate(batches):
        widest = max(lengths[text] for text in batch)
        axes[1].fill_betweenx([number * 4 - 0.4, number * 4 + 3.4], 0, widest, color=PALE, alpha=0.15, zorder=0)
    found: list[list[int]] = []
    for row in packed.positions.tolist():
        starts = [place for place, position in enumerate(row) if position == 0]
        sizes = [end - start for start, end in zip(starts, [*starts[1:], 12])]
        found.append([lengths.index(size) for size in sizes if size in lengths])
    rows(axes[2], found, 12, f"packed: {packed.waste:.0%}")
    axes[2].fill_betweenx([-0.4, len(found) - 0.6], 0, 12, color=PALE, alpha=0.15, zorder=0)
    seen = packed.mask[1, 0] & torch.ones(12, 12).tril().bool()
    axes[3].imshow(seen, cmap="Blues", vmax=1.6)
    axes[3].set(title="the second row's mask", xlabel="key", ylabel="query", xticks=[], yticks=[])
    axes[3].grid(False)
    return figure


def adam() -> Figure:
    """A narrow valley: gradient descent swings across it, Adam goes along it."""
    from stage05_training import AdamW

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    x, y = torch.meshgrid(torch.linspace(-5, 1, 80), torch.linspace(-1.6, 1.6, 60), indexing="xy")
    for ax, name, rate in zip(axes, ("gradient descent", "Adam"), (0.095, 0.35)):
        p = torch.nn.Parameter(torch.tensor([-4.5, 1.0]))
        make = AdamW if name == "Adam" else lambda params, lr, **_: torch.optim.SGD(params, lr)
        optimizer = make([p], lr=rate, betas=(0.8, 0.95), weight_decay=0.0)
        path = [p.tolist()]
        for _ in range(25):
            optimizer.zero_grad()
            ((p * p) @ torch.tensor([0.25, 10.0])).backward()
            optimizer.step()
            path.append(p.tolist())
        ax.contour(x, y, 0.25 * x**2 + 10 * y**2, levels=[0.3, 1, 3, 6, 10, 16, 24], colors=PALE, linewidths=0.6)
        ax.plot(*zip(*path), "o-", color=LINES[0], linewidth=1.2, markersize=3)
        ax.plot(0, 0, "*", color=LINES[1], markersize=12)
        ax.set(title=f"{name}, 25 steps", xticks=[], yticks=[])
        ax.grid(False)
    return figure


def schedule() -> Figure:
    """The learning rate of a run of 100 steps."""
    from stage05_training import warmup_cosine

    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    rates = [warmup_cosine(step, 1.0, 10, 100, 0.1) for step in range(116)]
    axes.plot(rates, ".-", color=LINES[0], linewidth=1, markersize=4)
    for x, words in ((10, "warmup"), (100, "total")):
        axes.axvline(x, color=PALE, linestyle="--", linewidth=1)
        axes.text(x + 1, 0.02, words, color=INK, fontsize=10)
    axes.set(xlabel="step", ylabel="learning rate", ylim=(0, 1.08), xlim=(-2, 116))
    axes.set_yticks([0.1, 1.0], ["min", "max"])
    return figure


FIGURES = [loop, windows, packing, adam, schedule]


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
