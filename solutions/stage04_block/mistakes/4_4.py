"""What people get wrong in 4.4 Feed-forward (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

MULTIPLE = "return -(-width // 8) * 8"
GATED = "inside = silu(self.gate(x)) * self.up(x)  # (..., F)"
BENT = "inside = ACTIVATIONS[self.activation](self.up(x))"
NARROW = "return self.dropout(self.down(inside))"
WIDTH = "width = hidden_width(d_model, activation) if d_ff is None else d_ff"

MISTAKES = [
    Mistake(
        "4.4",
        "gate and value are swapped: silu goes over `up`",
        "silu(gate(x)) · up(x): it is the gate that is bent. Published weights are named so, too.",
        "feed_forward.py",
        ((GATED, "inside = self.gate(x) * silu(self.up(x))"),),
    ),
    Mistake(
        "4.4",
        "the gate is not bent",
        "silu(gate(x)) · up(x): without silu it is the product of two linear layers.",
        "feed_forward.py",
        ((GATED, "inside = self.gate(x) * self.up(x)"),),
    ),
    Mistake(
        "4.4",
        "the activation is forgotten",
        "Two linear layers in a row are one linear layer: what is between them has to bend.",
        "feed_forward.py",
        ((BENT, "inside = self.up(x)"),),
    ),
    Mistake(
        "4.4",
        "with a gate the inside is 4 C wide as well",
        "Three matrices of 4 C hold half as many numbers again as two. With a gate it is 8/3 C, up to a multiple of 8.",
        "feed_forward.py",
        ((MULTIPLE, "return 4 * d_model"),),
    ),
    Mistake(
        "4.4",
        "the width with a gate is not rounded up to a multiple of 8",
        "8/3 · 100 is 266.7; the next multiple of 8 is 272. For whole numbers, -(-a // b) divides and rounds up.",
        "feed_forward.py",
        ((MULTIPLE, "return width"),),
    ),
    Mistake(
        "4.4",
        "the width with a gate is rounded down to a multiple of 8",
        "8/3 · 100 is 266.7: that goes up to 272, not down. For whole numbers, -(-a // b) divides and rounds up.",
        "feed_forward.py",
        ((MULTIPLE, "return width // 8 * 8"),),
    ),
    Mistake(
        "4.4",
        "there are biases with bias=False too",
        "Each nn.Linear has to be told: nn.Linear(…, bias=bias). It has one unless told otherwise.",
        "feed_forward.py",
        (
            ("self.up = nn.Linear(d_model, width, bias=bias)", "self.up = nn.Linear(d_model, width)"),
            ("self.gate = nn.Linear(d_model, width, bias=bias)", "self.gate = nn.Linear(d_model, width)"),
            ("self.down = nn.Linear(width, d_model, bias=bias)", "self.down = nn.Linear(width, d_model)"),
        ),
    ),
    Mistake(
        "4.4",
        "dropout is inside, before `down`",
        "It comes last: self.dropout(self.down(…)). What is dropped is numbers of the result.",
        "feed_forward.py",
        ((NARROW, "return self.down(self.dropout(inside))"),),
    ),
    Mistake(
        "4.4",
        "d_ff is not looked at",
        "hidden_width answers only where d_ff is None.",
        "feed_forward.py",
        ((WIDTH, "width = hidden_width(d_model, activation)"),),
    ),
]
