"""Draws the figures of this lesson: python3 -m bootcamp figures 2."""

from __future__ import annotations

import math
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.typing import ColorType
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bootcamp import drawing, stages
from bootcamp.drawing import INK, LINES, PALE, TOKENS, Strip

HERE = Path(__file__).resolve().parent
BOTH_SIDES = LinearSegmentedColormap.from_list("both sides of zero", [LINES[0], "#ffffff", LINES[1]])


def number(value: float, digits: int = 2) -> str:
    """A number as the figures write it, with a true minus sign: −0.50."""
    return f"{value:.{digits}f}".replace("-", "−")


def arrow(strip: Strip, start: tuple[float, float], end: tuple[float, float], color: str, bend: float = 0.0) -> None:
    """Draw an arrow between two places of a strip, in characters and lines."""
    style = {"arrowstyle": "->", "color": color, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    strip.axes.annotate("", end, start, arrowprops=style | {"connectionstyle": f"arc3,rad={bend}"})


def row_of(strip: Strip, x: float, y: float, cells: Sequence[str], color: str, width: float = 6) -> None:
    """Draw a row of a table: cells side by side, each `width` characters wide."""
    for place, cell in enumerate(cells):
        strip.box(x + place * width, y, width, color)
        strip.text(x + place * width + width / 2, y, cell, ha="center")


def lookup() -> Strip:
    """A one-hot product is a row of the table; backwards, the gradients of a row add up."""
    from stage02_embeddings import TokenEmbedding

    words, text = ["cat", "dog", "the", "ran"], ["the", "cat", "the", "dog", "the"]
    embedding = TokenEmbedding(4, 3)
    with torch.no_grad():
        embedding.weight.copy_(torch.tensor([[0.4, -0.1, 0.3], [0.5, 0.2, -0.2], [-0.3, 0.6, 0.1], [0.1, -0.4, 0.2]]))
    ids = torch.tensor([words.index(word) for word in text])
    upstream = torch.tensor([[1.0, 0, 2], [0, 3, 1], [2, 1, 0], [4, 0, 1], [1, 1, 1]])
    (embedding(ids) * upstream).sum().backward()
    assert embedding.weight.grad is not None
    rows, grads = embedding.weight.tolist(), embedding.weight.grad.tolist()

    strip = Strip(93, 15.6)
    strip.text(0, 0, "forwards: a product with a one-hot vector is a row of the table", PALE)
    for place in range(4):
        strip.box(place * 3.2, 2.8, 3.2, TOKENS[1] if place == 2 else TOKENS[0])
        strip.text(place * 3.2 + 1.6, 2.8, "1" if place == 2 else "0", ha="center")
    strip.text(14.6, 2.8, "@", ha="center", weight="bold")
    for id, row in enumerate(rows):
        strip.text(19.8, 1.3 + id, f"{id}", PALE, ha="right", fontsize=10)
        row_of(strip, 20.6, 1.3 + id, [number(value, 1) for value in row], TOKENS[1] if id == 2 else TOKENS[0], 5)
        strip.text(36.4, 1.3 + id, words[id], PALE, fontsize=10)
    strip.text(43.6, 2.8, "=", ha="center", weight="bold")
    found = embedding(torch.tensor(2)).tolist()
    row_of(strip, 46, 2.8, [number(value, 1) for value in found], TOKENS[1], 5)
    strip.text(63.6, 2.8, "=", ha="center", weight="bold")
    strip.text(66, 2.8, "weight[2]")

    strip.text(0, 6.6, "backwards: every place gives its gradient to the row that was taken for it", PALE)
    for place, (word, grad) in enumerate(zip(text, upstream.tolist())):
        y = 8.0 + place * 1.45
        chosen = word == "the"
        strip.text(5.4, y, word, ha="right", weight="bold" if chosen else "normal")
        row_of(strip, 6.6, y, [f"{value:.0f}" for value in grad], TOKENS[1] if chosen else TOKENS[0], 5)
        arrow(
            strip,
            (22.2, y + 0.5),
            (49.4, 9.5 + words.index(word) * 1.2),
            LINES[1] if chosen else PALE,
        )
    for id, row in enumerate(grads):
        y = 9.0 + id * 1.2
        color = TOKENS[1] if id == 2 else TOKENS[0]
        row_of(strip, 50, y, [f"{value:.0f}" for value in row], color, 5)
        remark = {2: "the: the sum of three", 3: "ran: not in the text, zeros"}.get(id, words[id])
        strip.text(66, y, remark, LINES[1] if id == 2 else PALE, fontsize=10)
    strip.text(57.5, 13.9, "weight.grad", ha="center")
    return strip


def pretrained() -> Strip:
    """A file of vectors with the fate of each line, the table that is made of it, and how a missing row is drawn."""
    from stage02_embeddings import load_pretrained

    lines = [
        ("7 2", "a header: the width is 2"),
        ("the 0.42 0.25", "row 0"),
        ("New York 0.10 -0.99", "row 2: a token may hold spaces"),
        ("the 0.40 0.31", "a duplicate: the first counts"),
        ("ship -0.61 0.08", "no word of the vocabulary"),
        ("cat 0.77", ""),
        ("sea -0.35 0.52", "row 3"),
        ("boat nan 0.20", ""),
    ]
    vocab = {"the": 0, "cat": 1, "New York": 2, "sea": 3}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "vectors.txt")
        path.write_text("\n".join(line for line, _ in lines), encoding="utf-8")
        report = load_pretrained(path, vocab, 2, torch.Generator().manual_seed(3))
    wrong = {place: f"malformed: {what}" for place, what in report.malformed}
    wrong[8] = "malformed: a number is nan"

    strip = Strip(94, 15.4)
    strip.text(0, 0, "the file", PALE)
    for place, (line, fate) in enumerate(lines, start=1):
        y = 0.1 + place
        color = TOKENS[1] if place in wrong else TOKENS[2] if fate.startswith("row") else "#eceff2"
        strip.text(1.4, y, f"{place}", PALE, ha="right", fontsize=10)
        strip.box(2.4, y, 21, color)
        strip.text(3.2, y, line)
        strip.text(24.6, y, wrong.get(place, fate), LINES[1] if place in wrong else PALE, fontsize=10)

    strip.text(66, 0, "the table", PALE)
    ordered = sorted(vocab, key=lambda word: vocab[word])
    for id, word in enumerate(ordered):
        y = 1.1 + id * 1.2
        there = bool(report.found[id])
        strip.text(71.6, y, word, ha="right", fontsize=10)
        for place, value in enumerate(report.weight[id].tolist()):
            strip.box(72.6 + place * 8, y, 8, TOKENS[2] if there else TOKENS[3], "none" if there else LINES[5])
            strip.text(76.6 + place * 8, y, number(value), ha="center")
    strip.text(80.6, 6.2, f"coverage {report.coverage:.2f}", ha="center")
    strip.text(80.6, 7.2, f"duplicates {report.duplicates}", ha="center")
    strip.text(80.6, 8.2, f"missing {report.missing}", ha="center")

    strip.text(0, 10.0, "the missing row: each column from N(mean, std²) of the rows that were found", PALE)
    known = report.weight[report.found]
    for column in range(2):
        axes = strip.figure.add_axes((0.04 + 0.5 * column, 0.07, 0.42, 0.2))
        mean, std = known[:, column].mean().item(), known[:, column].std().item()
        xs = torch.linspace(-2, 2, 200)
        axes.fill_between(xs, torch.exp(-((xs - mean) ** 2) / (2 * std**2)), color=TOKENS[3], linewidth=0)
        axes.plot(known[:, column], [0.0] * len(known), "o", color=LINES[2], markersize=7, clip_on=False)
        drawn = report.weight[1, column].item()
        axes.plot([drawn, drawn], [0, 1.0], color=LINES[5], linewidth=2)
        axes.text(drawn + 0.05, 0.94, "cat", color=INK, fontsize=10)
        axes.set(xlim=(-2, 2), ylim=(0, 1.1), yticks=[], xticks=[-2, -1, 0, 1, 2])
        axes.text(-1.95, 0.94, f"column {column}", color=PALE, fontsize=10)
        axes.spines["left"].set_visible(False)
        axes.grid(False)
        axes.patch.set_alpha(0)
    return strip


def dial(axes: Axes, angles: Sequence[float], colors: Sequence[ColorType], x: float = 0, y: float = 0) -> None:
    """Draw a dial of radius 1 with a hand at each angle, counted from the right and against the clock, as sines are."""
    axes.add_patch(Circle((x, y), 1, facecolor="#f4f6f8", edgecolor=PALE, linewidth=0.8))
    for angle, color in zip(angles, colors):
        tip = (x + 0.93 * math.cos(angle), y + 0.93 * math.sin(angle))
        style = {
            "arrowstyle": "-|>",
            "color": color,
            "linewidth": 1.8,
            "shrinkA": 0,
            "shrinkB": 0,
            "mutation_scale": 10,
        }
        axes.annotate("", tip, (x, y), arrowprops=style)


def clock() -> Figure:
    """Hands of different speed at some positions, beside the table as a heat map."""
    from stage02_embeddings import sinusoidal_table

    table = sinusoidal_table(21, 8)
    figure = Figure(figsize=(9.4, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.08])
    for row, position in enumerate([0, 1, 2, 20]):
        left.text(-1.7, -2.5 * row, f"p = {position}", ha="right", va="center")
        for pair in range(4):
            sine, cosine = table[position, 2 * pair].item(), table[position, 2 * pair + 1].item()
            dial(left, [math.atan2(sine, cosine)], [LINES[pair]], 2.5 * pair, -2.5 * row)
    for pair, speed in enumerate(["1", "1/10", "1/100", "1/1000"]):
        left.text(2.5 * pair, 1.5, speed, ha="center", color=LINES[pair], weight="bold")
    left.set(xlim=(-4.2, 8.7), ylim=(-8.7, 2.2), title="dim = 8: four hands, radians a place")
    left.set_aspect("equal", anchor="N")
    left.axis("off")
    picture = right.imshow(sinusoidal_table(128, 64), cmap=BOTH_SIDES, aspect="auto", vmin=-1, vmax=1)
    right.set(xlabel="column", ylabel="position", title="dim = 64: the table", xticks=[0, 16, 32, 48, 63])
    right.grid(False)
    bar = figure.colorbar(picture, ax=right, ticks=[-1, 0, 1])
    bar.outline.set_visible(False)  # type: ignore[operator] - a patch, whatever its annotation says
    return figure


def words_of(text: str) -> list[str]:
    """The words and signs of a story."""
    return re.findall(r"\w+|[^\w\s]", text)


def documents(seed: int, count: int, vocab: dict[str, int]) -> list[Tensor]:
    """Stories as ids; a word that is not in the vocabulary yet gets the next id."""
    from bootcamp.corpus import story

    return [
        torch.tensor([vocab.setdefault(word, len(vocab)) for word in words_of(story(seed, place))])
        for place in range(count)
    ]


def end_of_the_table() -> Figure:
    """How far training on stories moves each row of a table of learned positions."""
    from stage02_embeddings import InputEmbedding

    torch.manual_seed(0)
    vocab: dict[str, int] = {}
    texts = documents(0, 1000, vocab)
    embed = InputEmbedding(len(vocab), 32, position="learned", max_length=256)
    assert embed.position is not None
    table = embed.position.get_parameter("weight")
    out = nn.Linear(32, len(vocab))
    before = table.detach().clone()
    optimizer = torch.optim.Adam([*embed.parameters(), *out.parameters()], lr=1e-3)
    for text in texts:
        optimizer.zero_grad()
        nn.functional.cross_entropy(out(embed(text[None, :-1]))[0], text[1:]).backward()
        optimizer.step()
    moved = (table.detach() - before).norm(dim=1)
    lengths = torch.tensor([len(text) - 1 for text in texts])

    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2.2])
    above.plot([(lengths > position).float().mean() for position in range(256)], color=LINES[2])
    above.set(ylim=(0, 1.08), yticks=[0, 1], ylabel="share")
    above.text(133, 0.62, "of the stories reach this position", color=LINES[2])
    below.bar(range(256), moved, width=1.0, color=LINES[0])
    below.axhline(0.02 * 32**0.5, color=PALE, linewidth=1.2, linestyle="--")
    below.text(253, 0.02 * 32**0.5 + 0.04, "length of a row as it was drawn", color=PALE, ha="right", fontsize=10)
    below.text(200, 0.62, "rows that never learned", ha="center")
    below.text(200, 0.44, "(they can be looked up all the same)", ha="center", color=PALE, fontsize=10)
    for axes in (above, below):
        axes.axvspan(256, 300, color=TOKENS[1])
        axes.axvline(256, color=LINES[1])
    below.text(278, 0.85, "no row:\nIndexError", ha="center", va="center", color=LINES[1])
    below.set(xlim=(0, 300), xlabel="position", ylabel="how far its row has moved", xticks=[0, 50, 100, 150, 200, 256])
    return figure


def turns() -> Figure:
    """The arrows of one query at seven positions, a dial for each pair; the score depends on the distance alone."""
    from stage02_embeddings import RotaryEmbedding

    torch.manual_seed(4)
    small = RotaryEmbedding(8)
    turned = small(torch.tensor([1.0, 0.0]).repeat(7, 4))  # (T, D), all pairs (1, 0)
    figure = Figure(figsize=(8.4, 5.6), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[1, 1.15])
    shades = [LinearSegmentedColormap.from_list("", ["#c9d6e6", LINES[0]])(place / 6) for place in range(7)]
    for pair, speed in enumerate(["1", "1/10", "1/100", "1/1000"]):
        angles = [math.atan2(b, a) for a, b in turned[:, 2 * pair : 2 * pair + 2].tolist()]
        x = 3.4 * pair
        dial(above, angles, shades, x)
        above.text(x, -1.45, f"pair {pair}: {speed} a place", ha="center", va="center", fontsize=10)
        if pair == 0:
            for place, angle in enumerate(angles):
                above.text(1.18 * math.cos(angle), 1.18 * math.sin(angle), f"{place}", ha="center", va="center", size=9)
    above.set(xlim=(-1.7, 11.9), ylim=(-1.7, 1.55), aspect="equal", title="a query at the positions 0 to 6")
    above.axis("off")

    rotary = RotaryEmbedding(64)
    query, key = torch.randn(2, 1, 64)
    distances = list(range(121))
    for start, color, style in ((0, TOKENS[0], {"linewidth": 7}), (1000, LINES[1], {"linewidth": 1.4})):
        keys = rotary(key, torch.tensor([start]))
        scores = [float(rotary(query, torch.tensor([start + far])) @ keys.T) for far in distances]
        below.plot(distances, scores, color=color, label=f"the key at {start:,}", **style)
    below.set(xlabel="how far behind the query the key stands", ylabel="score", xlim=(0, 120))
    below.set_title("the score of a query and a key, D = 64")
    below.legend(loc="upper right", ncols=2)
    below.margins(y=0.22)
    return figure


def alibi() -> Figure:
    """What is left of a weight at each distance, for each of eight heads; and the bias as a grid."""
    from stage02_embeddings import AlibiBias, alibi_slopes

    figure = Figure(figsize=(9.4, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    distance = torch.logspace(-0.31, 3, 200)
    shade = LinearSegmentedColormap.from_list("", [LINES[1], LINES[3], LINES[0], LINES[4]])
    for head, slope in enumerate(alibi_slopes(8).tolist()):
        color = shade(head / 7)
        left.plot(distance, torch.exp(-slope * distance), color=color)
        height = 0.5 - 0.16 * (head % 2)  # by turns, so that the labels do not touch
        style = {"boxstyle": "round,pad=0.15", "facecolor": drawing.PAPER, "edgecolor": "none"}
        left.text(
            -math.log(height) / slope,
            height,
            f"1/{1 / slope:.0f}",
            color=color,
            fontsize=10,
            ha="center",
            va="center",
            bbox=style,
        )
    left.set(xscale="log", xlim=(0.5, 1000), ylim=(0, 1.02), xlabel="distance", ylabel="multiplies the weight by")
    left.set_xticks([1, 2, 5, 10, 20, 50, 100, 200, 500], [str(tick) for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500)])
    left.set_xticks([], minor=True)
    left.set_title("eight heads, by their slopes")

    bias = AlibiBias(8)(2, 5)[0]
    right.imshow(bias, cmap=LinearSegmentedColormap.from_list("", [LINES[0], "#ffffff"]), vmin=-2.6, vmax=0)
    for query in range(2):
        for key in range(5):
            right.text(key, query, number(bias[query, key].item(), 1), ha="center", va="center")
    for query in range(2):  # where query and key meet
        right.add_patch(
            Rectangle((3 + query - 0.47, query - 0.47), 0.94, 0.94, fill=False, edgecolor=LINES[1], linewidth=2)
        )
    right.set(
        xticks=range(5), yticks=[0, 1], yticklabels=["3", "4"], xlabel="position of the key", ylabel="of the query"
    )
    right.set_title("T = 2, S = 5, slope 1/2")
    right.grid(False)
    right.tick_params(length=0)
    for side in right.spines.values():
        side.set_visible(False)
    return figure


def buckets() -> Figure:
    """The buckets of distances: on a ruler, and on a logarithmic one."""
    from stage02_embeddings import relative_bucket

    figure = Figure(figsize=(9.4, 3.9))
    above, below = figure.subplots(2, 1, gridspec_kw={"hspace": 0.85})
    distances = torch.arange(-128, 129)
    found = relative_bucket(distances)
    for bucket in found.unique().tolist():
        held = distances[found == bucket]
        low, high = held.min().item() - 0.5, held.max().item() + 0.5
        ahead = bucket >= 16
        color = TOKENS[(bucket % 16) % 2 * 2 + (1 if ahead else 0)] if bucket else PALE
        above.add_patch(Rectangle((low, 0), high - low, 1, facecolor=color, edgecolor="#ffffff", linewidth=0.6))
        if high - low > 6:
            above.text((low + high) / 2, 0.5, f"{bucket}", ha="center", va="center", fontsize=10)
    above.set(xlim=(-128.5, 128.5), ylim=(0, 1), xticks=[-128, -91, -64, -46, -32, -16, 0, 16, 32, 46, 64, 91, 128])
    above.set_title("32 buckets: keys behind the query, and keys ahead of it")
    far = torch.arange(0, 200)
    behind = relative_bucket(-far)
    for bucket in range(1, 16):
        held = far[behind == bucket]
        low, high = held.min().item(), held.max().item() + 1
        color = TOKENS[bucket % 2 * 2]
        below.add_patch(Rectangle((low, 0), high - low, 1, facecolor=color, edgecolor="#ffffff", linewidth=0.6))
        below.text((low * min(high, 128)) ** 0.5, 0.5, f"{bucket}", ha="center", va="center", fontsize=10)
    below.axvline(128, color=LINES[1], linewidth=1.4)
    below.text(131, 1.06, "max_distance", color=LINES[1], fontsize=9, va="bottom", ha="center")
    below.set(xscale="log", xlim=(1, 180), ylim=(0, 1), xlabel="places behind the query")
    below.set_xticks([1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91, 128], minor=False)
    below.set_xticklabels([str(tick) for tick in [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91, 128]])
    below.set_xticks([], minor=True)
    for axes in (above, below):
        axes.set_yticks([])
        axes.grid(False)
        axes.spines["left"].set_visible(False)
        axes.tick_params(labelsize=10)
    below.set_title("the half behind, each distance at its logarithm", pad=18)
    return figure


def sizes() -> Figure:
    """The size of one number of the token's and the position's vector, with and without the scale."""
    from stage02_embeddings import InputEmbedding

    torch.manual_seed(0)
    width, cases = 512, ["sinusoidal", "sinusoidal, scale=True", "learned"]
    figure = Figure(figsize=(8.4, 3.0), layout="constrained")
    axes = figure.subplots()
    for place, case in enumerate(reversed(cases)):
        scheme, scaled = case.partition(",")[0], "scale" in case
        embed = InputEmbedding(1000, width, position=scheme, max_length=256, scale=scaled)
        assert embed.position is not None
        with torch.no_grad():
            positions = embed.position(torch.arange(256))
            tokens = embed.token(torch.arange(256)) * (math.sqrt(width) if scaled else 1)
        for row, (name, vectors) in enumerate((("position", positions), ("token", tokens))):
            size, y = vectors.pow(2).mean().sqrt().item(), 2.6 * place + row
            axes.barh(y, size, height=0.82, color=LINES[5 * row])
            axes.text(size + 0.008, y, f"{name} {size:.2f}", va="center", fontsize=10)
    axes.set_yticks([2.6 * place + 0.5 for place in range(3)], list(reversed(cases)))
    axes.set(xlim=(0, 0.85), xlabel="root mean square of the numbers that are added, C = 512")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    return figure


def counts() -> Figure:
    """From sentences to counts, to PPMI, to points in the plane."""
    from stage02_embeddings.cooccurrence import cooccurrence, ppmi_svd

    text = "cats eat fish, dogs eat meat, cats eat meat, boys eat fish, boys drink milk, girls drink milk"
    sentences = [sentence.split() for sentence in (text + ", cats drink milk, girls eat fish").split(", ")]
    words = ["cats", "dogs", "boys", "girls", "eat", "fish", "meat", "drink", "milk"]
    table = cooccurrence([[words.index(word) for word in sentence] for sentence in sentences], 2, len(words))
    totals = table.sum(1)
    chance = totals[:, None] * totals / totals.sum()
    ppmi = torch.where(table > 0, table / chance, 1.0).log().clamp(min=0)
    vectors = ppmi_svd(table, 2)

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    above = figure.add_gridspec(2, 1, height_ratios=[0.16, 1])
    line = figure.add_subplot(above[0])
    line.axis("off")
    line.set(xlim=(0, 8), ylim=(-0.5, 2))
    for place, sentence in enumerate(sentences):
        x, y = place % 4 * 2 + 1, 1.3 - place // 4 * 1.5
        line.text(
            x,
            y,
            " ".join(sentence),
            ha="center",
            va="center",
            family=drawing.FONTS,
            bbox={"boxstyle": "round,pad=0.25", "facecolor": TOKENS[place % 4], "edgecolor": "none"},
        )
    below = above[1].subgridspec(1, 3, width_ratios=[1, 1, 0.95])
    panels = [figure.add_subplot(below[place]) for place in range(3)]
    for axes, values, title in ((panels[0], table, "counts, window 2"), (panels[1], ppmi, "PPMI")):
        axes.imshow(
            values, cmap=LinearSegmentedColormap.from_list("", ["#ffffff", LINES[0]]), vmax=values.max().item() * 1.5
        )
        for i in range(len(words)):
            for j in range(len(words)):
                value = values[i, j].item()
                shown = (f"{value:.0f}" if axes is panels[0] else f"{value:.1f}") if value else "·"
                axes.text(j, i, shown, ha="center", va="center", fontsize=10, color=INK if value else PALE)
        axes.set_xticks(range(len(words)), words, fontsize=10, rotation=60)
        axes.set_yticks(range(len(words)), words, fontsize=10)
        axes.tick_params(length=0)
        axes.grid(False)
        axes.set_title(title)
        for side in axes.spines.values():
            side.set_visible(False)
    points: dict[tuple[float, float], list[str]] = {}
    for word, (x, y) in zip(words, vectors.tolist()):
        points.setdefault((round(x, 4), round(y, 4)), []).append(word)
    for (x, y), here in points.items():
        panels[2].plot(x, y, "o", color=LINES[1] if y > 0.2 else LINES[0], markersize=8)
        side = {"dogs": (-8, "right"), "meat": (8, "left")}
        if here[0] in side:
            step, align = side[here[0]]
            panels[2].annotate(here[0], (x, y), (step, -4), textcoords="offset points", ha=align)
        else:
            panels[2].annotate(", ".join(here), (x, y), (0, 8), textcoords="offset points", ha="center")
    panels[2].set_title("the first two columns of U√S")
    panels[2].margins(x=0.22, y=0.2)
    return figure


def head_start() -> Figure:
    """The loss of a small model on unseen stories, with four tables to start from."""
    from stage02_embeddings import InputEmbedding, load_pretrained
    from stage02_embeddings.cooccurrence import cooccurrence, ppmi_svd, write_vectors

    vocab: dict[str, int] = {}
    texts, unseen = documents(0, 1000, vocab), documents(1, 100, vocab)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "vectors.txt")
        write_vectors(path, vocab, ppmi_svd(cooccurrence(texts, 4, len(vocab)), 32))
        vectors = load_pretrained(path, vocab, 32).weight
    generator = torch.Generator().manual_seed(0)
    starts = {
        "N(0, 0.02²)": 0.02 * torch.randn(vectors.shape, generator=generator),
        "random, as large as the counts": vectors.std() * torch.randn(vectors.shape, generator=generator),
        "counts, dealt to wrong words": vectors[torch.randperm(len(vectors), generator=generator)],
        "counts": vectors,
    }

    def windows(texts: list[Tensor]) -> Tensor:
        return torch.cat([text.unfold(0, 5, 1) for text in texts])  # four words and the next

    learned, held_out = windows(texts), windows(unseen)
    figure = Figure(figsize=(8.4, 3.9), layout="constrained")
    axes = figure.subplots()
    for (name, start), color in zip(starts.items(), [LINES[0], LINES[4], LINES[5], LINES[1]]):
        torch.manual_seed(0)
        embed = InputEmbedding(len(vocab), 32)
        with torch.no_grad():
            embed.token.weight.copy_(start)
        model = nn.Sequential(embed, nn.Flatten(), nn.Linear(4 * 32, 128), nn.Tanh(), nn.Linear(128, len(vocab)))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        order = torch.Generator().manual_seed(1)
        curve = []
        for step in range(1001):
            if step % 50 == 0:
                with torch.no_grad():
                    curve.append(nn.functional.cross_entropy(model(held_out[:, :4]), held_out[:, 4]).item())
            batch = learned[torch.randint(len(learned), (256,), generator=order)]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch[:, :4]), batch[:, 4]).backward()
            optimizer.step()
        axes.plot(range(0, 1001, 50), curve, color=color, label=name)
    axes.set(xlabel="step", ylabel="loss on unseen stories", xlim=(0, 1000), ylim=(0, None))
    axes.legend()
    return figure


FIGURES = [lookup, pretrained, clock, end_of_the_table, turns, alibi, buckets, sizes, counts, head_start]


def main(folder: Path = HERE) -> None:
    """Draw every figure into `folder`."""
    stages.use_reference()
    drawing.styled()
    torch.set_num_threads(1)
    for figure in FIGURES:
        drawn = figure()
        drawing.save(drawn.figure if isinstance(drawn, Strip) else drawn, folder / f"{figure.__name__}.svg")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
