"""Each bucket is an object with a tensor that stays; which gradients are there goes in one message of its own."""

from __future__ import annotations

import contextlib

import torch
import torch.distributed as dist
from torch import nn


def buckets_of(parameters, limit):
    """From the last to the first, as long as they fit, format by format."""
    parameters = list(parameters)
    buckets = []
    while parameters:
        first = parameters.pop()
        bucket, size = [first], first.numel() * first.element_size()
        while parameters:
            after = parameters[-1]
            size += after.numel() * after.element_size()
            if size > limit or after.dtype != first.dtype or after.device != first.device:
                break
            bucket.append(parameters.pop())
        buckets.append(bucket)
    return buckets


def share_of(count, group=None, device="cpu"):
    """All ranks tell all others what they have."""
    mine = torch.tensor([count], device=device)
    all_counts = [torch.zeros_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(all_counts, mine, group=group)
    total = sum(int(each) for each in all_counts)
    if total == 0:
        raise ValueError("nobody has any targets")
    return count / (total / len(all_counts))


class Bucket:
    """Parameters whose gradients travel together, and the room that they travel in."""

    def __init__(self, parameters):
        self.parameters = parameters
        format = torch.float64 if parameters[0].dtype == torch.float64 else torch.float32
        self.room = torch.zeros(sum(p.numel() for p in parameters), dtype=format, device=parameters[0].device)
        self.ready = set()
        self.work = None

    def add(self, p):
        self.ready.add(id(p))

    def is_ready(self):
        return len(self.ready) == len(self.parameters)

    def send(self, group, world):
        start = 0
        for p in self.parameters:
            piece = self.room[start : start + p.numel()]
            if p.grad is None:
                piece.fill_(0.0)
            else:
                piece.copy_(p.grad.reshape(-1))
            start += p.numel()
        self.room /= world
        self.work = dist.all_reduce(self.room, op=dist.ReduceOp.SUM, group=group, async_op=True)

    def receive(self, used):
        if self.work is not None:
            self.work.wait()
        start = 0
        for p in self.parameters:
            mean = self.room[start : start + p.numel()].reshape(p.shape)
            start += p.numel()
            if id(p) in used:
                if p.grad is None:
                    p.grad = torch.zeros_like(p)
                p.grad.data[...] = mean.to(p.dtype)
        self.ready = set()
        self.work = None


class DataParallel(nn.Module):
    """Hooks on the nodes of the graph that add up gradients."""

    def __init__(self, module, group=None, bucket_mb=25.0):
        super().__init__()
        if not bucket_mb > 0:
            raise ValueError(f"bucket_mb is {bucket_mb}, which is not positive")
        self.module = module
        self.group = group
        self.syncs = True
        self.world_size = dist.get_world_size(group)
        first = 0 if group is None else dist.get_global_rank(group, 0)
        with torch.no_grad():
            for tensor in list(module.parameters()) + list(module.buffers()):
                copy = tensor.clone(memory_format=torch.contiguous_format)
                dist.broadcast(copy, first, group=group)
                tensor[...] = copy
        trained = [p for p in module.parameters() if p.requires_grad]
        self._buckets = [Bucket(bucket) for bucket in buckets_of(trained, int(bucket_mb * 1024 * 1024))]
        self._next = 0
        self._nodes = []  # or they would be gone
        for bucket in self._buckets:
            for p in bucket.parameters:
                node = p.view_as(p).grad_fn.next_functions[0][0]
                node.register_hook(self._hook_for(bucket, p))
                self._nodes.append(node)

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    @contextlib.contextmanager
    def no_sync(self):
        before = self.syncs
        self.syncs = False
        try:
            yield
        finally:
            self.syncs = before

    def _hook_for(self, bucket, p):
        def hook(*_):
            if self.syncs:
                if all(not each.ready for each in self._buckets):
                    torch.autograd.Variable._execution_engine.queue_callback(self._end)
                bucket.add(p)
                while self._next < len(self._buckets) and self._buckets[self._next].is_ready():
                    self._send_next()

        return hook

    def _send_next(self):
        self._buckets[self._next].send(self.group, self.world_size)
        self._next += 1

    def _end(self):
        while self._next < len(self._buckets):
            self._send_next()
        parameters = [p for bucket in self._buckets for p in bucket.parameters]
        used = torch.tensor([0 if p.grad is None else 1 for p in parameters], device=parameters[0].device)
        dist.all_reduce(used, op=dist.ReduceOp.MAX, group=self.group)
        some = {id(p) for p, its in zip(parameters, used.tolist()) if its}
        for bucket in self._buckets:
            bucket.receive(some)
        self._next = 0
