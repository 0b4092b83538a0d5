"""Grammars whose texts have an exactly known probability.

A grammar has *rules* and *words*. A rule is drawn from each time it is needed; a word is drawn when a text first needs
it, and repeated from then on. All draws are uniform and independent: a text that takes a choice out of 5 and one out of
24 has probability 1/5 · 1/24. The entropy follows from the grammar alone, by the chain rule (Shannon: A Mathematical
Theory of Communication, 1948, section 6), provided that no text can be written by two different lists of choices.
Two properties of a grammar, which the tests prove for the stories, see to that:

- where a choice is made, what one option writes is never the beginning of what another writes;
- a text that needs a word in some form ("she") also holds the word itself ("Anna").
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import cached_property

from bootcamp.corpus.reading import read
from bootcamp.corpus.symbols import Item, Rule, Slot

Draw = Callable[[int], int]  # is given n and gives a number from 0 to n - 1


_PART = re.compile(r"\{(?P<name>[^{}]*)\}|\[(?P<options>[^\[\]]*)\]")


class Grammar:
    """Rules and words, read from a text as in `stories.txt`.

    >>> grammar = Grammar(EXAMPLE, start="tale")
    >>> grammar.write(lambda n: n - 1)  # the last of all options
    'I saw an owl. Up flew the owl.'
    >>> grammar.read("I saw a fox. The fox hid.")
    [(0, 1), (0, 2), (0, 2)]
    >>> round(math.exp(grammar.log_probability("I saw a fox. The fox hid.")), 6)
    0.25
    >>> round(grammar.entropy / math.log(2), 6)  # in bits: which animal, and what it did
    2.0
    """

    def __init__(self, source: str, start: str = "story") -> None:
        """Read a grammar whose texts begin with the rule `start`.

        Raises:
            ValueError: a line is no part of a grammar, or names a word, form or rule that is not there.
        """
        self.words: dict[str, list[tuple[str, ...]]] = {}  # of each word its entries, each with all its forms
        self.forms: dict[str, list[str]] = {}  # of each word the names of its forms
        self.rules: dict[str, Rule] = {}
        sentences: list[tuple[Rule, str]] = []
        kind = name = ""
        for number, line in enumerate(source.splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("    ") and kind == "words":
                self._add_entries(name, line)
            elif line.startswith("    ") and kind == "rule":
                sentences.append((self.rules[name], line.strip().replace("\\n", "\n")))
            else:
                kind, _, rest = line.partition(" ")
                name, *forms = _cells(rest)
                if kind not in ("words", "rule") or not name:
                    raise ValueError(f"line {number} of the grammar begins with neither 'words' nor 'rule': {line}")
                if name in self.words or name in self.rules:
                    raise ValueError(f"line {number} of the grammar gives {name!r} a second time")
                if kind == "words":
                    self.words[name], self.forms[name] = [], forms
                else:
                    self.rules[name] = Rule(name)
        for rule, sentence in sentences:
            rule.options.append(self._items(sentence))
        if start not in self.rules:
            raise ValueError(f"the grammar has no rule {start!r} to begin with")
        self.start = self.rules[start]
        for name in (*self.words, *self.rules):
            if not (self.words[name] if name in self.words else self.rules[name].options):
                raise ValueError(f"{name!r} has no entries in the grammar")

    def _add_entries(self, name: str, line: str) -> None:
        first, *forms = _cells(line)
        if len(forms) != len(self.forms[name]):
            raise ValueError(f"an entry of {name!r} needs the forms {', '.join(self.forms[name])}: {line.strip()}")
        self.words[name] += [(word.strip(), *forms) for word in first.split(",")]

    def _items(self, sentence: str) -> tuple[Item, ...]:
        """Cut a sentence into texts, words and rules."""
        items: list[Item] = []
        end = 0
        for part in _PART.finditer(sentence):
            items.append(sentence[end : part.start()])
            end = part.end()
            if part["name"] is not None:
                items.append(self._named(part["name"]))
            else:
                rule = Rule(part.group())
                rule.options = [(option,) for option in part["options"].split("|")]
                items.append(rule)
        items.append(sentence[end:])
        return tuple(item for item in items if item != "")

    def _named(self, reference: str) -> Slot | Rule:
        """Find what `{…}` stands for: "hero", "hero.he", "Hero", "hero.He", "a hero", "A hero" or a rule's name."""
        if reference in self.rules:
            return self.rules[reference]
        article, _, path = reference.rpartition(" ")
        name, _, form = path.lower().partition(".")
        columns = ["", *self.forms.get(name, [])]
        if name not in self.words or form not in columns or article not in ("", "a", "A"):
            raise ValueError(f"the grammar has nothing that {{{reference}}} could stand for")
        texts = [entry[columns.index(form)] for entry in self.words[name]]
        if article:
            texts = [f"{article}n {text}" if text[0] in "aeiou" else f"{article} {text}" for text in texts]
        elif path.rpartition(".")[2][0].isupper():
            texts = [text[0].upper() + text[1:] for text in texts]
        return Slot(name, texts)

    def write(self, draw: Draw) -> str:
        """Write a text; `draw(n)` makes each choice among n, in the order in which the text needs them."""
        parts: list[str] = []
        chosen: dict[str, int] = {}

        def write(items: Sequence[Item]) -> None:
            for item in items:
                if isinstance(item, str):
                    parts.append(item)
                elif isinstance(item, Slot):
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
            ValueError: the grammar does not write this text; the message says how far it would.
        """
        return read(self.start, text)

    def log_probability(self, text: str) -> float:
        """Give ln p(text), in nats.

        Raises:
            ValueError: the grammar does not write this text; the message says how far it would.
        """
        return -math.fsum(math.log(count) for _, count in self.read(text))

    @cached_property
    def contributions(self) -> dict[str, float]:
        """What each rule and each word adds to the entropy of a text, in nats.

        H = Σ over rules E[times needed] · ln(options) + Σ over words P(needed) · ln(entries)
        """
        nats: dict[str, float] = {}

        def visit(rule: Rule, times: float) -> None:
            nats[rule.name] = nats.get(rule.name, 0.0) + times * math.log(len(rule.options))
            for option in rule.options:
                for item in option:
                    if isinstance(item, Rule):
                        visit(item, times / len(rule.options))

        visit(self.start, 1.0)
        for word, entries in self.words.items():
            nats[word] = (1 - self.probability_without(word)) * math.log(len(entries))
        return nats

    @property
    def entropy(self) -> float:
        """The entropy of a text in nats: what predicting it costs the best of all models, on average."""
        return math.fsum(self.contributions.values())

    @cached_property
    def expected_length(self) -> float:
        """The mean length of a text in characters."""

        def length(item: Item) -> float:
            if isinstance(item, str):
                return len(item)
            if isinstance(item, Slot):  # which entry a word has is independent of where the text needs it
                return math.fsum(map(len, item.texts)) / len(item.texts)
            return math.fsum(length(part) for option in item.options for part in option) / len(item.options)

        return length(self.start)

    def probability_without(self, word: str) -> float:
        """Give the probability that a text does not need `word`, in whatever form."""

        def without(item: Item) -> float:
            if isinstance(item, Rule):  # the parts of a sentence are drawn independently of each other
                return math.fsum(math.prod(map(without, option)) for option in item.options) / len(item.options)
            return 0.0 if isinstance(item, Slot) and item.word == word else 1.0

        return without(self.start)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")]


EXAMPLE = """
words animal
    fox, owl

rule tale
    I saw {a animal}. {then}

rule then
    The {animal} hid.
    Up flew the {animal}.
"""
