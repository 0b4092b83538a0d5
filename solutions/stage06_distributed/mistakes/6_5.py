"""What people get wrong in 6.5 Loss scaling (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

ASK = "dist.all_reduce(finite, dist.ReduceOp.MIN, group=self.group)"
LOOK = "finite.mul_(p.grad.isfinite().all().to(finite))"
DIVIDE = "                p.grad.div_(self.factor)\n"
TAKE = "        if self.finite:\n            optimizer.step()\n"
SMALLER = "self.factor, self.good_steps = self.factor * self.backoff, 0"
LARGER = "self.factor, self.good_steps = self.factor * self.growth, 0"

MISTAKES = [
    Mistake(
        "6.5",
        "one rank leaves out a step, and the others take it",
        "Only one rank may see an infinite gradient. Ask all ranks of the group, and leave the step out if one has to: "
        "the smallest of their 0 or 1 says it.",
        "precision.py",
        ((ASK, "pass"),),
    ),
    Mistake(
        "6.5",
        "one rank with finite gradients is enough for all to step",
        "The step is left out if any rank has to: the minimum over the ranks of 1 for finite and 0 for not, or the "
        "maximum of the opposite.",
        "precision.py",
        ((ASK, ASK.replace("MIN", "MAX")),),
    ),
    Mistake(
        "6.5",
        "the gradients are divided in step, after they were clipped",
        "Clipped to 1 with a scale of 65536 in them, and divided then, they are 1/65536 long: the steps vanish. unscale "
        "divides, before clipping.",
        "precision.py",
        (
            (DIVIDE, ""),
            (
                TAKE,
                "        if self.finite:\n            for group in getattr(optimizer, 'param_groups', []):\n"
                "                for p in group['params']:\n                    if p.grad is not None:\n"
                "                        p.grad.div_(self.factor)\n            optimizer.step()\n",
            ),
        ),
    ),
    Mistake(
        "6.5",
        "the step is taken whatever the gradients are",
        "One step with inf or nan, and every weight is nan. Call optimizer.step() only if unscale found all finite.",
        "precision.py",
        ((TAKE, "        optimizer.step()\n"),),
    ),
    Mistake(
        "6.5",
        "the scale never grows",
        "It only ever halves then, and small gradients vanish again. After `interval` good steps in a row, multiply it "
        "by growth.",
        "precision.py",
        ((LARGER, "self.good_steps = 0"),),
    ),
    Mistake(
        "6.5",
        "good steps are counted over a bad one",
        "Only good steps in a row show that there is room: a bad one begins the count at 0.",
        "precision.py",
        ((SMALLER, "self.factor = self.factor * self.backoff"),),
    ),
    Mistake(
        "6.5",
        "once it has grown, the scale grows at each step",
        "The count begins at 0 after the scale has changed, so that `interval` steps have to be good again.",
        "precision.py",
        ((LARGER, "self.factor = self.factor * self.growth"),),
    ),
    Mistake(
        "6.5",
        "nan is found, and inf is not",
        "What is too large for float16 is inf: nan comes later, from inf - inf. isfinite() finds both.",
        "precision.py",
        ((LOOK, "finite.mul_((~p.grad.isnan().any()).to(finite))"),),
    ),
    Mistake(
        "6.5",
        "only the last gradient is looked at",
        "Each gradient may be the one that is not finite: keep the answer False once it is.",
        "precision.py",
        ((LOOK, "finite = p.grad.isfinite().all().to(finite)"),),
    ),
    Mistake(
        "6.5",
        "the count of good steps is not saved",
        "After loading the scale would grow later than without the interruption. Save both numbers.",
        "precision.py",
        (
            (
                'self.factor, self.good_steps = state["factor"], state["good_steps"]',
                'self.factor, self.good_steps = state["factor"], 0',
            ),
        ),
    ),
]
