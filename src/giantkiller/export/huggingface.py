"""A checkpoint as a folder that transformers loads without this package."""

import tempfile
from pathlib import Path

from giantkiller.errors import UserError
from giantkiller.export import card
from giantkiller.export.checkpoint import provenance_of, read_checkpoint


def export_huggingface(checkpoint: str | Path, output: str | Path, *, labels: str = "two") -> Path:
    """Write a checkpoint as a Hugging Face folder that loads without this package (trust_remote_code=True).

    Args:
        checkpoint: a Hugging Face folder with the seven attributes.
        output: the new folder; must not exist, or be empty.
        labels: "two" for the logits [0, z_toxicity], "attributes" for all seven.

    Raises:
        UserError: the checkpoint can't be read, or the place can't be written.
    """
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} exists and is not empty; name another folder")
    source = read_checkpoint(checkpoint)
    from transformers import AutoTokenizer

    model, config = source.model, source.model.config
    config.labels_view = labels
    config.show_view()
    tokenizer = AutoTokenizer.from_pretrained(source.folder)
    tokenizer.model_max_length = source.max_length
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as beside:
            fresh = Path(beside) / "new"
            model.save_pretrained(fresh)
            tokenizer.save_pretrained(fresh)
            text = card.render_huggingface(
                output.name, labels, source.max_length, provenance_of(source, "none")
            )
            (fresh / "README.md").write_text(text, encoding="utf-8")
            if output.exists():
                output.rmdir()
            fresh.rename(output)
    except OSError as error:
        raise UserError(f"can't write {output}: {error.strerror or error}") from error
    return output
