import json

import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.describe import describe
from giantkiller.data.labelled import read_labelled

ROWS = "id,comment_text,target,label_kind,male\n7,You fool,0.75,a,\n8,Fine,0,b,1\n9,,0.5,b,0\n"


def test_counts(tmp_path):
    (tmp_path / "in.csv").write_text(ROWS)
    found = describe(read_labelled(tmp_path / "in.csv"))
    assert (found.rows, found.different_texts, found.empty_texts) == (3, 3, 1)
    assert found.label_kinds == {"a": 1, "b": 2}
    assert found.other_columns == ["id", "male"]
    assert list(found.attributes) == list(ATTRIBUTES)
    toxicity, threat = found.attributes["toxicity"], found.attributes["threat"]
    assert (toxicity.labelled, toxicity.positive, toxicity.rate) == (3, 2, pytest.approx(2 / 3))
    assert (threat.labelled, threat.positive, threat.rate) == (0, 0, None)
    assert json.loads(json.dumps(found.to_dict()))["attributes"]["threat"]["rate"] is None
