"""Presets keep their budgets of harmless comments, and obscene words alone flag nothing on a forum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.evaluation.presets import PRESETS, PresetAims, fit_preset


def made(rows, seed, share):
    rng = np.random.default_rng(seed)
    positive = rng.random(rows) < share
    scores = np.clip(rng.normal(0.25, 0.15, (rows, 7)) + 0.4 * positive[:, None], 0, 1)
    return scores, positive


@settings(deadline=None)
@given(seed=st.integers(0, 200), name=st.sampled_from(list(PRESETS)))
def test_harmless_comments_stay_within_the_budgets(seed, name):
    aims = PRESETS[name]
    scores, toxic = made(600, seed, 0.1)
    staged, harmful = made(300, seed + 1, 0.5)
    policy = fit_preset(aims, scores, toxic, staged, harmful)
    for rows, bad in ((scores, toxic), (staged, harmful)):
        taken = policy.actions(rows)[~bad]
        assert np.isin(taken, ("review", "remove")).mean() <= aims.review + sum(aims.more.values()) + 1e-9
    assert (policy.actions(staged)[~harmful] == "remove").mean() <= aims.remove


def test_obscene_words_alone_flag_nothing_on_a_forum():
    scores, toxic = made(600, 1, 0.1)
    staged, harmful = made(300, 2, 0.5)
    policy = fit_preset(PRESETS["forum"], scores, toxic, staged, harmful)
    assert "obscene" not in policy
    assert "obscene" in fit_preset(PRESETS["family"], scores, toxic, staged, harmful)


def test_what_is_left_out_flags_nothing_and_changes_nothing_else():
    scores, toxic = made(600, 1, 0.1)
    staged, harmful = made(300, 2, 0.5)
    for aims in PRESETS.values():
        whole = fit_preset(aims, scores, toxic, staged, harmful).to_dict()
        del whole["threat"]
        assert fit_preset(aims, scores, toxic, staged, harmful, without=["threat"]).to_dict() == whole


def test_scores_that_tie_are_flagged_together_or_not_at_all():
    scores = np.full((50, 7), 0.3)
    scores[:30] = 0.6
    toxic = np.zeros(50, bool)
    policy = fit_preset(PresetAims(0.5, 0.9, 0.1), scores, toxic, scores, toxic)
    assert (policy.actions(scores) == "allow").sum() + (policy.actions(scores) == "monitor").sum() == 50


def test_a_preset_without_precision_removes_nothing():
    scores, toxic = np.random.default_rng(0).random((400, 7)), np.arange(400) % 2 == 0
    policy = fit_preset(PresetAims(0.2, 0.4, 0.1), scores, toxic, scores, toxic)
    assert policy["toxicity"]["remove"] == 1.0


def test_rows_and_labels_must_match():
    with pytest.raises(UserError, match="`scores` has shape"):
        fit_preset(PRESETS["forum"], np.zeros((3, 7)), [True], np.zeros((2, 7)), [False, True])
    with pytest.raises(UserError, match="no harmless comment"):
        fit_preset(PRESETS["forum"], np.zeros((2, len(ATTRIBUTES))), [False, True], np.zeros((1, 7)), [True])
