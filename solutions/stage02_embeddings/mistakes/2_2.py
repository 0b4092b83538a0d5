"""What people get wrong in 2.2 Where the numbers start (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

PARSED = 'word, *fields = line.decode("utf-8").rstrip(" \\r\\n").rsplit(" ", dim)'

MISTAKES = [
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
]
