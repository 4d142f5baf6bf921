"""Labelled comments as people have them, read into one form."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from giantkiller.attributes import ATTRIBUTES, attribute_of
from giantkiller.data.loading import load_table
from giantkiller.errors import MissingExtraError, UserError
from giantkiller.files.batches import is_text
from giantkiller.files.columns import choose_text_column, is_text_name

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError as error:
    raise MissingExtraError("pyarrow", "train") from error

MISSING = ("", "nan", "na", "null", "none")
"""What stands for a missing label in text files, in any case."""


class Columns(Mapping[str, npt.NDArray[Any]]):
    """The columns of a file that are neither text nor labels, converted when they are asked for.

    A column of numbers (also numbers written as text) comes as float64 with NaN for missing, any other as an
    object array of str with None for missing.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @property
    def table(self) -> pa.Table:
        """The columns as the file had them (of a CSV file: all text)."""
        return self._table

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name not in self._table.column_names:
            raise KeyError(name)
        column = self._table.column(name)
        numbers = _numbers(column)
        if numbers is not None:
            return numbers
        return np.array([None if v is None else str(v) for v in column.to_pylist()], dtype=object)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.column_names)

    def __len__(self) -> int:
        return int(self._table.num_columns)

    def take(self, rows: npt.NDArray[np.int64]) -> "Columns":
        """Return the same columns for some rows."""
        return Columns(self._table.take(pa.array(rows)))


@dataclass
class Labelled:
    """Comments with their labels, one row a comment.

    Attributes:
        texts: The comments as they were written; a missing one is empty.
        targets: float32 (n, 7), fractions of raters in [0, 1] in the order of `ATTRIBUTES`, NaN = missing.
        kinds: The column `label_kind` (how a row was labelled), where the file has one.
        extra: Every other column by its name, e.g. identities or another model's scores; read on demand.
    """

    texts: list[str]
    targets: npt.NDArray[np.float32]
    kinds: list[str] | None
    extra: Columns

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int] | npt.NDArray[Any]) -> "Labelled":
        """Return some rows, in the order given.

        Args:
            rows: Row numbers, or one bool a row.
        """
        index = np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        return Labelled(
            texts=[self.texts[i] for i in index],
            targets=self.targets[index],
            kinds=None if self.kinds is None else [self.kinds[i] for i in index],
            extra=self.extra.take(index),
        )


def read_labelled(path: str | Path, *, text_column: str | None = None) -> Labelled:
    """Read labelled comments from Parquet, CSV, TSV or JSON Lines (the last three also .gz).

    Known forms: the columns of `google/civil_comments`, the Jigsaw unintended-bias CSV (`comment_text`,
    `target`, identities), the WILDS CSV, the Jigsaw 2018 CSV (`toxic`, ..., `identity_hate`; -1 = missing;
    `test_labels.csv` takes its texts from the `test.csv` beside it), and any file with a text column and any
    of the seven attributes. Attributes without a column are missing (NaN) in every row.

    Args:
        path: The file; its ending says what it is.
        text_column: The column with the comments; looked for by the names in `TEXT_NAMES` if not given.

    Raises:
        UserError: The file can't be read, has no such column, or a label is no number in [0, 1]; rows are
            counted from 1, the header not included.
    """
    path = Path(path)
    table = load_table(path, text_column)
    if text_column is None and path.name.startswith("test_labels.") and "id" in table.column_names:
        table = _join_texts(path, table)
    text_column = choose_text_column(path, table.column_names, text_column)
    texts = _texts(path, text_column, table.column(text_column))
    labels = _label_columns(table, text_column)
    unlabelled = -1.0 if "identity_hate" in labels.values() else None
    targets = np.full((len(texts), len(ATTRIBUTES)), np.nan, dtype=np.float32)
    for attribute, name in labels.items():
        targets[:, ATTRIBUTES.index(attribute)] = _labels(path, name, table.column(name), unlabelled)
    kinds = None
    if "label_kind" in table.column_names:
        kinds = [kind or "" for kind in table.column("label_kind").to_pylist()]
    used = {text_column, "label_kind", *labels.values()}
    extra = Columns(table.select([name for name in table.column_names if name not in used]))
    return Labelled(texts=texts, targets=targets, kinds=kinds, extra=extra)


def read_columns(path: str | Path) -> Columns:
    """Read every column of a file as it is, whatever the columns mean.

    Args:
        path: The file, in any form that `read_labelled` reads.

    Raises:
        UserError: The file can't be read.
    """
    return Columns(load_table(Path(path)))


def _join_texts(path: Path, table: pa.Table) -> pa.Table:
    """The Jigsaw 2018 test set: labels in one file, texts in another, by `id`."""
    if any(map(is_text_name, table.column_names)):
        return table
    other = path.with_name(path.name.replace("test_labels", "test", 1))
    if not other.exists():
        raise UserError(f"{path} has labels without comments; put {other.name}, which has them, beside it")
    texts = load_table(other)
    if not {"id", "comment_text"} <= set(texts.column_names):
        raise UserError(f"{other}: the columns 'id' and 'comment_text' were expected")
    by_id = dict(zip(texts.column("id").to_pylist(), texts.column("comment_text").to_pylist(), strict=True))
    wanted = table.column("id").to_pylist()
    lost = next((i for i, key in enumerate(wanted, 1) if key not in by_id), None)
    if lost is not None:
        raise UserError(f"{path}: row {lost} has an id that {other.name} does not have")
    return table.append_column("comment_text", pa.array([by_id[key] for key in wanted], pa.string()))


def _texts(path: Path, name: str, column: pa.ChunkedArray) -> list[str]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not is_text(column.type):
        raise UserError(f"{path}: the column {name!r} holds {column.type} values, not text")
    return ["" if text is None else text for text in column.to_pylist()]


def _label_columns(table: pa.Table, text_column: str) -> dict[str, str]:
    """Which column labels which attribute; our own names win over those of others."""
    names = [name for name in table.column_names if name != text_column]
    found = {name: name for name in ATTRIBUTES if name in names}
    for name in names:
        # "target" is toxicity in the Jigsaw 2019 files, but anything at all elsewhere.
        if (
            name.lower() == "target"
            and text_column != "comment_text"
            and _numbers(table.column(name)) is None
        ):
            continue
        attribute = attribute_of(name)
        if attribute is not None:
            found.setdefault(attribute, name)
    return found


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64] | None:
    """A column as float64 with NaN for missing, or None if something in it is no number."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        trimmed = pc.utf8_trim_whitespace(column)
        known = pc.is_in(pc.utf8_lower(trimmed), value_set=pa.array(MISSING, column.type))
        column = pc.if_else(known, pa.scalar(None, column.type), trimmed)
    elif not any(
        is_type(column.type)
        for is_type in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null)
    ):
        return None
    try:
        numbers = pc.cast(column, pa.float64(), safe=False)
    except pa.ArrowInvalid:
        return None
    result: npt.NDArray[np.float64] = pc.fill_null(numbers, float("nan")).to_numpy()
    return result


def _labels(
    path: Path, name: str, column: pa.ChunkedArray, unlabelled: float | None
) -> npt.NDArray[np.float64]:
    numbers = _numbers(column)
    if numbers is None:
        row = next((i for i in range(len(column)) if _numbers(column.slice(i, 1)) is None), 0)
        raise UserError(f"{path}: row {row + 1} has something in {name!r} that is not a number")
    if unlabelled is not None:
        numbers = np.where(numbers == unlabelled, np.nan, numbers)
    outside = ~(np.isnan(numbers) | ((numbers >= 0) & (numbers <= 1)))
    if outside.any():
        row = int(np.argmax(outside))
        raise UserError(f"{path}: row {row + 1} has {numbers[row]:g} in {name!r}; labels lie between 0 and 1")
    return numbers
