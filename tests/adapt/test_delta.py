"""What was learned, apart from the model."""

import json

import pytest

pytest.importorskip("torch")

import torch
from checkpoints import write_checkpoint
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification

from giantkiller.adapt import Delta, Settings, read_delta
from giantkiller.adapt.delta import KEY
from giantkiller.adapt.methods import attach
from giantkiller.errors import UserError

IDS = torch.tensor([[2, 7, 9, 11, 3]])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("delta") / "checkpoint", dendrites={"classifier": 1})


def load(folder):
    return AutoModelForSequenceClassification.from_pretrained(folder).eval()


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


@pytest.mark.parametrize("method", ["low-rank", "dendrites", "head", "bias", "full"])
def test_a_delta_computes_what_was_learned(checkpoint, tmp_path, method):
    before = logits(load(checkpoint))
    model = load(checkpoint)
    learning = attach(model, Settings(method=method))
    assert torch.allclose(logits(model), before, atol=1e-6)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in learning.parameters.values():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    learned = logits(model)
    assert (learned - before).abs().max() > 0.01
    delta = Delta(learning.tensors(), ("base",), {"method": method})
    delta.save(tmp_path / "d")
    again = read_delta(tmp_path / "d")
    assert (again.digest, again.base, again.about) == (delta.digest, delta.base, delta.about)
    fresh = load(checkpoint)
    again.apply(fresh)
    assert torch.allclose(logits(fresh), learned, atol=1e-5)


def test_learning_is_drawn_by_the_seed(checkpoint):
    settings = [Settings(method="low-rank", seed=seed) for seed in (1, 1, 2)]
    drawn = [attach(load(checkpoint), each).tensors() for each in settings]
    digests = [Delta(tensors, ("base",)).digest for tensors in drawn]
    assert digests[0] == digests[1] != digests[2]
    assert Delta(drawn[0], ("other",)).digest != digests[0]


@pytest.mark.parametrize("name", ["nothing.add", "classifier.bias.add", "pooler.dendrite_weight"])
def test_a_delta_that_does_not_fit_is_refused(checkpoint, name):
    with pytest.raises(UserError, match="doesn't fit the model"):
        Delta({name: torch.zeros(3)}, ("base",)).apply(load(checkpoint))


def test_what_is_no_delta_is_refused(tmp_path):
    path = tmp_path / "d"
    with pytest.raises(UserError, match="can't read"):
        read_delta(path)
    header = {KEY: json.dumps({"format": 1, "base": ["b"], "about": {}})}
    path.write_bytes(b"\x80\x04never unpickled")
    with pytest.raises(UserError, match="no delta, or damaged"):
        read_delta(path)
    for tensors in (
        {"a.add": torch.full((2,), float("nan"))},
        {"a": torch.zeros(2)},
        {"a.up": torch.zeros(2, 1)},
        {"a.add": torch.zeros(2, dtype=torch.int64)},
    ):
        save_file(tensors, path, metadata=header)
        with pytest.raises(UserError, match="damaged"):
            read_delta(path)
    save_file({"a.add": torch.zeros(2)}, path)
    with pytest.raises(UserError, match="no delta, or damaged"):
        read_delta(path)
