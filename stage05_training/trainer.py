"""5.11 · The trainer: everything of this stage in one loop."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from stage04_block import GPT

from .accumulate import accumulated_step
from .batch import Batch
from .checkpoint import capture, checkpoint_path, latest_checkpoint, prune_checkpoints, restore, save_checkpoint
from .config import TrainConfig
from .data import Data
from .loss import bits_per_byte, cross_entropy
from .optim import AdamW, parameter_groups
from .run_log import RunLog
from .samples import write_samples
from .schedule import warmup_cosine


class Evaluation(NamedTuple):
    """What an evaluation has found."""

    loss: float  # nats per target, the mean over all that count
    tokens: int  # how many targets counted


class TrainResult(NamedTuple):
    """How a run ended."""

    model: GPT
    step: int  # how many steps have been taken, those before it was resumed included
    loss: float | None  # of the last evaluation; None if there was none
    stopped: bool  # whether somebody stopped it before its end


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable[Batch]) -> Evaluation:
    """Give the mean loss over all targets that count, whatever batches they come in.

    The model is in eval, and no gradients are tracked; afterwards it, and each of its parts, is in the mode that it was
    in.

    Raises:
        ValueError: no target counts.
    """
    # TODO 5.11: sum up loss · number of targets, and divide by all of them once
    raise NotImplementedError(
        "5.11 evaluate: sum up loss · number of targets, and divide by all of them once; "
        "hint: python -m bootcamp hint 5.11"
    )


def train(config: TrainConfig, data: Data, folder: Path, device: torch.device | str = "cpu") -> TrainResult:
    """Train a model, or go on with it: from the newest checkpoint in the folder that is whole, if there is one.

    A run that was stopped, in whatever way, and is started again with the same arguments ends with the same weights as
    one that was not stopped, to the bit, on a CPU and with the same number of threads.

    In each step: set the learning rate, take the batches from the loader, and call `accumulated_step`. After every
    `evaluate_every` steps and after the last one, evaluate and write samples. After every `checkpoint_every` steps,
    after the last one, and when somebody asks it to stop (Ctrl-C), in whatever moment, save a checkpoint of model,
    optimizer, loader, random states, step, and the loss of the last evaluation: a run that has ended already gives it
    back.

    Args:
        config: sizes, rates, intervals.
        data: what is read.
        folder: where checkpoints, metrics and samples go.
        device: where the model is.

    Raises:
        ValueError: the vocabulary of the data is not that of the model (both are named).
        FloatingPointError: the loss is nan or infinite; the last checkpoint is from before.
        CheckpointError: the checkpoint in the folder is of another model.
    """
    if data.vocab_size != config.model.vocab_size:
        raise ValueError(
            f"the model's vocabulary must be that of the data, {data.vocab_size}; got {config.model.vocab_size}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model = GPT(config.model).to(device)
    optimizer = AdamW(parameter_groups(model, config.weight_decay), config.max_lr, (config.beta1, config.beta2))
    loader = data.loader(config)
    step, loss = 0, None
    # TODO 5.11: go on from the newest checkpoint, if there is one
    raise NotImplementedError(
        "5.11 train: go on from the newest checkpoint, if there is one; hint: python -m bootcamp hint 5.11"
    )
    with RunLog(folder, config, start=step) as log:
        # TODO 5.11: the loop
        raise NotImplementedError("5.11 train: the loop; hint: python -m bootcamp hint 5.11")
        log.end(step, stopped=step < config.steps)
    return TrainResult(model, step, loss, stopped=step < config.steps)
