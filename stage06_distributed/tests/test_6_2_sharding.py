"""6.2 · Sharding data: each process reads a part of it, and together they read all."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler, Sampler

from bootcamp.grading import check, written

sharding = written("stage06_distributed.sharding")

CASES = [(7, 3), (5, 2), (12, 4), (23, 4), (24, 3), (26, 3), (3, 4), (1, 2), (0, 3), (9, 1)]  # N, W
SAME = "All ranks take their share of one order. It follows from the seed and the epoch, and from nothing else."


def made(length: Any, rank: int = 0, world_size: int = 1, *rest: Any, **options: Any) -> Any:
    return sharding.ShardedSampler(length, rank, world_size, *rest, **options)


def taken(sampler: Any) -> list[Any]:
    """The indices that come, held to be whole numbers; 10,000 at most."""
    indices = []
    for index in sampler:
        if not (isinstance(index, (int, np.integer)) or (isinstance(index, torch.Tensor) and index.dim() == 0)):
            check.true(False, "what comes is one index after another", got=index)
        indices.append(int(index))
        if len(indices) > 10_000:
            check.true(False, "the indices come to an end")
    return indices


def shares(length: Any, world_size: int, epoch: int = 0, **options: Any) -> list[list[int]]:
    """The indices of each rank."""
    got = []
    for rank in range(world_size):
        sampler = made(length, rank, world_size, **options)
        sampler.set_epoch(epoch)
        got.append(taken(sampler))
    return got


def read_in_turn(its: list[list[int]]) -> list[int]:
    """What ranks read that take an index in turn, until all have ended."""
    longest = max(len(each) for each in its)
    return [each[i] for i in range(longest) for each in its if i < len(each)]


def follow(got: Any, expected: Any, what: str, why: str = "") -> None:
    """Hold indices in random order to others. Only whether they are the same is remembered, not which they are."""
    check.true(got == expected, f"right: {what}", got=f"{got}, where {expected} should come", why=why)


# -- without an order of its own


def test_by_hand():
    """Without shuffle, 7 indices go round 3 ranks like cards: 0 to the first, 1 to the second, and so on."""
    expected = [[0, 3, 6], [1, 4], [2, 5]]
    for rank in range(3):
        got = taken(made(7, rank, 3, shuffle=False))
        why = "Ranks that take a stretch each, [0, 1, 2] and [3, 4], read other batches than one process would."
        check.equal(got, expected[rank], f"the indices of rank {rank} of 3, of 0 to 6", why=why)


def test_dropped_by_hand():
    """With drop_last, what is left over at the end goes to nobody: of 7 indices, 3 ranks take 2 each."""
    expected = [[0, 3], [1, 4], [2, 5]]
    for rank in range(3):
        got = taken(made(7, rank, 3, shuffle=False, drop_last=True))
        check.equal(got, expected[rank], f"the indices of rank {rank} of 3, of 0 to 6, with drop_last")


@pytest.mark.parametrize("drop_last", [False, True], ids=["all", "drop_last"])
def test_not_shuffled(drop_last):
    """Rank r gets every W-th index, from r on; with drop_last, ⌊N / W⌋ of them."""
    for length, world in CASES:
        for rank in range(world):
            expected = list(range(rank, length // world * world if drop_last else length, world))
            got = taken(made(length, rank, world, shuffle=False, drop_last=drop_last))
            check.equal(got, expected, f"the indices of rank {rank} of {world}, of {length}, drop_last={drop_last}")


def test_how_many():
    """len says how many indices come: the first N mod W ranks have one more."""
    for length, world in CASES:
        expected = [length // world + (rank < length % world) for rank in range(world)]
        got = [len(made(length, rank, world)) for rank in range(world)]
        check.equal(got, expected, f"the lengths of {world} samplers of {length} indices")


def test_how_many_are_left():
    """With drop_last, len is the same on all ranks."""
    why = "A rank that has a batch more than the others waits in its all-reduce for ever."
    for length, world in CASES:
        got = [len(made(length, rank, world, drop_last=True)) for rank in range(world)]
        check.equal(got, [length // world] * world, f"the lengths of {world} samplers of {length}, drop_last", why=why)


def test_as_many_come():
    """As many indices come as len says, shuffled or not."""
    for length, world in CASES:
        for options in ({}, {"drop_last": True}, {"shuffle": False}):
            for rank in range(world):
                sampler = made(length, rank, world, **options)
                what = f"how many indices rank {rank} of {world} gets of {length}, with {options}"
                check.equal(len(taken(sampler)), len(sampler), what)


def test_a_length_of_its_own():
    """In place of N, something that has a length may be given."""
    for data in ("abcdefg", list(range(70, 77)), torch.zeros(7, 2)):
        got = [taken(made(data, rank, 3, shuffle=False)) for rank in range(3)]
        check.equal(got, [[0, 3, 6], [1, 4], [2, 5]], f"the shares of a {type(data).__name__} of length 7")
        check.equal(len(made(data, 0, 3)), 3, "how many rank 0 gets")


# -- in an order of the epoch's own


def test_a_share_each(rng):
    """Together the ranks get each index once: none comes twice, none is forgotten."""
    for length, world in CASES:
        for epoch in (0, 1):
            its = shares(length, world, epoch, seed=rng.randrange(1000))
            got = sorted(index for each in its for index in each)
            what = f"what {world} ranks get together of {length}, sorted, in epoch {epoch}"
            follow(got, list(range(length)), what, why=SAME)


def test_an_order_of_its_own(rng):
    """With shuffle, indices do not come as they are."""
    got = taken(made(100, seed=rng.randrange(1000)))
    check.true(got != sorted(got), "100 indices come in another order than 0, 1, 2, …", got=got)
    check.true(taken(made(100, seed=5)) != list(range(100)), "shuffle=True is what holds if nothing is said")


def test_one_order_for_all(rng):
    """Ranks that take an index in turn read the order of one process: W batches of B are its batch of W·B."""
    for length, world in CASES:
        seed = rng.randrange(1000)
        whole = taken(made(length, 0, 1, seed=seed))
        what = f"what {world} ranks read of {length} in turn, beside the order of one process"
        follow(read_in_turn(shares(length, world, seed=seed)), whole, what, why=SAME)


def test_batches_of_one_process(rng):
    """The first W·B indices of the order are the first B of all ranks."""
    seed = rng.randrange(1000)
    whole = taken(made(24, seed=seed))
    its = shares(24, 3, seed=seed)
    for batch in range(2):
        got = sorted(index for each in its for index in each[batch * 4 : batch * 4 + 4])
        expected = sorted(whole[batch * 12 : batch * 12 + 12])
        follow(got, expected, f"batch {batch} of 4 on each of 3 ranks, beside that of 12 on one")


def test_dropped_at_the_end(rng):
    """With drop_last, the order is the same, and what is left over at its end is left out."""
    for length, world in CASES:
        seed = rng.randrange(1000)
        whole = taken(made(length, 0, 1, seed=seed))
        got = read_in_turn(shares(length, world, seed=seed, drop_last=True))
        what = f"what {world} ranks read of {length} in turn, with drop_last"
        follow(got, whole[: length // world * world], what)


def test_not_always_the_same_are_dropped():
    """With drop_last, it is not always the last indices that nobody gets: the order is cut, and not the data."""
    dropped = set()
    for epoch in range(30):
        dropped |= set(range(7)) - {index for each in shares(7, 3, epoch, drop_last=True) for index in each}
    check.true(len(dropped) > 1, "in 30 epochs, 3 ranks leave out more than one of 7 indices", got=sorted(dropped))


def test_each_index_comes_anywhere(rng):
    """Orders are drawn evenly: each index comes first about as often as any other."""
    first = [0] * 5
    sampler = made(5, seed=rng.randrange(1000))
    for epoch in range(1500):
        sampler.set_epoch(epoch)
        first[next(iter(sampler))] += 1
    check.true(min(first) > 200, "of 5 indices, none comes first less than 200 times in 1500 epochs", got=first)
    check.true(max(first) < 400, "and none more than 400 times", got=first)


# -- seed and epoch


def test_each_epoch_has_an_order_of_its_own():
    """set_epoch changes the order."""
    sampler = made(30, seed=3)
    orders = set()
    for epoch in range(20):
        sampler.set_epoch(epoch)
        orders.add(tuple(taken(sampler)))
    why = "The order follows from two numbers, the seed and that of the epoch."
    check.equal(len(orders), 20, "how many different orders 20 epochs have", why=why)


def test_the_order_of_an_epoch():
    """Without a call of set_epoch, it is the same order again; an epoch has its own whenever it comes."""
    sampler = made(30, 1, 2, seed=3)
    check.equal(sampler.epoch, 0, "the epoch at first")
    first = taken(sampler)
    follow(taken(sampler), first, "the indices of epoch 0, asked for again")
    sampler.set_epoch(7)
    check.equal(sampler.epoch, 7, "the epoch after set_epoch(7)")
    later = taken(sampler)
    check.true(later != first, "epoch 7 has another order than epoch 0", got=later)
    sampler.set_epoch(0)
    follow(taken(sampler), first, "the indices of epoch 0 after those of epoch 7")
    fresh = made(30, 1, 2, seed=3)
    fresh.set_epoch(7)
    follow(taken(fresh), later, "epoch 7 of a sampler that has not given others before", why=SAME)


def test_an_epoch_that_is_set():
    """What counts is the attribute `epoch` when the iteration begins: a checkpoint may write it back."""
    sampler, other = made(30, seed=3), made(30, seed=3)
    sampler.set_epoch(4)
    other.epoch = 4
    follow(taken(other), taken(sampler), "the indices after epoch = 4, beside those after set_epoch(4)")


def test_each_seed_has_orders_of_its_own():
    """Seeds differ in their order."""
    got = len({tuple(taken(made(30, seed=seed))) for seed in range(20)})
    check.equal(got, 20, "how many different orders the seeds 0 to 19 have in epoch 0")


def test_seeds_do_not_run_together():
    """Epoch 1 of a seed is no epoch of the next seed."""
    seen = {}
    why = "seed + epoch makes the same number of seed 5, epoch 1, as of seed 6, epoch 0. Mix them otherwise."
    for seed in range(8):
        sampler = made(30, seed=seed)
        for epoch in range(8):
            sampler.set_epoch(epoch)
            order = tuple(taken(sampler))
            before = seen.setdefault(order, (seed, epoch))
            what = f"seed {seed} has another order in epoch {epoch} than seed {before[0]} in epoch {before[1]}"
            check.true(before == (seed, epoch), what, why=why)


@pytest.mark.parametrize("seed, epoch", [(2**31 - 1, 0), (123_456_789, 5), (12, 100_000)])
def test_large_numbers(seed, epoch):
    """Seeds and epochs may be large."""
    its = shares(9, 2, epoch, seed=seed)
    got = sorted(index for each in its for index in each)
    follow(got, list(range(9)), f"what two ranks get together of 9, for seed={seed} in epoch {epoch}, sorted")


def test_a_seed_may_be_left_out():
    """Without a seed, it is 0: all ranks have the same order even if nothing is said."""
    follow(taken(made(30, 1, 2)), taken(made(30, 1, 2, seed=0)), "the indices without a seed, beside seed=0")


def test_no_generator_of_others_is_drawn_from():
    """The order does not follow from the generators of torch, NumPy or Python, and they are left as they were."""
    sampler = made(30, 0, 2, seed=4)
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    first = taken(sampler)
    torch.manual_seed(2)
    np.random.seed(2)
    random.seed(2)
    follow(taken(sampler), first, "the indices after other seeds of all generators", why=SAME)
    before = torch.get_rng_state().clone(), np.random.get_state()[1].copy(), random.getstate()  # pyright: ignore
    taken(sampler)
    why = "Who draws from them changes dropout: one generator of its own, torch.Generator()."
    check.true(torch.equal(torch.get_rng_state(), before[0]), "torch's own generator is left as it was", why=why)
    check.true(bool((np.random.get_state()[1] == before[1]).all()), "so is NumPy's", why=why)  # pyright: ignore
    check.true(random.getstate() == before[2], "so is Python's", why=why)


def test_two_at_once():
    """Two iterations over one sampler do not disturb each other."""
    sampler = made(12, 0, 2, seed=4)
    whole = taken(sampler)
    one, other = iter(sampler), iter(sampler)
    got = [int(next(each)) for _ in range(6) for each in (one, other)]
    follow(got, [index for index in whole for _ in range(2)], "the indices of two iterations that take turns")


# -- in use


def test_in_a_data_loader(rng):
    """A DataLoader takes it as its sampler: the batches of all ranks together are the data."""
    data, seed = torch.arange(100.0, 113.0), rng.randrange(1000)
    loaders = [DataLoader(data, batch_size=3, sampler=made(13, rank, 2, seed=seed)) for rank in range(2)]  # pyright: ignore
    batches = [[batch.tolist() for batch in loader] for loader in loaders]
    check.equal([[len(batch) for batch in its] for its in batches], [[3, 3, 1], [3, 3]], "the sizes of the batches")
    check.equal([len(loader) for loader in loaders], [3, 2], "the lengths of the loaders")
    got = sorted(number for its in batches for batch in its for number in batch)
    follow(got, data.tolist(), "what two ranks have read, sorted")
    check.true(isinstance(made(3), Sampler), "it is a torch.utils.data.Sampler")


def test_beside_torchs():
    """Where nothing is left over, and nothing shuffled, it gives what torch's DistributedSampler gives."""
    for length, world in ((12, 4), (24, 3), (9, 1)):
        for rank in range(world):
            theirs = DistributedSampler(range(length), world, rank, shuffle=False)  # type: ignore[arg-type]
            what = f"the indices of rank {rank} of {world}, of {length}"
            check.equal(taken(made(length, rank, world, shuffle=False)), list(theirs), what)


def test_numbers_out_of_range():
    """A number out of range is a ValueError that names it."""
    for length, rank, world in ((-1, 0, 2), (5, 2, 2), (5, -1, 2), (5, 0, 0), (5, 0, -3)):
        wrong = length if length < 0 else world if world < 1 else rank
        check.raises(ValueError, sharding.ShardedSampler, length, rank, world, naming=[wrong])
    check.equal(taken(made(5, 1, 2, shuffle=False)), [1, 3], "the indices of the last of two ranks, of 5")
