"""Corpora of all kinds: prepared once, whole or not there, and one clear sentence for whatever is no text."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from bootcamp import corpus
from bootcamp.corpus import SEPARATOR, open_corpus, sources
from bootcamp.corpus.documents import CHUNK, MARK, NotTextError, Scan
from bootcamp.course import ROOT, CourseError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where prepared corpora go."""
    return tmp_path / "out"


@pytest.fixture
def texts(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder of files: `texts({"a.txt": "…", "sub/b.bin": b"…"})`."""

    def make(files: dict[str, str | bytes]) -> Path:
        folder = tmp_path / "texts"
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        folder.mkdir(exist_ok=True)
        return folder

    return make


# -- stories ---------------------------------------------------------------------------------------------------------


def test_stories(out: Path):
    told: list[tuple[int, int]] = []
    found = open_corpus("stories", out, size=100_000, seed=4, progress=lambda done, total: told.append((done, total)))
    text = found.path.read_text(encoding="utf-8")
    assert found.kind == "stories" and found.path.parent == out
    assert found.size == found.path.stat().st_size == len(text) >= 100_000
    assert text.split(SEPARATOR)[:3] == [corpus.story(4, number) for number in range(3)]
    assert found.documents == text.count(SEPARATOR) and found.skipped == 0
    assert told[-1] == (100_000, 100_000)
    assert found.floor is not None and found.floor(text, 1000) == corpus.floor(text, 1000)
    assert found.bits_per_byte == corpus.bits_per_byte()
    assert found.describe() == f"little stories: 0.1 MB, {found.documents} documents"


def test_what_is_prepared_is_kept(out: Path):
    first = open_corpus("stories", out, size=20_000)
    before = first.path.stat().st_mtime_ns
    assert open_corpus("stories", out, size=20_000) == first
    assert first.path.stat().st_mtime_ns == before
    others = [open_corpus("stories", out, size=20_000, seed=1), open_corpus("stories", out, size=30_000)]
    assert len({found.path for found in [first, *others]}) == 3
    assert others[0].path.read_bytes() != first.path.read_bytes()


def test_stories_of_another_grammar_are_others(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = open_corpus("stories", out, size=5000)
    other = tmp_path / "stories.txt"
    other.write_text(sources.stories.SOURCE.read_text(encoding="utf-8") + "\n# another\n", encoding="utf-8")
    monkeypatch.setattr(sources.stories, "SOURCE", other)
    assert open_corpus("stories", out, size=5000).path != first.path


@pytest.mark.parametrize(("size", "seed"), [(0, 0), (-5, 0), (100, -1), (100, 2**64)])
def test_sizes_and_seeds_that_cannot_be(out: Path, size: int, seed: int):
    with pytest.raises(CourseError, match=f"got {size if size < 1 else seed}"):
        open_corpus("stories", out, size=size, seed=seed)
    assert not out.exists()


# -- the standard library --------------------------------------------------------------------------------------------


def test_stdlib(out: Path):
    found = open_corpus("stdlib", out, size=300_000)
    data = found.path.read_bytes()
    assert found.kind == "stdlib" and found.size == len(data) >= 300_000
    assert data.endswith(MARK) and data.count(MARK) == found.documents
    assert data.decode("utf-8").count("def ") > 100
    assert found.floor is None and found.bits_per_byte is None
    assert "standard library" in found.describe()
    assert open_corpus("stdlib", out, size=300_000) == found


def test_stdlib_without_what_was_installed(out: Path, texts, monkeypatch: pytest.MonkeyPatch):
    folder = texts(
        {
            "b.py": "second",
            "a.py": "first",
            "a/c.py": "third, in a folder",
            "LICENSE.txt": "not Python",
            "latin.py": b"# \xe9",
            "site-packages/x.py": "not ours",
            "dist-packages/x.py": "not ours",
            "a/__pycache__/c.py": "not ours",
        }
    )
    monkeypatch.setattr(sources.sysconfig, "get_path", lambda name: str(folder))
    found = open_corpus("stdlib", out)
    pieces = found.path.read_text(encoding="utf-8").split(SEPARATOR)
    assert sorted(pieces[:-1]) == ["first", "second", "third, in a folder"] and pieces[-1] == ""
    assert found.documents == 3 and found.skipped == 1
    monkeypatch.setattr(sources.sysconfig, "get_path", lambda name: str(folder / "python.zip"))
    with pytest.raises(CourseError, match="no folder for its standard library"):
        open_corpus("stdlib", out)


# -- a file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "documents"),
    [
        ("x", 1),
        ("\n", 0),
        ("one", 1),
        (f"one{SEPARATOR}", 1),
        (f"one{SEPARATOR}\n", 1),
        (f"one{SEPARATOR}two", 2),
        (f"one{SEPARATOR}{SEPARATOR} {SEPARATOR}two{SEPARATOR}", 2),
        ("Grüße, 世界 🎈\r\n", 1),
    ],
)
def test_a_file_is_used_where_it_lies(tmp_path: Path, out: Path, content: str, documents: int):
    path = tmp_path / "mine.txt"
    path.write_bytes(content.encode())
    found = open_corpus(str(path), out)
    assert found == corpus.Corpus("file", path, len(content.encode()), documents)
    assert open_corpus(path, out, size=1000) == found  # a size that it does not reach
    assert path.read_bytes() == content.encode() and not out.exists()
    assert found.describe().startswith(f"{path}: 0.0 MB, {documents} document")


@pytest.mark.parametrize(
    ("content", "size", "expected"),
    [
        ("one\ntwo\nthree\n", 4, "one\n"),
        ("one\ntwo\nthree\n", 5, "one\ntwo\n"),
        ("one\ntwo\nthree", 9, "one\ntwo\nthree"),
        (f"one{SEPARATOR}\ntwo\nthree\n", 10, f"one{SEPARATOR}\n"),
        ("ä" * CHUNK + "ß" * CHUNK, 5, "ä" * (CHUNK // 2 + 2)),
    ],
)
def test_the_beginning_of_a_file(tmp_path: Path, out: Path, content: str, size: int, expected: str):
    path = tmp_path / "mine.txt"
    path.write_bytes(content.encode())
    found = open_corpus(path, out, size=size)
    text = found.path.read_bytes().decode("utf-8")
    assert text == (expected if SEPARATOR in expected else expected + SEPARATOR)
    assert found.size == len(text.encode()) and found.documents == 1
    assert found.path.parent == out


def test_a_file_that_changes_is_read_again(tmp_path: Path, out: Path):
    path = tmp_path / "mine.txt"
    path.write_text("one\ntwo\n", encoding="utf-8")
    first = open_corpus(path, out, size=2)
    path.write_text("three\nsix\n", encoding="utf-8")
    assert open_corpus(path, out, size=2).path.read_text(encoding="utf-8") == "three\n" + SEPARATOR
    assert first.path.read_text(encoding="utf-8") == "one\n" + SEPARATOR
    path.write_text("seven\nten\n", encoding="utf-8")  # of the same size
    os.utime(path, ns=(1, 1))
    assert open_corpus(path, out, size=2).path.read_text(encoding="utf-8") == "seven\n" + SEPARATOR


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"fine so far \xff and on", "byte 0xff at offset 12"),
        (b"x" * (CHUNK - 1) + "é".encode() + b"\xc3(", f"byte 0xc3 at offset {CHUNK + 1}"),
        (b"cut off: \xe2\x82", "byte 0xe2 at offset 9"),
        (b"x" * (CHUNK - 1) + b"\xe2\x82", f"byte 0xe2 at offset {CHUNK - 1}"),
        (b"a surrogate: \xed\xa0\x80", "byte 0xed at offset 13"),
        (b"zero: \x00", "a zero byte at offset 6"),
        (b"\x00" * 100, "a zero byte at offset 0"),
        ("UTF-16".encode("utf-16"), "byte 0xff at offset 0"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "byte 0x89 at offset 0"),
    ],
)
def test_a_file_that_is_not_text(tmp_path: Path, out: Path, content: bytes, complaint: str):
    path = tmp_path / "mine.bin"
    path.write_bytes(content)
    with pytest.raises(CourseError, match=rf"mine\.bin is not text in UTF-8: {complaint}; give a text file"):
        open_corpus(path, out)
    with pytest.raises(CourseError, match=r"mine\.bin is not text in UTF-8"):
        open_corpus(path, out, size=len(content) - 1)
    assert not out.exists() or list(out.iterdir()) == []


def test_an_empty_file(tmp_path: Path, out: Path):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(CourseError, match=r"empty\.txt is empty; a corpus needs at least one character"):
        open_corpus(tmp_path / "empty.txt", out)


def test_no_such_file(tmp_path: Path, out: Path):
    for name in ("nothing.txt", "Stories", "stdlib/"):
        with pytest.raises(CourseError, match=r"no file or folder .* give the path of one, or 'stories', or 'stdlib'"):
            open_corpus(str(tmp_path / name), out)
    assert not out.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_neither_file_nor_folder(tmp_path: Path, out: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CourseError, match="pipe is neither a file nor a folder"):
        open_corpus(tmp_path / "pipe", out)
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    assert open_corpus(tmp_path, out).documents == 1  # and does not wait for the pipe


# -- a folder --------------------------------------------------------------------------------------------------------


def test_a_folder(texts, out: Path):
    folder = texts(
        {
            "b.txt": "second",
            "a.txt": "first\n",
            "B/a.md": "\ufeffwith a mark\r\n",
            "c/d/e.txt": f"two in{SEPARATOR}one",
            "c/ends.txt": f"ended{SEPARATOR}",
            "empty.txt": "",
            "space.txt": " \n\n",
            "photo.jpg": b"\xff\xd8\xff\xe0",
            "zero.bin": b"text\x00",
            "late.txt": b"fine " * 300_000 + b"\xff",
            ".hidden.txt": "not wanted",
            ".git/config": "not wanted",
        }
    )
    told: list[tuple[int, int]] = []
    found = open_corpus(folder, out, progress=lambda done, total: told.append((done, total)))
    text = found.path.read_bytes().decode("utf-8")
    assert text == "".join(
        piece + SEPARATOR for piece in ["with a mark\r\n", "first\n", "second", "two in", "one", "ended"]
    )
    assert found == corpus.Corpus("folder", found.path, len(text), documents=6, skipped=3)
    assert found.describe().endswith("6 documents; skipped 3 that are not text in UTF-8")
    assert found.floor is None
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and "/." not in path.as_posix())
    assert told == sorted(told) and told[-1] == (total, total)


def test_a_folder_up_to_a_size(texts, out: Path):
    folder = texts({f"{number:02}.txt": "ten bytes!" for number in range(20)})
    found = open_corpus(folder, out, size=50)
    assert found.documents == 3 and found.size == 3 * (10 + len(SEPARATOR))
    assert open_corpus(folder, out, size=10_000).documents == 20


def test_a_folder_that_changes_is_read_again(texts, out: Path):
    folder = texts({"a.txt": "one"})
    first = open_corpus(folder, out)
    assert open_corpus(folder, out) == first
    (folder / "b.txt").write_text("two", encoding="utf-8")
    assert open_corpus(folder, out).documents == 2
    (folder / "b.txt").unlink()
    os.utime(folder / "a.txt", ns=(1, 1))
    assert open_corpus(folder, out).path != first.path


@pytest.mark.parametrize("place", [".", "out"])
def test_what_was_prepared_is_no_part_of_the_next_corpus(texts, place: str):
    folder = texts({"a.txt": "one"})
    found = open_corpus(folder, folder / place)
    open_corpus("stories", folder / place, size=1000)
    assert open_corpus(folder, folder / place) == found
    assert found.path.read_text(encoding="utf-8") == "one" + SEPARATOR


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "holds no files, hidden ones not counted"),
        ({".hidden": "text"}, "holds no files, hidden ones not counted"),
        ({"a.bin": b"\xff", "b.bin": b"\x00", "c.txt": ""}, "of 3 files in it, 2 are not text in UTF-8 and the others"),
    ],
)
def test_a_folder_without_text(texts, out: Path, files: dict[str, str | bytes], complaint: str):
    with pytest.raises(CourseError, match=f"the folder .*texts holds no.* {complaint}|{complaint}"):
        open_corpus(texts(files), out)
    assert not out.exists() or list(out.iterdir()) == []


def test_links(texts, out: Path):
    folder = texts({"a.txt": "one", "sub/b.txt": "two"})
    try:
        (folder / "sub" / "loop").symlink_to(folder, target_is_directory=True)
        (folder / "lost").symlink_to(folder / "nowhere")
        (folder / "linked.txt").symlink_to(folder / "a.txt")
    except OSError:
        pytest.skip("this system makes no links")
    text = open_corpus(folder, out).path.read_text(encoding="utf-8")
    assert text == "".join(piece + SEPARATOR for piece in ["one", "one", "two"])


# -- whole, or not there ---------------------------------------------------------------------------------------------


def test_an_interrupted_preparation_leaves_nothing(texts, out: Path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for name, size in (("stories", 2000), (texts({"a.txt": "one"}), None)):
        with pytest.raises(KeyboardInterrupt):
            open_corpus(name, out, size=size, progress=interrupt)
        assert list(out.iterdir()) == []


def test_a_killed_preparation_is_not_taken_for_whole(out: Path):
    request = f"'stories', Path({str(out)!r}), size=600_000, seed=2"
    code = f"import os; from pathlib import Path; from bootcamp.corpus import open_corpus; open_corpus({request}, "
    code += "progress=lambda done, total: os._exit(9))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 9
    left = list(out.iterdir())
    assert len(left) == 1 and left[0].name.endswith(".part")
    found = open_corpus("stories", out, size=600_000, seed=2)
    assert found.documents == found.path.read_bytes().count(MARK)
    assert left[0].exists()  # it could still be at work
    long_ago = time.time() - 7200
    os.utime(left[0], (long_ago, long_ago))
    open_corpus("stories", out, size=1000)
    assert not left[0].exists() and found.path.exists()


@pytest.mark.parametrize("damage", ["note lost", "note cut", "note foreign", "text lost", "text cut"])
def test_what_is_damaged_is_prepared_again(out: Path, damage: str):
    first = open_corpus("stories", out, size=3000)
    whole, note = first.path.read_bytes(), first.path.with_suffix(".json")
    if damage == "note lost":
        note.unlink()
        first.path.write_bytes(whole[:100])
    elif damage == "note cut":
        note.write_bytes(note.read_bytes()[:20])
    elif damage == "note foreign":
        note.write_text(json.dumps({"request": {}, "corpus": {}}), encoding="utf-8")
    elif damage == "text lost":
        first.path.unlink()
    else:
        first.path.write_bytes(whole[:-1])
    assert open_corpus("stories", out, size=3000) == first
    assert first.path.read_bytes() == whole


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(CourseError, match=r"cannot be made ready: .*file.*; see that .*out can be written to"):
        open_corpus("stories", tmp_path / "file" / "out", size=100)


def test_a_full_disk(out: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sources.stories, "write_stories", full)
    with pytest.raises(CourseError, match="the disk is full: no room for a corpus in"):
        open_corpus("stories", out, size=100)


def test_memory_stays_small(tmp_path: Path, texts, out: Path):
    """One file of 12 MB in a single line, alone and in a folder."""
    folder = texts({"big.txt": "0123456789 ä" * 1_000_000})
    for name in (folder / "big.txt", folder):
        tracemalloc.start()
        found = open_corpus(name, out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.documents == 1 and found.size >= 13_000_000
        assert peak < 8 * CHUNK


@pytest.mark.parametrize("step", [1, 2, 5, 12, 13, 14, 1000])
def test_a_scan_in_pieces(step: int):
    data = f"one{SEPARATOR}zwölf{SEPARATOR}{SEPARATOR}\n{SEPARATOR}<|endof{SEPARATOR}x<|endoftext| >".encode()
    scan = Scan()
    for start in range(0, len(data), step):
        scan.feed(data[start : start + step])
    scan.finish()
    assert (scan.documents, scan.size) == (4, len(data))


def test_a_scan_knows_where_it_broke_off():
    scan = Scan()
    scan.feed("abc ä".encode()[:-1])
    with pytest.raises(NotTextError, match="byte 0xc3 at offset 4"):
        scan.finish()
