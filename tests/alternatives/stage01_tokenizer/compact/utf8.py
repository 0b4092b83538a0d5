"""1.2, differently: numpy views of the bytes, and the incremental decoder that `codecs` already has."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

import numpy as np


def text_to_byte_ids(text: str) -> list[int]:
    """Give the bytes of `text` in UTF-8; half a surrogate pair is a `UnicodeEncodeError`."""
    return np.frombuffer(text.encode("utf-8"), dtype=np.uint8).tolist()


def byte_ids_to_text(ids: Iterable[int]) -> str:
    """Give the text that the byte ids spell; U+FFFD stands for what is not UTF-8."""
    # An iterator, so that an array of wider integers is read as numbers and not as the memory behind them.
    return codecs.decode(bytes(iter(ids)), "utf-8", "replace")


class StreamDecoder:
    """Turns bytes that arrive in pieces into text, each character as soon as it is complete."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def feed(self, data: bytes) -> str:
        """Take the next bytes; give the text that they complete."""
        return self._decode(data)

    def finish(self) -> str:
        """Say that no more bytes come; give U+FFFD for a character left incomplete."""
        return self._decode(b"", True)
