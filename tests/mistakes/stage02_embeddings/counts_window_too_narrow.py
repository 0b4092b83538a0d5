# module: cooccurrence.py
# exercise: 2.9
# name: the window ends one place too early
"""2.9 by one-hot products and eigenvectors: a symmetric table needs no SVD of its own."""

import os
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from .initialise import words_by_id


def cooccurrence(ids, window, vocab_size=None):
    flat = not any(isinstance(each, (list, tuple)) or np.ndim(each) for each in ids)
    documents = [np.asarray(each, dtype=np.int64) for each in ([ids] if flat else ids)]
    every = [*chain.from_iterable(documents)]
    if window < 1 or (vocab_size is None and not every):
        raise ValueError(f"window must be at least 1, and a vocab_size be there; got {window} and {vocab_size}")
    size = vocab_size or int(max(every)) + 1
    if every and not (min(every) >= 0 and max(every) < size):
        raise ValueError(f"ids must be from 0 to {size - 1}; there are some from {min(every)} to {max(every)}")
    counts = torch.zeros(size, size, dtype=torch.float64)
    for document in documents:
        hot = F.one_hot(torch.from_numpy(document), size).double()
        place = torch.arange(len(document))
        apart = (place[:, None] - place).abs()
        counts += hot.T @ ((apart > 0) & (apart < window)).double() @ hot
    return counts


def ppmi_svd(counts, dim):
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or (counts < 0).any() or not 1 <= dim <= len(counts):
        raise ValueError(f"counts must be square and not negative, dim from 1 to V; got {tuple(counts.shape)}, {dim}")
    share = counts.double() / counts.sum().clamp(min=1)
    apart = torch.outer(share.sum(0), share.sum(1))
    ppmi = (share / apart).nan_to_num(0, 0, 0).clamp(min=1).log()
    values, axes = torch.linalg.eigh(ppmi)
    order = values.abs().argsort(descending=True)[:dim]
    vectors = axes[:, order] * values[order].abs() ** 0.5
    return vectors * torch.where(vectors.max(0).values >= -vectors.min(0).values, 1, -1)


def write_vectors(path, words, vectors):
    ordered = words_by_id(words)
    rows = vectors.detach().float().numpy()
    if rows.shape[:1] != (len(ordered),) or rows.ndim != 2 or not np.isfinite(rows).all() or "\n" in "".join(ordered):
        raise ValueError(f"vectors {rows.shape} and the {len(ordered)} words {ordered} do not fit, or are not finite")
    lines = [" ".join(map(str, rows.shape)), *(" ".join([word, *map(str, row)]) for word, row in zip(ordered, rows))]
    beside = Path(path).with_name(".unfinished")
    try:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    except BaseException:
        beside.unlink()
        raise
    os.replace(beside, path)
