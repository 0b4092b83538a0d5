"""5.3 · Collating: texts of different lengths into one batch: padded, sorted into buckets, or packed.

Krell et al.: Efficient Sequence Packing without Cross-contamination (2021), sections 3.1 and 3.2.
Letters: B rows of T places.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .batch import IGNORE, Batch


def pad_batch(sequences: Sequence[Sequence[int]], pad_id: int = 0) -> Batch:
    """Put a text into each row, from the left on, and fill up behind it.

    A text of n ids makes n - 1 places: ids 0 to n - 2, with targets 1 to n - 1, its end-of-text included. T is that of
    the longest. Places behind a text hold `pad_id`, and their targets are `IGNORE`. It takes no mask: what is behind a
    text cannot be seen from within it by a model that is causal.

    Args:
        sequences: B texts of two ids or more. They may hold `pad_id` themselves; then it counts as any other id.
        pad_id: what fills up.

    Returns:
        ids and targets (B, T), int64.

    Raises:
        ValueError: there is no text, or one has less than two ids (which one is named).

    >>> batch = pad_batch([[5, 6, 7, 0], [8, 0]], pad_id=0)
    >>> batch.ids.tolist(), batch.targets.tolist()
    ([[5, 6, 7], [8, 0, 0]], [[6, 7, 0], [0, -100, -100]])
    """
    _check_texts(sequences)
    # BEGIN SOLUTION 5.3: rows full of pad_id and of IGNORE, and each text written over their beginnings
    length = max(map(len, sequences)) - 1
    ids = torch.full((len(sequences), length), pad_id)  # (B, T)
    targets = torch.full((len(sequences), length), IGNORE)
    for row, sequence in enumerate(sequences):
        text = torch.as_tensor(sequence, dtype=torch.int64)
        ids[row, : len(text) - 1] = text[:-1]
        targets[row, : len(text) - 1] = text[1:]
    return Batch(ids, targets)
    # END SOLUTION


def bucket_by_length(
    lengths: Sequence[int], batch_size: int, generator: torch.Generator | None = None
) -> list[list[int]]:
    """Put texts of about the same length into batches together, so that little has to be filled up.

    The texts are sorted by length, those of equal length in random order, and cut into batches of `batch_size`; the
    batches then come in random order. One of them may be smaller.

    Args:
        lengths: how long each text is.
        batch_size: how many texts make a batch.
        generator: where the order is drawn from; None means torch's own.

    Returns:
        Batches of the indices of texts; each index is in one of them, once.

    Raises:
        ValueError: `batch_size` is not positive.

    >>> sorted(map(sorted, bucket_by_length([9, 2, 8, 3], batch_size=2)))
    [[0, 2], [1, 3]]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be positive; got {batch_size}")
    # BEGIN SOLUTION 5.3: a random order; a stable sort by length; cut; the batches in a random order
    order = torch.randperm(len(lengths), generator=generator).tolist()
    order.sort(key=lambda index: lengths[index])
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]
    # END SOLUTION


def pack(sequences: Sequence[Sequence[int]], length: int, pad_id: int = 0) -> Batch:
    """Put several texts into each row of T places, one behind the other, so that hardly anything has to be filled up.

    A text of n ids takes n - 1 places, as in `pad_batch`; one that takes more than T is cut into pieces of T places and
    a rest, each with the targets that it had. The pieces go, the longest first and of equal ones the first, each
    into the first row that has room for it (first-fit decreasing).

    Nothing passes from one piece to another: the mask lets each place see its own piece only, and in each the positions
    count from 0. The places behind the last piece of a row are like one more piece: they see each other only, and count
    from 0; their ids are `pad_id`, and their targets `IGNORE`.

    Args:
        sequences: texts of two ids or more.
        length: T.
        pad_id: what fills up.

    Returns:
        ids, targets and positions (B, T), int64; mask (B, 1, T, T). B is what it takes.

    Raises:
        ValueError: there is no text, one has less than two ids (which one is named), or `length` is not positive.

    >>> batch = pack([[1, 2, 3], [4, 5, 6, 7], [8, 9]], length=4)
    >>> batch.ids.tolist(), batch.targets.tolist()
    ([[4, 5, 6, 8], [1, 2, 0, 0]], [[5, 6, 7, 9], [2, 3, -100, -100]])
    >>> batch.positions.tolist()
    [[0, 1, 2, 0], [0, 1, 0, 1]]
    """
    _check_texts(sequences)
    if length < 1:
        raise ValueError(f"length must be positive; got {length}")
    # BEGIN SOLUTION 5.3: cut what is too long; find a row for each piece; write ids, targets, positions and whose it is
    pieces = [
        torch.as_tensor(sequence[start : start + length + 1], dtype=torch.int64)
        for sequence in sequences
        for start in range(0, len(sequence) - 1, length)
    ]
    pieces.sort(key=len, reverse=True)  # stable: of equal ones the first stays first
    rows: list[list[Tensor]] = []
    room: list[int] = []
    for piece in pieces:
        places = len(piece) - 1
        row = next((row for row, free in enumerate(room) if free >= places), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(length)
        rows[row].append(piece)
        room[row] -= places
    ids = torch.full((len(rows), length), pad_id)  # (B, T)
    targets = torch.full((len(rows), length), IGNORE)
    positions = torch.zeros(len(rows), length, dtype=torch.int64)
    owner = torch.full((len(rows), length), -1)  # which piece of the row a place belongs to
    for row, its in enumerate(rows):
        start = 0
        for number, piece in enumerate(its):
            stop = start + len(piece) - 1
            ids[row, start:stop], targets[row, start:stop] = piece[:-1], piece[1:]
            positions[row, start:stop] = torch.arange(stop - start)
            owner[row, start:stop] = number
            start = stop
        positions[row, start:] = torch.arange(length - start)
    mask = (owner[:, :, None] == owner[:, None, :])[:, None]  # (B, 1, T, T)
    return Batch(ids, targets, mask, positions)
    # END SOLUTION


def _check_texts(sequences: Sequence[Sequence[int]]) -> None:
    if not len(sequences):
        raise ValueError("there must be one text at least; got none")
    for number, sequence in enumerate(sequences):
        if len(sequence) < 2:
            raise ValueError(
                f"a text must have two ids at least, one to read and one to predict; text {number} has {len(sequence)}"
            )
