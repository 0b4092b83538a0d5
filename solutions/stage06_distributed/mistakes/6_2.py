"""What people get wrong in 6.2 Sharding data (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

SEED = "torch.Generator().manual_seed(self.seed + self.epoch * 0x9E3779B1)  # seeds do not run together"
ORDER = "order = torch.randperm(self.length, generator=generator).tolist()"
SHARE = "return iter(order[self.rank :: self.world_size][: len(self)])"
MORE = "more = not self.drop_last and self.rank < self.length % self.world_size"

MISTAKES = [
    Mistake(
        "6.2",
        "the epoch does not count: all have the same order",
        "A generator that is made anew from the seed alone gives the same order each time. Mix self.epoch into it.",
        "sharding.py",
        ((SEED, "torch.Generator().manual_seed(self.seed)"),),
    ),
    Mistake(
        "6.2",
        "seed and epoch are added up, so seeds share their orders",
        "Seed 5 in epoch 1 and seed 6 in epoch 0 make the same number then: two runs that should differ read the same, "
        "an epoch apart. Multiply one of them by a large odd number first.",
        "sharding.py",
        ((SEED, "torch.Generator().manual_seed(self.seed + self.epoch)"),),
    ),
    Mistake(
        "6.2",
        "each rank draws an order of its own",
        "Then some indices come on two ranks, and others on none. All ranks draw the same order, and differ only in what "
        "they take of it.",
        "sharding.py",
        ((SEED, "torch.Generator().manual_seed(self.seed + self.epoch * 0x9E3779B1 + self.rank * 7919)"),),
    ),
    Mistake(
        "6.2",
        "the order is drawn from torch's own generator",
        "Ranks have drawn different numbers from it by then, for dropout or weights, and so draw different orders. Make "
        "a torch.Generator of your own, seeded from seed and epoch.",
        "sharding.py",
        ((ORDER, "order = torch.randperm(self.length).tolist()"),),
    ),
    Mistake(
        "6.2",
        "ranks take one stretch of the order each",
        "No index is lost, but the first W·B of the order are not the first B of all ranks any more. Take every W-th.",
        "sharding.py",
        (
            (
                SHARE,
                "small, more = divmod(self.length, self.world_size)\n"
                "        more = 0 if self.drop_last else more\n"
                "        begin = self.rank * small + min(self.rank, more)\n"
                "        return iter(order[begin : begin + len(self)])",
            ),
        ),
    ),
    Mistake(
        "6.2",
        "a rank has the same share in every epoch, and shuffles only that",
        "Shuffle first and share out then: each epoch the ranks should meet other indices, in batches that one process "
        "would have too.",
        "sharding.py",
        (
            (ORDER, "order = torch.randperm(len(self), generator=generator).tolist()"),
            (
                SHARE,
                "its = range(self.rank, self.length, self.world_size)[: len(self)]\n        return iter([its[i] for i in (order if self.shuffle else range(len(its)))])",
            ),
        ),
    ),
    Mistake(
        "6.2",
        "with drop_last, the first ranks still have one more",
        "Then they wait for others in the all-reduce of a batch that these do not have, for ever. All take ⌊N / W⌋.",
        "sharding.py",
        ((MORE, "more = self.rank < self.length % self.world_size"),),
    ),
    Mistake(
        "6.2",
        "the order is filled up with indices from its beginning",
        "torch's DistributedSampler does that. Here no index comes twice: the first N mod W ranks have one more than the "
        "others, which a step that goes by tokens can take.",
        "sharding.py",
        (
            (
                SHARE,
                "order = order + order * self.world_size\n"
                "        return iter(order[self.rank :: self.world_size][: len(self)])",
            ),
            (MORE, "more = not self.drop_last and self.length % self.world_size > 0"),
        ),
    ),
]
