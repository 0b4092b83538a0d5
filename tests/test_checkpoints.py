"""The git tags: reproducible, made without touching work tree or index, and what they claim to be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bootcamp import course, skeleton
from bootcamp.commands import checkpoints
from bootcamp.commands.maintain import all_skeletons

IDENTITY = {f"GIT_{who}_{what}": "tester" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(root: Path, *words: str) -> str:
    env = os.environ | IDENTITY | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    run = subprocess.run(["git", *words], cwd=root, env=env, capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture
def repository(copy, tmp_path: Path) -> Path:
    """The course as it stands, committed to a repository of its own."""
    root = copy().root
    shutil.rmtree(root / ".bootcamp", ignore_errors=True)
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "core.autocrlf", "false")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "the course")
    return root


def test_two_clones_give_the_same_commits(repository: Path, tmp_path: Path):
    clones = []
    for name in ("one", "two"):
        git(tmp_path, "clone", "-q", str(repository), name)
        clones.append(tmp_path / name)
    (clones[1] / "stage01_tokenizer" / "words.py").write_text("changed = True\n", encoding="utf-8")
    before = git(clones[1], "status", "--porcelain"), (clones[1] / ".git" / "index").read_bytes()
    first, second = (checkpoints.make(clone) for clone in clones)
    assert first == second
    assert list(first) == [f"stage{stage.number:02}-start" for stage in course.stages()] + ["finished"]
    assert (git(clones[1], "status", "--porcelain"), (clones[1] / ".git" / "index").read_bytes()) == before
    tags = [git(clone, "for-each-ref", "--format=%(refname) %(objectname)", "refs/tags") for clone in clones]
    assert tags[0] == tags[1]
    assert git(clones[0], "cat-file", "-t", "finished").strip() == "tag"
    assert checkpoints.make(clones[0]) == first, "making them again changes nothing"


def test_each_tag_is_what_it_claims(repository: Path, tmp_path: Path):
    """What lies before it is the reference, the rest skeletons; nothing else differs from one tag to the next."""
    names = list(checkpoints.make(repository))
    skeletons = {path.relative_to(course.ROOT).as_posix(): text for path, text in all_skeletons().items()}
    for stage, before, after in zip(course.stages(), names, names[1:]):
        changed = git(repository, "diff", "--name-only", before, after).split()
        assert changed and all(path.startswith(f"{stage.name}/") for path in changed), changed
    for count, name in enumerate(names):
        for number, stage in enumerate(course.stages()):
            for path in stage.reference.glob("*.py"):
                place = f"{stage.name}/{path.name}"
                solved = skeleton.without_markers(path.read_text(encoding="utf-8"))
                assert git(repository, "show", f"{name}:{place}") == (solved if number < count else skeletons[place])


def test_a_tag_grades_as_it_claims(repository: Path, tmp_path: Path):
    """In the tree of one tag, what lies before it is complete, and what comes next is untouched."""
    name = list(checkpoints.make(repository))[1]
    git(repository, "worktree", "add", "-q", str(tmp_path / name), name)
    for number, stage in [*enumerate(course.stages())][:2]:
        words = [sys.executable, "-m", "pytest", stage.name, "-q", "--upstream", "solutions"]
        run = subprocess.run(words, cwd=tmp_path / name, capture_output=True, encoding="utf-8")
        closing = run.stdout.strip().splitlines()[-1]
        if number == 0:
            assert run.returncode == 0, run.stdout
        else:
            assert "todo" in closing and "passed" not in closing and "failed" not in closing, run.stdout


def test_a_learner_with_work_of_their_own(repository: Path):
    """Commits in the stage folders do not end up in the tags; neither is anything of the learner's changed."""
    words = repository / "stage01_tokenizer" / "words.py"
    words.write_text("mine = 1\n", encoding="utf-8")
    git(repository, "commit", "-qam", "my words")
    checkpoints.make(repository)
    assert "mine" not in git(repository, "show", "stage01-start:stage01_tokenizer/words.py")
    assert words.read_text(encoding="utf-8") == "mine = 1\n"


def test_errors(tmp_path: Path):
    with pytest.raises(course.CourseError, match="git"):
        checkpoints.make(tmp_path)
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "no course")
    with pytest.raises(course.CourseError, match="no solutions/"):
        checkpoints.make(tmp_path)


def test_push(repository: Path, tmp_path: Path):
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    git(repository, "remote", "add", "origin", str(tmp_path / "remote.git"))
    run = subprocess.run(
        [sys.executable, "-m", "bootcamp", "--as-is", "checkpoints", "--push", "origin"],
        cwd=repository,
        capture_output=True,
        encoding="utf-8",
    )
    assert run.returncode == 0, run.stderr
    assert "finished" in git(tmp_path / "remote.git", "tag")
