# module: bpe.py
# exercise: 1.4
# name:
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .pretokenize import pretokenize, split_special

Word = tuple[bytes, ...]
Pair = tuple[bytes, bytes]


def count_pairs(words: Mapping[Word, int]) -> Counter[Pair]:
    counts: Counter[Pair] = Counter()
    for word, count in words.items():
        previous = None
        for token in word:
            if previous is not None:
                counts[previous, token] += count
            previous = token
    return counts


def merge_pair(word: Word, pair: Pair) -> Word:
    merged: list[bytes] = []
    i = len(word)
    while i > 0:
        here = word[max(0, i - 2) : i]
        merged.insert(0, here[0] + here[1] if here == pair else here[-1])
        i -= 2 if here == pair else 1
    return tuple(merged)


def train_bpe(text: str, vocab_size: int, special_tokens: Sequence[str] = ()) -> tuple[dict[int, bytes], list[Pair]]:
    merge_count = room_for_merges(vocab_size, special_tokens)
    words: list[tuple[Word, int]] = []
    specials = set(special_tokens)
    pieces: Counter[str] = Counter()
    for part in split_special(text, special_tokens):
        if part not in specials:
            pieces.update(pretokenize(part))
    for piece, count in pieces.items():
        words.append((tuple(bytes([byte]) for byte in piece.encode()), count))
    merges: list[Pair] = []
    while len(merges) < merge_count:
        counts = count_pairs(dict(words))
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        words = [(merge_pair(word, best), count) for word, count in words]
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
