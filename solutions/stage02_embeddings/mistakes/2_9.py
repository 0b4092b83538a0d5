"""What people get wrong in 2.9 Embeddings from counts (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

BESIDE = 'unfinished = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")'

MISTAKES = [
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
