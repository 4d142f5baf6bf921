"""How decisions are divided between learning and judging."""

import numpy as np
import pytest
from adapted import site_rows

from giantkiller.adapt import Adapter, Settings, adapter
from giantkiller.adapt.decisions import Decisions


@pytest.fixture
def taught(monkeypatch):
    """The texts of each step of learning, in order."""
    steps = []
    whole = adapter.learn

    def learn(model, bundle, site, *rest):
        steps.append(set(site.texts))
        return whole(model, bundle, site, *rest)

    monkeypatch.setattr(adapter, "learn", learn)
    return steps


def decided(times=None):
    texts, labels = zip(*site_rows(120, seed=4), strict=True)
    targets = np.full((len(texts), 7), np.nan, np.float32)
    targets[:, 0] = labels
    units = np.arange(len(texts))
    return Decisions(list(texts), targets, np.ones(len(texts)), units, times, len(texts), 0, "site")


@pytest.mark.slow
def test_without_times_all_decisions_teach_and_each_is_judged_by_what_the_others_taught(
    base, taught, monkeypatch
):
    decisions = decided()
    judged = {}
    whole = adapter.judge

    def judge(old, new, site, *rest, scores):
        judged.update(zip(site.texts, scores[:, 0], strict=True))
        return whole(old, new, site, *rest, scores=scores)

    monkeypatch.setattr(adapter, "judge", judge)
    found = Adapter(base, Settings(samples=20)).adapt(decisions)
    assert [len(step) for step in taught] == [120, *(len(step) for step in taught[1:])]
    assert len(taught) == 4
    for text in decisions.texts:
        assert sum(text in step for step in taught[1:]) == 2
    assert set(judged) == set(decisions.texts)
    assert len(set(judged.values())) > 60
    counts = found.report.decisions
    assert (counts.learned_from, counts.judged_by, counts.split_by) == (120, 120, "turns")
    assert found.judgement.site.rows == 120


@pytest.mark.slow
def test_where_times_are_known_the_latest_judge_and_teach_nothing(base, taught):
    decisions = decided(np.arange(120.0))
    found = Adapter(base, Settings(samples=20)).adapt(decisions)
    assert len(taught) == 1
    assert len(taught[0]) + found.judgement.site.rows == 120
    assert found.report.decisions.split_by == "time"
