"""DuckDB: the scores as functions of SQL."""

from collections.abc import Callable
from typing import Any

import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import MissingExtraError, UserError
from giantkiller.frames.scoring import Model, score_values, screener_of


def register(connection: Any, *, prefix: str = "giantkiller_", model: Model = None) -> None:
    """Register the scores as functions of a DuckDB connection.

    `SELECT giantkiller_toxicity(text) FROM comments` and six more give one score each (FLOAT);
    `giantkiller_scores(text)` gives all seven as a STRUCT, for the time of one. They are vectorised: Arrow
    arrays of some 2,048 rows go in and come out. NULL gives NULL. Registering again replaces the functions.

    Args:
        connection: A connection of DuckDB.
        prefix: Put before the names of the functions.
        model: A screener, or what `load_screener` takes: a folder, a hub id, None for the shipped bundle.

    Raises:
        UserError: It is no connection of DuckDB, the prefix gives no name that SQL takes, or the bundle can't
            be read.
        MissingExtraError: pyarrow is not installed.
    """
    if not hasattr(connection, "create_function"):
        raise UserError(f"`connection` is of type {type(connection).__name__}, not a connection of DuckDB")
    if not f"{prefix}scores".isidentifier():
        raise UserError(f"`prefix` is {prefix!r}; use letters, digits and underscores")
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError("pyarrow", "frames") from error
    screener = screener_of(model)

    def rows(texts: Any, attributes: tuple[str, ...]) -> list[Any]:
        scores = score_values(screener, texts.to_pylist(), attributes)
        return [
            pa.array(column, pa.float32(), mask=np.isnan(column)) for column in np.ascontiguousarray(scores.T)
        ]

    def one(attribute: str) -> Callable[[Any], Any]:
        return lambda texts: rows(texts, (attribute,))[0]

    def all_of_them(texts: Any) -> Any:
        columns = rows(texts, ATTRIBUTES)
        return pa.StructArray.from_arrays(columns, list(ATTRIBUTES), mask=columns[0].is_null())

    struct = connection.struct_type(dict.fromkeys(ATTRIBUTES, "FLOAT"))
    functions = [(name, one(name), "FLOAT") for name in ATTRIBUTES] + [("scores", all_of_them, struct)]
    for name, function, returned in functions:
        _replace(connection, prefix + name, function, returned)


def _replace(connection: Any, name: str, function: Callable[[Any], Any], returned: Any) -> None:
    # On a cursor, so that a result which the caller has yet to fetch stays.
    known = "SELECT count(*) FROM duckdb_functions() WHERE function_name = ?"
    if connection.cursor().execute(known, [name.lower()]).fetchall()[0][0]:
        connection.remove_function(name)
    connection.create_function(name, function, ["VARCHAR"], returned, type="arrow", null_handling="special")
