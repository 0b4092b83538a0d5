"""What people get wrong in 5.11 The trainer (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

SUM = "nats += cross_entropy(logits, batch.targets).item() * batch.counted"
CALL = "logits = model(batch.ids, mask=batch.mask, positions=batch.positions)"
RESTORE = "        restore(state, model, optimizer, loader)\n"
STEP = '        step, loss = state["step"], state["loss"]\n'
RATE = 'group["lr"] = warmup_cosine(step, config.max_lr, config.warmup, config.steps, config.min_lr)\n'
LOADED = "batches = [next(loader).to(device) for _ in range(config.accumulate)]"
LOGGED = 'log.step(step, result, lr=optimizer.param_groups[0]["lr"])\n'
LOOKED = "            stopped = log.stop_asked  # looked at once a round, behind what takes long\n"
SAVED = "if step % config.checkpoint_every == 0 or step == config.steps or stopped:"
FOUND = "    found = latest_checkpoint(folder)\n"

MISTAKES = [
    Mistake(
        "5.11",
        "the mean of the batches' means is taken",
        "A batch with 1 target would count as much as one with 100. Sum up loss · targets, and divide by all targets.",
        "trainer.py",
        (
            (SUM, "nats += cross_entropy(logits, batch.targets).item(); rounds = batch.counted and rounds + 1"),
            ("nats, tokens = 0.0, 0", "nats, tokens, rounds = 0.0, 0, 0"),
            ("return Evaluation(nats / tokens, tokens)", "return Evaluation(nats / rounds, tokens)"),
        ),
    ),
    Mistake(
        "5.11",
        "all places are counted, ignored ones too",
        "cross_entropy gives the mean over targets that count: batch.counted of them, not batch.targets.numel().",
        "trainer.py",
        (
            (SUM, SUM.replace("batch.counted", "batch.targets.numel()")),
            ("tokens += batch.counted", "tokens += batch.targets.numel()"),
        ),
    ),
    Mistake(
        "5.11",
        "the model is evaluated in the mode that it is in",
        "With dropout the loss is another one each time: model.eval() first, and the modes back afterwards.",
        "trainer.py",
        (("    model.eval()\n", ""),),
    ),
    Mistake(
        "5.11",
        "behind evaluate the whole model is in train mode",
        "Some part may have been in eval before (a frozen layer, say). Keep the mode of each module, and put it back.",
        "trainer.py",
        (("            part.training = training\n", "            part.training = True\n"),),
    ),
    Mistake(
        "5.11",
        "behind evaluate the model stays in eval",
        "From the first evaluation on there is no dropout in training. Put the modes back.",
        "trainer.py",
        (("            part.training = training\n", "            pass\n"),),
    ),
    Mistake(
        "5.11",
        "mask and positions of a batch do not reach the model",
        "In a packed row each text would see the ones before it: model(batch.ids, mask=batch.mask, "
        "positions=batch.positions).",
        "trainer.py",
        ((CALL, "logits = model(batch.ids)"),),
    ),
    Mistake(
        "5.11",
        "the learning rate is that of the step before: the first one is taken twice",
        "Step 1 has the rate of warmup_cosine(0, …), step 2 that of 1: set it before the step, from the steps taken so far.",
        "trainer.py",
        ((RATE, RATE.replace("warmup_cosine(step,", "warmup_cosine(max(step - 1, 0),")),),
    ),
    Mistake(
        "5.11",
        "the learning rate is that of the step after",
        "The first step has the rate of step 0: warmup_cosine(step, …) before step is counted up.",
        "trainer.py",
        ((RATE, RATE.replace("warmup_cosine(step,", "warmup_cosine(step + 1,")),),
    ),
    Mistake(
        "5.11",
        "the learning rate is never set",
        'The schedule is a function; the optimizer reads group["lr"] of each of its groups.',
        "trainer.py",
        (
            (
                "            for group in optimizer.param_groups:\n                " + RATE,
                "",
            ),
        ),
    ),
    Mistake(
        "5.11",
        "only the first group gets the learning rate",
        "Norms and biases are in a group of their own: set the rate of every group.",
        "trainer.py",
        (("for group in optimizer.param_groups:", "for group in optimizer.param_groups[:1]:"),),
    ),
    Mistake(
        "5.11",
        "gradients are not clipped",
        "config.max_norm goes to accumulated_step; None means math.inf.",
        "trainer.py",
        (("config.max_norm or math.inf)", "math.inf)"),),
    ),
    Mistake(
        "5.11",
        "a step takes one batch, whatever accumulate says",
        "config.accumulate batches make a step: take as many from the loader.",
        "trainer.py",
        ((LOADED, "batches = [next(loader).to(device)]"),),
    ),
    Mistake(
        "5.11",
        "when the run goes on, the optimizer begins anew",
        "m, v and the step of AdamW are part of the run: restore(state, model, optimizer, loader).",
        "trainer.py",
        ((RESTORE, "        restore(state, model, None, loader)\n"),),
    ),
    Mistake(
        "5.11",
        "when the run goes on, the texts begin anew",
        "The loader's place is part of the run: restore(state, model, optimizer, loader).",
        "trainer.py",
        ((RESTORE, "        restore(state, model, optimizer)\n"),),
    ),
    Mistake(
        "5.11",
        "when the run goes on, steps are counted from 0",
        'The schedule and the end depend on the step: step = state["step"].',
        "trainer.py",
        ((STEP, '        loss = state["loss"]\n'),),
    ),
    Mistake(
        "5.11",
        "a run never goes on: it always begins anew",
        "latest_checkpoint(folder) finds where it was. Restore it before the loop.",
        "trainer.py",
        ((FOUND, "    found = None\n"),),
    ),
    Mistake(
        "5.11",
        "when the run goes on, dropout begins anew",
        "The random states are part of the run: restore sets them, as long as nothing seeds or draws behind it.",
        "trainer.py",
        ((RESTORE, RESTORE + "        torch.manual_seed(config.seed)\n"),),
    ),
    Mistake(
        "5.11",
        "a damaged checkpoint ends the run, though there is one before it",
        "latest_checkpoint(folder) gives the newest one that is whole, whatever stands behind it.",
        "trainer.py",
        (
            (
                FOUND,
                "    from .checkpoint import checkpoints, load_checkpoint\n\n"
                "    found = None\n"
                "    for path in checkpoints(folder):\n"
                "        found = path, load_checkpoint(path)\n",
            ),
        ),
    ),
    Mistake(
        "5.11",
        "what was asked to stop stops without a checkpoint",
        "Everything behind the last checkpoint is lost then. Save when log.stop_asked, too.",
        "trainer.py",
        ((SAVED, SAVED.replace(" or stopped", "")),),
    ),
    Mistake(
        "5.11",
        "whoever asks to stop while the model is evaluated gets no checkpoint",
        "An evaluation takes a while. Look at log.stop_asked once in a round, behind it: if the run ends, it is saved.",
        "trainer.py",
        (
            ("while step < config.steps and not stopped:", "while step < config.steps and not log.stop_asked:"),
            (LOOKED, ""),
            (LOGGED, LOGGED + "            stopped = log.stop_asked\n"),
        ),
    ),
    Mistake(
        "5.11",
        "nobody looks whether the run was asked to stop",
        "Ctrl-C sets log.stop_asked: look at it in each round.",
        "trainer.py",
        ((LOOKED, ""),),
    ),
    Mistake(
        "5.11",
        "there is no checkpoint behind the last step",
        "The end need not be a multiple of checkpoint_every: save behind the last step too.",
        "trainer.py",
        ((SAVED, SAVED.replace(" or step == config.steps", "")),),
    ),
    Mistake(
        "5.11",
        "behind the last step it is not evaluated",
        "The end need not be a multiple of evaluate_every: evaluate behind the last step too.",
        "trainer.py",
        (("if step % config.evaluate_every == 0 or step == config.steps:", "if step % config.evaluate_every == 0:"),),
    ),
]
