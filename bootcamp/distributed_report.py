"""What several processes were busy with in a step, as a picture, and how a run on them compares with one on one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootcamp import drawing, page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"forward": "#cfe0f3", "backward": "#f9d5da", "rest": "#f0e6b8"}
SAID = {"forward": "forward", "backward": "backward", "rest": "waiting for the last, norm, clipping, optimizer"}
TEXT = (
    "The same model once more, its {layers} blocks cut into two stages, each in a process of its own; products in "
    "bf16, weights and sums in float32. Rank 0 has the embedding and the first blocks, rank 1 the rest and the loss. A "
    "batch is cut into {count} micro-batches, so that both have something to do; the numbers say which one. Gaps are "
    "time in which a process waits for the other."
)
BESIDE = "After {steps} steps one process in float32 was at a loss of {one:.3f}, the two in bf16 at {two:.3f}."


def timeline(ranks: Sequence[Sequence[Sequence[Any]]]) -> Figure:
    """Draw what each process was busy with (see `drawing.timeline`), and say what the colours mean."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    drawing.styled()
    figure = Figure(figsize=(8, 0.8 + 0.55 * len(ranks)))
    axes = figure.subplots()
    drawing.timeline(axes, ranks, COLOURS)
    axes.set_xlabel("milliseconds")
    axes.legend(
        handles=[Patch(facecolor=colour, label=SAID[kind]) for kind, colour in COLOURS.items()],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(COLOURS),
    )
    return figure


def two_processes_section(folder: Path, alone: Path) -> str:
    """Write of a run on two processes, beside one of a single process that began with the same weights and batches.

    Args:
        folder: of the run, with its metrics and "timeline.json".
        alone: of the other one.
    """
    from stage05_training.run_log import read_metrics

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    ranks = json.loads((folder / "timeline.json").read_text(encoding="utf-8"))["ranks"]
    count = 1 + max(number for _, number, _, _ in ranks[0])
    parts = [page.paragraph(TEXT.format(layers=config["model"]["n_layers"], count=count))]
    losses = [[each["loss"] for each in read_metrics(run) if each["kind"] == "step"] for run in (alone, folder)]
    same = json.loads((alone / "config.json").read_text(encoding="utf-8")) == config
    if same and (steps := min(map(len, losses))):
        means = [sum(each[max(steps - 5, 0) : steps]) / min(steps, 5) for each in losses]
        parts.append(page.paragraph(BESIDE.format(steps=steps, one=means[0], two=means[1])))
    parts.append(f"<figure>{drawing.inline(timeline(ranks), escape('what each process was busy with'))}</figure>")
    return page.section("The same on two processes", *parts)
