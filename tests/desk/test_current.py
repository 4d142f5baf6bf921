"""Policies in memory: what this process changes counts at once, what another one changes a second later."""

import asyncio

import pytest
from desks import BUNDLE

from giantkiller.desk import current, policies
from giantkiller.policy import Policy
from giantkiller.serve.errors import ApiError


def now(desk, bundle=BUNDLE):
    found = asyncio.run(current.current_policies(desk.store, {"default"}, bundle))
    return found["default"].watched


def change(desk, phrase):
    policy = policies.check_policy({"thresholds": BUNDLE.to_dict(), "watched": [phrase]})
    with desk.write() as connection:
        policies.write_policy(connection, "default", policy, None, BUNDLE, now=desk.now)


def test_a_change_is_heeded_at_once_or_when_it_is_time(desk, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(current.time, "monotonic", lambda: clock[0])
    assert now(desk) == ()
    change(desk, "platypus")
    assert now(desk) == ()
    clock[0] += current.FRESH
    assert now(desk) == ("platypus",)
    change(desk, "wombat")
    current.heed_changes(desk.store)
    assert now(desk) == ("wombat",)


def test_another_bundle_has_thresholds_of_its_own(desk):
    other = Policy({"insult": {"review": 0.2}})
    for bundle in (BUNDLE, other):
        found = asyncio.run(current.current_policies(desk.store, {"default"}, bundle))
        assert found["default"].thresholds == bundle.to_dict()


def test_a_community_that_is_nowhere(desk):
    with pytest.raises(ApiError, match="no community"):
        asyncio.run(current.current_policies(desk.store, {"default", "nowhere"}, BUNDLE))
