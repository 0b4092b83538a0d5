# module: bpe.py
# exercise: 1.4
# name: a pair that stands twice in a word is counted once
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .pretokenize import pretokenize, split_special

Word = tuple[bytes, ...]
Pair = tuple[bytes, bytes]


def count_pairs(words: Mapping[Word, int]) -> Counter[Pair]:
    counts: Counter[Pair] = Counter()
    for word, count in words.items():
        seen = []
        for pair in zip(word, word[1:]):
            if pair not in seen:
                seen.append(pair)
                counts[pair] += count
    return counts


def merge_pair(word: Word, pair: Pair) -> Word:
    left, right = pair
    merged: list[bytes] = []
    tokens = list(reversed(word))
    while tokens:
        token = tokens.pop()
        if token == left and tokens and tokens[-1] == right:
            token += tokens.pop()
        merged.append(token)
    return tuple(merged)


def byte_words(text: str, special_tokens: Sequence[str]) -> dict[Word, int]:
    words: Counter[Word] = Counter()
    for part in split_special(text, special_tokens):
        if part not in special_tokens:
            words.update(tuple(bytes([byte]) for byte in piece.encode()) for piece in pretokenize(part))
    return words


def train_bpe(text: str, vocab_size: int, special_tokens: Sequence[str] = ()) -> tuple[dict[int, bytes], list[Pair]]:
    words = byte_words(text, special_tokens)
    merges: list[Pair] = []
    for _ in range(room_for_merges(vocab_size, special_tokens)):
        ranking = sorted((count, pair) for pair, count in count_pairs(words).items())
        if not ranking:
            break
        best = ranking[-1][1]
        words = {merge_pair(word, best): count for word, count in words.items()}
        merges.append(best)
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
