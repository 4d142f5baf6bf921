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
from giantkiller.training.recipe import LossSettings

COLUMNS = [f"logit_{name}" for name in ATTRIBUTES]


def read_soft_labels(path: str | Path) -> tuple[list[str], np.ndarray]:
    """Read teacher logits.

    Args:
        path: What `write_soft_labels` wrote.

    Returns:
        The texts, and their logits (n, 7) float32.

    Raises:
        UserError: If the file is missing or holds something else.
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

    Args:
        path: The Parquet file to write.
        texts: Comments.
        logits: The teacher: texts to logits (n, 7).
        progress: Told the number of rows done with each chunk.
        chunk: Texts at a time.
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


def label_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor,
    soft: torch.Tensor,
    settings: LossSettings,
) -> torch.Tensor:
    """Weighted mean over all labels that are there, raters' and teacher's.

    Where a text has both for an attribute, the teacher's counts `soft_share` and the raters' the rest; where
    it has one, that one counts fully. With hard targets alone and a positive weight this is the
    class-weighted cross-entropy of a two-logit model whose first logit is 0.

    Args:
        logits: (b, 7).
        targets: (b, 7) fractions of raters, NaN where missing.
        weights: (b,) weight of each row's targets.
        soft: (b, 7) teacher logits, NaN where missing.
        settings: Share and kind of the soft loss, positive weight, attribute weights.

    Returns:
        A scalar; 0 where no label is there.
    """
    rated, taught = ~torch.isnan(targets), ~torch.isnan(soft)
    target, teacher = torch.where(rated, targets, 0.0), torch.where(taught, soft, 0.0)
    attributes = torch.tensor(
        [settings.attribute_weights.get(name, 1.0) for name in ATTRIBUTES], device=logits.device
    )
    share = settings.soft_share
    hard_scale = rated * torch.where(taught, 1 - share, 1.0) * attributes * weights[:, None]
    hard_scale = hard_scale * (1 + (settings.positive_weight - 1) * target)
    soft_scale = taught * torch.where(rated, share, 1.0) * attributes
    hard = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if settings.soft_loss == "mse":
        near = (logits - teacher) ** 2
    else:
        near = F.binary_cross_entropy_with_logits(logits, torch.sigmoid(teacher), reduction="none")
    total = (hard * hard_scale + near * soft_scale).sum()
    return total / (hard_scale + soft_scale).sum().clamp_min(1e-12)
