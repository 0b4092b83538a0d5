"""How far the reference of stage 03 is from other libraries, a line for each comparison (run by test_parity.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention as sdpa
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaRotaryEmbedding

from stage02_embeddings import RotaryEmbedding
from stage03_attention import MultiHeadAttention, causal_mask, flash_attention, grouped_attention
from stage03_attention.attention import attention
from stage03_attention.multihead import Projections
from stage03_attention.softmax import softmax

B, H, G, T, S, D, C = 2, 6, 2, 130, 200, 16, 96


def apart(one: Tensor, other: Tensor) -> float:
    return float((one.detach().double() - other.detach().double()).abs().max())


def both_ways(ours: Callable[..., Any], theirs: Callable[..., Any], *inputs: Tensor) -> float:
    """Compare outputs, and gradients for the same upstream gradient."""
    results = []
    for function in (ours, theirs):
        leaves = [x.clone().requires_grad_() for x in inputs]
        output = function(*leaves)
        (output.float() * torch.linspace(-1, 1, output.numel()).view(output.shape)).sum().backward()
        results.append([output, *(leaf.grad for leaf in leaves)])
    return max(apart(*pair) for pair in zip(*results))


def qkv(dtype: torch.dtype = torch.float32, heads: int = H) -> list[Tensor]:
    return [torch.randn(B, h, n, D, dtype=dtype) for h, n in ((H, T), (heads, S), (heads, S))]


def scores_of(dtype: torch.dtype) -> float:
    """In half formats the library computes with rounded inputs in float32, as the reference does."""
    mask = causal_mask(T, S)
    q, k, v = qkv(dtype)
    ours: Any = attention(q, k, v, mask)
    return apart(ours, sdpa(q.float(), k.float(), v.float(), attn_mask=mask))


def multihead() -> float:
    theirs = nn.MultiheadAttention(C, H, batch_first=True)
    ours = MultiHeadAttention(C, H)
    wq, wk, wv = theirs.in_proj_weight.detach().split(C)
    bq, bk, bv = theirs.in_proj_bias.detach().normal_().split(C)
    out, out_bias = theirs.out_proj.weight.detach(), theirs.out_proj.bias.detach().normal_()
    ours.load_projections(Projections(wq, wk, wv, out, bq, bk, bv, out_bias))
    mask = causal_mask(T, S)
    x, context = torch.randn(B, T, C), torch.randn(B, S, C)
    return both_ways(
        lambda x, context: ours(x, context, mask=mask),
        lambda x, context: theirs(x, context, context, attn_mask=~mask)[0],  # there, True means may not
        x,
        context,
    )


def llama() -> float:
    """Grouped heads, rotary positions, causal."""
    config = LlamaConfig(hidden_size=C, num_attention_heads=H, num_key_value_heads=G, head_dim=D)
    config._attn_implementation = "eager"
    theirs = LlamaAttention(config, layer_idx=0).eval()
    ours = MultiHeadAttention(C, H, G, bias=False, position=RotaryEmbedding(D, layout="half"), causal=True)
    wq, wk, wv, out = (getattr(theirs, f"{name}_proj").weight.detach() for name in "qkvo")
    ours.load_projections(Projections(wq, wk, wv, out))
    x = torch.randn(B, T, C)
    turns: Any = LlamaRotaryEmbedding(config)(x, torch.arange(T)[None])
    hidden = torch.zeros(T, T).masked_fill(~causal_mask(T), -torch.inf)[None, None]
    return both_ways(ours, lambda x: theirs(x, position_embeddings=turns, attention_mask=hidden)[0], x)


torch.manual_seed(0)
for row, figure in {
    "`softmax`, outputs and gradients | `torch.softmax`": both_ways(
        softmax, lambda x: torch.softmax(x, -1), 10 * torch.randn(B, T, S)
    ),
    "`attention`, float32, outputs and gradients | `scaled_dot_product_attention`": both_ways(
        lambda *x: attention(*x, mask=causal_mask(T, S)), lambda *x: sdpa(*x, attn_mask=causal_mask(T, S)), *qkv()
    ),
    "`attention`, bfloat16 | the same on these inputs in float32": scores_of(torch.bfloat16),
    "`attention`, float16 | the same on these inputs in float32": scores_of(torch.float16),
    "`MultiHeadAttention`, T ≠ S, outputs and gradients | `torch.nn.MultiheadAttention`": multihead(),
    "`MultiHeadAttention`, 2 key/value heads, rotary | `transformers`, Llama": llama(),
    "`grouped_attention`, outputs and gradients | `scaled_dot_product_attention(enable_gqa=True)`": both_ways(
        grouped_attention, lambda *x: sdpa(*x, enable_gqa=True), *qkv(heads=G)
    ),
    "`flash_attention`, outputs and gradients | `scaled_dot_product_attention`": both_ways(
        lambda *x: flash_attention(*x, block=48), lambda *x: sdpa(*x), *qkv()
    ),
}.items():
    print(f"{row} = {figure:.3g}")
