"""Growth: how time and memory of `count_pretokens`, `train_bpe_fast` and `encode_file` grow with the corpus.

    python -m benchmarks.tokenizer_growth [--sizes 1 10 100 1000] [--workers N]

The corpora are stories of so many megabytes, made if they are not there. Each step runs in a process of its own.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from benchmarks.measure import console, in_process, table
from bootcamp import progress, stages
from bootcamp.corpus import SEPARATOR, open_corpus


def count(path: str, workers: int) -> tuple[float, Counter[str]]:
    """Count the pre-tokens; give the seconds, and the counts."""
    stages.use_reference()
    from stage01_tokenizer import count_pretokens

    begin = time.perf_counter()
    counts = count_pretokens(path, [SEPARATOR], workers)
    return time.perf_counter() - begin, counts


def train(counts: Counter[str], vocab_size: int, folder: str) -> tuple[float, str]:
    """Learn the merges; give the seconds, and where the tokenizer was saved."""
    stages.use_reference()
    from stage01_tokenizer import Tokenizer, train_bpe_fast

    begin = time.perf_counter()
    vocab, merges = train_bpe_fast(counts, vocab_size, [SEPARATOR])
    seconds = time.perf_counter() - begin
    path = Path(folder) / "growth.json"
    Tokenizer(vocab, merges, [SEPARATOR]).save(path)
    return seconds, str(path)


def encode(tokenizer: str, path: str, workers: int) -> tuple[float, int]:
    """Encode the file; give the seconds, and how many ids it has."""
    stages.use_reference()
    from stage01_tokenizer import Tokenizer
    from stage01_tokenizer.parallel import encode_file

    loaded = Tokenizer.load(tokenizer)
    begin = time.perf_counter()
    ids = sum(map(len, encode_file(loaded, path, workers)))
    return time.perf_counter() - begin, ids


def main() -> None:
    parser = argparse.ArgumentParser(description="How time and memory grow with the corpus.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 100, 1000], help="in megabytes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--vocab-size", type=int, default=1024)
    arguments = parser.parse_args()
    rows = []
    for size in arguments.sizes:
        with console.status(f"{size:,} MB of stories"):
            corpus = open_corpus("stories", progress.FOLDER / "corpora", size * 1_000_000)
            path = str(corpus.path)
            (counting, counts), count_peak = in_process(count, (path, arguments.workers))
            folder = str(corpus.path.parent)
            (training, saved), train_peak = in_process(train, (counts, arguments.vocab_size, folder))
            (encoding, ids), encode_peak = in_process(encode, (saved, path, arguments.workers))
        mib = [f"{peak / 2**20:,.0f} MiB" if peak else "unknown" for peak in (count_peak, train_peak, encode_peak)]
        steps = [f"{seconds:,.2f} s" for seconds in (counting, training, encoding)]
        cells = [cell for pair in zip(steps, mib) for cell in pair]
        rows.append((f"{corpus.size / 1e6:,.0f} MB", *cells, f"{corpus.size / 1e6 / (counting + encoding):,.1f} MB/s"))
        rows[-1] = (*rows[-1], f"{corpus.size / ids:.3f}")
    columns = ["stories", "count", "peak", "train", "peak", "encode", "peak", "count and encode", "bytes a token"]
    table(f"With {arguments.workers} workers and {arguments.vocab_size:,} tokens", columns, rows)


if __name__ == "__main__":
    main()
