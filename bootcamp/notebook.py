"""What the notebooks share: where they start, text shown as tokens in colour, and functions in several processes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from html import escape
from typing import Any

import matplotlib
from IPython.core.getipython import get_ipython  # type: ignore[import-not-found]
from IPython.display import HTML  # type: ignore[import-not-found] - there is one wherever a notebook runs

from bootcamp.drawing import INK, STYLE, TOKENS, visible

if shell := get_ipython():
    shell.run_line_magic("matplotlib", "inline")  # a figure at the end of a cell is shown as a picture
    shell.run_line_magic("config", "InlineBackend.rc = {}")
    matplotlib.rcParams.update(STYLE)  # type: ignore[call-overload, arg-type]


def show_pieces(*rows: Iterable[str] | tuple[str, Iterable[str]]) -> HTML:
    """Show texts cut into pieces, each piece in a colour; a row may be a label with its pieces."""
    lines = []
    for row in rows:
        label, pieces = row if isinstance(row, tuple) and len(row) == 2 else ("", row)
        spans = "".join(
            f'<span style="background:{TOKENS[i % len(TOKENS)]};color:{INK};border-radius:3px;padding:1px 0">'
            f"{escape(visible(str(piece)))}</span>"
            for i, piece in enumerate(pieces)
        )
        lines.append(
            f'<tr><td style="text-align:left;padding-right:1em;white-space:nowrap">{escape(str(label))}</td>'
            f'<td style="text-align:left;font-family:monospace;white-space:pre-wrap">{spans}</td></tr>'
        )
    return HTML(f"<table>{''.join(lines)}</table>")


def show_tokens(tokenizer: Any, *texts: str) -> HTML:
    """Show texts cut into the tokens of a tokenizer, with the number of tokens before each."""
    rows = []
    for text in texts:
        ids = tokenizer.encode(text)
        rows.append((f"{len(ids)} tokens", [tokenizer.decode([id]) for id in ids]))
    return show_pieces(*rows)


def on_ranks(world: int, function: Callable[..., Any], *args: Any, seconds: float = 60.0) -> list[Any]:
    """Run `function(rank, *args)` in `world` processes that can send each other messages; give the results by rank.

    The function is taken to them as text, since not every system can hand on what was written in a notebook: what it
    uses, it imports.
    """
    from bootcamp.grading import ranks

    return ranks.on_ranks(world, _written_out, inspect.getsource(function), function.__name__, *args, seconds=seconds)


def _written_out(rank: int, source: str, name: str, *args: Any) -> Any:
    """Run a function of which there is the text, as one of several processes."""
    names: dict[str, Any] = {}
    exec(compile(source, "<notebook>", "exec"), names)
    return names[name](rank, *args)
