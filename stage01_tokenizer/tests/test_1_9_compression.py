"""1.9 + · What a larger vocabulary buys: bytes per token, for several sizes of vocabulary and kinds of text."""

from collections import Counter

import pytest

from bootcamp.grading import check, written

compression = written("stage01_tokenizer.compression")
tokenizer = written("stage01_tokenizer.tokenizer")

END = "<|end|>"


def made(*merges, specials=()):
    """A tokenizer with these merges, each written as "l o"."""
    pairs = [tuple(part.encode() for part in merge.split(" ")) for merge in merges]
    tokens = [bytes([byte]) for byte in range(256)] + [left + right for left, right in pairs]
    return tokenizer.Tokenizer(dict(enumerate(tokens)), pairs, specials)


# -- bytes_per_token


def per_token(expected, text, *merges, specials=(), why=""):
    """Hold the bytes per token of a text to a number."""
    got = compression.bytes_per_token(made(*merges, specials=specials), text)
    learned = f"a tokenizer with the merges {', '.join(merges)}" if merges else "a tokenizer without merges"
    check.close(got, expected, f"bytes_per_token({learned}, {check.show(text)})", why=why)


def test_single_bytes():
    """Without merges each token is one byte."""
    per_token(1.0, "a low wall")


def test_merges_make_tokens_longer():
    """Seven bytes in three tokens are 7/3 bytes per token."""
    per_token(7 / 3, "low low", "l o", "lo w", why="The tokens are 'low', ' ' and 'low'.")


def test_bytes_not_characters():
    """Bytes of UTF-8 are counted, not characters."""
    per_token(1.0, "é日😀", why="'é日😀' has 3 characters and 2 + 3 + 4 bytes, each of them a token.")


def test_special_tokens_are_tokens():
    """A special token is one token, and its bytes count."""
    why = f"'ab', {END!r} and 'ab' are three tokens of 2, 7 and 2 bytes."
    per_token(11 / 3, f"ab{END}ab", "a b", specials=[END], why=why)


def test_no_text():
    """An empty text is a ValueError, not a division by zero."""
    per_token(1.0, "a")
    check.raises(ValueError, compression.bytes_per_token, made(), "")


# -- compression_curve


def test_curve_by_hand():
    """One word, merge by merge: the larger the vocabulary, the fewer tokens."""
    # learned from "abcd" alone: c d, b cd, a bcd
    expected = {"word": {256: 1.0, 257: 4 / 3, 258: 2.0, 259: 4.0}}
    holds(expected, "abcd", {"word": "abcd"}, [256, 257, 258, 259])


def holds(expected, *args):
    """Hold a curve to what it should be."""
    got = check.unchanged(compression.compression_curve, *args)
    call = check.call_text(compression.compression_curve, args, {})
    if not hasattr(got, "items"):
        check.equal(got, expected, call)
    plain = {name: {size: round(float(each), 9) for size, each in curve.items()} for name, curve in got.items()}
    check.equal(plain, {n: {s: round(each, 9) for s, each in curve.items()} for n, curve in expected.items()}, call)


def test_each_text_has_its_curve():
    """Every text is measured with the vocabulary that was learned from the source, not from the text itself."""
    texts = {"seen": "abab", "unseen": "xyxyxyxy", "half": "abxy"}
    expected = {"seen": {256: 1.0, 257: 2.0}, "unseen": {256: 1.0, 257: 1.0}, "half": {256: 1.0, 257: 4 / 3}}
    holds(expected, "ab ab ab xy", texts, [256, 257])


def test_bytes_in_the_curve():
    """A curve counts bytes too, not characters."""
    holds({"é": {256: 1.0, 257: 2.0}}, "ééé é", {"é": "éé"}, [256, 257])


def test_from_counts():
    """The source may be counts of pre-tokens."""
    expected = {"text": {256: 1.0, 257: 2.0}}
    holds(expected, {"ab": 2, "cd": 5}, {"text": "cdcd"}, [256, 257])


def test_sizes_in_any_order():
    """Sizes are given in any order, and come back from the smallest to the largest, each once."""
    args = ("abcd", {"word": "abcd"}, [259, 256, 258, 256])
    curve = compression.compression_curve(*args)["word"]
    call = check.call_text(compression.compression_curve, args, {})
    check.equal(list(curve), [256, 258, 259], f"the sizes, in order, in {call}")
    check.equal({size: float(each) for size, each in curve.items()}, {256: 1.0, 258: 2.0, 259: 4.0}, call)


def test_more_room_than_merges():
    """Where the source has no more pairs, a larger size is measured with the merges there are."""
    holds({"word": {257: 2.0, 300: 2.0, 1000: 2.0}}, "ab", {"word": "ab"}, [257, 300, 1000])


def test_special_tokens_take_room():
    """The special tokens are counted in: each takes the place of one merge. They are not learned from."""
    text = f"abc{END}abc"
    why = {257: 13 / 7, 258: 13 / 5, 259: 13 / 3}  # no merge; b c; a bc
    holds({"text": why}, f"abc{END}abc{END}", {"text": text}, [257, 258, 259], [END])


def test_any_source(rng):
    """For random texts over three letters, each size gives what its merges make of a text."""

    def probe(source):
        words = ["abcab", "cabbage", "bcabca"]
        merges = learned(source, 12)
        for size in (256, 259, 264, 268):
            count = len([token for word in words for token in merged(list(word), merges[: size - 256])])
            got = compression.compression_curve(source, {"words": " ".join(words)}, [size, 268])["words"][size]
            length = len(" ".join(words))
            spaces = 2  # no merge of the source has a space
            what = f"the bytes per token of 'abcab cabbage bcabca', learned from {source!r}, for a size of {size}"
            check.close(got, length / (count + spaces), what)

    check.for_all(["".join(rng.choices("abc", k=length)) for length in (4, 9, 20, 60, 200)], probe)


def learned(word, count):
    """The merges of one word, slowly: count all pairs anew for each."""
    tokens, merges = list(word), []
    for _ in range(count):
        pairs = Counter(zip(tokens, tokens[1:]))
        if not pairs:
            break
        merges.append(max(pairs, key=lambda pair: (pairs[pair], pair)))
        tokens = merged(tokens, merges[-1:])
    return merges


def merged(tokens, merges):
    """A list of tokens after some merges, one after the other."""
    for left, right in merges:
        result = []
        for token in tokens:
            if result and result[-1] == left and token == right:
                result[-1] = left + right + "\n"  # may not merge again with what follows
            else:
                result.append(token)
        tokens = [token.removesuffix("\n") for token in result]
    return tokens


class Walked(dict):
    """Counts that know how often somebody went through them."""

    walks = 0

    def noted(self, result):
        Walked.walks += 1
        return result

    def items(self):
        return self.noted(super().items())

    def keys(self):
        return self.noted(super().keys())

    def __iter__(self):
        return self.noted(super().__iter__())


def test_one_training_for_all_sizes():
    """However many sizes there are, the source is learned from once."""
    walks = []
    for sizes in ([262], [256, 257, 258, 259, 260, 261, 262]):
        Walked.walks = 0
        compression.compression_curve(Walked(abcdefg=3, abc=2, xyz=1), {"text": "abcdefg"}, sizes)
        walks.append(Walked.walks)
    check.true(
        walks[0] == walks[1],
        "seven sizes need one training, as one size does",
        got="the source is gone through {} times for one size, {} times for seven".format(*walks),
        why="A vocabulary for 1,000 tokens begins with all the merges of one for 500: train for the largest size.",
    )


@pytest.mark.parametrize(
    "args",
    [
        ("abc", {"text": "abc"}, []),
        ("abc", {"text": "abc"}, [255, 300]),
        ("abc", {"text": "abc"}, [256, 300], [END]),
        ("abc", {"one": "abc", "two": ""}, [256]),
    ],
    ids=["no sizes", "too small for the bytes", "too small for the special token", "an empty text"],
)
def test_refused(args):
    """No size, a size that cannot hold bytes and special tokens, or an empty text are a ValueError."""
    holds({"text": {256: 1.0}}, "abc", {"text": "abc"}, [256])
    check.raises(ValueError, compression.compression_curve, *args)


# -- plot_compression

CURVES = {"stories": {256: 1.0, 1024: 4.5, 512: 3.5}, "Python": {256: 1.0, 512: 2.25}}


def drawn(curves=CURVES):
    """The figure, and all that is written in it."""
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    figure = check.unchanged(compression.plot_compression, curves)
    check.true(isinstance(figure, Figure), "plot_compression gives a matplotlib Figure", got=figure)
    figure.canvas.draw()  # what a figure cannot draw, nobody can look at
    written_in_it = {text.get_text().strip() for text in figure.findobj(Text) if text.get_visible()}
    return figure, {text for text in written_in_it if text}


def test_a_line_for_each_text():
    """Each text has a line through its points, from the smallest size to the largest."""
    figure, _ = drawn()
    lines = [[list(map(float, axis)) for axis in line.get_data()] for axes in figure.axes for line in axes.get_lines()]
    for name, curve in CURVES.items():
        points = [[float(size) for size in sorted(curve)], [curve[size] for size in sorted(curve)]]
        if points not in lines:
            nearest = [line for line in lines if len(line[0]) == len(points[0])] or lines
            check.equal(nearest[:1], [points], f"the line of {name!r}: its sizes, and their bytes per token")


def test_sizes_are_on_a_logarithmic_axis():
    """Each doubling of the vocabulary takes the same width."""
    figure, _ = drawn()
    scales = [axes.get_xscale() for axes in figure.axes]
    check.true(scales[:1] not in ([], ["linear"]), "the sizes are on a logarithmic axis", got=scales)


def test_says_what_is_seen():
    """The figure has a title, names both axes, and says which line is which text."""
    figure, texts = drawn({"stories": CURVES["stories"], "Greek prose": CURVES["Python"]})
    axes = figure.axes[0]
    for name in ("stories", "Greek prose"):
        check.true(any(name in text for text in texts), f"the figure says which line is {name!r}", got=sorted(texts))
    for axis, label, word in [
        ("horizontal", axes.get_xlabel() or figure.get_supxlabel(), "vocab"),
        ("vertical", axes.get_ylabel() or figure.get_supylabel(), "bytes"),
    ]:
        check.true(word in label.lower(), f"the label of the {axis} axis says {word!r}", got=label)
    titles = [axes.get_title(loc) for loc in ("left", "center", "right")]
    check.true(any([*titles, figure.get_suptitle()]), "the figure has a title", got=titles)


def test_nothing_to_draw():
    """No curve, or one without a point, is a ValueError."""
    drawn()
    check.raises(ValueError, compression.plot_compression, {})
    check.raises(ValueError, compression.plot_compression, {"stories": CURVES["stories"], "Python": {}})
