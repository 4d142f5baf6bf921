"""A checkpoint as a folder that transformers loads without this package."""

from pathlib import Path

from giantkiller.atomic import replace_folder
from giantkiller.errors import UserError
from giantkiller.export import card
from giantkiller.export.checkpoint import provenance_of, read_checkpoint


def export_huggingface(
    checkpoint: str | Path, output: str | Path, *, labels: str = "two", half: bool = False
) -> Path:
    """Write a checkpoint as a Hugging Face folder that loads without this package (trust_remote_code=True).

    Args:
        checkpoint: What `giantkiller.models.loading.resolve` understands.
        output: The new folder; must not exist, or be empty.
        labels: "two" for the logits [0, z_toxicity], "attributes" for all seven.
        half: Store the weights in 16 bits; the config still asks for 32, in which they load.

    Raises:
        UserError: The checkpoint can't be read, or the place can't be written.
    """
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"`output` {output} exists and is not empty; name another folder")
    source = read_checkpoint(checkpoint)
    from giantkiller.models.loading import load_tokenizer

    source.model.config.labels_view = labels
    source.model.config.show_view()
    tokenizer = load_tokenizer(str(checkpoint))
    tokenizer.model_max_length = source.max_length
    text = card.render_huggingface(output.name, labels, source.max_length, provenance_of(source, "none"))
    weights = source.model.state_dict()
    if half:
        weights = {name: w.half() if w.is_floating_point() else w for name, w in weights.items()}
    with replace_folder(output) as fresh:
        source.model.save_pretrained(fresh, state_dict=weights)
        tokenizer.save_pretrained(fresh)
        (fresh / "README.md").write_text(text, encoding="utf-8")
    return output
