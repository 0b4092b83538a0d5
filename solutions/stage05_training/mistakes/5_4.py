"""What people get wrong in 5.4 The loader (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

ORDER = "np.random.default_rng((self.seed, epoch)).permutation(count).tolist()"
COUNTED = """\
        self.batch += 1
        if self.batch == self.batches:
            self.epoch, self.batch = self.epoch + 1, 0
"""
REST = """\
            for start in range(batch * self.batch_size, self.batches * self.batch_size, self.batch_size):
                yield order[start : start + self.batch_size]
            epoch, batch = epoch + 1, 0
"""
PLACE = "self.seed, self.epoch, self.batch = state["
OTHER_SOURCE = "        self._source = None\n        # END"

MISTAKES = [
    Mistake(
        "5.4",
        "each epoch has the same order",
        "The order follows from two numbers: default_rng((seed, epoch)).",
        "loader.py",
        ((ORDER, ORDER.replace("(self.seed, epoch)", "self.seed")),),
    ),
    Mistake(
        "5.4",
        "the seed does not count",
        "The order follows from two numbers: default_rng((seed, epoch)).",
        "loader.py",
        ((ORDER, ORDER.replace("(self.seed, epoch)", "epoch")),),
    ),
    Mistake(
        "5.4",
        "the order is drawn from NumPy's own generator, after that got a seed",
        "Whoever else draws from it, a model's dropout say, gets other numbers then. Make a generator: default_rng(…).",
        "loader.py",
        (
            (
                f"        return {ORDER}",
                "        np.random.seed((self.seed, epoch))\n        return np.random.permutation(count).tolist()",
            ),
        ),
    ),
    Mistake(
        "5.4",
        "items are drawn anew each time, so that some come twice and some not at all",
        "In an epoch each item comes once: a permutation of the indices, not draws of them.",
        "loader.py",
        ((ORDER, ORDER.replace("permutation(count)", "integers(count, size=count)")),),
    ),
    Mistake(
        "5.4",
        "the last batch of an epoch has fewer items",
        "What is too little for a batch is left out: len(dataset) // batch_size batches, rounded down.",
        "loader.py",
        (("return len(self.dataset) // self.batch_size", "return -(-len(self.dataset) // self.batch_size)"),),
    ),
    Mistake(
        "5.4",
        "asking for indices moves the loader",
        "Workers are handed indices long before their batches come out. Count in __next__, and let indices have epoch "
        "and batch as variables of its own.",
        "loader.py",
        (
            (COUNTED, ""),
            (
                REST,
                REST.replace("            epoch, batch = epoch + 1, 0\n", "                self._advance()\n")
                + "            epoch, batch = self.epoch, self.batch\n",
            ),
            (
                "    def state_dict(self)",
                "    def _advance(self) -> None:\n" + COUNTED + "\n    def state_dict(self)",
            ),
            ("_Indices(copy.copy(self))", "_Indices(self)"),
        ),
    ),
    Mistake(
        "5.4",
        "the epoch is begun anew instead of gone on with",
        "The state has the number of the batch too: the indices begin at batch · B of the epoch's order.",
        "loader.py",
        (("        epoch, batch = self.epoch, self.batch\n", "        epoch, batch = self.epoch, 0\n"),),
    ),
    Mistake(
        "5.4",
        "every epoch begins where the loader went on, and lacks its first batches",
        "Only the epoch that is gone on with begins in the middle: after it, batch is 0.",
        "loader.py",
        ((REST, REST.replace("epoch, batch = epoch + 1, 0", "epoch += 1")),),
    ),
    Mistake(
        "5.4",
        "what was read ahead comes, in spite of the new place",
        "A source that is running goes on from the old place. Throw it away: the next batch then makes a new one.",
        "loader.py",
        ((OTHER_SOURCE, "        # END"),),
    ),
    Mistake(
        "5.4",
        "the seed stays that of the new loader",
        "The order follows from the seed: take it from the state, with epoch and batch.",
        "loader.py",
        (
            (
                'self.seed, self.epoch, self.batch = state["seed"], state["epoch"], state["batch"]',
                'self.epoch, self.batch = state["epoch"], state["batch"]',
            ),
        ),
    ),
    Mistake(
        "5.4",
        "the place counts on over the end of an epoch",
        "With the last batch of an epoch, epoch grows by 1 and batch becomes 0.",
        "loader.py",
        ((COUNTED, "        self.batch += 1\n"),),
    ),
]
