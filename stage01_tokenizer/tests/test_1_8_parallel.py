"""1.8 · Many files, many workers: the same counts from any number of processes, in little memory."""

import contextlib
import gc
import io
import multiprocessing
import subprocess
import threading
import time
import tracemalloc
from collections import Counter
from multiprocessing.process import BaseProcess

import pytest
import regex

from bootcamp.grading import check, written

parallel = written("stage01_tokenizer.parallel")

END = "<|end|>"
TOKEN = END.encode()


# -- chunk_boundaries


class Watched(io.BytesIO):
    """A file in memory that knows how many bytes were read from it."""

    taken = 0

    def noted(self, data):
        self.taken += len(data)
        return data

    def read(self, size=-1):  # type: ignore[override]
        return self.noted(super().read(size))

    def read1(self, size=-1):  # type: ignore[override]
        return self.noted(super().read1(size))

    def readline(self, size=-1):  # type: ignore[override]
        return self.noted(super().readline(size))

    def readinto(self, buffer):
        size = super().readinto(buffer)
        self.taken += size
        return size

    def __next__(self):
        return self.noted(super().__next__())

    def readlines(self, hint=-1):  # type: ignore[override]
        return [self.noted(line) for line in super().readlines(hint)]

    def getvalue(self):
        return self.noted(super().getvalue())

    def getbuffer(self):
        self.taken += len(super().getvalue())
        return super().getbuffer()


def boundaries(data, chunks, token=TOKEN):
    """The boundaries found in a file that holds `data`, after a look at what all boundaries have to be."""
    call = f"chunk_boundaries(a file that holds {check.show(data)}, {chunks}, {token!r})"
    found = parallel.chunk_boundaries(Watched(data), chunks, token)
    if not isinstance(found, (list, tuple)) or not found:
        check.equal(found, [0, len(data)], call)
    check.equal(found[0], 0, f"the first boundary of {call}")
    check.equal(found[-1], len(data), f"the last boundary of {call}")
    rising = all(one < other for one, other in zip(found, found[1:]))
    check.true(rising, f"each boundary is behind the one before: {call}", got=found)
    check.true(len(found) <= chunks + 1, f"there are no more chunks than asked for: {call}", got=found)
    for place in found[1:-1]:
        around = f"{place}, between {data[max(place - 12, 0) : place]!r} and {data[place : place + 12]!r}"
        check.true(data[:place].endswith(token), f"a chunk ends with a whole split token: {call}", got=around)
    return list(found)


def test_one_chunk():
    """One chunk is the whole file."""
    check.equal(boundaries(b"one" + TOKEN + b"two" + TOKEN, 1), [0, 20], "the boundaries of one chunk")


def test_chunks_end_where_documents_end():
    """Each chunk but the last ends right behind a split token, and the last one ends with the file."""
    data = b"".join(b"document %03d" % number + TOKEN for number in range(100))  # 100 times 19 bytes
    for chunks in (2, 3, 4, 7):
        found = boundaries(data, chunks)
        check.equal(len(found), chunks + 1, f"how many boundaries there are for {chunks} chunks of 100 documents")


def test_chunks_are_of_fair_size():
    """Where documents are short, all chunks have nearly the same size."""
    data = b"".join(b"document %03d" % number + TOKEN for number in range(100))
    for chunks in (2, 5, 10):
        found = boundaries(data, chunks)
        off = max(abs(place - len(data) * number / chunks) for number, place in enumerate(found))
        check.true(
            off <= 2 * 19,
            f"of {chunks} chunks with documents of 19 bytes, none ends more than two documents from its fair place",
            got=found,
        )


def test_fewer_documents_than_chunks():
    """There is no empty chunk, so that there may be fewer chunks than asked for."""
    data = b"one" + TOKEN + b"two" + TOKEN
    check.equal(boundaries(data, 20), [0, 10, 20], f"the boundaries of 20 chunks of {data!r}")
    data = b"a very long document, and then" + TOKEN + b"x"
    check.equal(boundaries(data, 4), [0, 37, 38], f"the boundaries of 4 chunks of {data!r}")
    data = TOKEN + b"a very long document, which follows a short one"
    check.true(len(boundaries(data, 4)) <= 3, f"there are at most two chunks in {data!r}")


def test_no_split_token():
    """Without a split token in it, a file is one chunk."""
    check.equal(boundaries(b"<|end" * 40, 4), [0, 200], "the boundaries of 4 chunks without a split token")


def test_empty_file():
    """An empty file has no chunk."""
    check.equal(list(parallel.chunk_boundaries(Watched(b""), 3, TOKEN)), [0], "the boundaries of an empty file")


def test_wherever_the_file_stands():
    """It does not matter where the file was read before."""
    data = b"one" + TOKEN + b"two" + TOKEN
    file = Watched(data)
    file.read(5)
    check.equal(list(parallel.chunk_boundaries(file, 20, TOKEN)), [0, 10, 20], "the boundaries of a file read before")


def test_only_the_parts_around_the_cuts_are_read():
    """Of a large file only a little is read: from each fair place up to the next end of a document."""
    data = (b"x" * 993 + TOKEN) * 20_000
    file = Watched(data)
    found = list(parallel.chunk_boundaries(file, 4, TOKEN))
    check.equal(len(found), 5, "how many boundaries there are for 4 chunks of 20,000 documents")
    check.true(
        file.taken < 2_000_000,
        "of a file of 20 MB with documents of 1,000 bytes, less than 2 MB are read to find 4 chunks",
        got=f"{file.taken:,} bytes were read",
    )


def test_a_long_document_is_read_once():
    """A document that reaches over many fair places is not read anew from each of them."""
    data = b"one" + TOKEN + b"x" * 4_000_000
    file = Watched(data)
    check.equal(list(parallel.chunk_boundaries(file, 16, TOKEN))[1:-1], [], "the cuts in a document of 4 MB")
    check.true(
        file.taken < 6_000_000,
        "of a document of 4 MB, 16 chunks read no part twice",
        got=f"{file.taken:,} bytes were read",
        why="Where the search from one fair place ends, the search for the next boundary may go on.",
    )


@pytest.mark.varied
def test_token_anywhere():
    """A split token is found wherever it stands, also across the seam of two blocks in which the file is read."""
    for power in range(6, 21):
        for block in (1 << power, 1000 << power - 10) if power >= 10 else (1 << power,):
            for before in (-20, *range(-8, 16)):
                data = b"x" * (2 * block + 30 - before) + TOKEN  # the middle is a block and some bytes before the token
                data = data.ljust(2 * block + 60, b"y")
                cuts = [0, 2 * block + 30 - before + len(TOKEN), len(data)]
                got = list(parallel.chunk_boundaries(Watched(data), 2, TOKEN))
                what = f"the boundaries of 2 chunks of {len(data):,} bytes"
                check.equal(got, cuts, what, why=f"The file has one split token, which ends at {cuts[1]:,}.")


# -- count_pretokens


GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def by_hand(text, specials=()):
    """The counts of a text that lies in memory."""
    special = "|".join(map(regex.escape, sorted(specials, key=len, reverse=True)))
    parts = regex.split(special, text) if special else [text]
    return dict(Counter(piece for part in parts for piece in regex.findall(GPT2, part)))


def count(tmp_path, text, *args, **more):
    """The counts of a file that holds `text` (or these bytes)."""
    path = tmp_path / "text.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return parallel.count_pretokens(path, *args, **more)


def holds(tmp_path, text, *args, expected=None, **more):
    """Hold the counts of a file to those of its text."""
    got = count(tmp_path, text, *args, **more)
    given = "".join([f", {check.show(arg)}" for arg in args] + [f", {key}={value!r}" for key, value in more.items()])
    expected = by_hand(text, *args[:1]) if expected is None else expected
    check.equal(got, expected, f"count_pretokens(a file that holds {check.show(text)}{given})")


def test_counts_by_hand(tmp_path):
    """Each pre-token of the file is counted as often as it comes."""
    expected = {"It": 1, "'s": 1, " low": 2, ",": 1, " lower": 1, "\n": 1, "low": 1, " 2026": 1}
    holds(tmp_path, "It's low, low lower\nlow 2026", expected=expected)


def test_special_tokens_are_not_counted(tmp_path):
    """Special tokens are not counted, and the texts around them are cut apart."""
    holds(tmp_path, f"low{END}low {END} low", [END], expected={"low": 2, " ": 1, " low": 1})
    holds(tmp_path, "a<x><x>b<x>\n", ["<x>", "<x><x>", "\n"], expected={"a": 1, "b": 1})
    holds(tmp_path, f"a{END}", expected={"a": 1, "<|": 1, "end": 1, "|>": 1})


def test_empty_file_has_no_pre_tokens(tmp_path):
    """An empty file has none, and so has one of special tokens alone."""
    holds(tmp_path, "", [END], expected={})
    holds(tmp_path, "", expected={})
    holds(tmp_path, END * 3, [END], expected={})


def test_text_as_it_is(tmp_path):
    """The file is read as it is: line ends of every kind, and marks that begin a file, are text."""
    holds(tmp_path, "a\r\nb\rc\n", expected={"a": 1, "\r": 2, "\n": 2, "b": 1, "c": 1})
    holds(tmp_path, "\ufeffa\x1a b", expected={"\ufeff": 1, "a": 1, "\x1a": 1, " b": 1})


def test_another_pattern(tmp_path):
    """The pre-tokens are those of the pattern, and what lies between two matches of it."""
    got = count(tmp_path, "ab cd ab", pattern=r"[a-z]+")
    check.equal(got, {"ab": 2, " ": 2, "cd": 1}, "count_pretokens(a file that holds 'ab cd ab', pattern='[a-z]+')")
    got = count(tmp_path, f"ab{END}cd{END}ab", [END], pattern=r"[a-z]+")
    what = f"count_pretokens(a file that holds 'ab{END}cd{END}ab', ['{END}'], pattern='[a-z]+')"
    check.equal(got, {"ab": 2, "cd": 1}, what)


def test_text_or_path(tmp_path):
    """The path may be a text or a Path."""
    path = tmp_path / "text ü.txt"
    path.write_text("a b", encoding="utf-8")
    check.equal(parallel.count_pretokens(str(path)), {"a": 1, " b": 1}, "count_pretokens of the path as a text")
    check.equal(parallel.count_pretokens(path), {"a": 1, " b": 1}, "count_pretokens of the path as a Path")


def test_one_long_document(tmp_path):
    """A file without a special token in it, longer than a block, is counted like any other."""
    for shift in range(4):
        text = "x" * shift + "a'll b's   c\n\n d12-  \n" * 15_000
        same(count(tmp_path, text, [END]), by_hand(text), f"the counts of {check.show(text)}")


def test_characters_across_blocks(tmp_path):
    """Characters of several bytes, and long words, are counted whole wherever a block may end."""
    text = (" " + "é日𐐀" * 100) * 2500
    same(count(tmp_path, text), {" " + "é日𐐀" * 100: 2500}, "the counts of 2,500 words of 300 characters")


def test_a_word_that_comes_early_only(tmp_path):
    """A word that comes in the first block, and in none behind it, keeps its count."""
    text = " low zebra" + " low" * 60_000
    same(count(tmp_path, text), {" low": 60_001, " zebra": 1}, "the counts of ' low zebra' and 60,000 times ' low'")


def same(got, expected, what):
    """Hold long counts to what they should be, and show the first difference only."""
    if got != expected:
        check.equal(got, expected, what)


def documents(rng, size):
    """A text of short documents."""
    words = ["low", " lower", "'s", " 12", "  ", "\n", "é", " 日本", "😀", ".", " a b"]
    return "".join("".join(rng.choices(words, k=rng.randint(0, 12))) + END for _ in range(size))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers(workers, tmp_path, rng):
    """The counts are the same for any number of workers."""
    text = documents(rng, 2000)
    got, expected = count(tmp_path, text, [END], workers=workers), by_hand(text, [END])
    same(got, expected, f"the counts of 2,000 random documents by {workers} workers")


@pytest.mark.varied
def test_special_tokens_that_overlap(tmp_path, rng):
    """Where special tokens may overlap, with themselves or each other, the counts are the same for two workers."""
    for specials in (["aa"], ["\n\n", "\n"], ["ab", "ba"], ["<s>", "<s><s>"]):
        text = "".join(rng.choice(["a", "a", "b", " ", "\n", "\n", "<s>", "c"]) for _ in range(301))
        holds(tmp_path, text, specials, workers=2)


# -- how it is done


@contextlib.contextmanager
def noted_processes():
    """Notes each process that is started meanwhile."""
    started = []

    def noting(original):
        def start(*args, **more):
            started.append(original)
            return original(*args, **more)

        return start

    places = [(BaseProcess, "start"), (subprocess.Popen, "__init__")]
    before = [getattr(owner, name) for owner, name in places]
    for (owner, name), original in zip(places, before):
        setattr(owner, name, noting(original))
    try:
        yield started
    finally:
        for (owner, name), original in zip(places, before):
            setattr(owner, name, original)


def test_workers_are_processes(tmp_path, rng):
    """Two workers are two processes, which end when the counts are there."""
    text = documents(rng, 2000)
    with noted_processes() as started:
        same(count(tmp_path, text, [END], workers=2), by_hand(text, [END]), "the counts of 2,000 random documents")
    why = "Hand `workers` on to in_processes. Threads would not do: Python runs one of them at a time."
    check.true(len(started) >= 2, "for workers=2, two processes are started", got=f"{len(started)} are", why=why)
    gc.collect()
    deadline = time.monotonic() + 3
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.02)
    left = [child.name for child in multiprocessing.active_children()]
    for child in multiprocessing.active_children():
        child.kill()
    check.equal(left, [], "the processes that still run three seconds after the counts are there")


LONG_END = "<|" + "end " * 500 + "|>"  # much text in few pieces


@pytest.mark.parametrize("workers", [1, 2])
def test_memory_for_documents(workers, tmp_path):
    """However many documents a file has, only a part of it is in memory at a time."""
    memory_does_not_grow(tmp_path, "low" + LONG_END, 1000, LONG_END, workers)


def test_memory_for_one_document(tmp_path):
    """However long a document is, only a part of it is in memory at a time."""
    memory_does_not_grow(tmp_path, " " + "word" * 250, 300, LONG_END, 1)


def memory_does_not_grow(tmp_path, text, copies, special, workers):
    """Count a text that is repeated, and the same repeated four times as often."""
    path, peaks = tmp_path / "text.txt", []
    small, large = (size * copies * len(text) for size in (1, 4))
    for size in (small, large):
        path.write_bytes((text * (size // len(text))).encode())
        tracemalloc.start()
        got = parallel.count_pretokens(path, [special], workers)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        same(got, {text.removesuffix(special): size // len(text)}, f"the counts of {check.show(text)}, {size:,} bytes")
    check.true(
        peaks[1] - peaks[0] < 0.75 * (large - small),
        f"a file of {large:,} bytes takes hardly more memory than one of {small:,} bytes, for workers={workers}",
        got="{1:,} bytes of memory, and {0:,} bytes".format(*peaks),
        why="Read block by block, and keep the counts only.",
    )


def test_progress(tmp_path):
    """progress is told again and again how many bytes are done, up to the last one."""
    size = 1_500_000
    for workers in (1, 2):
        told = []
        count(tmp_path, (b"word" * 250 + b"\n") * (size // 1001), [END], workers, progress=told.append)
        call = f"of a file of {size // 1001 * 1001:,} bytes by {workers} worker{'s' * (workers > 1)}"
        check.true(told == sorted(told), f"what progress is told {call} does not fall", got=told)
        check.equal(told[-1:], [size // 1001 * 1001], f"the last that progress is told {call}")
        if workers == 1:
            check.true(len(told) > 1, f"progress is told more than once {call}", got=told)


def refused(path, place, *args):
    """Hold a file that is not UTF-8 to an error that names the file and the byte."""
    try:
        got = parallel.count_pretokens(path, *args)
    except ValueError as error:
        said = str(error)
        check.true(path.name in said, "the error names the file", got=said)
        numbers = regex.findall(r"\d+", regex.sub(r"(?<=\d)[,_ ](?=\d{3})", "", said.replace(str(path), "")))
        check.true(str(place) in numbers, f"the error says at which byte: {place}", got=said)
    else:
        check.equal(got, "a ValueError", f"what comes of a file that is not UTF-8 from byte {place} on")


def test_not_utf8(tmp_path):
    """A file that is not UTF-8 is a ValueError that names the file, and the first byte that is wrong."""
    path = tmp_path / "text.txt"
    for data, place in [
        (b"abc\xff", 3),
        (b"\xe9t\xe9 " * 20, 0),
        ("日本".encode() + b"\xe6\x97", 6),
        (b"a" + "é".encode() * 150_000 + b"\xc3 b" + b"c" * 70_000, 300_001),
    ]:
        path.write_bytes(data)
        refused(path, place)
    for workers in (1, 2):
        path.write_bytes(TOKEN.join([b"one"] * 100 + [b"tw\xc3"] + [b"three"] * 99))
        refused(path, 1002, [END], workers)


def test_missing(tmp_path):
    """A file that is not there is an OSError that names it."""
    holds(tmp_path, "a", expected={"a": 1})
    check.raises(OSError, parallel.count_pretokens, tmp_path / "missing.txt", naming=["missing.txt"])


def test_a_process_dies(tmp_path):
    """If a process dies, it is said with a RuntimeError; nobody waits for ever."""
    text = (b"word" * 250 + TOKEN) * 20_000
    ended = threading.Event()

    def kill():
        found = []  # looked for no more than needed: active_children also clears up, which the pool does too
        while not found and not ended.wait(0.005):
            found = multiprocessing.active_children()[:1]
        if not ended.wait(0.03):
            for child in found:
                child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        check.raises(RuntimeError, count, tmp_path, text, [END], workers=2)
    finally:
        ended.set()
        killer.join()
