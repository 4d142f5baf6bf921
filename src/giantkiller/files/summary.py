"""What became of a file that was screened."""

from dataclasses import dataclass, field
from typing import Any

from giantkiller.files.chunks import Chunk, Results
from giantkiller.policy import ACTIONS

_PREVIEW_LENGTH = 1_000  # characters of a text


@dataclass
class ScreenedRow:
    """A screened row, as much of it as a table on a screen shows; of a long text the beginning."""

    text: str
    scores: list[float] | None
    action: str | None
    attribute: str | None
    error: str | None


@dataclass
class ScreenSummary:
    """What became of a file.

    Attributes:
        rows: All of them, with an error or without.
        errors: Rows that could not be screened.
        actions: How many rows got each action.
        resumed: Rows that an earlier, interrupted run had done.
        scored: Comments that this run scored.
        seconds: This run's, from the first row to the last.
        input: The file that was read.
        output: The file that was written.
        model: What scored.
        text_column: Where the comments were.
        preview: The first rows of this run.
    """

    rows: int = 0
    errors: int = 0
    actions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ACTIONS, 0))
    resumed: int = 0
    scored: int = 0
    seconds: float = 0.0
    input: str = ""
    output: str = ""
    model: str = ""
    text_column: str = ""
    preview: list[ScreenedRow] = field(default_factory=list)

    @property
    def screened(self) -> int:
        """Rows that were screened, by this run or an earlier one."""
        return self.rows - self.errors

    @property
    def rate(self) -> float:
        """Comments scored a second, in this run."""
        return self.scored / self.seconds if self.seconds else 0.0

    def add(self, results: Results) -> None:
        """Count a chunk's results."""
        failed = sum(error is not None for error in results.errors)
        self.rows += len(results.errors)
        self.errors += failed
        self.scored += len(results.errors) - failed
        for action in results.actions:
            if action is not None:
                self.actions[action] = self.actions.get(action, 0) + 1

    def include(self, other: "ScreenSummary") -> None:
        """Count the rows of another file, too."""
        self.rows += other.rows
        self.errors += other.errors
        self.resumed += other.resumed
        self.scored += other.scored
        for action, count in other.actions.items():
            self.actions[action] = self.actions.get(action, 0) + count

    def show(self, chunk: Chunk, results: Results, count: int) -> None:
        """Keep the first rows of a chunk for the preview, as long as it has fewer than `count`."""
        rows = zip(
            chunk.texts,
            results.scores,
            results.actions,
            results.attributes,
            results.errors,
            strict=True,
        )
        for text, scores, action, attribute, error in rows:
            if len(self.preview) >= count:
                return
            self.preview.append(
                ScreenedRow(
                    text=str("" if text is None else text)[:_PREVIEW_LENGTH],
                    scores=None if error is not None else [float(score) for score in scores],
                    action=action,
                    attribute=attribute,
                    error=error,
                )
            )

    def to_record(self) -> dict[str, Any]:
        """Return the counts that an interrupted run leaves behind."""
        return {"rows": self.rows, "errors": self.errors, "actions": self.actions}

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> "ScreenSummary":
        """Begin with the counts of an interrupted run.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: The record is damaged.
        """
        rows, errors = int(record["rows"]), int(record["errors"])
        actions = {str(action): int(count) for action, count in record["actions"].items()}
        if not 0 <= errors <= rows:
            raise ValueError("negative counts")
        return cls(rows=rows, errors=errors, actions=actions, resumed=rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary for JSON."""
        return {
            "input": self.input,
            "output": self.output,
            "model": self.model,
            "text_column": self.text_column,
            "rows": self.rows,
            "screened": self.screened,
            "errors": self.errors,
            "resumed": self.resumed,
            "actions": self.actions,
            "seconds": round(self.seconds, 3),
            "comments_per_second": round(self.rate, 1),
            "preview": [vars(row) for row in self.preview],
        }
