"""5.6 · AdamW: each parameter gets a step of its own size."""

import copy
import inspect
import math
from typing import Any

import pytest
import torch
from torch import nn

from bootcamp.grading import check, written

module = written("stage05_training.optim")

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
MEANS = "m and v begin at 0, so at first they are too small: m / (1 - β1ᵗ) and v / (1 - β2ᵗ) make up for that."

# Optimizers tell torch's compiler to leave four of their methods alone. For that they import it when they are first
# used, which takes seconds, and half a minute on a busy machine. Nothing is compiled here.
for _name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
    _function = inspect.unwrap(getattr(torch.optim.Optimizer, _name))
    _function.__dict__.setdefault("__dynamo_disable", _function)


def numbers(rng, *shape, dtype=torch.float64):
    """Random numbers, most of them between -2 and 2."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(1 << 32)), dtype=torch.float64)
    return drawn.to(dtype)


def parameter(values, dtype=torch.float64) -> Any:
    """A parameter with these numbers."""
    return nn.Parameter(torch.as_tensor(values).to(dtype).clone())


def made(*args, **kwargs) -> Any:
    return module.AdamW(*args, **kwargs)


def step(optimizer, grads):
    """Take a step with these gradients: pairs of a parameter and its gradient, or None."""
    for p, grad in grads:
        p.grad = None if grad is None else torch.as_tensor(grad).to(p).clone()
    if type(optimizer) is torch.optim.AdamW:
        with torch.no_grad():  # torch's own step, without its decorators, which import the compiler too
            inspect.unwrap(torch.optim.AdamW.step)(optimizer)
    else:
        optimizer.step()


def follow(start, grads, lr: Any = 1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
    """What becomes of a parameter, after each step, by the formula, in float64; None is a step without a gradient."""
    p, way = start.detach().double().clone(), []
    m = v = torch.zeros_like(p)
    t = 0
    for i, grad in enumerate(grads):
        if grad is not None:
            t, g, rate = t + 1, grad.double(), lr[i] if isinstance(lr, list) else lr
            m = betas[0] * m + (1 - betas[0]) * g
            v = betas[1] * v + (1 - betas[1]) * g * g
            root = (v / (1 - betas[1] ** t)).sqrt() + eps
            p = p - rate * weight_decay * p - rate * (m / (1 - betas[0] ** t)) / root
        way.append(p)
    return way


def holds(p, expected, what, why="", rtol=1e-5, atol=2e-5):
    check.close(p.detach().clone(), expected, what, rtol=rtol, atol=atol, why=why)


# -- by hand


def test_the_first_step():
    """The first step is lr against the sign of the gradient, however large that is."""
    p = parameter([5.0, 5.0, -1.0, -1.0])
    step(made([p], lr=0.1, weight_decay=0.0), [(p, [3.0, -0.001, 200.0, -1.0])])
    holds(p, [4.9, 5.1, -1.1, -0.9], "the parameter after the step, with lr=0.1", why=MEANS)


def test_the_decay_alone():
    """With a gradient of 0, a parameter loses the share lr · weight_decay of itself, and nothing else."""
    p = parameter([8.0, -80.0])
    optimizer = made([p], lr=0.5, weight_decay=0.25)
    why = "The decay is 0.5 · 0.25 = 1/8 of the parameter. Put into the gradient, it would be divided by its own size."
    step(optimizer, [(p, [0.0, 0.0])])
    holds(p, [7.0, -70.0], "the parameter after a step with lr=0.5 and weight_decay=0.25", why=why)
    step(optimizer, [(p, [0.0, 0.0])])
    holds(p, [6.125, -61.25], "the parameter after a second step", why=why)


def test_decay_and_step_side_by_side():
    """The decay is a share of the parameter as it was before the step."""
    p = parameter([8.0, 8.0])
    step(made([p], lr=0.5, weight_decay=0.25), [(p, [-3.0, 7.0])])
    why = "The decay takes 1 from 8, and the step of 0.5 goes against the sign of the gradient."
    holds(p, [7.5, 6.5], "the parameter after a step with lr=0.5 and weight_decay=0.25", why=why)


def test_eps_is_added_to_the_root():
    """eps is added to the root, after v was divided."""
    p = parameter([0.0])
    step(made([p], lr=1.0, betas=(0.5, 0.75), eps=1.0, weight_decay=0.0), [(p, [3.0])])
    why = "m / (1 - β1) is 3 and √(v / (1 - β2)) is 3: the step is 3 / (3 + 1)."
    holds(p, [-0.75], "the parameter after a step with the gradient 3, lr=1 and eps=1", why=why)


def test_two_steps_by_hand():
    """m and v are kept from step to step: the way goes on for a while, even without a slope."""
    p = parameter([0.0])
    optimizer = made([p], lr=1.0, betas=(0.5, 0.75), eps=0.0, weight_decay=0.0)
    step(optimizer, [(p, [2.0])])
    holds(p, [-1.0], "the parameter after a step with the gradient 2")
    step(optimizer, [(p, [0.0])])
    why = "m: 1, then 0.5, divided by 1 - 0.5² = 3/4. v: 1, then 0.75, divided by 1 - 0.75² = 7/16."
    second = (0.5 / 0.75) / math.sqrt(0.75 / (7 / 16))
    holds(p, [-1.0 - second], "the parameter after a second step, with the gradient 0", why=why)


# -- the formula


OPTIONS: list[dict[str, Any]] = [
    {},
    {"lr": 0.1, "weight_decay": 0.0},
    {"lr": 0.03, "betas": (0.8, 0.9), "weight_decay": 0.5},
    {"lr": 0.2, "betas": (0.0, 0.99), "eps": 0.3, "weight_decay": 0.1},
    {"lr": 0.1, "betas": (0.95, 0.0), "eps": 0.01},
    {"lr": 0.0, "weight_decay": 2.0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_many_steps(rng, options):
    """Over many steps, with gradients of all sizes, parameters go where the formula says."""
    start = numbers(rng, 3, 4)
    grads = [numbers(rng, 3, 4) * 10.0 ** rng.randrange(-3, 3) for _ in range(12)]
    p = parameter(start)
    optimizer = made([p], **options)
    for i, (grad, expected) in enumerate(zip(grads, follow(start, grads, **options))):
        step(optimizer, [(p, grad)])
        scale = max(options.get("lr", 1e-3), 1e-3)
        holds(p, expected, f"the parameter after step {i + 1}, with {options or 'no options'}", atol=1e-3 * scale)


def test_what_holds_if_nothing_is_said():
    """If nothing is said, lr is 0.001, betas are 0.9 and 0.999, eps is 1e-8 and weight_decay 0.01."""
    start = torch.tensor([100.0, 0.0, 0.0], dtype=torch.float64)
    grads = [torch.tensor([0.0, 1e-8, grad], dtype=torch.float64) for grad in (1.0, -3.0, 0.0, 0.0)]
    p = parameter(start)
    optimizer = made([p])
    for i, (grad, expected) in enumerate(zip(grads, follow(start, grads))):
        step(optimizer, [(p, grad)])
        holds(p, expected, f"the parameter after step {i + 1}", rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3), (2, 1, 3, 2), (0,)], ids=str)
def test_any_shape(rng, shape):
    """Parameters may have any shape."""
    start, grads = numbers(rng, *shape), [numbers(rng, *shape) for _ in range(3)]
    p = parameter(start)
    optimizer = made([p], lr=0.1)
    for grad in grads:
        step(optimizer, [(p, grad)])
    holds(p, follow(start, grads, lr=0.1)[-1], f"a parameter {shape} after three steps")


def test_each_parameter_for_itself(rng):
    """Each parameter has a m and a v of its own."""
    starts = [numbers(rng, 3, 2), numbers(rng, 4), numbers(rng, 3, 2)]
    grads = [[numbers(rng, *start.shape) * size for size in (1, 10, 0.1, 3)] for start in starts]
    parameters = [parameter(start) for start in starts]
    optimizer = made(parameters, lr=0.1)
    for each in zip(*grads):
        step(optimizer, zip(parameters, each))
    for i, (p, start, own) in enumerate(zip(parameters, starts, grads)):
        holds(p, follow(start, own, lr=0.1)[-1], f"parameter {i} of three, after four steps")


def test_a_slope_that_is_the_same_all_the_time():
    """As long as the gradient stays the same, each step is lr: that is what the division of m and v is for."""
    p = parameter([1.0, 1.0])
    optimizer = made([p], lr=0.01, weight_decay=0.0)
    for i in range(1, 31):
        step(optimizer, [(p, [0.2, -7.0])])
        expected = [1 - 0.01 * i, 1 + 0.01 * i]
        holds(p, expected, f"the parameter after {i} steps of lr=0.01", why=MEANS, atol=1e-5)


@pytest.mark.varied
def test_beside_torch(rng):
    """Many steps, in float32, give what torch's own AdamW gives."""
    options: Any = {"lr": 0.02, "betas": (0.9, 0.95), "weight_decay": 0.3}
    mine, its = (
        [parameter(torch.ones(3, 4), torch.float32), parameter(torch.ones(5), torch.float32)] for _ in range(2)
    )
    one, other = made(mine, **options), torch.optim.AdamW(its, **options)
    for i in range(20):
        grads = [numbers(rng, *p.shape) for p in mine]
        step(one, zip(mine, grads))
        step(other, zip(its, grads))
        for p, expected in zip(mine, its):
            holds(p, expected.detach(), f"the parameter {tuple(p.shape)} after step {i + 1}", atol=1e-4)


# -- who steps, and how


def test_without_a_gradient(rng):
    """A parameter without a gradient stays, decay and all, whether it had one before or not."""
    one, other = parameter(numbers(rng, 3)), parameter(numbers(rng, 4))
    before = other.detach().clone()
    optimizer = made([one, other], lr=0.1, weight_decay=0.5)
    grads = [numbers(rng, 3), numbers(rng, 3)]
    start = one.detach().clone()
    step(optimizer, [(one, grads[0]), (other, None)])
    holds(other, before, "a parameter that has no gradient, after a step", rtol=0, atol=0)
    expected = follow(start, grads[:1], lr=0.1, weight_decay=0.5)[0]
    holds(one, expected, "one beside it that has a gradient")
    step(optimizer, [(one, None), (other, None)])
    holds(one, expected, "it, after a step in which no gradient came")


def test_steps_are_counted_for_each_parameter(rng):
    """Only steps in which a parameter has a gradient are steps of that parameter."""
    starts = [numbers(rng, 3), numbers(rng, 4)]
    grads = [[numbers(rng, 3) for _ in range(6)], [numbers(rng, 4) for _ in range(6)]]
    for i in (0, 1, 3):
        grads[1][i] = None  # type: ignore[call-overload]
    parameters = [parameter(start) for start in starts]
    optimizer = made(parameters, lr=0.1)
    ways = [follow(start, own, lr=0.1) for start, own in zip(starts, grads)]
    why = "t is the number of gradients that this parameter has had: m and v of one that comes later begin later."
    for i in range(6):
        step(optimizer, [(p, own[i]) for p, own in zip(parameters, grads)])
        for p, way, name in zip(parameters, ways, ("has a gradient each time", "has none in steps 1, 2 and 4")):
            holds(p, way[i], f"the parameter that {name}, after step {i + 1}", why=why)


def test_in_place(rng):
    """The parameters of a model change, and stay the objects that they are; gradients are left as they are."""
    model = nn.Linear(3, 2).double()
    weight, bias = model.weight, model.bias
    optimizer = made(model.parameters(), lr=0.1, weight_decay=0.5)
    start = weight.detach().clone()
    grads = [numbers(rng, 2, 3), numbers(rng, 2, 3)]
    for grad in grads:
        step(optimizer, [(weight, grad), (bias, numbers(rng, 2))])
        its: Any = weight.grad
        check.true(its is not None, "the gradient is there after the step")
        check.close(its, grad, "the gradient after the step", rtol=0, atol=0)
    check.true(model.weight is weight and model.bias is bias, "the parameters are the objects that they were")
    check.true(weight.is_leaf and weight.requires_grad, "they need gradients still, and hang on no graph")
    holds(model.weight, follow(start, grads, lr=0.1, weight_decay=0.5)[-1], "the weight of the model after two steps")


def test_the_gradient_is_not_kept(rng):
    """What happens to a gradient between two steps does not matter: what was kept of it stays."""
    start, grads = numbers(rng, 5), [numbers(rng, 5) for _ in range(4)]
    p = parameter(start)
    p.grad = torch.zeros_like(p)
    optimizer = made([p], lr=0.1)
    for grad in grads:
        p.grad.copy_(grad)
        optimizer.step()
        p.grad.zero_()
    holds(p, follow(start, grads, lr=0.1)[-1], "the parameter after four steps, its gradient emptied after each")


def test_laid_out_in_any_way(rng):
    """A parameter that was transposed, with a gradient that was not, is one like any other."""
    start, grads = numbers(rng, 3, 4), [numbers(rng, 3, 4) for _ in range(3)]
    p: Any = nn.Parameter(start.T.contiguous().T)
    optimizer = made([p], lr=0.1)
    for grad in grads:
        p.grad = grad.clone()
        optimizer.step()
    holds(p, follow(start, grads, lr=0.1)[-1], "the parameter after three steps")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_formats_and_devices(rng, dtype, device):
    """A parameter keeps its format and its device."""
    start, grads = numbers(rng, 3, 4), [numbers(rng, 3, 4) for _ in range(3)]
    p: Any = nn.Parameter(start.clone().to(device, dtype))
    optimizer = made([p], lr=0.1, betas=(0.5, 0.75))
    for grad in grads:
        p.grad = grad.to(p)
        optimizer.step()
    check.equal([str(p.dtype), p.device.type], [str(dtype), device], "the format and the device of the parameter")
    atol = 0.1 if dtype == torch.bfloat16 else 2e-5
    holds(p.cpu(), follow(start, grads, lr=0.1, betas=(0.5, 0.75))[-1], "the parameter after three steps", atol=atol)


def test_a_closure():
    """With a closure, step calls it first, with gradients tracked, takes its gradients, and gives what it gives."""
    p = parameter([3.0, -2.0])
    optimizer = made([p], lr=0.1, weight_decay=0.0)
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        calls.append(loss.item())
        return loss.item()

    check.equal(optimizer.step(closure), 13.0, "what step(closure) gives")
    check.equal(calls, [13.0], "the losses that the closure gave")
    holds(p, [2.9, -1.9], "the parameter after the step")
    check.equal(optimizer.step(), None, "what step() gives without a closure")


# -- groups


def test_each_group_has_its_own_options(rng):
    """Options of a group hold for its parameters; those that it lacks are the optimizer's."""
    groups: list[dict[str, Any]] = [
        {"weight_decay": 0.0},
        {"lr": 0.3, "weight_decay": 0.7},
        {"betas": (0.5, 0.6), "eps": 0.2},
        {},
    ]
    common: dict[str, Any] = {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.4}
    starts = [[numbers(rng, 3), numbers(rng, 2, 2)] for _ in groups]
    grads = [[[numbers(rng, *start.shape) for _ in range(4)] for start in each] for each in starts]
    parameters = [[parameter(start) for start in each] for each in starts]
    optimizer = made([{"params": each, **own} for each, own in zip(parameters, groups)], **common)
    for i in range(4):
        step(optimizer, [(p, own[i]) for each, its in zip(parameters, grads) for p, own in zip(each, its)])
    for each, begun, its, own in zip(parameters, starts, grads, groups):
        for p, start, grad in zip(each, begun, its):
            expected = follow(start, grad, **(common | own))[-1]
            holds(p, expected, f"a parameter of a group with {own or 'no options'}, after four steps")


def test_a_rate_that_changes(rng):
    """A group's lr may be changed between steps, and counts from the next; m and v stay."""
    start, grads, rates = numbers(rng, 3), [numbers(rng, 3) for _ in range(5)], [0.1, 0.5, 0.0, 0.02, 0.3]
    p = parameter(start)
    optimizer = made([p], lr=0.1)
    for i, (grad, rate, expected) in enumerate(zip(grads, rates, follow(start, grads, lr=rates))):
        optimizer.param_groups[0]["lr"] = rate
        step(optimizer, [(p, grad)])
        holds(p, expected, f"the parameter after step {i + 1}, with lr={rates[: i + 1]}")


def test_torchs_schedulers(rng):
    """torch's schedulers drive the rates of all groups."""
    starts, grads = [numbers(rng, 3), numbers(rng, 4)], [[numbers(rng, size) for _ in range(5)] for size in (3, 4)]
    one, other = (parameter(start) for start in starts)
    optimizer = made([{"params": [one]}, {"params": [other], "lr": 0.4}], lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, [lambda i: 1 / (i + 1), lambda i: 0.5**i])
    for i in range(5):
        step(optimizer, [(one, grads[0][i]), (other, grads[1][i])])
        schedule.step()
    holds(one, follow(starts[0], grads[0], lr=[0.1 / (i + 1) for i in range(5)])[-1], "a parameter of the first group")
    holds(other, follow(starts[1], grads[1], lr=[0.4 * 0.5**i for i in range(5)])[-1], "one of the second group")


def test_a_group_that_comes_later(rng):
    """A group may be added after some steps, and begins with its own m and v then."""
    starts, grads = [numbers(rng, 3), numbers(rng, 4)], [[numbers(rng, size) for _ in range(5)] for size in (3, 4)]
    one, other = (parameter(start) for start in starts)
    optimizer = made([one], lr=0.1)
    for i in range(5):
        if i == 2:
            optimizer.add_param_group({"params": [other], "lr": 0.3})
        step(optimizer, [(one, grads[0][i]), (other, grads[1][i])])
    holds(one, follow(starts[0], grads[0], lr=0.1)[-1], "the parameter that was there first, after five steps")
    holds(other, follow(starts[1], grads[1][2:], lr=0.3)[-1], "the one that came after two steps, after three")


# -- the state


def some_steps(rng, optimizer, parameters, count=3):
    for _ in range(count):
        step(optimizer, [(p, numbers(rng, *p.shape)) for p in parameters])


def test_what_is_kept_of_a_parameter():
    """The state has "step", a number in a tensor, "exp_avg", which is m, and "exp_avg_sq", which is v."""
    p = parameter([0.0, 0.0])
    optimizer = made([p], betas=(0.5, 0.75))
    for t, grad, m, v in ((1, [2.0, -4.0], [1.0, -2.0], [1.0, 4.0]), (2, [0.0, 4.0], [0.5, 1.0], [0.75, 7.0])):
        step(optimizer, [(p, grad)])
        state = dict(optimizer.state[p])
        missing = sorted({"step", "exp_avg", "exp_avg_sq"} - state.keys())
        check.equal(missing, [], "the names that the state lacks")
        tensors = [name for name in ("step", "exp_avg", "exp_avg_sq") if isinstance(state[name], torch.Tensor)]
        check.equal(tensors, ["step", "exp_avg", "exp_avg_sq"], "the names of tensors in the state")
        check.close(state["step"], float(t), f'"step" after {t} steps', rtol=0, atol=0)
        check.close(state["exp_avg"], m, f'"exp_avg" after {t} steps')
        check.close(state["exp_avg_sq"], v, f'"exp_avg_sq" after {t} steps')


def test_no_state_without_a_gradient():
    """A parameter that has had no gradient has no state; one that has none for a while keeps its own."""
    one, other = parameter([1.0, 2.0]), parameter([3.0])
    optimizer = made([one, other])
    step(optimizer, [(one, [2.0, -1.0]), (other, None)])
    kept = {key: torch.as_tensor(value).clone() for key, value in optimizer.state_dict()["state"][0].items()}
    step(optimizer, [(one, None), (other, None)])
    state = optimizer.state_dict()["state"]
    check.true(not state.get(1), "there is no state of a parameter that has had no gradient", got=state.get(1))
    check.close(state[0]["step"], 1.0, '"step" of one that had a gradient once', rtol=0, atol=0)
    for name in ("exp_avg", "exp_avg_sq"):
        check.close(state[0][name], kept[name], f'its "{name}" after a step without one', rtol=0, atol=0)


def test_what_is_kept_has_no_graph(rng):
    """m and v need no gradient: nothing of the model's graph is kept."""
    p = parameter(numbers(rng, 3))
    optimizer = made([p])
    ((p * 2).sum() ** 2).backward()
    optimizer.step()
    traced = sorted(name for name, each in optimizer.state[p].items() if getattr(each, "requires_grad", False))
    check.equal(traced, [], "what in the state needs a gradient")
    check.close(optimizer.state[p]["step"], 1.0, '"step"', rtol=0, atol=0)


def test_saved_and_loaded(rng):
    """A run that is saved, loaded by another optimizer and gone on with ends as one that was not, to the bit."""
    whole = [parameter(numbers(rng, 3, 4)), parameter(numbers(rng, 5))]
    one = made(whole, lr=0.1)
    some_steps(rng, one, whole)
    again = [parameter(p.detach()) for p in whole]
    other = made(again, lr=0.7, betas=(0.1, 0.2), weight_decay=3.0)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    grads = [[numbers(rng, *p.shape) for p in whole] for _ in range(3)]
    for each in grads:
        step(one, zip(whole, each))
        step(other, zip(again, each))
    for p, expected in zip(again, whole):
        holds(p, expected.detach(), "a parameter three steps after the state was loaded", rtol=0, atol=0)


@pytest.mark.parametrize("ours_first", [True, False], ids=["torch's loads it", "torch's was saved"])
def test_exchanged_with_torchs(rng, ours_first):
    """torch's AdamW can load what this one saved, and this one what torch's saved."""
    options: Any = {"lr": 0.1, "betas": (0.7, 0.8), "weight_decay": 0.2}
    starts = [numbers(rng, 3, 4), numbers(rng, 5)]
    grads = [[numbers(rng, *start.shape) for _ in range(6)] for start in starts]
    kinds = [made, torch.optim.AdamW]
    first, second = kinds if ours_first else kinds[::-1]
    parameters = [parameter(start) for start in starts]
    optimizer = first(parameters, **options)
    for i in range(6):
        if i == 3:
            saved = copy.deepcopy(optimizer.state_dict())
            optimizer = second(parameters, lr=0.9)
            optimizer.load_state_dict(saved)
        step(optimizer, [(p, own[i]) for p, own in zip(parameters, grads)])
    for p, start, own in zip(parameters, starts, grads):
        expected = follow(start, own, **options)[-1]
        holds(p, expected, "a parameter after three steps with one of the two, and three with the other")


def test_a_state_on_disk(rng, tmp_path):
    """The state can be written to a file and read again."""
    parameters = [parameter(numbers(rng, 3, 2))]
    optimizer = made(parameters, lr=0.1)
    some_steps(rng, optimizer, parameters)
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    other = made([parameter(parameters[0].detach())])
    other.load_state_dict(state)
    check.close(other.state_dict()["state"][0]["step"], 3.0, '"step" after it was loaded', rtol=0, atol=0)


def test_options_out_of_range():
    """Options that are out of range are a ValueError that names them."""
    p = parameter([1.0])
    for name, value in (("lr", -0.1), ("eps", -1e-3), ("weight_decay", -0.5), ("lr", math.nan)):
        wrong: Any = {name: value}
        check.raises(ValueError, module.AdamW, [p], **wrong, naming=[name, value])
    for betas in ((-0.1, 0.9), (1.0, 0.9), (0.9, -0.5), (0.9, 1.5)):
        check.raises(ValueError, module.AdamW, [p], betas=betas, naming=["betas", *betas])
    step(made([p], lr=0.1, weight_decay=0.0, betas=(0.0, 0.0), eps=0.0), [(p, [5.0])])
    holds(p, [0.9], "a parameter, for betas and eps of 0")


# -- parameter_groups


def groups_of(model, weight_decay) -> Any:
    """The two groups that come, after a look that they are two, with what belongs to them."""
    got = module.parameter_groups(model, weight_decay)
    fits = isinstance(got, (list, tuple)) and len(got) == 2
    check.true(fits and all(isinstance(group, dict) for group in got), "two groups come, dictionaries", got=got)
    for group in got:
        missing = sorted({"params", "weight_decay"} - group.keys())
        check.equal(missing, [], "the names that a group lacks")
        check.true(isinstance(group["params"], (list, tuple)), '"params" is a list', got=group["params"])
    return got


def names_in(model, group):
    """The names of the parameters of a group."""
    names = {id(p): name for name, p in model.named_parameters()}
    return [names.get(id(p), "a parameter that is not the model's") for p in group["params"]]


def sorted_as(model, decaying, rest, what, why=""):
    groups = groups_of(model, 0.3)
    check.equal(names_in(model, groups[0]), decaying, f"the parameters that decay, {what}", why=why)
    check.equal(names_in(model, groups[1]), rest, f"the parameters that do not decay, {what}", why=why)
    check.close([float(group["weight_decay"]) for group in groups], [0.3, 0.0], "weight_decay of the two groups")


def test_matrices_decay():
    """Matrices and tables decay; biases, and gains and shifts of norms, do not."""
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2, bias=False))
    rest = ["1.bias", "2.weight", "2.bias"]
    why = "What has two dimensions or more decays; a norm's gain is called weight too, and has one."
    sorted_as(model, ["0.weight", "1.weight", "3.weight"], rest, "of a table, two linear layers and a norm", why)


class Odd(nn.Module):
    """Parameters of zero to four dimensions, whose names say nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.ones(2, 3))
        self.gain = nn.Parameter(torch.ones(5))
        self.norm = nn.Parameter(torch.ones(2, 1, 3, 2))
        self.scale = nn.Parameter(torch.ones(1, 4))
        self.kernel = nn.Parameter(torch.ones(3))


def test_names_say_nothing():
    """The number of dimensions says who decays, not the name."""
    sorted_as(Odd(), ["bias", "norm", "scale"], ["weight", "gain", "kernel"], "of zero to four dimensions")


def test_frozen_parameters():
    """What is not trained is in neither group."""
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 3), nn.Linear(3, 2), nn.LayerNorm(2))
    model[0].requires_grad_(False)
    model[2].bias.requires_grad_(False)
    model[3].weight.requires_grad_(False)
    sorted_as(model, ["1.weight", "2.weight"], ["1.bias", "3.bias"], "of a model that is frozen in part")


def test_shared_parameters():
    """A parameter that stands in two places is there once."""
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 4), nn.Linear(4, 7, bias=False), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    model[3].bias = model[1].bias
    sorted_as(model, ["0.weight", "1.weight", "3.weight"], ["1.bias"], "of a model that shares two")


def test_in_the_order_of_the_model():
    """In each group, parameters are in the order of the model, whatever their sizes."""
    sizes = [3, 9, 2, 8, 5, 4, 7, 6]
    model = nn.Sequential(*[nn.Linear(one, other) for one, other in zip(sizes, sizes[1:])])
    why = "A saved state goes by the order: with another one, m and v go to parameters that they do not belong to."
    decaying, rest = ([f"{i}.{name}" for i in range(7)] for name in ("weight", "bias"))
    sorted_as(model, decaying, rest, "of seven linear layers", why)


def test_groups_may_be_empty():
    """There are two groups even if one is empty."""
    sorted_as(nn.Linear(2, 3, bias=False), ["weight"], [], "of a layer without bias")
    sorted_as(nn.LayerNorm(3), [], ["weight", "bias"], "of a norm")


def test_groups_in_the_optimizer():
    """With gradients of 0, one step of AdamW shrinks matrices, and leaves the rest as it is."""
    model: Any = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = made(groups_of(model, 0.5), lr=0.5)
    step(optimizer, [(p, torch.zeros_like(p)) for p in model.parameters()])
    for name, p in model.named_parameters():
        share = 0.75 if name == "0.weight" else 1.0
        holds(p, share * before[name], f"{name} after a step with lr=0.5 and weight_decay=0.5", atol=1e-6)


def test_a_decay_that_is_negative():
    """A negative weight_decay is a ValueError that names it; 0 is none."""
    check.equal(len(groups_of(nn.Linear(2, 3), 0.0)), 2, "how many groups there are with weight_decay=0")
    for value in (-0.1, math.nan):
        check.raises(ValueError, module.parameter_groups, nn.Linear(2, 3), value, naming=[value])
