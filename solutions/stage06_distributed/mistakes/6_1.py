"""What people get wrong in 6.1 Collectives (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

SUMS = "sums = list(x.detach().flatten().clone().split(chunk_sizes(x.numel(), world)))  # W chunks"
OWN = "own = sums[(rank - 1 - step) % world]"
OTHER = "other = (rank - 2 - step) % world"
KEPT = "return sums[rank].clone()"
HERE = "here, there = (rank - step) % world, (rank - 1 - step) % world"
INTO_X = "return x.copy_(all_gather(reduce_scatter(x, group), x.numel(), group).view(x.shape))"
SEND = "dist.send(content, group=group, group_dst=(number + have + source) % world)"
RECEIVE = "dist.recv(content, group=group, group_src=(number - have + source) % world)"

MISTAKES = [
    Mistake(
        "6.1",
        "a rank passes on its own numbers, not the sum that came",
        "With two ranks that is the same. With three, the sum on its way has two terms in the second round: what goes "
        "to the right is what came from the left, plus one's own.",
        "collectives.py",
        ((OWN, "own = x.detach().flatten().split(chunk_sizes(x.numel(), world))[(rank - 1 - step) % world]"),),
    ),
    Mistake(
        "6.1",
        "each rank ends with the chunk of its right neighbour",
        "A sum that begins at rank r with chunk r is whole at the rank on its left. To have chunk r end at rank r, "
        "begin with chunk r - 1.",
        "collectives.py",
        (
            (OWN, "own = sums[(rank - step) % world]"),
            (OTHER, "other = (rank - 1 - step) % world"),
            (KEPT, "return sums[(rank + 1) % world].clone()"),
        ),
    ),
    Mistake(
        "6.1",
        "what comes is added to x itself",
        "flatten and split give views where they can, and += writes through them. Clone x before the first sum.",
        "collectives.py",
        ((SUMS, SUMS.replace(".clone()", "")),),
    ),
    Mistake(
        "6.1",
        "every round of all_gather sends the rank's own chunk",
        "Then nobody hears of chunks from further away than its neighbour. From the second round on, pass on what came "
        "in the one before.",
        "collectives.py",
        ((HERE, "here, there = rank, (rank - 1 - step) % world"),),
    ),
    Mistake(
        "6.1",
        "torch's all_reduce is called, and what it gives is handed on: None",
        "dist.all_reduce writes over x and gives None, so x = dist.all_reduce(x) has lost x. Here the sum is to be made "
        "of messages between two, and x comes back.",
        "collectives.py",
        ((INTO_X, "return dist.all_reduce(x, group=group)"),),
    ),
    Mistake(
        "6.1",
        "the sum is written into a flat copy of x",
        "reshape(-1) and flatten are x itself only where x lies without gaps. x.copy_(sum.view(x.shape)) reaches x "
        "however it is laid out.",
        "collectives.py",
        ((INTO_X, "x.reshape(-1).copy_(all_gather(reduce_scatter(x, group), x.numel(), group))\n        return x"),),
    ),
    Mistake(
        "6.1",
        "the source sends to each of the others itself",
        "That takes W - 1 messages one after another. Whoever has it can help: twice as many have it after each round.",
        "collectives.py",
        (
            ("if number < have and number + have < world:", "if number == 0:"),
            (
                SEND,
                "for other in range(have, min(2 * have, world)):\n"
                "                dist.send(content, group=group, group_dst=(other + source) % world)",
            ),
            (RECEIVE, "dist.recv(content, group=group, group_src=source)"),
        ),
    ),
    Mistake(
        "6.1",
        "the source is left out of account: what rank 0 has goes to all",
        "Count from the source: the number of a rank is (rank - source) mod W, and back again it is "
        "(number + source) mod W.",
        "collectives.py",
        (
            ("number = (rank - source) % world", "number = rank"),
            (SEND, "dist.send(content, group=group, group_dst=number + have)"),
            (RECEIVE, "dist.recv(content, group=group, group_src=number - have)"),
        ),
    ),
    Mistake(
        "6.1",
        "ranks in the group are taken for ranks among all processes",
        "dst and src of torch.distributed count among all processes, group_dst and group_src within the group. Without "
        "a group they are the same, so nothing shows until there is one.",
        "collectives.py",
        (
            (SEND, SEND.replace("group_dst", "dst")),
            (RECEIVE, RECEIVE.replace("group_src", "src")),
        ),
    ),
]
