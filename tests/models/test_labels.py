import pytest

from giantkiller.errors import UserError
from giantkiller.models.labels import label_columns


@pytest.mark.parametrize(
    ("labels", "columns", "softmax"),
    [
        (["toxic", "identity_hate"], {"toxicity": 0, "identity_attack": 1}, False),
        (["Toxic", "Obscene", "other"], {"toxicity": 0, "obscene": 1}, False),
        (["non-toxic", "toxic"], {"toxicity": 1}, True),
        (["toxic", "neutral"], {"toxicity": 0}, True),
        (["LABEL_0", "LABEL_1"], {"toxicity": 1}, True),
        (["toxicity"], {"toxicity": 0}, False),
        (["toxicity", "insult"], {"toxicity": 0, "insult": 1}, False),
    ],
)  # fmt: skip
def test_labels_of_other_peoples_models(labels, columns, softmax):
    assert label_columns("m", labels) == (columns, softmax)


def test_labels_that_are_none_of_ours():
    with pytest.raises(UserError, match="has the labels cat, dog, fish"):
        label_columns("m", ["cat", "dog", "fish"])
