"""5.10 · Checkpoints: all that a run is, on disk, so that it can be stopped at any moment and go on."""

import contextlib
import copy
import hashlib
import io
import os
import pickle
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bootcamp.grading import check, written

module = written("stage05_training.checkpoint")

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
FORMATS = [
    torch.float64,
    torch.float32,
    torch.bfloat16,
    torch.float16,
    torch.int64,
    torch.int8,
    torch.uint8,
    torch.bool,
]
WHOLE = "Write the new file beside the old one, under another name; os.replace then exchanges them in one step."
TIDY = "Whatever goes wrong, take the half-written file away: try and finally, or except and raise."


def draw(rng, *shape, dtype=torch.float32):
    """Random numbers from N(0, 1)."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=dtype)


def differs(got: Any, expected: Any, at: str) -> str:
    """Say where values differ from others, tensors in the last bit, or in their formats; '' if nowhere."""
    if isinstance(expected, torch.Tensor):
        if not isinstance(got, torch.Tensor):
            return f"{at} is a {type(got).__name__}, no tensor"
        for which in ("dtype", "shape"):
            if (one := getattr(got, which)) != (other := getattr(expected, which)):
                return f"{at} has the {which} {one}, not {other}"
        return "" if torch.equal(got.cpu(), expected.cpu()) else f"{at} has other numbers"
    if not isinstance(got, dict if isinstance(expected, dict) else type(expected)):
        return f"{at} is a {type(got).__name__}, no {type(expected).__name__}"
    if isinstance(expected, dict):
        if list(got) != list(expected):
            return f"{at} has the keys {list(got)}, not {list(expected)}"
        return next(filter(None, (differs(got[key], expected[key], f"{at}[{key!r}]") for key in expected)), "")
    if isinstance(expected, (list, tuple)):
        if len(got) != len(expected):
            return f"{at} has {len(got)} items, not {len(expected)}"
        return next(filter(None, (differs(*each, f"{at}[{i}]") for i, each in enumerate(zip(got, expected)))), "")
    if not isinstance(equal := got == expected, bool):
        return f"{at} is of a type that weights_only does not load: {type(got).__name__}"
    return "" if equal else f"{at} is {got!r}, not {expected!r}"


def same(got: Any, expected: Any, what: str, why: str = "") -> None:
    """Hold values to others, to the last bit. Only whether they are is remembered: how a state looks is left open."""
    where = differs(got, expected, "it")
    check.true(not where, f"as it should be, to the last bit: {what}", got=where, why=why)


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(os.listdir(folder))


def alone(folder: Path, what: str, *expected: str, why: str = "") -> None:
    """Hold a folder to have these files and no others, whatever name others have."""
    check.true(names(folder) == sorted(expected), f"nothing else is in the folder {what}", got=names(folder), why=why)


def a_file(rng, folder: Path, name: str = "run.ckpt", **more: Any) -> tuple[Path, dict[str, Any]]:
    """A small checkpoint on disk, and what is in it."""
    state = {"model": {"weight": draw(rng, 3, 4)}, "step": rng.randrange(1000), **more}
    module.save_checkpoint(folder / name, state)
    return folder / name, state


# -- a file


def test_there_and_back(tmp_path):
    """What was saved comes back."""
    state = {"model": {"weight": torch.tensor([[1.5, -2.0], [0.1, 4.0]])}, "step": 3, "loss": 0.25}
    module.save_checkpoint(tmp_path / "run.ckpt", state)
    same(module.load_checkpoint(tmp_path / "run.ckpt"), state, "what comes back")
    alone(tmp_path, "after a checkpoint was written", "run.ckpt")


def test_all_kinds_of_values(rng, tmp_path):
    """Tensors, numbers, texts, None, and lists, tuples and dictionaries of them come back as they were."""
    state = {
        "numbers": [0, -7, 1 << 70, 0.1, float("inf"), True, False, None],
        "texts": ("", "Es war einmal", "naïve 🙂", "two\nlines"),
        "by number": {0: {"step": torch.tensor(4.0), "mean": draw(rng, 2, 3)}, 5: {}},
        "nested": [(1, [2, (3.5, draw(rng, 2))]), {}, [], ()],
    }
    before = copy.deepcopy(state)
    module.save_checkpoint(tmp_path / "run.ckpt", state)
    same(state, before, "what was given, after save_checkpoint")
    same(module.load_checkpoint(tmp_path / "run.ckpt"), before, "what comes back")


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_tensors_of_all_formats(rng, tmp_path, dtype):
    """Tensors of any format and shape come back to the last bit, however they lie in memory."""
    numbers = (3 * draw(rng, 4, 6)).to(dtype)
    state = {
        "whole": numbers,
        "turned": numbers.T,
        "every second": numbers[::2, 1:5:3],
        "one number": numbers[1, 2],
        "nothing": numbers[:0],
    }
    module.save_checkpoint(tmp_path / "run.ckpt", state)
    same(module.load_checkpoint(tmp_path / "run.ckpt"), state, "what comes back")


def test_written_over(rng, tmp_path):
    """A new checkpoint takes the place of the old one, larger or smaller; the path may be a text."""
    path = tmp_path / "run.ckpt"
    for step, size in enumerate((4, 300, 2)):
        state = {"step": step, "weight": draw(rng, size, 5)}
        module.save_checkpoint(str(path), state)
        same(module.load_checkpoint(str(path)), state, f"what comes back from checkpoint {step} of one name")
    alone(tmp_path, "after three checkpoints of one name", "run.ckpt")


def test_what_a_file_is(rng, tmp_path):
    """A file is the line MAGIC, a line with the SHA-256 of what follows, and what torch.save writes."""
    path, state = a_file(rng, tmp_path)
    data = path.read_bytes()
    check.equal(data[: len(module.MAGIC)], module.MAGIC, "the first line of the file")
    digest, _, content = data[len(module.MAGIC) :].partition(b"\n")
    check.true(
        digest == hashlib.sha256(content).hexdigest().encode(),
        "the second line is the SHA-256 of all that follows, as 64 digits",
        got=digest,
    )
    same(torch.load(io.BytesIO(content), weights_only=True), state, "what torch.load reads from the rest")


def as_file(content: bytes) -> bytes:
    """A file that holds this, as save_checkpoint would write it."""
    return module.MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def saved(value: Any, **options: Any) -> bytes:
    """What torch.save writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def test_a_file_from_elsewhere(rng, tmp_path):
    """A file that is built in this way is read, whoever wrote it."""
    state = {"step": 8, "weight": draw(rng, 2, 3)}
    (tmp_path / "other.ckpt").write_bytes(as_file(saved(state)))
    same(module.load_checkpoint(tmp_path / "other.ckpt"), state, "what comes back")


def test_a_device_to_go_to(rng, tmp_path):
    """Tensors go to the device that is asked for."""
    path, state = a_file(rng, tmp_path)
    for device in ["meta", *DEVICES]:
        for asked in (device, torch.device(device)):
            got = module.load_checkpoint(path, map_location=asked)["model"]["weight"]
            check.equal(got.device.type, device, f"the device of a tensor, with map_location={asked!r}")
    same(module.load_checkpoint(path), state, "what comes back without map_location")


# -- the old file, or the new one


class Unkept:
    """Cannot be written: pickling it raises an error."""

    def __reduce__(self) -> Any:
        raise ValueError("this cannot be kept")


def fails(path: Path, state: Any) -> bool:
    """Save, and say whether an error was raised."""
    try:
        module.save_checkpoint(path, state)
    except NotImplementedError:
        raise
    except Exception:
        return True
    return False


@contextlib.contextmanager
def full_disk(room: int):
    """A file may have so many bytes, and not one more: writing more is an OSError, as when the disk is full."""
    import resource

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_a_full_disk(rng, tmp_path):
    """If the disk is full in the middle of the new file, it is an OSError; the old one stays, nothing else is left."""
    path, _ = a_file(rng, tmp_path)
    old = path.read_bytes()
    if sys.platform == "win32":
        return  # files cannot be bounded there
    state = {"model": {"weight": draw(rng, 70, 80)}}  # 22 kB
    for room in (0, 1, 11, 40, 76, 500, 8192, 20_000):
        with full_disk(room):
            failed = fails(path, state)
        check.true(failed, "an error is raised if the disk is full in the middle of the new file")
        there = path.is_file() and path.read_bytes() == old
        check.true(
            there, "the old file is there, and whole, after the disk was full in the middle of the new", why=WHOLE
        )
        alone(tmp_path, "after the disk was full", "run.ckpt", why=TIDY)
    with full_disk(500):
        check.raises(OSError, module.save_checkpoint, path, state)
    module.save_checkpoint(path, state)
    same(module.load_checkpoint(path), state, "what comes back when there is room again")


def test_a_state_that_cannot_be_written(rng, tmp_path):
    """If something in the state cannot be written, the old file stays, and nothing else is left."""
    path, _ = a_file(rng, tmp_path)
    old = path.read_bytes()
    for wrong in (Unkept(), lambda: None, [draw(rng, 40, 50), {"deep inside": Unkept()}]):
        check.true(fails(path, {"weight": draw(rng, 60, 50), "wrong": wrong}), "an error is raised")
        there = path.is_file() and path.read_bytes() == old
        check.true(there, "the old file is there, and whole, after a state that cannot be written", why=WHOLE)
        alone(tmp_path, "after a state that cannot be written", "run.ckpt", why=TIDY)


def test_the_last_steps_fail(rng, tmp_path, monkeypatch):
    """If the new file cannot be forced onto the disk, or take the name, the old one stays, and nothing else is left."""
    path, _ = a_file(rng, tmp_path)

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(5, "Input/output error")

    for steps in (("fsync", "fdatasync"), ("replace", "rename")):
        old = path.read_bytes()
        with monkeypatch.context() as patch:
            for step in steps:
                patch.setattr(os, step, refuse, raising=False)
            failed = fails(path, {"weight": draw(rng, 60, 50)})
        whole = failed and path.is_file() and path.read_bytes() == old
        if not failed:  # it came by these functions in another way
            whole = "weight" in module.load_checkpoint(path)
        check.true(whole, f"the old file is there, and whole, if os.{steps[0]} fails", why=WHOLE)
        alone(tmp_path, f"if os.{steps[0]} fails", "run.ckpt", why=TIDY)


def test_the_name_is_taken_by_a_folder(rng, tmp_path):
    """If the name cannot be taken, since a folder has it, it is an OSError, and nothing is left."""
    a_file(rng, tmp_path)
    taken = tmp_path / "other.ckpt"
    taken.mkdir()
    (taken / "inside").write_text("kept")
    check.raises(OSError, module.save_checkpoint, taken, {"weight": draw(rng, 6, 5)})
    alone(taken, "that has the name", "inside")
    alone(tmp_path, "after that", "other.ckpt", "run.ckpt", why=TIDY)


def test_no_folder(rng, tmp_path):
    """If there is no such folder, it is an OSError, and none is made."""
    a_file(rng, tmp_path)
    check.raises(OSError, module.save_checkpoint, tmp_path / "none" / "run.ckpt", {"step": 1})
    alone(tmp_path, "above", "run.ckpt")


class Watch:
    """Looks at a folder whenever a function is left, while a checkpoint is saved."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[bytes | None] = []  # what was in the file, each once
        self.beside: set[tuple[int, int]] = set()  # other files: which, and how long they were
        self.forced: set[tuple[int, int]] = set()  # those that were there when something was forced onto the disk

    def __enter__(self) -> "Watch":
        self.before = sys.getprofile()
        sys.setprofile(self.look)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self.before)

    def look(self, frame: Any, event: str, function: Any) -> None:
        if event not in ("c_return", "return"):
            return
        sys.setprofile(None)
        try:
            content = self.path.read_bytes() if self.path.is_file() else None
            if content not in self.found:
                self.found.append(content)
            others = {
                (each.stat().st_ino, each.stat().st_size) for each in self.path.parent.iterdir() if each != self.path
            }
            self.beside |= others
            if event == "c_return" and getattr(function, "__name__", "") in ("fsync", "fdatasync", "fcntl", "sync"):
                self.forced |= others
        finally:
            sys.setprofile(self.look)


def test_at_any_moment(rng, tmp_path):
    """At any moment either the old file is there, or the new one, each whole."""
    path, _ = a_file(rng, tmp_path)
    old = path.read_bytes()
    with Watch(path) as watch:
        module.save_checkpoint(path, {"weight": draw(rng, 30, 40)})
    seen = ["the old file" if each == old else "no file" if each is None else each for each in watch.found]
    seen = [each if isinstance(each, str) else "the new file" for each in seen if each != path.read_bytes()]
    check.equal(sorted(set(seen)), ["the old file"], "what is there before the new file is", why=WHOLE)


def test_beside_and_on_the_disk(rng, tmp_path):
    """The new file is written beside the old one, and forced onto the disk, before it takes the name."""
    path, _ = a_file(rng, tmp_path)
    same_disk = "What takes a name in one step has to be on the same disk already: write it into the same folder."
    in_order = (
        "Else the name may be on the disk before the content: flush, and os.fsync(file.fileno()), while it is open."
    )
    for size in (1, 40):  # a small file may lie in a buffer as a whole
        with Watch(path) as watch:
            module.save_checkpoint(path, {"weight": draw(rng, 30, size)})
        new = path.stat().st_ino, path.stat().st_size
        beside, forced = new in watch.beside, new in watch.forced
        check.true(beside, "the new file lies in the same folder, whole, before it takes the name", why=same_disk)
        check.true(forced, "the new file is forced onto the disk, whole, before it takes the name", why=in_order)


# -- files that are refused


def refused(path: Path, data: bytes) -> bool:
    """Say whether a file with this in it is refused."""
    path.write_bytes(data)
    try:
        module.load_checkpoint(path)
    except module.CheckpointError:
        return True
    return False


def test_cut_short(rng, tmp_path):
    """A file that was cut anywhere is a CheckpointError that names it."""
    path, _ = a_file(rng, tmp_path)
    data = path.read_bytes()
    cuts = [0, 1, 5, 10, 11, 12, 40, 74, 75, 76, 77, *range(100, len(data), 37), len(data) - 1]
    missed = [cut for cut in cuts if not refused(path, data[:cut])]
    check.true(not missed, "a file that is cut short is refused", got=f"not with {missed[:3]} of {len(data)} bytes")
    path.write_bytes(data[: len(data) // 2])
    check.raises(module.CheckpointError, module.load_checkpoint, path, naming=[path.name])


def test_one_bit(rng, tmp_path):
    """A file in which one bit has changed is a CheckpointError that names it."""
    path, _ = a_file(rng, tmp_path)
    data = path.read_bytes()
    missed = []
    # All of the two first lines, and every eleventh byte of the rest.
    for place in [*range(80), *range(80 + rng.randrange(11), len(data), 11)]:
        changed = bytearray(data)
        changed[place] ^= 1 << rng.randrange(8)
        if not refused(path, bytes(changed)):
            missed.append(place)
    got = f"not with a changed bit in byte {missed[:1]} of {len(data)}, nor in {len(missed) - 1} others that were tried"
    check.true(not missed, "a file in which one bit has changed is refused", got=got, why="Compare the SHA-256.")
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 4]) + data[-8:])
    check.raises(module.CheckpointError, module.load_checkpoint, path, naming=[path.name])


def test_bytes_too_many(rng, tmp_path):
    """Bytes behind a file, or before it, are a CheckpointError."""
    path, _ = a_file(rng, tmp_path)
    data = path.read_bytes()
    check.true(refused(path, data + b"\0"), "a file with one byte more behind it is refused")
    check.true(refused(path, data + data), "a file with another behind it is refused")
    check.true(refused(path, b"\n" + data), "a file with one byte more before it is refused")


FOREIGN = {
    "an empty file": b"",
    "a text": b"Once upon a time there was a model.\n",
    "the first line alone": b"CHECKPOINT\n",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "another first line": b"CHECKPOINTS\n" + bytes(100),
}


@pytest.mark.parametrize("kind", [*FOREIGN, "what torch.save wrote", "right digest, nothing", "right digest, a text"])
def test_foreign_files(rng, tmp_path, kind):
    """A file that is no checkpoint is a CheckpointError that names it."""
    path, _ = a_file(rng, tmp_path)
    content = {
        **FOREIGN,
        "what torch.save wrote": saved({"weight": draw(rng, 2, 3)}),
        "right digest, nothing": as_file(b""),
        "right digest, a text": as_file(b"Once upon a time"),
    }[kind]
    path.write_bytes(content)
    check.raises(module.CheckpointError, module.load_checkpoint, path, naming=[path.name])


def test_a_file_that_is_not_there(rng, tmp_path):
    """A file that is not there is a FileNotFoundError."""
    a_file(rng, tmp_path)
    check.raises(FileNotFoundError, module.load_checkpoint, tmp_path / "none.ckpt")


class Runs:
    """Has whoever unpickles it make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("how", ["alone", "inside", "old format", "plain pickle"])
def test_nothing_in_a_file_is_run(rng, tmp_path, how):
    """A file that would run something when it is unpickled is a CheckpointError, and nothing is run."""
    path, _ = a_file(rng, tmp_path)
    bait = Runs(tmp_path / "was run")
    content = {
        "alone": lambda: saved(bait),
        "inside": lambda: saved({"weight": draw(rng, 2, 3), "step": bait}),
        "old format": lambda: saved({"step": bait}, _use_new_zipfile_serialization=False),
        "plain pickle": lambda: pickle.dumps({"step": bait}),
    }[how]()
    why = "To unpickle is to run what the file says: a digest does not help, its writer computes one too. weights_only."
    for data in (as_file(content), content):
        path.write_bytes(data)
        with contextlib.suppress(module.CheckpointError):
            module.load_checkpoint(path)
        check.true(not (tmp_path / "was run").exists(), "nothing that a file holds is run", why=why)
        check.raises(module.CheckpointError, module.load_checkpoint, path, naming=[path.name])
        check.true(not (tmp_path / "was run").exists(), "nothing that a file holds is run", why=why)


def test_more_than_data(rng, tmp_path):
    """A file that holds objects of classes is a CheckpointError."""
    path, _ = a_file(rng, tmp_path)
    for value in (nn.Linear(2, 3), random.Random(3), Path("a") / "path"):
        path.write_bytes(as_file(saved({"weight": draw(rng, 2), "object": value})))
        check.raises(module.CheckpointError, module.load_checkpoint, path, naming=[path.name])


# -- what a run is


class Momentum:
    """An optimizer that, as those of torch do, shows its own tensors, keeps those that it gets, and has groups."""

    def __init__(self, params: Any) -> None:
        self.params = list(params)
        self.state = {i: {"step": 0, "mean": torch.zeros_like(each)} for i, each in enumerate(self.params)}
        self.param_groups = [{"lr": 0.1, "betas": (0.9, 0.1), "params": [*range(len(self.params))]}]

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state, "param_groups": self.param_groups}

    def load_state_dict(self, state: Any) -> None:
        self.state, self.param_groups = state["state"], state["param_groups"]

    @torch.no_grad()
    def step(self) -> None:
        group = self.param_groups[0]
        keep, add = group["betas"]
        for i in group["params"]:
            own, param = self.state[i], self.params[i]
            own["step"] += 1
            own["mean"].mul_(keep).add_(param.grad, alpha=add)
            param -= group["lr"] / own["step"] * own["mean"]
            param.grad = None
        group["lr"] *= 0.97


class Batches:
    """A loader: rows in random order, with a place."""

    def __init__(self, seed: int) -> None:
        self.place = {"seed": seed, "taken": 0}

    def __next__(self) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1000 * self.place["seed"] + self.place["taken"])
        self.place["taken"] += 1
        return torch.randn(6, 3, generator=generator)

    def state_dict(self) -> Any:
        return self.place

    def load_state_dict(self, state: Any) -> None:
        self.place = state


class Compiled(nn.Module):
    """What torch.compile makes of a module, as far as it can be seen from outside: the names get a beginning."""

    def __init__(self, plain: nn.Module) -> None:
        super().__init__()
        self._orig_mod = plain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._orig_mod(x)


def wrapped(model: Any, how: str) -> Any:
    """A model that is compiled, as a whole or in parts, or not at all."""
    if how in ("parts", "both"):
        model[0], model[3] = Compiled(model[0]), Compiled(model[3])
    return Compiled(model) if how in ("whole", "both") else model


HOW = ["whole", "parts", "both"]


class Run:
    """A run: a model with dropout and buffers, an optimizer, a loader, and noise from everybody's generators."""

    def __init__(self, seed: int, how: str = "plain", device: str = "cpu") -> None:
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        plain = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Dropout(0.4), nn.Linear(5, 2)).to(device)
        self.model = wrapped(plain, how)
        self.device, self.optimizer, self.loader = device, Momentum(self.model.parameters()), Batches(seed)

    @property
    def parts(self) -> tuple[Any, Any, Any]:
        return self.model, self.optimizer, self.loader

    def step(self) -> float:
        x = next(self.loader).to(self.device)
        noise = torch.tensor([random.gauss(0, 1), float(np.random.standard_normal())]).to(self.device)
        loss = (self.model(x) - x[:, :2] - noise).square().mean()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def steps(self, count: int) -> list[float]:
        return [self.step() for _ in range(count)]


def by_name(model: Any) -> dict[str, torch.Tensor]:
    """Copies of weights and buffers, by their names in the plain model."""
    return {name.replace("_orig_mod.", ""): each.detach().clone() for name, each in model.state_dict().items()}


def drawn() -> list[Any]:
    """The next numbers of everybody's generators."""
    some = [random.gauss(0, 1), random.random(), float(np.random.standard_normal()), int(np.random.randint(1 << 30))]
    return [*some, torch.rand(3).tolist(), torch.randint(1 << 40, (2,)).tolist()]


def everything(run: Run) -> dict[str, Any]:
    """A copy of all that a run is, and the next numbers that it would draw."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    numbers = drawn()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    parts = {"optimizer": run.optimizer.state_dict(), "loader": run.loader.state_dict(), "drawn next": numbers}
    return copy.deepcopy({"model": by_name(run.model), **parts})


def test_what_is_captured(rng):
    """What is captured has the weights, the states of optimizer, loader and generators, and what else is given."""
    run = Run(rng.randrange(1000))
    run.steps(3)
    got = module.capture(*run.parts, step=3, loss=0.5)
    check.true(isinstance(got, dict), "a dictionary comes", got=got)
    check.equal(sorted(got), ["loader", "loss", "model", "optimizer", "random", "step"], "its keys")
    same(dict(got["model"]), by_name(run.model), '["model"]')
    same(got["optimizer"], run.optimizer.state_dict(), '["optimizer"]')
    same(got["loader"], run.loader.state_dict(), '["loader"]')
    check.equal([got["step"], got["loss"]], [3, 0.5], '["step"] and ["loss"]')


def test_a_model_alone(rng):
    """Optimizer and loader may be left out."""
    run = Run(rng.randrange(1000))
    got = module.capture(run.model, name="small")
    check.equal(got.get("name"), "small", '["name"]')
    check.equal([got.get("optimizer"), got.get("loader")], [None, None], "the states of optimizer and loader")
    other = Run(rng.randrange(1000))
    module.restore(got, other.model)
    same(by_name(other.model), by_name(run.model), "the weights of a model that got them")


def test_captured_are_copies(rng):
    """What was captured stays when the run goes on."""
    run = Run(rng.randrange(1000))
    run.steps(2)
    kept = [1, 2]
    got = module.capture(*run.parts, kept=kept)
    before = copy.deepcopy(got)
    run.steps(3)
    kept.append(3)
    drawn()
    for part in ("model", "optimizer", "loader", "random"):
        same(got[part], before[part], f"[{part!r}], after three more steps")
    same(got["kept"], [1, 2], '["kept"], a list that grew afterwards')


def test_to_capture_changes_nothing(rng, tmp_path):
    """A run that is captured and saved on its way is the same run."""
    seed = rng.randrange(1000)
    expected = Run(seed).steps(8)
    run, got = Run(seed), []
    for step in range(8):
        module.save_checkpoint(tmp_path / "run.ckpt", module.capture(*run.parts, step=step))
        got.append(run.step())
    check.equal(got, expected, "the losses of 8 steps, captured and saved before each")


@pytest.mark.parametrize("before", [0, 1, 4, 7])
@pytest.mark.parametrize("device", DEVICES)
def test_stopped_and_gone_on_with(rng, tmp_path, before, device):
    """A run that is stopped and gone on with ends as one that was not stopped, to the last bit."""
    seed = rng.randrange(1000)
    through = Run(seed, device=device)
    losses = through.steps(before + 5)
    end = everything(through)

    first = Run(seed, device=device)
    first.steps(before)
    module.save_checkpoint(tmp_path / "run.ckpt", module.capture(*first.parts, step=before))
    second = Run(seed + 1, device=device)
    second.steps(3)
    drawn()
    state = module.load_checkpoint(tmp_path / "run.ckpt", device)
    module.restore(state, *second.parts)
    check.equal(state.get("step"), before, "the step that comes back")
    check.equal(second.steps(5), losses[before:], f"the losses of 5 steps, gone on with after {before}")
    same(everything(second), end, "what the run is after them")


def test_generators(rng, tmp_path):
    """The generators of Python, NumPy and torch go on where they were."""
    model = nn.Linear(2, 3)
    for count in (0, 1, 2):  # Python and NumPy draw normal numbers in pairs, and keep the second
        torch.manual_seed(rng.randrange(1 << 30))
        np.random.seed(rng.randrange(1 << 30))
        random.seed(rng.randrange(1 << 30))
        for _ in range(count):
            drawn()
        module.save_checkpoint(tmp_path / "run.ckpt", module.capture(model))
        expected = [drawn() for _ in range(3)]
        module.restore(module.load_checkpoint(tmp_path / "run.ckpt"), model)
        got = [drawn() for _ in range(3)]
        for i, name in enumerate(("Python's, normal", "Python's", "NumPy's, normal", "NumPy's", "torch's", "torch's")):
            what = f"{name}: numbers that are drawn after restore, and were drawn after capture"
            check.equal([each[i] for each in got], [each[i] for each in expected], what)


def test_put_back_into_the_same_objects(rng):
    """Weights and buffers are written into the model: its parameters stay the objects that the optimizer knows."""
    run, other = Run(rng.randrange(1000)), Run(rng.randrange(1000))
    run.steps(2)
    before = {**dict(other.model.named_parameters()), **dict(other.model.named_buffers())}
    module.restore(module.capture(*run.parts), *other.parts)
    same(by_name(other.model), by_name(run.model), "weights and buffers after restore")
    after = {**dict(other.model.named_parameters()), **dict(other.model.named_buffers())}
    moved = [name for name in before if after.get(name) is not before[name]]
    check.equal(moved, [], "the parameters and buffers that are other objects now")
    trained = [name for name, each in other.model.named_parameters() if each.requires_grad and each.is_leaf]
    check.equal(len(trained), 6, "how many of the 6 parameters can be trained")


def test_put_back_twice(rng):
    """The state stays as it is, whatever the run does next: it can be put back again."""
    run = Run(rng.randrange(1000))
    run.steps(2)
    state = module.capture(*run.parts, step=2)
    before = copy.deepcopy(state)
    first = run.steps(4)
    for time in ("first", "second"):
        module.restore(state, *run.parts)
        got = run.steps(4)
        for part in ("model", "optimizer", "loader", "random"):
            same(state[part], before[part], f"[{part!r}] of the state, after it was put back and 4 steps")
        check.equal(got, first, f"the losses of 4 steps, after the state was put back for the {time} time")


# -- compiled models


@pytest.mark.parametrize("how", HOW)
def test_a_compiled_model_is_kept_under_plain_names(rng, how):
    """The weights of a compiled model have the names that they have in the plain one: one can load the other's."""
    seed = rng.randrange(1000)
    plain, compiled = Run(seed), Run(seed, how)
    got = module.capture(compiled.model)["model"]
    why = "torch.compile puts _orig_mod. into the names. A file with such names cannot be loaded by the plain model."
    check.equal(list(got), list(by_name(plain.model)), f"the names of the weights, compiled: {how}", why=why)
    same(dict(got), by_name(plain.model), "the weights")


@pytest.mark.parametrize("how", HOW)
def test_compiled_or_not(rng, tmp_path, how):
    """What a plain model was can be put back into a compiled one, and the other way round."""
    path = tmp_path / "run.ckpt"
    for one, other in ((how, "plain"), ("plain", how), (how, HOW[0])):
        first, second = Run(rng.randrange(1000), one), Run(rng.randrange(1000), other)
        first.steps(2)
        module.save_checkpoint(path, module.capture(*first.parts))
        expected = first.steps(3)
        module.restore(module.load_checkpoint(path), *second.parts)
        check.equal(second.steps(3), expected, f"the losses of 3 steps; captured: {one}, put back into: {other}")


# -- what does not fit


def without(state: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: each for key, each in state.items() if key != name}


CHANGES: dict[str, Any] = {
    "a weight that is missing": lambda w: (without(w, "3.weight"), ["3.weight", "2, 5"]),
    "a buffer that is missing": lambda w: (without(w, "1.running_var"), ["1.running_var", "5"]),
    "a weight that is unknown": lambda w: (w | {"4.weight": torch.ones(7, 2)}, ["4.weight", "7, 2"]),
    "another shape": lambda w: (w | {"0.weight": torch.ones(5, 4)}, ["0.weight", "5, 4", "5, 3"]),
    "a shape that was turned": lambda w: (w | {"3.weight": w["3.weight"].T}, ["3.weight", "5, 2", "2, 5"]),
    "one number where five are": lambda w: (w | {"3.bias": torch.ones(1)}, ["3.bias", "1", "2"]),
    "a dimension more": lambda w: (w | {"1.bias": w["1.bias"][None]}, ["1.bias", "1, 5", "5"]),
    "no dimension where one is": lambda w: (w | {"1.weight": torch.tensor(2.0)}, ["1.weight", "()", "5"]),
    "two that do not fit": lambda w: (
        {name: torch.ones(9) if name in ("3.bias", "0.bias") else each for name, each in reversed(w.items())},
        ["0.bias", "9", "5"],
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_weights_that_do_not_fit(rng, kind):
    """Names or shapes that do not fit are a CheckpointError that names the first and its shapes; nothing is changed."""
    first, second = Run(rng.randrange(1000)), Run(rng.randrange(1000), "both" if "turned" in kind else "plain")
    first.steps(2)
    second.steps(1)
    state = module.capture(*first.parts)
    right = dict(state["model"])
    state["model"], naming = CHANGES[kind](right)
    second_before = everything(second)
    # A shape without dimensions may be written in more than one way.
    check.raises(module.CheckpointError, module.restore, state, *second.parts, naming=[n for n in naming if n != "()"])
    same(everything(second), second_before, "the run after that")
    module.restore(state | {"model": right}, *second.parts)
    check.equal(second.steps(2), first_again(first, state, right), "the losses of 2 steps, after weights that fit")


def first_again(first: Run, state: dict[str, Any], right: dict[str, Any]) -> list[float]:
    """The next losses of the run that was captured."""
    module.restore(state | {"model": right}, *first.parts)
    return first.steps(2)


@pytest.mark.parametrize("part", ["model", "optimizer", "loader", "random"])
def test_parts_that_are_not_there(rng, part):
    """A part that is to be restored and is not in the state is a CheckpointError that names it; nothing is changed."""
    first, second = Run(rng.randrange(1000)), Run(rng.randrange(1000))
    first.steps(2)
    second.steps(1)
    state = module.capture(*first.parts)
    before = everything(second)
    check.raises(module.CheckpointError, module.restore, without(state, part), *second.parts, naming=[part])
    same(everything(second), before, "the run after that")
    if part in ("optimizer", "loader"):
        one, other = (None, second.loader) if part == "optimizer" else (second.optimizer, None)
        module.restore(without(state, part), second.model, one, other)
        same(by_name(second.model), by_name(first.model), f"the weights, restored without the {part}")


def test_captured_without_a_part(rng):
    """What was captured without an optimizer or a loader cannot be put back into one."""
    run = Run(rng.randrange(1000))
    for part, given in (("optimizer", (None, run.loader)), ("loader", (run.optimizer, None))):
        state = module.capture(run.model, *given)
        check.raises(module.CheckpointError, module.restore, state, *run.parts, naming=[part])


# -- the newest one that is whole


def test_the_newest(rng, tmp_path):
    """The newest checkpoint is the one with the largest step, whenever it was written."""
    check.equal(module.latest_checkpoint(tmp_path), None, "the newest checkpoint in an empty folder")
    for order, step in enumerate([20, 7, 100_000_000, 99_999_999, 0]):
        path = module.checkpoint_path(tmp_path, step)
        module.save_checkpoint(path, {"step": step})
        os.utime(path, (1_600_000_000 + order, 1_600_000_000 + order))
    for step in (100_000_000, 99_999_999, 20, 7, 0):
        got = module.latest_checkpoint(tmp_path)
        check.true(isinstance(got, tuple) and len(got) == 2, "a path and a state come", got=got)
        check.equal(Path(got[0]).name, f"step-{step:08d}.ckpt", "the name of the newest checkpoint")
        check.equal(got[1], {"step": step}, "its state")
        check.equal(Path(got[0]).parent == tmp_path, True, "whether it is in that folder")
        got[0].unlink()
    check.equal(module.latest_checkpoint(tmp_path), None, "the newest checkpoint when all are gone")


def test_damaged_ones_are_passed_over(rng, tmp_path):
    """Checkpoints that are damaged are passed over, the newest that is whole comes."""
    paths = [module.checkpoint_path(tmp_path, step) for step in (3, 6, 9, 12, 15)]
    for step, path in zip((3, 6, 9, 12, 15), paths):
        module.save_checkpoint(path, {"step": step, "weight": draw(rng, 3, 4)})
    paths[4].write_bytes(paths[4].read_bytes()[:200])
    paths[3].write_bytes(b"")
    paths[2].write_bytes(as_file(saved({"step": Runs(tmp_path / "was run")})))
    got = module.latest_checkpoint(str(tmp_path))
    check.equal(
        got and got[1].get("step"), 6, "the step of the newest checkpoint, if those of 9, 12 and 15 are damaged"
    )
    check.equal("was run" in names(tmp_path), False, "whether something in a file was run")
    for path in paths[:2]:
        path.write_bytes(path.read_bytes()[:-1])
    check.equal(module.latest_checkpoint(tmp_path), None, "the newest checkpoint if all are damaged")
    check.equal(sum(each.endswith(".ckpt") for each in names(tmp_path)), 5, "how many files are there still")


def test_other_files_and_no_folder(rng, tmp_path):
    """Other files in the folder are no checkpoints; in a folder that is not there, there is none."""
    check.equal(module.latest_checkpoint(tmp_path / "none"), None, "the newest checkpoint of no folder")
    check.equal(names(tmp_path), [], "what is there after that")
    _, state = a_file(rng, tmp_path, "step-00000004.ckpt")
    a_file(rng, tmp_path, "best.ckpt")
    a_file(rng, tmp_path, "step-last.ckpt")
    a_file(rng, tmp_path, "step-00000009.ckpt.part")
    got = module.latest_checkpoint(tmp_path)
    check.equal(got and Path(got[0]).name, "step-00000004.ckpt", "the name of the newest checkpoint")
    same(got and got[1], state, "its state")
