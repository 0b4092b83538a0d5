"""What people get wrong in 4.5 The block (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

NORMS = "self.norm1, self.norm2 = make_norm(config), make_norm(config)"
ATTEND = "        result = self.attention(self.norm1(x) if pre else x, "
ADDED = "        x = x + self.dropout(attended)\n"
FED = "x = x + self.feed_forward(self.norm2(x))  # which drops by itself"
POST = """\
            x = self.norm1(x)
            x = self.norm2(x + self.feed_forward(x))
"""
NORMED = (ATTEND, "        x = self.norm1(x) if pre else x\n        result = self.attention(x, ")

MISTAKES = [
    Mistake(
        "4.5",
        "what is added to is the normed stream, not the stream",
        'x = norm1(x); x = x + attention(x) lets nothing pass the norm by. With "pre", only the sublayer reads the '
        "norm: x = x + attention(norm1(x)).",
        "block.py",
        (NORMED, (FED, "x = self.norm2(x)\n            x = x + self.feed_forward(x)")),
    ),
    Mistake(
        "4.5",
        "what attention is added to is the normed stream, not the stream",
        'x = norm1(x); x = x + attention(x) lets nothing pass the first norm by. With "pre", only the sublayer reads '
        "the norm: x = x + attention(norm1(x)).",
        "block.py",
        (NORMED,),
    ),
    Mistake(
        "4.5",
        "one norm serves both sublayers",
        "Each sublayer has a norm of its own, with a gain of its own: norm1 and norm2 are two modules.",
        "block.py",
        ((NORMS, "self.norm1 = self.norm2 = make_norm(config)"),),
    ),
    Mistake(
        "4.5",
        'with "post", the norm is of what the sublayer gives, not of the sum',
        '"post" is norm1(x + attention(x)): first the sum, then its norm.',
        "block.py",
        (
            (
                ADDED,
                "        attended = self.dropout(attended)\n"
                "        x = x + (attended if pre else self.norm1(attended))\n",
            ),
            (POST, "            x = x + self.norm2(self.feed_forward(x))\n"),
        ),
    ),
    Mistake(
        "4.5",
        'the placement is not looked at: "post" does what "pre" does',
        'config.placement says which of the two lines is meant. With "post" the sublayer reads x, and the sum is '
        "normed.",
        "block.py",
        (('pre = self.placement == "pre"', "pre = True"),),
    ),
    Mistake(
        "4.5",
        'with "pre", what feed-forward gives takes the place of the stream',
        "x = feed_forward(norm2(x)) forgets all that the stream held. Add: x = x + feed_forward(norm2(x)).",
        "block.py",
        ((FED, "x = self.feed_forward(self.norm2(x))"),),
    ),
    Mistake(
        "4.5",
        "attention is not causal",
        "Every token would see what comes after it, which is what the model is to guess: MultiHeadAttention(…, "
        "causal=True).",
        "block.py",
        (("causal=True", "causal=False"),),
    ),
    Mistake(
        "4.5",
        "the positions are not handed on to attention",
        "Without them, attention numbers the tokens itself: 0, 1, … Hand positions=positions on, as mask and cache.",
        "block.py",
        (("mask, positions, cache, return_weights)", "mask, None, cache, return_weights)"),),
    ),
    Mistake(
        "4.5",
        "what attention gives is not dropped",
        "MultiHeadAttention drops weights only; what it gives goes through the block's own dropout before the sum. "
        "FeedForward drops what it gives by itself.",
        "block.py",
        ((ADDED, "        x = x + attended\n"),),
    ),
    Mistake(
        "4.5",
        "what feed-forward gives is dropped twice",
        "FeedForward ends in a dropout of its own. A second one zeroes more than config.dropout says.",
        "block.py",
        ((FED, "x = x + self.dropout(self.feed_forward(self.norm2(x)))"),),
    ),
]
