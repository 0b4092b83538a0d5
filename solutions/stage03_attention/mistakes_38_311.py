"""What people get wrong in 3.8 to 3.11, each with its name (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

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
