"""The grammar behind the stories is a true distribution: each text has one derivation, and the figures are exact."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from bootcamp.corpus import stories
from bootcamp.corpus.grammar import EXAMPLE, Grammar
from bootcamp.corpus.symbols import Item, Rule, Slot

SMALL = """
# Small, and with all that a grammar can hold: forms, capitals, articles, nesting, options in place.
words hero | she | her
    Ann, Eve | she | her
    Bob      | he  | his

words animal | hooted
    owl | hooted
    fox | barked
    ape | barked

words colour
    red, orange

rule story
    {opening} {meeting}
    {Colour} was the {animal}. It {animal.hooted}\\n[twice|once].

rule opening
    Here is {hero}.
    A {hero.she}-person [lived|was born]; {hero.her} name: {hero}.
    {A animal} {animal.hooted}.

rule meeting
    {A colour} {animal}, {a animal} {echo}! {Animal.Hooted}.
    {Hero.She} and {hero} saw nothing. {echo} {echo}

rule echo
    [Ha|Ho]
    (what {a colour} sound)
"""


def all_choices(grammar: Grammar) -> Iterator[list[tuple[int, int]]]:
    """Go through all lists of choices that write a text, like an odometer whose wheels appear as one turns it."""
    planned: list[int] = []
    while True:
        made: list[tuple[int, int]] = []

        def draw(n: int, planned: list[int] = planned, made: list[tuple[int, int]] = made) -> int:
            made.append((planned[len(made)] if len(made) < len(planned) else 0, n))
            return made[-1][0]

        grammar.write(draw)
        yield made
        turned = [number for number, _ in made]
        while turned and turned[-1] == made[len(turned) - 1][1] - 1:
            turned.pop()
        if not turned:
            return
        planned = [*turned[:-1], turned[-1] + 1]


def render(grammar: Grammar, choices: Sequence[tuple[int, int]]) -> str:
    left = list(choices)

    def draw(n: int) -> int:
        number, count = left.pop(0)
        assert count == n
        return number

    text = grammar.write(draw)
    assert not left
    return text


def cut_down(grammar: Grammar) -> Grammar:
    """Leave a grammar one option of most rules, and one or two entries of each word."""

    def kept(word: str, entries: Sequence[Any]) -> list[Any]:
        return [entries[0]] if word in ("trait", "place", "giver") else [entries[0], entries[-1]]

    for word, entries in grammar.words.items():
        grammar.words[word] = kept(word, entries)
    for rule, _ in rules_of(grammar):
        rule.options = [
            tuple(Slot(item.word, kept(item.word, item.texts)) if isinstance(item, Slot) else item for item in option)
            for option in rule.options[: 4 if rule.name == "story" else 1]
        ]
    return grammar


@pytest.mark.parametrize("which", ["small", "cut down"])
def test_all_texts_of_a_small_grammar(which: str):
    grammar = Grammar(SMALL) if which == "small" else cut_down(Grammar(stories.SOURCE.read_text(encoding="utf-8")))
    texts: dict[str, float] = {}  # each with its probability
    for choices in all_choices(grammar):
        text = render(grammar, choices)
        assert text not in texts, f"two derivations write {text!r}"
        assert grammar.read(text) == choices
        texts[text] = math.prod(1 / count for _, count in choices)
        assert grammar.log_probability(text) == pytest.approx(math.log(texts[text]))
    assert 200 < len(texts) < 5000
    assert math.fsum(texts.values()) == pytest.approx(1)
    assert grammar.entropy == pytest.approx(-math.fsum(p * math.log(p) for p in texts.values()))
    assert grammar.expected_length == pytest.approx(math.fsum(p * len(text) for text, p in texts.items()))


def test_what_contributes_to_the_entropy():
    grammar = Grammar(EXAMPLE, start="tale")
    assert grammar.contributions == {"tale": 0, "then": math.log(2), "animal": math.log(2)}
    assert Grammar(SMALL).probability_without("hero") == pytest.approx(1 / 2 + 1 / 2 * 1 / 3 * 1 / 2)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", 0),
        ("I saw a dog. The dog hid.", 6),
        ("I saw an fox. The fox hid.", 6),
        ("I saw a fox. The owl hid.", 17),
        ("I saw a fox. The fox hid", 24),
        ("I saw a fox. The fox hid. ", 25),
        ("I saw a fox.  The fox hid.", 13),
        ("i saw a fox. The fox hid.", 0),
    ],
)
def test_where_a_text_stops_being_one(text: str, place: int):
    with pytest.raises(ValueError, match=f"from character {place} on") as error:
        Grammar(EXAMPLE, start="tale").log_probability(text)
    assert repr(text[place : place + 20]) in str(error.value) or "stops too early" in str(error.value)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("rule story\n    {nobody}", "nobody"),
        ("words hero\n    Ann\nrule story\n    {hero.she}", "hero.she"),
        ("words hero\n    Ann\nrule story\n    {the hero}", "the hero"),
        ("words hero | she\n    Ann\nrule story\n    {hero}", "needs the forms she"),
        ("sentences\n    Hello.", "line 1"),
        ("    Hello.", "line 1"),
        ("rule story\n    Yes.\nrule story\n    No.", "second time"),
        ("rule tale\n    Yes.", "no rule 'story'"),
        ("rule story\n", "'story' has no"),
        ("words hero\nrule story\n    {hero}", "'hero' has no"),
    ],
)
def test_a_grammar_with_a_mistake_is_refused(source: str, complaint: str):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        Grammar(source)


# -- the grammar of the stories: no text has two derivations, proven -------------------------------------------------


class Automaton:
    """What items can write, with each word free to change at each mention: more than the grammar writes, never less."""

    def __init__(self) -> None:
        self.steps: list[list[tuple[str, int]]] = []  # from each state: a character, or "" for free, and a state

    def state(self) -> int:
        self.steps.append([])
        return len(self.steps) - 1

    def add(self, items: Sequence[Item], state: int) -> int:
        """Add what `items` write, beginning at `state`; give the state in which it ends."""
        for item in items:
            if isinstance(item, str):
                for character in item:
                    following = self.state()
                    self.steps[state].append((character, following))
                    state = following
            else:
                end = self.state()
                options = [(text,) for text in item.meanings] if isinstance(item, Slot) else item.options
                for option in options:
                    self.steps[self.add(option, state)].append(("", end))
                state = end
        return state

    def closure(self, state: int) -> set[int]:
        found, left = {state}, [state]
        while left:
            new = {to for character, to in self.steps[left.pop()] if not character} - found
            found |= new
            left += new
        return found


def one_begins_another(one: Sequence[Item], other: Sequence[Item]) -> bool:
    """Say whether something that `one` writes is the beginning of something that `other` writes, or the reverse."""
    automaton = Automaton()
    starts = automaton.state(), automaton.state()
    ends = automaton.add(one, starts[0]), automaton.add(other, starts[1])
    seen, left = {starts}, [starts]
    while left:
        first, second = (automaton.closure(state) for state in left.pop())
        if ends[0] in first or ends[1] in second:
            return True
        following: dict[str, list[int]] = {}
        for state in second:
            for character, to in automaton.steps[state]:
                following.setdefault(character, []).append(to)
        for state in first:
            for character, to in automaton.steps[state]:
                for pair in [(to, other) for other in following.get(character, ()) if character]:
                    if pair not in seen:
                        seen.add(pair)
                        left.append(pair)
    return False


def rules_of(grammar: Grammar) -> Iterator[tuple[Rule, list[Slot]]]:
    """Give all rules of a grammar, with those within sentences, and the slots in each."""
    left: list[Rule] = list(grammar.rules.values())
    for rule in left:
        items = [item for option in rule.options for item in option]
        yield rule, [item for item in items if isinstance(item, Slot)]
        left += [item for item in items if isinstance(item, Rule) and item.name not in grammar.rules]


def unclear_choices(grammar: Grammar) -> list[str]:
    """Name the choices of which one option may write the beginning of what another writes."""
    choices: list[tuple[str, Sequence[Sequence[Item]]]] = []
    for rule, slots in rules_of(grammar):
        choices.append((rule.name, rule.options))
        choices += [(slot.word, [(text,) for text in slot.meanings]) for slot in slots]
    return [
        name
        for name, options in choices
        for number, option in enumerate(options)
        for other in options[:number]
        if one_begins_another(option, other)
    ]


def mentions(item: Item, grammar: Grammar, word: str) -> set[tuple[bool, bool]]:
    """Say what can happen to `word` where `item` is written: does a form of it occur, does the word itself?"""
    if isinstance(item, str) or (isinstance(item, Slot) and item.word != word):
        return {(False, False)}
    if isinstance(item, Slot):
        entries = [entry[0] for entry in grammar.words[word]]
        return {(True, all(text.lower().endswith(entry.lower()) for text, entry in zip(item.texts, entries)))}
    found = set()
    for option in item.options:
        combined = {(False, False)}
        for part in option:
            new = mentions(part, grammar, word)
            combined = {(a or c, b or d) for a, b in combined for c, d in new}
        found |= combined
    return found


def test_no_option_of_the_stories_is_the_beginning_of_another():
    """With the next test: what is written tells the options of each choice apart, so a text has one derivation."""
    assert unclear_choices(stories.grammar()) == []


def test_a_word_of_the_stories_occurs_itself_where_a_form_of_it_does():
    grammar = stories.grammar()
    for word, entries in grammar.words.items():
        assert len({entry[0] for entry in entries}) == len(entries)
        assert (True, False) not in mentions(grammar.start, grammar, word), word


def test_the_proof_finds_what_is_wrong():
    wrong = Grammar("rule story\n    A {kind}.\n    A {kind} dog.\nrule kind\n    big\n    bigger\n    small")
    assert unclear_choices(wrong) == ["kind"]
    wrong = Grammar("words pet\n    cat, dog, catfish\nrule story\n    A {pet} [ran|ran off].")
    assert unclear_choices(wrong) == ["pet", "[ran|ran off]"]
    wrong = Grammar("words hero | she\n    Ann, Eve | she\nrule story\n    Who was {hero.she}?\n    {hero}!")
    assert (True, False) in mentions(wrong.start, wrong, "hero")
    with pytest.raises(ValueError, match="leaves open which 'hero'"):
        wrong.read("Who was she?")
