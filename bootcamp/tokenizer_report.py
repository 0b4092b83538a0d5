"""What a tokenizer has learned, as one page: its merges in order, a text cut into tokens, what each token saves."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from bootcamp import drawing, page
from bootcamp.corpus import SEPARATOR, Corpus
from bootcamp.course import ROOT

if TYPE_CHECKING:
    from stage01_tokenizer.tokenizer import Tokenizer

SHOWN = 900  # characters of the text that is shown in colour
MERGES = 1500  # how many merges are listed, at most


def tokenizer_sections(
    corpus: Corpus, tokenizer: Tokenizer, sample: str, ids: list[int], seconds: dict[str, float]
) -> list[str]:
    """Write the sections of a page.

    Args:
        corpus: what the tokenizer was learned from.
        tokenizer: what was learned.
        sample: the beginning of the corpus.
        ids: the sample, encoded.
        seconds: how long each step has taken.
    """
    size = len(sample.encode("utf-8"))
    facts = [
        ("of text", f"{corpus.size / 1e6:,.1f} MB"),
        ("documents", f"{corpus.documents:,}"),
        ("tokens in the vocabulary", f"{tokenizer.vocab_size:,}"),
        ("bytes a token", f"{size / len(ids):.2f}"),
    ]
    if corpus.bits_per_byte is not None:
        nats = corpus.bits_per_byte * 0.6931471805599453 * size / len(ids)
        facts.append(("nats a token: no model can predict this text better", f"{nats:.3f}"))
    facts += [(name, f"{taken:.1f} s") for name, taken in seconds.items()]
    shown = sample[:SHOWN].rpartition(" ")[0] or sample[:SHOWN]
    return [
        page.facts(facts),
        page.section(
            "A text, cut into its tokens",
            page.paragraph(
                "Move the dial: how the text was cut when so many merges were known. At 256 every byte is a token of "
                "its own; then come pairs, endings, words. The colours only tell neighbours apart; rest the pointer on "
                "a token for its id and its bytes."
            ),
            dial(tokenizer, shown),
        ),
        page.section(
            "What a larger vocabulary buys",
            page.paragraph(
                "Bytes a token on two kinds of text, over the size of the vocabulary. On text like what it was "
                "learned from, each doubling buys much; on text of another kind the same merges buy little."
            ),
            curves(tokenizer, sample),
        ),
        page.section(
            "The merges, in the order learned",
            page.paragraph(
                f"{len(tokenizer.merges):,} merges"
                + (f", of which the first {MERGES:,}" if len(tokenizer.merges) > MERGES else "")
                + ". ␣ is a space, ↵ a line end. First come the most frequent pairs of letters, then endings and short "
                "words, then whole words."
            ),
            merge_list(tokenizer),
        ),
    ]


def prefix(tokenizer: Tokenizer, merges: int) -> Tokenizer:
    """The tokenizer as it was when it knew only so many merges."""
    vocab = {id: token for id, token in tokenizer.vocab.items() if id < 256 + merges}
    return type(tokenizer)(vocab, tokenizer.merges[:merges], list(tokenizer.special_ids), tokenizer.pattern)


def sizes(tokenizer: Tokenizer) -> list[int]:
    """Numbers of merges from none to all, the steps growing."""
    most = len(tokenizer.merges)
    steps = {0, most} | {round(most * (step / 11) ** 2.2) for step in range(1, 11)}
    return sorted(steps)


def dial(tokenizer: Tokenizer, text: str) -> str:
    """The text in coloured tokens, for several sizes of the vocabulary, with a slider to choose."""
    versions, labels = [], []
    for merges in sizes(tokenizer):
        smaller = prefix(tokenizer, merges)
        ids = smaller.encode(text)
        versions.append(f'<div class="text">{coloured(smaller, ids)}</div>')
        labels.append(
            f"{256 + merges + len(tokenizer.special_ids):,} tokens in the vocabulary, {len(ids):,} in this text"
        )
    return page.dial("the size of the vocabulary:", labels, versions)


def coloured(tokenizer: Tokenizer, ids: list[int]) -> str:
    """Tokens side by side; those that are no whole characters are shown together, as the character that they spell."""
    from stage01_tokenizer.utf8 import StreamDecoder

    decoder, spans, waiting = StreamDecoder(), [], []
    for id in ids:
        waiting.append(id)
        text = decoder.feed(tokenizer.vocab[id])
        if not decoder.pending:
            title = " + ".join(f"{each}: {tokenizer.vocab[each]!r}"[:80] for each in waiting)
            spans.append((text.replace("\n", "↵\n").replace(SEPARATOR, f"{SEPARATOR}\n"), title))
            waiting = []
    return page.token_spans(spans)


def curves(tokenizer: Tokenizer, sample: str) -> str:
    """Bytes a token over the size of the vocabulary, on the corpus and on text of another kind."""
    from matplotlib.figure import Figure

    drawing.styled()
    texts = {"the corpus": sample[:200_000], "this course's own code": own_code()[:200_000]}
    figure = Figure(figsize=(7, 3.4))
    axes = figure.subplots()
    counts, fixed = sizes(tokenizer), 256 + len(tokenizer.special_ids)
    for name, text in texts.items():
        size = len(text.encode("utf-8"))
        axes.plot(
            [fixed + count for count in counts],
            [size / len(prefix(tokenizer, count).encode(text)) for count in counts],
            marker="o",
            label=name,
        )
    axes.set(xlabel="size of the vocabulary", ylabel="bytes a token", xscale="log")
    axes.set_xticks(ticks := [256 * 2**power for power in range(12) if 256 * 2**power <= fixed + counts[-1]])
    axes.set_xticklabels([f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.legend()
    return f"<figure>{drawing.inline(figure, 'bytes a token over the size of the vocabulary')}</figure>"


def own_code() -> str:
    """The source of the course's machinery: a text of another kind, the same in every copy."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "bootcamp").rglob("*.py")))


def merge_list(tokenizer: Tokenizer) -> str:
    """The merges in order."""

    def shown(token: bytes) -> str:
        return escape(drawing.visible(token.decode("utf-8", errors="replace")))

    rows = (
        f'<li><b>{256 + number}</b><i class="c0">{shown(left)}</i> <i class="c1">{shown(right)}</i></li>'
        for number, (left, right) in enumerate(tokenizer.merges[:MERGES])
    )
    return f'<ol class="merges">{"".join(rows)}</ol>'
