"""What people get wrong in 4.6 GPT (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

TIED = """\
            if config.tie_weights:
                self.head.weight = self.embed.token.weight
"""
BLOCKS = "nn.ModuleList(TransformerBlock(config, position) for _ in range(config.n_layers))"
LAST = 'last = std / math.sqrt(2 * self.config.n_layers) if self.config.placement == "pre" else std'
TABLE = "normal_(self.embed.token.weight, self.config.table_std, generator)"
BIASES = """\
                    if layer.bias is not None:
                        layer.bias.zero_()
"""
NORM = """\
        if self.norm is not None:
            x = self.norm(x)
"""
CALL = "x = block(x, mask, positions, layer_cache, return_weights)"
CACHES = "cache or [None] * len(self.blocks)"
EMBED = "x = self.embed(ids, positions)"

MISTAKES = [
    Mistake(
        "4.6",
        "the norm before the output is missing",
        'With "pre", the stream is never normed as a whole, and grows with each block: logits = head(norm(x)).',
        "gpt.py",
        ((NORM, ""),),
    ),
    Mistake(
        "4.6",
        "the table of the tokens starts at a standard deviation of 1",
        "torch.nn.Embedding draws from N(0, 1). Tied to the output, such a table gives logits as large as √C, and a "
        "first loss far above ln V. Draw it from N(0, init_std²) as all others, or with embedding_std if that is given.",
        "gpt.py",
        ((TABLE, "normal_(self.embed.token.weight, 1.0, generator)"),),
    ),
    Mistake(
        "4.6",
        "the table of the tokens does not heed embedding_std",
        "A configuration may ask for a wider table: draw it with config.table_std, which is init_std if nothing is said.",
        "gpt.py",
        ((TABLE, "normal_(self.embed.token.weight, std, generator)"),),
    ),
    Mistake(
        "4.6",
        "the output's weights are a copy of the table, not the table",
        "After the first step the two differ. Tied means one Parameter: head.weight = embed.token.weight.",
        "gpt.py",
        (
            (
                TIED,
                TIED.replace("self.head.weight = self.embed", "self.head.weight.copy_(self.embed")
                .replace("token.weight\n", "token.weight)\n")
                .replace(
                    "if config.tie_weights:\n", "if config.tie_weights:\n                with torch.no_grad():\n    "
                ),
            ),
        ),
    ),
    Mistake(
        "4.6",
        "the output's weights are always those of the table",
        "With tie_weights=False, the head has weights of its own, V·C more parameters.",
        "gpt.py",
        (
            (
                "            if config.tie_weights:\n                self.head",
                "            if True:\n                self.head",
            ),
        ),
    ),
    Mistake(
        "4.6",
        "all layers are one and the same block",
        "[block] * L is L times the same module, with one set of weights. Make a new one in each turn: "
        "nn.ModuleList(TransformerBlock(…) for _ in range(L)).",
        "gpt.py",
        ((BLOCKS, "nn.ModuleList([TransformerBlock(config, position)] * config.n_layers)"),),
    ),
    Mistake(
        "4.6",
        "each block has a relative position of its own",
        "All blocks share one: make it once, and hand it to each.",
        "gpt.py",
        ((BLOCKS, BLOCKS.replace("position)", "relative_position(config))")),),
    ),
    Mistake(
        "4.6",
        "what writes into the stream is drawn as wide as all else",
        "2L sums make the stream √(2L) times as wide. The last matrix of each attention and of each feed-forward layer "
        'is drawn from N(0, init_std² / 2L) with "pre".',
        "gpt.py",
        ((LAST, "last = std"),),
    ),
    Mistake(
        "4.6",
        "what writes into the stream is divided by √L, not by √(2L)",
        "Each block adds to the stream twice, behind attention and behind the feed-forward layer: 2L sums.",
        "gpt.py",
        ((LAST, LAST.replace("2 * self.config.n_layers", "self.config.n_layers")),),
    ),
    Mistake(
        "4.6",
        "the biases do not start at 0",
        "torch.nn.Linear draws its biases at random. Set them to 0, those of the feed-forward layers too.",
        "gpt.py",
        ((BIASES, ""),),
    ),
    Mistake(
        "4.6",
        "all blocks share the cache of the first",
        "Each block has keys and values of its own: block i takes cache[i].",
        "gpt.py",
        ((CACHES, "[cache[0]] * len(self.blocks) if cache else [None] * len(self.blocks)"),),
    ),
    Mistake(
        "4.6",
        "the positions do not reach the blocks",
        'With "rope", the positions work in attention: hand them to each block, as well as to the embedding.',
        "gpt.py",
        ((CALL, CALL.replace("positions", "None")),),
    ),
    Mistake(
        "4.6",
        "the input always stands at positions 0, 1, …",
        "With a cache, or with padding on the left, it stands elsewhere: embed(ids, positions).",
        "gpt.py",
        ((EMBED, "x = self.embed(ids)"),),
    ),
    Mistake(
        "4.6",
        "a tied output is counted as if it had weights of its own",
        "Tied, the output is the table of the tokens: count V·C once.",
        "counts.py",
        (("(1 if config.tie_weights else 2)", "2"),),
    ),
    Mistake(
        "4.6",
        "keys and values are counted as wide as queries",
        "With G key/value heads, their two matrices have G·D rows, not H·D.",
        "counts.py",
        (("kv_width = config.kv_heads * config.head_dim  # G·D", "kv_width = width  # G·D"),),
    ),
    Mistake(
        "4.6",
        "a multiplication and its addition are counted as one operation",
        "Each entry of a matrix costs a multiplication and an addition for each token: two operations.",
        "counts.py",
        (("per_token = 2 * (", "per_token = ("), ("per_pair = 4 * width", "per_pair = 2 * width")),
    ),
    Mistake(
        "4.6",
        "the products between pairs of tokens are not counted",
        "Queries with keys, and weights with values: 2 · C operations each for each of T · T pairs in each layer.",
        "counts.py",
        ((" + length * length * per_pair", ""),),
    ),
]
