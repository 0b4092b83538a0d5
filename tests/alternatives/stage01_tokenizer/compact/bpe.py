"""1.4 and 1.5, differently: all words are one string with a character a token; numpy counts, `str.replace` merges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from heapq import heapify, heappop, heappush
from itertools import chain, filterfalse, pairwise

import numpy as np

from .pretokenize import pretokenize, split_special

Word = tuple[bytes, ...]
Pair = tuple[bytes, bytes]


def count_pairs(words: Mapping[Word, int]) -> Counter[Pair]:
    """Count each two neighbours, with one `Counter` for all the words of one frequency."""
    alike: dict[int, list[Word]] = {}
    for word, frequency in words.items():
        alike.setdefault(frequency, []).append(word)
    totals: Counter[Pair] = Counter()
    for frequency, group in alike.items():
        places = Counter(chain.from_iterable(map(pairwise, group)))
        totals.update({pair: number * frequency for pair, number in places.items()})
    return totals


def merge_pair(word: Word, pair: Pair) -> Word:
    """Fold the word into a stack whose top may join the next token; what they make is longer than `pair[0]`."""

    def put(done: list[bytes], token: bytes) -> list[bytes]:
        done.append(done.pop() + token if done and (done[-1], token) == pair else token)
        return done

    return tuple(reduce(put, word, []))


def train_bpe(text: str, vocab_size: int, special_tokens: Sequence[str] = ()) -> tuple[dict[int, bytes], list[Pair]]:
    """Learn the merges on one string: token i is the character i + 1, and character 0 stands between words."""
    room = room_for_merges(vocab_size, special_tokens)
    plain = filterfalse(set(special_tokens).__contains__, split_special(text, special_tokens))
    counts = Counter(chain.from_iterable(map(pretokenize, plain)))
    line = "\0".join("".join(chr(byte + 1) for byte in word.encode("utf-8")) for word in counts)
    often = np.fromiter(counts.values(), dtype=np.int64, count=len(counts))
    tokens = [bytes([byte]) for byte in range(256)]
    merges: list[Pair] = []
    while len(merges) < room and (frequent := _most_frequent(line, often)):
        left, right = max(frequent, key=lambda pair: (tokens[pair[0]], tokens[pair[1]]))
        line = line.replace(chr(left + 1) + chr(right + 1), chr(len(tokens) + 1))
        merges.append((tokens[left], tokens[right]))
        tokens.append(tokens[left] + tokens[right])
    return build_vocab(merges, special_tokens), merges


def _most_frequent(line: str, often: np.ndarray) -> list[tuple[int, int]]:
    """Give the pairs of ids that tie for the highest count; none if no two tokens are neighbours."""
    symbols = np.frombuffer(line.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)
    inside = np.flatnonzero((symbols[:-1] > 0) & (symbols[1:] > 0))
    if not inside.size:
        return []
    of_word = np.cumsum(symbols == 0)[inside]
    pairs, which = np.unique(symbols[inside] << 32 | symbols[inside + 1], return_inverse=True)
    totals = np.bincount(which, weights=often[of_word])  # exact: no text has 2**53 characters
    return [(int(pair >> 32) - 1, int(pair & 0xFFFFFFFF) - 1) for pair in pairs[totals == totals.max()]]


def room_for_merges(vocab_size: int, special_tokens: Sequence[str]) -> int:
    """Say how many merges there is room for, beside the bytes and the special tokens."""
    if "" in special_tokens or len(set(special_tokens)) < len(special_tokens):
        raise ValueError(f"special tokens must be different from each other and not empty; got {list(special_tokens)}")
    least = 256 + len(special_tokens)
    if vocab_size < least:
        raise ValueError(f"vocab_size must be at least {least}, bytes and special tokens; got {vocab_size}")
    return vocab_size - least


def build_vocab(merges: Sequence[Pair], special_tokens: Sequence[str] = ()) -> dict[int, bytes]:
    """Number the bytes, then the merges, then the special tokens."""
    letters = (bytes([byte]) for byte in range(256))
    return dict(enumerate(chain(letters, map(b"".join, merges), map(str.encode, special_tokens))))


def encode_bytes(word: bytes, ranks: Mapping[Pair, int]) -> list[bytes]:
    """Merge by rank; a token is a span of places, and a merge in the heap is three places that bound two spans.

    Nothing is ever taken out of the heap but from its top: a merge still holds if both its spans do.
    """
    end = list(range(1, len(word) + 1))  # where the token that starts at a place ends; 0 where none starts
    start = list(range(-1, len(word)))  # where the token that ends at a place starts

    def merge_at(first: int, middle: int, last: int) -> list[tuple[int, int, int, int]]:
        rank = ranks.get((word[first:middle], word[middle:last]))
        return [] if rank is None else [(rank, first, middle, last)]

    heap = list(chain.from_iterable(merge_at(place, place + 1, place + 2) for place in range(len(word) - 1)))
    heapify(heap)
    while heap:
        _, first, middle, last = heappop(heap)
        if end[first] != middle or end[middle] != last:
            continue
        end[first], end[middle], start[last] = last, 0, first
        if first > 0:
            for merge in merge_at(start[first], first, last):
                heappush(heap, merge)
        if last < len(word):
            for merge in merge_at(first, last, end[last]):
                heappush(heap, merge)
    return [word[first:last] for first, last in enumerate(end) if last]
