"""What every suite is made of: a file that is found by name, a measurement, and how its result is shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.figures import Figure
from giantkiller.evaluation.metrics import Scorer

TOXICITY = ATTRIBUTES.index("toxicity")


@dataclass(frozen=True)
class Table:
    """A table of a suite's result: a title, the heads of its columns, its rows."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Series:
    """The bars of one colour: a name for the legend, and a figure for each label, None where it has none."""

    name: str
    figures: list[Figure | None]


@dataclass(frozen=True)
class BarChart:
    """A chart of horizontal bars with intervals.

    Attributes:
        name: Of its file, without an ending.
        caption: What it shows, in words.
        labels: Of the bars, from top to bottom.
        series: Their lengths; those of several series stand beneath each other.
        axis: Label of the horizontal axis, from 0 to 1.
    """

    name: str
    caption: str
    labels: list[str]
    series: list[Series]
    axis: str


@dataclass(frozen=True)
class SuiteReport:
    """What a suite measured. Its fields go to JSON; the rest says how it is shown."""

    file: str
    rows: int

    def summary(self) -> str:
        """Return the result in a line."""
        raise NotImplementedError

    def tables(self) -> list[Table]:
        """Return the result in full."""
        return []

    def charts(self) -> list[BarChart]:
        """Return what is worth a picture."""
        return []


@dataclass(frozen=True)
class Suite:
    """A test suite.

    Attributes:
        files: The names that its file goes by; none where the rows come with the package.
        hint: Where to get it, or how it is made.
        measure: Reads the file and measures a scoring function on it.
    """

    files: tuple[str, ...]
    hint: str
    measure: Callable[[Path, Scorer, EvaluationConfig], SuiteReport]

    def find(self, name: str, folder: str | Path | None) -> Path:
        """Find the suite's file.

        Args:
            name: The suite's; what is returned for one that comes with the package.
            folder: Where it is looked for.

        Raises:
            UserError: It is not there; says which names were tried and where to get it.
        """
        if not self.files:
            return Path(name)
        names = " or ".join(self.files)
        if folder is None:
            raise UserError(f"the suite {name} needs `data`, the folder with {names}; {self.hint}")
        root = Path(folder)
        if not root.is_dir():
            raise UserError(
                f"{root} is not a folder: name the folder with the suite's file ({self.files[0]})"
            )
        for file in self.files:
            if (root / file).is_file():
                return root / file
        raise UserError(f"{root} has no {names} for the suite {name}; {self.hint}")


def read_suite_columns(path: Path, *choices: tuple[str, ...]) -> tuple[NDArray[Any], ...]:
    """Read columns by the first name that each of them goes by.

    Raises:
        UserError: A column is missing, or the file can't be read.
    """
    from giantkiller.data.labelled import read_columns

    table = read_columns(path)
    found = []
    for names in choices:
        name = next((each for each in names if each in table), None)
        if name is None:
            raise UserError(
                f"{path} has no column {' or '.join(map(repr, names))}: it is not this suite's file"
            )
        found.append(table[name])
    return tuple(found)


def to_texts(column: Sequence[Any] | NDArray[Any]) -> list[str]:
    """Turn a column into texts; what is missing is empty."""
    return ["" if text is None else str(text) for text in column]


def to_labels(path: Path, column: NDArray[Any], positive: tuple[str, ...]) -> NDArray[np.bool_]:
    """Read labels that are numbers or one of two words.

    Args:
        path: Their file, for error messages.
        column: (n,) numbers (positive from 0.5 on) or words.
        positive: The words that mean positive, in lower case.

    Raises:
        UserError: The words are others, or more than two.
    """
    if column.dtype != object:
        return np.asarray(column >= 0.5)
    words = {str(word).strip().lower() for word in column}
    if not words & set(positive) or len(words) > 2:
        raise UserError(f"{path}: its labels are {', '.join(sorted(words)[:4])}, not {positive[0]} or not")
    return np.array([str(word).strip().lower() in positive for word in column])
