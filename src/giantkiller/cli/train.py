"""`giantkiller train`: a recipe and data become a checkpoint."""

import json
import logging
from pathlib import Path

import click

from giantkiller.cli.logs import log_to_stderr
from giantkiller.cli.options import json_option


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--data",
    "-d",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder that the recipe's file names are relative to.",
)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, help="The checkpoint's folder."
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@json_option("Print the run's record as JSON when it is done.")
def command(recipe: Path, data: Path, output: Path, resume: bool, as_json: bool) -> None:
    """Train a model from a RECIPE (a TOML file; see recipes/ and docs/guides/training.md).

    Writes a Hugging Face folder. The log stands in OUTPUT/training/log.jsonl, one validation a line.

    Example: giantkiller train recipes/smoke.toml --data my-comments/ -o runs/smoke
    """
    from giantkiller.cli._extras import need_extra

    need_extra("train", "torch", "transformers", "sklearn", "pyarrow", "msgspec")
    from giantkiller.errors import UserError
    from giantkiller.training.recipe import read_recipe
    from giantkiller.training.run import train

    log_to_stderr("%(message)s")
    logging.getLogger("giantkiller").setLevel(logging.INFO)
    settings = read_recipe(recipe)
    if not data.is_dir():
        raise UserError(f"the data folder {data} does not exist; name the folder of the recipe's files")
    try:
        record = train(settings, data, output, resume)
    except KeyboardInterrupt:
        raise UserError("training interrupted; continue it with the same command and --resume") from None
    if as_json:
        click.echo(json.dumps(record.to_dict()))
