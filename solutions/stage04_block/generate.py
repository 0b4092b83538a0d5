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
    # BEGIN SOLUTION 4.7: greedy; temperature; the k-th largest of each row; the sorted running sum of each row
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if temperature == 0.0:
        return torch.zeros_like(wide).scatter_(-1, wide.argmax(-1, keepdim=True), 1.0)
    wide = wide / temperature
    if top_k is not None and top_k < wide.shape[-1]:
        kept = wide.topk(top_k).indices  # (..., k)
        wide = torch.full_like(wide, -torch.inf).scatter(-1, kept, wide.gather(-1, kept))
    probabilities = wide.softmax(-1)
    if top_p is not None:
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)  # (..., V)
        before = ordered.cumsum(-1) - ordered  # what stood before each: the one that crosses is kept
        ordered = ordered.masked_fill(before >= top_p, 0.0)
        probabilities = torch.zeros_like(ordered).scatter(-1, order, ordered)
        probabilities = probabilities / probabilities.sum(-1, keepdim=True)
    return probabilities
    # END SOLUTION


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
    # BEGIN SOLUTION 4.7: step by step: the last logits of each text, probabilities, draw, append, yield
    device = next(model.parameters()).device
    ended = [False] * len(texts)
    reader = _Reader(model, texts, use_cache, device)
    for _ in range(max_new_tokens):
        with _evaluating(model), torch.no_grad():
            probabilities = next_token_probabilities(reader.last_logits(), temperature, top_k, top_p)  # (B, V)
        greedy = temperature == 0.0
        ids = (probabilities.argmax(-1) if greedy else draw(probabilities, generator)).tolist()
        for text, id in zip(texts, ids):
            text.append(id)
        yield [None if over else id for over, id in zip(ended, ids)]
        ended = [over or id in stop_ids for over, id in zip(ended, ids)]
        if all(ended):
            return
    # END SOLUTION


# BEGIN SOLUTION 4.7
class _Reader:
    """Reads texts that grow at their ends, and gives the logits behind the last token of each."""

    def __init__(self, model: GPT, texts: list[list[int]], use_cache: bool, device: torch.device) -> None:
        self.model, self.texts, self.use_cache, self.device = model, texts, use_cache, device
        self.cache: list[KVCache] | None = None

    def last_logits(self) -> Tensor:
        """(B, V). Texts are padded on the left, so that all of them end at the same place."""
        window = self.model.config.context_length
        longest = max(map(len, self.texts))
        size = min(longest, window)
        lengths = torch.tensor([min(len(text), window) for text in self.texts], device=self.device)  # (B,)
        if self.cache is None or longest > window:  # read everything: what slides out is in all that was kept
            self.cache = self.model.new_cache() if self.use_cache and longest <= window else None
            rows = [[0] * (size - len(text[-window:])) + text[-window:] for text in self.texts]
        else:
            rows = [text[-1:] for text in self.texts]
        ids = torch.tensor(rows, device=self.device)  # (B, T): all, or the newest
        places = torch.arange(size - ids.shape[1], size, device=self.device)  # (T,)
        positions = (places - (size - lengths)[:, None]).clamp(min=0)  # (B, T): each text counts from its own first
        mask = padding_mask(lengths, size, side="left") if int(lengths.min()) < size else None  # (B, 1, 1, S)
        logits = self.model(ids, cache=self.cache, mask=mask, positions=positions)
        return logits[:, -1]


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model and all its parts into eval, and afterwards each into the mode that it was in."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


# END SOLUTION


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
    # BEGIN SOLUTION 4.7: gather what generate_stream yields
    texts = [list(map(int, prompt)) for prompt in prompts]
    steps = generate_stream(model, prompts, max_new_tokens, temperature, top_k, top_p, stop_ids, generator, use_cache)
    for step in steps:
        for text, id in zip(texts, step):
            if id is not None:
                text.append(id)
    return texts
    # END SOLUTION


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
