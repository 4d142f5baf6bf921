"""`giantkiller data`: fetch, convert and describe labelled comments."""

import json
from pathlib import Path
from typing import Any

import click

from giantkiller.cli.terminal import printable

# What is wrong with a path is said by the function that opens it.
PATH = click.Path(path_type=Path, readable=False)


@click.group(name="data")
def command() -> None:
    """Fetch, convert and describe labelled comments.

    Example: giantkiller data describe comments.csv
    """


@command.command("civil-comments")
@click.option("-o", "--output", metavar="DIR", required=True, type=PATH,
              help="Folder for civil_train, civil_val and civil_test.parquet.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N rows of each split.")
@click.option("--from", "folder", metavar="FOLDER", type=PATH,
              help="A folder with the data set's Parquet files, instead of the hub.")  # fmt: skip
def civil_comments(output: Path, limit: int | None, folder: Path | None) -> None:
    """Fetch google/civil_comments (CC0, two million comments) and write Parquet.

    Example: giantkiller data civil-comments -o data --limit 10000
    """
    from tqdm import tqdm

    from giantkiller.data.civil_comments import NAME, fetch

    with tqdm(unit=" rows", delay=1, disable=None, leave=False) as bar:

        def progress(split: str, rows: int) -> None:
            bar.set_description(split, refresh=False)
            bar.update(rows)

        written = fetch(output, source=folder or NAME, limit=limit, progress=progress)
    for path, rows in written.items():
        click.echo(f"{path}: {rows:,} rows")


@command.command("convert")
@click.argument("file", metavar="FILE", type=PATH)
@click.option("-o", "--output", metavar="OUT.parquet", required=True, type=PATH,
              help="The Parquet file to write.")  # fmt: skip
@click.option("--text-column", help="The column with the comments, if its name is unusual.")
def convert(file: Path, output: Path, text_column: str | None) -> None:
    """Write any known form of labelled comments as our Parquet.

    FILE may be Parquet, CSV, TSV or JSON Lines: Civil Comments, Jigsaw unintended bias, WILDS, Jigsaw 2018,
    or any file with a text column and some of the seven attributes. Other columns are kept.

    Example: giantkiller data convert train.csv -o train.parquet
    """
    from giantkiller.data.convert import write_labelled
    from giantkiller.data.sources import read_labelled
    from giantkiller.errors import UserError

    labelled = read_labelled(file, text_column=text_column)
    if output.exists() and output.samefile(file):
        raise UserError(f"{output} is the input itself; name another output")
    write_labelled(labelled, output)
    click.echo(f"{output}: {len(labelled):,} rows")


@command.command("describe")
@click.argument("file", metavar="FILE", type=PATH)
@click.option("--text-column", help="The column with the comments, if its name is unusual.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def describe(file: Path, text_column: str | None, as_json: bool) -> None:
    """Count the rows, labels and positives of a file of labelled comments.

    Example: giantkiller data describe comments.csv
    """
    from giantkiller.data import convert as forms
    from giantkiller.data.sources import read_labelled

    found = forms.describe(read_labelled(file, text_column=text_column))
    click.echo(json.dumps({"file": str(file), **found}, indent=2) if as_json else _table(file, found))


def _table(file: Path, found: dict[str, Any]) -> str:
    lines = [
        f"{printable(str(file))}: {found['rows']:,} rows, {found['different_texts']:,} different texts, "
        f"{found['empty_texts']:,} empty",
        f"{'':<18}{'labelled':>10}{'positive':>10}{'rate':>9}",
    ]
    for name, counts in found["attributes"].items():
        rate = "-" if counts["rate"] is None else f"{counts['rate']:.2%}"
        lines.append(f"{name:<18}{counts['labelled']:>10,}{counts['positive']:>10,}{rate:>9}")
    if found["label_kinds"]:
        kinds = ", ".join(f"{printable(kind, 60)} {count:,}" for kind, count in found["label_kinds"].items())
        lines.append(f"label kinds: {kinds}")
    if found["other_columns"]:
        lines.append("other columns: " + ", ".join(printable(name, 60) for name in found["other_columns"]))
    return "\n".join(lines)
