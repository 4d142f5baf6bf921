import json
import math
import pickle
import shutil

import numpy as np
import pytest
from bundles import STOPPED, gate, tokenizer, vocabulary
from hypothesis import given, settings
from hypothesis import strategies as st

from giantkiller import Screener
from giantkiller.bundle import read_bundle
from giantkiller.encoding import ID
from giantkiller.errors import UserError
from giantkiller.gate import Gate, read_gate

TEXTS = ["You are an idiot", "thanks a lot", "", "damn", "you are you", "You are an idiot", "thanks, stupid!"]
STOPS = [False, True, True, False, True, False, False]


def row(*ids):
    return np.array(ids, ID).tobytes()


def test_margins_by_hand():
    weights = np.array([0.5, -1.0, 2.0], np.float16)
    made = Gate(weights, bias=0.25, length=3.0, threshold=0.0, logits=np.zeros(7, np.float32))
    rows = [row(0), row(1, 2, 2, 0), row(1)]
    expected = [0.25 + 0.5, 0.25 + 3 * math.log(4) + 3.5 / 2, 0.25 - 1.0]
    np.testing.assert_allclose(made.margins(rows), expected, rtol=1e-15)
    assert made.passes(rows).tolist() == [True, True, False]
    assert made.passes([]).tolist() == []


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(width=16, allow_nan=False, allow_infinity=False), min_size=5, max_size=5),
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=300), min_size=1, max_size=20),
)
def test_a_margin_depends_on_its_row_alone(weights, ids):
    """Bit for bit: neither neighbours nor the order of its tokens."""
    made = Gate(np.array(weights, np.float16), 0.1, -0.3, 0.0, np.zeros(7, np.float32))
    together = made.margins([row(*each) for each in ids])
    alone = [made.margins([row(*reversed(each))])[0] for each in ids]
    assert together.tolist() == alone


def test_stopped_comments_get_one_score_and_others_their_own(gated_bundle, tiny_bundle):
    screener, plain = Screener(gated_bundle, gate=True, threads=2), Screener(tiny_bundle)
    logits = screener.logits(TEXTS)
    np.testing.assert_array_equal(logits[STOPS], np.full((3, 7), STOPPED))
    passing = np.invert(STOPS)
    np.testing.assert_array_equal(logits[passing], plain.logits(TEXTS)[passing])
    scores = screener.scores(TEXTS)
    assert screener.stopped(scores).tolist() == STOPS
    assert [screener.stopped(screener.scores([text])).tolist() for text in TEXTS] == [[s] for s in STOPS]
    assert screener.judge("thanks").action == "allow"
    # Explaining asks the model itself.
    assert screener.explain("thanks") == plain.explain("thanks")


def test_the_model_never_sees_what_is_stopped(gated_bundle, monkeypatch):
    screener = Screener(gated_bundle, gate=True, threads=1)
    seen = []
    run = screener.run
    monkeypatch.setattr(screener, "run", lambda rows: seen.extend(rows) or run(rows))
    screener.scores(TEXTS)
    assert len(seen) == 3
    screener.scores(["thanks", "you"])
    assert len(seen) == 3


def test_off_by_default(gated_bundle, tiny_bundle):
    off = Screener(gated_bundle)
    scores = off.scores(TEXTS)
    np.testing.assert_array_equal(scores, Screener(tiny_bundle).scores(TEXTS))
    assert not off.stopped(scores).any()
    for screener in (off, Screener(gated_bundle, gate=True)):
        copy = pickle.loads(pickle.dumps(screener))
        np.testing.assert_array_equal(copy.scores(TEXTS), screener.scores(TEXTS))


def test_a_bundle_without_a_gate(tiny_bundle):
    with pytest.raises(UserError, match="tiny has no gate"):
        Screener(tiny_bundle, gate=True)


def test_a_gate_for_another_tokenizer(gated_bundle):
    with pytest.raises(UserError, match=r"gate\.bin does not fit"):
        read_gate(read_bundle(gated_bundle), tokenizer().get_vocab_size() + 1)
    assert len(read_gate(read_bundle(gated_bundle), 5).weights) == len(vocabulary())


@pytest.mark.parametrize(
    "change",
    [
        {"gate": 3},
        {"gate": {}},
        {"gate": {**gate()[0], "bias": "0"}},
        {"gate": {**gate()[0], "threshold": True}},
        {"gate": {**gate()[0], "logits": {"toxicity": 0.0}}},
        {"gate": {**gate()[0], "logits": [0.0] * 7}},
    ],
)
def test_a_wrong_manifest_is_refused(gated_bundle, tmp_path, change):
    copy = shutil.copytree(gated_bundle, tmp_path / "copy")
    manifest = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(manifest | change))
    with pytest.raises(UserError, match=r"gate needs a bias"):
        read_bundle(copy)
    del manifest["files"]["gate.bin"]
    (copy / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"gate\.bin"):
        read_bundle(copy)


def test_a_damaged_file_is_named(gated_bundle, tmp_path):
    copy = shutil.copytree(gated_bundle, tmp_path / "copy")
    (copy / "gate.bin").write_bytes(b"\0" * (copy / "gate.bin").stat().st_size)
    with pytest.raises(UserError, match=r"gate\.bin is damaged"):
        read_bundle(copy)
