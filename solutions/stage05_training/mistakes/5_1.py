"""What people get wrong in 5.1 A token file (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

TYPE = 'return np.dtype("u1" if vocab_size <= 1 << 8 else "<u2" if vocab_size <= 1 << 16 else "<u4")'
MAP = "offset=HEAD.size, shape=(count,))"
BEGIN, END = "self.start + begin", "self.start + max(begin, end)"
CUT = "cut = len(tokens) - max(1, round(len(tokens) * validation))"
MOVE = "cut += int(found[0]) + 1 if len(found) else 65536"
LOOP = "while end_id is not None and 0 < cut < len(tokens) and tokens[cut - 1 : cut] != end_id:"

MISTAKES = [
    Mistake(
        "5.1",
        "256 ids are given two bytes each, and 65,536 four",
        "The largest id of a vocabulary of 256 is 255, which one byte holds: compare with <=.",
        "token_file.py",
        ((TYPE, TYPE.replace("<= 1", "< 1")),),
    ),
    Mistake(
        "5.1",
        "257 ids are given one byte each, though the largest is 256",
        "One byte holds 0 to 255. Ask for the largest id, vocab_size - 1, and not for one less.",
        "token_file.py",
        ((TYPE, TYPE.replace("vocab_size <=", "vocab_size - 1 <=")),),
    ),
    Mistake(
        "5.1",
        "the types have a sign",
        "Ids are never negative; without a sign, the same bytes hold twice as many: uint8, uint16, uint32.",
        "token_file.py",
        ((TYPE, TYPE.replace('"u1"', '"i1"').replace("<u", "<i")),),
    ),
    Mistake(
        "5.1",
        "ids are cut to the smaller type before their range is looked at",
        "astype takes any number and keeps its last bits: 256 in one byte is 0. Look at the ids as they come.",
        "token_file.py",
        (("ids = np.asarray(part)\n", "ids = np.asarray(part).astype(kind)\n"),),
    ),
    Mistake(
        "5.1",
        "negative ids are let through",
        "Without a sign, -1 becomes the largest number there is. Two comparisons are needed: ids < 0, ids >= vocab_size.",
        "token_file.py",
        (("wrong = (ids < 0) | (ids >= vocab_size)", "wrong = ids >= vocab_size"),),
    ),
    Mistake(
        "5.1",
        "the id that is as large as the vocabulary is let through",
        "Ids begin with 0, so that the last one is vocab_size - 1.",
        "token_file.py",
        (("ids >= vocab_size", "ids > vocab_size"),),
    ),
    Mistake(
        "5.1",
        "the place that the error names is counted from the beginning of the part",
        "Whoever looks for the id has one long text, not your parts: add what was written before, `count`.",
        "token_file.py",
        (("number {count + at}", "number {at}"),),
    ),
    Mistake(
        "5.1",
        "all parts are held in memory before the first is written",
        "Write each part in the loop, when it comes: a corpus may be larger than the memory.",
        "token_file.py",
        (("for part in parts:", "for part in list(parts):"),),
    ),
    Mistake(
        "5.1",
        "the head of the file is read as tokens",
        "The ids begin behind 24 bytes: np.memmap takes an offset, HEAD.size.",
        "token_file.py",
        ((MAP, "shape=(count,))"),),
    ),
    Mistake(
        "5.1",
        "the whole file is read when it is opened",
        "np.memmap reads nothing until it is indexed. Convert to int64 what was asked for, after the slice.",
        "token_file.py",
        ((MAP, f"{MAP}.astype(np.int64)"),),
    ),
    Mistake(
        "5.1",
        "a stretch gives the tokens from the beginning of the file",
        "Token 0 of a stretch is token `start` of the file: add self.start to both ends of the slice.",
        "token_file.py",
        ((f"self._ids[{BEGIN} : {END}]", "self._ids[begin : max(begin, end)]"),),
    ),
    Mistake(
        "5.1",
        "a slice that is too long goes on outside the stretch",
        "Behind the tokens for training lie those for validation. key.indices(len(self)) keeps a slice within bounds.",
        "token_file.py",
        (
            (
                "begin, end, _ = key.indices(len(self))",
                "begin, end = key.start or 0, len(self) if key.stop is None else key.stop\n"
                "        begin, end = (each + len(self) if each < 0 else each for each in (begin, end))",
            ),
        ),
    ),
    Mistake(
        "5.1",
        "tokens come in the format of the file, not in int64",
        "Embeddings and losses take int64: ids.astype(np.int64), of what was asked for.",
        "token_file.py",
        (("torch.from_numpy(ids.astype(np.int64))", "torch.from_numpy(np.array(ids))"),),
    ),
    Mistake(
        "5.1",
        "the share is taken for that of the training part",
        "split(tokens, 0.1) keeps a tenth for validation: the cut is that far from the end.",
        "token_file.py",
        ((CUT, "cut = max(1, round(len(tokens) * validation))"),),
    ),
    Mistake(
        "5.1",
        "the share is rounded down, not to the nearest whole number",
        "int() cuts off what is behind the point; round() goes to the nearest.",
        "token_file.py",
        ((CUT, CUT.replace("round(", "int(")),),
    ),
    Mistake(
        "5.1",
        "a document lies in both parts: the cut stays within it",
        "With end_id, move the cut on until the token before it is an end_id. Else the model is tested on half-read texts.",
        "token_file.py",
        ((LOOP, "while False:"),),
    ),
    Mistake(
        "5.1",
        "the cut is before the end of the document, which then begins the validation part",
        "The end belongs to the document before it: the cut is one place behind the end_id that was found.",
        "token_file.py",
        (
            (LOOP, LOOP.replace("tokens[cut - 1 : cut] != end_id", "tokens[cut : cut + 1] != end_id")),
            ("cut += int(found[0]) + 1 if", "cut += int(found[0]) if"),
        ),
    ),
    Mistake(
        "5.1",
        "a cut between two documents moves on by a whole document",
        "If the token before the cut is an end_id, no document is cut: leave it there.",
        "token_file.py",
        (
            (LOOP, LOOP.replace(" and tokens[cut - 1 : cut] != end_id", "")),
            (MOVE, f"{MOVE}\n        if len(found):\n            break"),
        ),
    ),
]
