# module: data_parallel.py
# exercise: 6.3
# name: nothing is sent before backward is over
"""One callback for each backward, and everything in it."""

import contextlib

import torch
import torch.distributed as dist
from torch import nn


def buckets_of(parameters, limit):
    """In reverse, up to a limit, each of one format."""
    buckets = []
    for p in reversed(parameters):
        its = buckets[-1] if buckets else []
        if not its or its[0].dtype != p.dtype or sum(q.nbytes for q in its) + p.nbytes > limit:
            buckets.append([])
        buckets[-1].append(p)
    return buckets


def share_of(count, group=None, device="cpu"):
    """Counts in float64."""
    total = torch.tensor(float(count), dtype=torch.float64, device=device)
    dist.all_reduce(total, group=group)
    if total.item() == 0:
        raise ValueError("no targets")
    return count / total.item() * dist.get_world_size(group)


class DataParallel(nn.Module):
    """Has one hook for all parameters."""

    def __init__(self, module, group=None, bucket_mb=25.0):
        super().__init__()
        if not bucket_mb > 0:
            raise ValueError(f"bucket_mb={bucket_mb}")
        self.module, self.group, self.syncs = module, group, True
        for tensor in [p.data for p in module.parameters()] + [b.data for b in module.buffers()]:
            copy = tensor.clone(memory_format=torch.contiguous_format)
            dist.broadcast(copy, group=group, group_src=0)
            tensor.copy_(copy)
        self.parameters_of = buckets_of([p for p in module.parameters() if p.requires_grad], int(bucket_mb * 2**20))
        self.called = False
        for bucket in self.parameters_of:
            for p in bucket:
                p.register_hook(self.hook)

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    @contextlib.contextmanager
    def no_sync(self):
        before, self.syncs = self.syncs, False
        try:
            yield
        finally:
            self.syncs = before

    def hook(self, grad):
        if self.syncs and not self.called:
            self.called = True
            torch.autograd.Variable._execution_engine.queue_callback(self.at_the_end)
        return grad

    def at_the_end(self):
        self.called = False
        everything = [p for bucket in self.parameters_of for p in bucket]
        there = torch.tensor([0.0 if p.grad is None else 1.0 for p in everything])
        work = dist.all_reduce(there, group=self.group, async_op=True)
        rows = []
        for bucket in self.parameters_of:
            kind = torch.float64 if bucket[0].dtype == torch.float64 else torch.float32
            grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
            rows.append(torch.cat([g.reshape(-1).to(kind) for g in grads]))
        works = [dist.all_reduce(row, group=self.group, async_op=True) for row in rows]
        work.wait()
        used = dict(zip(everything, there.tolist()))
        for bucket, row, work in zip(self.parameters_of, rows, works):
            work.wait()
            row = row / dist.get_world_size(self.group)
            for p in bucket:
                mean, row = row[: p.numel()], row[p.numel() :]
                if used[p]:
                    p.grad = mean.reshape(p.shape).to(p.dtype)
