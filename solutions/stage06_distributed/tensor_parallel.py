"""6.6 · Tensor parallelism: each process has a part of every matrix, and of every head; they share each layer's work.

Shoeybi et al.: Megatron-LM (2019), section 3.
Letters: W processes of a group, B batch, T time, C width, H query heads, G key/value heads, D head width, F width
inside feed-forward, V vocabulary.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from stage02_embeddings.checks import check_integers
from stage03_attention import MultiHeadAttention, causal_mask, combine, grouped_attention, merge_heads, split_heads
from stage03_attention.attention import attention
from stage04_block import GPT, FeedForward, silu
from stage04_block.feed_forward import ACTIVATIONS
from stage05_training.batch import IGNORE


def part_of(whole: Tensor, dim: int, group: ProcessGroup | None = None) -> Tensor:
    """Cut a tensor into W equal parts along a dimension, and give a copy of this rank's. (Given.)

    Raises:
        ValueError: the dimension is no multiple of W (both are named).
    """
    rank, world = dist.get_rank(group), dist.get_world_size(group)
    if whole.shape[dim] % world:
        raise ValueError(f"dimension {dim} must be a multiple of the {world} ranks; got the shape {tuple(whole.shape)}")
    return whole.detach().chunk(world, dim)[rank].clone()


def copy_to_ranks(x: Tensor, group: ProcessGroup | None = None) -> Tensor:
    """Give x, which is the same on all ranks and which each of them uses for a part of the work.

    Forward nothing happens. Backward each rank has the gradient of its part of the work: their sum is that of x. What
    came backward is not changed: others may have been given the same tensor.

    Args:
        x: of any shape, the same on all ranks; laid out however it is.
        group: whose ranks take part; None means all processes.
    """
    # BEGIN SOLUTION 6.6: an autograd.Function; all-reduce a copy of the gradient
    result: Any = _CopyToRanks.apply(x, group)
    return result
    # END SOLUTION


def sum_over_ranks(x: Tensor, group: ProcessGroup | None = None) -> Tensor:
    """Give the sum of what all ranks have, on all of them.

    Backward nothing happens: the gradient of a sum is that of each of its terms, and is the same on all ranks.

    Args:
        x: of any shape, which all ranks share; laid out however it is. It is not changed.
        group: whose ranks take part; None means all processes.
    """
    # BEGIN SOLUTION 6.6: an autograd.Function; all-reduce a copy
    result: Any = _SumOverRanks.apply(x, group)
    return result
    # END SOLUTION


# BEGIN SOLUTION 6.6
class _CopyToRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ProcessGroup | None) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        total = grads[0].contiguous().clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None


class _SumOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ProcessGroup | None) -> Tensor:
        total = x.contiguous().clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads[0], None


# END SOLUTION


class ColumnParallelLinear(nn.Module):
    """A part of the columns of a linear layer: this rank makes N / W of the N numbers that come out.

        x Wᵀ + b,   of which the rows of W, and b, are cut into W parts

    What comes out stays apart: it goes into something that works number by number, and then into a `RowParallelLinear`.

    Args:
        weight: that of the whole layer, (N, M), the same on all ranks; it is copied in part, and not kept.
        bias: that of the whole layer, (N,), or None.
        group: whose ranks take part; None means all processes.

    Attributes:
        weight: (N / W, M).
        bias: (N / W,), or None.

    Raises:
        ValueError: N is no multiple of W.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None, group: ProcessGroup | None = None) -> None:
        super().__init__()
        self.group = group
        # BEGIN SOLUTION 6.6: this rank's rows of the weight, and of the bias if there is one
        self.weight = nn.Parameter(part_of(weight, 0, group))
        self.bias = None if bias is None else nn.Parameter(part_of(bias, 0, group))
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """(..., M), the same on all ranks, to (..., N / W). The gradient of x is whole, and the same on all ranks."""
        # BEGIN SOLUTION 6.6: copy_to_ranks, and a linear layer
        return nn.functional.linear(copy_to_ranks(x, self.group), self.weight, self.bias)
        # END SOLUTION


class RowParallelLinear(nn.Module):
    """A part of the rows of a linear layer: this rank takes M / W of the M numbers that go in.

        Σ over ranks of x Wᵀ,   + b,   of which the columns of W are cut into W parts, and b is whole

    Args:
        weight: that of the whole layer, (N, M), the same on all ranks; it is copied in part, and not kept.
        bias: that of the whole layer, (N,), or None.
        group: whose ranks take part; None means all processes.

    Attributes:
        weight: (N, M / W).
        bias: (N,), the same on all ranks, or None.

    Raises:
        ValueError: M is no multiple of W.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None, group: ProcessGroup | None = None) -> None:
        super().__init__()
        self.group = group
        # BEGIN SOLUTION 6.6: this rank's columns of the weight; the whole bias
        self.weight = nn.Parameter(part_of(weight, 1, group))
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """(..., M / W), this rank's part, to (..., N), the same on all ranks."""
        # BEGIN SOLUTION 6.6: a linear layer without bias, the sum over ranks; then the bias, once
        total = sum_over_ranks(nn.functional.linear(x, self.weight), self.group)
        return total if self.bias is None else total + self.bias
        # END SOLUTION


class ParallelFeedForward(nn.Module):
    """A feed-forward layer of which this rank has F / W of the width inside.

    Up and gate are cut by columns, down by rows, so what is inside is never put together.

    Args:
        full: the whole layer, the same on all ranks.
        group: whose ranks take part; None means all processes.

    Attributes:
        up, gate: `ColumnParallelLinear`; gate is None where the whole layer has none.
        down: a `RowParallelLinear`.

    Raises:
        ValueError: F is no multiple of W.
    """

    def __init__(self, full: FeedForward, group: ProcessGroup | None = None) -> None:
        super().__init__()
        self.activation, self.group = full.activation, group
        self.dropout = copy.deepcopy(full.dropout)
        # BEGIN SOLUTION 6.6: three parallel layers: self.up, self.gate (or None), self.down
        self.up = ColumnParallelLinear(full.up.weight, full.up.bias, group)
        self.gate = None if full.gate is None else ColumnParallelLinear(full.gate.weight, full.gate.bias, group)
        self.down = RowParallelLinear(full.down.weight, full.down.bias, group)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to (..., C), the same on all ranks; one all-reduce forward, and one backward."""
        # BEGIN SOLUTION 6.6: as in one process; with a gate, x is copied to the ranks once for both
        x = copy_to_ranks(x, self.group)
        up = nn.functional.linear(x, self.up.weight, self.up.bias)  # (..., F / W)
        if self.gate is None:
            inside = ACTIVATIONS[self.activation](up)
        else:
            inside = silu(nn.functional.linear(x, self.gate.weight, self.gate.bias)) * up
        return self.dropout(self.down(inside))
        # END SOLUTION


class ParallelAttention(nn.Module):
    """A multi-head attention of which this rank has H / W query heads and G / W key/value heads.

    Args:
        full: the whole attention, the same on all ranks, without cache.
        group: whose ranks take part; None means all processes.

    Attributes:
        query, key, value: `ColumnParallelLinear`.
        out: a `RowParallelLinear`.
        rotary, distance_bias: those of the whole attention.

    Raises:
        ValueError: H or G is no multiple of W.
    """

    def __init__(self, full: MultiHeadAttention, group: ProcessGroup | None = None) -> None:
        super().__init__()
        rank, world = dist.get_rank(group), dist.get_world_size(group)
        if full.n_heads % world or full.n_kv_heads % world:
            raise ValueError(
                f"n_heads and n_kv_heads must be multiples of the {world} ranks; got {full.n_heads} and "
                f"{full.n_kv_heads}"
            )
        self.group, self.dropout, self.causal = group, full.dropout, full.causal
        self.n_heads, self.n_kv_heads = full.n_heads // world, full.n_kv_heads // world
        self.rotary, self.distance_bias = full.rotary, full.distance_bias
        self.first_head = rank * self.n_heads
        whole = full.projections()
        # BEGIN SOLUTION 6.6: query, key and value are cut by columns, which makes heads of them; out is cut by rows
        self.query = ColumnParallelLinear(whole.query, whole.query_bias, group)
        self.key = ColumnParallelLinear(whole.key, whole.key_bias, group)
        self.value = ColumnParallelLinear(whole.value, whole.value_bias, group)
        self.out = RowParallelLinear(whole.out, whole.out_bias, group)
        # END SOLUTION

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: None = None,
        return_weights: bool = False,
    ) -> Tensor:
        """(B, T, C) to (B, T, C), the same on all ranks; one all-reduce forward, and one backward.

        A distance bias that is learned stays whole, as each rank uses rows of it: its gradient takes one more backward.

        Args:
            x: the same on all ranks.
            mask, positions: as `MultiHeadAttention` takes them; a mask may be one for each of the H heads.
            context, cache, return_weights: are not for training on many ranks.

        Raises:
            ValueError: one of those was given.
        """
        if context is not None or cache is not None or return_weights:
            raise ValueError("context, cache and return_weights are for one process")
        if positions is None:
            positions = torch.arange(x.shape[1], device=x.device)  # (T,)
        if mask is not None and mask.dim() > 2 and mask.shape[-3] > 1:  # one for each head: those of this rank's
            mask = mask[..., self.first_head : self.first_head + self.n_heads, :, :]
        # BEGIN SOLUTION 6.6: as in one process, with this rank's heads; of a bias, their rows
        x = copy_to_ranks(x, self.group)  # once for all three
        q, k, v = (nn.functional.linear(x, each.weight, each.bias) for each in (self.query, self.key, self.value))
        q, k, v = split_heads(q, self.n_heads), split_heads(k, self.n_kv_heads), split_heads(v, self.n_kv_heads)
        if self.rotary is not None:
            q, k = self.rotary(q, positions), self.rotary(k, positions)
        bias = None
        if self.distance_bias is not None:
            distances: Any = self.distance_bias
            bias = distances(x.shape[1], x.shape[1])  # (H, T, T), of which each rank uses a part
            bias = copy_to_ranks(bias, self.group) if bias.requires_grad else bias
            bias = bias[self.first_head : self.first_head + self.n_heads]
        if self.causal:
            mask = combine(causal_mask(x.shape[1], x.shape[1], device=x.device), mask)
        attend = attention if self.n_kv_heads == self.n_heads else grouped_attention
        heads = attend(q, k, v, mask, bias, self.dropout if self.training else 0.0)  # (B, H / W, T, D)
        return self.out(merge_heads(heads))
        # END SOLUTION


class VocabParallelEmbedding(nn.Module):
    """A part of the rows of a token table: this rank has the vectors of V / W ids.

    Args:
        full: the whole table, (V, C), the same on all ranks.
        group: whose ranks take part; None means all processes.

    Attributes:
        weight: (V / W, C): the vectors of the ids from `first` on.
        first: the first id of this rank.

    Raises:
        ValueError: V is no multiple of W.
    """

    def __init__(self, full: Tensor, group: ProcessGroup | None = None) -> None:
        super().__init__()
        self.group = group
        self.weight = nn.Parameter(part_of(full, 0, group))
        self.first = dist.get_rank(group) * len(self.weight)

    def forward(self, ids: Tensor) -> Tensor:
        """Integers (...), the same on all ranks, to (..., C): zeros for ids that other ranks have, and then the sum.

        Raises:
            TypeError: the ids are no integers.
            IndexError: an id is not from 0 to V - 1.
        """
        check_integers(ids, "id", len(self.weight) * dist.get_world_size(self.group))
        ids = ids.long()  # in 8 bits without a sign, 3 - 12 would be 247
        # BEGIN SOLUTION 6.6: look up those that are here, zeros for the others; sum over ranks
        local = ids - self.first
        here = (local >= 0) & (local < len(self.weight))
        vectors = nn.functional.embedding(local.where(here, 0), self.weight)  # (..., C)
        return sum_over_ranks(vectors.where(here[..., None], 0.0), self.group)
        # END SOLUTION


def vocab_parallel_cross_entropy(logits: Tensor, targets: Tensor, group: ProcessGroup | None = None) -> Tensor:
    """Give the mean of -ln p(target) where each rank has the logits of V / W tokens; they are never put together.

        -ln p(t)  =  max + ln Σ over ranks of Σ_v exp(logit_v - max) - logit_t

    For each place, the ranks exchange three numbers: the largest logit, the sum of exponentials, the target's logit.

    Args:
        logits: (..., V / W), this rank's; half formats are computed in float32.
        targets: integers (...), the same on all ranks, from 0 to V - 1, or IGNORE.
        group: whose ranks take part; None means all processes.

    Returns:
        A number, the same on all ranks, as `cross_entropy` of all logits would give it; 0 if no target counts.

    Raises:
        ValueError: the shapes do not fit (both are named).
        IndexError: a target is not from 0 to V - 1.
    """
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"targets must be {tuple(logits.shape[:-1])}, as the logits are; got {tuple(targets.shape)}")
    targets = targets.long()
    check_integers(targets[targets != IGNORE], "target", logits.shape[-1] * dist.get_world_size(group))
    # BEGIN SOLUTION 6.6: the largest (without gradient), the sum, the target's own, each over all ranks; then the mean
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    top = logits.detach().amax(-1)  # (...)
    dist.all_reduce(top, dist.ReduceOp.MAX, group=group)
    shifted = logits - top[..., None]
    total = sum_over_ranks(shifted.exp().sum(-1), group)  # (...)
    local = targets - dist.get_rank(group) * logits.shape[-1]
    here = (local >= 0) & (local < logits.shape[-1])
    own = shifted.gather(-1, local.where(here, 0)[..., None])[..., 0].where(here, 0.0)
    counts = targets != IGNORE
    losses = (total.log() - sum_over_ranks(own, group)).where(counts, 0.0)
    return losses.sum() / counts.sum().clamp(min=1)
    # END SOLUTION


def tensor_parallel(model: GPT, group: ProcessGroup | None = None) -> GPT:
    """Make a whole model, the same on all ranks, into this rank's part of it, in place; give it.

    In each block, attention and feed-forward become parallel; the token table and the output layer are cut by tokens,
    and stay tied if they were. Norms and learned positions stay whole: what they see is the same on all ranks, and so
    are their gradients. Called on the same ids on all ranks, the model gives this rank's logits, (B, T, V / W), for
    `vocab_parallel_cross_entropy`. It stays in training or eval mode, as it was.

    Dropout draws from each rank's own generator. With the same seed on all ranks, all of them drop the same numbers of
    what they share; else what should be the same on all ranks no longer is.

    Args:
        model: a `GPT`.
        group: whose ranks take part; None means all processes.

    Raises:
        ValueError: heads, widths or vocabulary are no multiples of W.
    """
    # BEGIN SOLUTION 6.6: replace the parts; remember whether the head was tied before; and the mode
    tied = model.head.weight is model.embed.token.weight
    for block in model.blocks:
        block.attention = ParallelAttention(block.attention, group)
        block.feed_forward = ParallelFeedForward(block.feed_forward, group)
    model.embed.token = VocabParallelEmbedding(model.embed.token.weight, group)
    model.head = ColumnParallelLinear(model.head.weight, None, group)
    if tied:
        model.head.weight = model.embed.token.weight
    return model.train(model.training)
    # END SOLUTION
