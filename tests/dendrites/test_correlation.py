import copy
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf
from token_model import Tokens, batches, errors, loss, model_and_data, pooled_loss, same, states
from torch import nn

from giantkiller.dendrites import (
    CorrelationRule,
    DendriteError,
    DendriticLinear,
    Errors,
    Grower,
    dendritic_layers,
    perforate,
)
from giantkiller.dendrites.correlation import _CandidatePool, ascent
from giantkiller.dendrites.error_signal import Observation, watch
from giantkiller.dendrites.moments import Moments

# The gradient of |S|


def s_by_hand(a, d):
    """S of one neuron, from its definition."""
    return np.mean((a - a.mean()) * (d - d.mean())) / (a.std() * d.std())


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), positions=st.integers(4, 12))
def test_the_push_is_the_slope_of_the_absolute_correlation(seed, positions):
    draw = np.random.default_rng(seed)
    a, d = draw.normal(size=(positions, 2)), draw.normal(size=(positions, 2))
    moments = Moments(2)
    moments.add(torch.tensor(a), torch.tensor(d))
    push = ascent(torch.tensor(a), torch.tensor(d), moments).numpy()
    for i in range(positions):
        for j in range(2):
            step = np.zeros_like(a)
            step[i, j] = 1e-6
            slope = abs(s_by_hand((a + step)[:, j], d[:, j])) - abs(s_by_hand((a - step)[:, j], d[:, j]))
            assert push[i, j] == pytest.approx(slope / 2e-6, rel=1e-4, abs=1e-6)


def slope_and_value(activation, net):
    """Derivative and value of an activation, in NumPy."""
    if activation == "tanh":
        return 1 - np.tanh(net) ** 2, np.tanh(net)
    if activation == "sigmoid":
        value = 1 / (1 + np.exp(-net))
        return value * (1 - value), value
    if activation == "relu":
        return (net > 0).astype(float), np.maximum(net, 0)
    phi = 0.5 * (1 + erf(net / np.sqrt(2)))
    return phi + net * np.exp(-(net**2) / 2) / np.sqrt(2 * np.pi), net * phi


def test_constant_signals_push_nowhere():
    moments = Moments(2)
    a, d = torch.zeros(5, 2), torch.randn(5, 2)
    moments.add(a, d)
    assert torch.equal(ascent(a, d, moments), torch.zeros(5, 2))


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "gelu"])
def test_climbing_follows_the_gradient_written_out_in_numpy(activation):
    """Two steps of Adam on weights, biases and cascade of two candidates, by loops over neurons."""
    torch.manual_seed(2)
    layer = DendriticLinear(3, 2, dtype=torch.float64, dendrites=1, activation=activation)
    rule = CorrelationRule(candidates=2, learning_rate=0.05, momentum=0.8)
    pool = _CandidatePool(layer, rule, torch.Generator().manual_seed(1))
    weight, bias, cascade = (t.detach().numpy().copy() for t in pool._parameters())
    own_weight, own_bias = layer.dendrite_weight.detach().numpy(), layer.dendrite_bias.detach().numpy()
    data = [(torch.randn(7, 3).double(), torch.randn(7, 2).double()) for _ in range(2)]
    seen_a, seen_d, seen_w = {}, {}, []
    moments_1 = [np.zeros_like(t) for t in (weight, bias, cascade)]
    moments_2 = [np.zeros_like(t) for t in (weight, bias, cascade)]
    for step, (x, error) in enumerate(data, start=1):
        pool.climb(Observation(x, error, None))
        xs, d = x.numpy(), error.numpy()
        seen_w = [w * 0.8 for w in seen_w] + [1.0] * len(xs)
        gradients = [np.zeros_like(t) for t in (weight, bias, cascade)]
        for c in range(2):
            for j in range(2):
                before = slope_and_value(activation, xs @ own_weight[j] + own_bias[j])[1]
                net = xs @ weight[c, j] + bias[c, j] + cascade[c, 0, j] * before
                slope, a = slope_and_value(activation, net)
                all_a = seen_a.setdefault((c, j), [])
                all_d = seen_d.setdefault((c, j), [])
                all_a.extend(a), all_d.extend(d[:, j])
                w, aa, dd = np.array(seen_w), np.array(all_a), np.array(all_d)
                ma, md = np.average(aa, weights=w), np.average(dd, weights=w)
                sa = np.sqrt(np.average((aa - ma) ** 2, weights=w))
                sd = np.sqrt(np.average((dd - md) ** 2, weights=w))
                if sa == 0:  # a dead relu: no slope, no push
                    continue
                s = np.average((aa - ma) * (dd - md), weights=w) / (sa * sd)
                g = np.sign(s) * ((d[:, j] - md) / (sa * sd) - s * (a - ma) / sa**2) / w.sum()
                gradients[0][c, j] = (g * slope) @ xs
                gradients[1][c, j] = (g * slope).sum()
                gradients[2][c, 0, j] = (g * slope) @ before
        for t, g, m, v in zip((weight, bias, cascade), gradients, moments_1, moments_2, strict=True):
            m[:] = 0.9 * m + 0.1 * g
            v[:] = 0.999 * v + 0.001 * g * g
            t += 0.05 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    for ours, theirs in zip(pool._parameters(), (weight, bias, cascade), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=1e-6, atol=1e-9)


# Growing by it


def test_channels_learn_by_correlation_at_every_position_that_counts():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 1)).double()
    perforate(model, nn.Conv2d, activation="tanh")
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


@settings(deadline=None, max_examples=3)
@given(padding=st.integers(1, 5), junk=st.floats(-100, 100))
def test_padding_never_counts(padding, junk):
    model, x, y, mask = model_and_data(4)
    wide = torch.full((12, 6 + padding, 4), junk, dtype=torch.float64)
    wide[:, :6] = torch.where(mask[..., None], x, junk)
    longer = torch.cat((mask, torch.zeros(12, padding, dtype=torch.bool)), 1)
    rule = CorrelationRule(candidates=2, passes=3)
    grown = []
    for parts in (batches(x, y, mask), batches(wide, y, longer)):
        twin = copy.deepcopy(model)
        rule.grow(twin, list(dendritic_layers(twin)), errors=errors(parts), seed=3)
        grown.append(states(twin))
    for name in grown[0]:
        torch.testing.assert_close(grown[0][name], grown[1][name])


@pytest.mark.parametrize(("activation", "had"), [("tanh", 0), ("sigmoid", 2), ("relu", 0), ("gelu", 2)])
def test_the_correlation_of_a_kept_candidate_is_that_of_numpy(activation, had):
    model, x, y, mask = model_and_data(5, activation=activation)
    for layer in dendritic_layers(model).values():
        layer.grow(had)
    parts = errors(batches(x, y, mask))
    names = list(dendritic_layers(model))
    frozen = copy.deepcopy(model)
    best = CorrelationRule(candidates=3, passes=4).best_candidates(model, names, errors=parts, seed=1)
    assert same(states(model), states(frozen)), "choosing leaves the model as it is"
    growth = CorrelationRule(candidates=3, passes=4).grow(model, names, errors=parts, seed=1)
    held = {name: ([], []) for name in names}
    for shown in watch(frozen, dendritic_layers(frozen), parts):
        for name, seen in shown.items():
            held[name][0].append(model.get_submodule(name).dendrite_activations(seen.x)[-1].detach())
            held[name][1].append(seen.error)
    for name, (a, d) in held.items():
        a, d = torch.cat(a).numpy(), torch.cat(d).numpy()
        for j, s in enumerate(best[name].correlation.tolist()):
            expected = 0.0 if a[:, j].std() == 0 else np.corrcoef(a[:, j], d[:, j])[0, 1]
            assert s == pytest.approx(expected, abs=1e-9)
        assert growth.correlations[name] == pytest.approx(best[name].correlation.abs().mean().item())
    assert growth.grown == dict.fromkeys(names, had + 1)


def test_growing_leaves_outputs_and_freezes_what_it_wired_in():
    model, x, y, mask = model_and_data(6)
    before = model(x)
    CorrelationRule(candidates=2, passes=2).grow(model, ["first", "head"], errors=errors(batches(x, y, mask)))
    assert torch.equal(model(x), before)
    for name in ("first", "head"):
        layer = model.get_submodule(name)
        assert layer.detached
        assert not layer.dendrite_weight.requires_grad
        assert not layer.dendrite_bias.requires_grad
        assert layer.dendrite_strength.requires_grad
        assert torch.equal(layer.dendrite_strength, torch.zeros_like(layer.dendrite_strength))
    assert model.second.dendrites == 0
    CorrelationRule(candidates=2, passes=2).grow(model, ["first"], errors=errors(batches(x, y, mask)))
    assert not model.first.dendrite_cascade.requires_grad


def test_dendrites_that_are_not_frozen_begin_there_and_learn_on():
    model, x, y, mask = model_and_data(6)
    twin = copy.deepcopy(model)
    for each, frozen in ((model, False), (twin, True)):
        rule = CorrelationRule(candidates=2, passes=2, frozen=frozen)
        rule.grow(each, ["first", "head"], errors=errors(batches(x, y, mask)))
    assert same(states(model), states(twin)), "what learns afterwards does not change where they begin"
    for name in ("first", "head"):
        layer = model.get_submodule(name)
        torch.nn.init.ones_(layer.dendrite_strength)
        assert not layer.detached
    pooled_loss(model, (x, y, mask)).backward()
    assert model.first.dendrite_weight.grad.abs().max() > 0
    assert model.head.dendrite_bias.grad.abs().max() > 0


def test_no_error_passes_through_dendrites_to_earlier_layers():
    """Against a network built by hand, in which the dendrites' outputs are constants."""
    model, x, y, mask = model_and_data(7)
    names = list(dendritic_layers(model))
    CorrelationRule(candidates=2, passes=2).grow(model, names, errors=errors(batches(x, y, mask)))
    with torch.no_grad():
        for layer in dendritic_layers(model).values():
            layer.dendrite_strength.normal_()
    pooled_loss(model, (x, y, mask)).backward()

    w = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}

    def layer(name, x):
        fired = torch.tanh(x @ w[f"{name}.dendrite_weight"].T + w[f"{name}.dendrite_bias"]).detach()
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"] + w[f"{name}.dendrite_strength"][0] * fired

    h = layer("second", torch.relu(layer("first", x)))
    out = layer("head", torch.tanh(h[:, 0]))
    (out - y).square().sum(-1).mean().backward()
    for name, parameter in model.named_parameters():
        if name.endswith(("dendrite_weight", "dendrite_bias")):
            assert parameter.grad is None
        else:
            torch.testing.assert_close(parameter.grad, w[name].grad)


def test_candidates_learn_to_track_the_error():
    model, x, y, mask = model_and_data(8, samples=200)
    parts = errors([(x, y, mask)])
    found = {}
    for passes in (1, 40):
        rule = CorrelationRule(candidates=2, passes=passes, patience=40, learning_rate=0.03)
        found[passes] = (
            rule.best_candidates(model, ["second"], errors=parts, seed=0)["second"].correlation.abs().mean()
        )
    assert found[40] > 1.3 * found[1]


def test_more_candidates_find_a_better_one():
    model, x, y, mask = model_and_data(8, samples=100)
    found = []
    for candidates in (1, 8):
        rule = CorrelationRule(candidates=candidates, passes=1, learning_rate=1e-9)
        best = rule.best_candidates(model, ["second"], errors=errors([(x, y, mask)]), seed=0)["second"]
        found.append(best.correlation.abs().mean())
    assert found[1] > found[0]


@pytest.mark.parametrize(("learning_rate", "min_gain"), [(0.0, 0.01), (0.0, 0.0), (0.01, 1e9)])
def test_the_phase_ends_when_nothing_improves_enough(learning_rate, min_gain):
    model, x, y, mask = model_and_data()
    gone = []

    def counted():
        gone.append(None)
        return batches(x, y, mask)

    parts = Errors(counted, loss, mask=lambda batch: batch[2])
    rule = CorrelationRule(
        candidates=1, passes=50, patience=2, learning_rate=learning_rate, min_gain=min_gain
    )
    rule.best_candidates(model, ["head"], errors=parts)
    # One pass that begins, two that stand still, one that measures.
    assert len(gone) == 4


def test_a_candidate_that_repeats_a_dendrite_is_rejected():
    model, x, y, mask = model_and_data(9)
    layer = model.second
    rule = CorrelationRule(candidates=1, passes=1, learning_rate=0.0)
    generator = torch.Generator().manual_seed(11)
    twin = _CandidatePool(layer, rule, generator)
    layer.grow(weight=twin.weight[0].detach(), bias=twin.bias[0].detach())
    best = rule.best_candidates(model, ["second"], errors=errors(batches(x, y, mask)), seed=11)["second"]
    assert best.rejected == 3
    assert torch.equal(best.weight, torch.zeros_like(best.weight))
    assert torch.equal(best.correlation, torch.zeros(3, dtype=torch.float64))
    lenient = dataclasses.replace(rule, redundancy=1.0)
    twin = lenient.best_candidates(model, ["second"], errors=errors(batches(x, y, mask)), seed=11)["second"]
    assert twin.rejected == 0, "no correlation is above 1"
    other = rule.best_candidates(model, ["second"], errors=errors(batches(x, y, mask)), seed=12)["second"]
    assert other.rejected == 0


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "gelu"])
def test_a_rejected_dendrite_stays_silent_whatever_its_strength(activation):
    model, x, y, mask = model_and_data(9, activation=activation)
    before = model.second(torch.randn(4, 5).double() * 0 + 1)
    rule = CorrelationRule(candidates=1, passes=1, redundancy=1e-9, learning_rate=0.0)
    model.second.grow()
    growth = rule.grow(model, ["second"], errors=errors(batches(x, y, mask)))
    assert growth.correlations["second"] == 0.0
    with torch.no_grad():
        model.second.dendrite_strength[1] = 5.0
    torch.testing.assert_close(model.second(torch.ones(4, 5).double()), before, rtol=0, atol=1e-12)


def test_growth_by_correlation_resumes_to_the_same_end(tmp_path):
    def run(folder, kill=None):
        model, x, y, mask = model_and_data(10, samples=40)
        calls = []

        def fit(model):
            calls.append(None)
            if len(calls) == kill:
                raise KeyboardInterrupt
            optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=0.02)
            for _ in range(15):
                optimizer.zero_grad()
                loss(model, (x, y, mask)).backward()
                optimizer.step()

        ledger = Grower(
            model,
            fit=fit,
            score=lambda model: -loss(model, (x, y, mask)).item(),
            rule=CorrelationRule(candidates=2, passes=3),
            errors=errors(batches(x, y, mask, (0, 20, 40))),
            max_dendrites=2,
            folder=folder,
        ).run()
        return model, ledger

    expected, ledger = run(None)
    assert ledger.best.number == 2
    assert ledger.attempts[1].correlations.keys() == {"first", "second", "head"}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, kill=3)
    resumed, again = run(tmp_path)
    assert same(states(resumed), states(expected))
    assert all(layer.detached for layer in dendritic_layers(resumed).values())
    assert [a.correlations for a in again.attempts] == [a.correlations for a in ledger.attempts]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: CorrelationRule(candidates=0), "at least 1"),
        (lambda: CorrelationRule(momentum=1.0), "momentum within"),
        (lambda: CorrelationRule(redundancy=0.0), "redundancy within"),
        (lambda: CorrelationRule().grow(Tokens(), ["first"]), "needs errors"),
        (lambda: CorrelationRule().grow(Tokens(), ["third"]), "no dendritic layer 'third'"),
    ],
)
def test_bad_settings_are_said_in_a_sentence(make, sentence):
    with pytest.raises(DendriteError, match=sentence):
        make()
