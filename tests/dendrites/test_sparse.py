import json

import pytest
import torch
from dendritic import grown
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from giantkiller.dendrites import (
    DendriteError,
    DendriticLinear,
    SparseDendriticLinear,
    allocate_sparse,
    compact,
    counts,
    expand,
    parameters,
    sparse_layers,
    sparse_layout,
)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 9999),
    dendrites=st.integers(1, 4),
    activation=st.sampled_from(["tanh", "sigmoid", "relu", "gelu"]),
    share=st.floats(0.0, 1.0),
)
def test_compacting_never_changes_outputs(seed, dendrites, activation, share):
    torch.manual_seed(seed)
    model = grown(dendrites=dendrites, activation=activation)
    layer = model[0]
    with torch.no_grad():
        layer.dendrite_strength *= torch.rand_like(layer.dendrite_strength) < share
        if layer.dendrite_cascade is not None:
            layer.dendrite_cascade *= torch.rand_like(layer.dendrite_cascade) < share
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    y = model(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    used = int(layer.used().sum())
    before = parameters(model)
    compact(model)
    torch.testing.assert_close(model(x), y)
    torch.testing.assert_close(torch.autograd.grad(model(x).sum(), x)[0], slope)
    after = parameters(model)
    assert after.plain == before.plain
    assert after.unused == 0
    if used < 5 * dendrites:
        assert after.dendrites <= before.dendrites - before.unused


def test_sparse_dendrites_store_only_what_they_use():
    model = grown(dendrites=2)
    with torch.no_grad():
        model[0].dendrite_strength[0] = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
        model[0].dendrite_strength[1] = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0])
        model[0].dendrite_cascade[0] = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0])
    compact(model)
    layer = model[0]
    assert type(layer) is SparseDendriticLinear
    assert (layer.rows, layer.links) == ((2, 2), (1,))
    assert layer.dendrite_neuron.tolist() == [0, 1, 0, 3]
    assert parameters(model).dendrites == 4 * (4 + 1 + 1) + 1


def test_a_layer_without_effect_becomes_bare_and_a_full_one_stays_dense():
    model = nn.Sequential(grown()[0], grown(5, 5)[0], grown(5, 5)[0])
    with torch.no_grad():
        model[0].dendrite_strength.zero_()
    compact(model)
    assert counts(model) == {"1": 3, "2": 3}
    assert not sparse_layers(model)


def test_frozen_and_detached_stay_so():
    model = grown()
    model[0].detached = True
    model[0].dendrite_weight.requires_grad_(False)
    with torch.no_grad():
        model[0].dendrite_strength[:, 0] = 0
    compact(model)
    assert model[0].detached
    assert not model[0].dendrite_weight.requires_grad
    assert model[0].dendrite_strength.requires_grad
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    error = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(torch.autograd.grad(model(x), x, error)[0], error @ model[0].weight)


def test_a_sparse_state_loads_into_a_plain_model():
    model = grown()
    with torch.no_grad():
        model[0].dendrite_strength[:, :2] = 0
    compact(model)
    layout = json.loads(json.dumps(sparse_layout(model)))
    other = nn.Sequential(nn.Linear(4, 5).double())
    allocate_sparse(other, layout)
    other.load_state_dict(model.state_dict())
    x = torch.randn(3, 4, dtype=torch.float64)
    assert torch.equal(other(x), model(x))


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("9", {}, "no layer '9' that can carry"),
        ("0", {"rows": [6]}, r"rows \[6\] .* cannot be those of 5 neurons"),
        ("0", {"rows": [0]}, "cannot be those of 5 neurons"),
        ("0", {"rows": [2, 2]}, "cannot be those of 5 neurons"),
        ("0", {"rows": [2, 2], "links": [6]}, "cannot be those of 5 neurons"),
        ("0", {"rows": [2, 2], "links": [-1]}, "cannot be those of 5 neurons"),
        ("0", {"activation": "cosine"}, "unknown activation 'cosine' of layer '0'"),
    ],
)
def test_a_layout_of_another_model_is_said_in_a_sentence(name, change, sentence):
    layout = {name: {"rows": [5], "links": [], "activation": "relu", **change}}
    with pytest.raises(DendriteError, match=sentence):
        allocate_sparse(nn.Sequential(nn.Linear(4, 5)), layout)


def test_a_link_of_0_is_not_stored():
    model = grown(dendrites=2)
    with torch.no_grad():
        model[0].dendrite_strength[:, 0] = 0
        model[0].dendrite_cascade[0] = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
    compact(model)
    assert (model[0].rows, model[0].links) == ((4, 4), (1,))


@settings(max_examples=25, deadline=None)
@given(strengths=st.lists(st.booleans(), min_size=15, max_size=15), seed=st.integers(0, 99))
def test_expanding_undoes_compacting(strengths, seed):
    torch.manual_seed(seed)
    model = grown()
    with torch.no_grad():
        model[0].dendrite_strength[torch.tensor(strengths).reshape(3, 5)] = 0
    x = torch.randn(3, 4, dtype=torch.float64)
    before = model(x)
    compact(model)
    expand(model)
    assert not sparse_layers(model)
    assert type(model[0]) is DendriticLinear
    torch.testing.assert_close(model(x), before)
    expand(model)
    torch.testing.assert_close(model(x), before)
