"""1.7 · The same merges as `train_bpe`, by touching only what a merge changes.

Merging `a b` to `ab` turns … l a b r … into … l ab r …: the pairs (l, ab) and (ab, r) gain what (l, a) and
(b, r) lose, and all other pairs stay as they were. So the counts are kept from merge to merge. A list of tokens for
each word, and a set of words for each pair, are enough to pass. The reference goes further, with three structures
that make each step short:

- *The row.* All words stand in one row, one number a byte, a gap behind each word. The token on bytes i to j has
  its id at both ends, row[i] and row[j]. Its right neighbour begins at j + 1, its left one ends at i - 1, and
  nothing has to move when two tokens become one (the boundary tags of Knuth, TAOCP 1, section 2.5).
- *The places.* Each pair remembers where it came up. Nobody crosses out the places where it has been merged
  away since: whoever goes to a place looks whether the pair still stands there.
- *The queue.* A heap gives the most frequent pair. A count that falls leaves its entry in the heap as it is; an
  entry that comes up with a count of yesterday is put back with that of today.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush

import numpy as np

from .bpe import Pair, build_vocab, room_for_merges
from .pretokenize import pretokenize, split_special


def train_bpe_fast(
    source: str | Mapping[str, int], vocab_size: int, special_tokens: Sequence[str] = ()
) -> tuple[dict[int, bytes], list[Pair]]:
    """Learn the vocabulary that `train_bpe` learns, in a small part of the time.

    Args:
        source: a text, or how often each pre-token of a text occurs (1.8 counts those of a file).
        vocab_size: how many ids there may be: the bytes, the merges and the special tokens.
        special_tokens: texts that are one token each and are not learned from.

    Raises:
        ValueError: as `train_bpe`, and if a pre-token is counted less than once.

    >>> vocab, merges = train_bpe_fast({"low": 1, " low": 2, " lower": 2, " newest": 2}, 259)
    >>> merges
    [(b'o', b'w'), (b'l', b'ow'), (b' ', b'low')]
    """
    room = room_for_merges(vocab_size, special_tokens)
    # BEGIN SOLUTION 1.7: count the pairs once, then let each merge change the counts of its neighbours
    if isinstance(source, str):
        parts = (part for part in split_special(source, special_tokens) if part not in special_tokens)
        source = Counter(piece for part in parts for piece in pretokenize(part))
    for word, count in source.items():
        if count < 1:
            raise ValueError(f"each pre-token must be counted at least once; {word!r} is counted {count} times")
    training = _Training(source, room)
    merges: list[Pair] = []
    while len(merges) < room and (pair := training.most_frequent()):
        merges.append(training.merge(*pair))
    return build_vocab(merges, special_tokens), merges
    # END SOLUTION


# BEGIN SOLUTION 1.7
IdPair = tuple[int, int]
Places = list[int] | np.ndarray
Gain = tuple[IdPair, Places, int]  # a new pair, where it stands, and how often it occurs
GAP = -1
INVERTED = bytes(range(255, -1, -1))
MANY = 64  # from so many places on, numpy is faster than a loop


class _Training:
    """The row, the places, the counts and the queue."""

    def __init__(self, words: Mapping[str, int], room: int) -> None:
        spelled = [word.encode("utf-8") + b"\0" for word in words]
        sizes = np.array([len(word) for word in spelled], dtype=np.int64)
        self.row = np.frombuffer(b"".join(spelled), dtype=np.uint8).astype(np.int32)
        self.row[np.cumsum(sizes) - 1] = GAP
        self.weight = np.repeat(np.array(list(words.values()), dtype=np.int64), sizes)  # the count of a byte's word
        # The bytes in each token. The last entry is the gap's: row[i - length[row[i - 1]]] is what stands before i.
        self.length = np.ones(256 + min(room, len(self.row)) + 1, dtype=np.int64)
        # The same for loops, which read single numbers faster from a memoryview than from an array.
        self.views = self.row.data, self.weight.data, self.length.data

        self.tokens = [bytes([byte]) for byte in range(256)]
        self.order = [_greatest_first(token) for token in self.tokens]
        self.places: dict[IdPair, Places] = {}
        self.counts: dict[IdPair, int] = {}
        # Most pairs are too rare ever to be merged. Lest they fill the heap, each waits on a shelf for counts of its
        # magnitude (1, 2-3, 4-7, 8-15, …), and a shelf goes into the heap when that and all shelves above are empty.
        self.heap: list[tuple[int, str, IdPair]] = []
        self.shelves: list[list[IdPair]] = [[] for _ in range(64)]
        for pair, places, count in self._pairs(np.arange(len(self.row))):
            self.places[pair], self.counts[pair] = places, count
        self._queue(self.counts)

    def most_frequent(self) -> IdPair | None:
        """Take the pair with the highest count from the queue; of several, the greatest pair of byte strings."""
        while self.heap or self.shelves:
            if not self.heap:
                self._queue(self.shelves.pop())
                continue
            negative, _, pair = heappop(self.heap)
            if self.counts[pair] == -negative:
                return pair
            self._queue([pair])
        return None

    def _queue(self, pairs: Iterable[IdPair]) -> None:
        for pair in pairs:
            count = self.counts[pair]
            if count.bit_length() < len(self.shelves):
                self.shelves[count.bit_length()].append(pair)
            elif count:
                heappush(self.heap, (-count, self.order[pair[0]] + self.order[pair[1]], pair))

    def merge(self, a: int, b: int) -> Pair:
        """Make a pair one token wherever it stands, correct the counts around it, and give the pair in bytes."""
        merged = len(self.tokens)
        self.tokens.append(self.tokens[a] + self.tokens[b])
        self.order.append(_greatest_first(self.tokens[merged]))
        self.length[merged] = len(self.tokens[merged])
        stood = self.places.pop((a, b))
        join = self._join_few if len(stood) < MANY or a == b else self._join_many
        gained = []
        for pair, places, count in join(a, b, merged, stood):
            left, right = pair
            lost = (left, a) if left != merged else (b, right) if right != merged else (b, a)
            self.counts[lost] -= count
            self.counts[pair], self.places[pair] = count, places
            gained.append(pair)
        self._queue(gained)
        return self.tokens[a], self.tokens[b]

    def _join_few(self, a: int, b: int, merged: int, places: Places) -> Iterator[Gain]:
        row, weight, length = self.views
        step, size = length[a], length[merged]
        joined: list[int] = []
        for i in sorted(places) if isinstance(places, list) else sorted(places.tolist()):
            if row[i] == a == row[i + step - 1] and row[i + step] == b:
                row[i] = row[i + size - 1] = merged
                joined.append(i)
        gains: defaultdict[IdPair, list[int]] = defaultdict(list)
        for i in joined:
            left, right = row[i - 1], row[i + size]
            if left != GAP and left != merged:
                gains[left, merged].append(i - length[left])
            if right != GAP:
                gains[merged, right].append(i)
        for pair, found in gains.items():
            yield pair, found, sum([weight[i] for i in found])

    def _join_many(self, a: int, b: int, merged: int, places: Places) -> Iterator[Gain]:
        """Do what `_join_few` does, for all places at once; a and b must differ, or they would overlap in aaa."""
        row, length = self.row, self.length
        i = np.asarray(places)
        i = i[(row[i] == a) & (row[i + length[a] - 1] == a) & (row[i + length[a]] == b)]
        row[i] = row[i + length[merged] - 1] = merged
        left = i - length[row[i - 1]]
        return self._pairs(np.concatenate([i, left[row[left] != merged]]))

    def _pairs(self, starts: np.ndarray) -> Iterator[Gain]:
        """Give the pairs that begin at these places."""
        left, right = self.row[starts], self.row[(starts + self.length[self.row[starts]]) % len(self.row)]
        between = (left != GAP) & (right != GAP)
        key, starts = (left[between].astype(np.int64) << 32) + right[between], starts[between]
        order = np.argsort(key)
        key, starts = key[order], starts[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        if len(first):
            counts = np.add.reduceat(self.weight[starts], first).tolist()
            ends = [*first[1:].tolist(), len(key)]
            for pair, i, j, count in zip(key[first].tolist(), first.tolist(), ends, counts):
                yield (pair >> 32, pair & 0xFFFFFFFF), starts[i:j], count


def _greatest_first(token: bytes) -> str:
    """Give a text that sorts the other way round than `token` does, since a heap gives its smallest first.

    Each byte is turned around, and a last character, behind all bytes, puts "ab" behind "abc".
    """
    return token.translate(INVERTED).decode("latin-1") + "\u0100"


# END SOLUTION
