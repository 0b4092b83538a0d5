"""What people get wrong in 4.9 LoRA (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

PRODUCT = "nn.functional.linear(narrow, self.lora_b) * (self.alpha / self.rank)"
MATRIX = "self.lora_b @ self.lora_a * (self.alpha / self.rank)"
MERGED = "part.base.weight.copy_(part.weight)"
DRAWN = "nn.Parameter(drawn.normal_(0.0, 1 / math.sqrt(rank), generator=generator))"

MISTAKES = [
    Mistake(
        "4.9",
        "the product is not multiplied by alpha / r",
        "y = base(x) + (alpha / r) · B A x, in forward and in weight.",
        "lora.py",
        ((PRODUCT, "nn.functional.linear(narrow, self.lora_b)"), (MATRIX, "self.lora_b @ self.lora_a")),
    ),
    Mistake(
        "4.9",
        "the product is multiplied by alpha alone, not by alpha / r",
        "Divided by r, the same alpha needs no other learning rate when r changes.",
        "lora.py",
        (
            (PRODUCT, "nn.functional.linear(narrow, self.lora_b) * self.alpha"),
            (MATRIX, "self.lora_b @ self.lora_a * self.alpha"),
        ),
    ),
    Mistake(
        "4.9",
        "merging multiplies by alpha / r a second time",
        "What forward adds is (alpha / r) · B A x, with the factor once; merge the same.",
        "lora.py",
        ((MERGED, "part.base.weight.add_((part.weight - part.base.weight) * (part.alpha / part.rank))"),),
    ),
    Mistake(
        "4.9",
        "merging forgets alpha / r",
        "What forward adds is (alpha / r) · B A x; what merging adds to the weight has the same factor.",
        "lora.py",
        ((MERGED, "part.base.weight.add_(part.lora_b @ part.lora_a)"),),
    ),
    Mistake(
        "4.9",
        "B is drawn at random, so that the model changes at once",
        "With B = 0 the product is 0, and the model says at first what it said before. A alone is random.",
        "lora.py",
        (
            (
                "nn.Parameter(torch.zeros(base.out_features, rank, dtype=like.dtype, device=like.device))",
                "nn.Parameter(torch.empty(base.out_features, rank, dtype=like.dtype, device=like.device)"
                ".normal_(0.0, 1 / math.sqrt(rank), generator=generator))",
            ),
        ),
    ),
    Mistake(
        "4.9",
        "A is 0 as well as B: neither ever learns",
        "The gradient of B is multiplied by A, and that of A by B. If both are 0, so are both gradients, for ever.",
        "lora.py",
        ((DRAWN, "nn.Parameter(torch.zeros_like(drawn))"),),
    ),
    Mistake(
        "4.9",
        "the norms, tables and biases of the model go on being trained",
        "Freeze the whole model first, with requires_grad_(False); then put in the adapters, which are new and not frozen.",
        "lora.py",
        (("    model.requires_grad_(False)\n", ""),),
    ),
    Mistake(
        "4.9",
        "the merged model stays frozen",
        "Behind merge_lora all is trained again: model.requires_grad_(True).",
        "lora.py",
        (("    return model.requires_grad_(True)\n", "    return model\n"),),
    ),
    Mistake(
        "4.9",
        "what is kept shares its numbers with the adapters",
        "detach() takes the gradient away, but the numbers are the same memory: what was kept moves when training goes "
        "on. clone() it.",
        "lora.py",
        (("getattr(part, which).detach().clone()", "getattr(part, which).detach()"),),
    ),
]
