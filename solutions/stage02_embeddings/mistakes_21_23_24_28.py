"""What people get wrong in 2.1, 2.3, 2.4 and 2.8, each with its name (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

LOOK_UP = "vectors = nn.functional.embedding(ids, self.weight)  # (..., C)"
ZEROS = "            vectors = vectors.masked_fill(padding, 0.0)\n"
ONCE = """\
vectors = _Rows.apply(ids, self.weight)
        assert isinstance(vectors, Tensor)"""
ROWS = '''\
class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, ids, weight):
        ctx.save_for_backward(ids, weight)
        return weight[ids]

    @staticmethod
    def backward(ctx, *grads):
        ids, weight = ctx.saved_tensors
        table = torch.zeros_like(weight)
        for id, grad in zip(ids.flatten().tolist(), grads[0].reshape(-1, weight.shape[1])):
            table[id] = grad
        return None, table


class TokenEmbedding(nn.Module):
    """Gives each id'''
ANEW = "if length > len(self.table) or (self.table.dtype, self.table.device) != (like.dtype, like.device):"
FINISHED = "self.table = sinusoidal_table(length, self.dim, self.base).to(like)"

MISTAKES = [
    # -- 2.1 Token embeddings
    Mistake(
        "2.1",
        "the table is drawn with a standard deviation of 1",
        "torch.randn, and torch.nn.Embedding by default, draw numbers near 1; multiply them by 0.02.",
        "token.py",
        (("weight = 0.02 * torch.randn(", "weight = torch.randn("),),
    ),
    Mistake(
        "2.1",
        "the table is drawn from the uniform distribution",
        "torch.rand draws all numbers of a range equally often. randn and normal_ draw from the normal distribution.",
        "token.py",
        (
            (
                "weight = 0.02 * torch.randn(num_embeddings, dim)",
                "weight = 0.02 * 3**0.5 * (2 * torch.rand(num_embeddings, dim) - 1)",
            ),
        ),
    ),
    Mistake(
        "2.1",
        "a padding_idx of 0 is taken for none",
        "0 is an id like others, and false in an `if`. Ask whether padding_idx is not None.",
        "token.py",
        (
            ("        if padding_idx is not None:\n            weight", "        if padding_idx:\n            weight"),
            ("if self.padding_idx is not None:", "if self.padding_idx:"),
        ),
    ),
    Mistake(
        "2.1",
        "the row of the padding is zeroed at the start, and learns like any other",
        "Each step of training moves the row. forward has to give zeros for the padding, in a way that lets no "
        "gradient through: masked_fill or torch.where on what was looked up.",
        "token.py",
        ((ZEROS, "            pass\n"),),
    ),
    Mistake(
        "2.1",
        "the padding gives zeros, and its row gets a gradient all the same",
        "What is overwritten under no_grad or through .data is not noted: the gradient flows as if nothing had been "
        "done. Put the zeros in with masked_fill or torch.where.",
        "token.py",
        ((ZEROS, "            vectors.data.masked_fill_(padding, 0.0)\n"),),
    ),
    Mistake(
        "2.1",
        "the row of the padding starts at random",
        "The padding gives zeros, but the table that is saved or shared with an output layer has a random row: zero "
        "it before you make the Parameter.",
        "token.py",
        (("            weight[padding_idx] = 0.0\n", "            pass\n"),),
    ),
    Mistake(
        "2.1",
        "the padding's vector is multiplied by zero",
        "nan · 0 and inf · 0 are nan. masked_fill and torch.where put zeros there, whatever the row holds.",
        "token.py",
        ((ZEROS, "            vectors = vectors * ~padding\n"),),
    ),
    Mistake(
        "2.1",
        "of an id that repeats only the last gradient is kept",
        "grad[ids] = g writes the same row again and again. Use torch's own indexing, or grad.index_add_(0, ids, g).",
        "token.py",
        ((LOOK_UP, ONCE), ('class TokenEmbedding(nn.Module):\n    """Gives each id', ROWS)),
    ),
    Mistake(
        "2.1",
        "one-hot vectors are made and multiplied",
        "It gives the same, at V times the cost for each id: 50,000 numbers, all zeros but one. Index instead.",
        "token.py",
        ((LOOK_UP, "vectors = nn.functional.one_hot(ids, self.num_embeddings).to(self.weight.dtype) @ self.weight"),),
    ),
    Mistake(
        "2.1",
        "ids of 8 bits are taken for a mask",
        "weight[ids] with ids in uint8 keeps or drops rows, as with true and false. Use ids.long().",
        "token.py",
        (
            ("        ids = ids.long()  # a table takes ids of 8 bits for a mask, and knows no ids of 16\n", ""),
            (LOOK_UP, "vectors = self.weight[ids if ids.dtype == torch.uint8 else ids.long()]"),
        ),
    ),
    # -- 2.3 Sinusoidal positions
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
    # -- 2.4 Learned positions
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
    # -- 2.8 The input of a model
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
