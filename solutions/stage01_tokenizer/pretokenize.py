"""1.3 · Pre-tokens: where no merge may ever cross."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

import numpy as np
import regex

from .pieces import gpt2_cuts, gpt2_pieces

GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
"""GPT-2's pre-tokens: English contractions, then letters, digits or signs with the one space before
them, then white space, of which the last space goes to the word behind it."""

BLOCK = 1 << 16  # how many characters of a stream are cut at a time
REACH = 256  # how far a pattern may look beyond the place where it cuts


def pretokenize(text: str, pattern: str = GPT2_PATTERN) -> list[str]:
    """Cut `text` into pre-tokens: the matches of `pattern`, and what lies between two matches.

    The pieces are never empty, and joined they are `text` again, whatever the pattern. A match of no length cuts,
    and is no piece.

    >>> pretokenize("Low, lower!  It's 2026.")
    ['Low', ',', ' lower', '!', ' ', ' It', "'s", ' 2026', '.']
    >>> pretokenize("a-b", pattern=r"[a-z]")
    ['a', '-', 'b']
    """
    # BEGIN SOLUTION 1.3: walk through the matches, and keep the gaps between them
    if pattern == GPT2_PATTERN:
        return gpt2_pieces(text)  # the same in less time
    compiled = regex.compile(pattern)
    if not compiled.groups:  # else findall gives the groups
        pieces = compiled.findall(text)
        if "".join(pieces) == text:  # no gaps, and half the time of a walk
            return [piece for piece in pieces if piece]
    pieces, end = [], 0
    for match in compiled.finditer(text):
        pieces += [text[end : match.start()], match.group()]
        end = match.end()
    pieces.append(text[end:])
    return [piece for piece in pieces if piece]
    # END SOLUTION


def split_special(text: str, special_tokens: Iterable[str]) -> list[str]:
    """Cut `text` around its special tokens, each a piece of its own.

    Of special tokens that overlap, the one that starts first is taken; of those that start at one place,
    the longest. The pieces are never empty, and joined they are `text` again.

    Raises:
        ValueError: a special token is empty.

    >>> split_special("one<|end|>two", ["<|end|>"])
    ['one', '<|end|>', 'two']
    >>> split_special("a<|x|><|x|>b", ["<|x|>", "<|x|><|x|>"])
    ['a', '<|x|><|x|>', 'b']
    """
    longest_first = sorted(special_tokens, key=len, reverse=True)
    if "" in longest_first:
        raise ValueError("a special token must not be empty")
    # BEGIN SOLUTION 1.3: one alternation of the tokens, the longest first, that keeps what it splits at
    if not longest_first:
        return [text] if text else []
    either = "|".join(re.escape(token) for token in longest_first)
    return [piece for piece in re.split(f"({either})", text) if piece]
    # END SOLUTION


def stretches(
    chunks: Iterable[str], special_tokens: Collection[str] = (), pattern: str = GPT2_PATTERN
) -> Iterator[str]:
    """Turn a text that comes in chunks into stretches that can each be cut, counted or encoded by itself.

    The stretches, joined, are the text; and their pieces, one after the other, are those of the whole text, wherever
    one chunk ended and the next began: in a special token, in 're, in white space. Never more is in memory than a
    chunk and a few times the longest piece.

    This holds if, to cut at a place, the pattern looks at no more than REACH characters on either side, as the
    patterns of GPT-2, GPT-4 and their like do.

    >>> "|".join(stretches(["We'", "re  he", "re<|e", "nd|>!"], ["<|end|>"]))
    "We're  here<|end|>!"
    """
    # BEGIN SOLUTION 1.6: gather chunks; give out what no further text can change, and keep the rest for the next time
    reach = max([REACH, *map(len, special_tokens)])
    text, waiting, size = "", [], 0
    for block in (chunk[i : i + BLOCK] for chunk in chunks for i in range(0, len(chunk), BLOCK)):
        waiting.append(block)
        size += len(block)
        if size >= max(BLOCK, len(text)):  # twice as much text each time, lest a long piece be cut again and again
            text += "".join(waiting)
            waiting, size = [], 0
            end = _settled(text, len(text) - reach, special_tokens, pattern)
            if end:
                yield text[:end]
            text = text[end:]
    text += "".join(waiting)
    if text:
        yield text
    # END SOLUTION


# BEGIN SOLUTION 1.6
def _settled(text: str, safe: int, special_tokens: Collection[str], pattern: str) -> int:
    """Find the last place up to `safe` where `text` is cut whatever comes behind it; 0 if there is none yet."""
    begin, part = 0, ""
    for part in split_special(text, special_tokens):
        if begin + len(part) > safe:
            break
        begin += len(part)
    if part in special_tokens:
        return begin
    cuts = _cuts(part, pattern)
    # Of the places that are far enough from the end, take one where the pieces on both sides come out the same when
    # each side is cut by itself.
    last = int(np.searchsorted(cuts, safe - begin, side="right")) - 1
    for i in range(last, max(last - 100, 0), -1):
        first = max(i - 20, 0)
        before, after = part[cuts[first] : cuts[i]], part[cuts[i] :]
        apart = np.concatenate([_cuts(before, pattern)[:-1] + cuts[first], _cuts(after, pattern) + cuts[i]])
        if np.array_equal(apart, cuts[first:]):
            return begin + int(cuts[i])
    return begin


def _cuts(text: str, pattern: str) -> np.ndarray:
    """Give the places where `text` is cut, its beginning and its end included."""
    if pattern == GPT2_PATTERN:
        return gpt2_cuts(text)
    return np.cumsum([0, *map(len, pretokenize(text, pattern))])


# END SOLUTION
