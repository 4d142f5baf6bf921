"""JSON Lines: one object a line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from giantkiller.errors import UserError
from giantkiller.files.formats import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    Chunk,
    Results,
    Source,
    added_columns,
    check_collision,
    choose_text_column,
)


class JsonLinesTable:
    """A file with one JSON object a line, in UTF-8.

    Objects come out letter by letter as they were, with the results added at their end. A line that is no
    object comes out as one that has the line under the text column's name. Blank lines are no rows.
    """

    def __init__(self, path: Path, text_column: str | None, prefix: str) -> None:
        self._path = path
        self._prefix = prefix
        self._added = added_columns(prefix)
        self._source = Source(path)
        self._lines = self._read()
        # The columns are those of the first chunk: the first object need not have them all.
        self._first = next(self._lines, None)
        if self._first is None:
            raise UserError(f"{path} has no rows, only blank lines")
        names = list({name: None for found, _ in self._first for name in (found or {})})
        if not names:
            problem = next((problem for _, (_, problem) in self._first if problem), "empty")
            raise UserError(f"{path} has no JSON objects: its first line is {problem}")
        self.text_column = choose_text_column(path, names, text_column)

    def _read(self) -> Iterator[list[tuple[dict[str, Any] | None, tuple[str, str | None]]]]:
        """Rows in chunks: the object, or None; the line as it was written; and what is wrong with it."""
        rows: list[tuple[dict[str, Any] | None, tuple[str, str | None]]] = []
        size = 0
        for line in self._source.lines():
            if self._source.line == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            rows.append(self._row(line))
            size += len(line)
            if len(rows) >= CHUNK_ROWS or size >= CHUNK_BYTES:
                yield rows
                rows, size = [], 0
        if rows:
            yield rows

    def _row(self, line: bytes) -> tuple[dict[str, Any] | None, tuple[str, str | None]]:
        written = line.decode(errors="replace").strip()
        try:
            line.decode()
            found = json.loads(written)
        except UnicodeDecodeError:
            return None, (written, "not UTF-8")
        except (ValueError, RecursionError):
            return None, (written, "not JSON")
        if not isinstance(found, dict):
            return None, (written, "JSON, but not an object")
        check_collision(self._path, list(found), self._prefix)
        return found, (written, None)

    def chunks(self) -> Iterator[Chunk]:
        """Read the file, a chunk at a time."""
        rows, self._first = self._first, None
        while rows is not None:
            yield Chunk(
                rows=[(found is not None, written) for found, (written, _) in rows],
                texts=[None if found is None else found.get(self.text_column) for found, _ in rows],
                problems=[problem for _, (_, problem) in rows],
            )
            rows = next(self._lines, None)

    def position(self) -> float:
        """Tell how much of the file has been read, from 0 to 1."""
        return self._source.position()

    def head(self) -> bytes:
        """Nothing comes before the first row."""
        return b""

    def encode(self, chunk: Chunk, results: Results) -> bytes:
        """Encode the rows of a chunk with their results; scores with six decimals."""
        # Templates for all rows: json.dumps for each would cost as much as reading the file.
        names = [json.dumps(name, ensure_ascii=False).replace("%", "%%") for name in self._added]
        scored = ", ".join(
            [*(f"{name}: %.6f" for name in names[:-2]), f"{names[-2]}: %s", f"{names[-1]}: null"]
        )
        failed = ", ".join([*(f"{name}: null" for name in names[:-1]), f"{names[-1]}: %s"])
        lines = []
        added = zip(chunk.rows, results.scores.tolist(), results.actions, results.errors, strict=True)
        for (is_object, written), scores, action, error in added:
            if error is None:
                extra = scored % (*scores, json.dumps(action))
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
        """Let go of the file."""
        self._source.close()
