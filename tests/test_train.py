"""`train` from end to end: it goes on where it was stopped, to the bit, and says what it cannot use."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from thorough import THOROUGH

from bootcamp import course

SMALL = ["--size", "60000", "--vocab-size", "300", "--layers", "2", "--d-model", "32", "--heads", "2"]
SMALL += ["--embedding-std", "0.1"]
SHORT = [
    "--context",
    "24",
    "--steps",
    "30",
    "--batch-size",
    "4",
    "--evaluate-every",
    "10",
    "--checkpoint-every",
    "7",
]


def start(out: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bootcamp", "--as-is", "train", "--upstream", "solutions", "--workers", "1"]
    env = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, "--device", "cpu", "--out", str(out), *SMALL, *SHORT, *words],
        cwd=course.ROOT,
        env=env,
        text=True,
        encoding="utf-8",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def train(out: Path, *words: str, code: int = 0) -> str:
    """Run it, hold it to its exit code, and give what it said."""
    run = start(out, *words)
    said, _ = run.communicate(timeout=300)
    assert run.returncode == code, said
    return said


def lines(out: Path, kind: str) -> list[dict]:
    text = (out / "metrics.jsonl").read_text(encoding="utf-8")
    return [line for line in map(json.loads, text.splitlines()) if line["kind"] == kind]


def weights(out: Path) -> dict:
    import torch

    newest = max(out.glob("step-*.ckpt"))
    content = newest.read_bytes().split(b"\n", 2)[2]
    import io

    return torch.load(io.BytesIO(content), weights_only=True)["model"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    said = train(out, "--dropout", "0.1")
    assert "above the floor" in said and "report.html" in said
    return out


def equal(one: Path, other: Path) -> bool:
    import torch

    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_run(whole: Path):
    """There is a line for each step, evaluations, samples, two checkpoints, and a page."""
    assert [line["step"] for line in lines(whole, "step")] == list(range(1, 31))
    losses = [line["loss"] for line in lines(whole, "evaluation")]
    assert len(losses) == 3 and losses[-1] < losses[0] < 6
    assert [len(line["texts"]) for line in lines(whole, "samples")] == [2, 2, 2]
    assert sorted(path.name for path in whole.glob("*.ckpt")) == ["step-00000028.ckpt", "step-00000030.ckpt"]
    page = (whole / "report.html").read_text(encoding="utf-8")
    assert "floor" in page and "<svg" in page and 'src="' not in page


def test_only_a_run_that_can_go_lower_is_told_to_go_on():
    from bootcamp import stages

    stages.use_reference()
    from bootcamp.training_report import advice
    from stage04_block.config import GPTConfig
    from stage05_training.config import TrainConfig

    steps = [{"loss": 4 - 3 * step / 100, "grad_norm": 0.5} for step in range(100)]
    config = TrainConfig(GPTConfig(10, 4, 8, 1, 1), steps=200)
    assert "will pay" in advice(config, steps, last=1.1, floor=0.5)
    assert "will pay" in advice(config, steps, last=1.1, floor=None)
    assert "will pay" not in advice(config, steps, last=1.1, floor=1.08)


@pytest.mark.parametrize("time_to_die", range(20 if THOROUGH else 2))
def test_killed_at_any_moment_it_ends_with_the_same_weights(whole: Path, tmp_path: Path, time_to_die: int):
    out, draw = tmp_path / "run", random.Random(time_to_die)
    after = draw.randrange(1, 29)
    run = start(out, "--dropout", "0.1")
    deadline = time.monotonic() + 200
    while run.poll() is None and time.monotonic() < deadline:
        with_lines = out / "metrics.jsonl"
        if with_lines.is_file() and with_lines.read_bytes().count(b'"kind": "step"') >= after:
            time.sleep(draw.random() * 0.03)
            run.kill()
            break
        time.sleep(0.005)
    run.communicate()
    (out / ".step-00000007.ckpt.1.part").write_bytes(b"half")  # as if it had been killed in the midst of saving
    train(out, "--dropout", "0.1")
    assert equal(whole, out)
    assert [line["step"] for line in lines(out, "step")] == list(range(1, 31))
    assert not list(out.glob("*.part"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_asked_to_stop_it_saves_and_goes_on(whole: Path, tmp_path: Path):
    out = tmp_path / "run"
    run = start(out, "--dropout", "0.1")
    while not (out / "metrics.jsonl").is_file() or len(lines(out, "step")) < 3:
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=200)
    assert run.returncode == 1 and "the same command goes on" in said, said
    train(out, "--dropout", "0.1")
    assert equal(whole, out)


def test_a_damaged_checkpoint_loses_nothing_older(whole: Path, tmp_path: Path):
    import shutil

    out = tmp_path / "run"
    shutil.copytree(whole, out)
    newest = max(out.glob("step-*.ckpt"))
    newest.write_bytes(newest.read_bytes()[:-5])
    train(out, "--dropout", "0.1")
    assert equal(whole, out)


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--corpus", "nowhere.txt"], "nowhere.txt"),
        (["--vocab-size", "100"], "257"),
        (["--context", "100000", "--batches", "windows"], "tokens"),
        (["--batch-size", "50000", "--batches", "windows"], "50000"),
        (["--batch-size", "100000"], "100000"),
        (["--position", "rotary"], "rotary"),
        (["--max-lr", "0"], "max_lr"),
        (["--warmup", "30"], "warmup"),
        (["--heads", "5"], "n_heads"),
    ],
    ids=str,
)
def test_what_it_cannot_use(tmp_path: Path, words: list[str], sentence: str):
    """One sentence, and no traceback."""
    said = train(tmp_path / "run", *words, code=2)
    assert sentence in said and "Traceback" not in said, said


def test_a_full_disk_is_a_sentence():
    from bootcamp.commands.train import sentences

    told = pytest.raises(course.CourseError, match="the disk is full; the checkpoints that are there are whole")
    with told, sentences():
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_in_the_way_and_other_settings(whole: Path, tmp_path: Path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "is a file" in train(tmp_path / "file", code=2)
    said = train(whole, "--max-lr", "0.1", code=2)
    assert "max_lr: 0.004 there, 0.1 now" in said and "dropout: 0.1 there, 0.0 now" in said


def test_whole_documents(tmp_path: Path):
    """Each document comes once an epoch, after a mark of its beginning, and a run goes on at the very batch."""
    from bootcamp import stages

    stages.use_reference()
    from stage04_block.config import GPTConfig
    from stage05_training.config import TrainConfig
    from stage05_training.data import Buckets, Data
    from stage05_training.loss import IGNORE
    from stage05_training.token_file import TokenFile, write_tokens

    texts = [[number % 9 + 1] * (number % 5 + 1) for number in range(37)]
    write_tokens(tmp_path / "t", iter([*text, 0] for text in texts), 10)
    tokens = TokenFile(tmp_path / "t")
    buckets = Buckets(tokens, 0, length=4, batch_size=5, seed=1)
    found = []
    for batch in (buckets[number] for number in range(len(buckets))):
        assert batch.waste < 0.5 and batch.ids.shape[1] <= 4
        for ids, targets in zip(batch.ids.tolist(), batch.targets.tolist()):
            found.append((ids[0], [each for each in targets if each != IGNORE]))
    pieces = [([0, *text, 0][at], [*text, 0][at : at + 4]) for text in texts for at in range(0, len(text) + 1, 4)]
    assert sorted(found) == sorted(pieces)
    with pytest.raises(ValueError, match=r"38 documents.* 37"):
        Buckets(tokens, 0, length=4, batch_size=38, seed=1)

    config = TrainConfig(GPTConfig(10, 4, 8, 1, 1), steps=200, batches="documents", batch_size=5, seed=3)
    data = Data(tokens, tokens, None, 0)  # type: ignore[arg-type] - no text is read
    one, other = data.loader(config), data.loader(config)
    for _ in range(11):
        next(one)
    other.load_state_dict(one.state_dict())
    for _ in range(20):
        first, second = next(one), next(other)
        assert first.ids.equal(second.ids) and first.targets.equal(second.targets)


def test_text_of_ones_own(tmp_path: Path):
    """Nothing, a little, and what is no text."""
    for name, content, sentence in (
        ("empty", b"", "empty"),
        ("tiny", b"a b", "tokens"),
        ("binary", bytes(range(256)) * 40, "UTF-8"),
    ):
        path = tmp_path / f"{name}.txt"
        path.write_bytes(content)
        said = train(tmp_path / "run", "--corpus", str(path), code=2)
        assert sentence in said and "Traceback" not in said, said
