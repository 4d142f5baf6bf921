"""How matrix products and the embedding table are stored and computed in an exported graph."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from giantkiller.errors import UserError
from giantkiller.export.onnx import HEADS, MICROSOFT, Graph, Kernel, heads_first
from giantkiller.export.weights import Bytes, Floats

KINDS = ("static", "none")
"""What `make_kernel` makes."""

FLOAT = TensorProto.FLOAT
_ENDS = (("low", -1), ("high", 1))
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

    @property
    def exact(self) -> Kernel:
        """Return itself."""
        return self

    def product(self, graph: Graph, x: str, weight: Floats, bias: Floats, name: str) -> str:
        """Add x @ weight + bias."""
        y = graph.node("MatMul", [x, graph.constant(f"{name}_weight", weight)], f"{name}_product")
        return graph.node("Add", [y, graph.constant(f"{name}_bias", bias)], f"{name}_biased")

    def scores(self, graph: Graph, query: str, key: str, heads: int, name: str) -> str:
        """Add what each query makes of each key."""
        q, k = (
            heads_first(graph, x, heads, f"{name}_{part}") for part, x in (("query", query), ("key", key))
        )
        return graph.node("FusedMatMul", [q, k], f"{name}_scores", domain=MICROSOFT, transB=1)

    def read(self, graph: Graph, shares: str, value: str, heads: int, name: str) -> str:
        """Add the means of the values by shares."""
        return graph.node(
            "MatMul", [shares, heads_first(graph, value, heads, f"{name}_value")], f"{name}_read"
        )

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


def _in_eight_bits(graph: Graph, x: str, step: float, zero: Any) -> tuple[str, str, str]:
    """Add x in eight bits, of the type of its zero; return that, its step and its zero."""
    scale = graph.constant(f"{x}_step", np.asarray(step, np.float32))
    middle = graph.constant(f"{x}_middle", np.asarray(zero))
    return graph.node("QuantizeLinear", [x, scale, middle], f"{x}_small"), scale, middle


@dataclass
class Static:
    """Everything in int8: embeddings with a scale a row, weights with one a column, phrases with one for all.

    Activations have eight bits and scales fixed beforehand, so that no comment's score depends on its
    neighbours. What the last layer's one query reads is in float32, and so is the classifier, whose input has
    few steps of eight bits left where phrases stretch its range.

    Attributes:
        ranges: Lowest and highest value of each product's input, and of queries, keys and values, as
            `giantkiller.export.running.observe` names them.
    """

    ranges: Ranges
    clips = True
    gelu = "FastGelu"

    @property
    def exact(self) -> Kernel:
        """Return the kernel that rounds nothing."""
        return Float()

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

    def scores(self, graph: Graph, query: str, key: str, heads: int, name: str) -> str:
        """Add what each query makes of each key.

        Keys have seven bits and are clipped to their range, for the reason that `by_row_in_pairs` gives.
        """
        far = self._furthest(f"{name}_key")
        ends = [
            graph.constant(f"{name}_key_{end}", np.asarray(sign * far, np.float32)) for end, sign in _ENDS
        ]
        key = graph.node("Clip", [key, *ends], f"{name}_key_clipped")
        step = self._furthest(f"{name}_query") / 127
        q, q_step, q_zero = _in_eight_bits(graph, query, step, np.uint8(128))
        k, k_step, k_zero = _in_eight_bits(graph, key, far / 64, np.int8(0))
        q = heads_first(graph, q, heads, f"{name}_query")
        k = heads_first(graph, k, heads, f"{name}_key", transposed=True)
        both = [q, k, q_step, k_step, q_zero, k_zero]
        return graph.node("MatMulIntegerToFloat", both, f"{name}_scores", domain=MICROSOFT)

    def read(self, graph: Graph, shares: str, value: str, heads: int, name: str) -> str:
        """Add the means of the values by shares, of which no two exceed 1: eight bits and eight do."""
        s, s_step, s_zero = _in_eight_bits(graph, shares, 1 / 255, np.uint8(0))
        v, v_step, v_zero = _in_eight_bits(graph, value, self._furthest(f"{name}_value") / 127, np.int8(0))
        v = heads_first(graph, v, heads, f"{name}_value")
        both = [s, v, s_step, v_step, s_zero, v_zero]
        return graph.node("MatMulIntegerToFloat", both, f"{name}_read", domain=MICROSOFT)

    def _furthest(self, name: str) -> float:
        """Return how far from 0 queries, keys or values were seen."""
        return max(*map(abs, self.ranges[f"{name}{HEADS}"]), 1e-6)

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
