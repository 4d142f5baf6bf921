import numpy as np
import pytest
import torch
from checkpoints import reference_logits
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from giantkiller.errors import UserError
from giantkiller.export.huggingface import export_huggingface


def test_two_labels_for_transformers(dendritic_bert, tmp_path):
    folder = export_huggingface(dendritic_bert, tmp_path / "two", labels="two")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenize = AutoTokenizer.from_pretrained(folder)
    inputs = tokenize("you are stupid", truncation=True, padding=True, max_length=48, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits
    assert logits.shape == (1, 2)
    expected = 1 / (1 + np.exp(-reference_logits(dendritic_bert, ["you are stupid"])[0, 0]))
    assert abs(torch.softmax(logits, -1)[0, 1].item() - expected) < 1e-6
    assert model.config.id2label == {0: "non-toxic", 1: "toxic"}
    assert "trust_remote_code=True" in (folder / "README.md").read_text()
    assert {p.name for p in folder.iterdir()} >= {"modeling_dendritic_bert.py", "dendritic_layers.py"}
    with pytest.raises(UserError, match="not empty"):
        export_huggingface(dendritic_bert, folder)


def test_half_the_bytes(dendritic_bert, tmp_path):
    whole = export_huggingface(dendritic_bert, tmp_path / "whole", labels="attributes")
    half = export_huggingface(dendritic_bert, tmp_path / "half", labels="attributes", half=True)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (whole, half)]
    assert sizes[1] < 0.6 * sizes[0]
    weights, rounded = (
        AutoModelForSequenceClassification.from_pretrained(folder).state_dict() for folder in (whole, half)
    )
    assert weights.keys() == rounded.keys()
    for name, weight in weights.items():
        assert rounded[name].dtype == weight.dtype
        torch.testing.assert_close(rounded[name], weight, rtol=1e-3, atol=1e-6)
    assert any((rounded[name] != weight).any() for name, weight in weights.items())
