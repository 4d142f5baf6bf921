"""Labelled comments as people have them, read into one form."""

import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from giantkiller.attributes import ATTRIBUTES, OTHER_NAMES
from giantkiller.errors import MissingExtraError, UserError
from giantkiller.files import TEXT_NAMES

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv
    import pyarrow.parquet
except ImportError as error:
    raise MissingExtraError("pyarrow", "train") from error

MISSING = ("", "nan", "na", "null", "none")
"""What stands for a missing label in text files, in any case."""

_CSV_BLOCK = 64 << 20  # bytes; a row must fit into one


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
        """The same columns for some rows."""
        return Columns(self._table.take(pa.array(rows)))


@dataclass
class Labelled:
    """Comments with their labels, one row a comment.

    Attributes:
        texts: the comments as they were written; a missing one is empty.
        targets: float32 (n, 7), fractions of raters in [0, 1] in the order of `ATTRIBUTES`, NaN = missing.
        kinds: the column `label_kind` (how a row was labelled), where the file has one.
        extra: every other column by its name, e.g. identities or another model's scores; read on demand.
    """

    texts: list[str]
    targets: npt.NDArray[np.float32]
    kinds: list[str] | None
    extra: Columns

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int] | npt.NDArray[Any]) -> "Labelled":
        """Some rows, in the order given.

        Args:
            rows: row numbers, or one bool a row.
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
        path: the file; its ending says what it is.
        text_column: the column with the comments; looked for by the names in `TEXT_NAMES` if not given.

    Raises:
        UserError: the file can't be read, has no such column, or a label is no number in [0, 1]; rows are
            counted from 1, the header not included.
    """
    path = Path(path)
    table = _load(path)
    if text_column is None and path.name.startswith("test_labels.") and "id" in table.column_names:
        table = _join_texts(path, table)
    text_column = _text_column(path, table.column_names, text_column)
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
        path: the file, in any form that `read_labelled` reads.

    Raises:
        UserError: the file can't be read.
    """
    return Columns(_load(Path(path)))


def _load(path: Path) -> pa.Table:
    if not path.exists():
        raise UserError(f"{path}: there is no such file")
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file in it")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty")
    name = path.name.lower().removesuffix(".gz")
    try:
        if path.name.lower().endswith(".parquet"):
            table = pa.parquet.read_table(path)
        elif name.endswith((".csv", ".tsv")):
            table = _load_csv(path, "\t" if name.endswith(".tsv") else ",")
        elif name.endswith((".jsonl", ".ndjson")):
            table = _load_jsonl(path)
        else:
            raise UserError(
                f"{path} ends in no way known here; use .parquet, or .csv, .tsv or .jsonl (also .gz)"
            )
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        # Arrow's messages quote the data, which may be any text: only their kind is passed on.
        kind = "it is damaged or not what its ending says"
        if isinstance(error, OSError) and error.errno:
            kind = os.strerror(error.errno)
        elif "UTF8" in str(error):
            kind = "its text is not UTF-8"
        raise UserError(f"{path} can't be read: {kind}") from error
    if len(set(table.column_names)) < table.num_columns:
        raise UserError(f"{path}: two columns have the same name; rename one")
    if table.num_rows == 0:
        raise UserError(f"{path} has a header but no rows")
    return table


def _load_csv(path: Path, delimiter: str) -> pa.Table:
    bad: list[tuple[int | None, int, int]] = []

    def refuse(row: Any) -> str:
        bad.append((row.number, row.actual_columns, row.expected_columns))
        return "error"

    def options(strings: Sequence[str]) -> dict[str, Any]:
        return {
            # One thread: only then Arrow counts the rows it refuses.
            "read_options": pa.csv.ReadOptions(block_size=_CSV_BLOCK, use_threads=False),
            "parse_options": pa.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse
            ),
            "convert_options": pa.csv.ConvertOptions(
                column_types=dict.fromkeys(strings, pa.string()), strings_can_be_null=False
            ),
        }

    try:
        with pa.csv.open_csv(path, **options(())) as reader:
            names = reader.schema.names
        # Everything as text: what is a number is decided here, where the row can be named.
        table = pa.csv.read_csv(path, **options(names))
    except pa.ArrowInvalid as error:
        if not bad:
            raise
        number, actual, expected = bad[0]
        where = "a row" if number is None else f"row {number - 1}"
        raise UserError(
            f"{path}: {where} has {actual} fields where the header has {expected}; mend its quotes"
        ) from error
    # Arrow takes a quote that is never closed as a long last field: then the quotes don't come in pairs.
    last = [column[-1].as_py() for column in table.columns] if table.num_rows else []
    if any("\n" in value for value in last) and _count(path, b'"') % 2:
        raise UserError(f"{path}: a quote is opened and never closed in row {table.num_rows}")
    return table


def _count(path: Path, byte: bytes) -> int:
    with _open(path) as file:
        return sum(block.count(byte) for block in iter(lambda: file.read(1 << 20), b""))


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _load_jsonl(path: Path) -> pa.Table:
    columns: dict[str, list[Any]] = {}
    rows = 0
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise UserError(f"{path}: line {number} is not UTF-8") from error
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path}: line {number} is not JSON") from error
            if not isinstance(row, dict):
                raise UserError(f"{path}: line {number} is JSON but not an object with columns")
            for name, value in row.items():
                columns.setdefault(name, [None] * rows).append(value)
            rows += 1
            if len(row) < len(columns):
                for values in columns.values():
                    values.extend([None] * (rows - len(values)))
    if not rows:
        raise UserError(f"{path} has no rows")
    return pa.table({name: _arrow(values) for name, values in columns.items()})


def _arrow(values: list[Any]) -> pa.Array:
    """One column of JSON values; mixed or nested values become their JSON text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        # Not all of what JSON can escape can be encoded: lone surrogates become the replacement character.
        return pa.array([v and v.encode("utf-8", "replace").decode() for v in values], pa.string())
    if kinds <= {int, float}:
        return pa.array([None if v is None else _float(v) for v in values], pa.float64())
    if kinds <= {bool}:
        return pa.array(values, pa.bool_())
    return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _join_texts(path: Path, table: pa.Table) -> pa.Table:
    """The Jigsaw 2018 test set: labels in one file, texts in another, by `id`."""
    if any(name in table.column_names for name in TEXT_NAMES):
        return table
    other = path.with_name(path.name.replace("test_labels", "test", 1))
    if not other.exists():
        raise UserError(f"{path} has labels without comments; put {other.name}, which has them, beside it")
    texts = _load(other)
    if not {"id", "comment_text"} <= set(texts.column_names):
        raise UserError(f"{other}: the columns 'id' and 'comment_text' were expected")
    by_id = dict(zip(texts.column("id").to_pylist(), texts.column("comment_text").to_pylist(), strict=True))
    wanted = table.column("id").to_pylist()
    lost = next((i for i, key in enumerate(wanted, 1) if key not in by_id), None)
    if lost is not None:
        raise UserError(f"{path}: row {lost} has an id that {other.name} does not have")
    return table.append_column("comment_text", pa.array([by_id[key] for key in wanted], pa.string()))


def _text_column(path: Path, names: Sequence[str], wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in names:
            raise UserError(f"{path} has no column {wanted!r}; its columns are: {', '.join(names)}")
        return wanted
    found = next((name for name in TEXT_NAMES if name in names), None)
    if found is None:
        raise UserError(
            f"{path}: none of its columns ({', '.join(names)}) has a usual name for text; name it"
        )
    return found


def _texts(path: Path, name: str, column: pa.ChunkedArray) -> list[str]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise UserError(f"{path}: the column {name!r} holds {column.type} values, not text")
    return ["" if text is None else text for text in column.to_pylist()]


def _label_columns(table: pa.Table, text_column: str) -> dict[str, str]:
    """Which column labels which attribute; our own names win over those of others."""
    names = [name for name in table.column_names if name != text_column]
    found = {name: name for name in ATTRIBUTES if name in names}
    for name in names:
        # "target" is toxicity in the Jigsaw 2019 files, but anything at all elsewhere.
        if name == "target" and text_column != "comment_text" and _numbers(table.column(name)) is None:
            continue
        if name in OTHER_NAMES:
            found.setdefault(OTHER_NAMES[name], name)
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
