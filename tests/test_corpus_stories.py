"""The little stories: the same everywhere, as probable as they claim, and held together."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
import statistics
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from bootcamp import corpus
from bootcamp.corpus import SEPARATOR, stories

SOME = [corpus.story(11, number) for number in range(1500)]


@pytest.mark.parametrize(
    ("seed", "number", "digest"),
    [
        (0, 0, "34fd24b7e835b907"),
        (0, 1, "35980dce2ae36c3c"),
        (1, 0, "b7a4462b75b8433f"),
        (7, 123_456_789, "81be6a5aea75c25b"),
        (2**64 - 1, 2**64 - 1, "4735b28cb2f9b85d"),
    ],
)
def test_a_story_is_the_same_on_every_machine(seed: int, number: int, digest: str):
    assert hashlib.sha256(corpus.story(seed, number).encode()).hexdigest()[:16] == digest


def test_a_seed_or_number_out_of_range_is_named():
    for seed, number in [(-1, 0), (0, -1), (2**64, 0), (0, 2**64)]:
        with pytest.raises(ValueError, match=f"got seed {seed} and number {number}"):
            corpus.story(seed, number)


def test_stories_are_short_and_tidy():
    for text in SOME:
        assert re.fullmatch(r"[A-Za-z .,:;!?'\"\n]+", text)
        assert len(text.split("\n")) == 3 and not re.search(r"  | \n|\n | [.,!?]|\.\.|,,", text)
        assert text[0].isupper() and text[-1] in '.!"'
        assert text.count('"') % 2 == 0
        assert re.search(r"[.!?]\"? [a-z]|, [A-Z]", re.sub(r'"[^"]*"', "", text)) is None or names_after_commas(text)
        assert 55 <= len(text.split()) <= 130


def names_after_commas(text: str) -> bool:
    """Say whether each capital behind a comma begins a name."""
    names = {entry[0] for word in ("hero", "pal") for entry in stories.grammar().words[word]}
    return all(name in names for name in re.findall(r", ([A-Z][a-z]+)", text))


def test_log_probability_reads_the_choices_back():
    grammar = stories.grammar()
    for text in SOME[:300]:
        choices = grammar.read(text)
        numbers = iter(choices)
        assert grammar.write(lambda n, numbers=numbers: next(numbers)[0]) == text
        assert corpus.log_probability(text) == pytest.approx(-sum(math.log(count) for _, count in choices))


def test_what_is_measured_agrees_with_what_the_grammar_says():
    nats = [-corpus.log_probability(text) for text in SOME]
    error = statistics.stdev(nats) / math.sqrt(len(nats))
    assert abs(statistics.mean(nats) - corpus.entropy()) < 3 * error
    lengths = [len(text.encode()) for text in SOME]
    error = statistics.stdev(lengths) / math.sqrt(len(lengths))
    assert abs(statistics.mean(lengths) - corpus.expected_length()) < 3 * error
    bits = corpus.entropy() / math.log(2)
    assert corpus.bits_per_byte() == pytest.approx(bits / (corpus.expected_length() + len(SEPARATOR)))
    assert sum(stories.grammar().contributions.values()) == pytest.approx(corpus.entropy())


def test_choices_are_drawn_evenly():
    counts: Counter[tuple[int, int, int]] = Counter()
    grammar = stories.grammar()
    first = [grammar.read(text)[:3] for text in SOME]  # the rule "story", its four plots, and the first sentence
    for choices in first:
        counts.update((place, *choice) for place, choice in enumerate(choices) if place == 1 or choice[1] > 4)
    for (_, _, options), count in counts.items():
        total = sum(n for (_, _, other), n in counts.items() if other == options)
        expected = total / options
        assert abs(count - expected) < 4.5 * math.sqrt(expected)
    heroes = Counter(next(name for name in re.findall(r"[A-Z][a-z]+", text) if name in HEROES) for text in SOME)
    assert set(heroes) == set(HEROES)
    assert all(
        abs(count - len(SOME) / len(HEROES)) < 4.5 * math.sqrt(len(SOME) / len(HEROES)) for count in heroes.values()
    )


HEROES = {entry[0]: entry[1] for entry in stories.grammar().words["hero"]}


def test_there_are_more_stories_than_anyone_can_read():
    assert corpus.entropy() > math.log(1e18)
    assert len(set(SOME)) == len(SOME)
    assert not {corpus.story(12, number) for number in range(200)} & set(SOME)


def test_what_is_named_early_is_needed_late():
    """At least two words of the cast that the paragraphs before it have named come again in the last one."""
    words = {name: {entry[0] for entry in entries} for name, entries in stories.grammar().words.items()}
    for text in SOME:
        *before, last = text.split("\n")
        again = [
            name
            for name, entries in words.items()
            if any(entry in last and entry in "\n".join(before) for entry in entries)
        ]
        assert len(again) >= 2, text


# -- the floor -------------------------------------------------------------------------------------------------------


def test_the_floor_is_the_loss_of_the_true_distribution():
    text = "".join(story + SEPARATOR for story in SOME[:20])
    nats = -sum(map(corpus.log_probability, SOME[:20]))
    assert corpus.floor(text, 2500) == pytest.approx(nats / 2500)
    assert corpus.floor(text.removesuffix(SEPARATOR), 2500) == corpus.floor(text, 2500)
    assert corpus.floor(text, len(text)) / math.log(2) == pytest.approx(corpus.bits_per_byte(), rel=0.1)


@pytest.mark.parametrize("tokens", [0, -1])
def test_the_floor_needs_tokens(tokens: int):
    with pytest.raises(ValueError, match=f"at least 1; got {tokens}"):
        corpus.floor(SOME[0], tokens)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no story"),
        (SEPARATOR, "no story"),
        (SOME[0] + SEPARATOR + SOME[1][30:], "piece 2 of 2"),
        (SOME[0][:-40] + SEPARATOR + SOME[1], "piece 1 of 2.* too early"),
        (SOME[0] + "\n" + SEPARATOR, "piece 1 of 1"),
        (SOME[0].replace("a", "á", 1), "piece 1 of 1"),
    ],
)
def test_the_floor_knows_no_other_text(text: str, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        corpus.floor(text, 100)


# -- writing many ----------------------------------------------------------------------------------------------------


def test_a_file_of_stories_is_whole_and_the_same_each_time(tmp_path: Path):
    told: list[tuple[int, int]] = []
    path = tmp_path / "stories.txt"
    count = corpus.write_stories(path, 1_500_000, 3, lambda done, total: told.append((done, total)))
    data = path.read_bytes()
    *pieces, rest = data.decode("ascii").split(SEPARATOR)
    assert rest == "" and len(pieces) == count
    assert pieces[:50] == [corpus.story(3, number) for number in range(50)]
    assert len(data) - len(pieces[-1]) - len(SEPARATOR) < 1_500_000 <= len(data)
    assert told == sorted(told) and told[-1] == (1_500_000, 1_500_000) and len(told) > 1
    corpus.write_stories(tmp_path / "again.txt", 1_500_000, 3)
    assert (tmp_path / "again.txt").read_bytes() == data
    corpus.write_stories(tmp_path / "less.txt", 1_000_000, 3)
    assert data.startswith((tmp_path / "less.txt").read_bytes())


def test_one_byte_is_one_story(tmp_path: Path):
    assert corpus.write_stories(tmp_path / "one.txt", 1, 5) == 1
    assert (tmp_path / "one.txt").read_text(encoding="utf-8") == corpus.story(5, 0) + SEPARATOR
    with pytest.raises(ValueError, match="at least 1; got 0"):
        corpus.write_stories(tmp_path / "none.txt", 0, 5)
    with pytest.raises(ValueError, match="seed -1"):
        corpus.write_stories(tmp_path / "none.txt", 10, -1)
    assert [path.name for path in tmp_path.iterdir()] == ["one.txt"]


def test_an_interrupted_file_leaves_the_one_before_it(tmp_path: Path):
    path = tmp_path / "stories.txt"
    path.write_text("what was there", encoding="utf-8")

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corpus.write_stories(path, 2_000_000, 0, interrupt)
    assert path.read_text(encoding="utf-8") == "what was there"
    assert list(tmp_path.iterdir()) == [path]


def test_no_two_stories_are_the_same(monkeypatch: pytest.MonkeyPatch):
    told = ["Anna", "Bob", "Anna", "Cleo", "Bob", "Anna", "Dora"]
    monkeypatch.setattr(stories, "story", lambda seed, number: told[number])
    assert list(itertools.islice(corpus.distinct_stories(0), 4)) == ["Anna", "Bob", "Cleo", "Dora"]


def test_memory_does_not_grow_with_the_number_of_stories(tmp_path: Path):
    peaks = []
    for size in (100_000, 800_000):
        tracemalloc.start()
        corpus.write_stories(tmp_path / "stories.txt", size, 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 100_000


def test_the_same_bytes_in_a_process_of_its_own(tmp_path: Path):
    """Whatever the hash seed, the locale and the newline of the platform."""
    code = f"from bootcamp.corpus import write_stories; write_stories({str(tmp_path / 'there.txt')!r}, 50_000, 9)"
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=Path(__file__).parent.parent,
        env={"PYTHONHASHSEED": "77", "LC_ALL": "C", "PYTHONUTF8": "0", "SYSTEMROOT": "C:\\Windows"},
    )
    corpus.write_stories(tmp_path / "here.txt", 50_000, 9)
    assert (tmp_path / "there.txt").read_bytes() == (tmp_path / "here.txt").read_bytes()


# -- consistency -----------------------------------------------------------------------------------------------------


def test_stories_are_consistent():
    for text in SOME:
        assert corpus.inconsistencies(text) == [], text


def test_no_word_of_the_cast_is_overlooked():
    """Each word gives itself away wherever it stands, so that a second one is noticed."""
    for word, entries in stories.grammar().words.items():
        for entry, other in zip(entries, entries[1:]):
            story = f"Ada said: {entry[0]}, {other[0]}."
            found = corpus.inconsistencies(story, {word})
            assert any(entry[0] in complaint or other[0] in complaint for complaint in found), (story, found)


STORY = (
    "Once a shy girl named Ada lived by the sea. She had an orange kite from her uncle.\n"
    "One windy day, Ada lost the orange kite at school. Then an old owl called Moss came over the hill. "
    '"Find my orange kite and you get two eggs," said Ada. "I promise to help," hooted Moss.\n'
    "And there, on the roof, was the orange kite. Moss ate two eggs and was full. "
    "Then Ada took the orange kite and flew it all day."
)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("Then Ada", "Then Ida", "hero: 'Ada' does not go with 'Ida'"),
        ("She had", "He had", "hero: 'girl' does not go with 'He'"),
        ("her uncle", "his uncle", "hero: 'girl' does not go with 'his'"),
        ("shy girl", "shy boy", "hero: 'boy' does not go with 'Ada'"),
        ("was the orange kite", "was the green kite", "colour: 'orange' does not go with 'green'"),
        ("was the orange kite", "was the orange drum", "thing: 'kite' does not go with 'drum'"),
        ("flew it", "sailed it", "thing: 'kite' does not go with 'sailed it'"),
        ("Moss ate", "Pip ate", "pal: 'Moss' does not go with 'Pip'"),
        ("hooted Moss", "barked Moss", "friend: 'owl' does not go with 'barked'"),
        ("ate two eggs", "ate half a pie", "food: 'two eggs' does not go with 'half a pie'"),
        ("an orange kite", "a orange kite", "'a orange' should be 'an orange'"),
        ("a shy", "an shy", "'an shy' should be 'a shy'"),
        ("Then Ada", "Then Adarka", "hero: 'Adarka' is nobody's name"),
    ],
)
def test_what_does_not_fit_is_named(old: str, new: str, complaint: str):
    assert corpus.inconsistencies(STORY) == []
    assert complaint in corpus.inconsistencies(STORY.replace(old, new, 1))


def test_a_look_at_the_hero_alone():
    wrong = STORY.replace("was the orange kite", "was the green drum")
    assert corpus.inconsistencies(wrong, {"hero"}) == [] and len(corpus.inconsistencies(wrong)) == 2
    assert corpus.inconsistencies(STORY.replace("Then Ada", "Then Ida"), {"hero"}) != []


@pytest.mark.parametrize("text", ["", "The end.", "She flew her kite.", "a b c \x00 ÄÖÜ <|endoftext|>"])
def test_a_text_without_a_hero(text: str):
    assert "hero: nobody is named" in corpus.inconsistencies(text)


def test_a_text_that_is_not_quite_in_the_grammar():
    text = "Ada , the girl from the sea side, was sad.\n\n\nHer orange kite! Where was she ? She ran and ran and ran"
    assert corpus.inconsistencies(text) == []
