# module: bpe.py
# exercise: 1.5
# name: the pair that stands furthest left is merged first, whatever its rank
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

Word = tuple[bytes, ...]
Pair = tuple[bytes, bytes]


def count_pairs(words: Mapping[Word, int]) -> Counter[Pair]:
    raise NotImplementedError("1.4 count_pairs")


def merge_pair(word: Word, pair: Pair) -> Word:
    raise NotImplementedError("1.4 merge_pair")


def train_bpe(text: str, vocab_size: int, special_tokens: Sequence[str] = ()) -> tuple[dict[int, bytes], list[Pair]]:
    raise NotImplementedError("1.4 train_bpe")


def room_for_merges(vocab_size: int, special_tokens: Sequence[str]) -> int:
    if "" in special_tokens or len(set(special_tokens)) < len(special_tokens):
        raise ValueError(f"special tokens must be different from each other and not empty; got {list(special_tokens)}")
    room = vocab_size - 256 - len(special_tokens)
    if room < 0:
        raise ValueError(f"vocab_size must be at least {vocab_size - room}; got {vocab_size}")
    return room


def build_vocab(merges: Sequence[Pair], special_tokens: Sequence[str] = ()) -> dict[int, bytes]:
    tokens = [bytes([byte]) for byte in range(256)]
    tokens += [left + right for left, right in merges]
    tokens += [token.encode("utf-8") for token in special_tokens]
    return dict(enumerate(tokens))


def encode_bytes(word: bytes, ranks: Mapping[Pair, int]) -> list[bytes]:
    tokens = [bytes([byte]) for byte in word]
    i = 0
    while i < len(tokens) - 1:
        if (tokens[i], tokens[i + 1]) in ranks:
            tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
            i = max(i - 1, 0)
        else:
            i += 1
    return tokens
