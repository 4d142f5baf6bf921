import pytest
import torch
from torch import nn

from giantkiller.dendrites import (
    DendriteError,
    DendriticLinear,
    Parameters,
    allocate,
    counts,
    dendritic_layers,
    parameters,
    perforate,
)


class Tied(nn.Module):
    """An output layer that uses the embedding's weight, as language models have it."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 3)
        self.middle = nn.Linear(3, 3)
        self.out = nn.Linear(3, 7)
        self.out.weight = self.embedding.weight


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(3, 3)
        self.other = self.one


def mlp():
    return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    ("where", "names"),
    [
        (nn.Linear, ["0", "3"]),
        ((nn.Linear, nn.Conv2d), ["0", "3"]),
        (r"^3$", ["3"]),
        (r"", ["0", "3"]),
        (lambda name, module: getattr(module, "out_features", 0) == 8, ["0"]),
    ],
)
def test_layers_are_chosen_by_type_pattern_or_question(where, names):
    model = mlp()
    x = torch.randn(5, 4)
    y = model(x)
    assert perforate(model, where) == names
    assert list(dendritic_layers(model)) == names
    assert torch.equal(model(x), y)


def test_modules_and_parameters_stay_the_same_objects():
    model = mlp()
    layer, weight, fired = model[0], model[0].weight, []
    layer.register_forward_hook(lambda *_: fired.append(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    perforate(model)
    assert model[0] is layer
    assert layer.weight is weight is optimizer.param_groups[0]["params"][0]
    model(torch.randn(1, 4))
    assert fired == [1]


def test_the_state_of_a_perforated_model_is_that_of_the_plain_one():
    plain, model = mlp(), mlp()
    perforate(model)
    assert plain.state_dict().keys() == model.state_dict().keys()
    model.load_state_dict(plain.state_dict())


def test_allocating_by_counts_makes_room_for_a_grown_state():
    model, other = mlp(), mlp()
    perforate(model)
    model[0].grow(2)
    model[0].dendrite_strength.data.normal_()
    perforate(other)
    other[3].grow(1)
    allocate(other, counts(model))
    other.load_state_dict(model.state_dict())
    x = torch.randn(5, 4)
    assert torch.equal(other(x), model(x))
    assert counts(other) == {"0": 2}


def test_allocating_what_is_there_keeps_the_parameters():
    model = already()
    model[0].grow(1)
    weight = model[0].dendrite_weight
    allocate(model, {"0": 1})
    assert model[0].dendrite_weight is weight


def test_parameters_are_told_apart():
    model = Tied()
    assert parameters(model) == Parameters(plain=7 * 3 + 12 + 7, dendrites=0, unused=0)
    perforate(model, "middle")
    model.middle.grow(2)
    new = 2 * (9 + 3 + 3) + 3
    assert parameters(model) == Parameters(40, new, new)
    assert parameters(model).total == sum(p.numel() for p in model.parameters())
    with torch.no_grad():
        model.middle.dendrite_strength.fill_(0.1)
    assert parameters(model) == Parameters(40, new, 0)


def test_the_copy_that_was_published_counts_as_unused():
    """One idle dendrite on each of 14 linear layers, as the published model card counts them."""
    layers = [nn.Linear(128, 128) for _ in range(4)] + [nn.Linear(128, 512), nn.Linear(512, 128)]
    model = nn.Sequential(
        *layers, *(nn.Linear(*size) for size in [(128, 128)] * 4 + [(128, 512), (512, 128)])
    )
    model.append(nn.Linear(128, 128)), model.append(nn.Linear(128, 2))
    perforate(model)
    for layer in dendritic_layers(model).values():
        layer.grow()
    size = parameters(model)
    assert size.unused == size.dendrites
    # The published copy had no strengths: one a neuron.
    assert size.dendrites - sum(layer.neurons for layer in dendritic_layers(model).values()) == 412_290


def test_the_fused_transformer_path_does_not_walk_past_the_dendrites():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    model = nn.TransformerEncoder(layer, 2).eval()
    perforate(model, r"linear[12]")
    for dendritic in dendritic_layers(model).values():
        dendritic.grow()
        dendritic.dendrite_strength.data.fill_(1.0)
    x, padding = torch.randn(2, 5, 8), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    slow = model(x, src_key_padding_mask=padding)
    with torch.inference_mode():
        fast = model(x, src_key_padding_mask=padding)
    torch.testing.assert_close(fast[~padding], slow[~padding])


def already():
    model = mlp()
    perforate(model, "0")
    return model


def wrapped():
    model = mlp()
    model[0].forward = model[0].forward
    return model


@pytest.mark.parametrize(
    ("make", "where", "sentence"),
    [
        (mlp, "encoder", "no layer fits 'encoder': this model has 0, 3"),
        (mlp, "[", "not a regular expression"),
        (mlp, nn.Conv2d, "no layer fits.*this model has 0, 3"),
        (mlp, nn.LayerNorm, "layer 1 .LayerNorm. cannot carry dendrites"),
        (mlp, "1", "no layer fits '1'; 1 .LayerNorm. cannot"),
        (Tied, "out", "'out' shares its weights .embedding.weight and out.weight."),
        (Shared, nn.Linear, "'one' shares its weights"),
        (already, nn.Linear, "layer '0' is dendritic already"),
        (wrapped, nn.Linear, "'0' has a forward of its own"),
        (
            lambda: nn.MultiheadAttention(4, 2),
            "out_proj",
            "out_proj .NonDynamicallyQuantizableLinear. cannot",
        ),
    ],
)
def test_bad_choices_are_said_in_a_sentence_and_change_nothing(make, where, sentence):
    model = make()
    types = [type(module) for module in model.modules()]
    with pytest.raises(DendriteError, match=sentence):
        perforate(model, where)
    assert [type(module) for module in model.modules()] == types


def test_other_bad_input_is_said_in_a_sentence():
    with pytest.raises(DendriteError, match="unknown activation 'swish'"):
        perforate(mlp(), activation="swish")
    model = already()
    for dendrites, sentence in (({"3": 1}, "no dendritic layer '3'"), ({"0": -1}, "cannot have -1")):
        with pytest.raises(DendriteError, match=sentence):
            allocate(model, dendrites)
    assert type(model[3]) is nn.Linear
    assert isinstance(model[0], DendriticLinear)
