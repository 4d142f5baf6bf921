"""`giantkiller soft-labels`: a teacher's logits for any texts."""

from pathlib import Path

import click

from giantkiller.cli.terminal import printable
from giantkiller.files.formats import ENDINGS


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--data",
    "-d",
    "files",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help=f"File with comments: {ENDINGS}; may be given several times.",
)
@click.option("--text-column", help="Column with the comments, if its name is not a common one.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    help="Label at most so many comments of each file, an even spread over it.",
)
@click.option(
    "--sentences",
    is_flag=True,
    help="Label the sentences of comments that have several, each by itself, instead of the comments.",
)
@click.option(
    "--remixes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Label N comments made up from sentences of the comments, some words exchanged for similar ones.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=1,
    show_default=True,
    help="Seed of what --remixes makes up.",
)
@click.option(
    "--holdout-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Leave out the comments that a recipe with the same data.holdout_fraction leaves out.",
)
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help=f"File to write; its ending says how: {ENDINGS}.",
)
@click.option(
    "--max-length",
    type=click.IntRange(8, 512),
    default=256,
    show_default=True,
    help="Tokens a comment; what is longer is cut.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="auto: bf16 on GPUs that have it.",
)
def command(
    models: tuple[str, ...],
    files: tuple[Path, ...],
    text_column: str | None,
    most: int | None,
    sentences: bool,
    remixes: int | None,
    seed: int,
    holdout_fraction: float,
    output: Path,
    max_length: int,
    precision: str,
) -> None:
    """Write the logits of one MODEL, or the mean of several, for the comments of some files.

    MODEL is `default` (the shipped bundle), a bundle or checkpoint folder, a hub id of either; its labels
    must be among the seven attributes. Of a bundle the checkpoint behind it is rebuilt.
    A recipe learns from the result when one of its sources names it. With --sentences a teacher tells which
    part of a comment it means, in more and shorter texts than raters ever saw; with --remixes it judges texts
    that nobody wrote, as many as you like.

    Example: giantkiller soft-labels runs/teacher -d comments.csv -o soft.parquet
    """
    from giantkiller.cli._extras import need_extra

    need_extra("train", "torch", "transformers", "pyarrow", "msgspec")
    from tqdm import tqdm

    from giantkiller.errors import UserError
    from giantkiller.models.loading import load_checkpoint
    from giantkiller.training import soft_labels, teacher

    if sentences and remixes:
        raise UserError("`sentences` and `remixes` cannot go together; call twice, into two files")
    soft_labels.check_output(output, files)
    classifiers = [load_checkpoint(name) for name in models]
    teachers = [teacher.as_teacher(classifier, max_length, precision) for classifier in classifiers]
    texts = soft_labels.texts_to_label(
        files,
        text_column=text_column,
        most=most,
        sentences=sentences,
        holdout_fraction=holdout_fraction,
    )
    if remixes:
        texts = soft_labels.remixed(texts, remixes, seed, *teacher.word_vectors(classifiers[0]))
    with tqdm(total=len(texts), unit="text", desc=printable(output.name), disable=None) as bar:
        soft_labels.write_soft_labels(output, texts, teacher.average(teachers), bar.update)
    click.echo(printable(f"{len(texts)} texts, logits of {len(models)} model(s): {output}"))
