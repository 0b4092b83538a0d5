"""The tables and numbers in the lesson of stage 02 are those that the reference gives."""

from __future__ import annotations

import math
import re
import textwrap
from contextlib import redirect_stdout
from io import StringIO

import pytest
import torch

from bootcamp import course, stages

stages.use_reference()

from stage02_embeddings import (  # noqa: E402 - which code this is had to be said before
    AlibiBias,
    RotaryEmbedding,
    alibi_slopes,
    relative_bucket,
    sinusoidal_table,
)

LESSON = (course.ROOT / "stage02_embeddings" / "README.md").read_text(encoding="utf-8")


def line(start: str) -> list[str]:
    """What stands behind `start` in its line of the lesson, word by word."""
    (found,) = re.findall(rf"^ *{re.escape(start)} +(.*)$", LESSON, flags=re.MULTILINE)
    return found.replace("−", "-").split()


def test_the_table_of_buckets():
    """2.7: which distances behind are in which bucket."""
    ranges = " ".join(line("places behind")).replace(" and more", "–1000").split()
    assert line("bucket")[: len(ranges)] == [str(bucket) for bucket in range(16)]
    for bucket, held in enumerate(ranges):
        low, _, high = held.partition("–")
        held_by = (relative_bucket(-torch.arange(1001)) == bucket).nonzero().flatten()
        assert held_by.tolist() == list(range(int(low), int(high or low) + 1))
    assert relative_bucket(torch.tensor([1, 7, 8, 11, 12])).tolist() == [17, 23, 24, 24, 25]


def test_the_slopes_and_the_bias():
    """2.6: the slopes for 4 and 6 heads, and the bias of two queries."""
    for heads in (4, 6):
        assert [1 / float(slope.partition("/")[2]) for slope in line(f"{heads} heads")] == alibi_slopes(heads).tolist()
    expected = [[float(number) for number in line(f"query at {place}")] for place in (3, 4)]
    assert AlibiBias(8)(2, 5)[0].tolist() == expected
    assert round(math.exp(-1 / 2), 2) == 0.61 and math.exp(-10) < 1e-4 and int(100 * math.exp(-20 / 256)) == 92


def test_sinusoids():
    """2.3: products of positions, wavelengths, and the angles of float32 far out."""
    table = sinusoidal_table(1006, 64)
    for here in (0, 1000):
        assert [round(float(table[here] @ table[here + far]), 1) for far in (0, 1, 5)] == [32.0, 30.9, 23.5]
    assert round(2 * math.pi * 10000 ** (62 / 64)) == 47_117
    for width, off in ((64, 0.002), (512, 0.006)):
        even = torch.arange(0, width, 2)
        error = 99_999 / 10000 ** (even / width) - 99_999 / 10000 ** (even.double() / width)
        assert float(error.abs().max()) == pytest.approx(off, rel=0.3)  # rounding differs between processors
    assert torch.tensor(301.0).bfloat16() == 300


def test_turned_arrows():
    """2.5: two pairs (1, 0) at position 2, and what bfloat16 makes of positions."""
    turned = RotaryEmbedding(4)(torch.tensor([[1.0, 0, 1, 0]]), torch.tensor([2]))[0].tolist()
    assert turned == pytest.approx([-0.416, 0.909, 0.9998, 0.02], abs=5e-4)
    assert torch.tensor(257.0).bfloat16() == 256
    assert (torch.arange(3000, 4096).bfloat16().unique().diff() == 16).all()


def test_the_experiments():
    """What the experiments print is what the lesson says that they print."""
    text = LESSON[LESSON.index("## Experiments") : LESSON.index("## Checked against")]
    blocks = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, flags=re.MULTILINE)]
    code = [block for block in blocks if "print(" in block or "import " in block]
    printed = StringIO()
    with redirect_stdout(printed):
        exec("\n".join(code), {})
    rows = [row.split() for row in printed.getvalue().splitlines()]
    losses = [float(row[1]) for row in rows[:5]]
    assert losses == pytest.approx([9.01, 9.01, 9.04, 15.35, 383.7], abs=0.05)
    none, learned, sinusoidal = (float(row[1]) for row in rows[5:8])
    assert none < 1e-7 and 1e-4 < learned < 1e-3 and 0.5 < sinusoidal < 2
    exact, rounded = ([float(row[column]) for row in rows[8:12]] for column in (1, 2))
    assert exact == pytest.approx([-8.28] * 4, abs=5e-3)
    assert rounded[:3] == pytest.approx([-8.28, -8.28, -7.54], abs=5e-3)
    for window, word, *near in rows[12:]:  # of words that are equally near, rounding decides
        (said,) = re.findall(rf"^.*\b{window} {word} (\S+ \S+ \S+ \S+)", text, flags=re.MULTILINE)
        assert len(set(said.split()) & set(near)) >= 3, (window, word, near)
