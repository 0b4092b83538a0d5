"""What people get wrong in 6.6 Tensor parallelism (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

SUMMED = """        total = sum_over_ranks(nn.functional.linear(x, self.weight), self.group)
        return total if self.bias is None else total + self.bias
"""
SUM_BACKWARD = "        return grads[0], None\n"
COPY_BACKWARD = """        total = grads[0].contiguous().clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None
"""
GATED = """        x = copy_to_ranks(x, self.group)
        up = nn.functional.linear(x, self.up.weight, self.up.bias)  # (..., F / W)
"""
GATE = "nn.functional.linear(x, self.gate.weight, self.gate.bias)"

KEYS = "        self.out = RowParallelLinear(whole.out, whole.out_bias, group)\n"
CUT_AS_ONE = f"""        layers = [self.query, self.key, self.value]
        sizes = [len(each.weight) for each in layers]
        weights = part_of(torch.cat([whole.query, whole.key, whole.value]), 0, group).split(sizes)
        for each, weight in zip(layers, weights):
            each.weight = nn.Parameter(weight.clone())
        if whole.query_bias is not None:
            biases = part_of(torch.cat([whole.query_bias, whole.key_bias, whole.value_bias]), 0, group).split(sizes)
            for each, bias in zip(layers, biases):
                each.bias = nn.Parameter(bias.clone())
{KEYS}"""

MISTAKES = [
    Mistake(
        "6.6",
        "the bias of a row-parallel layer is added before the sum over ranks",
        "Each rank then adds the whole bias, and the sum has it W times. Sum up the products first, and add the bias once.",
        "tensor_parallel.py",
        ((SUMMED, "        return sum_over_ranks(nn.functional.linear(x, self.weight, self.bias), self.group)\n"),),
    ),
    Mistake(
        "6.6",
        "the gradient of the sum over ranks is summed up once more",
        "What comes after the sum is the same thing on all ranks, computed W times: its gradient is there already. "
        "Backward, sum_over_ranks passes it on as it is.",
        "tensor_parallel.py",
        (
            (
                SUM_BACKWARD,
                "        total = grads[0].contiguous().clone()\n        dist.all_reduce(total, group=ctx.group)\n"
                "        return total, None\n",
            ),
            (
                "        total = x.contiguous().clone()\n",
                "        ctx.group = group\n        total = x.contiguous().clone()\n",
            ),
        ),
    ),
    Mistake(
        "6.6",
        "the gradient of what goes in is that of this rank's part alone",
        "x is used on all ranks, each for a part of the work. Backward, copy_to_ranks sums up the gradients of all parts.",
        "tensor_parallel.py",
        ((COPY_BACKWARD, "        return grads[0], None\n"),),
    ),
    Mistake(
        "6.6",
        "the gradient is summed up in place, and changed for others too",
        "torch may have given the same tensor to somebody else, as in x + copy_to_ranks(x). All-reduce a copy of it.",
        "tensor_parallel.py",
        ((COPY_BACKWARD, COPY_BACKWARD.replace(".clone()", "")),),
    ),
    Mistake(
        "6.6",
        "up and gate copy x to the ranks once each",
        "Then the gradient of x is summed up twice, at twice the cost. Copy x once, and let both use that copy.",
        "tensor_parallel.py",
        (
            (GATED, "        up = self.up(x)  # (..., F / W)\n"),
            (GATE, "self.gate(x)"),
        ),
    ),
    Mistake(
        "6.6",
        "query, key and value are cut as one matrix",
        "The first of W parts of all rows has queries of heads that are not its own, and hardly a key. Cut the three apart "
        "first, and then each of them into W parts.",
        "tensor_parallel.py",
        ((KEYS, CUT_AS_ONE),),
    ),
    Mistake(
        "6.6",
        "all ranks use the distance bias of the first heads",
        "Head 0 of rank r is head r · H / W of all. Of the bias (H, T, T), take the rows from self.first_head on.",
        "tensor_parallel.py",
        (("bias = bias[self.first_head : self.first_head + self.n_heads]", "bias = bias[: self.n_heads]"),),
    ),
    Mistake(
        "6.6",
        "the gradient of the learned distance bias is that of this rank's heads alone",
        "The table of T5 is whole on all ranks, and each uses the columns of its heads. Copy the bias to the ranks before "
        "taking rows of it, so that the gradients of all are summed up.",
        "tensor_parallel.py",
        (("            bias = copy_to_ranks(bias, self.group) if bias.requires_grad else bias\n", ""),),
    ),
    Mistake(
        "6.6",
        "ids that other ranks have get a vector here too",
        "Where an id is not here, some row is looked up all the same, so that there is something. Put zeros in its place "
        "before the sum over ranks.",
        "tensor_parallel.py",
        (("vectors.where(here[..., None], 0.0)", "vectors"),),
    ),
    Mistake(
        "6.6",
        "each rank takes off the largest of its own logits",
        "exp(a - 3) and exp(b - 5) cannot be added. All-reduce the largest logit with dist.ReduceOp.MAX, and take off that.",
        "tensor_parallel.py",
        (("    dist.all_reduce(top, dist.ReduceOp.MAX, group=group)\n", ""),),
    ),
    Mistake(
        "6.6",
        "the output layer is not tied to the new table",
        "Both get a part of the same weight, but as two copies, which learn apart. Ask whether they were one before "
        "cutting, and then make head.weight the table's.",
        "tensor_parallel.py",
        (("    if tied:\n", "    if tied and model.head.weight is None:\n"),),
    ),
]
