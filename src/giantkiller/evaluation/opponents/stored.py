"""Scores that lie in a file, or in a column of the judged file itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES, attribute_of
from giantkiller.errors import UserError
from giantkiller.evaluation.opponents.scoring import ScoringModel

if TYPE_CHECKING:
    from giantkiller.data.labelled import Labelled


def stored(name: str, scores: NDArray[Any]) -> ScoringModel:
    """A model that is nothing but its scores, row for row those of the judged file."""

    def score(texts: Sequence[str]) -> NDArray[Any]:
        if len(texts) != len(scores):
            raise UserError(
                f"{name} holds {len(scores)} scores for {len(texts)} comments: stored scores can judge "
                "the rows they were made for and nothing else"
            )
        return scores

    return ScoringModel(name=name, kind="scores", score=score)


def stored_column(name: str, data: "Labelled | None") -> ScoringModel:
    """Take `column:NAME` of the judged rows for toxicity scores.

    Raises:
        UserError: There is no such column, or it holds words.
    """
    column = name.removeprefix("column:")
    if data is None or column not in data.extra:
        known = (
            ", ".join(data.extra) if data is not None and len(data.extra) else "none beside text and labels"
        )
        raise UserError(
            f"the judged file has no column {column!r}; beside text and labels it has: {known or 'none'}"
        )
    scores = np.full((len(data), len(ATTRIBUTES)), np.nan)
    scores[:, 0] = _numbers(data.extra[column], column)
    return stored(column, scores)


def stored_file(path: Path, data: "Labelled | None") -> ScoringModel:
    """Read a file of scores, joined to the judged rows by `id` or by order.

    Raises:
        UserError: The file does not fit the judged rows, or holds no score that is one of ours.
    """
    from giantkiller.data.labelled import read_columns

    if data is None:
        raise UserError(f"{path} holds scores, so that `data`, the rows they belong to, is needed")
    held = read_columns(path)
    columns: dict[str, str] = {}
    for name in held:
        attribute = attribute_of(name)
        if attribute:
            columns.setdefault(attribute, name)
    if not columns:
        found = next((each for each in ("score", "probability", "prediction") if each in held), None)
        if found is None:
            raise UserError(
                f"{path} has no column of scores: name columns like the attributes, "
                "or one 'score' for toxicity"
            )
        columns["toxicity"] = found
    rows = len(held[next(iter(columns.values()))])
    scores = np.full((rows, len(ATTRIBUTES)), np.nan)
    for attribute, name in columns.items():
        scores[:, ATTRIBUTES.index(attribute)] = _numbers(held[name], name)
    if "id" in held and "id" in data.extra:
        scores = scores[_join(path, list(data.extra["id"]), list(held["id"]))]
    elif rows != len(data):
        raise UserError(
            f"{path} has {rows} rows of scores for {len(data)} comments: give one row each, "
            "in the same order, or an 'id' column in both files"
        )
    return stored(path.name, scores)


def _join(path: Path, wanted: list[Any], given: list[Any]) -> list[int]:
    for where, ids in (("the judged file", wanted), (str(path), given)):
        if len(set(ids)) < len(ids):
            raise UserError(f"{where} has the same id in two rows: make the ids unique, or drop the column")
    place = {each: row for row, each in enumerate(given)}
    lost = [each for each in wanted if each not in place]
    if lost:
        raise UserError(f"{path} has no score for {len(lost)} of {len(wanted)} ids: score every row")
    return [place[each] for each in wanted]


def _numbers(values: NDArray[Any], column: str) -> NDArray[np.float64]:
    if values.dtype == object:
        raise UserError(f"the column {column!r} holds words, not scores between 0 and 1")
    return values.astype(np.float64)
