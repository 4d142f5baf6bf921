"""Templates of what is written for people: reports and model cards."""

from pathlib import Path
from typing import TYPE_CHECKING

from giantkiller.errors import MissingExtraError

if TYPE_CHECKING:
    from jinja2 import Environment


def read_templates(folder: Path, *, escape: bool, extra: str) -> "Environment":
    """Return the templates of a folder; a name that one uses and nobody gives is an error.

    Args:
        folder: Where they lie.
        escape: Escape for HTML what is put in. Not for Markdown, where it would show up as characters.
        extra: The extra that brings jinja2.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("jinja2", extra) from error
    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=escape,
    )
