import pytest

from giantkiller.errors import UserError
from giantkiller.models.labels import label_columns


@pytest.mark.parametrize(
    ("labels", "columns", "softmax"),
    [
        ({0: "toxic", 1: "identity_hate"}, {"toxicity": 0, "identity_attack": 1}, False),
        ({0: "Toxic", 1: "Obscene", 2: "other"}, {"toxicity": 0, "obscene": 1}, False),
        ({0: "non-toxic", 1: "toxic"}, {"toxicity": 1}, True),
        ({0: "toxic", 1: "neutral"}, {"toxicity": 0}, True),
        ({0: "LABEL_0", 1: "LABEL_1"}, {"toxicity": 1}, True),
        ({0: "toxicity"}, {"toxicity": 0}, False),
        ({0: "toxicity", 1: "insult"}, {"toxicity": 0, "insult": 1}, False),
    ],
)  # fmt: skip
def test_labels_of_other_peoples_models(labels, columns, softmax):
    assert label_columns("m", labels) == (columns, softmax)


def test_labels_that_are_none_of_ours():
    with pytest.raises(UserError, match="has the labels cat, dog, fish"):
        label_columns("m", {0: "cat", 1: "dog", 2: "fish"})
