"""Which implementation a stage resolves to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bootcamp import course, stages

SHOW = "import stage01_tokenizer.words as words; print(words.__file__)"


def run(root: Path, code: str, **env: str) -> str:
    """Run Python in a copy of the course; give what it printed last."""
    clean = {key: value for key, value in os.environ.items() if key != stages.VARIABLE}
    run = subprocess.run([sys.executable, "-c", code], cwd=root, env=clean | env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip().splitlines()[-1]


def test_the_stage_that_is_imported_first_is_mine(copy):
    root = copy().root
    assert Path(run(root, SHOW)) == root / "stage01_tokenizer" / "words.py"


def test_the_reference_when_asked_for(copy):
    root = copy().root
    code = f"from bootcamp import stages; stages.use_reference(); {SHOW}"
    assert Path(run(root, code)) == root / "solutions" / "stage01_tokenizer" / "words.py"


def test_child_processes_get_the_same(copy):
    root = copy().root
    code = "\n".join(
        [
            "import multiprocessing, os",
            "def show(_): import stage01_tokenizer.words as words; return words.__file__",
            "if __name__ == '__main__':",
            "    from bootcamp import stages",
            "    stages.use_reference()",
            "    with multiprocessing.get_context('spawn').Pool(1) as pool: print(pool.map(show, [0])[0])",
        ]
    )
    script = root / "children.py"
    script.write_text(code, encoding="utf-8")
    shown = subprocess.run([sys.executable, str(script)], cwd=root, capture_output=True, text=True)
    assert Path(shown.stdout.strip()) == root / "solutions" / "stage01_tokenizer" / "words.py", shown.stderr


def test_names_are_imported_from_the_stage_itself():
    code = "from bootcamp import stages; stages.use_reference(); from stage01_tokenizer import Tokenizer, train_bpe; "
    assert run(course.ROOT, code + "print(Tokenizer.__name__, train_bpe.__name__)") == "Tokenizer train_bpe"
    code = "import stage01_tokenizer.pretokenize; from stage01_tokenizer import pretokenize; print(pretokenize('a b'))"
    assert run(course.ROOT, f"from bootcamp import stages; stages.use_reference(); {code}") == "['a', ' b']"
    code = "import stage01_tokenizer\ntry: stage01_tokenizer.nothing\nexcept AttributeError as error: print(error)"
    assert "nothing" in run(course.ROOT, code)


def test_a_mistake_in_one_module_leaves_the_others_usable(copy):
    course_copy = copy()
    course_copy.file("stage01_tokenizer/bpe.py").write_text("def broken(:\n", encoding="utf-8")
    assert Path(run(course_copy.root, SHOW)).name == "words.py"


def test_the_reference_beneath(copy):
    """Names of other exercises come from the reference where the layout says so, all else stays the learner's."""
    root = copy().root
    code = "\n".join(
        [
            "from bootcamp import stages, course",
            "stage = course.stage_named('1')",
            "stages.use(stages.layout_for(stage, reference=('bpe.merge_pair', 'pretokenize.pretokenize')))",
            "import stage01_tokenizer.bpe as bpe; from stage01_tokenizer.pretokenize import pretokenize",
            "assert bpe.merge_pair((b'a', b'b'), (b'a', b'b')) == (b'ab',)",
            "assert pretokenize('a b') == ['a', ' b']",
            "try: bpe.count_pairs({}); print('no hole')",
            "except NotImplementedError as error: print(str(error)[:3])",
        ]
    )
    assert run(root, code) == "1.4"
    (root / "stage01_tokenizer" / "pretokenize.py").write_text("import sys; sys.exit(0)\n", encoding="utf-8")
    assert run(root, code) == "1.4"
    (root / "stage01_tokenizer" / "pretokenize.py").unlink()
    assert run(root, code) == "1.4"
