"""`demo`: the destination, built with the reference: corpus → BPE → tokens → a trained model → one page to look at."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import webbrowser
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootcamp import course, progress, stages
from bootcamp.commands import train
from bootcamp.corpus import SEPARATOR, Corpus, open_corpus
from bootcamp.screen import console, say
from bootcamp.steps import Steps

if TYPE_CHECKING:
    from stage01_tokenizer import Tokenizer
    from stage05_training.trainer import TrainResult

DEFAULT_SIZE = 16_000_000  # bytes of stories
STEPS = 1_800  # of training
TWO_STEPS = 40  # of them, on two processes
ENOUGH = 20_000  # tokens: with less there is nothing to train on
YOURS_TEXT = "All of this is what you write in stages 01 to 06. Look at other text, or train with your own code:"
YOURS = """python3 -m bootcamp demo --corpus stdlib --vocab-size 32000
python3 -m bootcamp train
python3 -m bootcamp grade 1"""
ENCODED = 8_000_000  # bytes of the corpus that are encoded for the report, at most


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--corpus", default="stories", metavar="stories|stdlib|PATH", help="what to learn from: a text file or a folder"
    )
    parser.add_argument("--size", type=int, metavar="BYTES", help="take only so much of it")
    parser.add_argument("--vocab-size", type=int, metavar="N", help="2,048 for the stories, 8,192 for other text")
    parser.add_argument("--steps", type=int, metavar="N", help="how long the model is trained; 0 leaves that out")
    parser.add_argument("--workers", type=int, metavar="N", help="how many processes count; as many as there are cores")
    parser.add_argument("--seed", type=int, default=0, help="which stories")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="where the report goes")
    parser.add_argument("--no-open", action="store_true", help="do not show the report in a browser")


def demo(arguments: argparse.Namespace) -> int:
    """Build everything with the reference, and write the report."""
    if not course.SOLUTIONS.is_dir():
        raise course.CourseError("the demo is built with the reference, and this copy of the course has no solutions/")
    stages.use_reference()
    from bootcamp import page
    from bootcamp.tokenizer_report import tokenizer_sections
    from stage01_tokenizer import Tokenizer, count_pretokens, train_bpe_fast

    workers = arguments.workers if arguments.workers is not None else os.cpu_count() or 1
    if workers < 1:
        raise course.CourseError(f"--workers must be at least 1; got {workers}")
    if arguments.out.exists() and not arguments.out.is_dir():
        raise course.CourseError(f"{arguments.out} is a file; --out takes the folder that the report goes into")
    kind = arguments.corpus if arguments.corpus in ("stories", "stdlib") else "text"
    vocab_size = arguments.vocab_size if arguments.vocab_size is not None else 2048 if kind == "stories" else 8192
    size = arguments.size if arguments.size is not None else DEFAULT_SIZE if kind == "stories" else None
    with train.sentences(), Steps() as steps:
        with steps.step(f"corpus: {arguments.corpus}") as tell:
            corpus = open_corpus(arguments.corpus, progress.FOLDER / "corpora", size, arguments.seed, tell)
        with steps.step(f"counting pre-tokens, {workers} processes") as tell:
            counts = count_pretokens(corpus.path, [SEPARATOR], workers, progress=lambda done: tell(done, corpus.size))
        with steps.step(f"learning {vocab_size:,} tokens"):
            vocab, merges = train_bpe_fast(counts, vocab_size, [SEPARATOR])
        tokenizer = Tokenizer(vocab, merges, [SEPARATOR])
        sample = beginning(corpus.path, ENCODED)
        with steps.step("encoding, and decoding again"):
            ids = tokenizer.encode(sample)
            same = tokenizer.decode(ids) == sample
        if not same:
            raise course.CourseError("decoding did not give the text back: a fault of the course; please report it")
        sections = tokenizer_sections(corpus, tokenizer, sample, ids, steps.seconds)
    arguments.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(arguments.out / "tokenizer.json")
    count, stopped = STEPS if arguments.steps is None else arguments.steps, False
    if count and len(ids) > ENOUGH:
        with train.sentences():
            result, told = trained(arguments, corpus, tokenizer, workers, recipe(arguments, count))
        sections, stopped = told + sections, result.stopped
        if not stopped:
            more = {"size": size, "vocab_size": vocab_size, "workers": workers}
            sections += on_two_processes(arguments.out, recipe(arguments, count) | more)
    report = arguments.out / "report.html"
    sections.append(page.section("Make it yours", page.paragraph(YOURS_TEXT), f'<pre class="cmd">{YOURS}</pre>'))
    progress.write_text(
        report, page.page("A language model, from the text on", f"{escape(corpus.describe())}.", sections)
    )
    say()
    say(f"{corpus.describe()}. {len(merges):,} merges; {len(sample.encode()) / len(ids):.2f} bytes a token.")
    console.print(f"The report: {report.resolve().as_uri()}", soft_wrap=True)
    if not arguments.no_open and sys.stdout.isatty() and _has_screen():
        webbrowser.open(report.resolve().as_uri())
    return int(stopped)


def recipe(arguments: argparse.Namespace, count: int) -> dict[str, Any]:
    """What is trained in so many steps, as options of `train`."""
    return {"corpus": arguments.corpus, "seed": arguments.seed, "steps": count}


def trained(
    arguments: argparse.Namespace, corpus: Corpus, tokenizer: Tokenizer, workers: int, recipe: dict[str, Any]
) -> tuple[TrainResult, list[str]]:
    """Train a small model with the tokenizer, and give the sections of the page that tell of it too."""
    from stage05_training.data import prepare

    folder, share = progress.FOLDER / "tokens", train.share_held_out(corpus)
    data = prepare(corpus.path, folder, tokenizer.vocab_size, SEPARATOR, share, workers, tokenizer=tokenizer)
    run = arguments.out / "run"
    config = train.configured(train.defaults(**recipe), tokenizer.vocab_size)
    train.begin(run, config, fresh=False)
    return train.learned(run, config, data, corpus, device=None)


def on_two_processes(out: Path, recipe: dict[str, Any]) -> list[str]:
    """Begin the same training again, on two processes in bf16; give the section of the page on it, if any."""
    from bootcamp.distributed_report import two_processes_section
    from stage05_training.run_log import read_metrics

    folder, steps = out / "two", min(TWO_STEPS, recipe["steps"])
    options = recipe | {"out": folder, "pp": 2, "micro_batches": 4, "precision": "bf16", "stop_after": steps}
    given = {f"--{name.replace('_', '-')}": str(value) for name, value in options.items() if value is not None}
    words = [word for option in given.items() for word in option]
    module = ["-m", "stage06_distributed.train", "--upstream", "solutions", *words]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *module]
    if folder.is_dir():
        shutil.rmtree(folder)  # of an earlier demo
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said, Steps() as bars:
        with bars.step("the same on two processes, in bf16") as tell:
            run = subprocess.Popen(command, cwd=course.ROOT, stdout=said, stderr=said)
            try:
                while run.poll() is None:
                    time.sleep(0.2)
                    tell(len([each for each in read_metrics(folder) if each["kind"] == "step"]), steps)
            finally:
                run.terminate()
                run.wait()
        if not (folder / "timeline.json").is_file():
            said.seek(0)
            told = [line.strip() for line in said if line.strip()]
            say(f"two processes did not come to an end here: {told[-1] if told else f'exit code {run.returncode}'}")
            return []
    return [two_processes_section(folder, out / "run")]


def beginning(path: Path, size: int) -> str:
    """Read the first documents of a corpus, about `size` bytes of them."""
    with open(path, "rb") as file:
        data = file.read(size + 1)
    text = data.decode("utf-8", errors="ignore")
    if len(data) <= size:
        return text
    whole, found, _ = text.rpartition(SEPARATOR)
    return whole + found if found else text


def _has_screen() -> bool:
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
