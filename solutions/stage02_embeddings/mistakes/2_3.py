"""What people get wrong in 2.3 Sinusoidal positions (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

ANEW = "if length > len(self.table) or (self.table.dtype, self.table.device) != (like.dtype, like.device):"
FINISHED = "self.table = sinusoidal_table(length, self.dim, self.base).to(like)"

MISTAKES = [
    Mistake(
        "2.3",
        "all sines stand in front of all cosines",
        "The formula puts them side by side: table[:, 0::2] for the sines, table[:, 1::2] for the cosines.",
        "absolute.py",
        (
            ("table[:, 0::2] = angles.sin()", "table[:, : (dim + 1) // 2] = angles.sin()"),
            ("table[:, 1::2] = angles", "table[:, (dim + 1) // 2 :] = angles"),
        ),
    ),
    Mistake(
        "2.3",
        "sine and cosine have changed places",
        "Position 0 shows it: the even columns hold sines, which are 0 there, the odd ones cosines, which are 1.",
        "absolute.py",
        (
            ("table[:, 0::2] = angles.sin()", "table[:, 0::2] = angles.cos()"),
            ("angles[:, : dim // 2].cos()", "angles[:, : dim // 2].sin()"),
        ),
    ),
    Mistake(
        "2.3",
        "positions are counted from 1",
        "The first token stands at position 0: torch.arange(length), not torch.arange(1, length + 1).",
        "absolute.py",
        (("positions = torch.arange(length)", "positions = torch.arange(1, length + 1)"),),
    ),
    Mistake(
        "2.3",
        "the exponent is i/dim, half of what it should be",
        "Pair i stands in the columns 2i and 2i + 1, and its exponent is 2i / dim: torch.arange(0, dim, 2) / dim.",
        "absolute.py",
        (("** (even / dim)", "** (even / 2 / dim)"),),
    ),
    Mistake(
        "2.3",
        "each column has a wavelength of its own",
        "The cosine in column 2i + 1 has the angle of the sine in column 2i; only then do the two turn like one hand.",
        "absolute.py",
        (
            (
                "table[:, 1::2] = angles[:, : dim // 2].cos()",
                "table[:, 1::2] = (positions[:, None] / base ** ((even[: dim // 2] + 1) / dim)).cos()",
            ),
        ),
    ),
    Mistake(
        "2.3",
        "the exponent is divided so that the last wavelength is exactly base",
        "Some libraries divide i by the number of pairs less 1. The paper divides 2i by dim.",
        "absolute.py",
        (("** (even / dim)", "** (even / 2 / max((dim + 1) // 2 - 1, 1))"),),
    ),
    Mistake(
        "2.3",
        "the angles are computed in float32",
        "Seven digits are too few for far positions. Make positions and exponents float64, and round the sines.",
        "absolute.py",
        (
            (
                "even = torch.arange(0, dim, 2, dtype=torch.float64",
                "even = torch.arange(0, dim, 2, dtype=torch.float32",
            ),
        ),
    ),
    Mistake(
        "2.3",
        "the module's state is saved",
        "What can be computed need not be in a checkpoint, where it would only be in the way of another length: "
        "register_buffer(..., persistent=False).",
        "absolute.py",
        (("torch.empty(0), persistent=False)", "torch.empty(0))"),),
    ),
    Mistake(
        "2.3",
        "the module's base is not used",
        "sinusoidal_table has a base of its own by default: hand on self.base.",
        "absolute.py",
        ((FINISHED, "self.table = sinusoidal_table(length, self.dim).to(like)"),),
    ),
    Mistake(
        "2.3",
        "the vectors are float32 whatever the module's format is",
        "half() reaches parameters and buffers only. Keep a buffer, be it empty, and give the table its format.",
        "absolute.py",
        ((ANEW, "if length > len(self.table):"), (FINISHED, FINISHED.removesuffix(".to(like)"))),
    ),
    Mistake(
        "2.3",
        "a table that was rounded to half stays rounded",
        "A buffer that went through half() has lost its digits for good. Make the table anew when the format changes.",
        "absolute.py",
        (
            (
                "self.table = torch.empty(0, dim)  #",
                'self.register_buffer("table", torch.empty(0, dim), persistent=False)  #',
            ),
            (ANEW, "if length > len(self.table):"),
        ),
    ),
    Mistake(
        "2.3",
        "the table is made once and does not grow",
        "A later position may be further than all before: compare with the length of the table at each call.",
        "absolute.py",
        ((ANEW, "if not len(self.table) or (self.table.dtype, self.table.device) != (like.dtype, like.device):"),),
    ),
    Mistake(
        "2.3",
        "a table is made for each call",
        "Keep the table on the module, and make a new one only if a position is beyond it; then a longer one than is "
        "asked for, as decoding asks for one position more each time.",
        "absolute.py",
        ((ANEW, "if True:"),),
    ),
]
