"""What people get wrong in stage 01, each with its name (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

# The reference of 1.3 and 1.5 is written for speed. What people get wrong in them is put into simple versions, which
# run in its place.

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


# The reference has a second way to encode, for long texts. Where a mistake is about encoding, it makes do with one.
ONE_WAY = (
    ("        if len(text) > LONG and (encoder := encoder_of(self)) is not None:\n", "        if encoder := None:\n"),
    (
        "        if (encoder := encoder_of(self)) is not None:\n            some",
        "        if encoder := None:\n            some",
    ),
)

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
    # -- 1.1 Words
    Mistake(
        "1.1",
        "words that are equally frequent stay in the order in which they were seen",
        "Counter.most_common() leaves ties as they came. Sort by two things: the count, downwards, then the word.",
        "words.py",
        (("sorted(counts, key=lambda word: (-counts[word], word))", "[word for word, _ in counts.most_common()]"),),
    ),
    Mistake(
        "1.1",
        "words that are equally frequent are sorted backwards",
        "reverse=True turns the order of the words around as well. Sort by (-count, word) instead.",
        "words.py",
        (
            (
                "sorted(counts, key=lambda word: (-counts[word], word))",
                "sorted(counts, key=lambda word: (counts[word], word), reverse=True)",
            ),
        ),
    ),
    Mistake(
        "1.1",
        "the words stand in the order of the alphabet, however frequent they are",
        "The count comes first, downwards; the alphabet only decides between words that are equally frequent.",
        "words.py",
        (("sorted(counts, key=lambda word: (-counts[word], word))", "sorted(counts)"),),
    ),
    Mistake(
        "1.1",
        "the vocabulary has one word too many",
        "<unk> takes one of the vocab_size ids, so there is room for one word less.",
        "words.py",
        (("ordered[: vocab_size - 1]", "ordered[:vocab_size]"),),
    ),
    Mistake(
        "1.1",
        "only the last text is counted",
        "One counter has to take the words of all the texts: make it before the loop over them.",
        "words.py",
        (
            (
                "counts = Counter(word for text in texts for word in text.split())\n",
                "counts = Counter()\n        for text in texts:\n            counts = Counter(text.split())\n",
            ),
        ),
    ),
    Mistake(
        "1.1",
        "the text is split at single spaces",
        "split(' ') gives empty words between two spaces and keeps line ends; split() takes any white space.",
        "words.py",
        (
            ("for word in text.split())\n        counts.pop", "for word in text.split(' '))\n        counts.pop"),
            ("self.ids.get(word, 0) for word in text.split()", "self.ids.get(word, 0) for word in text.split(' ')"),
        ),
    ),
    Mistake(
        "1.1",
        "capital and small letters are taken for the same",
        "Words are taken as they stand: The and the are two words, each with its own count.",
        "words.py",
        (
            ("for word in text.split())\n", "for word in text.lower().split())\n"),
            ("for word in text.split()]", "for word in text.lower().split()]"),
        ),
    ),
    Mistake(
        "1.1",
        "unknown words are left out",
        "Each word of the text has to give an id: 0 where it is not in the vocabulary.",
        "words.py",
        (
            (
                "self.ids.get(word, 0) for word in text.split()",
                "self.ids[word] for word in text.split() if word in self.ids",
            ),
        ),
    ),
    Mistake(
        "1.1",
        "<unk> in a text is counted as a word like others",
        "A literal <unk> already has id 0: take it out of the counts before you choose the words.",
        "words.py",
        (("        counts.pop(UNKNOWN, None)\n", ""),),
    ),
    Mistake(
        "1.1",
        "a negative id decodes to a word from the end of the list",
        "Python counts negative indices from the end. Test 0 <= id before you look the word up.",
        "words.py",
        (("if not 0 <= id < len(self.words)", "if not id < len(self.words)"),),
    ),
    Mistake(
        "1.1",
        "an id without a word decodes to <unk>",
        "<unk> stands for words that were not in the vocabulary. An id that no word has is an error: raise IndexError.",
        "words.py",
        (
            (
                'raise IndexError(f"id {id} is not in the vocabulary of {len(self.words)} words")',
                "words.append(UNKNOWN)\n                continue",
            ),
        ),
    ),
    Mistake(
        "1.1",
        "decode joins the words and does not return them",
        "A function without a return gives None, whatever it has worked out: return what the join gives.",
        "words.py",
        (('        return " ".join(words)', '        " ".join(words)'),),
    ),
    # -- 1.2 Bytes
    Mistake(
        "1.2",
        "a character gives its number in Unicode, not its bytes",
        "ord() gives a number that can be far above 255. text.encode('utf-8') gives the bytes.",
        "utf8.py",
        (('list(text.encode("utf-8"))', "[ord(char) for char in text]"),),
    ),
    Mistake(
        "1.2",
        "half of a surrogate pair is encoded as if it were a character",
        "errors='surrogatepass' makes bytes that are no UTF-8. Leave `errors` out: encode then raises the ValueError.",
        "utf8.py",
        (('list(text.encode("utf-8"))', 'list(text.encode("utf-8", errors="surrogatepass"))'),),
    ),
    Mistake(
        "1.2",
        "half of a surrogate pair becomes a question mark",
        "errors='replace' changes the text without a word. Leave `errors` out: encode then raises the ValueError.",
        "utf8.py",
        (('list(text.encode("utf-8"))', 'list(text.encode("utf-8", errors="replace"))'),),
    ),
    Mistake(
        "1.2",
        "half of a surrogate pair is left out",
        "errors='ignore' changes the text without a word. Leave `errors` out: encode then raises the ValueError.",
        "utf8.py",
        (('list(text.encode("utf-8"))', 'list(text.encode("utf-8", errors="ignore"))'),),
    ),
    Mistake(
        "1.2",
        "text_to_byte_ids makes the list and does not return it",
        "A function without a return gives None, whatever it has worked out: write return before the list.",
        "utf8.py",
        (('return list(text.encode("utf-8"))', 'list(text.encode("utf-8"))'),),
    ),
    Mistake(
        "1.2",
        "bytes that are no UTF-8 raise an error",
        "A model may write any bytes. bytes.decode has an argument `errors` that says what to do with them.",
        "utf8.py",
        (('bytes(ids).decode("utf-8", errors="replace")', 'bytes(ids).decode("utf-8")'),),
    ),
    Mistake(
        "1.2",
        "bytes that are no UTF-8 are left out",
        "errors='ignore' hides that something was there. errors='replace' puts U+FFFD in its place.",
        "utf8.py",
        (('bytes(ids).decode("utf-8", errors="replace")', 'bytes(ids).decode("utf-8", errors="ignore")'),),
    ),
    Mistake(
        "1.2",
        "each byte is decoded on its own",
        "Only the bytes of a character together are that character. Make one bytes object of all ids, then decode it.",
        "utf8.py",
        (
            (
                'bytes(ids).decode("utf-8", errors="replace")',
                '"".join(bytes([id]).decode("utf-8", errors="replace") for id in ids)',
            ),
        ),
    ),
    Mistake(
        "1.2",
        "each id is taken for the number of a character",
        "chr() turns the number of a character into text; these are numbers of bytes. Make bytes of them and decode.",
        "utf8.py",
        (('return bytes(ids).decode("utf-8", errors="replace")', 'return "".join(map(chr, bytes(ids)))'),),
    ),
    Mistake(
        "1.2",
        "each byte of a character that breaks off becomes a U+FFFD of its own",
        "What a character has begun with, up to where it breaks off, is one U+FFFD: decode(errors='replace') does so.",
        "utf8.py",
        (
            (
                'return bytes(ids).decode("utf-8", errors="replace")',
                'data, text = bytes(ids), ""\n'
                "    while True:\n"
                "        try:\n"
                '            return text + data.decode("utf-8")\n'
                "        except UnicodeDecodeError as error:\n"
                '            text += data[: error.start].decode("utf-8") + "\\ufffd" * (error.end - error.start)\n'
                "            data = data[error.end :]",
            ),
        ),
    ),
    Mistake(
        "1.2",
        "an id above 255 starts again from 0",
        "id % 256 gives a byte, but not one that was meant. bytes([256]) raises the ValueError that is asked for.",
        "utf8.py",
        (('bytes(ids).decode("utf-8"', 'bytes(id % 256 for id in ids).decode("utf-8"'),),
    ),
    Mistake(
        "1.2",
        "the stream decodes each piece on its own",
        "A character may be cut in two by the pieces. Keep its first bytes until the others have come.",
        "utf8.py",
        (("end = len(data) - _unfinished(data)", "end = len(data)"),),
    ),
    Mistake(
        "1.2",
        "the bytes that were kept are forgotten when the next piece comes",
        "self.pending belongs in front of the next piece: data = self.pending + data.",
        "utf8.py",
        (("        data = self.pending + data\n", ""),),
    ),
    Mistake(
        "1.2",
        "the bytes that were kept are put behind the next piece",
        "They came first: self.pending + data, not data + self.pending.",
        "utf8.py",
        (("data = self.pending + data", "data = data + self.pending"),),
    ),
    Mistake(
        "1.2",
        "an unfinished character holds back all that stands before it",
        "If the whole does not decode, the part before the unfinished character still does: give that at once.",
        "utf8.py",
        (
            (
                "        end = len(data) - _unfinished(data)\n"
                "        self.pending = data[end:]\n"
                '        return data[:end].decode("utf-8", errors="replace")\n',
                "        if _unfinished(data):\n"
                "            self.pending = data\n"
                '            return ""\n'
                '        self.pending = b""\n'
                '        return data.decode("utf-8", errors="replace")\n',
            ),
        ),
    ),
    Mistake(
        "1.2",
        "a complete character is kept until the next one begins",
        "The first byte of a character says how many it has. With the last of them, give it.",
        "utf8.py",
        (("if count >= length:", "if count > length:"),),
    ),
    Mistake(
        "1.2",
        "only the last byte is looked at to see whether a character is unfinished",
        "The first byte of an unfinished character may stand up to three places from the end: walk back to it.",
        "utf8.py",
        (("reversed(data[-3:])", "reversed(data[-1:])"),),
    ),
    Mistake(
        "1.2",
        "characters of four bytes are not waited for",
        "First bytes from 0xF0 to 0xF4 begin four bytes: most emoji are written so.",
        "utf8.py",
        (("else 4 if 0xF0 <= byte <= 0xF4 else 1", "else 1"),),
    ),
    Mistake(
        "1.2",
        "a stream of bytes that are no UTF-8 raises an error",
        "In a stream too, bytes that cannot be a character become U+FFFD: decode with errors='replace' in feed.",
        "utf8.py",
        (('data[:end].decode("utf-8", errors="replace")', 'data[:end].decode("utf-8")'),),
    ),
    Mistake(
        "1.2",
        "the stream leaves out bytes that are no UTF-8",
        "In a stream too, U+FFFD stands for what cannot be a character: errors='replace', not 'ignore', in feed.",
        "utf8.py",
        (('data[:end].decode("utf-8", errors="replace")', 'data[:end].decode("utf-8", errors="ignore")'),),
    ),
    Mistake(
        "1.2",
        "feed works out the text and does not return it",
        "A function without a return gives None: return the text that is complete, '' if there is none.",
        "utf8.py",
        (('return data[:end].decode("utf-8", errors="replace")', 'data[:end].decode("utf-8", errors="replace")'),),
    ),
    Mistake(
        "1.2",
        "finish drops the character that was left incomplete",
        "A reader should see that something is missing: decode what is kept with errors='replace'.",
        "utf8.py",
        (('text = self.pending.decode("utf-8", errors="replace")', 'text = ""'),),
    ),
    Mistake(
        "1.2",
        "finish gives a U+FFFD for each byte of the character that was left incomplete",
        "One U+FFFD stands for one character that breaks off: decode what is kept with errors='replace'.",
        "utf8.py",
        (('text = self.pending.decode("utf-8", errors="replace")', 'text = "\\ufffd" * len(self.pending)'),),
    ),
    Mistake(
        "1.2",
        "finish gives a U+FFFD although nothing was left incomplete",
        "Only if bytes are kept is a character incomplete: decoding b'' gives ''.",
        "utf8.py",
        (('text = self.pending.decode("utf-8", errors="replace")', 'text = "\\ufffd"'),),
    ),
    Mistake(
        "1.2",
        "finish does not forget what it has given",
        "Set self.pending to b'' before you return: what was given is no longer kept.",
        "utf8.py",
        (('        self.pending = b""\n        return text\n', "        return text\n"),),
    ),
    # -- 1.3 Pre-tokens
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
    # -- 1.4 Training by merging
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
    # -- 1.5 Encoding by rank
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
    # -- 1.6 The tokenizer
    Mistake(
        "1.6",
        "special tokens are cut up like other text",
        "Cut the text around its special tokens first (split_special), and give each of these its one id.",
        "tokenizer.py",
        (
            *ONE_WAY,
            ("for part in split_special(text, self.special_ids):", "for part in [text]:"),
            ("[part] if part in self.special_ids else pretokenize", "pretokenize"),
            ("stretches(chunks, self.special_ids, self.pattern)", "stretches(chunks, (), self.pattern)"),
            ("        if piece in self.special_ids:\n", "        if False:\n"),
        ),
    ),
    Mistake(
        "1.6",
        "all special tokens without an id get the same one",
        "Each one that is added makes the vocabulary larger: the next free id is a new one each time.",
        "tokenizer.py",
        (("highest.get(token, self.vocab_size)", "highest.get(token, max(vocab) + 1)"),),
    ),
    Mistake(
        "1.6",
        "a special token that is spelled like another token takes the id of that one",
        "Training puts special tokens behind all others: of several ids with the same bytes, theirs is the highest.",
        "tokenizer.py",
        (
            (
                "highest = {token: id for id, token in self.vocab.items()}",
                "highest = {token: id for id, token in reversed(self.vocab.items())}",
            ),
        ),
    ),
    Mistake(
        "1.6",
        "the vocabulary that is handed in is changed",
        "Whoever made the dictionary may still need it as it was: add special tokens to a copy.",
        "tokenizer.py",
        (("self.vocab = dict(sorted(vocab.items()))", "self.vocab = vocab"),),
    ),
    Mistake(
        "1.6",
        "the vocabulary is said to be as large as if it had no special tokens",
        "A model has a row for each id, those of the special tokens too: vocab_size is the highest id plus 1.",
        "tokenizer.py",
        (("return max(self.vocab) + 1", "return 256 + len(self.merges)"),),
    ),
    Mistake(
        "1.6",
        "vocab_size counts the ids, as if they had no gaps",
        "A table is looked up by id: with the ids 0 and 9 it needs ten rows. Take the highest id plus 1.",
        "tokenizer.py",
        (
            ("highest.get(token, self.vocab_size)", "highest.get(token, max(self.vocab) + 1)"),
            ("return max(self.vocab) + 1", "return len(self.vocab)"),
        ),
    ),
    Mistake(
        "1.6",
        "a new special token gets the number of tokens as its id, which may be taken already",
        "Ids may have gaps, or not begin with 0. The next free one for certain is the highest plus 1.",
        "tokenizer.py",
        (("highest.get(token, self.vocab_size)", "highest.get(token, len(self.vocab))"),),
    ),
    Mistake(
        "1.6",
        "ids are counted from the merges instead of looked up in the vocabulary",
        "Which id a token has is what `vocab` says: turn it around once, from token to id.",
        "tokenizer.py",
        (
            (
                "self._lowest = {token: id for id, token in reversed(self.vocab.items())}",
                "self._lowest = {bytes([byte]): byte for byte in range(256)}\n"
                "        self._lowest |= {left + right: 256 + rank for rank, (left, right) in enumerate(self.merges)}",
            ),
        ),
    ),
    Mistake(
        "1.6",
        "the merge that was learned last is made first",
        "The rank of a merge is its place in the list, and the lowest rank comes first.",
        "tokenizer.py",
        (*ONE_WAY, ("{pair: rank for rank, pair in rev", "{pair: -rank for rank, pair in rev")),
    ),
    Mistake(
        "1.6",
        "the text is not cut into pre-tokens",
        "No merge may cross from one pre-token into the next: encode each of them apart.",
        "tokenizer.py",
        (
            *ONE_WAY,
            ("[part] if part in self.special_ids else pretokenize(part, self.pattern)", "[part]"),
        ),
    ),
    Mistake(
        "1.6",
        "the pattern that the tokenizer was made with is not used",
        "GPT2_PATTERN is only what `pattern` is when nothing else is given: hand self.pattern on when you cut.",
        "tokenizer.py",
        (
            *ONE_WAY,
            ("pretokenize(part, self.pattern)", "pretokenize(part)"),
            ("stretches(chunks, self.special_ids, self.pattern)", "stretches(chunks, self.special_ids)"),
        ),
    ),
    Mistake(
        "1.6",
        "white space around words is lost",
        "split() and strip() throw white space away. The pieces of pretokenize have it all: encode them as they are.",
        "tokenizer.py",
        (*ONE_WAY, ('encode_bytes(piece.encode("utf-8")', 'encode_bytes(piece.strip().encode("utf-8")')),
    ),
    Mistake(
        "1.6",
        "encode finds the ids and does not return them",
        "A function without a return gives None, whatever it has worked out.",
        "tokenizer.py",
        (*ONE_WAY, ("        return ids\n        # END", "        # END")),
    ),
    Mistake(
        "1.6",
        "each token is decoded on its own",
        "A character may be spread over several tokens. Join the bytes of all of them, then decode once.",
        "tokenizer.py",
        (
            (
                '        return spelled.decode("utf-8", errors="replace")\n',
                '        return "".join(self.vocab[id].decode("utf-8", errors="replace") for id in ids)\n',
            ),
            (
                '            spelled = b"".join(map(self.vocab.__getitem__, map(index, ids)))\n',
                '            ids = list(ids)\n            b"".join(map(self.vocab.__getitem__, ids))\n',
            ),
        ),
    ),
    Mistake(
        "1.6",
        "bytes that are no text raise an error when they are decoded",
        "A model may write any ids, and what they spell need not be UTF-8: decode with errors='replace'.",
        "tokenizer.py",
        (('return spelled.decode("utf-8", errors="replace")', 'return spelled.decode("utf-8")'),),
    ),
    Mistake(
        "1.6",
        "bytes that are no text are left out when they are decoded",
        "A reader should see that something is wrong: U+FFFD stands for it. errors='replace', not 'ignore'.",
        "tokenizer.py",
        (('return spelled.decode("utf-8", errors="replace")', 'return spelled.decode("utf-8", errors="ignore")'),),
    ),
    Mistake(
        "1.6",
        "an id that is not in the vocabulary is left out",
        "An id that no token has is a bug of whoever made it: raise a ValueError that names it.",
        "tokenizer.py",
        (("map(self.vocab.__getitem__, map(index, ids))", "[self.vocab[id] for id in ids if id in self.vocab]"),),
    ),
    Mistake(
        "1.6",
        "decode spells the text and does not return it",
        "A function without a return gives None, whatever it has worked out.",
        "tokenizer.py",
        (
            (
                '        return spelled.decode("utf-8", errors="replace")\n',
                '        spelled.decode("utf-8", errors="replace")\n',
            ),
        ),
    ),
    Mistake(
        "1.6",
        "each chunk of a stream is encoded on its own",
        "A chunk may end within a word, within a special token, within white space. Keep back what the next may change.",
        "tokenizer.py",
        (
            (
                "        parts = stretches(chunks, self.special_ids, self.pattern)\n",
                "        parts = chunks\n",
            ),
            *ONE_WAY,
        ),
    ),
    Mistake(
        "1.6",
        "the whole stream is read before the first id comes",
        "''.join(chunks) needs the whole text in memory. Encode what has come for sure, and go on with the rest.",
        "tokenizer.py",
        (("parts = stretches(chunks, self.special_ids, self.pattern)", 'parts = ["".join(chunks)]'), *ONE_WAY),
    ),
    Mistake(
        "1.6",
        "the pattern is not saved",
        "A tokenizer is its vocabulary, its merges, its special tokens and its pattern: all of them go into the file.",
        "tokenizer.py",
        (('saved["special_tokens"], saved["pattern"])', 'saved["special_tokens"])'),),
    ),
    Mistake(
        "1.6",
        "the special tokens are not saved",
        "A tokenizer is its vocabulary, its merges, its special tokens and its pattern: all of them go into the file.",
        "tokenizer.py",
        (('saved["special_tokens"], saved["pattern"])', '(), saved["pattern"])'),),
    ),
    Mistake(
        "1.6",
        "special tokens with a line end in them fall apart in the file",
        "A special token may hold any character. JSON writes a list of texts so that each comes back as it was.",
        "tokenizer.py",
        (
            ('"special_tokens": list(self.special_ids)', '"special_tokens": "\\n".join(self.special_ids)'),
            ('"special_tokens": list, "merges"', '"special_tokens": str, "merges"'),
            (
                'saved["special_tokens"], saved["pattern"])',
                'saved["special_tokens"].split("\\n") if saved["special_tokens"] else (), saved["pattern"])',
            ),
        ),
    ),
    Mistake(
        "1.6",
        "tokens with a space in them fall apart in the file",
        "If a space stands between the two tokens of a merge, it cannot stand in them. Write a list of two, or Ġ for it.",
        "tokenizer.py",
        (
            ('f"{_show(left)} {_show(right)}" for', "f\"{left.decode('latin-1')} {right.decode('latin-1')}\" for"),
            ("[_pair(line) for line in saved[", "[tuple(map(str.encode, line.split())) for line in saved["),
        ),
    ),
    Mistake(
        "1.6",
        "tokens that are not whole characters are lost in the file",
        "Most bytes above 127 are no text by themselves. Give each byte a character of its own, as GPT-2 does.",
        "tokenizer.py",
        (
            (
                'return "".join([BYTE_CHARACTERS[byte] for byte in token])',
                'return token.decode("utf-8", errors="replace")',
            ),
            ("return bytes([CHARACTER_BYTES[character] for character in shown])", "return str(shown).encode()"),
            ('"merges": [f"{_show(left)} {_show(right)}" for', '"merges": [[_show(left), _show(right)] for'),
            ("[_pair(line) for line in saved[", "[tuple(map(str.encode, line)) for line in saved["),
        ),
    ),
    Mistake(
        "1.6",
        "the merges come back in another order",
        "The place of a merge in the list is its rank. Write them in the order learned.",
        "tokenizer.py",
        (
            (
                'for left, right in self.merges],\n            "vocab"',
                'for left, right in sorted(self.merges)],\n            "vocab"',
            ),
        ),
    ),
    Mistake(
        "1.6",
        "the ids are not saved, but counted anew",
        "The ids of a vocabulary need not be in order, nor without gaps: write the id of each token.",
        "tokenizer.py",
        (
            (
                "vocab = {int(id): _bytes(token) for id, token in saved",
                "vocab = {id: _bytes(token) for id, token in enumerate(saved",
            ),
            ('["vocab"].items()}\n            return', '["vocab"].values())}\n            return'),
        ),
    ),
    Mistake(
        "1.6",
        "the file is written in place",
        "If writing stops halfway, the old file is gone and the new one is not there. Write beside it, then os.replace.",
        "tokenizer.py",
        (
            ('Path(f"{os.fspath(path)}.{os.getpid()}.tmp")', "Path(path)"),
            (
                "            os.replace(unfinished, path)\n        finally:\n            unfinished.unlink(missing_ok=True)\n",
                "        finally:\n            pass\n",
            ),
        ),
    ),
    Mistake(
        "1.6",
        "load lets a damaged file raise whatever it raises",
        "KeyError: 'vocab' says nothing to whoever chose the file. Raise a ValueError that names it.",
        "tokenizer.py",
        (
            (
                '            raise ValueError(f"{path} is no saved tokenizer, or damaged: {error}") from None\n',
                "            raise\n",
            ),
            (
                "            saved = _read_json(path)\n            if saved",
                '            saved = json.loads(Path(path).read_text(encoding="utf-8"))\n            if False and saved',
            ),
            ("                if not isinstance(saved.get(name), kind):\n", "                if False:\n"),
        ),
    ),
    Mistake(
        "1.6",
        "published merges that begin with # are taken for comments",
        "Only the first line of the file, with the version, is no merge: '# #' is one.",
        "tokenizer.py",
        (('lines[lines[0].startswith("#version") :] if line]', 'lines if line and not line.startswith("#")]'),),
    ),
    Mistake(
        "1.6",
        "the signs in GPT-2's files are not turned back into bytes",
        "Ġ stands for the space, Ċ for a line end, and so on: each sign in these files stands for one byte.",
        "tokenizer.py",
        (
            (
                "{id: _bytes(token) for token, id in _read_json",
                '{id: token.replace("Ġ", " ").encode() for token, id in _read_json',
            ),
        ),
    ),
    Mistake(
        "1.6",
        "<|endoftext|> is not a special token of the published tokenizer",
        "It stands in the vocabulary, but no merges lead to it: hand it on as a special token.",
        "tokenizer.py",
        ((', ["<|endoftext|>"])', ")"),),
    ),
    # -- 1.7 Training, a hundred times faster
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
    # -- 1.8 Many files, many workers
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
    # -- 1.9 What a larger vocabulary buys
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
