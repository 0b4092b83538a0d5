"""What people get wrong in 3.3 Scaled dot-product attention (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

SCORES = "scores = (q.to(wide) / math.sqrt(q.shape[-1])) @ k.to(wide).mT  # (..., T, S)"
MASKED = "(scores.new_zeros(()) if bias is None else bias.to(wide)).masked_fill(~mask, -torch.inf)"
BIASED = "scores = scores + bias.to(wide).masked_fill(nothing, 0.0)"
WEIGHTS = "weights = softmax(scores)\n"
DROP = "        weights = nn.functional.dropout(weights, dropout)\n"
OUT = "output = (weights @ v.to(wide)).to(q.dtype)  # (..., T, E)"
EMPTY = "    if nothing is not None:\n"
FILLED = "scores.masked_fill(~mask, -torch.inf)"
CARE = """\
    if mask is not None:  # a mask is a bias of -inf: together they are as small as they come, (T, S) say
        bias = (scores.new_zeros(()) if bias is None else bias.to(wide)).masked_fill(~mask, -torch.inf)
    if bias is not None:  # a row of nothing but -inf gets a bias of 0, and gives 0: no nan, there and on the way back
        nothing = (bias == -torch.inf).all(-1, keepdim=True)  # (..., T, 1)
        scores = scores + bias.to(wide).masked_fill(nothing, 0.0)
"""


def scores(wrong: str) -> tuple[tuple[str, str], ...]:
    """Other scores."""
    return ((SCORES, f"scores = {wrong}"),)


def masked(how: str, care: bool = False) -> tuple[tuple[str, str], ...]:
    """The mask is put on the scores in some way; with or without a look at the rows that have no key then."""
    lines = [
        "if bias is not None:",
        "    scores = scores + bias.to(wide)",
        "if mask is not None:",
        f"    scores = {how}",
    ]
    if care:
        lines += ["nothing = (scores == -torch.inf).all(-1, keepdim=True)", "scores = scores.masked_fill(nothing, 0.0)"]
    return ((CARE, "".join(f"    {line}\n" for line in lines)),)


MISTAKES = [
    Mistake(
        "3.3",
        "the scores are not divided by √D",
        "A sum of D products grows like √D; undivided, the softmax of wide heads is all or nothing.",
        "attention.py",
        scores("q.to(wide) @ k.to(wide).mT"),
    ),
    Mistake(
        "3.3",
        "the scores are divided by D, not by √D",
        "The spread of a sum of D products grows like the root of D: math.sqrt(q.shape[-1]).",
        "attention.py",
        scores("q.to(wide) @ k.to(wide).mT / q.shape[-1]"),
    ),
    Mistake(
        "3.3",
        "the scores are divided by the root of the width of the values",
        "The values have no part in the scores: D is the width of the queries and keys.",
        "attention.py",
        scores("q.to(wide) @ k.to(wide).mT / math.sqrt(v.shape[-1])"),
    ),
    Mistake(
        "3.3",
        "the softmax goes over the queries",
        "The weights of one query add up to 1 over the keys: the last dimension of scores (..., T, S).",
        "attention.py",
        (*masked(FILLED, care=True), (WEIGHTS, "weights = softmax(scores, -2)\n")),
    ),
    Mistake(
        "3.3",
        "the mask is taken for what is forbidden",
        "True means: may attend. Put -inf where the mask is False: masked_fill(~mask, -inf).",
        "attention.py",
        ((MASKED, MASKED.replace("~", "")),),
    ),
    Mistake(
        "3.3",
        "the mask is taken for what is forbidden, and where that is everything nan comes",
        "True means: may attend. Put -inf where the mask is False: masked_fill(~mask, -inf). Then look at rows where "
        "all is -inf.",
        "attention.py",
        masked(FILLED.replace("~", "")),
    ),
    Mistake(
        "3.3",
        "the scores are multiplied by the mask",
        "A score of 0 is a score like others, and exp(0) is 1. It takes -inf to get the weight 0.",
        "attention.py",
        masked("scores * mask"),
    ),
    Mistake(
        "3.3",
        "the weights are zeroed after the softmax, and no longer add up to 1",
        "What masked keys would get has to go to the others: mask the scores, before the softmax.",
        "attention.py",
        (
            (f"bias = {MASKED}", "pass"),
            (
                "    if dropout:\n",
                "    if mask is not None:\n        weights = weights.masked_fill(~mask, 0.0)\n    if dropout:\n",
            ),
        ),
    ),
    Mistake(
        "3.3",
        "masked scores are filled with +inf",
        "exp(-inf) is 0, and exp(inf - inf) is nan. Look at the sign of what is filled in.",
        "attention.py",
        masked(FILLED.replace("-torch.inf", "torch.inf")),
    ),
    Mistake(
        "3.3",
        "the mask is multiplied by infinity",
        "0 · inf is nan. masked_fill and torch.where put -inf where the mask is False, and leave the rest alone.",
        "attention.py",
        masked("scores + (1.0 - mask.to(wide)) * -torch.inf"),
    ),
    Mistake(
        "3.3",
        "a query that may attend to nothing gets nan",
        "The softmax of a row of -inf is 0 / 0. Put zeros into the row before the softmax, and into its weights after.",
        "attention.py",
        masked(FILLED),
    ),
    Mistake(
        "3.3",
        "a query that may attend to nothing gets the mean of the values",
        "With the smallest number there is in place of -inf, all scores of the row are equal, and so are its weights. "
        "They have to be 0.",
        "attention.py",
        masked(FILLED.replace("-torch.inf", "torch.finfo(wide).min")),
    ),
    Mistake(
        "3.3",
        "a query that may attend to nothing gets zeros, and its gradients are nan",
        "Zeros put over nan hide it on the way there only. Let no nan arise: fill the row before the softmax too.",
        "attention.py",
        (*masked(FILLED), (WEIGHTS, "weights = torch.nan_to_num(softmax(scores))\n")),
    ),
    Mistake(
        "3.3",
        "masked scores are filled with -10,000, which is not low enough",
        "Real scores can be lower. -inf is lower than all of them; a row of nothing else needs care.",
        "attention.py",
        masked(FILLED.replace("-torch.inf", "-1e4")),
    ),
    Mistake(
        "3.3",
        "the bias is divided by √D too",
        "Divide the scores first, then add the bias as it is.",
        "attention.py",
        ((BIASED, f"{BIASED} / math.sqrt(q.shape[-1])"),),
    ),
    Mistake(
        "3.3",
        "the scores of half formats are computed in their own format",
        "float16 ends at 65,504, and bfloat16 has three digits. q and k go to float32 before they are multiplied.",
        "attention.py",
        (*scores("((q / math.sqrt(q.shape[-1])) @ k.mT).to(wide)"), *masked(FILLED, care=True)),
    ),
    Mistake(
        "3.3",
        "the weights are rounded to the half format before they multiply the values",
        "Each weight loses digits, and the sum shows it. Compute weights @ v in float32, and convert what comes.",
        "attention.py",
        ((OUT, "output = weights.to(q.dtype) @ v  # (..., T, E)"),),
    ),
    Mistake(
        "3.3",
        "dropout is on the output, not on the weights",
        "It belongs between the softmax and the values: whole values are left out, not single numbers of the sum.",
        "attention.py",
        (
            (DROP, "        pass\n"),
            (EMPTY, f"    output = nn.functional.dropout(output, dropout)\n{EMPTY}"),
        ),
    ),
    Mistake(
        "3.3",
        "`dropout` is taken for the share that is kept",
        "dropout=0.1 zeroes a tenth of the weights and divides the others by 0.9.",
        "attention.py",
        ((DROP, DROP.replace("weights, dropout", "weights, 1 - dropout")),),
    ),
    Mistake(
        "3.3",
        "the weights that dropout leaves are not divided by 1 - dropout",
        "Their sum has to stay 1 on average, since nothing is dropped when the model is used.",
        "attention.py",
        ((DROP, "        weights = weights * (torch.rand_like(weights) >= dropout)\n"),),
    ),
    Mistake(
        "3.3",
        "the weights that come are those before the dropout",
        "return_weights gives the weights that the output was made with.",
        "attention.py",
        (
            (
                DROP,
                "        before, weights = weights, nn.functional.dropout(weights, dropout)\n"
                "    else:\n        before = weights\n",
            ),
            ("    if not return_weights:\n", "    weights = before\n    if not return_weights:\n"),
        ),
    ),
]
