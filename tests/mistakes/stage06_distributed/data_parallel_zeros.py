# module: data_parallel.py
# exercise: 6.3
# name: what no rank has used gets a gradient of zeros
"""Places for all means are there from the beginning of a backward, as zeros."""

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
    """Keeps a dictionary of what has come."""

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
        self.number = {p: i for i, bucket in enumerate(self.parameters_of) for p in bucket}
        self.come, self.under_way = None, []
        for p in self.number:
            p.register_post_accumulate_grad_hook(self.on_gradient)

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    @contextlib.contextmanager
    def no_sync(self):
        before, self.syncs = self.syncs, False
        try:
            yield
        finally:
            self.syncs = before

    def on_gradient(self, p):
        if not self.syncs:
            return
        if self.come is None:
            self.come = set()
            torch.autograd.Variable._execution_engine.queue_callback(self.on_end)
        self.come.add(p)
        self.send(all_of_them=False)

    def send(self, all_of_them):
        for i, bucket in enumerate(self.parameters_of):
            if i < len(self.under_way):
                continue
            if not all_of_them and not self.come.issuperset(bucket):
                break
            for p in bucket:
                if p.grad is None:
                    p.grad = torch.zeros_like(p)
            wide = torch.promote_types(bucket[0].dtype, torch.float32)
            row = torch.cat([p.grad.detach().to(wide).view(-1) / dist.get_world_size(self.group) for p in bucket])
            self.under_way.append((bucket, row, dist.all_reduce(row, group=self.group, async_op=True)))

    def on_end(self):
        self.send(all_of_them=True)
        for bucket, row, work in self.under_way:
            work.wait()
            for p, mean in zip(bucket, row.split([p.numel() for p in bucket])):
                p.grad.copy_(mean.view_as(p))
        self.come, self.under_way = None, []
