import json

import pytest
from dendritic import ledger

from giantkiller.dendrites import DendriteError, Ledger, read_ledger


def test_a_ledger_reads_as_it_was_written(tmp_path):
    ledger().save(tmp_path)
    assert read_ledger(tmp_path) == ledger()
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.json"]


def test_the_table_tells_every_attempt():
    lines = ledger().table().splitlines()
    assert lines[2].split() == ["1", "2", "layers", "(1)", "0.6250", "+0.1250", "yes", "140", "40", "3.0"]
    assert lines[3].split() == ["2", "2", "layers", "(2)", "0.5000", "-0.1250", "no", "180", "80", "3.5"]
    assert lines[4] == ledger().reason


def test_best_and_failures_are_those_of_the_attempts():
    record = ledger()
    assert record.best.number == 1
    assert record.failures == 1
    assert Ledger().best is None
    assert Ledger().failures == 0


def damaged(change):
    told = ledger().to_dict()
    change(told)
    return json.dumps(told)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "no growth ledger at"),
        ("{", "is damaged"),
        ("[]", "not a growth ledger of format 1"),
        (damaged(lambda told: told.update(format=2)), "not a growth ledger of format 1"),
        (damaged(lambda told: told.pop("attempts")), "is damaged: KeyError"),
        (damaged(lambda told: told["attempts"][0].pop("score")), "is damaged: KeyError 'score'"),
        (damaged(lambda told: told["attempts"][0].update(score="high")), "is damaged: ValueError"),
        (damaged(lambda told: told["attempts"][0].update(kept="yes")), "is damaged: ValueError"),
        (
            damaged(lambda told: told["attempts"][0].update(fit_seconds=float("inf"))),
            "is damaged: ValueError",
        ),
        (damaged(lambda told: told["attempts"][0].update(grown=[1])), "is damaged: AttributeError"),
        (damaged(lambda told: told.update(attempts=7)), "is damaged: TypeError"),
    ],
)
def test_a_bad_ledger_is_said_in_a_sentence(tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "ledger.json").write_text(text)
    with pytest.raises(DendriteError, match=sentence):
        read_ledger(tmp_path)
