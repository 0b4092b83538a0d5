"""Where a corpus comes from: the stories, Python's own sources, or your files.

Whatever it is, it becomes one text file in UTF-8 with `<|endoftext|>` behind each document. What has to be written is
written once and kept, under a name that says what was asked for; a file of your own is used where it lies.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bootcamp.corpus import stories
from bootcamp.corpus.documents import NotTextError, copy_beginning, copy_document, files_below, scan_file
from bootcamp.corpus.files import replacing, sweep
from bootcamp.corpus.stories import Progress
from bootcamp.course import CourseError

NOT_STDLIB = ("site-packages", "dist-packages", "__pycache__")
DEFAULT_SIZE = 20_000_000  # bytes of stories, if no size is given
OWN_NAME = re.compile(r"(stories|stdlib|folder|file)-[0-9a-f]{12}\.(txt|json)")  # what _prepared writes
VERSION = 1  # of what is written for a request; raised when that changes


@dataclass(frozen=True)
class Corpus:
    """A text file in UTF-8, with `<|endoftext|>` behind each document; behind the last one it may be missing."""

    kind: str  # "stories", "stdlib", "folder" or "file"
    path: Path
    size: int  # in bytes
    documents: int
    skipped: int = 0  # files that are not text in UTF-8, or could not be read

    @property
    def bits_per_byte(self) -> float | None:
        """The entropy of the corpus; None if nobody knows it, which is so for all text but the stories."""
        if self.kind != "stories":
            return None
        return stories.bits_per_byte()

    @property
    def floor(self) -> Callable[[str, int], float] | None:
        """What `stories.floor` says: the loss in nats per token that no model can beat; None but for the stories."""
        return stories.floor if self.kind == "stories" else None

    def describe(self) -> str:
        """Say in a few words what this is."""
        what = {"stories": "little stories", "stdlib": "Python's standard library"}.get(self.kind, str(self.path))
        skipped = f"; skipped {self.skipped} that are not text in UTF-8" if self.skipped else ""
        return f"{what}: {self.size / 1e6:.1f} MB, {self.documents:,} document{'s' * (self.documents != 1)}{skipped}"


def open_corpus(
    name: str | Path, folder: Path, size: int | None = None, seed: int = 0, progress: Progress | None = None
) -> Corpus:
    """Make a corpus ready to be read.

    Args:
        name: "stories", "stdlib", or the path of a text file or of a folder that holds some, at any depth. Hidden
            files and folders are left out, and what is not text in UTF-8 is skipped and counted. A file or folder that
            is really called "stories" is "./stories".
        folder: where to keep what has to be written; that is never part of a corpus itself.
        size: take at least so many bytes, and stop at the end of the document (in a single file, of the line) that
            reaches them. If not given, everything there is, and 20 MB of stories.
        seed: which stories.
        progress: is told the bytes that are done, and how many there will be.

    A literal `<|endoftext|>` in your text means what it always means: a document ends there.

    Raises:
        CourseError: there is no such file or folder, there is no text in it, or the corpus cannot be written.
    """
    if size is not None and size < 1:
        raise CourseError(f"the size of a corpus must be at least 1 byte; got {size}")
    with _explained(name, folder):
        if name == "stories":
            return _stories(folder, size or DEFAULT_SIZE, seed, progress)
        if name == "stdlib":
            source = Path(sysconfig.get_path("stdlib"))
            if not source.is_dir():
                raise CourseError(f"this Python has no folder for its standard library ({source}); give a path")
            return _folder("stdlib", source, folder, size, progress)
        source = Path(name)
        if source.is_dir():
            return _folder("folder", source, folder, size, progress)
        if source.is_file():
            return _file(source, folder, size, progress)
        if source.exists():
            raise CourseError(f"{source} is neither a file nor a folder; give a text file, or a folder that holds some")
    raise CourseError(
        f"there is no file or folder {str(source.absolute())!r}; give the path of one, or 'stories', or 'stdlib'"
    )


def _stories(folder: Path, size: int, seed: int, progress: Progress | None) -> Corpus:
    if not 0 <= seed < 1 << 64:
        raise CourseError(f"the seed of the stories must be from 0 to 2**64 - 1; got {seed}")
    grammar = hashlib.sha256(stories.SOURCE.read_text(encoding="utf-8").encode()).hexdigest()

    def write(path: Path) -> Corpus:
        count = stories.write_stories(path, size, seed, progress)
        return Corpus("stories", path, path.stat().st_size, count)

    return _prepared("stories", {"size": size, "seed": seed, "grammar": grammar}, folder, write)


def _folder(kind: str, source: Path, folder: Path, size: int | None, progress: Progress | None) -> Corpus:
    source, own = source.resolve(), folder.resolve()

    def skip(path: Path) -> bool:
        if kind == "stdlib":
            return path.name in NOT_STDLIB or (path.is_file() and path.suffix != ".py")
        return path.parent == own and OWN_NAME.fullmatch(path.name) is not None

    listed = list(files_below(source, skip))
    state = hashlib.sha256()
    for path, stat in listed:
        state.update(f"{path.as_posix()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    total = sum(stat.st_size for _, stat in listed)
    total = total if size is None else min(size, total)

    def write(path: Path) -> Corpus:
        documents = skipped = 0
        with replacing(path) as file:
            for name, _ in listed:
                try:
                    documents += copy_document(source / name, file)
                except NotTextError:
                    skipped += 1
                if progress is not None:
                    progress(min(file.tell(), total), total)
                if size is not None and file.tell() >= size:
                    break
            if documents == 0:
                raise CourseError(
                    f"the folder {source} holds no text: of {len(listed)} files in it, {skipped} are not text in UTF-8 "
                    "and the others empty; give a folder with text files in it"
                    if listed
                    else f"the folder {source} holds no files, hidden ones not counted; give a folder with text files"
                )
            length = file.tell()
        if progress is not None:
            progress(total, total)
        return Corpus(kind, path, length, documents, skipped)

    return _prepared(kind, {"source": str(source), "files": state.hexdigest(), "size": size}, folder, write)


def _file(source: Path, folder: Path, size: int | None, progress: Progress | None) -> Corpus:
    stat = source.stat()
    if stat.st_size == 0:
        raise CourseError(f"{source} is empty; a corpus needs at least one character")
    if size is None or size >= stat.st_size:
        scan = scan_file(source, progress)
        return Corpus("file", source, scan.size, scan.documents)

    def write(path: Path) -> Corpus:
        with replacing(path) as file:
            documents = copy_beginning(source, file, size)
            length = file.tell()
        return Corpus("file", path, length, documents)

    request = {"source": str(source.resolve()), "of": stat.st_size, "time": stat.st_mtime_ns, "size": size}
    return _prepared("file", request, folder, write)


def _prepared(kind: str, request: dict[str, object], folder: Path, write: Callable[[Path], Corpus]) -> Corpus:
    """Give the corpus that was written for this request, or have it written now.

    A note beside the text says what it is. It is written last: a text without its note is not taken for whole.
    """
    request = {"kind": kind, "version": VERSION, **request}
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:12]
    path, note = folder / f"{kind}-{digest}.txt", folder / f"{kind}-{digest}.json"
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        told = json.loads(note.read_text(encoding="utf-8"))
        corpus = Corpus(**{**told["corpus"], "path": path})
        if path.stat().st_size == corpus.size:
            return corpus
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    corpus = write(path)
    with replacing(note) as file:
        told = {"request": request, "corpus": {**asdict(corpus), "path": path.name}}
        file.write(json.dumps(told, indent=2).encode())
    return corpus


@contextlib.contextmanager
def _explained(name: str | Path, folder: Path) -> Iterator[None]:
    """Turn what can go wrong with files into one clear sentence."""
    try:
        yield
    except NotTextError as error:
        raise CourseError(
            f"{name} is not text in UTF-8: {error}; give a text file, and if it is one in another encoding, save it "
            "as UTF-8 first"
        ) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise CourseError(
                f"the disk is full: no room for a corpus in {folder}; make some, or ask for less"
            ) from None
        raise CourseError(
            f"the corpus {str(name)!r} cannot be made ready: {error.strerror or error}"
            + (f" ({error.filename})" if error.filename else "")
            + f"; see that it can be read, and that {folder} can be written to"
        ) from None
