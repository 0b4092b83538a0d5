"""1.8 · Many files, many workers: the same counts from any number of processes, in little memory."""

import contextlib
import gc
import io
import multiprocessing
import os
import subprocess
import time
import tracemalloc
from collections import Counter
from multiprocessing.process import BaseProcess

import pytest

from bootcamp.grading import check, written

parallel = written("stage01_tokenizer.parallel")

END = "<|end|>"
TOKEN = END.encode()


# -- chunk_boundaries


class Watched(io.BytesIO):
    """A file in memory that knows how many bytes were read from it."""

    def __init__(self, data):
        super().__init__(data)
        self.taken = 0

    def noted(self, data):
        self.taken += len(data)
        return data

    def read(self, size=-1):
        return self.noted(super().read(size))

    def read1(self, size=-1):
        return self.noted(super().read1(size))

    def readline(self, size=-1):
        return self.noted(super().readline(size))

    def readinto(self, buffer):
        size = super().readinto(buffer)
        self.taken += size
        return size

    def __next__(self):
        return self.noted(super().__next__())

    def readlines(self, hint=-1):
        return [self.noted(line) for line in super().readlines(hint)]

    def getvalue(self):
        return self.noted(super().getvalue())

    def getbuffer(self):
        self.taken += len(super().getvalue())
        return super().getbuffer()


def boundaries(data, chunks, token=TOKEN):
    """The boundaries found in a file that holds `data`."""
    return parallel.chunk_boundaries(Watched(data), chunks, token)


def is_sound(data, chunks, token, found):
    """Hold boundaries to what all boundaries have to be."""
    call = f"chunk_boundaries(a file of {check.show(data)}, {chunks}, {token!r})"
    check.true(isinstance(found, (list, tuple)) and len(found) > 1, f"{call} gives a list of boundaries", got=found)
    check.equal((found[0], found[-1]), (0, len(data)), f"the first and the last boundary of {call}")
    check.true(all(a < b for a, b in zip(found, found[1:])), f"the boundaries of {call} rise", got=found)
    check.true(len(found) <= chunks + 1, f"there are at most {chunks} chunks in {call}", got=found)
    for place in found[1:-1]:
        check.true(
            data[:place].endswith(token),
            f"each boundary of {call} stands right behind a split token",
            got=f"{place}, between {data[max(place - 12, 0) : place]!r} and {data[place : place + 12]!r}",
        )


def test_whole_file():
    """One chunk is the whole file."""
    data = b"one" + TOKEN + b"two" + TOKEN
    check.equal(list(boundaries(data, 1)), [0, len(data)], f"chunk_boundaries(a file of {data!r}, 1, {TOKEN!r})")
