# module: bpe_fast.py
# exercise: 1.7
# name: the places of the special tokens in the vocabulary are used for merges
from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

from .bpe import Pair, build_vocab, merge_pair, room_for_merges
from .pretokenize import pretokenize, split_special


def backwards(pair: Pair) -> tuple[list[int], list[int]]:
    """Make a key that is smaller the greater the pair is."""
    left, right = ([255 - byte for byte in token] + [256] for token in pair)
    return left, right


def train_bpe_fast(
    source: str | Mapping[str, int], vocab_size: int, special_tokens: Sequence[str] = ()
) -> tuple[dict[int, bytes], list[Pair]]:
    room_for_merges(vocab_size, special_tokens)
    if isinstance(source, str):
        parts = [part for part in split_special(source, special_tokens) if part not in special_tokens]
        source = Counter(piece for part in parts for piece in pretokenize(part))
    bad = [piece for piece in source if source[piece] < 1]
    if bad:
        raise ValueError(f"pre-tokens must be counted at least once; this one is not: {bad[0]!r}")
    words = {piece: tuple(bytes([byte]) for byte in piece.encode()) for piece in source}
    counts: defaultdict[Pair, int] = defaultdict(int)
    holders: defaultdict[Pair, set[str]] = defaultdict(set)
    for piece, word in words.items():
        for pair in zip(word, word[1:]):
            counts[pair] += source[piece]
            holders[pair].add(piece)
    queue: list[tuple[int, tuple[list[int], list[int]], Pair]] = []
    for pair, count in counts.items():
        heappush(queue, (-count, backwards(pair), pair))
    merges: list[Pair] = []
    while queue and len(merges) < vocab_size - 256:
        count, _, best = heappop(queue)
        if -count != counts[best] or count == 0:
            continue
        merges.append(best)
        touched: dict[Pair, int] = dict.fromkeys([best], counts[best])
        for piece in sorted(holders.pop(best)):
            old = words[piece]
            new = merge_pair(old, best)
            difference = Counter(zip(new, new[1:]))
            difference.subtract(zip(old, old[1:]))
            for pair, more in difference.items():
                if more:
                    touched.setdefault(pair, counts[pair])
                    counts[pair] += more * source[piece]
                if more > 0:
                    holders[pair].add(piece)
            words[piece] = new
        for pair, before in touched.items():
            if counts[pair] != before:
                heappush(queue, (-counts[pair], backwards(pair), pair))
    return build_vocab(merges, special_tokens), merges
