"""`giantkiller grow-report`: what a growth of dendrites came to."""

import json
from pathlib import Path

import click

from giantkiller.cli.options import json_option
from giantkiller.cli.terminal import printable
from giantkiller.errors import MissingExtraError, UserError


@click.command("grow-report")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path), help="Draw score and |S| into this file.")
@json_option("Print the whole ledger as JSON instead of the table.")
def command(folder: Path, plot: Path | None, as_json: bool) -> None:
    """Show what the growth of dendrites in DIR came to.

    DIR is the folder that Grower wrote its ledger into.

    Example: giantkiller grow-report runs/growth --plot growth.png
    """
    try:
        from giantkiller import dendrites
        from giantkiller.dendrites import report
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "train") from None
    try:
        ledger = dendrites.read_ledger(folder)
        if plot is not None:
            report.plot(ledger, plot)
    except dendrites.DendriteError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"cannot write {error.filename or plot}: {error.strerror}") from None
    if as_json:
        click.echo(json.dumps(ledger.to_dict()))
        return
    for line in ledger.table().split("\n"):
        click.echo(printable(line))
