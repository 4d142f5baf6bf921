"""Labelled comments in our own form: Parquet with a text, seven fractions, and whatever else there was."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from giantkiller.atomic import replace_file
from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.labelled import Labelled, read_labelled
from giantkiller.errors import UserError
from giantkiller.files.paths import same_file

SCHEMA = pa.schema([("text", pa.string()), *((name, pa.float32()) for name in ATTRIBUTES)])
"""The columns that every file of ours has, first and in this order; a missing label is null."""


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Replace a Parquet file by what the body writes to a temporary one; on an error nothing changes.

    Args:
        path: The file.

    Yields:
        The temporary file.

    Raises:
        UserError: It can't be written, or its ending is another.
    """
    if not path.name.endswith(".parquet"):
        raise UserError(f"{path}: the output is Parquet; give it the ending .parquet")
    with replace_file(path) as temporary:
        yield temporary


def convert(source: Path, target: Path, *, text_column: str | None = None) -> int:
    """Write any known form of labelled comments as our Parquet.

    Args:
        source: The file, in a form that `read_labelled` reads.
        target: The Parquet file to write.
        text_column: The column with the comments; looked for by the names in `TEXT_NAMES` if None.

    Returns:
        The number of rows.

    Raises:
        UserError: The source can't be read, the target not written, or they are one file.
    """
    if same_file(source, target):
        raise UserError(f"{target} is the input itself; name another output")
    labelled = read_labelled(source, text_column=text_column)
    write_labelled(labelled, target)
    return len(labelled)


def write_labelled(labelled: Labelled, path: Path) -> None:
    """Write labelled comments as Parquet, with `label_kind` and all other columns after the labels.

    Raises:
        UserError: The file can't be written, or another column is called as one of ours.
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
    with writing(path) as temporary:
        pa.parquet.write_table(table, temporary, compression="zstd")
