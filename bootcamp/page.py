"""Reports as one HTML file: no server, no network, light and dark, wide and narrow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

STYLE = Path(__file__).with_suffix(".css")


def page(title: str, lead: str, sections: Iterable[str]) -> str:
    """Put a page together from its sections."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(title)}</h1>\n<p class="lead">{lead}</p>\n'
        + "\n".join(sections)
        + "\n</main>\n"
        + f"<script>{DIALS}</script>\n</body>\n</html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A heading with what stands under it."""
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def dial(caption: str, labels: Sequence[str], versions: Sequence[str]) -> str:
    """One of several versions, with a slider to choose; the last is shown first, and each has a label."""
    last = len(versions) - 1
    shown = "".join(f"<div{'' if number == last else ' hidden'}>{each}</div>" for number, each in enumerate(versions))
    return (
        f'<div class="dial"><label>{escape(caption)} <output>{escape(labels[last])}</output>'
        f'<input type="range" min="0" max="{last}" value="{last}" data-labels="{escape(json.dumps(labels))}"></label>'
        f"<div>{shown}</div></div>"
    )


DIALS = """
for (const dial of document.querySelectorAll(".dial")) {
  const slider = dial.querySelector("input"), labels = JSON.parse(slider.dataset.labels);
  slider.addEventListener("input", () => {
    dial.querySelector("output").textContent = labels[slider.value];
    [...dial.lastElementChild.children].forEach((each, i) => { each.hidden = i != slider.value; });
  });
}
"""


def paragraph(html: str) -> str:
    return f"<p>{html}</p>"


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Figures with their labels, side by side."""
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>" for label, value in rows)
    return f'<div class="facts">{cells}</div>'


def token_spans(tokens: Iterable[tuple[str, str]]) -> str:
    """Texts of tokens side by side, each in a colour, with a title that shows when the pointer rests on it."""
    spans = (
        f'<i class="c{index % 6}" title="{escape(title)}">{escape(text)}</i>'
        for index, (text, title) in enumerate(tokens)
    )
    return "".join(spans)
