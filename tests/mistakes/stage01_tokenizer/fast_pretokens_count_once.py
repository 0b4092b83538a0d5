# module: bpe_fast.py
# exercise: 1.7
# name: each pre-token counts once, however often it comes
from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

from .bpe import Pair, build_vocab, room_for_merges
from .pretokenize import pretokenize, split_special


class Entry:
    def __init__(self, count: int, pair: Pair) -> None:
        self.count, self.pair = count, pair

    def __lt__(self, other: Entry) -> bool:
        return (self.count, self.pair) > (other.count, other.pair)


def train_bpe_fast(
    source: str | Mapping[str, int], vocab_size: int, special_tokens: Sequence[str] = ()
) -> tuple[dict[int, bytes], list[Pair]]:
    room = room_for_merges(vocab_size, special_tokens)
    if isinstance(source, str):
        pieces: Mapping[str, int] = Counter()
        for part in split_special(source, special_tokens):
            if part not in special_tokens:
                pieces.update(pretokenize(part))
    else:
        pieces = source
    for piece, count in pieces.items():
        if count < 1:
            raise ValueError(f"{piece!r} is counted {count} times")
    words = [[bytes([byte]) for byte in piece.encode()] for piece in pieces]
    counts: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for n, word in enumerate(words):
        for pair in zip(word, word[1:]):
            counts[pair] += 1
            where[pair].add(n)
    heap = [Entry(count, pair) for pair, count in counts.items()]
    heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < room:
        entry = heappop(heap)
        best = entry.pair
        if counts[best] != entry.count or not entry.count:
            continue
        merges.append(best)
        changed = set()
        for n in where.pop(best):
            word = words[n]
            new = merged(word, best)
            for pair in zip(word, word[1:]):
                counts[pair] -= 1
                changed.add(pair)
            for pair in zip(new, new[1:]):
                counts[pair] += 1
                where[pair].add(n)
                changed.add(pair)
            words[n] = new
        for pair in changed:
            heappush(heap, Entry(counts[pair], pair))
    return build_vocab(merges, special_tokens), merges


def merged(word: list[bytes], pair: Pair) -> list[bytes]:
    new, i = [], 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            new.append(pair[0] + pair[1])
            i += 2
        else:
            new.append(word[i])
            i += 1
    return new
