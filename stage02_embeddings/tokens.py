"""2.1 · Token embeddings: one learned vector for each id."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .checks import check_integers


class TokenEmbedding(nn.Module):
    """Gives each id its row of a learned table: the same as one_hot(ids) @ weight, without the multiplication.

    Letters: V number of ids, C width.

    Args:
        num_embeddings: V, how many ids there are.
        dim: C, the width of a vector.
        padding_idx: the id that only fills up short texts. Its row starts as zeros, what comes out for it is zeros
            whatever stands in the row, and the row gets no gradient from here.

    Attributes:
        weight: the table, a Parameter (V, C), drawn from the normal distribution N(0, 0.02²).

    Raises:
        ValueError: V or C is not positive, or `padding_idx` is not from 0 to V - 1.

    >>> embedding = TokenEmbedding(5, 3)
    >>> ids = torch.tensor([[4, 0], [4, 4]])
    >>> embedding(ids).shape
    torch.Size([2, 2, 3])
    >>> bool((embedding(ids)[0, 0] == embedding.weight[4]).all())
    True
    """

    def __init__(self, num_embeddings: int, dim: int, padding_idx: int | None = None) -> None:
        super().__init__()
        if num_embeddings < 1 or dim < 1:
            raise ValueError(f"num_embeddings and dim must be positive; got {num_embeddings} and {dim}")
        if padding_idx is not None and not 0 <= padding_idx < num_embeddings:
            raise ValueError(f"padding_idx must be from 0 to {num_embeddings - 1}; got {padding_idx}")
        self.num_embeddings, self.dim, self.padding_idx = num_embeddings, dim, padding_idx
        # TODO 2.1: draw the table, put zeros into the row of the padding, make it a Parameter
        raise NotImplementedError(
            "2.1 TokenEmbedding.__init__: draw the table, put zeros into the row of the padding, make it a Parameter; "
            "hint: python -m bootcamp hint 2.1"
        )

    def forward(self, ids: Tensor) -> Tensor:
        """Look up the vectors of `ids`: integers of any format, (...) -> (..., C).

        An id that stands n times adds up n gradients in its row.

        Raises:
            TypeError: `ids` are not integers.
            IndexError: an id is not from 0 to V - 1 (on an accelerator the device says so, and later).
        """
        check_integers(ids, "id", self.num_embeddings)
        # TODO 2.1: take the rows; where an id is the padding, zeros take their place
        raise NotImplementedError(
            "2.1 TokenEmbedding.forward: take the rows; where an id is the padding, zeros take their place; "
            "hint: python -m bootcamp hint 2.1"
        )
