"""Distillation: a teacher's logits for any texts, kept in Parquet, and the loss that learns from them.

Hinton, Vinyals & Dean 2015, "Distilling the knowledge in a neural network"; squared error between
logits is that paper's high-temperature limit (section 2.1).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError

COLUMNS = [f"logit_{name}" for name in ATTRIBUTES]


def read_soft_labels(path: str | Path) -> tuple[list[str], np.ndarray]:
    """Read teacher logits.

    :param path: What `write_soft_labels` wrote.
    :return: The texts, and their logits (n, 7) float32.
    :raises UserError: If the file is missing or holds something else.
    """
    import pyarrow.parquet as pq

    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"soft labels {path} do not exist; "
            f"write them with: giantkiller soft-labels MODEL --data FILE -o {path}"
        )
    try:
        table = pq.read_table(path, columns=["text", *COLUMNS])
    except Exception as error:
        raise UserError(
            f"{path} holds no soft labels ({error}); it needs text and {COLUMNS[0]} ..."
        ) from None
    logits = np.stack([table[name].to_numpy().astype(np.float32) for name in COLUMNS], axis=1)
    return table["text"].to_pylist(), logits


def write_soft_labels(
    path: str | Path,
    texts: Sequence[str],
    logits: Callable[[Sequence[str]], np.ndarray],
    progress: Callable[[int], object] = lambda rows: None,
    chunk: int = 2048,
) -> None:
    """Write a teacher's logits for texts, a chunk at a time; an interrupted run leaves no file.

    :param path: The Parquet file to write.
    :param texts: Comments.
    :param logits: The teacher: texts to logits (n, 7).
    :param progress: Told the number of rows done with each chunk.
    :param chunk: Texts at a time.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    unfinished = path.with_name(path.name + ".part")
    schema = pa.schema([("text", pa.string()), *[(name, pa.float32()) for name in COLUMNS]])
    try:
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            for begin in range(0, len(texts), chunk):
                some = list(texts[begin : begin + chunk])
                values = np.asarray(logits(some), dtype=np.float32)
                columns = [pa.array(some), *[pa.array(values[:, i]) for i in range(len(COLUMNS))]]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                progress(len(some))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def masked_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor,
    positive_weight: float = 1.0,
    attribute_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Weighted mean of the binary cross-entropy over the targets that are there.

    With hard targets and a positive weight this is the class-weighted cross-entropy of a two-logit
    model whose first logit is 0.

    :param logits: (b, 7).
    :param targets: (b, 7) fractions, NaN where missing.
    :param weights: (b,) weight of each row.
    :param positive_weight: Weight of a target of 1 against one of 0.
    :param attribute_weights: (7,) weight of each attribute.
    :return: A scalar; 0 where no target is there.
    """
    there = ~torch.isnan(targets)
    known = torch.where(there, targets, 0.0)
    scale = there * weights[:, None] * (1 + (positive_weight - 1) * known)
    if attribute_weights is not None:
        scale = scale * attribute_weights
    each = F.binary_cross_entropy_with_logits(logits, known, reduction="none")
    return (each * scale).sum() / scale.sum().clamp_min(1e-12)


def soft_loss(logits: torch.Tensor, soft: torch.Tensor, kind: str) -> torch.Tensor:
    """Distance to the teacher, over the soft labels that are there.

    :param logits: (b, 7).
    :param soft: (b, 7) teacher logits, NaN where missing.
    :param kind: `mse` between logits, or `bce` with the teacher's probabilities.
    :return: A scalar; 0 where no soft label is there.
    """
    there = ~torch.isnan(soft)
    known = torch.where(there, soft, 0.0)
    if kind == "mse":
        each = (logits - known) ** 2
    else:
        each = F.binary_cross_entropy_with_logits(logits, torch.sigmoid(known), reduction="none")
    return (each * there).sum() / there.sum().clamp_min(1)
