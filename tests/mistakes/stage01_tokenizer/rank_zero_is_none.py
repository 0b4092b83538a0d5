# module: bpe.py
# exercise: 1.5
# name: rank 0 is taken for no rank
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

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


class Token:
    def __init__(self, data: bytes, place: int) -> None:
        self.data = data
        self.place = place
        self.left: Token | None = None
        self.right: Token | None = None


def encode_bytes(word: bytes, ranks: Mapping[Pair, int]) -> list[bytes]:
    tokens = [Token(word[i : i + 1], i) for i in range(len(word))]
    for one, other in zip(tokens, tokens[1:]):
        one.right, other.left = other, one
    heap: list[tuple[int, int, bytes, bytes]] = []

    def push(one: Token | None) -> None:
        if one and one.right:
            rank = ranks.get((one.data, one.right.data))
            if rank:
                heappush(heap, (rank, one.place, one.data, one.right.data))

    for token in tokens:
        push(token)
    while heap:
        _, place, left, right = heappop(heap)
        token = tokens[place]
        other = token.right
        if token.data != left or other is None or other.data != right:
            continue
        token.data += other.data
        other.data = b""
        token.right = other.right
        if token.right:
            token.right.left = token
        push(token.left)
        push(token)
    return [token.data for token in tokens if token.data]
