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
    # BEGIN SOLUTION 5.11: sum up loss · number of targets, and divide by all of them once
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        nats, tokens = 0.0, 0
        for batch in batches:
            logits = model(batch.ids, mask=batch.mask, positions=batch.positions)
            nats += cross_entropy(logits, batch.targets).item() * batch.counted
            tokens += batch.counted
    finally:
        for part, training in modes.items():
            part.training = training
    if not tokens:
        raise ValueError("an evaluation needs targets that count; got none")
    return Evaluation(nats / tokens, tokens)
    # END SOLUTION


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
    # BEGIN SOLUTION 5.11: go on from the newest checkpoint, if there is one
    found = latest_checkpoint(folder)
    if found is not None:
        _, state = found
        restore(state, model, optimizer, loader)
        step, loss = state["step"], state["loss"]
    # END SOLUTION
    with RunLog(folder, config, start=step) as log:
        # BEGIN SOLUTION 5.11: the loop
        model.train()
        stopped = False
        while step < config.steps and not stopped:
            for group in optimizer.param_groups:
                group["lr"] = warmup_cosine(step, config.max_lr, config.warmup, config.steps, config.min_lr)
            batches = [next(loader).to(device) for _ in range(config.accumulate)]
            result = accumulated_step(model, optimizer, batches, config.max_norm or math.inf)
            step += 1
            log.step(step, result, lr=optimizer.param_groups[0]["lr"])
            if step % config.evaluate_every == 0 or step == config.steps:
                loss, tokens = evaluate(model, (batch.to(device) for batch in data.validation_batches(config)))
                log.evaluation(step, loss, bits_per_byte(loss, tokens, data.validation_size(config)))
                log.samples(step, write_samples(model, data.tokenizer, config, data.end_id))
            stopped = log.stop_asked  # looked at once a round, behind what takes long
            if step % config.checkpoint_every == 0 or step == config.steps or stopped:
                save_checkpoint(checkpoint_path(folder, step), capture(model, optimizer, loader, step=step, loss=loss))
                prune_checkpoints(folder, config.keep)
        # END SOLUTION
        log.end(step, stopped=step < config.steps)
    return TrainResult(model, step, loss, stopped=step < config.steps)
