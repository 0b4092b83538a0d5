"""How far the reference of stage 02 is from other libraries, a line for each comparison (run by test_parity.py)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, T5Config
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb as gptj_rotary
from transformers.models.gptj.modeling_gptj import create_sinusoidal_positions
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb as llama_rotary
from transformers.models.t5.modeling_t5 import T5Attention

from stage02_embeddings import AlibiBias, RotaryEmbedding, T5RelativeBias, TokenEmbedding, relative_bucket

B, H, T, D = 2, 6, 300, 64


def apart(one: Tensor, other: Tensor) -> float:
    return float((one.detach().double() - other.detach().double()).abs().max())


def embedding() -> float:
    ours, theirs = TokenEmbedding(50, 8, padding_idx=3), nn.Embedding(50, 8, padding_idx=3)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight)
    ids, upstream = torch.randint(50, (4, 30)), torch.randn(4, 30, 8)
    outputs = [module(ids) for module in (ours, theirs)]
    for output in outputs:
        (output * upstream).sum().backward()
    assert ours.weight.grad is not None and theirs.weight.grad is not None
    return max(apart(*outputs), apart(ours.weight.grad, theirs.weight.grad))


def half() -> float:
    config = LlamaConfig(hidden_size=H * D, num_attention_heads=H, head_dim=D)
    x, positions = torch.randn(B, H, T, D), torch.randint(0, 400, (B, T))
    cos, sin = LlamaRotaryEmbedding(config)(x, positions)
    return apart(RotaryEmbedding(D, layout="half")(x, positions), llama_rotary(x, x, cos, sin)[0])


def interleaved() -> float:
    x = torch.randn(B, H, T, D)
    sin, cos = create_sinusoidal_positions(T, D).chunk(2, dim=-1)  # (T, D/2) each
    theirs = gptj_rotary(x.transpose(1, 2), sin[None], cos[None]).transpose(1, 2)  # it wants (B, T, H, D)
    return apart(RotaryEmbedding(D)(x), theirs)


def alibi() -> float:
    """Theirs is not centred at the query; a softmax does not see a constant that is added to a row."""
    theirs = build_alibi_tensor(torch.ones(1, T), H, torch.float32)  # (H, 1, T)
    ours = AlibiBias(H)(1, T)
    return apart(ours - ours[..., -1:], theirs - theirs[..., -1:])


def buckets() -> float:
    distance = torch.arange(-1000, 1001)
    theirs: Any = T5Attention._relative_position_bucket
    pairs = (
        (relative_bucket(distance, way, 32, 128), theirs(distance, bidirectional=way, num_buckets=32, max_distance=128))
        for way in (True, False)
    )
    return max(apart(*pair) for pair in pairs)


def t5() -> float:
    far = 0.0
    for decoder in (False, True):
        config = T5Config(num_heads=H, d_kv=D, d_model=H * D, is_decoder=decoder)
        theirs: Any = T5Attention(config, has_relative_attention_bias=True, layer_idx=0)
        ours = T5RelativeBias(H, bidirectional=not decoder)
        with torch.no_grad():
            ours.weight.copy_(theirs.relative_attention_bias.weight)
        far = max(far, apart(ours(T, T), theirs.compute_bias(T, T)[0]))
    return far


torch.manual_seed(0)
for row, figure in {
    "`TokenEmbedding`, outputs and gradients | `torch.nn.Embedding`": embedding(),
    '`RotaryEmbedding`, layout "half" | `transformers`, Llama': half(),
    '`RotaryEmbedding`, layout "interleaved" | `transformers`, GPT-J': interleaved(),
    "`AlibiBias` for 6 heads, up to a constant a row | `transformers`, BLOOM": alibi(),
    "`relative_bucket`, distances to 1,000, both directions | `transformers`, T5": buckets(),
    "`T5RelativeBias`, both directions | `transformers`, T5": t5(),
}.items():
    print(f"{row} = {figure:.3g}")
