"""`checkpoints`: the git tags that walk through the course, made with git's plumbing.

The tag `stage03-start` holds the repository with the stages before it solved and the others as skeletons; `finished`
holds all solved. They are made from the commit that is checked out: the same commit gives the same tags in every clone.
Work tree and index are not touched.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from bootcamp import course, skeleton
from bootcamp.screen import say

IDENTITY = "LLM bootcamp <bootcamp@invalid>"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--push", metavar="REMOTE", help="push the tags to this remote afterwards")


def checkpoints(arguments: argparse.Namespace) -> int:
    """Make the tags, and say which commit each names."""
    made = make(course.ROOT)
    for name, commit in made.items():
        say(f"{name:16}{commit[:12]}")
    if git(course.ROOT, "status", "--porcelain", "--", "solutions"):
        say("solutions/ has changes that are not committed; the tags are of the last commit, without them")
    if arguments.push:
        references = [f"+refs/tags/{name}" for name in made]
        git(course.ROOT, "push", arguments.push, *references)
        say(f"pushed {len(made)} tags to {arguments.push}")
    else:
        first, second, *_ = made
        say(f"Try: git checkout {first}; git diff {first} {second}")
    return 0


def make(root: Path) -> dict[str, str]:
    """Make the tags in the repository at `root`; give the commit of each.

    Raises:
        CourseError: this is no git repository, or it has no commit, or no solutions.
    """
    source = git(root, "rev-parse", "--verify", "HEAD^{commit}")
    date = git(root, "show", "-s", "--format=%ct", source) + " +0000"
    files = git(root, "ls-tree", "-r", "--name-only", "-z", source).split("\0")
    stages = sorted({path.split("/")[1] for path in files if path.startswith("solutions/stage")})
    if not stages:
        raise course.CourseError("the commit that is checked out has no solutions/ to make checkpoints from")
    texts = {stage: _both(root, source, stage, files) for stage in stages}
    made: dict[str, str] = {}
    parent = source
    for count in range(len(stages) + 1):
        name = f"{stages[count].split('_')[0]}-start" if count < len(stages) else "finished"
        what = f"{', '.join(stages[:count]) or 'nothing'} solved, {', '.join(stages[count:]) or 'nothing'} to write"
        blobs = {
            f"{stage}/{module}": (solved if number < count else hollow)
            for number, stage in enumerate(stages)
            for module, (solved, hollow) in texts[stage].items()
        }
        tree = _tree(root, source, blobs)
        parent = _commit(root, tree, parent, date, f"{name}: {what}")
        _tag(root, name, parent, date, what)
        made[name] = parent
    return made


def _both(root: Path, source: str, stage: str, files: list[str]) -> dict[str, tuple[str, str]]:
    """The blobs of each module of a stage, solved and as a skeleton."""
    import tomllib

    table = tomllib.loads(git(root, "show", f"{source}:{stage}/exercises.toml"))
    numbers = [exercise["number"] for exercise in table["exercise"]]
    both = {}
    for path in files:
        module = path.removeprefix(f"solutions/{stage}/")
        if path.startswith(f"solutions/{stage}/") and module.endswith(".py") and "/" not in module:
            text = git(root, "show", f"{source}:{path}", strip=False)
            solved, hollow = skeleton.without_markers(text), skeleton.make(text, numbers, module)
            both[module] = (_blob(root, solved), _blob(root, hollow))
    return both


def _blob(root: Path, text: str) -> str:
    return git(root, "hash-object", "-w", "--stdin", input=text)


def _tree(root: Path, source: str, blobs: dict[str, str]) -> str:
    """Write the tree of `source` with some files replaced, through an index of its own."""
    with tempfile.TemporaryDirectory(prefix="bootcamp-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(root, "read-tree", source, env=index)
        lines = "".join(f"100644 {blob}\t{path}\n" for path, blob in blobs.items())
        git(root, "update-index", "--add", "--index-info", input=lines, env=index)
        return git(root, "write-tree", env=index)


def _commit(root: Path, tree: str, parent: str, date: str, message: str) -> str:
    name, email = IDENTITY.removesuffix(">").split(" <")
    env = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", name), ("EMAIL", email), ("DATE", date))
    }
    return git(root, "commit-tree", tree, "-p", parent, "-m", message, env=env)


def _tag(root: Path, name: str, commit: str, date: str, message: str) -> None:
    text = f"object {commit}\ntype commit\ntag {name}\ntagger {IDENTITY} {date}\n\n{message}\n"
    git(root, "update-ref", f"refs/tags/{name}", git(root, "mktag", input=text))


def git(
    root: Path, *words: str, input: str | None = None, env: dict[str, str] | None = None, strip: bool = True
) -> str:
    """Run git and give what it prints; its own words are the error."""
    try:
        run = subprocess.run(
            ["git", *words], cwd=root, input=(input or "").encode(), capture_output=True, env=os.environ | (env or {})
        )
    except FileNotFoundError:
        raise course.CourseError("git is not installed, or not on the PATH; the checkpoints are git tags") from None
    if run.returncode:
        raise course.CourseError(f"git {words[0]}: {run.stderr.decode('utf-8', 'replace').strip()}")
    text = run.stdout.decode("utf-8")
    return text.strip() if strip else text
