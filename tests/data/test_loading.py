import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from giantkiller.data import loading
from giantkiller.data.labelled import read_labelled
from giantkiller.data.loading import load_table
from giantkiller.errors import UserError


@pytest.mark.parametrize("kind", ["text", "note", "dictionary", "nested"])
def test_parquet_strings_that_are_not_utf8(tmp_path, kind):
    bad = pa.array([b"fine", b"fine", b"caf\xe9"], pa.binary()).view(pa.string())
    good = pa.array(["a", "b", "c"])
    if kind == "dictionary":
        bad = bad.dictionary_encode()
    elif kind == "nested":
        bad = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), bad)
    table = {"text": bad} if kind == "text" else {"text": good, "note": bad}
    pq.write_table(pa.table(table), tmp_path / "in.parquet")
    with pytest.raises(UserError, match=f"row 3 has something in '{list(table)[-1]}' that is not UTF-8"):
        read_labelled(tmp_path / "in.parquet")


def test_a_parquet_file_that_decodes_to_more_than_there_is_room(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "MAX_BYTES", 10 << 20)
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 500, pa.int32()), pa.array(["x" * 100_000]))
    pq.write_table(pa.table({"text": text.cast(pa.string())}), tmp_path / "in.parquet")
    with pytest.raises(UserError, match="once decoded; split it"):
        load_table(tmp_path / "in.parquet")


def test_rows_with_ever_new_keys(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "MAX_COLUMNS", 64)
    lines = (json.dumps({"text": "a", str(row): 1}) for row in range(100))
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match="more than 64 different keys"):
        load_table(tmp_path / "in.jsonl")


def test_semicolons_capitals_and_other_names(tmp_path):
    (tmp_path / "in.csv").write_text('Id;Comment Text;Toxic;Identity-Attack\n1;"a; b";1;0\n')
    found = read_labelled(tmp_path / "in.csv")
    assert found.texts == ["a; b"]
    assert found.targets[0, [0, 5]].tolist() == [1, 0]
    assert list(found.extra) == ["Id"]


def test_a_named_column_may_hold_what_looks_like_many(tmp_path):
    (tmp_path / "in.csv").write_text("said;a,b\nhi, you;1\n")
    assert read_labelled(tmp_path / "in.csv", text_column="said").texts == ["hi, you"]


def test_an_export_of_a_spreadsheet_is_called_that(tmp_path):
    (tmp_path / "in.csv").write_bytes("text\nhi\n".encode("utf-16"))
    with pytest.raises(UserError, match="is UTF-16; save it as UTF-8"):
        load_table(tmp_path / "in.csv")
