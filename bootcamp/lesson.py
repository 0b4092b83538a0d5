"""The lessons: where in a stage's README an exercise is taught."""

from __future__ import annotations

import re

from bootcamp.course import Exercise, Stage


def headings(text: str) -> list[str]:
    """The headings of a lesson, in order, without their marks.

    >>> headings("# One\\n\\ntext\\n\\n## 1.1 Two\\n")
    ['One', '1.1 Two']
    """
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+?)\s*$", outside, flags=re.MULTILINE)


def anchor(heading: str) -> str:
    """The anchor that a heading gets where Markdown is shown on the web.

    >>> anchor("1.4 Byte-pair encoding: count, merge")
    '14-byte-pair-encoding-count-merge'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def section_link(stage: Stage, exercise: Exercise) -> str:
    """Where an exercise is taught: the lesson's file and the section, as a relative link."""
    path = stage.folder / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = [heading for heading in headings(text) if heading.startswith(exercise.number + " ")]
    return f"{stage.name}/README.md" + (f"#{anchor(found[0])}" if found else "")
