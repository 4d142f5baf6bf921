"""The callables in other libraries' shapes: transformers, scikit-learn, evaluate."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("narwhals")

from frames_texts import TEXTS

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.frames import ToxicityMetric, pipeline


@pytest.fixture(scope="module")
def estimator(tiny_bundle):
    pytest.importorskip("sklearn")
    from giantkiller.frames.estimator import ToxicityTransformer

    return ToxicityTransformer(str(tiny_bundle), attributes=("toxicity", "insult"))


@pytest.fixture(scope="module")
def theirs(toxic_bert):
    transformers = pytest.importorskip("transformers")
    return transformers.pipeline("text-classification", model=str(toxic_bert))


def shape_of(value):
    """A value with its labels and scores left out."""
    if isinstance(value, list):
        return [shape_of(each) for each in value]
    return sorted(value) if isinstance(value, dict) else type(value)


@pytest.mark.parametrize("options", [{}, {"top_k": 1}, {"top_k": 2}, {"top_k": None}], ids=str)
@pytest.mark.parametrize("inputs", ["you idiot", ["you idiot"], ["you idiot", "thanks"]], ids=str)
def test_the_shapes_of_transformers(screener, theirs, inputs, options):
    ours = pipeline(screener)
    found, wanted = ours(inputs, **options), theirs(inputs, **options)
    if options == {"top_k": None}:  # theirs has another number of labels
        most = 3
        found, wanted = (
            [e[:most] if isinstance(e, list) else e for e in each][:most] for each in (found, wanted)
        )
    assert shape_of(found) == shape_of(wanted)


def test_the_highest_scores_come_first(screener):
    found = pipeline(screener, top_k=None)("you idiot")
    assert {each["label"]: each["score"] for each in found} == screener.predict("you idiot")
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)


def test_a_generator_gives_a_generator(screener):
    stream = pipeline(screener)(({"text": text} for text in ("damn", "thanks")), batch_size=1)
    assert next(stream)["label"] == "obscene"
    assert len(list(stream)) == 1


@pytest.mark.parametrize("inputs", [[None], [5], [{"words": "a"}]])
def test_what_is_no_text_is_refused(screener, inputs):
    with pytest.raises(UserError, match="text 1 is"):
        pipeline(screener)(inputs)


def test_top_k_must_be_positive(screener):
    with pytest.raises(UserError, match="`top_k` is 0"):
        pipeline(screener, top_k=0)


def test_estimator_in_a_pipeline(estimator, screener):
    from sklearn.base import clone
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = ["you idiot", "thanks", "stupid", "you are"]
    model = make_pipeline(clone(estimator), LogisticRegression()).fit(texts, [1, 0, 1, 0])
    again = pickle.loads(pickle.dumps(model))
    assert again.predict(["idiot", "thanks"]).tolist() == [1, 0]
    found = estimator.transform(texts)
    assert found.dtype == np.float32
    assert (found == screener.scores(texts)[:, [0, ATTRIBUTES.index("insult")]]).all()
    assert estimator.get_feature_names_out().tolist() == ["toxicity", "insult"]


def test_estimator_takes_a_column_and_keeps_nulls(estimator):
    pd = pytest.importorskip("pandas")
    found = estimator.transform(pd.DataFrame({"text": TEXTS}))
    assert np.isnan(found[:, 0]).tolist() == [text is None for text in TEXTS]
    assert np.array_equal(found, estimator.transform(pd.Series(TEXTS)), equal_nan=True)
    with pytest.raises(UserError, match="one column of texts"):
        estimator.transform(pd.DataFrame({"a": ["x"], "b": ["y"]}))


def test_estimator_passes_the_checks_of_scikit_learn(estimator):
    from sklearn.base import clone
    from sklearn.utils.estimator_checks import check_estimator

    check_estimator(clone(estimator))


def test_metric(screener):
    texts = ["you idiot", "thanks"]
    metric, scores = ToxicityMetric(screener), screener.scores(texts)[:, 0].tolist()
    assert metric.compute(predictions=texts) == {"toxicity": scores}
    assert metric.compute(predictions=texts, aggregation="maximum") == {"max_toxicity": max(scores)}
    assert metric.compute(predictions=texts, aggregation="ratio") == {"toxicity_ratio": 0.5}
    assert metric.compute(predictions=[]) == {"toxicity": []}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"predictions": ["a"], "aggregation": "mean"}, "'mean', none of"),
        ({"predictions": "a"}, "one text"),
        ({"predictions": [], "aggregation": "ratio"}, "is empty"),
        ({"predictions": [None]}, "holds None"),
        ({"predictions": [5]}, "row 1 of 'predictions' is of type int"),
    ],
)
def test_metric_refuses(screener, options, message):
    with pytest.raises(UserError, match=message):
        ToxicityMetric(screener).compute(**options)


@pytest.mark.parametrize(("package", "module"), [("narwhals", ""), ("sklearn", ".estimator")])
def test_a_missing_package_is_said_with_the_line_that_brings_it(package, module):
    program = f"""
import sys
sys.modules[{package!r}] = None
from giantkiller import UserError
try:
    import giantkiller.frames{module}
except UserError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "pip install 'giantkiller[" in said
    assert said.count("\n") == 1
