"""4.9 · LoRA: a thin way beside each frozen layer, put in, trained, kept, and merged."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from bootcamp.grading import check, written

module = written("stage04_block.lora")
gpt = written("stage04_block.gpt")
config_of = written("stage04_block.config")

C, F, R, ALPHA = 6, 4, 3, 7.5  # in, out, rank, and a factor that is no multiple of the rank
HALVES = [torch.bfloat16, torch.float16]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def generator(seed):
    return torch.Generator().manual_seed(seed)


def draw(rng, *shape, dtype=torch.float64):
    return torch.randn(shape, generator=generator(rng.randrange(1 << 32)), dtype=torch.float64).to(dtype)


def linear(rng, inside=C, out=F, bias=True, dtype=torch.float64):
    """A linear layer with random numbers of ours."""
    layer = nn.Linear(inside, out, bias=bias, dtype=dtype)
    with torch.no_grad():
        for each in layer.parameters():
            each.copy_(draw(rng, *each.shape))
    return layer


def filled(rng, model) -> Any:
    """Give all adapters of a model random numbers, B too, as after some training."""
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, module.LoRALinear):
                part.lora_a.copy_(draw(rng, *part.lora_a.shape))
                part.lora_b.copy_(draw(rng, *part.lora_b.shape))
    return model


def adapted(rng, alpha=ALPHA, rank=R, **options) -> Any:
    """A LoRALinear with random numbers everywhere, and its three matrices."""
    base = linear(rng, **options)
    layer = filled(rng, module.LoRALinear(base, rank, alpha))
    return layer, base.weight.detach().clone(), layer.lora_a.detach().clone(), layer.lora_b.detach().clone()


class Small(nn.Module):
    """A model that is no GPT: linear layers at two depths, one norm, one layer that shares its weight."""

    def __init__(self, rng) -> None:
        super().__init__()
        self.table = nn.Embedding(9, C, dtype=torch.float64)
        self.parts = nn.ModuleDict({"up": linear(rng, C, 8), "down": linear(rng, 8, 5, bias=False)})
        self.norm = nn.LayerNorm(5, dtype=torch.float64)
        self.back = linear(rng, 5, C)
        self.head = nn.Linear(C, 9, bias=False, dtype=torch.float64)
        self.head.weight = self.table.weight

    def forward(self, ids):
        x = torch.tanh(self.parts["up"](self.table(ids)))
        return self.head(self.back(self.norm(self.parts["down"](x))))


IDS = torch.tensor([[3, 1, 4, 1], [5, 8, 2, 6]])
LAYERS = ["parts.up", "parts.down", "back"]  # those that LoRA stands beside if nothing is said


def adapters_of(model):
    """The full names of what is a LoRALinear now."""
    return [name for name, part in model.named_modules() if isinstance(part, module.LoRALinear)]


def added(model, *args, **kwargs) -> Any:
    """The model that add_lora gives, held to be the one that it was given."""
    got = module.add_lora(model, *args, **kwargs)
    check.true(got is model, "add_lora gives the model that it was given", got=got)
    return got


def merged(model) -> Any:
    got = module.merge_lora(model)
    check.true(got is model, "merge_lora gives the model that it was given", got=got)
    return got


def outputs(model, x=IDS):
    with torch.no_grad():
        return model(x)


def gpt_model(rng, **options) -> Any:
    settings: Any = {"vocab_size": 11, "context_length": 9, "d_model": 8, "n_layers": 2, "n_heads": 2, "d_ff": 12}
    model = gpt.GPT(config_of.GPTConfig(**(settings | options))).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.5 * draw(rng, *weight.shape))
    return model.eval()


# -- one layer


def test_by_hand():
    """The layer gives base(x) + alpha / r · B A x."""
    base = nn.Linear(2, 2)
    layer = module.LoRALinear(base, rank=1, alpha=3.0)
    with torch.no_grad():
        base.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        base.bias.copy_(torch.tensor([10.0, 20.0]))
        layer.lora_a.copy_(torch.tensor([[1.0, -1.0]]))
        layer.lora_b.copy_(torch.tensor([[2.0], [0.5]]))
    why = "base(x) = [15, 24]; A x = 5 - 2 = 3; B A x = [6, 1.5]; alpha / r = 3."
    check.close(outputs(layer, torch.tensor([5.0, 2.0])), [33.0, 28.5], "the output for x = [5, 2]", why=why)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_at_the_start(rng, bias):
    """At the start, the layer gives what the layer inside it gives."""
    base = linear(rng, bias=bias)
    x = draw(rng, 5, C)
    expected = outputs(base, x)
    check.close(outputs(module.LoRALinear(base, R), x), expected, "the output of a new LoRALinear", rtol=0, atol=1e-12)


def test_what_is_drawn(rng):
    """A is drawn from N(0, 1/r), and B is 0."""
    layer = module.LoRALinear(linear(rng, 4000, 9), 9, generator=generator(rng.randrange(1 << 32)))
    a = layer.lora_a.detach()
    check.equal(tuple(a.shape), (9, 4000), "the shape of lora_a for a layer from 4000 to 9 and the rank 9")
    check.equal(tuple(layer.lora_b.shape), (9, 9), "the shape of lora_b")
    check.close(layer.lora_b, torch.zeros(9, 9), "lora_b", rtol=0, atol=0)
    check.close(float(a.mean()), 0.0, "the mean of 36000 numbers of lora_a", atol=0.01)
    check.close(float(a.std()), 1 / 3, "their standard deviation, 1/√r", rtol=0.03)
    check.true(float(a.abs().max()) > 1.0, "some are further from 0 than three standard deviations", got=a.abs().max())


def test_what_it_has(rng):
    """base is the layer that was given; lora_a (r, C) and lora_b (F, r) are Parameters."""
    base = linear(rng)
    layer = module.LoRALinear(base, R)
    check.true(layer.base is base, "base is the layer that was given, the same object")
    for name, shape in (("lora_a", (R, C)), ("lora_b", (F, R))):
        its = getattr(layer, name)
        check.true(isinstance(its, nn.Parameter), f"{name} is a Parameter", got=its)
        check.equal(tuple(its.shape), shape, f"the shape of {name}")
    got = sorted(name for name, each in layer.named_parameters() if each.requires_grad)
    check.equal(got, ["lora_a", "lora_b"], "the parameters that are trained")
    check.true(not any(each.requires_grad for each in base.parameters()), "the parameters of base are frozen")


@pytest.mark.parametrize("rank, alpha", [(1, 16.0), (3, 16.0), (4, 16.0), (3, 7.5), (2, 0.5), (3, 0.0)])
def test_alpha_over_rank(rng, rank, alpha):
    """The product is multiplied by alpha / r."""
    layer, _, a, b = adapted(rng, alpha, rank)
    x = draw(rng, 5, C)
    expected = outputs(layer.base, x) + x @ a.T @ b.T * (alpha / rank)
    check.close(outputs(layer, x), expected, f"the output with rank={rank} and alpha={alpha}")


def test_alpha_is_16(rng):
    """If nothing is said, alpha is 16."""
    layer = filled(rng, module.LoRALinear(linear(rng), R))
    x = draw(rng, 5, C)
    expected = outputs(layer.base, x) + x @ layer.lora_a.detach().T @ layer.lora_b.detach().T * (16 / R)
    check.close(outputs(layer, x), expected, f"the output with rank={R}")


@pytest.mark.parametrize("lead", [(), (5,), (2, 5), (2, 1, 5), (0,)], ids=str)
def test_any_leading_dimensions(rng, lead):
    """x may be (..., C), with any dimensions before the last."""
    layer, _, a, b = adapted(rng)
    x = draw(rng, *lead, C)
    expected = outputs(layer.base, x) + x @ a.T @ b.T * (ALPHA / R)
    got = check.unchanged(lambda x: outputs(layer, x), x)
    check.close(got, expected, f"the output for x {tuple(x.shape)}")


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_the_one_matrix(rng, bias):
    """weight is W + alpha / r · B A, the matrix that does the same; bias is that of the layer."""
    layer, w, a, b = adapted(rng, bias=bias)
    check.close(layer.weight, w + b @ a * (ALPHA / R), "weight")
    check.true(layer.bias is layer.base.bias, "bias is the bias of base")
    check.close(layer.base.weight, w, "base.weight, after a look at weight", rtol=0, atol=0)


def test_only_what_is_thin_learns(rng):
    """A and B get gradients, the layer inside gets none, and x gets one."""
    layer, w, a, b = adapted(rng)
    x = draw(rng, 5, C).requires_grad_()
    upstream = draw(rng, 5, F)
    (layer(x) * upstream).sum().backward()
    scale = ALPHA / R
    check.close(layer.lora_b.grad, scale * upstream.T @ x.detach() @ a.T, "the gradient of lora_b")
    check.close(layer.lora_a.grad, scale * b.T @ upstream.T @ x.detach(), "the gradient of lora_a")
    check.close(x.grad, upstream @ (w + scale * b @ a), "the gradient of x")
    got = [name for name, each in layer.base.named_parameters() if each.grad is not None]
    check.equal(got, [], "the parameters of base that get a gradient")


def test_the_first_step(rng):
    """In the first step only B gets a gradient that is not 0, since it is 0 itself; after that, A gets one too."""
    layer: Any = module.LoRALinear(linear(rng), R, generator=generator(1))
    x, upstream = draw(rng, 5, C), draw(rng, 5, F)
    (layer(x) * upstream).sum().backward()
    a: Any = layer.lora_a.grad
    b: Any = layer.lora_b.grad
    check.true(b is not None and bool(b.any()), "in the first step, the gradient of lora_b is not 0")
    check.true(a is None or not a.any(), "in the first step, the gradient of lora_a is 0")
    with torch.no_grad():
        layer.lora_b.sub_(0.1 * layer.lora_b.grad)
    layer.lora_a.grad = layer.lora_b.grad = None
    (layer(x) * upstream).sum().backward()
    a = layer.lora_a.grad
    check.true(a is not None and bool(a.any()), "in the second step, the gradient of lora_a is not 0")


def test_drawn_from_the_generator(rng):
    """A is drawn from the generator: the same seed gives the same A, another another; torch's own is left alone."""
    base = linear(rng)
    before = torch.get_rng_state()
    one, same, other = (module.LoRALinear(base, R, generator=generator(seed)).lora_a.detach() for seed in (3, 3, 4))
    check.close(same, one, "lora_a with the same seed a second time", rtol=0, atol=0)
    check.true(not torch.equal(one, other), "with another seed, another lora_a comes", got=other)
    check.true(torch.equal(torch.get_rng_state(), before), "with a generator, torch's own is where it was")
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(module.LoRALinear(base, R).lora_a.detach())
    check.close(drawn[1], drawn[0], "lora_a after the same torch.manual_seed", rtol=0, atol=0)
    check.true(not torch.equal(drawn[0], drawn[2]), "after another torch.manual_seed, another lora_a comes")


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32, torch.float64], ids=str)
def test_formats(rng, dtype):
    """A and B are in the format of the layer, and so is what comes out."""
    layer = module.LoRALinear(linear(rng, dtype=dtype), R)
    check.equal(
        [str(layer.lora_a.dtype), str(layer.lora_b.dtype)], [str(dtype)] * 2, "the formats of lora_a and lora_b"
    )
    filled(rng, layer)
    got = outputs(layer, draw(rng, 5, C, dtype=dtype))
    check.equal(str(got.dtype), str(dtype), "the format of the output")
    check.equal(str(layer.weight.dtype), str(dtype), "the format of weight")


@pytest.mark.parametrize("device", DEVICES)
def test_on_any_device(rng, device):
    """A and B are on the device of the layer."""
    layer = module.LoRALinear(linear(rng).to(device), R)
    got = [layer.lora_a.device.type, layer.lora_b.device.type]
    check.equal(got, [device] * 2, "the devices of lora_a and lora_b")
    filled(rng, layer)
    x = draw(rng, 5, C)
    expected = (outputs(layer.base, x.to(device)) + x.to(device) @ layer.lora_a.mT @ layer.lora_b.mT * 16 / R).cpu()
    check.close(outputs(layer, x.to(device)).cpu(), expected, f"the output on {device}")


@pytest.mark.parametrize("rank", [0, -1, 5, 6])
def test_ranks_out_of_range(rng, rank):
    """A rank that is not from 1 to the smaller of C and F is a ValueError that names it."""
    for inside, out in ((C, F), (F, C)):
        base = linear(rng, inside, out)
        check.raises(ValueError, module.LoRALinear, base, rank, naming=[rank, 4])
        check.true(base.weight.requires_grad, "the layer is not frozen when the rank is refused")
        check.equal(tuple(module.LoRALinear(base, 4).lora_b.shape), (out, 4), "the shape of lora_b with the rank 4")


# -- a whole model


def test_added_to_each_layer(rng):
    """Each linear layer gets its own adapters, at any depth, but for one that shares its weight with another part."""
    model = Small(rng)
    inside = {name: model.get_submodule(name) for name in LAYERS}
    added(model, 2, ALPHA)
    check.equal(sorted(adapters_of(model)), sorted(LAYERS), "the layers that have adapters now")
    for name, layer in inside.items():
        check.true(model.get_submodule(name).base is layer, f"{name}.base is the layer that was there")
    check.true(isinstance(model.head, nn.Linear), "head shares its weight with table, and stays as it is")
    check.true(model.head.weight is model.table.weight, "head.weight is table.weight still")


def test_the_model_says_what_it_said(rng):
    """When adapters have been put in, the outputs are what they were."""
    model = Small(rng)
    expected = outputs(model)
    check.close(outputs(added(model, 2)), expected, "the outputs behind add_lora", rtol=0, atol=1e-12)


def test_only_the_adapters_are_trained(rng):
    """In the model, nothing but A and B of the adapters is trained: biases, norms and tables are not."""
    model = added(Small(rng), 2)
    got = sorted(name for name, each in model.named_parameters() if each.requires_grad)
    expected = sorted(f"{name}.{which}" for name in LAYERS for which in ("lora_a", "lora_b"))
    check.equal(got, expected, "the parameters that are trained")
    model(IDS).square().sum().backward()
    got = sorted(name for name, each in model.named_parameters() if each.grad is not None)
    check.equal(got, expected, "the parameters that get a gradient")


def test_targets(rng):
    """With targets, only layers of these names get adapters; all else is frozen too."""
    for targets, expected in ((["up"], ["parts.up"]), (("down", "back"), ["parts.down", "back"])):
        model = added(Small(rng), 2, ALPHA, targets)
        check.equal(adapters_of(model), expected, f"the layers that have adapters with targets={targets}")
        got = sorted(name for name, each in model.named_parameters() if each.requires_grad)
        right = sorted(f"{name}.{which}" for name in expected for which in ("lora_a", "lora_b"))
        check.equal(got, right, f"the parameters that are trained with targets={targets}")


def test_rank_and_alpha_of_a_model(rng):
    """rank and alpha hold for all adapters of a model."""
    model = filled(rng, added(Small(rng), 2, 5.0))
    for name in LAYERS:
        layer = model.get_submodule(name)
        x = draw(rng, 3, layer.base.in_features)
        expected = outputs(layer.base, x) + x @ layer.lora_a.detach().T @ layer.lora_b.detach().T * 2.5
        check.close(outputs(layer, x), expected, f"the output of {name} with rank=2 and alpha=5")


def test_a_model_drawn_from_a_generator(rng):
    """With a generator, the same adapters come again; those of the layers differ from one another."""
    models: Any = [nn.Sequential(linear(rng), linear(rng, F, C), linear(rng)) for _ in "ab"]
    before = torch.get_rng_state()
    for model in models:
        added(model, 2, generator=generator(7))
    check.true(torch.equal(torch.get_rng_state(), before), "with a generator, torch's own is where it was")
    for index in range(3):
        check.close(models[1][index].lora_a, models[0][index].lora_a, f"{index}.lora_a, a second time", rtol=0, atol=0)
    first, last = models[0][0].lora_a, models[0][2].lora_a
    check.true(not torch.equal(first, last), "two layers of one model do not get the same A", got=first)


def test_training_moves_the_outputs(rng):
    """Training the adapters brings the outputs nearer to others; the frozen weights stay to the last bit."""
    model = added(Small(rng), 2, generator=generator(1))
    kept = {name: each.detach().clone() for name, each in model.named_parameters() if not each.requires_grad}
    target = outputs(model) + draw(rng, 2, 4, 9)
    losses = []
    for _ in range(12):
        loss = (model(IDS) - target).square().mean()
        losses.append(loss.item())
        loss.backward()
        learned: Any = [each for each in model.parameters() if each.grad is not None]
        size = math.sqrt(sum(float(each.grad.square().sum()) for each in learned))
        with torch.no_grad():
            for each in learned:
                each.sub_(each.grad * (0.005 / size))
                each.grad = None
    check.true(losses[-1] < losses[0], "the loss falls", got=[losses[0], losses[-1]])
    moved = [name for name, each in model.named_parameters() if name in kept and not torch.equal(each, kept[name])]
    check.equal(sorted(moved), [], "the frozen parameters that have moved")


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "not tied"])
def test_a_gpt(rng, tied):
    """A GPT gets adapters as any model does; its head does if it does not share the table."""
    model = gpt_model(rng, tie_weights=tied)
    ids = IDS % 11
    expected = outputs(model, ids)
    added(model, 2, ALPHA)
    names = adapters_of(model)
    wanted = {f"blocks.{i}.feed_forward.{which}" for i in range(2) for which in ("up", "down")}
    check.equal(sorted(wanted - set(names)), [], "the layers of a GPT that have no adapters")
    check.equal("head" in names, not tied, f"whether the head has adapters with tie_weights={tied}")
    check.close(outputs(model, ids), expected, "the logits behind add_lora", rtol=0, atol=1e-10)
    filled(rng, model)
    expected = outputs(model, ids)
    check.close(outputs(merged(model), ids), expected, "the logits behind merge_lora", rtol=1e-6)
    check.equal(adapters_of(model), [], "the layers that have adapters behind merge_lora")


def test_a_gated_gpt(rng):
    """Layers of a GPT are chosen by the last part of their names."""
    model = added(gpt_model(rng, activation="swiglu", norm="rms"), 3, targets=["gate", "down"])
    expected = [f"blocks.{i}.feed_forward.{which}" for i in range(2) for which in ("down", "gate")]
    check.equal(sorted(adapters_of(model)), expected, 'the layers that have adapters with targets=["gate", "down"]')
    model(IDS % 11).square().sum().backward()
    got = {name.rpartition(".")[2] for name, each in model.named_parameters() if each.grad is not None}
    check.equal(sorted(got), ["lora_a", "lora_b"], "the last parts of the names of parameters that get a gradient")


def test_unknown_targets(rng):
    """A target that is the name of no linear layer is a ValueError that names it; then nothing is changed."""
    model = Small(rng)
    check.raises(ValueError, module.add_lora, model, 2, targets=["up", "norm"], naming=["norm", "down"])
    check.equal(adapters_of(model), [], "the layers that have adapters then")
    check.true(all(each.requires_grad for each in model.parameters()), "nothing is frozen then")
    check.equal(adapters_of(added(model, 2, targets=["up"])), ["parts.up"], "the layers with adapters, for a known one")


def test_adapters_on_adapters(rng):
    """A model that has adapters gets no more: a ValueError, and nothing is changed."""
    model = added(Small(rng), 2, targets=["up"])
    check.raises(ValueError, module.add_lora, model, 2, targets=["back"])
    check.equal(adapters_of(model), ["parts.up"], "the layers that have adapters then")
    merged(model)
    check.equal(adapters_of(added(model, 2, targets=["back"])), ["back"], "the layers with adapters, behind merge_lora")


def test_a_rank_that_one_layer_cannot_have(rng):
    """If one layer is too small for the rank, it is a ValueError that names it; then nothing is changed."""
    model = Small(rng)
    check.raises(ValueError, module.add_lora, model, 6, naming=["parts.down", 5, 6])
    check.raises(ValueError, module.add_lora, model, 0, naming=[0])
    check.equal(adapters_of(model), [], "the layers that have adapters then")
    check.true(all(each.requires_grad for each in model.parameters()), "nothing is frozen then")
    check.equal(len(adapters_of(added(model, 5))), 3, "how many layers have adapters of the rank 5")


def test_nothing_to_put_adapters_beside(rng):
    """A model without linear layers of its own is a ValueError."""
    check.raises(ValueError, module.add_lora, nn.Sequential(nn.LayerNorm(3), nn.Tanh()), 1)
    check.equal(adapters_of(added(nn.Sequential(nn.Tanh(), linear(rng)), 1)), ["1"], "the layers with adapters")


# -- merging


def test_merged_by_hand():
    """Merging adds alpha / r · B A to the weight."""
    model: Any = nn.Sequential(nn.Linear(2, 2))
    model[0].weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    added(model, 1, 3.0)
    layer: Any = model[0]
    with torch.no_grad():
        layer.lora_a.copy_(torch.tensor([[1.0, -1.0]]))
        layer.lora_b.copy_(torch.tensor([[2.0], [0.5]]))
    why = "B A = [[2, -2], [0.5, -0.5]], and alpha / r = 3."
    check.close(merged(model)[0].weight, [[7.0, -6.0], [1.5, 0.5]], "the weight behind merge_lora", why=why)


def test_merged_outputs_stay(rng):
    """Behind merge_lora, the outputs are what they were with the adapters."""
    model = filled(rng, added(Small(rng), 2, ALPHA))
    expected = outputs(model)
    check.close(outputs(merged(model)), expected, "the outputs behind merge_lora", rtol=1e-9, atol=1e-9)
    check.close(outputs(merged(model)), expected, "the outputs after merge_lora twice", rtol=1e-9, atol=1e-9)


def test_merged_in_float32(rng):
    """In float32, the outputs stay up to 1e-5."""
    model = filled(rng, added(nn.Sequential(linear(rng, dtype=torch.float32)), 2))
    x = draw(rng, 5, C, dtype=torch.float32)
    expected = outputs(model, x)
    check.close(outputs(merged(model), x), expected, "the outputs behind merge_lora", rtol=1e-5, atol=1e-4)


def test_merged_layers_are_plain_again(rng):
    """Behind merge_lora, the old layers stand in their old places, with the same parameter objects."""
    model = Small(rng)
    layers = {name: model.get_submodule(name) for name in LAYERS}
    before = dict(model.named_parameters())
    filled(rng, added(model, 2))
    merged(model)
    check.equal(adapters_of(model), [], "the layers that have adapters behind merge_lora")
    for name, layer in layers.items():
        check.true(type(model.get_submodule(name)) is nn.Linear, f"{name} is a torch.nn.Linear")
        check.true(model.get_submodule(name) is layer, f"{name} is the layer that was there before add_lora")
    after = dict(model.named_parameters())
    check.equal(sorted(after), sorted(before), "the names of the parameters")
    check.true(all(after[name] is before[name] for name in before), "the parameters are the objects that they were")


def test_merged_layers_are_trained(rng):
    """Behind merge_lora, all parameters are trained again, and get gradients."""
    model = filled(rng, added(Small(rng), 2, targets=["up"]))
    merged(model)
    frozen = [name for name, each in model.named_parameters() if not each.requires_grad]
    check.equal(frozen, [], "the parameters that are frozen behind merge_lora")
    leaves = [name for name, each in model.named_parameters() if not each.is_leaf]
    check.equal(leaves, [], "the parameters that hang on a graph behind merge_lora")
    model(IDS).square().sum().backward()
    without = [name for name, each in model.named_parameters() if each.grad is None]
    check.equal(without, [], "the parameters that get no gradient behind merge_lora")


def test_only_weights_are_merged(rng):
    """Merging leaves biases, norms, tables and layers without adapters as they are."""
    model = Small(rng)
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    filled(rng, added(model, 2, targets=["up", "down"]))
    merged(model)
    moved = [name for name, each in model.named_parameters() if not torch.equal(each, before[name])]
    check.equal(sorted(moved), ["parts.down.weight", "parts.up.weight"], "the parameters that merging changes")


@pytest.mark.varied
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_merged_half_formats(rng, dtype):
    """A layer of a half format keeps its format when it is merged."""
    model = filled(rng, added(nn.Sequential(linear(rng, dtype=dtype)), 2, 1.0))
    w, a, b = (each.detach().double() for each in (model[0].base.weight, model[0].lora_a, model[0].lora_b))
    got = merged(model)[0].weight
    check.equal(str(got.dtype), str(dtype), "the format of the weight behind merge_lora")
    check.close(got, w + 0.5 * b @ a, "the weight behind merge_lora", rtol=0.02, atol=0.05)


# -- keeping


def kept(model) -> Any:
    got = module.lora_state_dict(model)
    tensors = isinstance(got, dict) and all(isinstance(each, torch.Tensor) for each in got.values())
    check.true(tensors, "lora_state_dict gives a dict of tensors", got=got)
    return got


def test_what_is_kept(rng):
    """lora_state_dict gives A and B of all adapters by their full names, and nothing else."""
    model = filled(rng, added(Small(rng), 2))
    got = kept(model)
    expected = {f"{name}.{which}" for name in LAYERS for which in ("lora_a", "lora_b")}
    check.equal(sorted(got), sorted(expected), "the names in lora_state_dict")
    for name in LAYERS:
        layer = model.get_submodule(name)
        for which in ("lora_a", "lora_b"):
            its = getattr(layer, which)
            check.close(got[f"{name}.{which}"], its, f"{name}.{which} of lora_state_dict", rtol=0, atol=0)


def test_nothing_is_kept_of_a_plain_model(rng):
    """Of a model without adapters nothing is kept; neither behind merge_lora."""
    model = Small(rng)
    check.equal(len(kept(model)), 0, "how many tensors lora_state_dict gives for a plain model")
    merged(added(model, 2))
    check.equal(len(kept(model)), 0, "how many tensors it gives behind merge_lora")
    check.equal(len(kept(added(model, 2))), 6, "how many tensors it gives for three layers with adapters")


def test_kept_are_copies(rng):
    """What is kept has no gradient, and stays when the training goes on."""
    model = filled(rng, added(Small(rng), 2))
    got = kept(model)
    check.true(bool(got), "there are tensors", got=got)
    traced = [name for name, tensor in got.items() if tensor.requires_grad]
    check.equal(sorted(traced), [], "the tensors of lora_state_dict that have a gradient")
    before = {name: tensor.clone() for name, tensor in got.items()}
    filled(rng, model)
    moved = [name for name, tensor in got.items() if not torch.equal(tensor, before[name])]
    check.equal(sorted(moved), [], "the tensors of lora_state_dict that change when the adapters do")


def test_loaded_into_another(rng):
    """Loaded into a model of the same weights, adapters make it say what the first one says."""
    seed = rng.randrange(1 << 32)
    one, other = (Small(type(rng)(seed)) for _ in "ab")
    other.load_state_dict(one.state_dict())
    filled(rng, added(one, 2, ALPHA))
    added(other, 2, ALPHA)
    before = dict(other.named_parameters())
    got = kept(one)
    module.load_lora_state_dict(other, got)
    check.close(outputs(other), outputs(one), "the outputs of the second model, beside those of the first")
    after = dict(other.named_parameters())
    check.true(all(after[name] is before[name] for name in before), "the parameters are the objects that they were")
    trained = sorted(name for name, each in after.items() if each.requires_grad)
    check.equal(trained, sorted(got), "the parameters that are trained after loading")
    for tensor in got.values():
        tensor.zero_()
    check.close(
        outputs(other),
        outputs(one),
        "the outputs after the tensors that were loaded have been set to 0 (what is loaded is copied)",
    )


def test_loaded_and_read_again(rng):
    """What was loaded is what lora_state_dict gives afterwards, to the last bit."""
    model = added(Small(rng), 2)
    new = {name: draw(rng, *each.shape) for name, each in kept(model).items()}
    names = sorted(new, reverse=True)
    module.load_lora_state_dict(model, {name: new[name] for name in names})
    got = kept(model)
    for name, tensor in new.items():
        check.close(got[name], tensor, f"{name} after load_lora_state_dict", rtol=0, atol=0)


REFUSED: list[Any] = [
    ("back.lora_a", None, ["back.lora_a", (2, 5), "nothing"]),
    ("parts.up.lora_b", (8, 3), ["parts.up.lora_b", (8, 2), (8, 3)]),
    ("parts.up.lora_a", (C, 2), ["parts.up.lora_a", (2, C), (C, 2)]),
    ("norm.lora_a", (2, 5), ["norm.lora_a", "nothing", (2, 5)]),
    ("back.weight", (6, 5), ["back.weight", "nothing", (6, 5)]),
]


@pytest.mark.parametrize("name, shape, naming", REFUSED, ids=str)
def test_what_does_not_fit_is_refused(rng, name, shape, naming):
    """A tensor that is missing, unknown or of another shape is a ValueError with both shapes; nothing is written."""
    model = filled(rng, added(Small(rng), 2))
    before = kept(model)
    new = {each: draw(rng, *tensor.shape) for each, tensor in before.items()}
    wrong = {each: tensor for each, tensor in new.items() if each != name}
    if shape is not None:
        wrong[name] = draw(rng, *shape)
    check.raises(ValueError, module.load_lora_state_dict, model, wrong, naming=naming)
    got = kept(model)
    for each, tensor in before.items():
        check.close(got[each], tensor, f"{each} after tensors were refused", rtol=0, atol=0)
    module.load_lora_state_dict(model, new)
    check.close(kept(model)["back.lora_b"], new["back.lora_b"], "back.lora_b after all was right", rtol=0, atol=0)


def test_a_file_of_adapters(rng, tmp_path):
    """The adapters of a GPT can be kept in a file, and are much smaller than the model."""
    model = filled(rng, added(gpt_model(rng), 1))
    ids = IDS % 11
    expected = outputs(model, ids)
    torch.save(kept(model), tmp_path / "adapters.pt")
    filled(rng, model)
    module.load_lora_state_dict(model, torch.load(tmp_path / "adapters.pt"))
    check.close(outputs(model, ids), expected, "the logits with the adapters from the file", rtol=1e-9, atol=1e-9)
    small, whole = sum(each.numel() for each in kept(model).values()), sum(each.numel() for each in model.parameters())
    check.true(small < whole / 3, "the adapters are less than a third of a small model", got=f"{small} of {whole}")


def test_no_root_of_the_rank():
    """What the rank divides is alpha, and not a root of it: 4 ranks of ones add up to alpha."""
    layer = module.LoRALinear(nn.Linear(5, 4, bias=False), 4, 2.0)
    with torch.no_grad():
        layer.base.weight.zero_()
        layer.lora_a.fill_(1.0)
        layer.lora_b.fill_(1.0)
    expected = torch.full((4,), 2.0 * math.fsum([1.0] * 5))
    check.close(outputs(layer, torch.ones(5)), expected, "the output for ones everywhere, rank 4 and alpha 2")
