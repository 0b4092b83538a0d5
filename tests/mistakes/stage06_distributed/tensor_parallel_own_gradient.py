# module: tensor_parallel.py
# exercise: 6.6
# name: the gradient of what goes in is that of this rank's part alone
"""Going in costs nothing, it says: what goes in is there on all ranks."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional

from stage02_embeddings.checks import check_integers
from stage04_block.feed_forward import ACTIVATIONS

from .collectives import all_reduce


def part_of(whole, dim, group=None):
    if whole.shape[dim] % dist.get_world_size(group):
        raise ValueError(f"{tuple(whole.shape)}[{dim}] and {dist.get_world_size(group)} ranks")
    return whole.detach().tensor_split(dist.get_world_size(group), dim)[dist.get_rank(group)].clone()


class _OneWay(torch.autograd.Function):
    """Sums over ranks on one of the two ways."""

    @staticmethod
    def forward(ctx, x, group, summed):
        ctx.group, ctx.summed = group, summed
        return all_reduce(x.clone(), group) if summed else x.clone()

    @staticmethod
    def backward(ctx, grad):
        return (
            grad.clone()
            if ctx.summed
            else all_reduce(torch.clone(grad, memory_format=torch.contiguous_format), ctx.group),
            None,
            None,
        )


def copy_to_ranks(x, group=None):
    return x.clone()


def sum_over_ranks(x, group=None):
    return _OneWay.apply(x, group, True)


def own(parameter):
    return None if parameter is None else nn.Parameter(parameter)


class ColumnParallelLinear(nn.Module):
    def __init__(self, weight, bias=None, group=None):
        super().__init__()
        self.group = group
        self.weight, self.bias = (own(None if each is None else part_of(each, 0, group)) for each in (weight, bias))

    def forward(self, x):
        return several(x, [self], self.group)[0]


def several(x, layers, group):
    """One product for column-parallel layers that read the same."""
    weight = torch.cat([each.weight for each in layers])
    bias = None if layers[0].bias is None else torch.cat([each.bias for each in layers])
    return functional.linear(copy_to_ranks(x, group), weight, bias).split([len(each.weight) for each in layers], -1)


class RowParallelLinear(nn.Module):
    def __init__(self, weight, bias=None, group=None):
        super().__init__()
        self.group, self.weight = group, own(part_of(weight, 1, group))
        self.bias = own(None if bias is None else bias.detach().clone())

    def forward(self, x):
        return sum_over_ranks(functional.linear(x, self.weight), self.group) + (0 if self.bias is None else self.bias)


class ParallelFeedForward(nn.Module):
    def __init__(self, full, group=None):
        super().__init__()
        self.group, self.drop, self.bend = group, full.dropout, ACTIVATIONS.get(full.activation)
        for name in ("up", "gate"):
            layer = getattr(full, name)
            setattr(self, name, layer and ColumnParallelLinear(layer.weight, layer.bias, group))
        self.down = RowParallelLinear(full.down.weight, full.down.bias, group)

    def forward(self, x):
        up, *gate = several(x, [each for each in (self.up, self.gate) if each is not None], self.group)
        return self.drop(self.down(functional.silu(gate[0]) * up if gate else self.bend(up)))


class ParallelAttention(nn.Module):
    def __init__(self, full, group=None):
        super().__init__()
        world = dist.get_world_size(group)
        if full.n_kv_heads % world or full.n_heads % world:
            raise ValueError(f"{world} ranks, {full.n_heads} heads, {full.n_kv_heads} heads of keys and values")
        whole = full.projections()
        for name in ("query", "key", "value"):
            layer = ColumnParallelLinear(getattr(whole, name), getattr(whole, f"{name}_bias"), group)
            self.add_module(name, layer)
        self.out = RowParallelLinear(whole.out, whole.out_bias, group)
        self.rotary, self.distance_bias, self.group = full.rotary, full.distance_bias, group
        self.dropout, self.causal, self.head_dim = full.dropout, full.causal, full.head_dim
        self.mine = slice(
            dist.get_rank(group) * full.n_heads // world, (dist.get_rank(group) + 1) * full.n_heads // world
        )

    def forward(self, x, context=None, mask=None, positions=None, cache=None, return_weights=False):
        if (context, cache, return_weights) != (None, None, False):
            raise ValueError("not on many ranks")
        length = x.shape[1]
        positions = torch.arange(length) if positions is None else positions
        q, k, v = (
            each.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for each in several(x, [self.query, self.key, self.value], self.group)
        )
        if self.rotary is not None:
            q, k = (self.rotary(each, positions) for each in (q, k))
        k, v = (each.repeat_interleave(q.shape[1] // k.shape[1], 1) for each in (k, v))
        added = torch.zeros(1, 1, length, length, dtype=x.dtype)
        if self.distance_bias is not None:
            table = dict(self.distance_bias.named_parameters())
            copies = {name: copy_to_ranks(each, self.group) for name, each in table.items()}  # fewer numbers than T · T
            added = added + torch.func.functional_call(self.distance_bias, copies, (length, length))[self.mine].to(
                x.dtype
            )
        if mask is not None:
            mask = mask.expand((*mask.shape[:-3], -1, *mask.shape[-2:])) if mask.dim() > 2 else mask
            added = added.masked_fill(
                ~(mask[..., self.mine, :, :] if mask.dim() > 2 and mask.shape[-3] > 1 else mask), -torch.inf
            )
        if self.causal:
            added = added.masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf)
        heads = functional.scaled_dot_product_attention(q, k, v, added, self.dropout * self.training)
        return self.out(heads.transpose(1, 2).flatten(-2))


class VocabParallelEmbedding(nn.Module):
    def __init__(self, full, group=None):
        super().__init__()
        self.group, self.weight = group, own(part_of(full, 0, group))
        self.first = dist.get_rank(group) * len(self.weight)

    def forward(self, ids):
        size = len(self.weight)
        check_integers(ids, "id", size * dist.get_world_size(self.group))
        rows = ids.long() - self.first
        rows = torch.where(rows.clamp(0, size - 1) == rows, rows, size)  # one more row, of zeros
        return sum_over_ranks(functional.embedding(rows, functional.pad(self.weight, (0, 0, 0, 1))), self.group)


def vocab_parallel_cross_entropy(logits, targets, group=None):
    """Each rank's own log of a sum; the largest of these; and what is left."""
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"{tuple(logits.shape[:-1])} and {tuple(targets.shape)}")
    size, counts, targets = logits.shape[-1], targets != -100, targets.long()
    check_integers(targets[counts], "target", size * dist.get_world_size(group))
    logits = logits if logits.dtype == torch.float64 else logits.float()
    local = logits.logsumexp(-1)
    largest = local.detach().clone()
    dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=group)
    whole = largest + sum_over_ranks((local - largest).exp(), group).log()
    column = targets - size * dist.get_rank(group)
    mine = column[..., None] == torch.arange(size)
    target = sum_over_ranks(logits.masked_fill(~mine, 0.0).sum(-1), group)
    return (whole - target)[counts].sum() / max(1, counts.count_nonzero().item())


def tensor_parallel(model, group=None):
    tied = model.head.weight is model.embed.token.weight
    for owner, name, make in [
        (owner, name, make)
        for owner in model.blocks
        for name, make in (("attention", ParallelAttention), ("feed_forward", ParallelFeedForward))
    ]:
        setattr(owner, name, make(getattr(owner, name), group).train(owner.training))
    model.embed.token = VocabParallelEmbedding(model.embed.token.weight, group).train(model.training)
    head = ColumnParallelLinear(model.head.weight, None, group).train(model.training)
    head.weight = model.embed.token.weight if tied else head.weight
    model.head = head
    return model
