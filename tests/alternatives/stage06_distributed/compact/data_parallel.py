"""A generator that lives for one backward: each gradient that arrives is sent into it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def buckets_of(parameters: list[nn.Parameter], limit: int) -> list[list[nn.Parameter]]:
    """Close a bucket before the one that would be too much."""
    closed: list[list[nn.Parameter]] = [[]]
    for p in parameters[::-1]:
        same = all((p.dtype, p.device) == (q.dtype, q.device) for q in closed[-1])
        if closed[-1] and not (same and sum(q.nbytes for q in [*closed[-1], p]) <= limit):
            closed.append([])
        closed[-1].append(p)
    return [bucket for bucket in closed if bucket]


def share_of(count: int, group: Any = None, device: torch.device | str = "cpu") -> float:
    """The count divided by the mean count."""
    mean = torch.full((1,), count, dtype=torch.float64, device=device)
    dist.all_reduce(mean, group=group)
    if not (mean := mean.item() / dist.get_world_size(group)):
        raise ValueError("no targets on any rank")
    return count / mean


class DataParallel(nn.Module):
    """What waits and what has left are local variables of `_backward`."""

    def __init__(self, module: nn.Module, group: Any = None, bucket_mb: float = 25.0) -> None:
        super().__init__()
        if not bucket_mb > 0:
            raise ValueError(f"not a size: bucket_mb={bucket_mb}")
        self.module, self.group, self.syncs = module, group, True
        self.running: Generator[None, Tensor | None, None] | None = None
        state: list[Tensor] = [*module.parameters(), *module.buffers()]
        for kind in dict.fromkeys(tensor.dtype for tensor in state):
            its = [tensor.detach() for tensor in state if tensor.dtype == kind]
            dist.broadcast(row := torch.cat([tensor.flatten() for tensor in its]), group_src=0, group=group)
            for tensor, part in zip(its, row.split([tensor.numel() for tensor in its])):
                tensor.copy_(part.view_as(tensor))
        trained = [p for p in module.parameters() if p.requires_grad]
        self.buckets = buckets_of(trained, int(bucket_mb * 2**20))
        for p in trained:
            p.register_post_accumulate_grad_hook(lambda p: self._take(p) if self.syncs else None)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        self.syncs, before = False, self.syncs
        try:
            yield
        finally:
            self.syncs = before

    def _take(self, p: Tensor | None) -> None:
        if self.running is None:
            self.running = self._backward()
            next(self.running)
            torch.autograd.Variable._execution_engine.queue_callback(lambda: self._take(None))
        with contextlib.suppress(StopIteration):
            self.running.send(p)

    def _backward(self) -> Generator[None, Tensor | None, None]:
        arrived, over, left = set(), False, []
        for bucket in self.buckets:
            while not over and not arrived.issuperset(bucket):
                p = yield
                over = p is None
                arrived.add(p)
            wide = torch.float64 if bucket[0].dtype == torch.float64 else torch.float32
            row = torch.zeros(len(bucket) + sum(p.numel() for p in bucket), dtype=wide, device=bucket[0].device)
            flags, *parts = row.split([len(bucket), *(p.numel() for p in bucket)])
            for i, (p, part) in enumerate(zip(bucket, parts)):
                if p.grad is not None:
                    flags[i] = 1
                    part.copy_(p.grad.flatten())
            left.append((bucket, flags, parts, dist.all_reduce(row, group=self.group, async_op=True)))
        while not over:
            over = (yield) is None
        for bucket, flags, parts, work in left:
            work.wait()
            for p, used, part in zip(bucket, flags.tolist(), parts):
                if used:
                    p.grad = torch.zeros_like(p) if p.grad is None else p.grad
                    p.grad.copy_(part.view_as(p) / dist.get_world_size(self.group))
        self.running = None
