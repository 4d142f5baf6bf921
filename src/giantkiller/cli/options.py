"""Options that several commands have, each spelled and explained once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

MODEL = "default (the shipped model), a bundle folder, a checkpoint folder or a hub id (owner/name)"
"""What MODEL may be, the same in every command."""

# What is wrong with a path is said by the function that opens it.
PATH = click.Path(path_type=Path, readable=False)


def model_option(command: Command) -> Command:
    """Add -m/--model."""
    return click.option(
        "-m", "--model", default="default", show_default=True, metavar="MODEL", help=f"Which model: {MODEL}."
    )(command)


def threads_option(command: Command) -> Command:
    """Add -t/--threads."""
    return click.option("-t", "--threads", type=click.IntRange(min=1), help="Cores to use.  [default: all]")(
        command
    )


def json_option(help_text: str) -> Callable[[Command], Command]:
    """Add -j/--json, as `as_json`."""
    return click.option("-j", "--json", "as_json", is_flag=True, help=help_text)
