# module: pretokenize.py
# exercise: 1.3
# name: only the matches are kept, and what lies between them is lost
from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import regex

GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

BLOCK = 1 << 16
REACH = 256


def pretokenize(text: str, pattern: str = GPT2_PATTERN) -> list[str]:
    pieces = []
    for match in regex.compile(pattern).finditer(text):
        if match[0] != "":
            pieces.append(match[0])
    return pieces


def split_special(text: str, special_tokens: Iterable[str]) -> list[str]:
    specials = list(special_tokens)
    if "" in specials:
        raise ValueError("a special token must not be empty")
    specials.sort(key=len, reverse=True)
    pieces, ordinary, i = [], "", 0
    while i < len(text):
        for special in specials:
            if text.startswith(special, i):
                if ordinary:
                    pieces.append(ordinary)
                pieces.append(special)
                ordinary = ""
                i += len(special)
                break
        else:
            ordinary += text[i]
            i += 1
    if ordinary:
        pieces.append(ordinary)
    return pieces


def stretches(
    chunks: Iterable[str], special_tokens: Collection[str] = (), pattern: str = GPT2_PATTERN
) -> Iterator[str]:
    raise NotImplementedError("1.6 stretches")
