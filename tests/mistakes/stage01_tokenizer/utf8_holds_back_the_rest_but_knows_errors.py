# module: utf8.py
# exercise: 1.2
# name: an unfinished character holds back all that stands before it
from __future__ import annotations

from collections.abc import Iterable


def text_to_byte_ids(text: str) -> list[int]:
    return list(text.encode("utf8"))


def byte_ids_to_text(ids: Iterable[int]) -> str:
    return bytes(ids).decode("utf8", "replace")


def breaks_off(data: bytes) -> bool:
    for size in (1, 2, 3):
        try:
            data[-size:].decode("utf8")
        except UnicodeDecodeError as error:
            if error.start == 0 and error.reason == "unexpected end of data":
                return True
    return False


class StreamDecoder:
    def __init__(self) -> None:
        self.pending = b""

    def feed(self, data: bytes) -> str:
        self.pending += data
        return "" if breaks_off(self.pending) else self.finish()

    def finish(self) -> str:
        rest = self.pending
        self.pending = b""
        return rest.decode("utf8", "replace")
