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
    # BEGIN SOLUTION 6.3: all-reduce the counts
    total = torch.tensor(count, dtype=torch.int64, device=device)
    dist.all_reduce(total, group=group)
    if not total:
        raise ValueError("a step needs targets that count; no rank has any")
    return count * dist.get_world_size(group) / total.item()
    # END SOLUTION


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
        # BEGIN SOLUTION 6.3: broadcast what the first rank has; a hook on each parameter that its gradient is there
        for tensor in [*module.parameters(), *module.buffers()]:
            content = tensor.detach().contiguous()  # the tensor itself, or a copy if it has gaps
            dist.broadcast(content, group=group, group_src=0)
            tensor.detach().copy_(content)
        self._bucket_of = {p: number for number, bucket in enumerate(self.buckets) for p in bucket}
        self._reset()
        for p in parameters:
            p.register_post_accumulate_grad_hook(self._arrived)
        # END SOLUTION

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

    # BEGIN SOLUTION 6.3
    def _reset(self) -> None:
        self._missing = [len(bucket) for bucket in self.buckets]  # how many gradients each bucket still waits for
        self._sent: list[tuple[Tensor, dist.Work | None]] = []
        self._begun = False

    def _arrived(self, p: Tensor) -> None:
        """Backward has come through a parameter, and its gradient is there."""
        if not self.syncs:
            return
        if not self._begun:  # the first one of this backward: be called when it ends
            self._begun = True
            torch.autograd.Variable._execution_engine.queue_callback(self._finish)
        self._missing[self._bucket_of[p]] -= 1  # type: ignore[index] - a leaf is the parameter itself
        while len(self._sent) < len(self.buckets) and self._missing[len(self._sent)] == 0:
            self._send()

    def _send(self) -> None:
        """Send the next bucket: all gradients in a row, zeros where there is none, and behind them which are there."""
        bucket = self.buckets[len(self._sent)]
        wide = torch.promote_types(bucket[0].dtype, torch.float32)
        parts = [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in bucket]
        there = torch.tensor([p.grad is not None for p in bucket], device=bucket[0].device)
        flat = torch.cat([*(part.to(wide) for part in parts), there.to(wide)])
        self._sent.append((flat, dist.all_reduce(flat, group=self.group, async_op=True)))

    def _finish(self) -> None:
        """Send what has waited for parameters that nobody came through; wait for all; put the means in their places."""
        while len(self._sent) < len(self.buckets):
            self._send()
        for bucket, (flat, work) in zip(self.buckets, self._sent):
            if work is not None:
                work.wait()
            *means, there = flat.div_(self.world_size).split([*(p.numel() for p in bucket), len(bucket)])
            for p, mean, used in zip(bucket, means, there.tolist()):
                if not used:
                    continue
                if p.grad is None:
                    p.grad = torch.empty_like(p)
                p.grad.copy_(mean.view(p.shape))
        self._reset()

    # END SOLUTION
