"""How far the reference of stage 04 is from other libraries, a line for each comparison (run by test_parity.py)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.models.llama.modeling_llama import LlamaMLP

from stage03_attention.multihead import Projections
from stage04_block import (
    GPT,
    FeedForward,
    LayerNorm,
    RMSNorm,
    TransformerBlock,
    export_gpt2,
    forward_flops,
    gelu,
    load_gpt2,
    next_token_probabilities,
    silu,
)
from stage04_block.config import GPTConfig
from stage04_block.generate import generate

B, T, C = 3, 17, 24


def apart(one: Tensor, other: Tensor) -> float:
    return float((one.detach().double() - other.detach().double()).abs().max())


def both_ways(ours: Callable[..., Any], theirs: Callable[..., Any], *inputs: Tensor) -> float:
    """Compare outputs, and gradients for the same upstream gradient."""
    results = []
    for function in (ours, theirs):
        leaves = [x.clone().requires_grad_() for x in inputs]
        output = function(*leaves)
        (output * torch.linspace(-1, 1, output.numel()).view(output.shape)).sum().backward()
        results.append([output, *(leaf.grad for leaf in leaves)])
    return max(apart(*pair) for pair in zip(*results))


def random_(module: Any) -> Any:
    """Give all parameters random numbers, gains and biases too."""
    with torch.no_grad():
        for each in module.parameters():
            each.normal_(0.3, 0.5) if each.dim() == 1 else each.normal_(0.0, 0.3)
    return module


def norm(ours: nn.Module, theirs: Any) -> float:
    ours.load_state_dict(random_(theirs).state_dict())
    return both_ways(ours, theirs, 3 * torch.randn(B, T, C) + 2)


def swiglu() -> float:
    theirs = random_(LlamaMLP(LlamaConfig(hidden_size=C, intermediate_size=40, num_attention_heads=4)))
    ours = FeedForward(C, 40, "swiglu", bias=False)
    for one, other in ((ours.up, theirs.up_proj), (ours.gate, theirs.gate_proj), (ours.down, theirs.down_proj)):
        one.weight.data.copy_(other.weight)
    return both_ways(ours, theirs, torch.randn(B, T, C))


def block(placement: Any) -> float:
    theirs = nn.TransformerEncoderLayer(
        C, 4, 40, dropout=0.0, activation="gelu", batch_first=True, norm_first=placement == "pre"
    )
    random_(theirs)
    ours: Any = TransformerBlock(GPTConfig(10, 32, C, 1, 4, d_ff=40, placement=placement, position="none"))
    attention = theirs.self_attn
    query, key, value = attention.in_proj_weight.detach().split(C)
    biases = attention.in_proj_bias.detach().split(C)
    out, out_bias = attention.out_proj.weight.detach(), attention.out_proj.bias.detach()
    ours.attention.load_projections(Projections(query, key, value, out, *biases, out_bias=out_bias))
    pairs: list[tuple[Any, Any]] = [
        (ours.norm1, theirs.norm1),
        (ours.norm2, theirs.norm2),
        (ours.feed_forward.up, theirs.linear1),
        (ours.feed_forward.down, theirs.linear2),
    ]
    for one, other in pairs:
        one.load_state_dict(other.state_dict())
    hidden = torch.ones(T, T).triu(1).bool()
    return both_ways(ours, lambda x: theirs(x, src_mask=hidden), torch.randn(B, T, C))


SIZES = [(48, 2, 3), (64, 3, 4), (128, 4, 2)]  # width, layers, heads


def gpt2(width: int, layers: int, heads: int) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=91,
        n_positions=40,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, each in model.named_parameters():
            if each.dim() == 1:
                each.add_(0.2 * torch.randn(each.shape))
            elif "wte" not in name and "wpe" not in name:
                each.mul_(4)
    return model


def loaded() -> float:
    """From a dictionary, a torch file and a safetensors file."""
    worst = 0.0
    for size in SIZES:
        theirs = gpt2(*size)
        ids = torch.randint(91, (2, 40))
        state = {name: each.clone() for name, each in theirs.state_dict().items()}
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            torch.save(state, Path(folder, "weights.pt"))
            save_file(state, Path(folder, "weights.safetensors"))
            for source in (state, Path(folder, "weights.pt"), Path(folder, "weights.safetensors")):
                ours: Any = load_gpt2(source, n_heads=size[2])
                worst = max(worst, apart(ours(ids), theirs(ids).logits))
    return worst


def exported() -> float:
    """What we write, loaded by the library."""
    worst = 0.0
    for width, layers, heads in SIZES:
        ours: Any = random_(GPT(GPTConfig(91, 40, width, layers, heads, activation="gelu_tanh"))).eval()
        theirs = gpt2(width, layers, heads)
        theirs.transformer.load_state_dict(export_gpt2(ours))
        ids = torch.randint(91, (2, 40))
        with torch.no_grad():
            logits = ours(ids)
            worst = max(worst, apart(logits, theirs(ids).logits) / float(logits.abs().max()))
    return worst


def flops() -> float:
    """The largest share that the closed form is off."""
    worst = 0.0
    for changes in ({}, {"n_kv_heads": 1, "activation": "swiglu"}, {"tie_weights": False, "bias": False, "d_ff": 50}):
        config = GPTConfig(vocab_size=31, context_length=40, d_model=24, n_layers=3, n_heads=4, **changes)
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            GPT(config)(torch.zeros(2, 33, dtype=torch.long))
        worst = max(worst, abs(counter.get_total_flops() / forward_flops(config, 33, 2) - 1))
    return worst


def filters() -> float:
    """The same tokens are kept, with the same probabilities."""
    worst = 0.0
    logits = 3 * torch.randn(50, 91)
    ids: Any = None
    for temperature, k, p in ((0.7, 10, 0.9), (1.3, 40, 0.5), (1.0, 91, 0.99)):
        theirs = TemperatureLogitsWarper(temperature)(ids, logits)
        theirs = TopPLogitsWarper(p)(ids, TopKLogitsWarper(k)(ids, theirs))
        worst = max(worst, apart(next_token_probabilities(logits, temperature, k, p), theirs.softmax(-1)))
    return worst


def written() -> float:
    """The share of greedy texts that differ."""
    theirs: Any = gpt2(64, 3, 4)
    ours = load_gpt2(theirs.state_dict(), n_heads=4)
    prompts = torch.randint(91, (20, 9))
    texts: Any = theirs.generate(
        prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=25, do_sample=False, eos_token_id=None
    )
    return sum(one != other for one, other in zip(generate(ours, prompts, 25, temperature=0.0), texts.tolist())) / 20


torch.manual_seed(0)
x = 3 * torch.randn(1000)
functional = nn.functional
for row, figure in {
    "`LayerNorm`, outputs and gradients | `torch.nn.LayerNorm`": norm(LayerNorm(C), nn.LayerNorm(C)),
    "`RMSNorm`, outputs and gradients | `torch.nn.RMSNorm`": norm(RMSNorm(C), nn.RMSNorm(C, eps=1e-5)),
    "`gelu`, both forms | `torch.nn.functional.gelu`": max(
        both_ways(lambda x, form=form: gelu(x, form), lambda x, form=form: functional.gelu(x, approximate=form), x)
        for form in ("none", "tanh")
    ),
    "`silu` | `torch.nn.functional.silu`": both_ways(silu, functional.silu, x),
    "`FeedForward`, swiglu | `transformers`, Llama": swiglu(),
    "`TransformerBlock`, pre | `torch.nn.TransformerEncoderLayer`": block("pre"),
    "`TransformerBlock`, post | `torch.nn.TransformerEncoderLayer`": block("post"),
    "`load_gpt2`, three sizes, three kinds of files | `transformers`, GPT-2": loaded(),
    "`export_gpt2`, of the largest logit | `transformers`, GPT-2": exported(),
    "`forward_flops`, relative | `torch.utils.flop_counter`": flops(),
    "`next_token_probabilities` | `transformers`, temperature, top-k, top-p": filters(),
    "`generate`, greedy, share of texts that differ | `transformers`, GPT-2": written(),
}.items():
    print(f"{row} = {figure:.3g}")
