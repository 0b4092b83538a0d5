"""What people get wrong in 1.3 Pre-tokens (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

PRETOKENIZE = """\
    pieces, end = [], 0
    for match in regex.finditer(pattern, text):
        pieces += [text[end : match.start()], match.group()]
        end = match.end()
    pieces.append(text[end:])
    return [piece for piece in pieces if piece]
"""
SPLIT = """\
    if not longest_first:
        return [text] if text else []
    either = "|".join(regex.escape(token) for token in longest_first)
    return [piece for piece in regex.split(f"({either})", text) if piece]
"""
ENCODE = """\
    from heapq import heappop, heappush

    def look_up(i: int) -> None:
        if i >= 0 and after[i] < end:
            pair = (tokens[i], tokens[after[i]])
            if pair in ranks:
                heappush(heap, (ranks[pair], i, pair))

    tokens = [bytes([byte]) for byte in word]
    end = len(tokens)
    before, after, heap = list(range(-1, end - 1)), list(range(1, end + 1)), []
    for i in range(end):
        look_up(i)
    while heap:
        _, i, pair = heappop(heap)
        j = after[i]
        if j >= end or (tokens[i], tokens[j]) != pair:
            continue
        tokens[i], tokens[j], after[i] = tokens[i] + tokens[j], b"", after[j]
        if after[j] < end:
            before[after[j]] = i
        look_up(before[i])
        look_up(i)
    return [token for token in tokens if token]
"""


def simple(code: str, *edits: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Make a mistake in one of the versions above, and put that before the lines of the reference."""
    task = {PRETOKENIZE: "1.3: walk", SPLIT: "1.3: one alternation", ENCODE: "1.5: "}[code]
    for right, wrong in edits:
        assert code.count(right) == 1, right
        code = code.replace(right, wrong)
    begin = f"    # BEGIN SOLUTION {task}"
    return ((begin, code + begin),)


MISTAKES = [
    Mistake(
        "1.3",
        "only the matches are kept, and what lies between them is lost",
        "Note where each match starts and ends: text[end of the last : start of this] is a piece too.",
        "pretokenize.py",
        simple(
            PRETOKENIZE,
            ("[text[end : match.start()], match.group()]", "[match.group()]"),
            ("    pieces.append(text[end:])\n", ""),
        ),
    ),
    Mistake(
        "1.3",
        "what lies behind the last match is lost",
        "After the loop, text[end:] is still to come.",
        "pretokenize.py",
        simple(PRETOKENIZE, ("    pieces.append(text[end:])\n", "")),
    ),
    Mistake(
        "1.3",
        "regex.findall gives the groups of the pattern instead of the matches",
        "Where a pattern has groups, findall gives these. finditer gives the matches, with their places.",
        "pretokenize.py",
        simple(PRETOKENIZE, (PRETOKENIZE, "    return [piece for piece in regex.findall(pattern, text) if piece]\n")),
    ),
    Mistake(
        "1.3",
        "regex.split gives the groups of the pattern beside the matches",
        "With the pattern in a group, its own groups come as pieces too, and \\1 means another one. Use finditer.",
        "pretokenize.py",
        simple(
            PRETOKENIZE,
            (PRETOKENIZE, '    return [piece for piece in regex.split(f"({pattern})", text) if piece]\n'),
        ),
    ),
    Mistake(
        "1.3",
        "the pattern that is given is not used",
        "GPT2_PATTERN is only what `pattern` is when nothing else is given: match with `pattern`.",
        "pretokenize.py",
        simple(PRETOKENIZE, ("regex.finditer(pattern, text)", "regex.finditer(GPT2_PATTERN, text)")),
    ),
    Mistake(
        "1.3",
        "pieces of white space alone are left out",
        "Only empty pieces may go. `if piece` keeps white space, `if piece.strip()` does not.",
        "pretokenize.py",
        simple(PRETOKENIZE, ("in pieces if piece]", "in pieces if piece.strip()]")),
    ),
    Mistake(
        "1.3",
        "the pieces lose the space before the word",
        "The space is a part of the piece: do not strip what has matched.",
        "pretokenize.py",
        simple(
            PRETOKENIZE,
            ("[piece for piece in pieces if piece]", "[piece.strip() for piece in pieces if piece.strip()]"),
        ),
    ),
    Mistake(
        "1.3",
        "pretokenize gives empty pieces",
        "Two matches side by side have nothing between them: leave out what is empty.",
        "pretokenize.py",
        simple(PRETOKENIZE, ("[piece for piece in pieces if piece]", "pieces")),
    ),
    Mistake(
        "1.3",
        "pretokenize makes the pieces and does not return them",
        "A function without a return gives None, whatever it has worked out.",
        "pretokenize.py",
        simple(PRETOKENIZE, ("return [piece for piece in pieces if piece]", "return None")),
    ),
    Mistake(
        "1.3",
        "of special tokens that start at one place, the one that is listed first is taken",
        "The first alternative that matches wins: join them in the order of longest_first, not as they were given.",
        "pretokenize.py",
        (
            ("longest_first = sorted(special_tokens, key=len, reverse=True)", "longest_first = list(special_tokens)"),
            *simple(SPLIT),
        ),
    ),
    Mistake(
        "1.3",
        "of special tokens that start at one place, the shortest is taken",
        "The first alternative that matches wins, so the longest has to come first.",
        "pretokenize.py",
        simple(SPLIT, ("for token in longest_first", "for token in longest_first[::-1]")),
    ),
    Mistake(
        "1.3",
        "the signs of a special token are read as a pattern",
        "| and [ and ( mean something in a pattern. regex.escape makes a text that matches itself.",
        "pretokenize.py",
        simple(SPLIT, ("regex.escape(token) for", "token for")),
    ),
    Mistake(
        "1.3",
        "the special tokens themselves are dropped",
        "regex.split keeps what it splits at only if the pattern stands in a group: f'({either})'.",
        "pretokenize.py",
        simple(SPLIT, ('f"({either})"', "either")),
    ),
    Mistake(
        "1.3",
        "without special tokens the text falls into single characters",
        "An alternation of no tokens is an empty pattern, which matches everywhere. Give the whole text back instead.",
        "pretokenize.py",
        simple(SPLIT, ("    if not longest_first:\n        return [text] if text else []\n", "")),
    ),
    Mistake(
        "1.3",
        "without special tokens an empty text gives an empty piece",
        "The pieces are never empty, and an empty text has none: [text] if text else [].",
        "pretokenize.py",
        simple(SPLIT, ("return [text] if text else []", "return [text]")),
    ),
    Mistake(
        "1.3",
        "split_special gives empty pieces",
        "Before a special token at the start, behind one at the end and between two there is nothing: leave that out.",
        "pretokenize.py",
        simple(SPLIT, ("text) if piece]", "text)]")),
    ),
    Mistake(
        "1.3",
        "white space around special tokens is stripped",
        "Joined, the pieces have to be the text again: leave each piece as it is.",
        "pretokenize.py",
        simple(SPLIT, ("return [piece for", "return [piece.strip() or piece for")),
    ),
    Mistake(
        "1.3",
        "only the first special token of the text is cut out",
        "There may be any number of them: go on behind the first one.",
        "pretokenize.py",
        simple(SPLIT, ("text) if piece]", "text, maxsplit=1) if piece]")),
    ),
    Mistake(
        "1.3",
        "what lies between special tokens is cut into pre-tokens already",
        "split_special cuts at special tokens only; whoever uses it calls pretokenize on the rest.",
        "pretokenize.py",
        simple(
            SPLIT,
            ("return [piece for piece in", "return [piece for part in"),
            ("text) if piece]", "text) for piece in ([part] if part in longest_first else pretokenize(part))]"),
        ),
    ),
    Mistake(
        "1.3",
        "split_special makes the pieces and does not return them",
        "A function without a return gives None, whatever it has worked out.",
        "pretokenize.py",
        simple(SPLIT, ("return [piece for", "[piece for"), ("text) if piece]", "text) if piece]\n    return None")),
    ),
]
