"""2.2 · Where the numbers start: drawn at random, or read from a file of pre-trained vectors.

Pennington, Socher and Manning: GloVe (2014); Mikolov et al.: Efficient Estimation of Word Representations in Vector
Space (2013). Both are published as text, a word and its numbers a line. V words, C numbers each.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

STD = 0.02  # of a row about which nothing is known


def normal_(weight: Tensor, std: float, generator: Generator | None = None) -> Tensor:
    """Fill `weight` with draws from the normal distribution N(0, std²), in place, and give it back.

    No gradient is tracked, so that a parameter can be filled. The draws come from `generator`; from torch's own if
    there is none.

    Raises:
        ValueError: `std` is negative.

    >>> weight = nn.Parameter(torch.zeros(2, 3))
    >>> normal_(weight, 0.02, torch.Generator().manual_seed(0)) is weight
    True
    """
    if not std >= 0:
        raise ValueError(f"std must not be negative; got {std}")
    # TODO 2.2: torch can fill a tensor in place; a parameter lets it only where no gradient is tracked
    raise NotImplementedError(
        "2.2 normal_: torch can fill a tensor in place; a parameter lets it only where no gradient is tracked; "
        "hint: python -m bootcamp hint 2.2"
    )


def freeze(module: nn.Module, frozen: bool = True) -> nn.Module:
    """Let training leave all parameters of `module` as they are (or, with `frozen=False`, train them again).

    They are those of the modules inside it too: their `requires_grad` is set. Gives the module back.

    >>> freeze(nn.Embedding(5, 3)).weight.requires_grad
    False
    """
    # TODO 2.2: set requires_grad of each parameter
    raise NotImplementedError("2.2 freeze: set requires_grad of each parameter; hint: python -m bootcamp hint 2.2")


@dataclass(frozen=True, eq=False)
class PretrainedReport:
    """The rows that were read for a vocabulary, and what was wrong with the file."""

    weight: Tensor  # (V, C), float32
    found: Tensor  # (V,), bool: whether the row was read, not drawn
    coverage: float  # the share of the vocabulary that was found, from 0 to 1
    missing: list[str]  # the words that were not, in the order of their ids
    duplicates: int  # lines for a word of the vocabulary that had its vector already
    malformed: list[tuple[int, str]]  # lines that were skipped: their number, from 1, and what is wrong with them


def load_pretrained(
    path: str | os.PathLike[str], vocab: Mapping[str, int], dim: int, generator: Generator | None = None
) -> PretrainedReport:
    """Read the vectors of the words in `vocab` from a text file in the format of GloVe and word2vec.

    A line is a token and `dim` numbers, with one space between two fields: "word 0.1 -0.2 …". The last `dim` fields
    are the numbers; all that stands before them is the token, which may hold spaces. The first line may be a header
    instead, of two whole numbers: how many vectors there are, and their width.

    - Of several lines for a word, the first that is well-formed counts.
    - A line is skipped, and named in `malformed`, if it is not UTF-8, has not `dim` numbers behind a token (an empty
      line has none), or one that is nan, infinite or too large for float32. It has too many numbers if what would be
      its token is no word of the vocabulary and ends in a space and one more number.
    - Rows without a vector are drawn from N(mean, std²), with the mean and the standard deviation of each column over
      the rows that have one; from N(0, 0.02²) if fewer than two have.

    A file may be far larger than memory: it is read line by line, and only the rows of the vocabulary are kept.

    Args:
        path: the file.
        vocab: the words and their ids, 0 to V - 1.
        dim: the width C of the vectors.
        generator: where the rows without a vector are drawn from; torch's own if there is none.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the ids are not 0 to V - 1, `dim` is less than 1, the header says another width (both are named),
            or there are lines behind it and none of them is a token with `dim` numbers.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "vectors.txt")
    ...     _ = path.write_text("the 0.5 1.0\\nNew York -1.0 2.0\\ncat 0.1\\n")
    ...     report = load_pretrained(path, {"cat": 0, "New York": 1, "the": 2}, dim=2)
    >>> report.weight[1:].tolist(), report.missing
    ([[-1.0, 2.0], [0.5, 1.0]], ['cat'])
    >>> report.malformed
    [(3, '1 number behind the token, not 2')]
    """
    words = words_by_id(vocab)
    if dim < 1:
        raise ValueError(f"dim must be at least 1; got {dim}")
    # TODO 2.2: line by line, keep the first good vector of each word; then draw the rows that have none
    raise NotImplementedError(
        "2.2 load_pretrained: line by line, keep the first good vector of each word; then draw the rows that have "
        "none; "
        "hint: python -m bootcamp hint 2.2"
    )


def words_by_id(vocab: Mapping[str, int]) -> list[str]:
    """List the words of a vocabulary in the order of their ids, which have to be 0 to V - 1."""
    words = sorted(vocab, key=lambda word: vocab[word])
    if not words or [vocab[word] for word in words] != list(range(len(words))):
        raise ValueError(f"the ids of a vocabulary of {len(words)} words must be 0 to {len(words) - 1}, each once")
    return words
