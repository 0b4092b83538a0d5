"""Draws the figures of this lesson: python3 -m bootcamp figures 6. What is measured comes from measure.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Patch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bootcamp import drawing, stages
from bootcamp.drawing import INK, LINES, PALE, PAPER, TOKENS, Strip

HERE = Path(__file__).resolve().parent
GRAY = "#e9ecef"
RANKS = [TOKENS[0], TOKENS[1], TOKENS[2], TOKENS[3]]
DARK = ["#7fa8d6", "#e9909c", "#86c08d", "#d3bf5a"]


def measured(name: str) -> Any:
    """Give what measure.py has found."""
    return json.loads((HERE / "measured.json").read_text(encoding="utf-8"))[name]


def arrow(strip: Strip, start: tuple[float, float], end: tuple[float, float], color: str = PALE) -> None:
    """Draw an arrow between two places of a strip, in characters and lines."""
    style = {"arrowstyle": "->", "color": color, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    strip.axes.annotate("", end, start, arrowprops=style)


def frame(strip: Strip, x: float, y: float, width: float, height: float, color: str) -> None:
    """Draw a line around a part of a strip."""
    strip.axes.plot(
        [x, x + width, x + width, x, x], [y, y, y + height, y + height, y], color=color, linewidth=1.3, zorder=0.5
    )


# -- the idea ----------------------------------------------------------------------------------------------------


def ways() -> Strip:
    """What two processes share in each way: the batch, the matrices, the layers, the optimizer's state."""
    strip = Strip(104, 13.6)

    def panel(x: float, title: str, section: str, words: str) -> None:
        strip.text(x + 11, 0.1, title, ha="center", fontweight="bold")
        strip.text(x + 11, 1.1, section, PALE, ha="center", fontsize=10)
        strip.text(x + 11, 12.2, words, PALE, ha="center", fontsize=9.5, linespacing=1.3)

    def layers(x: float, width: float, colors: list[str]) -> None:
        for number, color in enumerate(colors):
            strip.box(x, 6.3 - number * 1.0, width, color)

    def batch(x: float, width: float, colors: list[str]) -> None:
        for number, color in enumerate(colors):
            strip.box(x, 7.7 + number * 0.55, width, color, height=0.44)

    def state(x: float, width: float, color: str) -> None:
        strip.box(x, 10.4, width, color)

    blue, red = RANKS[:2]
    panel(1, "data parallelism", "6.3", "each has all layers\nand half of the batch")
    panel(28, "tensor parallelism", "6.6", "each has half of\nevery matrix")
    panel(55, "pipeline parallelism", "6.7", "each has half of\nthe layers")
    panel(81, "sharded optimizer", "6.8", "data parallelism, and each\nhas half of m and v")
    for x in (1, 81):
        layers(x, 10, [blue] * 4)
        layers(x + 12, 10, [red] * 4)
        batch(x, 10, [blue, blue, GRAY, GRAY])
        batch(x + 12, 10, [GRAY, GRAY, red, red])
    for x, whole in ((1, True), (81, False)):
        state(x, 5 if not whole else 10, blue)
        state(x + 12 + (0 if whole else 5), 5 if not whole else 10, red)
        if not whole:
            strip.box(x + 5, 10.4, 5, PAPER, GRAY)
            strip.box(x + 12, 10.4, 5, PAPER, GRAY)
    layers(28, 11, [blue] * 4)
    layers(39, 11, [red] * 4)
    for x in (28, 55):  # all rows, on both
        batch(x, 10, [blue] * 4)
        batch(x + 12, 10, [red] * 4)
    state(28, 11, blue)
    state(39, 11, red)
    layers(55, 22, [blue, blue, red, red])
    state(55, 11, blue)
    state(66, 11, red)
    for y, words in ((4.8, "layers"), (8.5, "batch"), (10.4, "m, v")):
        strip.text(0.2, y, words, PALE, ha="right", fontsize=10)
    strip.box(41, 2.4, 2, blue, height=0.7)
    strip.text(43.6, 2.4, "rank 0", fontsize=10)
    strip.box(53, 2.4, 2, red, height=0.7)
    strip.text(55.6, 2.4, "rank 1", fontsize=10)
    strip.axes.set_xlim(-7, 104)
    return strip


def mesh() -> Strip:
    """Eight ranks in a layout with dp = 2, pp = 2, tp = 2, and who talks to whom."""
    from stage06_distributed.mesh import Layout

    layout = Layout(dp=2, tp=2, pp=2)
    ranks = torch.arange(layout.world).view(layout.dp, layout.pp, layout.tp)  # as `make_mesh` places them
    strip = Strip(100, 10.6)

    def place(dp: int, pp: int, tp: int) -> tuple[float, float]:
        return 13 + dp * 46 + tp * 19, 2.2 + pp * 4.4

    for dp in range(layout.dp):
        x, _ = place(dp, 0, 0)
        frame(strip, x - 3, 1.3, 37, 7.4, GRAY)
        strip.text(x + 15.5, 0.1, f"copy {dp} of the model: half of the rows", ha="center")
        for pp in range(layout.pp):
            for tp in range(layout.tp):
                x, y = place(dp, pp, tp)
                strip.box(x, y, 12, RANKS[pp * 2 + tp], height=1.6)
                strip.text(x + 6, y - 0.35, f"rank {int(ranks[dp, pp, tp])}", ha="center")
                part = "left" if tp == 0 else "right"
                strip.text(x + 6, y + 0.4, f"{part} parts", PALE, ha="center", fontsize=9.5)
    line = {"arrowstyle": "<->", "linewidth": 2, "shrinkA": 0, "shrinkB": 0}

    def both(start: tuple[float, float], end: tuple[float, float], color: str, bend: float = 0.0) -> None:
        style = line | {"color": color, "connectionstyle": f"arc3,rad={bend}"}
        strip.axes.annotate("", end, start, arrowprops=style)

    for dp in range(2):
        for pp in range(2):
            x, y = place(dp, pp, 0)
            both((x + 12.2, y + 0.5), (x + 18.8, y + 0.5), LINES[1])
        for tp in range(2):
            x, y = place(dp, 0, tp)
            both((x + 6, y + 1.5), (x + 6, y + 3.9), LINES[2])
    for pp in range(2):
        x, y = place(0, pp, 1)
        both((x + 12.2, y + 0.5), (x + 26.8, y + 0.5), LINES[0])
    strip.text(9, 2.2, "first layers", PALE, ha="right", fontsize=10)
    strip.text(9, 6.6, "last layers", PALE, ha="right", fontsize=10)
    for x, color, words in (
        (9, LINES[1], "tp: sums, in every block"),
        (41, LINES[2], "pp: the stream, between stages"),
        (76, LINES[0], "dp: gradients, once a step"),
    ):
        both((x - 5, 10.1), (x - 1, 10.1), color)
        strip.text(x, 9.6, words, fontsize=10)
    strip.axes.set_xlim(-4, 105)
    return strip


# -- 6.1, 6.2 ----------------------------------------------------------------------------------------------------


def ring_messages(rank: int) -> list[tuple[list[float], list[float]]]:
    """What a rank sends and gets in each round of an all-reduce of the numbers in the lesson."""
    from stage06_distributed import collectives

    seen, exchange = [], collectives.exchange

    def watched(outgoing: torch.Tensor, to: int, incoming: torch.Tensor, source: int, group: Any = None) -> None:
        sent = outgoing.tolist()
        exchange(outgoing, to, incoming, source, group)
        seen.append((sent, incoming.tolist()))

    collectives.exchange = watched
    try:
        collectives.all_reduce(torch.arange(1.0, 7.0) * 10**rank)
    finally:
        collectives.exchange = exchange
    return seen


def ring() -> Strip:
    """Three ranks add up six numbers: two rounds of reduce-scatter, two of all-gather, as the messages went."""
    from bootcamp.grading.ranks import on_ranks

    messages = on_ranks(3, ring_messages, seconds=100)
    strip = Strip(106, 11.4)
    own: list[list[list[float]]] = [
        [[float(10**rank * (2 * c + 1)), float(10**rank * (2 * c + 2))] for c in range(3)] for rank in range(3)
    ]

    def terms(chunk: list[float]) -> int:
        return sum(digit != "0" for digit in str(int(chunk[0])))

    def panel(x: float, y: float, title: str, values: list[list[list[float] | None]]) -> None:
        strip.text(x + 12, y, title, PALE, ha="center", fontsize=10)
        for rank in range(3):
            for c, chunk in enumerate(values[rank]):
                place = x + c * 8.2
                if chunk is None:
                    strip.box(place, y + 1 + rank * 1.2, 8, PAPER, GRAY)
                else:
                    color = [GRAY, TOKENS[0], TOKENS[3], TOKENS[2]][terms(chunk)]
                    strip.box(place, y + 1 + rank * 1.2, 8, color)
                    words = " ".join(str(int(number)) for number in chunk)
                    strip.text(place + 4, y + 1 + rank * 1.2, words, ha="center")

    def travel(x: float, y: float, sends: list[int]) -> None:
        """Arrows from the chunk that each rank sends to its place at the right neighbour, one panel further."""
        for rank, c in enumerate(sends):
            to = (rank + 1) % 3
            start = (x + c * 8.2 + 4, y + 1.5 + rank * 1.2)
            arrow(strip, (x + 24.9, start[1]), (x + 33.6, y + 1.5 + to * 1.2), LINES[c])

    steps = [0.0, 34.0, 68.0]
    for row, (y, name) in enumerate(((0.4, "reduce-scatter"), (6.2, "all-gather"))):
        strip.text(-1, y + 1.0, "rank 0", PALE, ha="right", fontsize=10)
        strip.text(-1, y + 2.2, "rank 1", PALE, ha="right", fontsize=10)
        strip.text(-1, y + 3.4, "rank 2", PALE, ha="right", fontsize=10)
        values: list[list[list[float] | None]]
        if row == 0:
            values = [list(each) for each in own]
        else:
            values = [[messages[r][2][0] if c == r else None for c in range(3)] for r in range(3)]
        panel(steps[0], y, f"{name}: before", values)
        for step in range(2):
            sends = []
            for rank in range(3):
                sends.append((rank - 1 - step) % 3 if row == 0 else (rank - step) % 3)
            travel(steps[step], y, sends)
            before = [list(each) for each in values]
            for rank in range(3):
                left = (rank - 1) % 3
                sent, got = messages[rank][2 * row + step]
                c = sends[left]
                assert got == before[left][c] and sent == before[rank][sends[rank]], "the picture is not what was sent"
                base = own[rank][c]
                values[rank][c] = got if row else [one + other for one, other in zip(base, got)]
            panel(steps[step + 1], y, f"after round {step}", values)
    for x, color, words in ((6, TOKENS[0], "one term"), (24, TOKENS[3], "two terms"), (43, TOKENS[2], "the sum")):
        strip.box(x - 3, 11.2, 2.4, color, height=0.7)
        strip.text(x, 11.2, words, fontsize=10)
    strip.text(60, 11.2, "arrows: who sends chunk", fontsize=10)
    for c in range(3):
        strip.text(81 + 2.5 * c, 11.2, f"{c}", LINES[c], fontsize=10, fontweight="bold")
    strip.axes.set_xlim(-8, 98)
    strip.axes.set_ylim(12.2, 0)
    return strip


def deal() -> Strip:
    """An order of twelve, dealt out to three ranks, and the first batch of all."""
    from stage06_distributed import ShardedSampler

    strip = Strip(76, 8.2)
    order = list(ShardedSampler(12, 0, 1, seed=3))
    strip.text(10, 0.4, "the order", PALE, ha="right", fontsize=10)
    for place, index in enumerate(order):
        strip.box(12 + place * 5, 0.4, 4.6, RANKS[place % 3])
        strip.text(14.3 + place * 5, 0.4, str(index), ha="center")
    strip.text(42, 1.9, "every third", PALE, ha="center", fontsize=10)
    arrow(strip, (36, 1.9), (36, 3.3))
    for rank in range(3):
        strip.text(10, 3.6 + rank * 1.2, f"rank {rank}", PALE, ha="right", fontsize=10)
        for place, index in enumerate(ShardedSampler(12, rank, 3, seed=3)):
            assert index == order[rank + 3 * place]
            strip.box(24 + place * 6, 3.6 + rank * 1.2, 4.6, RANKS[rank])
            strip.text(26.3 + place * 6, 3.6 + rank * 1.2, str(index), ha="center")
    frame(strip, 23.3, 3.5, 12, 3.65, INK)
    frame(strip, 11.6, 0.3, 30, 1.2, INK)
    strip.text(
        50, 4.8, "in the frames: the first batches\nof two, which are the first\nsix of the order", PALE, fontsize=10
    )
    return strip


# -- 6.3 ---------------------------------------------------------------------------------------------------------


def buckets() -> Figure:
    """A backward of eight layers on two ranks, measured: one message at the end, or a bucket for each layer."""
    runs = measured("buckets")
    figure = Figure(figsize=(9.5, 4.6), layout="constrained")
    rows = figure.subplots(2, 1, sharex=True)
    for ax, (name, ranks) in zip(rows, runs.items()):
        for rank, run in enumerate(ranks):
            begin = run["begin"]
            edges = [0.0, *((each - begin) * 1e3 for each in run["done"])]
            for layer, (left, right) in enumerate(zip(edges, edges[1:])):
                color = RANKS[rank] if layer % 2 else DARK[rank]
                ax.barh(3 * rank, right - left, left=left, color=color, edgecolor=PAPER, linewidth=0.6, height=0.9)
                if right - left > 12:
                    ax.text((left + right) / 2, 3 * rank, str(7 - layer), ha="center", va="center", fontsize=8.5)
            for left, right, _ in run["messages"]:
                left, right = (left - begin) * 1e3, (right - begin) * 1e3
                ax.barh(3 * rank + 1, right - left, left=left, color=LINES[5], edgecolor=PAPER, linewidth=0.8)
            end = (run["end"] - begin) * 1e3
            ax.plot([end, end], [3 * rank - 0.5, 3 * rank + 1.5], color=INK, linewidth=1.5)
        places = [0, 1, 3, 4]
        ax.set_yticks(places, ["rank 0: layers", "messages", "rank 1: layers", "messages"])
        what = "one bucket for all: the message leaves when backward is through"
        ax.set_title(what if float(name) > 100 else "a bucket for each layer: messages leave on the way", fontsize=11)
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
    rows[1].set_xlabel("milliseconds since backward began; the black line is where it returns")
    return figure


# -- 6.4, 6.5 ----------------------------------------------------------------------------------------------------


def formats() -> Figure:
    """The bits of three formats, and which powers of two they reach."""
    figure = Figure(figsize=(9.5, 4.0), layout="constrained")
    bits, reach = figure.subplots(2, 1, height_ratios=[1, 1.1])
    names = {"float32": (8, 23), "bfloat16": (8, 7), "float16": (5, 10)}
    for row, (name, (exponent, fraction)) in enumerate(names.items()):
        info = torch.finfo(getattr(torch, name))
        assert info.bits == 1 + exponent + fraction and info.eps == 2.0**-fraction
        kinds = [TOKENS[1]] + [TOKENS[3]] * exponent + [TOKENS[0]] * fraction
        for place, color in enumerate(kinds):
            bits.barh(row, 1, left=place, color=color, edgecolor=PAPER, linewidth=1.5, height=0.7)
        smallest, normal, largest = (
            -(2 ** (exponent - 1)) + 2 - fraction,
            -(2 ** (exponent - 1)) + 2,
            2 ** (exponent - 1),
        )
        assert info.tiny == 2.0**normal
        reach.barh(row, largest - normal, left=normal, color=DARK[0], height=0.6)
        reach.barh(row, normal - smallest, left=smallest, color=RANKS[0], height=0.6)
        reach.text(
            largest + 3, row, f"{info.max:,.0f}" if exponent == 5 else f"{info.max:.2g}", va="center", fontsize=10
        )
        reach.text(smallest - 3, row, f"{2.0**smallest:.2g}", va="center", ha="right", fontsize=10)
    for ax in (bits, reach):
        ax.set_yticks(range(3), list(names))
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
    bits.set(xlim=(0, 32), xticks=[])
    bits.spines["bottom"].set_visible(False)
    bits.grid(False)
    bits.legend(
        handles=[
            Patch(color=TOKENS[1], label="sign"),
            Patch(color=TOKENS[3], label="exponent"),
            Patch(color=TOKENS[0], label="fraction"),
        ],
        loc="lower right",
        fontsize=10,
    )
    reach.set(xlim=(-180, 160), xlabel="powers of two; light: with fewer and fewer digits")
    ticks = list(range(-150, 151, 50))
    reach.set_xticks(ticks, [f"$2^{{{tick}}}$" for tick in ticks])
    return figure


def gradients() -> Figure:
    """How large the gradients of a small GPT are, beside what float16 holds: as they are, and scaled."""
    found = measured("learning")["plain"]
    powers = {int(power): count for power, count in found["powers"].items()}
    total = sum(powers.values())
    figure = Figure(figsize=(9.5, 5.0), layout="constrained")
    rows = figure.subplots(2, 1, sharex=True)
    for ax, shift in zip(rows, (0, 16)):
        for power, count in powers.items():
            place = power + shift
            color = LINES[1] if place < -25 else LINES[5] if place < -14 else LINES[0]
            ax.bar(place + 0.5, count / total, width=0.9, color=color)
        lost = found["float16"][str(shift)]
        said = "as they are" if shift == 0 else f"times 2¹⁶ = {2**shift:,}"
        ax.set_title(f"{said}: {lost:.2%} become 0 in float16", fontsize=11)
        ax.axvline(16, color=INK, linewidth=1.2)
        ax.set(yscale="log", ylim=(2e-6, 1), xlim=(-42, 22), ylabel="share")
        if shift == 0:
            ax.text(15.6, 0.25, "float16 ends here: 65,504", ha="right", fontsize=10)
    ticks = list(range(-40, 21, 10))
    rows[1].set_xticks(ticks, [f"$2^{{{tick}}}$" for tick in ticks])
    rows[1].set_xlabel("size of a gradient")
    figure.legend(
        handles=[
            Patch(color=LINES[1], label="becomes 0"),
            Patch(color=LINES[5], label="loses digits"),
            Patch(color=LINES[0], label="has all digits"),
        ],
        loc="outside lower center",
        ncols=3,
        fontsize=10,
    )
    return figure


def scale() -> Figure:
    """The scale over 300 steps in float16, and what is lost at it."""
    found = measured("learning")["float16"]
    scales, lost = found["scales"], found["lost"]
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    top.plot(scales, drawstyle="steps-post", color=LINES[0])
    out = [step for step, (one, other) in enumerate(zip(scales, scales[1:])) if other < one]
    top.plot(out, [scales[step] for step in out], "o", color=LINES[1], markersize=5, label="step left out")
    top.set_yscale("log", base=2)
    top.set(
        ylabel="scale", title=f"float16, 25 good steps in a row double the scale; {len(out)} of {len(scales)} left out"
    )
    top.legend(fontsize=10)
    bottom.plot([100 * each for each in lost], color=LINES[1], linewidth=1.2)
    bottom.set(xlabel="step", ylabel="become 0, %")
    return figure


# -- 6.6 ---------------------------------------------------------------------------------------------------------


def tensor() -> Strip:
    """A block on two ranks: which half of each matrix is where, and the two sums."""
    strip = Strip(118, 13.2)
    lanes = [2.6, 7.0]

    def matrix(x: float, y: float, width: float, height: float, cut: str, rank: int, words: str) -> None:
        """A whole matrix, of which this rank has the half that is coloured."""
        top = y + (2.6 - height) / 2
        ax = strip.axes
        ax.fill([x, x + width, x + width, x], [top, top, top + height, top + height], facecolor=PAPER, edgecolor=PALE)
        if cut == "rows":
            low = top + rank * height / 2
            ax.fill([x, x + width, x + width, x], [low, low, low + height / 2, low + height / 2], facecolor=RANKS[rank])
        else:
            left = x + rank * width / 2
            ax.fill(
                [left, left + width / 2, left + width / 2, left],
                [top, top, top + height, top + height],
                facecolor=RANKS[rank],
            )
        ax.plot([x, x + width, x + width, x, x], [top, top, top + height, top + height, top], color=PALE, linewidth=1)
        strip.text(x + width / 2, top + height - 0.05, words, ha="center", fontsize=9.5)

    def flow(start: float, end: float, y: float) -> None:
        arrow(strip, (start, y + 1.3), (end, y + 1.3))

    def bar(x: float, words: str, color: str, forward: str, backward: str) -> None:
        """What stands across both ranks."""
        strip.axes.fill([x, x + 5, x + 5, x], [2.4, 2.4, 9.8, 9.8], facecolor=color, edgecolor="none")
        strip.text(x + 2.5, 5.6, words, ha="center", fontweight="bold")
        strip.text(x + 2.5, 10.1, forward, INK if forward == "all-reduce" else PALE, ha="center", fontsize=9.5)
        strip.text(x + 2.5, 11.1, backward, INK if backward == "all-reduce" else PALE, ha="center", fontsize=9.5)

    for lane, y in enumerate(lanes):
        strip.text(0, y + 0.8, f"rank {lane}", PALE, fontsize=10)
        strip.text(8.5, y + 0.8, "x", ha="center")
        flow(10, 13, y)
        flow(18.4, 20.6, y)
        for number, words in enumerate(("query", "key", "value")):
            matrix(21 + number * 8, y, 6.4, 1.6, "rows", lane, words)
        flow(44, 46.4, y)
        strip.box(46.6, y + 0.8, 8.6, RANKS[lane])
        strip.text(50.9, y + 0.8, "heads", ha="center", fontsize=10)
        flow(55.4, 57.6, y)
        matrix(58, y, 6.4, 1.6, "columns", lane, "out")
        flow(64.8, 66.6, y)
        flow(72.2, 76.8, y)
        flow(82.2, 84.0, y)
        for number, words in enumerate(("up", "gate")):
            matrix(84.4 + number * 7, y, 5.4, 2.0, "rows", lane, words)
        flow(97.2, 98.8, y)
        matrix(99.2, y, 7.6, 1.4, "columns", lane, "down")
        flow(107.2, 108.8, y)
        flow(114.2, 117, y)
    bar(13.2, "copy", GRAY, "nothing", "all-reduce")
    bar(67, "sum", TOKENS[3], "all-reduce", "nothing")
    bar(77, "copy", GRAY, "nothing", "all-reduce")
    bar(109, "sum", TOKENS[3], "all-reduce", "nothing")
    strip.text(43, 0.6, "attention", ha="center", fontweight="bold")
    strip.text(95.5, 0.6, "feed-forward", ha="center", fontweight="bold")
    strip.text(33, 1.5, "cut between rows", PALE, ha="center", fontsize=9.5)
    strip.text(61.2, 1.5, "between columns", PALE, ha="center", fontsize=9.5)
    strip.text(91, 1.5, "rows", PALE, ha="center", fontsize=9.5)
    strip.text(103, 1.5, "columns", PALE, ha="center", fontsize=9.5)
    strip.text(0, 10.1, "forward", PALE, fontsize=9.5)
    strip.text(0, 11.1, "backward", PALE, fontsize=9.5)
    strip.text(
        0,
        12.4,
        "White halves are on the other rank. Norms, and adding to the stream, are on both and the same.",
        PALE,
        fontsize=10,
    )
    return strip


# -- 6.7 ---------------------------------------------------------------------------------------------------------


def pipeline() -> Figure:
    """Both schedules as four processes ran them, and how many micro-batches the first one keeps."""
    from stage06_distributed import bubble

    runs = measured("pipeline")
    figure = Figure(figsize=(9.5, 6.6), layout="constrained")
    rows = figure.subplots(3, 1, sharex=True, height_ratios=[2, 2, 1.2])
    names = {"gpipe": "gpipe", "1f1b": "one_f_one_b"}
    for ax, (how, ranks) in zip(rows, runs.items()):
        colours = {"forward": RANKS[0], "backward": DARK[1]}
        waiting = drawing.timeline(ax, [each["events"] for each in ranks], colours)
        micro = len(ranks[0]["events"]) // 2
        expected = bubble(len(ranks), micro)
        ax.set_title(
            f"{names[how]}: {waiting:.1%} of the time is waiting; (P − 1) / (M + P − 1) = {expected:.1%}", fontsize=11
        )
        events = sorted(ranks[0]["events"], key=lambda event: event[2])
        begin = min(event[2] for each in ranks for event in each["events"])
        times, alive, now = [0.0], [0], 0
        for kind, _, left, _ in events:
            now += 1 if kind == "forward" else -1
            times.append(1e3 * (left - begin))
            alive.append(now)
        rows[2].plot(times, alive, drawstyle="steps-post", label=names[how], color=LINES[0 if how == "gpipe" else 1])
    rows[2].set(ylabel="alive on rank 0", xlabel="milliseconds", yticks=[0, 4, 8], ylim=(0, 8.8))
    rows[2].legend(fontsize=10, loc="upper right")
    figure.legend(
        handles=[Patch(color=RANKS[0], label="forward"), Patch(color=DARK[1], label="backward")],
        loc="outside upper right",
        ncols=2,
        fontsize=10,
    )
    return figure


# -- 6.8 to 6.10 -------------------------------------------------------------------------------------------------


def zero() -> Strip:
    """Three parameters in a row, cut for two ranks without regard to where they end."""
    from stage06_distributed.collectives import chunk_sizes

    sizes, width = [5, 6, 3], 4.4
    strip = Strip(82, 9.0)
    total = sum(sizes)
    parts = chunk_sizes(total, 2)
    starts = [sum(sizes[:number]) for number in range(3)]
    left = 14.0

    def row(y: float, words: str, color: Any) -> None:
        strip.text(left - 2, y, words, PALE, ha="right", fontsize=10)
        for number, start in enumerate(starts):
            for place in range(start, start + sizes[number]):
                strip.box(left + place * width + number * 1.2, y, width - 0.2, *color(place))

    row(1.2, "weights", lambda place: (GRAY,))
    for number, start in enumerate(starts):
        middle = left + (start + sizes[number] / 2) * width + number * 1.2
        shape = ["(5,)", "(2, 3)", "(3,)"][number]
        strip.text(middle, 0.1, f"parameter {number}, {shape}", PALE, ha="center", fontsize=9.5)
    row(3.4, "rank 0", lambda place: (RANKS[0],) if place < parts[0] else (PAPER, GRAY))
    row(4.6, "rank 1", lambda place: (RANKS[1],) if place >= parts[0] else (PAPER, GRAY))
    row(6.9, "weights, on both", lambda place: (RANKS[0],) if place < parts[0] else (RANKS[1],))
    middle = left + total * width / 2 + 1.2
    arrow(strip, (middle, 2.2), (middle, 3.3))
    strip.text(middle + 2, 2.3, "each has m and v of its part, and steps it", PALE, fontsize=10)
    arrow(strip, (middle, 5.7), (middle, 6.8))
    strip.text(middle + 2, 5.75, "all-gather", PALE, fontsize=10)
    strip.text(middle, 8.0, "rank 0 ends in the middle of parameter 1", PALE, ha="center", fontsize=10)
    strip.axes.set_xlim(-3, 82)
    return strip


def memory() -> Figure:
    """Bytes on each rank for each number of the model, by what is shared out; and what was counted."""
    counted = measured("sharded")
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    worlds = [1, 2, 4, 8]
    kinds = [("DataParallel (6.3)", 1, 1), ("+ ShardedOptimizer (6.8)", 1, 0), ("everything sharded (6.13)", 0, 0)]
    colors = {"weights": DARK[0], "gradients": TOKENS[3], "m and v": RANKS[1]}
    for ax, (title, weights_whole, state_whole) in zip(axes, kinds):
        base = [0.0] * 4
        for name, color in colors.items():
            size = 8 if name == "m and v" else 4
            whole = state_whole if name == "m and v" else weights_whole
            heights = [size if whole else size / world for world in worlds]
            ax.bar(range(4), heights, bottom=base, color=color, width=0.7, label=name)
            base = [one + other for one, other in zip(base, heights)]
        for place, top in enumerate(base):
            ax.text(place, top + 0.45, f"{top:g}", ha="center", fontsize=10)
        if (weights_whole, state_whole) == (1, 0):
            for world, ranks in counted.items():
                found = 8 + max(each["state"] for each in ranks) / ranks[0]["numbers"]
                ax.plot(worlds.index(int(world)), found, "o", color=INK, markersize=5, label="counted" * (world == "1"))
        ax.set_xticks(range(4), [f"{world}" for world in worlds])
        ax.set(title=title, xlabel="ranks", ylim=(0, 18), yticks=range(0, 17, 4))
        ax.title.set_fontsize(11)
        ax.grid(axis="x", visible=False)
    axes[0].set_ylabel("bytes for each number")
    handles, labels = axes[1].get_legend_handles_labels()
    keep = [(handle, label) for handle, label in zip(handles, labels) if label]
    figure.legend(*zip(*keep), loc="outside lower center", ncols=4, fontsize=10)
    return figure


def recompute() -> Figure:
    """What is allocated during a forward and a backward of six blocks, as usual and with checkpoints."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    ax = figure.subplots()
    for line, color, words in zip(measured("memory"), LINES, ("as usual", "each block in a checkpoint")):
        times, sizes = zip(*line)
        ax.fill_between(
            [1e3 * each for each in times],
            [each / 2**20 for each in sizes],
            step="post",
            color=color,
            alpha=0.15,
            linewidth=0,
        )
        ax.plot(
            [1e3 * each for each in times],
            [each / 2**20 for each in sizes],
            drawstyle="steps-post",
            color=color,
            linewidth=1.2,
            label=words,
        )
    ax.set(xlabel="milliseconds", ylabel="MiB more than before", ylim=(0, None), xlim=(0, None))
    ax.legend(fontsize=10)
    return figure


def pieces() -> Strip:
    """Four ranks write what they have; the folder has each piece once; two ranks read what they need."""
    strip = Strip(112, 12.4)
    rows = [("embed.token.weight", 0), ("blocks.0…up.weight", 0), ("blocks.1…up.weight", 1), ("head.weight", 1)]
    strip.text(12, 0.1, "tp = 2, pp = 2: four write", ha="center", fontweight="bold")
    for rank in range(4):
        x, y = 1 + (rank % 2) * 12, 1.4 + (rank // 2) * 5.2
        strip.text(x + 5, y, f"rank {rank}", PALE, ha="center", fontsize=10)
        for number in range(2):
            strip.box(x, y + 1.1 + number * 1.3, 10, RANKS[rank], height=0.96)
            name = ["embed", "blocks.0", "blocks.1", "head"][rank // 2 * 2 + number]
            strip.text(x + 5, y + 1.1 + number * 1.3, f"{name}", ha="center", fontsize=10)
    frame(strip, 32, 1.2, 46, 10.6, PALE)
    strip.text(55, 0.1, "the folder: each piece once", ha="center", fontweight="bold")
    for number, (name, stage) in enumerate(rows):
        y = 1.7 + number * 2.5
        strip.text(34, y + 0.5, name, fontsize=10)
        for half in range(2):
            strip.box(54, y + half * 1.05, 22, RANKS[2 * stage + half])
            which, of = ("last" if half else "first"), ("F/2" if name.startswith("blocks") else "V/2")
            strip.text(65, y + half * 1.05, f"the {which} {of} rows", ha="center", fontsize=10)
    strip.text(99, 0.1, "tp = 1, pp = 2: two read", ha="center", fontweight="bold")
    for rank in range(2):
        y = 1.4 + rank * 5.2
        strip.text(102, y, f"rank {rank}", PALE, ha="center", fontsize=10)
        for number in range(2):
            for half in range(2):
                strip.box(94 + half * 8, y + 1.1 + number * 1.3, 8, RANKS[2 * rank + half], height=0.96)
            name = ["embed", "blocks.0", "blocks.1", "head"][rank * 2 + number]
            strip.text(93, y + 1.1 + number * 1.3, name, ha="right", fontsize=10)
    for y in (3.9, 9.1):
        arrow(strip, (25.5, y), (31.3, y))
        arrow(strip, (78.5, y), (83.5, y))
    return strip


def plan() -> Figure:
    """What the candidates of the lesson's plan take of a GPU's memory, and of time."""
    from stage06_distributed.plan import CANDIDATES, GPU, worst

    figure = Figure(figsize=(9, 4.2))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2, 1])
    names = []
    parts = ("weights", "gradients", "optimizer", "buffers", "activations")
    for row, (layout, zero, recompute) in enumerate(CANDIDATES):
        its, begin = worst(layout, zero, recompute), 0.0
        for part, color in zip(parts, LINES):
            width = getattr(its, part) / 1e9
            left.barh(row, width, 0.7, begin, color=color, label=None if row else part)
            begin += width
        right.barh(row, its.seconds, 0.7, color=PALE if its.memory <= GPU.memory else PAPER, edgecolor=PALE)
        words = ["·".join(f"{key}{size}" for key, size in vars(layout).items() if size > 1)]
        names.append(", ".join(words + ["zero"] * zero + ["again"] * recompute))
    left.axvline(GPU.memory / 1e9, color=INK)
    left.text(GPU.memory / 1e9 + 2, len(names) - 1.3, f"{GPU.memory / 1e9:.0f} GB", va="center")
    left.set_yticks(range(len(names)), names)
    left.set_xlabel("GB on the fullest GPU")
    right.set_xlabel("seconds a step; white: does not fit")
    left.invert_yaxis()
    for axes in (left, right):
        axes.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=len(parts), bbox_to_anchor=(0.5, 1.0))
    return figure


FIGURES = [
    ways,
    mesh,
    ring,
    deal,
    buckets,
    formats,
    gradients,
    scale,
    tensor,
    pipeline,
    zero,
    memory,
    recompute,
    pieces,
    plan,
]


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
