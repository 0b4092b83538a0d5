"""6.11 · The engine: a training step in which all kinds of parallelism, and few bits, work together.

Letters: W processes, dp · pp · tp = W.
"""

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

from .data_parallel import DataParallel, share_of
from .distributed_checkpoint import cut_dimensions
from .mesh import Mesh
from .pipeline import PipelineRun, PipelineStage, gpipe, one_f_one_b, split_stages
from .precision import LossScaler, Policy
from .recompute import checkpoint
from .sharding import ShardedSampler
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
    # TODO 6.11: squares of the parts, summed over tp; squares of the rest; both summed over pp; the root
    raise NotImplementedError(
        "6.11 global_norm: squares of the parts, summed over tp; squares of the rest; both summed over pp; the root; "
        "hint: python -m bootcamp hint 6.11"
    )


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

    stage: PipelineStage
    optimizer: Any
    scaler: LossScaler | None

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
        # TODO 6.11: cut matrices, then layers; copies; optimizer, sharded or not; scaler if it is needed
        raise NotImplementedError(
            "6.11 Engine.__init__: cut matrices, then layers; copies; optimizer, sharded or not; scaler if it is "
            "needed; "
            "hint: python -m bootcamp hint 6.11"
        )

    def rows_of(self, batch: Batch) -> list[Batch]:
        """Give this rank's rows of a batch, in `micro_batches` pieces.

        Each row is read by one copy of the model; all ranks of that copy have the same pieces. What else a batch has,
        mask and positions, goes with its rows.
        """
        # TODO 6.11: every dp-th row; then cut
        raise NotImplementedError("6.11 Engine.rows_of: every dp-th row; then cut; hint: python -m bootcamp hint 6.11")

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
        # TODO 6.11: own rows; each mean weighed; through the pipeline; unscale, clip, step, clean up
        raise NotImplementedError(
            "6.11 Engine.step: own rows; each mean weighed; through the pipeline; unscale, clip, step, clean up; "
            "hint: python -m bootcamp hint 6.11"
        )

    @staticmethod
    def _clear(parameters: Iterable[nn.Parameter]) -> None:
        for p in parameters:
            p.grad = None

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
