"""What people get wrong in 2.8 The input of a model (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

MISTAKES = [
    Mistake(
        "2.8",
        "√C multiplies the positions too",
        "Only the tokens are scaled: multiply before you add the positions.",
        "input.py",
        (
            ("        if self.scale:\n            x = x * math.sqrt(self.dim)\n", ""),
            (
                "        return self.dropout(x)",
                "        return self.dropout(x * math.sqrt(self.dim) if self.scale else x)",
            ),
        ),
    ),
    Mistake(
        "2.8",
        "the tokens are multiplied by C, not by its root",
        "C numbers of size 1 have a length of √C, and that is the factor: math.sqrt(dim).",
        "input.py",
        (("math.sqrt(self.dim)", "self.dim"),),
    ),
    Mistake(
        "2.8",
        "the tokens are divided by √C",
        "Attention divides by the root of its width; here the small numbers of the tokens have to grow.",
        "input.py",
        (("x * math.sqrt(self.dim)", "x / math.sqrt(self.dim)"),),
    ),
    Mistake(
        "2.8",
        "the tokens are scaled always",
        "√C is there for those who ask for it: only if `scale` is true.",
        "input.py",
        (("if self.scale:", "if True:"),),
    ),
    Mistake(
        "2.8",
        "the positions always start at 0",
        "With a cache the new tokens come after others: torch.arange(offset, offset + T).",
        "input.py",
        (("torch.arange(offset, offset + ids.shape[1]", "torch.arange(ids.shape[1]"),),
    ),
    Mistake(
        "2.8",
        "the positions that are given are not used",
        "`positions`, where it is not None, says where each token stands. Only without it are they counted.",
        "input.py",
        (
            (
                "            if positions is None:\n                positions = torch",
                "            if ids.dim():\n                positions = torch",
            ),
        ),
    ),
    Mistake(
        "2.8",
        "the offset is added to positions that are given",
        "Given positions are where the tokens stand, offset and all; the offset is for counting without them.",
        "input.py",
        (
            (
                "            x = x + self.position(positions)",
                "            else:\n                positions = positions + offset\n"
                "            x = x + self.position(positions)",
            ),
        ),
    ),
    Mistake(
        "2.8",
        "dropout comes before the positions are added",
        "Dropped numbers are to be zeros, and a position on top is not zero: add first, drop out last.",
        "input.py",
        (
            (
                "        if self.position is not None:\n",
                "        x = self.dropout(x)\n        if self.position is not None:\n",
            ),
            ("return self.dropout(x)", "return x"),
        ),
    ),
    Mistake(
        "2.8",
        "dropout goes on after eval()",
        "nn.functional.dropout has to be told: training=self.training. nn.Dropout knows by itself.",
        "input.py",
        (("return self.dropout(x)", "return nn.functional.dropout(x, self.dropout.p)"),),
    ),
    Mistake(
        "2.8",
        "the padding_idx is not handed on",
        "TokenEmbedding has to know which id is the padding.",
        "input.py",
        (("TokenEmbedding(vocab_size, dim, padding_idx)", "TokenEmbedding(vocab_size, dim)"),),
    ),
    Mistake(
        "2.8",
        "the tables have changed places",
        "ids go to the table of the tokens, positions to that of the positions. Where V and max_length are equal "
        "nothing would show.",
        "input.py",
        (
            (
                "            x = x + self.position(positions)",
                "            if isinstance(self.position, LearnedPosition):\n"
                "                root = math.sqrt(self.dim) if self.scale else 1\n"
                "                x = self.position(ids) * root + self.token(positions)\n"
                "            else:\n"
                "                x = x + self.position(positions)",
            ),
        ),
    ),
]
