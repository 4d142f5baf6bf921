"""How decisions are divided between learning and judging."""

import numpy as np
import pytest
import torch
from adapted import site_rows

from giantkiller.adapt import Adapter, Settings, adapter
from giantkiller.adapt.decisions import Decisions
from giantkiller.adapt.delta import scaled
from giantkiller.adapt.dial import Dialled
from giantkiller.adapt.learning import Learned
from giantkiller.screener import Screener


@pytest.fixture
def steps(monkeypatch):
    """The texts of each step of learning; the n-th adds 2n to the bias for toxicity, half of it kept."""
    found = []

    def learn(model, bundle, site, *_):
        found.append(list(site.texts))
        bias = torch.zeros_like(model.classifier.bias)
        bias[0] = 2 * len(found)
        return Learned({"classifier.bias.add": bias}, 1, 1, [])

    def dial(base, bundle, tensors, *_):
        return Dialled(0.5, scaled(tensors, 0.5), [])

    monkeypatch.setattr(adapter, "learn", learn)
    monkeypatch.setattr(adapter, "dial", dial)
    return found


@pytest.fixture
def judged(monkeypatch):
    """What the judge is given: the decisions, and scores for them."""
    found = {}
    whole = adapter.judge

    def judge(old, new, site, *rest, scores):
        found.update(texts=site.texts, scores=scores)
        return whole(old, new, site, *rest, scores=scores)

    monkeypatch.setattr(adapter, "judge", judge)
    return found


def decided(times=None, toxic=None):
    texts, labels = zip(*site_rows(120, seed=4), strict=True)
    targets = np.full((len(texts), 7), np.nan, np.float32)
    targets[:, 0] = labels if toxic is None else np.arange(len(texts)) < toxic
    units = np.arange(len(texts))
    return Decisions(list(texts), targets, np.ones(len(texts)), units, times, len(texts), 0, "site")


@pytest.mark.slow
def test_without_times_all_teach_and_each_part_is_scored_by_what_the_others_taught(base, steps, judged):
    decisions = decided()
    found = Adapter(base, Settings(samples=20)).adapt(decisions)
    everything, *parts = steps
    assert everything == decisions.texts
    assert len(parts) == 3
    assert judged["texts"] == decisions.texts
    old = Screener(base, threads=1).logits(decisions.texts)[:, 0]
    new = judged["scores"][:, 0]
    moved = np.log(new / (1 - new)) - old  # the base isn't calibrated
    for row, text in enumerate(decisions.texts):
        (step,) = [number for number, some in enumerate(parts, 2) if text not in some]
        assert moved[row] == pytest.approx(step, abs=0.4)
    counts = found.report.decisions
    assert (counts.learned_from, counts.judged_by, counts.split_by) == (120, 120, "turns")


@pytest.mark.slow
def test_where_times_are_known_the_latest_judge_and_teach_nothing(base, steps, judged):
    decisions = decided(np.random.default_rng(0).permutation(120).astype(float))
    found = Adapter(base, Settings(samples=20)).adapt(decisions)
    assert len(steps) == 1
    assert judged["scores"] is None
    when = dict(zip(decisions.texts, decisions.times, strict=True))
    toxic = dict(zip(decisions.texts, decisions.positive, strict=True))
    for kind in (True, False):
        taught = [when[text] for text in steps[0] if toxic[text] == kind]
        assert max(taught) < min(when[text] for text in judged["texts"] if toxic[text] == kind)
    assert found.report.decisions.split_by == "time"


@pytest.mark.slow
def test_too_few_of_a_kind_for_turns_are_split_once(base, steps, judged):
    found = Adapter(base, Settings(samples=20)).adapt(decided(toxic=5))
    assert len(steps) == 1
    assert len(steps[0]) + len(judged["texts"]) == 120
    assert found.report.decisions.split_by == "text"
    assert not found.better
