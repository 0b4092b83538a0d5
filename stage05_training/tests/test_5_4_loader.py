"""5.4 · The loader: batches without end, in an order that can be told from a seed, and gone on with anywhere."""

import collections
import contextlib
import gc
import multiprocessing
import random
from typing import Any

import numpy as np
import pytest
import torch

from bootcamp.grading import check, written

module = written("stage05_training.loader")
given = written("stage05_training.batch")

ITEMS, B = 14, 4  # three batches an epoch, and two items that are left over
EACH = 3  # batches of an epoch
AHEAD = "Workers are handed the indices of batches long before these come out. Count what is handed out."


class Reads(list):
    """A dataset that notes which items are read."""

    def __init__(self, count: int) -> None:
        super().__init__(range(count))
        self.read: list[int] = []

    def __getitem__(self, index: Any) -> Any:
        self.read.append(index)
        return super().__getitem__(index)


def made(seed: int = 5, items: Any = None, batch_size: int = B, collate: Any = list, **options: Any) -> Any:
    """A loader of numbers: its batches are lists."""
    items = list(range(ITEMS)) if items is None else items
    return module.Loader(items, batch_size, seed=seed, collate=collate, **options)


def taken(loader: Any, count: int) -> list[Any]:
    """The next batches."""
    return [next(loader) for _ in range(count)]


def follow(got: Any, expected: Any, what: str) -> None:
    """Hold batches in random order to others. Only whether they are the same is remembered, not which they are."""
    check.true(got == expected, f"right: {what}", got=f"{got}, where {expected} should come")


def place(loader: Any) -> tuple[Any, Any]:
    return loader.epoch, loader.batch


def several(seed: int, epochs: int, **options: Any) -> list[list[Any]]:
    """The batches of the first epochs."""
    loader = made(seed, **options)
    return [taken(loader, EACH) for _ in range(epochs)]


# -- without an order of its own


def test_by_hand():
    """Without shuffle, items come as they lie, epoch after epoch; what is too little for a batch is left out."""
    loader = made(items="abcdefg", batch_size=3, shuffle=False, collate="".join)
    check.equal(taken(loader, 5), ["abc", "def", "abc", "def", "abc"], "the first 5 batches of 3 letters of 'abcdefg'")


@pytest.mark.parametrize(
    "items, size, expected", [(14, 4, 3), (12, 4, 3), (15, 4, 3), (7, 7, 1), (13, 7, 1), (5, 1, 5)]
)
def test_batches_of_an_epoch(items, size, expected):
    """An epoch has as many batches as there are items for."""
    got = made(items=list(range(items)), batch_size=size).batches
    check.equal(got, expected, f"the batches of an epoch, for {items} items and batches of {size}")


def test_the_place():
    """`epoch` and `batch` say which batch comes next: its epoch, and its number in it, both from 0."""
    loader = made()
    places = [place(loader)]
    for _ in range(7):
        next(loader)
        places.append(place(loader))
    expected = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]
    check.equal(places, expected, "(epoch, batch) before each of 8 batches, 3 an epoch")


def test_one_batch_an_epoch():
    """A dataset of B items, or a few more, has one batch an epoch."""
    for items in (4, 6):
        loader = made(items=list(range(items)), shuffle=False)
        check.equal(taken(loader, 3), [[0, 1, 2, 3]] * 3, f"three batches of 4, of {items} items")
        check.equal(place(loader), (3, 0), "(epoch, batch) after them")


def test_batches_of_windows():
    """If nothing else is said, items of ids and targets (T,) become a batch of them, (B, T)."""
    rows = [given.Batch(torch.arange(5) + i, torch.arange(5) + i + 1) for i in range(8)]
    batch = next(module.Loader(rows, 3, shuffle=False))
    ids = torch.arange(3)[:, None] + torch.arange(5)
    check.close(batch.ids, ids, "the ids of a batch", rtol=0, atol=0)
    check.close(batch.targets, ids + 1, "the targets of a batch", rtol=0, atol=0)


def test_read_when_asked_for():
    """Without workers, items are read when their batch is asked for, and none of the others."""
    items = Reads(ITEMS)
    loader = made(items=items)
    check.equal(len(items.read), 0, "how many items are read before a batch is asked for")
    batches = taken(loader, 2)
    follow(items.read, batches[0] + batches[1], "the items that are read for two batches")


# -- an order of its own


def test_an_order_has_each_item_once():
    """The order of an epoch has each item once."""
    loader = made()
    for epoch in (0, 1, 2, 77):
        follow(sorted(loader.order(epoch)), list(range(ITEMS)), f"the order of epoch {epoch}, sorted")


def test_an_epoch_has_no_item_twice():
    """In an epoch no item comes twice."""
    for epoch, batches in enumerate(several(8, 4)):
        items = [item for batch in batches for item in batch]
        follow(len(set(items)), EACH * B, f"how many different items come in the 3 batches of 4 of epoch {epoch}")


def test_batches_follow_the_order():
    """The batches of an epoch are its order, cut into pieces of B; what is left of it is left out."""
    loader = made()
    for epoch in range(4):
        order = loader.order(epoch)
        expected = [order[0:4], order[4:8], order[8:12]]
        follow(taken(loader, EACH), expected, f"the batches of epoch {epoch}, which has the order {order}")


def test_each_epoch_has_an_order_of_its_own():
    """Epochs differ in their order."""
    loader = made()
    orders = {tuple(loader.order(epoch)) for epoch in range(20)}
    why = "The order follows from two numbers, the seed and that of the epoch."
    check.equal(len(orders), 20, "how many different orders 20 epochs have", why=why)


def test_each_seed_has_an_order_of_its_own(rng):
    """Loaders with other seeds have other orders."""
    first = rng.randrange(1000)
    for epoch in (0, 3):
        orders = {tuple(made(first + i).order(epoch)) for i in range(20)}
        check.equal(len(orders), 20, f"how many different orders 20 seeds give epoch {epoch}")


def test_the_same_seed_gives_the_same_order(rng):
    """Loaders with the same seed hand out the same, and an order may be asked for at any time."""
    seed = rng.randrange(1 << 31)
    one, other = made(seed), made(seed)
    last = other.order(6)
    follow(taken(one, 8), taken(other, 8), "8 batches of two loaders with the same seed")
    follow([one.order(6), other.order(6)], [last, last], "the order of epoch 6, asked for again and of the other")


def test_unshuffled_orders():
    """Without shuffle, the order of each epoch is that of the items."""
    loader = made(shuffle=False)
    orders = [loader.order(epoch) for epoch in (0, 1, 9)]
    check.equal(orders, [list(range(ITEMS))] * 3, "the orders of the epochs 0, 1 and 9")


def test_any_order_may_come(rng):
    """Shuffled, each order is as likely as any other."""
    loader = made(rng.randrange(1 << 20), items="abcd", batch_size=2)
    counts = collections.Counter(tuple(loader.order(epoch)) for epoch in range(2400))
    check.equal(len(counts), 24, "how many of the 24 orders of 4 items come in 2,400 epochs")
    few, many = min(counts.values()), max(counts.values())
    check.true(few > 40 and many < 190, "each of the 24 comes about 100 times in 2,400 epochs", got=f"{few} to {many}")


def test_generators_of_others_are_left_alone():
    """The order depends on no generator that others draw from, and draws from none."""
    found = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = random.getstate(), np.random.get_state(), torch.get_rng_state()
        loader = made()
        found.append([*taken(loader, 5), loader.order(7)])
        loader.load_state_dict(loader.state_dict())
        found[-1] += taken(loader, 2)
        why = "A run's dropout would depend on how often its data was begun, and could not go on as it was."
        check.true(random.getstate() == before[0], "Python's generator is as it was", why=why)
        after = np.random.get_state()
        same = all(np.array_equal(one, other) for one, other in zip(after, before[1]))
        check.true(same, "NumPy's generator is as it was", why=why)
        check.true(torch.equal(torch.get_rng_state(), before[2]), "torch's generator is as it was", why=why)
    follow(found[0], found[1], "the batches and orders, after other seeds of the generators of others")


# -- indices


def test_indices_go_on_without_end():
    """`indices` gives the indices of all batches to come, over the ends of epochs."""
    loader = made()
    expected = [loader.order(epoch)[i * B : i * B + B] for epoch in range(3) for i in range(EACH)]
    indices = loader.indices()
    follow([list(next(indices)) for _ in range(9)], expected, "the indices of 9 batches, 3 an epoch")


@pytest.mark.parametrize("before", [1, 2, 3, 4, 8])
def test_indices_begin_where_the_loader_is(before):
    """`indices` begins with the batch that comes next, anywhere in an epoch."""
    loader = made()
    expected = taken(made(), before + 7)[before:]
    taken(loader, before)
    indices = loader.indices()
    got = [list(next(indices)) for _ in range(7)]
    follow(got, expected, f"the indices of 7 batches, after {before} were handed out")


def test_who_asks_for_indices_moves_nothing():
    """Whoever asks for indices moves nothing: the loader is where it was, and others who ask begin there too."""
    loader, calm = made(), made()
    follow(taken(loader, 2), taken(calm, 2), "two batches of loaders with one seed")
    one = loader.indices()
    first = [list(next(one)) for _ in range(5)]
    check.equal(place(loader), (0, 2), "(epoch, batch) after indices of 5 batches to come were asked for", why=AHEAD)
    follow(loader.state_dict(), calm.state_dict(), "state_dict() after that")
    other = loader.indices()
    follow([list(next(other)) for _ in range(5)], first, "the indices of the same 5 batches, asked for once more")
    follow(taken(loader, 5), taken(calm, 5), "the next 5 batches after that")


# -- stopped and gone on with


@pytest.mark.parametrize("before", [0, 1, 2, 3, 4, 6, 11])
def test_goes_on_anywhere(before):
    """A loader that gets the state of another goes on behind its last batch, with its seed."""
    first, second = made(7), made(1234)
    taken(first, before)
    state = first.state_dict()
    second.load_state_dict(state)
    check.equal(place(second), (before // 3, before % 3), f"(epoch, batch) of a state behind {before} batches of 3")
    expected = taken(first, 8)
    follow(taken(second, 8), expected, f"8 batches of a loader with a state from behind {before} batches")
    follow(second.order(9), first.order(9), "the order of epoch 9")
    follow(second.state_dict(), first.state_dict(), "state_dict() after that")


def test_what_came_before_is_not_read():
    """Going on reads what comes next, and nothing of what came before."""
    first = made(3)
    taken(first, 8)
    items = Reads(ITEMS)
    second = made(99, items=items)
    second.load_state_dict(first.state_dict())
    follow(next(second), next(first), "the batch that comes next")
    check.equal(len(items.read), B, "how many items are read for it", why="Find the place by its number.")


@pytest.mark.parametrize("before, after", [(2, 1), (2, 5), (5, 4), (3, 0)])
def test_a_running_loader_goes_on_elsewhere(before, after):
    """A loader that has handed out batches already can get a state, an older one of its own too."""
    loader = made()
    taken(loader, before)
    state = loader.state_dict()
    expected = taken(loader, 6)
    taken(loader, after)
    loader.load_state_dict(state)
    what = f"6 batches of a loader that gets its state of {6 + after} batches ago"
    follow(taken(loader, 6), expected, what)


def test_later_epochs_are_whole():
    """A loader that goes on in the middle of an epoch has all the batches of the next ones."""
    first, second = made(), made(0)
    taken(first, 2)
    second.load_state_dict(first.state_dict())
    next(second)
    got = [taken(second, EACH) for _ in range(2)]
    expected = [[order[0:4], order[4:8], order[8:12]] for order in (second.order(1), second.order(2))]
    follow(got, expected, "the batches of the two epochs after the one in which it went on")


def test_the_state_is_of_whole_numbers():
    """A state is a dictionary of whole numbers, and stays when the loader goes on."""
    loader = made(11)
    taken(loader, 5)
    state = loader.state_dict()
    numbers = isinstance(state, dict) and all(
        isinstance(key, str) and isinstance(each, int) for key, each in state.items()
    )
    check.true(numbers, "state_dict() gives a dictionary of texts and whole numbers", got=state)
    kept = dict(state)
    expected = taken(loader, 4)
    follow(state, kept, "a state, after 4 more batches")
    other = made(12)
    other.load_state_dict(state)
    follow(state, kept, "a state that was loaded")
    follow(taken(other, 4), expected, "the next 4 batches, of the loader that it was loaded into")
    follow(state, kept, "a state that was loaded, after 4 more batches")


def test_batches_of_another_size():
    """A state of batches of another size is a ValueError that names both, and changes nothing."""
    loader, other = made(), made(batch_size=6)
    taken(loader, 2)
    taken(other, 3)
    check.raises(ValueError, loader.load_state_dict, other.state_dict(), naming=[4, 6])
    order = loader.order(0)
    follow(next(loader), order[8:12], "the third batch of the first epoch, after that")


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"workers": -1}, {"prefetch": 0}, {"batch_size": 15}], ids=str)
def test_numbers_out_of_range(wrong):
    """Numbers out of range, and less items than a batch has, are a ValueError."""
    check.equal(made().batches, EACH, "the batches of an epoch, if all is right")
    options = {"batch_size": B, **wrong}
    check.raises(
        ValueError, made, naming=[*wrong.values(), *([ITEMS] if options["batch_size"] == 15 else [])], **options
    )


# -- workers


@contextlib.contextmanager
def no_process_stays():
    """What was begun ends with the test, whatever happens in it."""
    try:
        yield
    finally:
        gc.collect()
        for child in multiprocessing.active_children():
            child.terminate()
            child.join(5)


def test_workers_change_nothing():
    """Two workers that read ahead hand out the same batches, and the state says what was handed out."""
    with no_process_stays():
        loader = made(21, workers=2, prefetch=3)
        expected = taken(made(21), 12)
        follow(taken(loader, 4), expected[:4], "the first 4 batches with two workers")
        check.equal(place(loader), (1, 1), "(epoch, batch) after 4 batches, 3 an epoch, with two workers", why=AHEAD)
        state = loader.state_dict()
        follow(taken(loader, 4), expected[4:8], "the next 4 batches with two workers")
        alone = made(22)
        alone.load_state_dict(state)
        follow(taken(alone, 4), expected[4:8], "the same 4, of a loader without workers that got the state")
        loader.load_state_dict(state)
        follow(taken(loader, 4), expected[4:8], "the same 4 again, of the one with workers that got its own state")
        del loader
