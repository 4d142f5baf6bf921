import csv
import gzip
import io
import sys

import pytest
from screened import by_length, read, read_csv, write

from giantkiller.errors import UserError
from giantkiller.files import chunks, screen_file
from giantkiller.files.delimited import DelimitedReader
from giantkiller.files.formats import CSV
from giantkiller.files.source import Source


def header(tmp_path, content, text_column=None):
    reader = DelimitedReader(Source(write(tmp_path / "in.csv", content)), CSV.delimiters, text_column)
    return reader.delimiter, reader.names, list(reader.rows())


@pytest.mark.parametrize(
    ("content", "delimiter", "names"),
    [
        ("id;text\n1;a, b\n", ";", ["id", "text"]),
        ('"id";"Comment Text"\n1;"a; b"\n', ";", ["id", "Comment Text"]),
        ("id\ttext\n1\ta, b; c\n", "\t", ["id", "text"]),
        ("id,text\n1,a; b; c\n", ",", ["id", "text"]),
        ("text\na; b\n", ",", ["text"]),
        ('text,"a;b"\na;b;c,d\n', ",", ["text", "a;b"]),
        ("id;toxicity;insult\n1;0,5;0\n", ";", ["id", "toxicity", "insult"]),
        ('"id";"two\nlines";text\n1;2;3\n', ";", ["id", "two\nlines", "text"]),
    ],
)
def test_the_header_says_what_stands_between_fields(tmp_path, content, delimiter, names):
    found_delimiter, found_names, rows = header(tmp_path, content)
    assert (found_delimiter, found_names) == (delimiter, names)
    assert [problem for _, problem in rows] == [None]


def test_a_named_column_says_it_too(tmp_path):
    assert header(tmp_path, "said;a,b\nx;y\n", "said")[:2] == (";", ["said", "a,b"])


def test_the_delimiter_stays_in_the_output(tmp_path):
    source = write(tmp_path / "in.csv", '\ufeffid;Text\r\n1;"a;b"\r\n')
    screen_file(source, tmp_path / "out.csv", by_length)
    out = read(tmp_path / "out.csv").removeprefix("\ufeff")
    assert out.startswith("id;Text;toxicity;")
    (row,) = csv.DictReader(io.StringIO(out, newline=""), delimiter=";")
    assert (row["Text"], row["toxicity"]) == ("a;b", "0.003000")


def test_a_nul_byte_is_part_of_its_comment(tmp_path):
    """Python 3.10's csv module refuses it, in reading and in writing."""
    source = write(tmp_path / "in.csv", 'text,n\na,1\n"id\0i\not",2\n\0bad"row,3\nb,\0\n')
    judged = []
    summary = screen_file(
        source, tmp_path / "out.csv", lambda texts: judged.append(texts) or by_length(texts)
    )
    assert judged == [["a", "id\0i\not", '\0bad"row', "b"]]
    assert summary.errors == 0
    out = read(tmp_path / "out.csv")
    assert '"id\0i\not",2,0.007' in out
    assert "b,\0,0.001" in out
    if sys.version_info >= (3, 11):
        assert [row["n"] for row in read_csv(tmp_path / "out.csv")] == ["1", "2", "3", "\0"]


def test_a_header_of_millions_of_columns(tmp_path):
    """40 KB of gzip: refused for what it is, before a list of its columns exists."""
    path = tmp_path / "in.csv.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"text" + b"," * 20_000_000 + b"\n")
    with pytest.raises(UserError, match="line 1 is longer than 16 MB"):
        screen_file(path, tmp_path / "out.csv", by_length)
    write(tmp_path / "in.csv", "text" + "," * 5_000 + "\n")
    with pytest.raises(UserError, match="has 5,001 columns; at most 4,096"):
        screen_file(tmp_path / "in.csv", tmp_path / "out.csv", by_length)


def test_wide_files_come_in_smaller_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_CELLS", 4_000)
    source = write(tmp_path / "in.csv", "text" + ",c" * 999 + "\n" + "short\n" * 10)
    calls = []
    screen_file(source, tmp_path / "out.csv", by_length, progress=lambda rows, _: calls.append(rows))
    assert calls == [4, 8, 10]
