# module: bpe.py
# exercise: 1.4
# name: the special tokens get their ids before the merges
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .pretokenize import pretokenize, split_special

Word = tuple[bytes, ...]
Pair = tuple[bytes, bytes]


def count_pairs(words: Mapping[Word, int]) -> Counter[Pair]:
    return sum((Counter(list(zip(word, word[1:])) * count) for word, count in words.items()), Counter())


def merge_pair(word: Word, pair: Pair) -> Word:
    for i in range(len(word) - 1):
        if word[i] == pair[0] and word[i + 1] == pair[1]:
            break
    else:
        return word
    merged = [*word[:i], word[i] + word[i + 1]]
    i += 2
    while i < len(word):
        if i + 1 < len(word) and word[i] == pair[0] and word[i + 1] == pair[1]:
            merged.append(pair[0] + pair[1])
            i += 1
        else:
            merged.append(word[i])
        i += 1
    return tuple(merged)


def train_bpe(text: str, vocab_size: int, special_tokens: Sequence[str] = ()) -> tuple[dict[int, bytes], list[Pair]]:
    merge_count = room_for_merges(vocab_size, special_tokens)
    vocab = {byte: bytes([byte]) for byte in range(256)}
    for special in special_tokens:
        vocab[len(vocab)] = special.encode()
    words: Counter[Word] = Counter()
    for part in split_special(text, special_tokens):
        if part not in special_tokens:
            for piece in pretokenize(part):
                words[tuple(bytes([byte]) for byte in piece.encode())] += 1
    merges: list[Pair] = []
    for _ in range(merge_count):
        counts: dict[Pair, int] = {}
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                counts[pair] = counts.get(pair, 0) + count
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], *pair))
        merges.append(best)
        vocab[len(vocab)] = best[0] + best[1]
        words = Counter({merge_pair(word, best): count for word, count in words.items()})
    return vocab, merges


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
