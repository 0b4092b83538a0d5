"""What maintainers use: tests, benchmarks, skeletons, figures, the mutation run."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from bootcamp import course, progress, skeleton
from bootcamp.commands.learn import keep
from bootcamp.screen import say


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="handed on to pytest")


def test(arguments: argparse.Namespace) -> int:
    """Run the course's own tests, all of them or what pytest is told."""
    rest = arguments.rest
    if not any(Path(word.split("::")[0]).exists() for word in rest):
        # All tests, file by file, on as many cores as there are; the graders that a file starts are shared within it.
        rest = ["tests", "-n", "auto", "--dist", "loadscope", *rest]
    code = subprocess.call([sys.executable, "-m", "pytest", *rest], cwd=course.ROOT)
    return min(code, 2)


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="one benchmark; the list of them if not given")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="handed on to the benchmark")


def bench(arguments: argparse.Namespace) -> int:
    """Run one benchmark, or say which there are."""
    files = sorted((course.ROOT / "benchmarks").glob("[a-z]*.py"))
    names = [path.stem for path in files if "def main()" in path.read_text(encoding="utf-8")]
    if not arguments.name:
        say("The benchmarks: " + ", ".join(names))
        return 0
    if arguments.name not in names:
        raise course.CourseError(f"there is no benchmark {arguments.name!r}; there are {', '.join(names)}")
    return subprocess.call([sys.executable, "-m", f"benchmarks.{arguments.name}", *arguments.rest], cwd=course.ROOT)


def add_skeletons_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--write", action="store_true", help="write them; files that change are kept")


def skeletons(arguments: argparse.Namespace) -> int:
    """Say which skeletons are not what the solutions make; write them if asked."""
    stale = {path: text for path, text in all_skeletons().items() if _read(path) != text}
    for path in stale:
        say(f"{path.relative_to(course.ROOT).as_posix()} is not what its solution makes")
    if not arguments.write or not stale:
        say(f"{len(stale)} of {len(all_skeletons())} skeletons differ" if stale else "all skeletons are up to date")
        return 1 if stale else 0
    kept = keep([path for path in stale if path.is_file()], "skeletons")
    for path, text in stale.items():
        progress.write_text(path, text)
    say(f"written; what was there is kept in {kept.relative_to(course.ROOT).as_posix()}/" if kept else "written")
    return 0


def all_skeletons() -> dict[Path, str]:
    """Every skeleton that the solutions make, by the path where it belongs."""
    made = {}
    for stage in course.stages():
        numbers = [exercise.number for exercise in stage.exercises]
        for path in sorted(stage.reference.glob("*.py")):
            source = path.read_text(encoding="utf-8")
            made[stage.folder / path.name] = skeleton.make(source, numbers, f"solutions/{stage.name}/{path.name}")
    return made


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def add_figures_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stage", nargs="?", help="the figures of one stage; of all if not given")


def figures(arguments: argparse.Namespace) -> int:
    """Draw the figures of the lessons anew."""
    stages = [course.stage_named(arguments.stage)] if arguments.stage else course.stages()
    for stage in stages:
        script = stage.folder / "figures" / "draw.py"
        say(f"drawing {stage.name}/figures")
        code = subprocess.call([sys.executable, str(script)], cwd=course.ROOT, env=None)
        if code:
            raise course.CourseError(f"{script.relative_to(course.ROOT).as_posix()} ended with exit code {code}")
    return 0


def add_notebooks_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stage", nargs="?", help="the notebook of one stage; of all if not given")


def notebooks(arguments: argparse.Namespace) -> int:
    """Run the notebooks from the top, and keep what their cells show."""
    stages = [course.stage_named(arguments.stage)] if arguments.stage else course.stages()
    for stage in stages:
        path = stage.folder / "explore.ipynb"
        say(f"running {path.relative_to(course.ROOT).as_posix()}")
        progress.write_text(path, run_notebook(path))
    return 0


def run_notebook(path: Path, folder: Path | None = None) -> str:
    """Run a notebook from the top, and give it with what its cells show.

    Args:
        path: the notebook, which stays as it is.
        folder: where it runs; None means where it lies.

    Raises:
        CourseError: a cell fails; which, and why.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata = {}
    client = NotebookClient(notebook, resources={"metadata": {"path": str(folder or path.parent)}}, record_timing=False)
    try:
        client.execute()
    except CellExecutionError as error:
        raise course.CourseError(f"a cell of {path.name} fails: {error}") from None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}  # not the version that it happened to run on
    return nbformat.writes(notebook) + "\n"


def _joined(outputs: list) -> list:
    """Join what was printed in several parts, which differ from run to run."""
    joined: list = []
    for output in outputs:
        if joined and output.output_type == "stream" == joined[-1].output_type and output.name == joined[-1].name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def add_mutate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="*", metavar="STAGE|EXERCISE", help="such as 1 or 1.4; all if not given")
    parser.add_argument("--sample", type=int, metavar="N", help="only every N-th mutant")


def mutate(arguments: argparse.Namespace) -> int:
    """Change the reference a little in every place, and list the changes that the graders do not notice."""
    from bootcamp.mutation import run

    return run(arguments.what, arguments.sample or 1)
