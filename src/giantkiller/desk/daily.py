"""Counts of past days in memory: what can't change any more is counted once.

A decision can be taken back for a day at the most. What a day of them came to stays the same from then on,
and the overview of a month need not read them all whenever somebody looks at it.
"""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from giantkiller.desk.undoing import LONGEST_UNDO

Count = Callable[[Connection, datetime, datetime], "Counter[Any]"]
"""Counts what happened from one moment up to another."""

DAYS = 30
"""Days that the overview looks back on."""

_DAY = timedelta(days=1)
_SETTLED = timedelta(seconds=LONGEST_UNDO + 3600)
_KEPT: "WeakKeyDictionary[Engine, dict[tuple[Count, date], Counter[Any]]]" = WeakKeyDictionary()


def by_day(connection: Connection, count: Count, since: datetime, now: datetime) -> "Counter[Any]":
    """Add up what a count gives for each day.

    Args:
        connection: To read by.
        count: A function, the same one each time: what it gave for a day is kept under it.
        since: The beginning.
        now: The end; days of which decisions can be taken back still are counted anew.
    """
    kept = _KEPT.setdefault(connection.engine, {})
    total: Counter[Any] = Counter()
    begin = since
    while begin < now:
        end = begin.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
        key = (count, begin.date())
        whole, settled = begin == end - _DAY, end + _SETTLED <= now
        if whole and settled:
            if key not in kept:
                kept[key] = count(connection, begin, end)
            total.update(kept[key])
        else:
            total.update(count(connection, begin, end))
        begin = end
    for old in [key for key in list(kept) if key[0] is count and key[1] < since.date()]:
        kept.pop(old, None)
    return total
