"""6.7 · Pipeline parallelism: each process has some of the layers, and batches flow through them in small pieces.

Huang et al.: GPipe (2019), section 2; Narayanan et al.: Memory-Efficient Pipeline-Parallel DNN Training (2021), section
2.2, where 1F1B is called PipeDream-Flush.
Letters: P stages, one on each process of a group; M micro-batches; B batch, T time, C width, V vocabulary.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from stage04_block import GPT
from stage05_training.batch import Batch

Region = Callable[[], contextlib.AbstractContextManager[Any]]
LossOf = Callable[[Tensor, Batch], Tensor]  # what a micro-batch adds to the loss, from the logits that came of it


class Event(NamedTuple):
    """What a process was busy with, for a timeline."""

    kind: str  # "forward" or "backward"
    batch: int  # the number of the micro-batch, from 0
    begin: float  # in seconds, by a clock that all processes of a machine share
    end: float


class PipelineRun(NamedTuple):
    """How a batch went through the pipeline, as one process saw it."""

    loss: float  # the sum of what all micro-batches add; the same on all ranks
    events: list[Event]  # in the order in which they happened
    most_alive: int  # how many micro-batches were at most between their forward and their backward here


class PipelineStage(nn.Module):
    """Some of the layers of a model.

    Args:
        embed: the input of the first stage; None for the others.
        blocks: the blocks of this stage, by their numbers in the model: parameters have the names that they have there.
        norm, head: the output of the last stage; None for the others, and no norm if the model has none.
        d_model: C.

    Attributes:
        is_first, is_last: where the stage stands.
        shares: whether the output shares its table with the input, and this stage has one of the two copies.
    """

    def __init__(
        self,
        embed: nn.Module | None,
        blocks: Mapping[int, nn.Module],
        norm: nn.Module | None,
        head: nn.Module | None,
        d_model: int,
    ) -> None:
        super().__init__()
        self.embed, self.norm, self.head = embed, norm, head
        self.blocks = nn.ModuleDict({str(number): block for number, block in blocks.items()})
        self.d_model = d_model
        self.is_first, self.is_last = embed is not None, head is not None
        self.shares = False

    @property
    def shared(self) -> nn.Parameter | None:
        """This stage's copy of a table that the first and the last stage share: their gradients belong together."""
        ends: Any = (self.embed, self.head)
        if not self.shares:
            return None
        return ends[0].token.weight if self.is_first else ends[1].weight

    def forward(self, x: Tensor, mask: Tensor | None = None, positions: Tensor | None = None) -> Tensor:
        """Pass through the layers of this stage.

        Args:
            x: ids (B, T) for the first stage, else (B, T, C).
            mask, positions: as `GPT` takes them.

        Returns:
            The logits (B, T, V) of the last stage, else (B, T, C).
        """
        if positions is None:
            positions = torch.arange(x.shape[1], device=x.device)  # (T,)
        # BEGIN SOLUTION 6.7: as in GPT.forward, with the parts that are here
        if self.embed is not None:
            x = self.embed(x, positions)  # (B, T, C)
        for block in self.blocks.values():
            x = block(x, mask, positions)
        if self.norm is not None:
            x = self.norm(x)
        return x if self.head is None else self.head(x)
        # END SOLUTION


def split_stages(model: GPT, count: int) -> list[PipelineStage]:
    """Cut a model into stages of as many blocks each; if that does not come out even, the first ones get one more.

    The first stage has the embedding too, the last one the norm before the output, and the output. The parts are those
    of the model, which is not to be used any more; if input and output share their table, the output gets a copy of it,
    unless there is only one stage: a parameter of its own with the same numbers. (The layer itself may be a parallel
    one of 6.6, which has a group and cannot be copied.)

    Args:
        model: a `GPT`.
        count: P.

    Raises:
        ValueError: a stage would have no block (both numbers are named); or the blocks share a table, as those with the
            position "t5" do, and are to be parted.
    """
    blocks: Any = model.blocks
    if not 1 <= count <= len(blocks):
        raise ValueError(f"{len(blocks)} blocks cannot be shared out among {count} stages: each needs one at least")
    if count > 1 and model.config.position == "t5":
        raise ValueError('position "t5" has one table for all blocks, which stages cannot share; choose another')
    # BEGIN SOLUTION 6.7: count through the blocks; give each stage its own, and the ends of the model to its ends
    stages, begin = [], 0
    for number in range(count):
        first, last = number == 0, number == count - 1
        end = begin + len(blocks) // count + (number < len(blocks) % count)
        stages.append(
            PipelineStage(
                model.embed if first else None,
                {place: blocks[place] for place in range(begin, end)},
                model.norm if last else None,
                model.head if last else None,
                model.config.d_model,
            )
        )
        begin = end
    table = model.embed.token.weight
    if count > 1 and model.head.weight is table:
        model.head.weight = nn.Parameter(table.detach().clone())
        stages[0].shares = stages[-1].shares = True
    return stages
    # END SOLUTION


def gpipe(
    stage: PipelineStage,
    batches: Sequence[Batch],
    loss_of: LossOf,
    group: ProcessGroup | None = None,
    no_sync: Region = contextlib.nullcontext,
    region: Region = contextlib.nullcontext,
) -> PipelineRun:
    """Pass all micro-batches forward, then all backward.

    Each process waits for P - 1 others at the beginning and at the end: of (M + P - 1) rounds it works M. What forward
    has made is kept for all M micro-batches until backward begins. In which order they go back is free. What passes
    between neighbours is each micro-batch once, and each gradient once. Gradients add up, as usual; but a table that
    two stages share must have none at the beginning, for theirs are put together at the end.

    Args:
        stage: this rank's, of as many as the group has ranks.
        batches: the micro-batches, the same on all ranks.
        loss_of: what a micro-batch adds to the loss; called on the last rank. So that gradients are those of the mean
            over all targets, each mean is to be weighed with its part of them.
        group: whose ranks have the stages, in order; None means all processes.
        no_sync: makes the region that each backward but the last runs in, for a stage of which there are several copies
            (`DataParallel.no_sync`).
        region: makes the region that forward and the loss run in (`Policy.region`).

    Returns:
        The loss, what this process was busy with, and how much it had to keep.

    Raises:
        ValueError: there is no batch, or the stage does not stand where the rank does.
    """
    line = _Line(stage, batches, loss_of, group, no_sync, region)
    # BEGIN SOLUTION 6.7: receive, forward, send, for all; then receive, backward, send, for all, the last one first
    for number in range(len(batches)):
        line.send_forward(line.forward(number, line.receive_forward(number)))
    for number in reversed(range(len(batches))):
        line.send_backward(line.backward(number, line.receive_backward(number)))
    return line.end()
    # END SOLUTION


def one_f_one_b(
    stage: PipelineStage,
    batches: Sequence[Batch],
    loss_of: LossOf,
    group: ProcessGroup | None = None,
    no_sync: Region = contextlib.nullcontext,
    region: Region = contextlib.nullcontext,
) -> PipelineRun:
    """Pass micro-batches forward only as far ahead as the pipeline is long, and then one backward for each one forward.

    Rank r passes P - 1 - r micro-batches forward (or M, if these are less), then by turns one forward and one backward,
    and at the end what is left backward. It waits as long as with `gpipe`, and keeps what forward has made for P - r
    micro-batches at most, however many there are.

    Args, Returns, Raises: as `gpipe`.
    """
    line = _Line(stage, batches, loss_of, group, no_sync, region)
    # BEGIN SOLUTION 6.7: the three phases; in the middle, what goes to a neighbour and what comes from it cross
    count = len(batches)
    ahead = min(line.world - 1 - line.rank, count)
    for number in range(ahead):
        line.send_forward(line.forward(number, line.receive_forward(number)))
    incoming = line.receive_forward(ahead) if ahead < count else None
    for number in range(ahead, count):
        done = number - ahead  # the one whose turn it is to go back
        gradient = line.send_forward_receive_backward(line.forward(number, incoming), done)
        outgoing = line.backward(done, gradient)
        if number + 1 < count:
            incoming = line.send_backward_receive_forward(outgoing, number + 1)
        else:
            line.send_backward(outgoing)
    for number in range(count - ahead, count):
        line.send_backward(line.backward(number, line.receive_backward(number)))
    return line.end()
    # END SOLUTION


def bubble(stages: int, micro_batches: int) -> float:
    """Say which part of its time a process of a pipeline waits, if all stages take equally long: (P - 1) / (M + P - 1).

    >>> bubble(stages=4, micro_batches=4), bubble(4, 12)
    (0.42857142857142855, 0.2)
    """
    # BEGIN SOLUTION 6.7: of all rounds, those in which nothing is to do
    return (stages - 1) / (micro_batches + stages - 1)
    # END SOLUTION


class _Line:
    """What a process does for a pipeline: its neighbours, what it keeps, and what it was busy with. (Given.)"""

    def __init__(
        self,
        stage: PipelineStage,
        batches: Sequence[Batch],
        loss_of: LossOf,
        group: ProcessGroup | None,
        no_sync: Region,
        region: Region,
    ) -> None:
        self.rank, self.world = dist.get_rank(group), dist.get_world_size(group)
        if not batches:
            raise ValueError("a pipeline needs batches; got none")
        if (self.rank == 0, self.rank == self.world - 1) != (stage.is_first, stage.is_last):
            raise ValueError(f"rank {self.rank} of {self.world} must have stage {self.rank} of {self.world}")
        self.stage, self.batches, self.loss_of, self.group, self.no_sync = stage, batches, loss_of, group, no_sync
        self.region = region
        self.left = len(batches)  # how many have still to go back
        self.loss = torch.zeros((), device=batches[0].ids.device)
        self.events: list[Event] = []
        self.kept: dict[int, tuple[Tensor | None, Tensor]] = {}  # what came in and what went out, by number
        self.most_alive = 0

    # -- what is done here

    def forward(self, number: int, incoming: Tensor | None) -> Tensor | None:
        """Pass a micro-batch through the stage; give what the next stage needs, None on the last."""
        begin, batch = time.perf_counter(), self.batches[number]
        x = batch.ids if incoming is None else incoming
        with self.region():
            out = self.stage(x, batch.mask, batch.positions)
            if self.stage.is_last:
                out = self.loss_of(out, batch)
                self.loss += out.detach()
        self.kept[number] = (incoming, out)
        self.most_alive = max(self.most_alive, len(self.kept))
        self.events.append(Event("forward", number, begin, time.perf_counter()))
        return None if self.stage.is_last else out.detach()

    def backward(self, number: int, gradient: Tensor | None) -> Tensor | None:
        """Pass a gradient back through the stage; give what the stage before needs, None on the first."""
        begin = time.perf_counter()
        incoming, out = self.kept.pop(number)
        self.left -= 1
        with self.no_sync() if self.left else contextlib.nullcontext():
            torch.autograd.backward(out, gradient)
        self.events.append(Event("backward", number, begin, time.perf_counter()))
        return None if incoming is None else incoming.grad

    def end(self) -> PipelineRun:
        """Add up the gradients of a table that two stages have; tell everybody the loss."""
        shared = self.stage.shared
        if self.world > 1:
            if shared is not None and shared.grad is None:
                shared.grad = torch.zeros_like(shared)
            if shared is not None and shared.grad is not None:
                theirs = torch.empty_like(shared.grad)
                other = self.world - 1 - self.rank
                self._exchange(shared.grad, other, theirs, other)
                shared.grad += theirs
            dist.broadcast(self.loss, group=self.group, group_src=self.world - 1)
        return PipelineRun(self.loss.item(), self.events, self.most_alive)

    # -- what goes to the neighbours, and comes from them

    def receive_forward(self, number: int) -> Tensor | None:
        """Give what comes from the stage before; None on the first."""
        incoming = self._room(number, self.stage.is_first)
        self._exchange(None, 0, incoming, self.rank - 1)
        return incoming

    def receive_backward(self, number: int) -> Tensor | None:
        """Give the gradient that comes from the next stage; None on the last."""
        gradient = self._room(number, self.stage.is_last, False)
        self._exchange(None, 0, gradient, self.rank + 1)
        return gradient

    def send_forward(self, out: Tensor | None) -> None:
        self._exchange(out, self.rank + 1, None, 0)

    def send_backward(self, gradient: Tensor | None) -> None:
        self._exchange(gradient, self.rank - 1, None, 0)

    def send_forward_receive_backward(self, out: Tensor | None, number: int) -> Tensor | None:
        """Both with the next stage, at once: if both sent first, and then received, both might wait for ever."""
        gradient = self._room(number, self.stage.is_last, False)
        self._exchange(out, self.rank + 1, gradient, self.rank + 1)
        return gradient

    def send_backward_receive_forward(self, gradient: Tensor | None, number: int) -> Tensor | None:
        """Both with the stage before, at once."""
        incoming = self._room(number, self.stage.is_first)
        self._exchange(gradient, self.rank - 1, incoming, self.rank - 1)
        return incoming

    def _room(self, number: int, at_end: bool, needs_gradient: bool = True) -> Tensor | None:
        if at_end:
            return None
        ids = self.batches[number].ids
        weight = next(self.stage.parameters())
        room = torch.empty(*ids.shape, self.stage.d_model, dtype=weight.dtype, device=ids.device)
        return room.requires_grad_(needs_gradient)

    def _exchange(self, outgoing: Tensor | None, to: int, incoming: Tensor | None, source: int) -> None:
        messages = []
        if outgoing is not None:
            messages.append(dist.P2POp(dist.isend, outgoing.contiguous(), group=self.group, group_peer=to))
        if incoming is not None:
            messages.append(dist.P2POp(dist.irecv, incoming.detach(), group=self.group, group_peer=source))
        for work in dist.batch_isend_irecv(messages) if messages else []:
            work.wait()
