"""`giantkiller export`: a checkpoint becomes a bundle."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from giantkiller.cli._extras import need_extra
from giantkiller.cli.logs import log_to_stderr
from giantkiller.cli.options import json_option, policy_option
from giantkiller.cli.terminal import printable
from giantkiller.errors import UserError
from giantkiller.evaluation.thresholds import PolicyAims

if TYPE_CHECKING:
    from collections.abc import Callable

    from giantkiller.bundle import Bundle
    from giantkiller.data.labelled import Labelled
    from giantkiller.policy import Policy

_AIMS = PolicyAims()


@click.command()
@click.argument("checkpoint", metavar="MODEL")
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
@click.option("--half", is_flag=True, help="Store weights in 16 bits (huggingface only).")
@click.option(
    "--quantize",
    type=click.Choice(["static", "none"]),
    default="static",
    show_default=True,
    help="static: int8 throughout; none: float32.",
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
    "--vocabulary-times",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How often those comments must use a word for it to stay.",
)
@click.option(
    "--remove-precision",
    type=click.FloatRange(0, 1),
    default=_AIMS.remove_precision,
    show_default=True,
    help="Policy: share of removed comments that must be toxic.",
)
@click.option(
    "--review-recall",
    type=click.FloatRange(0, 1),
    default=_AIMS.review_recall,
    show_default=True,
    help="Policy: share of toxic comments that must be removed or reviewed.",
)
@click.option(
    "--monitor-recall",
    type=click.FloatRange(0, 1),
    default=_AIMS.monitor_recall,
    show_default=True,
    help="Policy: share of toxic comments that must not be allowed without a trace.",
)
@click.option(
    "--presets",
    is_flag=True,
    help="Policy: in place of these aims, fit the presets family, forum and adults by how many harmless "
    "comments each may flag; forum becomes the bundle's own. The first file of labelled comments counts.",
)
@click.option("--name", help="The bundle's name.  [default: the checkpoint folder's]")
@click.option("--model-version", help="The bundle's version.  [default: giantkiller's]")
@policy_option
@json_option("Print what was written as JSON.")
def command(
    checkpoint: str,
    output: Path,
    calibration_data: tuple[Path, ...],
    text_column: str | None,
    kind: str,
    labels: str,
    half: bool,
    quantize: str,
    max_length: int | None,
    vocabulary: tuple[Path, ...],
    vocabulary_times: int,
    remove_precision: float,
    review_recall: float,
    monitor_recall: float,
    presets: bool,
    name: str | None,
    model_version: str | None,
    policy: "Policy | str | None",
    as_json: bool,
) -> None:
    """Turn a checkpoint (a Hugging Face folder that training wrote) into a bundle.

    MODEL is a checkpoint folder or its hub id; a bundle's checkpoint is rebuilt first. For the format web it
    is a bundle.

    Examples:

    \b
      giantkiller export runs/release -o my-bundle --calibration-data validation.csv
      giantkiller export runs/release -o small --vocabulary comments.csv
      giantkiller export runs/release -o for-transformers --format huggingface --labels two
      giantkiller export default -o page.html --format web
    """
    if kind == "web":
        _export_web(checkpoint, output, policy, as_json)
        return
    if policy is not None:
        raise UserError("`policy` is for `kind` web; a bundle's own policy is fitted on `calibration_data`")
    if vocabulary_times > 1 and not vocabulary:
        raise UserError("`vocabulary_times` counts words of `vocabulary`; name files for it")
    need_extra("train", "torch", "transformers", "onnx", "jinja2", "pyarrow")
    log_to_stderr()
    if kind == "huggingface":
        _export_huggingface(checkpoint, output, labels, half, vocabulary, as_json)
        return
    if half:
        raise UserError("`half` is for `kind` huggingface; a bundle has what `quantize` says")
    if labels == "two":
        raise UserError("a bundle always has the seven attributes; `labels` two needs `kind` huggingface")
    from giantkiller.export.bundling import export_bundle

    read = _reader(text_column)
    bundle = export_bundle(
        checkpoint,
        output,
        validation=read(calibration_data),
        quantize=quantize,
        name=name,
        version=model_version,
        max_length=max_length,
        words_of={name: labelled.texts for name, labelled in read(vocabulary).items()},
        word_times=vocabulary_times,
        aims=PolicyAims(remove_precision, review_recall, monitor_recall),
        presets=presets,
    )
    _print(bundle, as_json)


def _export_web(model: str, output: Path, policy: "Policy | str | None", as_json: bool) -> None:
    from giantkiller.export.web import export_web

    page = export_web(model, output, policy=policy)
    size = page.stat().st_size
    about = {"output": str(page), "bytes": size}
    click.echo(json.dumps(about) if as_json else printable(f"wrote {page}: {size:,} bytes"))


def _export_huggingface(
    checkpoint: str, output: Path, labels: str, half: bool, vocabulary: tuple[Path, ...], as_json: bool
) -> None:
    if vocabulary:
        raise UserError("`vocabulary` is for bundles; a Hugging Face folder keeps all words")
    from giantkiller.export.huggingface import export_huggingface

    written = export_huggingface(checkpoint, output, labels=labels, half=half)
    about = {"output": str(written), "labels": labels}
    click.echo(json.dumps(about) if as_json else printable(f"wrote {written}"))


def _reader(text_column: str | None) -> "Callable[[tuple[Path, ...]], dict[str, Labelled]]":
    """Make a function that reads files by name, each file once."""
    from giantkiller.data.labelled import read_labelled

    known: dict[Path, Labelled] = {}

    def read(paths: tuple[Path, ...]) -> "dict[str, Labelled]":
        if len({path.name for path in paths}) < len(set(paths)):
            raise UserError(
                "two of the files have one name; rename one, so that the bundle can tell them apart"
            )
        for path in paths:
            if path.resolve() not in known:
                known[path.resolve()] = read_labelled(path, text_column=text_column)
        return {path.name: known[path.resolve()] for path in paths}

    return read


def _print(bundle: "Bundle", as_json: bool) -> None:
    words = bundle.provenance.get("vocabulary", {})
    if as_json:
        about = {"output": str(bundle.folder), "name": bundle.name, "bytes": bundle.bytes}
        click.echo(json.dumps({**about, "vocabulary": words, "figures": dict(bundle.figures)}))
        return
    click.echo(printable(f"wrote {bundle.folder}: {bundle.name} {bundle.version}, {bundle.bytes:,} bytes"))
    if words:
        click.echo(f"  vocabulary: {words['rows']:,} of {words['of']:,} words stay")
    for file, part in words.get("coverage", {}).items():
        click.echo(
            f"  {printable(file)}: they are {part['tokens_kept']:.2%} of the tokens, and all of the tokens "
            f"in {part['comments_kept']:.2%} of {part['comments']:,} comments"
        )
    for attribute, row in bundle.figures.get("validation", {}).items():
        click.echo(
            f"  {attribute}: AP {row['average_precision']:.4f} (lost {row['average_precision_lost']:+.5f}), "
            f"ROC-AUC {row['roc_auc']:.4f} on {row['rows']:,} rows of {printable(row['file'])}"
        )
