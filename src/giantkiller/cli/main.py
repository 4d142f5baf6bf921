"""The `giantkiller` command group, and what happens to errors."""

import contextlib
import difflib
import importlib
import io
import os
import re
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

import click

from giantkiller import __version__
from giantkiller.cli import FAILED, INTERRUPTED, READER_GONE
from giantkiller.cli.terminal import printable
from giantkiller.errors import UserError

# name: (module in this package, one line of help). Modules load only when their command runs,
# so that `giantkiller score` never pays for the workshop's imports.
COMMANDS = {
    "score": ("score", "Score comments given as arguments or lines of standard input."),
    "explain": ("explain", "Show which words carried a score."),
    "screen": ("screen", "Screen a CSV, TSV, JSON Lines or Parquet file."),
    "info": ("info", "Show what is in a model: policy, thresholds, calibration, figures."),
    "data": ("data", "Fetch or convert labelled comments."),
    "train": ("train", "Train a model from a recipe."),
    "grow-report": ("grow_report", "Show what a growth of dendrites came to."),
    "soft-labels": ("soft_labels", "Write a teacher's logits for any texts."),
    "evaluate": ("evaluate", "Judge a model on labelled comments."),
    "compare": ("compare", "Compare two models on the same rows and the same clock."),
    "bench": ("bench", "Measure speed and memory on this machine."),
    "export": ("export", "Turn a checkpoint into a bundle."),
    "calibrate": ("calibrate", "Bring scores to another service's scale, by a log of its scores."),
    "adapt": ("adapt", "Learn from a site's decisions, and write a bundle if it is better."),
    "merge": ("merge", "Put what adapting learned into a bundle."),
    "serve": ("serve", "Serve scores over HTTP, as the Perspective API did."),
    "keys": ("keys", "Make, list and revoke the service's API keys."),
    "models": ("models", "Try, promote and roll back the bundles of the service."),
    "desk": ("desk", "Run the desk where people decide: invite, back up, verify, export."),
}


class ReaderGoneError(Exception):
    """Whoever read standard output has closed it."""


class ClosedOutput(io.TextIOBase):
    """Stand in for a standard output that was closed: what is written to it is an error, not lost."""

    def write(self, text: str) -> int:
        """Refuse any text.

        Raises:
            UserError: Always, unless there is nothing to write.
        """
        if text:
            raise UserError("standard output is closed; there is nowhere to write to")
        return 0


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name, or say which one may have been meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            message = error.message + _did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(message, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the command line; --help and --version print while it is read."""
        try:
            return super().make_context(*args, **options)
        except BrokenPipeError as error:
            raise ReaderGoneError from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; parameters that an error names in backticks become the command's own names."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            if command is not None:
                error.args = (with_flags(str(error), command),)
            raise
        except BrokenPipeError as error:
            raise ReaderGoneError from error  # before click makes an exit status of its own of it


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="giantkiller")
def giantkiller() -> None:
    """Open toxicity screening with a dendritic BERT-Tiny.

    Example: giantkiller score "You are an idiot"

    Shell completion: eval "$(_GIANTKILLER_COMPLETE=bash_source giantkiller)"
    (zsh_source and fish_source for other shells).

    Exit status: 0 done; 1 not done, standard error says why; 2 wrong usage; 3 done, but some rows could not
    be screened; 4 not better; 130 interrupted; 141 the reader of the output went away.
    """


def main() -> None:
    """Run the command line; one sentence and an exit status (see `giantkiller.cli`) for what goes wrong."""
    _prepare()
    try:
        status = giantkiller.main(standalone_mode=False) or 0
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        _end("interrupted", INTERRUPTED)
    except click.ClickException as error:
        _show(error)
        status = error.exit_code
    except UserError as error:
        _end(str(error), FAILED)
    except (ReaderGoneError, BrokenPipeError):
        _silence()
        status = READER_GONE
    except OSError as error:
        # A folder that is missing or write-protected, a full disk: the system's own words, and which file.
        where = f"{error.filename}: " if error.filename else ""
        _silence()
        _end(f"{where}{error.strerror or error}; check the path, its rights and the space", FAILED)
    sys.exit(status)


def with_flags(message: str, command: click.Command) -> str:
    """Put a command's flags and arguments in the place of the parameter names that stand in backticks."""
    names = {}
    for each in (*getattr(command, "commands", {}).values(), command):
        for parameter in each.params:
            flag = max(parameter.opts, key=len)
            metavar = parameter.metavar or flag.upper()
            names[parameter.name] = flag if isinstance(parameter, click.Option) else metavar.strip("[].")
    return re.sub(r"`(\w+)`", lambda match: names.get(match[1], match[0]), message)


def _prepare() -> None:
    """Make the process fit for any terminal, pipe, or none."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Closed by the caller: the next file opened would take its number, and get what is printed.
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if sys.stdout is None:
        sys.stdout = ClosedOutput()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # an output in another encoding gets escapes
    if signal.getsignal(signal.SIGINT) in (signal.SIG_DFL, signal.default_int_handler):
        signal.signal(signal.SIGINT, _interrupted)


def _interrupted(_: int, frame: FrameType | None) -> None:
    """End at once while something is being imported: a compiled module can make any error of Ctrl-C."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, b"giantkiller: interrupted\n")
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def _show(error: click.ClickException) -> None:
    """Print what is wrong with the command line, which may quote anything."""
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        error.show()
        return
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        click.echo(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n", err=True)
    message = error.format_message()
    kind = getattr(getattr(error, "param", None), "type", None)
    given = re.match(r"'(.*)' is not one of", error.message)
    if isinstance(kind, click.Choice) and given:
        message += _did_you_mean(given[1], list(map(str, kind.choices)))
    click.echo(f"giantkiller: {printable(message)}", err=True)


def _did_you_mean(word: str, names: list[str]) -> str:
    close = difflib.get_close_matches(word, names, n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def _end(message: str, status: int) -> NoReturn:
    click.echo(f"giantkiller: {printable(message)}", err=True)
    sys.exit(status)


def _silence() -> None:
    """Let nothing more be written to standard output, at exit neither."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
