"""What people get wrong in 6.9 Recomputation (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

AGAIN = "    again = as_it_was(devices)\n"
REGION = "with again(), torch.enable_grad(), saved_tensors_hooks(keep, lambda kept: kept):"
RUN = "            with again(), torch.enable_grad(), saved_tensors_hooks(keep, lambda kept: kept):\n                function(*args)\n"
REENTRANT = """
    class Again(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            with torch.no_grad():
                return function(*inputs)

        @staticmethod
        def backward(ctx, *gradients):
            inputs = [a.detach().requires_grad_(a.requires_grad) if isinstance(a, Tensor) else a for a in args]
            with again(), torch.enable_grad():
                out = function(*inputs)
            several = out if isinstance(out, tuple) else (out,)
            pairs = [(o, g) for o, g in zip(several, gradients) if isinstance(o, Tensor) and o.requires_grad]
            torch.autograd.backward([o for o, _ in pairs], [g for _, g in pairs])
            return tuple(a.grad if isinstance(a, Tensor) else None for a in inputs)

    return Again.apply(*args)"""

MISTAKES = [
    Mistake(
        "6.9",
        "dropout is drawn anew in the second run",
        "Gradients then belong to another network than the loss. Run the function the second time in the region that "
        "as_it_was(devices), called before the first run, gives.",
        "recompute.py",
        ((REGION, REGION.replace("again(), ", "")),),
    ),
    Mistake(
        "6.9",
        "the states of the generators are noted at backward",
        "By then others have drawn from them, and autocast's region is over. Call as_it_was before the first run, and "
        "what it gives in the second.",
        "recompute.py",
        ((AGAIN, ""), (REGION, REGION.replace("again()", "as_it_was(devices)()"))),
    ),
    Mistake(
        "6.9",
        "the generators stay where the second run has left them",
        "The next dropout draws once more what this one has drawn. After the second run, put back the states that were "
        "there before it.",
        "recompute.py",
        (
            (
                RUN,
                RUN
                + "                left = torch.get_rng_state(), [torch.cuda.get_rng_state(each) for each in devices]\n"
                "            torch.set_rng_state(left[0])\n"
                "            for each, state in zip(devices, left[1]):\n"
                "                torch.cuda.set_rng_state(state, each)\n",
            ),
        ),
    ),
    Mistake(
        "6.9",
        "the tensors themselves are kept",
        "A hook that gives back the tensor lets autograd keep it, and nothing is saved. Give a number in its place, and "
        "make the tensor again when the other hook is called.",
        "recompute.py",
        (
            (
                "with saved_tensors_hooks(number, made_again):",
                "with saved_tensors_hooks(lambda made: made, lambda made: made):",
            ),
        ),
    ),
    Mistake(
        "6.9",
        "the function runs again for each tensor that backward asks for",
        "One more run makes them all: keep what it makes, by number, and run again only where the number is not there.",
        "recompute.py",
        (("        if place not in saved:\n", "        if True:\n"),),
    ),
    Mistake(
        "6.9",
        "what was made again stays until the graph goes",
        "Backward has used it, and may not need it again: take it out of what is kept as it is asked for.",
        "recompute.py",
        (("return saved.pop(place)", "return saved[place]"),),
    ),
    Mistake(
        "6.9",
        "the tensors of the second run hold each other in memory",
        "What an operation gives holds the operation, and the operation what the hook gives back: a circle that nothing "
        "ends. Keep tensor.detach(), and let the hook give nothing: nobody goes backward through the second run.",
        "recompute.py",
        (("saved[len(saved)] = tensor.detach()", "saved[len(saved)] = tensor\n        return tensor"),),
    ),
    Mistake(
        "6.9",
        "backward is called within the backward of an autograd.Function",
        "It has no way for torch.autograd.grad, and weights get gradients only if an argument requires one. Let hooks "
        "put the tensors that were made again into the graph that is there.",
        "recompute.py",
        (
            (
                "    with saved_tensors_hooks(number, made_again):\n        return function(*args)",
                REENTRANT,
            ),
        ),
    ),
    Mistake(
        "6.9",
        "the second run comes at once, before backward",
        "What it makes is then in memory until backward, as if nothing had been forgotten. Run it when the first tensor "
        "is asked for.",
        "recompute.py",
        (
            (
                "    with saved_tensors_hooks(number, made_again):\n        return function(*args)",
                "    with saved_tensors_hooks(number, made_again):\n        out = function(*args)\n"
                "    if count and torch.is_grad_enabled():\n        saved[0] = made_again(0)\n    return out",
            ),
        ),
    ),
]
