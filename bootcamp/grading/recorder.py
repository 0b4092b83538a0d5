"""What a rank sends and receives, written down beneath whatever way the learner's code takes to torch's process groups.

Every call of a process group passes through torch's dispatcher as an operator of the namespace c10d, so a dispatch mode
sees it, however it was imported; and whoever waits for one calls `Work.wait`.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode

from bootcamp.grading.worker import source_line

Work: Any = dist.distributed_c10d.Work
KINDS = {  # the operators, by the names of the functions that lead to them
    "allreduce_": "all_reduce",
    "allreduce_coalesced_": "all_reduce",
    "allgather_": "all_gather",
    "_allgather_base_": "all_gather",
    "allgather_into_tensor_coalesced_": "all_gather",
    "reduce_scatter_": "reduce_scatter",
    "_reduce_scatter_base_": "reduce_scatter",
    "reduce_scatter_tensor_coalesced_": "reduce_scatter",
    "broadcast_": "broadcast",
    "reduce_": "reduce",
    "gather_": "gather",
    "scatter_": "scatter",
    "alltoall_": "all_to_all",
    "alltoall_base_": "all_to_all",
    "send": "send",
    "recv_": "recv",
    "recv_any_source_": "recv",
    "barrier": "barrier",
}
WRITES_FIRST = ("allgather_", "_allgather_base_", "reduce_scatter_", "_reduce_scatter_base_", "alltoall_base_")


@dataclass(frozen=True)
class Message:
    """One thing that a rank asked of a process group."""

    kind: str  # as the function is called: "send", "recv", "all_reduce", "all_gather", …
    count: int  # how many numbers it gave; or for "recv", took
    bytes: int  # how many bytes these are
    peer: int  # the other rank of a "send" or "recv", among all; else -1
    group: str  # the name of the group
    line: str  # the learner's line
    during: str  # what the grader had said that goes on


class Recorder(TorchDispatchMode):
    """`with Recorder(folder) as recorder:` writes down what this thread asks of process groups."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = os.path.abspath(folder) + os.sep
        self.messages: list[Message] = []
        self.during = ""
        self.waiting = ""  # the learner's line that waits now
        self.thread = threading.get_ident()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: else torch imports its compiler, which takes seconds, and goes through it with every operation."""
        return False

    def __enter__(self) -> Any:
        self.really_wait = Work.wait

        def wait(work: Any, *rest: Any) -> Any:
            before, self.waiting = self.waiting, self.line(sys._getframe(1)) or "?"
            try:
                return self.really_wait(work, *rest)
            finally:
                self.waiting = before

        Work.wait = wait
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        Work.wait = self.really_wait
        super().__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "c10d":
            name = func._schema.name.partition("::")[2]
            given = args[1] if name in WRITES_FIRST else args[0]
            tensors = [each for each in _flat(given) if isinstance(each, torch.Tensor)]
            boxed = next((each for each in args if isinstance(each, torch.ScriptObject)), None)
            group: Any = None if boxed is None else dist.ProcessGroup.unbox(boxed)
            self.messages.append(
                Message(
                    KINDS.get(name, name),
                    sum(each.numel() for each in tensors),
                    sum(each.numel() * each.element_size() for each in tensors),
                    dist.get_global_rank(group, args[2]) if name in ("send", "recv_") else -1,
                    group.group_name if group else "",
                    self.line(sys._getframe(1)),
                    self.during,
                )
            )
        return func(*args, **(kwargs or {}))

    def line(self, frame: FrameType | None) -> str:
        """The innermost line of the learner's code that led here."""
        while frame is not None:
            file = frame.f_code.co_filename
            if os.path.abspath(file).startswith(self.folder):
                return source_line(file, frame.f_lineno, frame.f_code.co_name)
            frame = frame.f_back
        return ""

    def standing(self) -> dict[str, Any]:
        """Where the thread that entered is now, asked from another one."""
        at = self.line(sys._current_frames().get(self.thread))
        calls = [{"kind": each.kind, "peer": each.peer, "line": each.line} for each in self.messages]
        return {"calls": calls, "waiting": self.waiting, "at": at}


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [each for part in value for each in _flat(part)]
    return [value]
