"""The ONNX graph of a dendritic BERT, built by hand from its weights.

What is notable about the graph:
- Queries, keys, values and dendrites are products of their own. One wider product would have to be split
  again, and splitting copies: at this size that costs more than the wider product saves.
- The classifier reads nothing but the first token, so the last layer computes its query, and everything
  after its attention, for that token only. Its keys and values are never computed either, as far as they
  are linear: q . (W_k x) = (W_k' q) . x, and sum p (W_v x) = W_v (sum p x). Only what dendrites add to them
  is left per token. All of this is exact but for rounding. The key's bias shifts all scores of a query
  alike, and is gone.
- Of the word embeddings it may have a part only: then token ids are mapped to rows first.
- Position, token type and the embedding table's scales are folded; the 1 / sqrt(d) of attention is in the
  query's weights; the attention mask is added to the scores.
- How a matrix product is computed (float, or one of the quantized forms) is the `Kernel`'s business.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from giantkiller.export.weights import WORDS, Bytes, Floats, Layer, Weights

PAIRS = "bert.pairs.weight"
PHRASES, PHRASE_CHECKS = "bert.phrases.weight", "bert.phrases.checks"
PAIR_PRIME = 2**31 - 1
PAIR_FACTORS = ((1_580_030_173, 982_451_653), (715_225_741, 1_200_556_037))
PHRASE_FACTOR = 1_999_957_231
CHECKS = 251
"""Of the hash functions of pairs and phrases, as in `giantkiller.models.bert`."""

MICROSOFT = "com.microsoft"
HEADS = "_heads"
"""What the names of nodes end in that part queries, keys or values by heads."""
OPSET = 17
IR = 9
MASKED = 1e4  # exp(-MASKED) is zero in float32: padding gets no weight at all


class Kernel(Protocol):
    """How matrix products with constant weights, and the embedding table, go into a graph.

    Attributes:
        clips: True where products clip their input to the range it was observed in, so that a
            ReLU before one would do nothing.
        gelu: The operator for GELU. Where products round their input to eight bits, its approximation by tanh
            (Hendrycks and Gimpel 2016, section 2), which is at most 0.0005 off, is as good and faster.
    """

    clips: bool
    gelu: str

    @property
    def exact(self) -> "Kernel":
        """What computes the classifier: in float32, since phrases move its input far."""

    def product(self, graph: "Graph", x: str, weight: Floats, bias: Floats, name: str) -> str:
        """Add x @ weight + bias, with weight (in, out), and return the output's name."""

    def scores(self, graph: "Graph", query: str, key: str, heads: int, name: str) -> str:
        """Add what each token's query makes of each key: (B, T, H) both, to (B, heads, T, T)."""

    def read(self, graph: "Graph", shares: str, value: str, heads: int, name: str) -> str:
        """Add the means of the values by shares: (B, heads, T, T) and (B, T, H), to (B, heads, T, d)."""

    def table(self, graph: "Graph", ids: str, table: Floats, name: str, *, widened: bool = False) -> str:
        """Add table[ids], with table (rows, hidden), and return the output's name.

        A small table of which many rows are read is better `widened`: turned into floats once, on loading.
        """

    def checked(
        self, graph: "Graph", rows: str, check: str, values: Floats, checks: Bytes, name: str
    ) -> tuple[str, str]:
        """Add values[rows] where checks[rows] is check, else 0, for both (n,); return that and its scale."""


class Graph:
    """Nodes and constants in the making."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.made: set[str] = set()

    def node(self, op: str, inputs: Sequence[str], name: str, *, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, called `name`, and return that name."""
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, domain=domain, **attributes))
        self.made.add(name)
        return name

    def constant(self, name: str, value: np.ndarray[Any, Any]) -> str:
        """Add a constant once, and return its name."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def shape(self, *sizes: int) -> str:
        """Add a shape for Reshape (0 keeps, -1 infers) and return its name."""
        return self.constant(
            "shape_" + "_".join(map(str, sizes)).replace("-", "n"), np.asarray(sizes, np.int64)
        )


def build(weights: Weights, kernel: Kernel, *, max_length: int, attributes: int) -> onnx.ModelProto:
    """Build the model: input_ids and attention_mask (batch, tokens) in, logits (batch, attributes) out.

    Args:
        weights: The checkpoint's.
        kernel: How matrix products are computed.
        max_length: Longest input in tokens; the table of positions is cut there.
        attributes: Number of logits.
    """
    g = Graph()
    kept = g.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)  # (B, T)
    mask = g.node("Sub", [kept, g.constant("one", np.asarray(1, np.float32))], "mask_less_one")
    mask = g.node("Mul", [mask, g.constant("masked", np.asarray(MASKED, np.float32))], "mask_added")  # (B, T)
    mask = g.node(
        "Unsqueeze", [mask, g.constant("axis_1", np.asarray([1], np.int64))], "mask_row"
    )  # (B, 1, T)
    x = _embeddings(g, weights, kernel, max_length)  # (B, T, H)
    for index in range(weights.layers - 1):
        x = _layer(g, weights, kernel, x, mask, f"bert.encoder.layer.{index}", f"layer{index}")
    last = weights.layers - 1
    first = _last_layer(g, weights, kernel, x, mask, f"bert.encoder.layer.{last}", f"layer{last}")  # (B, H)
    pooled = g.node(
        "Tanh", [_linear(g, kernel, first, weights.linear("bert.pooler.dense"), "pooler")], "pooled"
    )
    if PHRASES in weights.tensors:
        pooled = g.node("Add", [pooled, _phrases(g, kernel, weights, kept)], "pooled_with_phrases")
    logits = _linear(g, kernel.exact, pooled, weights.linear("classifier"), "classifier")
    g.node("Identity", [logits], "logits")
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", attributes])]
    graph = helper.make_graph(g.nodes, "dendritic_bert", inputs, outputs, list(g.constants.values()))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="giantkiller")


def _embeddings(g: Graph, weights: Weights, kernel: Kernel, max_length: int) -> str:
    """Word, pair, position and type embeddings, summed and normalised: (B, T, H)."""
    prefix = "bert.embeddings"
    words = kernel.table(g, _word_rows(g, weights), weights.tensors[WORDS], "word")
    if PAIRS in weights.tensors:
        words = g.node("Add", [words, _pairs(g, kernel, weights.tensors[PAIRS])], "words_and_pairs")
    places = weights.tensors[f"{prefix}.position_embeddings.weight"][:max_length]
    places = places + weights.tensors[f"{prefix}.token_type_embeddings.weight"][0]
    length = g.node("Shape", ["input_ids"], "length", start=1, end=2)
    zero = g.constant("start", np.asarray([0], np.int64))
    here = g.node("Slice", [g.constant("places", places), zero, length, zero], "places_here")  # (T, H)
    total = g.node("Add", [words, here], "embedded")
    norm = [
        g.constant(f"embedding_norm_{part}", weights.tensors[f"{prefix}.LayerNorm.{part}"])
        for part in ("weight", "bias")
    ]
    return g.node("LayerNormalization", [total, *norm], "embeddings", epsilon=weights.epsilon, axis=-1)


def _word_rows(g: Graph, weights: Weights) -> str:
    """Each token's row in the table of word embeddings: (B, T)."""
    rows = weights.word_rows
    if rows is None:
        return "input_ids"
    # Stored in 16 bits; the cast of a constant is done once, on loading.
    small = rows.astype(np.int16 if len(weights.tensors[WORDS]) <= 1 << 15 else np.int32)
    wide = g.node("Cast", [g.constant("word_rows", small)], "word_rows_wide", to=TensorProto.INT32)
    return g.node("Gather", [wide, "input_ids"], "word_row")


def _pairs(g: Graph, kernel: Kernel, table: Floats) -> str:
    """The embeddings of each token with the one before it, the sum of two hashed rows: (B, T, H)."""
    size = g.constant("pair_rows", np.asarray(len(table), np.int64))
    both = [
        kernel.table(
            g, g.node("Mod", [_pair_hashes(g, i), size], f"pair{i}_row"), table, "pair", widened=True
        )
        for i in (0, 1)
    ]
    return g.node("Add", both, "pairs_summed")


def _pair_hashes(g: Graph, i: int) -> str:
    """One of two numbers of each token with the one before it, by the hash functions of pairs: (B, T)."""
    name = f"pair{i}_hash"
    if name in g.made:
        return name
    before = _before(g, 1)
    first, second = (
        g.node("Mul", [ids, g.constant(f"pair_factor{i}{j}", np.asarray(factor, np.int64))], f"pair{i}{j}")
        for j, (ids, factor) in enumerate(zip((before, "input_ids"), PAIR_FACTORS[i], strict=True))
    )
    prime = g.constant("pair_prime", np.asarray(PAIR_PRIME, np.int64))
    return g.node("Mod", [g.node("Add", [first, second], f"pair{i}_mixed"), prime], name)


def _before(g: Graph, steps: int) -> str:
    """The token so many steps before each, 0 before the first: (B, T)."""
    name = f"before{steps}"
    if name not in g.made:
        shift = g.constant(f"shift{steps}", np.asarray([0, steps, 0, -steps], np.int64))
        g.node("Pad", ["input_ids", shift], name)
    return name


def _phrases(g: Graph, kernel: Kernel, weights: Weights, kept: str) -> str:
    """What phrases of one to three tokens say on their own, along its direction: (B, H).

    Args:
        g: The graph.
        kernel: How the table is stored.
        weights: The checkpoint's.
        kept: 1 for tokens, 0 for padding: (B, T).
    """
    table = weights.tensors[PHRASES]
    two = _pair_hashes(g, 0)
    prime = g.constant("pair_prime", np.asarray(PAIR_PRIME, np.int64))
    earlier = g.constant("phrase_factor", np.asarray(PHRASE_FACTOR, np.int64))
    three = g.node("Add", [g.node("Mul", [_before(g, 2), earlier], "earlier_mixed"), two], "three_mixed")
    one, three = g.node("Mod", ["pair01", prime], "one_hash"), g.node("Mod", [three, prime], "three_hash")
    hashes = g.node("Concat", [one, two, three], "phrase_hashes", axis=1)  # (B, 3 T)
    hashes = g.node("Cast", [hashes], "phrase_small", to=TensorProto.INT32)
    sizes = g.node("Shape", [hashes], "phrase_sizes")
    hashes = g.node("Reshape", [hashes, g.shape(-1)], "phrases_flat")  # (B * 3 T,)
    row = g.node("Mod", [hashes, g.constant("phrase_rows", np.asarray(len(table), np.int32))], "phrase_row")
    check = g.node("Mod", [hashes, g.constant("checks", np.asarray(CHECKS, np.int32))], "phrase_check")
    checks = weights.tensors[PHRASE_CHECKS].astype(np.uint8)
    each, scale = kernel.checked(g, row, check, table, checks, "phrases")
    each = g.node("Reshape", [each, sizes], "phrases_each")  # (B, 3 T)
    there = g.node("Concat", [kept, kept, kept], "phrases_there", axis=1)
    each = g.node("Mul", [each, there], "phrases_kept")
    along = g.constant("axis_1", np.asarray([1], np.int64))
    one = g.constant("one", np.asarray(1, np.float32))
    tokens = g.node("Max", [g.node("ReduceSum", [kept, along], "tokens"), one], "tokens_or_one")  # (B, 1)
    root = g.node("Sqrt", [tokens], "tokens_root")
    told = g.node("Div", [g.node("ReduceSum", [each, along], "phrases_total"), root], "phrases_told")
    told = g.node("Mul", [told, scale], "phrases_scaled")
    direction = g.constant("phrase_direction", weights.tensors["bert.phrases.direction"])
    return g.node("Mul", [told, direction], "phrases_moved")


def _layer(g: Graph, weights: Weights, kernel: Kernel, x: str, mask: str, prefix: str, name: str) -> str:
    """A whole encoder layer, for every token: (B, T, H) to (B, T, H)."""
    query, key, value = (
        weights.linear(f"{prefix}.attention.self.{part}") for part in ("query", "key", "value")
    )
    hidden, heads = query.out, weights.heads
    size = hidden // heads
    parts = {"query": query.scaled(size**-0.5), "key": key, "value": value}
    q, k, v = (_linear(g, kernel, x, layer, f"{name}_{part}") for part, layer in parts.items())  # (B, T, H)
    scores = kernel.scores(g, q, k, heads, name)  # (B, h, T, T)
    rows = g.node("Unsqueeze", [mask, g.constant("axis_1", np.asarray([1], np.int64))], f"{name}_mask")
    scores = g.node("Add", [scores, rows], f"{name}_masked")
    shares = g.node("Softmax", [scores], f"{name}_shares", axis=-1)
    context = kernel.read(g, shares, v, heads, name)  # (B, h, T, d)
    context = g.node("Transpose", [context], f"{name}_read_back", perm=[0, 2, 1, 3])
    context = g.node("Reshape", [context, g.shape(0, 0, hidden)], f"{name}_context")
    return _feed_forward(g, weights, kernel, context, x, prefix, name)


def heads_first(g: Graph, x: str, heads: int, name: str, *, transposed: bool = False) -> str:
    """(B, T, H) to (B, h, T, d), or transposed to (B, h, d, T)."""
    x = g.node("Reshape", [x, g.shape(0, 0, heads, -1)], f"{name}{HEADS}")
    return g.node("Transpose", [x], f"{name}_first", perm=[0, 2, 3, 1] if transposed else [0, 2, 1, 3])


def _last_layer(g: Graph, weights: Weights, kernel: Kernel, x: str, mask: str, prefix: str, name: str) -> str:
    """The last encoder layer, for the first token only: (B, T, H) to (B, H)."""
    query, key, value = (
        weights.linear(f"{prefix}.attention.self.{part}") for part in ("query", "key", "value")
    )
    hidden, heads = query.out, weights.heads
    size = hidden // heads
    first = g.node(
        "Gather", [x, g.constant("zero", np.asarray(0, np.int64))], f"{name}_first", axis=1
    )  # (B, H)
    q = _linear(g, kernel, first, query.scaled(size**-0.5), f"{name}_query")  # (B, H)
    # (B, h * d) @ (h * d, h * H): block (h, h) is W_k of that head, the rest is zero.
    look = _blocks(g, key.weight.reshape(heads, size, hidden), f"{name}_look")
    looked = g.node("MatMul", [q, look], f"{name}_looked")
    looked = g.node("Reshape", [looked, g.shape(-1, heads, hidden)], f"{name}_look_for")  # (B, h, H)
    scores = g.node("FusedMatMul", [looked, x], f"{name}_scores", domain=MICROSOFT, transB=1)  # (B, h, T)
    if key.dendrites:
        part = _linear(g, kernel, x, key.without_soma(), f"{name}_key")
        part = heads_first(g, part, heads, f"{name}_key")  # (B, h, T, d)
        row = g.node("Reshape", [q, g.shape(-1, heads, 1, size)], f"{name}_query_row")
        more = g.node("FusedMatMul", [row, part], f"{name}_more", domain=MICROSOFT, transB=1)  # (B, h, 1, T)
        more = g.node("Squeeze", [more, g.constant("axis_2", np.asarray([2], np.int64))], f"{name}_more_row")
        scores = g.node("Add", [scores, more], f"{name}_scores_all")
    scores = g.node("Add", [scores, mask], f"{name}_masked")
    shares = g.node("Softmax", [scores], f"{name}_shares", axis=-1)  # (B, h, T)
    seen = g.node("MatMul", [shares, x], f"{name}_seen")  # (B, h, H)
    seen = g.node("Reshape", [seen, g.shape(-1, heads * hidden)], f"{name}_seen_row")
    read = _blocks(g, value.weight.reshape(heads, size, hidden).transpose(0, 2, 1), f"{name}_read")
    context = g.node("MatMul", [seen, read], f"{name}_told")
    context = g.node(
        "Add", [context, g.constant(f"{name}_value_bias", value.bias)], f"{name}_context"
    )  # (B, H)
    if value.dendrites:
        part = _linear(g, kernel, x, value.without_soma(), f"{name}_value")
        part = heads_first(g, part, heads, f"{name}_value")
        row = g.node("Reshape", [shares, g.shape(0, heads, 1, -1)], f"{name}_shares_row")
        more = g.node("MatMul", [row, part], f"{name}_told_more")  # (B, h, 1, d)
        more = g.node("Reshape", [more, g.shape(-1, hidden)], f"{name}_told_more_row")
        context = g.node("Add", [context, more], f"{name}_context_all")
    return _feed_forward(g, weights, kernel, context, first, prefix, name)


def _blocks(g: Graph, weight: np.ndarray, name: str) -> str:
    """(h, m, n) to a block-diagonal (h * m, h * n), whose zeros loading makes and the file need not hold."""
    heads, rows, columns = weight.shape
    each = g.constant(name, np.ascontiguousarray(weight[:, :, None, :], np.float32))
    ones = g.constant(f"{name}_diagonal", np.eye(heads, dtype=np.float32)[:, None, :, None])
    spread = g.node("Mul", [each, ones], f"{name}_spread")  # (h, m, h, n)
    return g.node("Reshape", [spread, g.shape(heads * rows, heads * columns)], f"{name}_blocks")


def _feed_forward(
    g: Graph, weights: Weights, kernel: Kernel, context: str, x: str, prefix: str, name: str
) -> str:
    """What follows attention, on any leading axes: projection, norm, the wide layer, norm; with residuals."""
    projected = _linear(
        g, kernel, context, weights.linear(f"{prefix}.attention.output.dense"), f"{name}_project"
    )
    x = _norm(g, weights, projected, x, f"{prefix}.attention.output.LayerNorm", f"{name}_attended")
    wide = _linear(g, kernel, x, weights.linear(f"{prefix}.intermediate.dense"), f"{name}_wide")
    if not (kernel.clips and weights.hidden_activation == "relu"):
        wide = _activate(g, kernel, weights.hidden_activation, wide, f"{name}_active")
    narrow = _linear(g, kernel, wide, weights.linear(f"{prefix}.output.dense"), f"{name}_narrow")
    return _norm(g, weights, narrow, x, f"{prefix}.output.LayerNorm", f"{name}_out")


def _norm(g: Graph, weights: Weights, x: str, residual: str, prefix: str, name: str) -> str:
    norm = [
        g.constant(f"{name}_norm_{part}", weights.tensors[f"{prefix}.{part}"]) for part in ("weight", "bias")
    ]
    total = g.node("Add", [x, residual], f"{name}_sum")
    return g.node("LayerNormalization", [total, *norm], name, epsilon=weights.epsilon, axis=-1)


def _activate(g: Graph, kernel: Kernel, activation: str, x: str, name: str) -> str:
    if activation == "gelu":
        return g.node(kernel.gelu, [x], name, domain=MICROSOFT)
    operators = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid"}
    if activation not in operators:
        known = ", ".join(["gelu", *operators])
        raise ValueError(f"activation {activation!r} cannot be exported; it must be one of {known}")
    return g.node(operators[activation], [x], name)


def _linear(g: Graph, kernel: Kernel, x: str, layer: Layer, name: str) -> str:
    """One linear layer and its dendrites: the plain product, one product a dendrite, and the sum."""
    total = kernel.product(g, x, layer.weight.T, layer.bias, name) if len(layer.weight) else ""
    size = layer.strength.shape[1]
    fired: list[str] = []
    for d in range(layer.dendrites):
        rows = slice(d * size, (d + 1) * size)
        weight, bias = layer.dendrite_weight[rows].T, layer.dendrite_bias[rows]
        net = kernel.product(g, x, weight, bias, f"{name}_dendrite{d}")
        for e, earlier in enumerate(fired):
            link = layer.cascade[d * (d - 1) // 2 + e]
            if link.any():
                passed = g.node(
                    "Mul", [earlier, g.constant(f"{name}_link{d}_{e}", link)], f"{name}_passed{d}_{e}"
                )
                net = g.node("Add", [net, passed], f"{name}_net{d}_{e}")
        fired.append(_activate(g, kernel, layer.activation, net, f"{name}_fired{d}"))
        strength = g.constant(f"{name}_strength{d}", layer.strength[d])
        felt = g.node("Mul", [fired[-1], strength], f"{name}_felt{d}")
        total = g.node("Add", [total, felt], f"{name}_total{d}") if total else felt
    return total
