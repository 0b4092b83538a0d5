"""What people get wrong in 3.7 A cache of keys and values (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

BIAS_OF_HEADS = "bias = None if self.distance_bias is None else self.distance_bias(queries, keys)"
WRITTEN = """\
        self._keys[:, :, self.length : end] = keys.detach()
        self._values[:, :, self.length : end] = values.detach()
        self.length = end
"""
FIRST = """\
        old = slice(0, self.length)
        self._keys[:, :, :end] = torch.cat([keys.detach(), self._keys[:, :, old]], dim=2)
        self._values[:, :, :end] = torch.cat([values.detach(), self._values[:, :, old]], dim=2)
        self.length = end
"""
GIVEN = "return self._keys[:, :, :end], self._values[:, :, :end]"
LARGER = "max(needed, 2 * kept.shape[2])"

MISTAKES = [
    Mistake(
        "3.7",
        "all that is kept is copied for each token",
        "torch.cat makes a new tensor each time. Take room ahead, and write the new tokens into it.",
        "cache.py",
        ((LARGER, "needed"),),
    ),
    Mistake(
        "3.7",
        "the room grows by the same piece each time",
        "With a piece of 16 there are N/16 copies of all that is kept, which still grows with N². Double the room.",
        "cache.py",
        ((LARGER, "max(needed, kept.shape[2] + 16)"),),
    ),
    Mistake(
        "3.7",
        "only the new keys and values come back",
        "The new queries look at all tokens so far: give what is kept, up to the new length.",
        "cache.py",
        ((GIVEN, "return keys.detach(), values.detach()"),),
    ),
    Mistake(
        "3.7",
        "room that is still empty comes back too",
        "Cut what is given at the number of tokens so far: the room is larger.",
        "cache.py",
        ((GIVEN, "return self._keys, self._values"),),
    ),
    Mistake(
        "3.7",
        "the length counts appends, not tokens",
        "A piece may have several tokens: the length grows by T, the third dimension of the keys.",
        "cache.py",
        (
            (
                WRITTEN,
                WRITTEN.replace("self.length = end", "self.length += 1"),
            ),
        ),
    ),
    Mistake(
        "3.7",
        "new tokens are written over the old ones",
        "What is kept is in the places 0 to S - 1; the new tokens come behind it, and the length grows.",
        "cache.py",
        ((WRITTEN, WRITTEN.replace("        self.length = end\n", "")),),
    ),
    Mistake(
        "3.7",
        "what was kept is lost when the room grows",
        "The new room is empty: copy what was kept into its first places.",
        "cache.py",
        (("    room[:, :, :length] = kept[:, :, :length]\n", ""),),
    ),
    Mistake(
        "3.7",
        "the new tokens are put before the old ones",
        "Keys stand in the order of their tokens: what is new comes last.",
        "cache.py",
        ((WRITTEN, FIRST),),
    ),
    Mistake(
        "3.7",
        "what is kept has its history",
        "detach() what is kept: else each token keeps all that led to it, and gradients go back into the past.",
        "cache.py",
        (
            (
                WRITTEN,
                WRITTEN.replace("keys.detach()", "keys").replace("values.detach()", "values"),
            ),
        ),
    ),
    Mistake(
        "3.7",
        "the causal mask takes the first of the new tokens for the first of all",
        "The last query stands at the last key: causal_mask(T, S) knows. With tril, the diagonal is S - T.",
        "multihead.py",
        (("combine(causal_mask(queries, keys, device=x.device), mask)", "combine(causal_mask(keys)[:queries], mask)"),),
    ),
    Mistake(
        "3.7",
        "the relative bias takes the first of the new tokens for the first of all",
        "Without an offset, the bias lets the last query meet the last key, which is right here; with 0 it does not.",
        "multihead.py",
        ((BIAS_OF_HEADS, "bias = None if self.distance_bias is None else self.distance_bias(queries, keys, 0)"),),
    ),
    Mistake(
        "3.7",
        "each piece is turned as if it began at position 0",
        "The new tokens stand behind those in the cache: their positions go on at cache.length.",
        "multihead.py",
        (("start = 0 if cache is None else cache.length", "start = 0"),),
    ),
]
