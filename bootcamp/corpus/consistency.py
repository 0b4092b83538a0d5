"""Does a story hold together? For texts that a model has written, which need not be exactly in the grammar."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

from bootcamp.corpus.stories import grammar
from bootcamp.corpus.symbols import Rule


def inconsistencies(text: str, about: Collection[str] | None = None) -> list[str]:
    """List what does not hold together in a story: a second hero, a wrong pronoun, a kite that was red and is blue.

    A story has one hero, one thing with one colour, one friend, and so on. Each word of those lists, and each form that
    goes with it, must fit those before it, and there are no names but those of the lists. Of grammar and spelling,
    only "a" and "an" are looked at.

    Args:
        text: the story; best ended where the model ended it.
        about: which lists to look at, such as {"hero"}; all of them, and "a" and "an", if not given.

    Returns:
        A sentence for each thing that does not fit; nothing if the story is consistent.

    >>> inconsistencies("Once a shy girl named Ada had a kite. She liked it. The wind took his kite.")
    ["hero: 'girl' does not go with 'his'"]
    >>> inconsistencies("Ada had a orange kite. Her red kite was her joy.")
    ["'a orange' should be 'an orange'", "colour: 'orange' does not go with 'red'"]
    """
    pattern, meanings = _vocabulary()
    found = []
    for article, word in re.findall(r"\b([Aa]n?) ([a-z]+)", text) if about is None else ():
        right = article[0] + "n" * (word[0] in "aeiou")
        if article != right:
            found.append(f"{f'{article} {word}'!r} should be {f'{right} {word}'!r}")
    possible: dict[str, int] = {}  # the entries that each word can still stand for, as the bits of a number
    told: dict[str, dict[str, int]] = {}
    for match in pattern.finditer(text):
        said = match.group()
        word, entries = meanings.get(said) or meanings[said[0].lower() + said[1:]]
        before = possible.get(word, -1)
        if before & entries:
            possible[word] = before & entries
            told.setdefault(word, {})[said] = entries
        elif about is None or word in about:
            against = min(told[word], key=lambda earlier: told[word][earlier] & entries)
            found.append(f"{word}: {against!r} does not go with {said!r}")
    if about is None or "hero" in about:
        if possible.get("hero", 0).bit_count() != 1:
            found.append("hero: nobody is named")
        strangers = (name for name in re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", text) if name not in meanings)
        found += [f"hero: {name!r} is nobody's name" for name in strangers]
    return list(dict.fromkeys(found))


@cache
def _vocabulary() -> tuple[re.Pattern[str], dict[str, tuple[str, int]]]:
    """Find what gives a word away: a pattern for all such texts, and for each its word and the entries that fit."""
    source = grammar()
    meanings: dict[str, tuple[str, int]] = {}
    unclear: set[str] = set()
    for word, entries in source.words.items():
        for number, entry in enumerate(entries):
            for text in entry:
                other, bits = meanings.get(text, (word, 0))
                unclear |= {text} if other != word else set()  # such as the same verb for a friend and for a thing
                meanings[text] = (word, bits | 1 << number)
    sentences = "\n".join(item for rule in source.rules.values() for item in _literals(rule))
    for text in meanings:
        if re.search(rf"\b{re.escape(text)}\b", sentences, re.IGNORECASE):
            unclear.add(text)  # it can stand in a story for another reason
    for text in unclear:
        del meanings[text]
    longest_first = sorted(meanings, key=lambda text: (-len(text), text))
    either = "|".join(f"[{text[0]}{text[0].upper()}]{re.escape(text[1:])}" for text in longest_first)
    return re.compile(rf"\b(?:{either})\b"), meanings


def _literals(rule: Rule) -> list[str]:
    texts = []
    for option in rule.options:
        for item in option:
            if isinstance(item, str):
                texts.append(item)
            elif isinstance(item, Rule):
                texts += _literals(item)
    return texts
