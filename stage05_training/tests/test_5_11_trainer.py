"""5.11 · The trainer: all of the stage in one loop, which can be stopped anywhere."""

import json
import math

import pytest
import torch
from torch import nn

from bootcamp.grading import check, written

trainer = written("stage05_training.trainer")
configs = written("stage05_training.config")
datas = written("stage05_training.data")
files = written("stage05_training.token_file")
logs = written("stage05_training.run_log")
batches_of = written("stage05_training.batch")
schedules = written("stage05_training.schedule")
checkpoints = written("stage05_training.checkpoint")
gpt_config = written("stage04_block.config")

END = "<|endoftext|>"
V, T = 257, 6
NONE = -100
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


class Table(nn.Module):
    """Gives each token a row of logits; notes how it is called."""

    def __init__(self, rng, dropout=0.0):
        super().__init__()
        self.rows = nn.Embedding(7, 7)
        self.inside = nn.Sequential(nn.Dropout(dropout), nn.Identity())
        self.calls = []
        with torch.no_grad():
            self.rows.weight.copy_(torch.randn(7, 7, generator=torch.Generator().manual_seed(rng.randrange(1 << 32))))

    def forward(self, ids, mask=None, positions=None):
        self.calls.append((self.training, torch.is_grad_enabled(), mask, positions))
        return self.inside(self.rows(ids))


def batch(ids, targets, mask=None, positions=None):
    return batches_of.Batch(torch.tensor(ids), torch.tensor(targets), mask, positions)


def surprise(model, ids, targets):
    """-ln p of each target that counts."""
    shares = model.rows.weight.detach().double().softmax(-1)
    pairs = [(i, t) for row, its in zip(ids, targets) for i, t in zip(row, its) if t != NONE]
    return [-math.log(shares[i, t].item()) for i, t in pairs]


# -- evaluate


def test_each_target_counts_the_same(rng):
    """A batch of one target and one of five: the loss is the mean over all six, not the mean of two means."""
    model = Table(rng)
    one, five = ([[1]], [[2]]), ([[3, 4, 5], [6, 0, 1]], [[0, 6, 5], [4, NONE, 2]])
    all_six = surprise(model, *one) + surprise(model, *five)
    found = trainer.evaluate(model, [batch(*one), batch(*five)])
    why = "Sum up loss · number of targets, and divide once, by the number of all."
    check.close(found.loss, sum(all_six) / 6, "the loss of a batch with 1 target and one with 5", why=why)
    check.equal(found.tokens, 6, "the number of targets that count")


def test_the_size_of_batches_does_not_matter(rng):
    """The same rows give the same loss, however they are put into batches."""
    model = Table(rng)
    ids = [[rng.randrange(7) for _ in range(4)] for _ in range(6)]
    targets = [[rng.choice([NONE, *range(7)]) for _ in range(4)] for _ in range(5)] + [[1, NONE, NONE, NONE]]
    expected = surprise(model, ids, targets)
    for size in (1, 2, 4, 6):
        parts = [batch(ids[i : i + size], targets[i : i + size]) for i in range(0, 6, size)]
        found = trainer.evaluate(model, parts)
        check.close(found.loss, sum(expected) / len(expected), f"the loss in batches of {size}")
        check.equal(found.tokens, len(expected), f"the targets in batches of {size}")


def test_a_batch_without_targets(rng):
    """A batch in which nothing counts changes nothing; if nothing counts at all, it is said."""
    model = Table(rng)
    some, none = batch([[1, 2]], [[3, 4]]), batch([[1, 2]], [[NONE, NONE]])
    check.close(trainer.evaluate(model, [none, some]).loss, trainer.evaluate(model, [some]).loss, "the loss")
    check.raises(ValueError, trainer.evaluate, model, [none])
    check.raises(ValueError, trainer.evaluate, model, [])


def test_batches_may_come_one_by_one(rng):
    """Batches may be an iterator: it is gone through once."""
    model = Table(rng)
    both = [batch([[1]], [[2]]), batch([[3, 4]], [[5, 6]])]
    check.equal(trainer.evaluate(model, iter(both)).tokens, 3, "the targets of an iterator of batches")


def test_in_eval_and_without_gradients(rng):
    """The model is in eval, and torch tracks no gradients; and what a batch has is handed on."""
    model = Table(rng, dropout=0.5)
    mask, positions = torch.ones(1, 1, 2, 2).bool(), torch.tensor([[0, 1]])
    trainer.evaluate(model, [batch([[1, 2]], [[3, 4]], mask, positions)])
    ((training, tracked, got_mask, got_positions),) = model.calls
    check.true(not training, "the model is in eval")
    check.true(not tracked, "no gradients are tracked")
    check.true(got_mask is mask and got_positions is positions, "the model gets mask and positions of the batch")


def test_it_leaves_no_trace(rng):
    """Afterwards each part of the model is in the mode that it was in, and gradients are tracked again."""
    for whole, part in ((True, True), (True, False), (False, True)):
        model = Table(rng, dropout=0.5)
        model.train(whole)
        model.inside[0].train(part)
        before = {name: each.training for name, each in model.named_modules()}
        trainer.evaluate(model, [batch([[1, 2]], [[3, 4]])])
        after = {name: each.training for name, each in model.named_modules()}
        check.equal(after, before, "which parts are in train mode behind evaluate")
        check.true(torch.is_grad_enabled(), "gradients are tracked again")


# -- train


@pytest.fixture
def data(tmp_path):
    """Some tokens that follow a rule, as documents, and a tokenizer of single bytes."""
    from stage01_tokenizer import Tokenizer

    tokenizer = Tokenizer({i: bytes([i]) for i in range(256)} | {256: END.encode()}, [], [END])
    path = tmp_path / "some.tokens"
    documents = [[97 + (start + i) % 5 for i in range(7 + start % 3)] + [256] for start in range(60)]
    files.write_tokens(path, documents, V)
    train, validation = files.split(files.TokenFile(path), 0.2, 256)
    return datas.Data(train, validation, tokenizer, 256)


def config_of(**options):
    model = gpt_config.GPTConfig(
        vocab_size=V, context_length=T, d_model=8, n_layers=1, n_heads=2, dropout=options.pop("dropout", 0.0)
    )
    plain = {
        "steps": 7,
        "batch_size": 3,
        "max_lr": 0.01,
        "warmup": 2,
        "evaluate_every": 3,
        "evaluate_rows": 4,
        "checkpoint_every": 2,
        "prompts": ("a",),
    }
    return configs.TrainConfig(model, **(plain | options))


def lines(folder, kind):
    text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    return [line for line in map(json.loads, text.splitlines()) if line["kind"] == kind]


def steps_of(folder, kind):
    return [line["step"] for line in lines(folder, kind)]


def weights(result):
    return {name: each.detach().clone() for name, each in result.model.state_dict().items()}


def same(one, other, what):
    """Hold weights to others, to the bit."""
    differing = sorted(name for name in one if not torch.equal(one[name], other[name]))
    check.equal(differing, [], f"the weights that are not the same, to the bit, {what}")


def stopping_at(monkeypatch, step, during="step"):
    """As if somebody pressed Ctrl-C in the middle of a step, or of an evaluation."""
    plain = getattr(logs.RunLog, during)

    def asked(self, *args, **options):
        plain(self, *args, **options)
        number = args[0] if args else options["step"]
        if number == step:
            self.stop_asked = True
        if number == step + 5:
            check.true(False, f"the run ends behind step {step}, in which it was asked to stop", got="it goes on")

    monkeypatch.setattr(logs.RunLog, during, asked)


@pytest.mark.parametrize("device", DEVICES)
def test_a_run(data, tmp_path, device):
    """Each step is logged; there are evaluations and checkpoints where the configuration says, and at the end."""
    config = config_of(keep=3)
    result = trainer.train(config, data, tmp_path / "run", device)
    check.equal({each.device.type for each in result.model.parameters()}, {device}, "where the model is")
    check.equal(steps_of(tmp_path / "run", "step"), [1, 2, 3, 4, 5, 6, 7], "the steps that were logged")
    check.equal(steps_of(tmp_path / "run", "evaluation"), [3, 6, 7], "the steps behind which it evaluated (every 3)")
    check.equal(steps_of(tmp_path / "run", "samples"), [3, 6, 7], "the steps behind which it wrote samples (every 3)")
    kept = sorted(path.name for path in (tmp_path / "run").glob("*.ckpt"))
    expected = ["step-00000004.ckpt", "step-00000006.ckpt", "step-00000007.ckpt"]
    check.equal(kept, expected, "the newest 3 checkpoints (every 2, and at the end)")
    check.equal((result.step, result.stopped), (7, False), "step and stopped of the result")
    last = lines(tmp_path / "run", "evaluation")[-1]["loss"]
    check.equal(result.loss, last, "the loss of the result, beside that of the last evaluation")


def test_what_an_evaluation_finds(data, tmp_path):
    """The loss is that on the texts for validation, the bits are those that each of their bytes takes."""
    config = config_of(steps=3, prompts=("a", "", "cd"))
    result = trainer.train(config, data, tmp_path / "run")
    found = list(data.validation_batches(config))
    expected = trainer.evaluate(result.model, found).loss
    (got,) = lines(tmp_path / "run", "evaluation")
    check.close(got["loss"], expected, "the loss behind step 3, beside evaluate on data.validation_batches")
    counted = sum((each.targets != NONE).sum().item() for each in found)
    bits = expected * counted / math.log(2) / data.validation_size(config)
    check.close(got["bits_per_byte"], bits, "its bits per byte")
    (texts,) = lines(tmp_path / "run", "samples")
    check.equal(len(texts["texts"]), 3, "the number of samples for 3 prompts")


def test_it_learns(data, tmp_path):
    """The rule of these tokens is simple: after 60 steps the loss is far below that of the start."""
    config = config_of(steps=60, max_lr=0.03, evaluate_every=60, checkpoint_every=60)
    result = trainer.train(config, data, tmp_path / "run")
    first = lines(tmp_path / "run", "step")[0]["loss"]
    check.true(abs(first - math.log(V)) < 0.2, "the first loss is near ln V", got=first)
    check.true(result.loss < 0.6 * first, "the loss on the validation texts after 60 steps", got=result.loss)


def test_the_learning_rate(data, tmp_path):
    """Step 1 has the learning rate that the schedule has for 0, and so on to the last."""
    config = config_of(min_lr=0.001)
    trainer.train(config, data, tmp_path / "run")
    got = [line["lr"] for line in lines(tmp_path / "run", "step")]
    expected = [0.005, 0.01, 0.01, 0.0091406, 0.0068906, 0.0041094, 0.0018594]
    check.close(got, expected, "the learning rates of 7 steps with a warmup of 2, from 0.01 to 0.001", rtol=1e-4)


def test_the_rate_is_that_of_the_optimizer(data, tmp_path, monkeypatch):
    """All groups of the optimizer take steps with the rate of the schedule, from the first step on."""
    config = config_of(steps=1000, warmup=999, max_lr=1e-4, weight_decay=0.0)
    stopping_at(monkeypatch, 1)
    result = trainer.train(config, data, tmp_path / "run")
    torch.manual_seed(config.seed)
    from stage04_block import GPT

    for name, fresh in GPT(config.model).state_dict().items():
        moved = (result.model.state_dict()[name] - fresh).abs().max().item()
        check.true(moved < 1e-6, f"with a learning rate of 1e-7 in the first step, {name} hardly moves", got=moved)


def test_several_batches_make_a_step(data, tmp_path):
    """With accumulate=2, a step has seen the targets of two batches."""
    trainer.train(config_of(accumulate=2, steps=3), data, tmp_path / "run")
    got = [line["tokens"] for line in lines(tmp_path / "run", "step")]
    check.equal(got, [2 * 3 * T] * 3, f"the targets that each step has seen: 2 batches of 3 rows of {T}")


def test_clipping(data, tmp_path):
    """Gradients are clipped to max_norm, and with None they are not; what is logged is the norm before."""
    results = {}
    for max_norm in (1e-3, None):
        config = config_of(max_norm=max_norm, steps=3, beta1=0.0, weight_decay=0.0)
        folder = tmp_path / str(max_norm)
        results[max_norm] = trainer.train(config, data, folder)
        norm = lines(folder, "step")[0]["grad_norm"]
        check.true(norm > 0.01, f"the norm that is logged with max_norm={max_norm} is that before clipping", got=norm)
    state = {}
    for max_norm in results:
        kept = checkpoints.load_checkpoint(tmp_path / str(max_norm) / "step-00000003.ckpt")
        state[max_norm] = sum(float(each["exp_avg"].square().sum()) for each in kept["optimizer"]["state"].values())
    got = math.sqrt(state[1e-3])
    check.true(abs(got - 1e-3) < 1e-5, "with max_norm=0.001 the optimizer sees gradients of that norm", got=got)
    check.true(state[None] > 1e-4, "with max_norm=None the optimizer sees the gradients as they are", got=state[None])


def test_stopped_and_gone_on_with(data, tmp_path, monkeypatch):
    """A run that is stopped and started again ends with the weights of one that was not, to the bit."""
    config = config_of(dropout=0.3)
    whole = weights(trainer.train(config, data, tmp_path / "whole"))
    with monkeypatch.context() as patched:
        stopping_at(patched, 5)
        result = trainer.train(config, data, tmp_path / "run")
    check.equal(
        (result.step, result.stopped), (5, True), "step and stopped of the run that was asked to stop in step 5"
    )
    newest = max(path.name for path in (tmp_path / "run").glob("*.ckpt"))
    check.equal(newest, "step-00000005.ckpt", "the newest checkpoint of the run that was stopped")
    again = trainer.train(config, data, tmp_path / "run")
    check.equal((again.step, again.stopped), (7, False), "step and stopped when it was started again")
    check.equal(steps_of(tmp_path / "run", "step"), [1, 2, 3, 4, 5, 6, 7], "the steps that were logged in all")
    same(weights(again), whole, "beside those of a run that was not stopped")


def test_cut_off_and_gone_on_with(data, tmp_path):
    """A run that died behind its checkpoint of step 4 goes on from there, with everything that was."""
    config = config_of(dropout=0.3, keep=9)
    whole = weights(trainer.train(config, data, tmp_path / "run"))
    losses = [line["loss"] for line in lines(tmp_path / "run", "step")]
    for step in (6, 7):
        (tmp_path / "run" / f"step-{step:08d}.ckpt").unlink()
    torch.manual_seed(123456)  # another process would have other draws
    again = trainer.train(config, data, tmp_path / "run")
    got = [line["loss"] for line in lines(tmp_path / "run", "step")]
    check.close(got, losses, "the losses of the steps, gone on with behind step 4", rtol=1e-6)
    same(weights(again), whole, "when its newest checkpoint was that of step 4")
    check.equal(steps_of(tmp_path / "run", "step"), [1, 2, 3, 4, 5, 6, 7], "the steps that were logged in all")


def test_asked_to_stop_while_it_evaluates(data, tmp_path, monkeypatch):
    """Whoever asks in the middle of an evaluation loses nothing: behind the last step that was taken it is saved."""
    stopping_at(monkeypatch, 3, "evaluation")
    result = trainer.train(config_of(evaluate_every=3, checkpoint_every=2), data, tmp_path / "run")
    check.true(result.stopped, "the run was stopped")
    newest = max((path.name for path in (tmp_path / "run").glob("*.ckpt")), default="none")
    why = "Look at log.stop_asked once in a round, behind the evaluation."
    check.equal(newest, f"step-{result.step:08d}.ckpt", "the newest checkpoint, beside the last step", why=why)


def test_a_damaged_checkpoint(data, tmp_path):
    """If the newest checkpoint is damaged, the run goes on from the one before it."""
    config = config_of(dropout=0.3, keep=9)
    whole = weights(trainer.train(config, data, tmp_path / "run"))
    newest = tmp_path / "run" / "step-00000007.ckpt"
    newest.write_bytes(newest.read_bytes()[:-9])
    again = trainer.train(config, data, tmp_path / "run")
    same(weights(again), whole, "when the checkpoint of step 7 was damaged, and that of step 6 was not")


def test_a_checkpoint_of_another_model(data, tmp_path):
    """A checkpoint of a model of other sizes is refused; a run of its own model goes on with it."""
    from dataclasses import replace

    config = config_of(steps=3)
    trainer.train(config, data, tmp_path / "run")
    wider = replace(config, model=replace(config.model, d_model=12))
    # A CheckpointError is a ValueError; whose class of that name it is depends on what is graded beneath.
    check.raises(ValueError, trainer.train, wider, data, tmp_path / "run", naming=[8, 12])
    again = trainer.train(replace(config, steps=4), data, tmp_path / "run")
    check.equal(steps_of(tmp_path / "run", "step"), [1, 2, 3, 4], "the steps of the run that goes on")
    check.equal(again.step, 4, "its last step")


def test_a_run_that_is_over(data, tmp_path):
    """Started again behind its end, a run takes no step, and gives what it gave."""
    config = config_of()
    first = trainer.train(config, data, tmp_path / "run")
    again = trainer.train(config, data, tmp_path / "run")
    check.equal((again.step, again.stopped, again.loss), (7, False, first.loss), "step, stopped and loss")
    same(weights(again), weights(first), "of a run that was over already")


def test_evaluating_changes_nothing(data, tmp_path):
    """However often it evaluates, writes and saves, the weights are the same."""
    often = config_of(dropout=0.3, evaluate_every=1, checkpoint_every=1)
    seldom = config_of(dropout=0.3, evaluate_every=7, checkpoint_every=7)
    one, other = (weights(trainer.train(each, data, tmp_path / str(i))) for i, each in enumerate((often, seldom)))
    same(one, other, "when it evaluates behind each step, beside once at the end")


def test_dropout_is_on_in_training(data, tmp_path):
    """The model is in train mode in each step, behind an evaluation too."""
    from stage04_block import GPT

    seen = []

    def looking(part, _):
        if isinstance(part, GPT) and torch.is_grad_enabled():
            seen.append(all(each.training for each in part.modules()))

    handle = nn.modules.module.register_module_forward_pre_hook(looking)
    try:
        trainer.train(config_of(dropout=0.3), data, tmp_path / "run")
    finally:
        handle.remove()
    check.equal(seen, [True] * 7, "whether all parts of the model are in train mode, step by step")


def test_what_a_checkpoint_holds(data, tmp_path):
    """A checkpoint has model, optimizer, loader, random states and step."""
    trainer.train(config_of(), data, tmp_path / "run")
    state = checkpoints.load_checkpoint(tmp_path / "run" / "step-00000006.ckpt")
    check.equal(state["step"], 6, "the step in the checkpoint of step 6")
    missing = sorted({"model", "optimizer", "loader", "random"} - state.keys())
    check.equal(missing, [], "the parts that are not in it")


def test_a_loss_that_is_none(data, tmp_path):
    """If the loss becomes nan, the run ends with an error, and the checkpoint from before is as it was."""
    config = config_of(steps=6, max_lr=0.01)
    trainer.train(config_of(steps=3, checkpoint_every=3, max_lr=0.01), data, tmp_path / "run")
    path = tmp_path / "run" / "step-00000003.ckpt"
    state = checkpoints.load_checkpoint(path)
    for each in state["model"].values():
        if each.is_floating_point():
            each.fill_(math.nan)
    checkpoints.save_checkpoint(path, state)
    before = path.read_bytes()
    check.raises(FloatingPointError, trainer.train, config, data, tmp_path / "run")
    check.true(path.read_bytes() == before, "the checkpoint is as it was")


def test_a_vocabulary_that_is_not_the_models(data, tmp_path):
    """A model of another vocabulary is refused, and both sizes are named."""
    from dataclasses import replace

    config = config_of()
    other = replace(config, model=replace(config.model, vocab_size=300))
    check.raises(ValueError, trainer.train, other, data, tmp_path / "run", naming=[257, 300])
    check.equal(trainer.train(config_of(steps=3), data, tmp_path / "run").step, 3, "the steps with the right one")
