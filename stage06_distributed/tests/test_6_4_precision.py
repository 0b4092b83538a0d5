"""6.4 · Number formats: which numbers of a run have how many bits, and what becomes of small ones."""

import copy
import inspect
import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from bootcamp.grading import check, written

module = written("stage06_distributed.precision")

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
NAMES = {"fp32": torch.float32, **HALVES}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
LOST = "bfloat16 has no number between 0.99609 and 1, nor between 1 and 1.0078: a step of 0.001 from 1 leads back to 1."

# Optimizers tell torch's compiler to leave some of their methods alone. For that they import it when they are first
# used, which takes seconds. Nothing is compiled here.
for _name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
    _function = inspect.unwrap(getattr(torch.optim.Optimizer, _name))
    _function.__dict__.setdefault("__dynamo_disable", _function)


class Descent(torch.optim.Optimizer):
    """Steps against the gradient, with momentum; notes what it has seen."""

    def __init__(self, params, lr: float = 0.001, momentum: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.steps = 0
        self.formats: set[str] = set()

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.formats |= {str(p.dtype), str(p.grad.dtype)}
                    state = self.state[p]
                    state["m"] = group["momentum"] * state.get("m", torch.zeros_like(p)) + p.grad
                    p -= group["lr"] * state["m"]


def numbers(rng, *shape, dtype=torch.float32):
    """Random numbers, most of them between -2 and 2."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32))).to(dtype)


def parameter(values, dtype=torch.bfloat16, grad: Any = None) -> Any:
    """A parameter with these numbers, and this gradient."""
    p = nn.Parameter(torch.as_tensor(values).to(dtype).clone())
    p.grad = None if grad is None else torch.as_tensor(grad).to(dtype).clone()
    return p


def kept(given, **options) -> Any:
    """MasterWeights of these, with a Descent."""
    return module.MasterWeights(given, lambda groups: Descent(groups, **options))


def steps(masters, given, grads):
    """Take a step with each of these: lists of gradients, or None, one for each parameter."""
    for each in grads:
        for p, grad in zip(given, each):
            p.grad = None if grad is None else torch.as_tensor(grad).to(p).clone()
        masters.step()


def masters_of(masters, number):
    """The masters, held to be that many."""
    found = list(masters.masters)
    check.equal(len(found), number, "how many masters there are")
    return found


# -- policies


def test_by_hand():
    """In the region of "bf16", 1.001 · 1 is 1: the factors of a product are rounded to bfloat16."""
    weight = torch.tensor([[1.001]])
    with module.Policy.named("bf16").region():
        got = functional.linear(torch.ones(1, 1), weight)
    check.close(got, [[1.0]], "1.001 · 1 in the region", atol=1e-5, why="After 1, bfloat16 goes on with 1.0078.")
    check.equal(str(got.dtype), "torch.bfloat16", "the format of the product")


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16", "bf16-pure", "fp16-pure"])
def test_scales(name):
    """The loss has to be scaled if it is computed in float16, and only then."""
    got = module.Policy.named(name).scales
    why = "bfloat16 has the 8 bits for the exponent that float32 has, and so its smallest numbers; float16 has 5."
    check.equal(bool(got), name.startswith("fp16"), f'Policy.named("{name}").scales', why=why)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", HALVES)
def test_the_region_computes_in_the_narrow_format(rng, name, device):
    """Where weights are in float32 and computed is in a half format, products of matrices come in that format."""
    layer, x = nn.Linear(3, 2).to(device), numbers(rng, 4, 3).to(device)
    with module.Policy.named(name).region(device):
        got = {"a linear layer": layer(x), "a product of two matrices": x @ x.T}
    for what, each in got.items():
        check.equal(str(each.dtype), str(HALVES[name]), f'the format of {what} in the region of "{name}"')
    check.equal(str(layer(x).dtype), "torch.float32", "the format of a linear layer behind the region")


@pytest.mark.parametrize("name", HALVES)
def test_what_needs_digits_stays(rng, name):
    """A softmax, a norm and a sum of numbers in float32 stay in float32 in the region."""
    x = numbers(rng, 4, 3)
    why = "torch.autocast knows for each operation whether it may be narrow. Making the inputs narrow makes all narrow."
    with module.Policy.named(name).region():
        product = x @ x.T
        got = {"a softmax": torch.softmax(x, 1), "a norm": functional.layer_norm(x, (3,)), "a sum": x.sum()}
    check.equal(str(product.dtype), str(HALVES[name]), f'the format of a product in the region of "{name}"')
    for what, each in got.items():
        check.equal(str(each.dtype), "torch.float32", f'the format of {what} in the region of "{name}"', why=why)


@pytest.mark.parametrize("name", HALVES)
def test_gradients_through_the_region(rng, name):
    """Weights in float32 stay so, and get gradients in float32 from what was computed in the region."""
    layer, x = nn.Linear(3, 2), numbers(rng, 4, 3)
    with torch.no_grad():
        layer.weight.copy_(numbers(rng, 2, 3))
    with module.Policy.named(name).region():
        loss = layer(x).float().square().sum()
    loss.backward()
    expected = 2 * (x @ layer.weight.T + layer.bias).T @ x
    check.equal(str(layer.weight.dtype), "torch.float32", "the format of the weight")
    grad: Any = layer.weight.grad
    check.equal(str(grad.dtype), "torch.float32", "the format of its gradient")
    check.close(grad, expected.detach(), "the gradient", rtol=0.05, atol=0.5)


@pytest.mark.parametrize("name", ["fp32", "bf16-pure", "fp16-pure"])
def test_no_region_where_the_formats_are_the_same(name):
    """Where weights are in the format that is computed in, the region changes nothing."""
    policy = module.Policy.named(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with policy.region():
            check.equal(torch.is_autocast_enabled("cpu"), False, f'whether autocast is on in the region of "{name}"')
            got = {each: (torch.ones(2, 2, dtype=each) @ torch.ones(2, 2, dtype=each)).dtype for each in NAMES.values()}
    for given, came in got.items():
        check.equal(str(came), str(given), f'the format of a product of {given} in the region of "{name}"')


def test_the_region_of_another_device():
    """The region is for the device that it was asked for."""
    policy = module.Policy.named("bf16")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a device that is not there
        with policy.region("cuda"):
            got = torch.ones(2, 2) @ torch.ones(2, 2)
    check.equal(str(got.dtype), "torch.float32", 'the format of a product on the CPU in region("cuda")')
    with policy.region("cpu"):
        got = torch.ones(2, 2) @ torch.ones(2, 2)
    check.equal(str(got.dtype), "torch.bfloat16", 'the format of a product on the CPU in region("cpu")')


# -- place


class Odd(nn.Module):
    """A module with all that a module may hold."""

    def __init__(self, dtype=torch.float32) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2, dtype=dtype)
        self.again = nn.Linear(3, 2, dtype=dtype)
        self.again.weight = self.inner.weight
        self.frozen = nn.Parameter(torch.ones(2, dtype=dtype), requires_grad=False)
        self.places: torch.Tensor
        self.mean: torch.Tensor
        self.register_buffer("mean", torch.full((2,), 1.5, dtype=dtype))
        self.register_buffer("places", torch.tensor([1, 300, 70000]))


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16", "bf16-pure", "fp16-pure"])
def test_place(name):
    """Weights and buffers come into the format of `weights`: float32, or the half format of "pure"."""
    expected = str(NAMES[name.removesuffix("-pure")] if name.endswith("pure") else torch.float32)
    start = torch.float64 if name == "fp32" else torch.bfloat16 if name == "fp16" else torch.float32
    model = Odd(start)
    values = model.inner.weight.detach().clone()
    got = module.Policy.named(name).place(model)
    check.true(got is model, "the model itself comes back", got=type(got).__name__)
    for each, tensor in (*model.named_parameters(), ("mean", model.mean)):
        check.equal(str(tensor.dtype), expected, f'the format of {each} with "{name}", which was {start}')
    check.close(model.inner.weight, values.double(), "a weight in its new format", rtol=0.01)


def test_place_leaves_integers():
    """Buffers of integers stay what they are."""
    model = module.Policy.named("bf16-pure").place(Odd())
    check.equal(str(model.mean.dtype), "torch.bfloat16", "the format of the buffer of numbers")
    check.equal(str(model.places.dtype), "torch.int64", "the format of the buffer of integers")
    check.equal(model.places.tolist(), [1, 300, 70000], "the buffer of integers")


def test_place_is_in_place():
    """The parameters are the same objects as before, so that a tied one stays tied, and a frozen one frozen."""
    model = Odd()
    before = dict(model.named_parameters(remove_duplicate=False))
    module.Policy.named("bf16-pure").place(model)
    after = dict(model.named_parameters(remove_duplicate=False))
    check.equal(str(after["inner.weight"].dtype), "torch.bfloat16", "the format of a weight")
    check.true(all(after[name] is before[name] for name in before), "the parameters are the same objects")
    check.true(model.again.weight is model.inner.weight, "a weight that two layers share is shared after that")
    check.equal(model.frozen.requires_grad, False, "whether a frozen parameter is trained after that")


# -- underflow


def test_underflow_by_hand():
    """Of 1, 1e-6, 1e-9 and 0, one of the three that are not 0 becomes 0 in float16."""
    got = module.underflow([torch.tensor([1.0, 1e-6, 1e-9, 0.0])], torch.float16)
    why = "The smallest number of float16 is 6e-8. What was 0 before has not become 0."
    check.close(got, 1 / 3, "underflow of [1, 1e-6, 1e-9, 0] in float16", why=why)


def test_underflow_with_a_scale():
    """Multiplied by 65536 first, 1e-9 does not become 0, and 1e-13 still does."""
    gradients = [torch.tensor([1e-9, -1e-9, 2e-9]), torch.tensor([[1e-13, 1.0]])]
    for scale, expected in ((1.0, 0.8), (65536.0, 0.2), (2.0**30, 0.0)):
        got = module.underflow(gradients, torch.float16, scale)
        check.close(got, expected, f"underflow of [1e-9, -1e-9, 2e-9] and [1e-13, 1] in float16, times {scale:g}")


def test_underflow_counts_numbers():
    """All numbers of all gradients count the same, in however many tensors they lie."""
    gradients = [torch.tensor([1e-9, 1e-9, 1e-9, 1.0]), torch.tensor([1.0]), torch.zeros(7)]
    why = "3 of 5 numbers are lost. The mean of 3/4, 0 and nothing is another number."
    check.close(module.underflow((g for g in gradients), torch.float16), 0.6, "3 of 4, 0 of 1, and zeros", why=why)


def test_underflow_in_other_formats():
    """bfloat16 has the smallest numbers of float32: what float16 loses, it keeps."""
    gradients = [torch.tensor([1e-6, 1e-9, 1e-30, -1e-38])]
    for dtype, expected in ((torch.float16, 0.75), (torch.bfloat16, 0.0), (torch.float32, 0.0)):
        check.close(
            module.underflow(gradients, dtype), expected, f"underflow of [1e-6, 1e-9, 1e-30, -1e-38] in {dtype}"
        )


def test_underflow_of_narrow_gradients():
    """Gradients that are in a half format themselves are multiplied with more digits than it has."""
    narrow = torch.tensor([1e-4, 1.0], dtype=torch.float16)
    got = module.underflow([narrow], torch.bfloat16, 1e-6)
    check.close(got, 0.0, "underflow of [1e-4, 1] (float16) in bfloat16, times 1e-6", why="1e-10 is 0 in float16 only.")
    check.close(module.underflow([narrow], torch.float16, 1e-6), 0.5, "and in float16, times 1e-6")


@pytest.mark.parametrize("given", [[], [torch.zeros(3)], [torch.zeros(2, 2), torch.zeros(0)]], ids=["none", "0", "00"])
def test_no_underflow_of_nothing(given):
    """Without gradients, or with zeros only, it is 0."""
    check.close(module.underflow(given, torch.float16), 0.0, "underflow where nothing is there")


def test_underflow_only_looks():
    """The gradients stay as they are."""
    given = torch.tensor([1.0, 1e-9])
    check.close(module.underflow([given], torch.float16, 4.0), 0.5, "underflow of [1, 1e-9] in float16, times 4")
    check.close(given, [1.0, 1e-9], "the gradient after that", rtol=1e-6, atol=0)


# -- masters


def test_masters_by_hand():
    """Ten steps of 0.001 from 1: the master is at 0.99, and the parameter is that, rounded to bfloat16."""
    p = parameter([1.0])
    masters = kept([p])
    steps(masters, [p], [[[1.0]]] * 10)
    check.close(masters_of(masters, 1)[0], [0.99], "the master after 10 steps of 0.001 from 1", why=LOST)
    check.close(p, [0.98828125], "the parameter in bfloat16", rtol=0, atol=0, why="253/256 is next to 0.99.")


@pytest.mark.parametrize("dtype", HALVES.values(), ids=HALVES)
def test_small_steps_add_up(dtype):
    """A thousand steps that are each too small for the format lead as far as they would in float32."""
    p = parameter([1.0, -4.0], dtype)
    masters = kept([p], lr=1e-4)
    steps(masters, [p], [[[1.0, -1.0]]] * 1000)
    check.close(masters_of(masters, 1)[0], [0.9, -3.9], "the master after 1000 steps of 0.0001", atol=1e-3, why=LOST)
    check.close(p, torch.tensor([0.9, -3.9]).to(dtype), "the parameter then", atol=1e-3, rtol=0.005)
    check.equal(str(p.dtype), str(dtype), "its format")


@pytest.mark.parametrize("dtype", [*NAMES.values(), torch.float64], ids=str)
def test_masters_are_copies(rng, dtype):
    """A master is a copy of its parameter in float32, whatever format that has."""
    given = [parameter(numbers(rng, 3, 2), dtype), parameter(numbers(rng, 4), dtype)]
    for p, master in zip(given, masters_of(kept(given), 2)):
        check.equal(str(master.dtype), "torch.float32", f"the format of the master of a parameter in {dtype}")
        check.close(master, p.detach(), "the master at the beginning")
        with torch.no_grad():
            p.zero_()
        check.true(bool(master.detach().abs().sum() > 0), "a master is no part of its parameter, which was set to 0")


def test_masters_have_no_history():
    """A master is a leaf of its own: nothing flows from it back into its parameter."""
    p = parameter([1.0, 2.0])
    master = masters_of(kept([p]), 1)[0]
    check.true(master.is_leaf and master.requires_grad, "a master is a leaf that takes gradients, as optimizers want")


def test_the_optimizer_has_the_masters(rng):
    """The optimizer is what `make` gave, and its groups hold the masters, in the order of the parameters."""
    given = [parameter(numbers(rng, size)) for size in (3, 1, 2)]
    made = []
    masters = module.MasterWeights(
        (p for p in given), lambda groups: made.append(Descent(groups, momentum=0.5)) or made[0]
    )
    found = masters_of(masters, 3)
    check.true(len(made) == 1 and masters.optimizer is made[0], "optimizer is what make gave, which was asked once")
    held = [p for group in made[0].param_groups for p in group["params"]]
    check.true(len(held) == 3 and all(a is b for a, b in zip(held, found)), "its groups hold the masters, in order")
    check.equal([len(each) for each in found], [3, 1, 2], "the sizes of the masters")
    check.true(all(a is b for a, b in zip(masters.parameters, given)), "parameters holds the parameters, in order")


def test_groups_keep_their_options():
    """Given groups with options of their own, the groups of the optimizer have the same ones."""
    first, second, third = (parameter([1.0] * size) for size in (2, 3, 1))
    groups = [{"params": [first, second], "lr": 0.25}, {"params": iter([third]), "momentum": 0.75, "called": "last"}]
    masters = kept(groups, lr=0.5)
    found = masters_of(masters, 3)
    got = [
        (group["lr"], group["momentum"], group.get("called"), len(group["params"]))
        for group in masters.optimizer.param_groups
    ]
    expected = [(0.25, 0.0, None, 2), (0.5, 0.75, "last", 1)]
    check.equal(got, expected, "lr, momentum, a note and the number of parameters of each group")
    check.equal([len(each) for each in found], [2, 3, 1], "the sizes of the masters")
    check.true(groups[0]["params"][0] is first, "the groups that were given still hold the parameters")
    steps(masters, [first, second, third], [[[1.0] * 2, [1.0] * 3, [1.0]]])
    check.close([p[0].item() for p in (first, second, third)], [0.75, 0.75, 0.5], "the parameters after a step")


def test_options_may_change():
    """A learning rate that is changed in the optimizer's groups counts from the next step."""
    p = parameter([1.0])
    masters = kept([p], lr=0.5)
    steps(masters, [p], [[[1.0]]])
    check.close(p, [0.5], "the parameter after a step of 0.5 from 1")
    masters.optimizer.param_groups[0]["lr"] = 0.125
    steps(masters, [p], [[[1.0]]])
    check.close(p, [0.375], "the parameter after a further step, of 0.125")


@pytest.mark.parametrize("dtype", HALVES.values(), ids=HALVES)
def test_steps_are_in_float32(dtype):
    """The optimizer sees masters and gradients in float32 only, and takes one step for each of ours."""
    p = parameter([1.0, 2.0], dtype)
    masters = kept([p])
    steps(masters, [p], [[[1.0, 0.5]], [[0.25, 0.5]]])
    check.equal(masters.optimizer.steps, 2, "how many steps the optimizer took for two of ours")
    check.equal(sorted(masters.optimizer.formats), ["torch.float32"], "the formats that the optimizer saw")


def test_each_step_has_its_gradients():
    """Each step goes by the gradients that are there then, not by those of the step before."""
    p = parameter([0.0])
    masters = kept([p], lr=1.0)
    for grad, expected in ((1.0, -1.0), (4.0, -5.0), (-8.0, 3.0)):
        steps(masters, [p], [[[grad]]])
        check.close(p, [expected], f"the parameter after a step with the gradient {grad}")


def test_gradients_stay():
    """The gradients of the parameters stay as they are, in their format; masters keep none."""
    p = parameter([1.0, 2.0], torch.float16, grad=[3.0, 0.5])
    masters, grad = kept([p]), p.grad
    masters.step()
    check.close(p, [0.997, 1.9995], "the parameter after a step of 0.001", atol=0.001)
    check.true(p.grad is grad and grad.dtype == torch.float16, "p.grad is what it was", got=p.grad)
    check.close(grad, [3.0, 0.5], "the gradient of the parameter after a step", rtol=0, atol=0)
    left = [master.grad for master in masters_of(masters, 1)]
    check.equal(left, [None], "the gradient of the master after a step", why="It would be memory for nothing.")


def test_without_a_gradient():
    """A parameter without a gradient stays, and so does its master, though others move, and momentum would move it."""
    first, second = parameter([1.0]), parameter([1.0])
    masters = kept([first, second], lr=0.25, momentum=0.5)
    steps(masters, [first, second], [[[1.0], [1.0]], [[1.0], None], [None, [2.0]]])
    expected = [1 - 0.25 * (1 + 1.5), 1 - 0.25 * (1 + 2.5)]
    why = "p.grad = None is no gradient of 0: the optimizer leaves a master alone whose grad is None."
    check.close([first.item(), second.item()], expected, "the parameters after two of three steps each", why=why)
    check.close([m.item() for m in masters_of(masters, 2)], expected, "their masters", why=why)


def test_the_nearest():
    """The master is rounded to the nearest number that the format has, up or down."""
    p = parameter([1.0, 1.0, 1.0])
    masters = kept([p], lr=1.0)
    steps(masters, [p], [[torch.tensor([-0.0029296875, -0.0048828125, 0.0009765625])]])
    expected = [1.0, 1.0078125, 1.0]
    check.close(p, expected, "1.0029, 1.0049 and 0.999 in bfloat16", rtol=0, atol=0)
    right = [1.0029296875, 1.0048828125, 0.9990234375]
    check.close(masters_of(masters, 1)[0], right, "the master, which is not rounded", rtol=0, atol=1e-7)


@pytest.mark.parametrize("dtype", [*NAMES.values()], ids=str)
def test_taking_gradients(dtype):
    """take_gradients gives each master a float32 copy of its parameter's gradient, and takes no step."""
    given = [parameter([1.0, 2.0], dtype, grad=[0.5, -3.0]), parameter([4.0], dtype)]
    masters = kept(given)
    masters.take_gradients()
    first, second = masters_of(masters, 2)
    check.equal(first.grad is None, False, "whether the master has no gradient, where its parameter has one")
    check.equal(str(first.grad.dtype), "torch.float32", "the format of the master's gradient")
    check.close(first.grad, [0.5, -3.0], "the gradient of the master")
    check.equal(second.grad, None, "the gradient of the master whose parameter has none")
    first.grad.mul_(8.0)
    check.close(given[0].grad, [0.5, -3.0], "the parameter's gradient, after the master's was multiplied by 8")
    check.equal(masters.optimizer.steps, 0, "how many steps the optimizer has taken")
    check.close(given[0], [1.0, 2.0], "the parameter")


def test_steps_with_what_was_taken():
    """After take_gradients, step goes by the masters' gradients as they are then: divided, or clipped."""
    given = [parameter([1.0], torch.float16, grad=[2.0]), parameter([1.0], torch.float16)]
    masters = kept(given, lr=1.0)
    masters.take_gradients()
    first = masters_of(masters, 2)[0]
    check.equal(first.grad is None, False, "whether the master has no gradient after take_gradients")
    first.grad.mul_(0.125)
    masters.step()
    why = "Whoever calls has changed the masters' gradients on purpose: they must not be taken anew."
    check.close(given[0], [0.75], "the parameter after a step with 1/8 of its gradient of 2", why=why)
    check.close(given[1], [1.0], "the parameter that has no gradient")
    check.equal([m.grad for m in masters.masters], [None, None], "the masters' gradients after the step")


def test_taken_anew():
    """take_gradients once more, after a step that was left out, gives the gradients that are there now."""
    given = [parameter([1.0], grad=[2.0]), parameter([1.0], grad=[2.0])]
    masters = kept(given, lr=0.25)
    masters.take_gradients()
    given[0].grad, given[1].grad = torch.ones_like(given[0]), None
    masters.take_gradients()
    masters.step()
    check.close([p.item() for p in given], [0.75, 1.0], "the parameters, with gradients of 1 and None at the end")


def test_zero_grad():
    """zero_grad takes all gradients away, so that what was taken and not used is not used later."""
    p = parameter([1.0], grad=[2.0])
    masters = kept([p], lr=0.25)
    masters.take_gradients()
    masters.zero_grad()
    check.equal([p.grad, *(m.grad for m in masters_of(masters, 1))], [None, None], "the gradients after zero_grad")
    masters.step()
    check.close(p, [1.0], "the parameter after a step without a gradient")


def test_small_gradients_can_be_divided():
    """Gradients of float16, taken in float32, are divided there without loss."""
    p = parameter([0.0], torch.float16, grad=[3e-5])
    masters = kept([p], lr=1.0)
    masters.take_gradients()
    master = masters_of(masters, 1)[0]
    check.equal(master.grad is None, False, "whether the master has no gradient after take_gradients")
    master.grad.div_(65536.0)
    masters.step()
    why = "3e-5 / 65536 is 4.6e-10, which is 0 in float16."
    check.close(master, [-3.0e-5 / 65536], "the master, a step of 3e-5 / 65536 from 0", rtol=0.01, atol=0, why=why)


# -- saving


def run(rng_seed, cut=None):
    """Twelve steps of two parameters in bfloat16; with `cut`, others go on from what was saved there."""
    generator = torch.Generator().manual_seed(rng_seed)
    given = [parameter(torch.randn(4, generator=generator)), parameter(torch.randn(2, 3, generator=generator))]
    grads = [[torch.randn(p.shape, generator=generator) for p in given] for _ in range(12)]
    masters = kept(given, lr=1e-3, momentum=0.9)
    steps(masters, given, grads[:cut])
    if cut is not None:
        masters.optimizer.param_groups[0]["lr"] = 1e-3
        state = copy.deepcopy(masters.state_dict())
        given = [parameter(torch.zeros(4)), parameter(torch.zeros(2, 3))]
        masters = kept(given, lr=0.5)
        masters.load_state_dict(state)
        check.equal(masters.optimizer.param_groups[0]["lr"], 1e-3, "the learning rate after loading")
        steps(masters, given, grads[cut:])
    return given, masters


def test_the_state_by_hand():
    """A loaded state brings back the master with all its digits, and the parameter, rounded from it."""
    p, other = parameter([1.0]), parameter([5.0])
    masters = kept([p])
    steps(masters, [p], [[[1.0]]] * 10)
    again = kept([other])
    again.load_state_dict(copy.deepcopy(masters.state_dict()))
    check.close(
        masters_of(again, 1)[0], [0.99], "the master after loading", why="From 0.98828 it would go on otherwise."
    )
    check.close(other, [0.98828125], "the parameter after loading", rtol=0, atol=0)


def test_goes_on_to_the_bit(rng):
    """Others, which load the state, go on as if there had been no interruption, to the bit."""
    seed, cut = rng.randrange(1 << 32), rng.randrange(3, 9)
    (expected, all_masters), (got, masters) = run(seed), run(seed, cut)
    for one, other in zip(masters_of(masters, 2), masters_of(all_masters, 2)):
        check.close(one, other.detach(), f"a master after 12 steps, interrupted after {cut}", rtol=0, atol=0)
    for one, other in zip(got, expected):
        check.close(one, other.detach(), f"a parameter after 12 steps, interrupted after {cut}", rtol=0, atol=0)


def test_the_optimizer_keeps_the_masters_after_loading():
    """After loading, the optimizer steps the masters that `masters` shows."""
    p = parameter([1.0])
    masters = kept([p], lr=0.25)
    masters.load_state_dict(copy.deepcopy(masters.state_dict()))
    steps(masters, [p], [[[1.0]]])
    check.close(masters_of(masters, 1)[0], [0.75], "the master after loading and a step of 0.25 from 1")
    check.close(p, [0.75], "its parameter")


def test_a_state_that_does_not_fit():
    """A state with masters of other shapes, or of another number, is a ValueError that names both."""
    masters = kept([parameter([1.0, 2.0])])
    for given, shapes in (([1.0], [(1,)]), ([[1.0, 2.0]], [(1, 2)])):
        state = kept([parameter(given)]).state_dict()
        check.raises(ValueError, masters.load_state_dict, state, naming=[[(2,)], shapes])
    state = kept([parameter([1.0, 2.0]), parameter([1.0])]).state_dict()
    check.raises(ValueError, masters.load_state_dict, state, naming=[[(2,)], [(2,), (1,)]])
    check.close(masters_of(masters, 1)[0], [1.0, 2.0], "the master after that")


# -- what is refused


def test_formats_that_there_are_not():
    """A format, or a pair of formats, that there is not is a ValueError that names it; others are not."""
    check.equal(bool(module.Policy(torch.float16, torch.float16).scales), True, "scales, computing in float16")
    odd = [(torch.float64, torch.float32), (torch.float32, torch.float16), (torch.bfloat16, torch.float16)]
    for compute, weights in odd:
        check.raises(ValueError, module.Policy, compute, weights, naming=[compute, weights])
    for name in ("fp8", "", "fp16-impure", "32"):
        check.raises(ValueError, module.Policy.named, name, naming=[repr(name)])
    check.close(module.underflow([torch.ones(2)], torch.float16), 0.0, "underflow of ones")
