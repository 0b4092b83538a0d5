"""6.1 · Collectives: what many processes do together, made of messages between two."""

from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from bootcamp.grading import check, written
from bootcamp.grading.ranks import on_ranks, traffic

collectives = written("stage06_distributed.collectives")

FORMATS = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64]
LAYOUTS = ["(3, 5)", "a scalar", "2 numbers", "no numbers", "(7, 1, 2)", "a transposed (4, 3)", "every third column"]
PAIRS = (
    "Who asks torch for the whole collective, or sends all of x to everybody, gets the same numbers at another price."
)
BY_DIGITS = "Rank 0 has the ones, rank 1 the tens, rank 2 the hundreds: a digit tells what is missing, or comes twice."


def tensors(rng) -> list[torch.Tensor]:
    """Whole numbers in float64, of the shapes and layouts of LAYOUTS: sums of them are exact in any order."""

    def draw(*shape):
        generator = torch.Generator().manual_seed(rng.randrange(1 << 32))
        return torch.randint(-99, 100, shape, generator=generator).double()

    return [draw(3, 5), draw(), draw(2), draw(0), draw(7, 1, 2), draw(4, 3).T, draw(2, 6)[:, ::3]]


def of_ranks(rng, world) -> list[list[torch.Tensor]]:
    """For each of LAYOUTS, what each rank has."""
    return [list(each) for each in zip(*(tensors(rng) for _ in range(world)))]


def sizes(n: int, world: int) -> list[int]:
    """How many of n numbers each rank keeps: ⌈n / W⌉, until there are none left."""
    size = -(-n // world)
    return [min(size, max(n - size * rank, 0)) for rank in range(world)]


def told(value: Any) -> Any:
    """What a rank tells of a value: a tensor without its graph, or what it is instead."""
    return value.detach() if isinstance(value, torch.Tensor) else f"no tensor, but {value!r}"[:100]


def messages() -> list[tuple[str, int, int]]:
    return [(each.kind, each.count, each.peer) for each in traffic()]


def between_two(told_by: list[Any], kind: str) -> list[list[tuple[int, int]]]:
    """(peer, how many numbers) of the messages of this kind, by rank, after a look that there are no collectives."""
    for rank, all_its in enumerate(told_by):
        others = [name for name, _, _ in all_its if name not in ("send", "recv")]
        check.equal(others, [], f"what rank {rank} asks of torch besides messages between two", why=PAIRS)
    return [[(peer, count) for name, count, peer in its if name == kind and count] for its in told_by]


# -- what runs in the ranks


def reduce_scatters(rank, cases):
    """The chunk of each case, and what x is after that."""
    return [(told(collectives.reduce_scatter(case[rank])), case[rank].detach()) for case in cases]


def all_gathers(rank, cases):
    """What comes for each case (chunks, n), and what the chunk is after that."""
    return [(told(collectives.all_gather(chunks[rank], n)), chunks[rank].detach()) for chunks, n in cases]


def all_reduces(rank, cases):
    """What x is for each case, and whether x came back."""
    return [(case[rank].detach(), collectives.all_reduce(case[rank]) is case[rank]) for case in cases]


def broadcasts(rank, cases):
    """What x is for each case (xs, source), and whether x came back."""
    return [(xs[rank].detach(), collectives.broadcast(xs[rank], source) is xs[rank]) for xs, source in cases]


def in_two_groups(rank, name, *args):
    """Ranks 0 and 2 are a group, and 1 and 3 another: call a function in both at once, with 6 numbers of its own."""
    groups = [dist.new_group([0, 2]), dist.new_group([1, 3])]
    x = torch.arange(1.0, 7.0) * 10**rank
    x = x[: 6 // 2] if name == "all_gather" else x
    got = getattr(collectives, name)(x, *args, group=groups[rank % 2])
    return told(got)


def counted(rank, name, n, *args):
    """The messages of a call with n numbers of its own; for all_gather, n in all."""
    x = torch.ones(sizes(n, dist.get_world_size())[rank] if name == "all_gather" else n)
    getattr(collectives, name)(x, *((n,) if name == "all_gather" else args))
    return messages()


# -- reduce_scatter


def test_reduce_scatter_by_hand():
    """Of 3 numbers, the first of two ranks gets the first two sums, and the second the last."""
    got = on_ranks(2, reduce_scatters, [[torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0, 20.0, 30.0])]])
    for rank, expected in enumerate(([11.0, 22.0], [33.0])):
        check.close(got[rank][0][0], expected, f"what rank {rank} gets of [1, 2, 3] + [10, 20, 30]")


def test_reduce_scatter_of_three():
    """Of three ranks, each gets the sum of what all three have, in its own chunk."""
    x = torch.arange(1.0, 7.0)
    got = on_ranks(3, reduce_scatters, [[x, x * 10, x * 100]])
    for rank, expected in enumerate(([111.0, 222.0], [333.0, 444.0], [555.0, 666.0])):
        what = f"what rank {rank} gets of [1 … 6] + [10 … 60] + [100 … 600]"
        check.close(got[rank][0][0], expected, what, why=BY_DIGITS)


@pytest.mark.varied
def test_reduce_scatter_of_any(rng):
    """The numbers of x, of any shape and layout, are cut row by row, ⌈n / W⌉ to a rank until none are left."""
    world = 4
    cases = of_ranks(rng, world)
    got = on_ranks(world, reduce_scatters, cases)
    for i, (name, xs) in enumerate(zip(LAYOUTS, cases)):
        whole = sum(xs[1:], xs[0]).reshape(-1)
        for rank, expected in enumerate(whole.split(sizes(len(whole), world))):
            check.close(got[rank][i][0], expected, f"what rank {rank} of {world} gets of x: {name}")


def test_reduce_scatter_leaves_x():
    """x is not changed."""
    got = on_ranks(2, reduce_scatters, [[torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0, 20.0, 30.0])]])
    for rank, expected in enumerate(([1.0, 2.0, 3.0], [10.0, 20.0, 30.0])):
        why = "x.flatten() is x itself, in another shape, if it lies without gaps: add up in a copy."
        check.close(got[rank][0][1], expected, f"x on rank {rank} after reduce_scatter(x)", why=why)


def test_reduce_scatter_in_any_format():
    """The sums are in the format of x."""
    cases = [[torch.tensor([3, 1, 2]).to(dtype), torch.tensor([4, 5, 6]).to(dtype)] for dtype in FORMATS]
    got = on_ranks(2, reduce_scatters, cases)
    for rank, expected in enumerate(([7.0, 6.0], [8.0])):
        for dtype, (chunk, _) in zip(FORMATS, got[rank]):
            check.close(chunk, expected, f"what rank {rank} gets of [3, 1, 2] + [4, 5, 6] in {dtype}")
            check.equal(str(chunk.dtype), str(dtype), "its format")


@pytest.mark.parametrize("world", [2, 4])
def test_reduce_scatter_goes_round_the_ring(world):
    """In each of W - 1 rounds, a rank sends one chunk to its right neighbour, and gets one from its left."""
    its = on_ranks(world, counted, "reduce_scatter", 12)
    for rank, got in enumerate(between_two(its, "send")):
        expected = [((rank + 1) % world, 12 // world)] * (world - 1)
        check.equal(got, expected, f"(to, how many numbers) of what rank {rank} of {world} sends, for 12", why=PAIRS)
    for rank, got in enumerate(between_two(its, "recv")):
        check.equal({peer for peer, _ in got}, {(rank - 1) % world}, f"from whom rank {rank} of {world} gets something")


# -- all_gather


def test_all_gather_by_hand():
    """Two ranks with [1, 2] and [3] have [1, 2, 3] both."""
    got = on_ranks(2, all_gathers, [([torch.tensor([1.0, 2.0]), torch.tensor([3.0])], 3)])
    for rank in range(2):
        check.close(got[rank][0][0], [1.0, 2.0, 3.0], f"what rank {rank} has of [1, 2] and [3]")


def test_all_gather_of_three():
    """Of three ranks, each gets the chunks of both others too, in the order of the ranks."""
    chunks = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), torch.tensor([5.0, 6.0])]
    for rank, got in enumerate(on_ranks(3, all_gathers, [(chunks, 6)])):
        check.close(got[0][0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], f"what rank {rank} has of [1, 2], [3, 4] and [5, 6]")


@pytest.mark.varied
def test_all_gather_of_any_number():
    """n may be any number: some of four ranks may have fewer numbers, or none. The chunk may have gaps."""
    cases = []
    for n in (0, 1, 2, 4, 5, 6, 7, 11):
        numbers = torch.arange(2.0 * n) + 100 * n
        cases.append((list(numbers[::2].split(sizes(n, 4))), n))  # every second number
    for rank, got in enumerate(on_ranks(4, all_gathers, cases)):
        for (chunks, n), (whole, left) in zip(cases, got):
            check.close(whole, torch.cat(chunks), f"what rank {rank} of 4 has, of {n} numbers in all")
            check.close(left, chunks[rank], "its own chunk after that")


def test_all_gather_in_any_format():
    """What comes is in the format of the chunks."""
    cases = [([torch.tensor([3, 1]).to(dtype), torch.tensor([2]).to(dtype)], 3) for dtype in FORMATS]
    for rank, got in enumerate(on_ranks(2, all_gathers, cases)):
        for dtype, (whole, _) in zip(FORMATS, got):
            check.close(whole, [3.0, 1.0, 2.0], f"what rank {rank} has of [3, 1] and [2] in {dtype}")
            check.equal(str(whole.dtype), str(dtype), "its format")


@pytest.mark.parametrize("world", [2, 4])
def test_all_gather_goes_round_the_ring(world):
    """In each of W - 1 rounds, a rank sends to its right neighbour what it got last, beginning with its own."""
    its = on_ranks(world, counted, "all_gather", 12)
    for rank, got in enumerate(between_two(its, "send")):
        expected = [((rank + 1) % world, 12 // world)] * (world - 1)
        check.equal(got, expected, f"(to, how many numbers) of what rank {rank} of {world} sends, for 12", why=PAIRS)


def too_long(rank):
    """A chunk that is one too long; and one that is right."""
    size = sizes(5, 2)[rank]
    check.raises(ValueError, collectives.all_gather, torch.ones(size + 1), 5, naming=[size, size + 1])
    check.raises(ValueError, collectives.all_gather, torch.ones(1, size), 5)
    return told(collectives.all_gather(torch.ones(size), 5))


def test_a_chunk_of_another_length():
    """A chunk that is not as long as n says is a ValueError that names both lengths."""
    for rank, got in enumerate(on_ranks(2, too_long)):
        check.close(got, [1.0] * 5, f"what rank {rank} has of ones after that")


# -- all_reduce


def test_all_reduce_by_hand():
    """Two ranks with [1, 2, 3] and [10, 20, 30] have [11, 22, 33] both, in x."""
    got = on_ranks(2, all_reduces, [[torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0, 20.0, 30.0])]])
    for rank in range(2):
        why = "The sum is written over x: x.copy_(…), for a name that is given a new value leaves the tensor as it is."
        check.close(got[rank][0][0], [11.0, 22.0, 33.0], f"x on rank {rank} after all_reduce(x)", why=why)


def test_all_reduce_gives_x():
    """What comes back is x itself."""
    got = on_ranks(2, all_reduces, [[torch.tensor([1.0]), torch.tensor([10.0])]])
    for rank in range(2):
        why = "torch's own collectives give None, and x = dist.all_reduce(x) has cost many an hour. This one gives x."
        check.true(got[rank][0][1], f"all_reduce(x) gives x itself, on rank {rank}", why=why)


@pytest.mark.varied
def test_all_reduce_of_any(rng):
    """x is written over, whatever its shape, and however it is laid out."""
    world = 4
    cases = of_ranks(rng, world)
    for rank, got in enumerate(on_ranks(world, all_reduces, cases)):
        for name, xs, (x, _) in zip(LAYOUTS, cases, got):
            why = "reshape and flatten copy what has gaps; what is written there does not reach x."
            expected = sum(xs[1:], xs[0])
            check.close(x, expected, f"x on rank {rank} of {world} after all_reduce(x), of x: {name}", why=why)


def within(rank):
    """Sum up the middle of a larger tensor."""
    whole = torch.ones(3, 4)
    collectives.all_reduce(whole[1:, 1:3])
    return whole


def test_all_reduce_of_a_part():
    """If x is a part of a larger tensor, the rest of that stays."""
    for rank, got in enumerate(on_ranks(2, within)):
        expected = [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 2.0, 1.0], [1.0, 2.0, 2.0, 1.0]]
        check.close(got, expected, f"ones (3, 4) on rank {rank} after all_reduce(whole[1:, 1:3])")


def test_all_reduce_in_any_format():
    """x keeps its format."""
    cases = [[torch.tensor([3, 1, 2]).to(dtype), torch.tensor([4, 5, 6]).to(dtype)] for dtype in FORMATS]
    for rank, got in enumerate(on_ranks(2, all_reduces, cases)):
        for dtype, (x, _) in zip(FORMATS, got):
            check.close(x, [7.0, 6.0, 8.0], f"[3, 1, 2] + [4, 5, 6] in {dtype} on rank {rank}")
            check.equal(str(x.dtype), str(dtype), "its format")


def beside_torch(rank, seed):
    """Our sum, and torch's."""
    x = torch.randn(1001, generator=torch.Generator().manual_seed(seed + rank))
    theirs = x.clone()
    dist.all_reduce(theirs)
    collectives.all_reduce(x)
    return x, theirs


@pytest.mark.varied
def test_all_reduce_beside_torchs(rng):
    """The sum is torch's, and has the same bits on all ranks."""
    got = on_ranks(3, beside_torch, rng.randrange(1 << 32))
    for rank, (ours, theirs) in enumerate(got):
        check.close(ours, theirs, f"1,001 random numbers on rank {rank}, as torch sums them up", atol=1e-5)
        why = "Whoever adds the same numbers in another order rounds otherwise; then ranks drift apart."
        check.true(ours.equal(got[0][0]), f"rank {rank} has the same bits as rank 0", why=why)


@pytest.mark.parametrize("world", [2, 4])
def test_all_reduce_sends_less_than_twice(world):
    """A rank sends 2 (W - 1) / W of its numbers, and no rank more than the others."""
    its = on_ranks(world, counted, "all_reduce", 24)
    for rank, got in enumerate(between_two(its, "send")):
        sent = sum(count for _, count in got)
        check.equal(
            sent, 48 * (world - 1) // world, f"how many numbers rank {rank} of {world} sends, for 24", why=PAIRS
        )


# -- broadcast


def test_broadcast_by_hand():
    """What the first rank has is written over x on the second."""
    got = on_ranks(2, broadcasts, [([torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0])], 0)])
    for rank in range(2):
        check.close(got[rank][0][0], [1.0, 2.0], f"x on rank {rank} after broadcast(x): [1, 2] is on rank 0")


def test_broadcast_gives_x():
    """What comes back is x itself."""
    got = on_ranks(2, broadcasts, [([torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0])], 0)])
    for rank in range(2):
        check.true(got[rank][0][1], f"broadcast(x) gives x itself, on rank {rank}")


@pytest.mark.parametrize("world", [2, 3])
def test_broadcast_from_any_rank(world):
    """Any rank may be the source."""
    cases = [([torch.tensor([rank, 7.0 + rank]) for rank in range(world)], source) for source in range(world)]
    for rank, got in enumerate(on_ranks(world, broadcasts, cases)):
        for source, (x, _) in enumerate(got):
            check.close(x, [source, 7.0 + source], f"x on rank {rank} of {world} after broadcast(x, {source})")


def test_broadcast_doubles():
    """Of four ranks, rank 0 sends to 1; then both send, 0 to 2 and 1 to 3."""
    its = on_ranks(4, counted, "broadcast", 5)
    why = "After two rounds all four have it. If rank 0 sent to each of the others, it would take three."
    got = [[peer for peer, _ in each] for each in between_two(its, "send")]
    check.equal(got, [[1, 2], [3], [], []], "whom ranks 0, 1, 2 and 3 send it to, one after another", why=why)


@pytest.mark.parametrize("world, source", [(2, 1), (5, 3)])
def test_broadcast_counts_from_the_source(world, source):
    """Counted from the source, the ranks below 2^s send it to those 2^s further; everybody else gets it once."""
    its = on_ranks(world, counted, "broadcast", 5, source)
    expected: list[list[tuple[int, int]]] = [[] for _ in range(world)]
    for have in (1, 2, 4):
        for number in range(min(have, world - have)):
            expected[(source + number) % world].append(((source + number + have) % world, 5))
    what = f"(to, how many numbers) of what each of {world} ranks sends in turn, from rank {source}"
    check.equal(between_two(its, "send"), expected, what)
    check.equal([len(each) for each in between_two(its, "recv")].count(1), world - 1, "how many ranks get it, once")


@pytest.mark.varied
def test_broadcast_of_any(rng):
    """x is written over, whatever its shape, and however it is laid out."""
    cases = of_ranks(rng, 3)
    for rank, got in enumerate(on_ranks(3, broadcasts, [(xs, 1) for xs in cases])):
        for name, xs, (x, _) in zip(LAYOUTS, cases, got):
            check.close(x, xs[1], f"x on rank {rank} after broadcast(x, 1), of x: {name}")


def test_broadcast_in_any_format():
    """Any format is sent."""
    formats = [*FORMATS, torch.bool, torch.uint8]
    cases = [([torch.tensor([1, 0]).to(dtype), torch.tensor([0, 1]).to(dtype)], 1) for dtype in formats]
    for rank, got in enumerate(on_ranks(2, broadcasts, cases)):
        for dtype, (x, _) in zip(formats, got):
            check.equal(x.tolist(), torch.tensor([0, 1]).to(dtype).tolist(), f"x in {dtype} on rank {rank}")


def no_such_rank(rank):
    """Sources that are none; and one that is."""
    x = torch.tensor([5.0 + rank])
    for source in (-1, 2):
        check.raises(ValueError, collectives.broadcast, x, source, naming=[source, 1])
    collectives.broadcast(x, 1)
    return x


def test_no_such_source():
    """A source that is no rank of the group is a ValueError that names it."""
    for rank, got in enumerate(on_ranks(2, no_such_rank)):
        check.close(got, [6.0], f"x on rank {rank} after broadcast(x, 1) then")


# -- all of them


IN_GROUPS = {
    "reduce_scatter": ((), [[101, 202, 303], [1010, 2020, 3030], [404, 505, 606], [4040, 5050, 6060]]),
    "all_gather": ((6,), [[1, 2, 3, 100, 200, 300], [10, 20, 30, 1000, 2000, 3000]] * 2),
    "all_reduce": ((), [[101, 202, 303, 404, 505, 606], [1010, 2020, 3030, 4040, 5050, 6060]] * 2),
    "broadcast": ((1,), [[100, 200, 300, 400, 500, 600], [1000, 2000, 3000, 4000, 5000, 6000]] * 2),
}


@pytest.mark.parametrize("name", IN_GROUPS)
def test_in_a_group(name):
    """In a group, ranks are counted within it; two groups can be at work at once."""
    args, expected = IN_GROUPS[name]
    got = on_ranks(4, in_two_groups, name, *args)
    for rank in range(4):
        why = "Process 2 is rank 1 of the group of 0 and 2: dist.get_rank(group), and group_dst= instead of dst=."
        check.close(got[rank], expected[rank], f"what {name} gives process {rank}, in groups of 0, 2 and 1, 3", why=why)


def of_traced(rank):
    """What comes of tensors that need a gradient, which come from a computation or are parameters."""
    made: Any = torch.arange(1.0, 5.0, requires_grad=True) * (rank + 1)
    scattered = collectives.reduce_scatter(made)
    gathered = collectives.all_gather(made[:2], 4)
    parameters = [nn.Parameter(torch.full((2,), 1.0 + rank)) for _ in range(2)]
    collectives.all_reduce(parameters[0])
    collectives.broadcast(parameters[1])
    traced = [getattr(each, "requires_grad", False) for each in (scattered, gathered)]
    leaves = [each.is_leaf and each.requires_grad for each in parameters]
    return told(scattered), told(gathered), [each.detach() for each in parameters], traced, leaves


def test_without_gradient():
    """Nothing is differentiated: chunks and sums need no gradient, and parameters may be written over."""
    expected = [[3.0, 6.0], [9.0, 12.0]]
    for rank, (scattered, gathered, parameters, traced, leaves) in enumerate(on_ranks(2, of_traced)):
        check.close(scattered, expected[rank], f"what reduce_scatter gives rank {rank}")
        check.close(gathered, [1.0, 2.0, 2.0, 4.0], f"what all_gather gives rank {rank}")
        check.equal(traced, [False, False], "whether these two need a gradient")
        check.close(parameters[0], [3.0, 3.0], "a parameter after all_reduce")
        check.close(parameters[1], [1.0, 1.0], "a parameter after broadcast")
        check.equal(leaves, [True, True], "whether they are parameters still")


def many_numbers(rank, n):
    """Sum and pass on so many numbers that no buffer on the way holds them."""
    x = torch.full((n,), 1.0 + rank)
    collectives.all_reduce(x)
    y = torch.full((n,), float(rank))
    collectives.broadcast(y, 1)
    return [x.min().item(), x.max().item(), y.min().item(), y.max().item()]


@pytest.mark.varied
def test_long_messages():
    """Messages may be of megabytes: nobody sends while its neighbour, which it waits for, sends too."""
    for rank, got in enumerate(on_ranks(3, many_numbers, 1_000_001)):
        what = f"the smallest and the largest of 1,000,001 numbers on rank {rank}: of all_reduce, and of broadcast"
        check.close(got, [6.0, 6.0, 1.0, 1.0], what)


def alone(rank):
    """All four in a group of one."""
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    flat = x.flatten()
    summed, passed = collectives.all_reduce(x.clone()), collectives.broadcast(x.clone())
    return *map(told, (collectives.reduce_scatter(x), collectives.all_gather(flat, 4), summed, passed)), messages()


def test_alone():
    """A single rank keeps what it has, and sends nothing."""
    ((scattered, gathered, summed, passed, its),) = on_ranks(1, alone)
    check.close(scattered, [1.0, 2.0, 3.0, 4.0], "reduce_scatter of [[1, 2], [3, 4]]")
    check.close(gathered, [1.0, 2.0, 3.0, 4.0], "all_gather of [1, 2, 3, 4]")
    check.close(summed, [[1.0, 2.0], [3.0, 4.0]], "all_reduce of [[1, 2], [3, 4]]")
    check.close(passed, [[1.0, 2.0], [3.0, 4.0]], "broadcast of [[1, 2], [3, 4]]")
    check.equal(between_two([its], "send"), [[]], "what it sends")
