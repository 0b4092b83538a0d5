"""1.6, differently: streams as a pipeline of generators, grouped by what is special, with `encode` as the shortest one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, count, groupby
from operator import index
from pathlib import Path
from typing import Any

from .bpe import Pair, encode_bytes
from .pretokenize import GPT2_PATTERN, pieces_from, pretokenize, split_special

BLOCK = 1 << 13  # characters that a stream gathers before it looks for places to cut
MARGIN = 64  # characters, and two pre-tokens: how far behind a cut a pattern is taken to look

# Where GPT-2 writes a byte as a character in its files: what cannot be printed moves up to 256 and beyond.
PRINTED = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
HIDDEN = sorted(set(range(256)) - set(PRINTED))
AS_CHARACTER = dict(zip(PRINTED, map(chr, PRINTED))) | dict(zip(HIDDEN, map(chr, count(256))))
AS_BYTE = {character: byte for byte, character in AS_CHARACTER.items()}


class Tokenizer:
    """Turns text into ids and back."""

    def __init__(
        self,
        vocab: Mapping[int, bytes],
        merges: Iterable[Pair],
        special_tokens: Sequence[str] = (),
        pattern: str = GPT2_PATTERN,
    ) -> None:
        self.vocab = dict(vocab)
        self.merges = [(left, right) for left, right in merges]
        self.pattern = pattern
        last = {token: id for id, token in sorted(self.vocab.items())}  # of two ids the special token has the later
        fresh = count(max(self.vocab, default=-1) + 1)
        self.special_ids = {
            token: last[token.encode()] if token.encode() in last else next(fresh) for token in special_tokens
        }
        self.vocab |= {id: token.encode() for token, id in self.special_ids.items()}
        self._id_of = {token: id for id, token in sorted(self.vocab.items(), reverse=True)}
        self._ranks = dict(zip(self.merges, count()))
        self._ids_of_short = lru_cache(1 << 15)(self._ids_of)

    @property
    def vocab_size(self) -> int:
        return len(self.vocab)

    def encode(self, text: str) -> list[int]:
        """Give the ids of `text`."""
        segments = split_special(text, self.special_ids)
        return list(chain.from_iterable(map(self._ids_of_segment, segments)))

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text of `ids`."""
        try:
            return b"".join(map(self.vocab.__getitem__, map(index, ids))).decode("utf-8", "replace")
        except KeyError as error:
            raise ValueError(f"ids must be in the vocabulary of {self.vocab_size}; got {error.args[0]}") from None
