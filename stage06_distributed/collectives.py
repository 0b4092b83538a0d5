"""6.1 · Collectives: what many processes do together, made of messages between two.

Patarasuk and Yuan: Bandwidth Optimal All-reduce Algorithms for Clusters of Workstations (2009).
Letters: W processes of a group, n numbers; the rank of a process is its place in the group, from 0 to W - 1.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import ProcessGroup


def chunk_sizes(n: int, world: int) -> list[int]:
    """Share n numbers out among the ranks of a group: ⌈n / W⌉ for each, until there are none left. (Given.)

    >>> chunk_sizes(10, 4), chunk_sizes(5, 4)
    ([3, 3, 3, 1], [2, 2, 1, 0])
    """
    size = -(-n // world)  # rounded up
    return [max(0, min(size, n - rank * size)) for rank in range(world)]


def exchange(outgoing: Tensor, to: int, incoming: Tensor, source: int, group: ProcessGroup | None = None) -> None:
    """Send a tensor to one rank while another one comes; both are done when it returns. (Given.)

    If every rank sent first, and only then received, nobody would receive: with long messages, all wait for ever.

    Args:
        outgoing: what is sent; laid out without gaps.
        to: the rank in the group that it goes to.
        incoming: is written over with what comes; of the shape and the format of what is sent there.
        source: the rank in the group that it comes from.
        group: whose ranks these are; None means all processes.
    """
    messages = []
    if outgoing.numel():
        messages.append(dist.P2POp(dist.isend, outgoing, group=group, group_peer=to))
    if incoming.numel():
        messages.append(dist.P2POp(dist.irecv, incoming, group=group, group_peer=source))
    for work in dist.batch_isend_irecv(messages) if messages else []:
        work.wait()


def reduce_scatter(x: Tensor, group: ProcessGroup | None = None) -> Tensor:
    """Sum up what all ranks have, and keep one part of the sum each.

    The numbers of x, row by row, are cut into W chunks of `chunk_sizes`. Rank r gets chunk r of Σ over all ranks of x.

    In W - 1 rounds, each rank sends one chunk to its right neighbour, rank + 1, and gets one from its left, to which it
    adds its own: a sum goes round the ring, and is whole when it arrives where it belongs. A rank sends
    (W - 1) / W of its numbers, however many ranks there are.

    Args:
        x: of any shape, the same on all ranks; it is not changed.
        group: whose ranks take part; None means all processes.

    Returns:
        (chunk_sizes(n, W)[rank],), in the format of x; without gradient.

    Of two processes that both have [1, 2, 3], the first gets [2, 4], and the second [6].
    """
    # TODO 6.1: cut x into chunks; in round s, send chunk rank - 1 - s, and add what comes to the one before
    raise NotImplementedError(
        "6.1 reduce_scatter: cut x into chunks; in round s, send chunk rank - 1 - s, and add what comes to the one "
        "before; "
        "hint: python -m bootcamp hint 6.1"
    )


def all_gather(chunk: Tensor, n: int, group: ProcessGroup | None = None) -> Tensor:
    """Put the chunks of all ranks together, on all ranks: what `reduce_scatter` has cut apart.

    In W - 1 rounds, each rank sends to its right neighbour what it got from its left the round before, beginning with
    its own. A rank sends about (W - 1) / W of the n numbers.

    Args:
        chunk: (chunk_sizes(n, W)[rank],); it is not changed.
        n: how many numbers there are in all.
        group: whose ranks take part; None means all processes.

    Returns:
        (n,), the same on all ranks, in the format of the chunk; without gradient.

    Raises:
        ValueError: the chunk is not as long as n says (both lengths are named).
    """
    rank, world = dist.get_rank(group), dist.get_world_size(group)
    sizes = chunk_sizes(n, world)
    if chunk.shape != (sizes[rank],):
        raise ValueError(f"the chunk of rank {rank} of {n} numbers must be ({sizes[rank]},); got {tuple(chunk.shape)}")
    # TODO 6.1: a place for each chunk, one's own in it; pass on what came, round after round
    raise NotImplementedError(
        "6.1 all_gather: a place for each chunk, one's own in it; pass on what came, round after round; "
        "hint: python -m bootcamp hint 6.1"
    )


def all_reduce(x: Tensor, group: ProcessGroup | None = None) -> Tensor:
    """Write the sum of what all ranks have over x, on all of them.

    A reduce-scatter and an all-gather. A rank sends 2 (W - 1) / W of its numbers, and so less than twice x, however
    many ranks there are; a rank that collected all and sent out the sum would have to take and send (W - 1) times x.
    Each sum is made on one rank and copied to the others, so all have the same bits.

    Args:
        x: of any shape, the same on all ranks; written over in place, laid out however it is; a parameter, too.
        group: whose ranks take part; None means all processes.

    Returns:
        x itself.
    """
    # TODO 6.1: the two of them, and into x
    raise NotImplementedError("6.1 all_reduce: the two of them, and into x; hint: python -m bootcamp hint 6.1")


def broadcast(x: Tensor, source: int = 0, group: ProcessGroup | None = None) -> Tensor:
    """Write what one rank has over x on all others.

    In ⌈log₂ W⌉ rounds, each rank that has it sends it to one that has not: twice as many have it after each round.
    Counted from the source, whose number is 0, the ranks below 2^s have it before round s, and send it to those
    2^s further. Every other rank gets it once.

    Args:
        x: of one shape and format on all ranks; written over in place, laid out however it is; a parameter, too.
        source: the rank in the group that has it.
        group: whose ranks take part; None means all processes.

    Returns:
        x itself.

    Raises:
        ValueError: there is no such rank (it and their number are named).
    """
    rank, world = dist.get_rank(group), dist.get_world_size(group)
    if not 0 <= source < world:
        raise ValueError(f"source must be a rank from 0 to {world - 1}; got {source}")
    # TODO 6.1: count from the source; double those who have it, until all do
    raise NotImplementedError(
        "6.1 broadcast: count from the source; double those who have it, until all do; "
        "hint: python -m bootcamp hint 6.1"
    )
