"""UTF-8 by hand: shifts and masks to encode, a state machine of one byte a step to decode; no codec is called."""

from __future__ import annotations

from collections.abc import Iterable

REPLACEMENT = "\ufffd"


def text_to_byte_ids(text: str) -> list[int]:
    """Give the bytes of `text` in UTF-8; a half of a surrogate pair is a ValueError."""
    ids: list[int] = []
    put = ids.append
    for place, char in enumerate(text):
        code = ord(char)
        if code < 0x80:
            put(code)
            continue
        if code < 0x800:
            put(0xC0 | code >> 6)
        elif code < 0x10000:
            if 0xD800 <= code < 0xE000:
                raise ValueError(f"U+{code:04X} at {place} is half of a surrogate pair, which is no character")
            put(0xE0 | code >> 12)
            put(0x80 | code >> 6 & 0x3F)
        else:
            put(0xF0 | code >> 18)
            put(0x80 | code >> 12 & 0x3F)
            put(0x80 | code >> 6 & 0x3F)
        put(0x80 | code & 0x3F)
    return ids


def _after_first_byte(byte: int) -> tuple[int, int, int, int] | None:
    """Say what the first byte of a character asks for: bytes to come, bits so far, range of the second byte."""
    if 0xC2 <= byte <= 0xDF:
        return 1, byte & 0x1F, 0x80, 0xBF
    if 0xE0 <= byte <= 0xEF:
        return 2, byte & 0x0F, 0xA0 if byte == 0xE0 else 0x80, 0x9F if byte == 0xED else 0xBF
    if 0xF0 <= byte <= 0xF4:
        return 3, byte & 0x07, 0x90 if byte == 0xF0 else 0x80, 0x8F if byte == 0xF4 else 0xBF
    return None  # a byte that continues a character, or never stands in UTF-8


_FIRST = [_after_first_byte(byte) for byte in range(256)]


def byte_ids_to_text(ids: Iterable[int]) -> str:
    """Give the text that the byte ids spell; an id that is not from 0 to 255 is a ValueError."""

    def checked() -> Iterable[int]:
        for id in ids:
            if id < 0 or id > 255:
                raise ValueError(f"byte ids go from 0 to 255; got {id}")
            yield id

    decoder = StreamDecoder()
    return decoder._step(checked()) + decoder.finish()


class StreamDecoder:
    """Turns bytes that arrive in pieces into text, each character as soon as it is complete.

    The state is never bytes: how many are still to come, the bits so far, the range that the next byte has to be in.
    """

    __slots__ = ("_bits", "_high", "_low", "_to_come")

    def __init__(self) -> None:
        self._to_come, self._bits, self._low, self._high = 0, 0, 0x80, 0xBF

    def feed(self, data: bytes) -> str:
        """Take the next bytes; give the text that they complete, never half a character."""
        return self._step(data)

    def finish(self) -> str:
        """Say that no more bytes come; give U+FFFD if a character was left incomplete, else ''."""
        left = REPLACEMENT if self._to_come else ""
        self._to_come = 0
        return left

    def _step(self, data: Iterable[int]) -> str:
        to_come, bits, low, high = self._to_come, self._bits, self._low, self._high
        out: list[str] = []
        put = out.append
        for byte in data:
            if to_come:
                if low <= byte <= high:
                    bits = bits << 6 | byte & 0x3F
                    low, high = 0x80, 0xBF
                    to_come -= 1
                    if not to_come:
                        put(chr(bits))
                    continue
                put(REPLACEMENT)  # what was begun will never be a character; this byte may begin the next
                to_come = 0
            if byte < 0x80:
                put(chr(byte))
            elif (first := _FIRST[byte]) is not None:
                to_come, bits, low, high = first
            else:
                put(REPLACEMENT)
        self._to_come, self._bits, self._low, self._high = to_come, bits, low, high
        return "".join(out)
