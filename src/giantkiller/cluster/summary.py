"""What became of many files."""

from dataclasses import dataclass, field
from typing import Any

from giantkiller.files import ScreenSummary


@dataclass
class ClusterSummary(ScreenSummary):
    """What became of the shards of an input: the counts of all files together, and of the files.

    Its `text_column` names those of all shards, and its `seconds` begin when the first worker is ready.

    Attributes:
        shards: Files of the input.
        kept: Shards that an earlier run had done.
        done: Shards that this run has done.
        failed: Shards that have no output, and why.
        starting: Seconds until the first worker was ready.
    """

    shards: int = 0
    kept: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    starting: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the summary for JSON."""
        return {
            **super().to_dict(),
            "shards": self.shards,
            "shards_kept": self.kept,
            "shards_done": self.done,
            "shards_failed": self.failed,
            "seconds_starting": round(self.starting, 3),
        }
