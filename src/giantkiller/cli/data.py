"""`giantkiller data`: fetch, convert and describe labelled comments."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from giantkiller.cli.options import PATH, json_option
from giantkiller.cli.terminal import printable, table

if TYPE_CHECKING:
    from giantkiller.data.describe import Description

text_column_option = click.option(
    "--text-column", metavar="NAME", help="The column with the comments, if not a usual one."
)


@click.group(name="data")
def command() -> None:
    """Fetch, convert and describe labelled comments.

    Example: giantkiller data describe comments.csv
    """


@command.command("civil-comments")
@click.option("-o", "--output", metavar="DIR", required=True, type=PATH,
              help="Folder for civil_train, civil_val and civil_test.parquet.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N rows of each split.")
@click.option("--from", "source", metavar="FOLDER", type=PATH,
              help="A folder with the data set's Parquet files, instead of the hub.")  # fmt: skip
def civil_comments(output: Path, limit: int | None, source: Path | None) -> None:
    """Fetch google/civil_comments (CC0, two million comments) and write Parquet.

    Example: giantkiller data civil-comments -o data --limit 10000
    """
    from tqdm import tqdm

    from giantkiller.data.civil_comments import NAME, fetch

    with tqdm(unit=" rows", delay=1, disable=None, leave=False) as bar:

        def progress(split: str, rows: int) -> None:
            bar.set_description(split, refresh=False)
            bar.update(rows)

        written = fetch(output, source=source or NAME, limit=limit, progress=progress)
    for path, rows in written.items():
        click.echo(f"{printable(str(path))}: {rows:,} rows")


@command.command("convert")
@click.argument("file", metavar="FILE", type=PATH)
@click.option("-o", "--output", metavar="OUT.parquet", required=True, type=PATH,
              help="The Parquet file to write.")  # fmt: skip
@text_column_option
def convert(file: Path, output: Path, text_column: str | None) -> None:
    """Write any known form of labelled comments as our Parquet.

    FILE may be Parquet, CSV, TSV or JSON Lines: Civil Comments, Jigsaw unintended bias, WILDS, Jigsaw 2018,
    or any file with a text column and some of the seven attributes. Other columns are kept.

    Example: giantkiller data convert train.csv -o train.parquet
    """
    from giantkiller.data import convert as forms

    rows = forms.convert(file, output, text_column=text_column)
    click.echo(f"{printable(str(output))}: {rows:,} rows")


@command.command("describe")
@click.argument("file", metavar="FILE", type=PATH)
@text_column_option
@json_option("Print JSON.")
def describe(file: Path, text_column: str | None, as_json: bool) -> None:
    """Count the rows, labels and positives of a file of labelled comments.

    Example: giantkiller data describe comments.csv
    """
    from giantkiller.data import describe as counting
    from giantkiller.data.labelled import read_labelled

    found = counting.describe(read_labelled(file, text_column=text_column))
    if as_json:
        click.echo(json.dumps({"file": str(file), **found.to_dict()}, indent=2))
    else:
        _print(file, found)


def _print(file: Path, found: "Description") -> None:
    click.echo(
        f"{printable(str(file))}: {found.rows:,} rows, {found.different_texts:,} different texts, "
        f"{found.empty_texts:,} empty"
    )
    rows = [
        (
            name,
            f"{counts.labelled:,}",
            f"{counts.positive:,}",
            "-" if counts.rate is None else f"{counts.rate:.2%}",
        )
        for name, counts in found.attributes.items()
    ]
    click.echo(table(rows, ("", "labelled", "positive", "rate")))
    # Names and kinds come from the file: nothing in them reaches the terminal raw.
    if found.label_kinds:
        kinds = (f"{printable(kind, 60)} {count:,}" for kind, count in found.label_kinds.items())
        click.echo(f"label kinds: {', '.join(kinds)}")
    if found.other_columns:
        click.echo("other columns: " + ", ".join(printable(name, 60) for name in found.other_columns))
