# module: utf8.py
# exercise: 1.2
# name: characters of four bytes are not waited for
from __future__ import annotations

from collections.abc import Iterable


def text_to_byte_ids(text: str) -> list[int]:
    return list(text.encode())


def byte_ids_to_text(ids: Iterable[int]) -> str:
    return bytes(ids).decode(errors="replace")


def may_go_on(end: bytes) -> bool:
    """Say whether this is the beginning of a character, but not the whole."""
    for low, high, length in ((0xC2, 0xDF, 2), (0xE0, 0xEF, 3)):
        if low <= end[0] <= high and len(end) < length:
            if end[0] == 0xE0 and len(end) > 1 and end[1] < 0xA0:
                return False
            if end[0] == 0xED and len(end) > 1 and end[1] > 0x9F:
                return False
            return all(0x80 <= byte <= 0xBF for byte in end[1:])
    return False


class StreamDecoder:
    def __init__(self) -> None:
        self.pending = b""

    def feed(self, data: bytes) -> str:
        self.pending += data
        for kept in (1, 2):
            if kept <= len(self.pending) and may_go_on(self.pending[-kept:]):
                ready, self.pending = self.pending[:-kept], self.pending[-kept:]
                return ready.decode(errors="replace")
        ready, self.pending = self.pending, b""
        return ready.decode(errors="replace")

    def finish(self) -> str:
        text = "\ufffd" if self.pending else ""
        self.pending = b""
        return text
