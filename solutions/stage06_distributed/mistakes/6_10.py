"""What people get wrong in 6.10 Checkpoints of many processes (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

ROW = 'elif isinstance(module, RowParallelLinear) and own.endswith("weight"):'
ROWS = "                found[own] = 1\n"
COLUMN = "ColumnParallelLinear | VocabParallelEmbedding"
BESIDE = 'beside, before = folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.old")'
SAVE = (
    "    save(state, checkpoint_id=beside)  # makes the folder; the first rank comes out of it when all have written\n"
)
CLEAN = "        shutil.rmtree(beside, ignore_errors=True)\n"
NAME = "        os.replace(beside, folder)\n"
ASIDE = "            os.replace(folder, before)\n"
LAST = "        shutil.rmtree(before, ignore_errors=True)\n    dist.barrier()\n"
WRITE = '    write_optimizer(optimizer, model, state["optimizer"])\n'
SHAPE = "        if shape != own.shape:\n"
ROOM = '    state["optimizer"] = room_for_optimizer(there, model, mesh)\n'

MISTAKES = [
    Mistake(
        "6.10",
        "biases of row-parallel layers are taken for parts",
        "A row-parallel layer adds its bias after the sum over ranks, so each rank has all of it. Only the weight is cut.",
        "distributed_checkpoint.py",
        (
            (ROW, "elif isinstance(module, RowParallelLinear):"),
            (ROWS, '                found[own] = 1 if own.endswith("weight") else 0\n'),
        ),
    ),
    Mistake(
        "6.10",
        "row-parallel weights are put together along the wrong dimension",
        "The weight is (N, M) and takes M numbers in, of which each rank has a part: dimension 1.",
        "distributed_checkpoint.py",
        ((ROWS, "                found[own] = 0\n"),),
    ),
    Mistake(
        "6.10",
        "token tables are taken for whole",
        "`VocabParallelEmbedding` has the rows of V / W tokens: dimension 0. Taken for whole, one rank's rows are kept.",
        "distributed_checkpoint.py",
        ((COLUMN, "ColumnParallelLinear"),),
    ),
    Mistake(
        "6.10",
        "it is written right into the folder of that name",
        "A run that is killed on the way leaves half a checkpoint, over the whole one that was there. Save into `beside`, "
        "and rename it at the end.",
        "distributed_checkpoint.py",
        (
            (CLEAN, "        shutil.rmtree(folder, ignore_errors=True)\n"),
            (SAVE, "    save(state, checkpoint_id=folder)\n    first = False\n"),
        ),
    ),
    Mistake(
        "6.10",
        "the old checkpoint is deleted before the new one has its name",
        "Whoever is killed between the two has neither. Rename the old one, rename the new one, then delete the old one.",
        "distributed_checkpoint.py",
        ((ASIDE, "            shutil.rmtree(folder)\n"),),
    ),
    Mistake(
        "6.10",
        "the other ranks go on before the folder has its name",
        "Only the first rank renames. Without a barrier behind it, others look for a checkpoint that is not there yet.",
        "distributed_checkpoint.py",
        ((LAST, LAST.replace("    dist.barrier()\n", "")),),
    ),
    Mistake(
        "6.10",
        "the state that was loaded is not handed to the optimizer",
        "`load` fills tensors that you have made room for. AdamW sees them when `write_optimizer` gives them to it; else "
        "it goes on with the means that it had.",
        "distributed_checkpoint.py",
        ((WRITE, ""),),
    ),
    Mistake(
        "6.10",
        "each rank writes everything that it has",
        "Then what all copies of a model have alike is on the disk once for each. `save` writes what has the same name "
        "once: give it the same names on all ranks.",
        "distributed_checkpoint.py",
        ((SAVE, "    save({**state, f'of rank {dist.get_rank()}': state}, checkpoint_id=beside)\n"),),
    ),
]
