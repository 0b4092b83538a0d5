"""What the course's models are trained on: little stories whose entropy is known, or any text you give.

`open_corpus` is what every entry point uses.
"""

from bootcamp.corpus.consistency import inconsistencies
from bootcamp.corpus.sources import Corpus, open_corpus
from bootcamp.corpus.stories import (
    SEPARATOR,
    bits_per_byte,
    distinct_stories,
    entropy,
    expected_length,
    floor,
    log_probability,
    story,
    write_stories,
)

__all__ = [
    "SEPARATOR",
    "Corpus",
    "bits_per_byte",
    "distinct_stories",
    "entropy",
    "expected_length",
    "floor",
    "inconsistencies",
    "log_probability",
    "open_corpus",
    "story",
    "write_stories",
]
