"""What people get wrong in 2.4 Learned positions (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

MISTAKES = [
    Mistake(
        "2.4",
        "the first rows come, whatever the positions are",
        "weight[: len(positions)] is right only if the tokens start at 0. Take the rows that the positions name.",
        "absolute.py",
        (
            (
                "        return nn.functional.embedding(positions.long(), self.weight)",
                "        first = torch.arange(positions.shape[-1] if positions.dim() else 1)\n"
                "        positions = first.expand_as(positions) if positions.dim() else first[0]\n"
                "        return nn.functional.embedding(positions.long(), self.weight)",
            ),
        ),
    ),
    Mistake(
        "2.4",
        "a position past the end gets the last row",
        "Clamping hides that the model was never trained there. Raise an IndexError that names the position.",
        "absolute.py",
        (
            (
                '        check_integers(positions, "position", self.max_length)\n',
                '        check_integers(positions[positions.long() < 0], "position", self.max_length)\n'
                "        positions = positions.long().clamp(max=self.max_length - 1)\n",
            ),
        ),
    ),
    Mistake(
        "2.4",
        "positions past the end start over at 0",
        "With a modulo, two places of one text have the same vector. Raise an IndexError that names the position.",
        "absolute.py",
        (
            (
                '        check_integers(positions, "position", self.max_length)\n',
                '        check_integers(positions[positions.long() < 0], "position", self.max_length)\n'
                "        positions = positions.long() % self.max_length\n",
            ),
        ),
    ),
    Mistake(
        "2.4",
        "a negative position counts from the end",
        "A tensor takes -1 for its last row. Hold the positions to 0 at least before you look up.",
        "absolute.py",
        (
            (
                '        check_integers(positions, "position", self.max_length)\n'
                "        return nn.functional.embedding(positions.long(), self.weight)",
                '        check_integers(positions.abs(), "position", self.max_length)\n'
                "        return self.weight[positions.long()]",
            ),
        ),
    ),
    Mistake(
        "2.4",
        "the table has a row too many",
        "The positions go from 0 to max_length - 1: max_length rows.",
        "absolute.py",
        (("torch.randn(max_length, dim)", "torch.randn(max_length + 1, dim)"),),
    ),
    Mistake(
        "2.4",
        "the table of positions is drawn with a standard deviation of 1",
        "Numbers near 1 would drown those of the tokens, which are near 0.02. Multiply what randn draws by 0.02.",
        "absolute.py",
        (("0.02 * torch.randn(max_length", "torch.randn(max_length"),),
    ),
]
