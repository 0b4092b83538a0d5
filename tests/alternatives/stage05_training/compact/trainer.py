"""The trainer in few lines: first it is said what is done behind a step, then steps are taken."""

from __future__ import annotations

from collections import namedtuple
from contextlib import ExitStack
from itertools import islice
from math import fsum, inf

import torch

from stage04_block import GPT

from .accumulate import accumulated_step
from .checkpoint import capture, checkpoint_path, latest_checkpoint, prune_checkpoints, restore, save_checkpoint
from .data import Data
from .loss import bits_per_byte, cross_entropy
from .optim import AdamW, parameter_groups
from .run_log import RunLog
from .samples import write_samples
from .schedule import warmup_cosine

Evaluation = namedtuple("Evaluation", "loss tokens")
TrainResult = namedtuple("TrainResult", "model step loss stopped")


def evaluate(model, batches):
    with torch.no_grad(), ExitStack() as afterwards:
        for part in model.modules():
            afterwards.callback(setattr, part, "training", part.training)
        read = model.eval()
        found = [
            (float(cross_entropy(read(b.ids, mask=b.mask, positions=b.positions).double(), b.targets)), b.counted)
            for b in batches
        ]
    tokens = sum(count for _, count in found)
    if tokens < 1:
        raise ValueError("no target counts")
    return Evaluation(fsum(loss * (count / tokens) for loss, count in found), tokens)


def train(config, data: Data, folder, device="cpu"):
    if data.vocab_size != config.model.vocab_size:
        raise ValueError(f"vocabularies of {data.vocab_size} and {config.model.vocab_size} tokens")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model = GPT(config.model).to(device)
    optimizer = AdamW(parameter_groups(model, config.weight_decay), config.max_lr, (config.beta1, config.beta2))
    loader = data.loader(config)
    _, state = latest_checkpoint(folder) or (None, {"step": 0, "now": [None]})
    if "model" in state:
        restore(state, model, optimizer, loader)
    step, now = state["step"], state["now"]

    def save(log):
        save_checkpoint(checkpoint_path(folder, step), capture(model, optimizer, loader, step=step, now=now))
        prune_checkpoints(folder, config.keep)

    def look(log):
        log.samples(step, write_samples(model, data.tokenizer, config, data.end_id))
        now[0], tokens = evaluate(model, (each.to(device) for each in data.validation_batches(config)))
        log.evaluation(step, now[0], bits_per_byte(now[0], tokens, data.validation_size(config)))

    with RunLog(folder, config, step) as log:
        going = True
        while going and step < config.steps:
            rate = warmup_cosine(step, config.max_lr, config.warmup, config.steps, config.min_lr)
            optimizer.param_groups[:] = [group | {"lr": rate} for group in optimizer.param_groups]
            taken = [each.to(device) for each in islice(loader, config.accumulate)]
            step, result = step + 1, accumulated_step(model.train(), optimizer, taken, config.max_norm or inf)
            log.step(step, result, rate)
            for job, every in ((look, config.evaluate_every), (save, config.checkpoint_every)):
                going = going and not log.stop_asked
                if step % every == 0 or step == config.steps or (job is save and not going):
                    job(log)
        log.end(step, step < config.steps)
    return TrainResult(model, step, now[0], step < config.steps)
