"""How far the reference of stage 05 is from other libraries, a line for each comparison (run by test_parity.py)."""

from __future__ import annotations

import copy
import io
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import get_cosine_schedule_with_warmup

from stage04_block import GPT
from stage04_block.config import GPTConfig
from stage05_training import (
    AdamW,
    accumulated_step,
    capture,
    clip_gradients,
    cross_entropy,
    load_checkpoint,
    pad_batch,
    parameter_groups,
    restore,
    save_checkpoint,
    warmup_cosine,
)

IGNORE, V = -100, 91


def apart(one: Tensor, other: Tensor) -> float:
    return float((one.detach().double() - other.detach().double()).abs().max())


def furthest(ones: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    return max(apart(*pair) for pair in zip(ones, others, strict=True))


def losses(label_smoothing: float, ignore: bool) -> float:
    """For small logits and large ones: the loss, and the gradient for an upstream gradient of 3."""
    worst = 0.0
    for scale in (1.0, 20.0):
        start, targets = scale * torch.randn(3, 17, V), torch.randint(V, (3, 17))
        if ignore:
            targets[torch.rand(3, 17) < 0.4] = IGNORE
        ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
        loss = cross_entropy(ours, targets, label_smoothing=label_smoothing)
        other = functional.cross_entropy(theirs.flatten(0, 1), targets.flatten(), label_smoothing=label_smoothing)
        (3 * loss).backward()
        (3 * other).backward()
        grads: Any = (ours.grad, theirs.grad)
        worst = max(worst, apart(loss, other) / max(1.0, other.item()), apart(*grads))
    return worst


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(11, 24), nn.LayerNorm(24), nn.Tanh(), nn.Linear(24, 5))


def optimizers() -> float:
    """50 steps with two groups and a rate that changes; now and then a parameter has no gradient."""
    ours, inputs = network(), torch.randn(50, 32, 11)
    theirs = copy.deepcopy(ours)
    kinds: Any = (AdamW, torch.optim.AdamW)
    for model, kind in zip((ours, theirs), kinds):
        optimizer = kind(parameter_groups(model, 0.3), lr=1.0, betas=(0.9, 0.95))
        for step in range(50):
            for number, group in enumerate(optimizer.param_groups):
                group["lr"] = warmup_cosine(step, 0.01 * (number + 1), 10, 50)
            optimizer.zero_grad()
            (model(inputs[step]) ** 2 * torch.linspace(0.1, 3, 5)).sum().backward()
            if step % 7 == 3:
                next(model.parameters()).grad = None
            optimizer.step()
    return furthest(list(ours.parameters()), list(theirs.parameters()))


def clipped() -> float:
    """The norm, relative, and the gradients, for limits below and above it."""
    worst = 0.0
    for limit in (0.01, 1.0, 50.0, math.inf):
        ours = [torch.zeros(shape, requires_grad=True) for shape in ((7,), (24, 11), (2, 3, 4))]
        theirs = [p.detach().clone().requires_grad_() for p in ours]
        for one, other in zip(ours, theirs):
            one.grad = torch.randn(one.shape)
            other.grad = one.grad.clone()
        norm, other_norm = clip_gradients(ours, limit), nn.utils.clip_grad_norm_(theirs, limit)
        grads: Any = [[p.grad for p in each] for each in (ours, theirs)]
        worst = max(worst, apart(norm / other_norm, torch.tensor(1.0)), furthest(*grads))
    return worst


def rates(steps: Callable[[int, int], range], later: int) -> float:
    """Of the highest rate; theirs is looked at `later` steps later."""
    worst = 0.0
    for warmup, total in ((10, 100), (1, 7), (300, 1234)):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule = get_cosine_schedule_with_warmup(optimizer, warmup, total)
        theirs = []
        for _ in range(total + 1):
            theirs.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        for step in steps(warmup, total):
            worst = max(worst, abs(warmup_cosine(step, 1.0, warmup, total) - theirs[step + later]))
    return worst


def gpt(**changes: Any) -> GPT:
    return GPT(GPTConfig(vocab_size=V, context_length=40, d_model=32, n_layers=2, n_heads=4, **changes))


def restored() -> float:
    """Weights as `restore` puts them back, and as `torch.load` reads them behind the two lines of the head."""
    ours, others = gpt(), gpt()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "one.ckpt")
        save_checkpoint(path, capture(ours))
        restore(load_checkpoint(path), others)
        content = path.read_bytes().split(b"\n", 2)[2]
        plain = torch.load(io.BytesIO(content), weights_only=True)["model"]
    weights = list(ours.state_dict().values())
    return max(furthest(weights, list(others.state_dict().values())), furthest(weights, list(plain.values())))


def stepped() -> float:
    """Weights, loss and norm after one step: ours from three batches, theirs from all texts in one, in float64."""
    ours = gpt(dropout=0.0).double()
    theirs = copy.deepcopy(ours)
    texts = [torch.randint(V, (length,)).tolist() for length in (3, 40, 9, 17, 2, 25, 31)]
    optimizer = AdamW(parameter_groups(ours, 0.1), 0.01, (0.9, 0.95))
    result = accumulated_step(ours, optimizer, [pad_batch(texts[:1]), pad_batch(texts[1:5]), pad_batch(texts[5:])], 0.5)
    other: Any = torch.optim.AdamW(parameter_groups(theirs, 0.1), 0.01, (0.9, 0.95))
    ids = torch.zeros(len(texts), 39, dtype=torch.long)
    targets = torch.full_like(ids, IGNORE)
    for row, text in enumerate(texts):
        ids[row, : len(text) - 1], targets[row, : len(text) - 1] = torch.tensor(text)[:-1], torch.tensor(text)[1:]
    loss = functional.cross_entropy(theirs(ids).flatten(0, 1), targets.flatten())
    loss.backward()
    norm = nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
    other.step()
    return max(
        furthest(list(ours.parameters()), list(theirs.parameters())),
        abs(result.loss - loss.item()),
        abs(result.grad_norm - float(norm)),
    )


torch.manual_seed(0)
torch_loss = "`torch.nn.functional.cross_entropy`"
schedule = "`transformers.get_cosine_schedule_with_warmup`"
for row, figure in {
    f"`cross_entropy`, loss and gradients | {torch_loss}": losses(0.0, ignore=False),
    f"… with `ignore_index` | {torch_loss}": losses(0.0, ignore=True),
    f"… with `label_smoothing` | {torch_loss}": losses(0.1, ignore=False),
    f"… with both | {torch_loss}": losses(0.1, ignore=True),
    "`AdamW`, 50 steps, two groups, changing rates | `torch.optim.AdamW`": optimizers(),
    "`clip_gradients`, norm and gradients | `torch.nn.utils.clip_grad_norm_`": clipped(),
    f"`warmup_cosine`, from the end of the warmup to the last step | {schedule}": rates(
        lambda warmup, total: range(warmup, total + 1), 0
    ),
    f"`warmup_cosine`, during the warmup | {schedule}, one step later": rates(lambda warmup, total: range(warmup), 1),
    "weights, saved and loaded | `torch.load`, and the model that was saved": restored(),
    "`accumulated_step`, three unequal batches, float64 | plain torch, one batch": stepped(),
}.items():
    print(f"{row} = {figure:.3g}")
