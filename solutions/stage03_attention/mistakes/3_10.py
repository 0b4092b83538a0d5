"""What people get wrong in 3.10 Linear attention (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

ALL_KEYS = "weighed = q_ @ (k_.mT @ v_)  # (..., T, D) @ (..., D, E)"
CHUNK = "    length, blocks = q.shape[-2], -(-q.shape[-2] // chunk)"
EACH_PLACE = """\
    q_, k_, v_ = feature_map(q.to(wide)), feature_map(k.to(wide)), v.to(wide)
    sums = (k_[..., :, None] * v_[..., None, :]).cumsum(-3)  # (..., T, D, E)
    weighed, weights = (q_[..., None, :] @ sums).squeeze(-2), (q_ * k_.cumsum(-2)).sum(-1, keepdim=True)
    return _divided(weighed, weights).to(q.dtype)

"""
ALL_PAIRS = """\
    q_, k_, v_ = feature_map(q.to(wide)), feature_map(k.to(wide)), v.to(wide)
    pairs = (q_ @ k_.mT).tril()  # (..., T, T)
    return _divided(pairs @ v_, pairs.sum(-1, keepdim=True)).to(q.dtype)

"""

MISTAKES = [
    Mistake(
        "3.10",
        "the weights are not divided by their sum",
        "Keep Σ φ(k_j) beside Σ φ(k_j) v_jᵀ, and divide by φ(q) times it.",
        "linear.py",
        (("return weighed / weights.where(weights > 0, 1.0)", "return weighed * weights.sign()"),),
    ),
    Mistake(
        "3.10",
        "a constant is added to the divisor",
        "Where weights are small, 1e-6 is more than all of them. Divide by 1 where the sum is 0, else by the sum.",
        "linear.py",
        (("weights.where(weights > 0, 1.0)", "(weights + 1e-6)"),),
    ),
    Mistake(
        "3.10",
        "where all weights are 0, they are divided by all the same",
        "0 / 0 is nan: exp(-300) is 0 in float32. Divide by 1 there.",
        "linear.py",
        (("return weighed / weights.where(weights > 0, 1.0)", "return weighed / weights"),),
    ),
    Mistake(
        "3.10",
        "a query sees its whole chunk, keys behind it too",
        "Within a chunk the weights of the pairs need a causal mask: tril().",
        "linear.py",
        (("within = (q_ @ k_.mT).tril()", "within = q_ @ k_.mT"),),
    ),
    Mistake(
        "3.10",
        "the sum of the chunks before has the chunk itself in it",
        "cumsum adds the chunk's own sum as well: subtract it, or move the sums by one chunk.",
        "linear.py",
        (("before, totals_before = (x.cumsum(-3) - x for x", "before, totals_before = (x.cumsum(-3) for x"),),
    ),
    Mistake(
        "3.10",
        "the weights of all pairs are made",
        "With T × T weights nothing is saved. Go by chunks: pairs within each, one sum for those before.",
        "linear.py",
        ((CHUNK, ALL_PAIRS + CHUNK),),
    ),
    Mistake(
        "3.10",
        "there is a D × E sum for each place",
        "A cumsum over all places makes T · D · E numbers. Keep one sum a chunk; pairs do the rest.",
        "linear.py",
        ((CHUNK, EACH_PLACE + CHUNK),),
    ),
    Mistake(
        "3.10",
        "the products are taken in the wrong order",
        "(φ(q) φ(k)ᵀ) v makes T × S weights; φ(q) (φ(k)ᵀ v) makes D × E sums, and gives the same.",
        "linear.py",
        ((ALL_KEYS, "weighed = (q_ @ k_.mT) @ v_"),),
    ),
    Mistake(
        "3.10",
        "the state sums up in the format of the tokens",
        "In bfloat16, 256 + 1 is 256. Convert to float32 before you multiply and add.",
        "linear.py",
        (
            (
                "        wide = torch.promote_types(q.dtype, torch.float32)\n        query, key",
                "        wide = q.dtype\n        query, key",
            ),
        ),
    ),
    Mistake(
        "3.10",
        "the state keeps all that it has read",
        "Add each token to two sums and forget it: what is kept must not grow.",
        "linear.py",
        (
            (
                "        self.totals = self.totals + key\n",
                "        self.totals = self.totals + key\n"
                '        self.read = [*getattr(self, "read", []), (k.clone(), v.clone())]\n',
            ),
        ),
    ),
]
