"""Columns of texts to scores: nulls stay nulls, and what stands there twice is scored once."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.loading import load_screener
from giantkiller.screener import Screener

Model = Screener | str | Path | None
"""A screener, or what `load_screener` makes one of."""

_shared = cache(load_screener)


def screener_of(model: Model) -> Screener:
    """Return a screener; the same one for the same model, loaded when it is needed first."""
    return model if isinstance(model, Screener) else _shared(model)


def check_attributes(attributes: Iterable[str] | str | None) -> tuple[str, ...]:
    """Return the attributes that were asked for; all seven for None.

    Raises:
        UserError: One is unknown, named twice, or there is none.
    """
    if attributes is None:
        return ATTRIBUTES
    names = (attributes,) if isinstance(attributes, str) else tuple(attributes)
    for name in names:
        if name not in ATTRIBUTES:
            raise UserError(f"`attributes`: {name!r} is none of {', '.join(ATTRIBUTES)}")
    if not names or len(set(names)) < len(names):
        raise UserError("`attributes` must name at least one, and each once")
    return names


def score_values(
    screener: Screener, values: Sequence[Any], attributes: Sequence[str], name: str = "text"
) -> NDArray[np.float32]:
    """Score values of a column.

    Args:
        screener: What scores.
        values: str, or None or NaN for what is missing.
        attributes: Which scores.
        name: What messages call the column.

    Returns:
        Shape (n, attributes), float32; NaN where a value is missing.

    Raises:
        UserError: A value is neither.
    """
    first: dict[str, int] = {}
    index = np.empty(len(values), np.intp)
    for row, value in enumerate(values):
        if isinstance(value, str):
            index[row] = first.setdefault(value, len(first))
        elif is_missing(value):
            index[row] = -1
        else:
            raise UserError(f"row {row + 1} of {name!r} is of type {type(value).__name__}, not a string")
    columns = [ATTRIBUTES.index(attribute) for attribute in attributes]
    # The last row is for what is missing: -1.
    scores = np.full((len(first) + 1, len(columns)), np.nan, np.float32)
    scores[:-1] = screener.scores(first)[:, columns]
    return scores[index]


def is_missing(value: Any) -> bool:
    """Return whether a value of a column is null in any of the ways of pandas: None, NaN, pandas.NA."""
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and value != value)
