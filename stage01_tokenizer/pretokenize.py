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
    # TODO 1.3: walk through the matches, and keep the gaps between them
    raise NotImplementedError(
        "1.3 pretokenize: walk through the matches, and keep the gaps between them; hint: python -m bootcamp hint 1.3"
    )


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
    # TODO 1.3: one alternation of the tokens, the longest first, that keeps what it splits at
    raise NotImplementedError(
        "1.3 split_special: one alternation of the tokens, the longest first, that keeps what it splits at; "
        "hint: python -m bootcamp hint 1.3"
    )


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
    # TODO 1.6: gather chunks; give out what no further text can change, and keep the rest for the next time
    raise NotImplementedError(
        "1.6 stretches: gather chunks; give out what no further text can change, and keep the rest for the next time; "
        "hint: python -m bootcamp hint 1.6"
    )
