"""The communities' policies in memory, for a second: every comment needs one, and they change rarely."""

import time
from collections.abc import Set
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from giantkiller.desk.policies import CommunityPolicy, read_policy
from giantkiller.desk.work import in_thread
from giantkiller.policy import Policy
from giantkiller.store import Store

FRESH = 1.0
"""Seconds until a change made by another process is heeded."""


@dataclass(frozen=True, slots=True)
class _Kept:
    moment: float
    bundle: Policy
    policy: CommunityPolicy


_KEPT: "WeakKeyDictionary[Store, dict[str, _Kept]]" = WeakKeyDictionary()


async def current_policies(store: Store, communities: Set[str], bundle: Policy) -> dict[str, CommunityPolicy]:
    """Return the policies of communities, as they are or were a second ago at the most.

    Args:
        store: The database.
        communities: Their ids.
        bundle: The policy of those that never set one.

    Raises:
        ApiError: If there is no such community.
    """
    now, kept = time.monotonic(), _KEPT.setdefault(store, {})
    found = {
        name: one.policy
        for name in communities
        if (one := kept.get(name)) and one.bundle is bundle and now - one.moment < FRESH
    }
    missing = communities - found.keys()
    if missing:
        read = await in_thread(lambda: _read(store, missing, bundle))
        # Into the dict of before: once somebody has changed a policy, nobody looks there any more.
        kept.update({name: _Kept(now, bundle, policy) for name, policy in read.items()})
        found |= read
    return found


def heed_changes(store: Store) -> None:
    """Read the policies anew for the next comment: this process has changed one."""
    _KEPT.pop(store, None)


def _read(store: Store, communities: Set[str], bundle: Policy) -> dict[str, CommunityPolicy]:
    with store.read() as connection:
        return {name: read_policy(connection, name, bundle) for name in communities}
