"""Pre-tokens by hand: a scanner that goes by the kind of each character; special tokens by `str.find` and a heap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heapify, heapreplace

import regex

GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

MARGIN = 256  # how many characters a pattern may look back and ahead, in a stream

LETTER, NUMBER, SIGN, SPACE = "letter", "number", "sign", "space"
_PROBES = [(SPACE, regex.compile(r"\s")), (LETTER, regex.compile(r"\p{L}")), (NUMBER, regex.compile(r"\p{N}"))]


_ONE_KIND = regex.compile(r"\p{L}+|\p{N}+|\s+|[^\s\p{L}\p{N}]+")


class _Kinds(dict[str, str]):
    """What kind each character is, found out when it is first seen. Ask by `kinds[character]`."""

    def __missing__(self, char: str) -> str:
        for kind, probe in _PROBES:
            if probe.match(char):
                self[char] = kind
                return kind
        self[char] = SIGN
        return SIGN


_kinds = _Kinds()


def pretokenize(text: str, pattern: str = GPT2_PATTERN) -> list[str]:
    """Cut `text` into pre-tokens: the matches of `pattern`, and what lies between two matches."""
    if pattern == GPT2_PATTERN:
        return _scan(text)
    return _cut_from(text, 0, pattern)


def _cut_from(text: str, start: int, pattern: str) -> list[str]:
    """Cut `text` from the character `start` on; a pattern that looks back sees what stands before it."""
    cuts = [start]  # every place where a match begins or ends; pieces lie between two cuts
    for match in regex.finditer(pattern, text, pos=start):
        cuts.extend(match.span())
    cuts.append(len(text))
    return [text[begin:end] for begin, end in zip(cuts, cuts[1:]) if begin < end]


def _scan(text: str) -> list[str]:
    """Cut `text` as GPT2_PATTERN does, one run of characters of a kind after the other."""
    kinds = _kinds
    pieces: list[str] = []
    place, size = 0, len(text)
    while place < size:
        start = place
        char = text[place]
        kind = kinds[char]
        if char == "'":
            end = place + 2 if text[place + 1 : place + 2] in ("s", "d", "m", "t") else place
            if text[place + 1 : place + 3] in ("ll", "ve", "re"):
                end = place + 3
            if end > place:
                pieces.append(text[place:end])
                place = end
                continue
        if kind is SPACE:
            place += 1
            while place < size and kinds[text[place]] is SPACE:
                place += 1
            if place == size:
                pieces.append(text[start:])
                break
            # A word stands behind the run. The last of it goes to the word if it is a plain space; any other
            # white space there is a piece of its own.
            last = place - 1
            if last > start:
                pieces.append(text[start:last])
            if text[last] != " ":
                pieces.append(text[last])
                continue
            start, kind = last, kinds[text[place]]
        place += 1
        while place < size and kinds[text[place]] is kind:
            place += 1
        pieces.append(text[start:place])
    return pieces


def split_special(text: str, special_tokens: Iterable[str]) -> list[str]:
    """Cut `text` around its special tokens, each a piece of its own; of several at one place the longest."""
    upcoming: list[tuple[int, int, str]] = []  # for each special token: where it stands next, its length (negative)
    for token in set(special_tokens):
        if not token:
            raise ValueError("a special token must not be empty")
        if (found := text.find(token)) >= 0:
            upcoming.append((found, -len(token), token))
    heapify(upcoming)

    pieces: list[str] = []
    place, never = 0, len(text)
    while upcoming and upcoming[0][0] < never:
        start, length, token = upcoming[0]
        if start >= place:
            if start > place:
                pieces.append(text[place:start])
            pieces.append(token)
            place = start - length
        found = text.find(token, place)
        heapreplace(upcoming, (found if found >= 0 else never, length, token))
    if place < len(text):
        pieces.append(text[place:])
    return pieces


class SpecialStream:
    """Cuts a text that comes in chunks around its special tokens, and keeps an end that may become one."""

    __slots__ = ("_first", "_kept", "_longest", "_specials")

    def __init__(self, specials: Iterable[str]) -> None:
        self._specials = set(specials)
        self._first = {special[0] for special in self._specials}
        self._longest = max(map(len, self._specials), default=1)
        self._kept = ""

    def feed(self, chunk: str) -> list[str]:
        """Give the parts that are sure; what may be the start of a special token, or of a longer one, is kept."""
        text = self._kept + chunk
        self._kept = ""
        undecided = self._undecided(text)
        parts: list[str] = []
        start = 0
        for part in split_special(text, self._specials):
            end = start + len(part)
            within = [place for place in undecided if start <= place < end]
            if within and (part not in self._specials or within[0] == start):
                if start < within[0]:
                    parts.append(text[start : within[0]])
                self._kept = text[within[0] :]
                break
            parts.append(part)
            start = end
        return parts

    def finish(self) -> list[str]:
        """Say that no more text comes; give what was kept."""
        parts = split_special(self._kept, self._specials)
        self._kept = ""
        return parts

    def _undecided(self, text: str) -> list[int]:
        """Give the places from which the rest of `text` is the start of a special token, but not all of it."""
        places: list[int] = []
        for place in range(max(0, len(text) - self._longest + 1), len(text)):
            if text[place] in self._first:
                rest = text[place:]
                if any(special.startswith(rest) and special != rest for special in self._specials):
                    places.append(place)
        return places


class PieceStream:
    """Cuts text that comes in chunks into pre-tokens, and keeps an end that what follows may change.

    GPT-2's pattern settles a pre-token with the character behind it. Of another pattern it is taken that it looks no
    further than MARGIN characters back and ahead, or over the next two pieces, so that much is kept on both sides.
    """

    __slots__ = ("_context", "_gpt2", "_kept", "_pattern", "_size", "_wanted")

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._gpt2 = pattern == GPT2_PATTERN
        self._kept: list[str] = []  # joined: the text that is not settled
        self._context = ""  # the text before it, for patterns that look back
        self._size = 0
        self._wanted = 2 * MARGIN  # with less than this there is no sense in looking for settled pieces

    def feed(self, chunk: str) -> list[str]:
        """Give the pieces that are settled with this chunk."""
        if not chunk:
            return []
        return self._feed_gpt2(chunk) if self._gpt2 else self._feed_any(chunk)

    def finish(self) -> list[str]:
        """Say that the text ends here, with a special token or altogether; give what was kept."""
        text, start = self._context + "".join(self._kept), len(self._context)
        self.__init__(self._pattern)
        return _scan(text) if self._gpt2 else _cut_from(text, start, self._pattern)

    def _feed_gpt2(self, chunk: str) -> list[str]:
        if self._kept and _ONE_KIND.fullmatch(self._kept[-1][-1] + chunk):
            self._kept.append(chunk)  # a run goes on; looking at all of it again could only be slow
            return []
        pieces = _scan("".join(self._kept) + chunk)
        open_end = 1
        if pieces[-1] in ("l", "v", "r") and pieces[-2:-1] == ["'"]:
            open_end = 2  # may become 'll, 've, 're
        self._kept = ["".join(pieces[-open_end:])]
        return pieces[:-open_end]

    def _feed_any(self, chunk: str) -> list[str]:
        self._kept.append(chunk)
        self._size += len(chunk)
        if self._size < self._wanted:
            return []
        text, start = self._context + "".join(self._kept), len(self._context)
        pieces = _cut_from(text, start, self._pattern)
        settled = 0
        while settled < len(pieces) - 2 and start + len(pieces[settled]) <= len(text) - MARGIN:
            start += len(pieces[settled])
            settled += 1
        self._kept = [text[start:]]
        self._context = text[max(0, start - MARGIN) : start]
        self._size = len(text) - start
        self._wanted = max(2 * MARGIN, 2 * self._size)  # what is kept is looked at again only once it has doubled
        return pieces[:settled]


def pretokenize_stream(
    chunks: Iterable[str], special_tokens: Iterable[str] = (), pattern: str = GPT2_PATTERN
) -> Iterator[list[str]]:
    """Cut a text that comes in chunks into special tokens and pre-tokens; give those that each chunk settles."""
    specials = set(special_tokens)
    around, within = SpecialStream(specials), PieceStream(pattern)

    def cut(parts: Iterable[str]) -> list[str]:
        pieces: list[str] = []
        for part in parts:
            pieces += [*within.finish(), part] if part in specials else within.feed(part)
        return pieces

    for chunk in chunks:
        yield cut(around.feed(chunk))
    yield cut(around.finish())
    yield within.finish()


def stretches(chunks: Iterable[str], special_tokens: Iterable[str] = (), pattern: str = GPT2_PATTERN) -> Iterator[str]:
    """Gather a lot, cut it, and look for a place near the end where both sides may be cut by themselves."""
    specials = list(special_tokens)
    kept = 256 + max(map(len, specials), default=0)

    def cut(text: str) -> list[str]:
        parts = split_special(text, specials)
        return [piece for part in parts for piece in ([part] if part in specials else pretokenize(part, pattern))]

    def safe_end(text: str) -> int:
        pieces = cut(text)
        count, place = len(pieces), len(text)
        while count and place > len(text) - kept:
            count -= 1
            place -= len(pieces[count])
        for _ in range(min(count, 50)):
            if cut(text[:place]) == pieces[:count] and cut(text[place:]) == pieces[count:]:
                return place
            count -= 1
            place -= len(pieces[count])
        return 0

    gathered: list[str] = []
    size, enough = 0, 1 << 15
    for chunk in chunks:
        gathered.append(chunk)
        size += len(chunk)
        if size >= enough:
            text = "".join(gathered)
            end = safe_end(text)
            if end:
                yield text[:end]
            gathered, size = [text[end:]], len(text) - end
            enough = max(1 << 15, 2 * size)
    if size:
        yield "".join(gathered)
