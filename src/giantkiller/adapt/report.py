"""The report of an adaptation: a page for people, JSON for programs."""

import json
from pathlib import Path
from typing import Any

from giantkiller.atomic import replace_file
from giantkiller.errors import MissingExtraError

TEMPLATES = Path(__file__).parent


def write_report(about: dict[str, Any], folder: str | Path) -> list[Path]:
    """Write report.html and report.json into a folder, which is made if it is missing.

    Args:
        about: `Adaptation.about`.
        folder: The folder.

    Returns:
        The files written.

    Raises:
        UserError: The folder can't be written.
    """
    root = Path(folder)
    contents = {
        "report.json": json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "report.html": html(about),
    }
    for name, content in contents.items():
        with replace_file(root / name) as file:
            file.write_bytes(content.encode("utf-8", "replace"))
    return [root / name for name in contents]


def html(about: dict[str, Any]) -> str:
    """Return the page: one file that loads nothing, comments escaped."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("jinja2", "train") from error
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters |= {"figure": _figure, "change": _change, "percent": _percent}
    return str(environment.get_template("report.html.j2").render(about=about))


def _figure(cell: dict[str, float | None]) -> str:
    return "–" if cell["value"] is None else f"{cell['value']:.3f}"


def _percent(cell: dict[str, float]) -> str:
    return f"{cell['value']:.1%} ({cell['low']:.1%} to {cell['high']:.1%})"


def _change(cell: dict[str, float | None]) -> str:
    if cell["value"] is None:
        return "–"
    text = f"{cell['value']:+.3f}"
    return text if cell["low"] is None else f"{text} ({cell['low']:+.3f} to {cell['high']:+.3f})"
