"""What an operator can set about the desk; kept in the database, changed by admins."""

import math
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk.errors import DeskError
from giantkiller.desk.events import record
from giantkiller.desk.tables import settings

SEVERITY = {
    "toxicity": 0.6,
    "severe_toxicity": 1.0,
    "obscene": 0.4,
    "threat": 1.0,
    "insult": 0.6,
    "identity_attack": 0.9,
    "sexual_explicit": 0.7,
}
"""How grave each attribute is by default, from 0 to 1."""


@dataclass(frozen=True)
class DeskSettings:
    """The settings.

    The priority of an item is severity^a * certainty^b * (1 + reports)^c * 2^(hours waited / d).

    Attributes:
        lease_minutes: How long an item is one person's.
        undo_seconds: How long a decision stays in the house.
        second_share: The share of decisions that a second person makes again, without seeing the first.
        second_by_surprise: How far these are chosen by how little the model expected the decision: 0 not at
            all, 1 in proportion.
        known_share: The share of items given out whose right answer is known.
        reports_reopen: So many reports after a person's decision bring an item back.
        severity: How grave each attribute is.
        severity_weight: a.
        certainty_weight: b.
        reports_weight: c.
        age_doubles_hours: d, the hours after which waiting has doubled the priority.
        retention_days: Days after which texts are purged; 0 keeps them.
        session_hours: How long a sign-in lasts.
        appeal_days: How long an author may appeal, from the day they were told.
    """

    lease_minutes: int = 10
    undo_seconds: int = 60
    second_share: float = 0.05
    second_by_surprise: float = 0.0
    known_share: float = 0.0
    reports_reopen: int = 3
    severity: dict[str, float] = field(default_factory=lambda: dict(SEVERITY))
    severity_weight: float = 1.0
    certainty_weight: float = 1.0
    reports_weight: float = 1.0
    age_doubles_hours: float = 24.0
    retention_days: int = 0
    session_hours: int = 12
    appeal_days: int = 184


BOUNDS: dict[str, tuple[float, float]] = {
    "lease_minutes": (1, 240),
    "undo_seconds": (0, 86_400),
    "second_share": (0, 1),
    "second_by_surprise": (0, 1),
    "known_share": (0, 0.5),
    "reports_reopen": (1, 1000),
    "severity_weight": (0, 10),
    "certainty_weight": (0, 10),
    "reports_weight": (0, 10),
    "age_doubles_hours": (0.1, 10_000),
    "retention_days": (0, 36_500),
    "session_hours": (1, 24 * 30),
    "appeal_days": (184, 3660),  # six months are the least that the DSA allows
}
"""The least and the most of each number."""

OF_PRIORITY = frozenset(
    {"severity", "severity_weight", "certainty_weight", "reports_weight", "age_doubles_hours"}
)
"""Settings by which the queue is ordered."""


_STORED = select(settings.c.name, settings.c.value)


def read_settings(connection: Connection) -> DeskSettings:
    """Return the settings; what was never set has its default."""
    names = {f.name for f in fields(DeskSettings)}
    rows = connection.execute(_STORED)
    return DeskSettings(**{row.name: row.value for row in rows if row.name in names})


def change_settings(
    connection: Connection, changes: dict[str, Any], actor: str, *, now: datetime
) -> DeskSettings:
    """Change settings.

    Raises:
        DeskError: For a name that is no setting, or a value out of bounds.
    """
    current = read_settings(connection)
    checked = {name: _checked(name, value) for name, value in changes.items()}
    changed = {name: value for name, value in checked.items() if value != asdict(current)[name]}
    for name, value in changed.items():
        connection.execute(delete(settings).where(settings.c.name == name))
        connection.execute(insert(settings).values(name=name, value=value))
    if changed:
        record(connection, "settings-changed", actor, now=now, settings=changed)
    return replace(current, **changed)


def _checked(name: str, value: Any) -> Any:
    if name == "severity":
        if not isinstance(value, dict) or set(value) != set(ATTRIBUTES):
            raise DeskError("severity needs a number for each attribute")
        return {attribute: _number(f"severity of {attribute}", v, 0.01, 1) for attribute, v in value.items()}
    if name not in BOUNDS:
        raise DeskError(f"{name!r} is no setting; the settings are {', '.join(BOUNDS)}, severity")
    number = _number(name, value, *BOUNDS[name])
    return int(number) if isinstance(getattr(DeskSettings, name), int) else number


def _number(name: str, value: Any, least: float, most: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not least <= number <= most:
        raise DeskError(f"{name} must be a number from {least:g} to {most:g}")
    return number
