# module: bpe.py
# exercise: 1.4
# name: the second token of a merged pair stays in the word
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .pretokenize import pretokenize, split_special

Word = tuple[bytes, ...]
Pair = tuple[bytes, bytes]


def count_pairs(words: Mapping[Word, int]) -> Counter[Pair]:
    counts: Counter[Pair] = Counter()
    for word, count in words.items():
        for i in range(len(word) - 1):
            counts[word[i], word[i + 1]] += count
    return counts


def merge_pair(word: Word, pair: Pair) -> Word:
    merged = []
    for i, token in enumerate(word):
        merged.append(token + pair[1] if word[i : i + 2] == pair else token)
    return tuple(merged)


def train_bpe(text: str, vocab_size: int, special_tokens: Sequence[str] = ()) -> tuple[dict[int, bytes], list[Pair]]:
    merge_count = room_for_merges(vocab_size, special_tokens)
    words: Counter[Word] = Counter()
    for part in split_special(text, special_tokens):
        if part in special_tokens:
            continue
        for piece in pretokenize(part):
            data = piece.encode("utf-8")
            words[tuple(data[i : i + 1] for i in range(len(data)))] += 1
    merges: list[Pair] = []
    for _ in range(merge_count):
        counts = count_pairs(words)
        if not counts:
            break
        highest = max(counts.values())
        best = max(pair for pair in counts if counts[pair] == highest)
        merges.append(best)
        after: Counter[Word] = Counter()
        for word, count in words.items():
            after[merge_pair(word, best)] += count
        words = after
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
