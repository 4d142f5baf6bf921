import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf, expit
from torch import nn

from giantkiller.dendrites import (
    ACTIVATIONS,
    DendriteError,
    DendriticLinear,
    compact,
    perforate,
    sparse_layers,
)

NUMPY = {
    "tanh": np.tanh,
    "sigmoid": expit,
    "relu": lambda v: np.maximum(v, 0.0),
    "gelu": lambda v: 0.5 * v * (1.0 + erf(v / np.sqrt(2.0))),
}


def grown(inputs=5, neurons=4, dendrites=3, activation="tanh", bias=True, dtype=torch.float64):
    """A layer whose dendrites all have an effect."""
    layer = DendriticLinear(
        inputs, neurons, bias=bias, dtype=dtype, dendrites=dendrites, activation=activation
    )
    with torch.no_grad():
        for tensor in (layer.dendrite_strength, layer.dendrite_cascade):
            if tensor is not None:
                tensor.normal_()
    return layer


def by_hand(layer, x):
    """The formula, one neuron and one dendrite at a time."""
    weight, v, c = (t.detach().numpy() for t in (layer.weight, layer.dendrite_weight, layer.dendrite_bias))
    s = layer.dendrite_strength.detach().numpy()
    u = None if layer.dendrite_cascade is None else layer.dendrite_cascade.detach().numpy()
    rows = x.reshape(-1, x.shape[-1]).numpy()
    out = np.zeros((len(rows), layer.neurons))
    for i, row in enumerate(rows):
        for j in range(layer.neurons):
            y = weight[j] @ row + (0.0 if layer.bias is None else layer.bias[j].item())
            fired, pair = [], 0
            for d in range(layer.dendrites):
                net = v[d * layer.neurons + j] @ row + c[d * layer.neurons + j]
                for e in range(d):
                    net += u[pair, j] * fired[e]
                    pair += 1
                fired.append(NUMPY[layer.activation](net))
                y += s[d, j] * fired[d]
            out[i, j] = y
    return out.reshape(*x.shape[:-1], layer.neurons)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dendrites", [1, 2, 4])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-11), (torch.float32, 1e-4)])
def test_the_layer_computes_its_formula(activation, dendrites, bias, dtype, near):
    layer = grown(dendrites=dendrites, activation=activation, bias=bias, dtype=dtype)
    x = torch.randn(2, 3, 5, dtype=dtype)
    np.testing.assert_allclose(layer(x).detach().numpy(), by_hand(layer, x), rtol=near, atol=near)


@pytest.mark.parametrize("name", ["weight", "bias", "dendrite_weight", "dendrite_strength"])
def test_a_parametrized_layer_computes_its_formula(name):
    class Doubled(nn.Module):
        def forward(self, tensor):
            return 2 * tensor

    layer = grown(dtype=torch.float32)
    nn.utils.parametrize.register_parametrization(layer, name, Doubled())
    x = torch.randn(3, 5)
    np.testing.assert_allclose(layer(x).detach().numpy(), by_hand(layer, x), rtol=1e-4, atol=1e-5)


def test_without_dendrites_it_is_the_plain_layer():
    plain, layer = nn.Linear(5, 4), DendriticLinear(5, 4)
    layer.load_state_dict(plain.state_dict())
    x = torch.randn(7, 5)
    assert torch.equal(layer(x), plain(x))
    assert layer.state_dict().keys() == plain.state_dict().keys()


@settings(deadline=None, max_examples=25)
@given(
    inputs=st.integers(1, 6),
    neurons=st.integers(1, 5),
    before=st.integers(0, 3),
    more=st.integers(1, 3),
    activation=st.sampled_from(list(ACTIVATIONS)),
    bias=st.booleans(),
    shape=st.lists(st.integers(0, 3), max_size=3),
    scale=st.floats(0.0, 50.0),
)
def test_growing_never_changes_outputs(inputs, neurons, before, more, activation, bias, shape, scale):
    layer = grown(inputs, neurons, before, activation, bias, torch.float32)
    x = torch.randn(*shape, inputs)
    y = layer(x)
    layer.grow(more, scale=scale)
    assert layer.dendrites == before + more
    assert torch.equal(layer(x), y)


def test_growing_keeps_the_older_dendrites():
    layer = grown(dendrites=2)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    layer.grow(2)
    after = layer.state_dict()
    for name, tensor in before.items():
        assert torch.equal(after[name][: len(tensor)], tensor)
    assert after["dendrite_weight"].shape == (16, 5)
    assert after["dendrite_bias"].shape == (16,)
    assert after["dendrite_strength"].shape == (4, 4)
    assert after["dendrite_cascade"].shape == (6, 4)


def test_given_weights_are_taken_and_frozen_ones_stay_frozen():
    layer = DendriticLinear(3, 2, dendrites=1)
    layer.dendrite_weight.requires_grad_(False)
    weight, bias, cascade = torch.randn(2, 3), torch.randn(2), torch.randn(1, 2)
    layer.grow(weight=weight, bias=bias, cascade=cascade)
    assert torch.equal(layer.dendrite_weight[2:], weight)
    assert torch.equal(layer.dendrite_bias[2:], bias)
    assert torch.equal(layer.dendrite_cascade, cascade)
    assert not layer.dendrite_weight.requires_grad
    assert layer.dendrite_strength.requires_grad


def test_the_same_seed_draws_the_same_dendrites():
    layers = [DendriticLinear(3, 2) for _ in range(2)]
    for layer in layers:
        layer.grow(2, generator=torch.Generator().manual_seed(5))
    assert torch.equal(layers[0].dendrite_weight, layers[1].dendrite_weight)
    assert torch.equal(layers[0].dendrite_bias, layers[1].dendrite_bias)


def test_only_the_strength_learns_at_the_first_step():
    layer = DendriticLinear(3, 2, dendrites=1)
    layer(torch.randn(6, 3)).pow(2).sum().backward()
    assert layer.dendrite_strength.grad.abs().min() > 0
    assert layer.dendrite_weight.grad.abs().max() == 0
    assert layer.dendrite_bias.grad.abs().max() == 0


def test_detached_dendrites_pass_no_gradient_to_earlier_layers():
    layer = grown(dendrites=2)
    layer.detached = True
    x = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    error = torch.randn(6, 4, dtype=torch.float64)
    layer(x).backward(error)
    # What a plain layer would pass back, and nothing besides.
    assert torch.equal(x.grad, error @ layer.weight)
    assert layer.dendrite_strength.grad.abs().min() > 0


def test_detaching_changes_no_output():
    layer = grown()
    x = torch.randn(4, 5, dtype=torch.float64)
    y = layer(x)
    layer.detached = True
    assert torch.equal(layer(x), y)
    with torch.inference_mode():
        assert torch.equal(layer(x), y)


def test_allocated_room_takes_a_grown_state():
    layer, room = grown(activation="relu"), DendriticLinear(5, 4, dtype=torch.float64, dendrites=1)
    room.allocate(3)
    room.load_state_dict(layer.state_dict())
    x = torch.randn(4, 5, dtype=torch.float64)
    assert torch.equal(room(x), layer(x))
    room.allocate(0)
    assert room.dendrites == 0
    assert set(room.state_dict()) == {"weight", "bias"}


def test_a_copy_is_a_layer_of_its_own():
    layer = grown()
    x = torch.randn(4, 5, dtype=torch.float64)
    y, twin = layer(x), copy.deepcopy(layer)
    with torch.no_grad():
        layer.dendrite_strength.zero_()
    assert torch.equal(twin(x), y)
    assert not torch.equal(layer(x), y)


def test_what_has_no_effect_is_counted_as_unused():
    layer = grown(inputs=3, neurons=2, dendrites=3)
    assert layer.dendrite_parameters() == 3 * 2 * 3 + 3 * 2 + 3 * 2 + 3 * 2
    assert layer.unused_parameters() == 0
    with torch.no_grad():
        layer.dendrite_strength[0, 0] = 0.0
    assert layer.unused_parameters() == 0, "it still feeds the later dendrites"
    with torch.no_grad():
        layer.dendrite_strength[:, 0] = 0.0
    assert layer.unused_parameters() == layer.dendrite_parameters() // 2
    assert DendriticLinear(3, 2, dendrites=2).unused_parameters() == 2 * 2 * (3 + 2) + 2


def test_an_unused_dendrite_counts_with_its_link_into_a_used_one():
    layer = grown(inputs=3, neurons=2, dendrites=2)
    with torch.no_grad():
        layer.dendrite_strength[0, 0] = 0.0
        layer.dendrite_cascade[0, 0] = 0.0
    assert layer.unused_parameters() == (3 + 1 + 1) + 1


def conv(kind, **options):
    """A convolution with two dendrites that have an effect, and an input for it."""
    torch.manual_seed(0)
    layer = kind(4, 6, 3, **options).double()
    model = nn.Sequential(layer)
    perforate(model, kind, activation="tanh")
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
def test_a_convolution_computes_its_formula(kind, options):
    model, x = conv(kind, **options)
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
def test_growing_a_convolution_never_changes_outputs_and_dropping_the_idle_neither(kind, options):
    model, x = conv(kind, **options)
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
    model, x = conv(kind)
    torch.testing.assert_close(model(x[0]), model(x)[0])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: DendriticLinear(3, 2, activation="cosine"), "unknown activation 'cosine'.*tanh"),
        (lambda: DendriticLinear(3, 2, dendrites=-1), "must not be negative"),
        (lambda: DendriticLinear(3, 2).grow(weight=torch.zeros(2, 4)), r"shape \(2, 4\).*needs \(2, 3\)"),
    ],
)
def test_bad_input_is_said_in_a_sentence(make, sentence):
    with pytest.raises(DendriteError, match=sentence):
        make()
