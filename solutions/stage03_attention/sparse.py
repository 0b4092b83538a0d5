"""3.9 + · Sparse attention: each query sees a window of the last keys, and a few keys that all see.

Child et al.: Generating Long Sequences with Sparse Transformers (2019); Beltagy, Peters and Cohan: Longformer: The
Long-Document Transformer (2020). Letters: T length, D width of queries and keys, E width of values, W window.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from .attention import attention
from .checks import check_attention


def sliding_window_attention(q: Tensor, k: Tensor, v: Tensor, window: int, global_tokens: int = 0) -> Tensor:
    """Causal attention to the last W keys, one's own among them, and to the first `global_tokens` keys.

    It equals `attention` with a mask that is True for j ≤ i and (i - j < W or j < global_tokens). But the scores that
    are hidden are, but for a fixed share, not computed: time and memory grow with T · (W + global_tokens), and not with
    T². With a window of 1 and no global tokens, each place gets its own value.

    Args:
        q, k: (..., T, D), with the same leading dimensions.
        v: (..., T, E).
        window: W, at least 1; more than T is like T.
        global_tokens: how many of the first keys are seen by all queries behind them.

    Returns:
        (..., T, E), in the format of q.

    Raises:
        TypeError: the formats of q, k and v differ, or they are not floating point.
        ValueError: shapes do not fit (they are named), `window` is less than 1 or `global_tokens` negative.

    >>> x, v = torch.zeros(4, 2), torch.tensor([[0.0], [2.0], [4.0], [8.0]])
    >>> sliding_window_attention(x, x, v, window=2).flatten().tolist()
    [0.0, 1.0, 3.0, 6.0]
    """
    check_attention(q, k, v)
    if q.shape != k.shape or q.shape[:-1] != v.shape[:-1]:
        shapes = ", ".join(str(tuple(each.shape)) for each in (q, k, v))
        raise ValueError(f"q, k and v must be (..., T, D), (..., T, D) and (..., T, E); got {shapes}")
    if window < 1 or global_tokens < 0:
        raise ValueError(f"window must be at least 1, global_tokens not negative; got {window} and {global_tokens}")
    # BEGIN SOLUTION 3.9: blocks of W queries; a block sees its own keys, those of the block before, and the global ones
    length = q.shape[-2]
    window, global_tokens = min(window, max(length, 1)), min(global_tokens, length)
    blocks = -(-length // window)  # N, rounded up
    q, k, v = (pad(x, (0, 0, 0, blocks * window - length)).unflatten(-2, (blocks, window)) for x in (q, k, v))
    before_k, before_v = (pad(x, (0, 0, 0, 0, 1, 0))[..., :-1, :, :] for x in (k, v))  # (..., N, W, ·), one block later
    shared_k, shared_v = (
        x.flatten(-3, -2)[..., None, :global_tokens, :].expand(*x.shape[:-2], global_tokens, -1) for x in (k, v)
    )
    keys = torch.cat([shared_k, before_k, k], -2)  # (..., N, global + 2W, D)
    values = torch.cat([shared_v, before_v, v], -2)

    query = torch.arange(blocks * window, device=q.device).view(blocks, window, 1)  # where each query stands
    near = (
        torch.arange(-window, window, device=q.device) + window * torch.arange(blocks, device=q.device)[:, None, None]
    )
    shared = torch.arange(global_tokens, device=q.device).expand(blocks, 1, global_tokens)
    sees_near = (near <= query) & (query - near < window) & (near >= global_tokens)  # global ones are not seen twice
    mask = torch.cat([shared <= query, sees_near], -1)  # (N, W, global + 2W)
    output, _ = attention(q, keys, values, mask, return_weights=True)  # (..., N, W, E)
    return output.flatten(-3, -2)[..., :length, :]  # (..., T, E)
    # END SOLUTION
