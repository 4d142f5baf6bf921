import math
import pickle
import threading

import numpy as np
import pytest
from bundles import BIAS, WEIGHTS, build
from hypothesis import given, settings
from hypothesis import strategies as st

from giantkiller import Screener
from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import Calibration, read_bundle, write_bundle
from giantkiller.cleaning import MAX_CHARS
from giantkiller.errors import UserError
from giantkiller.screener import available_cores, plan


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


def test_calibration_is_applied(tiny_bundle, tmp_path):
    tiny = read_bundle(tiny_bundle)
    write_bundle(
        tmp_path / "b",
        model=tiny.model,
        tokenizer=tiny.tokenizer,
        card="",
        name="n",
        version="1",
        max_length=32,
        calibration={"insult": Calibration(0.5, 1.0)},
    )
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


def test_a_broken_graph(tiny_bundle, tmp_path):
    from onnx import TensorProto, helper

    ids, out = (
        helper.make_tensor_value_info(name, TensorProto.INT64, ["a", "b"]) for name in ("input_ids", "logits")
    )
    graph = helper.make_graph([helper.make_node("Identity", ["input_ids"], ["logits"])], "g", [ids], [out])
    other = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    for i, model in enumerate((b"no graph", other.SerializeToString())):
        write_bundle(
            tmp_path / str(i),
            model=model,
            tokenizer=read_bundle(tiny_bundle).tokenizer,
            card="",
            name="n",
            version="1",
            max_length=32,
        )
        with pytest.raises(UserError, match=r"model\.onnx"):
            Screener(tmp_path / str(i))


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


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 100))
def test_plan(lengths, budget):
    batches = plan(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len({lengths[i] for i in batch}) == 1
        assert len(batch) == 1 or sum(lengths[i] for i in batch) <= budget or lengths[batch[0]] == 0
    sizes = [lengths[batch[0]] for batch in batches]
    assert sizes == sorted(sizes, reverse=True)


def test_available_cores():
    assert available_cores() >= 1
