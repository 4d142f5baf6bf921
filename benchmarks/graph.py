"""What does each step of the exported graph give? Model only, one thread, the same batches for every form.

    python benchmarks/graph.py --data civil_test.parquet [--checkpoint runs/release] [--rounds 5]

Random weights if no checkpoint is given: exact for speed. Counts the thread's processor time, so that
other programs on the machine matter little; takes the best round. A table, then one JSON line.
"""

import argparse
import contextlib
import json
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import giantkiller.export.onnx as graph
from giantkiller.encoding import Encoder, length
from giantkiller.export.checkpoint import read_checkpoint
from giantkiller.export.kernels import Float, Static, by_row
from giantkiller.export.onnx import MICROSOFT, build
from giantkiller.export.running import batched, observe, open_session
from giantkiller.export.weights import Weights

HERE = {name: getattr(graph, name) for name in ("_linear", "_layer", "_last_layer", "_norm")}


@contextlib.contextmanager
def instead(**functions):
    """Build with other functions in the exporter's place."""
    for name, function in functions.items():
        setattr(graph, name, function)
    try:
        yield
    finally:
        for name, function in HERE.items():
            setattr(graph, name, function)


def every_token(g, weights, kernel, x, mask, prefix, name):
    """The last layer like the others; the first token is taken from its output."""
    x = HERE["_layer"](g, weights, kernel, x, mask, prefix, name)
    return g.node("Gather", [x, g.constant("zero", np.asarray(0, np.int64))], f"{name}_taken", axis=1)


def first_token(g, weights, kernel, x, mask, prefix, name):
    """The last layer for the first token, its keys and values computed for every token."""
    parts = {part: weights.linear(f"{prefix}.attention.self.{part}") for part in ("query", "key", "value")}
    hidden, heads = parts["query"].out, weights.heads
    size = hidden // heads
    first = g.node("Gather", [x, g.constant("zero", np.asarray(0, np.int64))], f"{name}_first", axis=1)
    q = graph._linear(g, kernel, first, parts["query"].scaled(size**-0.5), f"{name}_query")
    q = g.node("Reshape", [q, g.shape(-1, heads, 1, size)], f"{name}_q")
    k, v = (
        graph._heads(g, graph._linear(g, kernel, x, parts[part], f"{name}_{part}"), heads, size)
        for part in ("key", "value")
    )
    scores = g.node("FusedMatMul", [q, k], f"{name}_scores", domain=MICROSOFT, transB=1)
    rows = g.node("Unsqueeze", [mask, g.constant("axis_1", np.asarray([1], np.int64))], f"{name}_mask")
    shares = g.node("Softmax", [g.node("Add", [scores, rows], f"{name}_masked")], f"{name}_shares", axis=-1)
    context = g.node("MatMul", [shares, v], f"{name}_read")
    context = g.node("Reshape", [context, g.shape(-1, hidden)], f"{name}_context")
    return graph._feed_forward(g, weights, kernel, context, first, prefix, name)


def wide_linear(g, kernel, x, layer, name):
    """A layer and its dendrites as one wider product, split afterwards."""
    if not layer.dendrites or not len(layer.weight):
        return HERE["_linear"](g, kernel, x, layer, name)
    weight = np.concatenate([layer.weight, layer.dendrite_weight]).T
    wide = kernel.product(g, x, weight, np.concatenate([layer.bias, layer.dendrite_bias]), name)
    columns = [f"{name}_column{i}" for i in range(1 + layer.dendrites)]
    sizes = g.constant(f"{name}_sizes", np.full(len(columns), layer.out, np.int64))
    g.nodes.append(graph.helper.make_node("Split", [wide, sizes], columns, axis=-1))
    total, fired = columns[0], []
    for d, net in enumerate(columns[1:]):
        for e, earlier in enumerate(fired):
            link = g.constant(f"{name}_link{d}_{e}", layer.cascade[d * (d - 1) // 2 + e])
            net = g.node("Add", [net, g.node("Mul", [earlier, link], f"{name}_p{d}_{e}")], f"{name}_n{d}_{e}")
        fired.append(graph._activate(g, kernel, layer.activation, net, f"{name}_fired{d}"))
        strength = g.constant(f"{name}_strength{d}", layer.strength[d])
        felt = g.node("Mul", [fired[-1], strength], f"{name}_felt{d}")
        total = g.node("Add", [total, felt], f"{name}_total{d}")
    return total


def attention_operator(g, weights, kernel, x, mask, prefix, name):
    """onnxruntime's MultiHeadAttention instead of matmul, softmax, matmul."""
    parts = {part: weights.linear(f"{prefix}.attention.self.{part}") for part in ("query", "key", "value")}
    q, k, v = (graph._linear(g, kernel, x, layer, f"{name}_{part}") for part, layer in parts.items())
    real = g.node("Cast", ["attention_mask"], f"{name}_real", to=graph.TensorProto.INT32)
    context = g.node(
        "MultiHeadAttention",
        [q, k, v, "", real],
        f"{name}_context",
        domain=MICROSOFT,
        num_heads=weights.heads,
    )
    return graph._feed_forward(g, weights, kernel, context, x, prefix, name)


def skip_norm(g, weights, x, residual, prefix, name):
    """onnxruntime's SkipLayerNormalization instead of a sum and a norm."""
    norm = [g.constant(f"{name}_{part}", weights.tensors[f"{prefix}.{part}"]) for part in ("weight", "bias")]
    return g.node(
        "SkipLayerNormalization", [x, residual, *norm], name, domain=MICROSOFT, epsilon=weights.epsilon
    )


class ByErf(Static):
    """GELU as it is defined instead of by tanh."""

    gelu = "Gelu"


class NarrowPairs(Static):
    """Rows of pairs turned into floats as they are read instead of all of them on loading."""

    def table(self, graph, ids, table, name, *, widened=False):
        """Add table[ids]."""
        return super().table(graph, ids, table, name)


class SmallTable(Float):
    """Embeddings in int8 with a scale a row; matrix products in float32."""

    table = Static.table


@dataclass
class Blocks(SmallTable):
    """Matrix products by MatMulNBits in 8 bits: weights by block of inputs, activations by row and block.

    A row's scale depends on that row alone, so no comment's score depends on its neighbours.
    """

    block: int = 128
    accuracy: int = 4

    def product(self, g, x, weight, bias, name):
        """Add x @ weight + bias."""
        inputs, outputs = weight.shape
        blocks = -(-inputs // self.block)
        padded = np.zeros((outputs, blocks * self.block), np.float32)
        padded[:, :inputs] = weight.T
        values, scale = by_row(padded.reshape(-1, self.block))
        stored = (values.astype(np.int16) + 128).astype(np.uint8).reshape(outputs, blocks, self.block)
        return g.node(
            "MatMulNBits",
            [
                x,
                g.constant(f"{name}_weight", stored),
                g.constant(f"{name}_scale", scale.reshape(outputs, blocks)),
                "",
                "",
                g.constant(f"{name}_bias", bias),
            ],
            f"{name}_product",
            domain=MICROSOFT,
            K=inputs,
            N=outputs,
            bits=8,
            block_size=self.block,
            accuracy_level=self.accuracy,
        )


@dataclass
class Dynamic(SmallTable):
    """DynamicQuantizeMatMul: one activation scale over the batch, for comparison only."""

    def product(self, g, x, weight, bias, name):
        """Add x @ weight + bias."""
        values, scale = by_row(weight.T)
        return g.node(
            "DynamicQuantizeMatMul",
            [
                x,
                g.constant(f"{name}_weight", values.T),
                g.constant(f"{name}_scale", scale),
                g.constant(f"{name}_zero", np.zeros(len(scale), np.int8)),
                g.constant(f"{name}_bias", bias),
            ],
            f"{name}_product",
            domain=MICROSOFT,
        )


def forms(weights, ranges, longest):
    """Name to model; the ones in brackets are what was not taken."""
    relu = Weights(**{**weights.__dict__, "hidden_activation": "relu"})

    def make(kernel, source=weights, **functions):
        with instead(**functions):
            return build(source, kernel, max_length=longest, attributes=7).SerializeToString()

    return {
        "every token, float32": make(Float(), _last_layer=every_token),
        "+ last layer for the first token only": make(Float(), _last_layer=first_token),
        "+ its keys and values folded": make(Float()),
        "+ embeddings in int8": make(SmallTable()),
        "+ products in int8, static (ships)": make(Static(ranges)),
        "(dendrites in one wider product)": make(Static(ranges), _linear=wide_linear),
        "(MultiHeadAttention)": make(Static(ranges), _layer=attention_operator),
        "(SkipLayerNormalization)": make(Static(ranges), _norm=skip_norm),
        "(GELU by erf)": make(ByErf(ranges)),
        "(pairs turned into floats as read)": make(NarrowPairs(ranges)),
        "(ReLU for GELU: needs training)": make(Static(ranges), relu),
        "(8-bit weights by block)": make(Blocks()),
        "(dynamic int8: neighbours matter)": make(Dynamic()),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="comments")
    parser.add_argument("--checkpoint", type=Path, help="random weights if not given")
    parser.add_argument("--comments", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    import opponents
    from speed import random_checkpoint

    from giantkiller.data.labelled import read_labelled

    texts = read_labelled(options.data).texts[: options.comments]
    with tempfile.TemporaryDirectory() as folder:
        source = read_checkpoint(options.checkpoint or random_checkpoint(Path(folder) / "random"))
        rows = Encoder(source.tokenizer, source.max_length).encode(texts)
        work = [batch for _, batch in batched(rows, 1024)]
        ranges = observe(source.weights, work[::4], max_length=source.max_length, attributes=7)
        models = forms(source.weights, ranges, source.max_length)
        plain = opponents.exported(opponents.bert(opponents.TINY), folder, quantized=False)
        models = {"usual export, float32, no dendrites": plain.read_bytes()} | models
    bare = {name: value for name, value in source.weights.tensors.items() if "dendrite" not in name}
    without = Weights(**{**source.weights.__dict__, "tensors": bare})
    models["(ships, without dendrites)"] = build(
        without, Static(ranges), max_length=source.max_length, attributes=7
    ).SerializeToString()
    sessions = {name: open_session(model, threads=1) for name, model in models.items()}
    taken = {name: [] for name in sessions}
    for session in sessions.values():
        for batch in work[:: len(work) // 5]:
            session.run(["logits"], batch)
    for _ in range(options.rounds):
        for name, session in sessions.items():
            began = time.thread_time()
            for batch in work:
                session.run(["logits"], batch)
            taken[name].append(time.thread_time() - began)
    rates = {name: len(texts) / min(values) for name, values in taken.items()}
    base = rates["every token, float32"]
    print(f"{len(texts)} comments, {np.mean([length(row) for row in rows]):.0f} tokens on average")
    print(f"{'':<42}{'comments/s':>12}{'relative':>10}{'bytes':>14}")
    for name, rate in rates.items():
        print(f"{name:<42}{rate:>12,.0f}{rate / base:>9.2f}x{len(models[name]):>14,}")
    print(json.dumps({"comments_per_second": {name: round(rate, 1) for name, rate in rates.items()}}))


if __name__ == "__main__":
    main()
