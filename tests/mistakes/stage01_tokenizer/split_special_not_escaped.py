# module: pretokenize.py
# exercise: 1.3
# name: the signs of a special token are read as a pattern
from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import regex

GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

BLOCK = 1 << 16
REACH = 256


def pretokenize(text: str, pattern: str = GPT2_PATTERN) -> list[str]:
    pieces = []
    last = 0
    for match in regex.finditer(pattern, text):
        if match.start() > last:
            pieces.append(text[last : match.start()])
        if match.end() > match.start():
            pieces.append(match.group(0))
        last = match.end()
    if last < len(text):
        pieces.append(text[last:])
    return pieces


def split_special(text: str, special_tokens: Iterable[str]) -> list[str]:
    specials = sorted(special_tokens, key=lambda special: -len(special))
    if "" in specials:
        raise ValueError("a special token must not be empty")
    if not specials:
        return [text] if text else []
    pieces = regex.split("(" + "|".join(specials) + ")", text)
    return [piece for piece in pieces if piece]


def stretches(
    chunks: Iterable[str], special_tokens: Collection[str] = (), pattern: str = GPT2_PATTERN
) -> Iterator[str]:
    raise NotImplementedError("1.6 stretches")
