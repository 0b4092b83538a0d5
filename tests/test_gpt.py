"""The reference GPT in every combination of its parts."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from thorough import THOROUGH
from torch.nn.functional import cross_entropy

from bootcamp import course, stages

stages.use_reference()

from stage04_block import GPT, export_gpt2, load_gpt2, parameter_count  # noqa: E402 - which code was said before
from stage04_block.config import GPTConfig  # noqa: E402
from stage04_block.generate import generate  # noqa: E402

POSITIONS = ["none", "sinusoidal", "learned", "rope", "alibi", "t5"]
CHOICES: dict[str, list[Any]] = {
    "norm": ["layer", "rms"],
    "placement": ["pre", "post"],
    "activation": ["relu", "gelu", "swiglu"],
    "n_kv_heads": [None, 1],
    "tie_weights": [True, False],
    "bias": [True, False],
    "dropout": [0.0, 0.2],
}


@pytest.mark.parametrize("position", POSITIONS)
def test_every_combination(position: Any):
    """Its parameters are as counted, all are trained; in pieces it reads as at once; the cache changes nothing."""
    torch.manual_seed(0)
    ids = torch.randint(11, (2, 6))
    prompts = [[1, 2, 3], [4, 5, 6, 7, 8]]
    combinations = list(itertools.product(*CHOICES.values()))
    if not THOROUGH:  # a third of them, others for each position
        combinations = combinations[POSITIONS.index(position) % 3 :: 3]
    for values in combinations:
        changes = dict(zip(CHOICES, values))
        config = GPTConfig(
            vocab_size=11, context_length=6, d_model=8, n_layers=2, n_heads=2, d_ff=6, position=position, **changes
        )
        assert GPTConfig.from_json(config.to_json()) == config
        model: Any = GPT(config)
        assert sum(each.numel() for each in model.parameters()) == parameter_count(config), config
        cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
        missing = [name for name, each in model.named_parameters() if each.grad is None]
        assert not missing, (config, missing)
        model.eval().double()
        with torch.no_grad():
            cache = model.new_cache()
            pieces = [model(ids[:, :3], cache), model(ids[:, 3:4], cache), model(ids[:, 4:], cache)]
            assert torch.allclose(torch.cat(pieces, 1), model(ids), atol=1e-9), config
        assert generate(model, prompts, 3, 0.0) == generate(model, prompts, 3, 0.0, use_cache=False), config


@pytest.mark.parametrize(
    "changes, error, words",
    [
        ({"d_model": 9}, ValueError, ["d_model", "n_heads", "9", "2"]),
        ({"n_kv_heads": 3}, ValueError, ["n_heads", "n_kv_heads", "3"]),
        ({"d_model": 6, "position": "rope"}, ValueError, ["rope", "3"]),
        ({"position": "absolute"}, ValueError, ["position", "'absolute'", "'learned'"]),
        ({"n_layers": 0}, ValueError, ["n_layers", "0"]),
        ({"dropout": 1.0}, ValueError, ["dropout", "1.0"]),
        ({"vocab_size": 1.5}, TypeError, ["vocab_size", "int", "1.5"]),
        ({"bias": 1}, TypeError, ["bias", "bool", "1"]),
        ({"d_ff": "wide"}, TypeError, ["d_ff", "int or None", "'wide'"]),
    ],
)
def test_a_configuration_that_cannot_be(changes: dict, error: type[Exception], words: list[str]):
    good: dict[str, Any] = {"vocab_size": 11, "context_length": 6, "d_model": 8, "n_layers": 2, "n_heads": 2}
    with pytest.raises(error) as caught:
        GPTConfig(**good | changes)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", ["no JSON"]),
        ("[1]", ["list"]),
        ('{"vocab": 3}', ["'vocab'", "vocab_size"]),
        ('{"vocab_size": 3}', ["d_model"]),
        ('{"vocab_size": "3", "context_length": 6, "d_model": 8, "n_layers": 2, "n_heads": 2}', ["vocab_size", "'3'"]),
    ],
)
def test_json_that_is_no_configuration(text: str, words: list[str]):
    with pytest.raises(ValueError) as caught:
        GPTConfig.from_json(text)
    for word in words:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_file_that_is_no_weights(suffix: str, tmp_path: Path):
    """One sentence for what is damaged, and for what is something else."""
    from safetensors.torch import save_file

    config = GPTConfig(11, 6, 8, 2, 2, activation="gelu_tanh")
    path = tmp_path / f"model{suffix}"
    weights = export_gpt2(GPT(config))
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    assert load_gpt2(path, n_heads=2).config == GPTConfig(11, 6, 8, 2, 2, d_ff=32, activation="gelu_tanh")
    whole = path.read_bytes()
    for data in (b"", whole[:100], whole[:-50], b"some text", json.dumps({"a": 1}).encode()):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"model{suffix}") as caught:
            load_gpt2(path, n_heads=2)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        load_gpt2(tmp_path / f"missing{suffix}")
    torch.save({"a": 1}, tmp_path / "numbers.pt")
    with pytest.raises(ValueError, match="tensors"):
        load_gpt2(tmp_path / "numbers.pt")


def test_the_published_sizes_are_in_the_lesson():
    lesson = (course.stage_named("4").folder / "README.md").read_text(encoding="utf-8")
    assert f"{parameter_count(GPTConfig(50257, 1024, 768, 12, 12)):,}" in lesson
