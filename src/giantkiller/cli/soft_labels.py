"""`giantkiller soft-labels`: a teacher's logits for any texts."""

from pathlib import Path

import click


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--data",
    "-d",
    "files",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="File with comments (Parquet, CSV, TSV, JSON Lines); may be given several times.",
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
@click.option("--seed", default=1, show_default=True, help="Seed of what --remixes makes up.")
@click.option(
    "--holdout-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Leave out the comments that a recipe with the same data.holdout_fraction leaves out.",
)
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="Parquet file to write.")
@click.option("--max-length", default=256, show_default=True, help="Tokens a comment; what is longer is cut.")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True)
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

    MODEL is a checkpoint folder or a hub name of a classifier whose labels are among the seven attributes.
    A recipe learns from the result when data.soft_labels names it. With --sentences a teacher tells which
    part of a comment it means, in more and shorter texts than raters ever saw; with --remixes it judges texts
    that nobody wrote, as many as you like.

    Example: giantkiller soft-labels runs/teacher -d comments.csv -o soft.parquet
    """
    from giantkiller.cli._extras import need_extra

    need_extra("train", "torch", "transformers", "pyarrow")
    from tqdm import tqdm

    from giantkiller.data.augment.remixes import remix, similar_words
    from giantkiller.data.augment.sentences import split_sentences
    from giantkiller.data.holdout import is_held_out, merge_key
    from giantkiller.data.sources import read_labelled
    from giantkiller.errors import UserError
    from giantkiller.training.distill import write_soft_labels
    from giantkiller.training.teacher import average, load_teacher, word_vectors

    if sentences and remixes:
        raise UserError("--sentences and --remixes cannot go together; call twice, into two files")
    if output.is_dir() or not output.parent.is_dir():
        raise UserError(f"the output {output} cannot be written; name a file in a folder that exists")
    teachers = average([load_teacher(name, max_length, precision) for name in models])
    texts: dict[str, str] = {}
    for file in files:
        comments = read_labelled(file, text_column=text_column).texts
        count = min(len(comments), most or len(comments))
        for text in (comments[i * len(comments) // count] for i in range(count)):
            if holdout_fraction and is_held_out(text, holdout_fraction):
                continue
            for part in split_sentences(text) if sentences else [text]:
                texts.setdefault(merge_key(part), part)
    if remixes and texts:
        made_up = remix(list(texts.values()), remixes, seed, similar_words(*word_vectors(models[0])))
        texts = {merge_key(text): text for text in made_up}
    if not texts:
        raise UserError(f"{', '.join(map(str, files))}: no {'sentence' if sentences else 'comment'} to label")
    with tqdm(total=len(texts), unit="text", desc=output.name, disable=None) as bar:
        write_soft_labels(output, list(texts.values()), teachers, bar.update)
    click.echo(f"{len(texts)} texts, logits of {len(models)} model(s): {output}")
