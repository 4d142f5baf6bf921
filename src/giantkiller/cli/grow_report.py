"""`giantkiller grow-report`: what a growth of dendrites came to."""

import json
from pathlib import Path
from typing import Any

import click

from giantkiller.errors import MissingExtraError, UserError


@click.command("grow-report")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path), help="Draw score and |S| into this file.")
@click.option("--tensorboard", type=click.Path(path_type=Path), help="Write its scalars into this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole ledger as JSON instead of the table.")
def command(folder: Path, plot: Path | None, tensorboard: Path | None, as_json: bool) -> None:
    """Tell what the growth of dendrites in DIR came to.

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
        if tensorboard is not None:
            write_scalars(ledger, tensorboard)
    except dendrites.DendriteError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"cannot write {error.filename or plot}: {error.strerror}") from None
    click.echo(json.dumps(ledger.to_dict()) if as_json else ledger.table())


def write_scalars(ledger: Any, folder: Path) -> None:
    """Write a ledger's scalars as TensorBoard reads them.

    Args:
        ledger: Of a growth.
        folder: Made if it is missing.

    Raises:
        UserError: If TensorBoard is not installed.
    """
    from giantkiller.dendrites import report

    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("--tensorboard needs TensorBoard; install it with: pip install tensorboard") from None
    with SummaryWriter(str(folder)) as writer:
        report.tensorboard(ledger, writer)
