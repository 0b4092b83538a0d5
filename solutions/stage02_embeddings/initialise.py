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
    # BEGIN SOLUTION 2.2: torch can fill a tensor in place; a parameter lets it only where no gradient is tracked
    with torch.no_grad():
        return weight.normal_(0.0, std, generator=generator)
    # END SOLUTION


def freeze(module: nn.Module, frozen: bool = True) -> nn.Module:
    """Let training leave all parameters of `module` as they are (or, with `frozen=False`, train them again).

    They are those of the modules inside it too: their `requires_grad` is set. Gives the module back.

    >>> freeze(nn.Embedding(5, 3)).weight.requires_grad
    False
    """
    # BEGIN SOLUTION 2.2: set requires_grad of each parameter
    return module.requires_grad_(not frozen)
    # END SOLUTION


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
    # BEGIN SOLUTION 2.2: line by line, keep the first good vector of each word; then draw the rows that have none
    weight = torch.empty(len(words), dim)  # (V, C)
    found = torch.zeros(len(words), dtype=torch.bool)  # (V,)
    vectors, duplicates, malformed = 0, 0, []
    with open(path, "rb") as file:  # as bytes: one line that is not UTF-8 must not end the reading
        for number, line in enumerate(file, start=1):
            if number == 1 and (width := _width_in_header(line)) is not None:
                if width != dim:
                    raise ValueError(f"{path}: its header says vectors of width {width}; asked for were {dim}")
                continue
            try:
                word, row = _parse(line, dim, vocab)
            except ValueError as error:
                malformed.append((number, str(error)))
                continue
            vectors += 1
            id = vocab.get(word)
            if id is None:
                continue
            if found[id]:
                duplicates += 1
            else:
                weight[id], found[id] = row, True
    if malformed and not vectors:
        number, what = malformed[0]
        raise ValueError(f"{path}: no line is a word with {dim} numbers; line {number}: {what}")

    known = weight[found]  # (K, C)
    mean, std = (known.mean(0), known.std(0)) if len(known) > 1 else (torch.zeros(dim), torch.full((dim,), STD))
    drawn = torch.randn(len(words) - len(known), dim, generator=generator)  # (V - K, C)
    weight[~found] = mean + std * drawn
    missing = [word for word, there in zip(words, found.tolist()) if not there]
    return PretrainedReport(weight, found, len(known) / len(words), missing, duplicates, malformed)
    # END SOLUTION


# BEGIN SOLUTION 2.2
def _width_in_header(line: bytes) -> int | None:
    """Give the width that a header says; None if this is no header."""
    fields = line.split()
    return int(fields[1]) if len(fields) == 2 and all(field.isdigit() for field in fields) else None


def _parse(line: bytes, dim: int, vocab: Mapping[str, int]) -> tuple[str, Tensor]:
    """Take a line apart into its token and its numbers; a ValueError says what is wrong with it."""
    word, *fields = line.decode("utf-8").rstrip(" \r\n").rsplit(" ", dim)
    if len(fields) < dim:
        raise ValueError(f"{len(fields)} number{'s' * (len(fields) != 1)} behind the token, not {dim}")
    row = torch.tensor([float(field) for field in fields])  # (C,)
    if not row.isfinite().all():
        raise ValueError("a number is nan, infinite or too large for float32")
    if word not in vocab and " " in word and _is_number(word.rpartition(" ")[2]):
        raise ValueError(f"more than {dim} numbers")
    return word, row


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# END SOLUTION


def words_by_id(vocab: Mapping[str, int]) -> list[str]:
    """List the words of a vocabulary in the order of their ids, which have to be 0 to V - 1."""
    words = sorted(vocab, key=lambda word: vocab[word])
    if not words or [vocab[word] for word in words] != list(range(len(words))):
        raise ValueError(f"the ids of a vocabulary of {len(words)} words must be 0 to {len(words) - 1}, each once")
    return words
