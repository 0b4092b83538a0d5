"""4.7 · Generation: from logits to probabilities, and from them to texts, token by token."""

import inspect
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bootcamp.grading import check, written

module = written("stage04_block.generate")
gpt = written("stage04_block.gpt")
config_of = written("stage04_block.config")
caches = written("stage03_attention.cache")

INF = math.inf
V, WINDOW = 23, 17  # tokens in the vocabulary, and in the context
POSITIONS = ["none", "sinusoidal", "learned", "rope", "alibi", "t5"]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


# -- probabilities


def likely(*weights, shift=0.0, dtype=torch.float32):
    """Logits of tokens that are as likely as these weights say; nothing says that they have to add up to 1."""
    return torch.tensor([math.log(each) + shift for each in weights], dtype=torch.float64).to(dtype)


def shares(*weights):
    """Probabilities in the ratio of these weights."""
    return torch.tensor(weights, dtype=torch.float64) / sum(weights)


def holds(expected, logits, why="", rtol=1e-5, **options):
    """Hold the probabilities to the expected ones."""
    got = check.unchanged(module.next_token_probabilities, logits, **options)

    def probe():
        check.true(isinstance(got, torch.Tensor), "what comes is a tensor", got=got)
        check.close(got, expected, "the probabilities", rtol=rtol, why=why)

    check.with_call(probe, check.call_text(module.next_token_probabilities, (logits,), options))


def random_logits(rng, *shape, dtype=torch.float32):
    numbers = [rng.gauss(0, 2) for _ in range(math.prod(shape))]
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape).to(dtype)


def test_as_likely_as_the_logits_say():
    """Without options, the probabilities are the softmax of the logits."""
    holds(shares(1, 2, 5), likely(1, 2, 5, shift=3))


def test_temperature():
    """The logits are divided by the temperature: 2 takes the roots of the ratios, 1/2 their squares."""
    holds(shares(1, 2, 3), likely(1, 4, 9), temperature=2.0)
    holds(shares(1, 4, 9), likely(1, 2, 3), temperature=0.5)


def test_greedy():
    """With temperature 0, the largest logit has all the probability."""
    holds([0.0, 0.0, 1.0, 0.0], torch.tensor([1.0, -2.0, 4.0, 3.5]), temperature=0.0)
    holds([[1.0, 0.0], [0.0, 1.0]], torch.tensor([[2.0, 1.0], [1.0, 2.0]]), temperature=0.0)
    holds([0.0, 0.0, 1.0, 0.0], torch.tensor([1.0, -2.0, 4.0, 3.5]), temperature=0.0, top_k=2, top_p=0.9)


@pytest.mark.parametrize("count", [3, 70])
def test_greedy_takes_the_first_of_equals(count):
    """With temperature 0 and several largest logits, the first of them has all the probability."""
    logits = torch.zeros(2, count)
    logits[1, 0] = -1.0
    expected = torch.zeros(2, count)
    expected[0, 0] = expected[1, 1] = 1.0
    holds(expected, logits, temperature=0.0)


def test_top_k():
    """With top_k, the k largest stay, and share what there is in their old ratio."""
    logits = likely(4, 1, 3, 2, shift=-2)
    holds(shares(4, 0, 3, 0), logits, top_k=2)
    holds(shares(4, 0, 3, 2), logits, top_k=3)
    holds(shares(1, 0, 0, 0), logits, top_k=1)


@pytest.mark.parametrize("k", [4, 5, 1000])
def test_top_k_of_all(k):
    """If top_k is as large as the vocabulary or larger, all tokens stay."""
    holds(shares(4, 1, 3, 2), likely(4, 1, 3, 2), top_k=k)


def test_top_p():
    """With top_p, the likeliest stay until they add up to it; the token that crosses it is one of them."""
    logits = likely(1, 10, 6, 3, shift=5)  # 0.05, 0.5, 0.3, 0.15
    why = "0.5 is less than 0.7, and 0.5 + 0.3 is more: the second token is needed to get there, so it is kept."
    holds(shares(0, 10, 6, 0), logits, top_p=0.7, why=why)
    holds(shares(0, 10, 6, 3), logits, top_p=0.9)
    holds(shares(1, 10, 6, 3), logits, top_p=0.97)


def test_top_p_keeps_one():
    """However small top_p is, the likeliest token stays."""
    holds(shares(0, 1, 0, 0), likely(1, 10, 6, 3), top_p=0.3)
    holds(shares(0, 1, 0, 0), likely(1, 10, 6, 3), top_p=1e-9)


@pytest.mark.varied
def test_top_p_of_one():
    """With top_p = 1, all tokens stay."""
    holds(shares(1, 10, 6, 3), likely(1, 10, 6, 3), top_p=1.0)


def test_top_p_is_enough():
    """Tokens that add up to top_p exactly are enough."""
    got = check.unchanged(module.next_token_probabilities, torch.zeros(2), top_p=0.5)
    check.close(sorted(got.tolist()), [0.0, 1.0], "the probabilities for two equal logits and top_p=0.5, sorted")


def test_temperature_comes_before_top_p():
    """What top_p adds up are the probabilities after the temperature."""
    why = "At temperature 1/2 the shares are 16, 9, 4 and 1 of 30: the first alone has more than 0.5."
    holds(shares(1, 0, 0, 0), likely(4, 3, 2, 1), temperature=0.5, top_p=0.5, why=why)


def test_top_k_comes_before_top_p():
    """What top_p adds up are the probabilities of what top_k has left, which add up to 1."""
    why = "Two tokens are left, with 4/7 and 3/7: the first alone has more than 0.5."
    holds(shares(1, 0, 0, 0), likely(4, 3, 2, 1), top_k=2, top_p=0.5, why=why)


@pytest.mark.parametrize("options", [{}, {"temperature": 0.0}, {"top_k": 2}, {"top_p": 0.6}], ids=str)
def test_each_row_for_itself(options):
    """In a batch, each row becomes what it becomes alone."""
    rows = [[9.0, 8.5, 8.0, 7.5, 3.0], [0.0, -1.0, 2.0, 1.5, 1.0], [-4.0, -9.0, -8.0, -4.2, -8.5]]
    alone = [check.unchanged(module.next_token_probabilities, torch.tensor(row), **options) for row in rows]
    for row, its in zip(rows, alone):
        check.equal(tuple(its.shape), (5,), f"the shape of the probabilities for the logits {row}")
    holds(torch.stack(alone), torch.tensor(rows), "Another row decides what is kept of this one.", **options)


@pytest.mark.parametrize("shape", [(1, 6), (4, 6), (2, 3, 6)], ids=str)
def test_any_leading_dimensions(rng, shape):
    """Before the vocabulary there may be any dimensions."""
    logits = random_logits(rng, *shape)
    holds(logits.double().softmax(-1), logits)
    kept = [sorted(range(6), key=lambda i: -row[i])[:2] for row in logits.reshape(-1, 6).tolist()]
    only = torch.full((len(kept), 6), -INF, dtype=torch.float64)
    for row, tokens in enumerate(kept):
        only[row, tokens] = logits.reshape(-1, 6)[row, tokens].double()
    holds(only.softmax(-1).reshape(shape), logits, top_k=2)


def test_the_last_of_a_sequence(rng):
    """Logits may be a part of a larger tensor, as those of the last place are."""
    logits = random_logits(rng, 3, 4, 5)
    holds(logits[:, -1].double().softmax(-1), logits[:, -1], top_k=9)


def test_large_logits():
    """Large logits do not overflow."""
    holds(shares(math.e, 1, 0), torch.tensor([1000.0, 999.0, 0.0]))


@pytest.mark.varied
@pytest.mark.parametrize("case", range(6))
def test_random_rows(rng, case):
    """With all three options together: temperature, then top_k, then top_p, in any row."""
    size, temperature = rng.randint(5, 40), rng.uniform(0.3, 2.5)
    k, p = rng.randint(2, size + 3), rng.uniform(0.3, 0.95)
    rows = random_logits(rng, 3, size, dtype=torch.float64)
    expected = torch.zeros(3, size, dtype=torch.float64)
    for row, logits in enumerate(rows.tolist()):
        first = sorted(range(size), key=lambda i: -logits[i])[:k]
        weights = [math.exp(logits[i] / temperature) for i in first]
        together, count = 0.0, 0
        while together < p * sum(weights):
            together += weights[count]
            count += 1
        for i, weight in zip(first[:count], weights):
            expected[row, i] = weight / together
    holds(expected, rows, temperature=temperature, top_k=k, top_p=p)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_formats(dtype):
    """Logits of a half format are brought to float32 before anything is computed."""
    why = "1/300 rounded to a half format is off in the third or fourth digit, and 600 / 0.005 is beyond float16."
    holds(torch.full((300,), 1 / 300), torch.zeros(300, dtype=dtype), why=why)
    holds([0.0, 1.0, 0.0], torch.tensor([500.0, 600.0, 590.0], dtype=dtype), temperature=0.005, why=why)


FORMATS = [(torch.bfloat16, "float32"), (torch.float16, "float32"), (torch.float32, "float32")]


@pytest.mark.parametrize("dtype, expected", [*FORMATS, (torch.float64, "float64")], ids=lambda each: str(each)[-8:])
@pytest.mark.parametrize("options", [{}, {"temperature": 0.0}, {"top_k": 2, "top_p": 0.8}], ids=str)
def test_format(dtype, expected, options):
    """Probabilities come in float32, or in float64 if the logits are."""
    got = check.unchanged(module.next_token_probabilities, torch.tensor([1.0, 3.0, 2.0], dtype=dtype), **options)
    check.equal(str(got.dtype), f"torch.{expected}", f"the format of the probabilities for logits in {dtype}")


def test_float64():
    """Logits in float64 are computed in float64."""
    holds(shares(1, 2, 5), likely(1, 2, 5, dtype=torch.float64), rtol=1e-12)
    holds(shares(0, 2, 5), likely(1, 2, 5, dtype=torch.float64), rtol=1e-12, top_p=0.7)


WRONG: list[dict[str, Any]] = [
    {"temperature": -0.5},
    {"temperature": INF},
    {"top_k": 0},
    {"top_k": -1},
    {"top_p": 0.0},
    {"top_p": 1.5},
]


@pytest.mark.parametrize("options", WRONG, ids=str)
def test_options_out_of_range(options: Any):
    """A negative temperature, a top_k less than 1 and a top_p not in (0, 1] are ValueErrors that name the value."""
    (value,) = options.values()
    check.raises(ValueError, module.next_token_probabilities, likely(1, 2), naming=[value], **options)
    holds(shares(1, 2), likely(1, 2), top_k=2)


def test_nan_is_refused():
    """Of logits that are nan nothing can be drawn: a ValueError, with every temperature."""
    every: list[Any] = [{}, {"temperature": 0.0}, {"top_k": 1}]
    for options in every:
        logits = torch.tensor([[1.0, 2.0, 3.0], [1.0, math.nan, 3.0]])
        check.raises(ValueError, module.next_token_probabilities, logits, naming=["nan"], **options)
    holds(shares(1, 2), likely(1, 2))


# -- models to write with


class Rule(torch.nn.Module):
    """A model whose logits follow from a rule: what it is given, and how, can be seen from what it says.

    It takes what GPT takes and raises what GPT raises. The rule is given, for each place, the token there, how many
    tokens can be seen from there, and the position of the token.
    """

    def __init__(self, rule, vocabulary=10, window=40) -> None:
        super().__init__()
        self.config: Any = config_of.GPTConfig(
            vocab_size=vocabulary, context_length=window, d_model=1, n_layers=1, n_heads=1
        )
        self.rule = rule
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def new_cache(self):
        return [caches.KVCache()]

    def forward(self, ids, cache=None, mask=None, positions=None, return_weights=False):
        if ids.dim() != 2:
            raise ValueError(f"ids must be (B, T); got the shape {tuple(ids.shape)}")
        start = 0 if cache is None else cache[0].length
        batch, new = ids.shape
        if start + new > self.config.context_length:
            raise ValueError(f"the model reads at most {self.config.context_length} tokens; got {start + new}")
        if cache is not None:
            nothing = torch.zeros(batch, 1, new, 1)
            cache[0].append(nothing, nothing)
        place = torch.arange(start, start + new)
        sees = torch.arange(start + new) <= place[:, None]  # (T, S)
        if mask is not None:
            sees = sees & mask
        seen = sees.expand(batch, 1, new, start + new)[:, 0].sum(-1)  # (B, T)
        where = (place if positions is None else positions).expand(batch, new)
        return self.rule(ids, seen, where)


def certain(ids, vocabulary=10):
    """Logits that are largest for these tokens."""
    return 30.0 * torch.nn.functional.one_hot(ids % vocabulary, vocabulary).float()


def counting(window=40):
    """A model that counts on: behind 3 comes 4."""
    return Rule(lambda ids, seen, where: certain(ids + 1), window=window)


def seeing(window=40):
    """A model that says how many tokens it sees."""
    return Rule(lambda ids, seen, where: certain(seen), window=window)


def standing(window=40):
    """A model that says the position of the last token."""
    return Rule(lambda ids, seen, where: certain(where), window=window)


def saying(logits):
    """A model that says the same whatever it reads."""
    return Rule(lambda ids, seen, where: logits.expand(*ids.shape, -1), vocabulary=len(logits))


def watch(model) -> list[Any]:
    """Note what the model is given in each call, and how it stood then."""
    calls: list[Any] = []
    really = model.forward

    def forward(*args, **kwargs):
        given = inspect.signature(really).bind(*args, **kwargs).arguments
        calls.append(
            SimpleNamespace(
                tokens=given["ids"].numel(),
                training=[part.training for part in model.modules()],
                gradients=torch.is_grad_enabled(),
            )
        )
        return really(*args, **kwargs)

    model.forward = forward
    return calls


def made(rng, position="learned", window=WINDOW, **options) -> Any:
    """A GPT in float64 with large weights, of attention above all: what it says follows from each token it reads."""
    settings = {"d_model": 12, "n_layers": 2, "n_heads": 3, "n_kv_heads": 1, "d_ff": 3, "tie_weights": False}
    model = gpt.GPT(
        config_of.GPTConfig(vocab_size=V, context_length=window, position=position, **(settings | options))
    ).double()
    draws = torch.Generator().manual_seed(rng.randrange(1 << 32))
    with torch.no_grad():
        for weight in model.parameters():
            drawn = torch.randn(weight.shape, generator=draws)
            weight.copy_(0.7 * drawn if weight.dim() > 1 else weight + 0.1 * drawn)
    return model.eval()


def text(rng, length):
    return [rng.randrange(V) for _ in range(length)]


def greedy(model, prompt, count):
    """What greedy writing is by its definition: each token from a fresh look at the last tokens of the text."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model(torch.tensor([ids[-model.config.context_length :]]))[0, -1].argmax()))
    return ids


def whole(model, prompts, count, **options):
    """The texts that generate gives, after a look that the prompts are left alone."""
    lists = [list(map(int, prompt)) for prompt in prompts]
    got = module.generate(model, prompts, count, **options)
    check.true(isinstance(got, (list, tuple)) and len(got) == len(lists), f"generate gives {len(lists)} texts", got=got)
    check.equal([list(map(int, prompt)) for prompt in prompts], lists, "the prompts, after generate")
    return got


def steps(model, prompts, count, **options):
    """All that generate_stream gives."""
    return list(module.generate_stream(model, prompts, count, **options))


def generator(seed):
    return torch.Generator().manual_seed(seed)


# -- writing


def test_a_stream_by_hand():
    """In each step, the stream gives the new token of each text."""
    got = steps(counting(), [[3], [0, 1]], 3, temperature=0.0)
    why = "This model counts on: behind 3 it says 4, behind 1 it says 2."
    check.equal(got, [[4, 2], [5, 3], [6, 4]], "what comes for the prompts [3] and [0, 1]", why=why)


def test_whole_texts_by_hand():
    """generate gives the prompts with what was written behind them."""
    got = whole(counting(), [[3], [0, 1]], 3, temperature=0.0)
    check.equal(got, [[3, 4, 5, 6], [0, 1, 2, 3, 4]], "the texts for the prompts [3] and [0, 1]")


def test_what_comes_are_numbers_of_python():
    """What comes are lists of ints, whatever the prompts are."""
    for prompts in ([[3, 1], [2, 2]], torch.tensor([[3, 1], [2, 2]])):
        stream = [type(id).__name__ for step in steps(counting(), prompts, 2) for id in step]
        check.equal(stream, ["int"] * 4, "the types of what the stream gives")
        texts = [type(id).__name__ for each in whole(counting(), prompts, 2) for id in each]
        check.equal(texts, ["int"] * 8, "the types of what generate gives")


def test_no_new_tokens():
    """With max_new_tokens = 0, nothing is written, and the model is not asked."""
    model = counting()
    calls = watch(model)
    check.equal(steps(model, [[3], [0, 1]], 0), [], "what the stream gives with max_new_tokens=0")
    check.equal(whole(model, [[3], [0, 1]], 0), [[3], [0, 1]], "what generate gives with max_new_tokens=0")
    check.equal(len(calls), 0, "how often the model was called")


def test_prompts_as_a_tensor():
    """Prompts may be a tensor (B, T)."""
    got = whole(counting(), torch.tensor([[3, 1, 4], [5, 9, 2]]), 2, temperature=0.0)
    check.equal(got, [[3, 1, 4, 5, 6], [5, 9, 2, 3, 4]], "the texts for a tensor of prompts")


def test_the_callers_lists_stay_theirs():
    """The texts that come are new lists: nothing is appended to the prompts."""
    prompts = [[3], [0, 1]]
    texts = whole(counting(), prompts, 2, temperature=0.0)
    texts[0].append(99)
    steps(counting(), prompts, 2, temperature=0.0)
    check.equal(prompts, [[3], [0, 1]], "the prompts after writing")


def test_stop_ids_by_hand():
    """A text ends with a stop id; from then on None comes for it, until all have ended."""
    got = steps(counting(), [[3], [0, 1], [6]], 9, temperature=0.0, stop_ids=[5, 8])
    expected = [[4, 2, 7], [5, 3, 8], [None, 4, None], [None, 5, None]]
    check.equal(got, expected, "the steps for the prompts [3], [0, 1] and [6] and the stop ids 5 and 8")


def test_whole_texts_end_with_their_stop_id():
    """In whole texts, the stop id is the last token, and nothing comes behind it."""
    got = whole(counting(), [[3], [0, 1], [6]], 9, temperature=0.0, stop_ids=[5, 8])
    check.equal(got, [[3, 4, 5], [0, 1, 2, 3, 4, 5], [6, 7, 8]], "the texts with the stop ids 5 and 8")


def test_stop_ids_in_a_prompt():
    """A stop id that stands in a prompt ends nothing; only one that is drawn does."""
    got = whole(counting(), [[5, 1], [5]], 3, temperature=0.0, stop_ids=[5])
    check.equal(got, [[5, 1, 2, 3, 4], [5, 6, 7, 8]], "the texts for the prompts [5, 1] and [5] and the stop id 5")


def test_nothing_is_read_after_the_end():
    """When all texts have ended, the model is asked no more."""
    model = counting()
    calls = watch(model)
    steps(model, [[3], [4]], 30, temperature=0.0, stop_ids=[6], use_cache=False)
    limit = 2 * 1 + 2 * 2 + 2 * 3
    read = sum(call.tokens for call in calls)
    check.true(read <= limit, f"three steps read {limit} tokens at most", got=f"{read} tokens")


def test_the_padding_cannot_be_seen():
    """Of prompts of unequal length, each sees its own tokens only, and not what fills up the others."""
    for cached in (True, False):
        got = whole(seeing(), [[7], [7, 7, 7], [7, 7]], 3, temperature=0.0, use_cache=cached)
        expected = [[7, 1, 2, 3], [7, 7, 7, 3, 4, 5], [7, 7, 2, 3, 4]]
        why = "This model says how many tokens it sees."
        check.equal(got, expected, f"the texts with use_cache={cached}", why=why)


def test_positions_count_from_the_first_token_of_each_text():
    """Of prompts of unequal length, the first token of each stands at 0."""
    for cached in (True, False):
        got = whole(standing(), [[7], [7, 7, 7], [7, 7]], 3, temperature=0.0, use_cache=cached)
        expected = [[7, 0, 1, 2], [7, 7, 7, 2, 3, 4], [7, 7, 1, 2, 3]]
        why = "This model says the position of the last token."
        check.equal(got, expected, f"the texts with use_cache={cached}", why=why)


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
def test_beyond_the_context_by_hand(cached):
    """When a text gets longer than the context, its last context_length tokens are read."""
    got = whole(seeing(window=4), [[7, 7], [7, 7, 7, 7, 7, 7]], 5, temperature=0.0, use_cache=cached)
    why = "This model has a context of 4 tokens, and says how many it sees."
    expected = [[7, 7, 2, 3, 4, 4, 4], [7, 7, 7, 7, 7, 7, 4, 4, 4, 4, 4]]
    check.equal(got, expected, "the texts of a model with a context of 4", why=why)
    got = whole(standing(window=4), [[7, 7], [7, 7, 7, 7, 7, 7]], 5, temperature=0.0, use_cache=cached)
    expected = [[7, 7, 1, 2, 3, 3, 3], [7, 7, 7, 7, 7, 7, 3, 3, 3, 3, 3]]
    why = "What is read stands at 0 to 3."
    check.equal(got, expected, "the texts of a model that says the position of the last token", why=why)


# -- what it means to write, with a GPT


@pytest.mark.varied
@pytest.mark.parametrize("position, cached", [*((each, True) for each in POSITIONS), ("learned", False)])
def test_one_text(rng, position, cached):
    """Each token is what the model says behind all tokens before it, with a cache and without one."""
    model = made(rng, position)
    prompt = text(rng, 4)
    expected = greedy(model, prompt, 7)
    got = whole(model, [prompt], 7, temperature=0.0, use_cache=cached)
    check.equal(got, [expected], f"the text behind {prompt}, with positions {position!r}")


@pytest.mark.varied
@pytest.mark.parametrize("position, cached", [*((each, True) for each in POSITIONS), ("learned", False)])
def test_prompts_of_unequal_length(rng, position, cached):
    """In a batch, each text becomes what it becomes alone, whatever the lengths of the others."""
    model = made(rng, position)
    prompts = [text(rng, length) for length in (2, 1, 9)]
    expected = [greedy(model, prompt, 6) for prompt in prompts]
    got = whole(model, prompts, 6, temperature=0.0, use_cache=cached)
    for prompt, its, right in zip(prompts, got, expected):
        check.equal(its, right, f"the text behind {prompt}, in a batch, with positions {position!r}")


@pytest.mark.varied
@pytest.mark.parametrize("position, cached", [("learned", True), ("rope", True), ("alibi", True), ("learned", False)])
def test_beyond_the_context(rng, position, cached):
    """Beyond the context, each token is what the model says behind the last context_length tokens alone."""
    model = made(rng, position, window=6)
    prompts = [text(rng, length) for length in (2, 9, 5)]
    expected = [greedy(model, prompt, 6) for prompt in prompts]
    got = whole(model, prompts, 6, temperature=0.0, use_cache=cached)
    for prompt, its, right in zip(prompts, got, expected):
        check.equal(its, right, f"the text behind {prompt}, with a context of 6")


@pytest.mark.varied
def test_an_ended_text_does_not_disturb_the_others(rng):
    """When a text has ended, the others go on as if they were alone."""
    model = made(rng, window=9)
    prompts = [text(rng, length) for length in (7, 1, 2)]
    free = [greedy(model, prompt, 8) for prompt in prompts]
    stop = free[0][7]
    for cached in (True, False):
        expected = []
        for prompt, its in zip(prompts, free):
            new = its[len(prompt) :]
            expected.append(prompt + (new[: new.index(stop) + 1] if stop in new else new))
        got = whole(model, prompts, 8, temperature=0.0, stop_ids=[stop], use_cache=cached)
        check.equal(got, expected, f"the texts with the stop id {stop} and use_cache={cached}")


@pytest.mark.varied
@pytest.mark.parametrize("position", ["learned", "rope"])
def test_drawn_with_a_generator_for_each_text(rng, position):
    """With a generator for each text, what is drawn for it does not depend on the other texts."""
    model = made(rng, position)
    prompts = [text(rng, length) for length in (4, 1, 6)]
    options: Any = {"temperature": 1.3, "top_k": 15, "top_p": 0.95}
    alone = [whole(model, [each], 9, generator=[generator(i)], **options)[0] for i, each in enumerate(prompts)]
    together = whole(model, prompts, 9, generator=[generator(i) for i in range(3)], **options)
    for prompt, its, right in zip(prompts, together, alone):
        check.equal(its, right, f"the text behind {prompt} in a batch, beside the one that came alone")


@pytest.mark.varied
@pytest.mark.parametrize("position", ["learned", "t5"])
def test_drawn_with_and_without_cache(rng, position):
    """With the same seed, the same tokens are drawn with a cache and without one."""
    model = made(rng, position, window=10)
    prompts = [text(rng, length) for length in (4, 1)]
    with_cache = whole(model, prompts, 12, generator=generator(5))
    without = whole(model, prompts, 12, generator=generator(5), use_cache=False)
    check.equal(with_cache, without, "the texts with a cache, beside those without one")


# -- what is drawn


@pytest.mark.varied
@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, (100, 9, 4, 1)),
        ({"temperature": 2.0, "top_k": 3}, (10, 3, 2, 0)),
        ({"top_p": 0.9}, (100, 9, 0, 0)),
    ],
    ids=str,
)
def test_tokens_come_as_often_as_they_are_likely(seed, options, expected):
    """Tokens are drawn with the probabilities of next_token_probabilities, all options included."""
    model = saying(likely(100, 9, 4, 1))
    texts = whole(model, [[0]] * 50, 12, generator=generator(seed), **options)
    drawn = [id for each in texts for id in each[1:]]
    for id, share in enumerate(shares(*expected).tolist()):
        got = drawn.count(id) / len(drawn)
        off = 5.5 * math.sqrt(share * (1 - share) / len(drawn)) + 1e-9
        claim = f"with {options}, of 600 tokens about {share:.1%} are {id}"
        check.true(abs(got - share) <= off, claim, got=f"{got:.1%}")


def test_each_text_draws_its_own():
    """Two texts that begin alike do not go on alike: each draws for itself."""
    texts = whole(saying(torch.zeros(50)), [[0], [0]], 12, generator=generator(1))
    check.true(texts[0] != texts[1], "two texts of 12 tokens, each drawn from 50, are not the same", got=texts[0])


def test_the_same_seed_draws_the_same():
    """What is drawn comes from the generator: with the same seed the same, with another seed something else."""
    model = saying(torch.zeros(50))
    one, same, other = (whole(model, [[0], [1]], 9, generator=generator(seed)) for seed in (3, 3, 4))
    check.equal(one, same, "the texts with the same seed a second time")
    check.true(one != other, "with another seed, other texts come", got=other)


def test_torchs_own_generator():
    """Without a generator, draws come from torch's own."""
    model = saying(torch.zeros(50))
    texts = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        texts.append(whole(model, [[0], [1]], 9))
    check.equal(texts[0], texts[1], "the texts after the same torch.manual_seed")
    check.true(texts[0] != texts[2], "with another torch.manual_seed, other texts come", got=texts[2])


def test_torchs_own_generator_is_left_alone():
    """With a generator, or with temperature 0, torch's own generator is not touched."""
    before = torch.get_rng_state()
    whole(saying(torch.zeros(50)), [[0], [1]], 3, generator=generator(1))
    whole(saying(torch.zeros(50)), [[0], [1]], 3, generator=[generator(1), generator(2)])
    check.true(torch.equal(torch.get_rng_state(), before), "with a generator, nothing is drawn from torch's own")
    whole(counting(), [[0], [1]], 3, temperature=0.0)
    check.true(
        torch.equal(torch.get_rng_state(), before), "with temperature 0, nothing is drawn from torch's own generator"
    )


def test_greedy_draws_nothing():
    """With temperature 0, nothing is drawn from the generator that is given."""
    given = generator(1)
    before = given.get_state()
    got = whole(counting(), [[3], [1]], 3, temperature=0.0, generator=given)
    check.equal(got, [[3, 4, 5, 6], [1, 2, 3, 4]], "the texts with temperature 0 and a generator")
    check.true(
        torch.equal(given.get_state(), before), "with temperature 0, nothing is drawn from the generator that was given"
    )


# -- how it is done


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
def test_no_step_ahead(cached):
    """Each token comes as soon as it is drawn: the model has read no more than that needs."""
    model = counting()
    calls = watch(model)
    stream = module.generate_stream(model, [[3, 1], [4, 0]], 6, temperature=0.0, use_cache=cached)
    for step in range(1, 7):
        got = next(stream)
        check.equal(got, [1 + step, step], f"token {step} of each text")
        limit = 2 * (2 + step - 1) if cached else sum(2 * (2 + past) for past in range(step))
        read = sum(call.tokens for call in calls)
        claim = f"when token {step} of two texts comes, {limit} tokens at most have been read"
        check.true(read <= limit, claim, got=f"{read} tokens")


@pytest.mark.parametrize("position", ["learned", "rope"])
def test_the_cache_is_used(rng, position):
    """With a cache, after the prompts one token of each text is read in a step."""
    model = made(rng, position)
    calls = watch(model)
    read = []
    for _ in module.generate_stream(model, [text(rng, 7), text(rng, 4)], 6, temperature=0.0):
        read.append(sum(call.tokens for call in calls))
    steps = [after - before for before, after in zip(read, read[1:])]
    check.true(read[0] <= 2 * 7, "for the first tokens, the prompts are read, padded to 14 tokens", got=read[0])
    check.equal(steps, [2] * 5, "how many tokens are read in each later step, of two texts")


@pytest.mark.parametrize("size, count", [(5, 4), (8, 1)])
def test_the_cache_is_used_up_to_the_end_of_the_context(rng, size, count):
    """The cache is used as long as the texts fit into the context, to the last token of it."""
    model = made(rng, window=8)
    calls = watch(model)
    whole(model, [text(rng, size)], count, temperature=0.0)
    got = sum(call.tokens for call in calls)
    what = f"how many tokens are read for {count} tokens behind {size}, with a context of 8"
    check.equal(got, size + count - 1, what)


def test_no_cache(rng):
    """With use_cache=False, each step reads the whole text."""
    model = made(rng)
    calls = watch(model)
    whole(model, [text(rng, 5)], 4, temperature=0.0, use_cache=False)
    got = sum(call.tokens for call in calls)
    check.equal(got, 5 + 6 + 7 + 8, "how many tokens are read for 4 tokens behind 5, without a cache")


def test_nothing_is_kept_from_one_call_to_the_next(rng):
    """A second call begins anew: it gives what the first one gave."""
    model = made(rng)
    prompts = [text(rng, 5), text(rng, 2)]
    first = whole(model, prompts, 5, temperature=0.0)
    check.equal(whole(model, prompts, 5, temperature=0.0), first, "the texts of a second call")


def in_pieces(model):
    """Put some parts of a model into train and others into eval, and say how they stand."""
    model.train()
    model.blocks[0].eval()
    return [part.training for part in model.modules()]


def test_the_model_writes_in_eval(rng):
    """While it writes, the model and all its parts are in eval: nothing is dropped."""
    model = made(rng, dropout=0.5)
    prompt = text(rng, 5)
    expected = greedy(model, prompt, 6)
    in_pieces(model)
    calls = watch(model)
    got = whole(model, [prompt], 6, temperature=0.0)
    check.true(not any(any(call.training) for call in calls), "whenever the model is called, all its parts are in eval")
    check.equal(got, [expected], "the text of a model that was in train")


def test_modes_are_put_back(rng):
    """After each token, each part of the model is in the mode that it was in before."""
    model = made(rng, dropout=0.5)
    before = in_pieces(model)
    for step, _ in enumerate(module.generate_stream(model, [text(rng, 5)], 3, temperature=0.0)):
        check.equal([part.training for part in model.modules()], before, f"the modes of all parts after token {step}")
    check.equal([part.training for part in model.modules()], before, "the modes of all parts at the end")
    whole(model, [text(rng, 5)], 2, temperature=0.0)
    check.equal([part.training for part in model.modules()], before, "the modes of all parts after generate")


def test_who_stops_early_finds_all_as_it_was(rng):
    """Whoever takes no more tokens finds the model, and torch, as they were."""
    model = made(rng, dropout=0.5)
    before = in_pieces(model)
    stream = module.generate_stream(model, [text(rng, 5)], 3, temperature=0.0)
    next(stream)
    del stream
    check.equal([part.training for part in model.modules()], before, "the modes of all parts after one of three tokens")
    check.true(torch.is_grad_enabled(), "gradients are tracked again after one of three tokens")


def test_no_gradients(rng):
    """While the model writes, no gradients are tracked; between the tokens they are."""
    model = made(rng)
    calls = watch(model)
    for _ in module.generate_stream(model, [text(rng, 5)], 3, temperature=0.0):
        check.true(torch.is_grad_enabled(), "between the tokens, gradients are tracked as before")
    check.true(not any(call.gradients for call in calls), "no gradients are tracked while the model is called")
    check.true(all(weight.grad is None for weight in model.parameters()), "no parameter has got a gradient")


@pytest.mark.varied
@pytest.mark.parametrize("device", DEVICES)
def test_on_any_device(rng, device):
    """The texts are written on the device of the model."""
    model = made(rng, "learned")
    prompts = [text(rng, 5), text(rng, 2)]
    expected = [greedy(model, prompt, 14) for prompt in prompts]
    got = whole(model.to(device), prompts, 14, temperature=0.0)
    check.equal(got, expected, f"the texts of a model on {device}")


# -- what cannot be done


@pytest.mark.parametrize("prompts", [[], [[]], [[3], []], [[], [3]]], ids=str)
def test_no_prompt_and_empty_ones(prompts):
    """No prompt, or an empty one, is a ValueError; a prompt of one token is enough."""
    check.raises(ValueError, steps, counting(), prompts, 2)
    check.raises(ValueError, module.generate, counting(), prompts, 2)
    check.equal(steps(counting(), [[3]], 1), [[4]], "what comes for the prompt [3]")
    check.equal(whole(counting(), [[3]], 1), [[3, 4]], "the text for the prompt [3]")


def test_a_negative_number_of_tokens():
    """A negative max_new_tokens is a ValueError that names it."""
    check.raises(ValueError, steps, counting(), [[3]], -1, naming=[-1])
    check.raises(ValueError, module.generate, counting(), [[3]], -1, naming=[-1])
    check.equal(steps(counting(), [[3]], 1), [[4]], "what comes for the prompt [3]")
    check.equal(whole(counting(), [[3]], 1), [[3, 4]], "the text for the prompt [3]")


def test_one_generator_for_each_text():
    """Generators that are not as many as the texts are a ValueError that names both numbers."""
    two: Any = [generator(1), generator(2)]
    for prompts in ([[3]], [[3], [4], [5]]):
        check.raises(ValueError, steps, counting(), prompts, 2, generator=two, naming=[2, len(prompts)])
        check.raises(ValueError, module.generate, counting(), prompts, 2, generator=two, naming=[2])
    check.equal(whole(counting(), [[3], [4]], 1, generator=two), [[3, 4], [4, 5]], "the texts for two generators")


def test_options_are_looked_at():
    """Options that next_token_probabilities refuses are refused here too."""
    wrong: list[Any] = [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}]
    for options in wrong:
        check.raises(ValueError, steps, counting(), [[3]], 2, **options, why=f"with {options}")
    check.equal(steps(counting(), [[3]], 1, top_k=1), [[4]], "what comes for the prompt [3]")
