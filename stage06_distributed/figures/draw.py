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

import schemes

from bootcamp import drawing, stages
from bootcamp.drawing import INK, LINES, PALE, PAPER, TOKENS, Strip

HERE = Path(__file__).resolve().parent
RANKS = schemes.RANKS
DARK = ["#7fa8d6", "#e9909c", "#86c08d", "#d3bf5a"]


def measured(name: str) -> Any:
    """Give what measure.py has found."""
    return json.loads((HERE / "measured.json").read_text(encoding="utf-8"))[name]


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
    schemes.ways,
    schemes.mesh,
    schemes.ring,
    schemes.deal,
    buckets,
    formats,
    gradients,
    scale,
    schemes.tensor,
    pipeline,
    schemes.zero,
    memory,
    recompute,
    schemes.pieces,
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
