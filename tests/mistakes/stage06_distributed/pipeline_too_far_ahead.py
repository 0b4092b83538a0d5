# module: pipeline.py
# exercise: 6.7
# name: 1F1B goes one micro-batch further ahead than it should
"""Pipeline parallelism where a rank goes as far ahead as there are stages from it on, itself included."""

import contextlib
import time
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import nn


class Event(NamedTuple):
    kind: str
    batch: int
    begin: float
    end: float


class PipelineRun(NamedTuple):
    loss: float
    events: list
    most_alive: int


class PipelineStage(nn.Module):
    def __init__(self, embed, blocks, norm, head, d_model):
        super().__init__()
        if embed is not None:
            self.embed = embed
        self.blocks = nn.Module()
        self.numbers = list(blocks)
        for number in self.numbers:
            self.blocks.add_module(f"{number}", blocks[number])
        if norm is not None:
            self.norm = norm
        if head is not None:
            self.head = head
        self.d_model = d_model
        self.is_first = embed is not None
        self.is_last = head is not None
        self.shares = False

    @property
    def shared(self):
        if self.shares and self.is_first:
            return self.embed.token.weight
        if self.shares and self.is_last:
            return self.head.weight
        return None

    def forward(self, x, mask=None, positions=None):
        if positions is None:
            positions = torch.arange(x.size(1), device=x.device)
        if self.is_first:
            x = self.embed(x, positions=positions)
        for number in self.numbers:
            x = self.blocks.get_submodule(f"{number}")(x, mask=mask, positions=positions)
        if hasattr(self, "norm"):
            x = self.norm(x)
        if self.is_last:
            x = self.head(x)
        return x


def split_stages(model, count):
    number_of_blocks = len(model.blocks)
    if count < 1 or number_of_blocks < count:
        raise ValueError(f"cannot make {count} stages of {number_of_blocks} blocks")
    if model.config.position == "t5" and count != 1:
        raise ValueError("the blocks share the table of t5")
    sizes = [number_of_blocks // count] * count
    for extra in range(number_of_blocks % count):
        sizes[extra] += 1
    tied = model.head.weight is model.embed.token.weight
    numbers = list(range(number_of_blocks))
    stages = []
    for place, size in enumerate(sizes):
        mine, numbers = numbers[:size], numbers[size:]
        at_end = place == count - 1
        stage = PipelineStage(
            model.embed if place == 0 else None,
            {number: model.blocks[number] for number in mine},
            model.norm if at_end else None,
            model.head if at_end else None,
            model.config.d_model,
        )
        stages.append(stage)
    if tied and count > 1:
        copied = model.embed.token.weight.data.clone()
        stages[-1].head.weight = torch.nn.parameter.Parameter(copied)
        stages[0].shares = True
        stages[-1].shares = True
    return stages


def gpipe(stage, batches, loss_of, group=None, no_sync=contextlib.nullcontext, region=contextlib.nullcontext):
    work = _Work(stage, batches, loss_of, group, no_sync, region)
    for number in range(len(batches)):
        work.forward(number)
    for number in range(len(batches)):
        work.backward(number)
    return work.finish()


def one_f_one_b(stage, batches, loss_of, group=None, no_sync=contextlib.nullcontext, region=contextlib.nullcontext):
    work = _Work(stage, batches, loss_of, group, no_sync, region)
    count = len(batches)
    ahead = min(count, work.world - work.rank)
    todo = [(work.forward, number) for number in range(ahead)]
    for number in range(count - ahead):
        todo += [(work.forward, ahead + number), (work.backward, number)]
    todo += [(work.backward, number) for number in range(count - ahead, count)]
    for do, number in todo:
        do(number)
    return work.finish()


def bubble(stages, micro_batches):
    return 1 - micro_batches / (micro_batches + stages - 1)


class _Work:
    def __init__(self, stage, batches, loss_of, group, no_sync, region):
        if len(batches) == 0:
            raise ValueError("no batch")
        self.rank = dist.get_rank(group)
        self.world = dist.get_world_size(group)
        if stage.is_first != (self.rank == 0) or stage.is_last != (self.rank + 1 == self.world):
            raise ValueError("this stage belongs to another rank")
        self.stage, self.batches, self.loss_of, self.group = stage, batches, loss_of, group
        self.no_sync, self.region = no_sync, region
        self.inputs, self.outputs = {}, {}
        self.backwards = 0
        self.most = 0
        self.loss = 0.0
        self.events = []
        self.on_the_way = {}

    def peer(self, rank):
        """The number that a rank of the group has among all."""
        return rank if self.group is None else dist.get_global_rank(self.group, rank)

    def send(self, name, tensor, rank):
        self.on_the_way[name] = dist.isend(tensor, self.peer(rank), group=self.group), tensor

    def arrived(self, name):
        """Wait for what was sent, and let go of it; gloo says of nothing that it is done before that."""
        handle, _ = self.on_the_way.pop(name)
        handle.wait()

    def receive(self, number, rank):
        rows, length = self.batches[number].ids.shape
        dtype = next(iter(self.stage.parameters())).dtype
        tensor = torch.zeros(rows, length, self.stage.d_model, dtype=dtype)
        dist.recv(tensor, self.peer(rank), group=self.group)
        return tensor

    def forward(self, number):
        batch = self.batches[number]
        x = batch.ids if self.rank == 0 else self.receive(number, self.rank - 1).requires_grad_(True)
        begin = time.perf_counter()
        with self.region():
            y = self.stage(x, batch.mask, batch.positions)
            if self.rank + 1 == self.world:
                y = self.loss_of(y, batch)
                self.loss += y.item()
        self.inputs[number], self.outputs[number] = x, y
        self.most = max(self.most, len(self.outputs))
        self.events.append(Event("forward", number, begin, time.perf_counter()))
        if self.rank + 1 < self.world:
            self.send(("forward", number), y.detach().contiguous(), self.rank + 1)

    def backward(self, number):
        upstream = None
        if self.rank + 1 < self.world:
            upstream = self.receive(number, self.rank + 1)
            self.arrived(("forward", number))  # its gradient is here, so it was there
        begin = time.perf_counter()
        self.backwards += 1
        if self.backwards < len(self.batches):
            with self.no_sync():
                self.outputs.pop(number).backward(upstream)
        else:
            self.outputs.pop(number).backward(upstream)
        x = self.inputs.pop(number)
        self.events.append(Event("backward", number, begin, time.perf_counter()))
        if self.rank > 0:
            self.send(("backward", number), x.grad, self.rank - 1)

    def finish(self):
        for name in list(self.on_the_way):
            self.arrived(name)
        table = self.stage.shared
        if table is not None:
            if table.grad is None:
                table.grad = torch.zeros_like(table)
            mine, theirs = table.grad.clone(), torch.empty_like(table.grad)
            other = self.peer(0 if self.rank else self.world - 1)
            handle = dist.isend(mine, other, group=self.group)
            dist.recv(theirs, other, group=self.group)
            handle.wait()
            table.grad.add_(theirs)
        total = torch.tensor(self.loss, dtype=torch.float64)
        dist.all_reduce(total, group=self.group)  # the others add 0
        return PipelineRun(float(total), self.events, self.most)
