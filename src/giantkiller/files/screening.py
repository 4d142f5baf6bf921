"""Screening a file: read a chunk, score it, append it to the output."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from giantkiller.atomic import resolve_file
from giantkiller.errors import UserError
from giantkiller.files.chunks import Table
from giantkiller.files.columns import added_columns
from giantkiller.files.formats import FORMATS, FileFormat, format_of, is_gzipped, named_format
from giantkiller.files.output import FileOutput, Output, StreamOutput, UnfinishedError, partial_path
from giantkiller.files.paths import check_file, same_file
from giantkiller.files.summary import ScreenSummary
from giantkiller.files.tables import open_table
from giantkiller.files.verdicts import Judge, screen_chunk

Place = str | Path | IO[bytes]
"""A file, or a binary stream."""


def screen_file(
    source: Place,
    target: Place,
    judge: Judge,
    *,
    text_column: str | None = None,
    prefix: str = "",
    file_format: str | None = None,
    resume: bool = False,
    model: str = "",
    policy: Any = None,
    preview: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> ScreenSummary:
    """Screen the comments of a CSV, TSV, JSON Lines or Parquet file.

    The output has the rows in their order, with their columns, and ten more: the seven scores, `action`,
    `attribute` (which called for the action) and `error`. A row that can't be screened (no text, not UTF-8,
    broken) has the reason in `error` and nothing in the others; all other rows are screened. Memory does not
    grow with the file.

    Args:
        source: The input, a file or a binary stream.
        target: The output, in the same format, zipped or not by its own ending; a file that exists is
            replaced and keeps its mode. Missing folders are made.
        judge: Called with a chunk of comments at a time; see `judge_with`.
        text_column: Where the comments are, if not under one of `TEXT_NAMES`.
        prefix: Put before the names of the ten columns.
        file_format: One of `FORMATS`, where no ending says it.
        resume: Go on where an interrupted run of the same input, target, model and policy stopped; from the
            start if there was none.
        model: What scores, in any words; a run is only resumed with the same.
        policy: What decides, in any form that JSON has; a run is only resumed with the same.
        preview: How many of the first rows the summary holds.
        progress: Called after each chunk with the rows so far and the share of the file read, from 0 to 1
            (NaN for a stream).

    Returns:
        The counts, the time, and the first rows.

    Raises:
        UserError: The input can't be read, the output not written, or the two don't fit together.
    """
    job = _Job.of(source, target, file_format, prefix)
    table = open_table(job.source, job.format, gzipped=job.unzip, text_column=text_column, added=job.added)
    try:
        if resume and not (isinstance(job.source, Path) and job.source.is_file()):
            raise UserError("a stream can't be read a second time; leave out `resume`")
        output = job.output({"model": model, "policy": policy, "column": table.text_column})
        try:
            summary = output.begin(resume)
            summary.input, summary.output = _name(source), _name(target)
            summary.model, summary.text_column = model, table.text_column
            _run(table, output, summary, judge, preview, progress)
            output.finish(table)
        except UserError as error:
            # What is wrong with the input stays wrong: nothing to go on from.
            if not isinstance(error, UnfinishedError):
                output.discard()
            raise
        finally:
            output.close()
    finally:
        table.close()
    return summary


@dataclass
class _Job:
    """What is read and written, as far as it is known before the input is opened."""

    source: Path | IO[bytes]
    target: Path | IO[bytes]  # a file: links followed
    format: FileFormat
    unzip: bool
    zip: bool
    prefix: str
    added: tuple[str, ...]

    @classmethod
    def of(cls, source: Place, target: Place, file_format: str | None, prefix: str) -> "_Job":
        """Find what is wrong with the two before any work is done."""
        added = added_columns(prefix)
        source = Path(source) if isinstance(source, str) else source
        target = Path(target) if isinstance(target, str) else target
        if isinstance(source, Path):
            check_file(source)
        known, unzip, zipped = _formats(source, target, file_format)
        if isinstance(target, Path):
            where = target
            target = resolve_file(target)
            if isinstance(source, Path) and any(
                same_file(source, path) for path in (target, partial_path(target))
            ):
                raise UserError(f"{where} is the input itself; name another output")
        elif not known.streamed:
            raise UserError(f"{known.name} can't be written to a stream; name a file")
        return cls(source, target, known, unzip, zipped, prefix, added)

    def output(self, settings: dict[str, Any]) -> Output:
        """Open the output; a resumed run must have the same settings."""
        if not isinstance(self.target, Path):
            return StreamOutput(self.target)
        found = self.source.stat() if isinstance(self.source, Path) and self.source.is_file() else None
        known = None if found is None else [_name(self.source), found.st_size, found.st_mtime_ns]
        settings = {"input": known, "output": [self.format.name, self.zip, self.prefix], **settings}
        return FileOutput(self.target, settings, self.zip)


def _formats(source: Place, target: Place, file_format: str | None) -> tuple[FileFormat, bool, bool]:
    """Return the format of both, and whether the input and the output are compressed."""
    if file_format is not None:
        return named_format(file_format), _is_zipped(source), _is_zipped(target)
    ends = source if isinstance(source, Path) else target
    if not isinstance(ends, Path):
        raise UserError(f"the format is known by no ending; name it (`file_format`): {', '.join(FORMATS)}")
    known, _ = format_of(ends)
    if isinstance(target, Path) and format_of(target)[0] is not known:
        raise UserError(f"{target}: the output is {known.name} as the input is; give it that ending")
    return known, _is_zipped(source), _is_zipped(target)


def _is_zipped(place: Place) -> bool:
    return isinstance(place, Path) and is_gzipped(place)


def _name(place: Place) -> str:
    return str(place) if isinstance(place, str | Path) else "-"


def _run(
    table: Table,
    output: Output,
    summary: ScreenSummary,
    judge: Judge,
    preview: int,
    progress: Callable[[int, float], None] | None,
) -> None:
    begin = time.perf_counter()
    rows = 0
    if not summary.resumed:
        output.append(table.head(), summary)
    for chunk in table.chunks():
        rows += len(chunk.texts)
        if rows <= summary.resumed:
            continue
        if rows - len(chunk.texts) < summary.resumed:
            raise UserError(
                "the interrupted run had read the file in other chunks; to start anew, leave out `resume`"
            )
        results = screen_chunk(chunk, judge)
        summary.add(results)
        summary.show(chunk, results, preview)
        output.append(table.encode(chunk, results), summary)
        summary.seconds = time.perf_counter() - begin
        if progress is not None:
            progress(rows, table.position())
