"""Running an exported model over token ids, and the ranges that its activations have."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from tqdm import tqdm

from giantkiller.attributes import ATTRIBUTES
from giantkiller.batching import PADDED_TOKENS, plan
from giantkiller.encoding import length, unpack
from giantkiller.export.kernels import Float, Ranges
from giantkiller.export.onnx import HEADS, build
from giantkiller.export.weights import Weights
from giantkiller.runtime import onnxruntime

Inputs = dict[str, NDArray[np.int64]]


def open_session(model: onnx.ModelProto | bytes, threads: int = 0) -> onnxruntime.InferenceSession:
    """Load a model into onnxruntime on the CPU; 0 threads takes all cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def batched(rows: Sequence[bytes], budget: int = PADDED_TOKENS) -> Iterator[tuple[list[int], Inputs]]:
    """Group rows of token ids into padded batches under a budget of tokens.

    Yields:
        The row numbers of a batch, and the model's inputs for them.
    """
    for group in plan([length(row) for row in rows], budget, padded=True):
        ids = np.zeros((len(group), max(length(rows[i]) for i in group)), np.int64)
        mask = np.zeros_like(ids)
        for line, i in enumerate(group):
            ids[line, : length(rows[i])] = unpack(rows[i])
            mask[line, : length(rows[i])] = 1
        yield group, {"input_ids": ids, "attention_mask": mask}


def logits_of(model: onnx.ModelProto | bytes, rows: Sequence[bytes]) -> NDArray[np.float32]:
    """Run a model over rows of token ids.

    Returns:
        (rows, attributes) logits.
    """
    session = open_session(model)
    result = np.empty((len(rows), len(ATTRIBUTES)), np.float32)
    bar = tqdm(list(batched(rows)), desc="scoring", unit="batch", delay=1, leave=False, disable=None)
    for group, inputs in bar:
        result[group] = session.run(["logits"], inputs)[0]
    return result


def observe(weights: Weights, batches: Iterable[Inputs], **shape: Any) -> Ranges:
    """Find the lowest and highest value of each product's input, of queries, keys and values, on real texts.

    Args:
        weights: The checkpoint's.
        batches: The model's inputs, padding masked out.
        **shape: As for `build`.

    Returns:
        The range by the product's name; of queries, keys and values by their own with `HEADS`.
    """
    model = build(weights, Float(), **shape)
    inputs = {
        node.name.removesuffix("_product"): node.input[0]
        for node in model.graph.node
        if node.op_type == "MatMul" and node.name.endswith("_product")
    }
    inputs |= {node.name: node.input[0] for node in model.graph.node if node.name.endswith(HEADS)}
    watched = sorted(set(inputs.values()))
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in watched
    )
    session = open_session(model)
    low, high = dict.fromkeys(watched, np.inf), dict.fromkeys(watched, -np.inf)
    for batch in batches:
        real = batch["attention_mask"].astype(bool)
        for name, value in zip(watched, session.run(watched, batch), strict=True):
            there = value[real] if value.ndim == 3 else value
            low[name] = min(low[name], float(there.min()))
            high[name] = max(high[name], float(there.max()))
    return {name: (low[source], high[source]) for name, source in inputs.items()}
