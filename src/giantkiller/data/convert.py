"""Labelled comments in our own form: Parquet with a text, seven fractions, and whatever else there was."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.data.sources import Labelled
from giantkiller.errors import UserError

SCHEMA = pa.schema([("text", pa.string()), *((name, pa.float32()) for name in ATTRIBUTES)])
"""The columns that every file of ours has, first and in this order; a missing label is null."""


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a path to write to that takes the target's name only when all went well.

    Raises:
        UserError: it can't be written.
    """
    if not path.name.endswith(".parquet"):
        raise UserError(f"{path}: the output is Parquet; give it the ending .parquet")
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file in it")
    unfinished = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(f"{path} can't be written: {reason}") from error
    finally:
        if path.parent.is_dir():
            unfinished.unlink(missing_ok=True)


def write_labelled(labelled: Labelled, path: Path) -> None:
    """Write labelled comments as Parquet, with `label_kind` and all other columns after the labels.

    Raises:
        UserError: the file can't be written, or another column is called as one of ours.
    """
    columns = [pa.array(labelled.texts, pa.string())]
    columns += [pa.array(column, pa.float32(), mask=np.isnan(column)) for column in labelled.targets.T]
    table = pa.table(columns, schema=SCHEMA)
    if labelled.kinds is not None:
        table = table.append_column("label_kind", pa.array(labelled.kinds, pa.string()))
    for name in labelled.extra:
        if name in table.column_names:
            raise UserError(f"{path} would have two columns {name!r}; rename the one in the source")
        table = table.append_column(name, labelled.extra.table.column(name))
    with writing(path) as unfinished:
        pa.parquet.write_table(table, unfinished, compression="zstd")


def describe(labelled: Labelled) -> dict[str, Any]:
    """Count rows, labels and positives (a fraction of at least 0.5).

    Returns:
        A dictionary for JSON: `rows`, `different_texts`, `empty_texts`, `label_kinds`, `other_columns`, and
        for each attribute `labelled`, `positive` and `rate`, the positive share of the labelled or None.
    """
    attributes = {}
    for name, column in zip(ATTRIBUTES, labelled.targets.T, strict=True):
        known, positive = int(np.isfinite(column).sum()), int((column >= POSITIVE).sum())
        attributes[name] = {
            "labelled": known,
            "positive": positive,
            "rate": positive / known if known else None,
        }
    return {
        "rows": len(labelled),
        "different_texts": len(set(labelled.texts)),
        "empty_texts": sum(not text.strip() for text in labelled.texts),
        "label_kinds": dict(Counter(labelled.kinds or [])),
        "other_columns": list(labelled.extra),
        "attributes": attributes,
    }
