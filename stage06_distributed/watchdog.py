"""Who keeps the others waiting: a thread beside training that speaks up when a step takes too long. (Given.)"""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
import threading
import time
from types import FrameType

import torch.distributed as dist

# The numbers that torch gives the messages of a group.
KINDS = {0: "broadcast", 1: "all_reduce", 4: "all_gather", 5: "all_gather", 9: "reduce_scatter", 12: "send", 13: "recv"}
HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Watchdog:
    """`with Watchdog(seconds) as watchdog:` says where each process stands if none has called `alive` for so long.

    Each process tells the others through the store that they found each other by; the first one writes it to standard
    error: in which collective of torch a process waits, at which line of this stage; or which line it is busy with.

    Args:
        patience: in seconds.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.step = 0
        self._last = time.monotonic()
        self._over = threading.Event()
        self._watched = threading.get_ident()

    def __enter__(self) -> Watchdog:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def alive(self, step: int) -> None:
        """A step has been taken."""
        self.step, self._last = step, time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(min(self.patience / 4, 5.0)):
            if time.monotonic() - self._last > self.patience:
                self._tell()
                self._last = time.monotonic()

    def _tell(self) -> None:
        store, rank = dist.distributed_c10d._get_default_store(), dist.get_rank()
        key = f"watchdog/{self.step}"
        with contextlib.suppress(RuntimeError):
            store.set(f"{key}/{rank}", standing(sys._current_frames().get(self._watched)))
            if rank:
                return
            time.sleep(self.patience / 2)  # the others run out of patience too
            lines = [f"no process has finished step {self.step + 1} for {self.patience:.0f} s:"]
            for other in range(dist.get_world_size()):
                known = store.check([f"{key}/{other}"])
                lines.append(f"  rank {other}: {store.get(f'{key}/{other}').decode() if known else 'says nothing'}")
            print("\n".join(lines), file=sys.stderr, flush=True)


def standing(frame: FrameType | None) -> str:
    """Say in words where a thread is: the innermost line of this stage, and the collective that it waits in."""
    collective = ""
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if file.endswith("distributed_c10d.py") and not name.startswith("_"):
            collective = name
        if os.path.abspath(file).startswith(HERE):
            place = f"{os.path.basename(file)}:{frame.f_lineno}"
            line = linecache.getline(file, frame.f_lineno)
            if not collective and ".wait()" in line:  # for a message that was sent before: which, its handle knows
                handles = [each for each in frame.f_locals.values() if isinstance(each, dist.Work)]
                kinds = [KINDS.get(int(each._get_op_type()), "") for each in handles]  # type: ignore[attr-defined]
                collective = next(filter(None, kinds), "a message")
            return f"waits in {collective} ({place})" if collective else f"is at {place} in {name}"
        frame = frame.f_back
    return "is in no line of this stage"
