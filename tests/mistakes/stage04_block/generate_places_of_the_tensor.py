# module: generate.py
# exercise: 4.7
# name: positions are counted from the padding, not from the first token of each text
"""Writing: the prompts are filled up on the left, to one tensor that grows."""

import torch
from torch import Tensor

from .gpt import GPT


def next_token_probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    if not 0 <= temperature < torch.inf:
        raise ValueError(f"temperature = {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k = {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p = {top_p}")
    if logits.isnan().any():
        raise ValueError("nan among the logits")
    x = logits.double()
    if temperature:
        x = x / temperature
    else:
        x = torch.where(torch.nn.functional.one_hot(x.argmax(-1), x.shape[-1]).bool(), 0.0, -torch.inf)
    if top_k:
        least = x.topk(min(top_k, x.shape[-1]), -1)[0][..., -1:]
        x = x.where(x >= least, -torch.inf)
    if top_p:
        down, order = x.softmax(-1).sort(dim=-1, descending=True)
        enough = (down.cumsum(-1) >= top_p).roll(1, -1)
        enough[..., 0] = False
        x = x.masked_fill(torch.zeros_like(enough).scatter(-1, order, enough), -torch.inf)
    return x.softmax(-1).to(logits.dtype if logits.dtype == torch.float64 else torch.float32)


def draw(p, generator):
    if generator is None or isinstance(generator, torch.Generator):
        generator = [generator] * len(p)
    return [torch.multinomial(row, 1, generator=own).item() for row, own in zip(p, generator)]


def generate_stream(
    model: GPT,
    prompts,
    max_new_tokens,
    temperature=1.0,
    top_k=None,
    top_p=None,
    stop_ids=(),
    generator=None,
    use_cache=True,
):
    texts = prompts.tolist() if isinstance(prompts, Tensor) else [[int(i) for i in each] for each in prompts]
    if not texts or [] in texts:
        raise ValueError("an empty prompt, or none")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens = {max_new_tokens}")
    if generator is not None and not isinstance(generator, torch.Generator) and len(generator) != len(texts):
        raise ValueError(f"{len(generator)} generators for {len(texts)} prompts")
    size = model.config.context_length
    device = next(model.parameters()).device
    cache = model.new_cache() if use_cache else None
    rows = torch.ones(len(texts), max(map(len, texts)), dtype=torch.long, device=device)
    real = torch.zeros_like(rows, dtype=torch.bool)
    for row, mark, text in zip(rows, real, texts):
        row[-len(text) :] = torch.tensor(text)
        mark[-len(text) :] = True
    over = torch.zeros(len(texts), dtype=torch.bool)
    for _ in range(max_new_tokens):
        modes = {part: part.training for part in model.modules()}
        model.eval()
        with torch.no_grad():
            keys = real[:, -size:]
            places = torch.arange(keys.shape[1], device=device).expand(len(texts), -1)
            ids = rows[:, -size:]
            if rows.shape[1] > size:
                cache = None
            elif cache is not None and cache[0].length:
                ids, places = ids[:, -1:], places[:, -1:]
            logits = model(ids, cache, keys[:, None, None, :], places)[:, -1]
        for part, training in modes.items():
            part.training = training
        p = next_token_probabilities(logits, temperature, top_k, top_p)
        new = p.argmax(-1).tolist() if temperature == 0 else draw(p, generator)
        rows = torch.cat([rows, torch.tensor(new, device=device)[:, None]], 1)
        real = torch.cat([real, torch.ones_like(real[:, :1])], 1)
        yield [None if gone else id for gone, id in zip(over.tolist(), new)]
        over |= torch.tensor([id in stop_ids for id in new])
        if over.all():
            break


def generate(model: GPT, prompts, *args, **kwargs):
    new = list(zip(*generate_stream(model, prompts, *args, **kwargs)))
    texts = prompts.tolist() if isinstance(prompts, Tensor) else map(list, prompts)
    return [text + [id for id in its if id is not None] for text, its in zip(texts, new or [()] * len(prompts))]
