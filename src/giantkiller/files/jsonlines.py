"""JSON Lines: one object a line."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from giantkiller.errors import UserError
from giantkiller.files import chunks
from giantkiller.files.chunks import Chunk, Results, text_problem
from giantkiller.files.columns import MAX_COLUMNS, check_collision, choose_text_column, is_text_name
from giantkiller.files.source import Source


@dataclass
class Line:
    """A line of a JSON Lines file.

    Attributes:
        number: Its number, from 1.
        written: As it is in the file, without white space around it.
        values: The object; None if it is none.
        problem: Why it is none, or None.
    """

    number: int
    written: str
    values: dict[str, Any] | None
    problem: str | None


def read_lines(source: Source) -> Iterator[Line]:
    """Read the lines of a JSON Lines file in UTF-8; blank ones are left out."""
    for line in source.lines():
        if not line.strip():
            continue
        values, problem = None, None
        written = line.decode(errors="replace").strip()
        try:
            if source.too_long:
                problem = f"longer than {chunks.MAX_ROW_BYTES >> 20} MB"
            else:
                line.decode()
                values = json.loads(written)
        except UnicodeDecodeError:
            problem = "not UTF-8"
        except (ValueError, RecursionError):
            problem = "not JSON"
        else:
            if problem is None and not isinstance(values, dict):
                values, problem = None, "JSON, but not an object"
            elif values is not None and len(values) > MAX_COLUMNS:
                values, problem = None, f"more than {MAX_COLUMNS:,} keys"
        yield Line(source.line, written, values, problem)


class JsonLinesTable:
    """A file with one JSON object a line whose comments are screened.

    Objects come out letter by letter as they were, with the results added at their end. A line that is no
    object, or that has a key of a name to be added, comes out as an object that has the line under the text
    column's name. The first chunk decides about the columns: the first object need not have them all.

    Args:
        source: The file.
        text_column: Where the comments are; looked for if None.
        added: The columns that encoding adds.

    Raises:
        UserError: The file has no objects, or not the columns that are needed.
    """

    def __init__(self, source: Source, text_column: str | None, added: Sequence[str]) -> None:
        self._source = source
        self._added = added
        self._taken = frozenset(added)
        self._lines = read_lines(source)
        self._first: list[Line] = []
        keys: Counter[str] = Counter()
        texts: Counter[str] = Counter()
        for line in self._some():
            for key, value in (line.values or {}).items():
                keys[key] += 1
                texts[key] += is_text_name(key) and text_problem(value) is None
            line.values = self._needed(line.values, text_column)
            self._first.append(line)
        if not self._first:
            raise UserError(f"{source.name} has no rows, only blank lines")
        if not keys:
            raise UserError(
                f"{source.name} has no JSON objects: its first line is {self._first[0].problem or 'empty'}"
            )
        self.text_column = choose_text_column(source.name, list(keys), text_column, texts)
        # A key that most rows have is a column; in a few rows it is those rows' own trouble.
        objects = sum(line.values is not None for line in self._first)
        check_collision(source.name, [key for key, count in keys.items() if 2 * count > objects], added)

    def _needed(self, values: dict[str, Any] | None, text_column: str | None) -> dict[str, Any] | None:
        """Keep the keys that may matter, and of values that are no text their kind."""
        if values is None:
            return None
        return {
            key: type(value)() if isinstance(value, list | dict) else value
            for key, value in values.items()
            if key == text_column or key in self._taken or is_text_name(key)
        }

    def _some(self) -> Iterator[Line]:
        """Read the lines of one chunk."""
        size = rows = 0
        while rows < chunks.CHUNK_ROWS and size < chunks.CHUNK_BYTES:
            line = next(self._lines, None)
            if line is None:
                return
            size += len(line.written)
            rows += 1
            yield line

    def chunks(self) -> Iterator[Chunk]:
        """Read the file, a chunk at a time."""
        some: Iterator[Line] = iter(self._first)
        self._first = []
        while (chunk := self._chunk(some)).texts:
            yield chunk
            some = self._some()

    def _chunk(self, lines: Iterator[Line]) -> Chunk:
        """Keep of the objects what is needed: parsed, they take many times the room of their lines."""
        chunk = Chunk(rows=[], texts=[], problems=[])
        for line in lines:
            problem = line.problem
            if line.values is not None and not self._taken.isdisjoint(line.values):
                name = next(name for name in self._added if name in line.values)
                problem = f"has a key {name!r} of its own; choose another prefix for the new ones"
            text = None if line.values is None else line.values.get(self.text_column)
            is_object = line.values is not None and (problem is None)
            if problem is None and not isinstance(text, str):
                problem, text = text_problem(text), None
            chunk.rows.append((is_object, line.written))
            chunk.texts.append(text)
            chunk.problems.append(problem)
        return chunk

    def position(self) -> float:
        """Return how much of the file has been read, from 0 to 1."""
        return self._source.position()

    def head(self) -> bytes:
        """Nothing comes before the first row."""
        return b""

    def encode(self, chunk: Chunk, results: Results) -> bytes:
        """Encode the rows of a chunk with their results; scores with six decimals."""
        # Templates for all rows: json.dumps for each would cost as much as reading the file.
        names = [json.dumps(name, ensure_ascii=False).replace("%", "%%") for name in self._added]
        scored = ", ".join(
            [
                *(f"{name}: %.6f" for name in names[:-3]),
                *(f"{name}: %s" for name in names[-3:-1]),
                f"{names[-1]}: null",
            ]
        )
        failed = ", ".join([*(f"{name}: null" for name in names[:-1]), f"{names[-1]}: %s"])
        lines = []
        added = zip(chunk.rows, results.rows(), strict=True)
        for (is_object, written), (scores, action, attribute, error) in added:
            if error is None:
                extra = scored % (*scores, json.dumps(action), json.dumps(attribute))
            else:
                extra = failed % json.dumps(error)
            if not is_object:
                written = json.dumps({self.text_column: written}, ensure_ascii=False)
            # Spliced, not written anew: numbers and escapes stay as they were.
            body = written[:-1].rstrip()
            lines.append(f"{body}{'' if body == '{' else ', '}{extra}}}\n")
        return "".join(lines).encode()

    def finish(self, partial: Path, finished: Path) -> bool:
        """Concatenated chunks are a file already."""
        return False

    def close(self) -> None:
        """Close the file."""
        self._source.close()
