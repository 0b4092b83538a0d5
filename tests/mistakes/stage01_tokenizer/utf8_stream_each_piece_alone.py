# module: utf8.py
# exercise: 1.2
# name: the stream decodes each piece on its own
from __future__ import annotations

from collections.abc import Iterable


def text_to_byte_ids(text: str) -> list[int]:
    ids = []
    for byte in text.encode():
        ids.append(byte)
    return ids


def byte_ids_to_text(ids: Iterable[int]) -> str:
    data = bytearray()
    for id in ids:
        data.append(id)
    return data.decode(errors="replace")


class StreamDecoder:
    def __init__(self) -> None:
        self.pending = b""

    def feed(self, data: bytes) -> str:
        return byte_ids_to_text(data)

    def finish(self) -> str:
        return ""
