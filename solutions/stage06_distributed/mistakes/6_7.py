"""What people get wrong in 6.7 Pipeline parallelism (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

AHEAD = "ahead = min(line.world - 1 - line.rank, count)"
GPIPE = """    for number in range(len(batches)):
        line.send_forward(line.forward(number, line.receive_forward(number)))
    for number in reversed(range(len(batches))):
        line.send_backward(line.backward(number, line.receive_backward(number)))
    return line.end()
"""
AT_ONCE = """    for number in range(len(batches)):
        line.send_forward(line.forward(number, line.receive_forward(number)))
        line.send_backward(line.backward(number, line.receive_backward(number)))
    return line.end()
"""
SHARES = "        stages[0].shares = stages[-1].shares = True\n"
LOSS = "out = self.loss_of(out, batch)"

MISTAKES = [
    Mistake(
        "6.7",
        "the loss is divided by the number of micro-batches",
        "loss_of gives what a micro-batch adds to the loss, weighed already: add it up as it comes. A mean of means would "
        "be wrong anyway where they have different numbers of targets.",
        "pipeline.py",
        ((LOSS, f"{LOSS} / len(self.batches)"),),
    ),
    Mistake(
        "6.7",
        "gpipe passes each micro-batch back before the next one goes forward",
        "Then one stage works while all others wait, and more micro-batches do not help. First all forward, then all "
        "backward.",
        "pipeline.py",
        ((GPIPE, AT_ONCE),),
    ),
    Mistake(
        "6.7",
        "1F1B goes one micro-batch further ahead than it should",
        "Rank r passes P - 1 - r micro-batches forward before the turns begin, each of which begins with one forward. "
        "The last rank goes none ahead: it has the loss at once.",
        "pipeline.py",
        ((AHEAD, "ahead = min(line.world - line.rank, count)"),),
    ),
    Mistake(
        "6.7",
        "1F1B goes no micro-batch ahead",
        "The first stage then waits until its only micro-batch has been through all the others and back. Rank r passes "
        "P - 1 - r of them forward before the turns begin.",
        "pipeline.py",
        ((AHEAD, "ahead = 0"),),
    ),
    Mistake(
        "6.7",
        "all ranks go equally far ahead in 1F1B",
        "The further behind a stage is, the sooner a gradient comes back to it: rank r passes P - 1 - r micro-batches "
        "forward first, so that the last one can turn each around at once.",
        "pipeline.py",
        ((AHEAD, "ahead = min(line.world - 1, count)"),),
    ),
    Mistake(
        "6.7",
        "the blocks do not get the positions",
        "A block counts from 0 where it is told nothing, and rotates or shifts by that. Pass positions on to each block, "
        "in each stage.",
        "pipeline.py",
        (("x = block(x, mask, positions)", "x = block(x, mask)"),),
    ),
    Mistake(
        "6.7",
        "the last stages get the blocks that are left over",
        "The first ones get one more: the last stage has the output besides, which is as much work as some blocks.",
        "pipeline.py",
        (("(number < len(blocks) % count)", "(number >= count - len(blocks) % count)"),),
    ),
    Mistake(
        "6.7",
        "the two copies of a shared table do not know of each other",
        "Each then learns from its own gradient, and they drift apart. Set `shares` on the first and the last stage, so "
        "that their gradients are added up.",
        "pipeline.py",
        ((SHARES, ""),),
    ),
    Mistake(
        "6.7",
        "the bubble is compared with the work, not with the whole time",
        "(P - 1) / M says how much time is added to the work. Of all M + P - 1 rounds, P - 1 are waited for.",
        "pipeline.py",
        (("return (stages - 1) / (micro_batches + stages - 1)", "return (stages - 1) / micro_batches"),),
    ),
]
