# module: pretokenize.py
# exercise: 1.3
# name: only the first special token of the text is cut out
from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import regex

GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

BLOCK = 1 << 16
REACH = 256


def pretokenize(text: str, pattern: str = GPT2_PATTERN) -> list[str]:
    pieces, rest = [], 0
    for match in regex.finditer(pattern, text):
        begin, end = match.span()
        pieces += [text[rest:begin], text[begin:end]]
        rest = end
    return [piece for piece in [*pieces, text[rest:]] if len(piece) > 0]


def split_special(text: str, special_tokens: Iterable[str]) -> list[str]:
    specials = list(special_tokens)
    if "" in specials:
        raise ValueError("a special token must not be empty")
    found = [(text.index(special), -len(special), special) for special in specials if special in text]
    if not found:
        return [text] if text else []
    place, _, special = min(found)
    pieces = [text[:place], special, text[place + len(special) :]]
    return [piece for piece in pieces if piece]


def stretches(
    chunks: Iterable[str], special_tokens: Collection[str] = (), pattern: str = GPT2_PATTERN
) -> Iterator[str]:
    raise NotImplementedError("1.6 stretches")
