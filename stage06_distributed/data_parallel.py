"""6.3 · Data parallelism: every process has the whole model and a part of the batch; they agree on the gradient.

Li et al.: PyTorch Distributed: Experiences on Accelerating Data Parallel Training (2020), section 3.
Letters: W processes of a group.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import ProcessGroup


def buckets_of(parameters: Sequence[nn.Parameter], limit: int) -> list[list[nn.Parameter]]:
    """Put parameters into buckets: from the last to the first, as backward comes to them, each bucket up to a limit.

    A bucket has parameters of one format on one device, and ends where the next parameter would take it over the
    limit; one that is larger than the limit has a bucket of its own. (Given.)

    Args:
        parameters: in the order of the model.
        limit: how many bytes the gradients of a bucket take at most.
    """
    buckets: list[list[nn.Parameter]] = []
    room, kind = 0, None
    for p in reversed(parameters):
        size = p.numel() * p.element_size()
        if not buckets or size > room or kind != (p.dtype, p.device):
            buckets.append([])
            room, kind = limit, (p.dtype, p.device)
        buckets[-1].append(p)
        room -= size
    return buckets


def share_of(count: int, group: ProcessGroup | None = None, device: torch.device | str = "cpu") -> float:
    """Say what to multiply the mean loss of this rank with, so that the mean over ranks is the mean over all targets.

        count · W / Σ over all ranks of count

    Ranks see texts of unequal length. The mean of their means would give a target more weight where there are few.

    Args:
        count: how many targets of this rank count; 0 for a rank that has nothing to read.
        group: whose ranks take part; None means all processes.
        device: where the group's messages lie.

    Raises:
        ValueError: no rank has any.

    With two processes, of which one has 3 targets and the other 1, the shares are 1.5 and 0.5; alone it is all:

    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> share_of(3)
    1.0
    >>> dist.destroy_process_group()
    """
    # TODO 6.3: all-reduce the counts
    raise NotImplementedError("6.3 share_of: all-reduce the counts; hint: python -m bootcamp hint 6.3")


class DataParallel(nn.Module):
    """Makes a model one of W copies that stay equal: after each backward all have the mean of the W gradients.

    When it is made, the weights and buffers of the first rank are written over those of the others, in whatever format
    and laid out however they are. It is called like the model that is in it.

    Gradients are summed up a bucket at a time, each with one message to `dist.all_reduce`, which is sent as soon as
    backward has come through all parameters of the bucket, and travels while backward goes on. Buckets are sent in
    their order, which is the same on all ranks. When backward returns, all have arrived: `grad` of each parameter is
    the mean over the ranks, in the format of the parameter. The sum of half formats is taken in float32, where it
    neither overflows nor loses digits.

    What one rank does not use another may: a parameter that this rank's loss does not depend on counts as one with a
    gradient of zeros, and gets the mean all the same. If no rank used it, its `grad` stays as it is: None. A loss
    depends on one parameter at least, on each rank; else nothing here would know of its backward.

    Args:
        module: the model; its parameters and buffers stay its own.
        group: whose ranks take part; None means all processes.
        bucket_mb: how many MiB of gradients travel together.

    Attributes:
        module: the model.
        syncs: whether backward ends with the mean; False within `no_sync`.

    Raises:
        ValueError: `bucket_mb` is not positive.
    """

    def __init__(self, module: nn.Module, group: ProcessGroup | None = None, bucket_mb: float = 25.0) -> None:
        super().__init__()
        if not bucket_mb > 0:
            raise ValueError(f"bucket_mb must be positive; got {bucket_mb}")
        self.module, self.group = module, group
        self.world_size = dist.get_world_size(group)
        self.syncs = True
        parameters = [p for p in module.parameters() if p.requires_grad]
        self.buckets = buckets_of(parameters, int(bucket_mb * 2**20))
        # TODO 6.3: broadcast what the first rank has; a hook on each parameter that its gradient is there
        raise NotImplementedError(
            "6.3 DataParallel.__init__: broadcast what the first rank has; a hook on each parameter that its gradient "
            "is there; "
            "hint: python -m bootcamp hint 6.3"
        )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model."""
        return self.module(*args, **kwargs)

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Within it, backward only adds to this rank's own gradients, and nothing is sent.

        To take a step from several batches, all but the last pass backward within it; the mean that the last one ends
        with is then that of the sums. What counts is where backward runs, wherever forward ran. (Given.)
        """
        before, self.syncs = self.syncs, False
        try:
            yield
        finally:
            self.syncs = before
