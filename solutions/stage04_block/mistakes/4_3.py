"""What people get wrong in 4.3 Dropout (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

DROPS = "if not self.training or self.p == 0.0:"
DRAWN = "torch.rand(x.shape, generator=self.generator, device=x.device) < self.p"
LEFT = "return x.masked_fill(dropped, 0.0) / (1.0 - self.p or 1.0)  # with p = 1 nobody is left to be divided"

MISTAKES = [
    Mistake(
        "4.3",
        "what stays is not divided by 1 - p",
        "Without it the numbers are smaller on average in training than in eval: what stays is divided by 1 - p.",
        "dropout.py",
        ((LEFT, "return x.masked_fill(dropped, 0.0)"),),
    ),
    Mistake(
        "4.3",
        "p is taken for the share that stays",
        "p is the share of zeros: with p = 0.1 nine of ten numbers stay, each divided by 0.9.",
        "dropout.py",
        ((DRAWN, DRAWN.replace("<", ">=")), (LEFT, "return x.masked_fill(dropped, 0.0) / (self.p or 1.0)")),
    ),
    Mistake(
        "4.3",
        "numbers are dropped in eval too",
        "self.training says which it is; model.eval() sets it to False, and then x comes back as it is.",
        "dropout.py",
        ((DROPS, "if self.p == 0.0:"),),
    ),
    Mistake(
        "4.3",
        "eval multiplies by 1 - p, and training does not divide",
        "That is how the paper has it. Here what stays is divided in training, and eval has nothing to do.",
        "dropout.py",
        (
            (
                DROPS + "\n            return x",
                DROPS + "\n            return x if self.training else x * (1.0 - self.p)",
            ),
            (LEFT, "return x.masked_fill(dropped, 0.0)"),
        ),
    ),
    Mistake(
        "4.3",
        "with p = 1 comes nan",
        "1 - p is 0, and 0 / 0 is nan. With p = 1 there is nothing to divide: all is 0.",
        "dropout.py",
        ((LEFT, "return x.masked_fill(dropped, 0.0) / (1.0 - self.p)"),),
    ),
    Mistake(
        "4.3",
        "the draw of the first call is kept",
        "What is drawn in __init__, or kept from one call to the next, drops the same numbers for ever. Draw anew.",
        "dropout.py",
        (
            (
                "dropped = " + DRAWN,
                'kept = getattr(self, "kept", None)\n'
                f"        dropped = kept if kept is not None and kept.shape == x.shape else {DRAWN}\n"
                "        self.kept = dropped",
            ),
        ),
    ),
    Mistake(
        "4.3",
        "the generator is not used",
        "torch.rand(…, generator=self.generator) draws from it; None means torch's own there too.",
        "dropout.py",
        ((DRAWN, DRAWN.replace("generator=self.generator, ", "")),),
    ),
    Mistake(
        "4.3",
        "all tokens lose the same numbers",
        "A row of draws that broadcasts is the same for each token. Draw x.shape numbers, one for each number of x.",
        "dropout.py",
        ((DRAWN, DRAWN.replace("x.shape", "x.shape[-1:]")),),
    ),
    Mistake(
        "4.3",
        "what comes of a half format is in float32",
        "A mask of float32 numbers makes the product float32. Use a mask of True and False, or convert it to x.dtype.",
        "dropout.py",
        ((LEFT, "return x * (~dropped).float() / (1.0 - self.p or 1.0)"),),
    ),
]
