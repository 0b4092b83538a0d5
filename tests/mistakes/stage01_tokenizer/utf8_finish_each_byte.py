# module: utf8.py
# exercise: 1.2
# name: finish gives a U+FFFD for each byte of the character that was left incomplete
from __future__ import annotations

from collections.abc import Iterable


def text_to_byte_ids(text: str) -> list[int]:
    return [*bytes(text, "utf-8")]


def byte_ids_to_text(ids: Iterable[int]) -> str:
    return str(bytes(ids), "utf-8", "replace")


class StreamDecoder:
    def __init__(self) -> None:
        self.pending = b""

    def feed(self, data: bytes) -> str:
        text = ""
        data = self.pending + data
        self.pending = b""
        while data:
            try:
                return text + data.decode("utf-8")
            except UnicodeDecodeError as error:
                text += data[: error.start].decode("utf-8")
                if error.reason == "unexpected end of data":
                    self.pending = data[error.start :]
                    break
                text += "\ufffd"
                data = data[error.end :]
        return text

    def finish(self) -> str:
        missing = len(self.pending)
        self.pending = b""
        return "\ufffd" * missing
