"""What people get wrong in 5.8 Clipping (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

NORMS = "norms = torch.stack([torch.linalg.vector_norm(g, dtype=_wide(g)).to(grads[0].device) for g in grads])"
NORM = "norm = torch.linalg.vector_norm(norms)\n"
IF = "if max_norm < norm < math.inf:"
SCALE = "g.mul_((max_norm / norm).to(g.device))"

MISTAKES = [
    Mistake(
        "5.8",
        "each tensor is clipped by itself",
        "Then long ones are shortened more than short ones, and the step goes in another direction. One norm of all, "
        "and one factor for all.",
        "clip.py",
        (
            (IF, "if norm < math.inf:"),
            (SCALE, "g.mul_((max_norm / torch.linalg.vector_norm(g, dtype=_wide(g))).clamp(max=1.0))"),
        ),
    ),
    Mistake(
        "5.8",
        "short gradients are stretched to max_norm",
        "max_norm is the longest that is allowed. What is shorter stays as it is: multiply only if norm > max_norm.",
        "clip.py",
        ((IF, "if 0 < norm < math.inf and max_norm < math.inf:"),),
    ),
    Mistake(
        "5.8",
        "the lengths of the tensors are added up",
        "Lengths of 3 and 4 at a right angle are 5 together: add up the squares, and take one root at the end.",
        "clip.py",
        ((NORM, "norm = norms.sum()\n"),),
    ),
    Mistake(
        "5.8",
        "the norm is not a root, but the sum of the squares",
        "The length of [3, 4] is √(9 + 16). Compared with max_norm, and divided by, is the root.",
        "clip.py",
        ((NORM, "norm = norms.square().sum()\n"),),
    ),
    Mistake(
        "5.8",
        "what comes back is the norm after clipping",
        "The caller wants to see how long the gradients were: a norm that is never above max_norm says nothing.",
        "clip.py",
        ((SCALE, f"{SCALE}\n        norm = norm.clamp(max=max_norm)"),),
    ),
    Mistake(
        "5.8",
        "each number is cut off at max_norm",
        "That changes the direction, and many small numbers stay as long as they were. Multiply all by one factor.",
        "clip.py",
        ((IF, "if norm < math.inf:"), (SCALE, "g.clamp_(-max_norm, max_norm)")),
    ),
    Mistake(
        "5.8",
        "infinite gradients are clipped too, and become nan",
        "max_norm / inf is 0: finite gradients become 0 and infinite ones nan. Leave all alone if the norm is not finite.",
        "clip.py",
        ((IF, "if norm > max_norm:"),),
    ),
    Mistake(
        "5.8",
        "the norms of half formats are computed in their own format",
        "300² is more than float16 can hold, and bfloat16 keeps three digits. Let vector_norm work with dtype=float32.",
        "clip.py",
        ((NORMS, "norms = torch.stack([torch.linalg.vector_norm(g).to(grads[0].device) for g in grads])"),),
    ),
    Mistake(
        "5.8",
        "the gradients are replaced by new tensors",
        "Others may hold the same tensor as p.grad: an optimizer, or a buffer that all gradients lie in. g.mul_(factor) "
        "changes it in place.",
        "clip.py",
        (
            ("    grads = [p.grad", "    parameters = list(parameters)\n    grads = [p.grad"),
            (
                f"        for g in grads:\n            {SCALE}",
                "        for p in parameters:\n            if p.grad is not None:\n"
                "                p.grad = p.grad * (max_norm / norm).to(p.grad.dtype)",
            ),
        ),
    ),
]
