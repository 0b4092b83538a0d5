"""What people get wrong in 2.7 T5's relative buckets (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

OFFSET = """\
offset = keys - queries if offset is None else offset
        query = torch.arange(queries, device=self.{}.device)"""


def offset(module: str, wrong: str) -> tuple[tuple[str, str], ...]:
    """Another offset in one of the two biases, which are told apart by how they say where they are."""
    right = OFFSET.format({"2.6": "here", "2.7": "weight"}[module])
    return ((right, right.replace("keys - queries if offset is None else offset", wrong)),)


MISTAKES = [
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
