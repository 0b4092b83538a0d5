"""6.11 · The engine, with gradients that are averaged after backward, and a norm of squares with names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from stage04_block import GPT
from stage05_training import AdamW, parameter_groups
from stage05_training.accumulate import StepResult
from stage05_training.batch import Batch
from stage05_training.config import TrainConfig
from stage05_training.trainer import Evaluation

from .data_parallel import buckets_of
from .distributed_checkpoint import cut_dimensions
from .mesh import Mesh
from .pipeline import PipelineRun, gpipe, one_f_one_b, split_stages
from .precision import LossScaler, Policy
from .recompute import checkpoint
from .tensor_parallel import tensor_parallel, vocab_parallel_cross_entropy
from .zero import ShardedOptimizer

SCHEDULES = {"gpipe": gpipe, "1f1b": one_f_one_b}


@dataclass(frozen=True)
class EngineConfig:
    """How a run is carried out; what comes of it is the same.

    Args:
        precision: see `Policy.named`, without the pure ones.
        micro_batches: how many pieces each process cuts its rows of a batch into, for the pipeline.
        schedule: "gpipe" or "1f1b".
        zero: whether the copies of the model share the state of the optimizer out among them.
        recompute: whether the inside of blocks is computed again on the way back.
        bucket_mb: of `DataParallel`.

    Raises:
        ValueError: a value is none of those (it is named).
    """

    precision: str = "fp32"
    micro_batches: int = 1
    schedule: str = "1f1b"
    zero: bool = False
    recompute: bool = False
    bucket_mb: float = 25.0

    def __post_init__(self) -> None:
        if self.precision not in ("fp32", "bf16", "fp16"):
            raise ValueError(f"precision must be fp32, bf16 or fp16; got {self.precision!r}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}; got {self.schedule!r}")
        if self.micro_batches < 1:
            raise ValueError(f"micro_batches must be at least 1; got {self.micro_batches}")


def global_norm(model: nn.Module, mesh: Mesh) -> torch.Tensor:
    """Give the length of all gradients of the whole model as one vector, the same on all ranks.

    What tensor parallelism has cut counts on each rank of "tp"; what is whole there, and the same, counts once. Stages
    add up over "pp", but a table that two of them share counts once. Over "dp" all have the same already.

    Args:
        model: this rank's `PipelineStage`, with gradients.
        mesh: who takes part.
    """
    cut, table = cut_dimensions(model), None if model.is_first else model.shared
    mine = {
        (name, mesh.rank("tp") * (name in cut)): p.grad.double().norm().item()
        for name, p in model.named_parameters()
        if p.grad is not None and p is not table
    }
    everybody: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everybody, mine)
    squares = {key: norm**2 for each in reversed(everybody) for key, norm in each.items()}  # each part once
    return torch.tensor(math.fsum(squares.values()) if all(map(math.isfinite, squares.values())) else math.nan).sqrt()


class Engine:
    """A model, laid out over the processes of a mesh, and how it takes a step.

    Args:
        config: what is trained, and how.
        engine: how it is carried out.
        mesh: who takes part. All ranks draw the same weights, from `config.seed`, and keep their part.

    Attributes:
        stage: this rank's part of the model, a `PipelineStage` with parallel layers.
        optimizer: of its parameters.
        scaler: of the loss, for fp16; else None.
        timeline: what this rank was busy with in the last step.

    Raises:
        ValueError: the model cannot be cut in this way, or a batch has fewer rows than the copies of the model have
            micro-batches together.
    """

    def __init__(self, config: TrainConfig, engine: EngineConfig, mesh: Mesh) -> None:
        if config.batch_size < mesh.layout.dp * engine.micro_batches:
            raise ValueError(
                f"a batch needs a row for each copy of the model and micro-batch, {mesh.layout.dp} · "
                f"{engine.micro_batches}; got {config.batch_size}"
            )
        self.config, self.engine, self.mesh = config, engine, mesh
        self.policy = Policy.named(engine.precision)
        self.timeline: PipelineRun | None = None
        torch.manual_seed(config.seed)
        self.stage = split_stages(tensor_parallel(GPT(config.model), mesh.group("tp")), mesh.layout.pp)[mesh.rank("pp")]
        self.stage.to(mesh.device)
        for block in self.stage.blocks.values() if engine.recompute else ():
            block.forward = partial(checkpoint, block.forward)
        make = partial(AdamW, lr=config.max_lr, betas=(config.beta1, config.beta2))
        shared = partial(ShardedOptimizer, make=make, group=mesh.group("dp"))
        self.optimizer = (shared if engine.zero else make)(parameter_groups(self.stage, config.weight_decay))
        self.buckets = buckets_of(list(self.stage.parameters()), int(engine.bucket_mb * 2**20))
        self.scaler = LossScaler(group=None) if self.policy.scales else None  # all ranks are asked in `step`

    def rows_of(self, batch: Batch) -> list[Batch]:
        """Give this rank's rows of a batch, in `micro_batches` pieces.

        Each row is read by one copy of the model; all ranks of that copy have the same pieces. What else a batch has,
        mask and positions, goes with its rows.
        """
        dp, pieces = self.mesh.layout.dp, self.engine.micro_batches
        own = slice(dp - 1 - self.mesh.rank("dp"), None, dp)  # the copies may share them out in any way
        mine, cuts = batch.rows(own), range(len(batch.ids[own]) + 1)
        return [mine.rows(slice(place, None, pieces)).to(self.mesh.device) for place in cuts[:pieces]]

    def step(self, batches: Sequence[Batch]) -> StepResult:
        """Take one step as if one process had taken it on all batches.

        However many batches and micro-batches there are, the copies average their gradients once. Afterwards no
        parameter has a gradient.

        Args:
            batches: whole ones, the same on all ranks.

        Returns:
            The mean loss over all targets that count, how many these are, and the norm of the gradients before
            clipping, the same on all ranks. With a scaler, an infinite norm or nan says that no step was taken.

        Raises:
            ValueError: no target counts.
            FloatingPointError: the loss, or without a scaler the norm, is nan or infinite; no step was taken.
        """
        tokens = sum(batch.counted for batch in batches)
        if not tokens:
            raise ValueError(f"of {len(batches)} batches no target counts")
        scale = self.scaler.factor if self.scaler else 1.0

        def loss_of(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
            mean = vocab_parallel_cross_entropy(logits, batch.targets, self.mesh.group("tp"))
            return mean * (batch.counted / tokens * scale)

        own = [micro for batch in batches for micro in self.rows_of(batch)]
        region, schedule = partial(self.policy.region, self.mesh.device.type), SCHEDULES[self.engine.schedule]
        self.timeline = schedule(self.stage, own, loss_of, self.mesh.group("pp"), region=region)
        loss = torch.tensor(self.timeline.loss, device=self.mesh.device)
        dist.all_reduce(loss, group=self.mesh.group("dp"))
        try:
            return self._finish(loss.item() / scale, tokens)
        finally:
            self.stage.zero_grad()

    def _finish(self, loss: float, tokens: int) -> StepResult:
        if not math.isfinite(loss):
            raise FloatingPointError(f"no step: the loss is {loss}")
        for bucket in self.buckets:
            there = [p for p in bucket if p.grad is not None]
            flat = torch.cat([p.grad.flatten() for p in there])  # type: ignore[union-attr]
            dist.all_reduce(flat, group=self.mesh.group("dp"))
            for p, total in zip(there, flat.split([p.numel() for p in there])):
                p.grad = total.view_as(p) / (self.scaler.factor if self.scaler else 1.0)
        norm = global_norm(self.stage, self.mesh).item()
        if math.isfinite(norm):
            factor = min(1.0, (self.config.max_norm or math.inf) / max(norm, 1e-30))
            for p in self.stage.parameters():
                p.grad = None if p.grad is None else p.grad * factor
            self.optimizer.step()
        elif self.scaler is None:
            raise FloatingPointError(f"no step: the norm of the gradients is {norm}")
        if self.scaler:
            self.scaler.finite = math.isfinite(norm)
            self.scaler.update()
        return StepResult(loss, tokens, norm)

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Batch]) -> Evaluation:
        """Give the mean loss over all targets that count, the same on all ranks; each copy sees all. (Given.)"""
        self.stage.eval()
        nats, tokens = 0.0, 0
        forward_only = partial(self.policy.region, self.mesh.device.type)
        for batch in batches:
            batch = batch.to(self.mesh.device)
            x = batch.ids
            pp, rank = self.mesh.layout.pp, self.mesh.rank("pp")
            if rank > 0:
                x = torch.empty(*batch.ids.shape, self.stage.d_model, device=self.mesh.device)
                dist.recv(x, group=self.mesh.group("pp"), group_src=rank - 1)
            with forward_only():
                x = self.stage(x, batch.mask, batch.positions)
                loss = torch.zeros((), device=self.mesh.device)
                if rank == pp - 1:
                    loss = vocab_parallel_cross_entropy(x, batch.targets, self.mesh.group("tp")).float()
                else:
                    dist.send(x.float().contiguous(), group=self.mesh.group("pp"), group_dst=rank + 1)
            dist.broadcast(loss, group=self.mesh.group("pp"), group_src=pp - 1)
            nats += loss.item() * batch.counted
            tokens += batch.counted
        self.stage.train()
        if not tokens:
            raise ValueError("an evaluation needs targets that count; got none")
        return Evaluation(nats / tokens, tokens)
