"""How a model has learned, as one page: curves beside the floor, what it wrote on the way, where it looks."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootcamp import drawing, page
from bootcamp.corpus import inconsistencies

if TYPE_CHECKING:
    from stage05_training.config import TrainConfig
    from stage05_training.data import Data

LOOKED_AT = 16  # tokens of a text whose attention is drawn as a map
LOOKED_THROUGH = 90  # tokens among which a word that comes again is looked for


def training_sections(
    folder: Path,
    config: TrainConfig,
    data: Data,
    floor: float | None = None,
    model: Any = None,
    told: Told | None = None,
) -> list[str]:
    """Write the sections of a page from what a run has left in its folder.

    Args:
        folder: of the run; its metrics are read.
        config, data: of the run.
        floor: the loss, in nats per token of the validation texts, that no model can beat; None if nobody knows it.
        model: the model as it is now, whose attention is drawn; None leaves that out.
        told: the stories that it has told, if it was taught stories.
    """
    from stage05_training.run_log import read_metrics

    metrics = read_metrics(folder)
    steps, looks, texts = ([each for each in metrics if each["kind"] == kind] for kind in KINDS)
    tokens, seconds = sum(each["tokens"] for each in steps), sum(each["seconds"] for each in steps)
    last = looks[-1]["loss"] if looks else None
    facts = [
        ("steps", f"{steps[-1]['step'] if steps else 0:,}"),
        ("tokens seen", f"{tokens:,}"),
        ("tokens a second", f"{tokens / max(seconds, 1e-9):,.0f}"),
    ]
    if last is not None:
        facts += [
            ("validation loss, nats a token", f"{last:.3f}"),
            ("bits a byte", f"{looks[-1]['bits_per_byte']:.3f}"),
        ]
        if floor is not None:
            facts.append((f"above the floor of {floor:.3f}", f"{last / floor - 1:.1%}"))
    if told:
        facts.append((f"of {len(told.stories)} stories hold together", f"{len(told.good)}"))
    sections = [
        page.facts(facts),
        page.section(
            "How it went",
            page.paragraph(LOSS_TEXT if floor else LOSS_TEXT.split("The dashed")[0]),
            curves(steps, looks, floor),
        ),
    ]
    if texts:
        sections.append(page.section("What it wrote on the way", page.paragraph(SAMPLES_TEXT), slider(texts)))
    if told:
        sections.append(stories_section(told))
    if model is not None:
        sections.append(page.section("Where it looks", looking_back(model, data), attention_maps(model, data)))
    sections.append(page.section("How it was made", settings(config)))
    sections.append(
        page.section("What to try next", advice(config, steps, last, floor), f'<pre class="cmd">{TRY}</pre>')
    )
    return sections


KINDS = ("step", "evaluation", "samples")
LOSS_TEXT = (
    "The loss of each step, pale; its running mean; and, as points, the loss on whole texts that the model is not "
    "trained on. The dashed line is the entropy of these texts: they come from a distribution that is known, and no "
    "model can do better on average."
)
SAMPLES_TEXT = "Always from the same beginnings, and with the same draws. Move the dial."
AGAIN_TEXT = (
    "Here the model has read up to the mark, and is to say what comes next: <b>{word}</b>, to which it gives "
    "{share:.0%}. The more colour a token has, the more of each head's attention it gets. A head that copies looks at "
    "where the word stood before."
)
ATTENTION_TEXT = (
    "The first tokens of the text, all places at once: which (row) looks at which (column), head by head, in the first "
    "and the last layer. Rows add up to 1. A dark first column often means that a head has nothing to say."
)
TOLD_TEXT = (
    "The stories begin with nothing but the mark that one begins: {sentence}: hero, thing, colour, friend, "
    "food, and a or an."
)
TRY = """python3 -m bootcamp train --max-lr 0.1            # far too high: what does the loss do?
python3 -m bootcamp train --warmup 0 --placement post
python3 -m bootcamp train --position none         # can it tell a story without knowing places?
python3 -m bootcamp train --corpus stdlib         # another kind of text"""


def running_mean(values: Sequence[float], weight: float = 0.95) -> list[float]:
    """An exponential mean, which at the start is the mean of what there is."""
    means, total, share = [], 0.0, 0.0
    for value in values:
        total, share = weight * total + value, weight * share + 1
        means.append(total / share)
    return means


def curves(steps: list[dict[str, Any]], looks: list[dict[str, Any]], floor: float | None) -> str:
    """Loss, learning rate, gradient norm and throughput over the steps."""
    from matplotlib.figure import Figure

    drawing.styled()
    x = [each["step"] for each in steps]
    figure = Figure(figsize=(7, 3.8))
    axes = figure.subplots()
    losses = [each["loss"] for each in steps]
    axes.plot(x, losses, color=drawing.PALE, linewidth=0.6, alpha=0.6)
    axes.plot(x, running_mean(losses), color=drawing.LINES[0], label="training")
    if looks:
        axes.plot(
            [e["step"] for e in looks], [e["loss"] for e in looks], "o-", color=drawing.LINES[1], label="validation"
        )
    if floor is not None:
        axes.axhline(floor, color=drawing.LINES[2], linestyle="--", label=f"floor, {floor:.3f}")
    axes.set(xlabel="step", ylabel="loss, nats a token", yscale="log")
    low, high = min([*losses, floor or losses[0]]), max(losses)
    axes.set_yticks(
        ticks := [tick for tick in TICKS if low * 0.9 <= tick <= high * 1.1], [f"{tick:g}" for tick in ticks]
    )
    axes.minorticks_off()
    axes.legend()
    pictures = [f"<figure>{drawing.inline(figure, 'loss over the steps')}</figure>"]
    for name, label, scale in (
        ("lr", "learning rate", "linear"),
        ("grad_norm", "norm of the gradients, before clipping", "log"),
        ("rate", "tokens a second", "linear"),
    ):
        figure = Figure(figsize=(7, 2.2))
        axes = figure.subplots()
        values = [e["tokens"] / max(e["seconds"], 1e-9) if name == "rate" else e[name] for e in steps]
        axes.plot(x, running_mean(values, 0.8) if name == "rate" else values, color=drawing.LINES[0], linewidth=1.2)
        axes.set(xlabel="step", title=label, yscale=scale)
        if scale == "linear":
            axes.set_ylim(bottom=0)
        pictures.append(f"<figure>{drawing.inline(figure, label)}</figure>")
    return "\n".join(pictures)


TICKS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 50, 100)


def slider(texts: list[dict[str, Any]]) -> str:
    """The samples of each evaluation, with a slider to choose."""
    versions = ["".join(f'<div class="text sample">{escape(text)}</div>' for text in each["texts"]) for each in texts]
    return page.dial("after step", [f"{each['step']:,}" for each in texts], versions)


class Told:
    """Stories that a model has told without a prompt, and whether they hold together.

    Attributes:
        stories: all of them.
        good: those in which nothing contradicts what came before.
        hero: in how many the hero keeps name and pronoun, whatever else there is.
        sentence: what came of it.
    """

    def __init__(self, stories: Sequence[str]) -> None:
        self.stories = stories
        self.good = [story for story in stories if not inconsistencies(story)]
        self.hero = sum(not inconsistencies(story, {"hero"}) for story in stories)
        self.sentence = (
            f"of {len(stories)} stories, {self.hero} keep the hero's name and pronoun, and in {len(self.good)} all "
            "holds together"
        )


def stories_section(told: Told) -> str:
    """What a model has told, first where it fails."""
    parts = [page.paragraph(TOLD_TEXT.format(sentence=told.sentence))]
    for story in [story for story in told.stories if story not in told.good][:3]:
        faults = "; ".join(inconsistencies(story))
        parts.append(f'<div class="text sample">{escape(story)}\n<span class="fault">{escape(faults)}</span></div>')
    parts += [f'<div class="text sample">{escape(story)}</div>' for story in told.good[:3]]
    return page.section("Do its stories hold together?", *parts)


def look(model: Any, data: Data, count: int) -> tuple[list[int], list[str], Any, Any]:
    """Let a model read the first tokens of a validation text: ids, what each says, log-probabilities, weights."""
    import torch

    ids = data.validation_documents[0][: min(count, model.config.context_length)]
    model.eval()
    with torch.no_grad():
        logits, weights = model(torch.tensor([ids], device=next(model.parameters()).device), return_weights=True)
    words = ["·" if id == data.end_id else data.tokenizer.decode([id]) for id in ids]
    return ids, words, torch.log_softmax(logits[0].float(), dim=-1).cpu(), [each[0].cpu() for each in weights]


def looking_back(model: Any, data: Data) -> str:
    """Where each head looks when a word comes again: the one that the model has learned best to repeat."""
    ids, words, shares, weights = look(model, data, LOOKED_THROUGH)
    often = Counter(id for document in data.validation_documents[:200] for id in document)
    again = [place for place in range(1, len(ids)) if ids[place] in ids[: max(place - 4, 0)]]
    if not again:
        return ""
    # Best: by how much likelier it became than the word is anywhere.
    place = max(again, key=lambda at: float(shares[at - 1, ids[at]]) - math.log(often[ids[at]] / often.total()))
    rows = []
    for layer, heads in enumerate(weights):
        for head, row in enumerate(heads[:, place - 1, :place]):
            top = max(float(row.max()), 1e-9)
            spans = "".join(
                f'<i style="--w:{float(weight) / top:.2f}" title="{float(weight):.0%}">{escape(word)}</i>'
                for word, weight in zip(words, row)
            )
            rows.append(f'<div><h3>layer {layer}, head {head}</h3><div class="text heat">{spans}<b>▮</b></div></div>')
    lead = AGAIN_TEXT.format(word=escape(words[place].strip()), share=math.exp(float(shares[place - 1, ids[place]])))
    return page.paragraph(lead) + '\n<div class="heats">' + "\n".join(rows) + "</div>"


def attention_maps(model: Any, data: Data) -> str:
    """The weights of the first and the last layer on the beginning of a validation text."""
    from stage03_attention import attention_grid

    _, words, _, weights = look(model, data, LOOKED_AT)
    drawing.styled()
    parts = [page.paragraph(ATTENTION_TEXT)]
    for number in sorted({0, len(weights) - 1}):
        heads = weights[number][:4]
        figure = attention_grid(
            heads, words, titles=[f"layer {number}, head {head}" for head in range(len(heads))], columns=2
        )
        parts.append(f"<figure>{drawing.inline(figure, f'attention weights of layer {number}')}</figure>")
    return "\n".join(parts)


def settings(config: TrainConfig) -> str:
    """The configuration as a table."""
    table = asdict(config)
    model = table.pop("model")
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(json.dumps(value, ensure_ascii=False))}</td></tr>"
        for name, value in (model | table).items()
    )
    return f'<table class="settings">{rows}</table>'


def advice(config: TrainConfig, steps: list[dict[str, Any]], last: float | None, floor: float | None) -> str:
    """What the curves suggest."""
    found = []
    if steps:
        losses = running_mean([each["loss"] for each in steps])
        if max(losses[len(losses) // 4 :], default=0.0) > 1.15 * losses[len(losses) // 4]:
            found.append(
                "The loss went up on the way: try a lower <code>--max-lr</code> or a longer <code>--warmup</code>."
            )
        late = losses[-max(len(losses) // 10, 1)]
        there = last is not None and floor is not None and last < 1.05 * floor  # no steps lead below the floor
        if losses[-1] < 0.97 * late and not there:
            found.append("The loss was still falling at the end: more <code>--steps</code> will pay.")
        if config.max_norm is not None:
            clipped = sum(each["grad_norm"] > config.max_norm for each in steps) / len(steps)
            found.append(f"{clipped:.0%} of the steps were clipped.")
        if last is not None and losses[-1] < 0.8 * last:
            found.append(
                "The training loss is far below the validation loss: the model learns its texts by heart. More text, a "
                "smaller model, or <code>--dropout 0.1</code>."
            )
    if last is not None and floor is not None:
        found.append(f"What is left to the floor is {last - floor:.3f} nats a token.")
    return f"<ul>{''.join(f'<li>{each}</li>' for each in found)}</ul>" if found else ""
