# module: collectives.py
# exercise: 6.1
# name: torch's all_reduce is called, and what it gives is handed on: None
"""Padded chunks; and for the sum, what torch has."""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
from torch import Tensor


def chunk_sizes(n: int, world: int) -> list[int]:
    """Deal out rounded-up shares."""
    sizes = []
    for _ in range(world):
        sizes.append(min(math.ceil(n / world), n - sum(sizes)))
    return sizes


def exchange(outgoing, to, incoming, source, group=None):
    """Begin to receive, then send, then wait."""
    coming = dist.irecv(incoming, group=group, group_src=source)
    dist.send(outgoing, group=group, group_dst=to)
    coming.wait()


def reduce_scatter(x: Tensor, group=None) -> Tensor:
    """A table of W rows, filled up with zeros; rows go round and get larger."""
    me, world = dist.get_rank(group), dist.get_world_size(group)
    sizes = chunk_sizes(x.numel(), world)
    table = torch.zeros(world, sizes[0], dtype=x.dtype, device=x.device)
    table.view(-1)[: x.numel()] = x.detach().reshape(-1)
    travelling = table[me - 1]
    for i in range(2, world + 1):
        arrived = torch.empty_like(travelling)
        if sizes[0]:
            exchange(travelling, (me + 1) % world, arrived, (me - 1) % world, group)
        travelling = table[(me - i) % world] + arrived
    return travelling[: sizes[me]].clone()


def all_gather(chunk: Tensor, n: int, group=None) -> Tensor:
    """A list of chunks by rank, each as long as the longest, cut at the end."""
    me, world = dist.get_rank(group), dist.get_world_size(group)
    sizes = chunk_sizes(n, world)
    if list(chunk.shape) != [sizes[me]]:
        raise ValueError(f"not {sizes[me]} numbers: {tuple(chunk.shape)}")
    found: dict[int, Tensor] = {}
    last = torch.zeros(sizes[0], dtype=chunk.dtype, device=chunk.device)
    last[: sizes[me]] = chunk.detach()
    found[me] = last
    for i in range(1, world):
        new = torch.empty_like(last)
        if sizes[0]:
            exchange(last, (me + 1) % world, new, (me + world - 1) % world, group)
        last = found[(me - i) % world] = new
    return torch.cat([found[rank][: sizes[rank]] for rank in range(world)])


def all_reduce(x: Tensor, group=None) -> Tensor:
    """The two, and back into x.data."""
    x = dist.all_reduce(x.data, dist.ReduceOp.SUM, group)  # type: ignore[assignment]
    return x


def broadcast(x: Tensor, source: int = 0, group=None) -> Tensor:
    """The ranks in a line that begins at the source; who is in the first half of what is known sends."""
    me, world = dist.get_rank(group), dist.get_world_size(group)
    if source < 0 or source >= world:
        raise ValueError(f"rank {source} is not one of 0 to {world - 1}")
    line = [*range(source, world), *range(source)]
    place = line.index(me)
    buffer = x.detach().clone(memory_format=torch.contiguous_format)
    for step in range(math.ceil(math.log2(world))):
        known = 2**step
        partner = place + known if place < known else place - known
        if place < known and partner < world:
            dist.isend(buffer, group=group, group_dst=line[partner]).wait()
        if known <= place < 2 * known:
            dist.irecv(buffer, group=group, group_src=line[partner]).wait()
    if me != source:
        x.data.copy_(buffer)
    return x
