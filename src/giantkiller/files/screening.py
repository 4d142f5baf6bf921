"""Screening a file: read a chunk, score it, append it to a partial file; rename that at the end.

The partial file and a small record of how far it is good lie beside the target, hidden, until the end. A run
was stopped in any way can go on from there; under the target's own name there is only ever a whole file.
"""

import contextlib
import gzip
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.files.delimited import DelimitedTable
from giantkiller.files.formats import Chunk, Results, Table, format_of
from giantkiller.files.jsonlines import JsonLinesTable

Screen = Callable[[list[str]], tuple[npt.NDArray[np.float32], Sequence[str]]]
"""Comments in; their scores, float32 (n, 7), and their actions out."""


@dataclass
class Row:
    """A screened row, as much of it as a table on a screen shows."""

    text: str
    scores: list[float] | None
    action: str | None
    error: str | None


@dataclass
class Summary:
    """What became of a file.

    Attributes:
        rows: all of them, with an error or without.
        errors: rows that could not be screened.
        actions: how many rows got each action.
        resumed: rows that an earlier, interrupted run had done.
        seconds: this run's, from the first row to the last.
        text_column: where the comments were.
        preview: the first rows of this run.
    """

    rows: int = 0
    errors: int = 0
    actions: dict[str, int] = field(default_factory=dict)
    resumed: int = 0
    seconds: float = 0.0
    text_column: str = ""
    preview: list[Row] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Comments a second, in this run."""
        return (self.rows - self.resumed) / self.seconds if self.seconds else 0.0


def screen_file(
    source: str | Path,
    target: str | Path,
    screen: Screen,
    *,
    text_column: str | None = None,
    prefix: str = "",
    resume: bool = False,
    model: str = "",
    preview: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> Summary:
    """Screen the comments of a CSV, TSV, JSON Lines or Parquet file.

    The output has the rows in their order, with their columns, and nine more: the seven scores, `action` and
    `error`. A row that can't be screened (no text, not UTF-8, broken) has the reason in `error` and neither
    scores nor action; the others are screened. Memory does not grow with the file.

    Args:
        source: the input; its ending names the format.
        target: the output, in the same format, zipped or not by its own ending; replaced if it exists.
            Missing folders are made.
        screen: scores comments; called with a chunk at a time.
        text_column: where the comments are, if not under one of `TEXT_NAMES`.
        prefix: put before the names of the nine columns.
        resume: go on where an interrupted run of the same input, target and model stopped; from the start if
            there was none.
        model: what scores, in any words; a run is only resumed with the same.
        preview: how many of the first rows the summary shall hold.
        progress: called after each chunk with the rows so far and the share of the file read (0 to 1).

    Raises:
        UserError: the input can't be read, the output not written, or the two don't fit together.
    """
    source, target = Path(source), Path(target)
    kind, zipped, target = _check(source, target)
    table = _open(source, kind, text_column, prefix)
    try:
        settings = {
            "input": [source.name, source.stat().st_size, source.stat().st_mtime_ns],
            "output": [kind, zipped, prefix, table.text_column],
            "model": model,
        }
        partial = _Partial(target, settings, zipped)
        try:
            summary = partial.begin(resume)
            summary.text_column = table.text_column
            _run(table, partial, summary, screen, preview, progress)
            partial.finish(table)
        except UserError as error:
            # What is wrong with the input stays wrong: nothing to go on from.
            if not isinstance(error, _Unfinished):
                partial.discard()
            raise
        finally:
            partial.close()
    finally:
        table.close()
    return summary


def _check(source: Path, target: Path) -> tuple[str, bool, Path]:
    """Find what is wrong with the two paths before any work is done; the target's links are followed."""
    try:
        if not source.exists():
            raise UserError(f"{source}: there is no such file")
        if source.is_dir():
            raise UserError(f"{source} is a folder; name a file in it")
        kind, _ = format_of(source)
        if source.is_file() and source.stat().st_size == 0:
            raise UserError(f"{source} is empty")
        target_kind, zipped = format_of(target)
        if target_kind != kind:
            raise UserError(f"{target}: the output is {kind} as the input is; give it that ending")
        if target.is_dir():
            raise UserError(f"{target} is a folder; name a file in it")
        if target.exists() and (target.samefile(source)):
            raise UserError(f"{target} is the input itself; name another output")
        if target.exists() and not os.access(target, os.W_OK):
            raise UserError(f"{target} is write-protected; name another output")
        return kind, zipped, target.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{source} or {target} can't be reached: {reason}") from error


def _open(source: Path, kind: str, text_column: str | None, prefix: str) -> Table:
    if kind == "Parquet":
        # Imported here: pyarrow is an extra, and slow to load.
        from giantkiller.files.columnar import ParquetTable

        return ParquetTable(source, text_column, prefix)
    if kind == "JSON Lines":
        return JsonLinesTable(source, text_column, prefix)
    return DelimitedTable(source, "\t" if kind == "TSV" else ",", text_column, prefix)


def _run(
    table: Table,
    partial: "_Partial",
    summary: Summary,
    screen: Screen,
    preview: int,
    progress: Callable[[int, float], None] | None,
) -> None:
    begin = time.perf_counter()
    rows = 0
    if not summary.resumed:
        partial.append(table.head(), summary)
    for chunk in table.chunks():
        rows += len(chunk.texts)
        if rows <= summary.resumed:
            continue
        if rows - len(chunk.texts) < summary.resumed:
            raise UserError(
                "the interrupted run had read the file in other chunks; to start anew, leave out --resume"
            )
        results = _screen(chunk, screen)
        summary.rows = rows
        summary.errors += sum(error is not None for error in results.errors)
        for action in results.actions:
            if action is not None:
                summary.actions[action] = summary.actions.get(action, 0) + 1
        if len(summary.preview) < preview:
            summary.preview += _rows(chunk, results, preview - len(summary.preview))
        partial.append(table.encode(chunk, results), summary)
        summary.seconds = time.perf_counter() - begin
        if progress is not None:
            progress(rows, table.position())


def _screen(chunk: Chunk, screen: Screen) -> Results:
    errors = [problem or _problem(text) for text, problem in zip(chunk.texts, chunk.problems, strict=True)]
    good = [row for row, error in enumerate(errors) if error is None]
    scores = np.full((len(errors), len(ATTRIBUTES)), np.nan, dtype=np.float32)
    actions: list[str | None] = [None] * len(errors)
    if good:
        found, verdicts = screen([chunk.texts[row] for row in good])
        scores[good] = found
        for row, verdict in zip(good, verdicts, strict=True):
            actions[row] = verdict
    return Results(scores=scores, actions=actions, errors=errors)


def _problem(text: Any) -> str | None:
    if text is None:
        return "no text"
    if not isinstance(text, str):
        kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
        return f"{kinds.get(type(text), type(text).__name__)}, not text"
    return None if text.strip() else "no text"


def _rows(chunk: Chunk, results: Results, count: int) -> list[Row]:
    return [
        Row(
            text=text if isinstance(text, str) else "" if text is None else str(text),
            scores=None if error is not None else [float(score) for score in scores],
            action=action,
            error=error,
        )
        for text, scores, action, error in zip(
            chunk.texts[:count],
            results.scores[:count],
            results.actions[:count],
            results.errors[:count],
            strict=True,
        )
    ]


class _Unfinished(UserError):
    """An error after which the partial file is still of use."""


class _Partial:
    """The output so far, and the record of how far it is good."""

    def __init__(self, target: Path, settings: dict[str, Any], zipped: bool) -> None:
        self._target = target
        self._settings = settings
        self._zipped = zipped
        self._partial = target.with_name(f".{target.name}.partial")
        self._record = target.with_name(f".{target.name}.progress")
        self._file: IO[bytes] | None = None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            kept = ""
            if self._record.exists():
                kept = "; the rows done so far are kept, and --resume goes on from there"
            raise _Unfinished(f"{self._target} can't be written: {reason}{kept}") from error

    def begin(self, resume: bool) -> Summary:
        """Open the partial file, at its start or after the rows that are good."""
        with self._writing():
            self._target.parent.mkdir(parents=True, exist_ok=True)
        done = self._resumed() if resume else None
        with self._writing():
            if done is None:
                self._record.unlink(missing_ok=True)
                self._file = self._partial.open("wb")
                return Summary()
            size, summary = done
            self._file = self._partial.open("r+b")
            self._file.truncate(size)
            self._file.seek(size)
            return summary

    def _resumed(self) -> tuple[int, Summary] | None:
        if not self._record.exists() or not self._partial.exists():
            return None
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            size, settings, rows = int(record["bytes"]), record["settings"], int(record["rows"])
            actions = {str(action): int(count) for action, count in record["actions"].items()}
            summary = Summary(rows=rows, errors=int(record["errors"]), actions=actions, resumed=rows)
            good = isinstance(settings, dict) and rows >= 0 and 0 <= size <= self._partial.stat().st_size
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            good = False
        if not good:
            raise _Unfinished(f"{self._record} is damaged; to start anew, leave out --resume")
        if settings != self._settings:
            what = next(
                (name for name in self._settings if settings.get(name) != self._settings[name]), "format"
            )
            raise _Unfinished(
                f"{self._target}: the interrupted run had another {what}; to start anew, leave out --resume"
            )
        return size, summary

    def append(self, data: bytes, summary: Summary) -> None:
        """Add encoded rows, then the record that they are good."""
        assert self._file is not None
        with self._writing():
            # Zipped files are made of members, one a chunk: they can be cut and continued like others.
            self._file.write(gzip.compress(data, 6, mtime=0) if self._zipped and data else data)
            self._file.flush()
            if not summary.rows:
                return
            counts = {
                name: value
                for name, value in asdict(summary).items()
                if name in ("rows", "errors", "actions")
            }
            record = {"settings": self._settings, "bytes": self._file.tell(), **counts}
            fresh = self._record.with_name(self._record.name + ".new")
            fresh.write_text(json.dumps(record), encoding="utf-8")
            fresh.replace(self._record)

    def finish(self, table: Table) -> None:
        """Put the finished file under the target's name."""
        assert self._file is not None
        finished = self._target.with_name(f".{self._target.name}.finished")
        with self._writing():
            self._sync(self._file)
            self._file.close()
            self._file = None
            try:
                if table.finish(self._partial, finished):
                    with finished.open("rb") as file:
                        self._sync(file)
                    finished.replace(self._target)
                else:
                    self._partial.replace(self._target)
            finally:
                finished.unlink(missing_ok=True)
        self.discard()

    def _sync(self, file: IO[bytes]) -> None:
        with contextlib.suppress(OSError):
            os.fsync(file.fileno())

    def discard(self) -> None:
        """Remove the partial file and its record."""
        self.close()
        for path in (self._partial, self._record):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the partial file; without a single good row it is removed."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
            if not self._record.exists():
                with contextlib.suppress(OSError):
                    self._partial.unlink(missing_ok=True)
