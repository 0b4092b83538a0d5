"""4.8 · Published weights: GPT-2's tensors, read into a GPT and written back."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from bootcamp.grading import check, written

module = written("stage04_block.pretrained")
gpt = written("stage04_block.gpt")
config_of = written("stage04_block.config")

SIZES = {"vocabulary": 13, "context": 7, "width": 12, "layers": 2, "inside": 20}
HEADS = 3
HALVES = [torch.bfloat16, torch.float16]
FORMATS = [*HALVES, torch.float32, torch.float64]
EXTRAS = {"h.0.attn.bias": (1, 1, 7, 7), "h.1.attn.masked_bias": (), "lm_head.weight": (13, 12)}


def shapes(vocabulary, context, width, layers, inside):
    """The published names, and the shapes of a model of these sizes."""
    found = {"wte.weight": (vocabulary, width), "wpe.weight": (context, width)}
    for i in range(layers):
        found |= {f"h.{i}.ln_1.weight": (width,), f"h.{i}.ln_1.bias": (width,)}
        found |= {f"h.{i}.attn.c_attn.weight": (width, 3 * width), f"h.{i}.attn.c_attn.bias": (3 * width,)}
        found |= {f"h.{i}.attn.c_proj.weight": (width, width), f"h.{i}.attn.c_proj.bias": (width,)}
        found |= {f"h.{i}.ln_2.weight": (width,), f"h.{i}.ln_2.bias": (width,)}
        found |= {f"h.{i}.mlp.c_fc.weight": (width, inside), f"h.{i}.mlp.c_fc.bias": (inside,)}
        found |= {f"h.{i}.mlp.c_proj.weight": (inside, width), f"h.{i}.mlp.c_proj.bias": (width,)}
    return found | {"ln_f.weight": (width,), "ln_f.bias": (width,)}


def draws(rng):
    return torch.Generator().manual_seed(rng.randrange(1 << 32))


def published(rng, dtype=torch.float64, **sizes) -> Any:
    """Random weights by their published names: gains around 1, everything else around 0."""
    own = draws(rng)
    weights = {}
    for name, shape in shapes(**(SIZES | sizes)).items():
        drawn = torch.randn(shape, generator=own, dtype=torch.float64)
        gain = "ln_" in name and name.endswith("weight")
        weights[name] = (1 + 0.3 * drawn if gain else 0.5 * drawn).to(dtype)
    return weights


def tokens(rng, batch, length, vocabulary=SIZES["vocabulary"]):
    return torch.randint(vocabulary, (batch, length), generator=draws(rng))


def gpt2(w, ids, heads=HEADS):
    """What GPT-2 computes, in float64 and by its own names; its matrices are multiplied from the right."""
    w = {name: tensor.detach().double() for name, tensor in w.items()}
    width = w["wte.weight"].shape[1]

    def norm(x, name):
        return functional.layer_norm(x, (width,), w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-5)

    def conv(x, name):
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["wte.weight"][ids] + w["wpe.weight"][: ids.shape[1]]  # (B, T, C)
    later = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).triu(1)
    layers = sum(name.endswith(".ln_1.bias") for name in w)
    for i in range(layers):
        q, k, v = conv(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").split(width, dim=-1)
        q, k, v = (each.unflatten(-1, (heads, -1)).transpose(1, 2) for each in (q, k, v))
        scores = (q @ k.mT / math.sqrt(width / heads)).masked_fill(later, -math.inf)
        x = x + conv((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), f"h.{i}.attn.c_proj")
        inside = functional.gelu(conv(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc"), approximate="tanh")
        x = x + conv(inside, f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f") @ w["wte.weight"].T


def loaded(weights, n_heads=HEADS) -> Any:
    """The model that comes from these weights, after a look that it is one and that the weights are left alone."""
    before = {name: tensor.detach().clone() for name, tensor in weights.items()}
    model = module.load_gpt2(weights, n_heads)
    check.true(isinstance(model, gpt.GPT), "load_gpt2 gives a GPT", got=model)
    same = before.keys() == weights.keys() and all(torch.equal(weights[name], before[name]) for name in before)
    check.true(same, "load_gpt2 leaves the weights that it was given as they were")
    return model


def logits(model, ids):
    with torch.no_grad():
        return model(ids)


def identical(got, expected, what):
    """Hold a tensor to another one, to the last bit."""
    check.true(isinstance(got, torch.Tensor), f"{what} is a tensor", got=got)
    check.close(got, expected, what, rtol=0, atol=0)
    check.equal(str(got.dtype), str(expected.dtype), f"the format of {what}")


# -- reading


def test_by_hand():
    """With layers that add nothing, the logits are the products of the normed vector with all rows of the table."""
    weights = {name: torch.zeros(shape) for name, shape in shapes(3, 4, 2, 1, 5).items()}
    weights["wte.weight"] = torch.tensor([[1.0, -1.0], [-2.0, 2.0], [0.0, 3.0]])
    weights["wpe.weight"][1] = torch.tensor([0.0, 4.0])
    weights["ln_f.weight"] += 1.0
    expected = torch.tensor([[[2.0, -4.0, -3.0], [-2.0, 4.0, 3.0]]])
    got = logits(loaded(weights, 1), torch.tensor([[0, 0]]))
    why = "[1, -1] is normed already; at place 1 it is [1, -1] + [0, 4] = [1, 3], normed [-1, 1]."
    check.close(got, expected, "the logits for the ids [[0, 0]]", rtol=1e-4, atol=1e-4, why=why)


def test_the_tables(rng):
    """wte is the table of the tokens and the head, wpe that of the positions."""
    weights = published(rng)
    model = loaded(weights)
    identical(model.embed.token.weight, weights["wte.weight"], "embed.token.weight")
    identical(model.embed.position.weight, weights["wpe.weight"], "embed.position.weight")
    identical(model.head.weight, weights["wte.weight"], "head.weight")
    check.true(model.head.weight is model.embed.token.weight, "head.weight is embed.token.weight, the same object")


def test_the_norms(rng):
    """ln_1 is the norm before attention, ln_2 the one before the feed-forward layer, ln_f the last."""
    weights = published(rng)
    model = loaded(weights)
    places: dict[str, Any] = {"ln_f": ("norm", model.norm)}
    for i, block in enumerate(model.blocks):
        places[f"h.{i}.ln_1"] = f"blocks[{i}].norm1", block.norm1
        places[f"h.{i}.ln_2"] = f"blocks[{i}].norm2", block.norm2
    for name, (what, norm) in places.items():
        identical(norm.weight, weights[f"{name}.weight"], f"{what}.weight")
        identical(norm.bias, weights[f"{name}.bias"], f"{what}.bias")


def test_the_projections(rng):
    """c_attn holds query, key and value side by side, in this order, and transposed."""
    weights = published(rng)
    width = SIZES["width"]
    for i, block in enumerate(loaded(weights).blocks):
        got = block.attention.projections()
        for number, name in enumerate(("query", "key", "value")):
            part = slice(number * width, (number + 1) * width)
            matrix, bias = weights[f"h.{i}.attn.c_attn.weight"][:, part], weights[f"h.{i}.attn.c_attn.bias"][part]
            where = f"blocks[{i}].attention.projections().{name}"
            identical(getattr(got, name), matrix.T, where)
            identical(getattr(got, f"{name}_bias"), bias, f"{where}_bias")


def test_the_way_out_of_attention(rng):
    """c_proj of attention is its last projection, transposed, though it is square."""
    weights = published(rng)
    for i, block in enumerate(loaded(weights).blocks):
        got = block.attention.projections()
        identical(
            got.out, weights[f"h.{i}.attn.c_proj.weight"].T, f"blocks[{i}].attention.projections().out, the matrix"
        )
        identical(got.out_bias, weights[f"h.{i}.attn.c_proj.bias"], f"blocks[{i}].attention.projections().out_bias")


@pytest.mark.parametrize("inside", [20, 12], ids=["wide", "square"])
def test_the_feed_forward_layers(rng, inside):
    """c_fc is up and c_proj of mlp is down, both transposed."""
    weights = published(rng, inside=inside)
    for i, block in enumerate(loaded(weights).blocks):
        for name, what in (("c_fc", "up"), ("c_proj", "down")):
            layer = getattr(block.feed_forward, what)
            where = f"blocks[{i}].feed_forward.{what}"
            identical(layer.weight, weights[f"h.{i}.mlp.{name}.weight"].T, f"{where}.weight")
            identical(layer.bias, weights[f"h.{i}.mlp.{name}.bias"], f"{where}.bias")


@pytest.mark.varied
@pytest.mark.parametrize(
    "sizes, heads",
    [
        ({"layers": 1, "width": 4, "inside": 16}, 1),
        ({}, 3),
        ({"width": 8, "inside": 8, "context": 5}, 2),
        ({"layers": 11, "width": 6, "inside": 5, "vocabulary": 4}, 2),
        ({"layers": 1, "width": 128, "inside": 9, "vocabulary": 30}, None),
        ({"layers": 1, "width": 128, "inside": 9, "vocabulary": 30}, 4),
    ],
    ids=str,
)
def test_the_logits_of_gpt2(rng, sizes, heads):
    """The model gives the logits that GPT-2 gives, at all places; with n_heads=None its heads are 64 wide."""
    weights = published(rng, **sizes)
    all_sizes = SIZES | sizes
    ids = tokens(rng, 3, all_sizes["context"], all_sizes["vocabulary"])
    model = loaded(weights, heads)
    expected = gpt2(weights, ids, heads or all_sizes["width"] // 64)
    why = (
        "With 11 layers there is an h.1 and an h.10: does each tensor go to its own layer?"
        if "11" in str(sizes)
        else ""
    )
    check.close(
        logits(model, ids), expected, f"the logits with {sizes or SIZES} and n_heads={heads}", rtol=1e-6, why=why
    )


@pytest.mark.varied
def test_the_heads_may_be_left_out(rng):
    """load_gpt2(weights) alone takes heads of width 64."""
    weights = published(rng, torch.float32, layers=1, width=192, inside=7)
    ids = tokens(rng, 2, 5)
    model = module.load_gpt2({name: 0.2 * tensor for name, tensor in weights.items()})
    expected = gpt2({name: 0.2 * tensor for name, tensor in weights.items()}, ids, 3)
    check.close(logits(model, ids), expected, "the logits of a model of width 192", rtol=1e-4, atol=1e-4)
    check.equal(model.config.n_heads, 3, "its number of heads")


def test_what_the_model_is(rng):
    """The configuration of the model is what the shapes say."""
    config = loaded(published(rng)).config
    got = {name: getattr(config, name) for name in ("vocab_size", "context_length", "d_model", "n_layers", "n_heads")}
    expected = {"vocab_size": 13, "context_length": 7, "d_model": 12, "n_layers": 2, "n_heads": 3}
    check.equal(got, expected, "the sizes in its configuration")
    check.equal((config.ff_width, config.activation), (20, "gelu_tanh"), "its feed-forward layers")


def test_the_prefix(rng):
    """Names may begin with "transformer."."""
    weights = published(rng, layers=1)
    longer = {f"transformer.{name}": tensor for name, tensor in weights.items()}
    ids = tokens(rng, 2, 6)
    got = logits(loaded(longer), ids)
    check.close(got, gpt2(weights, ids), 'the logits with names that begin with "transformer."')


def test_names_that_say_nothing_new(rng):
    """The masks and the head may be in the file, and are not looked at."""
    weights = published(rng)
    ids = tokens(rng, 2, 6)
    more = {name: torch.full(shape, 7.0) for name, shape in EXTRAS.items()}
    check.close(logits(loaded(weights | more), ids), gpt2(weights, ids), "the logits with three names more")
    prefixed = {f"transformer.{name}": tensor for name, tensor in {**more, **weights}.items()}
    prefixed["lm_head.weight"] = prefixed.pop("transformer.lm_head.weight")
    check.close(logits(loaded(prefixed), ids), gpt2(weights, ids), "the logits with the prefix and three names more")


def test_the_order_of_the_names(rng):
    """In which order the tensors come does not matter."""
    weights = published(rng, layers=3)
    names = list(weights)
    rng.shuffle(names)
    ids = tokens(rng, 2, 6)
    got = logits(loaded({name: weights[name] for name in names}), ids)
    check.close(got, gpt2(weights, ids), "the logits of weights in another order")


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
@pytest.mark.parametrize("as_text", [False, True], ids=["path", "str"])
def test_files(rng, tmp_path, kind, as_text):
    """The weights may lie in a file, of safetensors or of torch."""
    weights = published(rng, torch.float32)
    path = tmp_path / ("model.safetensors" if kind == "safetensors" else "model.bin")
    if kind == "safetensors":
        from safetensors.torch import save_file

        save_file(weights, path)
    else:
        torch.save(weights, path)
    model = module.load_gpt2(str(path) if as_text else path, HEADS)
    ids = tokens(rng, 2, 6)
    check.close(logits(model, ids), gpt2(weights, ids), f"the logits of a file of {kind}", rtol=1e-4, atol=1e-4)


def test_files_that_are_none(rng, tmp_path):
    """A file that is not there is an OSError, a damaged one a ValueError that names it."""
    check.raises(OSError, module.load_gpt2, tmp_path / "nowhere.safetensors", HEADS)
    for name in ("model.safetensors", "model.bin"):
        (tmp_path / name).write_bytes(b"this is no file of weights")
        check.raises(ValueError, module.load_gpt2, tmp_path / name, HEADS, naming=[name])
    weights = published(rng)
    ids = tokens(rng, 2, 6)
    check.close(logits(loaded(weights), ids), gpt2(weights, ids), "the logits of weights that are all right")


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_formats(rng, dtype):
    """The weights of the model are in the format of those that were given."""
    weights = published(rng, dtype)
    model = loaded(weights)
    got = sorted({str(weight.dtype) for weight in model.parameters()})
    check.equal(got, [str(dtype)], f"the formats of the parameters, from weights in {dtype}")
    identical(
        model.blocks[1].feed_forward.down.bias, weights["h.1.mlp.c_proj.bias"], "blocks[1].feed_forward.down.bias"
    )
    check.equal(str(logits(model, tokens(rng, 2, 6)).dtype), str(dtype), "the format of the logits")


def test_eval(rng):
    """The model and all its parts are in eval."""
    got = {part.training for part in loaded(published(rng)).modules()}
    check.equal(sorted(got), [False], "the modes (training) of the model and its parts")


def test_all_is_trained(rng):
    """All parameters can be trained on, whatever gradients the given tensors had."""
    weights = {name: torch.nn.Parameter(tensor) for name, tensor in published(rng).items()}
    model = loaded(weights)
    check.true(all(weight.requires_grad for weight in model.parameters()), "all parameters want gradients")
    model(tokens(rng, 2, 6)).square().sum().backward()
    check.true(all(weight.grad is not None for weight in model.parameters()), "all parameters get gradients")
    check.true(all(tensor.grad is None for tensor in weights.values()), "the tensors that were given get none")


def test_numbers_of_its_own(rng):
    """The model's numbers are copies: whoever changes one side later leaves the other as it is."""
    weights = published(rng)
    ids = tokens(rng, 2, 6)
    expected = gpt2(weights, ids)
    model = loaded(weights)
    for tensor in weights.values():
        tensor.zero_()
    check.close(logits(model, ids), expected, "the logits after the given tensors were emptied")
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(1.0)
    changed = [name for name, tensor in weights.items() if tensor.any()]
    check.equal(sorted(changed), [], "the given tensors that change when the model's parameters do")


def test_tensors_that_lie_elsewhere(rng):
    """The tensors may be views that are not contiguous."""
    weights = published(rng)
    ids = tokens(rng, 2, 6)
    views = {name: each.T.contiguous().T if each.dim() == 2 else each for name, each in weights.items()}
    check.close(logits(loaded(views), ids), gpt2(weights, ids), "the logits of weights that are views")


WRONG = [
    ("wte.weight", (13,)),
    ("wpe.weight", (7, 11)),
    ("ln_f.weight", (11,)),
    ("h.1.attn.c_attn.weight", (36, 12)),
    ("h.0.attn.c_proj.bias", (1, 12)),
    ("h.1.mlp.c_fc.weight", (12, 24)),
    ("h.0.mlp.c_proj.weight", (12, 20)),
]


@pytest.mark.parametrize("name, shape", WRONG, ids=lambda each: str(each))
def test_wrong_shapes(rng, name, shape):
    """A tensor of another shape is a ValueError that names it, what was found, and what was expected."""
    weights = published(rng)
    expected = ["C"] if name == "wte.weight" else [shapes(**SIZES)[name]]
    wrong = weights | {name: torch.zeros(shape, dtype=torch.float64)}
    check.raises(ValueError, module.load_gpt2, wrong, HEADS, naming=[name, shape, *expected])
    identical(loaded(weights).norm.bias, weights["ln_f.bias"], "norm.bias, from tensors of the right shapes")


@pytest.mark.parametrize("name", ["wte.weight", "ln_f.bias", "h.1.ln_2.weight", "h.1.mlp.c_fc.weight"])
def test_missing_tensors(rng, name):
    """A missing tensor is a ValueError that names it."""
    weights = published(rng)
    fewer = {each: tensor for each, tensor in weights.items() if each != name}
    check.raises(ValueError, module.load_gpt2, fewer, HEADS, naming=[name, "nothing"])
    identical(loaded(weights).norm.bias, weights["ln_f.bias"], "norm.bias, from all tensors")


@pytest.mark.parametrize("name", ["h.0.attn.rotary", "score.weight", "lm_head.bias", "h.2.ln_1.weight"])
def test_unknown_tensors(rng, name):
    """A tensor that GPT-2 does not have is a ValueError: one with its name, or with the one that it makes miss."""
    weights = published(rng)
    check.raises(ValueError, module.load_gpt2, weights | {name: torch.zeros(12)}, HEADS, naming=[name[:4]])
    identical(loaded(weights).norm.bias, weights["ln_f.bias"], "norm.bias, from known tensors")


def test_heads_that_do_not_fit(rng):
    """If C is no multiple of the heads, or of 64 without a number of heads, it is a ValueError that names C."""
    weights = published(rng)
    check.raises(ValueError, module.load_gpt2, weights, 5, naming=[12, 5])
    check.raises(ValueError, module.load_gpt2, weights, naming=[12, 64])
    identical(loaded(weights, 6).norm.bias, weights["ln_f.bias"], "norm.bias of a model with 6 heads")


# -- writing


def own_model(rng, **options) -> Any:
    """A GPT of GPT-2's kind with random weights, that nothing was read into."""
    settings: Any = {"vocab_size": 13, "context_length": 7, "d_model": 12, "n_layers": 2, "n_heads": 3, "d_ff": 20}
    model = gpt.GPT(config_of.GPTConfig(**(settings | {"activation": "gelu_tanh"} | options))).double()
    own = draws(rng)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=own))
    return model


def exported(model) -> Any:
    """What export_gpt2 gives, after a look that these are tensors by names."""
    got = module.export_gpt2(model)
    tensors = isinstance(got, dict) and all(isinstance(each, torch.Tensor) for each in got.values())
    check.true(tensors, "export_gpt2 gives a dict of tensors", got=got)
    return got


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_what_was_read_is_written(rng, dtype):
    """After load_gpt2, export_gpt2 gives the same names and the same numbers, to the last bit."""
    weights = published(rng, dtype)
    got = exported(loaded(weights))
    check.equal(sorted(got), sorted(weights), "the names that export_gpt2 gives")
    for name, tensor in sorted(weights.items()):
        identical(got[name], tensor, f"{name} of export_gpt2(load_gpt2(weights))")


def test_names_and_shapes(rng):
    """The published names come with the published shapes, for a feed-forward layer of any width too."""
    for inside in (20, 12, None):
        got = {name: tuple(tensor.shape) for name, tensor in exported(own_model(rng, d_ff=inside)).items()}
        check.equal(got, shapes(13, 7, 12, 2, inside or 48), f"the names and shapes with d_ff={inside}")


def test_each_in_its_place(rng):
    """The numbers of a model that was trained here come by the names that the table says."""
    model = own_model(rng)
    got = exported(model)
    for i, block in enumerate(model.blocks):
        p, feed = block.attention.projections(), block.feed_forward
        expected = {
            "ln_1.weight": block.norm1.weight,
            "ln_1.bias": block.norm1.bias,
            "attn.c_attn.weight": torch.cat([p.query.T, p.key.T, p.value.T], dim=1),
            "attn.c_attn.bias": torch.cat([p.query_bias, p.key_bias, p.value_bias]),
            "attn.c_proj.weight": p.out.T,
            "attn.c_proj.bias": p.out_bias,
            "ln_2.weight": block.norm2.weight,
            "ln_2.bias": block.norm2.bias,
            "mlp.c_fc.weight": feed.up.weight.T,
            "mlp.c_fc.bias": feed.up.bias,
            "mlp.c_proj.weight": feed.down.weight.T,
            "mlp.c_proj.bias": feed.down.bias,
        }
        for name, tensor in expected.items():
            identical(got[f"h.{i}.{name}"], tensor, f"h.{i}.{name}")
    for name, tensor in {
        "wte.weight": model.embed.token.weight,
        "wpe.weight": model.embed.position.weight,
        "ln_f.weight": model.norm.weight,
        "ln_f.bias": model.norm.bias,
    }.items():
        identical(got[name], tensor, name)


@pytest.mark.varied
def test_written_and_read(rng):
    """A model that is written and read says what it said, and so does GPT-2 with these weights."""
    model = own_model(rng).eval()
    ids = tokens(rng, 3, 7)
    expected = logits(model, ids)
    weights = exported(model)
    check.close(gpt2(weights, ids), expected, "the logits of GPT-2 with what export_gpt2 gives", rtol=1e-6)
    check.close(logits(loaded(weights), ids), expected, "the logits of load_gpt2(export_gpt2(model))", rtol=1e-6)


def test_no_gradients_and_in_one_piece(rng):
    """Each tensor that is written lies in one piece, and has no gradient."""
    got = exported(own_model(rng))
    check.true(bool(got), "there are tensors", got=got)
    scattered = sorted(name for name, tensor in got.items() if not tensor.is_contiguous())
    check.equal(sorted(scattered), [], "the tensors that are not contiguous")
    traced = sorted(name for name, tensor in got.items() if tensor.requires_grad)
    check.equal(sorted(traced), [], "the tensors that have a gradient")


def test_tensors_of_their_own(rng):
    """What was written are copies: who changes the model later does not change them, nor the reverse."""
    model = own_model(rng)
    got = exported(model)
    kept = {name: tensor.clone() for name, tensor in got.items()}
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    moved = sorted(name for name, tensor in got.items() if not torch.equal(tensor, kept[name]))
    check.equal(sorted(moved), [], "the tensors that change when the model is trained on")
    before = [weight.detach().clone() for weight in model.parameters()]
    for tensor in got.values():
        tensor.zero_()
    same = all(torch.equal(weight, old) for weight, old in zip(model.parameters(), before))
    check.true(same, "the model's parameters stay when the tensors are emptied")
    places = {tensor.untyped_storage().data_ptr() for tensor in got.values()}
    check.equal(len(places), len(got), f"how many storages the {len(got)} tensors have")


def test_writing_changes_nothing(rng):
    """Writing leaves the model as it is: its numbers, its mode, its gradients."""
    model = own_model(rng).train()
    model.blocks[0].eval()
    before = [weight.detach().clone() for weight in model.parameters()]
    modes = [part.training for part in model.modules()]
    check.true(bool(exported(model)), "tensors come")
    same = all(torch.equal(weight, old) for weight, old in zip(model.parameters(), before))
    check.true(same, "the parameters are what they were")
    check.equal([part.training for part in model.modules()], modes, "the modes of all parts after export_gpt2")
    check.true(all(weight.requires_grad for weight in model.parameters()), "all parameters want gradients still")


def test_a_file_of_safetensors(rng, tmp_path):
    """What export_gpt2 gives can be saved as it is, and the file can be read."""
    from safetensors.torch import load_file, save_file

    model = own_model(rng)
    weights = exported(model)
    save_file(weights, tmp_path / "own.safetensors")
    kept = load_file(tmp_path / "own.safetensors")
    check.equal(sorted(kept), sorted(shapes(**SIZES)), "the names in the file")
    again = exported(module.load_gpt2(tmp_path / "own.safetensors", HEADS))
    for name, tensor in sorted(weights.items()):
        identical(again[name], tensor, f"{name}, written, read and written")


OTHERS: list[tuple[str, Any]] = [
    ("position", "rope"),
    ("norm", "rms"),
    ("placement", "post"),
    ("activation", "gelu"),
    ("bias", False),
    ("tie_weights", False),
    ("n_kv_heads", 1),
    ("norm_eps", 1e-6),
]


@pytest.mark.parametrize("name, value", OTHERS, ids=str)
def test_models_that_are_no_gpt2(rng, name, value):
    """A model of another kind cannot be written: a ValueError that names the field of its configuration."""
    named = "kv_heads" if name == "n_kv_heads" else name
    check.raises(ValueError, module.export_gpt2, own_model(rng, **{name: value}), naming=[named, value])
    model = own_model(rng, n_kv_heads=3)
    identical(exported(model)["ln_f.bias"], model.norm.bias, "ln_f.bias of a model that is one")
