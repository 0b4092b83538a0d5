"""The capstone: one run, on as many processes as there are, from your own stages. (Given; nothing to write here.)

    python -m stage06_distributed.train --steps 200
    torchrun --nproc-per-node 4 -m stage06_distributed.train --dp 2 --tp 2 --steps 200
    torchrun --nproc-per-node 4 --max-restarts 3 -m stage06_distributed.train --dp 4 --precision bf16

The options of `python -m bootcamp train` say what is trained; those here how it is carried out. Started again with the
same --out, in this layout or another, it goes on from the newest checkpoint.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bootcamp import course
from bootcamp.commands import train as single
from bootcamp.corpus import open_corpus
from bootcamp.progress import FOLDER, write_text
from bootcamp.screen import problem, say
from bootcamp.steps import Steps

FIRST = int(os.environ.get("RANK", 0)) == 0  # whether this process speaks for all
FIRST_HERE = int(os.environ.get("LOCAL_RANK", 0)) == 0  # whether it does what a machine has to do once


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stage06_distributed.train", description=(__doc__ or "").split("\n")[0])
    single.add_arguments(parser)
    run = parser.add_argument_group("how it is carried out")
    run.add_argument("--dp", type=int, help="how many copies of the model; as many as there are processes left")
    run.add_argument("--tp", type=int, default=1, help="how many processes share each matrix")
    run.add_argument("--pp", type=int, default=1, help="how many stages the layers are cut into")
    run.add_argument("--micro-batches", type=int, metavar="M", help="pieces of a batch in the pipeline; 2 · pp")
    run.add_argument("--schedule", choices=("gpipe", "1f1b"), default="1f1b")
    run.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="fp32")
    run.add_argument("--zero", action="store_true", help="share the optimizer's state out among the copies")
    run.add_argument("--recompute", action="store_true", help="compute the inside of blocks again on the way back")
    run.add_argument(
        "--engine", choices=("scratch", "torch"), default="scratch", help="yours, or that of torch's parts"
    )
    run.add_argument("--stop-after", type=int, metavar="N", help="save after so many steps, and end")
    run.add_argument("--patience", type=float, default=300.0, metavar="SECONDS", help="that a step may take")
    parser.set_defaults(out=Path("out/distributed"))
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run, and say in one sentence what went wrong."""
    options = arguments(words)
    with contextlib.ExitStack() as regions:
        if not FIRST:
            regions.enter_context(contextlib.redirect_stdout(io.StringIO()))
        try:
            single.whose(options.upstream)
            with single.sentences():
                return run(options)
        except course.CourseError as error:
            if FIRST:
                problem(str(error))
            return 2
        except RuntimeError as error:
            if "onnection" not in str(error) and "imed out" not in str(error):
                raise
            problem(f"rank {os.environ.get('RANK', 0)} has lost the others: {str(error).splitlines()[0]}")
            return 3


def run(options: argparse.Namespace) -> int:
    """From a text to a trained model, on all processes."""
    from stage06_distributed.engine import EngineConfig
    from stage06_distributed.mesh import Layout, open_mesh

    world = int(os.environ.get("WORLD_SIZE", 1))
    rest = options.tp * options.pp
    if options.dp is None and world % rest:
        raise course.CourseError(f"tp · pp must divide the {world} processes; got {options.tp} · {options.pp}")
    layout = Layout(options.dp or world // rest, options.tp, options.pp)
    how = EngineConfig(
        precision=options.precision,
        micro_batches=options.micro_batches or (2 * layout.pp if layout.pp > 1 else 1),
        schedule=options.schedule,
        zero=options.zero,
        recompute=options.recompute,
    )
    with open_mesh(layout, options.device) as mesh:
        corpus, data = prepared(options)
        padded = -(-data.vocab_size // 64) * 64  # ids that never come, so that the table can be cut in any layout
        config = single.configured(options, padded)
        if FIRST:
            single.begin(options.out, config, options.fresh)
        if options.engine == "torch":
            from stage06_distributed.torch_engine import TorchEngine as Engine
        else:
            from stage06_distributed.engine import Engine
        engine = Engine(config, how, mesh)
        say(
            f"{corpus.describe()}. {world} processes: dp {layout.dp}, tp {layout.tp}, pp {layout.pp}, on {mesh.device}."
        )
        return loop(options, engine, config, data, mesh)


def prepared(options: argparse.Namespace) -> tuple[Any, Any]:
    """The corpus and its tokens: made by one process of each machine, and found by the others."""
    import torch.distributed as dist

    def work() -> tuple[Any, Any]:
        stories = options.corpus == "stories"
        with Steps() as steps:
            with steps.step(f"corpus: {options.corpus}") as tell:
                corpus = open_corpus(options.corpus, FOLDER / "corpora", options.size, options.seed, tell)
            workers = options.workers or os.cpu_count() or 1
            return corpus, single.prepared(corpus, options.vocab_size or (2048 if stories else 4096), workers, steps)

    made = work() if FIRST_HERE else None
    dist.barrier()
    return made or work()


def loop(options: argparse.Namespace, engine: Any, config: Any, data: Any, mesh: Any) -> int:
    """Step, evaluate, save, until the end or until somebody asks to stop."""
    import torch
    import torch.distributed as dist

    from stage05_training.loss import bits_per_byte
    from stage05_training.schedule import warmup_cosine
    from stage06_distributed.distributed_checkpoint import load_distributed, save_distributed
    from stage06_distributed.watchdog import Watchdog

    loader, step, loss = data.loader(config), 0, None
    begin = end = 0.0
    if found := newest(options.out):
        kept = load_distributed(found, engine.stage, engine.optimizer, mesh)
        step, loss = kept["step"], kept["loss"]
        loader.load_state_dict(json.loads(kept["loader"]))
        if engine.scaler and (scaler := json.loads(kept["scaler"])):
            engine.scaler.load_state_dict(scaler)
        say(f"going on from step {step:,}")
    stopped = False
    with log_of(options.out, config, step) as log, Watchdog(options.patience) as watchdog:
        while step < config.steps and not stopped:
            begin = time.perf_counter()
            for group in engine.optimizer.param_groups:
                group["lr"] = warmup_cosine(step, config.max_lr, config.warmup, config.steps, config.min_lr)
            # Dropout: each copy draws its own, ranks of one copy the same, and a run that goes on what it would have.
            torch.manual_seed((config.seed * 1_000_003 + step) * mesh.layout.dp + mesh.rank("dp"))
            result = engine.step([next(loader) for _ in range(config.accumulate)])
            end = time.perf_counter()
            step += 1
            watchdog.alive(step)
            log.step(step, result, lr=engine.optimizer.param_groups[0]["lr"])
            if step % config.evaluate_every == 0 or step == config.steps:
                loss, tokens = engine.evaluate(data.validation_batches(config))
                log.evaluation(step, loss, bits_per_byte(loss, tokens, data.validation_size(config)))
            asked = torch.tensor(int(log.stop_asked or step == options.stop_after), device=mesh.device)
            dist.all_reduce(asked, dist.ReduceOp.MAX)
            stopped = bool(asked)
            if step % config.checkpoint_every == 0 or step == config.steps or stopped:
                scaler = engine.scaler.state_dict() if engine.scaler else None
                parts = {"loader": json.dumps(loader.state_dict()), "scaler": json.dumps(scaler)}
                more = {"step": step, "loss": loss, **parts}
                save_distributed(options.out / f"step-{step:08d}", engine.stage, engine.optimizer, mesh, **more)
                if FIRST:
                    prune(options.out, config.keep)
        log.end(step, stopped=step < config.steps)
        if end and engine.timeline is not None:
            write_timeline(options.out / "timeline.json", engine.timeline.events, begin, end)
    if step < config.steps:
        say(f"stopped after step {step:,} of {config.steps:,}, and saved: the same command goes on from there")
    elif loss is not None:
        say(f"validation loss {loss:.4f} nats a token")
    return int(step < config.steps and step != options.stop_after)


@contextlib.contextmanager
def log_of(folder: Path, config: Any, start: int) -> Iterator[Any]:
    """The log of the run: of the first process; the others have one in memory."""
    from stage05_training.run_log import RunLog

    if FIRST:
        with RunLog(folder, config, start=start) as log:
            yield log
    else:
        yield Silent()


def write_timeline(path: Path, events: Sequence[Any], begin: float, end: float) -> None:
    """What each process was busy with in the last step, in seconds from where it began.

    Processes of one machine have one clock; for those of several, it begins where each one began.
    """
    import torch.distributed as dist

    mine = [*map(tuple, events), ("rest", -1, events[-1].end, end)]
    told: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(told, (begin, mine))
    if not FIRST:
        return
    one_clock = os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE")
    first = min(each for each, _ in told)
    ranks = []
    for its, rows in told:
        zero = first if one_clock else its
        ranks.append([(kind, batch, begin - zero, end - zero) for kind, batch, begin, end in rows])
    write_text(path, json.dumps({"ranks": ranks}))


class Silent:
    """A log that nobody reads."""

    stop_asked = False

    def step(self, *_: Any, **__: Any) -> None: ...
    def evaluation(self, *_: Any, **__: Any) -> None: ...
    def end(self, *_: Any, **__: Any) -> None: ...


def newest(folder: Path) -> Path | None:
    """The newest checkpoint in a folder; it has its name only when it is whole."""
    return max(folder.glob("step-????????"), default=None)


def prune(folder: Path, keep: int) -> None:
    import shutil

    for old in sorted(folder.glob("step-????????"))[:-keep]:
        shutil.rmtree(old)


if __name__ == "__main__":
    sys.exit(main())
