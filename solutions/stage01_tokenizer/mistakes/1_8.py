"""What people get wrong in 1.8 Many files, many workers (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

SAME_PLACE = "begin = size * chunk // chunks - len(split_token) + 1"
REPLACING = """\
    def replaced() -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with open(path, "rb") as file:
            file.seek(begin)
            for place in range(begin, end, 1 << 16):
                data = file.read(min(1 << 16, end - place))
                yield decoder.decode(data)
                tell(len(data))
        yield decoder.decode(b"", final=True)

    import codecs

"""

MISTAKES = [
    Mistake(
        "1.8",
        "the chunks end at the fair places, in the middle of documents",
        "From each fair place go on to the next split token: the chunk ends directly behind it.",
        "parallel.py",
        (("        end = _end_of_document(file, begin, split_token)\n", "        end = size * chunk // chunks\n"),),
    ),
    Mistake(
        "1.8",
        "the chunks end before a split token, not behind it",
        "find gives the place where the token begins. The document ends behind it: add the length of the token.",
        "parallel.py",
        (("return begin + place + len(split_token)", "return begin + place"),),
    ),
    Mistake(
        "1.8",
        "the same boundary may come twice, so that a chunk is empty",
        "A long document may reach over several fair places. Go on from the last boundary, or take each only once.",
        "parallel.py",
        (
            ("begin = max(boundaries[-1], size * chunk // chunks - len(split_token) + 1)", SAME_PLACE),
            (
                "        if end is None or end == size:\n            break\n",
                "        end = size if end is None else end\n",
            ),
        ),
    ),
    Mistake(
        "1.8",
        "the end of the file is no boundary",
        "The last chunk ends with the file: its size, in bytes, is the last boundary.",
        "parallel.py",
        (("return [*boundaries, size] if size else [0]", "return boundaries"),),
    ),
    Mistake(
        "1.8",
        "the file is read whole to find the boundaries",
        "Go to each fair place with file.seek, and read block by block until a split token has come.",
        "parallel.py",
        (("file.read(1 << 14)", "file.read()"),),
    ),
    Mistake(
        "1.8",
        "special tokens are counted as pre-tokens",
        "split_special gives the special tokens as parts of their own: leave them out of the counts.",
        "parallel.py",
        (("    for special in special_tokens:\n        del counts[special]\n", ""),),
    ),
    Mistake(
        "1.8",
        "each worker counts the whole file",
        "A worker begins where its chunk begins (file.seek) and stops where that ends.",
        "parallel.py",
        (
            (
                "for begin, end in zip(cuts, cuts[1:])]\n    given",
                "for begin, end in [(0, cuts[-1])] * len(cuts[1:])]\n    given",
            ),
        ),
    ),
    Mistake(
        "1.8",
        "only the counts of the last chunk come back",
        "Counts add up: total.update(counts) for the counts of each chunk.",
        "parallel.py",
        (("        total.update(counts)\n", "        total = counts\n"),),
    ),
    Mistake(
        "1.8",
        "of the counts of two chunks the larger is taken instead of their sum",
        "Counter's | takes the larger of two counts, and + or update adds them up.",
        "parallel.py",
        (("        total.update(counts)\n", "        total |= counts\n"),),
    ),
    Mistake(
        "1.8",
        "all is counted in one process, however many workers there are",
        "Start `workers` processes: in_processes in processes.py is given for that.",
        "parallel.py",
        (
            (
                "in in_processes(_count, given, jobs, min(workers, len(jobs)), progress):\n        total",
                "in in_processes(_count, given, jobs, 1, progress):\n        total",
            ),
        ),
    ),
    Mistake(
        "1.8",
        "the line ends of the text are changed while it is read",
        "A file that is opened as text turns every \\r\\n into \\n. Open it with mode 'rb', or with newline=''.",
        "parallel.py",
        (
            (
                "stretches(read_text(path, begin, end, tell), special_tokens, pattern)\n    counts",
                'stretches((block.replace("\\r\\n", "\\n").replace("\\r", "\\n") for block in '
                "read_text(path, begin, end, tell)), special_tokens, pattern)\n    counts",
            ),
        ),
    ),
    Mistake(
        "1.8",
        "the whole chunk is in memory at once",
        "Read block by block (read_text), cut each block where nothing to come can change it (stretches), and count.",
        "parallel.py",
        (
            (
                "stretches(read_text(path, begin, end, tell), special_tokens, pattern)\n    counts",
                'stretches(["".join(list(read_text(path, begin, end, tell)))], special_tokens, pattern)\n    counts',
            ),
        ),
    ),
    Mistake(
        "1.8",
        "words are cut apart wherever a block ends",
        "A block ends in the middle of a word, most of the time. stretches keeps back what may still go on.",
        "parallel.py",
        (
            (
                "stretches(read_text(path, begin, end, tell), special_tokens, pattern)\n    counts",
                "read_text(path, begin, end, tell)\n    counts",
            ),
        ),
    ),
    Mistake(
        "1.8",
        "bytes that are not UTF-8 are replaced instead of refused",
        "Decode with errors='strict', which is the default, and say in a ValueError which file and which byte it was.",
        "parallel.py",
        (
            (
                "    texts = stretches(read_text(path, begin, end, tell), special_tokens, pattern)\n    counts",
                REPLACING + "    texts = stretches(replaced(), special_tokens, pattern)\n    counts",
            ),
        ),
    ),
    Mistake(
        "1.8",
        "the pattern is not passed on to the workers",
        "pretokenize takes the pattern as its second argument, and a worker knows only what it is given.",
        "parallel.py",
        (("given = (path, list(special_tokens), pattern)", "given = (path, list(special_tokens), GPT2_PATTERN)"),),
    ),
]
