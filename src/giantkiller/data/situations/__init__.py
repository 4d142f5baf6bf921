"""Hand-written comments in which the situation decides, not the word: one file of JSON Lines a writer.

docs/situations.md says how they were written and split, and what the kinds mean.
"""

import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError

SPLITS = ("train", "validation", "test")

KINDS = {
    "b1": "friendly swearing",
    "b2": "self-deprecation",
    "b3": "quoted abuse",
    "b4": "counter speech",
    "b5": "hard criticism",
    "b6": "neutral identity mention",
    "b7": "figurative violence",
    "b8": "reporting",
    "b9": "banter",
    "b10": "sexual health",
    "b11": "heated but civil",
    "b12": "reclaimed words",
    "b13": "distress",
    "b14": "ordinary",
    "t1": "direct insult",
    "t2": "implied insult",
    "t3": "explicit threat",
    "t4": "veiled threat",
    "t5": "wish of harm",
    "t6": "self-harm bait",
    "t7": "open hate of a group",
    "t8": "implicit hate",
    "t9": "sexual harassment",
    "t10": "disguised abuse",
    "t11": "belittling",
    "t12": "intimidation",
    "t13": "dogpile",
}
"""What each kind is; b is harmless, t harmful."""


@dataclass(frozen=True)
class Situation:
    """One comment.

    Attributes:
        text: The comment.
        kind: One of `KINDS`.
        targets: Shares of raters who would say yes, in the order of `ATTRIBUTES`.
        target: The group mentioned, or "".
        pair: What it shares with its twin, one harmless and one harmful; "" where it has none.
        writer: Who wrote it.
        split: "train", "validation" or "test".
    """

    text: str
    kind: str
    targets: tuple[float, ...]
    target: str
    pair: str
    writer: str
    split: str

    @property
    def harmful(self) -> bool:
        """Whether the comment harms somebody."""
        return self.kind.startswith("t")


def read_situations(split: str | None = None) -> list[Situation]:
    """Return the situations of one split, or all of them.

    Twins share a split, and the writer of the test split wrote nothing that trains.

    Raises:
        UserError: `split` is none of `SPLITS`.
    """
    if split is not None and split not in SPLITS:
        raise UserError(f"`split` is {split!r}; it must be one of {', '.join(SPLITS)}")
    return [situation for situation in _all() if split in (None, situation.split)]


@cache
def _all() -> tuple[Situation, ...]:
    rows = (
        json.loads(line)
        for path in sorted(Path(__file__).parent.glob("*.jsonl.gz"))
        for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()
    )
    return tuple(
        Situation(
            text=row["text"],
            kind=row["kind"],
            targets=tuple(row[attribute] for attribute in ATTRIBUTES),
            target=row["target"],
            pair=row["pair"],
            writer=row["writer"],
            split=row["split"],
        )
        for row in rows
    )
