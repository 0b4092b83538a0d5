"""What people get wrong in 1.5 Encoding by rank (see bootcamp/grading/mistakes.py)."""

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
        "1.5",
        "the pair that stands furthest left is merged first, whatever its rank",
        "Look at the ranks of all pairs before you merge one: the lowest rank comes first, wherever it stands.",
        "bpe.py",
        simple(ENCODE, ("(ranks[pair], i, pair)", "(i, i, pair)")),
    ),
    Mistake(
        "1.5",
        "the pair of the highest rank is merged first",
        "The rank is the place in the list of merges: what was learned first has rank 0, and is made first.",
        "bpe.py",
        simple(ENCODE, ("(ranks[pair], i, pair)", "(-ranks[pair], i, pair)")),
    ),
    Mistake(
        "1.5",
        "the pair that makes the longest token is merged first, and the rank only decides between equals",
        "How long a token is does not matter: of all pairs that stand there now, the one of lowest rank is merged.",
        "bpe.py",
        simple(ENCODE, ("(ranks[pair], i, pair)", '((-len(b"".join(pair)), ranks[pair]), i, pair)')),
    ),
    Mistake(
        "1.5",
        "the longest token of the vocabulary is cut off at the left, again and again",
        "That is another way to cut words. Here the merges are made in the order in which they were learned.",
        "bpe.py",
        simple(
            ENCODE,
            (
                ENCODE,
                "    known, tokens, start = {left + right for left, right in ranks}, [], 0\n"
                "    longest = max(map(len, known), default=1)\n"
                "    while start < len(word):\n"
                "        ends = range(min(len(word), start + longest), start, -1)\n"
                "        end = next(end for end in ends if end == start + 1 or word[start:end] in known)\n"
                "        tokens.append(word[start:end])\n"
                "        start = end\n"
                "    return tokens\n",
            ),
        ),
    ),
    Mistake(
        "1.5",
        "of several places where the best pair stands, the one furthest right is merged first",
        "In a run such as aaa it matters: the leftmost place comes first.",
        "bpe.py",
        simple(ENCODE, ("(ranks[pair], i, pair)", "((ranks[pair], -i), i, pair)")),
    ),
    Mistake(
        "1.5",
        "rank 0 is taken for no rank",
        "0 is false in Python, and so is None. Ask `is not None`, or `in`.",
        "bpe.py",
        simple(ENCODE, ("if pair in ranks:", "if ranks.get(pair):")),
    ),
    Mistake(
        "1.5",
        "a pair without a rank is a KeyError",
        "Most pairs are in no merge: ask with ranks.get(pair), or test `pair in ranks` first.",
        "bpe.py",
        simple(ENCODE, ("if pair in ranks:", "if ranks[pair] is not None:")),
    ),
    Mistake(
        "1.5",
        "a pair is merged although one of its tokens was merged with another before",
        "What waits in the heap may be out of date: before you merge, see whether both tokens still stand there.",
        "bpe.py",
        simple(ENCODE, ("(tokens[i], tokens[j]) != pair:", "not tokens[i]:")),
    ),
    Mistake(
        "1.5",
        "after a merge, the pair with the token on the left is not looked up",
        "The new token has two neighbours, and makes a new pair with each.",
        "bpe.py",
        simple(ENCODE, ("        look_up(before[i])\n", "")),
    ),
    Mistake(
        "1.5",
        "after a merge, the pair with the token on the right is not looked up",
        "The new token has two neighbours, and makes a new pair with each.",
        "bpe.py",
        simple(ENCODE, ("        look_up(before[i])\n        look_up(i)\n", "        look_up(before[i])\n")),
    ),
    Mistake(
        "1.5",
        "tokens that were merged are not merged again",
        "The pairs that a new token makes with its neighbours may have a rank too: look them up, and go on.",
        "bpe.py",
        simple(ENCODE, ("        look_up(before[i])\n        look_up(i)\n", "")),
    ),
    Mistake(
        "1.5",
        "only one merge is made",
        "After a merge, look for the best pair again; stop only when no pair has a rank.",
        "bpe.py",
        simple(ENCODE, ("        look_up(before[i])\n        look_up(i)\n", "        break\n")),
    ),
    Mistake(
        "1.5",
        "the word is cut into numbers, not into single bytes",
        "list(b'ab') gives [97, 98]. A token is a bytes object: bytes([97]), or word[i : i + 1].",
        "bpe.py",
        simple(ENCODE, (ENCODE, "    return list(word)\n")),
    ),
    Mistake(
        "1.5",
        "an empty word gives an empty token",
        "A token has at least one byte: no bytes, no token.",
        "bpe.py",
        simple(ENCODE, ("in tokens if token]", "in tokens if token] or [word]")),
    ),
    Mistake(
        "1.5",
        "all pairs of the word are looked up again after each merge",
        "That is n look-ups, n times. Keep the pairs in a heap, and look up the two that a merge has made.",
        "bpe.py",
        simple(
            ENCODE,
            (
                ENCODE,
                "    tokens = [bytes([byte]) for byte in word]\n"
                "    while found := [(ranks[p], i) for i, p in enumerate(zip(tokens, tokens[1:])) if p in ranks]:\n"
                "        i = min(found)[1]\n"
                "        tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]\n"
                "    return tokens\n",
            ),
        ),
    ),
    Mistake(
        "1.5",
        "all pairs of the word are looked up again for each rank",
        "A long word has thousands of ranks in it. Keep the pairs in a heap, and look up those that a merge has made.",
        "bpe.py",
        simple(
            ENCODE,
            (
                ENCODE,
                "    tokens = tuple(bytes([byte]) for byte in word)\n"
                "    while found := [(ranks[pair], pair) for pair in zip(tokens, tokens[1:]) if pair in ranks]:\n"
                "        tokens = merge_pair(tokens, min(found)[1])\n"
                "    return list(tokens)\n",
            ),
        ),
    ),
    Mistake(
        "1.5",
        "all the merges are gone through, and not only those that stand in the word",
        "GPT-2 has 50,000 merges, and a word a handful. Look up the pairs of the word in ranks.",
        "bpe.py",
        simple(
            ENCODE,
            (
                ENCODE,
                "    tokens = tuple(bytes([byte]) for byte in word)\n"
                "    for pair in sorted(ranks, key=lambda pair: ranks[pair]):\n"
                "        tokens = merge_pair(tokens, pair)\n"
                "    return list(tokens)\n",
            ),
        ),
    ),
    Mistake(
        "1.5",
        "encode_bytes finds the tokens and does not return them",
        "A function without a return gives None, whatever it has worked out.",
        "bpe.py",
        simple(ENCODE, ("    return [token for token in tokens if token]", "    return None")),
    ),
]
