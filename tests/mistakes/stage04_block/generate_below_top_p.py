# module: generate.py
# exercise: 4.7
# name:
"""Writing: prompts of one length are read together, so that nothing has to be filled up."""

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
        enough = down.cumsum(-1) >= top_p
        x = x.masked_fill(torch.zeros_like(enough).scatter(-1, order, enough), -torch.inf)
    return x.softmax(-1).to(logits.dtype if logits.dtype == torch.float64 else torch.float32)


def draw(p, generator):
    if generator is None or isinstance(generator, torch.Generator):
        generator = [generator] * len(p)
    return [torch.multinomial(row, 1, generator=own).item() for row, own in zip(p, generator)]


class _Group:
    """Texts of the same length."""

    def __init__(self, model, rows: Tensor, cached: bool):
        self.model, self.rows, self.cache = model, rows, model.new_cache() if cached else None
        self.fresh = True

    def logits(self):
        size = self.model.config.context_length
        if self.cache is None or self.rows.shape[1] > size:
            return self.model(self.rows[:, -size:])[:, -1, :]
        ids = self.rows if self.fresh else self.rows[:, -1:]
        self.fresh = False
        return self.model(ids=ids, cache=self.cache, positions=None)[:, -1, :]

    def append(self, ids):
        self.rows = torch.cat([self.rows, torch.tensor(ids, device=self.rows.device)[:, None]], 1)


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

    def stream():
        place = next(model.parameters()).device
        members = {n: [i for i, each in enumerate(texts) if len(each) == n] for n in {len(each) for each in texts}}
        groups = {
            n: _Group(model, torch.tensor([texts[i] for i in own], device=place), use_cache)
            for n, own in members.items()
        }
        over = [False] * len(texts)
        for _ in range(max_new_tokens):
            modes = [(part, part.training) for part in model.modules()]
            model.train(False)
            try:
                with torch.inference_mode():
                    rows: list = [None] * len(texts)
                    for n, own in members.items():
                        for i, row in zip(own, groups[n].logits()):
                            rows[i] = row
                    p = next_token_probabilities(torch.stack(rows), temperature, top_k, top_p)
                    new = draw(p, generator) if temperature else p.argmax(-1).tolist()
                    for n, own in members.items():
                        groups[n].append([new[i] for i in own])
            finally:
                for part, mode in modes:
                    part.training = mode
            yield [None if gone else id for gone, id in zip(over, new)]
            over = [gone or id in stop_ids for gone, id in zip(over, new)]
            if False not in over:
                return

    return stream()


def generate(model: GPT, prompts, *args, **kwargs):
    new = list(zip(*generate_stream(model, prompts, *args, **kwargs)))
    texts = prompts.tolist() if isinstance(prompts, Tensor) else map(list, prompts)
    return [text + [id for id in its if id is not None] for text, its in zip(texts, new or [()] * len(prompts))]
