"""Reading several columns of a file at once."""

import json

import pytest

from giantkiller.errors import UserError
from giantkiller.files.tables import read_columns


def test_columns_come_row_by_row_under_their_new_names(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('user,comment,n\nada,"one\ntwo",1\nbob,,2\n,three,3\n')
    assert list(read_columns(path, {"text": None, "author": "user", "id": "n"})) == [
        {"text": "one\ntwo", "author": "ada", "id": "1"},
        {"text": "three", "id": "3"},
    ]


def test_json_lines_and_parquet_too(tmp_path):
    rows = [{"t": "one", "id": "a"}, {"t": "two"}, {"id": "c"}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    wanted = [{"text": "one", "id": "a"}, {"text": "two"}]
    assert list(read_columns(path, {"text": "t", "id": "id"})) == wanted
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert list(read_columns(tmp_path / "a.parquet", {"text": "t", "id": "id"})) == wanted


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"t": "one", "id": "a"}\n{"t": "two", "id": 2}\n')
    with pytest.raises(UserError, match="column 'id' of row 2 is a number"):
        list(read_columns(path, {"text": "t", "id": "id"}))
    with pytest.raises(UserError, match="nowhere"):
        list(read_columns(path, {"text": "t", "id": "nowhere"}))
