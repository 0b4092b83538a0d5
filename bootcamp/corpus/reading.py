"""Reading a text of a grammar back: which choices have written it."""

from __future__ import annotations

from collections.abc import Sequence

from bootcamp.corpus.symbols import Item, Rule, Slot


def read(start: Rule, text: str) -> list[tuple[int, int]]:
    """Find the choices that write `text` from the rule `start`: for each its number, and among how many it was made.

    Raises:
        ValueError: no choices write this text; the message says how far they would.
    """
    reader = _Reader(text)
    end = reader.read((start,), 0)
    if end != len(text):
        at = reader.reached if end is None else end
        before, found = text[max(0, at - 30) : at], text[at : at + 20]
        raise ValueError(
            f"from character {at} on this is not what the grammar writes: "
            + (f"after {before!r} stands {found!r}" if found else f"the text stops too early, after {before!r}")
        )
    return [choice if isinstance(choice, tuple) else reader.entry(choice) for choice in reader.choices]


class _Reader:
    """Tries the options of each rule in turn. No option is the beginning of another, so the first that fits is it.

    Words are decided later: after "a girl" the hero can still be any of the girls.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.choices: list[tuple[int, int] | Slot] = []  # a slot stands for the entry of its word
        self.possible: dict[str, int] = {}  # the entries that each word can still stand for, as the bits of a number
        self.reached = 0  # how far any attempt came

    def read(self, items: Sequence[Item], at: int) -> int | None:
        """Read `items` from the place `at` on; give the place behind them, or None if something else stands there."""
        text = self.text
        end: int | None
        for item in items:
            if isinstance(item, str):
                if not text.startswith(item, at):
                    while item and text[at : at + 1] == item[0]:
                        item, at = item[1:], at + 1
                    self.reached = max(self.reached, at)
                    return None
                end = at + len(item)
            elif isinstance(item, Slot):
                end = self.read_word(item, at)
            else:
                end = self.read_rule(item, at)
            if end is None:
                return None
            at = end
        return at

    def read_word(self, slot: Slot, at: int) -> int | None:
        possible = self.possible.get(slot.word, -1)  # -1 has all bits set: it can be any
        for text, entries in slot.meanings.items():
            if possible & entries and self.text.startswith(text, at):
                if possible == -1:
                    self.choices.append(slot)
                self.possible[slot.word] = possible & entries
                return at + len(text)
        self.reached = max(self.reached, at)
        return None

    def read_rule(self, rule: Rule, at: int) -> int | None:
        count, before = len(self.choices), self.possible
        for number, option in enumerate(rule.options):
            self.possible = dict(before)
            self.choices.append((number, len(rule.options)))
            end = self.read(option, at)
            if end is not None:
                return end
            del self.choices[count:]
        return None

    def entry(self, slot: Slot) -> tuple[int, int]:
        """Say which entry the word of `slot` has turned out to be."""
        entries = self.possible[slot.word]
        if entries & (entries - 1):
            raise ValueError(f"the text leaves open which {slot.word!r} it means")
        return entries.bit_length() - 1, len(slot.texts)
