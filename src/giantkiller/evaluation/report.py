"""A report that people can look at and programs can read: report.json, report.html, PNGs, a model card.

Everything is made from report.json alone, so that a report can be drawn again from it.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from giantkiller.attributes import ATTRIBUTES, DEFINITIONS
from giantkiller.errors import MissingExtraError, UserError
from giantkiller.evaluation import plots

TEMPLATES = Path(__file__).parent / "templates"

NAMES = {
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "best_f1": "best F1",
    "best_f1_threshold": "threshold of the best F1",
    "recall_at_fpr_1": "recall at 1 % false positives",
    "recall_at_fpr_5": "recall at 5 % false positives",
    "brier": "Brier score",
    "ece": "calibration error (ECE, 15 bins)",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "precision_negative": "precision of not toxic",
    "recall_negative": "recall of not toxic",
    "f1_negative": "F1 of not toxic",
    "f1_macro": "F1, mean of both classes",
    "f1_weighted": "F1, weighted by class",
    "false_positive_rate": "false-positive rate",
    "tn": "rightly let through",
    "fp": "false alarms",
    "fn": "missed",
    "tp": "caught",
}
"""Figures in words."""


def number(value: float | None, digits: int = 3) -> str:
    """Write a number, or a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def figure(cell: Mapping[str, Any] | None, digits: int = 3) -> str:
    """Write a figure of report.json with its interval."""
    if cell is None or cell.get("value") is None:
        return "–"
    text = number(cell["value"], digits)
    if cell.get("low") is not None:
        text += f" ({number(cell['low'], digits)} to {number(cell['high'], digits)})"
    return text


def shade(cell: Mapping[str, Any] | None) -> str:
    """Give a background colour for an AUC: the paler the worse, from white at 0.5 to blue at 1."""
    if cell is None or cell.get("value") is None:
        return "transparent"
    strength = min(max((cell["value"] - 0.5) / 0.5, 0), 1)
    return f"rgba(0, 114, 178, {0.55 * strength:.2f})"


def words(error: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Cut a comment into pieces, each with what it added to the score (0 between words)."""
    text, pieces, end = error["text"], [], 0
    for begin, stop, contribution in error.get("words", []):
        if begin < end:
            continue
        pieces += [(text[end:begin], 0.0), (text[begin:stop], contribution)]
        end = stop
    return [(piece, each) for piece, each in [*pieces, (text[end:], 0.0)] if piece]


def write(report: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """Write a report into a folder, which is made if it is missing.

    Args:
        report: what `assess.assess` gives, `model` (name, kind, about) and `data` (file, rows), and where
            there are some, `suites`, `training`, `comparison`, `validation`.
        folder: where to.

    Returns:
        the files written.

    Raises:
        UserError: the folder can't be written.
        MissingExtraError: matplotlib or jinja2 is not installed.
    """
    root = Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"can't write the report to {root}: {error.strerror or error}") from error
    pictures = plots.draw(report)
    texts = {
        "report.json": json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "report.html": html(report, pictures),
        "card.md": card(report),
    }
    try:
        for name, text in texts.items():
            (root / name).write_text(text, encoding="utf-8", errors="replace")
        for name, (png, _) in pictures.items():
            (root / name).write_bytes(png)
    except OSError as error:
        raise UserError(f"can't write the report to {root}: {error.strerror or error}") from error
    return [root / name for name in (*texts, *pictures)]


def read(path: str | Path) -> dict[str, Any]:
    """Read report.json back.

    Raises:
        UserError: there is no such file, or it is no report.
    """
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: name a report.json") from error
    if not isinstance(report, dict) or "attributes" not in report or report.get("format") != 1:
        raise UserError(f"{path} is no report of this version: make it with giantkiller evaluate -o")
    return report


def html(report: Mapping[str, Any], pictures: Mapping[str, tuple[bytes, str]]) -> str:
    """Write the page: one file with everything inside, nothing loaded from elsewhere."""
    inside = {
        name: ("data:image/png;base64," + base64.b64encode(png).decode("ascii"), words)
        for name, (png, words) in pictures.items()
    }
    return _render("report.html.j2", escape=True, report=report, pictures=inside)


def card(report: Mapping[str, Any]) -> str:
    """Write a model card with Hugging Face metadata, the figures in its `model-index` included."""
    return _render("card.md.j2", escape=False, report=report, index=model_index(report))


def model_index(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the figures in the form of Hugging Face's `model-index`."""
    data = report["data"]["file"]
    results = []
    for attribute, block in report["attributes"].items():
        label, at = plots.deciding(block)
        cells = [("roc_auc", block["roc_auc"], "ROC-AUC"),
                 ("average_precision", block["average_precision"], "average precision"),
                 ("f1", at["f1"], f"F1 at {at['threshold']:.3f} ({label})"),
                 ("accuracy", at["accuracy"], f"accuracy at {at['threshold']:.3f} ({label})")]  # fmt: skip
        results.append(
            {
                "task": {"type": "text-classification", "name": f"{attribute} of comments"},
                "dataset": {"type": Path(data).stem, "name": data, "split": "test"},
                "metrics": [
                    {"type": kind, "name": f"{name}, {attribute}", "value": round(cell["value"], 4)}
                    for kind, cell, name in cells
                ],
            }
        )
    return [{"name": report["model"]["name"], "results": results}]


def _render(template: str, *, escape: bool, **values: Any) -> str:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("jinja2", "judge") from error
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=escape,
    )
    environment.filters |= {"number": number, "figure": figure, "shade": shade, "words": words}
    # JSON is YAML: metadata needs no second way of quoting.
    environment.filters["yaml"] = lambda value: json.dumps(value, ensure_ascii=True)
    environment.globals |= {"NAMES": NAMES, "ATTRIBUTES": ATTRIBUTES, "DEFINITIONS": DEFINITIONS}
    return str(environment.get_template(template).render(**values))
