"""What can be said about paths before a file is opened."""

import os
from collections.abc import Iterable
from pathlib import Path

from giantkiller.errors import UserError


def check_file(path: Path) -> None:
    """Refuse what is no file with something in it.

    Raises:
        UserError: It is missing, a folder, empty, or can't be reached.
    """
    try:
        if not path.exists():
            raise UserError(f"{path}: there is no such file")
        if path.is_dir():
            raise UserError(f"{path} is a folder; name a file in it")
        if path.is_file() and path.stat().st_size == 0:
            raise UserError(f"{path} is empty")
    except (OSError, ValueError, RuntimeError) as error:  # a NUL byte in the name, links in a circle
        raise UserError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from error


def same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one file, by links of any kind or through folders that don't exist."""
    one, other = Path(os.path.realpath(one)), Path(os.path.realpath(other))
    return one == other or (one.exists() and other.exists() and one.samefile(other))


def refuse_inputs(output: Path, inputs: Iterable[Path], parameter: str = "output") -> None:
    """Refuse an output that is one of the inputs, before hours of work.

    Args:
        output: The file to be written.
        inputs: The files to be read.
        parameter: What the output is called where it was given, for the message.

    Raises:
        UserError: If it is.
    """
    for path in inputs:
        if same_file(path, output):
            raise UserError(f"`{parameter}` {output} is one of the input files; name another file")
