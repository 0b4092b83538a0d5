"""From a text to what a run reads: a tokenizer, and its tokens on disk. (Given; nothing to write here.)"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stage01_tokenizer import Tokenizer, count_pretokens, train_bpe_fast
from stage01_tokenizer.parallel import encode_file

from .batch import Batch
from .collate import bucket_by_length, pack, pad_batch
from .config import TrainConfig
from .loader import Loader
from .token_file import TokenFile, split, write_tokens
from .windows import WindowDataset

POOL = 1 << 16  # pieces that are sorted into buckets together
Tell = Callable[[str, int, int], None]  # is told what is being done, how much of it is, and how much there is


class Buckets:
    """A dataset of batches: whole documents of about the same length, padded to that of the longest (5.3).

    Of a large text, so many documents are looked at together as are enough to find some of the same length.

    Args:
        tokens: documents, each with `end_id` behind it. What comes behind the last one is left out.
        end_id: stands before each document too when it is read: it says that one begins.
        length: how many places a document may take; a longer one is cut.
        batch_size: how many documents make a batch.
        seed: what the choice among documents of one length follows from.

    Raises:
        ValueError: there are less than `batch_size` documents (both numbers are named).
    """

    def __init__(self, tokens: TokenFile, end_id: int, length: int, batch_size: int, seed: int) -> None:
        self.tokens, self.end_id = tokens, end_id
        parts = [np.flatnonzero(part == end_id) + start for start, part in _parts(tokens)]
        ends = np.concatenate([np.empty(0, np.int64), *parts])
        if len(ends) < batch_size:
            raise ValueError(f"a batch of {batch_size} documents needs as many in the text; got {len(ends)}")
        begins = np.concatenate([[-1], ends[:-1]])  # from the end of the one before to its own, both included
        pieces = -(-(ends - begins) // length)  # how many each document is cut into
        nth = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)  # which of them a piece is
        self.starts = np.repeat(begins, pieces) + nth * length
        self.stops = np.minimum(self.starts + length + 1, np.repeat(ends, pieces) + 1)
        generator = torch.Generator().manual_seed(seed)
        chosen: list[np.ndarray] = []  # pieces, batch behind batch
        sizes: list[int] = []
        for first in range(0, len(self.starts), POOL):
            lengths = (self.stops - self.starts)[first : first + POOL].tolist()
            batches = bucket_by_length(lengths, batch_size, generator)
            chosen.append(np.array([index + first for batch in batches for index in batch], np.int64))
            sizes += [len(batch) for batch in batches]
        self.order, self.ends = np.concatenate(chosen), np.cumsum(sizes)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> Batch:
        pieces = self.order[self.ends[index - 1] if index else 0 : self.ends[index]]
        places = zip(self.starts[pieces].tolist(), self.stops[pieces].tolist())
        return pad_batch([self._read(start, stop) for start, stop in places], self.end_id)

    def _read(self, start: int, stop: int) -> list[int]:
        ids = self.tokens[max(start, 0) : stop].tolist()
        return ids if start >= 0 else [self.end_id, *ids]


def _parts(tokens: TokenFile, size: int = 1 << 20) -> Iterator[tuple[int, np.ndarray]]:
    """Give all tokens, a part at a time, each with its place."""
    for start in range(0, len(tokens), size):
        yield start, tokens[start : start + size].numpy()


def the_one(items: list[Any]) -> Any:
    """Take what is a batch already."""
    (item,) = items
    return item


@dataclass(frozen=True)
class Data:
    """What a run reads.

    Attributes:
        train, validation: tokens; no document is in both.
        tokenizer: what the tokens are of.
        end_id: the id behind each document.
    """

    train: TokenFile
    validation: TokenFile
    tokenizer: Tokenizer
    end_id: int

    @property
    def vocab_size(self) -> int:
        return self.train.vocab_size

    def loader(self, config: TrainConfig) -> Loader:
        """Make what hands out the batches of a run."""
        length = config.model.context_length
        if config.batches == "windows":
            return Loader(WindowDataset(self.train, length), config.batch_size, config.seed, workers=config.workers)
        buckets = Buckets(self.train, self.end_id, length, config.batch_size, config.seed)
        return Loader(buckets, 1, config.seed, workers=config.workers, collate=the_one)

    @cached_property
    def validation_documents(self) -> list[list[int]]:
        """The first whole documents for validation, about a million tokens at most, each between two end_ids."""
        ids = self.validation[: 1 << 20].tolist()
        documents, begin = [], 0
        for place, id in enumerate(ids):
            if id == self.end_id:
                documents.append([self.end_id, *ids[begin : place + 1]])
                begin = place + 1
        return documents or [[self.end_id, *ids]]

    def some_documents(self, rows: int, length: int) -> list[list[int]]:
        """The first documents for validation that fill about so many rows of so many tokens."""
        chosen: list[list[int]] = []
        room = rows * length
        for document in self.validation_documents:
            room -= len(document) - 1
            if room < 0 and chosen:
                break
            chosen.append(document)
        return chosen

    def validation_batches(self, config: TrainConfig) -> Iterator[Batch]:
        """Whole documents, packed into rows: the same ones each time, whatever the size of the batches."""
        length = config.model.context_length
        packed = pack(self.some_documents(config.evaluate_rows, length), length, self.end_id)
        for start in range(0, len(packed.ids), config.batch_size):
            yield packed.rows(slice(start, start + config.batch_size))

    def validation_size(self, config: TrainConfig) -> int:
        """How many bytes of text `validation_batches` gives."""
        return len(self.validation_text(config).encode("utf-8"))

    def validation_text(self, config: TrainConfig) -> str:
        """The text of what `validation_batches` gives."""
        documents = self.some_documents(config.evaluate_rows, config.model.context_length)
        return self.tokenizer.decode([id for document in documents for id in document[1:]])


def prepare(
    corpus: Path,
    folder: Path,
    vocab_size: int,
    separator: str,
    validation: float = 0.1,
    workers: int = 1,
    tell: Tell = lambda *_: None,
    tokenizer: Tokenizer | None = None,
) -> Data:
    """Learn a tokenizer from a text, write its tokens, and cut them in two. What is there already is taken as it is.

    Args:
        corpus: a text file in UTF-8, with `separator` behind each document.
        folder: where tokenizer and tokens are kept, under a name that says what they were made from.
        vocab_size: of the tokenizer, at most: if there are no more pairs to merge, it has less.
        separator: the special token that ends a document.
        validation: the share that is kept for validation.
        workers: how many processes count and encode.
        tell: hears how far it is.
        tokenizer: is taken as it is, if given, and none is learned.

    Raises:
        ValueError: what the tokenizer, the token file or `split` refuse.
    """
    stat = corpus.stat()
    given = None if tokenizer is None else hashlib.sha256(repr(tokenizer.merges).encode()).hexdigest()
    asked = [str(corpus.resolve()), stat.st_size, stat.st_mtime_ns, vocab_size, separator, given]
    name = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]
    tokens, kept = folder / f"{name}.tokens", folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    if tokens.is_file() and kept.is_file():
        made = Tokenizer.load(kept)
    else:
        made = _learned(corpus, vocab_size, separator, workers, tell) if tokenizer is None else tokenizer
        parts = encode_file(made, corpus, workers, lambda done: tell("encoding", done, stat.st_size))
        write_tokens(tokens, parts, made.vocab_size)
        made.save(kept)
    (end_id,) = made.encode(separator)
    train, held_out = split(TokenFile(tokens), validation, end_id)
    return Data(train, held_out, made, end_id)


def _learned(corpus: Path, vocab_size: int, separator: str, workers: int, tell: Tell) -> Tokenizer:
    size = corpus.stat().st_size
    counts = count_pretokens(corpus, [separator], workers, progress=lambda done: tell("counting", done, size))
    tell("learning", 0, 1)
    vocab, merges = train_bpe_fast(counts, vocab_size, [separator])
    return Tokenizer(vocab, merges, [separator])
