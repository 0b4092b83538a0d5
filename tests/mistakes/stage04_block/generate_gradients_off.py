# module: generate.py
# exercise: 4.7
# name: gradients stay off between the tokens
"""Writing: each text is read by itself, with a cache of its own."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .gpt import GPT

Generators = torch.Generator | Sequence[torch.Generator] | None


def next_token_probabilities(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Softmax, with what is left out taken out row by row."""
    if temperature < 0 or math.isinf(temperature):
        raise ValueError(f"the temperature must be finite and not negative; got {temperature}")
    if top_k is not None and top_k <= 0:
        raise ValueError(f"top_k must be positive; got {top_k}")
    if top_p is not None and (top_p <= 0 or top_p > 1):
        raise ValueError(f"top_p must lie in (0, 1]; got {top_p}")
    if torch.isnan(logits).any():
        raise ValueError("some logits are nan")
    kind = torch.float64 if logits.dtype == torch.float64 else torch.float32
    rows = logits.reshape(-1, logits.shape[-1]).to(kind)
    result = torch.zeros_like(rows)
    for number, row in enumerate(rows):
        if temperature == 0:
            values = row.tolist()
            result[number, values.index(max(values))] = 1
            continue
        row = row / temperature
        order = torch.argsort(row, descending=True)
        if top_k is not None:
            order = order[:top_k]
        shares = torch.softmax(row[order], dim=0)
        if top_p is not None:
            needed, total = 0, 0.0
            for share in shares.tolist():
                needed, total = needed + 1, total + share
                if total >= top_p:
                    break
            order, shares = order[:needed], shares[:needed]
            shares = shares / shares.sum()
        result[number, order] = shares
    return result.reshape(logits.shape)


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
    """One text after the other, in each step."""
    texts = [[int(id) for id in prompt] for prompt in prompts]
    if len(texts) == 0 or min(len(each) for each in texts) == 0:
        raise ValueError("there must be a prompt, and a token in each")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be 0 or more; got {max_new_tokens}")
    several = isinstance(generator, list | tuple)
    if several and len(generator) != len(texts):
        raise ValueError(f"{len(texts)} texts need as many generators; got {len(generator)}")
    caches: list = [None] * len(texts)
    done: set[int] = set()
    torch_off = torch.no_grad()
    with torch_off:
        yield from _steps(
            model, texts, max_new_tokens, temperature, top_k, top_p, stop_ids, generator, use_cache, caches, done
        )


def _steps(model, texts, count, temperature, top_k, top_p, stop_ids, generator, use_cache, caches, done):
    window = model.config.context_length
    device = next(model.parameters()).device
    several = isinstance(generator, list | tuple)
    for _ in range(count):
        step: list[int | None] = [None] * len(texts)
        for number, text in enumerate(texts):
            if number in done:
                continue
            if use_cache and len(text) <= window:
                if caches[number] is None:
                    caches[number], new = model.new_cache(), text
                else:
                    new = text[-1:]
                logits = _ask(model, torch.tensor([new], device=device), caches[number])
            else:
                logits = _ask(model, torch.tensor([text[-window:]], device=device), None)
            shares = next_token_probabilities(logits, temperature, top_k, top_p)
            if temperature == 0:
                id = int(torch.argmax(shares))
            else:
                own = generator[number] if several else generator
                id = int(torch.multinomial(shares, 1, generator=own))
            text.append(id)
            step[number] = id
            if id in stop_ids:
                done.add(number)
        yield step
        if len(done) == len(texts):
            break


def _ask(model, ids, cache):
    """The logits of the last place, from a model that is in eval for so long."""
    training = [part for part in model.modules() if part.training]
    for part in training:
        part.training = False
    try:
        if cache is None:
            return model(ids)[0, -1]
        return model(ids, cache)[0, -1]
    finally:
        for part in training:
            part.training = True


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
    """Put together what the stream gives."""
    stream = generate_stream(
        model,
        prompts,
        max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        stop_ids=stop_ids,
        generator=generator,
        use_cache=use_cache,
    )
    steps = list(stream)
    texts = []
    for number, prompt in enumerate(prompts):
        new = [step[number] for step in steps]
        texts.append([int(id) for id in prompt] + [id for id in new if id is not None])
    return texts
