"""Grammars whose texts have an exactly known probability: what writes the stories, and what takes them apart.

A grammar has *rules* and *words*. A rule is drawn from each time it is needed; a word is drawn when a text first needs
it, and repeated from then on. All draws are uniform and independent, so a text of the choices 2 of 5 and 7 of 24 has
probability 1/5 · 1/24. Its entropy follows from the grammar alone, by the chain rule (Shannon, A Mathematical Theory of
Communication, 1948, section 6), provided that no text can be written by two different lists of choices. A test proves
that of the stories.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

Draw = Callable[[int], int]  # given n, a number from 0 to n - 1


@dataclass(eq=False)
class Slot:
    """A place for a word, in one of its forms: what stands there for each entry of the word."""

    word: str
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        self.entries: dict[str, int] = {}  # the entries that a text can stand for, as the bits of a number
        for number, text in enumerate(self.texts):
            self.entries[text] = self.entries.get(text, 0) | 1 << number


@dataclass(eq=False)
class Rule:
    """A place for one of several sequences of texts, words and further rules."""

    name: str
    options: list[tuple[Item, ...]] = field(default_factory=list)


Item = str | Slot | Rule
_PART = re.compile(r"\{(?P<name>[^{}]*)\}|\[(?P<options>[^\[\]]*)\]")


class Grammar:
    """A set of rules and words, read from a text as in `stories.txt`, that begins with the rule `start`.

    >>> grammar = Grammar(EXAMPLE, start="tale")
    >>> grammar.write(lambda n: n - 1)
    'I saw an owl. Up flew the owl.'
    >>> grammar.read("I saw a fox. The fox hid.")
    [(0, 2), (0, 2)]
    >>> math.exp(grammar.log_probability("I saw a fox. The fox hid."))
    0.25
    """

    def __init__(self, source: str, start: str = "story") -> None:
        """Read a grammar.

        Raises:
            ValueError: a line is no part of a grammar, or names a word, form or rule that is not there.
        """
        self.words: dict[str, list[tuple[str, ...]]] = {}  # for each word its entries, each with all its forms
        self.forms: dict[str, list[str]] = {}  # for each word the names of its forms
        self.rules: dict[str, Rule] = {}
        sentences: list[tuple[Rule, str]] = []
        add: Callable[[str], None] | None = None
        for number, line in enumerate(source.splitlines(), start=1):
            kind, _, rest = line.partition(" ")
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("    ") and add is not None:
                add(line.strip())
            elif kind == "words":
                name, *forms = _cells(rest)
                self.forms[name], self.words[name] = forms, []
                add = self._adder(name)
            elif kind == "rule":
                rule = self.rules[rest] = Rule(rest)
                add = lambda sentence, rule=rule: sentences.append((rule, sentence))
            else:
                raise ValueError(f"line {number} of the grammar is neither 'words …', 'rule …' nor indented: {line!r}")
        for rule, sentence in sentences:
            rule.options.append(self._items(sentence.replace("\\n", "\n")))
        if start not in self.rules:
            raise ValueError(f"the grammar has no rule {start!r} to begin with")
        self.start = self.rules[start]

    def _adder(self, name: str) -> Callable[[str], None]:
        def add(line: str) -> None:
            first, *forms = _cells(line)
            if len(forms) != len(self.forms[name]):
                raise ValueError(f"an entry of the word {name!r} needs the forms {self.forms[name]}; got {line!r}")
            self.words[name] += [(word.strip(), *forms) for word in first.split(",")]

        return add

    def _items(self, sentence: str) -> tuple[Item, ...]:
        """Cut a sentence into texts, words and rules."""
        items: list[Item] = []
        end = 0
        for part in _PART.finditer(sentence):
            items += [sentence[end : part.start()]] if part.start() > end else []
            end = part.end()
            if part["name"] is not None:
                items.append(self._named(part["name"]))
            else:
                choices = part["options"].split("|")
                items.append(Rule(f"[{part['options']}]", [self._items(choice) for choice in choices]))
        return (*items, sentence[end:]) if end < len(sentence) else tuple(items)

    def _named(self, reference: str) -> Slot | Rule:
        """Find what `{…}` stands for: "hero", "hero.he", "Hero.He", "a colour", "A colour" or the name of a rule."""
        if reference in self.rules:
            return self.rules[reference]
        article, _, path = reference.rpartition(" ")
        name, _, form = path.lower().partition(".")
        if name not in self.words or article not in ("", "a", "A") or (form and form not in self.forms[name]):
            raise ValueError(f"the grammar names {{{reference}}}, but has no such word, form or rule")
        column = self.forms[name].index(form) + 1 if form else 0
        texts = [entry[column] for entry in self.words[name]]
        if article:
            texts = [f"{article}n {text}" if text[0] in "aeiou" else f"{article} {text}" for text in texts]
        elif path.rpartition(".")[2][0].isupper():
            texts = [text[0].upper() + text[1:] for text in texts]
        return Slot(name, tuple(texts))

    # -- texts ---------------------------------------------------------------------------------------------------

    def write(self, draw: Draw) -> str:
        """Write a text; `draw(n)` is asked for each choice among n, in the order of the text."""
        parts: list[str] = []
        chosen: dict[str, int] = {}

        def write(items: Sequence[Item]) -> None:
            for item in items:
                if type(item) is str:
                    parts.append(item)
                elif type(item) is Slot:
                    number = chosen.get(item.word)
                    if number is None:
                        number = chosen[item.word] = draw(len(item.texts))
                    parts.append(item.texts[number])
                else:
                    write(item.options[draw(len(item.options))])

        write((self.start,))
        return "".join(parts)

    def read(self, text: str) -> list[tuple[int, int]]:
        """Find the choices that write `text`: for each its number, and among how many it was made.

        Raises:
            ValueError: no choices write this text; the message says how far they would.
        """
        return _Reader(text).read(self.start)

    def log_probability(self, text: str) -> float:
        """Give ln p(text) in nats.

        Raises:
            ValueError: the grammar does not write this text; the message says how far it would.
        """
        return -math.fsum(math.log(count) for _, count in self.read(text))

    # -- what is to be expected ----------------------------------------------------------------------------------

    @cached_property
    def contributions(self) -> dict[str, float]:
        """What each rule and word adds to the entropy of a text, in nats: how often it is drawn times ln(choices).

        H = Σ over rules E[times needed] · ln(options) + Σ over words P(needed) · ln(entries)
        """
        nats: Counter[str] = Counter()

        def visit(rule: Rule, times: float) -> None:
            nats[rule.name] += times * math.log(len(rule.options))
            for option in rule.options:
                for item in option:
                    if isinstance(item, Rule):
                        visit(item, times / len(rule.options))

        visit(self.start, 1.0)
        for word, entries in self.words.items():
            nats[word] += (1 - self.probability_without(word)) * math.log(len(entries))
        return dict(nats)

    @property
    def entropy(self) -> float:
        """The entropy of a text in nats: what the best of all models needs on average to predict it."""
        return math.fsum(self.contributions.values())

    @cached_property
    def expected_length(self) -> float:
        """The mean length of a text in characters."""

        def length(item: Item) -> float:
            if isinstance(item, str):
                return len(item)
            if isinstance(item, Slot):  # the draw of a word does not depend on any other, nor on where it is needed
                return math.fsum(map(len, item.texts)) / len(item.texts)
            return math.fsum(length(part) for option in item.options for part in option) / len(item.options)

        return length(self.start)

    def probability_without(self, word: str) -> float:
        """Give the probability that a text does not need `word`, in any of its forms."""

        def without(item: Item) -> float:
            if isinstance(item, Rule):  # what is drawn in one part of a sentence is independent of the others
                return math.fsum(math.prod(map(without, option)) for option in item.options) / len(item.options)
            return 0.0 if isinstance(item, Slot) and item.word == word else 1.0

        return without(self.start)


class _Reader:
    """Reads one text back; it tries a rule's options in turn, and knows how far it came."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.choices: list[tuple[int, int] | str] = []  # a name holds the place of a word, which may be decided later
        self.possible: dict[str, int] = {}  # the entries that each word can still stand for, as bits
        self.sizes: dict[str, int] = {}
        self.reached = 0

    def read(self, start: Rule) -> list[tuple[int, int]]:
        end = self._read((start,), 0)
        if end != len(self.text):
            at = self.reached if end is None else end
            before, found = self.text[max(0, at - 30) : at], self.text[at : at + 20]
            raise ValueError(
                f"this is no text of the grammar from character {at} on: "
                + (f"after {before!r} stands {found!r}" if found else f"it ends too early, after {before!r}")
            )
        return [choice if isinstance(choice, tuple) else self._entry(choice) for choice in self.choices]

    def _entry(self, word: str) -> tuple[int, int]:
        entries = self.possible[word]
        if entries & (entries - 1):
            raise ValueError(f"the text leaves open which {word!r} it means")
        return entries.bit_length() - 1, self.sizes[word]

    def _read(self, items: Sequence[Item], at: int) -> int | None:
        """Read `items` from `at` on; give the place behind them, or None."""
        text = self.text
        for item in items:
            if type(item) is str:
                if not text.startswith(item, at):
                    self._fail(item, at)
                    return None
                at += len(item)
            elif type(item) is Slot:
                end = self._read_word(item, at)
                if end is None:
                    return None
                at = end
            else:
                end = self._read_rule(item, at)
                if end is None:
                    return None
                at = end
        return at

    def _read_word(self, slot: Slot, at: int) -> int | None:
        possible = self.possible.get(slot.word)
        for text, entries in slot.entries.items():
            if self.text.startswith(text, at) and (possible is None or possible & entries):
                if possible is None:
                    self.choices.append(slot.word)
                    self.sizes[slot.word] = len(slot.texts)
                    possible = entries
                self.possible[slot.word] = possible & entries
                return at + len(text)
        self.reached = max(self.reached, at)
        return None

    def _read_rule(self, rule: Rule, at: int) -> int | None:
        place, before = len(self.choices), dict(self.possible)
        for number, option in enumerate(rule.options):
            self.choices.append((number, len(rule.options)))
            end = self._read(option, at)
            if end is not None:
                return end
            del self.choices[place:]
            self.possible = dict(before)
        return None

    def _fail(self, expected: str, at: int) -> None:
        same = 0
        while self.text[at + same : at + same + 1] == expected[same]:
            same += 1
        self.reached = max(self.reached, at + same)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")]


EXAMPLE = """
words animal | flew
    fox | crept
    owl | flew

rule tale
    I saw {a animal}. {then}

rule then
    The {animal} hid.
    Up {animal.flew} the {animal}.
"""
