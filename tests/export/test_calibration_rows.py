import numpy as np
import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.labelled import read_labelled
from giantkiller.errors import UserError
from giantkiller.export.calibration_rows import first_labels, is_trained, unseen


def test_each_attribute_takes_the_first_file_with_enough_labels(labelled):
    whole = read_labelled(labelled)
    small = whole.take(range(12))
    blank = whole.take(range(len(whole)))
    blank.targets[:, 0] = np.nan
    targets, origin = first_labels({"small": small, "blank": blank, "whole": whole})
    assert origin == {"toxicity": "whole", "insult": "blank"}
    assert np.flatnonzero(~np.isnan(targets[:, 0])).tolist() == list(range(132, 252))
    insult = ATTRIBUTES.index("insult")
    assert np.flatnonzero(~np.isnan(targets[:, insult])).tolist() == list(range(12, 132))
    assert np.isnan(targets[:, ATTRIBUTES.index("threat")]).all()


def test_rows_that_training_saw_are_left_out(labelled):
    whole = read_labelled(labelled)
    record = {"data": {"sub/train.csv": "sha"}, "recipe": {"data": {"holdout_fraction": 0.3}}}
    assert unseen(record, "other.csv", whole) is whole
    kept = unseen(record, "train.csv", whole)
    assert kept.texts == [text for text in whole.texts if is_held_out(merge_key(text), 0.3)]
    # Soft labels may be of any file but the one that the recipe chose by.
    record["soft_labelled"] = 7
    record["recipe"]["data"]["validation"] = "val.csv"
    assert unseen(record, "val.csv", whole) is whole
    assert unseen(record, "other.csv", whole).texts == kept.texts
    record["recipe"]["data"]["holdout_fraction"] = 0.0
    assert unseen(record, "other.csv", whole) is whole
    with pytest.raises(UserError, match="trained on"):
        unseen(record, "train.csv", whole)


def test_the_file_that_chose_is_not_one_that_was_trained_on():
    record = {"data": {"a/train.csv": "sha", "val.csv": "sha"}, "recipe": {"data": {"validation": "val.csv"}}}
    assert [is_trained(record, name) for name in ("train.csv", "val.csv", "other.csv")] == [
        True,
        False,
        False,
    ]
    assert not is_trained({}, "train.csv")
