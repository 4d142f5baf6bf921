import gzip
import io
import zipfile

import pytest
from screened import write

from giantkiller.errors import UserError
from giantkiller.files import chunks
from giantkiller.files.source import Source


def zipped():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("in.csv", "text\na\n")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("text\nhi\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("text\nhi\n".encode("utf-16-le"), "is UTF-16; save it as UTF-8"),
        ("text\nhi\n".encode("utf-16-be"), "is UTF-16; save it as UTF-8"),
        ("text\nhi\n".encode("utf-32"), "is UTF-32; save it as UTF-8"),
        (zipped(), "zip archive or an Excel workbook"),
        (gzip.compress(b"text\n", mtime=0), "give it the ending .gz"),
        (b"PAR1....", "give it the ending .parquet"),
        (b'text,note\ra,1\r"b",2\r', "line ends of old Macs"),
    ],
)
def test_what_is_no_text_in_utf8(tmp_path, content, sentence):
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=sentence) as caught:
        Source(path)
    assert "quote" not in str(caught.value)


def test_a_comment_cannot_make_a_file_look_like_another(tmp_path):
    """Only the first bytes count, and the line ends of the first line: a comment comes after them."""
    content = b"text\n" + b"\0" * 600 + b"\ra\rb\r\nPK\x03\x04\n"
    source = Source(write(tmp_path / "in.csv", content))
    assert b"".join(source.lines()) == content


def test_long_lines_are_cut_and_the_next_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "MAX_ROW_BYTES", 10)
    source = Source(write(tmp_path / "in.csv", "0123456789\n" + "x" * 35 + "\nshort\n" + "y" * 10))
    found = [(line, source.too_long) for line in source.lines()]
    assert found == [
        (b"0123456789", True),  # eleven bytes with its end
        (b"x" * 10, True),
        (b"short\n", False),
        (b"y" * 10, False),
    ]


def test_a_stream_has_no_position_and_stays_open():
    stream = io.BytesIO(b"\xef\xbb\xbftext\n")
    source = Source(stream)
    assert list(source.lines()) == [b"text\n"]
    assert source.bom
    assert source.position() != source.position()
    source.close()
    assert not stream.closed
