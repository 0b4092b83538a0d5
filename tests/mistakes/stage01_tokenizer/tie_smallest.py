# module: bpe.py
# exercise: 1.4
# name: of pairs that are equally frequent, the smallest is merged
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from .pretokenize import pretokenize, split_special

Word = tuple[bytes, ...]
Pair = tuple[bytes, bytes]


def count_pairs(words: Mapping[Word, int]) -> Counter[Pair]:
    counts: Counter[Pair] = Counter()
    for word, count in words.items():
        for pair in pairwise(word):
            counts.update({pair: count})
    return counts


def merge_pair(word: Word, pair: Pair) -> Word:
    if len(word) < 2:
        return word
    if word[:2] == pair:
        return (b"".join(pair), *merge_pair(word[2:], pair))
    for i in range(1, len(word) - 1):
        if word[i : i + 2] == pair:
            return word[:i] + merge_pair(word[i:], pair)
    return word


def train_bpe(text: str, vocab_size: int, special_tokens: Sequence[str] = ()) -> tuple[dict[int, bytes], list[Pair]]:
    merge_count = room_for_merges(vocab_size, special_tokens)
    parts = [part for part in split_special(text, special_tokens) if part not in special_tokens]
    pieces = [piece for part in parts for piece in pretokenize(part)]
    words = {piece: tuple(bytes([byte]) for byte in piece.encode()) for piece in pieces}
    how_often = Counter(pieces)
    merges: list[Pair] = []
    for _ in range(merge_count):
        counts = count_pairs({word: how_often[piece] for piece, word in words.items()})
        order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if len(order) == 0:
            break
        best = order[0][0]
        merges.append(best)
        for piece in words:
            words[piece] = merge_pair(words[piece], best)
    return build_vocab(merges, special_tokens), merges


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
    raise NotImplementedError("1.5 encode_bytes")
