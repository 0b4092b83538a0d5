"""Draws the figures of this lesson: python3 -m bootcamp figures 1."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import accumulate
from pathlib import Path

from matplotlib.figure import Figure

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
    spelled = [tokenizer.vocab[id] for id in tokenizer.encode(sentence)]
    tokens = [token.decode() if token.isascii() else token.hex() for token in spelled]
    bytes_ = [f"{byte:02x}" for byte in text_to_byte_ids(sentence)]
    rows = [
        ("characters", list(sentence), "Unicode has over 150,000 of them, and gets more"),
        ("bytes", bytes_, "there are 256, and that is all"),
        ("BPE tokens", tokens, "there are as many as you choose"),
        ("words", sentence.split(), "there is no end to them: every name, every typing error"),
    ]
    strip = Strip(95, 9.2)
    for row, (name, pieces, remark) in enumerate(rows):
        y = 0.3 + row * 2.25
        strip.text(0, y, name, weight="bold")
        strip.text(14, y, f"{len(pieces)} ids; {remark}", PALE)
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


def touched() -> Figure:
    """The work of each merge: all words, as train_bpe does it, or those that hold the pair."""
    from bootcamp.corpus import SEPARATOR
    from stage01_tokenizer import count_pairs, merge_pair

    words = Counter(tuple(bytes([byte]) for byte in piece.encode()) for piece in pieces_of(own_code(), SEPARATOR))
    every, some = [], []
    for _ in range(300):
        pairs = count_pairs(words)
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        holding = {word for word in words if best in zip(word, word[1:])}
        every.append(len(words))
        some.append(len(holding))
        merged: Counter[tuple[bytes, ...]] = Counter()
        for word, count in words.items():
            merged[merge_pair(word, best) if word in holding else word] += count
        words = merged
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(every, label="all different words: 1.4 looks at each")
    axes.plot(some, label="those that hold the pair: 1.7 looks at these", linewidth=1.2)
    axes.set(xlabel="merge", ylabel="words", yscale="log", ylim=(1, None), title="What one merge has to touch")
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.87))
    return figure


def own_code() -> str:
    """The source of the course's machinery, as a text to learn from."""
    folder = HERE.parents[1] / "bootcamp"
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py")))


def pieces_of(text: str, special: str) -> list[str]:
    from stage01_tokenizer.pretokenize import pretokenize, split_special

    return [piece for part in split_special(text, [special]) if part != special for piece in pretokenize(part)]


def chunks() -> Strip:
    """A file of documents, cut into three chunks: the fair places, and where the cuts go."""
    from io import BytesIO

    from stage01_tokenizer import chunk_boundaries

    sizes, mark = [13, 9, 17, 6, 11, 14, 8, 12], 2  # of documents, in characters, with the end mark
    ends = list(accumulate(sizes))
    data = b"".join(b"x" * (size - 1) + b"|" for size in sizes)
    cuts = chunk_boundaries(BytesIO(data), 3, b"|")
    strip = Strip(ends[-1] + 2, 7.6)
    strip.text(1, 0, "a file: documents, each with <|endoftext|> behind it", PALE)
    for place, (size, end) in enumerate(zip(sizes, ends)):
        color = TOKENS[sum(end > cut for cut in cuts[1:-1])]
        strip.box(1 + end - size, 1.2, size - mark, color)
        strip.box(1 + end - mark, 1.2, mark, PALE)
        strip.text(1 + end - size + (size - mark) / 2, 1.2, f"{place + 1}", ha="center")
    for number in (1, 2):
        fair = ends[-1] * number / 3
        strip.axes.annotate(
            "",
            (1 + cuts[number], 2.9),
            (1 + fair, 2.9),
            arrowprops={"arrowstyle": "->", "color": LINES[1], "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0},
        )
        strip.axes.plot([1 + fair, 1 + fair], [2.3, 3.3], color=PALE, linestyle=":")
        strip.axes.plot([1 + cuts[number]] * 2, [1.0, 3.3], color=LINES[1])
        strip.text(1 + fair - 0.6, 2.4, "fair", PALE, ha="right", fontsize=10)
        strip.text(1 + cuts[number] + 0.6, 2.4, "cut", LINES[1], fontsize=10)
    for number, (begin, end) in enumerate(zip(cuts, cuts[1:])):
        y = 3.9
        strip.box(1 + begin, y, end - begin, TOKENS[number])
        strip.text(1 + (begin + end) / 2, y, f"worker {number + 1} counts", ha="center")
        strip.axes.annotate(
            "",
            (1 + ends[-1] / 2 + (number - 1) * 6, 6.4),
            (1 + (begin + end) / 2, 4.9),
            arrowprops={"arrowstyle": "->", "color": PALE, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0},
        )
    strip.box(1 + ends[-1] / 2 - 12, 6.45, 24, TOKENS[3])
    strip.text(1 + ends[-1] / 2, 6.45, "the sum of the counts", ha="center")
    return strip


def stream() -> Strip:
    """A buffer in which the end of a text has not come yet: what can be let go of it, and what it may become."""
    from stage01_tokenizer.pretokenize import pretokenize, split_special

    special = "<|end|>"
    strip = Strip(84, 8.6)
    buffer = "She didn't look. The cat  <|en"
    rows = [
        ("the buffer now", buffer),
        ("if d|> comes", buffer + "d|>"),
        ("if joy comes", buffer + "joy"),
    ]
    pieces = {
        name: [
            piece
            for part in split_special(text, [special])
            for piece in ([part] if part == special else pretokenize(part))
        ]
        for name, text in rows
    }
    safe = len("She didn't look.")
    for row, name in enumerate(pieces):
        y = 0.6 + row * 1.9
        strip.text(0, y, name, PALE if row else INK, weight="normal" if row else "bold")
        x = 20.0
        for index, piece in enumerate(pieces[name]):
            color = TOKENS[1] if piece == special else TOKENS[index % 2 * 2]
            strip.box(x, y, len(piece), color)
            strip.text(x, y, drawing.visible(piece))
            x += len(piece) + 0.5
    cut = 20.0 + safe + 0.5 * pieces["the buffer now"].index(" The") - 0.25
    strip.axes.plot([cut, cut], [0.3, 6.0], color=LINES[1])
    strip.text(cut - 0.8, 6.2, "nothing that comes changes this: let it go", LINES[1], ha="right", fontsize=10)
    strip.text(cut + 0.8, 6.2, "may still change: keep it", PALE, fontsize=10)
    strip.text(
        20,
        7.4,
        "Before a special token the two spaces are one piece; before a word or a sign, the last goes with it.",
        PALE,
        fontsize=9,
    )
    return strip


def compression() -> Figure:
    """Bytes per token on text like what was learned from, and on text of another kind."""
    from bootcamp.corpus import SEPARATOR, story
    from stage01_tokenizer import compression_curve, plot_compression

    code = own_code()
    half = code.index("\n", len(code) // 2)
    texts = {
        "stories, as learned from": "".join(story(1, number) for number in range(200)),
        "Python code, as learned from": code[half:],
        "Greek, never seen": "Η γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί. " * 20,
    }
    learned = SEPARATOR.join([code[:half], *(story(0, number) for number in range(1000))])
    sizes = [257, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]
    return plot_compression(compression_curve(learned, texts, sizes, [SEPARATOR]))


FIGURES = [levels, utf8, pretokens, merges, ranks, stream, touched, chunks, compression]


def main(folder: Path = HERE) -> None:
    """Draw every figure into `folder`."""
    stages.use_reference()
    drawing.styled()
    for figure in FIGURES:
        drawn = figure()
        drawing.save(drawn.figure if isinstance(drawn, Strip) else drawn, folder / f"{figure.__name__}.svg")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
