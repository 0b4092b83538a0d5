"""Little stories, in any number, whose entropy is known.

`stories.txt` holds their words and sentences, and `grammar.py` what is done with them. Story number i of a seed can be
had alone, and is the same on every machine: all that it takes is `random.Random(…).random()`, whose sequence Python
promises to keep.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from bootcamp.corpus.files import replacing
from bootcamp.corpus.grammar import Grammar

SEPARATOR = "<|endoftext|>"
"""What stands behind each document of a corpus."""

SOURCE = Path(__file__).with_name("stories.txt")
Progress = Callable[[int, int], None]  # is told the bytes that are done, and how many there will be


@cache
def grammar() -> Grammar:
    """The grammar of the stories."""
    return Grammar(SOURCE.read_text(encoding="utf-8"))


def story(seed: int, number: int) -> str:
    """Write story `number` of `seed`, both from 0 to 2⁶⁴ - 1.

    >>> print(story(seed=0, number=1))
    Do you know Lena, the clever girl across the river? She liked her white cup most of all.
    One winter afternoon, Lena lost the white cup in the woods. At the market she met a big bear called Pip. "Find my \
white cup and you get a slice of cake," said Lena. Pip nodded and ran down the road.
    Soon Pip called: "It is in a nest!" Lena laughed and gave Pip a slice of cake. And that night the white cup lay \
beside her bed.
    """
    if not (0 <= seed < 1 << 64 and 0 <= number < 1 << 64):
        raise ValueError(f"seed and number must be from 0 to 2**64 - 1; got seed {seed} and number {number}")
    uniform = random.Random(seed << 64 | number).random
    return grammar().write(lambda n: int(uniform() * n))


def distinct_stories(seed: int) -> Iterator[str]:
    """Write the stories of `seed` one after the other, without those that came before already.

    No two stories are the same: in whatever way they are divided into some to train on and some to validate with, no
    story is in both. (Without that it would still be as good as certain: by chance, about two pairs in 10²⁰ agree.)
    What came before is remembered in a Bloom filter (Bloom: Space/Time Trade-offs in Hash Coding with Allowable Errors,
    1970) of 32 MiB. It also takes a new story for an old one now and then: about one in a million when 2 million
    stories (1 GB) have been written. That does not depend on what they tell, so their distribution stays as it is.
    """
    seen = bytearray(1 << 25)
    number = 0
    while True:
        text = story(seed, number)
        number += 1
        digest = int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest(), "little")
        known = True
        for _ in range(4):  # four of the 2²⁸ bits stand for a story
            digest, bit = divmod(digest, 1 << 28)
            if not seen[bit >> 3] >> (bit & 7) & 1:
                known = False
                seen[bit >> 3] |= 1 << (bit & 7)
        if not known:
            yield text


def log_probability(text: str) -> float:
    """Give ln p of one story, in nats: the sum over the choices that have written it, of -ln(number of options).

    Raises:
        ValueError: this is no story; the message says how far it would be one.

    >>> round(log_probability(story(seed=0, number=1)), 4)
    -52.9536
    """
    return grammar().log_probability(text)


def entropy() -> float:
    """Give the entropy of a story in nats, in closed form."""
    return grammar().entropy


def expected_length() -> float:
    """Give the mean length of a story in characters, which are also its bytes in UTF-8; the separator not counted."""
    return grammar().expected_length


def bits_per_byte() -> float:
    """Give the entropy of a long text of stories, in bits per byte, the separators counted among the bytes."""
    return entropy() / math.log(2) / (expected_length() + len(SEPARATOR))


def floor(text: str, tokens: int) -> float:
    """Give the loss on `text`, in nats per token, that no model can beat, but by luck.

        floor = -Σ ln p(story) / tokens

    It is what the distribution itself, which has written the stories, would lose on them. Any other model loses more
    on average (Gibbs' inequality). On a single text a model can be luckier; over many stories it cannot. Assumed is
    that the model

    - sees each story from its beginning: who comes in later does not know the hero's name yet, and must lose more;
    - spends nothing on cutting the text into tokens in one way rather than another: the tokens are those that its
      tokenizer gives for the text;
    - predicts every token of every story, and the separator behind it. The separator is counted in `tokens`, and adds
      nothing: where a story ends is settled by what it says.

    With the number of bytes for `tokens`, divided by ln 2, it is the floor in bits per byte.

    Args:
        text: whole stories with the separator between them, and behind the last one or not.
        tokens: how many tokens the loss is averaged over.

    Raises:
        ValueError: there is no story, one of them is none of this grammar, or `tokens` is below 1.

    >>> text = story(0, 1) + SEPARATOR + story(0, 2) + SEPARATOR
    >>> nats = -log_probability(story(0, 1)) - log_probability(story(0, 2))
    >>> round(nats, 4), round(floor(text, tokens=250), 4)
    (102.0234, 0.4081)
    """
    if tokens < 1:
        raise ValueError(f"tokens must be at least 1; got {tokens}")
    pieces = [piece for piece in text.split(SEPARATOR) if piece]
    if not pieces:
        raise ValueError("the text holds no story")
    nats = []
    for number, piece in enumerate(pieces, start=1):
        try:
            nats.append(-log_probability(piece))
        except ValueError as error:
            raise ValueError(f"piece {number} of {len(pieces)} is no whole story: {error}") from None
    return math.fsum(nats) / tokens


def write_stories(path: Path | str, size_bytes: int, seed: int, progress: Progress | None = None) -> int:
    """Write whole stories to `path`, each with the separator behind it, until there are at least `size_bytes` bytes.

    The same arguments give the same bytes on every machine. The file takes its name when it is complete.

    Returns:
        The number of stories.

    Raises:
        ValueError: `size_bytes` is below 1, or `seed` is out of range.
        OSError: the file cannot be written; nothing is left of it.
    """
    if size_bytes < 1:
        raise ValueError(f"size_bytes must be at least 1; got {size_bytes}")
    size = count = 0
    with replacing(Path(path)) as file:
        for text in distinct_stories(seed):
            size += file.write(f"{text}{SEPARATOR}".encode())
            count += 1
            if progress is not None and (count % 2000 == 0 or size >= size_bytes):
                progress(min(size, size_bytes), size_bytes)
            if size >= size_bytes:
                return count
    raise AssertionError("there is no end of stories")
