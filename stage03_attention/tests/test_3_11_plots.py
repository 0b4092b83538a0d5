"""3.11 + · Looking at attention: a figure that a person can read."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from bootcamp.grading import check, written

plots = written("stage03_attention.plots")

# A GPU takes part where there is one.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
WORDS = ["Once", "upon", "some", "time", "there", "was"]


def random_weights(rng, heads, queries, keys, causal=False):
    """Weights that add up to 1 in each row; with `causal`, of the last queries."""
    generator = torch.Generator().manual_seed(rng.randrange(1 << 32))
    scores = 2 * torch.randn(heads, queries, keys, generator=generator)
    if causal:
        scores = scores.masked_fill(~torch.ones(queries, keys).tril(keys - queries).bool(), -torch.inf)
    return scores.softmax(-1)


def drawn(weights, tokens, **options):
    """The figure, drawn as it would be for a file, and its panels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure, panels = made(weights, tokens, **options)
    FigureCanvasAgg(figure).draw()  # what a figure cannot draw, nobody can look at
    return figure, panels


def made(weights, tokens, **options):
    """The figure and its panels, not drawn: that takes the most time, and numbers and titles do not need it."""
    from matplotlib.figure import Figure

    figure = check.unchanged(plots.attention_grid, weights, tokens, **options)
    check.true(isinstance(figure, Figure), "attention_grid gives a matplotlib Figure", got=figure)
    return figure, [axes for axes in figure.axes if not of_bar(axes) and picture(axes) is not None]


def of_bar(axes):
    """Whether axes are those of a colour bar."""
    return hasattr(axes, "_colorbar") or axes.get_label() == "<colorbar>"


def picture(axes) -> Any:
    """What shows the weights in a panel: an image, or a mesh of rectangles."""
    from matplotlib.collections import QuadMesh
    from matplotlib.image import AxesImage

    found = [each for each in axes.get_children() if isinstance(each, (AxesImage, QuadMesh)) and each.get_visible()]
    return found[0] if found else None


def cells(panel):
    """The numbers of a panel as they are seen, nan where empty, and the middles of its columns and rows."""
    shown = picture(panel)
    array = np.ma.masked_invalid(shown.get_array().astype(float)).filled(np.nan)
    if hasattr(shown, "get_coordinates"):
        corners = shown.get_coordinates()
        middles = (corners[1:, 1:] + corners[:-1, :-1]) / 2
        array, x, y = array.reshape(middles.shape[:2]), middles[0, :, 0], middles[:, 0, 1]
    else:
        left, right, bottom, top = shown.get_extent()
        first, last = (top, bottom) if shown.origin == "upper" else (bottom, top)
        rows, columns = ((np.arange(count) + 0.5) / count for count in array.shape)
        x, y = left + columns * (right - left), first + rows * (last - first)
    across = np.argsort(x if panel.get_xlim()[0] < panel.get_xlim()[1] else -x)  # from left to right
    down = np.argsort(-y if panel.get_ylim()[0] < panel.get_ylim()[1] else y)  # from top to bottom
    return array[np.ix_(down, across)], x[across], y[down]


def labels(axis, middles):
    """The words at the middles of the rows, or of the columns; "" where none stands."""
    found = [""] * len(middles)
    width = abs(middles[1] - middles[0]) if len(middles) > 1 else 1.0
    for tick in axis.get_major_ticks():
        words = [label.get_text() for label in (tick.label1, tick.label2) if label.get_visible()]
        nearest = int(np.abs(middles - tick.get_loc()).argmin())
        if words and words[0] and abs(middles[nearest] - tick.get_loc()) < 0.3 * width:
            found[nearest] = words[0]
    return found


def same_numbers(panel, expected, what):
    """Hold a panel to the weights of its head; nan where it has to be empty."""
    array, _, _ = cells(panel)
    check.equal(list(array.shape), list(expected.shape), f"rows and columns of {what}")
    for index in np.ndindex(*array.shape):
        got, wanted = array[index], float(expected[index])
        place = f"{what}, row {index[0]}, column {index[1]}"
        if np.isnan(wanted) or np.isnan(got):
            where = "is empty" if np.isnan(wanted) else f"is drawn, with the weight {wanted:.4g}"
            check.true(
                np.isnan(wanted) == np.isnan(got), f"{place} {where}", got="empty" if np.isnan(got) else f"{got:.4g}"
            )
    check.close(np.nan_to_num(array), np.nan_to_num(expected), f"the numbers of {what}", rtol=1e-3, atol=1e-4)


def same_words(got, expected, what):
    """Hold labels to tokens, whatever is put around them."""
    for i, (label, token) in enumerate(zip(got, expected)):
        whole = token.strip() in label and "…" not in label and "..." not in label
        check.true(whole, f"{what} {i} has the label {token.strip()!r}", got=got)


# -- panels


@pytest.mark.parametrize("heads, queries, keys", [(1, 4, 4), (4, 3, 5), (6, 5, 3)])
def test_a_panel_for_each_head(rng, heads, queries, keys):
    """Each head has a panel with its weights: a row for each query, a column for each key."""
    weights = random_weights(rng, heads, queries, keys)
    _, panels = made(weights, WORDS[:keys], queries=WORDS[:queries])
    check.equal(len(panels), heads, "how many panels there are")
    for head, panel in enumerate(panels):
        same_numbers(panel, weights[head].numpy(), f"the panel of head {head}")


def test_one_head(rng):
    """Weights (T, S) are one head."""
    weights = random_weights(rng, 1, 3, 4)[0]
    _, panels = made(weights, WORDS[:4])
    check.equal(len(panels), 1, "how many panels there are")
    same_numbers(panels[0], weights.numpy(), "the panel")


def test_titles(rng):
    """Each panel has its title, "head 0", "head 1", … if none are given."""
    weights = random_weights(rng, 3, 2, 4)
    for given, expected in ((None, ["head 0", "head 1", "head 2"]), (["copies", "looks back", "rests"],) * 2):
        _, panels = made(weights, WORDS[:4], titles=given)
        got = [" ".join(panel.get_title(where) for where in ("left", "center", "right")).strip() for panel in panels]
        check.equal([" ".join(title.split()) for title in got], expected, f"the titles, for titles={given}")


def test_tokens_at_both_axes(rng):
    """Each panel has the tokens at its columns, and the queries at its rows."""
    _, panels = drawn(random_weights(rng, 2, 4, 4), WORDS[:4])
    for head, panel in enumerate(panels):
        _, x, y = cells(panel)
        same_words(labels(panel.xaxis, x), WORDS[:4], f"head {head}: column")
        same_words(labels(panel.yaxis, y), WORDS[:4], f"head {head}: row")


def test_the_last_tokens_are_the_queries(rng):
    """With fewer queries than keys, the queries are the last tokens, if not said otherwise."""
    _, panels = drawn(random_weights(rng, 1, 2, 6), WORDS)
    same_words(labels(panels[0].yaxis, cells(panels[0])[2]), WORDS[4:], "row")
    same_words(labels(panels[0].xaxis, cells(panels[0])[1]), WORDS, "column")


def test_queries_of_another_text(rng):
    """Queries that are given stand at the rows: another text, more of them than keys, or as many."""
    for queries in (["es", "war", "einmal", "ein", "Kind"], ["es", "war", "ein"]):
        _, panels = drawn(random_weights(rng, 1, len(queries), 3), WORDS[:3], queries=queries)
        same_words(labels(panels[0].yaxis, cells(panels[0])[2]), queries, "row")
        same_words(labels(panels[0].xaxis, cells(panels[0])[1]), WORDS[:3], "column")


def test_rows_and_columns_are_named(rng):
    """The figure says that rows are queries, and columns keys."""
    figure, panels = made(random_weights(rng, 2, 3, 4), WORDS[:4])
    for side, texts, word in (
        ("rows", [figure.get_supylabel(), *(panel.get_ylabel() for panel in panels)], "quer"),
        ("columns", [figure.get_supxlabel(), *(panel.get_xlabel() for panel in panels)], "key"),
    ):
        check.true(any(word in text.lower() for text in texts), f"the label of the {side} says {word!r}", got=texts)


@pytest.mark.parametrize("heads, columns, expected", [(5, 2, [2, 2, 1]), (3, 4, [3]), (6, None, [4, 2])])
def test_rows_of_panels(rng, heads, columns, expected):
    """No more panels than `columns` stand in a row, beside each other, and no frame is left over."""
    options = {} if columns is None else {"columns": columns}
    figure, panels = made(random_weights(rng, heads, 2, 3), WORDS[:3], **options)
    check.equal(len(panels), heads, "how many panels there are")
    boxes = [panel.get_window_extent() for panel in panels]
    heights = [box.y0 + box.y1 for box in boxes]
    starts = [i for i in range(heads) if i == 0 or abs(heights[i] - heights[i - 1]) > 10]
    rows = [end - start for start, end in zip(starts, [*starts[1:], heads])]
    check.equal(rows, expected, f"how many of {heads} panels are in each row, with columns={columns}")
    low = min(box.y0 for box in boxes) / figure.bbox.height
    check.true(
        low < 0.4, "the panels fill the figure, from top to bottom", got=f"nothing below {low:.0%} of its height"
    )
    for one, other in itertools.combinations(boxes, 2):
        check.true(not one.padded(-2).overlaps(other.padded(-2)), "no panel covers another")
    spare = [a for a in figure.axes if a not in panels and not of_bar(a) and a.get_visible() and a.axison]
    spare = [axes for axes in spare if axes.get_frame_on() and not axes.texts]
    check.equal(len(spare), 0, "how many frames have nothing in them")


# -- shades


def test_one_scale(rng):
    """The shades go from 0 to 1 in every panel, whatever its weights are."""
    weights = torch.stack([torch.full((3, 4), 0.25), random_weights(rng, 1, 3, 4)[0]])
    _, panels = drawn(weights, WORDS[:4])
    why = "With a scale of its own, a head that looks everywhere alike and one that looks at one token look the same."
    for head, panel in enumerate(panels):
        scale = [float(each) for each in picture(panel).get_clim()]
        check.close(scale, [0.0, 1.0], f"the scale of head {head}", why=why)
    maps = {picture(panel).get_cmap().name for panel in panels}
    check.equal(len(maps), 1, "how many different colour maps there are")


def test_one_colour_bar(rng):
    """There is one colour bar, from 0 to 1, and it says what the shades are."""
    figure, _ = made(random_weights(rng, 3, 3, 4), WORDS[:4])
    bars = [axes for axes in figure.axes if of_bar(axes)]
    check.equal(len(bars), 1, "how many colour bars there are")
    texts = [bars[0].get_ylabel(), bars[0].get_xlabel(), bars[0].get_title()]
    check.true(any(text.strip() for text in texts), "the colour bar has a label", got=texts)
    limits = (
        sorted([*bars[0].get_ylim()]) if bars[0].get_ylabel() or not bars[0].get_xlabel() else [*bars[0].get_xlim()]
    )
    bar = getattr(bars[0], "_colorbar", None)
    limits = [float(bar.vmin), float(bar.vmax)] if bar is not None else [float(each) for each in limits]
    check.close(limits, [0.0, 1.0], "where the colour bar begins and ends")


def test_the_causal_half_is_empty(rng):
    """Above the diagonal, where no query may look, the panels are empty."""
    weights = random_weights(rng, 2, 5, 5, causal=True)
    _, panels = made(weights, WORDS[:5])
    expected = weights.masked_fill(~torch.ones(5, 5).tril().bool(), torch.nan).numpy()
    for head, panel in enumerate(panels):
        same_numbers(panel, expected[head], f"the panel of head {head}")


def test_the_causal_half_of_the_last_queries(rng):
    """With more keys than queries, what is empty begins behind the key of each query."""
    weights = random_weights(rng, 2, 3, 6, causal=True)
    _, panels = made(weights, WORDS)
    expected = weights.masked_fill(~torch.ones(3, 6).tril(3).bool(), torch.nan).numpy()
    same_numbers(panels[1], expected[1], "the panel of head 1")


ZEROS = torch.tensor(
    [
        [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.5, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]],
        [[1.0, 0.0, 0.0, 0.0], [0.25, 0.75, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]],
    ]
)


def test_a_weight_of_zero_is_drawn():
    """A weight of 0 in front of a key that its query attends to, in whatever head, is drawn."""
    _, panels = made(ZEROS[:, :3], WORDS[:4])
    nan = float("nan")
    first = [[1.0, nan, nan, nan], [0.0, 1.0, nan, nan], [0.5, 0.0, 0.5, 0.0]]
    second = [[1.0, nan, nan, nan], [0.25, 0.75, nan, nan], [0.0, 0.0, 0.0, 1.0]]
    same_numbers(panels[0], np.array(first), "the panel of head 0")
    same_numbers(panels[1], np.array(second), "the panel of head 1")


def test_a_query_that_sees_nothing():
    """The row of a query that attends to nothing, in any head, is empty."""
    _, panels = made(ZEROS[:, 2:], WORDS[:4])
    nan = float("nan")
    same_numbers(panels[0], np.array([[0.5, 0.0, 0.5, 0.0], [nan] * 4]), "the panel of head 0")


def test_zero_and_empty_look_different():
    """A weight of 0 and an empty entry have colours that differ."""
    figure, panels = drawn(ZEROS[:, :3], WORDS[:4])
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    _, x, y = cells(panels[0])

    def colour(row, column):
        across, up = panels[0].transData.transform((x[column], y[row]))
        return pixels[len(pixels) - 1 - int(up), int(across)]

    zero, empty = colour(1, 0), colour(0, 3)
    why = "The lowest shade of many colour maps is nearly white, and so is an empty panel: give it another background."
    what = "the colour of an empty entry is another than that of a weight of 0"
    got = f"red, green and blue of 0: {zero.tolist()}, of what is empty: {empty.tolist()}"
    check.true(int(np.abs(zero - empty).max()) >= 16, what, got=got, why=why)


# -- words


SPACES = ["the", " the", " ", "  ", "\n", "\t", "\n\n"]


def test_white_space_is_visible(rng):
    """A token with a space can be told from one without, and none is blank."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, panels = drawn(random_weights(rng, 1, 7, 7), SPACES)
    for axis, middles in ((panels[0].xaxis, cells(panels[0])[1]), (panels[0].yaxis, cells(panels[0])[2])):
        got = labels(axis, middles)
        for token, label in zip(SPACES, got):
            visible = bool(label) and label == label.strip() and "\n" not in label and "\t" not in label
            check.true(visible, f"what stands for {token!r} has a sign for its white space", got=label)
        check.equal(len(set(got)), 7, f"how many different labels {SPACES} have")
    missing = [str(each.message) for each in caught if "missing from" in str(each.message)]
    check.equal(missing, [], "which signs the font does not have")


def test_dollars_are_no_formulas(rng):
    """A token with a $ is written as it is: between two of them matplotlib would see a formula."""
    from matplotlib.cbook import is_math_text

    tokens = ["$", "$x_1$", "$$", "a$b", "$\\frac$"]
    _, panels = drawn(random_weights(rng, 1, 5, 5), tokens)
    for axis in (panels[0].xaxis, panels[0].yaxis):
        for label in axis.get_ticklabels():
            formula = label.get_parse_math() and is_math_text(label.get_text())
            check.true(not formula, f"{label.get_text()!r} is not read as a formula", got=label.get_text())
    same_words(
        [label.replace("\\$", "$") for label in labels(panels[0].xaxis, cells(panels[0])[1])], tokens[:4], "column"
    )


def full_range(weights):
    """Weights with a 0 and a 1 in each head: their colour bar is the same whoever chooses its scale."""
    weights[:, -1] = 0.0
    weights[:, -1, -1] = 1.0
    return weights


def texts_of(figure):
    """The texts of a figure that stand straight, with the rectangles they fill."""
    found = list(figure.texts)
    for axes in figure.axes:
        if not axes.get_visible() or not axes.axison:
            continue
        found += [axes.title, axes._left_title, axes._right_title, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if low <= tick.get_loc() <= high:
                    found += [tick.label1, tick.label2]
    shown = [each for each in found if each.get_visible() and each.get_text().strip() and each.get_rotation() % 90 == 0]
    return [(" ".join(each.get_text().split()), each.get_window_extent()) for each in shown]


@pytest.mark.parametrize(
    "heads, tokens",
    [(1, WORDS), (6, WORDS), (4, [" extraordinarily", " incomprehensible", " words", "!"]), (3, ["a", "b"])],
    ids=["one head", "six heads", "long tokens", "short tokens"],
)
def test_no_text_covers_another(rng, heads, tokens):
    """No text of the figure covers another one, and none is cut off at its edge."""
    figure, _ = drawn(full_range(random_weights(rng, heads, len(tokens), len(tokens))), tokens)
    texts = texts_of(figure)
    for (one, box), (other, second) in itertools.combinations(texts, 2):
        apart = not box.padded(-1).overlaps(second.padded(-1))
        check.true(
            apart, f"{one!r} and {other!r} do not cover each other", why="Turn the labels, or make the figure larger."
        )
    for text, box in texts:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        check.true(inside, f"{text!r} is inside the figure", why='layout="constrained" makes room for labels.')


def test_long_titles(rng):
    """Titles that are longer than their panels are wide do not cover each other."""
    titles = [f"layer 3, head {head}: attends to the word before" for head in range(3)]
    figure, _ = drawn(full_range(random_weights(rng, 3, 3, 3)), WORDS[:3], titles=titles)
    boxes = [(text, box) for text, box in texts_of(figure) if text.startswith("layer")]
    check.equal([text for text, _ in boxes], titles, "the titles")
    for (one, box), (other, second) in itertools.combinations(boxes, 2):
        check.true(not box.padded(-1).overlaps(second.padded(-1)), f"{one!r} and {other!r} do not cover each other")


# -- tensors of any kind


@pytest.mark.parametrize("device", DEVICES)
def test_weights_from_training(rng, device):
    """Weights that ask for a gradient, in half formats, on any device, are drawn like others."""
    weights = random_weights(rng, 2, 3, 4).to(device)
    _, panels = made(weights.clone().requires_grad_(), WORDS[:4])
    same_numbers(panels[1], weights[1].cpu().numpy(), "the panel of head 1, of weights that ask for a gradient")
    _, panels = made(weights.bfloat16(), WORDS[:4])
    same_numbers(panels[1], weights[1].bfloat16().float().cpu().numpy(), "the panel of head 1, of weights in bfloat16")


# -- what is refused


def test_refused(rng):
    """Numbers that do not fit, and what are no weights, are a ValueError that says so."""
    weights = random_weights(rng, 2, 3, 4)
    made(weights, WORDS[:4])
    check.raises(ValueError, plots.attention_grid, weights, WORDS[:3], naming=[3, 4])
    check.raises(ValueError, plots.attention_grid, weights, WORDS[:4], queries=WORDS[:2], naming=[2, 3])
    check.raises(ValueError, plots.attention_grid, weights, WORDS[:4], titles=["one"], naming=[1, 2])
    check.raises(ValueError, plots.attention_grid, weights.mT, WORDS[:3])
    check.raises(ValueError, plots.attention_grid, 3 * weights - 2, WORDS[:4])
    check.raises(ValueError, plots.attention_grid, weights[None], WORDS[:4], naming=["(1, 2, 3, 4)"])
    check.raises(ValueError, plots.attention_grid, weights, WORDS[:4], columns=0, naming=[0])
