import pytest
import torch
from torch import nn

from giantkiller.dendrites import DendriteError, perforate
from giantkiller.dendrites import state as states


def grown(dendrites=1, width=3):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))
    perforate(model)
    model[0].grow(dendrites)
    return model


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_restoring_undoes_all_that_growth_can_change():
    model = grown()
    model[0].freeze_dendrites(True)
    model[0].bias.requires_grad_(False)
    state = states.capture(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model[0].grow(2)
    model[0].freeze_dendrites(False)
    model[0].bias.requires_grad_(True)
    model(torch.randn(4, 2)).sum().backward()
    with torch.no_grad():
        model[0].weight.zero_()
    states.restore(model, state)
    assert same(before, model.state_dict())
    assert model[0].detached
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"0.bias", "0.dendrite_weight", "0.dendrite_bias"}
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_saved_state_reads_as_it_was_written(tmp_path):
    model, other = grown(2), grown(0)
    states.save(states.capture(model), tmp_path / "state", {"number": 3})
    assert [file.name for file in tmp_path.iterdir()] == ["state"]
    state, note = states.load(tmp_path / "state")
    states.restore(other, state)
    assert same(other.state_dict(), model.state_dict())
    assert note == {"number": 3}


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (nn.Sequential(nn.Linear(2, 3)), "only the saved state has '1.bias'"),
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)), "only the model has '2.bias'"),
        (nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4)), r"'0.weight' is \(3, 2\) there, \(4, 2\) here"),
    ],
)
def test_a_state_of_another_model_is_refused(other, sentence):
    with pytest.raises(DendriteError, match=sentence):
        states.restore(other, states.capture(grown(0)))


@pytest.mark.parametrize("content", [None, b"", b"junk"])
def test_a_damaged_file_is_said_in_a_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "state").write_bytes(content)
    with pytest.raises(DendriteError, match="no saved state of a growing model"):
        states.load(tmp_path / "state")
