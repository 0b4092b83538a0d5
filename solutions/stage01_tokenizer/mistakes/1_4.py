"""What people get wrong in 1.4 Training by merging (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

MISTAKES = [
    Mistake(
        "1.4",
        "each word counts once, however frequent it is",
        "`words` says how often each word comes: add that number at each of its pairs, not 1.",
        "bpe.py",
        (("counts[pair] += frequency", "counts[pair] += 1"),),
    ),
    Mistake(
        "1.4",
        "a pair that stands twice in a word is counted once",
        "Each place counts. Adding only the different pairs of a word loses the others.",
        "bpe.py",
        (("for pair in zip(word, word[1:]):", "for pair in set(zip(word, word[1:])):"),),
    ),
    Mistake(
        "1.4",
        "of two pairs that overlap in a run of one letter, only one is counted",
        "Counting looks at each two neighbours. That only one of them can be merged matters later, in merge_pair.",
        "bpe.py",
        (
            (
                "        for pair in zip(word, word[1:]):\n            counts[pair] += frequency\n",
                "        last = None\n"
                "        for pair in zip(word, word[1:]):\n"
                "            last = None if pair == last else pair\n"
                "            if last:\n"
                "                counts[pair] += frequency\n",
            ),
        ),
    ),
    Mistake(
        "1.4",
        "the second token of a merged pair stays in the word",
        "A merged pair takes two steps: go on behind both its tokens.",
        "bpe.py",
        (("            i += 2\n", "            i += 1\n"),),
    ),
    Mistake(
        "1.4",
        "only the first occurrence of the pair is merged",
        "Go on to the end of the word after a merge; the pair may come again.",
        "bpe.py",
        (
            (
                "            merged.append(word[i] + word[i + 1])\n            i += 2\n",
                "            return (*merged, word[i] + word[i + 1], *word[i + 2 :])\n",
            ),
        ),
    ),
    Mistake(
        "1.4",
        "two tokens that spell the same as the pair are taken for it",
        "Compare the two tokens one by one, not what they give together: (a, bc) is not (ab, c).",
        "bpe.py",
        (("if word[i : i + 2] == pair:", 'if i + 1 < len(word) and word[i] + word[i + 1] == b"".join(pair):'),),
    ),
    Mistake(
        "1.4",
        "merge_pair makes the new word and does not return it",
        "A function without a return gives None, whatever it has worked out.",
        "bpe.py",
        (("    return tuple(merged)\n", "    tuple(merged)\n"),),
    ),
    Mistake(
        "1.4",
        "of pairs that are equally frequent, the one that was seen first is merged",
        "max(counts, key=counts.get) leaves ties to chance. Compare (count, pair): then the greater pair wins.",
        "bpe.py",
        (("key=lambda pair: (counts[pair], pair))", "key=lambda pair: counts[pair])"),),
    ),
    Mistake(
        "1.4",
        "of pairs that are equally frequent, the smallest is merged",
        "The docstring asks for the lexicographically greatest pair: the max over (count, pair).",
        "bpe.py",
        (
            (
                "max(counts, key=lambda pair: (counts[pair], pair))",
                "min(counts, key=lambda pair: (-counts[pair], pair))",
            ),
        ),
    ),
    Mistake(
        "1.4",
        "ties are decided by the ids of the tokens, not by their bytes",
        "Compare the byte strings of the two tokens; in which order they were learned does not matter.",
        "bpe.py",
        (
            (
                "        best = max(counts, key=lambda pair: (counts[pair], pair))\n",
                "        ids = {token: id for id, token in build_vocab(merges).items()}\n"
                "        best = max(counts, key=lambda pair: (counts[pair], ids[pair[0]], ids[pair[1]]))\n",
            ),
        ),
    ),
    Mistake(
        "1.4",
        "ties are decided by what the pair spells, not by the pair",
        "(a, bc) and (ab, c) spell the same; as pairs, the one with the greater first token is the greater.",
        "bpe.py",
        (("key=lambda pair: (counts[pair], pair))", "key=lambda pair: (counts[pair], pair[0] + pair[1]))"),),
    ),
    Mistake(
        "1.4",
        "the pairs are not counted anew after a merge",
        "A merge makes new pairs and takes others away. Count inside the loop, on the merged words.",
        "bpe.py",
        (
            (
                "        counts = count_pairs(words)\n",
                "        counts = {pair: count for pair, count in counts.items() if pair != merges[-1]} "
                "if merges else count_pairs(words)\n",
            ),
        ),
    ),
    Mistake(
        "1.4",
        "the words stay as they were after a merge",
        "Each word has to be replaced by merge_pair(word, best), or the same pair is found again.",
        "bpe.py",
        (("        words = {merge_pair(word, best): frequency for word, frequency in words.items()}\n", ""),),
    ),
    Mistake(
        "1.4",
        "pairs that come only once are not merged",
        "Training goes on until the vocabulary is full or no pair is left, however rare the pairs become.",
        "bpe.py",
        (("        if not counts:\n", "        if not counts or max(counts.values()) < 2:\n"),),
    ),
    Mistake(
        "1.4",
        "training goes on when no pair is left",
        "When every word is one token there is nothing to take the max of: leave the loop.",
        "bpe.py",
        (("        if not counts:\n            break\n", ""),),
    ),
    Mistake(
        "1.4",
        "the special tokens take no room in the vocabulary",
        "Bytes, merges and special tokens together are vocab_size: room_for_merges says how many merges that leaves.",
        "bpe.py",
        (("while len(merges) < merge_count:", "while len(merges) < vocab_size - 256:"),),
    ),
    Mistake(
        "1.4",
        "vocab_size is taken for the number of merges",
        "The 256 bytes and the special tokens are in vocab_size: room_for_merges says how many merges that leaves.",
        "bpe.py",
        (("while len(merges) < merge_count:", "while len(merges) < vocab_size:"),),
    ),
    Mistake(
        "1.4",
        "merges cross from one pre-token into the next",
        "Cut each part of the text with pretokenize first: each pre-token is a word of its own.",
        "bpe.py",
        (("        for piece in pretokenize(part)\n", "        for piece in [part]\n"),),
    ),
    Mistake(
        "1.4",
        "the special tokens are learned from like other text",
        "split_special gives them as pieces of their own: leave these out before you pre-tokenise.",
        "bpe.py",
        (("        if part not in special_tokens\n", ""),),
    ),
    Mistake(
        "1.4",
        "the texts on both sides of a special token are joined",
        "A special token ends one document and begins another. Pre-tokenise each part on its own.",
        "bpe.py",
        (
            (
                "        for part in split_special(text, special_tokens)\n        if part not in special_tokens\n",
                '        for part in ["".join(part for part in split_special(text, special_tokens) '
                "if part not in special_tokens)]\n",
            ),
        ),
    ),
    Mistake(
        "1.4",
        "training starts from characters, not from bytes",
        "A character may be several bytes, and each is a token of its own: encode the piece before you cut it up.",
        "bpe.py",
        (
            (
                'tuple(bytes([byte]) for byte in piece.encode("utf-8"))',
                'tuple(char.encode("utf-8") for char in piece)',
            ),
        ),
    ),
    Mistake(
        "1.4",
        "the special tokens get their ids before the merges",
        "The order is: the 256 bytes, the merges as learned, then the special tokens.",
        "bpe.py",
        (
            (
                "    return build_vocab(merges, special_tokens), merges\n",
                "    vocab = build_vocab([], special_tokens)\n"
                "    return vocab | {len(vocab) + rank: a + b for rank, (a, b) in enumerate(merges)}, merges\n",
            ),
        ),
    ),
    Mistake(
        "1.4",
        "the merges are given as tokens, not as pairs",
        "A merge is the pair of tokens that was joined: encoding has to know both.",
        "bpe.py",
        (
            (
                "    return build_vocab(merges, special_tokens), merges\n",
                "    return build_vocab(merges, special_tokens), [a + b for a, b in merges]\n",
            ),
        ),
    ),
]
