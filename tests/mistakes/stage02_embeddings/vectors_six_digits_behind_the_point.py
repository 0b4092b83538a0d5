# module: cooccurrence.py
# exercise: 2.9
# name:
"""2.9, pair by pair and number by number; the SVD is numpy's."""

import math
import os
import shutil
import tempfile

import numpy
import torch

from .initialise import words_by_id


def cooccurrence(ids, window, vocab_size=None):
    documents = list(ids)
    if all(isinstance(each, int) or getattr(each, "ndim", 1) == 0 for each in documents):
        documents = [documents]
    documents = [[int(id) for id in document] for document in documents]
    if window < 1:
        raise ValueError(f"window must be at least 1, not {window}")
    every = [id for document in documents for id in document]
    if vocab_size is None:
        if not every:
            raise ValueError("no id, and no vocab_size")
        vocab_size = max(every) + 1
    for id in every:
        if id < 0 or id >= vocab_size:
            raise ValueError(f"id {id} is not from 0 to {vocab_size - 1}")
    counts = torch.zeros(vocab_size, vocab_size, dtype=torch.float64)
    for document in documents:
        for i in range(len(document)):
            for j in range(max(0, i - window), min(len(document), i + window + 1)):
                if i != j:
                    counts[document[i], document[j]] += 1
    return counts


def ppmi_svd(counts, dim):
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or (counts < 0).any():
        raise ValueError(f"counts must be square and not negative, not {tuple(counts.shape)}")
    size = counts.shape[0]
    if not 1 <= dim <= size:
        raise ValueError(f"dim must be from 1 to {size}, not {dim}")
    table = counts.tolist()
    totals = [sum(row) for row in table]
    everything = sum(totals)
    ppmi = numpy.zeros((size, size))
    for i in range(size):
        for j in range(size):
            if table[i][j] > 0:
                pmi = math.log(table[i][j]) + math.log(everything) - math.log(totals[i]) - math.log(totals[j])
                ppmi[i][j] = max(pmi, 0)
    u, s, _ = numpy.linalg.svd(ppmi)
    result = torch.zeros(size, dim, dtype=torch.float64)
    for column in range(dim):
        numbers = [u[row][column] * math.sqrt(s[column]) for row in range(size)]
        largest = 0.0
        for number in numbers:
            if abs(number) > abs(largest):
                largest = number
        sign = -1 if largest < 0 else 1
        for row in range(size):
            result[row, column] = numbers[row] * sign
    return result


def write_vectors(path, words, vectors):
    ordered = words_by_id(words)
    if vectors.ndim != 2 or len(vectors) != len(ordered):
        raise ValueError(f"there must be a row for each of {len(ordered)} words, not {tuple(vectors.shape)}")
    if not torch.isfinite(vectors.float()).all():
        raise ValueError("a number is nan or infinite")
    for word in ordered:
        if "\n" in word:
            raise ValueError(f"a word with a line end: {word!r}")
    folder = os.path.dirname(os.path.abspath(path))
    scratch = tempfile.mkdtemp(dir=folder)
    try:
        inside = os.path.join(scratch, "vectors")
        with open(inside, "wb") as file:
            file.write(f"{vectors.shape[0]} {vectors.shape[1]}\n".encode())
            for word, row in zip(ordered, vectors):
                line = word
                for number in row:
                    line += " " + f"{number.item():f}"
                file.write(line.encode("utf-8") + b"\n")
        os.rename(inside, path)
    finally:
        shutil.rmtree(scratch)
