"""1.3, differently: a set of places to cut at, sorted and taken pairwise; special tokens as one named list."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain, pairwise

import regex

GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def pretokenize(text: str, pattern: str = GPT2_PATTERN) -> list[str]:
    """Cut `text` where a match of `pattern` begins or ends; that keeps the matches and the gaps."""
    return _cut_around(regex.compile(pattern), text)


def split_special(text: str, special_tokens: Iterable[str]) -> list[str]:
    """Cut `text` around its special tokens, the longest where several start at one place."""
    tokens = frozenset(special_tokens)
    if "" in tokens:
        raise ValueError("a special token must not be empty")
    return _cut_around(_any_of(tokens), text)


def _cut_around(pattern: regex.Pattern[str], text: str) -> list[str]:
    """Cut at both ends of every match. A set cannot yield an empty piece, a sorted one loses nothing."""
    spans = (match.span() for match in pattern.finditer(text))
    return [text[start:end] for start, end in pairwise(sorted({0, len(text), *chain.from_iterable(spans)}))]


@lru_cache(maxsize=64)
def _any_of(tokens: frozenset[str]) -> regex.Pattern[str]:
    """A named list takes the longest of its texts and needs no escaping; without any, match nowhere."""
    return regex.compile(r"\L<tokens>", tokens=tokens) if tokens else regex.compile(r"(?!)")
