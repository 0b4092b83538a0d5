"""Reading documents that others wrote: is it text, how many documents are in it, and copying it into a corpus."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import BinaryIO

from bootcamp.corpus.stories import SEPARATOR

CHUNK = 1 << 20
MARK = SEPARATOR.encode("utf-8")


class NotTextError(Exception):
    """The bytes are not UTF-8 text; the message says which byte, and where."""


class Scan:
    """Goes through the bytes of a text, piece by piece: checks that they are UTF-8, and counts the documents.

    A document ends at a separator, or where the bytes end. Space between two separators is no document.
    """

    def __init__(self) -> None:
        self.size = 0
        self.documents = 0  # those that have ended
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._begun = False  # something other than space stands between the last separator and the tail
        self._tail = b""  # the last bytes, which may be the beginning of a separator

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            NotTextError: they are not UTF-8, or hold a zero byte, which no text does.
        """
        self._decode(data, final=False)
        if (zero := data.find(0)) >= 0:
            raise NotTextError(f"a zero byte at offset {self.size + zero}")
        self.size += len(data)
        *ended, rest = (self._tail + data).split(MARK)
        for piece in ended:
            self.documents += self._begun or bool(piece.strip())
            self._begun = False
        self._tail = rest[1 - len(MARK) :]
        self._begun = self._begun or bool(rest[: 1 - len(MARK)].strip())

    def finish(self, whole: bool = True) -> bool:
        """Say that no more bytes come; tell whether a document ends here that has no separator.

        Raises:
            NotTextError: the last character is not complete. It need not be if the text is not `whole`.
        """
        if whole:
            self._decode(b"", final=True)
        ends = self._begun or bool(self._tail.strip())
        self.documents += ends
        return ends

    @property
    def incomplete(self) -> int:
        """How many bytes at the end belong to a character that is not complete."""
        return len(self._decoder.getstate()[0])

    def _decode(self, data: bytes, final: bool) -> None:
        try:
            self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            offset = self.size + len(data) - len(error.object) + error.start
            raise NotTextError(f"byte 0x{error.object[error.start]:02x} at offset {offset}") from None


def scan_file(path: Path, progress: Callable[[int, int], None] | None = None) -> Scan:
    """Go through a whole file.

    Raises:
        NotTextError: it is not UTF-8 text.
    """
    scan, total = Scan(), path.stat().st_size
    for data in _pieces(path):
        scan.feed(data)
        if progress is not None:
            progress(min(scan.size, total), total)
    scan.finish()
    return scan


def copy_document(path: Path, out: BinaryIO) -> int:
    """Add the text of a file to `out`, with the separator behind it; give the number of documents that it holds.

    A byte order mark in front is left out. A file of nothing but space adds nothing.

    Raises:
        NotTextError: it is not UTF-8 text, or cannot be read; nothing is added.
    """
    scan, start = Scan(), out.tell()
    pieces = _pieces(path)
    try:
        while data := _next(pieces):
            data = data.removeprefix(codecs.BOM_UTF8) if scan.size == 0 else data
            scan.feed(data)
            out.write(data)
        if scan.finish():
            out.write(MARK)
    except NotTextError:
        out.seek(start)
        out.truncate()
        raise
    if scan.documents == 0:
        out.seek(start)
        out.truncate()
    return scan.documents


def copy_beginning(path: Path, out: BinaryIO, size: int) -> int:
    """Add the first `size` bytes of a file to `out`, and what is missing of the last line, up to a chunk.

    Returns:
        The number of documents.

    Raises:
        NotTextError: they are not UTF-8 text.
    """
    scan, data = Scan(), b""
    with open(path, "rb") as file:
        while scan.size < size and (data := file.read(min(CHUNK, size - scan.size))):
            scan.feed(data)
            out.write(data)
        if not data.endswith(b"\n"):
            data = file.readline(CHUNK)
            scan.feed(data)
            out.write(data)
        whole = not file.read(1)
    if scan.incomplete and not whole:  # the line is longer than a chunk, and was cut within a character
        out.seek(-scan.incomplete, os.SEEK_END)
        out.truncate()
    if scan.finish(whole):
        out.write(MARK)
    return scan.documents


def files_below(folder: Path, skip: Callable[[Path], bool]) -> Iterator[tuple[PurePath, os.stat_result]]:
    """Give the files below `folder` by their relative paths, in the same order on every system, with size and time.

    What is hidden is left out, and what `skip` says; links to folders are not followed.
    """
    found = []
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = [name for name in folders if name[0] != "." and not skip(here / name)]
        found += [(here / name).relative_to(folder) for name in files if name[0] != "." and not skip(here / name)]
    for path in sorted(found, key=lambda path: path.parts):
        try:
            if (folder / path).is_file():
                yield path, (folder / path).stat()
        except OSError:  # a link that leads nowhere, or a file that has just gone
            continue


def _pieces(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            yield data


def _next(pieces: Iterator[bytes]) -> bytes:
    """Read on; a file that cannot be read is as good as one without text, unlike an output that cannot be written."""
    try:
        return next(pieces, b"")
    except OSError as error:
        raise NotTextError(str(error)) from None
