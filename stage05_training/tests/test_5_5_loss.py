"""5.5 · Loss: how surprised a model is by what came, and what that is in other units."""

import math
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from bootcamp.grading import check, written

module = written("stage05_training.loss")

IGNORE = -100
LN2 = math.log(2)
HALVES = [torch.bfloat16, torch.float16]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
B, T, V = 2, 3, 5  # texts, tokens, vocabulary
OVERFLOW = "exp(1000) is inf in any format. ln Σ exp(x) = c + ln Σ exp(x - c) for any c; the largest x is a good one."


def numbers(rng, *shape, dtype=torch.float32):
    """Random numbers, most of them between -2 and 2."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=torch.float64)
    return drawn.to(dtype)


def some(rng, *shape, size=V):
    """Random targets."""
    return torch.tensor([rng.randrange(size) for _ in range(math.prod(shape))]).reshape(shape)


def exact(logits, targets, ignore_index=IGNORE, label_smoothing=0.0):
    """The loss, and its gradient by the logits, in float64."""
    rows, flat = logits.detach().double().reshape(-1, logits.shape[-1]), targets.reshape(-1).long()
    vocabulary = rows.shape[-1]
    counts = flat != ignore_index
    shifted = rows - rows.max(-1, keepdim=True).values
    log_p = shifted - shifted.exp().sum(-1, keepdim=True).log()
    weight = (torch.arange(vocabulary, device=flat.device) == flat[:, None]).double()
    weight = (weight * (1 - label_smoothing) + label_smoothing / vocabulary) * counts[:, None]
    number = max(int(counts.sum()), 1)
    gradient = (log_p.exp() * counts[:, None] - weight) / number
    return -(weight * log_p).sum() / number, gradient.reshape(logits.shape)


def holds(logits, targets, expected=None, why="", rtol=1e-5, atol=5e-6, **kwargs):
    """Hold what comes to what it should be: the formula, if nothing else is said."""
    if expected is None:
        expected = exact(logits, targets, **kwargs)[0]
    got = check.unchanged(module.cross_entropy, logits, targets, **kwargs)

    def probe():
        check.true(isinstance(got, torch.Tensor), "what comes is a tensor", got=got)
        check.close(got, expected, "what it returns", rtol=rtol, atol=atol, why=why)

    check.with_call(probe, check.call_text(module.cross_entropy, (logits, targets), kwargs))


def gradient_of(logits, targets, upstream=1.0, **kwargs) -> Any:
    """The gradient by the logits that comes back."""
    x = logits.detach().clone().requires_grad_()
    (module.cross_entropy(x, targets, **kwargs) * upstream).backward()
    check.true(x.grad is not None, "a gradient comes back to the logits")
    return x.grad


# -- by hand


def test_by_hand():
    """A target that has the probability 1/5 costs -ln(1/5)."""
    logits = torch.tensor([[2.0, 3.0, 5.0]]).log()
    why = "exp of the logits is 2, 3, 5; their sum is 10, so the probabilities are 2/10, 3/10, 5/10."
    for target, share in ((0, 0.2), (1, 0.3), (2, 0.5)):
        holds(logits, torch.tensor([target]), -math.log(share), why=why)


def test_equal_logits():
    """Equal logits, whatever they are, cost the logarithm of the size of the vocabulary."""
    for size, logit in ((8, 0.0), (8, 3.0), (50, -2.0), (1, 7.0)):
        holds(torch.full((1, size), logit), torch.tensor([size - 1]), math.log(size))


def test_the_mean_of_places():
    """Several places cost on average what each of them costs."""
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(7)], [math.log(7), 0.0]])
    why = "The targets have the probabilities 1/2, 1/8 and 1/8: ln 2, 3 ln 2 and 3 ln 2."
    holds(logits, torch.tensor([0, 0, 1]), 7 / 3 * LN2, why=why)


def test_a_target_that_does_not_count():
    """A target of -100 counts neither in the sum nor in the number that it is divided by."""
    logits = torch.tensor([[0.0, math.log(7)], [5.0, 9.0], [0.0, 0.0], [9.0, 9.0], [0.0, 0.0]])
    why = "The three targets that count have the probabilities 1/8, 1/2 and 1/2: (3 + 1 + 1) / 3 times ln 2."
    holds(logits, torch.tensor([0, IGNORE, 1, IGNORE, 0]), 5 / 3 * LN2, why=why)


def test_texts_of_unequal_length():
    """All targets that count weigh the same, in however long a text they stand."""
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(7)]])[:, None].expand(2, 3, 2)
    targets = torch.tensor([[1, IGNORE, IGNORE], [0, 0, 0]])
    why = "One target costs ln 2, and three cost 3 ln 2 each: 10/4 ln 2. The mean of the two texts' means is another."
    holds(logits, targets, 2.5 * LN2, why=why)


def test_smoothing_by_hand():
    """With label smoothing ε, the target gets 1 - ε of the weight, and all V get ε / V, the target too."""
    logits = torch.tensor([[0.0, math.log(5), 0.0, 0.0]])
    why = "The probabilities are 1/8, 5/8, 1/8, 1/8; the weights are 0.1, 0.7, 0.1, 0.1 with ε = 0.4."
    holds(logits, torch.tensor([1]), 0.7 * math.log(8 / 5) + 0.3 * math.log(8), why=why, label_smoothing=0.4)
    why = "Equal logits cost ln V, whatever the weights: these add up to 1."
    holds(torch.zeros(1, 4), torch.tensor([1]), math.log(4), why=why, label_smoothing=0.4)


# -- large numbers


def test_next_to_no_probability():
    """A target that has next to no probability costs what it costs, not infinity."""
    why = "exp(-1000) is 0, and its logarithm -inf. Take the logarithm on paper, of the whole formula: it ends exp."
    holds(torch.tensor([[0.0, 1000.0]]), torch.tensor([0]), 1000.0, why=why)
    holds(torch.tensor([[-300.0, 0.0, 0.0]]), torch.tensor([0]), 300 + LN2, why=why)


def test_large_logits():
    """Logits of any size do not overflow."""
    holds(torch.tensor([[1000.0, 1000.0]]), torch.tensor([0]), LN2, why=OVERFLOW, atol=2e-4)
    holds(
        torch.tensor([[-1000.0, -1000.0]]), torch.tensor([1]), LN2, why="With all exp(x) = 0, the sum is 0.", atol=2e-4
    )
    holds(torch.tensor([[1e30, 1e30, -1e30]]), torch.tensor([2]), 2e30, why=OVERFLOW)


def test_each_place_for_itself():
    """Places of large and of small logits stand side by side."""
    logits = torch.tensor([[1000.0, 1000.0], [0.0, math.log(7)], [-500.0, -500.0]])
    why = "What is taken away has to be the largest logit of each place, or nothing is left of others."
    holds(logits, torch.tensor([0, 0, 1]), 5 / 3 * LN2, why=why, atol=2e-4)


def test_gradients_of_large_logits():
    """Large logits have gradients like any others."""
    logits = torch.tensor([[0.0, 1000.0, 0.0], [-2000.0, -2000.0, -3000.0]])
    expected = torch.tensor([[-0.5, 0.5, 0.0], [0.25, -0.25, 0.0]])
    got = gradient_of(logits, torch.tensor([0, 1]))
    check.close(got, expected, "the gradient of the logits", why=OVERFLOW, rtol=1e-3)


# -- the formula


@pytest.mark.parametrize("shape", [(V,), (T, V), (B, T, V), (2, 1, 3, 4, V)], ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_any_leading_dimensions(rng, shape, smoothing):
    """What comes is what the formula says, whatever dimensions stand before V; it has none."""
    logits, targets = numbers(rng, *shape) * 3, some(rng, *shape[:-1])
    holds(logits, targets, label_smoothing=smoothing)
    if len(shape) > 2:
        targets[0, 0] = targets[-1, -1] = IGNORE
        holds(logits, targets, label_smoothing=smoothing)


@pytest.mark.parametrize("ignored", [False, True], ids=["all count", "some do not"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_gradient(rng, smoothing, ignored):
    """The gradient is the softmax less the weights, divided by the number of targets; 0 where none counts."""
    logits, targets = numbers(rng, B, T, V) * 2, some(rng, B, T)
    if ignored:
        targets[0, 1] = targets[1, 0] = IGNORE
    expected = exact(logits, targets, label_smoothing=smoothing)[1]
    got = gradient_of(logits, targets, label_smoothing=smoothing)
    check.close(got, expected, f"the gradient of the logits, with label_smoothing={smoothing}")
    check.close(
        gradient_of(logits, targets, upstream=-2.5, label_smoothing=smoothing),
        -2.5 * expected,
        "the gradient by way of -2.5 times the loss",
    )


@pytest.mark.varied
def test_gradient_against_differences(rng):
    """The gradient is what the loss changes by if a logit changes a little."""
    logits, targets = numbers(rng, T, V, dtype=torch.float64), some(rng, T)
    targets[1] = IGNORE
    got = gradient_of(logits, targets, label_smoothing=0.2)
    for i in range(T):
        for j in range(V):
            step = torch.zeros_like(logits)
            step[i, j] = 1e-5
            up, down = (
                float(module.cross_entropy(logits + way * step, targets, label_smoothing=0.2)) for way in (1, -1)
            )
            check.close(float(got[i, j]), (up - down) / 2e-5, f"the gradient of logit {i}, {j}", rtol=1e-6, atol=1e-8)


def test_nothing_counts(rng):
    """If no target counts, the loss is 0, and so are the gradients."""
    logits, targets = numbers(rng, B, T, V), torch.full((B, T), IGNORE)
    holds(logits, targets, 0.0, why="0 / 0 is nan; divide by 1 at least.")
    check.close(gradient_of(logits, targets), torch.zeros(B, T, V), "the gradient of the logits", rtol=0, atol=0)


@pytest.mark.varied
def test_no_places():
    """No places at all are no targets that count."""
    logits, targets = torch.zeros(B, 0, V), torch.zeros(B, 0, dtype=torch.long)
    holds(logits, targets, 0.0)
    check.equal(tuple(gradient_of(logits, targets).shape), (B, 0, V), "the shape of the gradient")


def test_another_number_to_ignore(rng):
    """With ignore_index=2, targets of 2 do not count."""
    logits, targets = numbers(rng, T, 4, V), some(rng, T, 4)
    targets[0, :2], targets[1, 3], targets[2, 2] = 2, 2, 3
    holds(logits, targets, ignore_index=2)
    holds(logits, targets, ignore_index=2, label_smoothing=0.3)


@pytest.mark.varied
@pytest.mark.parametrize("number", [-1, V, 77, -5000])
def test_a_number_out_of_range_to_ignore(rng, number):
    """The number to ignore may be in the range of targets or out of it."""
    logits, targets = numbers(rng, T, V), some(rng, T)
    targets[1] = number
    holds(logits, targets, ignore_index=number)


def test_what_is_ignored_does_not_matter(rng):
    """The logits of places that do not count change nothing."""
    logits, targets = numbers(rng, B, T, V), some(rng, B, T)
    targets[0, 2] = targets[1, 0] = IGNORE
    expected = exact(logits, targets)[0]
    logits[0, 2], logits[1, 0] = numbers(rng, V) * 1000, 7.0
    holds(logits, targets, expected)
    holds(torch.tensor([[3.0], [5.0]]), torch.tensor([0, IGNORE]), 0.0, why="The only token there is comes for sure.")


@pytest.mark.varied
def test_beside_torch(rng):
    """Logits of several sizes give what torch's own loss gives."""
    for spread in (0.1, 10, 1000):
        for smoothing in (0.0, 0.1, 0.9):
            logits, targets = numbers(rng, 40, 17) * spread, some(rng, 40, size=17)
            targets[::3] = IGNORE
            expected = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing)
            holds(logits, targets, expected, label_smoothing=smoothing, rtol=1e-4, atol=2e-6 * max(spread, 1))


# -- formats, layouts


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_formats(rng, dtype):
    """Half formats are computed in float32, and the loss is in float32."""
    logits, targets = (numbers(rng, 7, 40) * 4).to(dtype), some(rng, 7, size=40)
    why = "A sum in a half format has three digits. Convert the logits to float32 first, and nothing back."
    holds(logits, targets, why=why, rtol=1e-5)
    holds(torch.tensor([[30000.0, -60000.0]], dtype=dtype), torch.tensor([1]), rtol=1e-5, why=why)


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32, torch.float64], ids=str)
def test_formats(rng, dtype):
    """The loss is in float32, or in float64 for logits in float64; the gradient is in the format of the logits."""
    logits, targets = numbers(rng, T, V, dtype=dtype), some(rng, T)
    got = module.cross_entropy(logits, targets)
    expected = torch.float64 if dtype == torch.float64 else torch.float32
    check.equal(str(got.dtype), str(expected), f"the format of the loss of logits in {dtype}")
    got = gradient_of(logits, targets)
    check.equal(str(got.dtype), str(dtype), "the format of the gradient")
    tolerance = 1e-6 if dtype in (torch.float32, torch.float64) else 0.01
    check.close(got, exact(logits, targets)[1], "the gradient of the logits", rtol=tolerance, atol=tolerance)


def test_float64(rng):
    """Logits in float64 are computed in float64."""
    holds(numbers(rng, T, V, dtype=torch.float64), some(rng, T), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64], ids=str)
def test_targets_of_any_integer_format(rng, dtype):
    """Targets may be integers of any format."""
    logits = numbers(rng, B, T, 200)
    targets = torch.tensor([[156, 0, 199], [100, 157, 28]]).to(dtype)
    holds(logits, targets)
    if dtype != torch.uint8:
        targets[1, 0] = IGNORE
        holds(logits, targets)


def test_laid_out_in_any_way(rng):
    """Parts of larger tensors, and tensors that were transposed, are taken like any others."""
    logits, ids = numbers(rng, B, T + 1, V), some(rng, B, T + 1)
    holds(logits[:, :-1], ids[:, 1:])
    expected = exact(logits[:, :-1], ids[:, 1:])[1]
    check.close(gradient_of(logits[:, :-1], ids[:, 1:]), expected, "the gradient of the logits")
    holds(numbers(rng, V, T, B).permute(2, 1, 0), some(rng, T, B).T)
    holds(numbers(rng, 1, V).expand(T, V), some(rng, 1).expand(T))


@pytest.mark.parametrize("device", DEVICES)
def test_on_any_device(rng, device):
    """What comes is on the device of the logits."""
    logits, targets = numbers(rng, B, T, V).to(device), some(rng, B, T).to(device)
    targets[1, 1] = IGNORE
    got = module.cross_entropy(logits, targets, label_smoothing=0.2)
    check.equal(got.device.type, device, "the device of the loss")
    check.close(got, exact(logits, targets, label_smoothing=0.2)[0], "the loss", atol=5e-6)


def test_by_place(rng):
    """ignore_index and label_smoothing may be given by place; smoothing is 0 if nothing is said."""
    logits, targets = numbers(rng, T, V), torch.tensor([1, 3, 4])
    expected = exact(logits, targets, 3, 0.25)[0]
    check.close(module.cross_entropy(logits, targets, 3, 0.25), expected, "cross_entropy(logits, targets, 3, 0.25)")
    check.close(module.cross_entropy(logits, targets, 3), exact(logits, targets, 3)[0], "without the last")


# -- how


class Calls(TorchFunctionMode):
    """Notes which functions of torch are called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.append(str(getattr(func, "__name__", func)))
        return func(*args, **(kwargs or {}))


def test_torchs_own_is_not_called(rng):
    """torch's own softmax, log_softmax, logsumexp and cross_entropy are not called."""
    logits, targets = numbers(rng, T, V), some(rng, T)
    x = logits.clone().requires_grad_()
    with Calls() as calls:
        got = module.cross_entropy(x, targets)
        got.backward()
        module.cross_entropy(x, targets, label_smoothing=0.2).backward()
    check.close(got, exact(logits, targets)[0], "the loss")
    taken = [name for name in calls.names if any(part in name for part in ("softmax", "logsumexp", "cross_entropy"))]
    why = "What torch has ready made is what this exercise looks inside of."
    check.true(not taken, "none of them is called", got=", ".join(taken), why=why)


def test_what_does_not_fit_is_refused(rng):
    """Shapes that do not fit are a ValueError, other formats a TypeError, targets out of range an IndexError."""
    logits, targets = numbers(rng, B, T, V), some(rng, B, T)
    holds(logits, targets)
    cross_entropy = module.cross_entropy
    check.raises(ValueError, cross_entropy, logits, targets.T, naming=[f"({B}, {T}", (T, B)])
    check.raises(ValueError, cross_entropy, logits, targets[0], naming=[f"({B}, {T}", (T,)])
    check.raises(TypeError, cross_entropy, logits.long(), targets, naming=["int64"])
    check.raises(TypeError, cross_entropy, logits, targets.float(), naming=["float32"])
    for smoothing in (-0.1, 1.0, math.nan):
        check.raises(ValueError, cross_entropy, logits, targets, label_smoothing=smoothing, naming=[smoothing])
    for target in (V, -1, 1000):
        wrong = targets.clone()
        wrong[1, 2] = target
        check.raises(IndexError, cross_entropy, logits, wrong, naming=[target, V - 1])
    wrong = targets.clone()
    wrong[1, 2] = IGNORE
    check.raises(IndexError, cross_entropy, logits, wrong, ignore_index=0, naming=[IGNORE, V - 1])


# -- in other units


def close_number(got, expected, what, why=""):
    check.true(isinstance(got, (int, float)), f"{what} is a number", got=got)
    check.close(float(got), expected, what, rtol=1e-9, atol=0.0, why=why)


def test_perplexity():
    """A loss of ln 50 is a perplexity of 50; one of 0 is a perplexity of 1."""
    why = "The loss is in nats: exp is the function that takes ln back."
    for loss, expected in ((math.log(50), 50.0), (0.0, 1.0), (3 * LN2, 8.0), (700.0, math.exp(700))):
        close_number(module.perplexity(loss), expected, f"perplexity({loss:g})", why)


def test_perplexity_that_overflows():
    """A perplexity that is too large for a number is infinite, and none below that is."""
    close_number(module.perplexity(709.5), math.exp(709.5), "perplexity(709.5)")
    for loss in (710.0, 1e6, math.inf):
        got = module.perplexity(loss)
        check.true(got == math.inf, f"perplexity({loss:g}) is infinite", got=got)


def test_bits_per_byte():
    """10 tokens of ln 2 nats, which is 1 bit, are 10 bits; shared out among 40 bytes, 1/4 each."""
    close_number(module.bits_per_byte(LN2, 10, 40), 0.25, "bits_per_byte(ln 2, tokens=10, size=40)")
    close_number(module.bits_per_byte(3 * LN2, 7, 6), 3.5, "bits_per_byte(3 ln 2, tokens=7, size=6)")


def test_bits_per_byte_of_two_tokenizers():
    """A text of equally likely bytes has 8 bits a byte, whether a token is one byte or three of them."""
    why = "That is what it is for: nats per token are more if tokens are longer, bits per byte are not."
    close_number(module.bits_per_byte(math.log(256), 300, 300), 8.0, "the bits per byte, for tokens of a byte", why)
    close_number(module.bits_per_byte(math.log(256**3), 100, 300), 8.0, "the bits per byte, for tokens of three", why)


def test_nothing_to_share_out():
    """No tokens, or no bytes, are a ValueError that names them."""
    close_number(module.bits_per_byte(LN2, tokens=1, size=1), 1.0, "bits_per_byte(ln 2, tokens=1, size=1)")
    for tokens, size in ((0, 5), (5, 0), (-3, 7)):
        check.raises(ValueError, module.bits_per_byte, 1.0, tokens, size, naming=[tokens, size])
