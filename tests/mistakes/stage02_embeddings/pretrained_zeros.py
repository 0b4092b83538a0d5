# module: initialise.py
# exercise: 2.2
# name: rows without a vector are zeros
"""2.2 with numpy for the numbers, regular expressions for the header, and surrogates for what is not UTF-8."""

import re
from collections import namedtuple

import numpy as np
import torch

PretrainedReport = namedtuple("PretrainedReport", "weight found coverage missing duplicates malformed")


@torch.no_grad()
def normal_(weight, std, generator=None):
    if not std >= 0:
        raise ValueError(f"std must not be negative; got {std}")
    return weight.copy_(torch.normal(torch.zeros(weight.shape), float(std), generator=generator))


def freeze(module, frozen=True):
    [each.requires_grad_(not frozen) for each in module.parameters()]
    return module


def load_pretrained(path, vocab, dim, generator=None):
    words = words_by_id(vocab)
    if dim < 1:
        raise ValueError(f"dim must be at least 1; got {dim}")
    rows, extra, malformed, good = {}, 0, [], False
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip()
            if number == 1 and (header := re.fullmatch(r"\d+ (\d+)", line)):
                if int(header[1]) != dim:
                    raise ValueError(f"width {header[1]} in the file, {dim} asked for")
                continue
            word, *rest = line.rsplit(" ", dim)
            try:
                line.encode()
                with np.errstate(over="ignore"):
                    row = np.array(rest, dtype=np.float64).astype(np.float32)
                if row.shape != (dim,) or not np.isfinite(row).all():
                    raise ValueError(f"not {dim} finite numbers")
                if word not in vocab and re.search(r" [-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$", word, re.IGNORECASE):
                    raise ValueError("too many numbers")
            except ValueError as error:
                malformed.append((number, repr(error)))
                continue
            good = True
            if word in vocab:
                extra += vocab[word] in rows
                rows.setdefault(vocab[word], row)
    if malformed and not good:
        raise ValueError(f"nothing of width {dim} in {path}")
    found = torch.tensor([i in rows for i in range(len(words))])
    known = torch.from_numpy(np.stack([rows[i] for i in sorted(rows)])) if rows else torch.zeros(0, dim)
    weight = torch.zeros(len(words), dim)
    weight[found] = known
    missing = [words[i] for i in range(len(words)) if i not in rows]
    return PretrainedReport(weight, found, found.double().mean().item(), missing, extra, malformed)


def words_by_id(vocab):
    words = sorted(vocab, key=vocab.get)
    if not words or list(map(vocab.get, words)) != [*range(len(words))]:
        raise ValueError(f"the ids of a vocabulary of {len(words)} words must be 0 to {len(words) - 1}, each once")
    return words
