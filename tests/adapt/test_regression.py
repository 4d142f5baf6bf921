"""Logistic regression in place of the last layer's row for toxicity."""

import copy

import numpy as np
import pytest
from adapted import site_rows

from giantkiller.adapt import regression
from giantkiller.adapt.compose import load_model
from giantkiller.adapt.decisions import Decisions
from giantkiller.adapt.delta import Delta
from giantkiller.adapt.learning import chosen_of, learn
from giantkiller.adapt.regression import learn_row, pooled
from giantkiller.adapt.rehearsal import Rehearsal, to_learn, unlabelled
from giantkiller.adapt.settings import Settings
from giantkiller.bundle import read_bundle
from giantkiller.calibration import Calibrator
from giantkiller.encoding import Encoder
from giantkiller.errors import UserError
from giantkiller.models.inference import predict, tokenize


@pytest.fixture(scope="module")
def loaded(base, tmp_path_factory):
    bundle = read_bundle(base)
    return bundle, load_model(bundle, tmp_path_factory.mktemp("model") / "base")


def decided(labels=None, weights=None):
    texts, own = zip(*site_rows(200, seed=4), strict=True)
    targets = np.full((len(texts), 7), np.nan, np.float32)
    targets[:, 0] = own if labels is None else labels
    counts = np.ones(len(texts)) if weights is None else weights
    return Decisions(list(texts), targets, counts, np.arange(len(texts)), None, len(texts), 0, "site")


def lines(bundle, model, texts, tensors=None):
    model = copy.deepcopy(model)
    if tensors is not None:
        Delta(tensors, ()).apply(model)
    tokens = tokenize(Encoder(bundle.tokenizer, bundle.max_length), texts, clean=True)
    return Calibrator(bundle.calibration).lines(predict(model, tokens))


def test_calibrated_scores_are_the_regressions_and_no_other_attribute_moves(loaded):
    from sklearn.linear_model import LogisticRegression

    bundle, model = loaded
    site = decided()
    old = lines(bundle, model, site.texts)
    new = lines(bundle, model, site.texts, learn_row(model, bundle, site, np.ones(len(site), bool)))
    tokens = tokenize(Encoder(bundle.tokenizer, bundle.max_length), site.texts, clean=True)
    features = pooled(model, tokens)
    wanted = LogisticRegression(C=0.1, max_iter=500).fit(features, site.positive).decision_function(features)
    np.testing.assert_allclose(new[:, 0], wanted, atol=2e-3)
    np.testing.assert_allclose(new[:, 1:], old[:, 1:], atol=1e-5)
    assert np.abs(new[:, 0] - old[:, 0]).mean() > 0.1


def test_what_teaches_nothing_changes_nothing(loaded):
    bundle, model = loaded
    teaches = np.arange(200) < 120
    labels = decided().targets[:, 0]
    other = np.where(teaches, labels, 1 - labels)
    found = [learn_row(model, bundle, decided(each), teaches) for each in (labels, other)]
    assert all((found[0][name] == found[1][name]).all() for name in found[0])


def test_a_decision_of_weight_two_counts_as_two(loaded):
    bundle, model = loaded
    site = decided(weights=np.where(np.arange(200) < 50, 2.0, 1.0))
    rows = np.concatenate([np.arange(200), np.arange(50)])
    twice = Decisions(
        [site.texts[row] for row in rows], site.targets[rows], np.ones(250), rows, None, 250, 0, "s"
    )
    found = [learn_row(model, bundle, each, np.ones(len(each), bool)) for each in (site, twice)]
    weights = [each["classifier.weight.add"][0].numpy() for each in found]
    np.testing.assert_allclose(*weights, atol=1e-3)


def test_a_half_toxic_decision_is_neither(loaded):
    bundle, model = loaded
    half = decided(np.full(200, 0.5))
    new = lines(bundle, model, half.texts, learn_row(model, bundle, half, np.ones(200, bool)))
    np.testing.assert_allclose(new[:, 0], 0, atol=0.02)


def test_what_has_labels_is_rehearsed_by_the_old_scores(loaded, monkeypatch):
    bundle, model = loaded
    site = decided()
    texts = [f"{text} again" for text in site.texts]
    old = lines(bundle, model, texts)[:, 0]
    teaches = np.ones(200, bool)

    def moved(rehearsal):
        return np.abs(
            lines(bundle, model, texts, learn_row(model, bundle, site, teaches, rehearsal))[:, 0] - old
        ).mean()

    alone = moved(None)
    assert moved(unlabelled(texts)) == alone
    labels = np.zeros((200, 7), np.float32)
    assert moved(Rehearsal(texts, labels)) < 0.9 * alone
    assert moved(Rehearsal(texts, labels)) == moved(Rehearsal(texts, labels + 1))  # the labels don't count
    monkeypatch.setattr(regression, "REHEARSED", 100.0)
    assert moved(Rehearsal(texts, labels)) < 0.3 * alone


def test_decisions_of_one_kind_are_refused(loaded):
    bundle, model = loaded
    with pytest.raises(UserError, match="all of one kind"):
        learn_row(model, bundle, decided(np.zeros(200)), np.ones(200, bool))


def test_learning_goes_by_the_decisions_that_choose_nothing(loaded):
    bundle, model = loaded
    site = decided()
    found = learn(copy.deepcopy(model), bundle, site, to_learn(), Settings(method="logistic"))
    wanted = learn_row(model, bundle, site, ~chosen_of(site), to_learn())
    assert all((found.tensors[name] == wanted[name]).all() for name in wanted)
