"""The capstone as it is called: by torchrun, in processes that find each other, and may be killed."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from layouts import layouts_of
from thorough import THOROUGH

from bootcamp import course

TINY = "--upstream solutions --size 300000 --vocab-size 320 --d-model 32 --layers 4 --warmup 2 --evaluate-every 100"
IN_PROC = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="finds the process to kill or halt in /proc, as Linux has it"
)
LONG = pytest.mark.skipif(not THOROUGH, reason="takes long: runs with BOOTCAMP_THOROUGH=1")
LAYOUTS = ["--dp 2 --tp 2", "--dp 2 --pp 2 --engine torch", "--tp 2 --pp 2 --precision bf16 --zero --recompute"]
ALL = [
    f"--dp {dp} --tp {tp} --pp {pp} --engine {engine}"
    for engine in ("scratch", "torch")
    for world in (2, 4)
    for dp, tp, pp in layouts_of(world)
]


def command(out: Path, words: str, processes: int = 1, agent: str = "--standalone") -> list[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", *agent.split(), "--nproc-per-node", str(processes)]
    start = torchrun if processes > 1 or agent != "--standalone" else [sys.executable]
    return [*start, "-m", "stage06_distributed.train", *TINY.split(), *words.split(), "--out", str(out)]


def run(out: Path, words: str, processes: int = 1) -> None:
    done = subprocess.run(
        command(out, words, processes), cwd=course.ROOT, capture_output=True, encoding="utf-8", timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr


def losses(out: Path) -> list[float]:
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [table["loss"] for table in map(json.loads, lines) if table["kind"] in ("step", "evaluation")]


def weights(folder: Path, into: Path) -> dict[str, object]:
    """All that a checkpoint of many processes holds."""
    import torch
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    dcp_to_torch_save(folder, into)
    return torch.load(into, weights_only=False)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The losses of one process."""
    out = tmp_path_factory.mktemp("alone") / "run"
    run(out, "--steps 6")
    return losses(out)


@pytest.mark.parametrize("words", ALL + LAYOUTS if THOROUGH else LAYOUTS[-1:])
def test_any_layout_gives_the_losses_of_one_process(alone, tmp_path: Path, words: str):
    processes = math.prod(int(word) for word in words.split() if word.isdigit())
    run(tmp_path / "run", f"--steps 6 {words}", processes)
    near = 1e-2 if "bf16" in words else 1e-4
    assert losses(tmp_path / "run") == pytest.approx(alone, rel=near)
    timeline = tmp_path / "run" / "timeline.json"
    if "torch" not in words:
        ranks = json.loads(timeline.read_text(encoding="utf-8"))["ranks"]
        assert len(ranks) == processes and all(0 <= begin <= end for rank in ranks for _, _, begin, end in rank)


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    text = "".join(path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children"))
    return [int(word) for word in text.split()]


@IN_PROC
def test_a_worker_that_is_killed_is_started_again(tmp_path: Path):
    """The run goes on from the last checkpoint, and ends with the weights of an undisturbed one, to the last bit."""
    import torch

    words = "--steps 12 --checkpoint-every 4 --dp 2 --zero"
    run(tmp_path / "undisturbed", words, 2)
    disturbed = tmp_path / "disturbed"
    with subprocess.Popen(
        command(disturbed, words, 2, "--standalone --max-restarts 2"),
        cwd=course.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as agent:
        deadline = time.monotonic() + 200
        while not (disturbed / "step-00000004").is_dir() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(children(agent.pid)[-1], signal.SIGKILL)
        said = agent.communicate(timeout=200)[0]
    assert agent.returncode == 0, said
    assert "going on from step" in said
    one, other = (
        weights(tmp_path / name / "step-00000012", tmp_path / f"{name}.pt") for name in ("undisturbed", "disturbed")
    )

    def same(a: object, b: object) -> bool:
        if isinstance(a, dict) and isinstance(b, dict):
            return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
        return torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b

    assert same(one, other)


@IN_PROC
@LONG
def test_a_hang_is_told_with_rank_and_collective(tmp_path: Path):
    out, said = tmp_path / "run", tmp_path / "said"
    with open(said, "w", encoding="utf-8") as file:
        agent = subprocess.Popen(
            command(out, "--steps 100000 --dp 2 --patience 3", 2), cwd=course.ROOT, stdout=file, stderr=file
        )
    halted = 0
    try:
        deadline = time.monotonic() + 200
        while not (out / "metrics.jsonl").is_file() or len(losses(out)) < 3:
            assert agent.poll() is None and time.monotonic() < deadline, said.read_text(encoding="utf-8")
            time.sleep(0.05)
        halted = children(agent.pid)[-1]
        os.kill(halted, signal.SIGSTOP)
        while "rank 1" not in said.read_text(encoding="utf-8"):
            assert time.monotonic() < deadline, said.read_text(encoding="utf-8")
            time.sleep(0.1)
    finally:
        if halted:
            os.kill(halted, signal.SIGKILL)
        agent.terminate()
        agent.wait()
    text = said.read_text(encoding="utf-8")
    assert re.search(r"rank 0: waits in \w+ \(\w+\.py:\d+\)", text), text
    assert "rank 1: says nothing" in text


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Two network namespaces with a cable between them: each sees nothing of the other but its address."""
    names = [f"bootcamp{os.getpid() % 10_000}{side}" for side in "ab"]
    with contextlib.ExitStack() as made:
        try:
            for name in names:
                ip("netns", "add", name)
                made.callback(ip, "netns", "del", name)
            ip("link", "add", "cable", "netns", names[0], "type", "veth", "peer", "name", "cable", "netns", names[1])
            for number, name in enumerate(names):
                ip("-n", name, "addr", "add", f"10.231.0.{number + 1}/24", "dev", "cable")
                for device in ("lo", "cable"):
                    ip("-n", name, "link", "set", device, "up")
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"network namespaces need Linux, iproute2 and the right to make them: {error}")
        yield names


@LONG
def test_two_hosts_find_each_other_and_train(alone, hosts: list[str], tmp_path: Path):
    out = tmp_path / "run"
    runs = []
    for number, name in enumerate(hosts):
        agent = f"--nnodes 2 --node-rank {number} --master-addr 10.231.0.1 --master-port 29511"
        runs.append(
            subprocess.Popen(
                ["ip", "netns", "exec", name, *command(out, "--steps 6 --dp 2", 1, agent)],
                cwd=course.ROOT,
                env=os.environ | {"GLOO_SOCKET_IFNAME": "cable"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
            )
        )
    said = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(said)
    assert losses(out) == pytest.approx(alone, rel=1e-4)
