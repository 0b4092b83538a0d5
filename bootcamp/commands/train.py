"""`train`: a text becomes a tokenizer, tokens, a model and a report, with the code of your own stages."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootcamp import course, progress, stages
from bootcamp.corpus import SEPARATOR, Corpus, open_corpus
from bootcamp.corpus.files import sweep
from bootcamp.screen import console, say
from bootcamp.steps import Steps

if TYPE_CHECKING:
    from stage05_training.config import TrainConfig
    from stage05_training.data import Data
    from stage05_training.trainer import TrainResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = parser.add_argument_group("the text")
    text.add_argument("--corpus", default="stories", metavar="stories|stdlib|PATH", help="a text file or a folder")
    text.add_argument("--size", type=int, metavar="BYTES", help="take only so much of it")
    text.add_argument("--vocab-size", type=int, metavar="N", help="2,048 for the stories, 4,096 for other text")
    model = parser.add_argument_group("the model")
    model.add_argument("--d-model", type=int, default=96, metavar="C")
    model.add_argument("--layers", type=int, default=3, metavar="L")
    model.add_argument("--heads", type=int, default=4, metavar="H")
    model.add_argument("--context", type=int, default=256, metavar="T", help="how many tokens it reads at most")
    model.add_argument("--position", default="alibi", help="none, sinusoidal, learned, rope, alibi or t5")
    model.add_argument("--norm", default="rms", help="layer or rms")
    model.add_argument("--placement", default="pre", help="pre or post")
    model.add_argument("--activation", default="swiglu", help="relu, gelu, gelu_tanh, silu or swiglu")
    model.add_argument("--dropout", type=float, default=0.0, metavar="P")
    model.add_argument("--init-std", type=float, metavar="STD", help="how wide weights are drawn; 1/√C if not given")
    model.add_argument("--embedding-std", type=float, default=0.3, metavar="STD", help="how wide the token table is")
    model.add_argument("--no-sqrt-d", action="store_true", help="do not divide the scores of attention by √D")
    run = parser.add_argument_group("the training")
    run.add_argument("--steps", type=int, default=1800, metavar="N")
    run.add_argument(
        "--batches", choices=("windows", "documents"), help="of what; documents for the stories, windows for other text"
    )
    run.add_argument("--batch-size", type=int, default=8, metavar="B", help="how many windows or documents")
    run.add_argument("--accumulate", type=int, default=1, metavar="N", help="how many batches make a step")
    run.add_argument("--max-lr", type=float, default=4e-3, metavar="RATE")
    run.add_argument("--min-lr", type=float, default=0.0, metavar="RATE")
    run.add_argument("--warmup", type=int, metavar="STEPS", help="a tenth of the steps, but 50 at most, if not given")
    run.add_argument("--weight-decay", type=float, default=0.01, metavar="SHARE")
    run.add_argument("--no-clip", action="store_true", help="do not clip gradients")
    run.add_argument("--evaluate-every", type=int, default=100, metavar="STEPS")
    run.add_argument("--checkpoint-every", type=int, default=100, metavar="STEPS")
    run.add_argument("--workers", type=int, metavar="N", help="how many processes count pre-tokens and encode")
    run.add_argument("--device", help="cpu, cuda or mps; the best there is")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--out", type=Path, default=Path("out/train"), metavar="DIR", help="where everything goes")
    run.add_argument(
        "--upstream",
        choices=("auto", "mine", "solutions"),
        default="auto",
        help="whose stages: yours where they are complete (auto), yours whatever they are, or the reference",
    )
    run.add_argument("--fresh", action="store_true", help="begin anew; what is in the folder is kept beside it")


def defaults(**changed: Any) -> argparse.Namespace:
    """The options as they are if nobody gives any, but for these."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return argparse.Namespace(**(vars(parser.parse_args([])) | changed))


def train(arguments: argparse.Namespace) -> int:
    """Train with the learner's own stages, or go on with it."""
    whose(arguments.upstream)
    with sentences():
        result = run(arguments)
    return 1 if result.stopped else 0


def whose(upstream: str) -> None:
    """Choose where each stage comes from, and say it."""
    layout = {}
    for stage in course.stages():
        complete, why = progress.standing(stage)
        if upstream == "mine" or not stage.reference.is_dir() or (upstream == "auto" and complete):
            layout[stage.name] = stages.Source(str(stage.folder), "yours")
        else:
            layout[stage.name] = stages.Source(str(stage.reference), why)
    stages.use(layout)
    yours = [name for name, source in layout.items() if source.why == "yours"]
    if upstream == "auto":
        others = [f"{name} ({source.why})" for name, source in layout.items() if source.why != "yours"]
        say(f"yours: {', '.join(yours) or 'none yet'}. The reference: {', '.join(others) or 'nothing'}.")


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """What the stages refuse is a sentence already; an exercise that is not written is one too."""
    try:
        yield
    except NotImplementedError as error:
        raise course.CourseError(f"this needs an exercise that is not written yet: {error}") from None
    except (ValueError, FloatingPointError) as error:
        raise course.CourseError(str(error)) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise course.CourseError(
            "the disk is full; the checkpoints that are there are whole: make room, and the same command goes on from "
            "the newest"
        ) from None


def run(arguments: argparse.Namespace) -> TrainResult:
    """From a text to a report."""
    folder: Path = arguments.out
    if folder.exists() and not folder.is_dir():
        raise course.CourseError(f"{folder} is a file; --out takes a folder")
    if arguments.no_sqrt_d:
        undivided()
    workers = arguments.workers or os.cpu_count() or 1
    stories = arguments.corpus == "stories"
    with Steps() as steps:
        with steps.step(f"corpus: {arguments.corpus}") as tell:
            corpus = open_corpus(arguments.corpus, progress.FOLDER / "corpora", arguments.size, arguments.seed, tell)
        data = prepared(corpus, arguments.vocab_size or (2048 if stories else 4096), workers, steps)
    config = configured(arguments, data.vocab_size)
    begin(folder, config, arguments.fresh)
    return trained(folder, config, data, corpus, arguments.device)


def prepared(corpus: Corpus, vocab_size: int, workers: int, steps: Steps) -> Data:
    """The tokenizer and the tokens of a corpus, made once."""
    from stage05_training.data import prepare

    with steps.step(f"tokens: a vocabulary of {vocab_size:,}, {workers} processes") as tell:
        return prepare(
            corpus.path,
            progress.FOLDER / "tokens",
            vocab_size,
            SEPARATOR,
            share_held_out(corpus),
            workers,
            lambda what, done, total: tell(done, total),
        )


def share_held_out(corpus: Corpus) -> float:
    """Which part of a corpus is for validation: some 400,000 bytes, for no more is looked at."""
    return min(max(400_000 / max(corpus.size, 1), 0.005), 0.1)


def configured(arguments: argparse.Namespace, vocab_size: int) -> TrainConfig:
    """What the options say."""
    from stage04_block.config import GPTConfig
    from stage05_training.config import TrainConfig

    try:
        model = GPTConfig(
            vocab_size=vocab_size,
            context_length=arguments.context,
            d_model=arguments.d_model,
            n_layers=arguments.layers,
            n_heads=arguments.heads,
            position=arguments.position,
            norm=arguments.norm,
            placement=arguments.placement,
            activation=arguments.activation,
            bias=False,
            dropout=arguments.dropout,
            init_std=arguments.d_model**-0.5 if arguments.init_std is None else arguments.init_std,
            embedding_std=arguments.embedding_std,
        )
    except TypeError as error:  # a word that is none of those there are
        raise course.CourseError(str(error)) from None
    return TrainConfig(
        model,
        steps=arguments.steps,
        batches=arguments.batches or ("documents" if arguments.corpus == "stories" else "windows"),
        batch_size=arguments.batch_size,
        accumulate=arguments.accumulate,
        max_lr=arguments.max_lr,
        min_lr=arguments.min_lr,
        warmup=min(50, arguments.steps // 10) if arguments.warmup is None else arguments.warmup,
        weight_decay=arguments.weight_decay,
        max_norm=None if arguments.no_clip else 1.0,
        seed=arguments.seed,
        evaluate_every=arguments.evaluate_every,
        checkpoint_every=arguments.checkpoint_every,
        prompts=("", "Once upon a time") if arguments.corpus == "stories" else ("",),
    )


def begin(folder: Path, config: TrainConfig, fresh: bool) -> None:
    """See to it that what is in the folder is this run, or nothing."""
    path = folder / "config.json"
    if fresh and folder.is_dir() and any(folder.iterdir()):
        kept = next(
            other for number in range(1, 1 << 20) if not (other := folder.with_name(f"{folder.name}.{number}")).exists()
        )
        os.replace(folder, kept)
        say(f"what was in {folder} is now in {kept}")
    if path.is_file():
        before, now = json.loads(path.read_text(encoding="utf-8")), json.loads(config.to_json())
        if changed := differences(before, now):
            raise course.CourseError(
                f"{folder} holds a run with other settings ({changed}); give another --out, or --fresh to begin anew"
            )
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder, older_than=0)  # what a run that was killed had half-written
    progress.write_text(path, config.to_json() + "\n")


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Which settings differ, and how."""
    flat = [{**table, **table.get("model", {}), "model": None} for table in (before, now)]
    names = sorted(flat[0].keys() | flat[1].keys())
    changed = [(name, flat[0].get(name), flat[1].get(name)) for name in names if flat[0].get(name) != flat[1].get(name)]
    return ", ".join(f"{name}: {json.dumps(old)} there, {json.dumps(new)} now" for name, old, new in changed)


def trained(folder: Path, config: TrainConfig, data: Data, corpus: Corpus, device: str | None) -> TrainResult:
    """Train, or go on, and write the report."""
    from bootcamp import page

    result, sections = learned(folder, config, data, corpus, device)
    report = folder / "report.html"
    progress.write_text(report, page.page("A language model, trained", f"{escape(corpus.describe())}.", sections))
    console.print(f"The report: {report.resolve().as_uri()}", soft_wrap=True)
    return result


def learned(
    folder: Path, config: TrainConfig, data: Data, corpus: Corpus, device: str | None
) -> tuple[TrainResult, list[str]]:
    """Train, or go on; say how it ended, and give the sections of a report on it."""
    from bootcamp.training_report import Told, training_sections
    from stage04_block import parameter_count
    from stage05_training import train as train_model

    device = device or best_device()
    say(
        f"{corpus.describe()}. {len(data.train):,} tokens to train on, {len(data.validation):,} to validate with; "
        f"{parameter_count(config.model):,} parameters, on {device}."
    )
    result = train_model(config, data, folder, device)
    floor = floor_of(corpus, data, config)
    told = Told(write_stories(result.model, data)) if floor and not result.stopped else None
    if result.stopped:
        say(f"stopped after step {result.step:,} of {config.steps:,}, and saved: the same command goes on from there")
    elif result.loss is not None:
        beside = f", {result.loss / floor - 1:.1%} above the floor of {floor:.4f}" if floor else ""
        say(f"validation loss {result.loss:.4f} nats a token{beside}")
    if told:
        say(told.sentence)
    return result, training_sections(folder, config, data, floor, result.model, told)


def floor_of(corpus: Corpus, data: Data, config: TrainConfig) -> float | None:
    """The loss on the validation texts that no model can beat, if anybody knows it."""
    if corpus.floor is None:
        return None
    tokens = sum(batch.counted for batch in data.validation_batches(config))
    return corpus.floor(data.validation_text(config), tokens)


def write_stories(model: Any, data: Data, count: int = 100, temperature: float = 0.8) -> list[str]:
    """Stories that nobody has begun, the same each time; each up to its end, or that of the context."""
    import torch

    from stage04_block.generate import generate

    device = next(model.parameters()).device
    generators = [torch.Generator(device).manual_seed(number) for number in range(count)]
    room = max(model.config.context_length - 1, 1)
    texts = generate(model, [[data.end_id]] * count, room, temperature, stop_ids=[data.end_id], generator=generators)
    return [data.tokenizer.decode([id for id in text if id != data.end_id]) for text in texts]


def best_device() -> str:
    """The fastest device that this machine has."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def undivided() -> None:
    """For an experiment: attention without the division by √D."""
    import math

    from stage03_attention import multihead

    for name in ("attention", "grouped_attention"):
        divided = getattr(multihead, name)
        setattr(
            multihead,
            name,
            lambda q, *rest, divided=divided, **options: divided(q * math.sqrt(q.shape[-1]), *rest, **options),
        )
