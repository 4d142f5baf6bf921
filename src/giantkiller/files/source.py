"""Reading bytes, line by line, from a file or a stream; and knowing what is no text at all."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from giantkiller.errors import UserError
from giantkiller.files import chunks

_BOM = b"\xef\xbb\xbf"
_PEEKED = 1 << 16  # bytes; enough to see where the first line ends

# What a file begins with, what it is then, and what to do about it.
_OTHER_KINDS = (
    (b"PK\x03\x04", "is a zip archive or an Excel workbook; unzip it, or save the sheet as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel or Word file; save the sheet as CSV in UTF-8"),
    (b"\x1f\x8b", "is compressed with gzip; give it the ending .gz, or unzip it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd; unpack it first"),
    (b"BZh", "is compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "is compressed with xz; unpack it first"),
    (b"7z\xbc\xaf", "is a 7-Zip archive; unpack it first"),
    (b"PAR1", "is Parquet; give it the ending .parquet"),
    (b"%PDF-", "is a PDF; only tables of comments can be read"),
    (b"\xff\xfe\0\0", "is UTF-32; save it as UTF-8"),
    (b"\0\0\xfe\xff", "is UTF-32; save it as UTF-8"),
    (b"\xff\xfe", "is UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16; save it as UTF-8"),
)


class Source:
    """Bytes read line by line, unzipped on the way.

    Args:
        origin: A file, or a binary stream.
        gzipped: Whether the bytes are compressed with gzip.

    Attributes:
        name: What messages call it.
        bom: Whether it begins with a byte order mark, which is no part of the first line.
        line: The number of the line that was read last, from 1.
        too_long: Whether that line was longer than MAX_ROW_BYTES; what is beyond them is dropped.

    Raises:
        UserError: It can't be read, or is no text in UTF-8.
    """

    def __init__(self, origin: Path | IO[bytes], gzipped: bool = False) -> None:
        self.name = str(origin) if isinstance(origin, Path) else "the input"
        self.line = 0
        self.bom = False
        self.too_long = False
        self._size = 0
        self._owned = isinstance(origin, Path)
        with reading(self.name):
            if isinstance(origin, Path):
                self._size = origin.stat().st_size if origin.is_file() else 0
                self._file: IO[bytes] = origin.open("rb", buffering=_PEEKED)
            else:
                self._file = origin
        try:
            with reading(self.name):
                plain = (
                    self._file if hasattr(self._file, "peek") else io.BufferedReader(cast(Any, self._file))
                )
                unzipped = gzip.GzipFile(fileobj=plain) if gzipped else plain
                self._bytes = cast(io.BufferedReader, unzipped)
                self._check()
        except UserError:
            self.close()
            raise

    def _check(self) -> None:
        """Refuse what is no text in UTF-8 by its first bytes, which no comment's author writes."""
        head = self._bytes.peek(_PEEKED)
        for magic, sentence in _OTHER_KINDS:
            if head.startswith(magic):
                raise UserError(f"{self.name} {sentence}")
        if len(head) >= 4 and (head[0:4:2] == b"\0\0" or head[1:4:2] == b"\0\0"):
            raise UserError(f"{self.name} is UTF-16; save it as UTF-8")
        if b"\n" not in head and b"\r" in head[:-1]:
            raise UserError(
                f"{self.name} has the line ends of old Macs (\\r alone); save it with those of today (\\n)"
            )

    def lines(self) -> Iterator[bytes]:
        """Read line by line, the line ends included."""
        limit = chunks.MAX_ROW_BYTES
        with reading(self.name):
            while line := self._bytes.readline(limit + 1):
                self.line += 1
                self.too_long = len(line) > limit
                if self.too_long:
                    line, rest = line[:limit], line
                    while rest and not rest.endswith(b"\n"):
                        rest = self._bytes.readline(limit)
                if self.line == 1 and line.startswith(_BOM):
                    self.bom = True
                    line = line[len(_BOM) :]
                yield line

    def position(self) -> float:
        """Return how much of the file on disk has been read, from 0 to 1; NaN for a stream."""
        return min(self._file.tell() / self._size, 1.0) if self._size else float("nan")

    def close(self) -> None:
        """Close the file; a stream is left open."""
        if self._owned:
            self._file.close()


@contextmanager
def reading(name: object) -> Iterator[None]:
    """Turn what goes wrong in reading a file into one sentence.

    Args:
        name: The file, for the message.

    Raises:
        UserError: In the place of an error of the system or of gzip.
    """
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise UserError(f"{name} is damaged, cut short or not gzip at all") from error
    except OSError as error:
        raise UserError(f"{name} can't be read: {error.strerror or error}") from error
