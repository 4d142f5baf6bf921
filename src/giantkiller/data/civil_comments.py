"""Fetching Civil Comments (Borkan et al. 2019, CC0) through `datasets`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from giantkiller.data.convert import SCHEMA, writing
from giantkiller.errors import MissingExtraError, UserError

NAME = "google/civil_comments"
SPLITS = {"train": "civil_train", "validation": "civil_val", "test": "civil_test"}
"""The splits on the hub, and the files they become."""

_BATCH = 10_000  # rows


def fetch(
    folder: Path,
    *,
    source: str | Path = NAME,
    limit: int | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> dict[Path, int]:
    """Fetch the three splits and write one Parquet file for each.

    Args:
        folder: where the files go.
        source: the data set's name on the Hugging Face hub, or a local folder with its Parquet files.
        limit: the first so many rows of each split; without it all, about two million.
        progress: called with a split and the rows written since the last call.

    Returns:
        The files and their rows.

    Raises:
        UserError: the hub can't be reached, or a file not written.
    """
    try:
        import datasets
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError("datasets", "train") from error
    if isinstance(source, Path) and not source.is_dir():
        raise UserError(f"{source} is no folder; name the one with the data set's Parquet files")
    # Its retries are told as warnings; what came of them is told here.
    huggingface_hub.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    written = {}
    with _fetching(source):
        # A few rows are streamed; all of them are quicker and safer through the download cache.
        loaded = datasets.load_dataset(str(source), streaming=limit is not None)
    missing = [split for split in SPLITS if split not in loaded]
    if missing:
        raise UserError(f"{source} has no split {missing[0]!r}; it has: {', '.join(loaded)}")
    for split, name in SPLITS.items():
        path = folder / f"{name}.parquet"
        rows = 0
        with (
            writing(path) as unfinished,
            pa.parquet.ParquetWriter(unfinished, SCHEMA, compression="zstd") as out,
        ):
            part = loaded[split] if limit is None else loaded[split].take(limit)
            batches = iter(part.with_format("arrow").iter(batch_size=_BATCH))
            while True:
                with _fetching(source):
                    batch = next(batches, None)
                    if batch is None:
                        break
                    batch = batch.select(SCHEMA.names).cast(SCHEMA)
                out.write_table(batch)
                rows += batch.num_rows
                if progress is not None:
                    progress(split, batch.num_rows)
        written[path] = rows
    return written


@contextmanager
def _fetching(source: str | Path) -> Iterator[None]:
    try:
        yield
    except (
        Exception
    ) as error:  # whatever the hub's client, its HTTP library or Arrow raise: there is no common base
        if isinstance(source, Path):
            raise UserError(f"{source} does not hold the data set {NAME} as Parquet files") from error
        raise UserError(
            f"{source} can't be fetched here ({type(error).__name__}); download its Parquet files by hand "
            "from the data set's page on the Hugging Face hub and name their folder (`source`)"
        ) from error
