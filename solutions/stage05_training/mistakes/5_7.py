"""What people get wrong in 5.7 Warmup and cosine (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

RISE = "return max_lr * (step + 1) / warmup"
DONE = "done = min((step - warmup) / (total - warmup), 1.0)"
FALL = "return min_lr + (max_lr - min_lr) * (1.0 + math.cos(math.pi * done)) / 2"

MISTAKES = [
    Mistake(
        "5.7",
        "the warmup begins with the rate 0",
        "Step 0 would be a step for nothing. It is the first of `warmup` steps, so it gets 1 / warmup of the rate.",
        "schedule.py",
        ((RISE, "return max_lr * step / warmup"),),
    ),
    Mistake(
        "5.7",
        "beyond the end, the cosine goes on and the rate rises again",
        "From step `total` on the rate is min_lr: let the share of the way that is done be 1 at most.",
        "schedule.py",
        ((DONE, "done = (step - warmup) / (total - warmup)"),),
    ),
    Mistake(
        "5.7",
        "the cosine begins at step 0, not behind the warmup",
        "At step `warmup` the way down begins: the share that is done is (step - warmup) / (total - warmup).",
        "schedule.py",
        ((DONE, "done = min(step / total, 1.0)"),),
    ),
    Mistake(
        "5.7",
        "the way down is divided by `total`, though it begins behind the warmup",
        "The way down has total - warmup steps; divided by more, its end is never reached.",
        "schedule.py",
        ((DONE, "done = min((step - warmup) / total, 1.0)"),),
    ),
    Mistake(
        "5.7",
        "the cosine falls to 0, and min_lr only cuts it off",
        "The cosine spans what is between max_lr and min_lr: min_lr + (max_lr - min_lr) · (1 + cos) / 2.",
        "schedule.py",
        ((FALL, "return max(min_lr, max_lr * (1.0 + math.cos(math.pi * done)) / 2)"),),
    ),
    Mistake(
        "5.7",
        "min_lr is added to a cosine of the full height",
        "At its top that gives max_lr + min_lr. What the cosine is multiplied by is max_lr - min_lr.",
        "schedule.py",
        ((FALL, "return min_lr + max_lr * (1.0 + math.cos(math.pi * done)) / 2"),),
    ),
    Mistake(
        "5.7",
        "the angle goes to π/2 only",
        "A quarter of a turn leaves max_lr as it should and runs into min_lr steeply. Half a cosine goes to π, and "
        "(1 + cos) / 2 brings it from [-1, 1] to [0, 1].",
        "schedule.py",
        ((FALL, "return min_lr + (max_lr - min_lr) * math.cos(math.pi / 2 * done)"),),
    ),
]
