"""What people get wrong in 2.5, 2.6 and 2.7, each with its name (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

EXPONENTS = "torch.arange(0, self.head_dim, 2, device=x.device, dtype=wide) / self.head_dim"
OFFSET = """\
offset = keys - queries if offset is None else offset
        query = torch.arange(queries, device=self.{}.device)"""


def offset(module: str, wrong: str) -> tuple[tuple[str, str], ...]:
    """Another offset in one of the two biases, which are told apart by how they say where they are."""
    right = OFFSET.format({"2.6": "here", "2.7": "weight"}[module])
    return ((right, right.replace("keys - queries if offset is None else offset", wrong)),)


MISTAKES = [
    # -- 2.5 Rotary positions
    Mistake(
        "2.5",
        'in the layout "interleaved", the pairs are taken by halves and put back by turns',
        "The numbers 2i and 2i + 1 are a pair: take them apart as x[..., 0::2] and x[..., 1::2], and put them back so.",
        "rotary.py",
        (("x.to(wide).unflatten(-1, (-1, 2)).unbind(-1)", "x.to(wide).chunk(2, dim=-1)"),),
    ),
    Mistake(
        "2.5",
        "the pairs are the same in both layouts",
        'In the layout "half", number i goes with number D/2 + i, and what comes is put back as two halves.',
        "rotary.py",
        (
            ('if self.layout == "interleaved":\n            a, b', "if True:\n            a, b"),
            ('if self.layout == "interleaved":\n            return', "if True:\n            return"),
        ),
    ),
    Mistake(
        "2.5",
        "the pairs are turned the other way",
        "(a, b) becomes (a cos - b sin, a sin + b cos): the minus stands in the first.",
        "rotary.py",
        (("turned = a * cos - b * sin, a * sin + b * cos", "turned = a * cos + b * sin, b * cos - a * sin"),),
    ),
    Mistake(
        "2.5",
        "the numbers of a pair are not both turned",
        "The second of a pair is a sin + b cos, with the a that came in, and not with the one that is already turned.",
        "rotary.py",
        (
            (
                "turned = a * cos - b * sin, a * sin + b * cos",
                "a = a * cos - b * sin\n        turned = a, a * sin + b * cos",
            ),
        ),
    ),
    Mistake(
        "2.5",
        "the positions count from 1",
        "The first position is 0, where all angles are 0 and nothing is turned.",
        "rotary.py",
        (("positions.to(x.device, wide)[..., None]", "(positions.to(x.device, wide) + 1)[..., None]"),),
    ),
    Mistake(
        "2.5",
        "the exponents of the base are i/D, not 2i/D",
        "The speed of pair i is base^(-2i/D), for i from 0 to D/2 - 1: the exponents go from 0 to almost 1.",
        "rotary.py",
        ((EXPONENTS, "torch.arange(self.head_dim // 2, device=x.device, dtype=wide) / self.head_dim"),),
    ),
    Mistake(
        "2.5",
        "the positions that are given are not used",
        "Only where positions is None are they 0 to T - 1. In decoding, a token stands behind all in the cache.",
        "rotary.py",
        (
            (
                "angles = positions.to(x.device, wide)",
                "positions = torch.arange(x.shape[-2], device=x.device)\n        angles = positions.to(x.device, wide)",
            ),
        ),
    ),
    Mistake(
        "2.5",
        "the positions of a sequence are given to a head",
        "(B, T, D/2) beside (B, H, T, D/2) lines B up with H. Put a dimension of 1 for the heads: (B, 1, T, D/2).",
        "rotary.py",
        (("if positions.dim() == 2:", "if positions.dim() == 2 and x.dim() == 3:"),),
    ),
    Mistake(
        "2.5",
        "the angles are computed in the number format of x",
        "bfloat16 has 8 binary digits, so that 257 is 256. Compute in float32 at least, and convert the result.",
        "rotary.py",
        (("wide = torch.promote_types(x.dtype, torch.float32)", "wide = x.dtype"),),
    ),
    Mistake(
        "2.5",
        "the sines and cosines are rounded to the number format of x before they are used",
        "Convert x to the wider format for the products, and only the result back to the format of x.",
        "rotary.py",
        (
            ("cos, sin = angles.cos(), angles.sin()", "cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)"),
            ("a, b = x.to(wide).unflatten", "a, b = x.unflatten"),
            ("a, b = x.to(wide).chunk", "a, b = x.chunk"),
        ),
    ),
    Mistake(
        "2.5",
        "the speeds of the pairs are rounded when the module is converted",
        "model.bfloat16() converts each buffer of floats. Compute the speeds in forward, or keep them out of buffers.",
        "rotary.py",
        (
            (
                "self.head_dim, self.base, self.layout = head_dim, base, layout",
                "self.head_dim, self.base, self.layout = head_dim, base, layout\n"
                "        speeds = base ** -(torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)\n"
                '        self.register_buffer("speeds", speeds, persistent=False)',
            ),
            ("self.base**-exponents", "self.speeds.to(x.device, wide)"),
        ),
    ),
    Mistake(
        "2.5",
        "float64 is computed in float32",
        "Take the wider of float32 and the format of x: torch.promote_types(x.dtype, torch.float32).",
        "rotary.py",
        (("wide = torch.promote_types(x.dtype, torch.float32)", "wide = torch.float32"),),
    ),
    Mistake(
        "2.5",
        "the two reorderings are swapped",
        "In the half layout, the first half of a head's rows are what were its even rows: 0, 2, 4, …, then 1, 3, 5, ….",
        "rotary.py",
        (
            ("weight.unflatten(0, (heads, -1, 2))", "weight.unflatten(0, (heads, 2, -1))"),
            (
                "halves = weight.unflatten(0, (heads, 2, -1))",
                "halves = weight.unflatten(0, (heads, -1, 2))",
            ),
        ),
    ),
    Mistake(
        "2.5",
        "rows move from one head to another",
        "Reorder within each head: see the rows as (H, D/2, 2, C) first, so that each head is on its own.",
        "rotary.py",
        (
            ("weight.unflatten(0, (heads, -1, 2))", "weight.unflatten(0, (1, -1, 2))"),
            ("weight.unflatten(0, (heads, 2, -1))", "weight.unflatten(0, (1, 2, -1))"),
        ),
    ),
    # -- 2.6 ALiBi
    Mistake(
        "2.6",
        "the bias rises with the distance",
        "It is added to the score: to favour what is near, what is far has to lose. The bias is -slope · distance.",
        "bias.py",
        (("slopes[:, None, None] * -distance", "slopes[:, None, None] * distance"),),
    ),
    Mistake(
        "2.6",
        "the formula for powers of two is used for any number of heads",
        "For 6 heads, take the slopes of 4, and then from those of 8 every other one, from the first on.",
        "bias.py",
        (("power = 1 << (heads.bit_length() - 1)", "power = heads"),),
    ),
    Mistake(
        "2.6",
        "the slopes that fill up are not every other one",
        "The second, fourth, … slope of the next power of two is there already. Take the first, third, fifth, ….",
        "bias.py",
        (("range(1, 2 * power, 2)", "range(1, 2 * power)"),),
    ),
    Mistake(
        "2.6",
        "the slopes begin with 1",
        "h counts from 1: the first of 8 slopes is 2^(-1), and the last one 2^(-8).",
        "bias.py",
        (("for h in range(1, power + 1)]", "for h in range(power)]"),),
    ),
    Mistake(
        "2.6",
        "keys ahead of the query are favoured",
        "The distance counts without its sign: what lies ahead loses as much as what lies behind.",
        "bias.py",
        (("(key - query[:, None]).abs()  # (T, S)", "query[:, None] - key  # (T, S)"),),
    ),
    Mistake(
        "2.6",
        "keys ahead of the query lose nothing",
        "For use in both directions, what lies ahead loses as much as what lies behind: take the absolute distance.",
        "bias.py",
        (("(key - query[:, None]).abs()", "(query[:, None] - key).clamp(min=0)"),),
    ),
    Mistake(
        "2.6",
        "an offset of 0 is taken for none",
        "`offset or …` replaces 0 as well. Ask whether offset is None.",
        "bias.py",
        offset("2.6", "offset or keys - queries"),
    ),
    Mistake(
        "2.6",
        "without an offset, the first query is at 0",
        "With 2 queries and 5 keys the queries are at 3 and 4: the offset is S - T.",
        "bias.py",
        offset("2.6", "offset or 0"),
    ),
    # -- 2.7 T5's relative buckets
    Mistake(
        "2.7",
        "the two directions are swapped",
        "distance = position of the key - position of the query. What is ahead, above 0, is in the upper half.",
        "bias.py",
        (("n * (distance > 0)", "n * (distance < 0)"),),
    ),
    Mistake(
        "2.7",
        "in one direction, the keys ahead have the buckets, and those behind have none",
        "In one direction, what counts is how far the key is behind: -distance, and 0 for what lies ahead.",
        "bias.py",
        (("(-distance).clamp(min=0)", "distance.clamp(min=0)"),),
    ),
    Mistake(
        "2.7",
        "the query's own place is in the upper half",
        "Distance 0 is in bucket 0: only what is above 0 is ahead.",
        "bias.py",
        (("n * (distance > 0)", "n * (distance >= 0)"),),
    ),
    Mistake(
        "2.7",
        "there is no end to the buckets",
        "From max_distance on, all are in the last bucket: n - 1 at most.",
        "bias.py",
        (("shared.clamp(max=n - 1)", "shared"),),
    ),
    Mistake(
        "2.7",
        "the logarithm is divided by ln(max_distance)",
        "Both logarithms are of a distance over e: ln(d / e) / ln(max_distance / e) is 1 at max_distance.",
        "bias.py",
        (("math.log(max_distance / exact)", "math.log(max_distance)"),),
    ),
    Mistake(
        "2.7",
        "the logarithmic part is rounded, not cut off",
        "floor, not round: a bucket begins where the formula reaches its number. Converting to whole numbers cuts off.",
        "bias.py",
        (("(n - exact)).long()", "(n - exact)).round().long()"),),
    ),
    Mistake(
        "2.7",
        "both directions share all the buckets",
        "Where there are two directions, each has n = buckets/2, and half of those hold one distance each.",
        "bias.py",
        (("n = buckets // 2 if bidirectional else buckets", "n = buckets"),),
    ),
    Mistake(
        "2.7",
        "the heads come last in the bias",
        "Looking buckets (T, S) up gives (T, S, H). The scores are (B, H, T, S): permute to (H, T, S).",
        "bias.py",
        (("(bucket, self.weight).permute(2, 0, 1)", "(bucket, self.weight)"),),
    ),
    Mistake(
        "2.7",
        "an offset of 0 is taken for none",
        "`offset or …` replaces 0 as well. Ask whether offset is None.",
        "bias.py",
        offset("2.7", "offset or keys - queries"),
    ),
    Mistake(
        "2.7",
        "without an offset, the first query is at 0",
        "With 2 queries and 5 keys the queries are at 3 and 4: the offset is S - T.",
        "bias.py",
        offset("2.7", "offset or 0"),
    ),
    Mistake(
        "2.7",
        "the distance is taken from the key to the query",
        "distance = position of the key - position of the query: key - query[:, None].",
        "bias.py",
        (("relative_bucket(key - query[:, None],", "relative_bucket(query[:, None] - key,"),),
    ),
]
