"""4.7 · Generation: one token after the other, each drawn from what the model says of the next.

Holtzman et al.: The Curious Case of Neural Text Degeneration (2020), section 3.1 (top-p); Fan et al.: Hierarchical
Neural Story Generation (2018), section 5.4 (top-k).
Letters: B texts, T their length, V vocabulary.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from stage03_attention import KVCache, padding_mask

from .gpt import GPT

Generators = torch.Generator | Sequence[torch.Generator] | None


def next_token_probabilities(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Turn the logits of the next token into the probabilities that it is drawn with, each row for itself.

    First the logits are divided by the temperature; then all but the `top_k` largest are left out, and the others have
    probabilities that add up to 1; then, of these, the likeliest are kept until they add up to `top_p` at least. What
    is kept in the end adds up to 1 again.

    Args:
        logits: (..., V).
        temperature: below 1 the likely gets likelier; 0 gives all to the largest logit, the first if several are.
        top_k: how many tokens are kept (of equal ones at the edge, some or all); more than V keeps all. None leaves
            none out.
        top_p: from just above 0 to 1. The token that crosses it is kept, so at least one is. None leaves none out.

    Returns:
        (..., V), in float32, or in float64 if the logits are.

    Raises:
        ValueError: the temperature is negative, `top_k` less than 1, `top_p` not in (0, 1], or a logit is nan.

    >>> next_token_probabilities(torch.tensor([1.0, 3.0, 3.0]), top_k=2).tolist()
    [0.0, 0.5, 0.5]
    """
    if not 0.0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 or more; got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, or None for all; got {top_k}")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ValueError(f"top_p must be above 0 and at most 1, or None for all; got {top_p}")
    if logits.isnan().any():
        raise ValueError(
            "logits must be numbers; got nan: look where the model's output, or its loss, first became nan"
        )
    # TODO 4.7: greedy; temperature; the k-th largest of each row; the sorted running sum of each row
    raise NotImplementedError(
        "4.7 next_token_probabilities: greedy; temperature; the k-th largest of each row; the sorted running sum of "
        "each row; "
        "hint: python -m bootcamp hint 4.7"
    )


def draw(probabilities: Tensor, generator: Generators = None) -> Tensor:
    """Draw a token for each row of (B, V): integers (B,). With a generator for each row, each row draws from its own.

    (Given.)
    """
    if isinstance(generator, torch.Generator | None):
        return torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    return torch.cat([torch.multinomial(row, 1, generator=own) for row, own in zip(probabilities, generator)])


def generate_stream(
    model: GPT,
    prompts: Sequence[Sequence[int]] | Tensor,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop_ids: Sequence[int] = (),
    generator: Generators = None,
    use_cache: bool = True,
) -> Iterator[list[int | None]]:
    """Write on, and give the new token of each text as soon as it is drawn.

    Each token is drawn from what the model says after the text so far, or after its last `context_length` tokens if it
    is longer. Texts do not influence one another, whatever their lengths: in a batch each becomes what it becomes
    alone.

    Args:
        model: runs in eval and without gradients; after each token it, and each of its parts, is in the mode that it
            was in before, and torch tracks gradients again if it did.
        prompts: B texts of one or more ids, not all of the same length; or a tensor (B, T).
        max_new_tokens: how many tokens are written at most.
        temperature, top_k, top_p: see `next_token_probabilities`.
        stop_ids: a text ends with the first of these that is drawn; when all have ended, so does the writing.
        generator: where draws come from, or a generator for each text; None means torch's own. How the draws of one
            generator fall to several texts, ended ones among them, is left open. Nothing is drawn with temperature 0.
        use_cache: compute only what is new, as long as no text is longer than the context. The tokens are the same.

    Yields:
        For each step a list of B: the id, or None for a text that has ended.

    Raises:
        ValueError: no prompt, an empty one, a negative `max_new_tokens`, or not one generator for each text; when the
            first token is asked for.
    """
    texts = [list(map(int, prompt)) for prompt in prompts]
    _check(texts, max_new_tokens, generator)
    # TODO 4.7: step by step: the last logits of each text, probabilities, draw, append, yield
    raise NotImplementedError(
        "4.7 generate_stream: step by step: the last logits of each text, probabilities, draw, append, yield; "
        "hint: python -m bootcamp hint 4.7"
    )


def generate(
    model: GPT,
    prompts: Sequence[Sequence[int]] | Tensor,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop_ids: Sequence[int] = (),
    generator: Generators = None,
    use_cache: bool = True,
) -> list[list[int]]:
    """Write on, and give each text whole: the prompt, what was written, and the stop id if one ended it.

    Arguments and errors are those of `generate_stream`.
    """
    # TODO 4.7: gather what generate_stream yields
    raise NotImplementedError("4.7 generate: gather what generate_stream yields; hint: python -m bootcamp hint 4.7")


def _check(texts: list[list[int]], max_new_tokens: int, generator: Generators) -> None:
    if not texts or not all(texts):
        raise ValueError(
            "each prompt must have at least one token, and there must be one; got "
            + ("an empty one" if texts else "none")
        )
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must not be negative; got {max_new_tokens}")
    if not isinstance(generator, torch.Generator | None) and len(generator) != len(texts):
        raise ValueError(f"there must be one generator, or one for each of {len(texts)} prompts; got {len(generator)}")
