# module: bpe.py
# exercise: 1.4
# name: training starts from characters, not from bytes
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .pretokenize import pretokenize, split_special

Word = tuple[bytes, ...]
Pair = tuple[bytes, bytes]


def count_pairs(words: Mapping[Word, int]) -> Counter[Pair]:
    counts: Counter[Pair] = Counter()
    for word in words:
        for left, right in zip(word, word[1:]):
            counts[left, right] += words[word]
    return counts


def merge_pair(word: Word, pair: Pair) -> Word:
    merged: list[bytes] = []
    skip = False
    for i in range(len(word)):
        if skip:
            skip = False
        elif i + 1 < len(word) and (word[i], word[i + 1]) == pair:
            merged.append(word[i] + word[i + 1])
            skip = True
        else:
            merged.append(word[i])
    return tuple(merged)


def train_bpe(text: str, vocab_size: int, special_tokens: Sequence[str] = ()) -> tuple[dict[int, bytes], list[Pair]]:
    merge_count = room_for_merges(vocab_size, special_tokens)
    words: Counter[Word] = Counter()
    for part in split_special(text, special_tokens):
        if part not in special_tokens:
            for piece in pretokenize(part):
                words[tuple(char.encode("utf-8") for char in piece)] += 1
    merges: list[Pair] = []
    for _ in range(merge_count):
        counts = count_pairs(words)
        if not counts:
            break
        best = max((count, pair) for pair, count in counts.items())[1]
        merges.append(best)
        words = Counter({merge_pair(word, best): count for word, count in words.items()})
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
