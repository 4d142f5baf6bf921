import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.convert import SCHEMA, describe, write_labelled
from giantkiller.data.sources import read_labelled
from giantkiller.errors import UserError

ROWS = (
    "id,comment_text,target,insult,label_kind,male\n007,You fool,0.75,1,a,\n008,Fine,0,,b,1\n009,,0.5,,b,0\n"
)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in.csv").write_text(ROWS)
    return read_labelled(tmp_path / "in.csv")


def test_what_is_written_is_what_is_read(tmp_path, source):
    path = tmp_path / "new" / "out.parquet"
    write_labelled(source, path)
    found = read_labelled(path)
    assert found.texts == ["You fool", "Fine", ""]
    assert found.targets.tobytes() == source.targets.tobytes()
    assert found.kinds == ["a", "b", "b"]
    assert found.extra.table.column("id").to_pylist() == ["007", "008", "009"]
    assert list(found.extra) == ["id", "male"]
    assert [path.name for path in path.parent.iterdir()] == ["out.parquet"]


def test_missing_labels_are_null(tmp_path, source):
    import pyarrow.parquet as pq

    write_labelled(source, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.names[:8] == SCHEMA.names
    assert table.column("insult").to_pylist() == [1, None, None]
    assert table.column("threat").null_count == 3


def test_a_second_text_column_is_refused(tmp_path):
    (tmp_path / "in.csv").write_text("text,said\na,b\n")
    with pytest.raises(UserError, match="two columns 'text'"):
        write_labelled(read_labelled(tmp_path / "in.csv", text_column="said"), tmp_path / "out.parquet")


def test_targets_that_cannot_be(tmp_path, source):
    (tmp_path / "folder.parquet").mkdir()
    for name, sentence in [
        ("out.csv", "give it the ending .parquet"),
        ("folder.parquet", "is a folder"),
        ("in.csv/out.parquet", "can't be written"),
    ]:
        with pytest.raises(UserError, match=sentence):
            write_labelled(source, tmp_path / name)


def test_describe(source):
    found = describe(source)
    assert (found["rows"], found["different_texts"], found["empty_texts"]) == (3, 3, 1)
    assert found["label_kinds"] == {"a": 1, "b": 2}
    assert found["other_columns"] == ["id", "male"]
    assert list(found["attributes"]) == list(ATTRIBUTES)
    assert found["attributes"]["toxicity"] == {"labelled": 3, "positive": 2, "rate": pytest.approx(2 / 3)}
    assert found["attributes"]["threat"] == {"labelled": 0, "positive": 0, "rate": None}
