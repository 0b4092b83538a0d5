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
    # TODO 1.2: encode the text, and list the bytes
    raise NotImplementedError(
        "1.2 text_to_byte_ids: encode the text, and list the bytes; hint: python -m bootcamp hint 1.2"
    )


def byte_ids_to_text(ids: Iterable[int]) -> str:
    """Give the text that the byte ids spell; U+FFFD stands for what is not UTF-8.

    Raises:
        ValueError: an id is not from 0 to 255.

    >>> byte_ids_to_text([104, 195, 169])
    'hé'
    >>> byte_ids_to_text([104, 195])  # the second byte of é is missing
    'h\\ufffd'
    """
    # TODO 1.2: decode the bytes; no sequence of bytes may raise
    raise NotImplementedError(
        "1.2 byte_ids_to_text: decode the bytes; no sequence of bytes may raise; hint: python -m bootcamp hint 1.2"
    )


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
        # TODO 1.2: decode what is complete, and keep the rest for the next call
        raise NotImplementedError(
            "1.2 StreamDecoder.feed: decode what is complete, and keep the rest for the next call; "
            "hint: python -m bootcamp hint 1.2"
        )

    def finish(self) -> str:
        """Say that no more bytes come; give U+FFFD if a character was left incomplete, else ''."""
        # TODO 1.2: what is still kept will never be completed
        raise NotImplementedError(
            "1.2 StreamDecoder.finish: what is still kept will never be completed; hint: python -m bootcamp hint 1.2"
        )
