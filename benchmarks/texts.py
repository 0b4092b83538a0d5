"""Texts of other kinds than source code, made from what every Python brings along."""

from __future__ import annotations

import ast
import random
import unicodedata

from bootcamp.corpus import SEPARATOR


def prose(sources: str, size: int) -> str:
    """Give the longer docstrings of Python sources, as documents, until there are `size` characters."""
    found: list[str] = []
    for source in sources.split(SEPARATOR):
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                text = ast.get_docstring(node)
                if text and len(text) > 200:
                    found.append(text + SEPARATOR)
    return _repeated(found, size)


def other_scripts(size: int) -> str:
    """Give lines in Greek, Cyrillic, Chinese and emoji, each with the name that Unicode gives a character.

    No language is spoken so: the words are drawn from some thousand of random letters, as frequent as words are.
    """
    rng = random.Random(0)
    greek = [chr(code) for code in range(0x3B1, 0x3CA)]
    cyrillic = [chr(code) for code in range(0x430, 0x450)]
    chinese = [chr(code) for code in range(0x4E00, 0x5600)]
    emoji = [chr(code) for code in range(0x1F600, 0x1F650)]

    def words(letters: list[str], longest: int) -> list[str]:
        return ["".join(rng.choices(letters, k=rng.randint(1, longest))) for _ in range(3000)]

    scripts = [words(greek, 9), words(cyrillic, 11), words(chinese, 3), emoji]
    weights = [1 / (rank + 5) for rank in range(3000)]
    lines: list[str] = []
    for _ in range(20_000):
        script = rng.choice(scripts)
        between = "" if script is scripts[2] else " "
        chosen = between.join(rng.choices(script, weights[: len(script)], k=rng.randint(5, 15)))
        name = unicodedata.name(rng.choice(emoji)).capitalize()
        lines.append(f"{chosen}{'。' if not between else '.'} {name}\n" + SEPARATOR * (rng.random() < 0.05))
    return _repeated(lines, size)


def _repeated(documents: list[str], size: int) -> str:
    text = "".join(documents)
    return (text * (size // len(text) + 1))[:size]
