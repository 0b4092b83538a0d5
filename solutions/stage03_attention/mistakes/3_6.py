"""What people get wrong in 3.6 Shared keys and values (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

SHARED = """\
        q.unflatten(-3, (groups, share)),  # (..., G, H/G, T, D)
        k.unsqueeze(-3),  # (..., G, 1, S, D): broadcast, not copied
        v.unsqueeze(-3),
"""
REGROUPED = "return x.unsqueeze(-3) if x.shape[-3] == 1 else x.unflatten(-3, (groups, share))"

MISTAKES = [
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
]
