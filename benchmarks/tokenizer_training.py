"""Training a BPE vocabulary: `count_pretokens` and `train_bpe_fast`, beside the `tokenizers` library.

    python -m benchmarks.tokenizer_training [--file F] [--repeats N]

Both learn from the same file, from reading it on, on two cores: ours with two processes, `tokenizers` with two threads.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from benchmarks.measure import alternate_processes, console, ratio, table
from bootcamp import progress, stages
from bootcamp.corpus import SEPARATOR, open_corpus

GOAL = 0.75


def ours(path: str, vocab_size: int, workers: int) -> tuple[float, tuple[float, int]]:
    """Train with the course's reference; give the seconds, those of the counting among them, and how many merges."""
    stages.use_reference()
    from stage01_tokenizer import count_pretokens, train_bpe_fast

    begin = time.perf_counter()
    counts = count_pretokens(path, [SEPARATOR], workers)
    counted = time.perf_counter()
    merges = train_bpe_fast(counts, vocab_size, [SEPARATOR])[1]
    return time.perf_counter() - begin, (counted - begin, len(merges))


def tokenizers_library(path: str, vocab_size: int, workers: int) -> tuple[float, tuple[float, int]]:
    """Train with the `tokenizers` library."""
    os.environ["RAYON_NUM_THREADS"] = str(workers)
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    begin = time.perf_counter()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[SEPARATOR],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train([path], trainer)
    return time.perf_counter() - begin, (0.0, tokenizer.get_vocab_size() - 257)


def main() -> None:
    parser = argparse.ArgumentParser(description="Training a BPE vocabulary, beside the tokenizers library.")
    parser.add_argument("--file", type=Path, help="a text in UTF-8; Python's standard library if not given")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--vocab-sizes", type=int, nargs="+", default=[8192, 32000])
    arguments = parser.parse_args()
    path = arguments.file or open_corpus("stdlib", progress.FOLDER / "corpora").path

    rows = []
    for size in arguments.vocab_sizes:
        given = (str(path), size, arguments.workers)
        times, results = alternate_processes(
            {"tokenizers": (tokenizers_library, given), "ours": (ours, given)}, arguments.repeats, f"{size:,} tokens,"
        )
        for name, each in times.items():
            compared = ratio(each, times["tokenizers"])
            counting = f"{results[name][0]:.2f} s" if name == "ours" else ""
            merges = f"{results[name][1]:,}"
            rows.append((f"{size:,}", name, f"{each.median:.2f} s", counting, f"{compared:.2f}", each.peak, merges))
    table(
        f"Training on {path.stat().st_size / 1e6:.1f} MB with {arguments.workers} workers; "
        f"medians of {arguments.repeats}, taken in turns",
        ["vocabulary", "", "time", "of it counting", "time / tokenizers", "peak memory", "merges"],
        rows,
    )
    console.print(f"The goal is {GOAL} of the time of tokenizers, or less.")


if __name__ == "__main__":
    main()
