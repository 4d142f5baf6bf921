"""The model card, written from what a bundle says of itself; nothing on it is typed in by hand."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from giantkiller.attributes import ATTRIBUTES, DEFINITIONS
from giantkiller.bundle import CARD, Bundle, write_bundle
from giantkiller.errors import UserError
from giantkiller.evaluation.figures import Figure, show, to_json
from giantkiller.evaluation.rendering import read_templates
from giantkiller.policy import ACTIONS

if TYPE_CHECKING:
    from giantkiller.evaluation.report import AttributeReport, Report

TEMPLATES = Path(__file__).parent
LICENSE = "apache-2.0"
DATASETS = {"civil": "google/civil_comments", "wiki": "google/jigsaw_toxicity_pred"}
"""Data files by the beginning of their names, and the public data sets they come from."""
KEPT = ("roc_auc", "average_precision", "best_f1", "ece")
KEPT_AT = ("precision", "recall", "f1", "accuracy", "false_positive_rate")
"""Figures of a report that a bundle keeps: without a threshold, and at its own."""


def render(bundle: Bundle, sizes: Mapping[str, int]) -> str:
    """Return the card of a bundle, with Hugging Face metadata.

    Args:
        bundle: What its manifest says.
        sizes: Bytes of each of its files.
    """
    return _render(
        "card.md.j2",
        **_common(bundle.name, bundle.max_length, bundle.provenance),
        bundle=bundle,
        sizes=sizes,
        followed=[name for name, line in bundle.calibration.items() if line.curve],
        index=_model_index(bundle),
    )


def render_huggingface(name: str, labels: str, max_length: int, provenance: Mapping[str, Any]) -> str:
    """Return the card of a Hugging Face export."""
    return _render("huggingface.md.j2", **_common(name, max_length, provenance), labels=labels)


def with_figures(bundle: Bundle, report: "Report") -> Bundle:
    """Return a bundle with the figures of a report, to be written by `update_card`.

    Args:
        bundle: The bundle that was evaluated.
        report: Of a labelled file that neither training nor any choice has seen.

    Raises:
        UserError: The report has no labelled file, or is about the bundle with another calibration.
    """
    if report.data is None or report.validation is not None:
        raise UserError(
            "a model card shows figures of a bundle as it is, on a labelled file: "
            "name `data`, and no `validation`"
        )
    test: dict[str, Any] = {
        "file": report.data.file,
        "rows": report.data.rows,
        "samples": report.settings.samples,
        "seed": report.settings.seed,
        "giantkiller": report.giantkiller,
        "attributes": {name: _attribute(block) for name, block in report.attributes.items()},
        "suites": {
            name: {"file": suite.file, "rows": suite.rows, "summary": suite.summary()}
            for name, suite in report.suites.items()
        },
    }
    if report.policy:
        test["policy"] = to_json(report.policy.consequences)
    if report.bias:
        rates = report.bias.error_rates
        test["identities"] = {
            "source": report.bias.source,
            "groups": {
                name: to_json(aucs) | {"false_positives": to_json(rates[name].false_positive_rate.difference)}
                for name, aucs in report.bias.jigsaw.identities.items()
            },
        }
    return replace(bundle, figures={**bundle.figures, "test": test})


def update_card(bundle: Bundle, output: Path | None = None) -> Bundle:
    """Write a bundle with the card of what it says now.

    Args:
        bundle: The bundle; its files are those of its folder.
        output: Where to; its own place if not given.

    Raises:
        UserError: The place can't be written.
    """
    files: dict[str, bytes | Path] = {name: bundle.folder / name for name in bundle.files if name != CARD}
    sizes = {name: record.bytes for name, record in bundle.files.items() if name != CARD}
    return write_bundle(output or bundle.folder, bundle, {**files, CARD: render(bundle, sizes).encode()})


def _attribute(block: "AttributeReport") -> dict[str, Any]:
    label, at = block.decided_at
    return {
        "rows": block.rows,
        "positives": block.positives,
        **{name: to_json(getattr(block, name)) for name in KEPT},
        "at": {
            "threshold": at.threshold,
            "name": label,
            **{name: to_json(getattr(at, name)) for name in KEPT_AT},
        },
    }


def _model_index(bundle: Bundle) -> list[dict[str, Any]]:
    """Return the figures in the form of Hugging Face's `model-index`."""
    test = bundle.figures.get("test") or {}
    results = []
    for attribute, block in test.get("attributes", {}).items():
        at = block.get("at")
        cells = [("roc_auc", block["roc_auc"], "ROC-AUC")]
        cells += [("average_precision", block["average_precision"], "average precision")]
        if at:
            cells += [
                ("f1", at["f1"], f"F1 at {at['threshold']:.3f}"),
                ("accuracy", at["accuracy"], f"accuracy at {at['threshold']:.3f}"),
            ]
        results.append(
            {
                "task": {"type": "text-classification", "name": f"{attribute} of comments"},
                "dataset": {"type": Path(test["file"]).stem, "name": test["file"], "split": "test"},
                "metrics": [
                    {"type": kind, "name": f"{name}, {attribute}", "value": round(cell["value"], 4)}
                    for kind, cell, name in cells
                ],
            }
        )
    return [{"name": f"{bundle.name} {bundle.version}", "results": results}] if results else []


def _common(name: str, max_length: int, provenance: Mapping[str, Any]) -> dict[str, Any]:
    recipe = provenance.get("training", {}).get("recipe", {})
    files = list(provenance.get("training", {}).get("data", {}))
    return {
        "name": name,
        "license": LICENSE,
        "max_length": max_length,
        "provenance": provenance,
        "recipe": recipe,
        "data_files": files,
        "datasets": sorted(
            {hub for begin, hub in DATASETS.items() if any(Path(f).name.startswith(begin) for f in files)}
        ),
        "attributes": ATTRIBUTES,
        "definitions": DEFINITIONS,
    }


def _figure(cell: Mapping[str, Any] | None, digits: int = 3) -> str:
    """Write a figure of the manifest with its interval."""
    if cell is None or cell.get("value") is None:
        return "–"
    value, low, high = (
        float("nan") if cell[name] is None else float(cell[name]) for name in ("value", "low", "high")
    )
    return show(Figure(value, low, high), digits)


def _cell(text: object) -> str:
    """Escape what would break a table of Markdown."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def _render(template: str, **values: Any) -> str:
    environment = read_templates(TEMPLATES, escape=False, extra="train")
    # JSON is YAML: metadata needs no second way of quoting.
    environment.filters["yaml"] = lambda value: json.dumps(value, ensure_ascii=True)
    environment.filters |= {"figure": _figure, "cell": _cell}
    environment.globals["ACTIONS"] = ACTIONS
    return str(environment.get_template(template).render(**values))
