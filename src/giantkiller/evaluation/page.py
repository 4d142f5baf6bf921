"""A report that people can look at and programs can read: report.html, report.json, PNGs."""

import base64
import math
from collections.abc import Mapping
from pathlib import Path

from giantkiller.attributes import DEFINITIONS
from giantkiller.errors import UserError
from giantkiller.evaluation import plots
from giantkiller.evaluation.figures import Figure, show
from giantkiller.evaluation.metrics import NAMES
from giantkiller.evaluation.rendering import read_templates
from giantkiller.evaluation.report import HardError, Report
from giantkiller.policy import ACTIONS

TEMPLATES = Path(__file__).parent / "templates"


def number(value: float | None, digits: int = 3) -> str:
    """Write a number, or a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def shade(figure: Figure | None) -> str:
    """Return a background colour for an AUC: the paler the worse, from white at 0.5 to blue at 1."""
    if figure is None:
        return "transparent"
    strength = min(max((figure.value - 0.5) / 0.5, 0), 1)
    return f"rgba(0, 114, 178, {0.55 * strength:.2f})"


def pieces(error: HardError) -> list[tuple[str, float]]:
    """Cut a comment into pieces, each with what it added to the score (0 between words)."""
    found: list[tuple[str, float]] = []
    end = 0
    for begin, stop, contribution in error.words:
        if begin < end:
            continue
        found += [(error.text[end:begin], 0.0), (error.text[begin:stop], contribution)]
        end = stop
    return [(piece, weight) for piece, weight in [*found, (error.text[end:], 0.0)] if piece]


def write_report(report: Report, folder: str | Path) -> list[Path]:
    """Write a report into a folder, which is made if it is missing.

    Returns:
        The files written.

    Raises:
        UserError: The folder can't be written.
        MissingExtraError: matplotlib or jinja2 is not installed.
    """
    root = Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"can't write the report to {root}: {error.strerror or error}") from error
    pictures = plots.draw(report)
    contents = {
        "report.json": report.json().encode("utf-8", "replace"),
        "report.html": html(report, pictures).encode("utf-8", "replace"),
        **{name: png for name, (png, _) in pictures.items()},
    }
    try:
        for name, content in contents.items():
            (root / name).write_bytes(content)
    except OSError as error:
        raise UserError(f"can't write the report to {root}: {error.strerror or error}") from error
    return [root / name for name in contents]


def html(report: Report, pictures: Mapping[str, tuple[bytes, str]]) -> str:
    """Return the page: one file with everything inside, nothing loaded from elsewhere."""
    environment = read_templates(TEMPLATES, escape=True, extra="judge")
    environment.filters |= {"number": number, "figure": show, "shade": shade, "pieces": pieces}
    environment.globals |= {"ACTIONS": ACTIONS, "DEFINITIONS": DEFINITIONS, "NAMES": NAMES}
    inside = {
        name: ("data:image/png;base64," + base64.b64encode(png).decode("ascii"), words)
        for name, (png, words) in pictures.items()
    }
    template = environment.get_template("report.html.j2")
    return str(template.render(report=report, pictures=inside))
