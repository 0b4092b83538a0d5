# module: utf8.py
# exercise: 1.2
# name: bytes that are no UTF-8 are left out
from __future__ import annotations

import codecs
from collections.abc import Iterable


def text_to_byte_ids(text: str) -> list[int]:
    return list(codecs.encode(text, "utf-8"))


def byte_ids_to_text(ids: Iterable[int]) -> str:
    ids = list(ids)
    if any(id < 0 or id > 255 for id in ids):
        raise ValueError("ids must be from 0 to 255")
    return codecs.decode(bytes(ids), "utf-8", "ignore")


class StreamDecoder:
    def __init__(self) -> None:
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, data: bytes) -> str:
        return self.decoder.decode(data)

    def finish(self) -> str:
        text = self.decoder.decode(b"", final=True)
        self.decoder.reset()
        return text
