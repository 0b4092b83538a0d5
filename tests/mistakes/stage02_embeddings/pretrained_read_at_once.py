# module: initialise.py
# exercise: 2.2
# name: the whole file is in memory at once
"""2.2, step by step: one pass that keeps lists of floats, one that builds the table."""

import math
from dataclasses import dataclass

import torch


def normal_(weight, std, generator=None):
    if not std >= 0:
        raise ValueError(f"std must not be negative; got {std}")
    numbers = torch.randn(weight.shape, generator=generator, dtype=weight.dtype) * std
    weight.data.copy_(numbers)
    return weight


def freeze(module, frozen=True):
    for parameter in module.parameters():
        parameter.requires_grad = not frozen
    return module


@dataclass(frozen=True, eq=False)
class PretrainedReport:
    weight: torch.Tensor
    found: torch.Tensor
    coverage: float
    missing: list
    duplicates: int
    malformed: list


def read_line(line, dim):
    """Give the token, its numbers, and what is wrong ('' if nothing is)."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return None, None, "not UTF-8"
    text = text.rstrip("\r\n").rstrip(" ")
    fields = text.split(" ")
    if len(fields) < dim + 1:
        return None, None, "too short"
    token = " ".join(fields[: len(fields) - dim])
    numbers = []
    for field in fields[len(fields) - dim :]:
        try:
            number = float(field)
        except ValueError:
            return None, None, f"{field!r} is no number"
        if math.isnan(number) or abs(number) > torch.finfo(torch.float32).max:
            return None, None, f"{field!r} is not finite"
        numbers.append(number)
    return token, numbers, ""


def load_pretrained(path, vocab, dim, generator=None):
    words = words_by_id(vocab)
    if dim < 1:
        raise ValueError(f"dim must be at least 1; got {dim}")
    rows = [None] * len(words)
    duplicates = 0
    malformed = []
    good = 0
    number = 0
    with open(path, "rb") as file:
        text = file.read()
    if text.endswith(b"\n"):
        text = text[:-1]
    if text:
        for line in text.split(b"\n"):
            number += 1
            if number == 1:
                parts = line.split()
                if len(parts) == 2 and parts[0].isdigit() and parts[1].isdigit():
                    if int(parts[1]) != dim:
                        raise ValueError(f"the header says {int(parts[1])} numbers, not {dim}")
                    continue
            token, numbers, wrong = read_line(line, dim)
            if not wrong and token not in vocab and " " in token:
                try:
                    float(token.split(" ")[-1])
                    wrong = "too long"
                except ValueError:
                    pass
            if wrong:
                malformed.append([number, wrong])
                continue
            good += 1
            if token in vocab:
                if rows[vocab[token]] is None:
                    rows[vocab[token]] = numbers
                else:
                    duplicates += 1
    if good == 0 and malformed:
        raise ValueError(f"{path} has no line with {dim} numbers")

    there = [row for row in rows if row is not None]
    weight = torch.zeros(len(words), dim)
    missing = []
    for i in range(len(words)):
        if rows[i] is not None:
            weight[i] = torch.tensor(rows[i])
        else:
            missing.append(words[i])
    found = torch.tensor([row is not None for row in rows])
    for column in range(dim):
        mean, std = 0.0, 0.02
        if len(there) >= 2:
            numbers = torch.tensor([row[column] for row in there], dtype=torch.float64)
            mean, std = numbers.mean().item(), numbers.std(unbiased=False).item()
        draws = torch.randn(len(missing), generator=generator)
        weight[~found, column] = draws * std + mean
    return PretrainedReport(weight, found, len(there) / len(words), missing, duplicates, malformed)


def words_by_id(vocab):
    words = sorted(vocab, key=lambda word: vocab[word])
    if not words or [vocab[word] for word in words] != list(range(len(words))):
        raise ValueError(f"the ids of a vocabulary of {len(words)} words must be 0 to {len(words) - 1}, each once")
    return words
