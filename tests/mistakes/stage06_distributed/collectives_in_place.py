# module: collectives.py
# exercise: 6.1
# name: what comes is added to x itself
"""Messages in turns; chunks are views of x, and what comes is added to them where they are."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def chunk_sizes(n, world):
    """⌈n / W⌉ each, as far as it goes."""
    return [len(range(n)[r * -(-n // world) : (r + 1) * -(-n // world)]) for r in range(world)]


def exchange(outgoing, to, incoming, source, group=None):
    """Even ranks send first, and odd ones receive first; in a ring of odd length one more waits, but not for ever."""
    send = lambda: outgoing.numel() and dist.send(outgoing, dist.get_global_rank(_g(group), to), group)  # noqa: E731
    take = lambda: incoming.numel() and dist.recv(incoming, dist.get_global_rank(_g(group), source), group)  # noqa: E731
    for each in (send, take) if dist.get_rank(group) % 2 == 0 else (take, send):
        each()


def _g(group):
    return dist.group.WORLD if group is None else group


def _around(parts, first, group, combine):
    """W - 1 times: send a part to the right, and combine the one before it with what comes from the left."""
    rank, world = dist.get_rank(group), dist.get_world_size(group)
    for part in range(first, first - world + 1, -1):
        came = torch.empty_like(parts[(part - 1) % world])
        exchange(parts[part % world].contiguous(), (rank + 1) % world, came, (rank - 1) % world, group)
        parts[(part - 1) % world] = combine(parts[(part - 1) % world], came)
    return parts


@torch.no_grad()
def reduce_scatter(x, group=None):
    """Sums that go round, each in a new tensor."""
    rank = dist.get_rank(group)
    parts = list(torch.split(x.detach().reshape(-1), chunk_sizes(x.numel(), dist.get_world_size(group))))
    return _around(parts, rank - 1, group, Tensor.add_)[rank].clone()


@torch.no_grad()
def all_gather(chunk, n, group=None):
    """Chunks that go round, each in place of an empty one."""
    rank, sizes = dist.get_rank(group), chunk_sizes(n, dist.get_world_size(group))
    if tuple(chunk.shape) != (sizes[rank],):
        raise ValueError(f"{tuple(chunk.shape)} in place of {sizes[rank]}")
    parts = [chunk.detach() if r == rank else chunk.new_empty(size) for r, size in enumerate(sizes)]
    return torch.cat(_around(parts, rank, group, lambda _, came: came))


@torch.no_grad()
def all_reduce(x, group=None):
    """In one line."""
    x.copy_(all_gather(reduce_scatter(x, group), x.numel(), group).view_as(x))
    return x


@torch.no_grad()
def broadcast(x, source=0, group=None):
    """Each takes it once, from who has its number less the highest bit, and then sends it to all higher bits."""
    world = dist.get_world_size(group)
    if source not in range(world):
        raise ValueError(f"there is no rank {source} of {world}, only up to {world - 1}")
    place = lambda number: dist.get_global_rank(_g(group), (number + source) % world)  # noqa: E731
    number = (dist.get_rank(group) - source) % world
    flat = x.reshape(-1).clone()
    if number:
        dist.recv(flat, place(number - (1 << number.bit_length() - 1)), group)
    for bit in range(number.bit_length(), world.bit_length()):
        if number + (1 << bit) < world:
            dist.send(flat, place(number + (1 << bit)), group)
    return x.copy_(flat.view_as(x))
