"""The ONNX graph of a dendritic BERT, built by hand from its weights.

What is notable about the graph:
- One matrix product a step: queries, keys and values with all their dendrites are one; so is every other
  layer with its own.
- The classifier reads nothing but the first token, so the last layer computes its query, and everything
  after its attention, for that token only. Its keys and values are never computed either, as far as they
  are linear: q . (W_k x) = (W_k' q) . x, and sum p (W_v x) = W_v (sum p x). Only what dendrites add to them
  is left per token. All of this is exact but for rounding. The key's bias shifts all scores of a query
  alike, and is gone.
- Position, token type and the embedding table's scales are folded; the 1 / sqrt(d) of attention is in the
  query's weights; the attention mask is added to the scores.
- How a matrix product is computed (float, or one of the quantized forms) is the `Kernel`'s business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Floats = np.ndarray[Any, np.dtype[np.float32]]

MICROSOFT = "com.microsoft"
OPSET = 17
IR = 9
MASKED = 1e4  # exp(-MASKED) is zero in float32: padding gets no weight at all


@dataclass(frozen=True)
class Layer:
    """One linear layer with D dendrites; shapes as in `giantkiller.dendrites.DendriticLinear`."""

    weight: Floats  # (out, in)
    bias: Floats  # (out)
    dendrite_weight: Floats  # (D * out, in)
    dendrite_bias: Floats  # (D * out)
    strength: Floats  # (D, out)
    cascade: Floats  # (D * (D - 1) / 2, out)
    activation: str = "tanh"

    @property
    def out(self) -> int:
        """Number of neurons."""
        return int(self.weight.shape[0])

    @property
    def dendrites(self) -> int:
        """Number of dendrites a neuron."""
        return int(self.strength.shape[0])

    def scaled(self, factor: float) -> "Layer":
        """Return the same layer with its output multiplied by a factor."""
        f = np.float32(factor)
        return Layer(
            self.weight * f,
            self.bias * f,
            self.dendrite_weight,
            self.dendrite_bias,
            self.strength * f,
            self.cascade,
            self.activation,
        )

    def without_soma(self) -> "Layer":
        """Return only what the dendrites add: no plain columns, no bias."""
        return Layer(
            np.zeros((0, self.weight.shape[1]), np.float32),
            np.zeros(0, np.float32),
            self.dendrite_weight,
            self.dendrite_bias,
            self.strength,
            self.cascade,
            self.activation,
        )


@dataclass(frozen=True)
class Weights:
    """A dendritic BERT's weights by their state-dict names, and the few numbers its graph depends on."""

    tensors: Mapping[str, Floats]
    layers: int
    heads: int
    epsilon: float
    activation: str = "tanh"  # the dendrites'
    hidden_activation: str = "gelu"

    def linear(self, name: str) -> Layer:
        """Collect the tensors of one linear layer; dendrites whose strengths are all zero are left out."""
        weight = self.tensors[f"{name}.weight"]
        out, inputs = weight.shape
        nothing = np.zeros((0, out), np.float32)
        strength = self.tensors.get(f"{name}.dendrite_strength", nothing)
        if not strength.any():
            empty = np.zeros((0, inputs), np.float32)
            zero = np.zeros(0, np.float32)
            return Layer(weight, self.tensors[f"{name}.bias"], empty, zero, nothing, nothing, self.activation)
        return Layer(
            weight,
            self.tensors[f"{name}.bias"],
            self.tensors[f"{name}.dendrite_weight"],
            self.tensors[f"{name}.dendrite_bias"],
            strength,
            self.tensors.get(f"{name}.dendrite_cascade", nothing),
            self.activation,
        )


class Kernel(Protocol):
    """How matrix products with constant weights, and the embedding table, go into a graph."""

    def product(self, graph: "Graph", x: str, weight: Floats, bias: Floats, name: str) -> str:
        """Add x @ weight + bias, with weight (in, out), and return the output's name."""

    def table(self, graph: "Graph", ids: str, table: Floats) -> str:
        """Add table[ids], with table (words, hidden), and return the output's name."""


class Graph:
    """Nodes and constants in the making."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def node(self, op: str, inputs: Sequence[str], name: str, *, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, called `name`, and return that name."""
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def split(self, x: str, sizes: Sequence[int], names: Sequence[str]) -> list[str]:
        """Split the last axis; a single part is the input itself."""
        if len(sizes) == 1:
            return [x]
        lengths = self.constant(f"{names[0]}_sizes", np.asarray(sizes, np.int64))
        self.nodes.append(
            helper.make_node("Split", [x, lengths], list(names), name=f"{names[0]}_split", axis=-1)
        )
        return list(names)

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
        weights: the checkpoint's.
        kernel: how matrix products are computed.
        max_length: longest input in tokens; the table of positions is cut there.
        attributes: number of logits.
    """
    g = Graph()
    mask = g.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    mask = g.node("Sub", [mask, g.constant("one", np.asarray(1, np.float32))], "mask_less_one")
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
        "Tanh", [_linear(g, kernel, first, [weights.linear("bert.pooler.dense")], "pooler")[0]], "pooled"
    )
    logits = _linear(g, kernel, pooled, [weights.linear("classifier")], "classifier")[0]
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
    """Word, position and type embeddings, summed and normalised: (B, T, H)."""
    prefix = "bert.embeddings"
    words = kernel.table(g, "input_ids", weights.tensors[f"{prefix}.word_embeddings.weight"])
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


def _layer(g: Graph, weights: Weights, kernel: Kernel, x: str, mask: str, prefix: str, name: str) -> str:
    """A whole encoder layer, for every token: (B, T, H) to (B, T, H)."""
    query, key, value = (
        weights.linear(f"{prefix}.attention.self.{part}") for part in ("query", "key", "value")
    )
    hidden, heads = query.out, weights.heads
    size = hidden // heads
    q, k, v = _linear(g, kernel, x, [query.scaled(size**-0.5), key, value], f"{name}_qkv")
    q, k, v = (_heads(g, part, heads, size) for part in (q, k, v))  # (B, h, T, d)
    scores = g.node("FusedMatMul", [q, k], f"{name}_scores", domain=MICROSOFT, transB=1)  # (B, h, T, T)
    rows = g.node("Unsqueeze", [mask, g.constant("axis_1", np.asarray([1], np.int64))], f"{name}_mask")
    scores = g.node("Add", [scores, rows], f"{name}_masked")
    shares = g.node("Softmax", [scores], f"{name}_shares", axis=-1)
    context = g.node("MatMul", [shares, v], f"{name}_read")  # (B, h, T, d)
    context = g.node("Transpose", [context], f"{name}_read_back", perm=[0, 2, 1, 3])
    context = g.node("Reshape", [context, g.shape(0, 0, hidden)], f"{name}_context")
    return _feed_forward(g, weights, kernel, context, x, prefix, name)


def _heads(g: Graph, x: str, heads: int, size: int) -> str:
    """(B, T, H) to (B, h, T, d)."""
    x = g.node("Reshape", [x, g.shape(0, 0, heads, size)], f"{x}_heads")
    return g.node("Transpose", [x], f"{x}_first", perm=[0, 2, 1, 3])


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
    q = _linear(g, kernel, first, [query.scaled(size**-0.5)], f"{name}_query")[0]  # (B, H)
    # (B, h * d) @ (h * d, h * H): block (h, h) is W_k of that head, the rest is zero.
    look = np.zeros((hidden, heads * hidden), np.float32)
    for head in range(heads):
        rows = slice(head * size, (head + 1) * size)
        look[rows, head * hidden : (head + 1) * hidden] = key.weight[rows]
    looked = g.node("MatMul", [q, g.constant(f"{name}_look", look)], f"{name}_looked")
    looked = g.node("Reshape", [looked, g.shape(-1, heads, hidden)], f"{name}_look_for")  # (B, h, H)
    scores = g.node("FusedMatMul", [looked, x], f"{name}_scores", domain=MICROSOFT, transB=1)  # (B, h, T)
    grown = [part.without_soma() for part in (key, value) if part.dendrites]
    added = dict(
        zip(
            [n for n, part in (("key", key), ("value", value)) if part.dendrites],
            _linear(g, kernel, x, grown, f"{name}_grown") if grown else [],
            strict=True,
        )
    )
    one_row = g.shape(-1, heads, 1, size)
    if "key" in added:
        part = _heads(g, added["key"], heads, size)  # (B, h, T, d)
        row = g.node("Reshape", [q, one_row], f"{name}_query_row")
        extra = g.node("FusedMatMul", [row, part], f"{name}_more", domain=MICROSOFT, transB=1)  # (B, h, 1, T)
        extra = g.node(
            "Squeeze", [extra, g.constant("axis_2", np.asarray([2], np.int64))], f"{name}_more_row"
        )
        scores = g.node("Add", [scores, extra], f"{name}_scores_all")
    scores = g.node("Add", [scores, mask], f"{name}_masked")
    shares = g.node("Softmax", [scores], f"{name}_shares", axis=-1)  # (B, h, T)
    seen = g.node("MatMul", [shares, x], f"{name}_seen")  # (B, h, H)
    seen = g.node("Reshape", [seen, g.shape(-1, heads * hidden)], f"{name}_seen_row")
    read = np.zeros((heads * hidden, hidden), np.float32)
    for head in range(heads):
        rows = slice(head * size, (head + 1) * size)
        read[head * hidden : (head + 1) * hidden, rows] = value.weight[rows].T
    context = g.node("MatMul", [seen, g.constant(f"{name}_read", read)], f"{name}_told")
    context = g.node(
        "Add", [context, g.constant(f"{name}_value_bias", value.bias)], f"{name}_context"
    )  # (B, H)
    if "value" in added:
        part = _heads(g, added["value"], heads, size)
        rows4 = g.node("Reshape", [shares, g.shape(0, heads, 1, -1)], f"{name}_shares_row")
        extra = g.node("MatMul", [rows4, part], f"{name}_told_more")  # (B, h, 1, d)
        extra = g.node("Reshape", [extra, g.shape(-1, hidden)], f"{name}_told_more_row")
        context = g.node("Add", [context, extra], f"{name}_context_all")
    return _feed_forward(g, weights, kernel, context, first, prefix, name)


def _feed_forward(
    g: Graph, weights: Weights, kernel: Kernel, context: str, x: str, prefix: str, name: str
) -> str:
    """What follows attention, on any leading axes: projection, norm, the wide layer, norm; with residuals."""
    projected = _linear(
        g, kernel, context, [weights.linear(f"{prefix}.attention.output.dense")], f"{name}_project"
    )
    x = _norm(g, weights, projected[0], x, f"{prefix}.attention.output.LayerNorm", f"{name}_attended")
    wide = _linear(g, kernel, x, [weights.linear(f"{prefix}.intermediate.dense")], f"{name}_wide")[0]
    wide = _activate(g, weights.hidden_activation, wide, f"{name}_active")
    narrow = _linear(g, kernel, wide, [weights.linear(f"{prefix}.output.dense")], f"{name}_narrow")[0]
    return _norm(g, weights, narrow, x, f"{prefix}.output.LayerNorm", f"{name}_out")


def _norm(g: Graph, weights: Weights, x: str, residual: str, prefix: str, name: str) -> str:
    norm = [
        g.constant(f"{name}_norm_{part}", weights.tensors[f"{prefix}.{part}"]) for part in ("weight", "bias")
    ]
    total = g.node("Add", [x, residual], f"{name}_sum")
    return g.node("LayerNormalization", [total, *norm], name, epsilon=weights.epsilon, axis=-1)


def _activate(g: Graph, activation: str, x: str, name: str) -> str:
    if activation == "gelu":
        return g.node("Gelu", [x], name, domain=MICROSOFT)
    operators = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid"}
    if activation not in operators:
        known = ", ".join(["gelu", *operators])
        raise ValueError(f"activation {activation!r} cannot be exported; it must be one of {known}")
    return g.node(operators[activation], [x], name)


def _linear(g: Graph, kernel: Kernel, x: str, layers: Sequence[Layer], name: str) -> list[str]:
    """Layers that read the same input, as one matrix product; their outputs in order.

    The product's columns: for each number of dendrites D that occurs, the plain part of the layers with that
    D, then their first dendrites, then their second, ...; so that dendrites of several layers are one block.
    """
    counts = sorted({layer.dendrites for layer in layers})
    groups = [[i for i, layer in enumerate(layers) if layer.dendrites == count] for count in counts]
    weight: list[Floats] = []
    bias: list[Floats] = []
    for group in groups:
        weight += [layers[i].weight for i in group]
        bias += [layers[i].bias for i in group]
        for d in range(layers[group[0]].dendrites):
            for i in group:
                rows = _dendrite_rows(layers[i], d)
                weight.append(layers[i].dendrite_weight[rows])
                bias.append(layers[i].dendrite_bias[rows])
    product = kernel.product(g, x, np.concatenate(weight).T, np.concatenate(bias), name)
    widths = [sum(part.shape[0] for part in _columns(layers, group)) for group in groups]
    blocks = g.split(product, widths, [f"{name}_group{i}" for i in range(len(groups))])
    outputs: dict[int, str] = {}
    for index, (group, block) in enumerate(zip(groups, blocks, strict=True)):
        joined = _dendrites(g, [layers[i] for i in group], block, f"{name}_{index}")
        sizes = [layers[i].strength.shape[1] for i in group]
        parts = g.split(joined, sizes, [f"{name}_part{i}" for i in group])
        outputs.update(zip(group, parts, strict=True))
    return [outputs[i] for i in range(len(layers))]


def _dendrite_rows(layer: Layer, d: int) -> slice:
    size = layer.strength.shape[1]
    return slice(d * size, (d + 1) * size)


def _columns(layers: Sequence[Layer], group: Sequence[int]) -> list[Floats]:
    return [part for i in group for part in (layers[i].weight, layers[i].dendrite_weight)]


def _dendrites(g: Graph, layers: Sequence[Layer], block: str, name: str) -> str:
    """Add to the plain part of a product what its dendrites contribute, for layers with equally many."""
    count = layers[0].dendrites
    if not count:
        return block
    size = sum(layer.strength.shape[1] for layer in layers)
    soma = sum(layer.out for layer in layers)
    sizes = ([soma] if soma else []) + [size] * count
    parts = g.split(block, sizes, [f"{name}_column{i}" for i in range(len(sizes))])
    total = parts[0] if soma else ""
    fired: list[str] = []
    for d, net in enumerate(parts[1:] if soma else parts):
        for e, earlier in enumerate(fired):
            link = np.concatenate([layer.cascade[d * (d - 1) // 2 + e] for layer in layers])
            if link.any():
                passed = g.node(
                    "Mul", [earlier, g.constant(f"{name}_link{d}_{e}", link)], f"{name}_passed{d}_{e}"
                )
                net = g.node("Add", [net, passed], f"{name}_net{d}_{e}")
        fired.append(_activate(g, layers[0].activation, net, f"{name}_fired{d}"))
        strength = np.concatenate([layer.strength[d] for layer in layers])
        felt = g.node("Mul", [fired[-1], g.constant(f"{name}_strength{d}", strength)], f"{name}_felt{d}")
        total = g.node("Add", [total, felt], f"{name}_total{d}") if total else felt
    return total
