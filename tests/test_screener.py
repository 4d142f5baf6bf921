import json
import math
import pickle
import re
import threading

import numpy as np
import onnx
import pytest
from bundles import BIAS, WEIGHTS, build, graph, tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from giantkiller import Screener
from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import MODEL, TOKENIZER
from giantkiller.calibration import Calibration
from giantkiller.cleaning import MAX_CHARS
from giantkiller.errors import UserError
from giantkiller.policy import Policy
from giantkiller.screener import _has_external_data, available_cores


@pytest.fixture(scope="module")
def screener(tiny_bundle):
    return Screener(tiny_bundle, threads=2)


def expected(*words):
    """Logits by hand."""
    return [BIAS + sum(WEIGHTS[word].get(attribute, 0.0) for word in words) for attribute in ATTRIBUTES]


def test_logits_and_scores_by_hand(screener):
    texts = ["You are an idiot", "thanks", "damn, stupid!", "", "1d10t"]
    logits = screener.logits(texts)
    assert logits.dtype == np.float32
    by_hand = [
        expected("idiot"),
        expected("thanks"),
        expected("damn", "stupid"),
        expected(),
        expected("idiot"),
    ]
    np.testing.assert_array_equal(logits, by_hand)
    np.testing.assert_allclose(screener.scores(texts), 1 / (1 + np.exp(-np.array(by_hand))), rtol=1e-6)


def test_calibration_is_applied(tmp_path):
    build(tmp_path / "b", calibration={"insult": Calibration(0.5, 1.0)})
    row = Screener(tmp_path / "b").predict("idiot")
    assert row["insult"] == pytest.approx(1 / (1 + math.exp(-(0.5 * 2.5 + 1.0))))
    assert row["toxicity"] == pytest.approx(1 / (1 + math.exp(-2.0)))


def test_forms_of_the_answer(screener):
    one = screener.predict("idiot")
    assert list(one) == list(ATTRIBUTES)
    assert isinstance(one["insult"], float)
    both = screener.predict(["idiot", "thanks"])
    assert both["insult"] == [one["insult"], screener.predict("thanks")["insult"]]
    assert screener.scores([]).shape == (0, 7)
    assert screener.predict([]) == {attribute: [] for attribute in ATTRIBUTES}
    verdict = screener.judge("hurt")
    assert (verdict.action, verdict.attribute, verdict.label) == ("remove", "threat", "non-toxic")
    assert [v.action for v in screener.judge(["thanks", "idiot"])] == ["allow", "review"]


STRANGE = [
    "",
    " ",
    "x",
    "idiot " * 20_000,
    "x" * 100_000,
    "😀👍🏼🇺🇸" * 50,
    "أنت أحمق تماما",
    "\u202eidiot\u202c",
    "\x00\x01\x1f\x7f",
    "\ud800 idiot",
    "[SEP] [PAD] [CLS]",
    "日本語 " * 400,
    "\n" * 1000,
    "ı İ ß e\u0301",
    "a\u0300" * 5000,
]


def test_strange_texts_have_finite_scores_of_their_own(screener):
    together = screener.logits(STRANGE)
    assert np.isfinite(together).all()
    for text, row in zip(STRANGE, together, strict=True):
        np.testing.assert_array_equal(screener.logits([text])[0], row)


some_text = st.one_of(
    st.sampled_from(STRANGE),
    st.lists(
        st.sampled_from(["you", "are", "idiot", "stupid", "thanks", "an", "1d10t", "x,y"]), max_size=40
    ).map(" ".join),
    st.text(max_size=40),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(some_text, max_size=40),
    st.randoms(use_true_random=False),
    st.sampled_from([1, 2, 5]),
    st.sampled_from([1, 7, 64, 1024]),
    st.sampled_from([1, 3, 4096]),
)
def test_a_score_depends_on_the_text_alone(tiny_bundle, texts, dice, threads, batch_tokens, window):
    """Bit for bit, whatever the order, batch size, window, thread count, and what was scored before."""
    reference = Screener(tiny_bundle, threads=1)
    alone = [reference.logits([text])[0] for text in texts]
    order = list(range(len(texts)))
    dice.shuffle(order)
    other = Screener(tiny_bundle, threads=threads, batch_tokens=batch_tokens, window=window)
    for _ in range(2):
        got = other.logits(texts[i] for i in order)
        np.testing.assert_array_equal(got, np.array([alone[i] for i in order], np.float32).reshape(-1, 7))


def test_the_shipped_model_too_gives_each_text_its_own_score():
    """Bit for bit: a row of the shipped graph does not depend on its neighbours."""
    from giantkiller.bundle import DEFAULT

    if not (DEFAULT / "bundle.json").is_file():
        pytest.skip("no shipped bundle here")
    words = [
        "you",
        "the",
        "mayor",
        "lied",
        "again",
        "idiot",
        "1d10t",
        "why?",
        "thanks",
        "ünï",
        "😀",
        "taxes,",
    ]
    dice = np.random.default_rng(0)
    texts = [" ".join(dice.choice(words, n % 37)) for n in range(120)] + STRANGE
    alone = np.concatenate([Screener(threads=1).logits([text]) for text in texts[:3]])
    reference = Screener(threads=1, batch_tokens=1).logits(texts)
    np.testing.assert_array_equal(reference[:3], alone)
    for threads, batch_tokens in ((1, 300), (2, 1024), (2, 100_000)):
        other = Screener(threads=threads, batch_tokens=batch_tokens)
        np.testing.assert_array_equal(other.logits(reversed(texts)), reference[::-1])


def test_rows_are_padded_by_their_own_length(screener, monkeypatch):
    """So its scores can't depend on those it shares a batch with, whatever a processor makes of padding."""
    seen = []
    run = screener._logits
    monkeypatch.setattr(screener, "_logits", lambda ids, mask: seen.append((ids, mask)) or run(ids, mask))
    texts = ["you", "you are", "idiot " * 6, "idiot " * 7, "you " * 31]  # 3, 4, 8, 9 and 32 tokens of 32
    alone = [screener.logits([text])[0] for text in texts]
    assert [ids.shape for ids, _ in seen] == [(1, 4), (1, 4), (1, 8), (1, 12), (1, 32)]
    assert [mask.sum() for _, mask in seen] == [3, 4, 8, 9, 32]
    seen.clear()
    np.testing.assert_array_equal(screener.logits(texts), alone)
    assert sorted(ids.shape for ids, _ in seen) == [(1, 8), (1, 12), (1, 32), (2, 4)]


def test_a_graph_that_looks_at_the_padding_gets_none(tmp_path):
    """Here the logits are the number of tokens, masked or not."""
    one = numpy_helper.from_array(np.ones((1, 1, 7), np.float32), "one")
    tokens = numpy_helper.from_array(np.array([1]), "tokens")
    last = numpy_helper.from_array(np.array([-1]), "last")
    nodes = [
        ("Cast", ["input_ids"], ["ids"], {"to": TensorProto.FLOAT}),
        ("Mul", ["ids", "zero"], ["none"]),
        ("Unsqueeze", ["none", "last"], ["column"]),
        ("Add", ["column", "one"], ["each"]),
        ("ReduceSum", ["each", "tokens"], ["logits"], {"keepdims": 0}),
    ]
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    model = graph_of(nodes, tensors=[one, tokens, last, zero])
    screener = Screener(build(tmp_path / "b", files={MODEL: model}), threads=1)
    assert screener.logits(["you", "you are idiot"])[:, 0].tolist() == [3, 5]


def test_order_holds_over_many_windows(tiny_bundle):
    screener = Screener(tiny_bundle, threads=2, window=8, batch_tokens=16)
    texts = [("idiot " if i % 3 == 0 else "thanks ") + "x" * (i % 13) for i in range(500)]
    toxic = screener.scores(iter(texts))[:, 0] > 0.5
    assert toxic.tolist() == [i % 3 == 0 for i in range(500)]


def test_a_generator_is_read_as_it_is_scored(tiny_bundle):
    screener = Screener(tiny_bundle, threads=2, window=8)
    read = []

    def texts():
        for i in range(100):
            read.append(i)
            yield "idiot"

    stream = screener._stream(texts())
    next(stream)
    assert len(read) < 50
    stream.close()


def test_duplicates_run_once(tiny_bundle, monkeypatch):
    screener = Screener(tiny_bundle, threads=1)
    rows = []
    run = screener.run
    monkeypatch.setattr(screener, "run", lambda batch: rows.extend(batch) or run(batch))
    got = screener.scores(["an idiot", "thanks", "AN  IDIOT", "an 1d10t", "thanks"])
    assert len(rows) == 2
    assert (got[0] == got[2]).all()
    assert (got[0] == got[3]).all()


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["a", None], r"text 2 is empty \(None\)"),
        (["a"] * 20 + [3], "text 21 is of type int"),
        ([b"a"], "text 1 is of type bytes"),
        ([float("nan")], "text 1 is of type float"),
        ("one text", "in brackets"),
        (b"bytes", "in brackets"),
        (7, "int where a list"),
        (None, "NoneType where a list"),
    ],
)
def test_what_is_no_list_of_texts(tiny_bundle, texts, said):
    with pytest.raises(UserError, match=said):
        Screener(tiny_bundle, window=8).scores(texts)


@pytest.mark.parametrize("setting", ["threads", "batch_tokens", "window"])
def test_settings_below_one(tiny_bundle, setting):
    with pytest.raises(UserError, match=setting):
        Screener(tiny_bundle, **{setting: 0})


def refusal(folder, **changes):
    """The sentence with which a bundle is refused, whose checksums are right."""
    with pytest.raises(UserError) as error:
        Screener(build(folder, **changes))
    return str(error.value)


def graph_of(
    nodes, outputs=("batch", 7), inputs=("input_ids", "attention_mask"), tensors=(), of=TensorProto.INT64
):
    made = helper.make_graph(
        [helper.make_node(*node[:3], **(node[3] if len(node) > 3 else {})) for node in nodes],
        "g",
        [helper.make_tensor_value_info(name, of, ["batch", "tokens"]) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, outputs)],
        list(tensors),
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


CAST = ("Cast", ["input_ids"], ["logits"], {"to": TensorProto.FLOAT})


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (b"no graph", "no model"),
        (graph_of([CAST], outputs=("batch", "tokens"), inputs=("input_ids",)), "other inputs"),
        (graph_of([CAST], of=TensorProto.INT32), "other inputs"),
        # Says (batch, 7), returns (batch, tokens).
        (graph_of([CAST]), r"shape \(1, 32\)|can't run"),
    ],
)
def test_a_graph_that_is_no_bundles(tmp_path, model, said):
    assert re.search(said, refusal(tmp_path / "b", files={MODEL: model}))


def test_logits_of_one_row_are_not_given_to_all(tmp_path):
    """Seven logits for a whole batch would be broadcast to every text."""
    seven = numpy_helper.from_array(np.zeros((1, 7), np.float32), "seven")
    model = graph_of([("Identity", ["seven"], ["logits"])], outputs=(1, 7), tensors=[seven])
    screener = Screener(build(tmp_path / "b", files={MODEL: model}), threads=1)
    with pytest.raises(UserError, match="for 2 texts"):
        screener.scores(["you are", "are you"])


def test_weights_outside_the_bundle(tmp_path):
    model = onnx.load_from_string(graph())
    table = next(tensor for tensor in model.graph.initializer if tensor.name == "table")
    (tmp_path / "b").mkdir()
    (tmp_path / "outside.bin").write_bytes(table.raw_data)
    onnx.external_data_helper.set_external_data(table, location="../outside.bin")
    table.ClearField("raw_data")
    table.data_location = TensorProto.EXTERNAL
    assert "another file" in refusal(tmp_path / "b", files={MODEL: model.SerializeToString()})
    # The same key with its length spelled in two bytes, as protobuf allows.
    content = model.SerializeToString()
    assert content.count(b"\n\x08location") == 1
    assert _has_external_data(b"\n\x88\x00location")
    assert _has_external_data(b"\x8a\x00\x88\x80\x00location")
    assert not _has_external_data(b"relocation \x12\x08location")


def test_a_tokenizer_of_another_model(tmp_path):
    larger = json.loads(tokenizer().to_str())
    larger["model"]["vocab"]["beyond"] = len(larger["model"]["vocab"])
    assert "can't run" in refusal(tmp_path / "larger", files={TOKENIZER: json.dumps(larger).encode()})
    for name, vocabulary in (("empty", {}), ("no_unknown", {"[CLS]": 0, "[SEP]": 1, "a": 2})):
        other = json.loads(tokenizer().to_str())
        other["model"]["vocab"] = vocabulary
        other["added_tokens"] = []
        assert "tokenizer.json" in refusal(tmp_path / name, files={TOKENIZER: json.dumps(other).encode()})


def test_more_tokens_than_positions(tmp_path):
    """A graph that adds a table of 16 positions to every row can't read 32 tokens."""
    table = numpy_helper.from_array(np.zeros((1, 16), np.float32), "positions")
    nodes = [
        ("Cast", ["input_ids"], ["ids"], {"to": TensorProto.FLOAT}),
        ("Add", ["ids", "positions"], ["sum"]),
        ("MatMul", ["sum", "head"], ["logits"]),
    ]
    head = numpy_helper.from_array(np.zeros((16, 7), np.float32), "head")
    model = graph_of(nodes, tensors=[table, head])
    assert "can't run 32 tokens" in refusal(tmp_path / "b", files={MODEL: model})
    assert Screener(build(tmp_path / "c", max_length=16, files={MODEL: model})).bundle.max_length == 16


def test_a_score_that_is_no_number(tiny_bundle, monkeypatch):
    screener = Screener(tiny_bundle)
    monkeypatch.setattr(screener, "run", lambda rows: np.full((len(rows), 7), np.nan, np.float32))
    with pytest.raises(UserError, match="no number"):
        screener.scores(["a"])


def test_an_error_in_a_worker_reaches_the_caller(tiny_bundle, monkeypatch):
    screener = Screener(tiny_bundle, threads=2, batch_tokens=8)

    def fail(rows):
        raise MemoryError("no room")

    monkeypatch.setattr(screener, "run", fail)
    with pytest.raises(MemoryError):
        screener.scores(["a", "b c", "d e f"])


def test_pickling_and_threads(screener):
    texts = ["idiot", "thanks a lot", ""] * 50
    reference = screener.logits(texts)
    copy = pickle.loads(pickle.dumps(screener))
    np.testing.assert_array_equal(copy.logits(texts), reference)
    answers = {}
    threads = [
        threading.Thread(target=lambda i=i: answers.setdefault(i, screener.logits(texts))) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((answers[i] == reference).all() for i in range(4))


def test_length_is_cut_and_characters_too(tmp_path):
    screener = Screener(build(tmp_path / "b", max_length=8))
    np.testing.assert_array_equal(screener.logits(["you are " * 3 + "idiot"]), [expected()])
    np.testing.assert_array_equal(screener.logits(["you are idiot " * 3]), [expected("idiot", "idiot")])
    np.testing.assert_array_equal(screener.logits([" " * MAX_CHARS + "idiot"]), [expected()])


def test_a_policy_instead_of_the_bundles(tmp_path):
    family = Policy({"insult": {"remove": 0.5}})
    folder = build(tmp_path / "b", policies={"family": family})
    assert Screener(folder).judge("idiot").action == "review"
    for policy in ("family", family):
        screener = Screener(folder, policy=policy)
        assert screener.judge("idiot").action == "remove"
        assert pickle.loads(pickle.dumps(screener)).policy == family
    with pytest.raises(UserError, match="default, family"):
        Screener(folder, policy="adults")


def test_rows_of_ids_get_the_same_scores(screener):
    texts = ["You are an idiot", "1d10t", ""]
    scores = screener.score_ids(screener.encoder.encode(texts))
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(scores.astype(np.float32), screener.scores(texts))


def test_available_cores():
    assert available_cores() >= 1
