"""What people get wrong in 1.2 Bytes (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

MISTAKES = [
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
]
