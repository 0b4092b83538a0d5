"""What people get wrong in 6.13 Fully sharded (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

CAST = "        dist.broadcast(flat, group=group, group_src=0)\n"
CUT = "flat[self.mine].clone()"
BUFFER = "            dist.broadcast(content, group=group, group_src=0)\n"
MEAN = "mean = reduce_scatter(wide, ctx.unit.group) / dist.get_world_size(ctx.unit.group)"
WIDE = "wide = grad.to(torch.promote_types(grad.dtype, torch.float32))"
LET_GO = "        ctx.unit.free(ctx.whole)  # all gradients are here: nobody needs the weights any more\n"
FREE = "        whole.untyped_storage().resize_(0)\n"
AGAIN = "            whole.copy_(all_gather(self.chunk, self.n, self.group))\n"
REST = "        elif not self.is_rest:\n"
WITHIN = "        if not self.in_backward:\n            self.put(_Gather"

MISTAKES = [
    Mistake(
        "6.13",
        "the gradients are summed up, not averaged",
        "Each rank has the mean loss of its own part of the batch, so the gradient of the whole batch is the mean of "
        "theirs: divide the sum by W.",
        "fully_sharded.py",
        ((MEAN, "mean = reduce_scatter(wide, ctx.unit.group)"),),
    ),
    Mistake(
        "6.13",
        "each rank keeps the gradient that it has itself",
        "A rank has computed all gradients of the unit, from its own part of the batch. Of its chunk of them it needs the "
        "mean over all ranks: `reduce_scatter`, divided by W.",
        "fully_sharded.py",
        ((MEAN, "mean = wide[ctx.unit.mine].clone()"),),
    ),
    Mistake(
        "6.13",
        "the weights are freed by letting go of them",
        "The graph has views of them, for backward, so their memory is not free. Take it away from beneath the views: "
        "`untyped_storage().resize_(0)`, and give it back before backward.",
        "fully_sharded.py",
        ((FREE, ""),),
    ),
    Mistake(
        "6.13",
        "the weights are not freed behind backward",
        "What was gathered for backward has to be freed when the last gradient of the unit is there, not when backward "
        "has come to its end: else all units are whole then.",
        "fully_sharded.py",
        ((LET_GO, ""),),
    ),
    Mistake(
        "6.13",
        "each rank starts from its own weights",
        "A model that is put together from chunks of several models is none of them. Write the first rank's parameters "
        "over those of the others before they are cut.",
        "fully_sharded.py",
        ((CAST, ""),),
    ),
    Mistake(
        "6.13",
        "the buffers stay what they were on each rank",
        "Buffers are not cut, and have to be the same on all ranks: broadcast those of the first rank.",
        "fully_sharded.py",
        ((BUFFER, ""),),
    ),
    Mistake(
        "6.13",
        "the rest is freed behind forward, too",
        "The last thing in forward and the first in backward is the rest. To free it in between saves nothing, and costs "
        "one more all-gather, of the table of all tokens.",
        "fully_sharded.py",
        ((REST, "        else:\n"),),
    ),
    Mistake(
        "6.13",
        "the chunk is a view of the whole",
        "A view keeps all of the memory that it is a view of, so nothing is saved. Copy the numbers that are this rank's.",
        "fully_sharded.py",
        ((CUT, "flat[self.mine]"),),
    ),
    Mistake(
        "6.13",
        "half formats are summed up as they are",
        "In bfloat16, 256 + 1 is 256. Take the sum in float32, and put its mean into the format of the weights.",
        "fully_sharded.py",
        ((WIDE, "wide = grad"),),
    ),
    Mistake(
        "6.13",
        "a checkpoint gathers once more",
        "When a checkpoint runs forward again, it is within backward, and the unit has been gathered: note that, and "
        "leave what is there in its place.",
        "fully_sharded.py",
        ((WITHIN, "        if True:\n            self.put(_Gather"),),
    ),
]
