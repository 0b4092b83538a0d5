"""A stage builds on the one before it: the reference while that is unfinished, and one's own when it is complete."""

from __future__ import annotations

from bootcamp import course

ROTARY = "stage02_embeddings/rotary.py"


def test_attention_on_the_reference_and_on_ones_own_embeddings(copy):
    learner = copy()
    for number in ("3.1", "3.2", "3.3", "3.4", "3.5"):
        learner.run("solve", number)
    learner.run("solve", "2.1")
    said = learner.run("grade", "3.5")
    assert "stage02_embeddings: the reference: yours is not" in said and "✓ 3.5" in said

    core = [exercise.number for exercise in course.stage_named("2").core]
    for number in core[1:]:
        learner.run("solve", number)
    trace = 'from pathlib import Path\n\nPath(__file__).with_name("used").touch()\n\nimport torch\n'
    learner.edit(ROTARY, "import torch\n", trace)
    learner.run("grade", *core)
    learner.file("stage02_embeddings/used").unlink()
    said = learner.run("grade", "3.5")
    assert "stage02_embeddings: yours: " in said and "✓ 3.5" in said
    assert learner.file("stage02_embeddings/used").exists(), "3.5 was not graded on the learner's own rotary positions"
