"""3.3 · Scaled dot-product attention: each query gathers values, most from the keys that fit it best.

Vaswani et al.: Attention Is All You Need (2017), section 3.2.1, equation 1.
Letters: T queries, S keys, D width of queries and keys, E width of values.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .checks import check_attention
from .softmax import softmax


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Give each query the mean of the values, weighed by how well their keys fit it.

        weights = softmax(q kᵀ / √D + bias), with 0 where the mask is False;    output = weights v

    Written with matrix products and softmax; torch's `scaled_dot_product_attention` is not called. In half formats the
    scores, the softmax and the sums are computed in float32, and the result is rounded once. A query that may attend
    to nothing gets zeros, has weights of 0, and all gradients stay finite.

    Args:
        q: (..., T, D), the queries. There may be any number of leading dimensions, say B and H; those of q, k and v
            broadcast with one another.
        k: (..., S, D), the keys.
        v: (..., S, E), the values; in the format of q and k.
        mask: bool, broadcasts to (..., T, S): True where a query may attend to a key.
        bias: floating point of any format, broadcasts to (..., T, S): is added to the scores before the softmax. An
            entry of -inf keeps a query from a key, as a mask does.
        dropout: the share of the weights that are set to zero at random, while the others are divided by
            1 - dropout; whoever does not train gives 0.
        return_weights: give the weights too.

    Returns:
        (..., T, E) in the format of q; with `return_weights`, that and the weights it was made with (after the
        dropout), (..., T, S), in the format of q.

    Raises:
        TypeError: the formats of q, k and v differ, the mask is not bool, the bias not floating point.
        ValueError: shapes do not fit (they are named), or `dropout` is not from 0 to less than 1.

    >>> q, k, v = torch.zeros(2, 4), torch.zeros(3, 4), torch.tensor([[0.0], [3.0], [6.0]])
    >>> attention(q, k, v)  # all scores are equal, so each query gets the mean
    tensor([[3.],
            [3.]])
    >>> attention(q, k, v, mask=torch.tensor([[True, False, False], [True, True, False]]))
    tensor([[0.0000],
            [1.5000]])
    """
    check_attention(q, k, v, mask, bias, dropout)
    # BEGIN SOLUTION 3.3: scores, bias, mask, softmax, dropout, and the sum; a row without any key needs care
    wide = torch.promote_types(q.dtype, torch.float32)
    scores = (q.to(wide) / math.sqrt(q.shape[-1])) @ k.to(wide).mT  # (..., T, S)
    nothing = None
    if mask is not None:  # a mask is a bias of -inf: together they are as small as they come, (T, S) say
        bias = (scores.new_zeros(()) if bias is None else bias.to(wide)).masked_fill(~mask, -torch.inf)
    if bias is not None:  # a row of nothing but -inf gets a bias of 0, and gives 0: no nan, there and on the way back
        nothing = (bias == -torch.inf).all(-1, keepdim=True)  # (..., T, 1)
        scores = scores + bias.to(wide).masked_fill(nothing, 0.0)
    weights = softmax(scores)
    if dropout:
        weights = nn.functional.dropout(weights, dropout)
    output = (weights @ v.to(wide)).to(q.dtype)  # (..., T, E)
    if nothing is not None:
        output = output.masked_fill(nothing, 0.0)
    if not return_weights:
        return output
    weights = weights if nothing is None else weights.masked_fill(nothing, 0.0)
    return output, weights.to(q.dtype)
    # END SOLUTION
