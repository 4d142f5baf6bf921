"""The shipped bundle taken apart: a checkpoint that computes what the bundle does."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import torch
from transformers import AutoModelForSequenceClassification

import giantkiller.models  # noqa: F401
from giantkiller import Screener
from giantkiller.bundle import read_bundle
from giantkiller.models.rebuild import rebuild_checkpoint

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
