"""The demo from end to end, and what it says to input that it cannot use."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bootcamp import course


def demo(out: Path, *words: str, code: int = 0) -> str:
    """Run the demo, hold it to its exit code, and give what it said; without training, if nothing is said of it."""
    words = words if "--steps" in words else (*words, "--steps", "0")
    command = [sys.executable, "-m", "bootcamp", "--as-is", "demo", "--no-open", "--out", str(out), *words]
    env = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    run = subprocess.run(command, cwd=course.ROOT, env=env, capture_output=True, encoding="utf-8", timeout=300)
    assert run.returncode == code, run.stdout + run.stderr
    return run.stdout + run.stderr


class Page(HTMLParser):
    """What a page asks from elsewhere, and whether each element that it opens is closed."""

    EMPTY = ("meta", "link", "input", "br", "img", "hr", "path", "use")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.asked += [
            value or "" for name, value in attrs if name in ("src", "href") and not str(value).startswith("#")
        ]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open and self.open.pop() == tag, f"</{tag}> at line {self.getpos()[0]}"


def test_stories(tmp_path: Path):
    """The page opens by itself: all that it shows is in it."""
    said = demo(tmp_path / "out", "--size", "300000", "--vocab-size", "448", "--steps", "12")
    assert "report.html" in said and "191 merges" in said and "validation loss" in said
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.asked == [] and page.open == []
    assert "<svg" in text and "<ol" in text and 'type="range"' in text
    for words in (
        "How it went",
        "What it wrote on the way",
        "Where it looks",
        "A text, cut into its tokens",
        "The merges, in the order learned",
        "nats a token",
        "The same on two processes",
        "After 12 steps one process in float32",
        "<!-- rank 1 -->",
    ):
        assert words in text
    assert not (tmp_path / "out" / "report.html.tmp").exists()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html",
        "run",
        "tokenizer.json",
        "two",
    ]


def test_the_same_tokenizer_each_time(tmp_path: Path):
    for name, workers in (("one", "1"), ("two", "2")):
        demo(tmp_path / name, "--size", "200000", "--vocab-size", "500", "--workers", workers)
    one, two = ((tmp_path / name / "tokenizer.json").read_bytes() for name in ("one", "two"))
    assert one == two


def test_real_text(tmp_path: Path):
    said = demo(tmp_path / "out", "--corpus", "stdlib", "--size", "1000000", "--vocab-size", "1000")
    assert "743 merges" in said


def test_a_folder_of_texts(tmp_path: Path):
    (tmp_path / "texts").mkdir()
    for name, text in (("one.txt", "low lower lowest\n" * 50), ("zwei.txt", "Grüße, naïve Leute 😀\n" * 50)):
        (tmp_path / "texts" / name).write_text(text, encoding="utf-8")
    demo(tmp_path / "out", "--corpus", str(tmp_path / "texts"), "--vocab-size", "300")
    assert "😀" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_one_character(tmp_path: Path):
    """There is nothing to merge, and nothing wrong with it."""
    (tmp_path / "one.txt").write_text("a", encoding="utf-8")
    assert "0 merges" in demo(tmp_path / "out", "--corpus", str(tmp_path / "one.txt"))


@pytest.mark.parametrize(
    "content, words, complaint",
    [
        (b"", [], "is empty"),
        (b"abc\xff\xfe", [], "byte 0xff at offset 3"),
        (None, [], "there is no file or folder"),
        (b"low lower", ["--vocab-size", "10"], "vocab_size must be at least 257"),
        (b"low lower", ["--workers", "0"], "must be at least 1"),
        (b"low lower", ["--size", "0"], "at least 1 byte"),
    ],
    ids=["empty", "not UTF-8", "missing", "vocabulary of 10", "no workers", "no size"],
)
def test_bad_input_is_one_sentence(tmp_path: Path, content: bytes | None, words: list[str], complaint: str):
    """What was found, in one sentence, and nothing is written."""
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    said = demo(tmp_path / "out", "--corpus", str(path), *words, code=2)
    assert complaint in said.splitlines()[-1] and "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_folder_without_text(tmp_path: Path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "picture.png").write_bytes(b"\x89PNG\0\xff")
    assert "no text" in demo(tmp_path / "out", "--corpus", str(tmp_path / "texts"), code=2)
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file(tmp_path: Path):
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    assert "is a file" in demo(tmp_path / "out", "--size", "10000", code=2)
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"
