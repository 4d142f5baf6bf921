import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from token_model import batches, errors, loss, model_and_data, pooled_loss, same, states
from torch import nn

from giantkiller.dendrites import CorrelationRule, DendriteError, DendriticLinear, Errors, dendritic_layers
from giantkiller.dendrites.error_signal import watch
from giantkiller.dendrites.moments import Moments


def test_the_error_is_the_gradient_at_the_pre_activation():
    model, x, y, mask = model_and_data()
    shown = next(watch(model, dendritic_layers(model), errors([(x, y, mask)], averaged=False)))
    z1 = (x @ model.first.weight.T + model.first.bias).detach().requires_grad_()
    z2 = torch.relu(z1) @ model.second.weight.T + model.second.bias
    z2.retain_grad()
    z3 = torch.tanh(z2) @ model.head.weight.T + model.head.bias
    z3.retain_grad()
    (((z3 - y[:, None]).square().sum(-1) * mask).sum() / len(x)).backward()
    for name, z in (("first", z1), ("second", z2), ("head", z3)):
        torch.testing.assert_close(shown[name].error, z.grad[mask])
        assert len(shown[name].x) == mask.sum()


def test_watching_changes_nothing_about_the_model():
    model, x, y, mask = model_and_data()
    model.train()
    model.second.eval()
    model.first.weight.requires_grad_(False)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    before = states(model)
    for _ in watch(model, dendritic_layers(model), errors(batches(x, y, mask))):
        pass
    assert same(before, states(model))
    assert model.training
    assert not model.second.training
    assert model.first.weight.grad is None
    assert torch.equal(model.head.weight.grad, torch.ones_like(model.head.weight))
    assert not model.first._forward_hooks


def test_a_frozen_network_still_shows_its_errors():
    model, x, y, mask = model_and_data()
    expected = next(watch(model, dendritic_layers(model), errors([(x, y, mask)])))
    model.requires_grad_(False)
    shown = next(watch(model, dendritic_layers(model), errors([(x, y, mask)])))
    for name in expected:
        assert torch.equal(shown[name].error, expected[name].error)


@settings(deadline=None, max_examples=10)
@given(cuts=st.lists(st.integers(1, 11), max_size=4, unique=True), averaged=st.booleans())
def test_any_split_of_the_data_gives_the_same_moments(cuts, averaged):
    model, x, y, mask = model_and_data(3)
    edges = (0, *sorted(cuts), 12)

    def total(model, batch):
        return loss(model, batch) * (1 if averaged else len(batch[0]))

    def moments(edges):
        parts = Errors(batches(x, y, mask, edges), total, mask=lambda b: b[2], averaged=averaged)
        gathered = {name: Moments(layer.neurons) for name, layer in dendritic_layers(model).items()}
        for shown in watch(model, dendritic_layers(model), parts):
            for name, seen in shown.items():
                layer = dendritic_layers(model)[name]
                gathered[name].add(layer(seen.x).detach(), seen.error)
        return gathered

    whole, split = moments((0, 12)), moments(edges)
    for name in whole:
        torch.testing.assert_close(split[name].cross, whole[name].cross)
        torch.testing.assert_close(split[name].square_b, whole[name].square_b)
        torch.testing.assert_close(split[name].correlation(), whole[name].correlation())


def test_a_pooler_counts_every_sample_whatever_the_mask():
    model, x, y, mask = model_and_data()
    parts = Errors([(x, y, mask)], pooled_loss, mask=lambda batch: batch[2])
    shown = next(watch(model, dendritic_layers(model), parts))
    assert shown["head"].error.shape == (12, 2)
    assert shown["second"].error.shape == (int(mask.sum()), 3)


def test_a_layer_that_runs_twice_in_a_pass_counts_both_runs():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = DendriticLinear(3, 3)

        def forward(self, x):
            return self.layer(input=torch.tanh(self.layer(x)))

    model, x = Twice(), torch.randn(5, 3)
    parts = Errors([x], lambda model, x: model(x).square().sum(), averaged=False)
    shown = next(watch(model, dendritic_layers(model), parts))
    assert shown["layer"].error.shape == (10, 3)
    torch.testing.assert_close(shown["layer"].error[5:], 2 * model(x))


def broken(change):
    """Growth on a model and data with one thing wrong; the model must stay as it was."""
    model, x, y, mask = model_and_data()
    given = {
        "batches": batches(x, y, mask),
        "loss": loss,
        "mask": lambda batch: batch[2],
        **change(x, y, mask),
    }
    before = states(model)
    try:
        CorrelationRule(passes=2).grow(model, list(dendritic_layers(model)), errors=Errors(**given))
    finally:
        assert same(before, states(model))
        assert not any(layer.detached for layer in dendritic_layers(model).values())
        assert not model.first._forward_hooks


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda x, y, m: {"batches": []}, "there are no batches"),
        (lambda x, y, m: {"batches": iter([(x, y, m)])}, "only once"),
        (lambda x, y, m: {"batches": [(x, y * float("nan"), m)]}, "not finite in batch 0"),
        (lambda x, y, m: {"batches": [(x, y, m), (x * float("inf"), y, m)]}, "not finite in batch 1"),
        (lambda x, y, m: {"loss": lambda model, b: model.first(b[0]).sum()}, "depend on layer 'second'"),
        (lambda x, y, m: {"loss": lambda model, b: model(b[0])}, "must be one number"),
        (lambda x, y, m: {"loss": lambda model, b: 0.5}, "must be one number"),
        (lambda x, y, m: {"loss": lambda model, b: model(b[0]).sum().detach()}, "any dendritic layer"),
        (lambda x, y, m: {"mask": lambda b: b[2][:, :-1]}, r"mask has shape \(5, 5\).*'first'.*\(5, 6\)"),
    ],
)
def test_bad_errors_is_said_in_a_sentence(change, sentence):
    with pytest.raises(DendriteError, match=sentence):
        broken(change)
