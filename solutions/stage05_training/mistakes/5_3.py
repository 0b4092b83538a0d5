"""What people get wrong in 5.3 Padding, buckets, packing (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

LONGEST = "length = max(map(len, sequences)) - 1"
PADDED = """\
    targets = torch.full((len(sequences), length), IGNORE)
    for row, sequence"""
PAD_IDS = "ids[row, : len(text) - 1] = text[:-1]"
PAD_TARGETS = "targets[row, : len(text) - 1] = text[1:]"
PAD_BATCH = "    return Batch(ids, targets)\n"
SHUFFLED = "order = torch.randperm(len(lengths), generator=generator).tolist()"
SORTED = "        order.sort(key=lambda index: lengths[index])\n"[4:]
BATCHES = "return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]"
CUT = "sequence[start : start + length + 1]"
STEPS = "for start in range(0, len(sequence) - 1, length)"
ORDER = "    pieces.sort(key=len, reverse=True)  # stable: of equal ones the first stays first\n"
ROW = "row = next((row for row, free in enumerate(room) if free >= places), len(rows))"
FULL = """\
    targets = torch.full((len(rows), length), IGNORE)
"""
WRITE = "ids[row, start:stop], targets[row, start:stop] = piece[:-1], piece[1:]"
PLACES = "positions[row, start:stop] = torch.arange(stop - start)"
MASK = "mask = (owner[:, :, None] == owner[:, None, :])[:, None]  # (B, 1, T, T)"

MISTAKES = [
    Mistake(
        "5.3",
        "what is filled up counts as a target",
        "Places behind a text have nothing to predict: their targets are IGNORE, and only their ids are pad_id.",
        "collate.py",
        ((PADDED, PADDED.replace("IGNORE", "pad_id")),),
    ),
    Mistake(
        "5.3",
        "the end of a text is ignored where it has the same id as what is filled up",
        "Go by the length of each text, not by the id: a model that never sees an end as its target never stops.",
        "collate.py",
        ((PAD_BATCH, "    return Batch(ids, targets.masked_fill(targets == pad_id, IGNORE))\n"),),
    ),
    Mistake(
        "5.3",
        "padded rows are one place too long: the last id of a text stands in them too",
        "A text of n ids makes n - 1 places. Behind its last id, there is nothing to predict.",
        "collate.py",
        (
            (LONGEST, "length = max(map(len, sequences))"),
            (PAD_IDS, "ids[row, : len(text)] = text"),
        ),
    ),
    Mistake(
        "5.3",
        "texts are filled up on the left",
        "Write from the left on: a causal model looks to the left, and would see what is filled up.",
        "collate.py",
        (
            (PAD_IDS, "ids[row, length - len(text) + 1 :] = text[:-1]"),
            (PAD_TARGETS, "targets[row, length - len(text) + 1 :] = text[1:]"),
        ),
    ),
    Mistake(
        "5.3",
        "padded targets are the ids themselves, not the ids that come next",
        "Ids are all but the last of a text, targets all but the first: text[:-1], text[1:].",
        "collate.py",
        ((PAD_TARGETS, PAD_TARGETS.replace("text[1:]", "text[:-1]")),),
    ),
    Mistake(
        "5.3",
        "buckets are not sorted: texts come together whatever their lengths",
        "A batch is as long as its longest text. Sort the indices by length before they are cut into batches.",
        "collate.py",
        ((SORTED, ""),),
    ),
    Mistake(
        "5.3",
        "the batches come sorted, the short texts first",
        "Put the finished batches into random order too.",
        "collate.py",
        ((BATCHES, "return batches"),),
    ),
    Mistake(
        "5.3",
        "texts of one length always come in the same order",
        "sort leaves equal ones as they lie: give it the indices in random order, torch.randperm.",
        "collate.py",
        ((SHUFFLED, "order = list(range(len(lengths)))"),),
    ),
    Mistake(
        "5.3",
        "the last, smaller batch of texts is left out",
        "Each text is in a batch, the rest too: one batch may be smaller.",
        "collate.py",
        (("range(0, len(order), batch_size)", "range(0, len(order) - batch_size + 1, batch_size)"),),
    ),
    Mistake(
        "5.3",
        "the order of batches is not drawn from the generator that was given",
        "Hand the generator to each torch.randperm. Without it, no run can be repeated.",
        "collate.py",
        (
            (SHUFFLED, SHUFFLED.replace(", generator=generator", "")),
            (BATCHES, BATCHES.replace(", generator=generator", "")),
        ),
    ),
    Mistake(
        "5.3",
        "in a packed row, the last target of a text is the first id of the next",
        "Make ids and targets for each text alone, before they are put side by side: what ends a text is its own end.",
        "collate.py",
        (
            (
                "        positions[row, start:] = torch.arange(length - start)\n",
                "        positions[row, start:] = torch.arange(length - start)\n"
                "        targets[row, : start - 1] = ids[row, 1:start]\n",
            ),
        ),
    ),
    Mistake(
        "5.3",
        "places of a packed row see the other texts in it",
        "The mask is True where query and key belong to the same piece: compare the numbers of their pieces.",
        "collate.py",
        ((MASK, "mask = torch.ones(len(rows), 1, length, length, dtype=torch.bool)"),),
    ),
    Mistake(
        "5.3",
        "all but the padding is visible: the mask says which places are filled, not whose they are",
        "A mask of padding does not keep two texts of a row apart: compare the piece of the query with that of the key.",
        "collate.py",
        ((MASK, "mask = ((owner[:, :, None] >= 0) == (owner[:, None, :] >= 0))[:, None]"),),
    ),
    Mistake(
        "5.3",
        "places that are left over see nothing, not even themselves",
        "A row of weights over nothing is nan, and spreads from there. Let what is left over be a piece of its own.",
        "collate.py",
        ((MASK, MASK.replace("  #", " & (owner >= 0)[:, None, :, None]  #")),),
    ),
    Mistake(
        "5.3",
        "positions go on through the row, over the ends of texts",
        "Each piece counts from 0, as if it were alone.",
        "collate.py",
        (
            (PLACES, "positions[row, start:stop] = torch.arange(start, stop)"),
            (
                "positions[row, start:] = torch.arange(length - start)",
                "positions[row, start:] = torch.arange(start, length)",
            ),
        ),
    ),
    Mistake(
        "5.3",
        "what is left over in a packed row counts as a target",
        "Its targets are IGNORE, and only its ids are pad_id.",
        "collate.py",
        ((FULL, FULL.replace("IGNORE", "pad_id")),),
    ),
    Mistake(
        "5.3",
        "what does not fit of a long text is thrown away",
        "Cut it into pieces of T places and a rest: each piece goes into a row of its own, or shares one.",
        "collate.py",
        ((STEPS, "for start in (0,)"),),
    ),
    Mistake(
        "5.3",
        "a target is lost wherever a long text is cut",
        "A piece of T places takes T + 1 ids: its last target is the id that the next piece begins with.",
        "collate.py",
        ((STEPS, "for start in range(0, len(sequence) - 1, length + 1)"),),
    ),
    Mistake(
        "5.3",
        "texts are packed in the order in which they come, not the longest first",
        "Sort the pieces first: small ones still fit where large ones have left room, but not the other way round.",
        "collate.py",
        ((ORDER, ""),),
    ),
    Mistake(
        "5.3",
        "of equally long pieces, the last goes first",
        "sort(key=len, reverse=True) keeps equal ones in their order; reversing a sorted list turns them around.",
        "collate.py",
        ((ORDER, "    pieces.sort(key=len)\n    pieces.reverse()\n"),),
    ),
    Mistake(
        "5.3",
        "a piece goes into the last row or a new one: room in earlier rows stays empty",
        "First-fit: look through all rows from the first on, and take the first that has room.",
        "collate.py",
        ((ROW, "row = len(rows) - 1 if rows and room[-1] >= places else len(rows)"),),
    ),
    Mistake(
        "5.3",
        "a piece goes into the row that it fills best, not into the first that has room",
        "That is best-fit. First-fit takes the first row with room.",
        "collate.py",
        (
            (
                ROW,
                "row = min((row for row, free in enumerate(room) if free >= places), key=room.__getitem__, "
                "default=len(rows))",
            ),
        ),
    ),
]
