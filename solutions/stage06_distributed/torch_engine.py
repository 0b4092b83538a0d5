"""The same engine, made of what torch has: for runs that outgrow one machine, and to measure ours against. (Given.)

`DistributedDataParallel` or `fully_shard` for copies, `parallelize_module` for matrices, `torch.distributed.pipelining`
for stages, `torch.amp.GradScaler` for fp16. It takes the same steps as `Engine`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.pipelining import PipelineStage as TorchStage
from torch.distributed.pipelining import Schedule1F1B, ScheduleGPipe
from torch.distributed.tensor import DTensor, Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, loss_parallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

from stage03_attention import (
    MultiHeadAttention,
    attention,
    causal_mask,
    combine,
    grouped_attention,
    merge_heads,
    split_heads,
)
from stage04_block import GPT
from stage05_training import parameter_groups
from stage05_training.accumulate import StepResult
from stage05_training.batch import IGNORE, Batch
from stage05_training.config import TrainConfig
from stage05_training.trainer import Evaluation

from .collectives import exchange
from .data_parallel import share_of
from .engine import EngineConfig
from .mesh import Mesh
from .pipeline import split_stages
from .precision import Policy

SCHEDULES: dict[str, Any] = {"gpipe": ScheduleGPipe, "1f1b": Schedule1F1B}


class PlainAttention(nn.Module):
    """A multi-head attention of four linear layers, which torch knows how to cut; with as many heads as come out."""

    def __init__(self, full: MultiHeadAttention) -> None:
        super().__init__()
        whole = full.projections()
        for name in ("query", "key", "value", "out"):
            weight, bias = getattr(whole, name), getattr(whole, f"{name}_bias")
            layer = nn.Linear(*reversed(weight.shape), bias=bias is not None, device=weight.device)
            with torch.no_grad():
                layer.weight.copy_(weight)
                if bias is not None:
                    layer.bias.copy_(bias)
            setattr(self, name, layer)
        self.head_dim, self.dropout, self.causal = full.head_dim, full.dropout, full.causal
        self.rotary, self.distance_bias = full.rotary, full.distance_bias
        self.first_head = 0

    def forward(
        self,
        x: Tensor,
        context: None = None,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: None = None,
        return_weights: bool = False,
    ) -> Tensor:
        layers: Any = self
        q, k, v = (each(x) for each in (layers.query, layers.key, layers.value))  # (B, T, this rank's heads · D)
        q, k, v = (split_heads(each, each.shape[-1] // self.head_dim) for each in (q, k, v))
        if positions is None:
            positions = torch.arange(x.shape[1], device=x.device)
        if self.rotary is not None:
            q, k = self.rotary(q, positions), self.rotary(k, positions)
        bias = None
        if self.distance_bias is not None:
            distances: Any = self.distance_bias
            bias = distances(x.shape[1], x.shape[1])[self.first_head : self.first_head + q.shape[1]]
        if self.causal:
            mask = combine(causal_mask(x.shape[1], x.shape[1], device=x.device), mask)
        attend: Any = attention if q.shape[1] == k.shape[1] else grouped_attention
        heads = attend(q, k, v, mask, bias, self.dropout if self.training else 0.0)
        return layers.out(merge_heads(heads))


def cut_matrices(model: Any, mesh: Mesh) -> None:
    """What `tensor_parallel` does, by `parallelize_module`, in place."""
    tp, rank = mesh.devices["tp"], mesh.rank("tp")
    tied = model.head.weight is model.embed.token.weight
    for block in model.blocks:
        heads = block.attention.n_heads // mesh.layout.tp
        block.attention = PlainAttention(block.attention)
        block.attention.first_head = rank * heads
        cut = {
            "query": ColwiseParallel(),
            "key": ColwiseParallel(),
            "value": ColwiseParallel(),
            "out": RowwiseParallel(),
        }
        parallelize_module(block.attention, tp, cut)
        names = {"up": ColwiseParallel(), "down": RowwiseParallel()}
        if block.feed_forward.gate is not None:
            names["gate"] = ColwiseParallel()
        parallelize_module(block.feed_forward, tp, names)
    table = model.embed.token.weight
    model.embed.token = nn.Embedding(*table.shape, device=table.device, _weight=table.detach().clone())
    parallelize_module(model.embed, tp, {"token": RowwiseParallel(input_layouts=Replicate())})
    parallelize_module(model, tp, {"head": ColwiseParallel(use_local_output=False)})
    if tied:
        model.head.weight = model.embed.token.weight


class TorchEngine:
    """As `Engine`, with the same arguments and attributes."""

    def __init__(self, config: TrainConfig, engine: EngineConfig, mesh: Mesh) -> None:
        if config.model.position == "t5" and mesh.layout.tp > 1:
            raise ValueError('with --engine torch, position "t5" goes with tp = 1 only: choose another')
        self.config, self.engine, self.mesh = config, engine, mesh
        self.policy = Policy.named(engine.precision)
        self.timeline = None
        torch.manual_seed(config.seed)
        model = GPT(config.model).to(mesh.device)
        if mesh.layout.tp > 1:
            cut_matrices(model, mesh)
        self.stage = split_stages(model, mesh.layout.pp)[mesh.rank("pp")]
        self.copies: Any = self.stage
        if engine.zero or mesh.layout.tp > 1 or mesh.layout.pp > 1:  # which DistributedDataParallel does not know
            for block in self.stage.blocks.values():
                fully_shard(block, mesh=mesh.devices["dp"])
            fully_shard(self.stage, mesh=mesh.devices["dp"])
        elif mesh.layout.dp > 1:
            group = mesh.group("dp")
            self.copies = DistributedDataParallel(self.stage, process_group=group, bucket_cap_mb=engine.bucket_mb)
        groups = parameter_groups(self.stage, config.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, config.max_lr, (config.beta1, config.beta2), eps=1e-8)
        self.scaler = torch.amp.GradScaler(mesh.device.type) if self.policy.scales else None

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The sum over all targets that count."""
        flat = logits.flatten(0, 1).float() if not isinstance(logits, DTensor) else logits.flatten(0, 1)
        return nn.functional.cross_entropy(flat, targets.flatten().long(), ignore_index=IGNORE, reduction="sum")

    def _parted(self) -> Any:
        """The region in which the loss, forward and backward, may take logits that are spread over ranks."""
        return loss_parallel() if self.mesh.layout.tp > 1 else contextlib.nullcontext()

    def step(self, batches: Sequence[Batch]) -> StepResult:
        dp, rank = self.mesh.layout.dp, self.mesh.rank("dp")
        own = [batch.rows(slice(rank, None, dp)).to(self.mesh.device) for batch in batches]
        count = sum(batch.counted for batch in own)
        weight = share_of(count, self.mesh.group("dp"), self.mesh.device) / max(count, 1)
        scale: Any = self.scaler.scale if self.scaler else lambda loss: loss
        total = torch.zeros((), dtype=torch.float64, device=self.mesh.device)
        gradients: dict[nn.Parameter, Tensor] = {}  # of several batches; torch's schedules begin anew with each
        for batch in own:
            if self.mesh.layout.pp > 1:
                total += self._through_stages(batch, weight, scale)
                for p in self.stage.parameters():
                    if p.grad is not None:
                        gradients[p] = gradients[p] + p.grad if p in gradients else p.grad
                        p.grad = None
                continue
            with self._parted():
                with self.policy.region(self.mesh.device.type):
                    loss = self._loss(self.copies(batch.ids, batch.mask, batch.positions), batch.targets) * weight
                scale(loss).backward()
            total += whole(loss.detach())
        for p, gradient in gradients.items():
            p.grad = gradient
        dist.all_reduce(total, group=self.mesh.group("dp"))
        self._add_shared()
        if self.scaler:
            self.scaler.unscale_(self.optimizer)
        loss, norm = total.item() / dp, self._clip()
        if not math.isfinite(loss) or not (math.isfinite(norm) or self.scaler):
            self.optimizer.zero_grad()
            raise FloatingPointError(f"the loss is {loss} and the norm of the gradients {norm:.3g}; no step was taken")
        if self.scaler:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        self.optimizer.zero_grad()
        return StepResult(loss, sum(batch.counted for batch in batches), norm)

    def _through_stages(self, batch: Batch, weight: float, scale: Any) -> float:
        """One batch, by one of torch's schedules, in micro-batches."""
        group, pp = self.mesh.group("pp"), self.mesh.layout.pp
        stage = TorchStage(self.copies, self.mesh.rank("pp"), pp, self.mesh.device, group=group)

        def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
            return scale(self._loss(logits, targets) * weight)

        schedule = SCHEDULES[self.engine.schedule](stage, self.engine.micro_batches, loss_fn=loss_of, scale_grads=False)
        losses: list[Tensor] = []
        with self.policy.region(self.mesh.device.type), self._parted():
            if self.stage.is_first:
                schedule.step(batch.ids, mask=batch.mask, positions=batch.positions)
            else:
                target = {"target": batch.targets, "losses": losses} if self.stage.is_last else {}
                schedule.step(mask=batch.mask, positions=batch.positions, **target)
        value = whole(torch.stack(losses).sum()) if losses else torch.zeros((), device=self.mesh.device)
        dist.broadcast(value, group=group, group_src=pp - 1)
        return value.item() / (self.scaler.get_scale() if self.scaler else 1.0)

    def _add_shared(self) -> None:
        """Add up the gradients of a table that the first and the last stage have."""
        shared, pp, group = self.stage.shared, self.mesh.layout.pp, self.mesh.group("pp")
        if shared is not None and shared.grad is not None:
            own = shared.grad.to_local() if isinstance(shared.grad, DTensor) else shared.grad
            theirs = torch.empty_like(own)
            exchange(own, pp - 1 - self.mesh.rank("pp"), theirs, pp - 1 - self.mesh.rank("pp"), group)
            own += theirs

    def _clip(self) -> float:
        """Clip all gradients together; give their norm before."""
        parameters = [p for p in self.stage.parameters() if p.grad is not None]
        twice = self.stage.shared if not self.stage.is_first else None
        norms = [whole(p.grad.norm()).float() for p in parameters if p is not twice and p.grad is not None]
        square = torch.stack(norms).square().sum()
        dist.all_reduce(square, group=self.mesh.group("pp"))
        norm = square.sqrt().item()
        if self.config.max_norm is not None and self.config.max_norm < norm < math.inf:
            for p in parameters:
                if p.grad is not None:
                    p.grad.mul_(self.config.max_norm / norm)
        return norm

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Batch]) -> Evaluation:
        self.stage.eval()
        nats, tokens = 0.0, 0
        for batch in batches:
            batch = batch.to(self.mesh.device)
            x, pp, rank = batch.ids, self.mesh.layout.pp, self.mesh.rank("pp")
            if rank > 0:
                x = torch.empty(*batch.ids.shape, self.stage.d_model, device=self.mesh.device)
                dist.recv(x, group=self.mesh.group("pp"), group_src=rank - 1)
            with self.policy.region(self.mesh.device.type), self._parted():
                x = self.stage(x, batch.mask, batch.positions)
                loss = whole(self._loss(x, batch.targets)) if rank == pp - 1 else torch.zeros((), device=x.device)
            if rank < pp - 1:
                dist.send(x.float().contiguous(), group=self.mesh.group("pp"), group_dst=rank + 1)
            dist.broadcast(loss, group=self.mesh.group("pp"), group_src=pp - 1)
            nats += loss.item()
            tokens += batch.counted
        self.stage.train()
        for module in self.stage.modules():
            if isinstance(module, FSDPModule):
                module.reshard()  # backward would have done it
        if not tokens:
            raise ValueError("an evaluation needs targets that count; got none")
        return Evaluation(nats / tokens, tokens)


def whole(tensor: Tensor) -> Tensor:
    """A tensor that all ranks have, of one that may be spread over them."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
