"""The trainer, step by step: losses are added up by PyTorch, and a checkpoint holds no more than it has to."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

from stage04_block import GPT

from . import accumulate, checkpoint, samples, schedule
from .config import TrainConfig
from .data import Data
from .loss import bits_per_byte
from .optim import AdamW, parameter_groups
from .run_log import RunLog, read_metrics


class Evaluation(NamedTuple):
    """Nats per target, and how many there were."""

    loss: float
    tokens: int


class TrainResult(NamedTuple):
    """The end of a run."""

    model: GPT
    step: int
    loss: float | None
    stopped: bool


def evaluate(model, batches):
    modes = []
    for part in model.modules():
        modes.append(part.training)
    model.eval()
    total = 0.0
    tokens = 0
    with torch.inference_mode():
        for batch in batches:
            logits = model(ids=batch.ids, mask=batch.mask, positions=batch.positions)
            rows = logits.flatten(0, -2).double()
            total += functional.cross_entropy(rows, batch.targets.flatten(), reduction="sum").item()
            tokens += int((batch.targets != -100).sum())
    for part, mode in zip(model.modules(), modes):
        part.train(mode)  # its parts too, but these come after it
    if tokens == 0:
        raise ValueError("nothing to evaluate with")
    return Evaluation(loss=total / tokens, tokens=tokens)


def last_loss(folder, step):
    """What was found by the last evaluation up to a step."""
    loss = None
    for line in read_metrics(folder):
        if line["kind"] == "evaluation" and line["step"] <= step:
            loss = line["loss"]
    return loss


def train(config: TrainConfig, data: Data, folder, device="cpu"):
    if data.vocab_size != config.model.vocab_size:
        raise ValueError(f"{data.vocab_size} tokens in the data, and {config.model.vocab_size} in the model")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model = GPT(config.model).to(device)
    groups = parameter_groups(model, config.weight_decay)
    optimizer = AdamW(groups, lr=config.max_lr, betas=(config.beta1, config.beta2))
    loader = data.loader(config)
    begin = 0
    loss = None
    newest = checkpoint.latest_checkpoint(folder)
    if newest is not None:
        state = newest[1]
        checkpoint.restore(state, model, optimizer=optimizer, loader=loader)
        begin = state["step"]
        loss = last_loss(folder, begin)
    max_norm = float("inf")
    if config.max_norm is not None:
        max_norm = config.max_norm
    done = begin
    with RunLog(folder, config, begin) as log:
        for taken in range(begin, config.steps):
            model.train()
            rate = schedule.warmup_cosine(
                step=taken, max_lr=config.max_lr, warmup=config.warmup, total=config.steps, min_lr=config.min_lr
            )
            for group in optimizer.param_groups:
                group.update(lr=rate)
            batches = []
            for _ in range(config.accumulate):
                batches.append(next(loader).to(device))
            result = accumulate.accumulated_step(model=model, optimizer=optimizer, batches=batches, max_norm=max_norm)
            done = taken + 1
            at_end = done == config.steps
            log.step(step=done, result=result, lr=rate)
            if at_end or done % config.evaluate_every == 0:
                found = evaluate(model, [batch.to(device) for batch in data.validation_batches(config)])
                loss = found.loss
                bits = bits_per_byte(loss, found.tokens, data.validation_size(config))
                log.evaluation(step=done, loss=loss, bits_per_byte=bits)
                texts = samples.write_samples(model, data.tokenizer, config, data.end_id)
                log.samples(step=done, texts=texts)
            leave = log.stop_asked
            if at_end or leave or done % config.checkpoint_every == 0:
                state = checkpoint.capture(model, optimizer, loader, step=done)
                checkpoint.save_checkpoint(checkpoint.checkpoint_path(folder, done), state)
                checkpoint.prune_checkpoints(folder, config.keep)
            if leave:
                break
        log.end(step=done, stopped=done < config.steps)
    return TrainResult(model=model, step=done, loss=loss, stopped=done < config.steps)
