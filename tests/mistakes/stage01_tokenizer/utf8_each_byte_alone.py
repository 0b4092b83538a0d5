# module: utf8.py
# exercise: 1.2
# name: each byte is decoded on its own
from __future__ import annotations

import codecs
from collections.abc import Iterable


def text_to_byte_ids(text: str) -> list[int]:
    ids: list[int] = []
    for char in text:
        ids.extend(char.encode("utf-8"))
    return ids


def byte_ids_to_text(ids: Iterable[int]) -> str:
    text = ""
    for id in ids:
        text += id.to_bytes(1, "big").decode("utf-8", "replace") if id in range(256) else _refuse(id)
    return text


def _refuse(id: int) -> str:
    raise ValueError(f"{id} is no byte")


class StreamDecoder:
    def __init__(self) -> None:
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> str:
        return self.decoder.decode(data)

    def finish(self) -> str:
        return self.decoder.decode(b"", True)
