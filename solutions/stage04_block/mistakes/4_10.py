"""What people get wrong in 4.10 Where to put the norm (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

MISTAKES = [
    Mistake(
        "4.10",
        "the norm of the mean gradient is given, not the mean of the norms",
        "Gradients of different batches cancel in part when they are added. Take the norm of each batch's first.",
        "norm_study.py",
        (
            ("norms.append([gradient.norm().item() for gradient in gradients])", "norms.append(list(gradients))"),
            ("sum(column) / len(norms)", "(sum(column) / len(norms)).norm().item()"),
        ),
    ),
    Mistake(
        "4.10",
        "the norms are added up over the batches, not averaged",
        "Divide the sum of the norms by the number of batches.",
        "norm_study.py",
        (("sum(column) / len(norms)", "sum(column)"),),
    ),
    Mistake(
        "4.10",
        "it is measured in training mode",
        "Dropout makes a gradient of chance: model.eval() before, and the old mode back afterwards.",
        "norm_study.py",
        (("    model.eval()\n", ""),),
    ),
    Mistake(
        "4.10",
        "the model is left in eval",
        "Note model.training before, and give it back afterwards: model.train(training).",
        "norm_study.py",
        (("    model.train(training)\n", ""),),
    ),
    Mistake(
        "4.10",
        "gradients are left behind in the model",
        "loss.backward() adds to the grad of each parameter, and leaves it there. torch.autograd.grad gives gradients "
        "without touching them.",
        "norm_study.py",
        (
            (
                "        gradients = torch.autograd.grad(next_token_loss(model, ids), weights)\n",
                "        model.zero_grad()\n        next_token_loss(model, ids).backward()\n"
                "        gradients = [weight.grad for weight in weights]\n",
            ),
        ),
    ),
    Mistake(
        "4.10",
        "the first step has a rate of 0",
        "With s / warmup_steps, step 0 learns nothing, and the warmup ends a step late. It is (s + 1) / warmup_steps.",
        "norm_study.py",
        (("(step + 1) / warmup_steps", "step / warmup_steps"),),
    ),
    Mistake(
        "4.10",
        "the rate goes on rising after the warmup",
        "After warmup_steps steps the share is 1 and stays so: min(1, (s + 1) / warmup_steps).",
        "norm_study.py",
        (("min(1.0, (step + 1) / warmup_steps)", "(step + 1) / warmup_steps"),),
    ),
    Mistake(
        "4.10",
        "the rate is set in the first group of parameters only",
        "An optimizer may have several groups, each with a rate of its own: set it in all of param_groups.",
        "norm_study.py",
        (("in optimizer.param_groups:", "in optimizer.param_groups[:1]:"),),
    ),
    Mistake(
        "4.10",
        "old gradients are never forgotten",
        "backward() adds. Without zero_grad() each step goes along the sum of all gradients so far.",
        "norm_study.py",
        (("        optimizer.zero_grad()\n", ""),),
    ),
    Mistake(
        "4.10",
        "the training goes on after nan",
        "A step with nan makes all parameters nan. Note the loss, and stop before backward().",
        "norm_study.py",
        (("        if not bool(loss.isfinite()):\n            break\n", ""),),
    ),
    Mistake(
        "4.10",
        "the gradient norms are on a linear scale",
        'They differ by powers of ten; on a linear scale all but the largest lie on the axis: yscale="log".',
        "norm_study.py",
        ((', yscale="log"', ""),),
    ),
    Mistake(
        "4.10",
        "norms are drawn against the number of the block",
        "Models of different depth can be compared over the share of the depth, from 0 to 1: block / (L - 1).",
        "norm_study.py",
        (("[block / max(len(values) - 1, 1) for block in range(len(values))]", "list(range(len(values)))"),),
    ),
]
