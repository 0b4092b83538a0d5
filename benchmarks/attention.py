"""What attention costs: time and memory, forward and backward, as the text gets longer.

    python -m benchmarks.attention [--lengths 256 512 … 8192] [--repeats N] [--save]

The reference's ways to attend (the matrix of 3.3, the tiles of 3.8, the window of 3.9, the sums of 3.10), beside
torch's `scaled_dot_product_attention`; causal, one text, 4 heads of width 64, float32, two threads. `--save` keeps the
figures for the plot in the lesson.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

from benchmarks.measure import Times, console, in_process, memory_of, ratio, table
from bootcamp import course, stages

HEADS, WIDTH, WINDOW = 4, 64, 128
NAMES = ("torch", "attention", "flash_attention", "sliding_window", "linear_attention")
MIB = 2**20


def ways() -> dict[str, Callable[[Any, Any, Any], Any]]:
    """The ways to attend, each from q, k and v of one length."""
    stages.use_reference()
    from torch.nn.functional import scaled_dot_product_attention

    from stage03_attention import causal_mask, flash_attention, linear_attention, sliding_window_attention
    from stage03_attention.attention import attention

    return {
        "torch": lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=True),
        "attention": lambda q, k, v: attention(q, k, v, causal_mask(q.shape[-2])),
        "flash_attention": lambda q, k, v: flash_attention(q, k, v, causal=True),
        "sliding_window": lambda q, k, v: sliding_window_attention(q, k, v, WINDOW),
        "linear_attention": lambda q, k, v: linear_attention(q, k, v, causal=True),
    }


def run(name: str, length: int, threads: int) -> tuple[float, int]:
    """Attend forward and backward; give the seconds, and the memory that was held before."""
    import torch

    torch.set_num_threads(threads)
    attend = ways()[name]
    for size in (256, length):  # the first time warms up
        q, k, v = (torch.randn(1, HEADS, size, WIDTH, requires_grad=True) for _ in range(3))
        upstream = torch.randn(1, HEADS, size, WIDTH)
        before = memory_of(os.getpid())
        begin = time.perf_counter()
        (attend(q, k, v) * upstream).sum().backward()
        seconds = time.perf_counter() - begin
    return seconds, before


def main() -> None:
    parser = argparse.ArgumentParser(description="What attention costs as the text gets longer.")
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 512, 1024, 2048, 4096, 8192])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", action="store_true", help="keep the figures for the lesson's plot")
    arguments = parser.parse_args()
    found: dict[str, dict[int, Times]] = {name: {} for name in NAMES}
    with console.status("") as status:
        for length in arguments.lengths:
            for repeat in range(arguments.repeats):
                for name in NAMES:
                    status.update(f"{length:,} positions, round {repeat + 1} of {arguments.repeats}: {name}")
                    (seconds, before), peak = in_process(run, (name, length, arguments.threads))
                    times = found[name].setdefault(length, Times())
                    times.seconds.append(seconds)
                    times.peaks.append(max(peak - before, 0))
    rows = []
    for length in arguments.lengths:
        for name in NAMES:
            times, torch_times = found[name][length], found["torch"][length]
            cells = (f"{1e3 * times.median:,.1f} ms", f"{ratio(times, torch_times):,.2f}")
            rows.append((f"{length:,}", name, *cells, f"{max(times.peaks) / MIB:,.0f} MiB"))
    title = (
        f"Forward and backward, causal, {HEADS} heads of width {WIDTH}, window {WINDOW}, {arguments.threads} threads"
    )
    table(title, ["positions", "way", "time", "time / torch", "memory"], rows)
    if arguments.save:
        kept = {
            name: {
                "lengths": list(by_length),
                "seconds": [round(times.median, 5) for times in by_length.values()],
                "mib": [round(max(times.peaks) / MIB, 1) for times in by_length.values()],
            }
            for name, by_length in found.items()
        }
        path = course.stage_named("3").folder / "figures" / "cost.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        console.print(f"written: {path.relative_to(course.ROOT)}")


if __name__ == "__main__":
    main()
