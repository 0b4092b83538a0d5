"""What people get wrong in 3.5 Multi-head attention (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

SPLIT_OF_HEADS = "return split_heads(q, self.n_heads), split_heads(k, self.n_kv_heads), split_heads(v, self.n_kv_heads)"
MERGED = "output = self.out(merge_heads(output))  # (B, T, C)"
TURNED = "q, k = self.rotary(q, positions), self.rotary(k, positions)"
CAUSAL_OF_HEADS = """\
        if self.causal:
            mask = combine(causal_mask(queries, keys, device=x.device), mask)
"""
DROPOUT = "dropout = self.dropout if self.training else 0.0"
COPIED = "                if place is not None:\n                    place.copy_("
BIAS_OF_HEADS = "bias = None if self.distance_bias is None else self.distance_bias(queries, keys)"

MISTAKES = [
    Mistake(
        "3.5",
        "the heads are put side by side without moving the time before them",
        "(B, H, T, D) reshaped to (B, T, C) mixes the tokens: merge_heads makes it (B, T, H, D) first.",
        "multihead.py",
        ((MERGED, "output = self.out(output.reshape(x.shape))"),),
    ),
    Mistake(
        "3.5",
        "what the heads find is not projected once more",
        "After merge_heads comes the fourth projection, out: it puts together what the heads found.",
        "multihead.py",
        ((MERGED, "output = merge_heads(output)"),),
    ),
    Mistake(
        "3.5",
        "the context is not looked at",
        "With a context, keys and values come from it; only the queries come from x.",
        "multihead.py",
        (("if context is None:\n            q, k, v = self.qkv(x)", "if True:\n            q, k, v = self.qkv(x)"),),
    ),
    Mistake(
        "3.5",
        "the queries come from the context too",
        "The queries come from x: there is one output for each place of x, not for each of the context.",
        "multihead.py",
        (("q = nn.functional.linear(x, to_q, biases[0])", "q = nn.functional.linear(context, to_q, biases[0])"),),
    ),
    Mistake(
        "3.5",
        "keys and values have changed places",
        "The scores are made of queries and keys; what is gathered are the values. Look at the order of the three.",
        "multihead.py",
        (
            (
                SPLIT_OF_HEADS,
                SPLIT_OF_HEADS.replace("split_heads(k,", "split_heads(_,").replace("(v,", "(k,").replace("(_,", "(v,"),
            ),
        ),
    ),
    Mistake(
        "3.5",
        "a head gets every H-th number of the width",
        "Head h gets the rows h·D to (h + 1)·D - 1: the width is cut into H pieces, as split_heads does.",
        "multihead.py",
        (
            (
                SPLIT_OF_HEADS,
                "q, k, v = (each.unflatten(-1, (self.head_dim, -1)).permute(0, 3, 1, 2) for each in (q, k, v))\n"
                "        return q, k, v",
            ),
        ),
    ),
    Mistake(
        "3.5",
        "the scores are divided by √D twice",
        "attention divides by √D already: hand it the queries as they are.",
        "multihead.py",
        (
            (
                SPLIT_OF_HEADS,
                SPLIT_OF_HEADS.replace(
                    "split_heads(q, self.n_heads)", "split_heads(q, self.n_heads) / self.head_dim**0.5"
                ),
            ),
        ),
    ),
    Mistake(
        "3.5",
        "the scores are divided by √C instead of √D",
        "The products are sums over the width of a head, D, and so is their size; C is that of all heads together.",
        "multihead.py",
        (
            (
                SPLIT_OF_HEADS,
                SPLIT_OF_HEADS.replace(
                    "split_heads(q, self.n_heads)", "split_heads(q, self.n_heads) / self.n_heads**0.5"
                ),
            ),
        ),
    ),
    Mistake(
        "3.5",
        "a causal module does not look at the mask that is given",
        "Both have to let a query attend: combine the causal mask with the one that is given.",
        "multihead.py",
        (("mask = combine(causal_mask(queries, keys, device=x.device), mask)", "mask = causal_mask(queries, keys)"),),
    ),
    Mistake(
        "3.5",
        "with a mask, a causal module is not causal any more",
        "The mask comes on top of causal: combine them, instead of taking one of the two.",
        "multihead.py",
        (("        if self.causal:\n", "        if self.causal and mask is None:\n"),),
    ),
    Mistake(
        "3.5",
        "it is never causal",
        "With causal=True, a query may attend up to its own place only: causal_mask makes that mask.",
        "multihead.py",
        ((CAUSAL_OF_HEADS, ""),),
    ),
    Mistake(
        "3.5",
        "the values are turned too",
        "Turned queries and keys see their distance; a turned value would tell where it stands. Leave v as it is.",
        "multihead.py",
        ((TURNED, "q, k, v = self.rotary(q, positions), self.rotary(k, positions), self.rotary(v, positions)"),),
    ),
    Mistake(
        "3.5",
        "the keys are not turned",
        "Both are turned, queries and keys: only then does their product depend on the distance.",
        "multihead.py",
        ((TURNED, "q = self.rotary(q, positions)"),),
    ),
    Mistake(
        "3.5",
        "the positions that are given are not used",
        "Hand the positions to the rotary embedding, with queries and keys; without them it counts from 0.",
        "multihead.py",
        ((TURNED, "q, k = self.rotary(q), self.rotary(k)"),),
    ),
    Mistake(
        "3.5",
        "it is turned before it is cut into heads",
        "A rotary embedding turns heads of width D: split_heads comes first.",
        "multihead.py",
        (
            (
                TURNED,
                "wide = [merge_heads(each) for each in (q, k)]\n"
                "            q, k = (self.rotary(each, positions) for each in wide)\n"
                "            q, k = split_heads(q, self.n_heads), split_heads(k, self.n_kv_heads)",
            ),
        ),
    ),
    Mistake(
        "3.5",
        "the relative bias is not added",
        "Call the AlibiBias or T5RelativeBias with the numbers of queries and keys, and hand attention what it gives.",
        "multihead.py",
        ((BIAS_OF_HEADS, "bias = None"),),
    ),
    Mistake(
        "3.5",
        "the table of T5 gets no gradient",
        "What the position gives has to stay connected with its table: no detach(), no torch.no_grad() around it.",
        "multihead.py",
        ((BIAS_OF_HEADS, "bias = None if self.distance_bias is None else self.distance_bias(queries, keys).detach()"),),
    ),
    Mistake(
        "3.5",
        "the dropout is there after eval() too",
        "A module knows whether it trains: self.training. If not, hand attention a dropout of 0.",
        "multihead.py",
        ((DROPOUT, "dropout = self.dropout"),),
    ),
    Mistake(
        "3.5",
        "the dropout falls on the output instead of the weights",
        "attention takes the dropout and lets it fall on the weights; the output is left as it is.",
        "multihead.py",
        (
            (DROPOUT, "dropout = 0.0"),
            (MERGED, MERGED + "\n        output = nn.functional.dropout(output, self.dropout, self.training)"),
        ),
    ),
    Mistake(
        "3.5",
        "there is no dropout",
        "Hand the dropout to attention, in training.",
        "multihead.py",
        ((DROPOUT, "dropout = 0.0"),),
    ),
    Mistake(
        "3.5",
        "the weights are the mean of the heads",
        "Each head has weights of its own: they are (B, H, T, S).",
        "multihead.py",
        (("else (output, weights)\n", "else (output, weights.mean(1))\n"),),
    ),
    Mistake(
        "3.5",
        "the projections to queries, keys and values have no bias",
        "With bias=True, all four projections have one.",
        "multihead.py",
        (("nn.Linear(d_model, sum(self._widths), bias=bias)", "nn.Linear(d_model, sum(self._widths), bias=False)"),),
    ),
    Mistake(
        "3.5",
        "there are always biases",
        "With bias=False, none of the four projections has a bias.",
        "multihead.py",
        (
            ("nn.Linear(d_model, sum(self._widths), bias=bias)", "nn.Linear(d_model, sum(self._widths))"),
            ("nn.Linear(d_model, d_model, bias=bias)", "nn.Linear(d_model, d_model)"),
        ),
    ),
    Mistake(
        "3.5",
        "the last projection is loaded and given as its transpose",
        "nn.Linear keeps a row for each number that comes out, as Projections does; a weight of x @ weight is its .T.",
        "multihead.py",
        (
            (
                "return Projections(query, key, value, self.out.weight.detach())",
                "return Projections(query, key, value, self.out.weight.detach().T)",
            ),
            (
                "query, key, value, self.out.weight.detach(), biases[0]",
                "query, key, value, self.out.weight.detach().T, biases[0]",
            ),
        ),
    ),
    Mistake(
        "3.5",
        "biases that do not come with the projections stay what they were",
        "Where a module has biases and the projections have none, theirs count as zeros.",
        "multihead.py",
        ((COPIED, COPIED.replace("place is not None", "place is not None and new is not None")),),
    ),
    Mistake(
        "3.5",
        "loading changes copies of the parameters, not the parameters",
        "torch.cat, clone and to make new tensors. Write into the parameter itself, with copy_ under no_grad.",
        "multihead.py",
        ((COPIED, COPIED.replace("place.copy_(", "place.clone().copy_(")),),
    ),
]
