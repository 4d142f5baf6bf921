from pathlib import Path

import pytest

from giantkiller.errors import UserError
from giantkiller.files.formats import FORMATS, format_of, is_table, named_format


@pytest.mark.parametrize(
    ("name", "known", "gzipped"),
    [
        ("a.csv", "csv", False),
        ("A.CSV.GZ", "csv", True),
        ("a.tsv", "tsv", False),
        ("a.b.ndjson.gz", "jsonl", True),
        ("a.jsonl", "jsonl", False),
        ("a.parquet", "parquet", False),
    ],
)
def test_endings(name, known, gzipped):
    assert format_of(Path(name)) == (FORMATS[known], gzipped)
    assert is_table(Path(name))
    assert named_format(known) is FORMATS[known]


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gz", "csv", "a.csv.zip"])
def test_other_endings(name):
    assert not is_table(Path(name))
    with pytest.raises(UserError, match="its ending is not known"):
        format_of(Path(name))
