"""6.9 · Recomputation: what forward makes on its way is forgotten, and made again when backward needs it."""

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional

from bootcamp.grading import check, written

recompute = written("stage06_distributed.recompute")
stage04 = written("stage04_block")
gpt_config = written("stage04_block.config")

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TWICE = "Once forward, and once more when backward asks for the first of what it needs."


def numbers(rng, *shape, grad=False) -> Any:
    """Random numbers, most of them between -2 and 2."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)))
    return drawn.requires_grad_(grad)


class Watched:
    """A function that counts how often it runs, and knows which of the tensors that it has made inside are there."""

    def __init__(self, *weights) -> None:
        self.weights, self.runs, self.made = weights, 0, []

    def note(self, tensor):
        self.made.append(StorageWeakRef(tensor.untyped_storage()))
        return tensor

    def alive(self) -> int:
        return sum(not each.expired() for each in self.made)

    def __call__(self, x):
        """Some operations that save what goes in, what comes out, or both."""
        self.runs += 1
        for weight in self.weights or (1.0,):
            x = self.note(self.note(self.note(x * weight).sin()).exp())
            x = self.note(self.note(torch.softmax(x, -1)) * x)
        return x + 1


def gradients(out, given):
    """The gradients of the sum of squares of `out`, at these tensors, as plain tensors; theirs are taken away."""
    for each in given:
        each.grad = None
    (out * out).sum().backward()
    return [each.grad for each in given]


def same(got, expected, names, why=""):
    """Hold gradients to what they should be, to the bit: the operations are the same."""
    for one, other, name in zip(got, expected, names):
        check.close(one, other, f"the gradient of {name}", rtol=1e-6, atol=1e-7, why=why)


# -- by hand


def test_by_hand():
    """The gradient of x · x at 3 is 6, and the function runs twice for it."""
    x, runs = torch.tensor([3.0], requires_grad=True), []

    def square(x):
        runs.append(float(x))
        return x * x

    out = recompute.checkpoint(square, x)
    check.close(out, [9.0], "checkpoint(square, 3)")
    check.equal(runs, [3.0], "what the function was called with, before backward")
    out.backward()
    check.close(x.grad, [6.0], "the gradient of x · x at 3")
    check.equal(runs, [3.0, 3.0], "what the function was called with, after backward", why=TWICE)


def test_nothing_is_kept(rng):
    """When forward is through, nothing that the function has made inside is in memory any more."""
    x, plain, watched = numbers(rng, 4, 5, grad=True), Watched(2.0, 3.0), Watched(2.0, 3.0)
    out = plain(x)
    check.true(plain.alive() > 0, "without checkpoint, some of it is", got=plain.alive())
    again = recompute.checkpoint(watched, x)
    check.close(again, out.detach(), "what comes back")
    why = "What autograd saves keeps memory for as long as the graph is there. A number in its place does not."
    check.equal(
        watched.alive(), 0, f"how many of {len(watched.made)} tensors are still in memory after forward", why=why
    )


def test_it_runs_once_more(rng):
    """Backward runs the function once more, however many of its tensors it needs; without backward, it does not."""
    x, watched = numbers(rng, 4, 5, grad=True), Watched(2.0, 3.0, 0.5)
    out = recompute.checkpoint(watched, x)
    (x * x).sum().backward()
    check.equal(watched.runs, 1, "how often the function has run before its backward")
    out.sum().backward()
    check.equal(watched.runs, 2, "how often the function has run after backward", why=TWICE)


def test_one_at_a_time(rng):
    """Through a chain of checkpoints, backward holds the inside of one at a time."""
    x, chain = numbers(rng, 4, 5, grad=True), [Watched(1.5) for _ in range(4)]
    seen = []

    def watch(part):
        def run(x):
            seen.append(sum(each.alive() for each in chain))
            return part(x)

        return run

    out = x
    for part in chain:
        out = recompute.checkpoint(watch(part), out)
    out.sum().backward()
    check.equal([part.runs for part in chain], [2] * 4, "how often each part has run", why=TWICE)
    why = "What was made for one part has served when backward is through with that part."
    check.equal(seen, [0] * 8, "how many inner tensors are in memory when a part begins to run, of all parts", why=why)
    check.equal(sum(part.alive() for part in chain), 0, "how many are after backward")


def test_it_goes_as_it_is_used(rng):
    """What was made again goes piece by piece, as backward uses it up, even if the graph is retained."""
    x, watched = numbers(rng, 4, 5, grad=True), Watched(2.0, 3.0)
    out = recompute.checkpoint(watched, x)
    out.sum().backward(retain_graph=True)
    check.equal(watched.runs, 2, "how often the function has run", why=TWICE)
    check.equal(watched.alive(), 0, "how many inner tensors are in memory after backward with retain_graph=True")


# -- the same gradients


def test_the_same_gradients(rng):
    """Result and gradients, of arguments and of weights, are those of the function alone."""
    x, weights = numbers(rng, 4, 5, grad=True), [numbers(rng, 5, grad=True) for _ in range(3)]
    given = [x, *weights]
    out = Watched(*weights)(x)
    expected = gradients(out, given)
    again = recompute.checkpoint(Watched(*weights), x)
    check.close(again, out.detach(), "what comes back")
    same(gradients(again, given), expected, ["the argument", "a weight", "a weight", "a weight"])


def test_weights_alone(rng):
    """Weights get their gradients too where no argument has one, as in a first layer."""
    x, weight = numbers(rng, 4, 5), numbers(rng, 5, grad=True)
    expected = gradients(Watched(weight)(x), [weight])
    out = recompute.checkpoint(Watched(weight), x)
    check.true(out.requires_grad, "what comes back has a graph, where only a weight requires a gradient")
    same(gradients(out, [weight]), expected, ["the weight"])
    check.equal(x.grad, None, "the gradient of an argument that requires none")


def test_a_module(rng):
    """A module may be the function, and gradients add up in its weights as usual."""
    layer, x, target = (
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)),
        numbers(rng, 5, 3),
        numbers(rng, 5, 2),
    )
    mirror = copy.deepcopy(layer)
    for _ in range(2):
        functional.mse_loss(mirror(x), target).backward()
        functional.mse_loss(recompute.checkpoint(layer, x), target).backward()
    same([p.grad for p in layer.parameters()], [p.grad for p in mirror.parameters()], ["a weight"] * 4)


def test_torch_autograd_grad(rng):
    """torch.autograd.grad goes through, and gives the gradients that it is asked for, and no others."""
    x, weights = numbers(rng, 4, 5, grad=True), [numbers(rng, 5, grad=True) for _ in range(2)]
    expected = torch.autograd.grad(Watched(*weights)(x).square().sum(), [x, weights[1]])
    out = recompute.checkpoint(Watched(*weights), x)
    got = torch.autograd.grad(out.square().sum(), [x, weights[1]])
    same(got, expected, ["the argument", "the second weight"])
    check.equal([each.grad for each in (x, *weights)], [None] * 3, "the .grad of all, which nobody asked for")


def test_retained(rng):
    """With retain_graph=True, backward can go through twice, and finds the same."""
    x, weight = numbers(rng, 4, 5, grad=True), numbers(rng, 5, grad=True)
    expected = gradients(Watched(weight)(x), [x, weight])
    out = recompute.checkpoint(Watched(weight), x)
    for time in ("first", "second"):
        got = torch.autograd.grad(out.square().sum(), [x, weight], retain_graph=True)
        same(got, expected, [f"the argument, the {time} time", f"the weight, the {time} time"])


def test_a_part_first(rng):
    """Asked for the gradient of one weight first, and then of another, it gives both."""
    x, weights = numbers(rng, 4, 5), [numbers(rng, 5, grad=True) for _ in range(3)]
    expected = gradients(Watched(*weights)(x), weights)
    out = recompute.checkpoint(Watched(*weights), x)
    for i in (2, 0, 1):
        got = torch.autograd.grad(out.square().sum(), [weights[i]], retain_graph=True)
        same(got, [expected[i]], [f"weight {i}, asked for by itself"])


def test_several_in_one_graph(rng):
    """Several checkpoints of one function, beside each other and in a row, add up."""
    x, weight = numbers(rng, 4, 5, grad=True), numbers(rng, 5, grad=True)
    part, watched = Watched(weight), Watched(weight)
    expected = gradients(part(part(x)) + 2 * part(x), [x, weight])
    out = recompute.checkpoint(watched, recompute.checkpoint(watched, x)) + 2 * recompute.checkpoint(watched, x)
    same(gradients(out, [x, weight]), expected, ["the argument", "the weight"])
    check.equal(watched.runs, 6, "how often the function has run, in three checkpoints", why=TWICE)


def test_what_comes_after(rng):
    """What is computed outside of the checkpoint, before it and after it, is saved as usual."""
    x, weight, watched = numbers(rng, 4, 5, grad=True), numbers(rng, 5, grad=True), Watched()
    expected = gradients(Watched()(x.exp() * weight).tanh() * weight, [x, weight])
    out = recompute.checkpoint(watched, x.exp() * weight).tanh() * weight
    same(gradients(out, [x, weight]), expected, ["what goes in before", "a weight outside"])
    check.equal(watched.runs, 2, "how often the function has run", why=TWICE)


def test_a_checkpoint_within(rng):
    """A function may have checkpoints within, and these others."""
    x, weights = numbers(rng, 4, 5, grad=True), [numbers(rng, 5, grad=True) for _ in range(3)]
    first, second, third = (Watched(weight) for weight in weights)
    expected = gradients(third(second(first(x).tanh())), [x, *weights])

    def inner(x):
        return recompute.checkpoint(second, recompute.checkpoint(first, x).tanh())

    def outer(x):
        return third(recompute.checkpoint(inner, x))

    out = recompute.checkpoint(outer, x)
    same(gradients(out, [x, *weights]), expected, ["the argument", "a weight", "a weight", "a weight"])
    alive = [first.alive(), second.alive(), third.alive()]
    check.equal(alive, [0, 0, 0], "how many inner tensors of the three are in memory after that")


def test_blocks_of_a_model(rng):
    """In a GPT, each block in a checkpoint: the same logits and the same gradients, with dropout."""
    config = gpt_config.GPTConfig(vocab_size=20, context_length=8, d_model=12, n_layers=2, n_heads=3, dropout=0.25)
    model = stage04.GPT(config)
    ids = torch.tensor([[rng.randrange(20) for _ in range(6)] for _ in range(2)])
    seed, results = rng.randrange(1 << 32), []
    for forward in (lambda block, x: block(x), lambda block, x: recompute.checkpoint(block, x)):
        torch.manual_seed(seed)
        x: Any = model.embed(ids)
        for block in model.blocks:
            x = forward(block, x)
        logits = model.head(x)
        results.append((logits.detach(), gradients(logits, list(model.parameters()))))
    (logits, expected), (out, got) = results
    check.close(out, logits, "the logits")
    for (name, _), one, other in zip(model.named_parameters(), got, expected):
        if other is not None:
            check.close(one, other, f"the gradient of {name}", rtol=1e-4, atol=1e-5)


# -- what goes in and comes out


def test_any_arguments(rng):
    """Arguments may be anything: tensors that require gradients or none, integers in a tensor, numbers, None, lists."""
    x, mask, table = numbers(rng, 4, grad=True), torch.tensor([True, False, True, True]), numbers(rng, 3, grad=True)
    places, seen = torch.tensor([2, 0, 2, 1]), []

    def function(x, mask, scale, nothing, places, words):
        seen.append((str(mask.dtype), scale, nothing, str(places.dtype), words))
        return (x * mask).exp() * scale * table[places]

    given = (x, mask, 2.5, None, places, ["a", "b"])
    expected = gradients(function(*given), [x, table])
    seen.clear()
    same(gradients(recompute.checkpoint(function, *given), [x, table]), expected, ["x", "the table"])
    came = ("torch.bool", 2.5, None, "torch.int64", ["a", "b"])
    check.equal(seen, [came, came], "what the function has got besides x, in each run")


def test_no_arguments(rng):
    """A function without arguments works as well."""
    weight = numbers(rng, 5, grad=True)
    out = recompute.checkpoint(lambda: weight.exp())
    same(gradients(out, [weight]), [2 * (2 * weight.detach()).exp()], ["the weight"])


def test_several_outputs(rng):
    """A tuple comes back as it is, and all of its tensors have gradients, from one more run."""
    x, y, runs = numbers(rng, 4, grad=True), numbers(rng, 4, grad=True), []

    def function(x, y):
        runs.append(1)
        return x.exp() * y, "words", None, (x * y).sin(), 7

    first, words, nothing, second, seven = function(x, y)
    expected = torch.autograd.grad((first * 2).sum() + second.sum(), [x, y])
    runs.clear()
    out = recompute.checkpoint(function, x, y)
    check.true(isinstance(out, tuple) and len(out) == 5, "a tuple of five comes back", got=type(out).__name__)
    check.equal([out[1], out[2], out[4]], [words, nothing, seven], "what is no tensor")
    got = torch.autograd.grad((out[0] * 2).sum() + out[3].sum(), [x, y])
    same(got, expected, ["the first argument", "the second argument"])
    check.equal(len(runs), 2, "how often the function has run", why=TWICE)


def test_one_output_of_several(rng):
    """Backward from one of several results works, whichever it is."""
    x = numbers(rng, 4, grad=True)
    for i, expected in enumerate((x.detach().exp(), x.detach().cos())):
        out = recompute.checkpoint(lambda x: (x.exp(), x.sin()), x)
        same(torch.autograd.grad(out[i].sum(), [x]), [expected], [f"x, from result {i} of 2"])


def test_without_gradients(rng):
    """Where no gradients are tracked, the function runs once, and its result has no graph."""
    x, watched = numbers(rng, 4, 5, grad=True), Watched()
    with torch.no_grad():
        out = recompute.checkpoint(watched, x)
    check.close(out, Watched()(x.detach()), "what comes back")
    check.equal(out.requires_grad, False, "whether it has a graph")
    check.equal(watched.runs, 1, "how often the function has run")


# -- random numbers


@pytest.mark.parametrize("device", DEVICES)
def test_dropout(device):
    """Dropout lets the same numbers through in both runs."""
    x = torch.ones(64, device=device, requires_grad=True)
    out = recompute.checkpoint(lambda x: functional.dropout(x * x, 0.5), x)
    torch.rand(7, device=device)
    out.sum().backward()
    zero = out.detach() == 0
    why = "Drawn anew, the second run drops others. It has to begin with the generator as it was before the first."
    grad: Any = x.grad
    check.equal((grad == 0).tolist(), zero.tolist(), "where the gradient is 0: where the result is", why=why)
    check.close(grad, 2 * out.detach(), "the gradient of dropout(x · x) at 1", why=why)


def test_draws_in_both_runs(rng):
    """What the function draws is the same both times, in each of several checkpoints, whatever was drawn between."""
    drawn: dict[str, list] = {"first": [], "second": []}

    def part(name):
        def function(x):
            drawn[name].append(torch.rand(3).tolist())
            return x * x

        return function

    x = numbers(rng, 3, grad=True)
    out = recompute.checkpoint(part("second"), recompute.checkpoint(part("first"), x))
    torch.manual_seed(rng.randrange(1 << 32))
    out.sum().backward()
    for name, each in drawn.items():
        check.equal(len(each), 2, f"how often the {name} function has run", why=TWICE)
        check.close(each[1], each[0], f"what the {name} function has drawn in its second run", rtol=0, atol=0)
    check.true(drawn["first"] != drawn["second"], "the two functions have drawn different numbers")


@pytest.mark.parametrize("device", DEVICES)
def test_the_generator_after_backward(device):
    """After backward the generator is as it was before: what is drawn next does not depend on the second run."""
    torch.manual_seed(5)
    x = torch.ones(8, device=device, requires_grad=True)
    out = recompute.checkpoint(lambda x: functional.dropout(x * x, 0.5), x)
    torch.manual_seed(6)
    expected = torch.rand(4, device=device)
    torch.manual_seed(6)
    out.sum().backward()
    why = "Put back only to where the first run began, the next dropout would draw the same once more."
    check.close(torch.rand(4, device=device), expected, "what is drawn after backward", rtol=0, atol=0, why=why)
    check.close(x.grad, 2 * out.detach(), "the gradient of dropout(x · x) at 1")


def test_the_generator_after_forward():
    """Forward draws as the function alone would, and leaves the generator behind that."""
    x = torch.ones(8, requires_grad=True)
    draws = []
    for forward in (lambda function: function(x), lambda function: recompute.checkpoint(function, x)):
        torch.manual_seed(7)
        out = forward(lambda x: functional.dropout(x * x, 0.5))
        draws.append((out.detach().tolist(), torch.rand(4).tolist()))
    check.close(draws[1][0], draws[0][0], "what comes back, with dropout", rtol=0, atol=0)
    check.close(draws[1][1], draws[0][1], "what is drawn next", rtol=0, atol=0)


# -- autocast


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast(rng, dtype):
    """What ran in a region of autocast runs in the same region again, though backward is outside of it."""
    x, weight, formats = numbers(rng, 4, 3, grad=True), numbers(rng, 2, 3, grad=True), []

    def function(x):
        out = functional.linear(x, weight).tanh()
        formats.append(str(out.dtype))
        return out @ out.T

    results = []
    for forward in (function, lambda x: recompute.checkpoint(function, x)):
        with torch.autocast("cpu", dtype):
            out = forward(x)
        results.append(gradients(out.float(), [x, weight]))
        check.equal(torch.is_autocast_enabled("cpu"), False, "whether autocast is on after backward")
    why = "In another format, other numbers come, and gradients do not fit to what forward has given."
    check.equal(formats[1:], [str(dtype)] * 2, "the formats inside, forward and backward", why=why)
    same(results[1], results[0], ["x", "the weight"], why=why)


def test_backward_in_a_region(rng):
    """What ran without autocast runs without it again, though backward is called in a region; that one stays."""
    x, weight, formats = numbers(rng, 4, 3, grad=True), numbers(rng, 2, 3, grad=True), []

    def function(x):
        product = functional.linear(x, weight)
        formats.append(str(product.dtype))
        return product.tanh()

    out = recompute.checkpoint(function, x)
    with torch.autocast("cpu", torch.bfloat16):
        out.sum().backward()
        check.equal(torch.is_autocast_enabled("cpu"), True, "whether autocast is on after backward in its region")
    check.equal(formats, ["torch.float32"] * 2, "the formats inside, forward and backward")
    check.close(x.grad, ((1 - out.detach() ** 2) @ weight).detach(), "the gradient of x", rtol=0.05, atol=0.05)
