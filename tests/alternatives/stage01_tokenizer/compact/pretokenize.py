"""1.3, differently: a set of places to cut at, sorted and taken pairwise; special tokens as one named list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, pairwise, starmap

import regex

GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def pretokenize(text: str, pattern: str = GPT2_PATTERN) -> list[str]:
    """Cut `text` where a match of `pattern` begins or ends; that keeps the matches and the gaps."""
    return list(pieces_from(0, text, pattern))


def split_special(text: str, special_tokens: Iterable[str]) -> list[str]:
    """Cut `text` around its special tokens, the longest where several start at one place."""
    tokens = frozenset(special_tokens)
    if "" in tokens:
        raise ValueError("a special token must not be empty")
    return list(_cut_around(_any_of(tokens), text, 0))


def pieces_from(start: int, text: str, pattern: str) -> Iterator[str]:
    """Give the pre-tokens from `start` on, where one begins; what stands before it may be looked back at."""
    return _cut_around(regex.compile(pattern), text, start)


def _cut_around(pattern: regex.Pattern[str], text: str, start: int) -> Iterator[str]:
    """Cut at both ends of every match. A set cannot yield an empty piece, a sorted one loses nothing."""
    spans = (match.span() for match in pattern.finditer(text, start))
    cuts = {start, len(text), *chain.from_iterable(spans)}
    return starmap(text.__getitem__, ((slice(*ends),) for ends in pairwise(sorted(cuts))))


@lru_cache(maxsize=64)
def _any_of(tokens: frozenset[str]) -> regex.Pattern[str]:
    """A named list takes the longest of its texts and needs no escaping; without any, match nowhere."""
    return regex.compile(r"\L<tokens>", tokens=tokens) if tokens else regex.compile(r"(?!)")
