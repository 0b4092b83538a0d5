"""Encoding at the speed of numpy. This file is given: for those who have written 1.5 and 1.6, and have much text.

`encode_bytes` merges one word at a time. Here thousands of words take their next merge together: round after round,
each word finds its pair of lowest rank, and merges it. And since a text is made of few pieces, each of which comes
again and again, a piece is merged when it first comes up, and looked up from then on.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from .bpe import Pair, encode_bytes
from .pieces import PieceNumbers
from .pretokenize import GPT2_PATTERN

if TYPE_CHECKING:
    from .tokenizer import Tokenizer

NONE = 1 << 40  # the rank of a pair that is not merged
FEW = 100  # words for which a loop is faster
LAST = 32  # words that are left after many rounds, for which it is faster too
LONGEST = 48  # bytes; a longer word takes as many rounds as it has merges, the last of them alone


_encoders: WeakKeyDictionary[Any, FastEncoder] = WeakKeyDictionary()


def encoder_of(tokenizer: Tokenizer) -> FastEncoder | None:
    """Give the fast encoder of a tokenizer, which gives the same ids; None if its pattern is not GPT-2's.

    A tokenizer keeps its encoder, which remembers the pieces that it has seen.
    """
    if tokenizer.pattern != GPT2_PATTERN:
        return None
    if tokenizer not in _encoders:
        lowest = {token: id for id, token in sorted(tokenizer.vocab.items(), reverse=True)}
        _encoders[tokenizer] = FastEncoder(lowest, tokenizer.merges, tokenizer.special_ids)
    return _encoders[tokenizer]


class FastEncoder(PieceNumbers):
    """Encodes texts with GPT-2's pattern.

    Args:
        ids: the id of each token.
        merges: the pairs that are merged, in the order of their ranks.
        special_ids: the id of each special token.

    >>> encoder = FastEncoder({bytes([n]): n for n in range(256)} | {b"ab": 256}, [(b"a", b"b")], {"<|end|>": 257})
    >>> encoder.encode(["abba", "<|end|>"])
    (array([256,  98,  97, 257]), array([3, 4]))
    """

    MOST = 1 << 20  # characters in all the pieces that are remembered; when there are more, all are forgotten

    def __init__(self, ids: Mapping[bytes, int], merges: Sequence[Pair], special_ids: Mapping[str, int]) -> None:
        self.id_of, self.special_ids = ids, special_ids
        self.ranks = {pair: rank for rank, pair in reversed([*enumerate(merges)])}
        keys = np.array([ids[left] << 32 | ids[right] for left, right in self.ranks], dtype=np.int64)
        order = np.argsort(keys)
        self.pair_keys = np.append(keys[order], 1 << 62)  # sorted, to be searched; with one that is never found
        self.pair_ranks = np.append(np.array([*self.ranks.values()], dtype=np.int64)[order], NONE)
        self.product = np.array([ids[left + right] for left, right in merges], dtype=np.int64)
        self.byte_ids = np.array([ids[bytes([byte])] for byte in range(256)], dtype=np.int64)
        self.lock = Lock()  # one thread at a time, lest one change the tables that another one reads
        super().__init__(special_ids)

    def forget(self) -> None:
        super().forget()
        self.size = 0
        self.ids, self.begins, self.ends = (array("q") for _ in range(3))  # piece n has ids[begins[n]:ends[n]]

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Give the ids of some texts, one after the other, each cut by itself; and where those of each text end."""
        with self.lock:
            if self.size > self.MOST:
                self.forget()
            numbers, text_ends = self.of_each(texts)
            self._learn(self.pieces[len(self.ends) :])
            ids, begins, ends = (np.frombuffer(each, dtype=np.int64) for each in (self.ids, self.begins, self.ends))
            size = (ends - begins)[numbers]
            upto = np.cumsum(size)  # where the ids of each piece end in the result
            found = ids[np.repeat(ends[numbers] - upto, size) + np.arange(size.sum())]
            return found, np.append(0, upto)[text_ends]

    def _learn(self, pieces: list[str]) -> None:
        """Work out the ids of pieces that have come up for the first time."""
        words = [piece.encode("utf-8") for piece in pieces]
        first = len(self.ends)  # the number of the first of them
        size = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
        alone = np.ones(len(words), dtype=bool) if len(words) <= FEW else size > LONGEST
        alone[[self[special] - first for special in self.special_ids if self.get(special, -1) >= first]] = True
        begins, ends = np.zeros((2, len(words)), dtype=np.int64)
        together = np.flatnonzero(~alone)
        if len(together):
            ids, upto = self._merge([words[n] for n in together.tolist()])
            begins[together], ends[together] = np.append(0, upto[:-1]) + len(self.ids), upto + len(self.ids)
            self.ids.frombytes(ids.tobytes())
        for n in np.flatnonzero(alone).tolist():
            begins[n] = len(self.ids)
            if pieces[n] in self.special_ids:
                self.ids.append(self.special_ids[pieces[n]])
            else:
                self.ids.extend([self.id_of[token] for token in encode_bytes(words[n], self.ranks)])
            ends[n] = len(self.ids)
        self.begins.frombytes(begins.tobytes())
        self.ends.frombytes(ends.tobytes())
        self.size += sum(map(len, pieces))

    def _merge(self, words: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Do for many words what `encode_bytes` does for one; give all ids, and where those of each word end."""
        token = self.byte_ids[np.frombuffer(b"".join(words), dtype=np.uint8)]
        word = np.repeat(np.arange(len(words)), [len(word) for word in words])  # the word that a token stands in
        rank = self._rank(token, word, np.arange(len(token)))  # of a token and the one behind it
        done = [(word[:0], token[:0])]
        while len(token):
            begin = _changes(word)
            if len(begin) <= LAST:
                for n in word[begin].tolist():
                    ids = [self.id_of[each] for each in encode_bytes(words[n], self.ranks)]
                    done.append((np.full(len(ids), n), np.array(ids)))
                break
            lowest = np.minimum.reduceat(rank, begin)
            lowest = np.repeat(lowest, np.append(begin[1:], len(word)) - begin)
            goes_on = lowest < NONE
            done.append((word[~goes_on], token[~goes_on]))
            token, word, rank, lowest = token[goes_on], word[goes_on], rank[goes_on], lowest[goes_on]
            best = np.flatnonzero(rank == lowest)
            best = best[_changes(word[best])]  # the leftmost in each word
            token[best] = self.product[rank[best]]
            stays = np.ones(len(token), dtype=bool)
            stays[best + 1] = False
            token, word, rank = token[stays], word[stays], rank[stays]
            best -= np.arange(len(best))  # one token has gone before the second, two before the third, …
            changed = np.concatenate([best, best[best > 0] - 1])
            rank[changed] = self._rank(token, word, changed)
        word, token = (np.concatenate(column) for column in zip(*done))
        return token[np.argsort(word, kind="stable")], np.cumsum(np.bincount(word))

    def _rank(self, token: np.ndarray, word: np.ndarray, i: np.ndarray) -> np.ndarray:
        """Give the rank of each token i and the one behind it; NONE if that stands in another word."""
        j = np.minimum(i + 1, len(token) - 1)
        key = np.where((i < j) & (word[i] == word[j]), token[i] << 32 | token[j], -1)
        place = np.searchsorted(self.pair_keys, key)
        return np.where(self.pair_keys[place] == key, self.pair_ranks[place], NONE)


def _changes(word: np.ndarray) -> np.ndarray:
    """Give the places where another word begins than the one before."""
    begins = np.ones(len(word), dtype=bool)
    np.not_equal(word[1:], word[:-1], out=begins[1:])
    return np.flatnonzero(begins)
