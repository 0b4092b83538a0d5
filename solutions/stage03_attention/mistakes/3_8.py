"""What people get wrong in 3.8 Attention without the matrix (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

OUTPUT = "output[..., rows, :] = mixed / total.where(total > 0, 1.0)[..., None]  # who saw nothing gets zeros"
FORWARD = "            q_tile = q[..., rows, :].to(wide) / math.sqrt(q.shape[-1])  # (..., n, D)\n"
BACKWARD = "            inner = (grad_tile * output[..., rows, :]).sum(-1, keepdim=True)"
WIDE_K = "scores = q_tile @ k[..., columns, :].to(wide).mT  # (..., n, n)"
AUTOGRAD = """\
    output: Any = _FlashAttention.apply(q, k, v, causal, block)
    return output"""

MISTAKES = [
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
]
