"""Soft labels: a teacher's logits for any texts, kept in a file that a recipe's source may name."""

import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from giantkiller.atomic import replace_file, resolve_file
from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.remixes import remix, similar_words
from giantkiller.data.augment.sentences import split_sentences
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.labelled import Labelled, read_labelled
from giantkiller.errors import UserError
from giantkiller.files.formats import JSON_LINES, PARQUET, FileFormat, format_of
from giantkiller.files.paths import refuse_inputs

COLUMNS = [f"logit_{name}" for name in ATTRIBUTES]


def logits_of(labelled: Labelled) -> np.ndarray:
    """Return the soft labels of a file, (n, 7) float32; NaN where it has none."""
    logits = np.full((len(labelled), len(ATTRIBUTES)), np.nan, np.float32)
    for i, name in enumerate(COLUMNS):
        if name in labelled.extra:
            values = labelled.extra[name]
            if values.dtype == object:
                raise UserError(f"the column {name!r} holds words, not logits")
            logits[:, i] = values
    return logits


def states_of(labelled: Labelled, file: str) -> np.ndarray | None:
    """Return a teacher's states, the columns `state_0` ... `state_{k-1}` of a file.

    Args:
        labelled: The file's n rows.
        file: What messages call it.

    Returns:
        (n, k) float16; a row that lacks any of them is NaN altogether. None if the file has no such columns.

    Raises:
        UserError: If a column is missing in between, or a value is no number or too large for float16.
    """
    names = [name for name in labelled.extra if re.fullmatch(r"state_\d+", name)]
    if not names:
        return None
    states = np.empty((len(labelled), len(names)), np.float16)
    for i in range(len(names)):
        name = f"state_{i}"
        if name not in names:
            raise UserError(
                f"{file} has {len(names)} columns of states, but no {name!r}; count them from 0 on"
            )
        values = labelled.extra[name]
        if values.dtype == object:
            raise UserError(f"{file}: the column {name!r} holds words, not states")
        if (np.abs(values) > np.finfo(np.float16).max).any():
            raise UserError(f"{file}: the column {name!r} holds a value beyond 65504; scale the states down")
        states[:, i] = values
    states[np.isnan(states).any(axis=1)] = np.nan
    return states


def read_soft_labels(path: str | Path) -> tuple[list[str], np.ndarray]:
    """Read teacher logits.

    Args:
        path: What `write_soft_labels` wrote.

    Returns:
        The texts, and their logits (n, 7) float32.

    Raises:
        UserError: If the file cannot be read, or has no logits.
    """
    labelled = read_labelled(path)
    logits = logits_of(labelled)
    if np.isnan(logits).all():
        raise UserError(f"{path} holds no soft labels; it needs columns {COLUMNS[0]} ...")
    return labelled.texts, logits


def texts_to_label(
    files: Sequence[Path],
    *,
    text_column: str | None = None,
    most: int | None = None,
    sentences: bool = False,
    holdout_fraction: float = 0.0,
) -> list[str]:
    """Collect the different texts of some files.

    Args:
        files: Files of comments, labelled or not.
        text_column: Their column of comments; looked for by its usual names if not given.
        most: Most comments to take of each file, an even spread over it.
        sentences: Take the sentences of comments that have several, in place of the comments.
        holdout_fraction: Leave out the comments that a recipe with the same `holdout_fraction` leaves out.

    Raises:
        UserError: If a file cannot be read, or nothing is left.
    """
    texts: dict[str, str] = {}
    for file in files:
        comments = read_labelled(file, text_column=text_column).texts
        count = min(len(comments), most or len(comments))
        for text in (comments[i * len(comments) // count] for i in range(count)):
            if holdout_fraction and is_held_out(merge_key(text), holdout_fraction):
                continue
            for part in split_sentences(text) if sentences else [text]:
                texts.setdefault(merge_key(part), part)
    if not texts:
        raise UserError(f"{', '.join(map(str, files))}: no {'sentence' if sentences else 'comment'} to label")
    return list(texts.values())


def remixed(
    texts: Sequence[str], count: int, seed: int, vectors: np.ndarray, words: dict[str, int]
) -> list[str]:
    """Make up different texts from neighbouring sentences of one or two, some words exchanged.

    Args:
        texts: Comments.
        count: Texts to make up, at most.
        seed: Seed of the draws.
        vectors: (v, d) word embeddings; words with similar ones are exchanged.
        words: Each word's row in them.
    """
    made = remix(list(texts), count, seed, similar_words(vectors, words))
    return list({merge_key(text): text for text in made}.values())


def check_output(output: Path, inputs: Sequence[Path]) -> None:
    """Refuse, before hours of work, an output that is an input or has no known ending.

    Raises:
        UserError: If it does, or cannot be written.
    """
    format_of(output)
    target = resolve_file(output)
    if not target.parent.is_dir():
        raise UserError(f"the folder of `output` {output} does not exist; make it, or name another")
    refuse_inputs(output, inputs)


def write_soft_labels(
    path: str | Path,
    texts: Sequence[str],
    logits: Callable[[Sequence[str]], np.ndarray],
    progress: Callable[[int], object] = lambda rows: None,
    chunk: int = 2048,
) -> None:
    """Write a teacher's logits for texts, a chunk at a time; an interrupted run changes nothing.

    Args:
        path: The file to write, in the format of its ending (`giantkiller.files.formats`).
        texts: Comments.
        logits: The teacher: texts to logits (n, 7).
        progress: Called with the number of rows done with each chunk.
        chunk: Texts at a time.

    Raises:
        UserError: If the file cannot be written, or its ending is unknown.
    """
    kind, packed = format_of(Path(path))
    with replace_file(path) as temporary, _writer(kind, temporary, packed) as write:
        for begin in range(0, len(texts), chunk):
            some = list(texts[begin : begin + chunk])
            write(some, np.asarray(logits(some), dtype=np.float32))
            progress(len(some))


Write = Callable[[list[str], np.ndarray], None]


def _writer(kind: FileFormat, path: Path, packed: bool) -> AbstractContextManager[Write]:
    if kind is PARQUET:
        return _parquet(path)
    if kind is JSON_LINES:
        return _jsonlines(path, packed)
    return _delimited(path, packed, kind.delimiters[0])


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("text", pa.string()), *[(name, pa.float32()) for name in COLUMNS]])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        yield lambda texts, logits: writer.write_table(
            pa.Table.from_arrays([texts, *logits.T], schema=schema)
        )


@contextmanager
def _delimited(path: Path, packed: bool, delimiter: str) -> Iterator[Write]:
    import csv

    with _text(path, packed) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["text", *COLUMNS])
        yield lambda texts, logits: writer.writerows(
            [text, *("" if np.isnan(value) else str(value) for value in row)]
            for text, row in zip(texts, logits, strict=True)
        )


@contextmanager
def _jsonlines(path: Path, packed: bool) -> Iterator[Write]:
    with _text(path, packed) as file:

        def write(texts: list[str], logits: np.ndarray) -> None:
            for text, row in zip(texts, logits.tolist(), strict=True):
                values = {
                    name: None if value != value else value for name, value in zip(COLUMNS, row, strict=True)
                }
                file.write(json.dumps({"text": text, **values}, ensure_ascii=False) + "\n")

        yield write


def _text(path: Path, packed: bool) -> IO[str]:
    if packed:
        return gzip.open(path, "wt", encoding="utf-8", newline="")
    return path.open("w", encoding="utf-8", newline="")
