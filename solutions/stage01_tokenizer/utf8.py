"""1.2 · Bytes: 256 symbols that spell every text there is."""

from __future__ import annotations

from collections.abc import Iterable


def text_to_byte_ids(text: str) -> list[int]:
    """Give the bytes of `text` in UTF-8, as ids from 0 to 255.

    Raises:
        ValueError: `text` holds half of a surrogate pair, which is no character
            (the `UnicodeEncodeError` of `str.encode` is a `ValueError`).

    >>> text_to_byte_ids("hé")
    [104, 195, 169]
    """
    # BEGIN SOLUTION 1.2: encode the text, and list the bytes
    return list(text.encode("utf-8"))
    # END SOLUTION


def byte_ids_to_text(ids: Iterable[int]) -> str:
    """Give the text that the byte ids spell; U+FFFD stands for what is not UTF-8.

    Raises:
        ValueError: an id is not from 0 to 255.

    >>> byte_ids_to_text([104, 195, 169])
    'hé'
    >>> byte_ids_to_text([104, 195])  # the second byte of é is missing
    'h\\ufffd'
    """
    # BEGIN SOLUTION 1.2: decode the bytes; no sequence of bytes may raise
    return bytes(ids).decode("utf-8", errors="replace")
    # END SOLUTION


# BEGIN SOLUTION 1.2
def _unfinished(data: bytes) -> int:
    """Count the bytes at the end of `data` that a character has begun with and not completed.

    The first byte of a character tells its length: 110xxxxx two bytes, 1110xxxx three, 11110xxx
    four; each further byte is 10xxxxxx. Four first bytes narrow the byte behind them, against
    overlong forms, surrogates and what lies past U+10FFFF (The Unicode Standard, table 3-7).
    """
    for count, byte in enumerate(reversed(data[-3:]), start=1):
        if 0x80 <= byte <= 0xBF:  # a further byte: look one back
            continue
        length = 2 if 0xC2 <= byte <= 0xDF else 3 if byte & 0xF0 == 0xE0 else 4 if 0xF0 <= byte <= 0xF4 else 1
        if count >= length:
            return 0
        low, high = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}.get(
            byte, (0x80, 0xBF)
        )
        return count if count == 1 or low <= data[-count + 1] <= high else 0
    return 0


# END SOLUTION


class StreamDecoder:
    """Turns bytes that arrive in pieces into text, each character as soon as it is complete.

    All that `feed` and `finish` return, joined, is what decoding all the bytes at once gives.

    >>> decoder = StreamDecoder()
    >>> [decoder.feed(bytes([byte])) for byte in "hé€".encode()]
    ['h', '', 'é', '', '', '€']
    >>> decoder.feed(b"\\xe2\\x82"), decoder.finish()  # the last byte of € never comes
    ('', '\\ufffd')
    """

    def __init__(self) -> None:
        self.pending = b""  # the bytes of a character that is not complete yet

    def feed(self, data: bytes) -> str:
        """Take the next bytes; give the text that they complete, never half a character.

        Bytes that no further byte can make a character are not waited for: they become U+FFFD.
        """
        # BEGIN SOLUTION 1.2: decode what is complete, and keep the rest for the next call
        data = self.pending + data
        end = len(data) - _unfinished(data)
        self.pending = data[end:]
        return data[:end].decode("utf-8", errors="replace")
        # END SOLUTION

    def finish(self) -> str:
        """Say that no more bytes come; give U+FFFD if a character was left incomplete, else ''."""
        # BEGIN SOLUTION 1.2: what is still kept will never be completed
        text = self.pending.decode("utf-8", errors="replace")
        self.pending = b""
        return text
        # END SOLUTION
