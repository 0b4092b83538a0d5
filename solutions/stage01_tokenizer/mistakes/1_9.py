"""What people get wrong in 1.9 What a larger vocabulary buys (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

MISTAKES = [
    Mistake(
        "1.9",
        "characters are counted instead of bytes",
        "len(text) counts characters. Encode the text to UTF-8 and take the length of that.",
        "compression.py",
        (('len(text.encode("utf-8")) / ', "len(text) / "),),
    ),
    Mistake(
        "1.9",
        "the tokens are divided by the bytes",
        "Bytes per token: the bytes above the line, the tokens below it.",
        "compression.py",
        (
            (
                'len(text.encode("utf-8")) / len(tokenizer.encode(text))',
                'len(tokenizer.encode(text)) / len(text.encode("utf-8"))',
            ),
        ),
    ),
    Mistake(
        "1.9",
        "the result is rounded down to whole bytes",
        "// throws the rest of a division away: use /.",
        "compression.py",
        (('len(text.encode("utf-8")) / len', 'len(text.encode("utf-8")) // len'),),
    ),
    Mistake(
        "1.9",
        "each size is trained anew",
        "Train once, for the largest size, and take the first merges of it for each smaller one.",
        "compression.py",
        (
            (
                "first = merges[: room_for_merges(size, special_tokens)]",
                "first = train_bpe_fast(source, size, special_tokens)[1]",
            ),
        ),
    ),
    Mistake(
        "1.9",
        "the special tokens take no room in the vocabulary",
        "A size counts the special tokens too: room_for_merges says how many merges there is room for.",
        "compression.py",
        (("merges[: room_for_merges(size, special_tokens)]", "merges[: size - 256]"),),
    ),
    Mistake(
        "1.9",
        "a vocabulary has 256 merges too many",
        "A size counts the 256 bytes too: room_for_merges says how many merges there is room for.",
        "compression.py",
        (("merges[: room_for_merges(size, special_tokens)]", "merges[:size]"),),
    ),
    Mistake(
        "1.9",
        "the tokenizer does not know the special tokens",
        "Tokenizer takes the special tokens as its third argument; without them it cuts them like any text.",
        "compression.py",
        (("first, special_tokens)\n        for", "first)\n        for"),),
    ),
    Mistake(
        "1.9",
        "the sizes come back in the order in which they were given",
        "Go through the sizes from the smallest to the largest: sorted(set(vocab_sizes)).",
        "compression.py",
        (("for size in sorted(set(vocab_sizes)):", "for size in vocab_sizes:"),),
    ),
    Mistake(
        "1.9",
        "the line goes through the points in the order of the dictionary",
        "A line joins its points in the order in which it gets them: sort the sizes first.",
        "compression.py",
        (("sizes = sorted(curve)", "sizes = list(curve)"),),
    ),
    Mistake(
        "1.9",
        "the sizes are drawn upwards and the bytes per token to the right",
        "plot takes what is drawn to the right first: the sizes, then the bytes per token.",
        "compression.py",
        (
            (
                "axes.plot(sizes, [curve[size] for size in sizes], ",
                "axes.plot([curve[size] for size in sizes], sizes, ",
            ),
        ),
    ),
    Mistake(
        "1.9",
        "the axis of the sizes is linear",
        'axes.set_xscale("log") gives each doubling of the vocabulary the same width.',
        "compression.py",
        (('    axes.set_xscale("log", base=2)\n', ""),),
    ),
    Mistake(
        "1.9",
        "nothing in the figure says which line is which text",
        "Give each line a label, and call axes.legend().",
        "compression.py",
        (('    axes.legend(title="text")\n', ""),),
    ),
    Mistake(
        "1.9",
        "plot_compression draws the figure and does not return it",
        "A function without a return gives None: return the figure.",
        "compression.py",
        (("    return figure\n", "    return None\n"),),
    ),
]
