"""How matrix products and the embedding table are stored and computed in an exported graph.

What ships is `Static`: the fastest form whose activation scales don't depend on the batch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from giantkiller.export.onnx import MICROSOFT, Floats, Graph, Weights, build
from giantkiller.runtime import onnxruntime

KINDS = ("static", "blocks", "table", "none")
"""What `kernel` makes, smallest loss of speed first."""

Ranges = dict[str, tuple[float, float]]
Batch = dict[str, np.ndarray[Any, np.dtype[np.int64]]]


def by_row(table: Floats) -> tuple[np.ndarray[Any, np.dtype[np.int8]], Floats]:
    """Quantize each row symmetrically: (rows, width) to int8 within +-127, and float32 scales (rows)."""
    scale = np.maximum(np.abs(table).max(axis=1), 1e-12) / 127
    values = np.clip(np.rint(table / scale[:, None]), -127, 127).astype(np.int8)
    return values, scale.astype(np.float32)


def by_row_in_pairs(table: Floats) -> tuple[np.ndarray[Any, np.dtype[np.int8]], Floats]:
    """Quantize each row like `by_row`, but so that two neighbours never add up to more than 128.

    CPUs without VNNI instructions multiply unsigned by signed bytes in pairs and add the two products in 16
    bits, where more than 32,767 is cut off: 255 * 128 just fits. Same scores on every CPU, at less loss than
    7-bit weights, the usual remedy.
    """
    rows, width = table.shape
    pairs = np.abs(np.pad(table, [(0, 0), (0, width % 2)])).reshape(rows, -1, 2).sum(axis=2).max(axis=1)
    # Rounding adds at most half a step to each of the two.
    scale = np.maximum(np.maximum(np.abs(table).max(axis=1), pairs), 1e-12) / 127
    values = np.clip(np.rint(table / scale[:, None]), -127, 127).astype(np.int8)
    return values, scale.astype(np.float32)


class Float:
    """Everything in float32."""

    clips = False

    def product(self, graph: Graph, x: str, weight: Floats, bias: Floats, name: str) -> str:
        """Add x @ weight + bias."""
        y = graph.node("MatMul", [x, graph.constant(f"{name}_weight", weight)], f"{name}_product")
        return graph.node("Add", [y, graph.constant(f"{name}_bias", bias)], f"{name}_biased")

    def table(self, graph: Graph, ids: str, table: Floats) -> str:
        """Add table[ids]."""
        return graph.node("Gather", [graph.constant("words", table), ids], "words_read")


class SmallTable(Float):
    """Embeddings in int8 with a scale a row; matrix products in float32."""

    def table(self, graph: Graph, ids: str, table: Floats) -> str:
        """Add table[ids]."""
        values, scale = by_row(table)
        rows = graph.node("Gather", [graph.constant("words", values), ids], "words_read")
        rows = graph.node("Cast", [rows], "words_float", to=TensorProto.FLOAT)
        scales = graph.node(
            "Gather", [graph.constant("word_scales", scale[:, None]), ids], "word_scales_read"
        )
        return graph.node("Mul", [rows, scales], "words_scaled")


@dataclass
class Blocks(SmallTable):
    """Matrix products by MatMulNBits in 8 bits: weights by block of inputs, activations by row and block.

    A row's scale depends on that row alone, so no comment's score depends on its neighbours.
    """

    block: int = 128
    accuracy: int = 4

    def product(self, graph: Graph, x: str, weight: Floats, bias: Floats, name: str) -> str:
        """Add x @ weight + bias."""
        inputs, outputs = weight.shape
        blocks = -(-inputs // self.block)
        padded = np.zeros((outputs, blocks * self.block), np.float32)
        padded[:, :inputs] = weight.T
        values, scale = by_row(padded.reshape(-1, self.block))
        stored = (values.astype(np.int16) + 128).astype(np.uint8).reshape(outputs, blocks, self.block)
        return graph.node(
            "MatMulNBits",
            [
                x,
                graph.constant(f"{name}_weight", stored),
                graph.constant(f"{name}_scale", scale.reshape(outputs, blocks)),
                "",
                "",
                graph.constant(f"{name}_bias", bias),
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

    def product(self, graph: Graph, x: str, weight: Floats, bias: Floats, name: str) -> str:
        """Add x @ weight + bias."""
        values, scale = by_row(weight.T)
        return graph.node(
            "DynamicQuantizeMatMul",
            [
                x,
                graph.constant(f"{name}_weight", values.T),
                graph.constant(f"{name}_scale", scale),
                graph.constant(f"{name}_zero", np.zeros(len(scale), np.int8)),
                graph.constant(f"{name}_bias", bias),
            ],
            f"{name}_product",
            domain=MICROSOFT,
        )


@dataclass
class Static(SmallTable):
    """Activations in uint8 with scales fixed beforehand from training texts; weights int8 by column.

    ranges: (lowest, highest) value of each product's input, by the product's name.
    """

    clips = True

    ranges: Ranges

    def product(self, graph: Graph, x: str, weight: Floats, bias: Floats, name: str) -> str:
        """Add x @ weight + bias."""
        low, high = self.ranges[name]
        low, high = min(low, 0.0), max(high, 0.0)
        step = max((high - low) / 255, 1e-12)
        zero = graph.constant(f"{x}_zero", np.asarray(round(-low / step), np.uint8))
        scale = graph.constant(f"{x}_scale", np.asarray(step, np.float32))
        quantized = f"{x}_quantized"
        if quantized not in graph.made:  # several products may read one input
            graph.node("QuantizeLinear", [x, scale, zero], quantized)
        values, scales = by_row_in_pairs(weight.T)
        return graph.node(
            "MatMulIntegerToFloat",
            [
                quantized,
                graph.constant(f"{name}_weight", values.T),
                scale,
                graph.constant(f"{name}_scale", scales),
                zero,
                graph.constant(f"{name}_zero", np.zeros(len(scales), np.int8)),
                graph.constant(f"{name}_bias", bias),
            ],
            f"{name}_product",
            domain=MICROSOFT,
        )


def kernel(kind: str, ranges: Ranges | None = None) -> Float:
    """Make a kernel by name.

    Args:
        kind: "static" (int8, the fastest), "blocks" (8-bit weights and per-row activations by block),
            "table" (int8 embeddings only) or "none" (float32).
        ranges: what `observe` found; needed for "static".

    Raises:
        ValueError: an unknown kind, or static without ranges.
    """
    if kind == "static":
        if ranges is None:
            raise ValueError("static quantization needs the ranges that activations have")
        return Static(ranges)
    kinds = {"blocks": Blocks, "table": SmallTable, "none": Float}
    if kind not in kinds:
        raise ValueError(f"quantization {kind!r} is unknown; it must be one of {', '.join(KINDS)}")
    return kinds[kind]()


def observe(weights: Weights, batches: Iterable[Batch], *, max_length: int, attributes: int) -> Ranges:
    """Find the lowest and highest value that the input of each matrix product takes on real texts.

    Args:
        weights: the checkpoint's.
        batches: the model's inputs, padding masked out.
        max_length: see `build`.
        attributes: see `build`.

    Returns:
        the range by the product's name.
    """
    model = build(weights, Float(), max_length=max_length, attributes=attributes)
    inputs = {
        node.name.removesuffix("_product"): node.input[0]
        for node in model.graph.node
        if node.op_type == "MatMul" and node.name.endswith("_product")
    }
    watched = sorted(set(inputs.values()))
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in watched
    )
    session = open_session(model)
    low, high = dict.fromkeys(watched, np.inf), dict.fromkeys(watched, -np.inf)
    for batch in batches:
        real = batch["attention_mask"].astype(bool)
        for name, value in zip(watched, session.run(watched, batch), strict=True):
            seen = value[real] if value.ndim == 3 else value
            low[name] = min(low[name], float(seen.min()))
            high[name] = max(high[name], float(seen.max()))
    return {name: (low[source], high[source]) for name, source in inputs.items()}


def open_session(model: onnx.ModelProto | bytes, threads: int = 0) -> onnxruntime.InferenceSession:
    """Load a model into onnxruntime on the CPU; threads 0 takes all cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def batches(rows: Sequence[Sequence[int]], tokens: int = 4096) -> list[tuple[list[int], Batch]]:
    """Group token ids by length, padded to the longest of each batch: (row numbers, model inputs)."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    groups: list[list[int]] = []
    for i in order:
        if not groups or len(rows[i]) * (len(groups[-1]) + 1) > tokens:
            groups.append([])
        groups[-1].append(i)
    made: list[tuple[list[int], Batch]] = []
    for group in groups:
        ids = np.zeros((len(group), max(len(rows[i]) for i in group)), np.int64)
        mask = np.zeros_like(ids)
        for line, i in enumerate(group):
            ids[line, : len(rows[i])] = rows[i]
            mask[line, : len(rows[i])] = 1
        made.append((group, {"input_ids": ids, "attention_mask": mask}))
    return made
