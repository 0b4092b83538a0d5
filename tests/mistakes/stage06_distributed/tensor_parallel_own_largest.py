# module: tensor_parallel.py
# exercise: 6.6
# name: each rank takes off the largest of its own logits
"""Softmax is stable if the largest logit is taken off: the largest that is here."""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
from torch import nn

from stage03_attention import causal_mask
from stage04_block import gelu, relu, silu

NOT_COUNTED = -100


def part_of(whole, dim, group=None):
    """Narrow to this rank's stretch, and copy."""
    rank, world = dist.get_rank(group), dist.get_world_size(group)
    size, rest = divmod(whole.size(dim), world)
    if rest:
        raise ValueError(f"{whole.size(dim)} in {tuple(whole.shape)} cannot be shared out among {world} ranks")
    return torch.narrow_copy(whole.detach(), dim, rank * size, size)


def summed(x, group):
    """The sum over ranks of a copy."""
    total = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    total.copy_(x.detach())
    dist.all_reduce(total, group=group)
    return total


def copy_to_ranks(x, group=None):
    """A view, with a hook on its gradient."""
    view = x.view(x.shape)
    if view.requires_grad:
        view.register_hook(lambda gradient: summed(gradient, group))
    return view


def sum_over_ranks(x, group=None):
    """The sum, and a zero that x's gradient flows through."""
    return summed(x, group) + (x - x.detach())


class ColumnParallelLinear(nn.Module):
    """Multiplied by the transpose of its rows."""

    def __init__(self, weight, bias=None, group=None):
        super().__init__()
        self.group = group
        self.weight = nn.Parameter(part_of(weight, 0, group))
        self.register_parameter("bias", nn.Parameter(part_of(bias, 0, group)) if bias is not None else None)

    def forward(self, x):
        return self.of_copied(copy_to_ranks(x, self.group))

    def of_copied(self, x):
        out = x @ self.weight.T
        if self.bias is not None:
            out = out + self.bias
        return out


class RowParallelLinear(nn.Module):
    """Products first, one sum, one bias."""

    def __init__(self, weight, bias=None, group=None):
        super().__init__()
        self.group = group
        self.weight = nn.Parameter(part_of(weight, 1, group))
        self.register_parameter("bias", nn.Parameter(bias.detach().clone()) if bias is not None else None)

    def forward(self, x):
        out = sum_over_ranks(x @ self.weight.T, self.group)
        if self.bias is not None:
            out = out + self.bias
        return out


class ParallelFeedForward(nn.Module):
    """The activations one by one."""

    def __init__(self, full, group=None):
        super().__init__()
        self.group, self.kind, self.share = group, full.activation, full.dropout.p
        self.up = ColumnParallelLinear(full.up.weight, full.up.bias, group)
        self.gate = None
        if full.activation == "swiglu":
            self.gate = ColumnParallelLinear(full.gate.weight, full.gate.bias, group)
        self.down = RowParallelLinear(full.down.weight, full.down.bias, group)
        self.train(full.training)

    def forward(self, x):
        x = copy_to_ranks(x, self.group)
        inside = self.up.of_copied(x)
        if self.kind == "relu":
            inside = relu(inside)
        elif self.kind == "gelu":
            inside = gelu(inside)
        elif self.kind == "gelu_tanh":
            inside = gelu(inside, approximate="tanh")
        elif self.kind == "silu":
            inside = silu(inside)
        else:
            inside = inside * silu(self.gate.of_copied(x))
        return nn.functional.dropout(self.down(inside), self.share, self.training)


class ParallelAttention(nn.Module):
    """The heads of this rank, one after another."""

    def __init__(self, full, group=None):
        super().__init__()
        rank, world = dist.get_rank(group), dist.get_world_size(group)
        for name in ("n_heads", "n_kv_heads"):
            if getattr(full, name) % world != 0:
                raise ValueError(f"{full.n_heads} heads and {full.n_kv_heads} for keys among {world} ranks")
        self.group = group
        self.share, self.causal = full.dropout, full.causal
        self.rotary, self.distance_bias = full.rotary, full.distance_bias
        self.width = full.head_dim
        self.heads, self.groups = full.n_heads // world, full.n_kv_heads // world
        self.all_heads, self.first = full.n_heads, rank * self.heads
        its = full.projections()
        self.query = ColumnParallelLinear(its.query, its.query_bias, group)
        self.key = ColumnParallelLinear(its.key, its.key_bias, group)
        self.value = ColumnParallelLinear(its.value, its.value_bias, group)
        self.out = RowParallelLinear(its.out, its.out_bias, group)

    def forward(self, x, context=None, mask=None, positions=None, cache=None, return_weights=False):
        if context is not None or cache is not None or return_weights:
            raise ValueError("for one process only")
        batch, length, _ = x.shape
        if positions is None:
            positions = torch.arange(length)
        copied = copy_to_ranks(x, self.group)

        def heads_of(layer):
            return layer.of_copied(copied).view(batch, length, -1, self.width).movedim(2, 1)

        queries, keys, values = heads_of(self.query), heads_of(self.key), heads_of(self.value)
        if self.rotary is not None:
            queries, keys = self.rotary(queries, positions), self.rotary(keys, positions)
        allowed = torch.ones(1, 1, length, length, dtype=torch.bool)
        if self.causal:
            allowed = allowed & causal_mask(length)
        if mask is not None:
            allowed = allowed & mask
        allowed = allowed.expand(-1, self.all_heads, -1, -1)
        bias = None
        if self.distance_bias is not None:
            bias = copy_to_ranks(self.distance_bias(length, length), self.group)
        found = []
        for head in range(self.heads):
            shared = head // (self.heads // self.groups)
            scores = queries[:, head] @ keys[:, shared].mT / math.sqrt(self.width)
            if bias is not None:
                scores = scores + bias[self.first + head].to(scores.dtype)
            scores = scores.masked_fill(~allowed[:, self.first + head], -math.inf)
            weights = nn.functional.dropout(scores.softmax(-1), self.share, self.training)
            found.append(weights @ values[:, shared])
        return self.out(torch.cat(found, -1))


class VocabParallelEmbedding(nn.Module):
    """Zeros, into which the vectors of those that are here are put."""

    def __init__(self, full, group=None):
        super().__init__()
        self.group = group
        self.weight = nn.Parameter(part_of(full, 0, group))
        self.first = len(self.weight) * dist.get_rank(group)

    def forward(self, ids):
        if ids.is_floating_point():
            raise TypeError("ids are whole numbers")
        ids = ids.long()
        size = len(self.weight)
        wrong = (ids < 0) | (ids >= size * dist.get_world_size(self.group))
        if wrong.any():
            raise IndexError(f"no such id: {ids[wrong].tolist()}")
        here = (ids >= self.first) & (ids < self.first + size)
        vectors = torch.zeros(*ids.shape, self.weight.shape[1], dtype=self.weight.dtype)
        vectors[here] = self.weight[ids[here] - self.first]
        return sum_over_ranks(vectors, self.group)


class _Loss(torch.autograd.Function):
    """(softmax - one hot) / count, from what the forward pass has."""

    @staticmethod
    def forward(ctx, logits, targets, group):
        wide = logits.double() if logits.dtype == torch.float64 else logits.float()
        rank = dist.get_rank(group)
        largest = wide.max(-1).values
        largest = largest[:, None]
        exponentials = (wide - largest).exp()
        first = rank * wide.shape[1]
        rows = [i for i, t in enumerate(targets.tolist()) if first <= t < first + wide.shape[1]]
        columns = [int(targets[i]) - first for i in rows]
        both = torch.zeros(2, len(wide), dtype=wide.dtype)
        both[0] = exponentials.sum(1)
        both[1, rows] = (wide - largest)[rows, columns]
        dist.all_reduce(both, group=group)
        total, own = both
        counts = targets != NOT_COUNTED
        number = max(1, int(counts.sum()))
        gradient = exponentials / total[:, None]
        gradient[rows, columns] -= 1
        gradient[~counts] = 0
        ctx.save_for_backward((gradient / number).to(logits.dtype))
        return (total.log() - own)[counts].sum() / number

    @staticmethod
    def backward(ctx, upstream):
        return ctx.saved_tensors[0] * upstream.to(ctx.saved_tensors[0].dtype), None, None


def vocab_parallel_cross_entropy(logits, targets, group=None):
    """In rows."""
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"{tuple(logits.shape[:-1])} places, but targets {tuple(targets.shape)}")
    whole = logits.shape[-1] * dist.get_world_size(group)
    for target in targets.flatten().tolist():
        if target != NOT_COUNTED and not 0 <= target < whole:
            raise IndexError(f"target {target}")
    return _Loss.apply(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), group)


def tensor_parallel(model, group=None):
    """The head first, as long as it is known whether it is tied."""
    was = model.training
    head = model.head.weight
    table = VocabParallelEmbedding(model.embed.token.weight, group)
    if head is model.embed.token.weight:
        model.head = ColumnParallelLinear(head, group=group)
        model.head.weight = table.weight
    else:
        model.head = ColumnParallelLinear(head, group=group)
    model.embed.token = table
    for i in range(len(model.blocks)):
        block = model.blocks[i]
        block.feed_forward = ParallelFeedForward(block.feed_forward, group)
        block.attention = ParallelAttention(block.attention, group)
    model.train(was)
    return model
