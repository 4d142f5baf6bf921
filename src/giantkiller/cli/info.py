"""`giantkiller info`: what is in a model."""

import json
from typing import TYPE_CHECKING, Any

import click

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cli.options import json_option
from giantkiller.cli.terminal import printable, table

if TYPE_CHECKING:
    from giantkiller.bundle import Bundle
    from giantkiller.policy import Policy


@click.command(
    epilog="""Examples:

\b
  giantkiller info
  giantkiller info ./my-bundle --json | jq .policy > strict.json
"""
)
@click.argument("model", default="default", metavar="[MODEL]")
@json_option("The whole manifest, with the digest, as JSON.")
def command(model: str, as_json: bool) -> None:
    """Show what is in a model, and verify a bundle's files.

    MODEL is `default` (the shipped bundle), a bundle or checkpoint folder, a hub id of either. The digest is
    a SHA-256 over all of it: two models with one digest are the same.
    """
    from giantkiller.bundle import DEFAULT_NAME
    from giantkiller.loading import describe

    bundle = describe(model)
    if as_json:
        about = {"folder": str(bundle.folder), "digest": bundle.digest, "bytes": bundle.bytes}
        click.echo(json.dumps({**about, **bundle.to_dict()}, indent=2))
        return
    click.echo(table(_facts(bundle), left=(0, 1)))
    click.echo(f"\n{_attributes(bundle)}")
    for name in (DEFAULT_NAME, *bundle.policies):
        click.echo(f"\npolicy {printable(name)}\n{_policy(bundle.choose_policy(name))}")
    files = [[name, f"{record.bytes:,}", record.sha256] for name, record in bundle.files.items()]
    click.echo("\n" + table(files, ("file", "bytes", "sha256"), left=(0, 2)))


def _facts(bundle: "Bundle") -> list[list[str]]:
    facts: dict[str, Any] = {
        "name": f"{bundle.name} {bundle.version}",
        "folder": bundle.folder,
        "digest": bundle.digest,
        "size": f"{bundle.bytes:,} bytes",
        "reads": f"{bundle.max_length} tokens of a comment",
    }
    # Provenance is free-form: a bundle need not have any of these.
    for key in ("parameters", "quantization", "exported_by"):
        if key in bundle.provenance:
            value = bundle.provenance[key]
            facts[key.replace("_", " ")] = f"{value:,}" if isinstance(value, int) else value
    if isinstance(bundle.provenance.get("labels"), list):
        facts["labels"] = ", ".join(bundle.provenance["labels"])
    if isinstance(bundle.provenance.get("dendrites"), dict):
        facts["dendrites"] = f"on {len(bundle.provenance['dendrites'])} layers"
    return [[name, str(value)] for name, value in facts.items()]


def _attributes(bundle: "Bundle") -> str:
    validation = bundle.figures.get("validation")
    rows = []
    for attribute in ATTRIBUTES:
        line = bundle.calibration[attribute]
        judged = validation.get(attribute) if isinstance(validation, dict) else None
        figures = [
            f"{value:.4f}" if isinstance(value, float) else "-"
            for value in (
                judged.get(key) if isinstance(judged, dict) else None
                for key in ("roc_auc", "average_precision")
            )
        ]
        numbers = (bundle.threshold[attribute], line.slope, line.intercept)
        curved = f"{len(line.curve)} points" if line.curve else "-"
        rows.append([attribute, *(f"{number:.3f}" for number in numbers), curved, *figures])
    shown = [0, 1, 2, 3, 5, 6]
    if any(bundle.calibration[attribute].curve for attribute in ATTRIBUTES):
        shown.insert(4, 4)
    headings = ("attribute", "positive from", "slope", "intercept", "curve", "ROC-AUC", "average precision")
    return table([[row[i] for i in shown] for row in rows], [headings[i] for i in shown])


def _policy(policy: "Policy") -> str:
    from giantkiller.policy import ACTIONS

    rows = [
        [attribute, *(f"{steps[a]:.3f}" if a in steps else "-" for a in ACTIONS[1:])]
        for attribute, steps in policy.items()
        if steps
    ]
    return table(rows, ("from a score of", *ACTIONS[1:])) if rows else "allows everything"
