"""What people get wrong in 6.4 Number formats (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

MISTAKES = [
    Mistake(
        "6.4",
        "the masters are in the half format too",
        "A copy of a bfloat16 parameter is bfloat16, and loses small steps like the parameter itself: "
        "p.detach().to(torch.float32, copy=True).",
        "precision.py",
        (
            ("p.detach().to(torch.float32, copy=True)", "p.detach().clone()"),
            ("p.grad.to(torch.float32, copy=True)", "p.grad.clone()"),
        ),
    ),
    Mistake(
        "6.4",
        "the masters are rounded together with the parameters",
        "What a step has added beyond the digits of the half format is then gone, as if there were no masters. "
        "Numbers go from the masters to the parameters, never back.",
        "precision.py",
        (
            (
                "                p.copy_(master)\n                master.grad = None",
                "                p.copy_(master)\n                master.copy_(p)\n                master.grad = None",
            ),
        ),
    ),
    Mistake(
        "6.4",
        "step takes the gradients anew, though they were taken and changed",
        "Whoever calls take_gradients divides or clips the masters' gradients before step. Take them in step only if "
        "no master has one.",
        "precision.py",
        (("if all(master.grad is None for master in self.masters):", "if self.masters:"),),
    ),
    Mistake(
        "6.4",
        "the masters keep their gradients after a step",
        "The next step finds them there, and goes by the old ones. Behind the step, each master.grad is None.",
        "precision.py",
        (("                p.copy_(master)\n                master.grad = None", "                p.copy_(master)"),),
    ),
    Mistake(
        "6.4",
        "masters go on from the rounded parameters after loading",
        "A checkpoint of the half-format weights holds three digits. The saved masters are loaded into the masters, and "
        "rounded into the parameters.",
        "precision.py",
        (
            (
                "                master.copy_(saved)\n                p.copy_(master)",
                "                p.copy_(saved)\n                master.copy_(p)",
            ),
        ),
    ),
    Mistake(
        "6.4",
        "the model is brought into the format that is computed in",
        "With weights in float32, autocast makes factors narrow on their way into a product, and the weights stay wide: "
        "place goes by policy.weights, not by policy.compute.",
        "precision.py",
        (("return model.to(self.weights)", "return model.to(self.compute)"),),
    ),
    Mistake(
        "6.4",
        "autocast is on for a model in the half format as well",
        "A model that is in the half format needs no region: where weights are in the format that is computed in, "
        "nothing is to change.",
        "precision.py",
        (("if self.compute == self.weights:", "if self.compute == torch.float32:"),),
    ),
    Mistake(
        "6.4",
        "the loss is scaled for bfloat16 too",
        "bfloat16 has as many bits for the exponent as float32, so what float32 can hold is not 0 there. Only float16 "
        "needs a scale.",
        "precision.py",
        (("return self.compute == torch.float16", "return self.compute != torch.float32"),),
    ),
    Mistake(
        "6.4",
        "numbers that were 0 before count as lost",
        "A gradient of 0 is 0 in every format. Count those that are not 0 before, and of them those that are after.",
        "precision.py",
        (
            ("some += int(there.sum())", "some += g.numel()"),
            ("lost += int((there & (", "lost += int((("),
        ),
    ),
    Mistake(
        "6.4",
        "the shares of the tensors are averaged",
        "A tensor of 4 numbers and one of a million would count the same. Add up counts over all tensors, and divide once.",
        "precision.py",
        (
            ("some += int(there.sum())", "some += int(there.any())"),
            (
                "lost += int((there & ((g.float() * scale).to(dtype) == 0)).sum())",
                "lost += (there & ((g.float() * scale).to(dtype) == 0)).sum().item() / max(1, int(there.sum()))",
            ),
        ),
    ),
]
