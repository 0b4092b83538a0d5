"""Reports as one HTML file: no server, no network, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d9dee3; --card: #f6f8fa;
  --accent: #2563a8; --t0: #cfe0f3; --t1: #f9d5da; --t2: #cfe8d2; --t3: #f0e6b8; --t4: #e6cfe0; --t5: #c9eef6; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e6eaee; --soft: #9aa4ae; --line: #313a44;
  --card: #1c2229; --accent: #79b0ea; --t0: #24405f; --t1: #632c36; --t2: #24502d; --t3: #564a17; --t4: #4e2a46;
  --t5: #184a55; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; }
.lead, .note { color: var(--soft); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.2rem 0; }
.facts div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
.facts b { display: block; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.facts span { color: var(--soft); font-size: .85rem; }
.text, code, .merges { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.text { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .9rem; overflow-wrap: anywhere;
  font-size: .88rem; line-height: 1.9; white-space: pre-wrap; }
.text i { font-style: normal; border-radius: .22rem; padding: .12rem 0; }
.c0 { background: var(--t0); } .c1 { background: var(--t1); } .c2 { background: var(--t2); }
.c3 { background: var(--t3); } .c4 { background: var(--t4); } .c5 { background: var(--t5); }
.merges { columns: 15rem; font-size: .85rem; padding: 0; margin: .8rem 0; list-style: none; max-height: 24rem; overflow: auto; }
.merges li { break-inside: avoid; padding: .08rem 0; white-space: nowrap; }
.merges b { color: var(--soft); font-weight: 400; display: inline-block; min-width: 3.4em; text-align: right;
  margin-right: .6em; }
.merges i { font-style: normal; border-radius: .2rem; padding: 0 .15em; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; }
input[type=range] { width: 100%; max-width: 30rem; accent-color: var(--accent); }
label { display: block; margin: .8rem 0 .3rem; } output { font-variant-numeric: tabular-nums; font-weight: 600; }
pre.cmd { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem; overflow: auto; }
a { color: var(--accent); }
"""


def page(title: str, lead: str, sections: Iterable[str], script: str = "") -> str:
    """Put a page together from its sections."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(title)}</h1>\n<p class="lead">{lead}</p>\n'
        + "\n".join(sections)
        + "\n</main>\n"
        + (f"<script>{script}</script>\n" if script else "")
        + "</body>\n</html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A heading with what stands under it."""
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def paragraph(html: str) -> str:
    return f"<p>{html}</p>"


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Figures with their labels, side by side."""
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>" for label, value in rows)
    return f'<div class="facts">{cells}</div>'


def token_spans(tokens: Iterable[tuple[str, str]]) -> str:
    """Texts of tokens side by side, each in a colour, with a title that shows when the pointer rests on it."""
    return "".join(
        f'<i class="c{index % 6}" title="{escape(title)}">{escape(text)}</i>' for index, (text, title) in enumerate(tokens)
    )
