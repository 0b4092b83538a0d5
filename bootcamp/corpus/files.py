"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the block ends well, and vanishes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path, older_than: float = 3600.0) -> None:
    """Remove what killed processes have left half-written: nobody has added to it for `older_than` seconds."""
    for path in folder.glob(".*.part"):
        with contextlib.suppress(OSError):  # another process may be faster
            if time.time() - path.stat().st_mtime >= older_than:
                path.unlink()
