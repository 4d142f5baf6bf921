import pytest
import torch
from checkpoints import write_checkpoint
from transformers import AutoModelForSequenceClassification

from giantkiller.errors import UserError
from giantkiller.export.checkpoint import read_checkpoint


def test_unfit_checkpoints_are_refused_in_one_sentence(tiny_bundle, tmp_path):
    with pytest.raises(UserError, match="neither a bundle"):
        read_checkpoint(tmp_path)
    with pytest.raises(UserError, match="was not built by this package"):
        read_checkpoint(tiny_bundle)
    other = write_checkpoint(tmp_path / "other", attributes=["a", "b"])
    with pytest.raises(UserError, match="labels a, b"):
        read_checkpoint(other)
    cut = write_checkpoint(tmp_path / "cut")
    with (cut / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(UserError, match="could not be loaded"):
        read_checkpoint(cut)
    broken = write_checkpoint(tmp_path / "nan")
    model = AutoModelForSequenceClassification.from_pretrained(broken)
    with torch.no_grad():
        model.classifier.weight[0, 0] = float("nan")
    model.save_pretrained(broken)
    with pytest.raises(UserError, match="no numbers"):
        read_checkpoint(broken)


def test_a_checkpoint_says_what_it_is(dendritic_bert):
    source = read_checkpoint(dendritic_bert)
    assert (source.name, source.max_length, source.record) == ("small", 48, {})
    (dendritic_bert / "training").mkdir(exist_ok=True)
    record = dendritic_bert / "training" / "record.json"
    record.write_text("{")
    try:
        with pytest.raises(UserError, match="is damaged"):
            read_checkpoint(dendritic_bert)
    finally:
        record.unlink()
        record.parent.rmdir()
