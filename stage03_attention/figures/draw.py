"""Draws the figures of this lesson: python3 -m bootcamp figures 3."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bootcamp import drawing, stages
from bootcamp.drawing import INK, LINES, PALE, PAPER, TOKENS, Strip

HERE = Path(__file__).resolve().parent
HIDDEN = "#eceff2"  # what may not be seen, or is not computed
SEEN = "#8fb3d9"


def arrow(strip: Strip, start: tuple[float, float], end: tuple[float, float], color: str, bend: float = 0.0) -> None:
    """Draw an arrow between two places of a strip, in characters and lines."""
    style = {"arrowstyle": "->", "color": color, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    strip.axes.annotate("", end, start, arrowprops=style | {"connectionstyle": f"arc3,rad={bend}"})


def line(strip: Strip, start: tuple[float, float], end: tuple[float, float], color: str, width: float = 1.4) -> None:
    """Draw a line between two places of a strip."""
    strip.axes.plot(*zip(start, end), color=color, linewidth=width, solid_capstyle="round")


def cells(
    strip: Strip, x: float, y: float, colors: Sequence[Sequence[str]], width: float = 3, height: float = 1
) -> None:
    """Draw a table of plain cells, a colour each, without gaps; the colour "" leaves one out."""
    for row, line_of in enumerate(colors):
        for column, color in enumerate(line_of):
            if color:
                place = (x + column * width, y + row * height)
                strip.axes.add_patch(Rectangle(place, width, height, facecolor=color, edgecolor=PAPER, linewidth=1.2))


def row_of(strip: Strip, x: float, y: float, numbers: Sequence[object], color: str, width: float = 4) -> None:
    """Draw a vector: cells side by side with what stands in them."""
    for place, cell in enumerate(numbers):
        strip.box(x + place * width, y, width, color)
        strip.text(x + (place + 0.5) * width, y, str(cell), ha="center")


def softmax() -> Figure:
    """Scores and their shares: adding changes nothing, multiplying sharpens or blunts."""
    from stage03_attention.softmax import softmax as shares

    scores = torch.tensor([2.0, 1.0, 0.0])
    cases = [("scores", scores), ("plus 100", scores + 100), ("times 2", scores * 2), ("divided by 10", scores / 10)]
    figure = Figure(figsize=(10, 3.0), layout="constrained")
    for axes, (title, each) in zip(figure.subplots(1, 4, sharey=True), cases):
        found = shares(each).tolist()
        axes.bar(range(3), found, color=LINES[:3], width=0.72)
        for place, share in enumerate(found):
            axes.text(place, share + 0.025, f"{share:.3f}", ha="center", fontsize=11)
        axes.set_xticks(range(3), [f"{score:g}" for score in [round(value, 3) for value in each.tolist()]])
        axes.set(title=title, ylim=(0, 1.05), yticks=[0, 0.5, 1])
        axes.grid(axis="x", visible=False)
        axes.tick_params(length=0)
    figure.supxlabel("score", fontsize=11)
    figure.supylabel("share", fontsize=11)
    return figure


def scale() -> Figure:
    """The shares of 16 random keys, with and without the root of D."""
    from stage03_attention.attention import attention

    figure = Figure(figsize=(10, 4.4), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    for column, width in enumerate([4, 64, 1024]):
        generator = torch.Generator().manual_seed(12)
        q, k = torch.randn(1, width, generator=generator), torch.randn(16, width, generator=generator)
        for row, factor in enumerate([1.0, math.sqrt(width)]):
            result = attention(q * factor, k, k, return_weights=True)
            weights = result[1][0]
            axes = panels[row, column]
            axes.bar(range(16), weights, color=LINES[row], width=0.8)
            axes.set(ylim=(0, 1.08), xticks=[], yticks=[0, 0.5, 1])
            axes.grid(axis="x", visible=False)
            axes.text(15.4, 0.94, f"largest {weights.max():.2f}", ha="right", color=LINES[row], fontsize=11)
            if not row:
                axes.set_title(f"D = {width:,}")
            if not column:
                axes.set_ylabel(["softmax(q · k / √D)", "softmax(q · k)"][row])
    figure.supxlabel("16 random keys, one random query", fontsize=11)
    return figure


def masks() -> Strip:
    """Causal, padding, both; and fewer queries than keys, with the last at the last."""
    from stage03_attention import causal_mask, combine, padding_mask

    padded = padding_mask(torch.tensor([3]), 5)[0, 0].expand(5, 5)
    both = combine(causal_mask(5), padded)
    assert both is not None
    grids = [
        ("causal_mask(5, 5)", causal_mask(5), range(5)),
        ("padding, length 3", padded, range(5)),
        ("combined", both, range(5)),
        ("causal_mask(3, 5)", causal_mask(3, 5), range(2, 5)),
    ]
    strip = Strip(101, 9.4)
    for place, (name, mask, places) in enumerate(grids):
        x = 6 + place * 25.5
        down = 5 - len(mask)
        strip.text(x + 7.5, 0, name, ha="center", weight="bold", fontsize=11)
        for key in range(5):
            strip.text(x + key * 3 + 1.5, 1.1, str(key), PALE, ha="center", fontsize=11)
        cells(strip, x, 2.1 + down, [[SEEN if seen else HIDDEN for seen in row] for row in mask.tolist()])
        for row, stands in enumerate(places):
            strip.text(x - 1, 2.1 + down + row, str(stands), PALE, ha="right", fontsize=11)
        if down:
            strip.text(x + 7.5, 2.6, "read earlier: no query", PALE, ha="center", fontsize=10)
    strip.text(0, 1.1, "key", PALE, fontsize=10)
    strip.axes.text(1.1, 4.6, "query", color=PALE, fontsize=10, rotation=90, ha="center", va="center")
    strip.axes.add_patch(Rectangle((6, 7.95), 3, 1, facecolor=SEEN))
    strip.text(9.8, 7.95, "True: may attend", PALE, fontsize=11)
    strip.axes.add_patch(Rectangle((31.5, 7.95), 3, 1, facecolor=HIDDEN))
    strip.text(35.3, 7.95, "False: may not", PALE, fontsize=11)
    arrow(strip, (86, 8.3), (95.2, 7.25), LINES[1], 0.25)
    strip.text(85.2, 7.95, "the last query stands at the last key", LINES[1], ha="right", fontsize=10)
    return strip


def gather() -> Strip:
    """One query against three keys, with the numbers of the lesson."""
    from stage03_attention.attention import attention

    words = ["Nora", "her", "cup"]
    q = torch.tensor([[2.0, 0, 1, 1]])
    k = torch.tensor([[2.0, 0, 0, 0], [0, 1, 1, 1], [0, 2, 0, 0]])
    v = torch.tensor([[8.0, 0], [4, 4], [0, 8]])
    result = attention(q, k, v, return_weights=True)
    output, weights = result[0][0], result[1][0]
    scores = (q @ k.T)[0]

    def whole(row: Tensor) -> list[str]:
        return [f"{value:g}" for value in row.tolist()]

    strip = Strip(101, 9.6)
    for x, head in ((2.2, "query"), (28, "keys"), (42.6, "q · k"), (49.6, "/ √4"), (57.2, "share"), (86, "values")):
        strip.text(x, 0, head, PALE)
    strip.text(2.2, 3.9, "she", weight="bold")
    row_of(strip, 2, 2.9, whole(q[0]), TOKENS[1], 3.4)
    for place, word in enumerate(words):
        y = 1.3 + place * 1.6
        line(strip, (16.4, 3.4), (22.0, y + 0.5), PALE, 1)
        strip.text(26.6, y, word, ha="right", weight="bold")
        row_of(strip, 27.8, y, whole(k[place]), TOKENS[0], 3.4)
        strip.text(45.1, y, f"{scores[place]:g}", ha="center")
        strip.text(51.6, y, f"{scores[place] / 2:g}", ha="center")
        share = weights[place].item()
        strip.axes.add_patch(Rectangle((57.2, y + 0.16), 16 * share / 0.7, 0.68, facecolor=LINES[1]))
        strip.text(57.2 + 16 * share / 0.7 + 0.8, y, f"{share:.3f}")
        strip.text(82.6, y, "×", PALE, ha="center")
        row_of(strip, 85, y, whole(v[place]), TOKENS[2], 5)
    line(strip, (85.2, 6.2), (94.8, 6.2), INK, 1)
    row_of(strip, 83, 6.5, [f"{value:.2f}" for value in output.tolist()], TOKENS[3], 7)
    strip.text(81.6, 6.5, "the sum: what she gathers", ha="right")
    strip.text(
        2.2,
        8.4,
        "A dictionary takes the value of the one key that is equal. Here each value counts as much as its key fits.",
        PALE,
        fontsize=10,
    )
    return strip


def heads() -> Strip:
    """A table cut along its width into heads; and the reshape that cuts it along time."""
    from stage03_attention import split_heads

    x = torch.arange(24).view(4, 6)
    right, wrong = split_heads(x, 3), x.reshape(3, 4, 2)
    colors = [TOKENS[0], TOKENS[1], TOKENS[2]]

    def table(left: float, top: float, numbers: Tensor) -> None:
        for row, each in enumerate(numbers.tolist()):
            for column, value in enumerate(each):
                color = colors[value % 6 // 2]
                place = (left + column * 3.6, top + row * 1.15)
                strip.axes.add_patch(Rectangle(place, 3.6, 1.15, facecolor=color, edgecolor=PAPER, linewidth=1.4))
                strip.text(place[0] + 1.8, place[1] + 0.075, str(value), ha="center", fontsize=11)

    strip = Strip(96, 14.6)
    strip.text(17.8, 3.0, "x: 4 places, C = 6", ha="center", weight="bold")
    table(7, 4.3, x)
    for row in range(4):
        strip.text(6, 4.375 + row * 1.15, f"place {row}", PALE, ha="right", fontsize=10)
    for head in range(3):
        left = 44 + head * 18
        strip.text(left + 3.6, 1.1, f"head {head}", ha="center")
        table(left, 2.2, right[head])
        strip.text(left + 3.6, 8.8, f'"head" {head}', ha="center")
        table(left, 9.9, wrong[head])
    strip.text(44, 0, "split_heads(x, 3): all places, a slice of the width each", LINES[2], weight="bold", fontsize=11)
    strip.text(
        44, 7.7, "x.reshape(3, 4, 2): pieces of place 0, then of place 1, …", LINES[1], weight="bold", fontsize=11
    )
    arrow(strip, (30.4, 5.8), (42.4, 4.4), LINES[2], -0.12)
    arrow(strip, (30.4, 7.4), (42.4, 11.9), LINES[1], 0.12)
    for row in range(4):
        strip.text(88.6, 2.275 + row * 1.15, f"place {row}", PALE, fontsize=10)
    return strip


def grouped() -> Strip:
    """Eight query heads that read eight, two or one head of keys and values."""
    strip = Strip(101, 7.9)
    colors = [LINES[0], LINES[1]]
    for place, (groups, name) in enumerate([(8, "multi-head"), (2, "grouped"), (1, "multi-query")]):
        x = 8 + place * 32.5
        strip.text(x + 14, 0, f"{name}: G = {groups}", ha="center", weight="bold")
        for head in range(8):
            reads = head * groups // 8
            tone = colors[0] if groups != 2 else colors[reads]
            center = (reads + 0.5) * 28 / groups
            line(strip, (x + head * 3.5 + 1.75, 2.95), (x + center, 5.35), tone, 1.4)
            strip.box(x + head * 3.5, 2, 3.5, TOKENS[0] if groups != 2 else TOKENS[reads])
            strip.text(x + head * 3.5 + 1.75, 2, str(head), ha="center", fontsize=11)
        for group in range(groups):
            center = (group + 0.5) * 28 / groups
            strip.box(
                x + center - 1.75,
                5.3,
                3.5,
                TOKENS[0] if groups != 2 else TOKENS[group],
                LINES[0] if groups != 2 else colors[group],
            )
            strip.text(x + center, 5.3, str(group), ha="center", fontsize=11)
        strip.text(x + 14, 6.8, f"{2 * groups} · D numbers kept for each token", PALE, ha="center", fontsize=10)
    strip.text(0, 2, "query", PALE, fontsize=10)
    strip.text(0, 5.0, "key and", PALE, fontsize=10)
    strip.text(0, 5.7, "value", PALE, fontsize=10)
    return strip


def cache() -> Strip:
    """What is computed in each step of writing: everything again, or one row."""
    words = ["the", "cat", "sat", "down", "."]
    strip = Strip(101, 15.4)
    starts = [14, 22, 33, 47, 64]
    for step, x in enumerate(starts, start=1):
        strip.text(x + step * 1.5, 0, f"step {step}", ha="center", weight="bold")
        strip.text(x + step * 1.5, 0.95, f"reads {words[step - 1]}", PALE, ha="center", fontsize=10)
        cells(strip, x, 2.2, [[LINES[1]] * step])
        cells(strip, x, 3.5, [[SEEN] * (row + 1) for row in range(step)])
        cells(strip, x, 9.8, [[TOKENS[2]] * (step - 1) + [LINES[1]]])
        cells(strip, x, 11.1, [[SEEN] * step])
    for y, name in ((2.2, "without"), (9.8, "with a cache")):
        strip.text(0, y - 0.05, name, weight="bold", fontsize=11)
    for y in (2.2, 9.8):
        strip.text(82, y, f"keys, values: {15 if y < 5 else 5}", fontsize=11)
    strip.text(82, 3.5, f"scores: {sum(step * (step + 1) // 2 for step in range(1, 6))}", fontsize=11)
    strip.text(82, 11.1, "scores: 15", fontsize=11)
    for x, color, text in (
        (14, LINES[1], "keys and values computed now"),
        (47, TOKENS[2], "read from the cache"),
        (71, SEEN, "scores computed now"),
    ):
        strip.axes.add_patch(Rectangle((x, 13.6), 3, 1, facecolor=color))
        strip.text(x + 3.8, 13.6, text, PALE, fontsize=10)
    return strip


def tiles() -> Strip:
    """The tiles of a causal matrix, and the three running numbers as they pass over two tiles."""
    strip = Strip(101, 13.6)
    size, block, width, height = 16, 4, 2.0, 0.668
    left, top = 7.0, 1.5
    for row in range(size):
        for column in range(size):
            tile = (row // block, column // block)
            color = HIDDEN if column > row else TOKENS[1] if tile[0] == 2 else TOKENS[0]
            if tile[1] > tile[0]:
                color = PAPER
            place = (left + column * width, top + row * height)
            strip.axes.add_patch(Rectangle(place, width, height, facecolor=color, edgecolor=PAPER, linewidth=0.8))
    for row in range(4):
        for column in range(4):
            place = (left + column * block * width, top + row * block * height)
            skipped = column > row
            strip.axes.add_patch(
                Rectangle(
                    place,
                    block * width,
                    block * height,
                    fill=False,
                    edgecolor=PALE if skipped else INK,
                    linewidth=1.0,
                    linestyle=":" if skipped else "-",
                    zorder=2 if skipped else 3,
                )
            )
            if skipped:
                strip.text(
                    place[0] + block * width / 2,
                    place[1] + block * height / 2 - 0.5,
                    "skipped",
                    PALE,
                    ha="center",
                    fontsize=10,
                )
    strip.text(left + size * width / 2, 0, "keys", PALE, ha="center", fontsize=11)
    strip.axes.text(
        4.6, top + size * height / 2, "queries", color=PALE, fontsize=11, rotation=90, ha="center", va="center"
    )
    y = top + 2.5 * block * height
    arrow(strip, (left + 1, y), (left + 3 * block * width - 0.8, y), LINES[1])
    strip.text(left, 12.4, "four queries go along their tiles; the last is masked in part", PALE, fontsize=10)

    scores, values = torch.tensor([1.0, 3.0, 2.0, 5.0]), torch.tensor([4.0, 0.0, 8.0, 2.0])
    x = 46.0
    strip.text(x, 0, "one query, two tiles of two keys", weight="bold", fontsize=11)
    for place in range(4):
        color = TOKENS[1] if place < 2 else TOKENS[3]
        at = x + 9 + place * 6 + (4 if place > 1 else 0)
        for y, each in ((1.5, scores), (2.6, values)):
            strip.box(at, y, 6, color)
            strip.text(at + 3, y, f"{each[place]:g}", ha="center")
    strip.text(x, 1.5, "scores", PALE, fontsize=11)
    strip.text(x, 2.6, "values", PALE, fontsize=11)
    for at, head in ((22, "top"), (33, "total"), (45, "mixed")):
        strip.text(x + at, 4.3, head, PALE, ha="center", fontsize=11)
    running, total, mixed = -math.inf, 0.0, 0.0
    y = 5.4
    for number, part in enumerate((slice(0, 2), slice(2, 4)), start=1):
        higher = max(running, scores[part].max().item())
        if number > 1:
            shrink = math.exp(running - higher)
            total, mixed = total * shrink, mixed * shrink
            strip.text(x, y, f"put right: × {shrink:.3f}", LINES[1], fontsize=11)
            for at, value in ((22, f"{higher:g}"), (33, f"{total:.3f}"), (45, f"{mixed:.3f}")):
                strip.text(x + at, y, value, LINES[1], ha="center")
            y += 1.45
        shares = (scores[part] - higher).exp()
        total, mixed = total + shares.sum().item(), mixed + (shares * values[part]).sum().item()
        running = higher
        strip.text(x, y, f"after tile {number}", fontsize=11)
        for at, value in ((22, f"{running:g}"), (33, f"{total:.3f}"), (45, f"{mixed:.3f}")):
            strip.box(x + at - 5, y, 10, TOKENS[1] if number == 1 else TOKENS[3])
            strip.text(x + at, y, value, ha="center")
        y += 1.45
    strip.text(x, y + 0.5, f"mixed / total = {mixed / total:.3f}", weight="bold")
    exact = (torch.softmax(scores, 0) * values).sum().item()
    strip.text(x, y + 1.6, f"softmax of all four, at once: {exact:.3f}", PALE, fontsize=11)
    return strip


def window() -> Strip:
    """A window and global keys; and how the reach grows from layer to layer."""
    size, reach, shared = 12, 3, 2
    strip = Strip(101, 14.5)
    colors = [
        [
            "" if key > query else SEEN if query - key < reach else TOKENS[1] if key < shared else HIDDEN
            for key in range(size)
        ]
        for query in range(size)
    ]
    strip.text(23, 0, "window 3, 2 global tokens", ha="center", weight="bold", fontsize=11)
    cells(strip, 5, 1.3, colors)
    strip.text(23, 13.4, "keys", PALE, ha="center", fontsize=10)
    strip.axes.text(3.2, 7.3, "queries", color=PALE, fontsize=10, rotation=90, ha="center", va="center")
    for row, (color, text) in enumerate(((SEEN, "in the window"), (TOKENS[1], "global"), (HIDDEN, "hidden"))):
        strip.axes.add_patch(Rectangle((25, 1.6 + row * 1.25), 3, 1, facecolor=color))
        strip.text(28.8, 1.6 + row * 1.25, text, PALE, fontsize=10)

    strip.text(73, 0, "what reaches the last place, layer by layer (window 3)", ha="center", weight="bold", fontsize=11)
    left, step, levels = 50.0, 4.0, [2.4, 5.6, 8.8, 12.0]
    reached = {size - 1}
    for level, y in enumerate(levels):
        for place in range(size):
            x = left + place * step
            if level + 1 < len(levels) and place in reached:
                for seen in range(place - reach + 1, place + 1):
                    line(
                        strip,
                        (x, y),
                        (left + seen * step, levels[level + 1]),
                        LINES[0] if place == min(reached) or seen == place else SEEN,
                        1.2,
                    )
        for place in range(size):
            x = left + place * step
            strip.axes.plot([x], [y], "o", color=LINES[1] if place in reached else HIDDEN, markersize=11, zorder=4)
        strip.text(left + size * step - 1.4, y - 0.5, f"{len(reached)}", LINES[1], weight="bold", fontsize=11)
        strip.text(left - 2.4, y - 0.5, ["output", "", "", "input"][level], PALE, ha="right", fontsize=10)
        reached = {seen for place in reached for seen in range(place - reach + 1, place + 1)}
    strip.text(72, 13.4, "3 layers: 3 · (3 − 1) + 1 = 7 places", PALE, ha="center", fontsize=10)
    return strip


def linear() -> Strip:
    """The parallel form in chunks, and the recurrent form with the numbers of the lesson."""
    from stage03_attention import LinearAttentionState
    from stage03_attention.linear import feature_map

    strip = Strip(101, 14.2)
    size, chunk, width, height = 12, 4, 2.6, 0.868
    left, top = 3.0, 1.4
    strip.text(left + size * width / 2, 0, "parallel, in chunks of 4", ha="center", weight="bold", fontsize=11)
    for row in range(size):
        for column in range(row + 1):
            if row // chunk == column // chunk:
                place = (left + column * width, top + row * height)
                strip.axes.add_patch(Rectangle(place, width, height, facecolor=SEEN, edgecolor=PAPER, linewidth=1))
    for number in (1, 2):
        place = (left, top + number * chunk * height)
        wide, high = number * chunk * width, chunk * height
        strip.axes.add_patch(Rectangle(place, wide, high, facecolor=TOKENS[3], edgecolor=PAPER, linewidth=1.6))
        strip.text(place[0] + wide / 2, place[1] + high / 2 - 0.5, "one sum", ha="center", fontsize=11)
    strip.text(left + size * width - 0.3, 3.4, "pairs, one by one", PALE, ha="right", fontsize=10)
    strip.text(left + size * width / 2, 12.6, "keys →   (queries ↓)", PALE, ha="center", fontsize=10)

    keys = torch.tensor([[1.0, 0], [0, 1], [0, 0]])
    query, values = torch.tensor([0.0, 1.0]), [3.0, 6.0, 9.0]
    state = LinearAttentionState()
    strip.text(70, 0, "recurrent: two sums go from token to token", ha="center", weight="bold", fontsize=11)
    for place, (key, value) in enumerate(zip(keys, values)):
        x = 44 + place * 20.5
        output = state.step(query, key, torch.tensor([value])).item()
        features = [f"{number:g}" for number in feature_map(key).tolist()]
        assert isinstance(state.sums, Tensor) and isinstance(state.totals, Tensor)
        strip.text(x + 7, 1.6, f"{output:.2f}", ha="center", weight="bold", color=LINES[2])
        arrow(strip, (x + 7, 4.7), (x + 7, 2.8), LINES[2])
        strip.text(x + 7.9, 3.2, "φ(q) = (1, 2)", PALE, fontsize=10)
        for y, sums in ((4.8, state.sums[:, 0]), (6.0, state.totals)):
            row_of(strip, x, y, [f"{number:g}" for number in sums.tolist()], TOKENS[3], 7)
        arrow(strip, (x + 7, 9.7), (x + 7, 7.2), LINES[0])
        strip.text(x + 7, 9.8, f"φ(k) = ({', '.join(features)})", ha="center", fontsize=11)
        strip.text(x + 7, 10.8, f"v = {value:g}", ha="center", fontsize=11)
        if place < 2:
            arrow(strip, (x + 14.4, 5.9), (x + 20.2, 5.9), INK)
    strip.text(43.2, 4.8, "Σ φ(k) v", PALE, ha="right", fontsize=10)
    strip.text(43.2, 6.0, "Σ φ(k)", PALE, ha="right", fontsize=10)
    strip.text(70, 12.6, "however long the text: this much, and no keys", PALE, ha="center", fontsize=10)
    return strip


def looking() -> Figure:
    """Two heads of a model that has learned to repeat a sequence: the token before, and what followed it earlier."""
    from stage02_embeddings import T5RelativeBias
    from stage03_attention import MultiHeadAttention, attention_grid

    torch.manual_seed(0)
    letters, width = 26, 64
    table, out = nn.Embedding(letters, width), nn.Linear(width, letters)
    nn.init.normal_(table.weight, std=0.5)
    layers = nn.ModuleList(
        MultiHeadAttention(width, 2, position=T5RelativeBias(2, bidirectional=False), causal=True) for _ in range(2)
    )
    named = [*table.named_parameters(), *layers.named_parameters(), *out.named_parameters()]
    groups: dict[bool, list[Tensor]] = {True: [], False: []}
    for name, parameter in named:
        groups["distance_bias" in name].append(parameter)
    optimizer = torch.optim.Adam([{"params": groups[True], "lr": 0.05}, {"params": groups[False], "lr": 0.003}])

    def forward(ids: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, found = table(ids), []
        for layer in layers:
            gathered, weights = layer(x, return_weights=True)
            x = x + gathered
            found.append(weights[0].detach())
        return out(x), found

    for _ in range(200):
        length = int(torch.randint(6, 15, ()))
        half = torch.stack([torch.randperm(letters)[:length] for _ in range(32)])
        ids = torch.cat([half, half], 1)
        logits, _ = forward(ids[:, :-1])
        loss = nn.functional.cross_entropy(logits[:, length - 1 :].flatten(0, 1), ids[:, length:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    text = "maplekn" * 2
    _, found = forward(torch.tensor([[ord(letter) - ord("a") for letter in text]]))
    place = torch.arange(7, 14)
    before = found[0][:, place, place - 1].mean(-1)  # how much each head of layer 1 looks one place back
    followed = found[1][:, place, place - 6].mean(-1)  # how much each of layer 2 looks at what followed the same letter
    chosen = torch.stack([found[0][before.argmax()], found[1][followed.argmax()]])
    titles = ["layer 1: the token before", "layer 2: what followed this letter earlier"]
    return attention_grid(chosen, list(text), titles=titles, columns=2)


def cost() -> Figure:
    """Time and memory against the length of the text, as `python3 -m bootcamp bench attention --save` measured them."""
    measured = json.loads((HERE / "cost.json").read_text(encoding="utf-8"))
    names = {
        "attention": "attention (3.3)",
        "flash_attention": "flash_attention (3.8)",
        "torch": "torch's own",
        "sliding_window": "window of 128 (3.9)",
        "linear_attention": "linear_attention (3.10)",
    }
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    times, memory = figure.subplots(1, 2)
    lengths = measured["torch"]["lengths"]
    for name, label in names.items():
        style = {
            "marker": "o",
            "color": INK if name == "torch" else None,
            "linestyle": "--" if name == "torch" else "-",
        }
        times.plot(lengths, [1000 * seconds for seconds in measured[name]["seconds"]], label=label, **style)
        memory.plot(lengths, [max(mib, 1) for mib in measured[name]["mib"]], **style)
    for axes, title, unit in (
        (times, "time", "milliseconds"),
        (memory, "peak of memory", "MiB (1 or less at the bottom)"),
    ):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(lengths, [f"{length:,}" for length in lengths])
        axes.minorticks_off()
        axes.set(xlabel="positions", ylabel=unit, title=title)
    times.legend()
    return figure


FIGURES = [gather, softmax, masks, scale, heads, grouped, cache, tiles, window, linear, looking, cost]


def main(folder: Path = HERE) -> None:
    """Draw every figure into `folder`."""
    stages.use_reference()
    drawing.styled()
    torch.set_num_threads(1)  # the tensors are small: more threads would only wait for one another
    for figure in FIGURES:
        drawn = figure()
        drawing.save(drawn.figure if isinstance(drawn, Strip) else drawn, folder / f"{figure.__name__}.svg")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
