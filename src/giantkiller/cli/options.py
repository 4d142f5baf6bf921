"""Options that several commands have, each spelled and explained once."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from giantkiller.policy import Policy

Command = TypeVar("Command", bound=Callable[..., Any])

# What is wrong with a path is said by the function that opens it.
PATH = click.Path(path_type=Path, readable=False)


def model_option(command: Command) -> Command:
    """Add -m/--model."""
    return click.option(
        "-m", "--model", default="default", show_default=True, metavar="MODEL",
        help="default (the shipped model), a bundle or checkpoint folder, or a hub id (owner/name) of "
        "either; a checkpoint needs torch.",
    )(command)  # fmt: skip


def policy_option(command: Command) -> Command:
    """Add -p/--policy; the command gets a Policy, a name or None, as `Screener` takes it."""
    return click.option(
        "-p", "--policy", metavar="NAME|FILE", callback=_policy,
        help="What decides: one of the model's policies (see `giantkiller info`), or a .json or .toml file.  "
        "[default: the model's own]",
    )(command)  # fmt: skip


def _policy(_: click.Context, __: click.Parameter, value: str | None) -> "Policy | str | None":
    if value is None or not value.lower().endswith((".json", ".toml")):
        return value
    from giantkiller.policy import read_policy

    return read_policy(value)


def threads_option(command: Command) -> Command:
    """Add -t/--threads."""
    return click.option("-t", "--threads", type=click.IntRange(min=1), help="Cores to use.  [default: all]")(
        command
    )


def json_option(help_text: str) -> Callable[[Command], Command]:
    """Add -j/--json, as `as_json`."""
    return click.option("-j", "--json", "as_json", is_flag=True, help=help_text)


def state_options(command: Command) -> Command:
    """Add --state and --config: which service's database it is about."""
    for option in (
        click.option("--config", type=click.Path(path_type=Path), help="The service's TOML file."),
        click.option("--state", type=click.Path(path_type=Path), help="The service's state folder."),
    ):
        command = option(command)
    return command
