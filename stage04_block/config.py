"""Everything that makes one GPT another: sizes, and which of the parts it is built of. (Given; nothing to write
here.)"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from .feed_forward import ACTIVATIONS, hidden_width

Position = Literal["none", "sinusoidal", "learned", "rope", "alibi", "t5"]
Norm = Literal["layer", "rms"]
Placement = Literal["pre", "post"]
Activation = Literal["relu", "gelu", "gelu_tanh", "silu", "swiglu"]


@dataclass(frozen=True)
class GPTConfig:
    """What a `GPT` is made of.

    Args:
        vocab_size: V, how many tokens there are.
        context_length: how many tokens the model reads at most.
        d_model: C, the width of the residual stream.
        n_layers: L, the number of blocks.
        n_heads: H, the number of query heads; C is a multiple of it.
        n_kv_heads: G, the number of key/value heads, of which H is a multiple; None means H.
        d_ff: the width inside the feed-forward layers; None means `hidden_width(d_model, activation)`.
        position: "learned" and "sinusoidal" are added to the input; "rope", "alibi" and "t5" work in attention, where
            all blocks share one; "none" leaves it to the causal mask.
        norm: "layer" for `LayerNorm`, "rms" for `RMSNorm`.
        placement: "pre" normalises what goes into a sublayer, "post" the sum behind it.
        activation: of the feed-forward layers.
        bias: whether linear layers and LayerNorms have biases.
        dropout: the share of zeros in training, behind the input, on attention weights and behind each sublayer.
        tie_weights: whether the output layer shares the table of the token embedding.
        init_std: the standard deviation of weights at the start.
        embedding_std: that of the token table; None means `init_std`.
        norm_eps: what is added to the variance or mean square; None means 1e-5.

    Raises:
        TypeError: a field has a value of another type (the field, the value and the type are named).
        ValueError: a value is out of range, or two do not go together (the fields and values are named).

    >>> config = GPTConfig(vocab_size=100, context_length=32, d_model=16, n_layers=2, n_heads=4, position="rope")
    >>> GPTConfig.from_json(config.to_json()) == config
    True
    """

    vocab_size: int
    context_length: int
    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int | None = None
    d_ff: int | None = None
    position: Position = "learned"
    norm: Norm = "layer"
    placement: Placement = "pre"
    activation: Activation = "gelu"
    bias: bool = True
    dropout: float = 0.0
    tie_weights: bool = True
    init_std: float = 0.02
    embedding_std: float | None = None
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), hints[field.name])
        for name in ("vocab_size", "context_length", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_ff"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model must be a multiple of n_heads; got {self.d_model} and {self.n_heads}")
        if self.n_heads % self.kv_heads:
            raise ValueError(f"n_heads must be a multiple of n_kv_heads; got {self.n_heads} and {self.n_kv_heads}")
        if self.position == "rope" and self.head_dim % 2:
            raise ValueError(
                f'position "rope" needs heads of even width; d_model {self.d_model} / n_heads {self.n_heads} '
                f"is {self.head_dim}"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be from 0 to less than 1; got {self.dropout}")
        for name in ("init_std", "embedding_std", "norm_eps"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < 1.0:
                raise ValueError(f"{name} must be between 0 and 1; got {value}")

    @property
    def head_dim(self) -> int:
        """D, the width of a head."""
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        """G, the number of key/value heads."""
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @property
    def ff_width(self) -> int:
        """The width inside the feed-forward layers."""
        return hidden_width(self.d_model, self.activation) if self.d_ff is None else self.d_ff

    @property
    def table_std(self) -> float:
        """The standard deviation of the token table at the start."""
        return self.init_std if self.embedding_std is None else self.embedding_std

    def to_json(self) -> str:
        """Give all fields as a JSON object."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> GPTConfig:
        """Make a configuration from what `to_json` gave.

        Raises:
            ValueError: the text is no JSON object, or has an unknown field or lacks a needed one (it is named).
        """
        try:
            table = json.loads(text)
        except ValueError as error:
            raise ValueError(f"a configuration must be a JSON object; this is no JSON: {error}") from None
        if not isinstance(table, dict):
            raise ValueError(f"a configuration must be a JSON object; got {type(table).__name__}")
        known = {field.name: field for field in fields(cls)}
        if unknown := [name for name in table if name not in known]:
            raise ValueError(f"a configuration has no field {unknown[0]!r}; its fields are {', '.join(known)}")
        try:
            return cls(**table)
        except TypeError as error:
            raise ValueError(f"this configuration cannot be used: {error}") from None


def _check_type(name: str, value: Any, hint: Any) -> None:
    """Hold a value to the type of its field; 1 is no float's wrong type, and True is no int."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        if typing.get_origin(option) is Literal:
            if value in typing.get_args(option):
                return
            allowed = ", ".join(map(repr, typing.get_args(option)))
            raise ValueError(f"{name} must be one of {allowed}; got {value!r}")
        if option is float and type(value) is int:
            return
        if type(value) is option:
            return
    wanted = " or ".join("None" if option is type(None) else option.__name__ for option in options)
    raise TypeError(f"{name} must be of type {wanted}; got {value!r}")


assert set(typing.get_args(Activation)) == {*ACTIVATIONS, "swiglu"}
