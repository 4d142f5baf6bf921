"""One call for every kind of data frame."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from giantkiller.errors import MissingExtraError, UserError
from giantkiller.frames.scoring import Model, check_attributes, score_values, screener_of
from giantkiller.screener import Screener

try:
    import narwhals as nw
except ImportError as error:
    raise MissingExtraError("narwhals", "frames") from error


def score(
    frame: Any,
    column: str = "text",
    *,
    attributes: Iterable[str] | str | None = None,
    prefix: str = "",
    model: Model = None,
) -> Any:
    """Add the scores of a column of texts to a data frame.

    Rows keep their order and index. A text that stands there several times is scored once: in the whole
    column, or in each batch of a Polars LazyFrame or a Hugging Face dataset, which are scored batch by batch.

    Args:
        frame: A pandas DataFrame, a Polars DataFrame or LazyFrame, a PyArrow Table, another eager frame
            that narwhals reads, or a Hugging Face Dataset or IterableDataset.
        column: Where the texts are.
        attributes: Which scores, in which order; all seven if None.
        prefix: Put before the names of the new columns.
        model: A screener, or what `load_screener` takes: a folder, a hub id, None for the shipped bundle.

    Returns:
        A frame of the same kind with a float32 column for each attribute; null where the text is null.

    Raises:
        UserError: It has no such column, or no text in it, or has a column of a new name; an attribute is
            unknown; it is no frame; or the bundle can't be read.
        MissingExtraError: narwhals is not installed.
    """
    names = check_attributes(attributes)
    if type(frame).__module__.partition(".")[0] == "datasets" and hasattr(frame, "map"):
        return _score_dataset(frame, column, names, prefix, model)
    try:
        wrapped = nw.from_native(frame)
    except TypeError:
        raise UserError(f"`frame` is of type {type(frame).__name__}, which is no data frame") from None
    lazy = isinstance(wrapped, nw.LazyFrame)
    if lazy and not wrapped.implementation.is_polars():
        mend = "use `register`, and SQL" if wrapped.implementation.is_duckdb() else "collect it first"
        raise UserError(f"`frame` is a lazy one of {wrapped.implementation.value}; {mend}")
    schema = wrapped.collect_schema()
    _check_columns(schema.names(), column, [prefix + name for name in names])
    kind = schema[column]
    if not isinstance(kind, nw.String | nw.Categorical | nw.Enum | nw.Object | nw.Unknown):
        raise UserError(f"the column {column!r} holds {kind}, not text")
    work = _Scoring.of(screener_of(model), column, names, prefix)
    return work.lazily(frame) if lazy else work.eagerly(wrapped)


def _check_columns(present: Sequence[str], column: str, added: Sequence[str]) -> None:
    if column not in present:
        listed = ", ".join(map(repr, present[:12])) + (", ..." if len(present) > 12 else "")
        raise UserError(f"there is no column {column!r}; name one of these (`column`): {listed}")
    for name in added:
        if name in present:
            raise UserError(
                f"there is a column {name!r} already; give the new ones another beginning (`prefix`)"
            )


def _score_dataset(dataset: Any, column: str, names: Sequence[str], prefix: str, model: Model) -> Any:
    """Score a Hugging Face dataset: its Arrow tables, batch by batch."""
    if dataset.column_names is not None:
        if not isinstance(dataset.column_names, list):
            raise UserError("`frame` is a DatasetDict; score its datasets one by one")
        _check_columns(dataset.column_names, column, [prefix + name for name in names])
    before = getattr(dataset, "format", None) or {"type": None}
    work = _Scoring.of(screener_of(model), column, names, prefix)
    scored = dataset.with_format("arrow").map(work, batched=True, batch_size=_DATASET_ROWS)
    return scored.with_format(before["type"])


_DATASET_ROWS = 8192


@dataclass(frozen=True)
class _Scoring:
    """What is done to a frame. Pickled with the bundle's digest, by which datasets knows cached results."""

    screener: Screener
    digest: str
    column: str
    attributes: tuple[str, ...]
    prefix: str

    @classmethod
    def of(cls, screener: Screener, column: str, attributes: Sequence[str], prefix: str) -> "_Scoring":
        return cls(screener, screener.bundle.digest, column, tuple(attributes), prefix)

    def __call__(self, frame: Any) -> Any:
        return self.eagerly(nw.from_native(frame, eager_only=True))

    def eagerly(self, frame: Any) -> Any:
        """Return a frame with its scores, out of what narwhals made of it."""
        values = frame[self.column]
        if isinstance(values.dtype, nw.Categorical | nw.Enum):
            values = values.cast(nw.String)
        return nw.to_native(frame.with_columns(*self._series(values.to_list(), frame.implementation)))

    def _series(self, values: list[Any], backend: Any) -> list[Any]:
        scores = score_values(self.screener, values, self.attributes, self.column)
        nulls = len(scores) > 0 and bool(np.isnan(scores[:, 0]).any())
        made = []
        for attribute, numbers in zip(self.attributes, np.ascontiguousarray(scores.T), strict=True):
            series = nw.Series.from_numpy(self.prefix + attribute, numbers, nw.Float32(), backend=backend)
            made.append(series.fill_nan(None) if nulls else series)
        return made

    def lazily(self, frame: Any) -> Any:
        """Return a LazyFrame of Polars that is scored as it is run, in its streaming engine, too."""
        import polars as pl

        names = [self.prefix + attribute for attribute in self.attributes]

        def scores(values: Any) -> Any:
            made = self._series(values.cast(pl.String).to_list(), "polars")
            return pl.DataFrame([nw.to_native(series) for series in made]).to_struct(values.name)

        struct = pl.Struct(dict.fromkeys(names, pl.Float32))
        column = pl.col(self.column).map_batches(scores, return_dtype=struct, is_elementwise=True)
        return frame.with_columns(column.struct.unnest())
