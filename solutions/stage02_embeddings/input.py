"""2.8 · The input of a model: what a token is, and where it stands."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from .absolute import LearnedPosition, SinusoidalPosition
from .tokens import TokenEmbedding

Scheme = Literal["none", "sinusoidal", "learned"]


class InputEmbedding(nn.Module):
    """Adds to the vector of each token the vector of its position.

        dropout(√C · token(id) + position(p))     (√C only if `scale`)

    Letters: B batch, T length, C width, V vocabulary.

    Args:
        vocab_size: V, how many ids there are.
        dim: C, the width of a vector.
        position: "sinusoidal", "learned", or "none" for models that bring positions in elsewhere.
        max_length: how many positions are learned; the other schemes need none.
        dropout: the share of the sum's numbers that are zeroed in training; from 0 to less than 1.
        scale: multiply the token's vector, and not the position's, by √C.
        padding_idx: the id that only fills up short texts (see `TokenEmbedding`).

    Attributes:
        token: the `TokenEmbedding`; an output layer may share its weight.
        position: the `SinusoidalPosition` or `LearnedPosition`, or None.

    Raises:
        ValueError: `position` is no scheme, learned positions without `max_length`, or `dropout` outside [0, 1).

    >>> embed = InputEmbedding(vocab_size=10, dim=4, position="learned", max_length=6)
    >>> embed(torch.tensor([[3, 1, 4], [1, 5, 9]])).shape
    torch.Size([2, 3, 4])
    """

    def __init__(
        self,
        vocab_size: int,
        dim: int,
        position: Scheme = "none",
        max_length: int | None = None,
        dropout: float = 0.0,
        scale: bool = False,
        padding_idx: int | None = None,
    ) -> None:
        super().__init__()
        if position not in ("none", "sinusoidal", "learned"):
            raise ValueError(f"position must be 'none', 'sinusoidal' or 'learned'; got {position!r}")
        if position == "learned" and max_length is None:
            raise ValueError("learned positions need max_length, the number of positions; got None")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must be from 0 to less than 1; got {dropout}")
        self.vocab_size, self.dim, self.scale = vocab_size, dim, scale
        # BEGIN SOLUTION 2.8: make the parts: self.token, self.position (None if there is none), a dropout
        self.token = TokenEmbedding(vocab_size, dim, padding_idx)
        if position == "sinusoidal":
            self.position = SinusoidalPosition(dim)
        elif position == "learned":
            assert max_length is not None
            self.position = LearnedPosition(max_length, dim)
        else:
            self.position = None
        self.dropout = nn.Dropout(dropout)
        # END SOLUTION

    def forward(self, ids: Tensor, positions: Tensor | None = None, offset: int = 0) -> Tensor:
        """Embed `ids`: integers (B, T) -> (B, T, C).

        Args:
            ids: the tokens.
            positions: where each of them stands, (T,) for all sequences or (B, T) for each its own; `offset` is
                not looked at then.
            offset: without `positions`, the tokens stand at offset, offset + 1, …: with a cache, how many were
                read before.

        Raises:
            ValueError: `ids` are not (B, T), `positions` neither (T,) nor (B, T), or `offset` is negative.
            TypeError, IndexError: as `TokenEmbedding` and the positions raise them.
        """
        if ids.dim() != 2:
            raise ValueError(f"ids must be (B, T); got the shape {tuple(ids.shape)}")
        if positions is not None and positions.shape not in (ids.shape, ids.shape[1:]):
            raise ValueError(
                f"positions must be {tuple(ids.shape[1:])} or {tuple(ids.shape)}; got {tuple(positions.shape)}"
            )
        if offset < 0:
            raise ValueError(f"offset must be 0 or more; got {offset}")
        # BEGIN SOLUTION 2.8: the tokens' vectors, scaled if asked; add those of the positions; then the dropout
        x = self.token(ids)  # (B, T, C)
        if self.scale:
            x = x * math.sqrt(self.dim)
        if self.position is not None:
            if positions is None:
                positions = torch.arange(offset, offset + ids.shape[1], device=ids.device)  # (T,)
            x = x + self.position(positions)  # (T, C) or (B, T, C), added to (B, T, C)
        return self.dropout(x)
        # END SOLUTION
