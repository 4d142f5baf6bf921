"""How much of a change is kept."""

import copy

import numpy as np
import pytest
import torch
from adapted import WORDS
from sklearn.metrics import average_precision_score

from giantkiller.adapt.compose import load_model
from giantkiller.adapt.decisions import Decisions
from giantkiller.adapt.delta import Delta, scaled
from giantkiller.adapt.dial import MARGIN, SHARES, dial
from giantkiller.adapt.methods import attach
from giantkiller.adapt.rehearsal import Rehearsal, unlabelled
from giantkiller.adapt.settings import Settings
from giantkiller.bundle import read_bundle
from giantkiller.calibration import Calibrator, calibrate
from giantkiller.encoding import Encoder
from giantkiller.models.inference import predict, tokenize

TEXTS = [" ".join(words) for words in np.random.default_rng(0).choice(WORDS, (120, 6))]


@pytest.fixture(scope="module")
def loaded(base, tmp_path_factory):
    bundle = read_bundle(base)
    return bundle, load_model(bundle, tmp_path_factory.mktemp("model") / "base")


def changed(model, method):
    """The tensors of a change that is not small."""
    other = copy.deepcopy(model)
    learning = attach(other, Settings(method=method))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in learning.parameters.values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return learning.tensors()


def logits(bundle, model, tensors=None):
    model = copy.deepcopy(model)
    if tensors is not None:
        Delta(tensors, ()).apply(model)
    return predict(model, tokenize(Encoder(bundle.tokenizer, bundle.max_length), TEXTS, clean=True))


def labelled(positive):
    targets = np.full((len(positive), 7), np.nan, np.float32)
    targets[:, 0] = positive
    return Rehearsal(TEXTS, targets)


def decisions(positive):
    targets = labelled(positive).targets
    return Decisions(TEXTS, targets, np.ones(len(TEXTS)), np.arange(len(TEXTS)), None, len(TEXTS), 0, "site")


@pytest.mark.parametrize("method", ["low-rank", "dendrites", "head", "bias"])
def test_a_share_of_nothing_is_the_old_model_and_all_of_it_the_new_one(loaded, method):
    bundle, model = loaded
    tensors = changed(model, method)
    old, new = logits(bundle, model), logits(bundle, model, tensors)
    assert np.abs(new - old).max() > 0.01
    assert np.abs(logits(bundle, model, scaled(tensors, 0.0)) - old).max() < 1e-5
    assert np.abs(logits(bundle, model, scaled(tensors, 1.0)) - new).max() < 1e-6
    small = np.abs(logits(bundle, model, scaled(tensors, 0.1)) - old).mean()
    assert 0 < small < np.abs(new - old).mean() / 2


def test_all_is_kept_where_nothing_is_lost(loaded):
    bundle, model = loaded
    tensors = changed(model, "low-rank")
    new = calibrate(logits(bundle, model, tensors), bundle.calibration)[:, 0]
    forum = labelled(new > np.median(new))
    found = dial(model, bundle, tensors, decisions(new), {"forum": forum}, Settings())
    assert found.share == 1.0
    assert [each.share for each in found.tried] == [1.0]
    assert found.tried[0].losses["forum"] < -0.1
    assert found.tried[0].gain > 0


@pytest.mark.parametrize("part", ["labelled", "own"])
@pytest.mark.parametrize(
    ("method", "tolerance"), [("low-rank", 0.005), ("low-rank", 0.2), ("low-rank", 0.5), ("head", 0.2)]
)
def test_of_the_shares_within_bounds_the_one_that_gains_most_is_kept(loaded, part, method, tolerance):
    """The last layer alone is tried on features that were read once."""
    bundle, model = loaded
    tensors = changed(model, method)
    old, new = logits(bundle, model)[:, 0], logits(bundle, model, tensors)[:, 0]
    guarded = labelled(old > np.quantile(old, 0.9)) if part == "labelled" else unlabelled(TEXTS)
    site = decisions(new > np.median(new))
    settings = Settings(tolerance=tolerance, agreement=tolerance)
    found = dial(model, bundle, tensors, site, {"it": guarded}, settings)
    labels = guarded.labels(old) >= 0.5
    within = {}
    for share in SHARES:
        line = Calibrator(bundle.calibration).lines(logits(bundle, model, scaled(tensors, share)))[:, 0]
        loss = average_precision_score(labels, old) - average_precision_score(labels, line)
        if loss <= MARGIN * tolerance:
            within[share] = -np.mean(np.logaddexp(0.0, line) - site.targets[:, 0] * line)
    assert len(within) < len(SHARES)
    assert found.share == (max(within, key=within.get) if within else SHARES[-1])


def test_without_anything_to_guard_all_is_kept(loaded):
    bundle, model = loaded
    tensors = changed(model, "head")
    assert dial(model, bundle, tensors, decisions(np.arange(120) % 2 == 0), {}, Settings()).share == 1.0
