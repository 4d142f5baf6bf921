"""The model card, written with every bundle and every Hugging Face export."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from giantkiller.attributes import ATTRIBUTES, DEFINITIONS
from giantkiller.errors import MissingExtraError

TEMPLATES = Path(__file__).parent
LICENSE = "apache-2.0"
DATASETS = {"civil": "google/civil_comments", "wiki": "google/jigsaw_toxicity_pred"}
"""Data files by the beginning of their names, and the public data sets they come from."""


def render(
    *,
    name: str,
    version: str,
    max_length: int,
    provenance: Mapping[str, Any],
    figures: Mapping[str, Any],
    sizes: Mapping[str, int],
    threshold: Mapping[str, float],
    policy: Mapping[str, Mapping[str, float]],
) -> str:
    """Write a bundle's card from what its manifest says; nothing on it is typed in by hand."""
    return _render(
        "card.md.j2",
        **_common(name, max_length, provenance),
        version=version,
        figures=figures,
        sizes=sizes,
        threshold=threshold,
        policy=policy,
    )


def render_huggingface(name: str, labels: str, max_length: int, provenance: Mapping[str, Any]) -> str:
    """Write the card of a Hugging Face export."""
    return _render("huggingface.md.j2", **_common(name, max_length, provenance), labels=labels)


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
            {hub for begin, hub in DATASETS.items() if any(f.startswith(begin) for f in files)}
        ),
        "attributes": ATTRIBUTES,
        "definitions": DEFINITIONS,
    }


def _render(template: str, **values: Any) -> str:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("jinja2", "train") from error
    # Markdown, not HTML: escaping would show up as characters.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return str(environment.get_template(template).render(**values))
