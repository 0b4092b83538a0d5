"""Real processes for graders: ranks that find each other, are watched from outside, and leave nothing behind.

    results = on_ranks(3, body, 5)        # body(rank, 5) in three processes of a gloo group; results by rank

What goes wrong in a rank comes out of `on_ranks` as if it had gone wrong here, with the rank it came from. Ranks that
wait for each other for ever are ended, and the error says who waits where for whom. What a rank sends and receives is
written down: see `traffic`.

The ranks are forked from this process, which has torch in memory already, where that is safe; else they are started
anew. They stay in its process group, so whoever ends that ends them too.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import pickle
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootcamp import stages
from bootcamp.grading import check, worker
from bootcamp.grading.process import last_line_within
from bootcamp.grading.results import Failure

if TYPE_CHECKING:
    from bootcamp.grading.recorder import Message, Recorder

SECONDS = 20.0  # that ranks may take together
STILL = 3.0  # seconds after which ranks that all wait, and send nothing, wait for ever
ROUND = 0.5  # seconds between two times that they are asked
LAST_WORDS = 0.5  # seconds for the others to say what happened to them, once one has failed
DEATH = 5.0  # seconds between the last that is heard of a process and its exit code, at most
STAGE = "stage06_distributed"
PAIRS = ("send", "recv")
GONE = "gloo/transport"  # is named in the error of a message whose other end has died
TOO_LONG = re.compile(r"op\.preamble\.length <= op\.nbytes\. (\d+) vs (\d+)")  # with this, gloo ends the process


class RankFailed(AssertionError):
    """What went wrong in a rank, said in its own words."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def on_ranks(world: int, body: Callable[..., Any], *args: Any, seconds: float = SECONDS) -> list[Any]:
    """Run `body(rank, *args)` in `world` processes at once, and give what they return, by rank.

    `torch.distributed` is set up in each, over gloo, and each begins with a seed of its own.

    Raises:
        RankFailed: a rank raised, died, or waited too long; the first that did, if there are several.
    """
    folder = stages.current()[STAGE].folder
    with tempfile.TemporaryDirectory(prefix="ranks-") as scratch:
        context: Any = multiprocessing.get_context(_start_method())
        pipes = [context.Pipe() for _ in range(world)]
        near = [pipe for pipe, _ in pipes]
        processes = [
            context.Process(target=_rank, args=(rank, world, scratch, folder, pipes[rank][1], body, args), daemon=True)
            for rank in range(world)
        ]
        try:
            for process, (_, far) in zip(processes, pipes):
                process.start()
                far.close()
            watch = _Watch(near, processes)
            watch.listen(seconds)
            failure = watch.judge(Path(scratch), folder)
        finally:
            begun = [process for process in processes if process.pid is not None]
            for process in begun:
                process.kill()
            for process in begun:
                process.join()
            for pipe in near:
                pipe.close()
    said = watch.said
    for rank, each in enumerate(said):
        if each:
            check.observed.extend(each["observed"])
            if each["output"]:
                print(f"rank {rank}: {each['output']}")
    if failure:
        raise RankFailed(failure)
    return [each["result"] for each in said if each]


def traffic() -> list[Message]:
    """What this rank has sent and received so far, in order. To be asked within a rank."""
    assert _recorder is not None, "traffic() is for the ranks of on_ranks"
    return list(_recorder.messages)


@contextlib.contextmanager
def during(what: str) -> Iterator[None]:
    """`with during("backward"):` has the messages of this rank within it say so."""
    assert _recorder is not None, "during() is for the ranks of on_ranks"
    before, _recorder.during = _recorder.during, what
    try:
        yield
    finally:
        _recorder.during = before


# -- outside -----------------------------------------------------------------------------------------------------


def _start_method() -> str:
    """Fork where that is safe: on Linux, as long as this process has not begun to use a GPU."""
    torch = sys.modules.get("torch")
    return "spawn" if sys.platform != "linux" or (torch and torch.cuda.is_initialized()) else "fork"


def _warm() -> None:
    """Import here, once, what each rank would import for itself: an optimizer imports torch's compiler, in seconds."""
    import torch

    from bootcamp.grading.recorder import Recorder

    torch.optim.SGD([torch.zeros(1)]).zero_grad()
    with Recorder(""):
        torch.ones(1).add_(1)


if _start_method() == "fork" and multiprocessing.parent_process() is None:
    _warm()  # when graders are collected, and not on the time of the first test


class _Watch:
    """What is known of the ranks from outside.

    Attributes:
        said: what each rank has said at its end; None from those that have not.
        standing: where each rank was when it last told (see `Recorder.standing`).
        seconds: how long they were watched.
    """

    def __init__(self, pipes: Sequence[Any], processes: Sequence[Any]) -> None:
        self.pipes, self.processes = pipes, processes
        self.said: list[dict[str, Any] | None] = [None] * len(pipes)
        self.standing: list[dict[str, Any]] = [{"calls": [], "waiting": "", "at": ""} for _ in pipes]
        self.seconds = 0.0
        self._running = set(range(len(pipes)))
        self._asked: set[int] = set()  # who has not answered yet
        self._still = 0  # how many times in a row all have answered that they wait where they waited before

    def listen(self, seconds: float) -> None:
        """Hear the ranks, until all have ended, or one has failed, or all wait for ever, or time is up."""
        start = time.monotonic()
        deadline = start + seconds
        while self._running and (now := time.monotonic()) < deadline:
            # A pipe alone does not tell that a rank has died: those forked before it hold its other end as well.
            ends = [end for rank in self._running for end in (self.pipes[rank], self.processes[rank].sentinel)]
            ready = wait(ends, min(deadline - now, ROUND))
            for rank in list(self._running):
                if self.pipes[rank] in ready:
                    self._hear(rank)
                elif self.processes[rank].sentinel in ready:
                    self._running.discard(rank)
                    self._asked.discard(rank)
                    self.processes[rank].join(DEATH)
                else:
                    continue
                said = self.said[rank]
                if rank not in self._running and (said is None or said["failure"]):
                    deadline = min(deadline, time.monotonic() + LAST_WORDS)
            if not ready and not self._asked:
                if self._still > STILL / ROUND:  # counted, not timed: the whole machine may have stood still
                    break
                self._still += 1
                for rank in self._running:
                    self._asked.add(rank)
                    with contextlib.suppress(OSError):  # it has just died: the next round finds that out
                        self.pipes[rank].send_bytes(b"where are you?")
        self.seconds = time.monotonic() - start

    def _hear(self, rank: int) -> None:
        """Take what a rank says: where it is, or how it has ended; or find that it has died."""
        self._asked.discard(rank)
        try:
            message = pickle.loads(self.pipes[rank].recv_bytes())
        except (EOFError, OSError):
            message = None
            self.processes[rank].join(DEATH)
        place = message and message["standing"]
        if message is None or "failure" in message:
            self._running.discard(rank)
            self.said[rank] = message
        if place is None or not place["waiting"] or place != self.standing[rank]:
            self._still = 0
        self.standing[rank] = place or self.standing[rank]

    def judge(self, scratch: Path, folder: str) -> Failure | None:
        """Say what went wrong, if anything did."""
        world = len(self.said)
        silent = [process for said, process in zip(self.said, self.processes) if said is None]
        if silent and any(each and each["failure"] and GONE in each["failure"]["message"] for each in self.said):
            ready = wait([process.sentinel for process in silent], DEATH)
            for process in silent:
                process.join(DEATH if process.sentinel in ready else 0)
        for rank, process in enumerate(self.processes):  # first: once one is gone, the others' messages fail
            if self.said[rank] is None and process.exitcode is not None:
                trace, words = (
                    (scratch / f"{name}{rank}").read_text(encoding="utf-8", errors="replace")
                    for name in ("trace", "stderr")
                )
                for each in self.said:
                    if each and each["failure"]:
                        each["observed"].clear()  # its messages may have failed because this one is gone
                return how_it_died(f"rank {rank} of {world}", process.exitcode, last_line_within(trace, folder), words)
        failed = [
            (each["at"], rank, each["failure"]) for rank, each in enumerate(self.said) if each and each["failure"]
        ]
        if failed:
            _, rank, facts = min(failed, key=lambda each: each[:2])
            failure = Failure(**facts)
            if failure.kind != "todo":
                failure.message = f"on rank {rank} of {world}: {failure.message}"
            return failure
        if all(self.said):
            return None
        return who_waits([each is not None for each in self.said], self.standing, self.seconds)


def how_it_died(rank: str, code: int, line: str, words: str) -> Failure:
    """Say what ended a rank that had no time to say it.

    Args:
        rank: which, in words.
        code: its exit code, or the number of a signal, with a minus.
        line: where it was.
        words: what it wrote to stderr itself, past Python.
    """
    if sizes := TOO_LONG.search(words):
        came, awaited = sizes.groups()
        message = f"{rank} awaited a message of at most {awaited} bytes, and one of {came} came"
        why = "Messages have no names: the first that is sent to a rank is taken for the first that it awaits. Either "
        why += "the two ranks do not agree how long this one is, or they are in different places of the program."
        return Failure("error", message, line=line, why=why)
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Failure("crash" if code < 0 else "exit", f"{rank} ended with {how}", line=line, output=words[-1000:])


def who_waits(ended: Sequence[bool], standing: Sequence[dict[str, Any]], seconds: float) -> Failure:
    """Find the rank that the others wait for.

    Args:
        ended: which ranks have ended, and not badly.
        standing: what `Recorder.standing` tells of each.
        seconds: how long they had.
    """
    waiting = {
        rank: each["calls"][-1]
        for rank, each in enumerate(standing)
        if not ended[rank] and each["waiting"] and each["calls"]
    }
    if not waiting:
        rank = ended.index(False)
        message = f"rank {rank} was stopped after {seconds:.0f} s: an endless loop, or far too many steps"
        return Failure("timeout", message, line=standing[rank]["at"])

    def number(rank: int) -> int:
        """How many collectives a rank has entered."""
        return sum(call["kind"] not in PAIRS for call in standing[rank]["calls"])

    def where(rank: int) -> str:
        if ended[rank]:
            return f"rank {rank} has ended"
        state = standing[rank]
        return f"rank {rank} {'waits' if state['waiting'] else 'is'} at {state['waiting'] or state['at'] or '?'}"

    first = min(waiting, key=lambda rank: (waiting[rank]["kind"] in PAIRS, number(rank)))
    call = waiting[first]
    place = call["line"].split(" ")[0].rstrip(":") or "where the grader calls"
    if call["kind"] in PAIRS:
        seen = []
        while first in waiting and waiting[first]["kind"] in PAIRS and first not in seen:  # who waits for one who waits
            seen.append(first)
            call, first = waiting[first], waiting[first]["peer"]
        place = call["line"].split(" ")[0].rstrip(":") or "where the grader calls"
        message = f"rank {seen[-1]} waits for ever in {call['kind']} for rank {first} ({place})"
        return Failure("deadlock", message, line=call["line"], got=where(first))
    absent = [rank for rank in range(len(ended)) if number(rank) < number(first)]
    if absent:
        message = f"rank {absent[0]} never entered {call['kind']} ({place}), where rank {first} waits"
        return Failure("deadlock", message, line=call["line"], got=where(absent[0]))
    message = "the ranks wait for each other in different places"
    return Failure("deadlock", message, line=call["line"], got="; ".join(where(rank) for rank in range(len(ended))))


# -- inside ------------------------------------------------------------------------------------------------------

_recorder: Recorder | None = None


def _rank(
    rank: int, world: int, scratch: str, folder: str, pipe: Any, body: Callable[..., Any], args: Sequence[Any]
) -> None:
    """What a rank does: set up, run, say what came of it, and wait to be ended."""
    global _recorder
    # The watchdog of the worker's test is not here: a fork takes no threads along. To cancel it would wait for it.
    faulthandler.enable(open(os.path.join(scratch, f"trace{rank}"), "w", encoding="utf-8"))
    os.dup2(os.open(os.path.join(scratch, f"stderr{rank}"), os.O_WRONLY | os.O_CREAT), 2)  # what C++ says at its end
    import torch
    import torch.distributed as dist

    from bootcamp.grading.recorder import Recorder

    torch.set_num_threads(1)
    output = worker.Output()
    sys.stdout = sys.stderr = output  # type: ignore[assignment]
    check.observed.clear()
    _recorder = Recorder(folder)
    lock = threading.Lock()  # two threads speak through one pipe: their messages must not mix
    threading.Thread(target=_answer, args=(pipe, lock, _recorder), daemon=True).start()
    failure, result = None, None
    try:
        dist.init_process_group("gloo", Path(scratch, "store").as_uri(), rank=rank, world_size=world)
        torch.manual_seed(1000 + rank)
        with _recorder:
            result = body(rank, *args)
    except BaseException as error:
        failure = worker.explain(error, folder)
        if failure.kind != "wrong":
            check.observed.append([failure.kind, type(error).__name__])
    said = {
        "at": time.monotonic(),
        "result": None if failure else result,
        "failure": failure and asdict(failure),
        "observed": list(check.observed),
        "output": output.text(),
        "standing": _recorder.standing(),
    }
    message = pickle.dumps(said)
    with lock:
        pipe.send_bytes(message)
    time.sleep(3600)  # its connections stay open, so that nobody fails because this rank was faster; it is ended


def _answer(pipe: Any, lock: threading.Lock, recorder: Recorder) -> None:
    """Say where the rank is whenever it is asked."""
    try:
        while pipe.recv_bytes():
            message = pickle.dumps({"standing": recorder.standing()})
            with lock:
                pipe.send_bytes(message)
    except (EOFError, OSError):
        pass
