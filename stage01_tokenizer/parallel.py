"""1.8 · Files of any size, and several processes: what each takes, and how the results come together."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from .encode_fast import encoder_of
from .pieces import PieceNumbers
from .pretokenize import GPT2_PATTERN, pretokenize, split_special, stretches
from .processes import StrPath, Tell, in_processes, read_text

if TYPE_CHECKING:
    from .tokenizer import Tokenizer


def chunk_boundaries(file: BinaryIO, chunks: int, split_token: bytes) -> list[int]:
    """Find where to cut a file into chunks of about the same size, each of which ends where a document ends.

    Only the parts of the file around the cuts are read, from each fair place up to the next end of a document, and
    no part twice.

    Args:
        file: a file that is open for reading bytes; where it stands does not matter.
        chunks: how many chunks there may be.
        split_token: the bytes that end a document.

    Returns:
        The offsets of the cuts, in bytes: 0, then places directly behind a `split_token`, then the size of the file.
        Fewer than `chunks + 1` if there are not as many documents; [0] alone if the file is empty.

    Raises:
        ValueError: `chunks` is below 1, or `split_token` is empty.

    >>> from io import BytesIO
    >>> chunk_boundaries(BytesIO(b"one.two.three.four."), 2, b".")
    [0, 14, 19]
    """
    if chunks < 1:
        raise ValueError(f"chunks must be at least 1; got {chunks}")
    if not split_token:
        raise ValueError("split_token must not be empty")
    # TODO 1.8: from each fair place on, read blocks until one has the token, and mind those on the seam
    raise NotImplementedError(
        "1.8 chunk_boundaries: from each fair place on, read blocks until one has the token, and mind those on the "
        "seam; "
        "hint: python -m bootcamp hint 1.8"
    )


def count_pretokens(
    path: StrPath,
    special_tokens: Sequence[str] = (),
    workers: int = 1,
    pattern: str = GPT2_PATTERN,
    progress: Callable[[int], None] | None = None,
) -> Counter[str]:
    """Count the pre-tokens of a text file, for `train_bpe_fast`.

    Special tokens are not counted, and end a pre-token. The counts are the same for any number of workers. A process
    keeps the counts and a block of text, never the file.

    Args:
        path: a text in UTF-8.
        special_tokens: what stands between documents, say. The file is cut into chunks behind one of them.
        workers: how many processes count.
        pattern: what a pre-token is.
        progress: called again and again with the number of bytes that are done.

    Raises:
        ValueError: the file is not UTF-8 (which file, and at which byte), or `workers` is below 1.
        RuntimeError: a process died.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1; got {workers}")
    # TODO 1.8: cut the file into chunks, let each be counted by a process, and add up the counts
    raise NotImplementedError(
        "1.8 count_pretokens: cut the file into chunks, let each be counted by a process, and add up the counts; "
        "hint: python -m bootcamp hint 1.8"
    )


# -- what follows is given


def cut_file(path: StrPath, special_tokens: Sequence[str], chunks: int) -> list[int]:
    """Give the `chunk_boundaries` of a file whose documents end with one of the special tokens."""

    def always_cuts(token: str) -> bool:
        """Say whether `split_special` cuts behind `token` wherever it stands: no other one is longer, or overlaps."""
        heads = [token[:length] for length in range(1, len(token))]
        return not any((token in other and token != other) or other.endswith(tuple(heads)) for other in special_tokens)

    with open(path, "rb") as file:
        for token in filter(always_cuts, special_tokens):
            return chunk_boundaries(file, chunks, token.encode("utf-8"))
        size = file.seek(0, os.SEEK_END)
        return [0, size] if size else [0]


def encode_batch(tokenizer: Tokenizer, texts: Iterable[str], workers: int = 1) -> Iterator[list[int]]:
    """Give `tokenizer.encode(text)` for each text, in order, worked out by several processes.

    Texts are taken as they are needed: neither they nor their ids have to fit into memory all at once.
    """
    encoder_of(tokenizer)  # once, for processes that begin as copies of this one
    for ids, ends in in_processes(_encode_texts, (tokenizer,), _batches(texts), workers):
        flat, begin = ids.tolist(), 0
        for end in ends.tolist():
            yield flat[begin:end]
            begin = end


def _batches(texts: Iterable[str]) -> Iterator[tuple[list[str]]]:
    """Gather texts of some hundred thousand characters."""
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= 1 << 19:
            yield (batch,)
            batch, size = [], 0
    yield (batch,)


def _encode_texts(tokenizer: Tokenizer, texts: list[str], tell: Tell) -> tuple[np.ndarray, np.ndarray]:
    """Give the ids of all texts one after the other, and where those of each end."""
    if (encoder := encoder_of(tokenizer)) is not None:
        ids, ends = encoder.encode(texts)
        return ids.astype(np.uint32), ends
    each = [tokenizer.encode(text) for text in texts]
    return np.fromiter(chain.from_iterable(each), dtype=np.uint32), np.cumsum([len(ids) for ids in each])


def encode_file(
    tokenizer: Tokenizer, path: StrPath, workers: int = 1, progress: Callable[[int], None] | None = None
) -> Iterator[np.ndarray]:
    """Give the ids of a text file, part by part, worked out by several processes.

    The parts, one after the other, are the ids of the whole text. Memory holds a few parts of the file, of 4 MiB
    each or as long as the longest document, and never the file.

    Raises:
        ValueError: the file is not UTF-8; which file, and at which byte.
        RuntimeError: a process died.
    """
    encoder_of(tokenizer)
    size = os.path.getsize(path)
    cuts = cut_file(path, list(tokenizer.special_ids), max(1, size >> 22)) if workers > 1 else [0, size]
    encode = _encode_part if len(cuts) > 2 else _stream_part
    for arrays in in_processes(encode, (tokenizer, path), zip(cuts, cuts[1:]), min(workers, len(cuts) - 1), progress):
        yield from arrays


def _stream_part(tokenizer: Tokenizer, path: StrPath, begin: int, end: int, tell: Tell) -> Iterator[np.ndarray]:
    blocks = read_text(path, begin, end, tell)
    if (encoder := encoder_of(tokenizer)) is not None:
        for text in stretches(blocks, tokenizer.special_ids):
            yield encoder.encode([text])[0].astype(np.uint32)
        return
    ids = tokenizer.encode_iterable(blocks)
    while len(some := np.fromiter(islice(ids, 1 << 20), dtype=np.uint32)):
        yield some


def _encode_part(tokenizer: Tokenizer, path: StrPath, begin: int, end: int, tell: Tell) -> list[np.ndarray]:
    return list(_stream_part(tokenizer, path, begin, end, tell))
