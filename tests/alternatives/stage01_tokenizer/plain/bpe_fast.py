"""Fast training by hand: flat lists as linked words, places of each pair, and a ladder of counts kept by `bisect`."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence

from .bpe import Pair, build_vocab, room_for_merges
from .pretokenize import pretokenize, split_special


class _Ladder:
    """Pairs on rungs: a rung holds the pairs that were found to stand so often. Old entries stay and are passed over.

    A rung is put in order once, when it becomes the highest; from then on what is added goes to its place in it.
    """

    __slots__ = ("heights", "in_order", "rungs")

    def __init__(self) -> None:
        self.rungs: dict[int, list[Pair]] = {}
        self.heights: list[int] = []  # the rungs there are, the lowest first
        self.in_order: set[int] = set()

    def put(self, pair: Pair, count: int) -> None:
        rung = self.rungs.get(count)
        if rung is None:
            self.rungs[count] = [pair]
            insort(self.heights, count)
        elif count in self.in_order:
            place = bisect_left(rung, pair)
            if place == len(rung) or rung[place] != pair:
                rung.insert(place, pair)
        else:
            rung.append(pair)

    def take_best(self, counts: Mapping[Pair, int]) -> Pair | None:
        """Give the greatest of the most frequent pairs, by what `counts` says now; None if none is left."""
        while self.heights:
            height = self.heights[-1]
            rung = self.rungs[height]
            if height not in self.in_order:
                rung.sort()
                self.in_order.add(height)
            while rung:
                pair = rung.pop()
                if counts.get(pair) == height:
                    return pair
            self.heights.pop()
            self.in_order.discard(height)
            del self.rungs[height]
        return None


class _Words:
    """All different words in one row of places; each place knows its token, its neighbours and how often it counts."""

    __slots__ = ("after", "before", "counts", "places", "tokens", "weights")

    def __init__(self, words: Mapping[str, int]) -> None:
        self.tokens: list[bytes] = []  # b"" where a token was taken in by the one before it
        self.before: list[int] = []  # the place of the token before, or -1
        self.after: list[int] = []  # the place of the token behind, or -1
        self.weights: list[int] = []
        self.counts: dict[Pair, int] = {}
        self.places: dict[Pair, list[int]] = {}  # where a pair stands, and places where it stood
        single = [bytes((byte,)) for byte in range(256)]
        for word, weight in words.items():
            spelled = word.encode("utf-8")
            first = len(self.tokens)
            last = first + len(spelled) - 1
            for place, byte in enumerate(spelled, first):
                self.tokens.append(single[byte])
                self.weights.append(weight)
                self.before.append(place - 1 if place > first else -1)
                self.after.append(place + 1 if place < last else -1)
                if place > first:
                    self._count((self.tokens[place - 1], single[byte]), weight, place - 1)

    def _count(self, pair: Pair, weight: int, place: int) -> None:
        self.counts[pair] = self.counts.get(pair, 0) + weight
        self.places.setdefault(pair, []).append(place)

    def _discount(self, pair: Pair, weight: int) -> None:
        self.counts[pair] -= weight

    def merge(self, pair: Pair) -> set[Pair]:
        """Make one token of `pair` wherever it stands, from left to right; give the pairs whose count has changed."""
        left, right = pair
        both = left + right
        tokens, before, after = self.tokens, self.before, self.after
        changed = {pair}
        for place in sorted(self.places.pop(pair)):
            taken = after[place]
            if taken < 0 or tokens[place] != left or tokens[taken] != right:
                continue  # the pair stood here once, or one before it has taken its left half
            weight = self.weights[place]
            previous, following = before[place], after[taken]
            self._discount(pair, weight)
            if previous >= 0:
                old, new = (tokens[previous], left), (tokens[previous], both)
                self._discount(old, weight)
                self._count(new, weight, previous)
                changed.update((old, new))
            if following >= 0:
                old, new = (right, tokens[following]), (both, tokens[following])
                self._discount(old, weight)
                self._count(new, weight, place)
                changed.update((old, new))
                before[following] = place
            tokens[place], tokens[taken] = both, b""
            after[place], after[taken] = following, -1
        for gone in [each for each in changed if not self.counts[each]]:
            del self.counts[gone]
            self.places.pop(gone, None)
            changed.discard(gone)
        return changed


def train_bpe_fast(
    source: str | Mapping[str, int], vocab_size: int, special_tokens: Sequence[str] = ()
) -> tuple[dict[int, bytes], list[Pair]]:
    """Learn what `train_bpe` learns, from a text or from pre-tokens with their counts."""
    specials = list(special_tokens)
    room = room_for_merges(vocab_size, specials)
    words = _Words(_count_pieces(source, specials) if isinstance(source, str) else _checked(source, specials))
    ladder = _Ladder()
    for pair, count in words.counts.items():
        ladder.put(pair, count)
    merges: list[Pair] = []
    while len(merges) < room and (best := ladder.take_best(words.counts)) is not None:
        merges.append(best)
        for pair in words.merge(best):
            ladder.put(pair, words.counts[pair])
    return build_vocab(merges, specials), merges


def _count_pieces(text: str, specials: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    apart = set(specials)
    for part in split_special(text, specials):
        if part not in apart:
            for piece in pretokenize(part):
                counts[piece] = counts.get(piece, 0) + 1
    return counts


def _checked(source: Mapping[str, int], specials: Sequence[str]) -> dict[str, int]:
    """Give the counts as they are, but for special tokens: these, and what stands around them, come apart."""
    counts: dict[str, int] = {}
    apart = set(specials)
    for piece, count in source.items():
        if count < 1:
            raise ValueError(f"a pre-token must be counted at least once; {piece!r} is counted {count} times")
        for part in split_special(piece, specials) if any(special in piece for special in apart) else [piece]:
            if part not in apart:
                counts[part] = counts.get(part, 0) + count
    return counts
