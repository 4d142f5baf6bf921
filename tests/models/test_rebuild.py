"""The shipped bundle taken apart: a checkpoint that computes what the bundle does."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnx
import torch
from checkpoints import write_checkpoint
from onnx import numpy_helper
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

import giantkiller.models  # noqa: F401
from giantkiller import Screener
from giantkiller.bundle import read_bundle
from giantkiller.errors import UserError
from giantkiller.export.bundling import export_bundle
from giantkiller.export.kernels import KINDS
from giantkiller.models.loading import load_checkpoint
from giantkiller.models.rebuild import rebuild_checkpoint, rebuild_tensors

TEXTS = [
    "You are an idiot and everyone in this thread knows it.",
    "Thanks for explaining, I had not thought of the rain.",
    "I hope you get fired, you pathetic clown.",
    "The black community here has asked for a new library.",
    "ok",
    "If I see you outside that pub I will break your nose, and nobody will stop me. " * 4,
]


def test_a_rebuilt_checkpoint_computes_the_bundles_logits(tmp_path):
    rebuild_checkpoint(read_bundle(None), tmp_path / "checkpoint")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "checkpoint").eval()
    screener = Screener(threads=1)
    rows = [np.frombuffer(row, np.int32).astype(np.int64) for row in screener.encoder.encode(TEXTS)]
    with torch.no_grad():
        logits = [model(input_ids=torch.from_numpy(row.copy())[None]).logits[0].numpy() for row in rows]
    # What differs is the rounding of activations to eight bits.
    assert np.abs(np.array(logits) - screener.logits(TEXTS)).max() < 0.25


def dense(blocks):
    """(h, m, 1, n) to a block-diagonal (h * m, h * n)."""
    heads, rows, _, columns = blocks.shape
    whole = np.zeros((heads * rows, heads * columns), np.float32)
    for head, block in enumerate(blocks[:, :, 0]):
        whole[head * rows : (head + 1) * rows, head * columns : (head + 1) * columns] = block
    return whole


def compact(whole, heads):
    """The other way round."""
    rows, columns = (length // heads for length in whole.shape)
    corners = [(head * rows, head * columns) for head in range(heads)]
    return np.stack([whole[r : r + rows, c : c + columns] for r, c in corners])[:, :, None]


def test_bundles_with_zeros_between_heads_and_without_are_taken_apart(monkeypatch):
    bundle = read_bundle(None)
    now, heads = rebuild_tensors(bundle)
    model = onnx.load(str(bundle.model))
    for tensor in model.graph.initializer:
        if tensor.name.endswith(("_look", "_read")):
            held = numpy_helper.to_array(tensor)
            other = dense(held) if held.ndim == 4 else compact(held, heads)
            tensor.CopyFrom(numpy_helper.from_array(other, tensor.name))
    monkeypatch.setattr(onnx, "load", lambda path: model)
    other, same = rebuild_tensors(bundle)
    assert same == heads
    assert now.keys() == other.keys()
    for name, tensor in now.items():
        np.testing.assert_array_equal(other[name], tensor)


@pytest.mark.parametrize("kind", KINDS)
def test_phrases_come_back_from_either_kind_of_bundle(tmp_path, kind):
    folder = write_checkpoint(tmp_path / "checkpoint", phrases=64)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.bert.phrases.weight.copy_(torch.linspace(-2, 3, 64))
        model.bert.phrases.checks.copy_(torch.arange(64) * 3)
    model.save_pretrained(folder)
    bundle = export_bundle(folder, tmp_path / "bundle", quantize=kind)
    tensors, _ = rebuild_tensors(bundle)
    assert tensors["bert.phrases.checks"].tolist() == (np.arange(64) * 3).tolist()
    np.testing.assert_allclose(tensors["bert.phrases.weight"], np.linspace(-2, 3, 64), atol=1.6e-2)


def test_phrases_of_another_kind_are_refused(monkeypatch):
    bundle = read_bundle(None)
    model = onnx.load(str(bundle.model))
    kept = next(tensor for tensor in model.graph.initializer if tensor.name == "phrases")
    kept.CopyFrom(numpy_helper.from_array(np.zeros(4, np.int8), "phrases"))
    monkeypatch.setattr(onnx, "load", lambda path: model)
    with pytest.raises(UserError, match=r"as giantkiller 0.8.0 made them"):
        rebuild_tensors(bundle)


def test_a_checkpoint_with_phrases_of_another_kind_is_refused(tmp_path):
    folder = write_checkpoint(tmp_path / "checkpoint", phrases=64)
    tensors = load_file(folder / "model.safetensors")
    del tensors["bert.phrases.checks"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"as giantkiller 0\.8\.0 made them"):
        load_checkpoint(str(folder))
