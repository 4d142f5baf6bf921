"""Which decisions a second person makes again, blind."""

import secrets
from typing import Any

from sqlalchemy import Connection, Row, select

from giantkiller.desk.config import DeskSettings
from giantkiller.desk.tables import versions

TYPICAL = 1 / 3
"""Mean surprise where scores are spread evenly and people remove as often as the scores say."""


def chance(score: float, outcome: str, settings: DeskSettings) -> float:
    """Return the chance of a second look.

    Args:
        score: Of toxicity, what the decision was about.
        outcome: "allow" or "remove".
        settings: Their `second_share` is the chance on the whole; by `second_by_surprise`, between 0 and 1,
            it follows how far the decision is from the score.
    """
    surprise = abs(float(outcome == "remove") - score)
    lean = settings.second_by_surprise
    return min(1.0, settings.second_share * (1 - lean + lean * surprise / TYPICAL))


def draw(connection: Connection, item: Row[Any], outcome: str, settings: DeskSettings) -> bool:
    """Draw whether a second person looks at a decision about an item's present version."""
    share = settings.second_share
    if settings.second_by_surprise:
        found = select(versions.c.scores).where(
            versions.c.item == item.number, versions.c.version == item.version
        )
        share = chance(connection.execute(found).scalar_one()["toxicity"], outcome, settings)
    return secrets.randbelow(1_000_000) < share * 1_000_000
