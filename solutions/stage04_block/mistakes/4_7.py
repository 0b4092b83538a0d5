"""What people get wrong in 4.7 Generation (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

TOP_K = """\
        kept = wide.topk(top_k).indices  # (..., k)
        wide = torch.full_like(wide, -torch.inf).scatter(-1, kept, wide.gather(-1, kept))
"""
BEFORE = "before = ordered.cumsum(-1) - ordered  # what stood before each: the one that crosses is kept"
OVER = "ordered.masked_fill(before >= top_p, 0.0)"
STEPS = "    for _ in range(max_new_tokens):\n        with _evaluating(model), torch.no_grad():"
ALL_READ = "if self.cache is None or longest > window:"
MASK = 'mask = padding_mask(lengths, size, side="left") if int(lengths.min()) < size else None'

MISTAKES = [
    Mistake(
        "4.7",
        "the k-th largest logit of the whole batch decides what stays, not that of each row",
        "Rows are texts that have nothing to do with one another. topk along the last dimension gives each row its own.",
        "generate.py",
        ((TOP_K, "        wide = wide.masked_fill(wide < wide.flatten().topk(top_k).values[-1], -torch.inf)\n"),),
    ),
    Mistake(
        "4.7",
        "a top_k that is larger than the vocabulary is an error of torch.topk",
        "There are only V tokens to keep: min(top_k, V), or leave the step out.",
        "generate.py",
        (("if top_k is not None and top_k < wide.shape[-1]:", "if top_k is not None:"),),
    ),
    Mistake(
        "4.7",
        "the token that crosses top_p is left out",
        "Without it the kept ones do not add up to top_p; and if the likeliest alone has more, nothing is left. Compare "
        "what stood *before* each token.",
        "generate.py",
        ((BEFORE, "before = ordered.cumsum(-1)"), (OVER, OVER.replace(">=", ">"))),
    ),
    Mistake(
        "4.7",
        "the token that crosses top_p is left out, unless it is the first",
        "Without it the kept ones do not add up to top_p. Compare what stood *before* each token; then the first needs no "
        "care of its own.",
        "generate.py",
        ((BEFORE, "before = ordered.cumsum(-1)\n        before[..., 0] = 0.0"), (OVER, OVER.replace(">=", ">"))),
    ),
    Mistake(
        "4.7",
        "top_p adds up probabilities from before the temperature",
        "The temperature changes how many tokens it takes to get to top_p: divide the logits first.",
        "generate.py",
        (
            ("    wide = wide / temperature\n", "    untempered, wide = wide, wide / temperature\n"),
            (
                "ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)  # (..., V)",
                "ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)\n"
                "        plain = untempered.masked_fill(wide.isneginf(), -torch.inf).softmax(-1).gather(-1, order)",
            ),
            (BEFORE, "before = plain.cumsum(-1) - plain"),
        ),
    ),
    Mistake(
        "4.7",
        "top_p adds up probabilities from before top_k",
        "When top_k has left tokens out, the others share what there is: softmax after top_k, and only then the sums.",
        "generate.py",
        (
            ("    wide = wide / temperature\n", "    wide = wide / temperature\n    every = wide.softmax(-1)\n"),
            (BEFORE, "before = every.gather(-1, order).cumsum(-1) - every.gather(-1, order)"),
        ),
    ),
    Mistake(
        "4.7",
        "half formats are not computed in float32",
        "Each step rounds to three digits, and float16 ends at 65504. Convert the logits first.",
        "generate.py",
        (("wide = logits.to(torch.promote_types(logits.dtype, torch.float32))", "wide = logits"),),
    ),
    Mistake(
        "4.7",
        "a text that is longer than the context is given to the model whole",
        "The model takes context_length tokens at most: read the last of them, text[-context_length:].",
        "generate.py",
        (("window = self.model.config.context_length", "window = 1 << 20"),),
    ),
    Mistake(
        "4.7",
        "the model writes in the mode that it is in",
        "In train it drops numbers at random while it writes. Put it into eval for each step.",
        "generate.py",
        (("    model.eval()\n", ""),),
    ),
    Mistake(
        "4.7",
        "the model stays in eval after writing",
        "Whoever trains on would train without dropout, and not know. Note part.training of each of model.modules(), and "
        "put it back after each token, whatever happens.",
        "generate.py",
        (("            part.training = training\n", "            part.training = False\n"),),
    ),
    Mistake(
        "4.7",
        "gradients stay off between the tokens",
        "A `yield` inside `with torch.no_grad():` hands over to the caller with gradients off. Close the `with` before "
        "the `yield`.",
        "generate.py",
        ((STEPS, "    with torch.no_grad():\n     for _ in range(max_new_tokens):\n        with _evaluating(model):"),),
    ),
    Mistake(
        "4.7",
        "short prompts see what fills them up",
        "In a batch, the places that fill up a short text have keys like all others: padding_mask of stage 03 hides them.",
        "generate.py",
        ((MASK, "mask = None"),),
    ),
    Mistake(
        "4.7",
        "positions are counted from the padding, not from the first token of each text",
        "A short text that is padded on the left begins later in the tensor, but its first token is at position 0. Give "
        "the model `positions`, (B, T).",
        "generate.py",
        (("positions = (places - (size - lengths)[:, None]).clamp(min=0)", "positions = places"),),
    ),
    Mistake(
        "4.7",
        "when the first text has ended, all end",
        "The others go on until each has drawn a stop id of its own: all(…), not any(…).",
        "generate.py",
        (("if all(ended):", "if any(ended):"),),
    ),
    Mistake(
        "4.7",
        "the cache is not used: each step reads the whole text",
        "With new_cache() made once, before the loop, and handed to each call, only the newest token of each text has to "
        "be read.",
        "generate.py",
        ((ALL_READ, "if True:"),),
    ),
]
