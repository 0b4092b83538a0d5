"""What people get wrong in 1.6 The tokenizer (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

ONE_WAY = (
    ("        if len(text) > LONG and (encoder := encoder_of(self)) is not None:\n", "        if encoder := None:\n"),
    (
        "        if (encoder := encoder_of(self)) is not None:\n            some",
        "        if encoder := None:\n            some",
    ),
)

MISTAKES = [
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
]
