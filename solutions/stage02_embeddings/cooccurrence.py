"""2.9 + · Embeddings from counts: who stands beside whom, weighed and compressed.

Levy and Goldberg: Neural Word Embedding as Implicit Matrix Factorization (2014). That √S serves better than S is from
Levy, Goldberg and Dagan: Improving Distributional Similarity with Lessons Learned from Word Embeddings (2015).
V words, C numbers each.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .initialise import words_by_id


def cooccurrence(ids: Sequence[Any] | Tensor, window: int, vocab_size: int | None = None) -> Tensor:
    """Count how often each id stands near each other id.

    counts[i, j] is the number of times that j stands at most `window` places before or behind an i: each pair of
    places counts, with weight 1, from both sides. No place is near itself, or near one in another document.

    Args:
        ids: one document, a sequence of ids; or several, a sequence of such sequences. Tensors will do as well.
        window: how many places near is; at least 1.
        vocab_size: how many ids there are, V; the largest that comes, and one more, if not given.

    Returns:
        (V, V), float64, symmetric.

    Raises:
        ValueError: `window` is less than 1, an id is not from 0 to V - 1, or there is neither an id nor a `vocab_size`.

    >>> cooccurrence([0, 1, 2, 1], window=1)
    tensor([[0., 1., 0.],
            [1., 0., 2.],
            [0., 2., 0.]], dtype=torch.float64)
    """
    documents, size = read_documents(ids, vocab_size)
    if window < 1:
        raise ValueError(f"window must be at least 1; got {window}")
    # BEGIN SOLUTION 2.9: for each distance up to the window, lay a document beside itself, moved by so many places
    counts = torch.zeros(size, size, dtype=torch.float64)  # (V, V)
    for document in documents:
        for distance in range(1, min(window, len(document) - 1) + 1):
            left, right = document[:-distance], document[distance:]  # (T - distance,) each
            counts.index_put_((left, right), counts.new_ones(()), accumulate=True)  # the same pair may come again
    return counts + counts.T
    # END SOLUTION


def read_documents(ids: Sequence[Any] | Tensor, vocab_size: int | None) -> tuple[list[Tensor], int]:
    """Give each document as a tensor of int64 (T,), and the size of the vocabulary."""
    one = all(not isinstance(each, Sequence) and getattr(each, "ndim", 0) == 0 for each in ids)
    documents = [torch.as_tensor(each, dtype=torch.int64) for each in ([ids] if one else ids)]
    if any(document.ndim != 1 for document in documents):
        raise ValueError("a document must be a sequence of ids")
    every = torch.cat([torch.empty(0, dtype=torch.int64), *documents])
    if vocab_size is None:
        if not len(every):
            raise ValueError("without an id, vocab_size must be given")
        vocab_size = int(every.max()) + 1
    for id in (int(every.min()), int(every.max())) if len(every) else ():
        if not 0 <= id < vocab_size:
            raise ValueError(f"ids must be from 0 to {vocab_size - 1}; got {id}")
    return documents, vocab_size


def ppmi_svd(counts: Tensor, dim: int) -> Tensor:
    """Make vectors from counts: positive pointwise mutual information, compressed by a truncated SVD.

    PPMI[i, j] = max(0, ln(p(i, j) / (p(i) p(j)))), where p(i, j) is the share of counts[i, j] in all counts, and p(i)
    that of row i. It says how much more often i and j meet than they would by chance; 0 where they never meet.
    With PPMI = U S Vᵀ, singular values from large to small, the vectors are the rows of U · √S, in its first `dim`
    columns. The SVD leaves the sign of a column open: here its entry that is largest in magnitude is positive.

    Args:
        counts: (V, V), symmetric, not negative, as `cooccurrence` gives them; of any number format.
        dim: the width C of the vectors, 1 to V.

    Returns:
        (V, C), float64. A word that comes near no other has the vector zero.

    Raises:
        ValueError: `counts` is not square, or has a negative number; `dim` is not from 1 to V.

    >>> ppmi_svd(torch.tensor([[0.0, 4.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 2.0]]), 1)
    tensor([[0.0000],
            [0.0000],
            [1.2686]], dtype=torch.float64)
    """
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or (counts < 0).any():
        raise ValueError(f"counts must be square and not negative; got the shape {tuple(counts.shape)}")
    if not 1 <= dim <= len(counts):
        raise ValueError(f"dim must be from 1 to {len(counts)}, the number of words; got {dim}")
    # BEGIN SOLUTION 2.9: the logarithm only where there is a count; then the SVD, its first columns, and their signs
    counts = counts.double()
    totals = counts.sum(1)  # (V,)
    expected = totals[:, None] * totals / totals.sum()  # (V, V): how often they would meet by chance
    pmi = torch.where(counts > 0, counts / expected, 1.0).log()  # (V, V)
    u, s, _ = torch.linalg.svd(pmi.clamp(min=0))  # (V, V), (V,)
    vectors = u[:, :dim] * s[:dim].sqrt()  # (V, C)
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))  # (1, C)
    return torch.where(largest < 0, -vectors, vectors)
    # END SOLUTION


def write_vectors(path: str | os.PathLike[str], words: Mapping[str, int], vectors: Tensor) -> None:
    """Write vectors as text that `load_pretrained` reads, with a header, words in the order of their ids.

    The header is "V C"; each further line is a word and the numbers in its row, with one space between two fields.
    The text is UTF-8, and lines end in "\\n". Read back, the numbers are those of `vectors` in float32, to the bit.

    The file appears whole or not at all: one that stood at `path` before stays as it is until the new one is
    complete, and if writing fails nothing half-written is left in the folder.

    Args:
        path: the file.
        words: the words and their ids, 0 to V - 1.
        vectors: (V, C), a row for each id; may be a parameter.

    Raises:
        ValueError: the ids of the words are not 0 to V - 1, `vectors` is not (V, C), a number in it is nan or
            infinite, or a word holds the end of a line.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "vectors.txt")
    ...     write_vectors(path, {"cat": 1, "the": 0}, torch.tensor([[0.5, -2.0, 0.25], [1.0, 0.0, 3.0]]))
    ...     print(path.read_text(), end="")
    2 3
    the 0.5 -2 0.25
    cat 1 0 3
    """
    ordered = words_by_id(words)
    if vectors.ndim != 2 or len(vectors) != len(ordered):
        raise ValueError(f"there must be a row for each of the {len(ordered)} words; got {tuple(vectors.shape)}")
    if not vectors.float().isfinite().all():
        raise ValueError("vectors must hold finite numbers of float32")
    if broken := [word for word in ordered if "\n" in word]:
        raise ValueError(f"a word must not hold the end of a line; got {broken[0]!r}")
    # BEGIN SOLUTION 2.9: write another file beside it, and put that in its place when it is complete
    unfinished = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")
    try:
        with open(unfinished, "w", encoding="utf-8", newline="\n") as file:
            print(*vectors.shape, file=file)
            for word, row in zip(ordered, vectors.float().tolist()):
                print(word, *(f"{number:.9g}" for number in row), file=file)  # 9 digits tell any two of float32 apart
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    # END SOLUTION
