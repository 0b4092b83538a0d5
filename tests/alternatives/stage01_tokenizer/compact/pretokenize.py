"""1.3, differently: a set of places to cut at, sorted and taken pairwise; special tokens as one named list."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache, partial
from itertools import accumulate, chain, groupby, pairwise, starmap

import regex

GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

BLOCK = 1 << 13  # characters that a stream is regrouped into
MARGIN = 256  # how many characters a pattern may look before and behind a cut …
PIECES = 3  # … and at how many pieces behind it, of which the last may not be whole


def pretokenize(text: str, pattern: str = GPT2_PATTERN) -> list[str]:
    """Cut `text` where a match of `pattern` begins or ends; that keeps the matches and the gaps."""
    return list(_cut_around(regex.compile(pattern), text))


def split_special(text: str, special_tokens: Iterable[str]) -> list[str]:
    """Cut `text` around its special tokens, the longest where several start at one place."""
    tokens = frozenset(special_tokens)
    if "" in tokens:
        raise ValueError("a special token must not be empty")
    return list(_cut_around(_any_of(tokens), text))


def _cut_around(pattern: regex.Pattern[str], text: str, start: int = 0) -> Iterator[str]:
    """Cut at both ends of every match from `start` on: a set of cuts leaves no empty piece, a sorted one no gap."""
    if not pattern.groups and not pattern.flags & regex.REVERSE:
        pieces: list[str] = pattern.findall(text, start)
        if sum(map(len, pieces)) == len(text) - start:  # the matches are all that there is
            return filter(None, pieces)
    cuts = {start, len(text), *chain.from_iterable(match.span() for match in pattern.finditer(text, start))}
    return map(text.__getitem__, starmap(slice, pairwise(sorted(cuts))))


@lru_cache(maxsize=64)
def _any_of(tokens: frozenset[str]) -> regex.Pattern[str]:
    """A named list takes the longest of its texts and needs no escaping; without any, match nowhere."""
    return regex.compile(r"\L<tokens>", tokens=tokens) if tokens else regex.compile(r"(?!)")


def pretokenize_stream(
    chunks: Iterable[str], special_tokens: Collection[str] = (), pattern: str = GPT2_PATTERN
) -> Iterator[list[str]]:
    """Cut a text that comes in chunks into special tokens and pre-tokens, a list of them at a time."""
    tokens = frozenset(special_tokens)
    cut = {True: zip, False: partial(_certain, regex.compile(pattern))}
    for special, segments in groupby(_segments(_blocks(chunks), tokens), key=tokens.__contains__):
        yield from map(list, cut[special](segments))


def _blocks(chunks: Iterable[str]) -> Iterator[str]:
    """Regroup chunks of any length into blocks of about the same."""
    held, size = [], 0
    for chunk in chunks:
        for part in (chunk[start : start + BLOCK] for start in range(0, len(chunk), BLOCK)):
            held.append(part)
            size += len(part)
            if size >= BLOCK:
                yield "".join(held)
                held, size = [], 0
    yield "".join(held)


def _segments(blocks: Iterable[str], tokens: frozenset[str]) -> Iterator[str]:
    """Give each special token, and in some pieces the plain text before, between and behind."""
    longest = max(map(len, tokens), default=1)
    rest = ""
    for block, ended in chain(((block, False) for block in blocks), [("", True)]):
        text, place = rest + block, 0
        certain = len(text) - (0 if ended else longest - 1)  # before it, every special token is there to its end
        for piece in split_special(text, tokens):
            if place >= certain:
                break
            end = place + len(piece) if piece in tokens else min(place + len(piece), certain)
            yield text[place:end]
            place = end
        rest = text[place:]


def _certain(pattern: regex.Pattern[str], segments: Iterable[str]) -> Iterator[list[str]]:
    """Give the pre-tokens of one text, each as soon as nothing behind it can change it."""
    text, start = "", 0  # what stands before start has been given, and is there to be looked back at
    held, size, enough = [], 0, 0
    for segment in segments:
        held.append(segment)
        size += len(segment)
        if size < enough:  # to look again at a piece that does not end only when it has doubled
            continue
        text, held, size = text + "".join(held), [], 0
        pieces = list(_cut_around(pattern, text, start))
        cuts = list(accumulate(map(len, pieces), initial=start))
        safe = max(0, min(bisect_right(cuts, len(text) - MARGIN) - 1, len(pieces) - PIECES))
        yield pieces[:safe]
        past = max(0, cuts[safe] - MARGIN)
        text, start = text[past:], cuts[safe] - past
        enough = len(text) - start
    yield list(_cut_around(pattern, text + "".join(held), start))


def stretches(
    chunks: Iterable[str], special_tokens: Collection[str] = (), pattern: str = GPT2_PATTERN
) -> Iterator[str]:
    """Give the pieces one by one; one that would not stay what it is, cut by itself, comes with those before it."""
    held = ""
    for piece in chain.from_iterable(pretokenize_stream(chunks, special_tokens, pattern)):
        alone = piece in special_tokens or pretokenize(piece, pattern) == [piece]
        if held and alone:
            yield held
            held = ""
        held += piece
    if held:
        yield held
