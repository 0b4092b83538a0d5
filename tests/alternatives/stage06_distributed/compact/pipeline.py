"""Pipeline parallelism from a table: what to do is listed first, all that will come is waited for from the start."""

import contextlib
import functools
import time
from collections import namedtuple
from itertools import accumulate

import torch
import torch.distributed as dist
from torch import nn

Event = namedtuple("Event", "kind batch begin end")
PipelineRun = namedtuple("PipelineRun", "loss events most_alive")


class PipelineStage(nn.Module):
    def __init__(self, embed, blocks, norm, head, d_model):
        super().__init__()
        self.blocks = nn.ModuleDict({str(n): b for n, b in blocks.items()})
        self.embed, self.norm, self.head, self.d_model = embed, norm, head, d_model
        self.is_first, self.is_last, self.shares = bool(embed is not None), bool(head is not None), False

    @property
    def shared(self):
        return (self.embed.token if self.is_first else self.head).weight if self.shares else None

    def forward(self, x, mask=None, positions=None):
        places = torch.arange(x.shape[1], device=x.device) if positions is None else positions
        steps = [functools.partial(self.embed, positions=places)] if self.is_first else []
        steps += [functools.partial(block, mask=mask, positions=places) for block in self.blocks.values()]
        steps += [each for each in (self.norm, self.head) if each is not None]
        return functools.reduce(lambda y, step: step(y), steps, x)


def split_stages(model, count):
    layers = len(model.blocks)
    if not 0 < count <= layers:
        raise ValueError(f"{layers} blocks, {count} stages")
    if count > 1 and model.config.position == "t5":
        raise ValueError("t5: one table")
    cuts = [0, *accumulate((layers + count - 1 - n) // count for n in range(count))]
    if share := count > 1 and model.head.weight is model.embed.token.weight:
        new = nn.Linear(*reversed(model.head.weight.shape), bias=False, dtype=model.head.weight.dtype)
        new.load_state_dict({"weight": model.head.weight})
        model.head = new
    ends = [[None, None, None] for _ in range(count)]
    ends[0][0], ends[-1][1:] = model.embed, [model.norm, model.head]
    stages = [
        PipelineStage(embed, {n: model.blocks[n] for n in range(a, b)}, norm, head, model.config.d_model)
        for (embed, norm, head), a, b in zip(ends, cuts, cuts[1:])
    ]
    for stage in (stages[0], stages[-1]):
        stage.shares = share
    return stages


def gpipe(stage, batches, loss_of, group=None, no_sync=contextlib.nullcontext, region=contextlib.nullcontext):
    numbers = range(len(batches))
    table = [("forward", n) for n in numbers] + [("backward", n) for n in reversed(numbers)]
    return _run(table, stage, batches, loss_of, group, no_sync, region)


def one_f_one_b(stage, batches, loss_of, group=None, no_sync=contextlib.nullcontext, region=contextlib.nullcontext):
    # A forward is due at 2n, and a backward 2 (P - 1 - r) + 1 after its own: sorted by that, they go by turns.
    lag = 2 * (dist.get_world_size(group) - 1 - dist.get_rank(group)) + 1
    due = [(2 * n, "forward", n) for n in range(len(batches))]
    due += [(2 * n + lag, "backward", n) for n in range(len(batches))]
    return _run([each[1:] for each in sorted(due)], stage, batches, loss_of, group, no_sync, region)


def bubble(stages, micro_batches):
    rounds = micro_batches + stages - 1
    return (rounds - micro_batches) / rounds


def _run(table, stage, batches, loss_of, group, no_sync, region):
    rank, world = dist.get_rank(group), dist.get_world_size(group)
    if not len(batches):
        raise ValueError("no batches")
    if [stage.is_first, stage.is_last] != [rank == 0, rank == world - 1]:
        raise ValueError("wrong stage")
    kind_of = next(stage.parameters())
    coming, going, graphs, events, most, loss = {}, {}, {}, [], 0, torch.zeros((), dtype=torch.float64)
    for kind, n in table:  # what comes, in the order in which it is needed
        other = rank - 1 if kind == "forward" else rank + 1
        if 0 <= other < world:
            room = kind_of.new_empty((*batches[n].ids.shape, stage.d_model), requires_grad=False)
            coming[kind, n] = room, dist.irecv(room, group=group, group_src=other)
    for step, (kind, n) in enumerate(table):
        come, batch = None, batches[n]
        if (kind, n) in coming:
            come, handle = coming.pop((kind, n))
            handle.wait()
            going.pop(n if kind == "backward" else None, lambda: None)()  # it has been there if its gradient is here
        begin = time.perf_counter()
        if kind == "forward":
            x = batch.ids if come is None else come.requires_grad_()
            with region():
                y = stage(x, mask=batch.mask, positions=batch.positions)
                if stage.is_last:
                    y = loss_of(y, batch)
                    loss += y.detach()
            graphs[n] = x, y
            most, goes, to = max(most, len(graphs)), y.detach(), rank + 1
        else:
            (x, y), last = graphs.pop(n), step == len(table) - 1
            with contextlib.nullcontext() if last else no_sync():
                torch.autograd.backward([y], [come])
            goes, to = x.grad if x.is_floating_point() else None, rank - 1
        events.append(Event(kind, n, begin, time.perf_counter()))
        if 0 <= to < world:
            key = n if kind == "forward" else (n,)
            going[key] = dist.isend(goes.contiguous(), group=group, group_dst=to).wait
        x = y = come = goes = None
    for wait in going.values():
        wait()
    if stage.shared is not None:
        table_ = stage.shared
        mine = torch.zeros_like(table_) if table_.grad is None else table_.grad
        theirs, other = torch.empty_like(mine), world - 1 - rank
        ways = [dist.P2POp(dist.irecv, theirs, group=group, group_peer=other)]
        ways += [dist.P2POp(dist.isend, mine, group=group, group_peer=other)]
        for handle in dist.batch_isend_irecv(ways):
            handle.wait()
        table_.grad = mine + theirs
    dist.broadcast(loss, group=group, group_src=world - 1)
    return PipelineRun(loss.item(), events, most)
