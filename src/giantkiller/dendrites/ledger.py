"""The record of growth: each attempt, what it cost, what it gave, and whether it was kept."""

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from giantkiller.dendrites.exceptions import DendriteError

FORMAT = 1
FILE = "ledger.json"


@dataclass(frozen=True)
class Attempt:
    """One phase of training and what came of it.

    Attributes:
        number: Index of the attempt; 0 is the model before growth.
        grown: Number of dendrites, after growth, of each layer that grew in this attempt.
        before: Best score before the attempt; None for the first.
        score: Score after it.
        kept: Whether its model became the best one.
        parameters: Number of parameters of the whole model in this attempt.
        dendrite_parameters: Number of parameters of its dendrites.
        grow_seconds: Seconds spent on making the dendrites.
        fit_seconds: Seconds spent on training and scoring with them.
        correlations: Mean |S| of the new dendrites by layer, where the rule measures it.
        curve: (seconds since the phase began, score), as far as the training reports it.
    """

    number: int
    grown: dict[str, int]
    before: float | None
    score: float
    kept: bool
    parameters: int
    dendrite_parameters: int
    grow_seconds: float
    fit_seconds: float
    correlations: dict[str, float] = field(default_factory=dict)
    curve: list[tuple[float, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Seconds that the attempt took."""
        return self.grow_seconds + self.fit_seconds


@dataclass
class Ledger:
    """All attempts of one growth, in order.

    Attributes:
        recipe: All settings of the growth; a resumed growth must have the same.
        attempts: The attempts so far.
        reason: Why growth ended; None while it goes on.
    """

    recipe: dict[str, Any] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    reason: str | None = None

    @property
    def best(self) -> Attempt | None:
        """The attempt whose model is the best one."""
        return next((attempt for attempt in reversed(self.attempts) if attempt.kept), None)

    @property
    def failures(self) -> int:
        """Attempts in a row, up to the last one, that were not kept."""
        kept = [attempt.kept for attempt in self.attempts]
        return len(kept) - 1 - max((i for i, yes in enumerate(kept) if yes), default=-1)

    def table(self) -> str:
        """Return the attempts as a table for people."""
        head = ("attempt", "dendrites on", "score", "change", "kept", "parameters", "of dendrites", "seconds")
        rows = [head]
        for a in self.attempts:
            change = "" if a.before is None else f"{a.score - a.before:+.4f}"
            most = max(a.grown.values(), default=0)
            layers = "1 layer" if len(a.grown) == 1 else f"{len(a.grown)} layers"
            grown = f"{layers} ({most})" if a.grown else "none"
            verdict = "yes" if a.kept else "no"
            numbers = f"{a.parameters:,}", f"{a.dendrite_parameters:,}", f"{a.seconds:.1f}"
            rows.append((str(a.number), grown, f"{a.score:.4f}", change, verdict, *numbers))
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
        return "\n".join(lines + ([self.reason] if self.reason else []))

    def to_dict(self) -> dict[str, Any]:
        """Return everything in JSON types, as it is written to disk."""
        return {
            "format": FORMAT,
            "recipe": self.recipe,
            "attempts": [asdict(attempt) for attempt in self.attempts],
            "reason": self.reason,
        }

    def save(self, folder: Path) -> None:
        """Write the ledger into a folder; the file is replaced whole.

        Raises:
            OSError: If the file cannot be written; an earlier one stays.
        """
        partial = folder / (FILE + ".partial")
        partial.write_text(json.dumps(self.to_dict(), indent=1), encoding="utf-8")
        partial.replace(folder / FILE)


def read_ledger(folder: Path | str) -> Ledger:
    """Read the ledger that growth wrote into a folder.

    Raises:
        DendriteError: If there is none, or it is damaged or of another format.
    """
    path = Path(folder) / FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DendriteError(
            f"no growth ledger at {path}: name the folder that Grower wrote ({error.strerror})"
        ) from None
    except ValueError as error:
        raise DendriteError(f"{path} is damaged: {error}") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise DendriteError(f"{path} is not a growth ledger of format {FORMAT}")
    try:
        attempts = [_attempt(row) for row in record["attempts"]]
        reason = None if record["reason"] is None else str(record["reason"])
        return Ledger(dict(record["recipe"]), attempts, reason)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DendriteError(f"{path} is damaged: {type(error).__name__} {error}") from None


def _attempt(row: dict[str, Any]) -> Attempt:
    """Read one attempt; every field must be present with its own type."""
    values = {f.name: row[f.name] for f in fields(Attempt)}
    values["grown"] = {str(name): int(count) for name, count in values["grown"].items()}
    values["correlations"] = {str(name): float(value) for name, value in values["correlations"].items()}
    values["curve"] = [(float(seconds), float(score)) for seconds, score in values["curve"]]
    for name in ("number", "parameters", "dendrite_parameters"):
        values[name] = int(values[name])
    for name in ("score", "grow_seconds", "fit_seconds"):
        values[name] = float(values[name])
    values["before"] = None if values["before"] is None else float(values["before"])
    seconds = values["grow_seconds"] + values["fit_seconds"]
    if not isinstance(values["kept"], bool) or not math.isfinite(seconds):
        raise ValueError("an attempt has values of another type")
    return Attempt(**values)
