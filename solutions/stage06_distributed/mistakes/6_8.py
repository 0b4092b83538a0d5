"""What people get wrong in 6.8 A sharded optimizer (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

OPTIONS = '            inner.update({key: value for key, value in outer.items() if key != "params"})\n'
GRADIENT = "piece.grad = None if p.grad is None else p.grad.reshape(-1)[start:stop]"
ALL = "parts = all_gather(chunk, sum(sizes), self.group).split(sizes)"
PUT = "                p.copy_(part)\n"
CUT = "            start, stop = max(begin - place, 0), min(end - place, p.numel())\n"
PIECE = "nn.Parameter(p.detach().view(-1)[start:stop])"
LOADED = "value.reshape(-1)[start:stop].to("
CLEAR = "        self.local.state.clear()\n"
LET_GO = "        self.local.zero_grad()\n"

MISTAKES = [
    Mistake(
        "6.8",
        "every rank has the whole optimizer",
        "The weights come out right, and nothing is saved: W times the same state. Give `make` only the pieces that this "
        "rank has of its chunk.",
        "zero.py",
        ((CUT, "            start, stop = 0, p.numel()\n"), (ALL, "parts = chunk.split(sizes)")),
    ),
    Mistake(
        "6.8",
        "what the other ranks have stepped does not come here",
        "Each rank has new weights in its own part and old ones in all others, so no two ranks have the same model. "
        "Gather each group, and write it back.",
        "zero.py",
        ((PUT, "                pass\n"),),
    ),
    Mistake(
        "6.8",
        "a changed lr does not reach the local optimizer",
        "Schedulers and people change `param_groups` of the optimizer that they know. Before each step, the options "
        "there have to be copied into the groups of the local one.",
        "zero.py",
        ((OPTIONS, "            pass\n"),),
    ),
    Mistake(
        "6.8",
        "a gradient that is not there counts as zeros",
        "With a gradient of 0, a weight still decays and goes on with its momentum. A piece of what has none must have "
        "None.",
        "zero.py",
        ((GRADIENT, "piece.grad = (torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1)[start:stop]"),),
    ),
    Mistake(
        "6.8",
        "of a saved tensor, each rank takes the beginning",
        "Cut the tensor where the parameter was cut: from `start` to `stop`, not the first numbers that fit.",
        "zero.py",
        ((LOADED, "value.reshape(-1)[: stop - start].to("),),
    ),
    Mistake(
        "6.8",
        "what there was before loading is not gone",
        "A parameter without a state in what is loaded has none afterwards either: empty `local.state` first.",
        "zero.py",
        ((CLEAR, ""),),
    ),
    Mistake(
        "6.8",
        "the pieces are copies of the weights",
        "The local optimizer steps its copies, and nobody sees what else is written over the weights. A view, such as "
        "`p.detach().view(-1)[start:stop]`, has the memory of the parameter itself.",
        "zero.py",
        ((PIECE, "nn.Parameter(p.detach().view(-1)[start:stop].clone())"),),
    ),
    Mistake(
        "6.8",
        "the pieces of the gradients are never let go",
        "A view keeps all of the gradient in memory after `zero_grad`. Set `piece.grad` to None when the step is done.",
        "zero.py",
        ((LET_GO, ""),),
    ),
]
