import csv
import gzip
import io
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from screened import ADDED, by_length, leftovers, read, read_csv, write

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.files import chunks, screen_file


@pytest.fixture(autouse=True)
def chunk_rows(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 2_048)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 3)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "tsv.gz"])
def test_delimited_rows_come_out_in_order_with_their_columns(tmp_path, ending, small_chunks):
    tab = "\t" if "tsv" in ending else ","
    rows = [[str(i), "x" * i, f'a "quoted"\n{tab} one, {i}'] for i in range(1, 11)]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=tab).writerows([["id", "comment", "note"], *rows])
    source = write(tmp_path / f"in.{ending}", out.getvalue())
    target = tmp_path / f"out.{ending}"
    summary = screen_file(source, target, by_length, preview=2)
    found = read_csv(target, tab)
    assert list(found[0]) == ["id", "comment", "note", *ADDED]
    assert [[row["id"], row["comment"], row["note"]] for row in found] == rows
    assert [float(row["threat"]) for row in found] == pytest.approx([i / 1000 for i in range(1, 11)])
    assert {row["action"] for row in found} == {"allow"}
    assert {row["error"] for row in found} == {""}
    assert (summary.rows, summary.errors, summary.actions["allow"]) == (10, 0, 10)
    assert (summary.text_column, [row.text for row in summary.preview]) == ("comment", ["x", "xx"])
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "jsonl.gz"])
def test_json_objects_come_out_as_they_were_written(tmp_path, ending, small_chunks):
    lines = [
        '{"text": "abc", "n": 1.10, "big": 12345678901234567890123}',
        '{"n":[1],"text":"\\ud83d\\ude00"}',
        "{}",
    ]
    source = write(tmp_path / f"in.{ending}", "\n\n".join(lines) + "\n")
    target = tmp_path / f"out.{ending}"
    assert screen_file(source, target, by_length).errors == 1
    found = read(target).splitlines()
    assert [line.startswith(old[:-1]) for line, old in zip(found, lines, strict=True)] == [True] * 3
    first, second, third = (json.loads(line) for line in found)
    assert [first[name] for name in ADDED] == [0.003] * 7 + ["allow", None, None]
    assert second["toxicity"] == 0.001
    assert [third[name] for name in ADDED] == [None] * 9 + ["no text"]


def test_parquet_keeps_types_and_metadata(tmp_path):
    table = pa.table(
        {
            "text": pa.array(["abc", None, "  "], pa.large_string()),
            "when": pa.array([1, 2, None], pa.timestamp("ms")),
            "tags": pa.array([["a"], [], None], pa.list_(pa.string())),
            "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
        }
    ).replace_schema_metadata({"made": "by hand"})
    pq.write_table(table, tmp_path / "in.parquet")
    summary = screen_file(tmp_path / "in.parquet", tmp_path / "out.parquet", by_length)
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(table.column_names).equals(table)
    assert found.schema.metadata[b"made"] == b"by hand"
    assert found.column_names[4:] == ADDED
    assert found.schema.field("insult").type == pa.float32()
    assert found.column("insult").to_pylist() == [pytest.approx(0.003), None, None]
    assert found.column("error").to_pylist() == [None, "no text", "no text"]
    assert summary.actions == {"allow": 1, "monitor": 0, "review": 0, "remove": 0}
    assert leftovers(tmp_path) == []


def test_parquet_with_dictionary_text_and_no_rows(tmp_path):
    text = pa.array(["ab", "ab", "c"]).dictionary_encode()
    pq.write_table(pa.table({"body": text}), tmp_path / "in.parquet")
    assert screen_file(tmp_path / "in.parquet", tmp_path / "out.parquet", by_length).rows == 3
    pq.write_table(pa.table({"body": text[:0]}), tmp_path / "none.parquet")
    assert screen_file(tmp_path / "none.parquet", tmp_path / "out.parquet", by_length).rows == 0
    assert pq.read_table(tmp_path / "out.parquet").column_names == ["body", *ADDED]


def test_parquet_text_that_is_not_utf8(tmp_path):
    text = pa.array([b"fine", b"caf\xe9", None], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": text}), tmp_path / "in.parquet")
    screen_file(tmp_path / "in.parquet", tmp_path / "out.parquet", by_length)
    found = pq.read_table(tmp_path / "out.parquet", columns=["action", "error"])
    assert found.column("error").to_pylist() == [None, "not UTF-8", "no text"]


def test_header_only_gives_header_only(tmp_path):
    source = write(tmp_path / "in.csv", "\n\ntext\n\n")
    assert screen_file(source, tmp_path / "out.csv", by_length).rows == 0
    assert read(tmp_path / "out.csv") == ",".join(["text", *ADDED]) + "\n"


def test_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    source = write(tmp_path / "in.csv", b"\xef\xbb\xbf" + b"text\nhello\n")
    screen_file(source, tmp_path / "out.csv", by_length)
    assert (tmp_path / "out.csv").read_bytes().startswith(b"\xef\xbb\xbftext,")
    source = write(tmp_path / "in.jsonl", b"\xef\xbb\xbf" + b'{"text": "hello"}\n')
    assert screen_file(source, tmp_path / "out.jsonl", by_length).errors == 0


def test_line_ends_stay_as_they_were(tmp_path):
    source = write(tmp_path / "in.csv", b'text\r\nhello\r\n"two\nlines"\r\n"stray\rreturn"\r\n')
    screen_file(source, tmp_path / "out.csv", by_length)
    data = (tmp_path / "out.csv").read_bytes()
    assert data.count(b"\r\n") == 4
    assert data.count(b"\n") == 5
    assert [row["text"] for row in read_csv(tmp_path / "out.csv")] == ["hello", "two\nlines", "stray\rreturn"]


def test_text_column_is_found_or_named(tmp_path):
    source = write(tmp_path / "in.csv", "content,text,said\na,bb,ccc\n")
    screen_file(source, tmp_path / "out.csv", by_length)
    assert read_csv(tmp_path / "out.csv")[0]["toxicity"] == "0.002000"
    summary = screen_file(source, tmp_path / "out.csv", by_length, text_column="said")
    assert read_csv(tmp_path / "out.csv")[0]["toxicity"] == "0.003000"
    assert summary.text_column == "said"


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_columns_of_the_same_name_are_not_overwritten(tmp_path, ending):
    source, target = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"text": ["a"], "toxicity": [0.5]}), source)
    else:
        write(source, "text,toxicity\na,0.5\n" if ending == "csv" else '{"text": "a", "toxicity": 0.5}\n')
    with pytest.raises(UserError, match=r"already has a column 'toxicity'.*`prefix`"):
        screen_file(source, target, by_length)
    screen_file(source, target, by_length, prefix="new_")
    if ending == "jsonl":
        assert json.loads(read(target)) == {
            "text": "a",
            "toxicity": 0.5,
            **{f"new_{name}": 0.001 for name in ATTRIBUTES},
            "new_action": "allow",
            "new_attribute": None,
            "new_error": None,
        }
        screen_file(source, target, by_length, prefix='100% "new" ')
        assert json.loads(read(target))['100% "new" insult'] == 0.001
    if ending == "csv":
        row = read_csv(target)[0]
        assert (row["toxicity"], row["new_toxicity"]) == ("0.5", "0.001000")


# One bad row: it comes out with its reason, the rest is screened.
BAD_ROWS = [
    ("null.csv", "text,n\na,1\n,2\n  ,3\n", ["", "no text", "no text"], ["a", "", "  "]),
    (
        "wide.csv",
        "text,n\na,1\nb,c,d\ne,2\n",
        ["", "3 fields where the header has 2", ""],
        ["a", "b,c,d", "e"],
    ),
    ("short.csv", "text,n\na,1\nb\ne,2\n", ["", "1 fields where the header has 2", ""], ["a", "b", "e"]),
    ("quote.csv", 'text,n\na,1\n"b"c,2\ne,2\n', ["", "broken quoting", ""], ["a", '"b"c,2', "e"]),
    ("latin.csv", b"text,n\na,1\ncaf\xe9,2\ne,2\n", ["", "not UTF-8", ""], ["a", "caf\ufffd", "e"]),
    ("latin.tsv", b"n\ttext\n\xe9\ta\n2\te\n", ["not UTF-8", ""], ["a", "e"]),
    (
        "cut.jsonl",
        '{"text": "a"}\n{"text": \n{"text": "e"}',
        [None, "not JSON", None],
        ["a", '{"text":', "e"],
    ),
    (
        "latin.jsonl",
        b'{"text": "a"}\n{"text": "\xe9"}\n',
        [None, "not UTF-8"],
        ["a", '{"text": "\ufffd"}'],
    ),
    ("list.jsonl", '{"text": "a"}\n["b"]\n', [None, "JSON, but not an object"], ["a", '["b"]']),
    ("deep.jsonl", '{"text": "a"}\n' + "[" * 100_000, [None, "not JSON"], ["a", "[" * 100_000]),
    (
        "kinds.jsonl",
        '{"text": null}\n{"text": 7}\n{"text": true}\n{"text": ["a"]}\n{"other": 1}\n{"text": "a"}\n',
        ["no text", "a number, not text", "true or false, not text", "a list, not text", "no text", None],
        [None, 7, True, ["a"], None, "a"],
    ),
]


@pytest.mark.parametrize(("name", "content", "errors", "texts"), BAD_ROWS, ids=[case[0] for case in BAD_ROWS])
def test_one_bad_row_does_not_stop_the_rest(tmp_path, name, content, errors, texts):
    source = write(tmp_path / name, content)
    target = tmp_path / f"out.{name}"
    summary = screen_file(source, target, by_length)
    if name.endswith("jsonl"):
        found = [json.loads(line) for line in read(target).splitlines()]
    else:
        found = read_csv(target, "\t" if name.endswith("tsv") else ",")
    assert [row["error"] for row in found] == errors
    assert [row.get("text") for row in found] == texts
    for row in found:
        screened = not row["error"]
        assert bool(row["action"]) == screened
        assert (row["toxicity"] not in (None, "")) == screened
    assert summary.errors == sum(bool(error) for error in errors)


def test_a_comment_of_megabytes_and_a_million_blank_lines(tmp_path):
    long = "x" * 3_000_000
    source = write(tmp_path / "in.csv", "text\n" + "\n" * 1_000_000 + long + "\nshort\n")
    summary = screen_file(source, tmp_path / "out.csv", by_length)
    assert (summary.rows, summary.actions["remove"], summary.actions["allow"]) == (2, 1, 1)
    source = write(tmp_path / "in.jsonl", "\n" * 1_000_000 + json.dumps({"text": long}) + "\n")
    assert screen_file(source, tmp_path / "out.jsonl", by_length).actions["remove"] == 1


# What can't be mended row by row: one sentence, and nothing under the target's name.
BAD_FILES = [
    ("empty.csv", "", "is empty"),
    ("empty.csv.gz", "", "only blank lines"),
    ("blank.csv", "\n" * 200_000, "has no header, only blank lines"),
    ("blank.jsonl", "\n" * 200_000, "has no rows, only blank lines"),
    ("other.csv", "a,b\n1,2\n", "none of its columns"),
    ("other.jsonl", '{"a": 1}\n', "none of its columns"),
    ("array.jsonl", '[{"text": "a"}]\n', "no JSON objects"),
    ("twice.csv", "text,text\na,b\n", "two columns called 'text'"),
    ("open.csv", 'text,n\na,1\n"b,2\nc,3\n' + "d,4\n" * 100, "a quote is opened in the row of line 3"),
    ("head.csv", 'te"xt,"n\n', "quote is opened"),
    ("head.tsv", b"t\xe9xt\ttext\na\tb\n", "header can't be read: not UTF-8"),
    ("wide.csv", "text\na\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
    ("fake.parquet", "PAR1 or not", "damaged or not Parquet"),
    ("what.txt", "text\na\n", "its ending is not known"),
    ("what.parquet.gz", "text\na\n", "leave out the .gz"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), BAD_FILES, ids=[case[0] for case in BAD_FILES])
def test_bad_files_are_refused_in_one_sentence(tmp_path, name, content, sentence):
    source = write(tmp_path / name, content)
    target = tmp_path / "to" / f"out.{name}"
    with pytest.raises(UserError, match=sentence) as caught:
        screen_file(source, target, by_length)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    assert not target.exists()
    assert not target.parent.exists() or leftovers(target.parent) == []


@pytest.mark.parametrize("cut", [5, -12])
def test_damaged_gzip(tmp_path, cut):
    source = tmp_path / "in.csv.gz"
    source.write_bytes(gzip.compress(("text\n" + "a,b\n" * 9999).encode())[:cut])
    with pytest.raises(UserError, match="damaged, cut short"):
        screen_file(source, tmp_path / "out.csv", by_length)
    source.write_bytes(b"text\na\n")
    with pytest.raises(UserError, match="damaged, cut short"):
        screen_file(source, tmp_path / "out.csv", by_length)
    assert leftovers(tmp_path) == []


def test_parquet_cut_in_its_middle(tmp_path):
    rng = np.random.default_rng(0)
    texts = [rng.bytes(400).hex() for _ in range(9_000)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "in.parquet", row_group_size=3_000)
    data = bytearray((tmp_path / "in.parquet").read_bytes())
    middle = len(data) // 2
    data[middle - 200_000 : middle + 200_000] = bytes(400_000)
    (tmp_path / "in.parquet").write_bytes(data)
    with pytest.raises(UserError, match="damaged or not Parquet"):
        screen_file(tmp_path / "in.parquet", tmp_path / "out.parquet", by_length)
    assert not (tmp_path / "out.parquet").exists()
    assert leftovers(tmp_path) == []


def test_numeric_text_column_in_parquet(tmp_path):
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "in.parquet")
    with pytest.raises(UserError, match="holds int64 values, not text"):
        screen_file(tmp_path / "in.parquet", tmp_path / "out.parquet", by_length)


def test_a_quote_that_swallows_too_much_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "MAX_ROW_BYTES", 10_000)
    source = write(tmp_path / "in.csv", 'text,n\na,1\n"b,2\n' + "c,3\n" * 10_000)
    with pytest.raises(UserError, match="a quote that opens in line 3 seems never to be closed"):
        screen_file(source, tmp_path / "out.csv", by_length)


def test_a_line_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "MAX_ROW_BYTES", 1 << 20)
    source = write(tmp_path / "in.jsonl", '{"text": "a"}\n' + "x" * (2 << 20) + '\n{"text": "b"}\n')
    assert screen_file(source, tmp_path / "out.jsonl", by_length).errors == 1
    rows = [json.loads(line) for line in read(tmp_path / "out.jsonl").splitlines()]
    assert [row["error"] for row in rows] == [None, "longer than 1 MB", None]
    assert rows[1]["text"] == "x" * (1 << 20)
    source = write(tmp_path / "in.csv", "text\na\n" + "x" * (2 << 20))
    with pytest.raises(UserError, match="line 3 is longer than 1 MB"):
        screen_file(source, tmp_path / "out.csv", by_length)


def test_paths_that_cannot_be(tmp_path):
    source = write(tmp_path / "in.csv", "text\na\n")
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    hard, soft = tmp_path / "hard.csv", tmp_path / "soft.csv"
    hard.hardlink_to(source)
    soft.symlink_to(source)
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    for given_source, given_target, sentence in [
        (tmp_path / "nowhere.csv", tmp_path / "out.csv", "there is no such file"),
        (folder, tmp_path / "out.csv", "is a folder"),
        (source, folder, "is a folder"),
        (source, source, "is the input itself"),
        (source, hard, "is the input itself"),
        (source, soft, "is the input itself"),
        (source, f"{tmp_path}/nofolder/../in.csv", "is the input itself"),
        (source, tmp_path / "." / "in.csv", "is the input itself"),
        (source, Path("/dev/null"), "its ending is not known"),
        (source, tmp_path / "out.jsonl", "the output is CSV as the input is"),
        (source, source / "out.csv", "can't write"),
        (source, Path("/proc/out.csv"), "can't be written"),
        (source, loop, "can't write"),
        (loop, tmp_path / "out.csv", "there is no such file"),
        (source, tmp_path / ("x" * 300 + ".csv"), "can't (be|write)"),
        (source, Path(f"{tmp_path}/a\0b.csv"), "is no name for a file"),
        (Path(f"{tmp_path}/a\0b.csv"), source, "can't be read|no such file"),
    ]:
        with pytest.raises(UserError, match=sentence):
            screen_file(given_source, given_target, by_length)
    assert read(source) == "text\na\n"
    assert leftovers(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_write_protected_target(tmp_path):
    source = write(tmp_path / "in.csv", "text\na\n")
    (tmp_path / "out.csv").touch(mode=0o400)
    with pytest.raises(UserError, match="write-protected"):
        screen_file(source, tmp_path / "out.csv", by_length)


def test_target_through_a_symlink_and_over_an_old_file(tmp_path):
    source = write(tmp_path / "in.csv", "text\na\n")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "old.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real" / "old.csv")
    screen_file(source, tmp_path / "link.csv", by_length)
    assert (tmp_path / "link.csv").is_symlink()
    assert len(read_csv(tmp_path / "real" / "old.csv")) == 1


def test_an_old_output_keeps_its_mode_and_hides_the_rows_meanwhile(tmp_path):
    source, target = make(tmp_path / "in.csv", 5_000), tmp_path / "out.csv"
    target.touch(mode=0o600)
    target.chmod(0o600)
    seen = []

    def judge(texts):
        seen.append((tmp_path / ".out.csv.partial").stat().st_mode & 0o777)
        return by_length(texts)

    screen_file(source, target, judge)
    assert set(seen) == {0o600}
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_device_or_a_pipe_is_no_target(tmp_path):
    source = write(tmp_path / "in.csv", "text\na\n")
    os.mkfifo(tmp_path / "pipe.csv")
    for target in ("/dev/null", tmp_path / "pipe.csv"):
        with pytest.raises(UserError, match="is a device or a pipe, not a file"):
            screen_file(source, target, by_length, file_format="csv")
    assert (tmp_path / "pipe.csv").is_fifo()


def test_the_partial_file_is_no_input_of_its_own_run(tmp_path):
    partial = write(tmp_path / ".out.csv.partial", "text\na\n")
    with pytest.raises(UserError, match="is the input itself"):
        screen_file(partial, tmp_path / "out.csv", by_length, file_format="csv")
    assert read(partial) == "text\na\n"


def test_a_prefix_that_no_file_can_hold(tmp_path):
    source = write(tmp_path / "in.csv", "text\na\n")
    with pytest.raises(UserError, match="`prefix`"):
        screen_file(source, tmp_path / "out.csv", by_length, prefix="\udcff\udcfe")
    assert leftovers(tmp_path) == []


def test_streams(tmp_path):
    out = io.BytesIO()
    summary = screen_file(io.BytesIO(b"text\nabc\n"), out, by_length, file_format="csv")
    assert out.getvalue().decode().splitlines()[1].startswith("abc,0.003000,")
    assert (summary.rows, summary.input, summary.output) == (1, "-", "-")
    screen_file(io.BytesIO(b'{"text": "abc"}'), tmp_path / "out.jsonl.gz", by_length)
    assert json.loads(read(tmp_path / "out.jsonl.gz"))["insult"] == 0.003
    out = io.BytesIO()
    screen_file(write(tmp_path / "in.csv.gz", "text\nabc\n"), out, by_length)
    assert b"abc,0.003000" in out.getvalue()
    for options, sentence in [
        ({}, "`file_format`"),
        ({"file_format": "parquet"}, "Parquet can't be"),
        ({"file_format": "xlsx"}, "none of csv, tsv, jsonl, parquet"),
        ({"file_format": "csv", "resume": True}, "leave out `resume`"),
    ]:
        with pytest.raises(UserError, match=sentence):
            screen_file(io.BytesIO(b"text\na\n"), io.BytesIO(), by_length, **options)


class Stop(Exception):
    pass


def stopping(after):
    calls = []

    def screen(texts):
        calls.append(len(texts))
        if len(calls) > after:
            raise Stop
        return by_length(texts)

    return screen, calls


def make(path, rows):
    texts = ["y" * (row * 37 % 600) for row in range(rows)]
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"text": texts}), path)
    elif ".csv" in path.name:
        write(path, "text,n\n" + "".join(f"{text},{n}\n" for n, text in enumerate(texts)))
    else:
        write(path, "".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl", "parquet"])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_an_interrupted_run_goes_on_to_the_same_output(tmp_path, ending, after):
    source = make(tmp_path / f"in.{ending}", 5_000)
    target, whole = tmp_path / f"out.{ending}", tmp_path / f"whole.{ending}"
    expected = screen_file(source, whole, by_length)
    with pytest.raises(Stop):
        screen_file(source, target, stopping(after)[0])
    assert not target.exists()
    screen, calls = stopping(99)
    summary = screen_file(source, target, screen, resume=True)
    assert summary.resumed == 2_048 * after
    assert sum(calls) <= 5_000 - summary.resumed
    assert (summary.rows, summary.errors, summary.actions) == (5_000, expected.errors, expected.actions)
    assert target.read_bytes() == whole.read_bytes()
    assert leftovers(tmp_path) == []


def test_without_resume_an_interrupted_run_starts_anew(tmp_path):
    source = make(tmp_path / "in.csv", 5_000)
    with pytest.raises(Stop):
        screen_file(source, tmp_path / "out.csv", stopping(1)[0])
    assert screen_file(source, tmp_path / "out.csv", by_length).resumed == 0
    assert leftovers(tmp_path) == []


def test_only_the_same_run_is_resumed(tmp_path):
    source = make(tmp_path / "in.csv", 5_000)
    target = tmp_path / "out.csv"
    with pytest.raises(Stop):
        screen_file(source, target, stopping(1)[0], model="one")
    with pytest.raises(UserError, match="another model"):
        screen_file(source, target, by_length, model="two", resume=True)
    with pytest.raises(UserError, match="another policy"):
        screen_file(source, target, by_length, model="one", policy={"insult": {}}, resume=True)
    with pytest.raises(UserError, match="another output"):
        screen_file(source, target, by_length, model="one", prefix="p_", resume=True)
    record = tmp_path / ".out.csv.progress"
    good = record.read_text()
    for bad in (
        "",
        "{}",
        "[]",
        "null",
        good.replace('"bytes": ', '"bytes": 9'),
        '{"settings": 3, "bytes": 1}',
    ):
        record.write_text(bad)
        with pytest.raises(UserError, match="is damaged"):
            screen_file(source, target, by_length, model="one", resume=True)
    record.write_text(good)
    make(source, 6_000)
    with pytest.raises(UserError, match="another input"):
        screen_file(source, target, by_length, model="one", resume=True)


PROGRAM = """
import sys, time, numpy as np
from giantkiller.errors import UserError
from giantkiller.files import Verdicts, chunks, screen_file

chunks.CHUNK_ROWS = 2_048

def screen(texts):
    print("chunk", flush=True)
    time.sleep(float(sys.argv[3]))
    return Verdicts(np.zeros((len(texts), 7), np.float32), ["allow"] * len(texts), [None] * len(texts))

try:
    screen_file(sys.argv[1], sys.argv[2], screen)
except UserError as error:
    print(error)
    sys.exit(1)
"""


def start(*arguments, **options):
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **options)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_leaves_nothing_under_the_target_and_resumes(tmp_path, how):
    source, target = make(tmp_path / "in.csv", 9_000), tmp_path / "out.csv"
    process = start(source, target, 0.2)
    for _ in range(3):
        process.stdout.readline()
    process.send_signal(how)
    process.wait(20)
    process.stdout.close()
    assert not target.exists()
    summary = screen_file(source, target, by_length, resume=True)
    assert summary.resumed >= 4_096
    assert [int(row["n"]) for row in read_csv(target)] == list(range(9_000))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_target_that_fills_up(tmp_path, ending):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, 900_000))

    source = make(tmp_path / f"in.{ending}", 9_000)
    process = start(source, tmp_path / f"out.{ending}", 0, preexec_fn=limit)
    said = process.communicate(timeout=30)[0].splitlines()[-1]
    assert process.returncode == 1
    assert "can't be written: File too large; the rows done so far are kept" in said
    assert not (tmp_path / f"out.{ending}").exists()
    assert screen_file(source, tmp_path / f"out.{ending}", by_length, resume=True).resumed > 0


@pytest.mark.parametrize("resume", [False, True])
def test_two_runs_do_not_mix_their_rows(tmp_path, resume):
    source, target = make(tmp_path / "in.csv", 9_000), tmp_path / "out.csv"
    process = start(source, target, 0.2)
    process.stdout.readline()
    with pytest.raises(UserError, match=f"is being written by process {process.pid} on"):
        screen_file(source, target, by_length, resume=resume)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert [int(row["n"]) for row in read_csv(target)] == list(range(9_000))
    assert leftovers(tmp_path) == []


def test_progress_goes_from_nothing_to_all(tmp_path):
    for ending in ("csv", "csv.gz", "jsonl", "parquet"):
        source = make(tmp_path / f"in.{ending}", 5_000)
        seen = []
        screen_file(
            source, tmp_path / f"out.{ending}", by_length, progress=lambda *now, s=seen: s.append(now)
        )
        assert [rows for rows, _ in seen] == [2_048, 4_096, 5_000]
        shares = [share for _, share in seen]
        assert shares == sorted(shares)
        assert 0 < shares[0] <= shares[-1] == 1


UNREADABLE = b"\0" if sys.version_info < (3, 11) else b""  # what the csv module of these tests can't read
CELLS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r" + UNREADABLE.decode()), max_size=20
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=8))
def test_any_well_formed_csv_comes_through(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("csv")
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["text", "note"], *rows])
    screen_file(write(folder / "in.csv", out.getvalue()), folder / "out.csv", by_length)
    found = read_csv(folder / "out.csv")
    assert [[row["text"], row["note"]] for row in found] == rows
    assert [row["error"] for row in found] == ["" if text.strip() else "no text" for text, _ in rows]


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), ending=st.sampled_from(["csv", "tsv", "jsonl"]))
def test_any_bytes_give_a_valid_file_or_one_sentence(tmp_path_factory, data, ending):
    folder = tmp_path_factory.mktemp("any")
    head = b'{"text": "a"}\n' if ending == "jsonl" else b"text\n"
    source = write(folder / f"in.{ending}", head + (data.replace(UNREADABLE, b"") if UNREADABLE else data))
    target = folder / f"out.{ending}"
    try:
        summary = screen_file(source, target, by_length)
    except UserError:
        assert not target.exists()
        return
    if ending == "jsonl":
        assert len([json.loads(line) for line in read(target).split("\n")[:-1]]) == summary.rows
    else:
        assert len(read_csv(target, "\t" if ending == "tsv" else ",")) == summary.rows
