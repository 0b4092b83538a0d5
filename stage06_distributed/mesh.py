"""Who takes part in a run: processes, their groups, and their devices. (Given; nothing to write here.)

Letters: W processes; dp · pp · tp = W.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous


@dataclass(frozen=True)
class Layout:
    """How W processes share the work.

    Args:
        dp: how many copies of the model there are, each of which reads a part of the batch.
        tp: how many processes share each matrix.
        pp: how many stages the layers are cut into.

    Raises:
        ValueError: a number is not positive (it is named).

    >>> Layout(dp=2, tp=2).world
    4
    """

    dp: int = 1
    tp: int = 1
    pp: int = 1

    def __post_init__(self) -> None:
        for name in ("dp", "tp", "pp"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")

    @property
    def world(self) -> int:
        return self.dp * self.tp * self.pp


@dataclass(frozen=True)
class Mesh:
    """The place of this process among all.

    Processes that share matrices have neighbouring ranks, since they talk most, and those on one machine do it fastest:
    rank = (dp_rank · pp + pp_rank) · tp + tp_rank.

    Attributes:
        layout: how many there are of each.
        devices: torch's own mesh, with the dimensions "dp", "pp" and "tp".
        device: where this process computes.
    """

    layout: Layout
    devices: DeviceMesh
    device: torch.device

    def group(self, name: str) -> ProcessGroup:
        """The processes that differ from this one in "dp", "pp" or "tp" alone."""
        return self.devices.get_group(name)

    def rank(self, name: str) -> int:
        """The place of this process among those."""
        return self.devices.get_local_rank(name)


def make_mesh(layout: Layout, device: torch.device | str = "cpu") -> Mesh:
    """Make the mesh of processes that have found each other already; all of them call it."""
    device = torch.device(device)
    shape = (layout.dp, layout.pp, layout.tp)
    return Mesh(layout, init_device_mesh(device.type, shape, mesh_dim_names=("dp", "pp", "tp")), device)


def number_of_start(store: Any, rank: int, world: int, seconds: float = 600.0) -> int:
    """Agree on how many times the processes of a run have been started.

    torchrun starts them again at the same store, in which the addresses of those that are gone still stand, so each
    start needs names of its own there. No process knows by itself which start it is; the first one counts. Each other
    asks under a name that nobody has had before, so what it is answered is about this start.
    """
    if rank:
        name = uuid.uuid4().hex
        store.set(f"asks {rank}", name)
        store.wait([f"answer to {name}"], timedelta(seconds=seconds))
        start = int(store.get(f"answer to {name}"))
        store.set(f"heard {start} {rank}", "")
        return start
    start = store.add("starts", 1)
    waiting = set(range(1, world))
    deadline = time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        for other in sorted(waiting):
            if store.check([f"asks {other}"]):  # it may be one from before; this one's question will stand there soon
                store.set(f"answer to {store.get(f'asks {other}').decode()}", str(start))
            if store.check([f"heard {start} {other}"]):
                waiting.discard(other)
        time.sleep(0.02)
    if waiting:
        raise TimeoutError(f"process {min(waiting)} of {world} has not come within {seconds:.0f} s")
    return start


@contextlib.contextmanager
def open_mesh(layout: Layout, device: str | None = None) -> Iterator[Mesh]:
    """Find the other processes of a run, and leave them at the end.

    `torchrun` says in the environment who is there; without it, this process is alone. Messages travel over NCCL where
    each process has a GPU of its own, else over gloo.

    Args:
        layout: its `world` is the number of processes.
        device: "cpu" or "cuda"; None takes CUDA if this machine has as many GPUs as processes of the run.

    Raises:
        ValueError: the layout is for another number of processes (both are named).
    """
    world, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_RANK", 0))
    if layout.world != world:
        raise ValueError(
            f"dp · tp · pp must be the number of processes, {world}; got {layout.dp} · {layout.tp} · {layout.pp}"
        )
    enough = torch.cuda.device_count() >= int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    kind = device or ("cuda" if enough and torch.cuda.is_available() else "cpu")
    where = torch.device(kind, local) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(where)
    backend = "nccl" if kind == "cuda" else "gloo"
    if "WORLD_SIZE" in os.environ:
        store, rank, world = next(rendezvous("env://"))
        store = PrefixStore(f"start {number_of_start(store, rank, world)}", store)
    else:
        store, rank = dist.HashStore(), 0  # type: ignore[reportPrivateImportUsage] - torch documents it
    dist.init_process_group(backend, store=store, rank=rank, world_size=world)
    try:
        yield make_mesh(layout, where)
    finally:
        dist.destroy_process_group()
