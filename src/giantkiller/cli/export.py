"""`giantkiller export`: a checkpoint becomes a bundle."""

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from giantkiller.cli.options import policy_option

if TYPE_CHECKING:
    from giantkiller.policy import Policy


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@click.option(
    "--calibration-data",
    "-c",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Labelled comments that calibration, thresholds and policy are fitted on; the first file that "
    "labels an attribute sets it, and of training files only held-out rows count.",
)
@click.option("--text-column", help="Their column of comments, if it has an uncommon name.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["bundle", "huggingface", "web"]),
    default="bundle",
    show_default=True,
    help="bundle: for giantkiller; huggingface: for transformers, with the code it needs; web: one HTML file "
    "that screens comments in a browser, made of a bundle instead of a checkpoint.",
)
@click.option(
    "--labels",
    type=click.Choice(["attributes", "two"]),
    default="attributes",
    show_default=True,
    help="two: the logits non-toxic and toxic (huggingface only).",
)
@click.option(
    "--quantize",
    type=click.Choice(["static", "blocks", "table", "none"]),
    default="static",
    show_default=True,
    help="static: int8 throughout; blocks: 8-bit weights; table: int8 embeddings only; none: float32.",
)
@click.option(
    "--max-length", type=click.IntRange(min=8), help="Tokens read of a comment.  [default: as trained]"
)
@click.option(
    "--vocabulary",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Comments, labelled or not: only the words that they use stay in the bundle, and others are read as "
    "unknown. May be given several times.  [default: all words stay]",
)
@click.option(
    "--vocabulary-count",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How often those comments must use a word for it to stay.",
)
@click.option(
    "--remove-precision",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="Policy: share of removed comments that must be toxic.",
)
@click.option(
    "--review-recall",
    type=click.FloatRange(0, 1),
    default=0.7,
    show_default=True,
    help="Policy: share of toxic comments that must be removed or reviewed.",
)
@click.option(
    "--monitor-recall",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="Policy: share of toxic comments that must not be allowed without a trace.",
)
@click.option("--name", help="The bundle's name.  [default: the checkpoint folder's]")
@click.option("--model-version", help="The bundle's version.  [default: giantkiller's]")
@policy_option
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def command(
    checkpoint: Path,
    output: Path,
    calibration_data: tuple[Path, ...],
    text_column: str | None,
    kind: str,
    labels: str,
    quantize: str,
    max_length: int | None,
    vocabulary: tuple[Path, ...],
    vocabulary_count: int,
    remove_precision: float,
    review_recall: float,
    monitor_recall: float,
    name: str | None,
    model_version: str | None,
    policy: "Policy | str | None",
    as_json: bool,
) -> None:
    """Turn a CHECKPOINT (a Hugging Face folder that training wrote) into a bundle.

    Example: giantkiller export runs/release -o my-bundle --calibration-data validation.csv

    Example: giantkiller export runs/release -o small --vocabulary comments.csv --vocabulary-count 2

    Example: giantkiller export runs/release -o for-transformers --format huggingface --labels two

    Example: giantkiller export default -o page.html --format web
    """
    from giantkiller.errors import UserError

    if kind == "web":
        from giantkiller.export.web import export_web

        page = export_web(str(checkpoint), output, policy=policy)
        size = page.stat().st_size
        click.echo(
            json.dumps({"output": str(page), "bytes": size}) if as_json else f"wrote {page}: {size:,} bytes"
        )
        return
    if policy is not None:
        raise UserError("--policy is for --format web; a bundle's own policy is fitted on --calibration-data")
    from giantkiller.cli._extras import need_extra

    need_extra("train", "torch", "transformers", "onnx", "jinja2")
    from giantkiller.evaluation.thresholds import PolicyAims
    from giantkiller.export.bundling import export_bundle
    from giantkiller.export.huggingface import export_huggingface

    logging.basicConfig(level=logging.WARNING, format="giantkiller: %(message)s", stream=sys.stderr)
    if kind == "huggingface":
        if vocabulary:
            raise UserError("--vocabulary is for bundles; a Hugging Face folder keeps all words")
        written = export_huggingface(checkpoint, output, labels=labels)
        click.echo(json.dumps({"output": str(written), "labels": labels}) if as_json else f"wrote {written}")
        return
    if labels == "two":
        raise UserError("a bundle always has the seven attributes; add --format huggingface for --labels two")
    need_extra("train", "pyarrow")
    from giantkiller.data.sources import read_labelled

    def read(paths: tuple[Path, ...]) -> dict[str, Any]:
        if len({path.name for path in paths}) < len(set(paths)):
            raise UserError(
                "two of the files have one name; rename one, so that the bundle can tell them apart"
            )
        return {path.name: read_labelled(path, text_column=text_column) for path in paths}

    bundle = export_bundle(
        checkpoint,
        output,
        validation=read(calibration_data),
        quantize=quantize,
        name=name,
        version=model_version,
        max_length=max_length,
        words_of={name: labelled.texts for name, labelled in read(vocabulary).items()},
        word_count=vocabulary_count,
        aims=PolicyAims(remove_precision, review_recall, monitor_recall),
    )
    words = bundle.provenance.get("vocabulary", {})
    if as_json:
        about = {"output": str(bundle.folder), "name": bundle.name, "bytes": bundle.bytes}
        click.echo(json.dumps({**about, "vocabulary": words, "figures": dict(bundle.figures)}))
        return
    click.echo(f"wrote {bundle.folder}: {bundle.name} {bundle.version}, {bundle.bytes:,} bytes")
    if words:
        click.echo(f"  vocabulary: {words['rows']:,} of {words['of']:,} words stay")
    for file, part in words.get("coverage", {}).items():
        click.echo(
            f"  {file}: they are {part['tokens_kept']:.2%} of the tokens, and all of the tokens in "
            f"{part['comments_kept']:.2%} of {part['comments']:,} comments"
        )
    for attribute, row in bundle.figures.get("validation", {}).items():
        click.echo(
            f"  {attribute}: AP {row['average_precision']:.4f} (lost {row['average_precision_lost']:+.5f}), "
            f"ROC-AUC {row['roc_auc']:.4f} on {row['rows']:,} rows of {row['file']}"
        )
