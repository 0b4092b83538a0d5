"""What people get wrong in 1.7 Training, a hundred times faster (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

MISTAKES = [
    Mistake(
        "1.7",
        "a pair that has become rarer is merged as if it were as frequent as before",
        "Each merge takes places from its neighbours' pairs. What comes from the queue with an old count goes back with "
        "that of today.",
        "bpe_fast.py",
        (
            (
                "            if self.counts[pair] == -negative:\n"
                "                return pair\n"
                "            self._queue([pair])\n",
                "            return pair\n",
            ),
        ),
    ),
    Mistake(
        "1.7",
        "the pairs that a merge makes are never merged themselves",
        "After a, b became ab, the pairs (l, ab) and (ab, r) are new: count them, and put them in the queue.",
        "bpe_fast.py",
        (("            gained.append(pair)\n", ""),),
    ),
    Mistake(
        "1.7",
        "only the pair on the left of a merge is counted",
        "A merged token has two neighbours: (l, ab) on its left and (ab, r) on its right.",
        "bpe_fast.py",
        (
            ("            if right != GAP:\n", "            if right != GAP and right == merged:\n"),
            ("self._pairs(np.concatenate([i, left[row[left] != merged]]))", "self._pairs(left[row[left] != merged])"),
        ),
    ),
    Mistake(
        "1.7",
        "a tie goes to the smallest pair",
        "heapq gives the smallest entry first, of counts that are negative as well as of pairs. Turn the bytes around too.",
        "bpe_fast.py",
        (
            (
                'token.translate(INVERTED).decode("latin-1") + "\\u0100"',
                '"".join(chr(byte + 1) for byte in token) + "\\0"',
            ),
        ),
    ),
    Mistake(
        "1.7",
        "a tie is decided by ids instead of bytes",
        "Of equally frequent pairs the greater pair of byte strings is merged, whichever token was learned first.",
        "bpe_fast.py",
        (("self.order[pair[0]] + self.order[pair[1]], pair))", "(-pair[0], -pair[1]), pair))"),),
    ),
    Mistake(
        "1.7",
        "of two tokens that begin alike the shorter one wins a tie",
        "b'ab' > b'a'. Inverting each byte turns the order of equally long tokens around; an end mark does it for others.",
        "bpe_fast.py",
        (('.decode("latin-1") + "\\u0100"', '.decode("latin-1")'),),
    ),
    Mistake(
        "1.7",
        "each pre-token counts once, however often it comes",
        "A pair counts as often as the pre-tokens that it stands in: add the count of the word, not 1.",
        "bpe_fast.py",
        (("np.array(list(words.values()), dtype=np.int64)", "np.ones(len(words), dtype=np.int64)"),),
    ),
    Mistake(
        "1.7",
        "merges cross from one pre-token into the next",
        "Cut the text before you count: pretokenize(part), for each part between special tokens.",
        "bpe_fast.py",
        (("Counter(piece for part in parts for piece in pretokenize(part))", "Counter(parts)"),),
    ),
    Mistake(
        "1.7",
        "special tokens are learned from",
        "split_special gives the special tokens as parts of their own: leave these out before you count.",
        "bpe_fast.py",
        ((" if part not in special_tokens)", ")"),),
    ),
    Mistake(
        "1.7",
        "a run of one letter is merged from the right",
        "In aaa the first two are merged: go through the places of a pair from left to right.",
        "bpe_fast.py",
        (
            (
                "for i in sorted(places) if isinstance(places, list) else sorted(places.tolist()):",
                "for i in sorted(places if isinstance(places, list) else places.tolist(), reverse=True):",
            ),
        ),
    ),
    Mistake(
        "1.7",
        "the places of the special tokens in the vocabulary are used for merges",
        "vocab_size counts the special tokens too: room_for_merges says how many merges there is room for.",
        "bpe_fast.py",
        (("while len(merges) < room and", "while len(merges) < vocab_size - 256 and"),),
    ),
    Mistake(
        "1.7",
        "counts below one are taken as they are",
        "A pre-token that was counted less than once cannot be right: raise a ValueError that names it.",
        "bpe_fast.py",
        (("        if count < 1:\n", "        if False:\n"),),
    ),
    Mistake(
        "1.7",
        "train_bpe_fast learns the merges and does not return them",
        "A function without a return gives None: return the vocabulary and the merges.",
        "bpe_fast.py",
        (
            (
                "    return build_vocab(merges, special_tokens), merges\n    # END",
                "    build_vocab(merges, special_tokens)\n    # END",
            ),
        ),
    ),
]
