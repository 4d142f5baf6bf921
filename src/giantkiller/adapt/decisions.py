"""What people decided, read for learning: one row a comment, and which rows must stay together."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.cleaning import clean_text
from giantkiller.data.labelled import Labelled, read_labelled
from giantkiller.errors import UserError

LEAST = 20
"""Fewer decided comments teach nothing that could be judged."""

TIMES = ("decided", "decided_at", "created", "created_at", "created_date", "timestamp", "time", "date")
"""Columns that say when a decision was taken, the first one found counts."""

AUTHORS = ("author", "author_id", "user", "user_id", "account", "account_id")
"""Columns that say who wrote a comment."""

WEIGHTS = {"first": 1.0, "known": 1.0, "second": 2.0, "final": 3.0, "appeal": 3.0}
"""What a decision counts by its kind in the desk's export (`decided_by`); any other counts 1."""

CORRECTED = 3.0
"""What one counts that overturned another."""

SUGGESTED = 0.5
"""What a client's suggestion counts."""

TOXICITY = ATTRIBUTES.index("toxicity")
_SIGNS = re.compile(r"[\W_]+")
_REPEATED = re.compile(r"(.)\1{2,}")


@dataclass(frozen=True)
class Decisions:
    """Decided comments, those that say the same merged into one.

    Attributes:
        texts: As they were written; of merged ones the latest.
        targets: float32 (n, 7), weighted shares of decisions that said yes, NaN where nobody judged.
        weights: (n,) what each row counts in learning.
        units: (n,) rows of one number share their words or their author and stay on one side of a split.
        times: (n,) seconds since 1970 of the latest decision; None where the file has no such column.
        read: Rows of the file.
        contradicted: Comments whose decisions contradict each other.
        name: Where they are from.
    """

    texts: list[str]
    targets: NDArray[np.float32]
    weights: NDArray[np.float64]
    units: NDArray[np.int64]
    times: NDArray[np.float64] | None
    read: int
    contradicted: int
    name: str

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def positive(self) -> NDArray[np.bool_]:
        """(n,) whether people called it toxic."""
        return np.asarray(self.targets[:, TOXICITY] >= POSITIVE)

    def take(self, rows: NDArray[np.int64]) -> "Decisions":
        """Return some rows, in the order given."""
        return Decisions(
            texts=[self.texts[row] for row in rows],
            targets=self.targets[rows],
            weights=self.weights[rows],
            units=self.units[rows],
            times=None if self.times is None else self.times[rows],
            read=self.read,
            contradicted=self.contradicted,
            name=self.name,
        )

    def split(self, share: float) -> tuple["Decisions", "Decisions"]:
        """Split into decisions to learn from and decisions to judge by.

        The judge gets the latest where times are known, otherwise those that a hash of the text chooses, of
        toxic and other comments the same share. Whole units go to one side: the judge never saw a text, one
        that is nearly the same, or another one by its author.

        Args:
            share: Of the decisions, for the judge.

        Raises:
            UserError: One side would lack a class.
        """
        judged = self._places() <= share
        sides = self.take(np.flatnonzero(~judged)), self.take(np.flatnonzero(judged))
        for side, purpose in zip(sides, ("learn from", "judge by"), strict=True):
            self._check_side(side, purpose)
        return sides

    def turns(self, share: float) -> list[NDArray[np.int64]]:
        """Part the decisions, so that each part can judge what the others teach.

        Whole units go to one part, of toxic and other comments the same share.

        Args:
            share: Of the decisions, about, in a part; there are at least two.

        Returns:
            The rows of each part.

        Raises:
            UserError: A part would lack a class.
        """
        parts = max(2, round(1 / share))
        part = np.minimum((self._places() * parts).astype(np.int64), parts - 1)
        rows = [np.flatnonzero(part == each) for each in range(parts)]
        for some in rows:
            self._check_side(self.take(some), "judge by")
        return rows

    def _places(self) -> NDArray[np.float64]:
        """Return where each row's unit stands among those of its kind, 0 to 1, the latest first."""
        last = np.zeros(int(self.units.max()) + 1) if len(self) else np.zeros(0)
        toxic = np.zeros(len(last), bool)
        size = np.bincount(self.units, minlength=len(last))
        if self.times is None:
            for row, text in enumerate(self.texts):
                last[self.units[row]] = max(last[self.units[row]], _hash(text))
        else:
            np.maximum.at(last, self.units, self.times)
        np.logical_or.at(toxic, self.units, self.positive)
        places = np.zeros(len(last))
        for kind in (toxic, ~toxic):
            some = np.flatnonzero(kind & (size > 0))
            order = some[np.argsort(-last[some], kind="stable")]
            before = np.cumsum(size[order]) - size[order]
            places[order] = (before + size[order] / 2) / max(1, size[order].sum())
        return places[self.units]

    def _check_side(self, side: "Decisions", purpose: str) -> None:
        for count, which in ((side.positive.sum(), "toxic"), ((~side.positive).sum(), "harmless")):
            if count < 2:
                raise UserError(
                    f"{self.name} leaves {count} {which} comment{'s' * int(count != 1)} to {purpose} "
                    "once split by text, author and time; gather more decisions"
                )


def read_decisions(path: str | Path, *, text_column: str | None = None) -> Decisions:
    """Read what people decided.

    The desk's export (`giantkiller desk labels`), or any file that `giantkiller.data.labelled.read_labelled`
    reads with a column for toxicity. Second opinions and decisions that overturned others count more than
    single ones, clients' suggestions less; a column of times and one of authors are used where there are
    any (`TIMES`, `AUTHORS`).

    Args:
        path: The file.
        text_column: The column with the comments, if it has an uncommon name.

    Raises:
        UserError: It can't be read, holds too few decisions or only one class, or they contradict each other
            half of the time and nobody settled it.
    """
    return decisions_of(read_labelled(path, text_column=text_column), name=str(path))


def decisions_of(rows: Labelled, *, name: str = "the decisions") -> Decisions:
    """Merge labelled rows into decisions.

    Args:
        rows: Comments with labels, as read.
        name: What they are called in messages.

    Raises:
        UserError: See `read_decisions`.
    """
    known = np.flatnonzero(~np.isnan(rows.targets[:, TOXICITY]))
    kept = [int(row) for row in known if _SIGNS.sub("", rows.texts[row])]
    if len(kept) < LEAST:
        raise UserError(
            f"{name} holds {len(kept)} comments with a label for toxicity; at least {LEAST} are needed"
        )
    rows = rows.take(kept)
    times, authors = _times(rows.extra), _authors(rows.extra, len(rows))
    members: dict[str, list[int]] = {}
    for row, text in enumerate(rows.texts):
        members.setdefault(same_key(text), []).append(row)
    groups = list(members.values())
    weights = _weights(rows)
    merged = _merge(rows, groups, times, weights)
    several = [group for group in groups if len(group) > 1]
    both = [group for group in several if len(set(rows.targets[group, TOXICITY] >= POSITIVE)) > 1]
    # Second looks may be chosen for their doubt, so that most differ; then another person settles it.
    unsettled = sum(weights[group].max() < CORRECTED for group in both)
    if len(several) >= 10 and unsettled > len(several) / 2:
        raise UserError(
            f"{name}: of {len(several)} comments that were decided more than once, {unsettled} were "
            "decided both ways and never settled; agree on the rules first"
        )
    decisions = Decisions(
        **merged._asdict(),
        units=_units(merged.texts, [[authors[row] for row in group] for group in groups]),
        read=len(rows),
        contradicted=len(both),
        name=name,
    )
    _check(decisions)
    return decisions


def read_texts(path: str | Path, *, text_column: str | None = None) -> list[str]:
    """Read comments that nobody decided, each once.

    Args:
        path: Any file that `giantkiller.data.labelled.read_labelled` reads; its labels are ignored.
        text_column: The column with the comments, if it has an uncommon name.

    Raises:
        UserError: It can't be read.
    """
    texts = read_labelled(path, text_column=text_column).texts
    return list({same_key(text): text for text in texts if _SIGNS.sub("", text)}.values())


def same_key(text: str) -> str:
    """Return what texts have in common that count as one: blind to case, space, signs and repetition."""
    key = _REPEATED.sub(r"\1\1", _SIGNS.sub("", clean_text(text).lower()))
    return key or _SIGNS.sub("", text)


def words_key(text: str) -> str:
    """Return the words of a text, each once and in order of the alphabet."""
    return " ".join(sorted(set(_SIGNS.split(clean_text(text).lower()))))


def _check(decisions: Decisions) -> None:
    if len(decisions) < LEAST:
        raise UserError(
            f"{decisions.name} holds {len(decisions)} different comments; at least {LEAST} are needed"
        )
    positives = int(decisions.positive.sum())
    if positives in (0, len(decisions)):
        kind = "toxic" if positives else "harmless"
        raise UserError(
            f"every comment of {decisions.name} was called {kind}; learning needs decisions of both kinds"
        )


def _weights(rows: Labelled) -> NDArray[np.float64]:
    weights = np.ones(len(rows))
    if "decided_by" in rows.extra:
        weights = np.array([WEIGHTS.get(str(kind), 1.0) for kind in rows.extra["decided_by"]])
    if "corrected" in rows.extra:
        truth = [str(value).lower() in ("true", "1", "1.0") for value in rows.extra["corrected"]]
        weights = np.where(truth, np.maximum(weights, CORRECTED), weights)
    if rows.kinds is not None:
        weights = np.where([kind == "suggestion" for kind in rows.kinds], SUGGESTED, weights)
    return weights


class _Merged(NamedTuple):
    """Decisions of the same comment made one; see `Decisions`."""

    texts: list[str]
    targets: NDArray[np.float32]
    weights: NDArray[np.float64]
    times: NDArray[np.float64] | None


def _merge(
    rows: Labelled,
    groups: Sequence[Sequence[int]],
    times: NDArray[np.float64] | None,
    weights: NDArray[np.float64],
) -> _Merged:
    """Make one row of each group: the weighted share of yes, the weight of those who answered."""
    texts, targets, sums = [], np.full((len(groups), len(ATTRIBUTES)), np.nan, np.float32), []
    for place, group in enumerate(groups):
        index = np.array(group)
        latest = index[-1] if times is None else index[np.argmax(times[index])]
        texts.append(rows.texts[latest])
        values, weight = rows.targets[index].astype(np.float64), weights[index, None]
        known = ~np.isnan(values)
        total = (known * weight).sum(axis=0)
        yes = (np.where(known, values, 0) * weight).sum(axis=0)
        targets[place] = np.divide(yes, total, out=np.full(len(total), np.nan), where=total > 0)
        sums.append(min(float(total[TOXICITY]), CORRECTED))
    latest_times = None if times is None else np.array([times[np.array(group)].max() for group in groups])
    return _Merged(texts, targets, np.array(sums), latest_times)


def _times(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64] | None:
    """Return seconds since 1970; rows without a time count as the oldest, a column of few times as none."""
    name = next((name for name in TIMES if name in columns), None)
    if name is None:
        return None
    values = columns[name]
    seconds = (
        np.asarray(values, np.float64) if values.dtype != object else np.array(list(map(_seconds, values)))
    )
    if np.isnan(seconds).mean() > 0.5:
        return None
    return np.where(np.isnan(seconds), np.nanmin(seconds), seconds)


def _seconds(value: str | None) -> float:
    try:
        moment = datetime.fromisoformat(str(value).strip().replace("Z", "+00:00"))
    except ValueError:
        return float("nan")
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _authors(columns: Mapping[str, NDArray[Any]], count: int) -> list[str | None]:
    name = next((name for name in AUTHORS if name in columns), None)
    if name is None:
        return [None] * count
    return [None if value is None or str(value) in ("", "nan") else str(value) for value in columns[name]]


def _units(texts: Sequence[str], authors: Sequence[Sequence[str | None]]) -> NDArray[np.int64]:
    """Number groups of rows that share the same words, in any order, or an author."""
    parent = list(range(len(texts)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first: dict[tuple[str, str], int] = {}
    for row, text in enumerate(texts):
        writers = authors[row] if row < len(authors) else ()
        for key in [("words", words_key(text)), *(("author", who) for who in writers if who is not None)]:
            parent[root(row)] = root(first.setdefault(key, row))
    _, numbers = np.unique([root(row) for row in range(len(texts))], return_inverse=True)
    return np.asarray(numbers, np.int64)


def _hash(text: str) -> float:
    digest = hashlib.sha256(same_key(text).encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
