"""What people get wrong in 5.6 AdamW (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

CALL = "self._update(p, self.state[p], group)\n"
NEW = "if not self.state[p]:\n"
GRAD = "grad: Any = p.grad\n"
COUNT = """\
        state["step"] += 1
        step = state["step"].item()
"""
DECAY = '        p.mul_(1 - lr * group["weight_decay"])\n'
MEAN = "m.lerp_(grad, 1 - beta1)\n"
SQUARES = "v.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)\n"
ROOT = 'root = v.sqrt().div_((1 - beta2**step) ** 0.5).add_(group["eps"])\n'
MOVE = "        p.addcdiv_(m, root, value=-lr / (1 - beta1**step))\n"
TRAINED = "[p for p in model.parameters() if p.requires_grad]\n"
DECAYING = '{"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay},\n'
REST = '{"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},\n'

MISTAKES = [
    Mistake(
        "5.6",
        "the decay is put into the gradient",
        "There it is divided by √v like the gradient itself, and hardly matters where gradients are large. Take "
        "lr · weight_decay · p away from the parameter, beside the step.",
        "optim.py",
        ((DECAY, ""), (GRAD, 'grad: Any = p.grad + group["weight_decay"] * p\n')),
    ),
    Mistake(
        "5.6",
        "m and v are not divided by what they lack at the start",
        "m / (1 - β1ᵗ) and v / (1 - β2ᵗ): with m and v from 0, the first step would be √1000 / 10 times as long.",
        "optim.py",
        (
            (ROOT, 'root = v.sqrt().add_(group["eps"])\n'),
            (MOVE, "        p.addcdiv_(m, root, value=-lr)\n"),
        ),
    ),
    Mistake(
        "5.6",
        "m is divided by what it lacks at the start, v is not",
        "Both begin at 0: v goes through 1 - β2ᵗ before the root is taken.",
        "optim.py",
        ((ROOT, 'root = v.sqrt().add_(group["eps"])\n'),),
    ),
    Mistake(
        "5.6",
        "t stays at 1",
        'state["step"] goes up by one in each step, before it is used.',
        "optim.py",
        ((COUNT, '        state["step"].fill_(1.0)\n        step = 1\n'),),
    ),
    Mistake(
        "5.6",
        "t counts the steps of the optimizer, not those of the parameter",
        "A parameter that gets its first gradient later has m and v that begin later: t is 1 then. Keep it in the "
        "parameter's state.",
        "optim.py",
        (
            (
                "for p in params:\n                if not",
                "self.total = getattr(self, 'total', 0) + (group is self.param_groups[0])\n"
                "            for p in params:\n                if not",
            ),
            (COUNT, '        state["step"].fill_(float(self.total))\n        step = self.total\n'),
        ),
    ),
    Mistake(
        "5.6",
        "m and v begin anew in each step",
        "They are running means: keep them in self.state[p], and make them only if nothing is there yet.",
        "optim.py",
        ((NEW, "if True:\n"),),
    ),
    Mistake(
        "5.6",
        "eps is added within the root",
        "√(v + eps) is another number: eps is added to the root, as in the formula.",
        "optim.py",
        ((ROOT, 'root = v.div(1 - beta2**step).add_(group["eps"]).sqrt_()\n'),),
    ),
    Mistake(
        "5.6",
        "eps is added to the root before v is divided by what it lacks",
        "First v / (1 - β2ᵗ), then the root, then eps.",
        "optim.py",
        ((ROOT, 'root = v.sqrt().add_(group["eps"]).div_((1 - beta2**step) ** 0.5)\n'),),
    ),
    Mistake(
        "5.6",
        "the step is divided by v, not by its root",
        "v is a mean of squares; its root is of the size of a gradient, so that m / √v has none.",
        "optim.py",
        ((ROOT, 'root = v.div(1 - beta2**step).add_(group["eps"])\n'),),
    ),
    Mistake(
        "5.6",
        "β1 and β2 have changed places",
        "β1 is for m, the mean of the gradients; β2, which is larger, for v, the mean of their squares.",
        "optim.py",
        (("lr, (beta1, beta2), m, v =", "lr, (beta2, beta1), m, v ="),),
    ),
    Mistake(
        "5.6",
        "the decay is not multiplied by the learning rate",
        "The share that is taken away is lr · weight_decay: a schedule lowers both together.",
        "optim.py",
        ((DECAY, '        p.mul_(1 - group["weight_decay"])\n'),),
    ),
    Mistake(
        "5.6",
        "the decay comes after the step, and shrinks it too",
        "First p = p - lr · weight_decay · p, with the parameter as it was; then the step.",
        "optim.py",
        ((DECAY, ""), (MOVE, MOVE + DECAY)),
    ),
    Mistake(
        "5.6",
        "the options are the optimizer's, not those of the group",
        'A scheduler writes into group["lr"], and groups have a weight_decay of their own: read options there, in '
        "each step.",
        "optim.py",
        ((CALL, "self._update(p, self.state[p], self.defaults)\n"),),
    ),
    Mistake(
        "5.6",
        "gains, shifts and biases decay too",
        "What has fewer than two dimensions goes into the second group, with a weight_decay of 0.",
        "optim.py",
        ((DECAYING, DECAYING.replace(" if p.dim() >= 2", "")), (REST, REST.replace("p.dim() < 2", "False"))),
    ),
    Mistake(
        "5.6",
        "parameters are sorted by their names, so the gains of norms decay",
        "A norm's gain is called weight too. Ask for p.dim().",
        "optim.py",
        (
            (TRAINED, '{p: "bias" in name for name, p in model.named_parameters() if p.requires_grad}\n'),
            (DECAYING, DECAYING.replace("p.dim() >= 2", "not trained[p]")),
            (REST, REST.replace("p.dim() < 2", "trained[p]")),
        ),
    ),
    Mistake(
        "5.6",
        "frozen parameters are in the groups",
        "Leave out what has requires_grad=False: nothing is trained there.",
        "optim.py",
        ((TRAINED, "list(model.parameters())\n"),),
    ),
    Mistake(
        "5.6",
        "a shared parameter is there twice",
        "model.parameters() gives each parameter once; the parameters of all its parts, one by one, are more.",
        "optim.py",
        (
            (
                TRAINED,
                "[p for part in model.modules() for p in part.parameters(recurse=False) if p.requires_grad]\n",
            ),
        ),
    ),
]
