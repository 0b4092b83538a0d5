"""Everything that makes one training run another. (Given; nothing to write here.)"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from stage04_block.config import GPTConfig

Batches = Literal["windows", "documents"]


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Args:
        model: what is trained.
        steps: how many steps of the optimizer.
        batches: what they are made of: "windows" of `model.context_length` tokens, wherever these begin and end, or
            whole "documents" of about the same length.
        batch_size: how many of them a batch has.
        accumulate: how many batches make a step.
        max_lr, min_lr, warmup: see `warmup_cosine`, whose total is `steps`.
        weight_decay: of matrices and tables.
        beta1, beta2: of AdamW.
        max_norm: gradients are clipped to it; None does not clip.
        seed: weights, order of the data, dropout and samples follow from it.
        evaluate_every: how many steps there are between evaluations; there is one after the last step too.
        evaluate_rows: how many rows of validation texts are looked at each time, at most.
        checkpoint_every: how many steps there are between checkpoints; there is one after the last step too.
        keep: how many checkpoints are kept.
        workers: how many processes read data ahead.
        prompts: what the samples begin with.

    Raises:
        ValueError: a number is out of range (it is named).
    """

    model: GPTConfig
    steps: int
    batches: Batches = "windows"
    batch_size: int = 16
    accumulate: int = 1
    max_lr: float = 3e-3
    min_lr: float = 0.0
    warmup: int = 100
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    max_norm: float | None = 1.0
    seed: int = 0
    evaluate_every: int = 250
    evaluate_rows: int = 128
    checkpoint_every: int = 250
    keep: int = 2
    workers: int = 0
    prompts: tuple[str, ...] = ("", "Once upon a time")

    def __post_init__(self) -> None:
        if self.batches not in get_args(Batches):
            raise ValueError(f"batches must be one of {', '.join(get_args(Batches))}; got {self.batches!r}")
        for name in (
            "steps",
            "batch_size",
            "accumulate",
            "evaluate_every",
            "evaluate_rows",
            "checkpoint_every",
            "keep",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        for name in ("warmup", "weight_decay", "workers", "seed", "min_lr"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative; got {getattr(self, name)}")
        if not 0.0 < self.max_lr or not self.min_lr <= self.max_lr:
            raise ValueError(f"max_lr must be positive, and min_lr not more; got {self.max_lr} and {self.min_lr}")
        if self.warmup >= self.steps:
            raise ValueError(f"warmup must be less than steps; got {self.warmup} and {self.steps}")
        if self.max_norm is not None and not self.max_norm > 0.0:
            raise ValueError(f"max_norm must be positive, or None; got {self.max_norm}")

    def to_json(self) -> str:
        """Write it down; `from_json` reads it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no such text, or has fields that there are not (they are named).
        """
        table: dict[str, Any] = json.loads(text)
        unknown = table.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"there is no field {', '.join(sorted(unknown))}")
        model = GPTConfig.from_json(json.dumps(table.pop("model")))
        table["prompts"] = tuple(table.get("prompts", cls.prompts))
        return cls(model=model, **table)
