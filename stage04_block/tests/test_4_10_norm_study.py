"""4.10 + · Where to put the norm: gradients by depth, a warmup, and a figure of both."""

import copy
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from bootcamp.grading import check, written

study = written("stage04_block.norm_study")
gpt = written("stage04_block.gpt")
config_of = written("stage04_block.config")
heads_of = written("stage03_attention.multihead")

V, L = 13, 3  # tokens that there are, layers
NAN, INF = math.nan, math.inf


def draw(rng, *shape) -> Any:
    """Random numbers from N(0, 1)."""
    generator = torch.Generator().manual_seed(rng.randrange(1 << 32))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def tokens(rng, *shape):
    """Random ids."""
    return torch.tensor([rng.randrange(V) for _ in range(math.prod(shape))], dtype=torch.long).reshape(shape)


def fill(block, rng):
    """Fill all parameters of a block with random numbers, in an order that does not depend on how it is written."""
    p = block.attention.projections()
    names = ("query", "key", "value", "out", "query_bias", "key_bias", "value_bias", "out_bias")
    shapes = {name: getattr(p, name).shape for name in names if getattr(p, name) is not None}
    block.attention.load_projections(
        heads_of.Projections(**{name: draw(rng, *shape) * (0.5 ** (len(shape) - 1)) for name, shape in shapes.items()})
    )
    layers = block.feed_forward
    for module in (block.norm1, block.norm2, layers.up, layers.gate, layers.down):
        randomise(module, rng)


def randomise(module, rng):
    """Fill the weight and the bias of a layer, if they are there."""
    with torch.no_grad():
        for each in (getattr(module, "weight", None), getattr(module, "bias", None)):
            if each is not None:
                each.copy_(draw(rng, *each.shape) * (0.5 ** (each.dim() - 1)))


def made(rng, **options) -> Any:
    """A model in float64 all of whose parameters are random."""
    sizes = {"vocab_size": V, "context_length": 9, "d_model": 8, "n_layers": L, "n_heads": 2, "d_ff": 10}
    model = gpt.GPT(config_of.GPTConfig(**{**sizes, **options})).double()
    randomise(model.embed.token, rng)
    randomise(model.embed.position, rng)
    for block in model.blocks:
        fill(block, rng)
    randomise(model.norm, rng)
    return model


def loss_by_formula(model, ids):
    """The mean of -ln p of each token but the first."""
    found = model(ids[:, :-1]).log_softmax(-1)  # (B, T - 1, V)
    return -found.gather(-1, ids[:, 1:, None]).mean()


def norms_of(model, ids):
    """The norms of the gradients of the L weights, by backward() on a copy in eval."""
    other = copy.deepcopy(model).eval()
    for each in other.parameters():
        each.grad = None
    loss_by_formula(other, ids).backward()
    return [float(block.feed_forward.down.weight.grad.square().sum().sqrt()) for block in other.blocks]


# -- gradient_norms


@pytest.mark.parametrize("placement", ["pre", "post"])
def test_the_norms_of_one_batch(rng, placement):
    """For one batch: for each block the root of the sum of squares of the gradient of feed_forward.down.weight."""
    model, ids = made(rng, placement=placement), tokens(rng, 2, 6)
    got = study.gradient_norms(model, [ids])
    check.true(isinstance(got, (list, tuple)), "a list comes", got=got)
    check.equal(len(got), L, "how many numbers come for 3 blocks")
    kinds = sorted({type(each).__name__ for each in got})
    check.equal(kinds, ["float"], "what they are")
    check.close(got, norms_of(model, ids), "the norms, from the first block to the last")


def test_the_mean_of_the_norms(rng):
    """For several batches: the mean of what each gives alone."""
    model = made(rng)
    batches = [tokens(rng, 2, 6), tokens(rng, 1, 9), tokens(rng, 3, 2)]
    each = [norms_of(model, ids) for ids in batches]
    expected = [sum(column) / 3 for column in zip(*each)]
    why = "Gradients of different batches point in different directions: the norm of their mean is smaller than this."
    check.close(study.gradient_norms(model, batches), expected, "the norms of three batches", why=why)
    check.close(study.gradient_norms(model, iter(batches)), expected, "the norms of three batches, from an iterator")


@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
def test_measured_in_eval(rng, training):
    """It is measured without dropout, and the model is left in the mode in which it was."""
    model, ids = made(rng, dropout=0.5).train(training), tokens(rng, 2, 6)
    expected = norms_of(model, ids)
    asked: list[bool] = []
    model.register_forward_pre_hook(lambda module, _: asked.append(module.training))
    got = study.gradient_norms(model, [ids])
    check.true(True not in asked, "the model is asked in eval", why="In training mode, dropout adds chance.")
    check.close(got, expected, "the norms, with dropout=0.5")
    modes = {each.training for each in model.modules()}
    check.equal(modes, {training}, "training, of the model and of all that it is made of, afterwards")


def test_the_model_stays_as_it_is(rng):
    """Parameters and gradients are what they were: none, if there were none."""
    model = made(rng)
    before = [each.detach().clone() for each in model.parameters()]
    batches = [tokens(rng, 2, 6), tokens(rng, 1, 4)]
    expected = [sum(column) / 2 for column in zip(*(norms_of(model, ids) for ids in batches))]
    check.close(study.gradient_norms(model, batches), expected, "the norms of a model without gradients")
    left = [name for name, each in model.named_parameters() if each.grad is not None]
    check.equal(left, [], "the parameters that have a gradient afterwards", why="Before, none of them had one.")
    own = [draw(rng, *each.shape) for each in model.parameters()]
    for each, gradient in zip(model.parameters(), own):
        each.grad = gradient.clone()
    check.close(study.gradient_norms(model, batches), expected, "the norms of a model with gradients")
    for (name, each), gradient, old in zip(model.named_parameters(), own, before):
        check.true(each.grad is not None, f"{name} still has a gradient")
        check.close(each.grad, gradient, f"the gradient of {name} afterwards", rtol=0, atol=0)
        check.close(each, old, f"{name} afterwards", rtol=0, atol=0)


def test_no_batch(rng):
    """Without a batch there is nothing to measure: a ValueError."""
    model = made(rng)
    check.equal(len(study.gradient_norms(model, [tokens(rng, 1, 2)])), L, "how many numbers come")
    check.raises(ValueError, study.gradient_norms, model, [])


# -- train_with_warmup


class Plain:
    """An optimizer with what every one has: each parameter minus the rate times its gradient. It notes the rates."""

    def __init__(self, *groups):
        self.param_groups: list[Any] = [{"params": list(group), "lr": 123.0} for group in groups]
        self.rates: list[Any] = []

    def zero_grad(self, set_to_none=True):
        for group in self.param_groups:
            for each in group["params"]:
                each.grad = None if set_to_none or each.grad is None else torch.zeros_like(each.grad)

    def step(self):
        self.rates.append([float(group["lr"]) for group in self.param_groups])
        with torch.no_grad():
            for group in self.param_groups:
                for each in group["params"]:
                    if each.grad is not None:
                        each -= float(group["lr"]) * each.grad


class Line(torch.nn.Module):
    """Two parameters, of a loss that is a + 10 b times the batch; it notes in which mode it is asked."""

    def __init__(self, a=1.0, b=0.0):
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(a, dtype=torch.float64))
        self.b = torch.nn.Parameter(torch.tensor(b, dtype=torch.float64))
        self.asked: list[bool] = []

    def forward(self, x):
        self.asked.append(self.training)
        return (self.a + 10 * self.b) * x


def product(model, x):
    """The loss of a `Line`."""
    return model(x)


def numbers(*values):
    """Batches of a `Line`."""
    return [torch.tensor(value, dtype=torch.float64) for value in values]


def trained(batches, learning_rate=0.5, **options):
    """The losses of a training that can be followed by hand, the model and the optimizer."""
    model = Line().eval()
    optimizer = Plain([model.a], [model.b])
    losses = study.train_with_warmup(model, batches, optimizer, learning_rate, loss_of=product, **options)
    check.true(isinstance(losses, (list, tuple)), "a list of losses comes", got=losses)
    return losses, model, optimizer


def test_training_by_hand():
    """A step on each batch: the loss, its gradient, and the rate times that is taken away."""
    losses, model, _ = trained(numbers(1.0, 2.0, -3.0), learning_rate=0.01)
    # The loss is (a + 10 b) x, its gradient by a is x and by b 10 x: a + 10 b falls by 0.01 · 101 x.
    why = (
        "a + 10 b is 1 at first. Its gradients are x and 10 x, so each step takes 0.01 · (1 + 100) · x away: after the "
        "batch 1 it is -0.01, after the batch 2 it is -2.03."
    )
    check.close(losses, [1.0, -0.02, 6.09], "the losses for the batches 1, 2 and -3", why=why)
    check.close(model.a, 1.0, "a after the steps, which took 0.01 · (1 + 2 - 3) away", why=why)


def test_warmup_by_hand():
    """In the first steps the rate rises in equal steps: with a warmup of 4 to 0.25, 0.5, 0.75 and 1 times the rate."""
    _, _, optimizer = trained(numbers(*[0.1] * 6), learning_rate=2.0, warmup_steps=4)
    why = "Step 0 has a quarter and not nothing, step 3 has all, and all that come after have all."
    expected = [[rate] * 2 for rate in (0.5, 1.0, 1.5, 2.0, 2.0, 2.0)]
    check.close(optimizer.rates, expected, "the rates of both groups of parameters, step by step", why=why)


@pytest.mark.parametrize("warmup", [0, 1, 2, 5, 9])
def test_the_rates(warmup):
    """In step s the rate is learning_rate · (s + 1) / warmup_steps up to the end of the warmup, then learning_rate."""
    _, _, optimizer = trained(numbers(*[0.1] * 7), learning_rate=0.75, warmup_steps=warmup)
    check.equal(len(optimizer.rates), 7, "how many steps there are for 7 batches")
    expected = [[0.75 * ((s + 1) / warmup if s < warmup else 1.0)] * 2 for s in range(7)]
    check.close(optimizer.rates, expected, f"the rates of both groups of parameters, warmup_steps={warmup}")


def test_each_step_has_its_own_gradient():
    """The gradient of a step is that of its batch; what was left from the step before is forgotten."""
    _, model, _ = trained(numbers(1.0, 1.0, 1.0), learning_rate=0.01)
    check.close(model.a, 0.97, "a after three steps with the gradient 1 and the rate 0.01")
    check.close(model.b, -0.3, "b after three steps with the gradient 10 and the rate 0.01")


def test_in_training_mode():
    """The model is trained in training mode, whatever its mode was before."""
    losses, model, _ = trained(numbers(1.0, 2.0))
    check.equal(len(losses), 2, "how many losses come for two batches")
    check.true(all(model.asked), "the model is in training mode in each step", got=model.asked)


@pytest.mark.parametrize("bad", [NAN, INF, -INF], ids=str)
def test_it_ends_with_nan(bad):
    """A loss that is nan or infinite is the last one: it is noted, and no step is made with it."""
    losses, model, optimizer = trained(iter(numbers(1.0, 2.0, bad, 1.0, 1.0)), learning_rate=0.01)
    why = "From nan no step leads back to numbers."
    check.equal(len(losses), 3, f"how many losses come if the third is {bad}", why=why)
    check.close(losses[:2], [1.0, -0.02], "the losses before it")
    check.true(not math.isfinite(losses[2]), "the last loss is the one that is no finite number", got=losses[2])
    check.equal(len(optimizer.rates), 2, "how many steps were made", why=why)
    check.close(model.a, 0.97, "a after the two steps that were made")


def test_a_model_of_tokens(rng):
    """If nothing is said, the loss is that of the next token; it falls."""
    model = made(rng)
    other, ids = copy.deepcopy(model), tokens(rng, 2, 5)
    losses = study.train_with_warmup(model, [ids] * 6, Plain(model.parameters()), 0.02, 2)
    expected = []
    for rate in (0.01, 0.02, 0.02, 0.02, 0.02, 0.02):
        loss = loss_by_formula(other, ids)
        expected.append(float(loss))
        for each in other.parameters():
            each.grad = None
        loss.backward()
        with torch.no_grad():
            for each in other.parameters():
                if each.grad is not None:
                    each -= rate * each.grad
    kinds = sorted({type(each).__name__ for each in losses})
    check.equal(kinds, ["float"], "what the losses are")
    check.close(losses, expected, "the losses of 6 steps on the same batch", rtol=1e-4)
    check.true(losses[-1] < losses[0], "the loss falls", got=losses)


def test_no_step():
    """Without a batch there is no loss and no step; fewer than no steps of warmup are a ValueError."""
    losses, model, optimizer = trained([], warmup_steps=3)
    check.equal(list(losses), [], "the losses without a batch")
    check.equal(len(optimizer.rates), 0, "how many steps were made")
    check.raises(ValueError, study.train_with_warmup, model, numbers(1.0), optimizer, 0.1, -1, naming=[-1])


# -- plot_norm_study

NORMS = {"pre, 4": [0.5, 0.25, 2.0, 4.0], "post, 6": [0.01, 0.1, 0.2, 0.8, 3.0, 20.0], "two": [3.0, 1.0], "one": [0.5]}
LOSSES = {"pre": [3.0, 2.5, 2.25, 2.0, 1.5], "ended": [3.5, 7.0, NAN]}


def drawn(norms=NORMS, losses=LOSSES) -> Any:
    """The figure, and its left and right panel."""
    from matplotlib.figure import Figure

    given = copy.deepcopy((norms, losses))
    figure: Any = study.plot_norm_study(*given)
    check.true(repr(given) == repr((norms, losses)), "norms and losses are left alone", got=given)
    check.true(isinstance(figure, Figure), "plot_norm_study gives a matplotlib Figure", got=figure)
    check.equal(len(figure.axes), 2, "how many panels the figure has")
    left, right = sorted(figure.axes, key=lambda axes: axes.get_position().x0)
    apart = left.get_position().x1 <= right.get_position().x0 + 1e-6
    check.true(apart, "the panels stand side by side")
    return figure, left, right


def lines(axes):
    """The lines of a panel by their names in the legend, as x and y up to the first number that cannot be drawn."""
    legend = axes.get_legend()
    check.true(legend is not None, "the panel has a legend")
    found: dict[str, Any] = {}
    for line in axes.get_lines():
        if line.get_label().startswith("_"):  # so matplotlib names what no legend shows
            continue
        x, y = (np.asarray(values, dtype=float) for values in (line.get_xdata(), line.get_ydata()))
        end = int(np.argmin(np.isfinite(y))) if not np.isfinite(y).all() else len(y)
        found[line.get_label()] = x[:end], y[:end]
    names = [text.get_text() for text in legend.get_texts()]
    check.equal(sorted(names), sorted(found), "the names in the legend")
    return found


def test_the_norms_are_drawn():
    """On the left there is a line for each entry of norms, from depth 0, the first block, to 1, the last."""
    _, left, _ = drawn()
    found = lines(left)
    check.equal(sorted(found), sorted(NORMS), "the names of the lines on the left")
    for name, values in NORMS.items():
        x, y = found[name]
        check.close(y, values, f"the norms that are drawn for {name!r}")
        if len(values) > 1:
            expected = [i / (len(values) - 1) for i in range(len(values))]
            why = "Models of different depth are drawn over the same width."
            check.close(x, expected, f"where the {len(values)} norms of {name!r} are drawn", why=why)


def test_the_losses_are_drawn():
    """On the right there is a line for each entry of losses, against the steps, from 1; up to a nan."""
    _, _, right = drawn()
    found = lines(right)
    check.equal(sorted(found), sorted(LOSSES), "the names of the lines on the right")
    for name, values in LOSSES.items():
        x, y = found[name]
        kept = [value for value in values if math.isfinite(value)]
        check.close(y, kept, f"the losses that are drawn for {name!r}")
        check.close(x, list(range(1, len(kept) + 1)), f"the steps of {name!r}", why="The first step is step 1.")


def test_scales():
    """Norms are on a logarithmic scale; depths, steps and losses are not."""
    _, left, right = drawn()
    got = [left.get_xscale(), left.get_yscale(), right.get_xscale()]
    why = "Norms of post-norm blocks differ by powers of ten."
    check.equal(got, ["linear", "log", "linear"], "the scales of depth, gradient norm and step", why=why)
    check.equal(right.get_yscale(), "linear", "the scale of the loss")


def test_words():
    """Both panels have a title, and words at their axes that say what is drawn."""
    _, left, right = drawn()
    for axes, across, up, which in ((left, "depth", "gradient norm", "left"), (right, "step", "loss", "right")):
        check.true(bool(axes.get_title().strip()), f"the panel on the {which} has a title")
        for label, word, place in ((axes.get_xlabel(), across, "below"), (axes.get_ylabel(), up, "beside")):
            check.true(word in label.lower(), f"{word!r} stands {place} the panel on the {which}", got=label)


def test_it_can_be_drawn():
    """The figure is one by itself, which nobody shows, and can be drawn without a warning."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure, _, _ = drawn()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        FigureCanvasAgg(figure).draw()
    check.equal([str(each.message) for each in said], [], "what matplotlib warns of while it draws")


def test_nothing_to_draw():
    """Without norms or losses, or with a line that has no number, there is nothing to draw: a ValueError."""
    drawn()
    for norms, losses in (({}, LOSSES), (NORMS, {}), ({"pre": []}, LOSSES), (NORMS, {"pre": [1.0], "post": []})):
        check.raises(ValueError, study.plot_norm_study, norms, losses)
