"""What people get wrong in 5.5 Loss (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

APPLY = "loss: Any = _CrossEntropy.apply(rows, targets.flatten(), ignore_index, label_smoothing)\n"
COUNTS = "counts = targets != ignore_index\n"
NUMBER = "number = counts.sum().clamp(min=1)\n"
WIDE = "wide = logits.to(torch.promote_types(logits.dtype, torch.float32))\n"
TOP = "top = wide.amax(-1, keepdim=True)  # (M, 1)\n"
LOSSES = "losses = total.log() - (1 - smoothing) * (wide.gather(-1, targets) - top)  # (M, 1)\n"
SMOOTHED = "losses -= smoothing * (wide.mean(-1, keepdim=True) - top)\n"
SHARED = "grad -= scale * (ctx.smoothing / grad.shape[-1])\n"
TARGET = "grad.scatter_add_(-1, targets, (ctx.smoothing - 1) * scale)\n"
ROWS_OF_TEXTS = """\
if logits.dim() > 2:
        pairs = zip(logits.flatten(0, -3), targets.flatten(0, -2))
        texts = [_CrossEntropy.apply(one, its, ignore_index, label_smoothing) for one, its in pairs]
        loss: Any = torch.stack(texts).mean()
    else:
        loss = _CrossEntropy.apply(rows, targets.flatten(), ignore_index, label_smoothing)
"""
OTHERS = "smoothing / (wide.shape[-1] - 1)"

MISTAKES = [
    Mistake(
        "5.5",
        "the logarithm of a softmax is taken, which is -inf where the softmax is 0",
        "ln(exp(x) / Σ exp) is x - ln Σ exp: written like that, the exponential that may become 0 is gone.",
        "loss.py",
        (
            (
                LOSSES,
                "losses = smoothing * total.log() - (1 - smoothing) * (exp / total).log().gather(-1, targets)\n",
            ),
        ),
    ),
    Mistake(
        "5.5",
        "a small number is added to the probability before its logarithm is taken",
        "The loss can then be no larger than the logarithm of that number. Leave no logarithm of a probability: "
        "-ln p is ln Σ exp(x) - x.",
        "loss.py",
        (
            (
                LOSSES,
                "losses = smoothing * total.log() - (1 - smoothing) * (exp / total + 1e-9).log().gather(-1, targets)\n",
            ),
        ),
    ),
    Mistake(
        "5.5",
        "the exponentials of large logits overflow",
        "Take the largest logit away from all of them first, and add it again after the logarithm.",
        "loss.py",
        ((TOP, "top = torch.zeros_like(wide[:, :1])\n"),),
    ),
    Mistake(
        "5.5",
        "the largest logit of all places is taken away, and nothing is left of the others",
        "Each place has a largest logit of its own: amax(-1, keepdim=True).",
        "loss.py",
        ((TOP, "top = wide.amax().expand(len(wide), 1)\n"),),
    ),
    Mistake(
        "5.5",
        "targets that do not count are in the number that the sum is divided by",
        "Divide by how many targets are not ignore_index, not by how many there are.",
        "loss.py",
        ((NUMBER, "number = torch.tensor(max(targets.numel(), 1))\n"),),
    ),
    Mistake(
        "5.5",
        "where no target counts, the loss is nan",
        "A sum of nothing divided by 0 is nan. Divide by 1 at least: clamp(min=1).",
        "loss.py",
        ((NUMBER, "number = counts.sum()\n"),),
    ),
    Mistake(
        "5.5",
        "only targets of -100 do not count, whatever ignore_index is",
        "Compare the targets with the argument ignore_index; -100 is what it is if nothing is said.",
        "loss.py",
        ((COUNTS, "counts = targets != IGNORE\n"),),
    ),
    Mistake(
        "5.5",
        "the mean of the texts' means is taken, so a short text weighs as much as a long one",
        "Make one row of places out of all texts first: one sum, divided once.",
        "loss.py",
        ((APPLY, ROWS_OF_TEXTS),),
    ),
    Mistake(
        "5.5",
        "the sum of the places is given, not their mean",
        "Divide by the number of targets that count, so that a larger batch does not make a larger loss.",
        "loss.py",
        ((NUMBER, "number = torch.tensor(1)\n"),),
    ),
    Mistake(
        "5.5",
        "the loss is in bits, not in nats",
        "torch.log is ln, and that is all that is needed; log2 is for bits_per_byte.",
        "loss.py",
        ((APPLY, f"{APPLY[:-1]} / math.log(2)\n"),),
    ),
    Mistake(
        "5.5",
        "label smoothing shares ε out among the other tokens only",
        "All V get ε / V, the target too, which has 1 - ε + ε / V of the weight then.",
        "loss.py",
        (
            (LOSSES, f"others = {OTHERS} if smoothing else 0.0\n        {LOSSES}"),
            (
                SMOOTHED,
                "losses -= others * (wide.sum(-1, keepdim=True) - wide.gather(-1, targets) - (wide.shape[-1] - 1) * top)\n",
            ),
            (SHARED, "others = ctx.smoothing / (grad.shape[-1] - 1)\n            grad -= scale * others\n"),
            (
                TARGET,
                "others = ctx.smoothing / (grad.shape[-1] - 1) if ctx.smoothing else 0.0\n"
                "        grad.scatter_add_(-1, targets, (ctx.smoothing - 1 + others) * scale)\n",
            ),
        ),
    ),
    Mistake(
        "5.5",
        "with label smoothing, the target keeps all of its weight",
        "What is shared out among all has to come from somewhere: the target's own part is multiplied by 1 - ε.",
        "loss.py",
        (
            (LOSSES, "losses = (1 + smoothing) * total.log() - (wide.gather(-1, targets) - top)  # (M, 1)\n"),
            ("grad = exp * (scale / total)\n", "grad = exp * (scale / total) * (1 + ctx.smoothing)\n"),
            (TARGET, "grad.scatter_add_(-1, targets, -scale)\n"),
        ),
    ),
    Mistake(
        "5.5",
        "logits of half formats are computed in their own format",
        "bfloat16 has three digits, and float16 ends at 65,504: convert the logits to float32 before anything else.",
        "loss.py",
        ((WIDE, "wide = logits\n"),),
    ),
    Mistake(
        "5.5",
        "the perplexity is a power of 2, though the loss is in nats",
        "2 to the power of bits, e to the power of nats: math.exp.",
        "loss.py",
        (("return math.exp(loss)\n", "return 2.0**loss\n"),),
    ),
    Mistake(
        "5.5",
        "a perplexity that is too large is an error",
        "math.exp raises OverflowError above 709.78: catch it, and give math.inf.",
        "loss.py",
        (("return math.inf\n", "raise\n"),),
    ),
    Mistake(
        "5.5",
        "nats are multiplied by ln 2 to make bits of them",
        "A bit is ln 2 nats, which is less than one: there are more bits than nats. Divide.",
        "loss.py",
        (("loss * tokens / math.log(2) / size", "loss * tokens * math.log(2) / size"),),
    ),
    Mistake(
        "5.5",
        "the number of bytes is divided by the number of tokens, and not the other way round",
        "loss times tokens is what the whole text costs; that is shared out among its bytes.",
        "loss.py",
        (("loss * tokens / math.log(2) / size", "loss * size / math.log(2) / tokens"),),
    ),
]
