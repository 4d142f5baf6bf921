import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf
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
from giantkiller.dendrites.correlation import _Pool, ascent
from giantkiller.dendrites.error_signal import Seen, watch
from giantkiller.dendrites.moments import Moments


class Tokens(nn.Module):
    """Two layers on tokens, one on the first token, as a tiny encoder with a pooler has them."""

    def __init__(self, activation="tanh"):
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.second = nn.Linear(5, 3)
        self.head = nn.Linear(3, 2)
        self.double()
        perforate(self, nn.Linear, activation=activation)

    def forward(self, x):
        h = self.second(torch.relu_(self.first(x)))
        return self.head(torch.tanh(h[:, 0]))


def model_and_data(seed=0, samples=12, tokens=6, activation="tanh"):
    torch.manual_seed(seed)
    model = Tokens(activation)
    x = torch.randn(samples, tokens, 4, dtype=torch.float64)
    y = torch.randn(samples, 2, dtype=torch.float64)
    lengths = torch.randint(1, tokens + 1, (samples,))
    mask = torch.arange(tokens)[None] < lengths[:, None]
    return model, x, y, mask


def loss(model, batch):
    """Every token counts, so that every token has an error."""
    x, y, mask = batch
    h = model.second(torch.relu_(model.first(x)))
    every = model.head(torch.tanh(h)) - y[:, None]
    return (every.square().sum(-1) * mask).sum() / len(x)


def pooled_loss(model, batch):
    x, y, _ = batch
    return (model(x) - y).square().sum(-1).mean()


def batches(x, y, mask, edges=(0, 5, 12)):
    return [(x[i:j], y[i:j], mask[i:j]) for i, j in itertools.pairwise(edges)]


def errors(parts, **more):
    return Errors(parts, loss, mask=lambda batch: batch[2], **more)


def states(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


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
    pool = _Pool(layer, rule, torch.Generator().manual_seed(1))
    weight, bias, cascade = (t.detach().numpy().copy() for t in pool._learning())
    own_weight, own_bias = layer.dendrite_weight.detach().numpy(), layer.dendrite_bias.detach().numpy()
    data = [(torch.randn(7, 3).double(), torch.randn(7, 2).double()) for _ in range(2)]
    seen_a, seen_d, seen_w = {}, {}, []
    moments_1 = [np.zeros_like(t) for t in (weight, bias, cascade)]
    moments_2 = [np.zeros_like(t) for t in (weight, bias, cascade)]
    for step, (x, error) in enumerate(data, start=1):
        pool.climb(Seen(x, error, None))
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
    for ours, theirs in zip(pool._learning(), (weight, bias, cascade), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=1e-6, atol=1e-9)


# What is seen of the error


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


@settings(deadline=None, max_examples=5)
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


def test_a_pooler_counts_every_sample_whatever_the_mask():
    model, x, y, mask = model_and_data()
    parts = Errors([(x, y, mask)], pooled_loss, mask=lambda batch: batch[2])
    shown = next(watch(model, dendritic_layers(model), parts))
    assert shown["head"].error.shape == (12, 2)
    assert shown["second"].error.shape == (int(mask.sum()), 3)


# Growing by it


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "gelu"])
@pytest.mark.parametrize("had", [0, 2])
def test_the_correlation_of_a_kept_candidate_is_that_of_numpy(activation, had):
    model, x, y, mask = model_and_data(5, activation=activation)
    for layer in dendritic_layers(model).values():
        layer.grow(had)
    parts = errors(batches(x, y, mask))
    names = list(dendritic_layers(model))
    frozen = copy.deepcopy(model)
    chosen = CorrelationRule(candidates=3, passes=4).choose(model, names, errors=parts, seed=1)
    assert same(states(model), states(frozen)), "choosing leaves the model as it is"
    growth = CorrelationRule(candidates=3, passes=4).grow(model, names, errors=parts, seed=1)
    held = {name: ([], []) for name in names}
    for shown in watch(frozen, dendritic_layers(frozen), parts):
        for name, seen in shown.items():
            held[name][0].append(model.get_submodule(name).dendrite_activations(seen.x)[-1].detach())
            held[name][1].append(seen.error)
    for name, (a, d) in held.items():
        a, d = torch.cat(a).numpy(), torch.cat(d).numpy()
        for j, s in enumerate(chosen[name].correlation.tolist()):
            expected = 0.0 if a[:, j].std() == 0 else np.corrcoef(a[:, j], d[:, j])[0, 1]
            assert s == pytest.approx(expected, abs=1e-9)
        assert growth.correlations[name] == pytest.approx(chosen[name].correlation.abs().mean().item())
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
            rule.choose(model, ["second"], errors=parts, seed=0)["second"].correlation.abs().mean()
        )
    assert found[40] > 1.3 * found[1]


def test_more_candidates_find_a_better_one():
    model, x, y, mask = model_and_data(8, samples=100)
    found = []
    for candidates in (1, 8):
        rule = CorrelationRule(candidates=candidates, passes=1, learning_rate=1e-9)
        best = rule.choose(model, ["second"], errors=errors([(x, y, mask)]), seed=0)["second"]
        found.append(best.correlation.abs().mean())
    assert found[1] > found[0]


def test_the_phase_ends_when_nothing_improves():
    model, x, y, mask = model_and_data()
    gone = []

    def counted():
        gone.append(None)
        return batches(x, y, mask)

    parts = Errors(counted, loss, mask=lambda batch: batch[2])
    CorrelationRule(candidates=1, passes=50, patience=2, learning_rate=0.0).choose(
        model, ["head"], errors=parts
    )
    # One pass that begins, two that stand still, one that measures.
    assert len(gone) == 4


def test_a_candidate_that_repeats_a_dendrite_is_refused():
    model, x, y, mask = model_and_data(9)
    layer = model.second
    rule = CorrelationRule(candidates=1, passes=1, learning_rate=0.0)
    generator = torch.Generator().manual_seed(11)
    twin = _Pool(layer, rule, generator)
    layer.grow(weight=twin.weight[0].detach(), bias=twin.bias[0].detach())
    best = rule.choose(model, ["second"], errors=errors(batches(x, y, mask)), seed=11)["second"]
    assert best.refused == 3
    assert torch.equal(best.weight, torch.zeros_like(best.weight))
    assert torch.equal(best.correlation, torch.zeros(3, dtype=torch.float64))
    other = rule.choose(model, ["second"], errors=errors(batches(x, y, mask)), seed=12)["second"]
    assert other.refused == 0


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "gelu"])
def test_a_refused_dendrite_stays_silent_whatever_its_strength(activation):
    model, x, y, mask = model_and_data(9, activation=activation)
    before = model.second(torch.randn(4, 5).double() * 0 + 1)
    rule = CorrelationRule(candidates=1, passes=1, redundancy=1e-9, learning_rate=0.0)
    model.second.grow()
    growth = rule.grow(model, ["second"], errors=errors(batches(x, y, mask)))
    assert growth.correlations["second"] == 0.0
    with torch.no_grad():
        model.second.dendrite_strength[1] = 5.0
    torch.testing.assert_close(model.second(torch.ones(4, 5).double()), before, rtol=0, atol=1e-12)


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
def test_bad_evidence_is_said_in_a_sentence(change, sentence):
    with pytest.raises(DendriteError, match=sentence):
        broken(change)


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
