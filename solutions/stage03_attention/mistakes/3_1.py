"""What people get wrong in 3.1 Softmax (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

EXP = "exp = (wide - top).exp_()"
TOP = "top = wide.amax(dim, keepdim=True)"
SHARE = "shares = exp / exp.sum(dim, keepdim=True)"
BACK = "weighed.sum(ctx.dim, keepdim=True)"
WIDE = "wide = x.to(torch.promote_types(x.dtype, torch.float32))"

MISTAKES = [
    Mistake(
        "3.1",
        "large numbers go into exp as they are",
        "exp(89) is inf in float32, and inf / inf is nan. Take the largest number away first: the shares stay.",
        "softmax.py",
        ((EXP, "exp = wide.exp()"),),
    ),
    Mistake(
        "3.1",
        "the largest number of all is taken away from every slice",
        "A slice that lies far below the largest of all becomes zeros, and 0 / 0 is nan. Each slice needs its own "
        "maximum: amax(dim, keepdim=True).",
        "softmax.py",
        ((TOP, "top = wide.amax()"),),
    ),
    Mistake(
        "3.1",
        "dim is not looked at: the last dimension is always shared out",
        "Both the maximum and the sum go along dim, which may be any dimension.",
        "softmax.py",
        (
            (TOP, TOP.replace("dim, ", "-1, ")),
            (SHARE, SHARE.replace("dim, ", "-1, ")),
            (BACK, BACK.replace("ctx.dim", "-1")),
        ),
    ),
    Mistake(
        "3.1",
        "all numbers together add up to 1, not those of each slice",
        "exp.sum() adds everything. Add along dim, and keep the dimension, so that the sums go with their slices.",
        "softmax.py",
        ((SHARE, "shares = exp / exp.sum()"), (BACK, "weighed.sum()")),
    ),
    Mistake(
        "3.1",
        "half formats are not computed in float32",
        "Each step rounds to three digits. Convert x to float32 first, and the result back last.",
        "softmax.py",
        ((WIDE, "wide = x"),),
    ),
    Mistake(
        "3.1",
        "the result of a half format stays in float32",
        "What comes has the format of x: end with .to(x.dtype).",
        "softmax.py",
        (("return shares.to(x.dtype)", "return shares"),),
    ),
    Mistake(
        "3.1",
        "everything is computed in float32, what comes in float64 too",
        "x.float() takes half of float64's digits. torch.promote_types(x.dtype, torch.float32) is the wider one.",
        "softmax.py",
        ((WIDE, "wide = x.float()"),),
    ),
    Mistake(
        "3.1",
        "the denominator is taken for a constant",
        "A sum that is detached has no gradient, but each number changes it. Only the maximum may be detached.",
        "softmax.py",
        (("weighed.sub_(shares * weighed.sum(ctx.dim, keepdim=True))", "weighed"),),
    ),
]
