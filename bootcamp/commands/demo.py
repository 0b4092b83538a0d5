"""`demo`: the destination, built with the reference: corpus → pre-token counts → BPE → ids → one page to look at."""

from __future__ import annotations

import argparse
import os
import sys
import time
import webbrowser
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bootcamp import course, progress, stages
from bootcamp.corpus import END_OF_TEXT, Corpus, open_corpus
from bootcamp.screen import console, say

DEFAULT_SIZE = 16_000_000  # bytes of stories
ENCODED = 8_000_000  # bytes of the corpus that are encoded for the report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--corpus", default="stories", metavar="stories|stdlib|PATH", help="what to learn from: a text file or a folder"
    )
    parser.add_argument("--size", type=int, metavar="BYTES", help=f"how much of the stories ({DEFAULT_SIZE:,})")
    parser.add_argument("--vocab-size", type=int, metavar="N", help="1,024 for the stories, 8,192 for other text")
    parser.add_argument("--workers", type=int, metavar="N", help="how many processes count and encode; one for each core")
    parser.add_argument("--seed", type=int, default=0, help="of the stories")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="where the report goes")
    parser.add_argument("--no-open", action="store_true", help="do not show the report in a browser")


def demo(arguments: argparse.Namespace) -> int:
    """Build everything with the reference, and write the report."""
    stages.use_reference()
    from stage01_tokenizer import Tokenizer, count_pretokens, train_bpe_fast

    workers = arguments.workers or os.cpu_count() or 1
    with Steps() as steps:
        with steps.step("corpus", "bytes") as step:
            corpus = open_corpus(
                arguments.corpus,
                size=arguments.size or DEFAULT_SIZE,
                seed=arguments.seed,
                folder=progress.FOLDER / "corpora",
                progress=step.at,
            )
            step.total = corpus.size
        vocab_size = arguments.vocab_size or (1024 if corpus.kind == "stories" else 8192)
        with steps.step("counting pre-tokens", "bytes", corpus.size) as step:
            counts = count_pretokens(corpus.path, [END_OF_TEXT], workers, progress=step.at)
        with steps.step("learning merges", "merges") as step:
            vocab, merges = train_bpe_fast(counts, vocab_size, [END_OF_TEXT])
            step.total = len(merges)
        tokenizer = Tokenizer(vocab, merges, [END_OF_TEXT])
        sample = corpus.head(ENCODED)
        with steps.step("encoding", "bytes", len(sample.encode("utf-8"))) as step:
            ids = tokenizer.encode(sample)
        if tokenizer.decode(ids) != sample:
            raise course.CourseError("decoding did not give the text back; this is a mistake of the course, please report it")
    from bootcamp.tokenizer_report import tokenizer_report

    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(out / "tokenizer.json")
    report = out / "report.html"
    progress.write_text(report, tokenizer_report(corpus, tokenizer, counts, sample, ids, steps.done))
    say(f"\nThe report: [bold]{report.resolve().as_uri()}[/]")
    if not arguments.no_open and sys.stdout.isatty() and _has_screen():
        webbrowser.open(report.resolve().as_uri())
    return 0
