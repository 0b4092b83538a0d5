"""Draws the figures of this lesson: python3 -m bootcamp figures 1."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bootcamp import drawing, stages
from bootcamp.drawing import INK, LINES, PALE, TOKENS, Strip

HERE = Path(__file__).resolve().parent


def levels() -> Strip:
    """One sentence cut into characters, bytes, BPE tokens and words."""
    from bootcamp.corpus import story
    from stage01_tokenizer import Tokenizer, text_to_byte_ids, train_bpe_fast

    sentence = "Nora looked for the café."
    tokenizer = Tokenizer(*train_bpe_fast("".join(story(0, number) for number in range(300)), 600))
    tokens = [tokenizer.decode([id]) for id in tokenizer.encode(sentence)]
    bytes_ = [f"{byte:02x}" for byte in text_to_byte_ids(sentence)]
    rows = [
        ("characters", list(sentence), "no end to them: Unicode has over 150,000"),
        ("bytes", bytes_, "256, and that is all"),
        ("BPE tokens", tokens, "as many as you choose"),
        ("words", sentence.split(), "no end to them: every name, every typing error"),
    ]
    strip = Strip(95, 9.2)
    for row, (name, pieces, remark) in enumerate(rows):
        y = 0.3 + row * 2.25
        strip.text(0, y, name, weight="bold")
        strip.text(
            14, y, f"{len(pieces)} ids, of a vocabulary with {remark}" if row else f"{len(pieces)} ids; {remark}", PALE
        )
        strip.pieces(0.5, y + 1, pieces, gap=0.35)
    return strip


def utf8() -> Strip:
    """How UTF-8 spreads the bits of a character over its bytes."""
    strip = Strip(88, 9.4)
    for x, head in ((0, "character"), (14, "number"), (26, "its bits, spread over the bytes"), (72, "bytes")):
        strip.text(x, 0, head, PALE)
    for row, character in enumerate("hé€😀"):
        y = 1.2 + row * 2
        encoded = character.encode("utf-8")
        strip.text(3, y, character, fontsize=18)
        strip.text(14, y, f"U+{ord(character):04X}")
        x = 26.0
        for place, byte in enumerate(encoded):
            bits = f"{byte:08b}"
            fixed = 2 if place else (1 if len(encoded) == 1 else len(encoded) + 1)
            strip.box(x, y, fixed, TOKENS[1])
            strip.box(x + fixed, y, 8 - fixed, TOKENS[0])
            strip.text(x, y, bits)
            x += 11
        strip.text(72, y, encoded.hex(" ").upper())
    y = 9.2 - 0.8
    strip.box(26, y, 2, TOKENS[1])
    strip.text(28.6, y, "says what kind of byte this is", PALE, fontsize=10)
    strip.box(58, y, 2, TOKENS[0])
    strip.text(60.6, y, "bits of the number", PALE, fontsize=10)
    return strip


def pretokens() -> Strip:
    """A line of text cut into pre-tokens by GPT-2's pattern."""
    from stage01_tokenizer.pretokenize import pretokenize

    strip = Strip(48, 4.6)
    for row, text in enumerate(
        ["It's 10 o'clock;  she'll leave (now)!", "for i in range(3):\n    print(i)", "Ça va, мир? Γειά! 😀"]
    ):
        strip.pieces(0.3, 0.1 + row * 1.5, pretokenize(text), gap=0.4)
    return strip


def merges() -> Strip:
    """Training on a tiny text: after each merge the words as they are spelled now, and the counts that decide."""
    from stage01_tokenizer import count_pairs, merge_pair

    counts = {"low": 5, "lower": 2, "widest": 3, "newest": 6}
    words = {tuple(bytes([byte]) for byte in word.encode()): count for word, count in counts.items()}
    strip = Strip(101, 9.4)
    columns = [19, 35, 53, 73]
    strip.text(0, 0, "pair merged", PALE)
    for x, (word, count) in zip(columns, counts.items()):
        strip.text(x, 0, f"{count} × {word}", PALE)
    new: set[bytes] = set()
    for row in range(5):
        y = 1.4 + row * 1.6
        for x, word in zip(columns, words):
            for token in word:
                text = token.decode()
                strip.box(x, y, len(text) + 0.6, TOKENS[1] if token in new else TOKENS[0])
                strip.text(x + 0.3, y, text)
                x += len(text) + 1.1
        pairs = count_pairs(words)
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        if row < 4:
            strip.text(0, y + 0.8, f"{best[0].decode()} + {best[1].decode()}", LINES[1], weight="bold")
            strip.text(10, y + 0.8, f"{pairs[best]} times", PALE, fontsize=10)
        words = {merge_pair(word, best): count for word, count in words.items()}
        new = {best[0] + best[1]}
    return strip


def ranks() -> Strip:
    """A word being merged by rank, with the merges learned from the tiny text."""
    from stage01_tokenizer import merge_pair, train_bpe

    text = "<|end|>".join(["low"] * 5 + ["lower"] * 2 + ["widest"] * 3 + ["newest"] * 6)
    _, learned = train_bpe(text, 257 + 10, ["<|end|>"])
    table = {pair: rank for rank, pair in enumerate(learned)}
    word = tuple(bytes([byte]) for byte in b"lowest")
    strip = Strip(94, 11.2)
    strip.text(0, 0, "merges, by rank", PALE)
    for rank, (left, right) in enumerate(learned):
        strip.text(0, 1 + rank, f"{rank:2}  {left.decode()} + {right.decode()}")
    strip.text(26, 0, "lowest, with the ranks of all neighbours: the lowest rank is merged", PALE)
    y = 1.2
    while True:
        pairs = [pair for pair in zip(word, word[1:]) if pair in table]
        best = min(pairs, key=lambda pair: table[pair]) if pairs else None
        x = 26.0
        for index, token in enumerate(word):
            shown = token.decode()
            strip.box(x, y, len(shown) + 1, TOKENS[0])
            strip.text(x + 0.5, y, shown)
            x += len(shown) + 1
            if index + 1 < len(word):
                pair = (token, word[index + 1])
                mark = str(table[pair]) if pair in table else "·"
                strip.text(
                    x + 1.5,
                    y,
                    mark,
                    LINES[1] if pair == best else PALE,
                    ha="center",
                    weight="bold" if pair == best else "normal",
                )
                x += 3
        if best is None:
            strip.text(x + 2, y, "no pair has a rank: done", PALE)
            return strip
        word = merge_pair(word, best)
        y += 1.7


FIGURES = [levels, utf8, pretokens, merges, ranks]


def main(folder: Path = HERE) -> None:
    """Draw every figure into `folder`."""
    stages.use_reference()
    drawing.styled()
    for figure in FIGURES:
        drawing.save(figure().figure, folder / f"{figure.__name__}.svg")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
