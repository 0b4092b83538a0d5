"""What people get wrong in 4.2 Activations (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

IN_WIDE = "wide = x.to(torch.promote_types(x.dtype, torch.float32))\n"
RELU = "return x.masked_fill(x <= 0, 0.0)"
CHOICE = 'share = _normal_share if approximate == "none" else _tanh_share'
GELU_WIDE = IN_WIDE + "    " + CHOICE
TANH = "(square * (0.044715 * scale)).add_(scale).mul_(x)"
TANH_SLOPE = "(square * (3 * 0.044715 * scale)).add_(scale)"
SILU_WIDE = IN_WIDE + "    return"
SILU = "return (wide * torch.sigmoid(wide)).to(x.dtype)"

MISTAKES = [
    Mistake(
        "4.2",
        "the gradient of relu at 0 is 1",
        "clamp and x >= 0 let the gradient through at 0. Let it through where x > 0 only.",
        "activations.py",
        ((RELU, "return x.clamp(min=0)"),),
    ),
    Mistake(
        "4.2",
        "the gradient of relu at 0 is 1/2",
        "torch.maximum shares the gradient where both are equal, and |x| has none at 0. Here it is 0.",
        "activations.py",
        ((RELU, "return torch.maximum(x, torch.zeros_like(x))"),),
    ),
    Mistake(
        "4.2",
        "relu makes 0 of nan",
        "Every comparison with nan is False. Ask which numbers become 0, x <= 0, not which are kept.",
        "activations.py",
        ((RELU, "return torch.where(x > 0, x, torch.zeros_like(x))"),),
    ),
    Mistake(
        "4.2",
        "relu writes its zeros into x",
        "x[x < 0] = 0 and masked_fill_ change the tensor of the caller. torch.where and masked_fill make a new one.",
        "activations.py",
        ((RELU, "return x.masked_fill_(x <= 0, 0.0)"),),
    ),
    Mistake(
        "4.2",
        "the two forms of gelu are swapped",
        'approximate="none" is the exact one, with erf; "tanh" is the approximation.',
        "activations.py",
        ((CHOICE, CHOICE.replace("==", "!=")),),
    ),
    Mistake(
        "4.2",
        "gelu is exact, whatever `approximate` says",
        'With approximate="tanh" the other formula is asked for: GPT-2 was trained with it.',
        "activations.py",
        ((CHOICE, "share = _normal_share"),),
    ),
    Mistake(
        "4.2",
        "gelu is the approximation, whatever `approximate` says",
        "If nothing is said, the exact one is meant, with erf.",
        "activations.py",
        ((CHOICE, "share = _tanh_share"),),
    ),
    Mistake(
        "4.2",
        "x goes into erf without being divided by √2",
        "erf belongs to a normal distribution of variance 1/2: Φ(x) = (1 + erf(x / √2)) / 2.",
        "activations.py",
        (
            ("torch.erf(x * math.sqrt(0.5))", "torch.erf(x)"),
            ("torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)", "torch.exp(-x * x) / math.sqrt(math.pi)"),
        ),
    ),
    Mistake(
        "4.2",
        "in the approximation, √(2/π) multiplies x alone",
        "The root stands before the bracket: √(2/π) · (x + 0.044715 x³).",
        "activations.py",
        (
            (TANH, TANH.replace("0.044715 * scale", "2 * 0.044715")),
            (TANH_SLOPE, TANH_SLOPE.replace("0.044715 * scale", "2 * 0.044715")),
        ),
    ),
    Mistake(
        "4.2",
        "e^(-x) overflows in silu, and its gradient is nan",
        "x / inf is 0, but on the way back inf meets 0. torch.sigmoid gives the same share and never overflows.",
        "activations.py",
        ((SILU, "return (wide / (1.0 + torch.exp(-wide))).to(x.dtype)"),),
    ),
    Mistake(
        "4.2",
        "e^x overflows in silu",
        "e^x / (1 + e^x) is inf / inf for large x, which is nan. torch.sigmoid gives the same and never overflows.",
        "activations.py",
        ((SILU, "return (wide * torch.exp(wide) / (1.0 + torch.exp(wide))).to(x.dtype)"),),
    ),
    Mistake(
        "4.2",
        "half formats are not computed in float32",
        "Each step rounds to three digits. Convert x to float32 first, and the result back last.",
        "activations.py",
        ((GELU_WIDE, GELU_WIDE.replace(IN_WIDE, "wide = x\n")), (SILU_WIDE, SILU_WIDE.replace(IN_WIDE, "wide = x\n"))),
    ),
]
