# module: bpe.py
# exercise: 1.5
# name: after a merge, the pair with the token on the right is not looked up
from __future__ import annotations

import heapq
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
    # A token is known by the place where it begins; ends[place] says where it ends.
    ends = {i: i + 1 for i in range(len(word))}
    begins = {i + 1: i for i in range(len(word))}
    heap = []
    for i in range(len(word) - 1):
        pair = (word[i : i + 1], word[i + 1 : i + 2])
        if pair in ranks:
            heap.append((ranks[pair], i, i + 1, i + 2))
    heapq.heapify(heap)
    while heap:
        _, begin, middle, end = heapq.heappop(heap)
        if ends.get(begin) != middle or ends.get(middle) != end:
            continue
        del ends[middle]
        ends[begin] = end
        del begins[middle]
        begins[end] = begin
        if begin in begins:
            before = begins[begin]
            pair = (word[before:begin], word[begin:end])
            if pair in ranks:
                heapq.heappush(heap, (ranks[pair], before, begin, end))
    return [word[begin : ends[begin]] for begin in sorted(ends)]
