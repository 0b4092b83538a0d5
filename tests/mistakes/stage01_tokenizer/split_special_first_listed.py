# module: pretokenize.py
# exercise: 1.3
# name: of special tokens that start at one place, the one that is listed first is taken
from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import regex

GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

BLOCK = 1 << 16
REACH = 256


def pretokenize(text: str, pattern: str = GPT2_PATTERN) -> list[str]:
    cuts = {0, len(text)}
    for match in regex.finditer(pattern, text):
        cuts.update(match.span())
    places = sorted(cuts)
    return [text[begin:end] for begin, end in zip(places, places[1:])]


def split_special(text: str, special_tokens: Iterable[str]) -> list[str]:
    specials = list(special_tokens)
    for special in specials:
        if not special:
            raise ValueError("a special token must not be empty")
    pieces = []
    begin = i = 0
    while i < len(text):
        found = next((special for special in specials if text[i : i + len(special)] == special), None)
        if found is None:
            i += 1
            continue
        pieces += [text[begin:i], found]
        begin = i = i + len(found)
    pieces.append(text[begin:])
    return list(filter(None, pieces))


def stretches(
    chunks: Iterable[str], special_tokens: Collection[str] = (), pattern: str = GPT2_PATTERN
) -> Iterator[str]:
    raise NotImplementedError("1.6 stretches")
