# module: utf8.py
# exercise: 1.2
# name: an unfinished character holds back all that stands before it
from __future__ import annotations

from collections.abc import Iterable


def text_to_byte_ids(text: str) -> list[int]:
    return list(text.encode("utf8"))


def byte_ids_to_text(ids: Iterable[int]) -> str:
    return bytes(ids).decode("utf8", "replace")


class StreamDecoder:
    def __init__(self) -> None:
        self.pending = b""

    def feed(self, data: bytes) -> str:
        self.pending += data
        try:
            text = self.pending.decode("utf8")
        except UnicodeDecodeError:
            return ""
        self.pending = b""
        return text

    def finish(self) -> str:
        rest = self.pending
        self.pending = b""
        return rest.decode("utf8", "replace")
