"""How matrix products and the embedding table are stored and computed in an exported graph."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from giantkiller.errors import UserError
from giantkiller.export.onnx import MICROSOFT, Graph, Kernel
from giantkiller.export.weights import Bytes, Floats

KINDS = ("static", "none")
"""What `make_kernel` makes."""

FLOAT = TensorProto.FLOAT
Ranges = dict[str, tuple[float, float]]


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
    gelu = "Gelu"

    def product(self, graph: Graph, x: str, weight: Floats, bias: Floats, name: str) -> str:
        """Add x @ weight + bias."""
        y = graph.node("MatMul", [x, graph.constant(f"{name}_weight", weight)], f"{name}_product")
        return graph.node("Add", [y, graph.constant(f"{name}_bias", bias)], f"{name}_biased")

    def table(self, graph: Graph, ids: str, table: Floats, name: str, *, widened: bool = False) -> str:
        """Add table[ids]."""
        return graph.node("Gather", [graph.constant(f"{name}s", table), ids], f"{ids}_read")

    def checked(
        self, graph: Graph, rows: str, check: str, values: Floats, checks: Bytes, name: str
    ) -> tuple[str, str]:
        """Add values[rows] where checks[rows] is check, else 0; their scale is 1."""
        read = graph.node("GatherElements", [graph.constant(name, values), rows], f"{name}_read")
        there = graph.node(
            "GatherElements", [graph.constant(f"{name}_checks", checks), rows], f"{name}_checks_read"
        )
        there = graph.node("Cast", [there], f"{name}_wanted", to=TensorProto.INT32)
        same = graph.node("Equal", [there, check], f"{name}_same")
        zero = graph.constant("nothing", np.asarray(0, np.float32))
        return (
            graph.node("Where", [same, read, zero], f"{name}_checked"),
            graph.constant("one", np.asarray(1, np.float32)),
        )


@dataclass
class Static:
    """Everything in int8: embeddings with a scale a row, weights with one a column, phrases with one for all.

    Activations are uint8 with scales fixed beforehand, so that no comment's score depends on its neighbours.

    Attributes:
        ranges: Lowest and highest value of each product's input, by the product's name.
    """

    ranges: Ranges
    clips = True
    gelu = "FastGelu"

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

    def table(self, graph: Graph, ids: str, table: Floats, name: str, *, widened: bool = False) -> str:
        """Add table[ids]."""
        values, scale = by_row(table)
        rows, scales = graph.constant(f"{name}s", values), graph.constant(f"{name}_scales", scale[:, None])
        if widened:
            wide = f"{name}s_wide"
            if wide not in graph.made:
                floats = graph.node("Cast", [rows], f"{name}s_float", to=FLOAT)
                graph.node("Mul", [floats, scales], wide)
            return graph.node("Gather", [wide, ids], f"{ids}_read")
        rows = graph.node("Gather", [rows, ids], f"{ids}_read")
        rows = graph.node("Cast", [rows], f"{ids}_float", to=FLOAT)
        scales = graph.node("Gather", [scales, ids], f"{ids}_scales")
        return graph.node("Mul", [rows, scales], f"{ids}_scaled")

    def checked(
        self, graph: Graph, rows: str, check: str, values: Floats, checks: Bytes, name: str
    ) -> tuple[str, str]:
        """Add values[rows] where checks[rows] is check, else 0, in eight bits with one scale.

        Value and check lie in one 16-bit number, high byte and low: reading costs most. GatherElements reads
        single numbers faster than Gather, which copies each as if it were a row.
        """
        rounded, scale = by_row(values[None])
        packed = rounded[0].astype(np.int16) * 256 + checks.astype(np.int16)
        read = graph.node("GatherElements", [graph.constant(name, packed), rows], f"{name}_read")
        read = graph.node("Cast", [read], f"{name}_wide", to=TensorProto.INT32)
        low = graph.node("Mod", [read, graph.constant("byte", np.asarray(256, np.int32))], f"{name}_low")
        same = graph.node("Equal", [low, check], f"{name}_same")
        high = graph.node(
            "Cast", [graph.node("Sub", [read, check], f"{name}_high")], f"{name}_float", to=FLOAT
        )
        zero = graph.constant("nothing", np.asarray(0, np.float32))
        return (
            graph.node("Where", [same, high, zero], f"{name}_checked"),
            graph.constant(f"{name}_step", scale / 256),
        )


def make_kernel(kind: str, ranges: Ranges | None = None) -> Kernel:
    """Make a kernel by name.

    Args:
        kind: "static" (int8, the fastest) or "none" (float32).
        ranges: What `observe` found; needed for "static".

    Raises:
        UserError: An unknown kind, or static without ranges.
    """
    if kind == "none":
        return Float()
    if kind != "static":
        raise UserError(f"`quantize` is {kind!r}; it must be one of {', '.join(KINDS)}")
    if ranges is None:
        raise UserError("static quantization needs the ranges that activations have")
    return Static(ranges)
