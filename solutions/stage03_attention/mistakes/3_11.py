"""What people get wrong in 3.11 Looking at attention (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

LAST = "values = np.where(np.arange(n_keys) > last[:, None], np.nan, values)"

MISTAKES = [
    Mistake(
        "3.11",
        "each panel has a scale of its own",
        "imshow stretches its colours from the least to the greatest number; give it vmin=0 and vmax=1.",
        "plots.py",
        (("panel.imshow(head, vmin=0.0, vmax=1.0,", "panel.imshow(head,"),),
    ),
    Mistake(
        "3.11",
        "all zeros are left empty",
        "A weight of 0 that might have been more is drawn. Empty is what lies behind the last key of a query.",
        "plots.py",
        ((LAST, "values = np.where(values == 0, np.nan, values)"),),
    ),
    Mistake(
        "3.11",
        "nothing is left empty",
        "Where no query may look, put nan or a mask: imshow draws nothing there.",
        "plots.py",
        ((LAST, "values = np.where(last[:, None] > n_keys, np.nan, values)"),),
    ),
    Mistake(
        "3.11",
        "each head's zeros decide by themselves what is empty",
        "What one head does not look at, another one may: take the last key over all heads.",
        "plots.py",
        (
            (
                LAST,
                "last = np.where(values > 0, np.arange(n_keys), -1).max(axis=2)\n"
                "    values = np.where(np.arange(n_keys) > last[..., None], np.nan, values)",
            ),
        ),
    ),
    Mistake(
        "3.11",
        "the queries and the keys have changed places",
        "A row for each query, a column for each key: imshow takes (T, S) as it is.",
        "plots.py",
        (("image = panel.imshow(head, vmin", "image = panel.imshow(head.T, vmin"),),
    ),
    Mistake(
        "3.11",
        "white space is not made visible",
        "Replace a space, a new line and a tab by signs that can be seen.",
        "plots.py",
        (("        token = token.replace(space, sign)\n", "        token = token.replace(sign, space)\n"),),
    ),
    Mistake(
        "3.11",
        "an empty entry looks like a weight of 0",
        "The lowest shade of the map is nearly white, as the panel is: panel.set_facecolor gives it another colour.",
        "plots.py",
        (('panel.set_facecolor("0.85")', 'panel.set_facecolor("1.0")'),),
    ),
    Mistake(
        "3.11",
        "each panel has a colour bar of its own",
        "One bar for all panels: figure.colorbar(image, ax=all of them), after the loop.",
        "plots.py",
        (
            (
                "        panel.grid(False)\n",
                '        figure.colorbar(image, ax=panel, label="weight")\n        panel.grid(False)\n',
            ),
            ('    figure.colorbar(image, ax=list(panels), label="weight", shrink=0.8)\n', ""),
        ),
    ),
]
