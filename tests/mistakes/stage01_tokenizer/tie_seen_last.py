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
    counts: dict[Pair, int] = {}
    for word in words:
        for pair in zip(word[:-1], word[1:]):
            counts[pair] = counts.get(pair, 0) + words[word]
    return Counter(counts)


def merge_pair(word: Word, pair: Pair) -> Word:
    tokens = list(word)
    i = 0
    while i < len(tokens) - 1:
        if tokens[i] == pair[0] and tokens[i + 1] == pair[1]:
            tokens[i : i + 2] = [pair[0] + pair[1]]
        i += 1
    return tuple(tokens)


def train_bpe(text: str, vocab_size: int, special_tokens: Sequence[str] = ()) -> tuple[dict[int, bytes], list[Pair]]:
    merge_count = room_for_merges(vocab_size, special_tokens)
    words: dict[Word, int] = {}
    for part in split_special(text, special_tokens):
        if part not in special_tokens:
            for piece in pretokenize(part):
                word = tuple(bytes([byte]) for byte in piece.encode())
                words[word] = words.get(word, 0) + 1
    merges: list[Pair] = []
    while len(merges) < merge_count:
        best, most = None, 0
        for pair, count in count_pairs(words).items():
            if count >= most:
                best, most = pair, count
        if best is None:
            break
        merges.append(best)
        words = {merge_pair(word, best): count for word, count in words.items()}
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
