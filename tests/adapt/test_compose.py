"""A bundle with a delta: what the changed model computes, and a base for the next one."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from adapted import site_rows

from giantkiller import Screener
from giantkiller.adapt import Delta, Settings
from giantkiller.adapt.compose import compose, load_model
from giantkiller.adapt.delta import lineage_of
from giantkiller.adapt.methods import attach
from giantkiller.bundle import read_bundle
from giantkiller.errors import UserError
from giantkiller.models.inference import predict, tokenize

TEXTS = [text for text, _ in site_rows(40, seed=5)]


def random_delta(bundle, folder, method):
    """Change what a method lets learn at random."""
    learning = attach(load_model(bundle, folder), Settings(method=method))
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in learning.parameters.values():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return Delta(learning.tensors(), lineage_of(bundle))


def logits_of(model, encoder):
    return predict(model, tokenize(encoder, TEXTS, clean=True))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["low-rank", "dendrites", "head"])
def test_the_bundle_computes_what_the_changed_model_does(base, tmp_path, method):
    bundle = read_bundle(base)
    delta = random_delta(bundle, tmp_path / "learning", method)
    model = load_model(bundle, tmp_path / "checkpoint")
    before = Screener(base, threads=1)
    delta.apply(model)
    wanted = logits_of(model, before.encoder)
    written = compose(bundle, [delta], "changed").write(tmp_path / "bundle")
    after = Screener(written.folder, threads=1)
    spread = np.abs(wanted - before.logits(TEXTS)).max()
    assert np.abs(after.logits(TEXTS) - wanted).mean() < 0.25 * spread
    again = load_model(written, tmp_path / "again")  # it is a base like any other
    assert np.abs(logits_of(again, after.encoder) - wanted).mean() < 0.25 * spread
    assert lineage_of(written) == (bundle.digest, delta.digest)
    assert written.tokenizer.read_bytes() == bundle.tokenizer.read_bytes()


def test_nothing_to_merge_is_refused(base):
    with pytest.raises(UserError, match="`deltas` is empty"):
        compose(read_bundle(base), [])
