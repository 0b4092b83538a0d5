"""What people get wrong in 4.1 Norms (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

IN_WIDE = "wide = x.to(torch.promote_types(x.dtype, torch.float32))\n"
CENTRED = "        centred = wide - wide.mean(-1, keepdim=True)\n"
VARIANCE = "variance = centred.square().mean(-1, keepdim=True)  # (..., 1)"
NORMED = "y = centred * (variance + self.eps).rsqrt() * self.weight"
SHIFTED = "return (y if self.bias is None else y + self.bias).to(x.dtype)"
MEAN_SQUARE = "        mean_square = wide.square().mean(-1, keepdim=True)  # (..., 1)"
SCALED = "return (wide * (mean_square + self.eps).rsqrt() * self.weight).to(x.dtype)"
EPS_LAYER = (NORMED, "y = centred / (variance.sqrt() + self.eps) * self.weight")
EPS_RMS = (SCALED, "return (wide / (mean_square.sqrt() + self.eps) * self.weight).to(x.dtype)")
HALF_LAYER = (IN_WIDE + CENTRED, "wide = x\n" + CENTRED)
HALF_RMS = (IN_WIDE + MEAN_SQUARE, "wide = x\n" + MEAN_SQUARE)

MISTAKES = [
    Mistake(
        "4.1",
        "LayerNorm divides the squares by C - 1, not by C",
        "torch's var and std divide by C - 1 unless told otherwise (unbiased=False). Here it is the mean: by C.",
        "norms.py",
        ((VARIANCE, "variance = centred.square().sum(-1, keepdim=True) / (self.dim - 1)"),),
    ),
    Mistake(
        "4.1",
        "eps is added outside of the root",
        "√(variance + eps), not √variance + eps: the root alone has no slope at 0.",
        "norms.py",
        (EPS_LAYER, EPS_RMS),
    ),
    Mistake(
        "4.1",
        "LayerNorm adds eps outside of the root",
        "√(variance + eps), not √variance + eps: the root alone has no slope at 0.",
        "norms.py",
        (EPS_LAYER,),
    ),
    Mistake(
        "4.1",
        "RMSNorm adds eps outside of the root",
        "√(mean square + eps), not √mean square + eps: the root alone has no slope at 0.",
        "norms.py",
        (EPS_RMS,),
    ),
    Mistake(
        "4.1",
        "half formats are normalised in their own format",
        "300² is more than float16 can hold, and bfloat16 has three digits. Convert x to float32 first, and back last.",
        "norms.py",
        (HALF_LAYER, HALF_RMS),
    ),
    Mistake(
        "4.1",
        "LayerNorm computes half formats in their own format",
        "300² is more than float16 can hold, and bfloat16 has three digits. Convert x to float32 first, and back last.",
        "norms.py",
        (HALF_LAYER,),
    ),
    Mistake(
        "4.1",
        "RMSNorm computes half formats in their own format",
        "300² is more than float16 can hold, and bfloat16 has three digits. Convert x to float32 first, and back last.",
        "norms.py",
        (HALF_RMS,),
    ),
    Mistake(
        "4.1",
        "RMSNorm divides by the standard deviation",
        "A standard deviation leaves the mean out. RMSNorm divides by the root of the mean of x², mean and all.",
        "norms.py",
        ((MEAN_SQUARE, "        mean_square = wide.var(-1, keepdim=True)"),),
    ),
    Mistake(
        "4.1",
        "RMSNorm takes the mean away",
        "That is LayerNorm. RMSNorm leaves the mean where it is, above the line and below.",
        "norms.py",
        (
            (
                IN_WIDE + MEAN_SQUARE,
                IN_WIDE + "        wide = wide - wide.mean(-1, keepdim=True)\n" + MEAN_SQUARE,
            ),
        ),
    ),
    Mistake(
        "4.1",
        "the variance is the mean of the squares less the square of the mean",
        "On paper that is the same. Where the mean is large, it is the difference of two large numbers that have been "
        "rounded: take the mean away first, then square.",
        "norms.py",
        ((VARIANCE, "variance = wide.square().mean(-1, keepdim=True) - wide.mean(-1, keepdim=True).square()"),),
    ),
    Mistake(
        "4.1",
        "LayerNorm takes the mean away from x itself",
        "-= and sub_ write into the tensor of the caller, who still needs it: the stream flows past the norm.",
        "norms.py",
        ((CENTRED, "        centred = wide.sub_(wide.mean(-1, keepdim=True))\n"),),
    ),
    Mistake(
        "4.1",
        "what comes of a half format is in float32",
        "What comes has the format of x: end with .to(x.dtype).",
        "norms.py",
        ((SHIFTED, SHIFTED.replace(".to(x.dtype)", "")), (SCALED, SCALED.replace(".to(x.dtype)", ""))),
    ),
]
