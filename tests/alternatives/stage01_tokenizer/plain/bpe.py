"""BPE by hand: an index from pairs to words in training; linked nodes and one bucket of places a rank in encoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

from .pretokenize import pretokenize, split_special

Word = tuple[bytes, ...]
Pair = tuple[bytes, bytes]


def count_pairs(words: Mapping[Word, int]) -> Counter[Pair]:
    """Count how often each two tokens stand side by side, over words with their frequencies."""
    counts: Counter[Pair] = Counter()
    for word, frequency in words.items():
        for place in range(len(word) - 1):
            counts[word[place], word[place + 1]] += frequency
    return counts


def merge_pair(word: Word, pair: Pair) -> Word:
    """Join each occurrence of `pair` in `word` into one token, from left to right."""
    left, right = pair
    merged: list[bytes] = []
    free = False  # whether the last of `merged` is a `left` that no pair has taken yet
    for token in word:
        if free and token == right:
            merged[-1] = left + right
            free = False
        else:
            merged.append(token)
            free = token == left
    return tuple(merged)


def train_bpe(text: str, vocab_size: int, special_tokens: Sequence[str] = ()) -> tuple[dict[int, bytes], list[Pair]]:
    """Learn a byte-level BPE vocabulary from `text`; ties go to the greatest pair of byte strings."""
    specials = list(special_tokens)
    room = room_for_merges(vocab_size, specials)
    spelled, frequency = _spell(text, specials)
    counts: dict[Pair, int] = {}
    standing: dict[Pair, set[int]] = {}  # in which words a pair stands, or has stood
    for number, word in enumerate(spelled):
        _add(word, frequency[number], number, counts, standing)

    merges: list[Pair] = []
    while len(merges) < room:
        best, most = None, 0
        for pair, count in counts.items():
            if count > most or (count == most and best is not None and pair > best):
                best, most = pair, count
        if best is None:
            break
        merges.append(best)
        for number in sorted(standing.pop(best)):
            _remove(spelled[number], frequency[number], counts)
            spelled[number] = merge_pair(spelled[number], best)
            _add(spelled[number], frequency[number], number, counts, standing)
    return build_vocab(merges, specials), merges


def _spell(text: str, specials: Sequence[str]) -> tuple[list[Word], list[int]]:
    """Give the different pre-tokens of `text` as tokens of one byte, and how often each comes."""
    number_of: dict[str, int] = {}
    frequency: list[int] = []
    for part in split_special(text, specials):
        if part in specials:
            continue
        for piece in pretokenize(part):
            number = number_of.setdefault(piece, len(number_of))
            if number == len(frequency):
                frequency.append(0)
            frequency[number] += 1
    return [tuple(bytes((byte,)) for byte in piece.encode("utf-8")) for piece in number_of], frequency


def _add(word: Word, frequency: int, number: int, counts: dict[Pair, int], standing: dict[Pair, set[int]]) -> None:
    for pair in zip(word, word[1:]):
        counts[pair] = counts.get(pair, 0) + frequency
        standing.setdefault(pair, set()).add(number)


def _remove(word: Word, frequency: int, counts: dict[Pair, int]) -> None:
    for pair in zip(word, word[1:]):
        counts[pair] -= frequency
        if not counts[pair]:
            del counts[pair]


def room_for_merges(vocab_size: int, special_tokens: Sequence[str]) -> int:
    """Say how many merges a vocabulary of `vocab_size` has room for, beside bytes and specials."""
    seen: set[str] = set()
    for token in special_tokens:
        if not token:
            raise ValueError("a special token must not be empty")
        if token in seen:
            raise ValueError(f"special tokens must be different from each other; {token!r} stands twice")
        seen.add(token)
    least = 256 + len(seen)
    if vocab_size < least:
        raise ValueError(
            f"vocab_size must be at least {least}, for 256 bytes and {len(seen)} special tokens; got {vocab_size}"
        )
    return vocab_size - least


def build_vocab(merges: Sequence[Pair], special_tokens: Sequence[str] = ()) -> dict[int, bytes]:
    """Number the tokens: the 256 bytes, then what each merge makes, then the special tokens."""
    vocab: dict[int, bytes] = {}
    for byte in range(256):
        vocab[byte] = byte.to_bytes(1, "big")
    for pair in merges:
        vocab[len(vocab)] = b"".join(pair)
    for token in special_tokens:
        vocab[len(vocab)] = token.encode("utf-8")
    return vocab


class _Node:
    """A token in the word that is being encoded, with its neighbours; `rank` is that of it and its right one."""

    __slots__ = ("left", "rank", "right", "token")

    def __init__(self, token: bytes) -> None:
        self.token = token
        self.left: int = -1
        self.right: int = -1
        self.rank: int | None = None


class _Buckets:
    """Places in a word, in one bucket a rank; the leftmost place of the lowest rank is given first."""

    __slots__ = ("places", "ranks")

    def __init__(self) -> None:
        self.places: dict[int, list[int]] = {}
        self.ranks: list[int] = []

    def add(self, rank: int, place: int) -> None:
        bucket = self.places.get(rank)
        if bucket is None:
            self.places[rank] = [place]
            heappush(self.ranks, rank)
        else:
            heappush(bucket, place)

    def take(self) -> tuple[int, int] | None:
        if not self.ranks:
            return None
        rank = self.ranks[0]
        bucket = self.places[rank]
        place = heappop(bucket)
        if not bucket:
            del self.places[rank]
            heappop(self.ranks)
        return rank, place


def encode_bytes(word: bytes, ranks: Mapping[Pair, int]) -> list[bytes]:
    """Cut `word` into tokens by merging, the pair of lowest rank first, until no pair has a rank."""
    nodes = [_Node(bytes((byte,))) for byte in word]
    buckets = _Buckets()
    for place in range(len(nodes) - 1):
        node = nodes[place]
        node.right, nodes[place + 1].left = place + 1, place
        node.rank = ranks.get((node.token, nodes[place + 1].token))
        if node.rank is not None:
            buckets.add(node.rank, place)

    while (taken := buckets.take()) is not None:
        rank, place = taken
        node = nodes[place]
        if node.rank != rank:  # another merge took one of the two
            continue
        gone = nodes[node.right]
        node.token += gone.token
        node.right, gone.rank = gone.right, None
        if node.right >= 0:
            nodes[node.right].left = place
        for start in (node.left, place):
            if start < 0:
                continue
            first = nodes[start]
            first.rank = None if first.right < 0 else ranks.get((first.token, nodes[first.right].token))
            if first.rank is not None:
                buckets.add(first.rank, start)

    tokens: list[bytes] = []
    place = 0 if nodes else -1
    while place >= 0:
        tokens.append(nodes[place].token)
        place = nodes[place].right
    return tokens
