"""Which implementation a stage resolves to: yours, the reference, or any other folder.

`from stage01_tokenizer import Tokenizer` can mean your code or the reference. Which of them is the
*layout* of a process: for each stage, the folder that its modules come from. The `__init__.py` of every
stage asks `open_stage`, so the answer is the same for pytest, the command line, notebooks, training
runs and worker processes. Child processes get the layout from `BOOTCAMP_LAYOUT`.

Nobody has to choose. Where nothing is said, the stage that is imported first is yours, the stages
before it are yours where they are complete and the reference where they are not, and those behind it
are yours.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from bootcamp import course

VARIABLE = "BOOTCAMP_LAYOUT"


@dataclass(frozen=True)
class Source:
    """Where the modules of one stage come from."""

    folder: str
    why: str = ""  # in words, for the header of a run
    # Names that come from the reference all the same ("bpe.encode_bytes"): those of exercises of the same stage
    # that are not complete, beneath one that is being graded.
    reference: tuple[str, ...] = field(default=())


Layout = dict[str, Source]
_layout: Layout | None = None


def layout_for(
    focus: course.Stage, folder: Path | None = None, upstream: str = "auto", reference: Sequence[str] = ()
) -> Layout:
    """Decide where each stage comes from when `focus` is worked on.

    Args:
        focus: the stage that is graded, trained or imported.
        folder: where the code of that stage lies; the learner's folder if not given.
        upstream: what the stages before it are: "mine", "solutions", or "auto", which is the
            learner's where it is complete and the reference where it is not.
        reference: functions of `focus` that are taken from the reference all the same.
    """
    from bootcamp.progress import standing

    layout: Layout = {}
    for stage in course.stages():
        if stage == focus:
            layout[stage.name] = Source(str(folder or stage.folder), "the code in question", tuple(reference))
        elif stage.number > focus.number or upstream == "mine":
            layout[stage.name] = Source(str(stage.folder), "yours")
        elif not stage.reference.is_dir():
            layout[stage.name] = Source(str(stage.folder), "yours; this copy of the course has no reference")
        elif upstream == "solutions":
            layout[stage.name] = Source(str(stage.reference), "the reference")
        else:
            complete, words = standing(stage)
            layout[stage.name] = Source(
                str(stage.folder if complete else stage.reference),
                f"yours: {words}" if complete else f"the reference: yours is {words}",
            )
    return layout


def use(layout: Layout) -> None:
    """Make `layout` that of this process and its children, and forget what was imported under another."""
    global _layout
    _layout = layout
    os.environ[VARIABLE] = json.dumps({name: asdict(source) for name, source in layout.items()})
    for name in list(sys.modules):
        if name.split(".")[0].removeprefix(TWIN) in layout:
            del sys.modules[name]
    importlib.invalidate_caches()
    for name in layout:  # made here, not by the folder's __init__.py, which is no exercise and may be broken
        package = sys.modules[name] = ModuleType(name)
        path, getattr_ = open_stage(name)
        vars(package).update(__path__=path, __getattr__=getattr_, __package__=name)


def use_reference() -> None:
    """Take every stage from its reference, in this process and its children.

    If that is so already nothing happens: what was imported stays the same objects, which other processes find by name.
    """
    layout = {stage.name: Source(str(stage.reference), "the reference") for stage in course.stages()}
    if _layout != layout:
        use(layout)


def use_mine() -> None:
    """Take every stage from the learner's folder, in this process and its children."""
    use({stage.name: Source(str(stage.folder), "yours") for stage in course.stages()})


def current(first: str | None = None) -> Layout:
    """Give the layout of this process: as set, as the parent process says, or by the rule above."""
    global _layout
    if _layout is None:
        if text := os.environ.get(VARIABLE):
            _layout = {
                name: Source(table["folder"], table["why"], tuple(table["reference"]))
                for name, table in json.loads(text).items()
            }
        else:
            _layout = layout_for(course.stage_named(first) if first else course.stages()[0])
    return _layout


def open_stage(name: str) -> tuple[list[str], Callable[[str], Any]]:
    """Give a stage's package its `__path__` and `__getattr__`: where its modules are, and what it exports.

    What it exports is what its exercises declare, imported when it is first asked for, so that a
    mistake in one module leaves the others usable.
    """
    sys.modules[name].__class__ = _Package
    source = current(first=name)[name]
    suffixes = (_FromSource, importlib.machinery.SOURCE_SUFFIXES)
    sys.path_importer_cache[source.folder] = importlib.machinery.FileFinder(source.folder, suffixes)
    if source.reference and not any(isinstance(finder, _ReferenceBeneath) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ReferenceBeneath())

    def getattr_(attribute: str) -> Any:
        module = course.stage_named(name).exports().get(attribute)
        if module is None:
            raise AttributeError(f"{name} exports no {attribute!r}")
        return getattr(importlib.import_module(f"{name}.{module}"), attribute)

    return [source.folder], getattr_


class _FromSource(importlib.machinery.SourceFileLoader):
    """Compiles a module from its source each time, and keeps no bytecode.

    Python takes bytecode for current if the second of the last change and the size are what they were: a `+` turned
    into a `-` within a second of the last run would not be seen.
    """

    def path_stats(self, path: Any) -> Any:
        raise OSError("no bytecode is kept")


class _Package(ModuleType):
    """A stage's package, in which a function wins over the module of the same name.

    Python sets each module that it imports as an attribute of the package: `from stage01_tokenizer import pretokenize`
    would mean the function before the module is imported, and the module after.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and course.stage_named(self.__name__).exports().get(name) == name):
            super().__setattr__(name, value)


# -- the reference beneath an exercise ---------------------------------------------------------------------------

TWIN = "reference_of_"  # the reference of a stage, imported beside the code in question


class _ReferenceBeneath(importlib.abc.MetaPathFinder):
    """Puts the reference's functions into modules of the code in question, where its layout says so."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        package, _, module = fullname.partition(".")
        if package.startswith(TWIN) and not module:
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(course.SOLUTIONS / package.removeprefix(TWIN))]
            return spec
        names = [
            function.partition(".")[2]
            for function in current().get(package, Source("")).reference
            if function.partition(".")[0] == module
        ]
        if not names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None:  # the file is not there: the reference's serves
            return importlib.util.spec_from_loader(fullname, _TwinLoader(None, names))
        spec.loader = _TwinLoader(spec.loader, names)
        return spec


class _TwinLoader(importlib.abc.Loader):
    """Runs a module, then sets `names` in it from the reference; all of it if the module does not run."""

    def __init__(self, loader: Any, names: list[str]) -> None:
        self.loader, self.names = loader, names

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec) if self.loader else None

    def exec_module(self, module: ModuleType) -> None:
        package, _, name = module.__name__.partition(".")
        twin = importlib.import_module(f"{TWIN}{package}.{name}")
        try:
            if self.loader is None:
                raise ImportError
            self.loader.exec_module(module)
        except BaseException:  # whatever stops it, it is not what is being graded
            vars(module).update({key: value for key, value in vars(twin).items() if not key.startswith("__")})
            return
        for attribute in self.names:
            setattr(module, attribute, getattr(twin, attribute))
