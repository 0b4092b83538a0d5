"""What people get wrong in 6.11 The engine (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

TWICE = "    twice = model.shared if isinstance(model, PipelineStage) and not model.is_first else None\n"
CUT = '    dist.all_reduce(squares[:1], group=mesh.group("tp"))\n'
STAGES = '    dist.all_reduce(total, group=mesh.group("pp"))\n'
WORLD = "LossScaler(group=dist.group.WORLD)"
ROWS = 'rows = list(ShardedSampler(len(batch.ids), self.mesh.rank("dp"), self.mesh.layout.dp, shuffle=False))'
SHARE = 'share = share_of(count, self.mesh.group("dp"), self.mesh.device)\n'
TOTAL = '        dist.all_reduce(total, group=self.mesh.group("dp"))\n'
COPIES = "total.item() / self.mesh.layout.dp"
UNSCALE = "        finite = self.scaler.unscale(parameters) if self.scaler and math.isfinite(loss) else True\n"
NORM = "        norm = global_norm(self.stage, self.mesh)\n"
CLIP = """        if finite and self.config.max_norm is not None and norm > self.config.max_norm:
            for p in parameters:
                if p.grad is not None:
                    p.grad.mul_(self.config.max_norm / norm)
"""
UPDATE = "            self.scaler.update()\n"
END = "        self._clear(parameters)\n        return StepResult"
ZERO = 'ShardedOptimizer(groups, make, mesh.group("dp")) if engine.zero else make(groups)'

MISTAKES = [
    Mistake(
        "6.11",
        "the gradients are clipped by the norm of what this rank has",
        "Each stage, and each part of a matrix, is then shortened by another factor. Sum the squares of the parts over "
        "tp, and all of them over pp, before the root.",
        "engine.py",
        ((CUT, ""), (STAGES, "")),
    ),
    Mistake(
        "6.11",
        "what is whole on all ranks of tp counts once for each of them in the norm",
        "Norms, biases of row-parallel layers and learned positions are the same on all of them. Keep two sums: that of "
        "the parts goes over tp, the other one does not.",
        "engine.py",
        ((CUT, '    dist.all_reduce(squares, group=mesh.group("tp"))\n'),),
    ),
    Mistake(
        "6.11",
        "the table that two stages share counts twice in the norm",
        "The first and the last stage both have it, with the same gradient. `stage.shared` says which one it is: leave "
        "it out on all stages but the first.",
        "engine.py",
        ((TWICE, "    twice = None\n"),),
    ),
    Mistake(
        "6.11",
        "the mean of the copies' means is taken, however many targets each of them has",
        "A target in a row with few of them then weighs more. `share_of` says what a copy's mean is to be multiplied with.",
        "engine.py",
        ((SHARE, f"{SHARE}        share = 1.0\n"),),
    ),
    Mistake(
        "6.11",
        "each micro-batch weighs the same, however many targets it has",
        "The mean of means is not the mean of all targets. Weigh each micro-batch by its part of the targets that count.",
        "engine.py",
        (("mean * (batch.counted * weight)", "mean * (count / len(own) * weight)"),),
    ),
    Mistake(
        "6.11",
        "all copies read the same rows",
        "Then W copies do what one could have done alone. Each row of a batch goes to one copy: every dp-th, from the "
        "rank's own place among the copies on.",
        "engine.py",
        ((ROWS, "rows = list(range(len(batch.ids)))"),),
    ),
    Mistake(
        "6.11",
        "the loss is that of this copy's rows",
        "What a step tells is the same on all ranks: average the copies' losses over dp. Else one copy may raise an error "
        "for a loss that is nan, and the others wait for it.",
        "engine.py",
        ((TOTAL, ""), (COPIES, "total.item()")),
    ),
    Mistake(
        "6.11",
        "gradients are clipped before they are divided by the scale",
        "They are 65536 times as long then, so all of them are clipped, and vanish when they are divided. Unscale, then "
        "measure, then clip.",
        "engine.py",
        ((UNSCALE, ""), (CLIP, f"        finite = bool(norm.isfinite())\n{CLIP}{UNSCALE}")),
    ),
    Mistake(
        "6.11",
        "only the copies of a part agree on whether to leave out a step",
        "If a gradient overflows in one stage, or in one part of a matrix, the other ranks take the step, and the parts "
        "are no longer those of one model. Ask all ranks: the group is dist.group.WORLD.",
        "engine.py",
        ((WORLD, 'LossScaler(group=mesh.group("dp"))'),),
    ),
    Mistake(
        "6.11",
        "gradients travel after each micro-batch",
        "The result is the same, for as many times the traffic as there are micro-batches. Give the schedule "
        "`no_sync` of the copies: it runs all backward passes but the last within it.",
        "engine.py",
        ((", self.copies.no_sync, region)", ", region=region)"),),
    ),
    Mistake(
        "6.11",
        "gradients stay after the step",
        "The next backward adds to them. Set p.grad to None for all parameters, at the end, and before an error.",
        "engine.py",
        ((END, "        return StepResult"),),
    ),
    Mistake(
        "6.11",
        "the optimizer's state is shared out among all ranks",
        "Only the copies of the same part have the same weights. Ranks with other stages, or other parts of matrices, "
        "have other numbers in the same places.",
        "engine.py",
        ((ZERO, "ShardedOptimizer(groups, make) if engine.zero else make(groups)"),),
    ),
]
