import json

import pytest
from screened import ADDED, by_length, read, write

from giantkiller.errors import UserError
from giantkiller.files import chunks, screen_file


def screened(tmp_path, lines, **options):
    source = write(tmp_path / "in.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    summary = screen_file(source, tmp_path / "out.jsonl", by_length, **options)
    return summary, [json.loads(line) for line in read(tmp_path / "out.jsonl").splitlines()]


def test_one_stray_text_key_does_not_choose_the_column(tmp_path):
    lines = [{"comment": "hello"}] * 5 + [{"text": "x", "comment": "stray"}] + [{"comment": "hello"}] * 5
    summary, rows = screened(tmp_path, lines)
    assert (summary.text_column, summary.errors) == ("comment", 0)
    assert [row["toxicity"] for row in rows] == [0.005] * 11


def test_rows_without_the_column_are_errors_of_their_own(tmp_path):
    summary, rows = screened(tmp_path, [{"Text": "hi"}, {"text": "x"}, {"Text": ["a"]}, {"Text": "ho"}])
    assert summary.text_column == "Text"
    assert [row["error"] for row in rows] == [None, "no text", "a list, not text", None]


def test_a_key_of_a_new_name_far_down_costs_its_own_row_only(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 10)
    lines = [{"text": "hello"}] * 3 + [{"text": "mine", "error": 0}]
    lines += [{"text": "hello"}] * 21 + [{"text": "mine", "action": "allow"}, {"text": "hello"}]
    summary, rows = screened(tmp_path, lines)
    assert (summary.rows, summary.errors) == (27, 2)
    assert rows[25]["error"] == "has a key 'action' of its own; choose another prefix for the new ones"
    assert json.loads(rows[25]["text"]) == {"text": "mine", "action": "allow"}
    assert rows[25]["action"] is None
    assert rows[3]["error"].startswith("has a key 'error' of its own")
    assert [rows[26][name] for name in ADDED] == [0.005] * 7 + ["allow", None, None]
    again, rows = screened(tmp_path, lines, prefix="new_")
    assert again.errors == 0
    assert (rows[25]["action"], rows[25]["new_action"]) == ("allow", "allow")


def test_a_key_of_a_new_name_in_most_rows_is_a_column(tmp_path):
    with pytest.raises(UserError, match="already has a column 'action'"):
        screened(tmp_path, [{"text": "a"}, *[{"text": "a", "action": 1}] * 2])


def test_an_object_of_thousands_of_keys_is_an_error_of_its_row(tmp_path):
    summary, rows = screened(tmp_path, [{"text": "a"}, {str(i): i for i in range(5_000)}, {"text": "b"}])
    assert [row["error"] for row in rows] == [None, "more than 4,096 keys", None]
    assert summary.errors == 1
