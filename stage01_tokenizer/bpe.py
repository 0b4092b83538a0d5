"""1.4, 1.5 · Byte-pair encoding as it was published: count, merge, repeat.

Sennrich, Haddow and Birch: Neural Machine Translation of Rare Words with Subword Units (2016),
algorithm 1; over bytes, as in Radford et al.: Language Models are Unsupervised Multitask Learners (2019).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

from .pretokenize import pretokenize, split_special

Word = tuple[bytes, ...]  # a pre-token, as the tokens that spell it
Pair = tuple[bytes, bytes]  # two tokens side by side


def count_pairs(words: Mapping[Word, int]) -> Counter[Pair]:
    """Count how often each two tokens stand side by side, over words with their frequencies.

    >>> count_pairs({(b"a", b"b", b"a", b"b"): 2, (b"b", b"a"): 1})
    Counter({(b'a', b'b'): 4, (b'b', b'a'): 3})
    """
    # TODO 1.4: add up the frequency of each word at each pair of neighbours in it
    raise NotImplementedError(
        "1.4 count_pairs: add up the frequency of each word at each pair of neighbours in it; "
        "hint: python -m bootcamp hint 1.4"
    )


def merge_pair(word: Word, pair: Pair) -> Word:
    """Join each occurrence of `pair` in `word` into one token, from left to right.

    >>> merge_pair((b"l", b"o", b"w", b"l", b"o"), (b"l", b"o"))
    (b'lo', b'w', b'lo')
    >>> merge_pair((b"a", b"a", b"a"), (b"a", b"a"))
    (b'aa', b'a')
    """
    # TODO 1.4: walk along the word; a merged pair takes two steps
    raise NotImplementedError(
        "1.4 merge_pair: walk along the word; a merged pair takes two steps; hint: python -m bootcamp hint 1.4"
    )


def train_bpe(text: str, vocab_size: int, special_tokens: Sequence[str] = ()) -> tuple[dict[int, bytes], list[Pair]]:
    """Learn a byte-level BPE vocabulary from `text`.

    Start from the 256 bytes. Again and again, find the pair of tokens that stands side by side
    most often within a pre-token, and make it one token. Of equally frequent pairs, the
    lexicographically greatest pair of byte strings is taken. No merge crosses from one pre-token
    into the next, or touches a special token.

    Args:
        text: what to learn from.
        vocab_size: how many ids there may be: the bytes, the merges and the special tokens.
        special_tokens: texts that are one token each and are not learned from.

    Returns:
        The vocabulary (id to bytes: the 256 bytes, the merges in the order learned, the special
        tokens as given) and the merges. Fewer than asked for if no pair is left; one that comes once is merged too.

    Raises:
        ValueError: `vocab_size` cannot hold the bytes and the special tokens, or a special token
            is empty or stands twice.

    >>> vocab, merges = train_bpe("low low low lower lower newest newest", 260, ["<|end|>"])
    >>> merges
    [(b'o', b'w'), (b'l', b'ow'), (b' ', b'low')]
    >>> vocab[256], vocab[259]
    (b'ow', b'<|end|>')
    """
    merge_count = room_for_merges(vocab_size, special_tokens)
    # TODO 1.4: cut the text into words of single bytes, then count and merge, again and again
    raise NotImplementedError(
        "1.4 train_bpe: cut the text into words of single bytes, then count and merge, again and again; "
        "hint: python -m bootcamp hint 1.4"
    )


def room_for_merges(vocab_size: int, special_tokens: Sequence[str]) -> int:
    """Say how many merges a vocabulary of `vocab_size` has room for, beside bytes and specials."""
    if "" in special_tokens or len(set(special_tokens)) < len(special_tokens):
        raise ValueError(f"special tokens must be different from each other and not empty; got {list(special_tokens)}")
    room = vocab_size - 256 - len(special_tokens)
    if room < 0:
        raise ValueError(
            f"vocab_size must be at least {vocab_size - room}: 256 bytes and {len(special_tokens)} special tokens; "
            f"got {vocab_size}"
        )
    return room


def build_vocab(merges: Sequence[Pair], special_tokens: Sequence[str] = ()) -> dict[int, bytes]:
    """Number the tokens: the 256 bytes, then what each merge makes, then the special tokens."""
    tokens = [bytes([byte]) for byte in range(256)]
    tokens += [left + right for left, right in merges]
    tokens += [token.encode("utf-8") for token in special_tokens]
    return dict(enumerate(tokens))


def encode_bytes(word: bytes, ranks: Mapping[Pair, int]) -> list[bytes]:
    """Cut `word` into tokens by merging, the pair of lowest rank first, until no pair has a rank.

    The rank of a merge is its place in the list of merges. Of several occurrences of the best
    pair the leftmost comes first. The work grows no faster than n log n with the length of the word.

    >>> ranks = {(b"b", b"c"): 0, (b"a", b"b"): 1, (b"a", b"bc"): 2}
    >>> encode_bytes(b"abcab", ranks)
    [b'abc', b'ab']
    """
    # TODO 1.5: keep the pairs in a heap, ordered by rank, then by place
    raise NotImplementedError(
        "1.5 encode_bytes: keep the pairs in a heap, ordered by rank, then by place; hint: python -m bootcamp hint 1.5"
    )
