from pathlib import Path

import pytest

from giantkiller.data.convert import SCHEMA, convert, write_labelled
from giantkiller.data.labelled import read_labelled
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
        ("in.csv/out.parquet", "can't write"),
    ]:
        with pytest.raises(UserError, match=sentence):
            write_labelled(source, tmp_path / name)


def test_the_input_is_not_overwritten(tmp_path, source):
    path = tmp_path / "labelled.parquet"
    write_labelled(source, path)
    before = path.read_bytes()
    (tmp_path / "link.parquet").symlink_to(path)
    (tmp_path / "hard.parquet").hardlink_to(path)
    through_nothing = Path(f"{tmp_path}/nofolder/../labelled.parquet")
    for target in (path, tmp_path / "link.parquet", tmp_path / "hard.parquet", through_nothing):
        with pytest.raises(UserError, match="is the input itself"):
            convert(path, target)
    assert path.read_bytes() == before


def test_an_old_output_keeps_its_mode(tmp_path, source):
    path = tmp_path / "out.parquet"
    path.touch(mode=0o600)
    write_labelled(source, path)
    assert path.stat().st_mode & 0o777 == 0o600
