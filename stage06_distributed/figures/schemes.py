"""The schemes among this lesson's figures: who holds what, and who sends what to whom."""

from __future__ import annotations

from typing import Any

import torch

from bootcamp.drawing import INK, LINES, PALE, PAPER, TOKENS, Strip

GRAY = "#e9ecef"
RANKS = [TOKENS[0], TOKENS[1], TOKENS[2], TOKENS[3]]


def arrow(strip: Strip, start: tuple[float, float], end: tuple[float, float], color: str = PALE) -> None:
    """Draw an arrow between two places of a strip, in characters and lines."""
    style = {"arrowstyle": "->", "color": color, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    strip.axes.annotate("", end, start, arrowprops=style)


def frame(strip: Strip, x: float, y: float, width: float, height: float, color: str) -> None:
    """Draw a line around a part of a strip."""
    strip.axes.plot(
        [x, x + width, x + width, x, x], [y, y, y + height, y + height, y], color=color, linewidth=1.3, zorder=0.5
    )


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
