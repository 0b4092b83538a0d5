"""3.10 + · Linear attention: without the softmax, the sum over the keys can be kept instead of the keys.

Katharopoulos et al.: Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention (2020).
Letters: T queries, S keys, D width of queries and keys, E width of values, n size of a chunk.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from .checks import check_attention


def feature_map(x: Tensor) -> Tensor:
    """φ(x) = elu(x) + 1: x + 1 where x is positive, exp(x) elsewhere. Always positive. (Given.)"""
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())


def linear_attention(q: Tensor, k: Tensor, v: Tensor, causal: bool = False, chunk: int = 64) -> Tensor:
    """Give each query the mean of the values, weighed by φ(q) · φ(k) instead of exp(q · k / √D).

        output_i = Σ_j (φ(q_i) · φ(k_j)) v_j / Σ_j φ(q_i) · φ(k_j)      (causal: only over j ≤ i)

    The products are taken in another order: φ(q) (Σ_j φ(k_j) v_jᵀ). Time and memory grow with T + S, not with T · S.
    The causal form goes by chunks: within one, the weights of all its pairs; for all before it, one sum, so that there
    is a D × E sum for each chunk, not for each place. In half formats everything is computed in float32, and the result
    is rounded once. A query whose weights are all so small that they are 0 in the number format gets zeros; to the
    divisor of the others nothing is added.

    Args:
        q: (..., T, D).
        k: (..., S, D), with the same leading dimensions; S = T if causal.
        v: (..., S, E), with the same leading dimensions.
        causal: whether query i sees only the keys j ≤ i.
        chunk: how many places there are in a chunk of the causal form. The result does not depend on it.

    Returns:
        (..., T, E), in the format of q.

    Raises:
        TypeError: the formats of q, k and v differ, or they are not floating point.
        ValueError: shapes do not fit (they are named), or `chunk` is less than 1.

    >>> x, v = torch.zeros(3, 2), torch.tensor([[0.0], [3.0], [6.0]])
    >>> linear_attention(x, x, v, causal=True).flatten().tolist()  # all weights are equal
    [0.0, 1.5, 3.0]
    """
    check_attention(q, k, v)
    _check_linear(q, k, v, causal, chunk)
    # BEGIN SOLUTION 3.10: the features; then either one sum over all keys, or sums over the chunks before
    wide = torch.promote_types(q.dtype, torch.float32)
    if not causal:
        q_, k_, v_ = feature_map(q.to(wide)), feature_map(k.to(wide)), v.to(wide)
        weighed = q_ @ (k_.mT @ v_)  # (..., T, D) @ (..., D, E)
        weights = q_ @ k_.sum(-2)[..., None]  # (..., T, 1)
        return _divided(weighed, weights).to(q.dtype)

    length, blocks = q.shape[-2], -(-q.shape[-2] // chunk)  # N chunks, rounded up
    q_, k_, v_ = (
        pad(x, (0, 0, 0, blocks * chunk - length)).unflatten(-2, (blocks, chunk))
        for x in (feature_map(q.to(wide)), feature_map(k.to(wide)), v.to(wide))
    )  # (..., N, n, D) and (..., N, n, E); what is added has features of 0
    within = (q_ @ k_.mT).tril()  # (..., N, n, n)
    sums, totals = k_.mT @ v_, k_.sum(-2)[..., None]  # of each chunk: (..., N, D, E) and (..., N, D, 1)
    before, totals_before = (x.cumsum(-3) - x for x in (sums, totals))  # of all chunks before it
    weighed = within @ v_ + q_ @ before  # (..., N, n, E)
    weights = within.sum(-1, keepdim=True) + q_ @ totals_before  # (..., N, n, 1)
    return _divided(weighed, weights).flatten(-3, -2)[..., :length, :].to(q.dtype)
    # END SOLUTION


# BEGIN SOLUTION 3.10
def _divided(weighed: Tensor, weights: Tensor) -> Tensor:
    """Divide by the sum of the weights; where that is 0, `weighed` is 0 as well, and stays so."""
    return weighed / weights.where(weights > 0, 1.0)


# END SOLUTION


def _check_linear(q: Tensor, k: Tensor, v: Tensor, causal: bool, chunk: int) -> None:
    shapes = ", ".join(str(tuple(each.shape)) for each in (q, k, v))
    if not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        raise ValueError(f"q, k and v must have the same leading dimensions; got {shapes}")
    if causal and q.shape[-2] != k.shape[-2]:
        raise ValueError(f"causal, there must be as many queries as keys; got {shapes}")
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1; got {chunk}")


class LinearAttentionState:
    """Causal linear attention one token after the other, as a recurrent network: it keeps two sums and no keys.

    The sums are Σ φ(k_j) v_jᵀ and Σ φ(k_j), in float32 at least: (D + 1) · E numbers or so for each leading dimension,
    however many tokens were read.

    >>> state = LinearAttentionState()
    >>> [state.step(torch.zeros(2), torch.zeros(2), torch.tensor([number])).item() for number in (0.0, 3.0, 6.0)]
    [0.0, 1.5, 3.0]
    """

    def __init__(self) -> None:
        # BEGIN SOLUTION 3.10: two sums, of nothing yet
        self.sums: Tensor | float = 0.0  # (..., D, E)
        self.totals: Tensor | float = 0.0  # (..., D)
        # END SOLUTION

    def step(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Read one token, and give what its query gathers from it and all before it.

        Args:
            q, k: (..., D).
            v: (..., E).

        Returns:
            (..., E), in the format of q: row i of what `linear_attention(…, causal=True)` gives.

        Raises:
            ValueError: q and k are not of one shape, or the leading dimensions of v are others.
        """
        if q.shape != k.shape or q.dim() < 1 or v.shape[:-1] != k.shape[:-1]:
            shapes = ", ".join(str(tuple(each.shape)) for each in (q, k, v))
            raise ValueError(f"q, k and v must be (..., D), (..., D) and (..., E); got {shapes}")
        # BEGIN SOLUTION 3.10: add the token to the sums; then one product each
        wide = torch.promote_types(q.dtype, torch.float32)
        query, key = feature_map(q.to(wide)), feature_map(k.to(wide))  # (..., D)
        self.sums = self.sums + key[..., :, None] * v.to(wide)[..., None, :]  # (..., D, E)
        self.totals = self.totals + key
        weighed = (query[..., None, :] @ self.sums).squeeze(-2)  # (..., E)
        return _divided(weighed, (query * self.totals).sum(-1, keepdim=True)).to(q.dtype)
        # END SOLUTION
