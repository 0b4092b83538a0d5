"""What people get wrong in 6.12 The plan (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

PARTS = "blocks * (cut // layout.tp + whole)"
COPY = "    if last and not (first and config.tie_weights):\n"
WEIGHTS = "        weights=4 * numbers,\n        gradients=4 * numbers,\n"
STATE = "        optimizer=8 * share,\n"
ALIVE = "    alive = min(layout.pp - stage, micro_batches)\n"
SUMS = "    dp = numbers + tensors + 2 if layout.dp > 1 else 0\n"
PASSES = "    passes = 4 if recompute else 3\n"
RING = "near = 4 * tp * 2 * (layout.tp - 1) / layout.tp / hardware.near"
FAR = "far = 4 * dp * 2 * (layout.dp - 1) / layout.dp / hardware.far"
WAITED = "seconds=(computing + near) / (1 - waiting) + left"
LEFT = "    left = max(far - computing * (passes - 1) / passes / micro_batches, 0.0)\n"

MISTAKES = [
    Mistake(
        "6.12",
        "norms, positions and the last biases are cut by tp as well",
        "What all ranks of tp need whole, they have whole: norms, learned positions, and biases that are added behind a "
        "sum over ranks. Only the rest is divided by tp.",
        "plan.py",
        (
            (PARTS, "blocks * ((cut + whole) // layout.tp)"),
            ("numbers += table + positions", "numbers += table + positions // layout.tp"),
            ("        numbers += norm_tensors * width\n", "        numbers += norm_tensors * width // layout.tp\n"),
        ),
    ),
    Mistake(
        "6.12",
        "a shared table is counted once, though the last stage has a copy",
        "Input and output share a table where both are on one process. Two stages need one each: with pp > 1 the last "
        "stage has V·C numbers more.",
        "plan.py",
        ((COPY, "    if last and not config.tie_weights:\n"),),
    ),
    Mistake(
        "6.12",
        "AdamW is counted with one number for each weight",
        "It keeps two, the mean of gradients and that of their squares: 8 bytes for each weight, as much as weight and "
        "gradient together.",
        "plan.py",
        ((STATE, "        optimizer=4 * share,\n"),),
    ),
    Mistake(
        "6.12",
        "zero is counted as if weights and gradients were shared out too",
        "The first stage of ZeRO, that of 6.8, shares out the optimizer's state alone. Weights and gradients are whole "
        "on every copy.",
        "plan.py",
        ((WEIGHTS, "        weights=4 * share,\n        gradients=4 * share,\n"),),
    ),
    Mistake(
        "6.12",
        "each stage is counted with the activations of all micro-batches",
        "That is GPipe. With 1F1B, stage s of p has p - s micro-batches between forward and backward at most, however "
        "many there are.",
        "plan.py",
        ((ALIVE, "    alive = micro_batches\n"),),
    ),
    Mistake(
        "6.12",
        "copies are counted as if they summed up gradients after each micro-batch",
        "Micro-batches are added up on the rank itself (`no_sync`); only the last one's backward ends with messages.",
        "plan.py",
        ((SUMS, "    dp = micro_batches * (numbers + tensors + 2) if layout.dp > 1 else 0\n"),),
    ),
    Mistake(
        "6.12",
        "backward is counted as one forward",
        "For each matrix product of forward, backward has two: the gradient of what went in, and that of the weight. "
        "So a step is three forwards, and four with recomputation.",
        "plan.py",
        ((PASSES, "    passes = 3 if recompute else 2\n"),),
    ),
    Mistake(
        "6.12",
        "what is summed up is counted as if it travelled once",
        "In a ring of W, each rank sends 2 (W - 1) / W times its numbers: once round to add up, and once round to tell.",
        "plan.py",
        ((RING, "near = 4 * tp / hardware.near"), (FAR, "far = 4 * dp / hardware.far")),
    ),
    Mistake(
        "6.12",
        "the bubble is added as a part of the work, not of the whole time",
        "It is the part of the *whole* time that is waited: of t seconds, (1 - bubble) · t are work. Work divided by "
        "(1 - bubble) is the time, not work times (1 + bubble).",
        "plan.py",
        ((WAITED, "seconds=(computing + near) * (1 + waiting) + left"),),
    ),
    Mistake(
        "6.12",
        "gradients are counted as if they travelled when backward is over",
        "Buckets set out while backward goes on. Only what takes longer than the backward of the last micro-batch is "
        "waited for.",
        "plan.py",
        ((LEFT, "    left = far\n"),),
    ),
    Mistake(
        "6.12",
        "where sums of dp are shorter than the backward they travel in, the step gets shorter",
        "Messages that are through before backward is leave nothing to wait for: what is left is 0, never less. With "
        "one copy nothing travels at all.",
        "plan.py",
        ((LEFT, "    left = far - computing * (passes - 1) / passes / micro_batches\n"),),
    ),
    Mistake(
        "6.12",
        "keys and values are counted as wide as queries",
        "With n_kv_heads = G, keys and values have G heads of D: their matrices are (G·D, C). Only queries have (C, C).",
        "plan.py",
        (("    kv_width = config.kv_heads * config.head_dim\n", "    kv_width = config.d_model\n"),),
    ),
]
