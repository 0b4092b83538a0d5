"""Long tensors of all places; the mask is causal too, and comes from where pieces begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from .batch import IGNORE, Batch


def texts_of(sequences: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    short = [n for n, text in enumerate(sequences) if len(text) < 2]
    if short or not sequences:
        raise ValueError(f"texts of two ids and more, please; these are shorter, or there are none: {short[:1]}")
    return [torch.tensor(list(text)) for text in sequences]


def pad_batch(sequences: Sequence[Sequence[int]], pad_id: int = 0) -> Batch:
    texts = texts_of(sequences)
    ids = pad_sequence([text[:-1] for text in texts], batch_first=True, padding_value=pad_id)
    return Batch(ids, pad_sequence([text[1:] for text in texts], batch_first=True, padding_value=IGNORE))


def bucket_by_length(
    lengths: Sequence[int], batch_size: int, generator: torch.Generator | None = None
) -> list[list[int]]:
    if batch_size < 1:
        raise ValueError(batch_size)
    own = torch.empty((), dtype=torch.int64).random_(generator=generator).item()
    rng = np.random.default_rng(int(own))
    order = np.lexsort((rng.random(len(lengths)), np.asarray(lengths, dtype=int)))
    batches = [each.tolist() for each in np.split(order, range(batch_size, len(order), batch_size)) if each.size]
    rng.shuffle(batches)
    return batches


def pack(sequences: Sequence[Sequence[int]], length: int, pad_id: int = 0) -> Batch:
    texts = texts_of(sequences)
    if length < 1:
        raise ValueError(length)
    pairs = [torch.stack([text[:-1], text[1:]]) for text in texts]
    pieces = sorted((piece for pair in pairs for piece in pair.split(length, 1)), key=lambda piece: -piece.shape[1])
    room, lie = np.zeros(0, dtype=int), []
    for piece in pieces:
        size = piece.shape[1]
        row = int(np.argmax(np.append(room, length) >= size))
        if row == len(room):
            room = np.append(room, length)
        lie.append((row, length - int(room[row])))
        room[row] -= size
    table = torch.tensor([pad_id, IGNORE])[:, None, None].repeat(1, len(room), length)
    begins = torch.zeros(len(room), length + 1, dtype=torch.long)
    for (row, at), piece in zip(lie, pieces):
        table[:, row, at : at + piece.shape[1]] = piece
        begins[row, at] = 1
    begins[range(len(room)), (length - room).tolist()] = 1
    number = begins[:, :length].cumsum(1)  # whose a place is
    place = torch.arange(length)
    first = torch.where(begins[:, :length] > 0, place, 0).cummax(1).values
    same = number.unsqueeze(1).eq(number.unsqueeze(2)).tril()  # (B, T, T)
    return Batch(table[0], table[1], same.unsqueeze(1), place - first)
