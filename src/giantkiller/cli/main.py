"""The `giantkiller` command group, and what happens to errors."""

import importlib
import os
import sys

import click

from giantkiller import __version__
from giantkiller.errors import UserError

# name: (module in this package, one line of help). Modules load only when their command runs,
# so that `giantkiller score` never pays for the workshop's imports.
COMMANDS = {
    "score": ("score", "Score comments given as arguments or lines of standard input."),
    "explain": ("explain", "Show which words carried a score."),
    "screen": ("screen", "Screen a CSV, TSV, JSON Lines or Parquet file."),
    "data": ("data", "Fetch or convert labelled comments."),
    "train": ("train", "Train a model from a recipe."),
    "grow-report": ("grow_report", "Tell what a growth of dendrites came to."),
    "soft-labels": ("soft_labels", "Write a teacher's logits for any texts."),
    "evaluate": ("evaluate", "Judge a model on labelled comments."),
    "compare": ("compare", "Compare two models on the same rows and the same clock."),
    "bench": ("bench", "Measure speed and memory on this machine."),
    "export": ("export", "Turn a checkpoint into a bundle."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, in the order of a first visit."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"giantkiller.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="giantkiller")
def giantkiller() -> None:
    """Open toxicity screening with a dendritic BERT-Tiny.

    Example: giantkiller score "You are an idiot"

    Shell completion: eval "$(_GIANTKILLER_COMPLETE=bash_source giantkiller)"
    (zsh_source and fish_source for other shells).
    """


def main() -> None:
    """Run the command line; one sentence and a non-zero exit for what a user can mend."""
    try:
        sys.exit(giantkiller.main(standalone_mode=False) or 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("giantkiller: interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except UserError as error:
        click.echo(f"giantkiller: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader went away (`giantkiller ... | head`): nothing more to say, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        # A folder that is missing or write-protected, a full disk: the system's own words, and which file.
        where = f"{error.filename}: " if error.filename else ""
        click.echo(
            f"giantkiller: {where}{error.strerror or error}; check the path, its rights and the space",
            err=True,
        )
        sys.exit(1)
