import pytest
import torch
from torch import nn

from giantkiller.dendrites import CorrelationRule, Errors, compact, dendritic_layers, perforate, sparse_layers
from giantkiller.dendrites.error_signal import watch


def make(kind, **options):
    """A convolution with two dendrites that have an effect, and an input for it."""
    torch.manual_seed(0)
    layer = kind(4, 6, 3, **options).double()
    model = nn.Sequential(layer)
    perforate(model, kind)
    layer.grow(2)
    with torch.no_grad():
        layer.dendrite_strength.normal_()
        layer.dendrite_cascade.normal_()
    return model, torch.randn(2, 4, *(7,) * (1 if kind is nn.Conv1d else 2), dtype=torch.float64)


OPTIONS = [
    {},
    {"bias": False},
    {"groups": 2},
    {"stride": 2, "padding": 1, "dilation": 2},
    {"padding": "same", "padding_mode": "circular"},
]


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d])
@pytest.mark.parametrize("options", OPTIONS)
def test_the_layer_computes_its_formula(kind, options):
    model, x = make(kind, **options)
    layer = model[0]
    plain = kind(4, 6, 3, **options).double()
    fired, outputs = [], []
    for d in range(3):
        weight = layer.weight if d == 0 else layer.dendrite_weight[(d - 1) * 6 : d * 6]
        bias = layer.bias if d == 0 else layer.dendrite_bias[(d - 1) * 6 : d * 6]
        outputs.append(plain._conv_forward(x, weight, bias))
    wide = (6, *(1,) * (x.ndim - 2))
    fired.append(torch.tanh(outputs[1]))
    fired.append(torch.tanh(outputs[2] + layer.dendrite_cascade[0].view(wide) * fired[0]))
    expected = outputs[0] + sum(layer.dendrite_strength[d].view(wide) * fired[d] for d in range(2))
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d])
@pytest.mark.parametrize("options", OPTIONS)
def test_growing_never_changes_outputs_and_dropping_the_idle_neither(kind, options):
    model, x = make(kind, **options)
    y = model(x)
    model[0].grow(2)
    assert torch.equal(model(x), y)
    with torch.no_grad():
        model[0].dendrite_strength[0, :3] = 0
        model[0].dendrite_cascade[0, :2] = 0
        y = model(x)
    compact(model)
    torch.testing.assert_close(model(x), y)
    assert len(sparse_layers(model)) == (0 if "groups" in options else 1)


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d])
def test_an_unbatched_input_is_taken_as_the_plain_layer_takes_it(kind):
    model, x = make(kind)
    torch.testing.assert_close(model(x[0]), model(x)[0])


def test_channels_learn_by_correlation_at_every_position_that_counts():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 1)).double()
    perforate(model, nn.Conv2d)
    x, y = torch.randn(4, 1, 5, 5).double(), torch.randn(4, 2, 5, 5).double()
    mask = torch.rand(4, 5, 5) > 0.3

    def loss(model, batch):
        return ((model(x) - y).square() * mask[:, None]).sum()

    parts = Errors([None], loss, mask=lambda batch: mask, averaged=False)
    shown = next(watch(model, dendritic_layers(model), parts))
    assert shown["0"].error.shape == (int(mask.sum()), 3)
    error = 2 * (model(x) - y)
    torch.testing.assert_close(shown["2"].error, error.movedim(1, -1)[mask])
    before = model(x)
    growth = CorrelationRule(candidates=2, passes=2).grow(model, ["0", "2"], errors=parts)
    assert torch.equal(model(x), before)
    a = model[2].dendrite_activations(model[1](model[0](x)))[0].movedim(1, -1)[mask]
    s = [torch.corrcoef(torch.stack((a[:, j], error.movedim(1, -1)[mask][:, j])))[0, 1].abs() for j in (0, 1)]
    assert growth.correlations["2"] == pytest.approx(sum(s).item() / 2)
