"""What people get wrong in stage 03, each with its name (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

EXP = "exp = (wide - top).exp()"
TOP = "top = wide.detach().amax(dim, keepdim=True)"
SHARE = "return (exp / exp.sum(dim, keepdim=True)).to(x.dtype)"

CAUSAL = "return key <= query[:, None]"
PADDING = 'return key < length if side == "right" else key >= keys - length'
AND = "combined = mask if combined is None else combined & mask"

SCORES = "scores = (q.to(wide) / math.sqrt(q.shape[-1])) @ k.to(wide).mT  # (..., T, S)"
BIAS = "scores = scores + bias.to(wide)"
MASK = "scores = scores.masked_fill(~mask, -torch.inf)"
SURE = "weights = softmax(scores.masked_fill(nothing, 0.0)).masked_fill(nothing, 0.0)"
ALL = "        weights = softmax(scores)\n"
WIDE = "wide = torch.promote_types(q.dtype, torch.float32)"
DROP = "        weights = nn.functional.dropout(weights, dropout)\n"
OUT = "output = (weights @ v.to(wide)).to(q.dtype)  # (..., T, E)"
PAIR = "return (output, weights.to(q.dtype)) if return_weights else output"

SPLIT = "return x.unflatten(-1, (heads, -1)).transpose(-3, -2)"
MERGE = "return x.transpose(-3, -2).flatten(-2)"


def scores(wrong: str) -> tuple[tuple[str, str], ...]:
    """Other scores."""
    return ((SCORES, f"scores = {wrong}"),)


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
SHARED = """\
        q.unflatten(-3, (groups, share)),  # (..., G, H/G, T, D)
        k.unsqueeze(-3),  # (..., G, 1, S, D): broadcast, not copied
        v.unsqueeze(-3),
"""
REGROUPED = "return x.unsqueeze(-3) if x.shape[-3] == 1 else x.unflatten(-3, (groups, share))"
WRITTEN = """\
        self._keys[:, :, self.length : end] = keys.detach()
        self._values[:, :, self.length : end] = values.detach()
        self.length = end
"""
FIRST = """\
        old = slice(0, self.length)
        self._keys[:, :, :end] = torch.cat([keys.detach(), self._keys[:, :, old]], dim=2)
        self._values[:, :, :end] = torch.cat([values.detach(), self._values[:, :, old]], dim=2)
        self.length = end
"""
GIVEN = "return self._keys[:, :, :end], self._values[:, :, :end]"
LARGER = "max(needed, 2 * kept.shape[2])"

OUTPUT = "output[..., rows, :] = mixed / total.where(total > 0, 1.0)[..., None]  # who saw nothing gets zeros"
FORWARD = "            q_tile = q[..., rows, :].to(wide) / math.sqrt(q.shape[-1])  # (..., n, D)\n"
BACKWARD = "            inner = (grad_tile * output[..., rows, :]).sum(-1, keepdim=True)"
WIDE_K = "scores = q_tile @ k[..., columns, :].to(wide).mT  # (..., n, n)"
AUTOGRAD = """\
    output: Any = _FlashAttention.apply(q, k, v, causal, block)
    return output"""
BY_TORCH = """\
    class Nothing:
        def save_for_backward(self, *_: Any) -> None:
            pass

    return _FlashAttention.forward(Nothing(), q, k, v, causal, block)"""
NEW_MASK = "mask = torch.cat([shared <= query, sees_near], -1)  # (N, W, global + 2W)"
SPARSE = "length = q.shape[-2]\n    window, global_tokens = min("
WHOLE = """\
length = q.shape[-2]
    place = torch.arange(length, device=q.device)
    behind = place[:, None] - place
    sees = (behind >= 0) & ((behind < window) | (place < global_tokens))
    if length:
        return attention(q, k, v, sees)  # type: ignore[return-value]
    window, global_tokens = min("""
ALL_KEYS = "weighed = q_ @ (k_.mT @ v_)  # (..., T, D) @ (..., D, E)"
CHUNK = "    length, blocks = q.shape[-2], -(-q.shape[-2] // chunk)"
EACH_PLACE = """\
    q_, k_, v_ = feature_map(q.to(wide)), feature_map(k.to(wide)), v.to(wide)
    sums = (k_[..., :, None] * v_[..., None, :]).cumsum(-3)  # (..., T, D, E)
    weighed, weights = (q_[..., None, :] @ sums).squeeze(-2), (q_ * k_.cumsum(-2)).sum(-1, keepdim=True)
    return _divided(weighed, weights).to(q.dtype)

"""
ALL_PAIRS = """\
    q_, k_, v_ = feature_map(q.to(wide)), feature_map(k.to(wide)), v.to(wide)
    pairs = (q_ @ k_.mT).tril()  # (..., T, T)
    return _divided(pairs @ v_, pairs.sum(-1, keepdim=True)).to(q.dtype)

"""
TICKS_X = "panel.set_xticks(range(n_keys), [_visible(token) for token in tokens], rotation=90, **words)"
LAST = "values = np.where(np.arange(n_keys) > last[:, None], np.nan, values)"

MISTAKES = [
    # -- 3.1 Softmax
    Mistake(
        "3.1",
        "large numbers go into exp as they are",
        "exp(89) is inf in float32, and inf / inf is nan. Take the largest number away first: the shares stay.",
        "softmax.py",
        ((EXP, "exp = wide.exp()"),),
    ),
    Mistake(
        "3.1",
        "the largest number of all is taken away from every slice",
        "A slice that lies far below the largest of all becomes zeros, and 0 / 0 is nan. Each slice needs its own "
        "maximum: amax(dim, keepdim=True).",
        "softmax.py",
        ((TOP, "top = wide.detach().amax()"),),
    ),
    Mistake(
        "3.1",
        "dim is not looked at: the last dimension is always shared out",
        "Both the maximum and the sum go along dim, which may be any dimension.",
        "softmax.py",
        ((TOP, "top = wide.detach().amax(-1, keepdim=True)"), (SHARE, SHARE.replace("dim, ", "-1, "))),
    ),
    Mistake(
        "3.1",
        "all numbers together add up to 1, not those of each slice",
        "exp.sum() adds everything. Add along dim, and keep the dimension, so that the sums go with their slices.",
        "softmax.py",
        ((SHARE, "return (exp / exp.sum()).to(x.dtype)"),),
    ),
    Mistake(
        "3.1",
        "half formats are not computed in float32",
        "Each step rounds to three digits. Convert x to float32 first, and the result back last.",
        "softmax.py",
        (("wide = x.to(torch.promote_types(x.dtype, torch.float32))", "wide = x"),),
    ),
    Mistake(
        "3.1",
        "the result of a half format stays in float32",
        "What comes has the format of x: end with .to(x.dtype).",
        "softmax.py",
        ((SHARE, SHARE.replace(".to(x.dtype)", "")),),
    ),
    Mistake(
        "3.1",
        "everything is computed in float32, what comes in float64 too",
        "x.float() takes half of float64's digits. torch.promote_types(x.dtype, torch.float32) is the wider one.",
        "softmax.py",
        (("wide = x.to(torch.promote_types(x.dtype, torch.float32))", "wide = x.float()"),),
    ),
    Mistake(
        "3.1",
        "the denominator is taken for a constant",
        "A sum that is detached has no gradient, but each number changes it. Only the maximum may be detached.",
        "softmax.py",
        ((SHARE, SHARE.replace("exp.sum(", "exp.detach().sum(")),),
    ),
    # -- 3.2 Masks
    Mistake(
        "3.2",
        "a query may attend to the key behind its own place",
        "Query i and key S - T + i are the same token, and with j ≤ S - T + i it is the last one allowed.",
        "masks.py",
        ((CAUSAL, "return key <= query[:, None] + 1"),),
    ),
    Mistake(
        "3.2",
        "a query may not attend to its own place",
        "j ≤ S - T + i, not j < S - T + i: a token knows itself. Otherwise the first one has nothing to attend to.",
        "masks.py",
        ((CAUSAL, "return key < query[:, None]"),),
    ),
    Mistake(
        "3.2",
        "the first query stands at the first key, whatever T and S are",
        "Align the last query with the last key: query i is at place S - T + i. torch.tril takes S - T as a diagonal.",
        "masks.py",
        (("+ (keys - queries)  # (T,)", "# (T,)"),),
    ),
    Mistake(
        "3.2",
        "the causal mask says who may not attend",
        "True means: may attend. torch.triu(…, diagonal=1) marks what lies ahead; here it has to be False.",
        "masks.py",
        ((CAUSAL, "return key > query[:, None]"),),
    ),
    Mistake(
        "3.2",
        "the padding mask marks the padding",
        "True means: may attend. It belongs to the real tokens, and False to the padding.",
        "masks.py",
        ((PADDING, 'return key >= length if side == "right" else key < keys - length'),),
    ),
    Mistake(
        "3.2",
        "the sides of the padding are swapped",
        "`side` says where the padding is: on the right of real tokens, which come first, or on the left of them.",
        "masks.py",
        ((PADDING, PADDING.replace('"right"', '"left"')),),
    ),
    Mistake(
        "3.2",
        "with padding on the left, the first tokens are real all the same",
        "Whoever pads on the left has the real tokens at the end: key j is real if j ≥ S - length.",
        "masks.py",
        ((PADDING, "return key < length"),),
    ),
    Mistake(
        "3.2",
        "with padding on the left, as many tokens are taken for padding as are real",
        "A text of length n has n real tokens at the end, so S - n come before them: key j is real if j ≥ S - n, not j ≥ n.",
        "masks.py",
        ((PADDING, 'return key < length if side == "right" else key >= length'),),
    ),
    Mistake(
        "3.2",
        "the padding mask has the shape (B, S)",
        "Beside scores (B, H, T, S), a mask (B, S) is taken for (T, S). Two dimensions of 1 in between make it "
        "(B, 1, 1, S): lengths[:, None, None, None].",
        "masks.py",
        ((PADDING, 'return (key < length if side == "right" else key >= keys - length)[:, 0, 0]'),),
    ),
    Mistake(
        "3.2",
        "lengths of 8 bits are computed with as they are",
        "S - length has no room in 8 bits if S is 300. Convert with lengths.long() first.",
        "masks.py",
        (("length = lengths.long()[", "length = lengths["),),
    ),
    Mistake(
        "3.2",
        "one mask that lets a query attend is enough",
        "All of them have to: & (and), not | (or).",
        "masks.py",
        ((AND, AND.replace("&", "|")),),
    ),
    # -- 3.3 Scaled dot-product attention
    Mistake(
        "3.3",
        "the scores are not divided by √D",
        "A sum of D products grows like √D; undivided, the softmax of wide heads is all or nothing.",
        "attention.py",
        scores("q.to(wide) @ k.to(wide).mT"),
    ),
    Mistake(
        "3.3",
        "the scores are divided by D, not by √D",
        "The spread of a sum of D products grows like the root of D: math.sqrt(q.shape[-1]).",
        "attention.py",
        scores("q.to(wide) @ k.to(wide).mT / q.shape[-1]"),
    ),
    Mistake(
        "3.3",
        "the scores are divided by the root of the width of the values",
        "The values have no part in the scores: D is the width of the queries and keys.",
        "attention.py",
        scores("q.to(wide) @ k.to(wide).mT / math.sqrt(v.shape[-1])"),
    ),
    Mistake(
        "3.3",
        "the softmax goes over the queries",
        "The weights of one query add up to 1 over the keys: the last dimension of scores (..., T, S).",
        "attention.py",
        (
            (ALL, "        weights = softmax(scores, -2)\n"),
            (SURE, "weights = softmax(scores.masked_fill(nothing, 0.0), -2).masked_fill(nothing, 0.0)"),
        ),
    ),
    Mistake(
        "3.3",
        "the mask is taken for what is forbidden",
        "True means: may attend. Put -inf where the mask is False: masked_fill(~mask, -inf).",
        "attention.py",
        ((MASK, MASK.replace("~", "")),),
    ),
    Mistake(
        "3.3",
        "the mask is taken for what is forbidden, and where that is everything nan comes",
        "True means: may attend. Put -inf where the mask is False: masked_fill(~mask, -inf). Then look at rows where "
        "all is -inf.",
        "attention.py",
        ((MASK, MASK.replace("~", "")), (SURE, "weights = softmax(scores)")),
    ),
    Mistake(
        "3.3",
        "the scores are multiplied by the mask",
        "A score of 0 is a score like others, and exp(0) is 1. It takes -inf to get the weight 0.",
        "attention.py",
        ((MASK, "scores = scores * mask"), (SURE, "weights = softmax(scores)")),
    ),
    Mistake(
        "3.3",
        "the weights are zeroed after the softmax, and no longer add up to 1",
        "What masked keys would get has to go to the others: mask the scores, before the softmax.",
        "attention.py",
        (
            (MASK, "pass"),
            (
                "    if dropout:\n",
                "    if mask is not None:\n        weights = weights.masked_fill(~mask, 0.0)\n    if dropout:\n",
            ),
        ),
    ),
    Mistake(
        "3.3",
        "masked scores are filled with +inf",
        "exp(-inf) is 0, and exp(inf - inf) is nan. Look at the sign of what is filled in.",
        "attention.py",
        ((MASK, MASK.replace("-torch.inf", "torch.inf")), (SURE, "weights = softmax(scores)")),
    ),
    Mistake(
        "3.3",
        "the mask is multiplied by infinity",
        "0 · inf is nan. masked_fill and torch.where put -inf where the mask is False, and leave the rest alone.",
        "attention.py",
        ((MASK, "scores = scores + (1.0 - mask.to(wide)) * -torch.inf"), (SURE, "weights = softmax(scores)")),
    ),
    Mistake(
        "3.3",
        "a query that may attend to nothing gets nan",
        "The softmax of a row of -inf is 0 / 0. Put zeros into the row before the softmax, and into its weights after.",
        "attention.py",
        ((SURE, "weights = softmax(scores)"),),
    ),
    Mistake(
        "3.3",
        "a query that may attend to nothing gets the mean of the values",
        "With the smallest number there is in place of -inf, all scores of the row are equal, and so are its weights. "
        "They have to be 0.",
        "attention.py",
        (
            (MASK, MASK.replace("-torch.inf", "torch.finfo(wide).min")),
            (SURE, "weights = softmax(scores)"),
        ),
    ),
    Mistake(
        "3.3",
        "a query that may attend to nothing gets zeros, and its gradients are nan",
        "Zeros put over nan hide it on the way there only. Let no nan arise: fill the row before the softmax too.",
        "attention.py",
        ((SURE, "weights = torch.nan_to_num(softmax(scores))"),),
    ),
    Mistake(
        "3.3",
        "masked scores are filled with -10,000, which is not low enough",
        "Real scores can be lower. -inf is lower than all of them; a row of nothing else needs care.",
        "attention.py",
        (
            (MASK, MASK.replace("-torch.inf", "-1e4")),
            (SURE, "weights = softmax(scores)"),
        ),
    ),
    Mistake(
        "3.3",
        "the bias is divided by √D too",
        "Divide the scores first, then add the bias as it is.",
        "attention.py",
        ((BIAS, "scores = scores + bias.to(wide) / math.sqrt(q.shape[-1])"),),
    ),
    Mistake(
        "3.3",
        "the scores of half formats are computed in their own format",
        "float16 ends at 65,504, and bfloat16 has three digits. q and k go to float32 before they are multiplied.",
        "attention.py",
        ((SCORES, "scores = ((q / math.sqrt(q.shape[-1])) @ k.mT).to(wide)  # (..., T, S)"),),
    ),
    Mistake(
        "3.3",
        "the weights are rounded to the half format before they multiply the values",
        "Each weight loses digits, and the sum shows it. Compute weights @ v in float32, and convert what comes.",
        "attention.py",
        ((OUT, "output = weights.to(q.dtype) @ v  # (..., T, E)"),),
    ),
    Mistake(
        "3.3",
        "dropout is on the output, not on the weights",
        "It belongs between the softmax and the values: whole values are left out, not single numbers of the sum.",
        "attention.py",
        (
            (DROP, "        pass\n"),
            (PAIR, f"output = nn.functional.dropout(output, dropout)\n    {PAIR}"),
        ),
    ),
    Mistake(
        "3.3",
        "`dropout` is taken for the share that is kept",
        "dropout=0.1 zeroes a tenth of the weights and divides the others by 0.9.",
        "attention.py",
        ((DROP, DROP.replace("weights, dropout", "weights, 1 - dropout")),),
    ),
    Mistake(
        "3.3",
        "the weights that dropout leaves are not divided by 1 - dropout",
        "Their sum has to stay 1 on average, since nothing is dropped when the model is used.",
        "attention.py",
        ((DROP, "        weights = weights * (torch.rand_like(weights) >= dropout)\n"),),
    ),
    Mistake(
        "3.3",
        "the weights that come are those before the dropout",
        "return_weights gives the weights that the output was made with.",
        "attention.py",
        (
            (
                DROP,
                "        before, weights = weights, nn.functional.dropout(weights, dropout)\n"
                "    else:\n        before = weights\n",
            ),
            (PAIR, PAIR.replace("weights.to", "before.to")),
        ),
    ),
    # -- 3.4 Heads
    Mistake(
        "3.4",
        "the time is cut into heads, not the width",
        "A reshape to (…, H, T, D) runs through the numbers in their order: head 0 gets the first places whole. Cut C "
        "into (H, D) first, then exchange T and H.",
        "heads.py",
        ((SPLIT, "return x.reshape(*x.shape[:-2], heads, x.shape[-2], x.shape[-1] // heads)"),),
    ),
    Mistake(
        "3.4",
        "the heads stay behind the time",
        "(…, T, H, D) is half of the way: exchange T and H, so that each head has queries and keys (T, D) of its own.",
        "heads.py",
        ((SPLIT, "return x.unflatten(-1, (heads, -1))"),),
    ),
    Mistake(
        "3.4",
        "head h gets each H-th number, not a slice",
        "unflatten(-1, (heads, -1)) makes slices of the width; (-1, heads) deals the numbers out by turns.",
        "heads.py",
        ((SPLIT, "return x.unflatten(-1, (-1, heads)).movedim(-1, -3)"),),
    ),
    Mistake(
        "3.4",
        "the dimensions are counted from the front when the heads are split",
        "transpose(1, 2) is right for (B, T, H, D) only. Counted from the end, -3 and -2 are always T and H.",
        "heads.py",
        ((SPLIT, "return x.unflatten(-1, (heads, -1)).transpose(1, 2)"),),
    ),
    Mistake(
        "3.4",
        "the heads are merged without exchanging them with the time",
        "A reshape of (…, H, T, D) to (…, T, C) puts several places of one head side by side: tokens are scrambled.",
        "heads.py",
        ((MERGE, "return x.reshape(*x.shape[:-3], x.shape[-2], x.shape[-3] * x.shape[-1])"),),
    ),
    Mistake(
        "3.4",
        "the numbers of the heads are merged by turns",
        "Head 0 comes first with all its D numbers, then head 1: (…, T, H, D), then (…, T, C).",
        "heads.py",
        ((MERGE, "return x.movedim(-3, -1).flatten(-2)"),),
    ),
    Mistake(
        "3.4",
        "merge_heads asks for a view of what lies in another order",
        "After a transpose the numbers of a place do not lie side by side, and view cannot put them there. reshape and "
        "flatten copy where they have to; so does contiguous().",
        "heads.py",
        ((MERGE, "return x.transpose(-3, -2).view(*x.shape[:-3], x.shape[-2], x.shape[-3] * x.shape[-1])"),),
    ),
    # -- 3.5 Multi-head attention
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
        (("return (output, weights) if", "return (output, weights.mean(1)) if"),),
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
    # -- 3.6 Shared keys and values
    Mistake(
        "3.6",
        "query head h reads key/value head h % G",
        "Neighbours share: of 4 query heads and 2 for keys, 0 and 1 read head 0. Repeat each head, not all of them.",
        "multihead.py",
        (
            (
                SHARED,
                "        q,\n        torch.cat([k] * share, dim=-3),\n        torch.cat([v] * share, dim=-3),\n",
            ),
            (
                "        mask=_grouped(mask, groups, share),\n        bias=_grouped(bias, groups, share),",
                "        mask=mask,\n        bias=bias,",
            ),
            (
                "        output, weights = result\n        return output.flatten(-4, -3), weights.flatten(-4, -3)",
                "        return result",
            ),
            ("    return result.flatten(-4, -3)\n", "    return result\n"),
        ),
    ),
    Mistake(
        "3.6",
        "all query heads read the first key/value head",
        "Each group of H/G query heads has a key/value head of its own: query head h reads h·G // H.",
        "multihead.py",
        (
            ("k.unsqueeze(-3),", "k[..., :1, :, :].unsqueeze(-3).expand(*k.shape[:-2], 1, *k.shape[-2:]),"),
            (
                "        v.unsqueeze(-3),",
                "        v[..., :1, :, :].unsqueeze(-3).expand(*v.shape[:-2], 1, *v.shape[-2:]),",
            ),
        ),
    ),
    Mistake(
        "3.6",
        "the values go to other query heads than their keys",
        "Keys and values are shared out in the same way: what is done to k is done to v.",
        "multihead.py",
        (
            (
                "        v.unsqueeze(-3),",
                "        torch.cat([v] * share, dim=-3).unflatten(-3, (groups, share)),",
            ),
        ),
    ),
    Mistake(
        "3.6",
        "the heads of a mask or a bias are shared out in another order than those of the queries",
        "The head dimension of a mask counts query heads: split it as that of the queries, into (G, H/G).",
        "multihead.py",
        (
            (
                REGROUPED,
                "return x.unsqueeze(-3) if x.shape[-3] == 1 else x.unflatten(-3, (share, groups)).transpose(-4, -3)",
            ),
        ),
    ),
    Mistake(
        "3.6",
        "the bias is not handed on",
        "attention takes a mask and a bias: both are for the query heads, and both are split up.",
        "multihead.py",
        (("bias=_grouped(bias, groups, share)", "bias=None"),),
    ),
    Mistake(
        "3.6",
        "the dropout is not handed on",
        "What grouped_attention is given for the weights, it hands to attention: dropout=dropout.",
        "multihead.py",
        (
            (
                "        dropout=dropout,\n        return_weights=return_weights,",
                "        return_weights=return_weights,",
            ),
        ),
    ),
    Mistake(
        "3.6",
        "the weights still have a dimension of groups",
        "The weights come as (..., H, T, S), as those of attention do: put the groups together again.",
        "multihead.py",
        (("return output.flatten(-4, -3), weights.flatten(-4, -3)", "return output.flatten(-4, -3), weights"),),
    ),
    # -- 3.7 A cache of keys and values
    Mistake(
        "3.7",
        "all that is kept is copied for each token",
        "torch.cat makes a new tensor each time. Take room ahead, and write the new tokens into it.",
        "cache.py",
        ((LARGER, "needed"),),
    ),
    Mistake(
        "3.7",
        "the room grows by the same piece each time",
        "With a piece of 16 there are N/16 copies of all that is kept, which still grows with N². Double the room.",
        "cache.py",
        ((LARGER, "max(needed, kept.shape[2] + 16)"),),
    ),
    Mistake(
        "3.7",
        "only the new keys and values come back",
        "The new queries look at all tokens so far: give what is kept, up to the new length.",
        "cache.py",
        ((GIVEN, "return keys.detach(), values.detach()"),),
    ),
    Mistake(
        "3.7",
        "room that is still empty comes back too",
        "Cut what is given at the number of tokens so far: the room is larger.",
        "cache.py",
        ((GIVEN, "return self._keys, self._values"),),
    ),
    Mistake(
        "3.7",
        "the length counts appends, not tokens",
        "A piece may have several tokens: the length grows by T, the third dimension of the keys.",
        "cache.py",
        (
            (
                WRITTEN,
                WRITTEN.replace("self.length = end", "self.length += 1"),
            ),
        ),
    ),
    Mistake(
        "3.7",
        "new tokens are written over the old ones",
        "What is kept is in the places 0 to S - 1; the new tokens come behind it, and the length grows.",
        "cache.py",
        ((WRITTEN, WRITTEN.replace("        self.length = end\n", "")),),
    ),
    Mistake(
        "3.7",
        "what was kept is lost when the room grows",
        "The new room is empty: copy what was kept into its first places.",
        "cache.py",
        (("    room[:, :, :length] = kept[:, :, :length]\n", ""),),
    ),
    Mistake(
        "3.7",
        "the new tokens are put before the old ones",
        "Keys stand in the order of their tokens: what is new comes last.",
        "cache.py",
        ((WRITTEN, FIRST),),
    ),
    Mistake(
        "3.7",
        "what is kept has its history",
        "detach() what is kept: else each token keeps all that led to it, and gradients go back into the past.",
        "cache.py",
        (
            (
                WRITTEN,
                WRITTEN.replace("keys.detach()", "keys").replace("values.detach()", "values"),
            ),
        ),
    ),
    Mistake(
        "3.7",
        "the causal mask takes the first of the new tokens for the first of all",
        "The last query stands at the last key: causal_mask(T, S) knows. With tril, the diagonal is S - T.",
        "multihead.py",
        (("combine(causal_mask(queries, keys, device=x.device), mask)", "combine(causal_mask(keys)[:queries], mask)"),),
    ),
    Mistake(
        "3.7",
        "the relative bias takes the first of the new tokens for the first of all",
        "Without an offset, the bias lets the last query meet the last key, which is right here; with 0 it does not.",
        "multihead.py",
        ((BIAS_OF_HEADS, "bias = None if self.distance_bias is None else self.distance_bias(queries, keys, 0)"),),
    ),
    Mistake(
        "3.7",
        "each piece is turned as if it began at position 0",
        "The new tokens stand behind those in the cache: their positions go on at cache.length.",
        "multihead.py",
        (("start = 0 if cache is None else cache.length", "start = 0"),),
    ),
    # -- 3.8 Attention without the matrix
    Mistake(
        "3.8",
        "the sum of exponentials is not put right when a higher score comes",
        "total was summed up against the old maximum: multiply it by exp(old maximum - new one) before you add.",
        "flash.py",
        (("total = total * shrink + shares.sum(-1)", "total = total + shares.sum(-1)"),),
    ),
    Mistake(
        "3.8",
        "the sum of the values is not put right when a higher score comes",
        "The values gathered so far were weighed against the old maximum: multiply them by exp(old maximum - new one).",
        "flash.py",
        (("mixed = mixed * shrink[..., None] + shares", "mixed = mixed + shares"),),
    ),
    Mistake(
        "3.8",
        "nothing is subtracted from the scores before exp",
        "exp of 710 overflows. Keep the largest score so far for each query, and subtract it.",
        "flash.py",
        (("higher = torch.maximum(top, scores.amax(-1))", "higher = top = torch.zeros_like(top)"),),
    ),
    Mistake(
        "3.8",
        "the largest score so far starts at 0",
        "Where all scores are far below 0, exp(score - 0) is 0 for all of them. Start below any score: at "
        "torch.finfo(…).min, or at -inf with care.",
        "flash.py",
        (
            (
                "top = q_tile.new_full(q_tile.shape[:-1], torch.finfo(wide).min)",
                "top = q_tile.new_zeros(q_tile.shape[:-1])",
            ),
        ),
    ),
    Mistake(
        "3.8",
        "the maximum of the last tile replaces a higher one of before",
        "Take torch.maximum(old, tile's): where the maximum falls, exp(old - new) overflows.",
        "flash.py",
        (
            (
                "higher = torch.maximum(top, scores.amax(-1))",
                "higher = scores.amax(-1).clamp(min=torch.finfo(wide).min)",
            ),
        ),
    ),
    Mistake(
        "3.8",
        "with causal, the first query stands at the first key",
        "The last query stands at the last key: query i sees the keys j ≤ S - T + i.",
        "flash.py",
        (("ahead = k.shape[-2] - q.shape[-2]  #", "ahead = 0  #"),),
    ),
    Mistake(
        "3.8",
        "a query that sees nothing is divided by its sum of 0",
        "0 / 0 is nan. Divide by 1 where the sum of exponentials is 0.",
        "flash.py",
        ((OUTPUT, "output[..., rows, :] = mixed / total[..., None]"),),
    ),
    Mistake(
        "3.8",
        "keys behind the last whole tile are left out",
        "S need not be a multiple of the block: go on while there are keys, and let the last tile be smaller.",
        "flash.py",
        (
            (
                "    for columns in _slices(k.shape[-2], block):",
                "    for columns in _slices(max(k.shape[-2] // block * block, min(block, k.shape[-2])), block):",
            ),
        ),
    ),
    Mistake(
        "3.8",
        "the scores are not divided by √D",
        "Multiply each tile of scores, or the queries before, by 1/√D, on both ways.",
        "flash.py",
        (
            ("q_tile = q[..., rows, :].to(wide) / math.sqrt(q.shape[-1])  #", "q_tile = q[..., rows, :].to(wide)  #"),
            ("wide, scale = log_sum.dtype, 1 / math.sqrt(q.shape[-1])", "wide, scale = log_sum.dtype, 1.0"),
        ),
    ),
    Mistake(
        "3.8",
        "the gradient of q is not scaled",
        "scores = scale · q kᵀ, so the gradient of q is scale · (gradient of the scores) k.",
        "flash.py",
        (("grad_scores @ k_tile * scale", "grad_scores @ k_tile"),),
    ),
    Mistake(
        "3.8",
        "the gradient of the softmax lacks what is subtracted",
        "The gradient of a row of scores is P ∘ (dP - Σ_j P_j dP_j). The sum is the same as grad · output, row by row.",
        "flash.py",
        (
            (
                "grad_scores = (grad_tile @ v_tile.mT).sub_(inner).mul_(weights)",
                "grad_scores = (grad_tile @ v_tile.mT).mul_(weights)",
            ),
        ),
    ),
    Mistake(
        "3.8",
        "the gradients of k and v are those of the last block of queries",
        "Each block of queries gives a share of the gradients of all keys that it sees: add them up.",
        "flash.py",
        (
            ("grad_v[..., columns, :] += weights.mT", "grad_v[..., columns, :] = weights.mT"),
            ("grad_k[..., columns, :] += grad_scores.mT", "grad_k[..., columns, :] = grad_scores.mT"),
        ),
    ),
    Mistake(
        "3.8",
        "on the way back, nothing is hidden",
        "Recompute the weights with the mask that they had: zeros where a key is hidden.",
        "flash.py",
        (("                    weights.masked_fill_(hidden, 0.0)\n", "                    pass\n"),),
    ),
    Mistake(
        "3.8",
        "the way back makes the whole matrix",
        "Going back, compute each tile of weights again from q, k and the logarithm of the sum.",
        "flash.py",
        (
            (
                BACKWARD,
                "            _ = q_tile @ k.to(wide).mT if rows.start else q.to(wide) @ k.to(wide).mT\n" + BACKWARD,
            ),
        ),
    ),
    Mistake(
        "3.8",
        "the scores of all pairs are computed at once",
        "Compute q_tile @ k_tileᵀ for one tile at a time; q @ kᵀ has T × S elements.",
        "flash.py",
        (
            (FORWARD, FORWARD + "            whole = (q.to(wide) / math.sqrt(q.shape[-1])) @ k.to(wide).mT\n"),
            (WIDE_K, "scores = whole[..., rows, columns].clone()"),
        ),
    ),
    Mistake(
        "3.8",
        "a block of queries meets all keys at once",
        "That is a strip of block × S scores. Cut the keys into blocks too, in an inner loop.",
        "flash.py",
        ((WIDE_K, "scores = (q_tile @ k.to(wide).mT)[..., columns].contiguous()  # (..., n, n)"),),
    ),
    Mistake(
        "3.8",
        "the causal mask is made for all pairs",
        "A mask of T × S elements is as large as the scores. Make that of a tile, from its places.",
        "flash.py",
        (
            (
                "yield columns, key > query[:, None]  # (n, n)",
                "every = torch.arange(k.shape[-2], device=q.device)\n"
                "            mask = every > torch.arange(ahead, ahead + q.shape[-2], device=q.device)[:, None]\n"
                "            yield columns, mask[rows, columns] if len(key) and len(query) else None",
            ),
        ),
    ),
    Mistake(
        "3.8",
        "the tiles are kept for the way back",
        "All tiles together are T × S elements. Write an autograd.Function that keeps q, k, v, the result and one "
        "number a query; what torch records by itself keeps every tile.",
        "flash.py",
        (
            ("ctx.causal, ctx.block = causal, block", "ctx.causal, ctx.block, ctx.tiles = causal, block, tiles"),
            (FORWARD, FORWARD + "            tiles = [] if rows.start == 0 else tiles\n"),
            (
                "                shrink = (top - higher).exp()",
                "                tiles.append(shares)\n                shrink = (top - higher).exp()",
            ),
            (
                "        log_sum = q.new_empty(q.shape[:-1]",
                "        tiles: list[Tensor] = []\n        log_sum = q.new_empty(q.shape[:-1]",
            ),
        ),
    ),
    Mistake(
        "3.8",
        "tiles that are hidden wholly are computed all the same",
        "With causal, a tile whose first key stands behind the last of its queries has no weight but 0: leave it out.",
        "flash.py",
        (("        elif columns.start <= rows.stop - 1 + ahead:", "        else:"),),
    ),
    Mistake(
        "3.8",
        "in half formats the tiles are in the format of q",
        "Sums of many products in bfloat16 or float16 lose digits, or overflow. Convert each tile to float32 first.",
        "flash.py",
        (("wide = torch.promote_types(q.dtype, torch.float32)", "wide = q.dtype"),),
    ),
    Mistake(
        "3.8",
        "torch's own attention does the work",
        "scaled_dot_product_attention is what this exercise takes apart. Write the tiles yourself.",
        "flash.py",
        (
            (
                AUTOGRAD,
                "    if not causal and q.shape[-2] and k.shape[-2]:\n"
                "        return torch.nn.functional.scaled_dot_product_attention(q, k, v)\n" + AUTOGRAD,
            ),
        ),
    ),
    # -- 3.9 Sparse attention
    Mistake(
        "3.9",
        "the window reaches one key too far",
        "W keys with one's own among them: i - j goes from 0 to W - 1. With a window of 1, each place sees itself.",
        "sparse.py",
        (("(query - near < window)", "(query - near <= window)"),),
    ),
    Mistake(
        "3.9",
        "one's own place is not in the window",
        "j ≤ i: a query sees its own key, and with a window of 1 nothing else.",
        "sparse.py",
        (
            (
                "sees_near = (near <= query) & (query - near < window)",
                "sees_near = (near < query) & (query - near <= window)",
            ),
        ),
    ),
    Mistake(
        "3.9",
        "a query sees the keys of its own block only",
        "The window of a block's first query lies in the block before. Give each block the keys of both.",
        "sparse.py",
        (("(near >= global_tokens)  #", "(near >= global_tokens) & (near // window == query // window)  #"),),
    ),
    Mistake(
        "3.9",
        "a key that is global and in the window counts twice",
        "Where the global keys stand beside the window's, mask them in one of the two places.",
        "sparse.py",
        (
            (" & (near >= global_tokens)  # global ones are not seen twice", ""),
            ("(near <= query) &", "(near >= 0) & (near <= query) &"),
        ),
    ),
    Mistake(
        "3.9",
        "a global key is seen by the queries before it",
        "Global keys are seen by all that stand behind them: j ≤ i holds for them too.",
        "sparse.py",
        (("[shared <= query, sees_near]", "[(shared <= query) | (shared >= 0), sees_near]"),),
    ),
    Mistake(
        "3.9",
        "all scores are computed, and masked afterwards",
        "That is right, and costs T². Cut the queries into blocks of W, and give each only the keys that it can see.",
        "sparse.py",
        ((SPARSE, WHOLE),),
    ),
    # -- 3.10 Linear attention
    Mistake(
        "3.10",
        "the weights are not divided by their sum",
        "Keep Σ φ(k_j) beside Σ φ(k_j) v_jᵀ, and divide by φ(q) times it.",
        "linear.py",
        (("return weighed / weights.where(weights > 0, 1.0)", "return weighed * weights.sign()"),),
    ),
    Mistake(
        "3.10",
        "a constant is added to the divisor",
        "Where weights are small, 1e-6 is more than all of them. Divide by 1 where the sum is 0, else by the sum.",
        "linear.py",
        (("weights.where(weights > 0, 1.0)", "(weights + 1e-6)"),),
    ),
    Mistake(
        "3.10",
        "where all weights are 0, they are divided by all the same",
        "0 / 0 is nan: exp(-300) is 0 in float32. Divide by 1 there.",
        "linear.py",
        (("return weighed / weights.where(weights > 0, 1.0)", "return weighed / weights"),),
    ),
    Mistake(
        "3.10",
        "a query sees its whole chunk, keys behind it too",
        "Within a chunk the weights of the pairs need a causal mask: tril().",
        "linear.py",
        (("within = (q_ @ k_.mT).tril()", "within = q_ @ k_.mT"),),
    ),
    Mistake(
        "3.10",
        "the sum of the chunks before has the chunk itself in it",
        "cumsum adds the chunk's own sum as well: subtract it, or move the sums by one chunk.",
        "linear.py",
        (("before, totals_before = (x.cumsum(-3) - x for x", "before, totals_before = (x.cumsum(-3) for x"),),
    ),
    Mistake(
        "3.10",
        "the weights of all pairs are made",
        "With T × T weights nothing is saved. Go by chunks: pairs within each, one sum for those before.",
        "linear.py",
        ((CHUNK, ALL_PAIRS + CHUNK),),
    ),
    Mistake(
        "3.10",
        "there is a D × E sum for each place",
        "A cumsum over all places makes T · D · E numbers. Keep one sum a chunk; pairs do the rest.",
        "linear.py",
        ((CHUNK, EACH_PLACE + CHUNK),),
    ),
    Mistake(
        "3.10",
        "the products are taken in the wrong order",
        "(φ(q) φ(k)ᵀ) v makes T × S weights; φ(q) (φ(k)ᵀ v) makes D × E sums, and gives the same.",
        "linear.py",
        ((ALL_KEYS, "weighed = (q_ @ k_.mT) @ v_"),),
    ),
    Mistake(
        "3.10",
        "the state sums up in the format of the tokens",
        "In bfloat16, 256 + 1 is 256. Convert to float32 before you multiply and add.",
        "linear.py",
        (
            (
                "        wide = torch.promote_types(q.dtype, torch.float32)\n        query, key",
                "        wide = q.dtype\n        query, key",
            ),
        ),
    ),
    Mistake(
        "3.10",
        "the state keeps all that it has read",
        "Add each token to two sums and forget it: what is kept must not grow.",
        "linear.py",
        (
            (
                "        self.totals = self.totals + key\n",
                "        self.totals = self.totals + key\n"
                '        self.read = [*getattr(self, "read", []), (k.clone(), v.clone())]\n',
            ),
        ),
    ),
    # -- 3.11 Looking at attention
    Mistake(
        "3.11",
        "each panel has a scale of its own",
        "imshow stretches its colours from the least to the greatest number; give it vmin=0 and vmax=1.",
        "plots.py",
        (("panel.imshow(head, vmin=0.0, vmax=1.0,", "panel.imshow(head,"),),
    ),
    Mistake(
        "3.11",
        "all zeros are left empty",
        "A weight of 0 that might have been more is drawn. Empty is what lies behind the last key of a query.",
        "plots.py",
        ((LAST, "values = np.where(values == 0, np.nan, values)"),),
    ),
    Mistake(
        "3.11",
        "nothing is left empty",
        "Where no query may look, put nan or a mask: imshow draws nothing there.",
        "plots.py",
        ((LAST, "values = np.where(last[:, None] > n_keys, np.nan, values)"),),
    ),
    Mistake(
        "3.11",
        "each head's zeros decide by themselves what is empty",
        "What one head does not look at, another one may: take the last key over all heads.",
        "plots.py",
        (
            (
                LAST,
                "last = np.where(values > 0, np.arange(n_keys), -1).max(axis=2)\n"
                "    values = np.where(np.arange(n_keys) > last[..., None], np.nan, values)",
            ),
        ),
    ),
    Mistake(
        "3.11",
        "the queries and the keys have changed places",
        "A row for each query, a column for each key: imshow takes (T, S) as it is.",
        "plots.py",
        (("image = panel.imshow(head, vmin", "image = panel.imshow(head.T, vmin"),),
    ),
    Mistake(
        "3.11",
        "white space is not made visible",
        "Replace a space, a new line and a tab by signs that can be seen.",
        "plots.py",
        (("        token = token.replace(space, sign)\n", "        token = token.replace(sign, space)\n"),),
    ),
    Mistake(
        "3.11",
        "an empty entry looks like a weight of 0",
        "The lowest shade of the map is nearly white, as the panel is: panel.set_facecolor gives it another colour.",
        "plots.py",
        (('panel.set_facecolor("0.85")', 'panel.set_facecolor("1.0")'),),
    ),
    Mistake(
        "3.11",
        "each panel has a colour bar of its own",
        "One bar for all panels: figure.colorbar(image, ax=all of them), after the loop.",
        "plots.py",
        (
            (
                "        panel.grid(False)\n",
                '        figure.colorbar(image, ax=panel, label="weight")\n        panel.grid(False)\n',
            ),
            ('    figure.colorbar(image, ax=list(panels), label="weight", shrink=0.8)\n', ""),
        ),
    ),
]
