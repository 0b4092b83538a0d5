"""What people get wrong in 4.8 Published weights (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

QKV = 'query, key, value = part["attn.c_attn.weight"].mT.chunk(3)  # three times (C, C)'
OUT = 'out = part["attn.c_proj.weight"].mT\n'
NORMS = 'for name, place in (("ln_1", block.norm1), ("ln_2", block.norm2)):'
CLONES = (
    "return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in weights.items()}"
)

MISTAKES = [
    Mistake(
        "4.8",
        "the square matrix behind attention is not transposed",
        "attn.c_proj.weight is (C, C) either way, so its shape does not tell; but like all matrices of GPT-2 it is "
        "multiplied from the right, x @ W, and torch.nn.Linear computes x @ Wᵀ.",
        "pretrained.py",
        ((OUT, 'out = part["attn.c_proj.weight"]\n'),),
    ),
    Mistake(
        "4.8",
        "the square matrix behind attention is transposed neither on the way in nor on the way out",
        "Read and written it is the same again, but GPT-2 multiplies it from the right, x @ W, and torch.nn.Linear computes "
        "x @ Wᵀ: attn.c_proj.weight is (C, C) either way, so its shape does not tell.",
        "pretrained.py",
        (
            (OUT, 'out = part["attn.c_proj.weight"]\n'),
            ('"attn.c_proj.weight": attention.out.mT,', '"attn.c_proj.weight": attention.out,'),
        ),
    ),
    Mistake(
        "4.8",
        "the three square parts of c_attn are not transposed",
        "c_attn.weight is (C, 3C): cut into three along its columns, each part is (C, C), and has to be transposed.",
        "pretrained.py",
        ((QKV, 'query, key, value = part["attn.c_attn.weight"].chunk(3, dim=1)'),),
    ),
    Mistake(
        "4.8",
        "c_attn is cut along its rows instead of its columns",
        "c_attn.weight is (C, 3C), and what belongs to queries are its first C columns. A reshape to (C, C) hides the "
        "error: chunk(3, dim=1), or transpose first.",
        "pretrained.py",
        ((QKV, 'query, key, value = part["attn.c_attn.weight"].reshape(3, config.d_model, config.d_model).mT'),),
    ),
    Mistake(
        "4.8",
        "query and key are swapped",
        "c_attn holds query, key and value, in this order.",
        "pretrained.py",
        (
            (QKV, QKV.replace("query, key, value =", "key, query, value =")),
            (
                "Projections(query, key, value, out, *biases,",
                "Projections(query, key, value, out, biases[1], biases[0], biases[2],",
            ),
        ),
    ),
    Mistake(
        "4.8",
        "query and key are swapped, and their biases are not",
        "c_attn holds query, key and value, in this order, in its weight and in its bias.",
        "pretrained.py",
        ((QKV, QKV.replace("query, key, value =", "key, query, value =")),),
    ),
    Mistake(
        "4.8",
        "the two norms of a block are swapped",
        "ln_1 stands before attention, ln_2 before the feed-forward layer.",
        "pretrained.py",
        (
            (
                NORMS + "\n                place",
                NORMS.replace("ln_1", "ln_x").replace("ln_2", "ln_1").replace("ln_x", "ln_2")
                + "\n                place",
            ),
        ),
    ),
    Mistake(
        "4.8",
        "biases are left as they were made",
        "Each tensor of the file has its place: c_attn, c_proj, c_fc have biases too, and so have the norms.",
        "pretrained.py",
        (
            ('out_bias=part["attn.c_proj.bias"])', ")"),
            ("Projections(query, key, value, out, *biases, ", "Projections(query, key, value, out"),
            (
                '                place.bias.copy_(part[f"{name}.bias"])\n            for name, place in (("ln_1"',
                '            for name, place in (("ln_1"',
            ),
        ),
    ),
    Mistake(
        "4.8",
        "the head keeps its own random table",
        "A new Parameter in embed.token is not the one that the head shares. Write into the one that is there: "
        "weight.copy_(…) under torch.no_grad().",
        "pretrained.py",
        (
            (
                'model.embed.token.weight.copy_(named["wte.weight"])',
                'model.embed.token.weight = torch.nn.Parameter(named["wte.weight"].clone())',
            ),
        ),
    ),
    Mistake(
        "4.8",
        "the model is in float32 whatever the file is in",
        "A GPT is made in float32. Bring it to the format of the tensors, with .to(dtype), before they are written.",
        "pretrained.py",
        (('GPT(config).to(named["wte.weight"].dtype)', "GPT(config)"),),
    ),
    Mistake(
        "4.8",
        "the model stays in train",
        "A module is made in train. Who loads published weights wants to use them: model.eval().",
        "pretrained.py",
        (("    return model.eval()\n", "    return model\n"),),
    ),
    Mistake(
        "4.8",
        "what is exported are the model's own tensors, not copies",
        "detach() shares its numbers with the parameter, and a transposed view is not contiguous. Clone each tensor into "
        "one piece.",
        "pretrained.py",
        ((CLONES, "return {name: tensor.detach() for name, tensor in weights.items()}"),),
    ),
]
