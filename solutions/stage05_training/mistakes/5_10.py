"""What people get wrong in 5.10 Checkpoints (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

BESIDE = 'beside = path.with_name(f".{path.name}.{os.getpid()}.part")'
FORCED = "            file.flush()\n            os.fsync(file.fileno())\n"
TIDIED = """\
    try:
        with open(beside, "wb") as file:
            file.write(MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\\n")
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
"""
UNTIDY = """\
    with open(beside, "wb") as file:
        file.write(MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\\n")
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
"""
IN_PLACE = """\
    with open(path, "wb") as file:
        file.write(MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\\n")
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
"""
DAMAGED = 'if hashlib.sha256(content).hexdigest().encode() + b"\\n" != data[len(MAGIC) : head]:'
NAMES = '{name.replace("_orig_mod.", ""): value for name, value in model.state_dict().items()}'
CHECKED = """\
        here, there = (tuple(each[name].shape) if name in each else "missing" for each in (own, saved))
        if here != there:
            raise CheckpointError(f"this is of another model: {name} is {there} in the checkpoint, {here} in the model")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(saved[name])
"""
AS_IT_GOES = """\
        here, there = (tuple(each[name].shape) if name in each else "missing" for each in (own, saved))
        if here != there:
            raise CheckpointError(f"this is of another model: {name} is {there} in the checkpoint, {here} in the model")
        with torch.no_grad():
            own[name].copy_(saved[name])
"""

MISTAKES = [
    Mistake(
        "5.10",
        "the file is written in place",
        "From the moment it is opened until all is written, there is neither the old file nor the new one. Write beside "
        "it, then os.replace.",
        "checkpoint.py",
        ((TIDIED, IN_PLACE),),
    ),
    Mistake(
        "5.10",
        "the old file is removed before the new one takes its name",
        "A crash between the two leaves none. os.replace takes the name in one step, whether there is a file or not.",
        "checkpoint.py",
        (
            (
                "        os.replace(beside, path)\n",
                "        path.unlink(missing_ok=True)\n        os.replace(beside, path)\n",
            ),
        ),
    ),
    Mistake(
        "5.10",
        "what was half written is left behind",
        "A full disk gets fuller with each try. Take the file away in a finally, or in an except that raises again.",
        "checkpoint.py",
        ((TIDIED, UNTIDY),),
    ),
    Mistake(
        "5.10",
        "the new file is not forced onto the disk",
        "The name may reach the disk before the content does: file.flush() and os.fsync(file.fileno()), then os.replace.",
        "checkpoint.py",
        ((FORCED, ""),),
    ),
    Mistake(
        "5.10",
        "the new file is written into another folder",
        "Another folder may be on another disk, and then nothing takes a name in one step. Write it into the same one.",
        "checkpoint.py",
        ((BESIDE, 'beside = path.parent.parent / f".{path.name}.{os.getpid()}.part"'),),
    ),
    Mistake(
        "5.10",
        "damage is not noticed",
        "Compare the SHA-256 of what is there with the one in the second line, before anything is read.",
        "checkpoint.py",
        ((DAMAGED, "if len(data) < head:"),),
    ),
    Mistake(
        "5.10",
        "a file that cannot be trusted is run",
        "To unpickle is to run what the file says, and a digest is computed by whoever wrote it. weights_only=True.",
        "checkpoint.py",
        (("map_location=map_location, weights_only=True", "map_location=map_location, weights_only=False"),),
    ),
    Mistake(
        "5.10",
        "the weights of a compiled model are kept under its own names",
        'torch.compile puts "_orig_mod." into the names: take it out when they are captured, and when they are compared.',
        "checkpoint.py",
        ((NAMES, "dict(model.state_dict())"),),
    ),
    Mistake(
        "5.10",
        "the weights of compiled parts are kept under their own names",
        'A part that is compiled has "_orig_mod." in the middle of its names: take it out wherever it is.',
        "checkpoint.py",
        ((NAMES, NAMES.replace('replace("_orig_mod.", "")', 'removeprefix("_orig_mod.")')),),
    ),
    Mistake(
        "5.10",
        "what is captured are the tensors of the run, not copies",
        "state_dict() gives the very tensors that the next step writes into: copy.deepcopy.",
        "checkpoint.py",
        (("    return copy.deepcopy(state)\n", "    return state\n"),),
    ),
    Mistake(
        "5.10",
        "the run writes into the state that was put back",
        "An optimizer may keep the tensors that it gets: give it copies.",
        "checkpoint.py",
        (("part.load_state_dict(copy.deepcopy(state[name]))", "part.load_state_dict(state[name])"),),
    ),
    Mistake(
        "5.10",
        "only torch's generator goes on where it was",
        "Python and NumPy have generators of their own: random.getstate() and np.random.get_state().",
        "checkpoint.py",
        (
            ('    random.setstate(states["python"])\n', ""),
            ("    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))\n", ""),
        ),
    ),
    Mistake(
        "5.10",
        "a generator forgets the second of two normal numbers",
        "Normal numbers are drawn in pairs, and the second is kept for the next call: it is a part of the state.",
        "checkpoint.py",
        (
            (
                "np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))",
                "np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), rest[0]))",
            ),
        ),
    ),
    Mistake(
        "5.10",
        "weights are written before all are compared",
        "Go through all names first, then write: else a file of another model leaves half of its weights.",
        "checkpoint.py",
        ((CHECKED, AS_IT_GOES),),
    ),
    Mistake(
        "5.10",
        "weights that the model does not have are ignored",
        "A name that only the checkpoint has says that it is of another model: compare the names of both.",
        "checkpoint.py",
        (("for name in dict.fromkeys([*own, *saved]):", "for name in own:"),),
    ),
    Mistake(
        "5.10",
        "only the newest checkpoint is looked at",
        "If it is damaged, the one before it will do: go on to the first that can be read.",
        "checkpoint.py",
        (("for path in reversed(checkpoints(folder)):", "for path in checkpoints(folder)[-1:]:"),),
    ),
    Mistake(
        "5.10",
        "the newest checkpoint is the one that was written last",
        "The number of the step counts, not the time of the file: a copied folder has other times.",
        "checkpoint.py",
        (
            (
                "for path in reversed(checkpoints(folder)):",
                "for path in sorted(checkpoints(folder), key=os.path.getmtime, reverse=True):",
            ),
        ),
    ),
]
