"""What people get wrong in 2.5 Rotary positions (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

EXPONENTS = "torch.arange(0, self.head_dim, 2, device=x.device, dtype=wide) / self.head_dim"

MISTAKES = [
    Mistake(
        "2.5",
        'in the layout "interleaved", the pairs are taken by halves and put back by turns',
        "The numbers 2i and 2i + 1 are a pair: take them apart as x[..., 0::2] and x[..., 1::2], and put them back so.",
        "rotary.py",
        (("x.to(wide).unflatten(-1, (-1, 2)).unbind(-1)", "x.to(wide).chunk(2, dim=-1)"),),
    ),
    Mistake(
        "2.5",
        'in the layout "interleaved", the pairs are taken by turns and put back as two halves',
        "What came from 2i and 2i + 1 goes back there: torch.stack((…), dim=-1).flatten(-2), where torch.cat makes halves.",
        "rotary.py",
        (
            (
                "return torch.stack(turned, dim=-1).flatten(-2).to(x.dtype)",
                "return torch.cat(turned, dim=-1).to(x.dtype)",
            ),
        ),
    ),
    Mistake(
        "2.5",
        "the pairs are the same in both layouts",
        'In the layout "half", number i goes with number D/2 + i, and what comes is put back as two halves.',
        "rotary.py",
        (
            ('if self.layout == "interleaved":\n            a, b', "if True:\n            a, b"),
            ('if self.layout == "interleaved":\n            return', "if True:\n            return"),
        ),
    ),
    Mistake(
        "2.5",
        "the pairs are turned the other way",
        "(a, b) becomes (a cos - b sin, a sin + b cos): the minus stands in the first.",
        "rotary.py",
        (("turned = a * cos - b * sin, a * sin + b * cos", "turned = a * cos + b * sin, b * cos - a * sin"),),
    ),
    Mistake(
        "2.5",
        "the numbers of a pair are not both turned",
        "The second of a pair is a sin + b cos, with the a that came in, and not with the one that is already turned.",
        "rotary.py",
        (
            (
                "turned = a * cos - b * sin, a * sin + b * cos",
                "a = a * cos - b * sin\n        turned = a, a * sin + b * cos",
            ),
        ),
    ),
    Mistake(
        "2.5",
        "the positions count from 1",
        "The first position is 0, where all angles are 0 and nothing is turned.",
        "rotary.py",
        (("positions.to(x.device, wide)[..., None]", "(positions.to(x.device, wide) + 1)[..., None]"),),
    ),
    Mistake(
        "2.5",
        "the exponents of the base are i/D, not 2i/D",
        "The speed of pair i is base^(-2i/D), for i from 0 to D/2 - 1: the exponents go from 0 to almost 1.",
        "rotary.py",
        ((EXPONENTS, "torch.arange(self.head_dim // 2, device=x.device, dtype=wide) / self.head_dim"),),
    ),
    Mistake(
        "2.5",
        "the positions that are given are not used",
        "Only where positions is None are they 0 to T - 1. In decoding, a token stands behind all in the cache.",
        "rotary.py",
        (
            (
                "angles = positions.to(x.device, wide)",
                "positions = torch.arange(x.shape[-2], device=x.device)\n        angles = positions.to(x.device, wide)",
            ),
        ),
    ),
    Mistake(
        "2.5",
        "the positions of a sequence are given to a head",
        "(B, T, D/2) beside (B, H, T, D/2) lines B up with H. Put a dimension of 1 for the heads: (B, 1, T, D/2).",
        "rotary.py",
        (("if positions.dim() == 2:", "if positions.dim() == 2 and x.dim() == 3:"),),
    ),
    Mistake(
        "2.5",
        "the angles are computed in the number format of x",
        "bfloat16 has 8 binary digits, so that 257 is 256. Compute in float32 at least, and convert the result.",
        "rotary.py",
        (("wide = torch.promote_types(x.dtype, torch.float32)", "wide = x.dtype"),),
    ),
    Mistake(
        "2.5",
        "the sines and cosines are rounded to the number format of x before they are used",
        "Convert x to the wider format for the products, and only the result back to the format of x.",
        "rotary.py",
        (
            ("cos, sin = angles.cos(), angles.sin()", "cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)"),
            ("a, b = x.to(wide).unflatten", "a, b = x.unflatten"),
            ("a, b = x.to(wide).chunk", "a, b = x.chunk"),
        ),
    ),
    Mistake(
        "2.5",
        "the speeds of the pairs are rounded when the module is converted",
        "model.bfloat16() converts each buffer of floats. Compute the speeds in forward, or keep them out of buffers.",
        "rotary.py",
        (
            (
                "self.head_dim, self.base, self.layout = head_dim, base, layout",
                "self.head_dim, self.base, self.layout = head_dim, base, layout\n"
                "        speeds = base ** -(torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)\n"
                '        self.register_buffer("speeds", speeds, persistent=False)',
            ),
            ("self.base**-exponents", "self.speeds.to(x.device, wide)"),
        ),
    ),
    Mistake(
        "2.5",
        "float64 is computed in float32",
        "Take the wider of float32 and the format of x: torch.promote_types(x.dtype, torch.float32).",
        "rotary.py",
        (("wide = torch.promote_types(x.dtype, torch.float32)", "wide = torch.float32"),),
    ),
    Mistake(
        "2.5",
        "the two reorderings are swapped",
        "In the half layout, the first half of a head's rows are what were its even rows: 0, 2, 4, …, then 1, 3, 5, ….",
        "rotary.py",
        (
            ("weight.unflatten(0, (heads, -1, 2))", "weight.unflatten(0, (heads, 2, -1))"),
            (
                "halves = weight.unflatten(0, (heads, 2, -1))",
                "halves = weight.unflatten(0, (heads, -1, 2))",
            ),
        ),
    ),
    Mistake(
        "2.5",
        "rows move from one head to another",
        "Reorder within each head: see the rows as (H, D/2, 2, C) first, so that each head is on its own.",
        "rotary.py",
        (
            ("weight.unflatten(0, (heads, -1, 2))", "weight.unflatten(0, (1, -1, 2))"),
            ("weight.unflatten(0, (heads, 2, -1))", "weight.unflatten(0, (1, 2, -1))"),
        ),
    ),
]
