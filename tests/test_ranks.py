"""Ranks that go wrong: each way is told apart, with who and where, and nothing is left running."""

from __future__ import annotations

import ctypes
import multiprocessing
import os

import pytest
import torch
import torch.distributed as dist

from bootcamp import stages
from bootcamp.grading import check
from bootcamp.grading.ranks import RankFailed, on_ranks, traffic

stages.use_reference()

from stage06_distributed import collectives  # noqa: E402
from stage06_distributed.data_parallel import DataParallel  # noqa: E402


def failure_of(world, body, *args, seconds=20.0):
    """What is said of a run that fails."""
    with pytest.raises(RankFailed) as caught:
        on_ranks(world, body, *args, seconds=seconds)
    assert not multiprocessing.active_children(), "a rank is left"
    return caught.value.failure


def adds(rank, to):
    print(f"{rank} was here")
    total = collectives.all_reduce(torch.full((3,), float(rank + to)))
    return rank, total.tolist(), sum(message.kind == "send" for message in traffic())


def test_results_come_by_rank_and_output_is_kept_apart(capsys):
    assert on_ranks(3, adds, 5) == [(rank, [18.0] * 3, 4) for rank in range(3)]
    assert capsys.readouterr().out.split("\n")[:3] == [f"rank {rank}: {rank} was here" for rank in range(3)]


def one_goes_backward(rank):
    model = DataParallel(torch.nn.Linear(2, 1))
    loss = model(torch.ones(1, 2)).sum()
    if rank == 0:
        loss.backward()
    else:
        dist.barrier()


def test_who_never_came_is_named_and_where_it_was_awaited():
    failure = failure_of(2, one_goes_backward)
    assert failure.kind == "deadlock"
    assert "rank 1" in failure.message + failure.got and "data_parallel.py:" in failure.message + failure.line


def never_entered(rank):
    if rank == 0:
        DataParallel(torch.nn.Linear(2, 1))(torch.ones(1, 2)).sum().backward()
    else:
        DataParallel(torch.nn.Linear(2, 1))


def test_who_has_ended_was_awaited():
    failure = failure_of(2, never_entered)
    assert failure.kind == "deadlock"
    assert failure.message.startswith("rank 1 never entered all_reduce (data_parallel.py:")
    assert failure.got == "rank 1 has ended"


def in_a_ring(rank):
    """Rank 1 awaits more of its neighbour than that sends, and who awaits less ends."""
    count = 20 if rank == 1 else 10
    collectives.exchange(torch.ones(count), (rank + 1) % 3, torch.ones(count), (rank - 1) % 3)


def test_messages_of_other_lengths():
    failure = failure_of(3, in_a_ring)
    assert failure.kind == "error"
    assert failure.message == "rank 2 of 3 awaited a message of at most 40 bytes, and one of 80 came"
    assert failure.why
    assert not failure.line or failure.line.startswith("collectives.py:")  # a busy machine may end it within torch


def raises(rank):
    check.equal(rank, min(rank, 1), "the number of a rank")


def test_what_a_rank_finds_wrong_comes_from_it():
    failure = failure_of(3, raises)
    assert failure.kind == "wrong" and failure.message == "on rank 2 of 3: not right: the number of a rank"
    assert (failure.expected, failure.got) == ("1", "2")


def crashes(rank):
    if rank == 1:
        ctypes.string_at(0)
    dist.barrier()


def leaves(rank):
    if rank == 1:
        os._exit(3)
    dist.barrier()


def test_a_rank_that_dies():
    assert failure_of(2, crashes).message == "rank 1 of 2 ended with SIGSEGV"
    failure = failure_of(2, leaves)
    assert (failure.kind, failure.message) == ("exit", "rank 1 of 2 ended with exit code 3")


def turns(rank):
    while rank == 0:
        pass


def test_an_endless_loop():
    failure = failure_of(2, turns, seconds=4.0)
    assert failure.kind == "timeout" and failure.message.startswith("rank 0 was stopped after 4 s")
