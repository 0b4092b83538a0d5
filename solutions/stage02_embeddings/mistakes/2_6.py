"""What people get wrong in 2.6 ALiBi (see bootcamp/grading/mistakes.py)."""

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
]
