"""What people get wrong in stage 02, each with its name (see bootcamp/grading/mistakes.py)."""

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

PARSED = 'word, *fields = line.decode("utf-8").rstrip(" \\r\\n").rsplit(" ", dim)'

EXPONENTS = "torch.arange(0, self.head_dim, 2, device=x.device, dtype=wide) / self.head_dim"
OFFSET = """\
offset = keys - queries if offset is None else offset
        query = torch.arange(queries, device=self.{}.device)"""


def offset(module: str, wrong: str) -> tuple[tuple[str, str], ...]:
    """Another offset in one of the two biases, which are told apart by how they say where they are."""
    right = OFFSET.format({"2.6": "here", "2.7": "weight"}[module])
    return ((right, right.replace("keys - queries if offset is None else offset", wrong)),)


BESIDE = 'unfinished = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")'

MISTAKES = [
    # -- 2.1 Token embeddings
    Mistake(
        "2.1",
        "the table is drawn with a standard deviation of 1",
        "torch.randn, and torch.nn.Embedding by default, draw numbers near 1; multiply them by 0.02.",
        "tokens.py",
        (("weight = 0.02 * torch.randn(", "weight = torch.randn("),),
    ),
    Mistake(
        "2.1",
        "the table is drawn from the uniform distribution",
        "torch.rand draws all numbers of a range equally often. randn and normal_ draw from the normal distribution.",
        "tokens.py",
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
        "tokens.py",
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
        "tokens.py",
        ((ZEROS, "            pass\n"),),
    ),
    Mistake(
        "2.1",
        "the padding gives zeros, and its row gets a gradient all the same",
        "What is overwritten under no_grad or through .data is not noted: the gradient flows as if nothing had been "
        "done. Put the zeros in with masked_fill or torch.where.",
        "tokens.py",
        ((ZEROS, "            vectors.data.masked_fill_(padding, 0.0)\n"),),
    ),
    Mistake(
        "2.1",
        "the row of the padding starts at random",
        "The padding gives zeros, but the table that is saved or shared with an output layer has a random row: zero "
        "it before you make the Parameter.",
        "tokens.py",
        (("            weight[padding_idx] = 0.0\n", "            pass\n"),),
    ),
    Mistake(
        "2.1",
        "the padding's vector is multiplied by zero",
        "nan · 0 and inf · 0 are nan. masked_fill and torch.where put zeros there, whatever the row holds.",
        "tokens.py",
        ((ZEROS, "            vectors = vectors * ~padding\n"),),
    ),
    Mistake(
        "2.1",
        "of an id that repeats only the last gradient is kept",
        "grad[ids] = g writes the same row again and again. Use torch's own indexing, or grad.index_add_(0, ids, g).",
        "tokens.py",
        ((LOOK_UP, ONCE), ('class TokenEmbedding(nn.Module):\n    """Gives each id', ROWS)),
    ),
    Mistake(
        "2.1",
        "one-hot vectors are made and multiplied",
        "It gives the same, at V times the cost for each id: 50,000 numbers, all zeros but one. Index instead.",
        "tokens.py",
        ((LOOK_UP, "vectors = nn.functional.one_hot(ids, self.num_embeddings).to(self.weight.dtype) @ self.weight"),),
    ),
    Mistake(
        "2.1",
        "ids of 8 bits are taken for a mask",
        "weight[ids] with ids in uint8 keeps or drops rows, as with true and false. Use ids.long().",
        "tokens.py",
        (
            ("        ids = ids.long()  # a table takes ids of 8 bits for a mask, and knows no ids of 16\n", ""),
            (LOOK_UP, "vectors = self.weight[ids if ids.dtype == torch.uint8 else ids.long()]"),
        ),
    ),
    # -- 2.2 Where the numbers start
    Mistake(
        "2.2",
        "the draws have the standard deviation std², not std",
        "normal_ of a tensor takes the standard deviation: give it std as it is, not its square.",
        "initialise.py",
        (("weight.normal_(0.0, std, generator", "weight.normal_(0.0, std**2, generator"),),
    ),
    Mistake(
        "2.2",
        "a new tensor is filled, and the weight stays as it was",
        "The module, and whatever shares its table, hold the old tensor. Fill that one: weight.normal_(…) does.",
        "initialise.py",
        (
            (
                "return weight.normal_(0.0, std, generator=generator)",
                "return torch.zeros_like(weight).normal_(0.0, std, generator=generator)",
            ),
        ),
    ),
    Mistake(
        "2.2",
        "the weight is filled from torch's own random numbers, not from the generator",
        "Pass generator=generator on, else two runs with the same generator differ.",
        "initialise.py",
        (("return weight.normal_(0.0, std, generator=generator)", "return weight.normal_(0.0, std)"),),
    ),
    Mistake(
        "2.2",
        "only the module's own parameters are frozen, not those of the modules inside it",
        "module.parameters() walks through all modules inside; module.requires_grad_(…) does too.",
        "initialise.py",
        (
            (
                "return module.requires_grad_(not frozen)",
                "for parameter in module.parameters(recurse=False):\n"
                "        parameter.requires_grad_(not frozen)\n"
                "    return module",
            ),
        ),
    ),
    Mistake(
        "2.2",
        "freeze(module, frozen=False) freezes as well",
        "requires_grad is the opposite of frozen: set it to `not frozen`.",
        "initialise.py",
        (("module.requires_grad_(not frozen)", "module.requires_grad_(False)"),),
    ),
    Mistake(
        "2.2",
        "the token ends at the first space of a line",
        "Count from the end: line.rsplit(' ', dim) cuts off the last dim fields, and leaves the token whole.",
        "initialise.py",
        (
            (PARSED, PARSED.replace('.rsplit(" ", dim)', '.split(" ")')),
            ("if len(fields) < dim:", "if len(fields) != dim:"),
        ),
    ),
    Mistake(
        "2.2",
        "the token is cut at every kind of white space, not at the space only",
        "Published files have tokens with no-break spaces in them. Give rsplit the separator ' '; without one it takes any.",
        "initialise.py",
        ((PARSED, PARSED.replace('" ", dim)', "None, dim)")),),
    ),
    Mistake(
        "2.2",
        "the header is taken for a vector",
        "If the first line is two whole numbers, it is a header: check its width, and go on with the next line.",
        "initialise.py",
        (("if number == 1 and (width", "if number == 0 and (width"),),
    ),
    Mistake(
        "2.2",
        "a header that says another width is passed over",
        "The second number of the header is the width of the vectors. If it is not dim, say so at once, with both.",
        "initialise.py",
        (("                if width != dim:\n", "                if width < 0:\n"),),
    ),
    Mistake(
        "2.2",
        "of several lines for a word the last counts",
        "Files are sorted by frequency, and what comes later is rarer. Keep the row if the word has one already.",
        "initialise.py",
        (
            (
                "                duplicates += 1\n            else:\n                weight[id], found[id] = row, True\n",
                "                duplicates += 1\n            weight[id], found[id] = row, True\n",
            ),
        ),
    ),
    Mistake(
        "2.2",
        "lines are numbered from 0",
        "Editors number lines from 1: enumerate(file, start=1).",
        "initialise.py",
        (("malformed.append((number, str(error)))", "malformed.append((number - 1, str(error)))"),),
    ),
    Mistake(
        "2.2",
        "nan and inf are taken for numbers",
        "float('nan') and float('inf') raise nothing. One such row makes every loss nan: look at row.isfinite().",
        "initialise.py",
        (("if not row.isfinite().all():", "if False:"),),
    ),
    Mistake(
        "2.2",
        "bytes that are not UTF-8 are replaced instead of named",
        "With errors='replace' or 'ignore' the token becomes another one. Decode strictly, and catch the error for that line.",
        "initialise.py",
        (('line.decode("utf-8")', 'line.decode("utf-8", errors="ignore")'),),
    ),
    Mistake(
        "2.2",
        "a file of another width is no error, and all rows are drawn at random",
        "Count the lines that are well-formed. If there are lines and none of them is, raise a ValueError.",
        "initialise.py",
        (("    if malformed and not vectors:\n", "    if malformed and vectors < 0:\n"),),
    ),
    Mistake(
        "2.2",
        "the coverage is the share of the file, not of the vocabulary",
        "Divide how many words of the vocabulary were found by how many words the vocabulary has.",
        "initialise.py",
        (("len(known) / len(words), missing", "len(known) / max(vectors, 1), missing"),),
    ),
    Mistake(
        "2.2",
        "rows without a vector are zeros",
        "Equal rows get equal gradients where they meet equal contexts, and zeros lie outside the cloud. Draw each from N(mean, std²).",
        "initialise.py",
        (("weight[~found] = mean + std * drawn", "weight[~found] = 0.0 * drawn"),),
    ),
    Mistake(
        "2.2",
        "rows without a vector are drawn with the standard deviation 0.02, whatever the others have",
        "Published vectors are far larger than 0.02. Take the mean and the standard deviation of the rows that were found.",
        "initialise.py",
        (("weight[~found] = mean + std * drawn", "weight[~found] = STD * drawn"),),
    ),
    Mistake(
        "2.2",
        "rows without a vector get one mean and one standard deviation for all columns",
        "Each column has its own: known.mean(0) and known.std(0), over the rows.",
        "initialise.py",
        (("(known.mean(0), known.std(0))", "(known.mean(), known.std())"),),
    ),
    Mistake(
        "2.2",
        "mean and standard deviation are taken over the rows without a vector as well",
        "While they are empty, those rows are zeros, or whatever was there. Take weight[found] first.",
        "initialise.py",
        (
            ("weight = torch.empty(len(words), dim)", "weight = torch.zeros(len(words), dim)"),
            ("(known.mean(0), known.std(0))", "(weight.mean(0), weight.std(0))"),
        ),
    ),
    Mistake(
        "2.2",
        "the whole file is in memory at once",
        "read(), readlines() and list(file) bring all of it in, and so does a table of all its vectors. The open file itself "
        "gives line after line; keep the vectors of the words that are asked for.",
        "initialise.py",
        (("enumerate(file, start=1)", "enumerate(file.readlines(), start=1)"),),
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
        'in the layout "interleaved", the pairs are taken by turns and put back as two halves',
        "What came from 2i and 2i + 1 goes back there: torch.stack((…), dim=-1).flatten(-2), where torch.cat makes halves.",
        "rotary.py",
        (
            (
                "return torch.stack(turned, dim=-1).flatten(-2).to(x.dtype)",
                "return torch.cat(turned, dim=-1).to(x.dtype)",
            ),
        ),
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
    # -- 2.9 Embeddings from counts
    Mistake(
        "2.9",
        "neighbours are counted to one side only",
        "counts[i, j] asks how often j is near i, before it or behind it. Add the transpose.",
        "cooccurrence.py",
        (("return counts + counts.T", "return counts"),),
    ),
    Mistake(
        "2.9",
        "where an id stands near itself, it is counted once and not from both sides",
        "In 0 0 the first has one 0 near it, and so has the second: that is 2. The diagonal is doubled like the rest.",
        "cooccurrence.py",
        (("return counts + counts.T", "return counts + counts.T - counts.diag().diag()"),),
    ),
    Mistake(
        "2.9",
        "a pair that comes several times is counted once",
        "counts[left, right] += 1 writes each place once, however often it is named. "
        "Use index_put_ with accumulate=True, or torch.bincount.",
        "cooccurrence.py",
        (
            (
                "counts.index_put_((left, right), counts.new_ones(()), accumulate=True)",
                "counts[left, right] += 1",
            ),
        ),
    ),
    Mistake(
        "2.9",
        "the window ends one place too early",
        "A window of 1 reaches the next neighbour: distances go from 1 to window, and range leaves its end out.",
        "cooccurrence.py",
        (("min(window, len(document) - 1) + 1)", "min(window, len(document)))"),),
    ),
    Mistake(
        "2.9",
        "the documents are counted as one long document",
        "Somebody's last word says nothing of another's first. Count each document for itself, and add up.",
        "cooccurrence.py",
        (
            (
                "    for document in documents:\n        for distance",
                "    for document in [torch.cat(documents)]:\n        for distance",
            ),
        ),
    ),
    Mistake(
        "2.9",
        "near neighbours weigh more than far ones",
        "Other methods weigh by 1 / distance. Here each pair of places within the window has the weight 1.",
        "cooccurrence.py",
        (("counts.new_ones(()), accumulate", "counts.new_ones(()) / distance, accumulate"),),
    ),
    Mistake(
        "2.9",
        "words that never come turn vectors into nan",
        "Their chance is 0, and 0 / 0 is nan. Take the logarithm only where there is a count.",
        "cooccurrence.py",
        (
            (
                "pmi = torch.where(counts > 0, counts / expected, 1.0).log()",
                "pmi = (counts / expected).log()",
            ),
        ),
    ),
    Mistake(
        "2.9",
        "what meets less often than by chance has a negative number",
        "The first P of PPMI is positive: numbers below zero become 0. Rare pairs say too little to be counted against.",
        "cooccurrence.py",
        (("pmi.clamp(min=0)", "pmi"),),
    ),
    Mistake(
        "2.9",
        "the columns are multiplied by S instead of its square root",
        "U · S lets the first few columns outweigh all others; U · √S is what is asked for.",
        "cooccurrence.py",
        (("s[:dim].sqrt()", "s[:dim]"),),
    ),
    Mistake(
        "2.9",
        "the columns are not multiplied by the singular values at all",
        "U has columns of length 1, however much or little they say. Multiply column k by √S[k].",
        "cooccurrence.py",
        (("u[:, :dim] * s[:dim].sqrt()", "u[:, :dim].clone()"),),
    ),
    Mistake(
        "2.9",
        "the rows of U are taken for its columns",
        "With U S Vᵀ, a word's vector is a row of U: take the first dim columns, u[:, :dim], not the first rows.",
        "cooccurrence.py",
        (("u[:, :dim] *", "u[:dim].T *"),),
    ),
    Mistake(
        "2.9",
        "the signs of the columns are left as the SVD gives them",
        "Another library, or another machine, may give the opposite signs. "
        "Turn each column so that its entry largest in magnitude is positive.",
        "cooccurrence.py",
        (("return torch.where(largest < 0, -vectors, vectors)", "return vectors"),),
    ),
    Mistake(
        "2.9",
        "the sign of a column goes by its sum",
        "The sum is often near 0, and rounding decides. It is the entry largest in magnitude that has to be positive.",
        "cooccurrence.py",
        (("torch.where(largest < 0,", "torch.where(vectors.sum(0) < 0,"),),
    ),
    Mistake(
        "2.9",
        "the numbers are written with six digits",
        "float32 needs up to nine digits to come back to the bit: f'{number:.9g}', or repr.",
        "cooccurrence.py",
        (("{number:.9g}", "{number:g}"),),
    ),
    Mistake(
        "2.9",
        "the header is missing",
        "The first line says how many vectors there are, and their width: 'V C'.",
        "cooccurrence.py",
        (("            print(*vectors.shape, file=file)\n", ""),),
    ),
    Mistake(
        "2.9",
        "the words stand in the order of the mapping, not of their ids",
        "Row i belongs to the word with the id i, and a dictionary may have any order. `ordered` has the words by id.",
        "cooccurrence.py",
        (("zip(ordered, vectors", "zip(words, vectors"),),
    ),
    Mistake(
        "2.9",
        "the file is written in place",
        "If writing stops halfway, the old file is gone and the new one is not whole. Write beside it, then os.replace.",
        "cooccurrence.py",
        (
            (BESIDE, "unfinished = Path(path)"),
            (
                "        os.replace(unfinished, path)\n    finally:\n        unfinished.unlink(missing_ok=True)\n",
                "    finally:\n        pass\n",
            ),
        ),
    ),
    Mistake(
        "2.9",
        "the unfinished file is left behind when writing fails",
        "Somebody has to tidy up, and a full disk is no time for more files: unlink it in a `finally`.",
        "cooccurrence.py",
        (("    finally:\n        unfinished.unlink(missing_ok=True)\n", "    finally:\n        pass\n"),),
    ),
]
