"""5.9 · A step from many batches: as if all of them were one, in the memory of one."""

import math
import weakref
from typing import Any

import pytest
import torch
from torch import nn

from bootcamp.grading import check, written

accumulate = written("stage05_training.accumulate")
batch_of = written("stage05_training.batch")
losses = written("stage05_training.loss")

V, C = 5, 3  # tokens that there are, and how wide the small model is
NONE = -100  # a target that does not count
# A GPU takes part where there is one.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def generator(rng):
    return torch.Generator().manual_seed(rng.randrange(1 << 32))


def draw(rng, *shape):
    return torch.randn(shape, generator=generator(rng), dtype=torch.float64)


class Descent:
    """Plain gradient descent, with what an optimizer of torch has, that notes what it sees."""

    def __init__(self, *groups, lr=1.0) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(group), "lr": lr} for group in groups]
        self.state: dict[Any, Any] = {}
        self.steps = 0
        self.seen: list[Any] = []  # the gradients at the last step

    @property
    def params(self):
        return [p for group in self.param_groups for p in group["params"]]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for p in self.params:
            p.grad = None if set_to_none or p.grad is None else torch.zeros_like(p.grad)

    def step(self, closure=None) -> None:
        self.steps += 1
        self.seen = [None if p.grad is None else p.grad.clone() for p in self.params]
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.sub_(group["lr"] * p.grad)


class Constant(nn.Module):
    """Says the same of each token: two numbers, which are trained."""

    def __init__(self, *logits) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, ids, mask=None, positions=None):
        return self.logits.expand(*ids.shape, -1)


class Small(nn.Module):
    """A model in which each token that a place may see counts, and where it stands; notes how it is called."""

    def __init__(self, rng) -> None:
        super().__init__()
        self.table = nn.Parameter(draw(rng, V, C))
        self.places = nn.Parameter(draw(rng, 9, C))
        self.head = nn.Parameter(draw(rng, C, V))
        self.bias = nn.Parameter(draw(rng, V))
        self.calls: list[Any] = []
        self.events: list[str] = []

    def forward(self, ids, mask=None, positions=None):
        self.calls.append({"ids": ids, "mask": mask, "positions": positions, "training": self.training})
        self.events.append("forward")
        length = ids.shape[1]
        at = torch.arange(length, device=ids.device) if positions is None else positions
        see = torch.ones(length, length, device=ids.device).tril().double()[None]
        if mask is not None:
            see = see * mask[:, 0]
        x = torch.tanh(self.table[ids] + self.places[at])
        x = x + see @ x / see.sum(-1, keepdim=True).clamp(min=1.0)
        logits = x @ self.head + self.bias
        if logits.requires_grad:
            logits.register_hook(lambda grad: self.events.append("backward"))
        return logits


def by_hand():
    """One target that counts, a 0, in a batch of two places; and five that count, all 1, in one of six."""
    first = batch_of.Batch(torch.tensor([[1, 0]]), torch.tensor([[0, NONE]]))
    targets = torch.tensor([[1, 1, NONE], [1, 1, 1]])
    return [first, batch_of.Batch(torch.tensor([[1, 0, 1], [0, 0, 1]]), targets)]


def quarter():
    """A model that gives token 0 the probability 1/4, and token 1 3/4."""
    return Constant(0.0, math.log(3.0))


def drawn(rng, rows, length, count, mask=False, positions=False):
    """A random batch in which so many targets count."""
    random = generator(rng)
    ids = torch.randint(V, (rows, length), generator=random)
    targets = torch.full((rows * length,), NONE)
    chosen = torch.randperm(rows * length, generator=random)[:count]
    targets[chosen] = torch.randint(V, (count,), generator=random)
    see = (torch.rand(rows, 1, length, length, generator=random) < 0.6) | torch.eye(length).bool() if mask else None
    at = torch.randint(9, (rows, length), generator=random) if positions else None
    return batch_of.Batch(ids, targets.view(rows, length), see, at)


def three(rng, **options):
    """Three batches of different sizes, in which 1, 5 and 7 targets count."""
    return [drawn(rng, 2, 3, 1, **options), drawn(rng, 1, 6, 5, **options), drawn(rng, 4, 2, 7, **options)]


def whole(model, batches, params=None) -> Any:
    """The mean loss over all batches at once, and its gradients; the notes of the model stay as they are."""
    calls, events = list(model.calls), list(model.events)
    total, count = torch.zeros((), dtype=torch.float64), 0
    for batch in batches:
        logits = model(batch.ids, mask=batch.mask, positions=batch.positions)
        rows, targets = logits.flatten(0, 1), batch.targets.flatten()
        total = total + nn.functional.cross_entropy(rows, targets, ignore_index=NONE, reduction="sum")
        count += int((batch.targets != NONE).sum())
    grads = torch.autograd.grad(total / count, list(model.parameters()) if params is None else params)
    model.calls, model.events = calls, events
    return (total / count).item(), count, list(grads)


def length_of(grads):
    return math.sqrt(math.fsum(g.square().sum().item() for g in grads))


def step(model, batches, *args, optimizer=None, **kwargs) -> Any:
    """Take a step with gradient descent; give the result and the optimizer."""
    optimizer = optimizer or Descent(model.parameters())
    return accumulate.accumulated_step(model, optimizer, batches, *args, **kwargs), optimizer


# -- by hand: 1 and 5 targets


def test_the_step_by_hand():
    """One target of 0 and five of 1, in two batches: token 0 gets too much probability, and its logit falls."""
    model = quarter()
    step(model, by_hand(), optimizer=Descent(model.parameters(), lr=12.0))
    why = (
        "The gradient of the mean over 6 targets is p - 1/6 = 1/12 for the logit of token 0, and -1/12 for the other. "
        "Each of the 6 has the same weight, whatever batch it is in."
    )
    expected = [-1.0, math.log(3.0) + 1.0]
    check.close(model.logits, expected, "the logits [0, ln 3] after a step with the learning rate 12", why=why)


def test_the_loss_by_hand():
    """The loss is the mean over all targets that count, before the step."""
    result, _ = step(quarter(), by_hand())
    why = "One target costs ln 4 and five cost ln 4/3; divide all of it by 6."
    check.close(result.loss, (math.log(4) + 5 * math.log(4 / 3)) / 6, "the loss", why=why)


def test_the_tokens_by_hand():
    """tokens is how many targets count: 1 in the first batch and 5 in the second."""
    result, _ = step(quarter(), by_hand())
    check.equal(result.tokens, 6, "tokens")


def test_the_norm_by_hand():
    """grad_norm is the length of the gradient of all batches together."""
    result, _ = step(quarter(), by_hand())
    check.close(result.grad_norm, math.sqrt(2) / 12, "grad_norm for the gradient [1/12, -1/12]")


def test_the_clipped_step_by_hand():
    """With max_norm, the whole gradient is clipped, once, before the step."""
    model = quarter()
    step(model, by_hand(), math.sqrt(2) / 48)
    why = "The gradient [1/12, -1/12] is √2/12 long, and has to be a quarter of that: [1/48, -1/48]."
    check.close(model.logits, [-1 / 48, math.log(3) + 1 / 48], "the logits after a step clipped to √2/48", why=why)


def test_the_norm_before_clipping_by_hand():
    """grad_norm is the length before clipping."""
    result, _ = step(quarter(), by_hand(), math.sqrt(2) / 48)
    check.close(result.grad_norm, math.sqrt(2) / 12, "grad_norm for the gradient [1/12, -1/12], clipped to √2/48")


def test_plain_numbers():
    """The loss and the norm are plain numbers, without history; tokens is an integer."""
    result, _ = step(quarter(), by_hand())
    got = [result.loss, result.tokens, result.grad_norm]
    right = [isinstance(got[0], float), isinstance(got[1], int), isinstance(got[2], float)]
    check.equal(
        right, [True] * 3, "whether loss is a float, tokens an int and grad_norm a float", why=f"They are {got}."
    )


# -- any batches


def holds(rng, model, batches, what):
    """Hold the gradients at the step to those of all batches at once."""
    _, _, expected = whole(model, batches)
    _, optimizer = step(model, batches)
    for (name, _), got, right in zip(model.named_parameters(), optimizer.seen, expected):
        check.true(got is not None, f"{name} has a gradient at the step, {what}")
        check.close(got, right, f"the gradient of {name} at the step, {what}")


def test_batches_of_different_sizes(rng):
    """Batches of different sizes, with different numbers of targets, give the gradient that they have as one."""
    holds(rng, Small(rng), three(rng), "from batches with 1, 5 and 7 targets")


def test_the_loss_of_any(rng):
    """Loss and tokens are those of all batches as one."""
    model, batches = Small(rng), three(rng)
    loss, count, _ = whole(model, batches)
    result, _ = step(model, batches)
    check.equal(result.tokens, count, "tokens")
    check.close(result.loss, loss, "the loss of batches with 1, 5 and 7 targets")


def test_the_norm_of_any(rng):
    """So is the norm."""
    model, batches = Small(rng), three(rng)
    _, _, grads = whole(model, batches)
    result, _ = step(model, batches)
    check.close(result.grad_norm, length_of(grads), "grad_norm of batches with 1, 5 and 7 targets")


def test_one_batch(rng):
    """A single batch is a step too."""
    holds(rng, Small(rng), [drawn(rng, 3, 4, 7)], "from one batch")


def test_a_tuple_of_batches(rng):
    """The batches may come in a tuple."""
    holds(rng, Small(rng), tuple(three(rng)), "from a tuple of batches")


def test_masks_and_positions(rng):
    """Masks and positions of the batches come to the model."""
    holds(rng, Small(rng), three(rng, mask=True, positions=True), "from batches with masks and positions")


def test_masks_or_positions(rng):
    """So it is if a batch has only one of them, and another has none."""
    batches = [drawn(rng, 2, 3, 4, mask=True), drawn(rng, 1, 5, 2, positions=True), drawn(rng, 3, 2, 5)]
    holds(rng, Small(rng), batches, "from batches with a mask, with positions, and with neither")


@pytest.mark.parametrize("sizes", [(7,), (1,) * 7, (3, 4), (1, 5, 1)], ids=str)
def test_divided_in_any_way(rng, sizes):
    """It does not matter how the texts are divided among the batches."""
    random = type(rng)("the same texts for each division")
    model, together = Small(random), drawn(random, 7, 4, 13)
    batches, start = [], 0
    for size in sizes:
        batches.append(batch_of.Batch(*(part[start : start + size] for part in together[:2])))
        start += size
    loss, _, expected = whole(model, [together])
    result, optimizer = step(model, batches)
    for got, right in zip(optimizer.seen, expected):
        check.close(got, right, f"a gradient from 7 texts in batches of {', '.join(map(str, sizes))}")
    check.close(result.loss, loss, f"the loss of 7 texts in batches of {', '.join(map(str, sizes))}")


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_batch_in_which_nothing_counts(rng, place):
    """A batch in which no target counts changes nothing."""
    model, batches = Small(rng), three(rng)
    batches.insert(place, drawn(rng, 2, 5, 0))
    loss, count, expected = whole(model, batches)
    result, optimizer = step(model, batches)
    for got, right in zip(optimizer.seen, expected):
        check.close(got, right, "a gradient, one batch having no targets")
    check.close([result.loss, result.tokens], [loss, count], "the loss and the tokens, one batch having no targets")


@pytest.mark.parametrize("device", DEVICES)
def test_any_device(rng, device):
    """Model and batches may be on any device."""
    model, batches = Small(rng), three(rng)
    loss, _, expected = whole(model, batches)
    result, optimizer = step(model.to(device), [batch.to(device) for batch in batches])
    for got, right in zip(optimizer.seen, expected):
        check.close(got, right, f"a gradient on {device}")
    check.close(result.loss, loss, f"the loss on {device}")


# -- the step


def test_one_step(rng):
    """The optimizer takes one step, however many batches there are."""
    _, optimizer = step(Small(rng), three(rng))
    check.equal(optimizer.steps, 1, "how many steps the optimizer takes for three batches")


def test_gradients_from_before():
    """Gradients that were there before do not count."""
    model, batches = quarter(), by_hand()
    model.logits.grad = torch.tensor([5.0, 7.0])
    optimizer = Descent(model.parameters())
    step(model, batches, optimizer=optimizer)
    check.close(optimizer.seen[0], [1 / 12, -1 / 12], "the gradient at the step, where [5, 7] was left from before")


def test_gradients_from_before_of_what_is_not_used():
    """A parameter that has no part in the loss has no gradient at the step, even if one was left from before."""
    model = quarter()
    unused = nn.Parameter(torch.tensor([2.0, 3.0, 4.0]))
    unused.grad = torch.ones(3)
    optimizer = Descent(model.parameters(), [unused])
    result, _ = step(model, by_hand(), optimizer=optimizer)
    check.close(unused, [2.0, 3.0, 4.0], "a parameter that has no part in the loss, after the step")
    check.close(result.grad_norm, math.sqrt(2) / 12, "grad_norm")
    check.true(optimizer.seen[1] is None, "it has no gradient at the step", got=optimizer.seen[1])


def test_no_gradients_afterwards(rng):
    """Afterwards, the parameters have no gradients."""
    model = Small(rng)
    _, optimizer = step(model, three(rng))
    check.equal(optimizer.steps, 1, "how many steps were taken")
    left = [name for name, p in model.named_parameters() if p.grad is not None]
    check.equal(left, [], "the parameters that have a gradient after the step", why="Gradients take memory too.")


def test_three_steps(rng):
    """Step after step, each has its own gradient and its own loss."""
    model, optimizer = Small(rng), None
    for i in range(3):
        batches = three(rng)
        loss, _, expected = whole(model, batches)
        result, optimizer = step(model, batches, optimizer=optimizer)
        for got, right in zip(optimizer.seen, expected):
            check.close(got, right, f"a gradient at step {i + 1}")
        check.close(result.loss, loss, f"the loss of step {i + 1}")
    check.equal(optimizer.steps if optimizer else 0, 3, "how many steps the optimizer took")


# -- clipping


@pytest.mark.parametrize("max_norm", [0.01, 0.05])
def test_clipped_together(rng, max_norm):
    """All groups of the optimizer are clipped together, by the same factor."""
    model, batches = Small(rng), three(rng)
    _, _, grads = whole(model, batches)
    factor = max_norm / length_of(grads)
    optimizer = Descent([model.table, model.places], [model.head], [model.bias])
    step(model, batches, max_norm, optimizer=optimizer)
    for got, right in zip(optimizer.seen, grads):
        check.close(got, right * factor, f"a gradient at the step, clipped to {max_norm}", rtol=1e-4)


def test_the_norm_of_all_groups(rng):
    """grad_norm is over all groups of the optimizer."""
    model, batches = Small(rng), three(rng)
    _, _, grads = whole(model, batches)
    optimizer = Descent([model.table, model.places], [model.head], [model.bias])
    result, _ = step(model, batches, max_norm=1e-3, optimizer=optimizer)
    check.close(result.grad_norm, length_of(grads), "grad_norm, with three groups")


def test_a_long_way_below(rng):
    """A gradient that is shorter than max_norm is not touched."""
    model, batches = Small(rng), three(rng)
    _, _, grads = whole(model, batches)
    _, optimizer = step(model, batches, 1000.0)
    for got, right in zip(optimizer.seen, grads):
        check.close(got, right, "a gradient at the step, with max_norm=1000")


def test_no_clipping_unless_asked_for():
    """If nothing is said, a gradient of any length is taken."""

    class Steep(Constant):
        def forward(self, ids, mask=None, positions=None):
            return super().forward(ids) * 1e6

    model = Steep(0.0, math.log(3.0) * 1e-6)
    _, optimizer = step(model, by_hand())
    check.close(optimizer.seen[0], [1e6 / 12, -1e6 / 12], "a gradient of 10⁵ at the step", rtol=1e-4)


def test_what_the_optimizer_does_not_have(rng):
    """A parameter that the optimizer does not have stays, and its gradient has no part in the norm."""
    model, batches = Small(rng), three(rng)
    kept = model.head.detach().clone()
    mine = [model.table, model.places, model.bias]
    _, _, grads = whole(model, batches, mine)
    result, optimizer = step(model, batches, 0.02, optimizer=Descent(mine[:2], mine[2:]))
    check.close(result.grad_norm, length_of(grads), "grad_norm over what the optimizer has")
    for got, right in zip(optimizer.seen, grads):
        check.close(got, right * (0.02 / length_of(grads)), "a gradient at the step, clipped to 0.02", rtol=1e-4)
    check.close(model.head, kept, "the parameter that the optimizer does not have", rtol=0, atol=0)


def test_what_the_model_does_not_have():
    """Gradients from before of a parameter that only the optimizer has do not count either, and are gone afterwards."""
    model = quarter()
    other = nn.Parameter(torch.tensor([2.0, 3.0]))
    other.grad = torch.tensor([50.0, 60.0])
    result, _ = step(model, by_hand(), optimizer=Descent(model.parameters(), [other]))
    check.close(other, [2.0, 3.0], "a parameter of the optimizer that is not in the model, after the step")
    check.close(result.grad_norm, math.sqrt(2) / 12, "grad_norm")
    check.true(other.grad is None, "it has no gradient afterwards", got=other.grad)


# -- the model


def test_how_the_model_is_called(rng):
    """The model is called once for each batch, in their order, with what the batch has."""
    model = Small(rng)
    batches = [drawn(rng, 2, 3, 4, mask=True), drawn(rng, 1, 5, 2, positions=True), drawn(rng, 3, 2, 5)]
    step(model, batches)
    check.equal(len(model.calls), 3, "how often the model is called for three batches")
    for i, (call, batch) in enumerate(zip(model.calls, batches), 1):
        check.equal(call["ids"], batch.ids, f"the ids in call {i}")
        check.equal(call["mask"], batch.mask, f"the mask in call {i}")
        check.equal(call["positions"], batch.positions, f"the positions in call {i}")


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_the_mode_of_the_model(rng, training):
    """The model is called in the mode that it is in, and stays in it."""
    model = Small(rng).train(training)
    step(model, three(rng))
    got = [call["training"] for call in model.calls]
    check.equal(
        got, [training] * 3, f"whether the model is in training mode when it is called, after train({training})"
    )
    check.equal(model.training, training, "whether it is afterwards")


def test_backward_after_each_batch(rng):
    """Each batch goes backward before the next goes forward."""
    model = Small(rng)
    step(model, three(rng))
    why = (
        "Until it goes backward, a batch keeps what was computed on its way: all together, as much as one large batch."
    )
    check.equal(model.events, ["forward", "backward"] * 3, "the order of ways", why=why)


def test_memory_of_one_batch(rng):
    """When the model is called again, what it computed on the way for earlier batches is gone."""

    class Watched(Small):
        def __init__(self, rng) -> None:
            super().__init__(rng)
            self.inside: list[Any] = []
            self.outputs: list[Any] = []
            self.alive: list[tuple[int, int]] = []

        def forward(self, ids, mask=None, positions=None):
            inside, outputs = ([ref for ref in refs if ref() is not None] for refs in (self.inside, self.outputs))
            self.alive.append((len(inside), len(outputs)))
            x = torch.tanh(self.table[ids])
            logits = x @ self.head + self.bias
            self.inside.append(weakref.ref(x))
            self.outputs.append(weakref.ref(logits))
            return logits

    model = Watched(rng)
    step(model, [drawn(rng, 2, 3, 4) for _ in range(5)])
    check.equal(len(model.alive), 5, "how often the model is called for five batches")
    kept = [inside for inside, _ in model.alive]
    check.equal(kept, [0] * 5, "of how many earlier batches what lies inside the model is still there, at each call")
    most = max(outputs for _, outputs in model.alive)
    check.true(most <= 1, "the logits of one earlier batch at most are there when the model is called", got=most)


# -- errors


def test_no_batches(rng):
    """Without a batch, it is a ValueError, and no step is taken."""
    model, optimizer = Small(rng), Descent()
    check.raises(ValueError, accumulate.accumulated_step, model, optimizer, [])
    check.equal(optimizer.steps, 0, "how many steps were taken")


def test_no_targets(rng):
    """If no target counts in any batch, it is a ValueError, and no step is taken."""
    model = Small(rng)
    optimizer = Descent(model.parameters())
    batches = [drawn(rng, 2, 3, 0), drawn(rng, 1, 4, 0)]
    check.raises(ValueError, accumulate.accumulated_step, model, optimizer, batches)
    check.equal(optimizer.steps, 0, "how many steps were taken")


class Broken(Constant):
    """A model whose logits are nan where an id is 1, or too far apart, or have an infinite derivative."""

    def __init__(self, how) -> None:
        super().__init__(0.0, 0.0)
        self.how = how

    def forward(self, ids, mask=None, positions=None):
        logits = super().forward(ids, mask, positions)
        if self.how == "nan":
            return logits + torch.where(ids == 1, math.nan, 0.0)[..., None]
        if self.how == "far apart":
            return logits + torch.tensor([3e38, -3e38])
        return self.logits.sqrt().expand(*ids.shape, -1)  # √0 is 0, with an infinite derivative


# Where logits are too far apart, the loss is infinite, or nan for those who weigh all logarithms and add them up.
ODD = [("nan", "nan"), ("far apart", "the loss"), ("steep", "inf")]


@pytest.mark.parametrize("how, named", ODD, ids=["the loss is nan", "the loss is infinite", "the norm is infinite"])
@pytest.mark.parametrize("max_norm", [math.inf, 1.0])
def test_no_finite_numbers(how, named, max_norm):
    """A loss or a norm that is nan or infinite is a FloatingPointError that names it; no step is taken."""
    model = Broken(how)
    optimizer = Descent(model.parameters())
    targets = torch.tensor([[1, 1, NONE]])
    odd = [batch_of.Batch(torch.tensor([[0, 2, 0]]), targets), batch_of.Batch(torch.tensor([[2, 1, 0]]), targets)]
    odd.append(batch_of.Batch(torch.tensor([[0, 0]]), torch.tensor([[1, 1]])))
    if named == "the loss":
        named = str(losses.cross_entropy(model(odd[0].ids), odd[0].targets).item())
    call = accumulate.accumulated_step
    why = "A step with nan or infinity spoils all weights, and no later step mends them."
    check.raises(FloatingPointError, call, model, optimizer, odd, max_norm=max_norm, naming=[named], why=why)
    check.close(model.logits, [0.0, 0.0], "the parameter after a loss or a norm that is not finite", why=why)
    check.equal(optimizer.steps, 0, "how many steps were taken")
    check.true(model.logits.grad is None, "there are no gradients then", got=model.logits.grad)
