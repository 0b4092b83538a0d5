"""What people get wrong in 5.9 A step from many batches (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

COUNTS = "counts = [batch.counted for batch in batches]"
CLEAR = "    optimizer.zero_grad()\n    total = 0.0\n"
LOOP = "    for batch, count in zip(batches, counts):\n"
LOSS = "loss = cross_entropy(logits, batch.targets) * (count / tokens)"
BACKWARD = "        loss.backward()\n"
ADD = "        total += loss.item()\n"
NORM = "    norm = float(clip_gradients(parameters, max_norm))\n"
PARAMETERS = 'parameters = [p for group in optimizer.param_groups for p in group["params"]]'
CHECK = "if not (math.isfinite(total) and math.isfinite(norm)):"
END = "    optimizer.step()\n    optimizer.zero_grad()\n"


def weighed(backward: str, loss: str = "loss.item() * (count / tokens)") -> tuple[tuple[str, str], ...]:
    """What goes backward is weighed in another way; the loss that comes is right unless something else is said."""
    return (
        (LOSS, "loss = cross_entropy(logits, batch.targets)"),
        (BACKWARD, f"        ({backward}).backward()\n"),
        (ADD, f"        total += {loss}\n"),
    )


MISTAKES = [
    Mistake(
        "5.9",
        "the mean losses are added up, not divided by anything",
        "With N batches, the gradient is N times too long. Each batch has the weight count / tokens.",
        "accumulate.py",
        weighed("loss"),
    ),
    Mistake(
        "5.9",
        "the mean of the batches' means is taken",
        "In a batch of 1 target that one counts as much as all of 5 in another. Weigh each batch by how many of its "
        "targets count.",
        "accumulate.py",
        weighed("loss / len(batches)"),
    ),
    Mistake(
        "5.9",
        "batches are weighed by their places, those that do not count included",
        "The mean loss of a batch is over the targets that are not IGNORE: batch.counted, not batch.targets.numel().",
        "accumulate.py",
        weighed("loss * (batch.targets.numel() / sum(each.targets.numel() for each in batches))"),
    ),
    Mistake(
        "5.9",
        "zero_grad is called before each batch, so that only the last one counts",
        "backward() adds to the gradients that are there: clear them once, before the first batch.",
        "accumulate.py",
        ((BACKWARD, f"        optimizer.zero_grad()\n{BACKWARD}"),),
    ),
    Mistake(
        "5.9",
        "gradients from before the step count in it",
        "backward() adds to what is there. optimizer.zero_grad() has to come before the first batch.",
        "accumulate.py",
        ((CLEAR, "    total = 0.0\n"),),
    ),
    Mistake(
        "5.9",
        "the gradients stay behind after the step",
        "Who calls next would find them, and they take as much memory as the parameters: optimizer.zero_grad() again.",
        "accumulate.py",
        ((END, "    optimizer.step()\n"),),
    ),
    Mistake(
        "5.9",
        "zero_grad is never called",
        "backward() adds to the gradients that are there, so each step would take those of all before it once more.",
        "accumulate.py",
        ((CLEAR, "    total = 0.0\n"), (END, "    optimizer.step()\n")),
    ),
    Mistake(
        "5.9",
        "the gradients are clipped after each batch",
        "What is clipped is the gradient of the step, which is there after the last batch only.",
        "accumulate.py",
        ((NORM, ""), (BACKWARD, f"{BACKWARD}    {NORM}")),
    ),
    Mistake(
        "5.9",
        "each group of the optimizer is clipped by itself",
        "Then the groups are shortened by different factors, and the direction changes. Collect the parameters of all "
        "groups, and clip once.",
        "accumulate.py",
        (
            (
                NORM,
                '    parts = [clip_gradients(group["params"], max_norm) for group in optimizer.param_groups]\n'
                "    norm = math.hypot(*map(float, parts))\n",
            ),
        ),
    ),
    Mistake(
        "5.9",
        "all batches go forward before the first goes backward",
        "Then all that they computed on the way is in memory at once, and nothing is won over one large batch. "
        "Call backward in the loop.",
        "accumulate.py",
        (
            (CLEAR, f"{CLEAR}    losses = []\n"),
            (BACKWARD, "        losses.append(loss)\n"),
            (NORM, f"    torch.stack(losses).sum().backward()\n{NORM}"),
        ),
    ),
    Mistake(
        "5.9",
        "the step is taken though the loss or the norm is not finite",
        "One step with nan makes all weights nan. Look at both before optimizer.step().",
        "accumulate.py",
        ((CHECK, "if False:"),),
    ),
]
