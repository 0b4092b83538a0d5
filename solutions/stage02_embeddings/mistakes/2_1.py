"""What people get wrong in 2.1 Token embeddings (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

LOOK_UP = "vectors = nn.functional.embedding(ids, self.weight)  # (..., C)"
ZEROS = "            vectors = vectors.masked_fill(padding, 0.0)\n"
ONCE = """\
vectors = _Rows.apply(ids, self.weight)
        assert isinstance(vectors, Tensor)"""
ROWS = '''\
class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, ids, weight):
        ctx.save_for_backward(ids, weight)
        return weight[ids]

    @staticmethod
    def backward(ctx, *grads):
        ids, weight = ctx.saved_tensors
        table = torch.zeros_like(weight)
        for id, grad in zip(ids.flatten().tolist(), grads[0].reshape(-1, weight.shape[1])):
            table[id] = grad
        return None, table


class TokenEmbedding(nn.Module):
    """Gives each id'''

MISTAKES = [
    Mistake(
        "2.1",
        "the table is drawn with a standard deviation of 1",
        "torch.randn, and torch.nn.Embedding by default, draw numbers near 1; multiply them by 0.02.",
        "tokens.py",
        (("weight = 0.02 * torch.randn(", "weight = torch.randn("),),
    ),
    Mistake(
        "2.1",
        "the table is drawn from the uniform distribution",
        "torch.rand draws all numbers of a range equally often. randn and normal_ draw from the normal distribution.",
        "tokens.py",
        (
            (
                "weight = 0.02 * torch.randn(num_embeddings, dim)",
                "weight = 0.02 * 3**0.5 * (2 * torch.rand(num_embeddings, dim) - 1)",
            ),
        ),
    ),
    Mistake(
        "2.1",
        "a padding_idx of 0 is taken for none",
        "0 is an id like others, and false in an `if`. Ask whether padding_idx is not None.",
        "tokens.py",
        (
            ("        if padding_idx is not None:\n            weight", "        if padding_idx:\n            weight"),
            ("if self.padding_idx is not None:", "if self.padding_idx:"),
        ),
    ),
    Mistake(
        "2.1",
        "the row of the padding is zeroed at the start, and learns like any other",
        "Each step of training moves the row. forward has to give zeros for the padding, in a way that lets no "
        "gradient through: masked_fill or torch.where on what was looked up.",
        "tokens.py",
        ((ZEROS, "            pass\n"),),
    ),
    Mistake(
        "2.1",
        "the padding gives zeros, and its row gets a gradient all the same",
        "What is overwritten under no_grad or through .data is not noted: the gradient flows as if nothing had been "
        "done. Put the zeros in with masked_fill or torch.where.",
        "tokens.py",
        ((ZEROS, "            vectors.data.masked_fill_(padding, 0.0)\n"),),
    ),
    Mistake(
        "2.1",
        "the row of the padding starts at random",
        "The padding gives zeros, but the table that is saved or shared with an output layer has a random row: zero "
        "it before you make the Parameter.",
        "tokens.py",
        (("            weight[padding_idx] = 0.0\n", "            pass\n"),),
    ),
    Mistake(
        "2.1",
        "the padding's vector is multiplied by zero",
        "nan · 0 and inf · 0 are nan. masked_fill and torch.where put zeros there, whatever the row holds.",
        "tokens.py",
        ((ZEROS, "            vectors = vectors * ~padding\n"),),
    ),
    Mistake(
        "2.1",
        "of an id that repeats only the last gradient is kept",
        "grad[ids] = g writes the same row again and again. Use torch's own indexing, or grad.index_add_(0, ids, g).",
        "tokens.py",
        ((LOOK_UP, ONCE), ('class TokenEmbedding(nn.Module):\n    """Gives each id', ROWS)),
    ),
    Mistake(
        "2.1",
        "one-hot vectors are made and multiplied",
        "It gives the same, at V times the cost for each id: 50,000 numbers, all zeros but one. Index instead.",
        "tokens.py",
        ((LOOK_UP, "vectors = nn.functional.one_hot(ids, self.num_embeddings).to(self.weight.dtype) @ self.weight"),),
    ),
    Mistake(
        "2.1",
        "ids of 8 bits are taken for a mask",
        "weight[ids] with ids in uint8 keeps or drops rows, as with true and false. Use ids.long().",
        "tokens.py",
        (
            ("        ids = ids.long()  # a table takes ids of 8 bits for a mask, and knows no ids of 16\n", ""),
            (LOOK_UP, "vectors = self.weight[ids if ids.dtype == torch.uint8 else ids.long()]"),
        ),
    ),
]
