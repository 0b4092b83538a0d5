"""The environment that the course runs in: the active one if it has what is needed, else `.venv`, made here.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
FOR_MAINTAINERS = ("test", "bench", "skeletons", "mutate", "figures", "notebooks")


def prepare(arguments: Sequence[str]) -> str:
    """See that what the command needs is installed; make `.venv` and go on in it where it is not.

    Returns:
        What went wrong, with the remedy; '' if the command can run here.
    """
    if "--as-is" in arguments:
        return ""
    command = next((word for word in arguments if not word.startswith("-")), "")
    file = "requirements-dev.txt" if command in FOR_MAINTAINERS else "requirements.txt"
    if not missing(file):
        return ""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return install(file)
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists() and (problem := create()):
        return problem
    return go_on_in(python, arguments)


def pins(file: str) -> dict[str, str]:
    """Read the pinned versions of a requirements file, and of those that it includes.

    >>> pins("requirements.txt")["torch"]
    '2.13.0'
    """
    found: dict[str, str] = {}
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("-r "):
            found |= pins(line[3:].strip())
        elif line:
            name, _, version = line.partition("==")
            found[name.strip()] = version.strip()
    return found


def missing(file: str) -> list[str]:
    """List the requirements that this interpreter does not have in the version asked for."""
    lacking = []
    for name, version in pins(file).items():
        try:
            found = importlib.metadata.version(name).split("+")[0]  # 2.13.0+cpu and 2.13.0+cu130 are 2.13.0
        except importlib.metadata.PackageNotFoundError:
            found = ""
        if found != version:
            lacking.append(f"{name}=={version}")
    return lacking


def create() -> str:
    """Make an empty `.venv`; what went wrong, or ''."""
    say(f"First run: making an environment of its own in {VENV.relative_to(ROOT)}/ (delete the folder to undo it).")
    run = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True)
    if run.returncode == 0:
        return ""
    shutil.rmtree(VENV, ignore_errors=True)
    said = (run.stdout + run.stderr).strip()
    if "ensurepip" in said or importlib.util.find_spec("venv") is None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return (
            f"Python's venv module is not complete here. On Debian and Ubuntu, install python{version}-venv with the "
            "system's package manager, then run the same command again."
        )
    return explain(said, f"Python could not make an environment in {VENV}")


def install(file: str) -> str:
    """Install what is missing with pip, showing what it does; what went wrong, or ''."""
    wanted = missing(file)
    say(f"Installing {', '.join(wanted)} from {file}. This happens once, and takes a few minutes.")
    if importlib.util.find_spec("pip") is None:
        subprocess.run([sys.executable, "-m", "ensurepip"], capture_output=True)
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    pip = subprocess.Popen(
        [*command, "--progress-bar", "off", "-r", str(ROOT / file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    lines = []
    try:
        with Ticker() as ticker:
            assert pip.stdout
            for line in pip.stdout:
                lines.append(line)
                if match := re.match(r"\s*(Collecting|Downloading|Using cached) (\S+)( \(\d.*\))?", line):
                    ticker.show(f"{match[1].lower()} {match[2].rpartition('/')[2]}{match[3] or ''}")
                elif line.startswith("Installing collected packages"):
                    ticker.show("installing what was collected")
        pip.wait()
    except KeyboardInterrupt:
        pip.kill()
        return "Stopped before everything was installed. Run the same command again to go on."
    importlib.invalidate_caches()
    if pip.returncode == 0 and not missing(file):
        return ""
    return explain("".join(lines), f"pip could not install {', '.join(missing(file))}")


def explain(said: str, what: str) -> str:
    """Make one sentence with a remedy of what a tool said when it failed."""
    if re.search(r"No space left|Errno 28|not enough space", said):
        free = shutil.disk_usage(ROOT).free / 1e9
        return (
            f"{what}: the disk is full ({free:.1f} GB free; allow for 8 GB). Make room, and run the same command again."
        )
    if re.search(r"NewConnectionError|ConnectTimeout|ReadTimeout|Name or service|name resolution|getaddrinfo", said):
        return f"{what}: the package index cannot be reached. See to the network, and run the same command again."
    if "No matching distribution" in said:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return (
            f"{what}: the package index has no build for Python {version} on this machine. Use another version of "
            f"Python (3.11 to 3.13 are the safest), or see to the network if it has only just failed."
        )
    if re.search(r"Permission denied|Read-only file system|Errno 13|Errno 30", said):
        return f"{what}: the folder cannot be written to. Clone the course to a folder of your own."
    last = [line.strip() for line in said.splitlines() if line.strip()][-3:]
    return f"{what}: {' / '.join(last) or 'it gave no reason'}"


def go_on_in(python: Path, arguments: Sequence[str]) -> str:
    """Run the same command with another Python; return only if that is not possible."""
    command = [str(python), "-m", "bootcamp", *arguments]
    try:
        if os.name == "nt":
            sys.exit(subprocess.call(command))
        sys.stdout.flush()
        os.execv(str(python), command)
    except OSError as error:
        return f"{python} does not run ({error.strerror}). Delete the folder {VENV}, and run the same command again."


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Ticker:
    """Shows what goes on, with the seconds gone by: on a terminal in one line, elsewhere a line for each step."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.text, self.start = "starting", time.monotonic()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Ticker:
        if self.live:
            self.thread.start()
        return self

    def show(self, text: str) -> None:
        self.text = text
        if not self.live:
            say(f"  {text}")

    def _tick(self) -> None:
        while not self.stop.wait(0.2):
            width = shutil.get_terminal_size().columns - 1
            line = f"  {time.monotonic() - self.start:4.0f} s  {self.text}"[:width]
            sys.stderr.write("\r" + line.ljust(width))
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        if self.live:
            self.thread.join()
            sys.stderr.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
