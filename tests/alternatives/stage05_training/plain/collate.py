"""Lists, until the last line makes tensors of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .batch import IGNORE, Batch


def check_texts(sequences: Sequence[Sequence[int]]) -> None:
    if len(sequences) == 0:
        raise ValueError("no texts")
    for number in range(len(sequences)):
        if len(sequences[number]) < 2:
            raise ValueError(f"text {number} is too short")


def pad_batch(sequences: Sequence[Sequence[int]], pad_id: int = 0) -> Batch:
    check_texts(sequences)
    width = 0
    for text in sequences:
        width = max(width, len(text) - 1)
    ids, targets = [], []
    for text in sequences:
        missing = width - (len(text) - 1)
        ids.append(list(text[:-1]) + [pad_id] * missing)
        targets.append(list(text[1:]) + [IGNORE] * missing)
    return Batch(torch.tensor(ids), torch.tensor(targets))


def bucket_by_length(
    lengths: Sequence[int], batch_size: int, generator: torch.Generator | None = None
) -> list[list[int]]:
    if batch_size <= 0:
        raise ValueError(f"batch_size is {batch_size}")
    dice = torch.rand(len(lengths), generator=generator, dtype=torch.float64).tolist()
    left = sorted(range(len(lengths)), key=lambda index: (-lengths[index], dice[index]))
    batches = []
    while left:
        batches.append(left[:batch_size])
        left = left[batch_size:]
    for last in range(len(batches) - 1, 0, -1):  # Fisher and Yates
        other = int(torch.randint(last + 1, (1,), generator=generator))
        batches[last], batches[other] = batches[other], batches[last]
    return batches


def pack(sequences: Sequence[Sequence[int]], length: int, pad_id: int = 0) -> Batch:
    check_texts(sequences)
    if length <= 0:
        raise ValueError(f"length is {length}")
    pieces = []
    for text in sequences:
        ids, targets = list(text[:-1]), list(text[1:])
        while ids:
            pieces.append((ids[:length], targets[:length]))
            ids, targets = ids[length:], targets[length:]
    rows: list[list[tuple[list[int], list[int]]]] = []
    for size in range(length, 0, -1):  # the longest first
        for piece in pieces:
            if len(piece[0]) != size:
                continue
            for row in rows:
                if sum(len(ids) for ids, _ in row) + size <= length:
                    row.append(piece)
                    break
            else:
                rows.append([piece])
    ids, targets, positions = [], [], []
    mask = torch.zeros(len(rows), 1, length, length, dtype=torch.bool)
    for number, row in enumerate(rows):
        filled = sum(len(some) for some, _ in row)
        row = [*row, ([pad_id] * (length - filled), [IGNORE] * (length - filled))]
        ids.append([id for some, _ in row for id in some])
        targets.append([target for _, some in row for target in some])
        positions.append([place for some, _ in row for place in range(len(some))])
        begin = 0
        for some, _ in row:
            end = begin + len(some)
            mask[number, :, begin:end, begin:end] = True
            begin = end
    return Batch(torch.tensor(ids), torch.tensor(targets), mask, torch.tensor(positions))
