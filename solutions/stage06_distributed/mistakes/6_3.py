"""What people get wrong in 6.3 Data parallelism (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

MEANS = "flat.div_(self.world_size).split("
TENSORS = "for tensor in [*module.parameters(), *module.buffers()]:"
OUTSIDE = "        if not self.syncs:\n            return\n"
NEXT = "        while len(self._sent) < len(self.buckets) and self._missing[len(self._sent)] == 0:\n"
REST = "        while len(self._sent) < len(self.buckets):\n            self._send()\n"
PARTS = "[torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in bucket]"
THERE = "[p.grad is not None for p in bucket]"
UNUSED = "                if not used:\n                    continue\n"
ABSENT = "                if p.grad is None:\n                    p.grad = torch.empty_like(p)\n"
PUT = "p.grad.copy_(mean.view(p.shape))"
SUM = "    dist.all_reduce(total, group=group)\n"
SHARE = "return count * dist.get_world_size(group) / total.item()"

MISTAKES = [
    Mistake(
        "6.3",
        "the gradients are summed up over the ranks, not averaged",
        "With W ranks the sum is W times as long as the gradient of the mean loss. Divide what has arrived by W.",
        "data_parallel.py",
        ((MEANS, "flat.split("),),
    ),
    Mistake(
        "6.3",
        "each rank keeps the weights that it drew itself",
        "The mean of gradients belongs to one set of weights. Broadcast the first rank's, as the copies are made.",
        "data_parallel.py",
        ((TENSORS, "for tensor in module.buffers():"),),
    ),
    Mistake(
        "6.3",
        "the buffers of the first rank are not sent",
        "Running averages, counts and masks take part in forward too: broadcast module.buffers() beside the parameters.",
        "data_parallel.py",
        ((TENSORS, "for tensor in module.parameters():"),),
    ),
    Mistake(
        "6.3",
        "the weights are averaged, and the gradients are not",
        "Then each rank goes its own way, and an optimizer's moments differ on all of them. It is p.grad that travels.",
        "data_parallel.py",
        (
            (PARTS, "[p.detach().flatten() for p in bucket]"),
            (THERE, "[True for _ in bucket]"),
            (ABSENT, ""),
            (PUT, "p.detach().copy_(mean.view(p.shape))"),
        ),
    ),
    Mistake(
        "6.3",
        "whether to send is decided where forward runs",
        "Look at self.syncs in the hook, when backward comes by, and keep nothing from forward: a loss may be made "
        "outside no_sync and go backward within it.",
        "data_parallel.py",
        (
            ("        return self.module(*args", "        self._sends = self.syncs\n        return self.module(*args"),
            (OUTSIDE, OUTSIDE.replace("syncs", "_sends")),
        ),
    ),
    Mistake(
        "6.3",
        "gradients are sent within no_sync too",
        "The hook has to return at once while self.syncs is False: gradients add up, and travel once, with the last "
        "batch.",
        "data_parallel.py",
        ((OUTSIDE, ""),),
    ),
    Mistake(
        "6.3",
        "nothing is sent before backward is over",
        "Then all wait for the network, which did nothing before. Count down, in the hook of each parameter, what its "
        "bucket still waits for, and send it at 0.",
        "data_parallel.py",
        ((NEXT + "            self._send()\n", ""),),
    ),
    Mistake(
        "6.3",
        "backward stands still until a bucket has arrived",
        "dist.all_reduce waits for the sum. With async_op=True it gives back a handle at once; call wait() on it when "
        "backward is over.",
        "data_parallel.py",
        (("async_op=True", "async_op=False"),),
    ),
    Mistake(
        "6.3",
        "buckets are sent as they become ready, in another order on each rank",
        "Messages are matched by their order: the n-th of one rank is added to the n-th of the others, whatever is in "
        "it. Let a bucket that is ready wait until those before it have been sent.",
        "data_parallel.py",
        (
            ("        self._begun = False\n", "        self._begun = False\n        self._order: list[int] = []\n"),
            (
                NEXT + "            self._send()\n",
                "        if self._missing[self._bucket_of[p]] == 0:  # type: ignore[index]\n"
                "            self._send(self._bucket_of[p])  # type: ignore[index]\n",
            ),
            ("def _send(self) -> None:", "def _send(self, number: int) -> None:"),
            (
                "bucket = self.buckets[len(self._sent)]",
                "bucket = self.buckets[number]\n        self._order.append(number)",
            ),
            (
                REST,
                "        for number in range(len(self.buckets)):\n            if number not in self._order:\n"
                "                self._send(number)\n",
            ),
            ("zip(self.buckets, self._sent)", "zip([self.buckets[number] for number in self._order], self._sent)"),
        ),
    ),
    Mistake(
        "6.3",
        "a bucket with a parameter that is not used is never sent",
        "No hook is called for what the loss does not depend on, so its bucket is never full. When backward ends, send "
        "all that are left, with zeros in such places: queue_callback calls a function then.",
        "data_parallel.py",
        ((REST, ""),),
    ),
    Mistake(
        "6.3",
        "a rank that has not used a parameter does not get its mean",
        "The other ranks take a step with it, and the copies part. Where p.grad is None, make one for the mean.",
        "data_parallel.py",
        ((ABSENT, "                if p.grad is None:\n                    continue\n"),),
    ),
    Mistake(
        "6.3",
        "what no rank has used gets a gradient of zeros",
        "An optimizer steps with zeros too: moments fade, and weight decay goes on. Let the ranks tell each other which "
        "gradients are there; where nobody has one, it stays None.",
        "data_parallel.py",
        ((UNUSED, ""),),
    ),
    Mistake(
        "6.3",
        "the mean of the ranks' means is taken, however many targets each has",
        "With 3 and 1 targets, the one counts as much as three together. The share is count · W / Σ count.",
        "data_parallel.py",
        ((SHARE, "return 1.0"),),
    ),
    Mistake(
        "6.3",
        "a share lacks the factor W",
        "The mean over the ranks divides by W, which is no part of the mean over the targets: multiply by it.",
        "data_parallel.py",
        ((SHARE, "return count / total.item()"),),
    ),
    Mistake(
        "6.3",
        "what dist.all_reduce returns is taken for the sum",
        "It returns None, and writes the sum over the tensor that it was given.",
        "data_parallel.py",
        ((SUM, "    total = dist.all_reduce(total, group=group)\n"),),
    ),
]
